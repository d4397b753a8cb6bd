//! Configuration as an operator meets it: several folders, reloads that say what they do, a status that tells the truth.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod common;

use common::{Site, mosaic, placed, png, put};
use std::fs;

const TWO: &str = "[[folder]]\npath = \"oil\"\ntitle = \"Oil paintings\"\n\
                   [[folder]]\npath = \"scans/2024\"\nname = \"ink\"\n";

#[test]
fn several_folders_are_one_mosaic_and_each_is_watched() {
    let site = Site::new();
    for folder in ["oil", "scans/2024"] {
        fs::create_dir_all(site.path(folder)).unwrap();
    }
    for i in 0..6 {
        fs::write(site.path("oil").join(format!("{i}.png")), png(i)).unwrap();
        fs::write(
            site.path("scans/2024").join(format!("{i}.png")),
            png(20 + i),
        )
        .unwrap();
    }
    site.configure(TWO);
    let daemon = site.start();
    let both = site.until_works(12);
    mosaic(&site, &both);
    let folders: Vec<_> = both
        .folders
        .iter()
        .map(|f| (f.name.as_str(), f.title.as_str()))
        .collect();
    assert_eq!(folders, [("oil", "Oil paintings"), ("ink", "ink")]);
    let prefixed = |path: &String| path.starts_with("oil/") || path.starts_with("ink/");
    assert!(placed(&both).keys().all(prefixed));

    put(&site.path("scans/2024/new.png"), &png(50));
    site.until_shown("ink/new.png");
    let before = placed(&site.manifest());
    fs::rename(site.path("oil/3.png"), site.path("scans/2024/from-oil.png")).unwrap();
    let moved = site.until_shown("ink/from-oil.png");
    assert_eq!(placed(&moved)["ink/from-oil.png"], before["oil/3.png"]);
    assert_eq!(moved.works.len(), 13);

    // A folder that is unmounted makes its works unknown, and the others' are served on.
    fs::rename(site.path("oil"), site.path("away")).unwrap();
    put(&site.path("scans/2024/later.png"), &png(51));
    let rest = site.until_shown("ink/later.png");
    assert_eq!(rest.works.len(), 14, "the unmounted folder's works stay");
    site.wait("the missing folder in the status", || {
        site.status()
            .failures
            .iter()
            .any(|f| f.path == "oil")
            .then_some(())
    });
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn going_from_one_folder_to_several_embeds_nothing_and_moves_nothing() {
    let site = Site::new();
    site.draw(0, 24);
    let first = placed(&site.build());
    fs::create_dir_all(site.path("scans/2024")).unwrap();
    fs::rename(site.artworks(), site.path("oil")).unwrap();
    site.configure(TWO);
    let second = placed(&site.build());
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
    let renamed: Vec<_> = first
        .iter()
        .map(|(path, place)| (format!("oil/{path}"), *place))
        .collect();
    assert_eq!(
        second.into_iter().collect::<Vec<_>>(),
        renamed,
        "held as an unexplained removal?"
    );
}

#[test]
fn folders_that_contain_each_other_are_refused() {
    let site = Site::new();
    fs::create_dir_all(site.path("oil/old")).unwrap();
    site.configure("[[folder]]\npath = \"oil\"\n[[folder]]\npath = \"oil/old\"\n");
    let output = site.mosaicd(&["build"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("lies in another one"), "{said}");
}

#[test]
fn a_reload_says_what_changed_and_what_needs_a_restart() {
    let site = Site::new();
    let (daemon, _) = site.run_with(4);
    site.configure(
        "[page]\ntitle = \"Second\"\n[log]\nformat = \"human\"\n[folders]\nstate = \"other\"\n",
    );
    daemon.signal("HUP");
    site.until("the title", |m| m.title == "Second");
    let log = site.wait("the log", || {
        Some(site.log()).filter(|log| log.contains("restart mosaicd"))
    });
    for change in [
        "page.title",
        "Mosaic",
        "Second",
        "log.format",
        "folders.state",
        "at the next restart",
    ] {
        assert!(log.contains(change), "{change} is not in {log}");
    }
    assert!(!site.path("other").exists(), "the store stays where it is");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn status_knows_a_dead_daemon() {
    let site = Site::new();
    site.draw(0, 3);
    let human = || String::from_utf8_lossy(&site.mosaicd(&["status"]).stdout).into_owned();
    let daemon = site.start();
    site.until_works(3);
    site.wait("idle", || human().contains("state    idle").then_some(()));
    assert_eq!(daemon.stop(), 0);
    let ended = human();
    assert!(
        ended.starts_with("state    not running: it ended in good order"),
        "{ended}"
    );

    let daemon = site.start();
    site.wait("idle again", || {
        human().contains("state    idle").then_some(())
    });
    daemon.kill();
    // The same as waiting for the patience to run out.
    let mut status = site.status();
    status.updated_ms -= 60_000;
    fs::write(site.state().join("status.json"), status.to_json()).unwrap();
    let killed = human();
    assert!(
        killed.starts_with("state    not running: killed or hung, last heard of 1 min ago"),
        "{killed}"
    );
}

#[test]
fn promtool_finds_nothing_wrong_with_what_is_published() {
    let site = Site::new();
    site.draw(0, 5);
    fs::write(site.art("broken.png"), b"no picture").unwrap();
    site.build();
    for name in [
        "mosaicd_last_success_timestamp_seconds",
        "mosaicd_store_bytes",
        "mosaicd_tiles_moved_total",
    ] {
        site.metric(name);
    }
    let text = fs::File::open(site.state().join("metrics.prom")).unwrap();
    match std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(text)
        .output()
    {
        Ok(verdict) => {
            let said = String::from_utf8_lossy(&verdict.stderr).into_owned();
            assert!(verdict.status.success() && said.is_empty(), "{said}");
        }
        Err(_) => eprintln!("promtool is not installed (Debian package prometheus): not asked"),
    }
}
