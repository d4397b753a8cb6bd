//! Faults planned against the real binary: crashes, power cuts, full and failing disks, bursts, hostile files, signals.
//!
//! `cargo test --release --test faults` injects each kind a few times;
//! `MOSAICD_FULL_FAULTS=1 cargo test --release --test faults -- --include-ignored --nocapture --test-threads=1` as often
//! as it takes to believe the figures, and prints them. A story that needs root or a tool is ignored without
//! `--include-ignored`; where only a part of a story needs one, it says "skipped" and why.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../publish_support/mod.rs"]
mod publish_support;

mod album;
mod check;
mod crash;
mod damage;
mod decoding;
mod disk;
mod failing_disk;
mod full_disk;
mod hostile;
mod owner;
mod power_cut;
mod soak;
mod stopping;
mod strangers;
mod watching;
mod will;
