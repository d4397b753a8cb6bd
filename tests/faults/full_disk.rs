//! The disk of the state or of the output runs full while the real daemon works.

use crate::{
    album::Editor,
    check::{Promised, agree, configure, count, patience, start_ready, tail, until_same},
    common::Site,
    disk::{Filler, Mounted},
};
use std::time::{Duration, Instant};

/// Fills one disk again and again: the daemon stays, what is published stays whole, and all heals when there is room.
fn fill_again_and_again(name: &str, mb: u32) {
    let site = Site::new();
    let disk = Mounted::tmpfs(&site.path(name), mb).expect("root");
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 6, 50);
    editor.add(40);
    let (mut daemon, _) = start_ready(&site, &[]);
    until_same(&site);
    let (rounds, mut slowest, mut promised) = (count(2, 20), Duration::ZERO, Promised::default());
    for round in 0..rounds {
        let left = editor.dice.below(96 << 10);
        let filler = Filler::fill(&site.path(name), left);
        let (before, said) = (site.manifest().generation, site.log().len());
        let began = Instant::now();
        // Something is done until the lack of room is noticed, in the log and by whoever looks at it.
        while !complaint(&site.log()[said..]) {
            assert!(
                began.elapsed() < patience(),
                "{} bytes were enough; log:\n{}",
                left,
                tail(&site.log())
            );
            editor.step();
            std::thread::sleep(Duration::from_millis(100));
        }
        // Longer and longer, so that waits which grow with every failure would show.
        std::thread::sleep(Duration::from_millis(u64::from(round % 5) * 1_500));
        let now = agree(&site, &editor.album);
        assert!(now.generation >= before);
        assert!(
            daemon.child.try_wait().unwrap().is_none(),
            "a full disk ended it; log:\n{}",
            tail(&site.log())
        );
        drop(filler);
        let (_, took) = until_same(&site);
        slowest = slowest.max(took);
        agree(&site, &editor.album);
    }
    assert!(
        !site.log().contains("set aside"),
        "a full disk was taken for damage"
    );
    assert_eq!(daemon.stop(), 0);
    promised.read(&site);
    promised.is_kept(&site);
    println!("{rounds} times no room in {name}: slowest to heal {slowest:.1?}");
    drop(disk);
}

/// Whether the log says that room is missing.
fn complaint(log: &str) -> bool {
    log.contains("o space left") || log.contains("StorageFull")
}

#[test]
#[ignore = "needs root to mount a tmpfs"]
fn a_full_state_folder_heals_when_there_is_room() {
    fill_again_and_again("state", 24);
}

#[test]
#[ignore = "needs root to mount a tmpfs"]
fn a_full_output_folder_heals_when_there_is_room() {
    fill_again_and_again("output", 12);
}
