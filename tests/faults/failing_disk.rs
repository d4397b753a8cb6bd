//! A disk fails at one step: every read, write, flush, rename of the real binary below a folder, one after another.
//! A small library (`shim.c`), preloaded into it, does that; nothing in the binary knows of it.

use crate::{
    album::Editor,
    check::{Promised, agree, configure, copy_folder, count, run, skip, tail, until_same},
    common::Site,
};
use std::{fs, path::PathBuf, time::Duration};

/// Compiles the shim; `None` without a C compiler.
fn shim(site: &Site) -> Option<PathBuf> {
    let library = site.path("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
    run(&format!(
        "cc -shared -fPIC -O1 -o {} {source} -ldl",
        library.display()
    ))
    .then_some(library)
}

fn fail_every_step_below(name: &str, seed: u64) {
    let site = Site::new();
    let Some(library) = shim(&site) else {
        return skip("needs a C compiler");
    };
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), seed, 30);
    editor.add(24);
    site.build();
    for name in ["output", "state"] {
        copy_folder(&site.path(name), &site.path("healthy").join(name));
    }
    for _ in 0..4 {
        editor.step();
    }
    let folder = site.path(name).canonicalize().unwrap();
    let steps_file = site.path("steps");
    let round = |at: i64, errno: i32| {
        for name in ["output", "state"] {
            fs::remove_dir_all(site.path(name)).unwrap();
            copy_folder(&site.path("healthy").join(name), &site.path(name));
        }
        let (at, errno) = (at.to_string(), errno.to_string());
        let mut daemon = site.start_with(&[
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAULT_FOLDER", folder.to_str().unwrap()),
            ("FAULT_AT", &at),
            ("FAULT_ERRNO", &errno),
            ("FAULT_COUNT", steps_file.to_str().unwrap()),
        ]);
        let (_, took) = until_same(&site);
        assert!(
            daemon.child.try_wait().unwrap().is_none(),
            "step {at}: it ended; log:\n{}",
            tail(&site.log())
        );
        assert_eq!(daemon.stop(), 0);
        agree(&site, &editor.album);
        let mut promised = Promised::default();
        promised.read(&site);
        promised.is_kept(&site);
        took
    };
    round(-1, 0);
    let steps: i64 = fs::read_to_string(&steps_file).unwrap().parse().unwrap();
    assert!(steps > 50, "only {steps} steps are seen");
    let rounds = i64::from(count(8, 200)).min(steps);
    let mut slowest = Duration::ZERO;
    for i in 0..rounds {
        // EIO, and now and then a full disk or quota.
        let errno = [5, 5, 28, 122][i as usize % 4];
        slowest = slowest.max(round(i * steps / rounds, errno));
    }
    println!("{rounds} of {steps} steps below {name} failed: slowest to heal {slowest:.1?}");
}

#[test]
fn a_failing_step_in_the_state_folder_heals() {
    fail_every_step_below("state", 7);
}

#[test]
fn a_failing_step_in_the_output_folder_heals() {
    fail_every_step_below("output", 8);
}
