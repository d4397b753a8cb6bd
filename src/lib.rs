//! mosaicd keeps a mosaic of an artwork folder, sorted by visual similarity, always current on disk.
//!
//! # Flow
//! ```text
//! folder --scan/watch--> ChangeSet --embed--> Embedding + cell --store--> Record
//!    Record* --reduce--> Layout (2-D) --grid--> Assignment + moves --render--> dirty cells --publish--> Generation
//! ```
//! Events only *schedule* scans; the scan is the truth. A start is a scan, so recovery is no special case.
//!
//! # Rooms
//! A folder under `src/` is a room; its `mod.rs` is the door. Pure rooms (`reduce`, `grid`, `render`, most of
//! `artwork`) import no file system, clock, database or thread; the shells around them (`watch`, `store`, `embed`,
//! `publish`, `service`) do, and they meet only in `daemon` and `rebuild`.
//!
//! # Invariants
//! - Every artwork has exactly one cell and every cell holds at most one artwork.
//! - A placed artwork moves only when the grid says so, and every move is counted and published.
//! - Nothing is acknowledged before it is durable; a reader never sees a torn or mixed generation.
//! - Nothing below the source folder is ever written.

pub mod artwork;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod describe;
pub mod embed;
pub mod grid;
pub mod history;
pub mod ingest;
pub mod matrix;
pub mod pipeline;
pub mod plan;
pub mod publish;
pub mod rebuild;
pub mod reduce;
pub mod render;
pub mod service;
pub mod snapshot;
pub mod store;
pub mod vectors;
pub mod viewer;
pub mod watch;
