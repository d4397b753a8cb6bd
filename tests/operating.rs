//! What an operator lives with: removals that are held, warnings that are said once.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod common;

use common::{Site, placed};
use mosaicd::service::status::State;
use std::{fs, os::unix::fs::PermissionsExt};

/// A site of 24 works whose folder is empty now, as after a lost mount.
fn lost() -> Site {
    let site = Site::new();
    site.draw(0, 24);
    site.build();
    fs::rename(site.artworks(), site.path("away")).unwrap();
    fs::create_dir(site.artworks()).unwrap();
    site
}

fn until_held(site: &Site, left: &str) {
    site.wait("the warning", || {
        let degraded = site.status().degraded;
        let held = degraded.iter().find(|c| c.what.contains("vanished"))?;
        held.what_to_do.contains(left).then_some(())
    });
    let told = site.log().matches("vanished at once").count();
    assert_eq!(told, 1, "{}", site.log());
}

#[test]
fn an_unexplained_mass_removal_is_held_until_confirmed() {
    let site = lost();
    let daemon = site.start();
    until_held(&site, "in 24 h");
    assert_eq!(
        site.manifest().works.len(),
        24,
        "the last good mosaic stays"
    );
    assert!(site.mosaicd(&["confirm-removal"]).status.success());
    site.until("the confirmed removal", |m| m.works.is_empty());
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_grace_of_a_held_removal_goes_on_after_a_restart() {
    let site = lost();
    let daemon = site.start();
    until_held(&site, "in 24 h");
    assert_eq!(daemon.stop(), 0);
    let noted = site.path("state/removal-held");
    let held = fs::read_to_string(&noted).unwrap();
    let (held_ms, when) = held.trim().split_once(' ').unwrap();
    assert!(held_ms.parse::<u64>().unwrap() < 3_600_000, "{held}");
    fs::write(&noted, format!("{} {when}\n", 23 * 3_600_000 - 1)).unwrap();
    let daemon = site.start();
    until_held(&site, "in 1 h");
    assert_eq!(site.manifest().works.len(), 24);
    assert_eq!(daemon.stop(), 0);
    fs::write(&noted, format!("{} {when}\n", 24 * 3_600_000)).unwrap();
    let daemon = site.start();
    site.until("the removal after its grace", |m| m.works.is_empty());
    site.wait("the end of the hold", || (!noted.exists()).then_some(()));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_bad_file_is_warned_about_once_however_often_the_configuration_is_read() {
    let site = Site::new();
    site.draw(0, 3);
    fs::write(site.art("broken.png"), "no picture").unwrap();
    let warned = || site.log().matches("a file is left out").count();
    let daemon = site.start();
    for times in 1..=3 {
        site.wait("the failure", || {
            let metrics = fs::read_to_string(site.state().join("metrics.prom")).ok()?;
            metrics
                .contains(&format!("mosaicd_file_failures_total {times}\n"))
                .then_some(())
        });
        assert_eq!(warned(), 1, "{}", site.log());
        if times < 3 {
            site.configure(&format!("[page]\ntitle = \"{times}\"\n"));
            daemon.signal("HUP");
        }
    }
    fs::write(site.art("broken.png"), "still no picture").unwrap();
    site.wait("another warning", || (warned() == 2).then_some(()));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_state_that_is_removed_while_it_is_in_use_costs_time_and_nothing_else() {
    let site = Site::new();
    let (daemon, _) = site.run_with(40);
    // Others in between: the cells are not those of a first layout.
    site.draw(40, 3);
    site.until_works(43);
    let idle = || (site.status().state == State::Idle).then_some(());
    site.wait("rest", idle);
    let before = placed(&site.manifest());

    // In one step: the daemon writes its status there all the time.
    fs::rename(site.state(), site.path("gone")).unwrap();
    fs::remove_dir_all(site.path("gone")).unwrap();
    site.wait("a new state", || {
        let said = site
            .log()
            .contains("removed or replaced while it was in use");
        (said && site.state().join("store/lock").exists()).then_some(())
    });
    let mode = fs::metadata(site.state()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "it is as private as the first");
    site.wait("every work in it", || {
        let embedded = site.state().join("metrics.prom").exists()
            && site.metric("mosaicd_embedded_total") >= 86.0;
        (embedded && site.status().state == State::Idle).then_some(())
    });
    assert_eq!(placed(&site.manifest()), before);
    assert_eq!(daemon.stop(), 0);

    site.build();
    assert_eq!(placed(&site.manifest()), before);
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
}

/// glibc's allocator reads its settings at the start of a process.
#[test]
#[cfg(target_env = "gnu")]
fn the_allocator_is_told_to_give_memory_back_unless_the_owner_has_set_it() {
    let settings = |env: &[(&str, &str)]| {
        let site = Site::new();
        let daemon = site.start_with(env);
        site.until_works(0);
        let proc = |name: &str| fs::read(format!("/proc/{}/{name}", daemon.child.id())).unwrap();
        assert_eq!(proc("comm"), b"mosaicd\n");
        let environ = proc("environ");
        let environ = environ.split(|byte| *byte == 0);
        let environ = environ.map(|line| String::from_utf8_lossy(line).into_owned());
        let set: Vec<String> = environ.filter(|line| line.starts_with("MALLOC_")).collect();
        assert_eq!(daemon.stop(), 0);
        set
    };
    assert_eq!(
        settings(&[]),
        ["MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=131072"]
    );
    assert_eq!(
        settings(&[("MALLOC_ARENA_MAX", "8")]),
        ["MALLOC_ARENA_MAX=8"]
    );
}

#[test]
fn a_start_that_fails_is_not_said_to_go_on() {
    let site = Site::new();
    site.draw(0, 3);
    site.build();
    site.configure("[embed]\nmodel = \"/nowhere.onnx\"\n");
    assert_eq!(site.mosaicd(&["run"]).status.code(), Some(78));
    assert_eq!(site.status().state, State::Stopped);
}
