//! Signals at every stage: TERM ends it in order, USR1 lays out again, USR2 logs the status.

use crate::{
    album::Editor,
    check::{Promised, agree, configure, count, patience, start_ready, tail, until_same},
    common::Site,
    disk::{Filler, Mounted},
};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

#[test]
fn told_to_stop_at_any_stage_it_ends_in_order() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 9, 200);
    editor.add(150);
    let whole = {
        let began = Instant::now();
        let daemon = site.start();
        until_same(&site);
        drop(daemon);
        began.elapsed()
    };
    let (rounds, mut slowest, mut promised) = (count(8, 60), Duration::ZERO, Promised::default());
    for i in 0..rounds {
        // From nothing: scan, embed, layout, publish all come by.
        if i % 3 == 0 {
            for name in ["state", "output"] {
                fs::remove_dir_all(site.path(name)).unwrap();
            }
            promised = Promised::default();
        } else {
            (0..20).for_each(|_| editor.step());
        }
        let daemon = site.start();
        thread::sleep(whole.mul_f64(f64::from(i) / f64::from(rounds)));
        slowest = slowest.max(stop(&site, daemon));
        promised.read(&site);
        if site.path("state/store").exists() {
            promised.is_kept(&site);
        }
        if site.output().join("manifest.json").exists() {
            agree(&site, &editor.album);
        }
    }
    let daemon = site.start();
    until_same(&site);
    stop(&site, daemon);
    agree(&site, &editor.album);
    println!("{rounds} times told to stop over a run of {whole:.1?}: slowest to end {slowest:.1?}");
}

/// Sends TERM and gives the time until the end, which must be in order.
fn stop(site: &Site, daemon: crate::common::Daemon<'_>) -> Duration {
    let began = Instant::now();
    let early = site.log().is_empty();
    let code = daemon.stop();
    // Before the handlers are there the system ends it; nothing was begun then.
    let in_order = code == 0 || (early && code == -1);
    assert!(in_order, "exit code {code}; log:\n{}", tail(&site.log()));
    began.elapsed()
}

#[test]
fn told_to_stop_during_the_first_layout_of_many_works_it_ends_soon() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 10, 1_000_000);
    editor.add(count(800, 8_000) as usize);
    let mut daemon = site.start();
    // A layout that is over before anybody sees it is made again, of more works.
    while !is_seen_in_layout(&site, editor.len()) {
        assert_eq!(daemon.stop(), 0);
        for name in ["state", "output"] {
            fs::remove_dir_all(site.path(name)).unwrap();
        }
        editor.add(editor.len());
        daemon = site.start();
    }
    let took = stop(&site, daemon);
    let mut promised = Promised::default();
    promised.read(&site);
    promised.is_kept(&site);
    let daemon = site.start();
    until_same(&site);
    stop(&site, daemon);
    agree(&site, &editor.album);
    println!(
        "told to stop while {} works were laid out: {took:.1?}",
        editor.len()
    );
}

/// Waits until the status tells of a layout; `false` if all works are shown before.
fn is_seen_in_layout(site: &Site, works: usize) -> bool {
    let began = Instant::now();
    loop {
        let status = fs::read_to_string(site.state().join("status.json"));
        let status = mosaicd::service::status::Status::from_json(&status.unwrap_or_default());
        let progress = status.ok().and_then(|status| status.progress);
        if progress.is_some_and(|progress| progress.stage == "layout") {
            return true;
        }
        if site.try_manifest().is_some_and(|m| m.works.len() == works) {
            return false;
        }
        assert!(
            began.elapsed() < patience() * (1 + works as u32 / 1_000),
            "neither a layout nor all works are seen; log:\n{}",
            tail(&site.log())
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root to mount a tmpfs"]
fn told_to_stop_while_it_waits_for_room_it_ends() {
    let site = Site::new();
    let disk = Mounted::tmpfs(&site.path("state"), 8).expect("root");
    configure(&site, "");
    let filler = Filler::fill(&site.path("state"), 0);
    let daemon = site.start();
    site.wait("the wait", || {
        site.log().contains("cannot start yet").then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    // And with room it starts by itself.
    let daemon = site.start();
    site.wait("the wait", || {
        site.log().contains("cannot start yet").then_some(())
    });
    drop(filler);
    let mut editor = Editor::new(&site.artworks(), 11, 10);
    editor.add(5);
    until_same(&site);
    assert_eq!(daemon.stop(), 0);
    drop(disk);
}

#[test]
fn usr1_lays_everything_out_again_and_usr2_logs_the_status() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 12, 100);
    editor.add(40);
    let (daemon, _) = start_ready(&site, &[]);
    until_same(&site);
    editor.add(60);
    let (before, _) = until_same(&site);
    daemon.signal("USR1");
    let after = site.until("the fresh layout", |m| m.generation > before.generation);
    assert_eq!(after.works.len(), 100);
    assert!(
        after.moves.moved > 0,
        "60 works crept in one by one, and none has a better place"
    );
    daemon.signal("USR2");
    let dumped = site.wait("the status", || {
        let log = site.log();
        let line = log
            .lines()
            .find(|line| line.contains("\"message\":\"status\""))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["status"].as_str()?.to_owned())
    });
    let dumped = mosaicd::service::status::Status::from_json(&dumped).unwrap();
    assert_eq!(dumped.counts.works, 100);
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}
