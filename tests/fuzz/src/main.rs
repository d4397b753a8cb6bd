//! libFuzzer's entry: the environment says which target this run is for (`tests/fuzz/run` sets it).
#![no_main]

#[path = "../targets.rs"]
mod targets;

use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").expect("tests/fuzz/run sets FUZZ_TARGET");
        let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
        found.expect("a target's name").1
    });
    target(bytes);
});
