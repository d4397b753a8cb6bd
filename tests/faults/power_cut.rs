//! The power is cut while the real daemon works: what was not flushed is gone.

use crate::{
    album::Editor,
    check::{Promised, agree, configure, count, spread, start_ready, until_same},
    common::Site,
    disk::CuttableDisk,
};
use std::time::Duration;

#[test]
#[ignore = "needs root, mkfs.ext4, loop devices and python3"]
fn a_power_cut_loses_nothing_acknowledged() {
    let site = Site::new();
    let mut disk = CuttableDisk::of(&site).expect("root, mkfs.ext4, loop devices and python3");
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 2, 60);
    editor.add(20);
    site.build();
    let (mut promised, mut starts) = (Promised::default(), Vec::new());
    let (rounds, mut published) = (count(5, 50), 0);
    for _ in 0..rounds {
        let (daemon, took) = start_ready(&site, &[]);
        starts.push(took);
        editor.work_for_a_while(Duration::from_secs(4));
        disk.cut();
        daemon.kill();
        disk.boot(&site);
        published += usize::from(promised.hold(&site, &editor.album));
    }
    assert!(
        published > 0 && promised.generation > 1 && !promised.embedded.is_empty(),
        "no daemon came to do anything"
    );
    let (daemon, took) = start_ready(&site, &[]);
    starts.push(took);
    until_same(&site);
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
    println!(
        "{rounds} power cuts, {} embeddings acknowledged, none lost; {published} times a mosaic, whole every time; \
         starts to READY: {}",
        promised.embedded.len(),
        spread(starts)
    );
    drop(disk);
}
