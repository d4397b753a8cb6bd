//! `kill -9` at random moments of the real daemon under load.

use crate::{
    album::Editor,
    check::{Promised, agree, configure, count, spread, start_ready, until_same},
    common::Site,
};
use std::time::Duration;

#[test]
fn killed_at_random_moments_under_load_it_loses_nothing() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 1, 60);
    editor.add(20);
    site.build();
    let (mut promised, mut starts) = (Promised::default(), Vec::new());
    let (rounds, mut published) = (count(10, 200), 0);
    for round in 0..rounds {
        // Half of the kills come while it starts and recovers, half while it works.
        let daemon = if round % 2 == 0 {
            site.start()
        } else {
            let (daemon, took) = start_ready(&site, &[]);
            starts.push(took);
            daemon
        };
        editor.work_for_a_while(Duration::from_secs(4));
        daemon.kill();
        published += usize::from(promised.hold(&site, &editor.album));
    }
    assert!(
        published > 0 && promised.generation > 1 && !promised.embedded.is_empty(),
        "no daemon came to do anything"
    );
    let (daemon, took) = start_ready(&site, &[]);
    starts.push(took);
    let (manifest, _) = until_same(&site);
    assert_eq!(daemon.stop(), 0);
    promised.read(&site);
    promised.is_kept(&site);
    agree(&site, &editor.album);
    println!(
        "{rounds} kills, {} embeddings acknowledged, none lost; {published} times a mosaic, whole every time; \
         {} works at the end; starts to READY: {}",
        promised.embedded.len(),
        manifest.works.len(),
        spread(starts)
    );
}
