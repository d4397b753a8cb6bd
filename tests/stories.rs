//! What happens to a site: told through the real binary, its files and its signals.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod common;

use common::{Site, mosaic, patience, placed, png, put};
use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixDatagram},
    time::Duration,
};

#[test]
fn every_work_gets_a_cell_and_a_second_build_changes_nothing() {
    let site = Site::new();
    site.draw(0, 40);
    let first = site.build();
    assert_eq!(placed(&first).len(), 40);
    mosaic(&site, &first);
    let bytes = fs::read(site.output().join("manifest.json")).unwrap();
    let second = site.build();
    assert_eq!(second.generation, first.generation);
    let without_quality = |text: &[u8]| -> serde_json::Value {
        let mut value: serde_json::Value = serde_json::from_slice(text).unwrap();
        value["quality"] = serde_json::Value::Null;
        value
    };
    let again = fs::read(site.output().join("manifest.json")).unwrap();
    assert_eq!(without_quality(&bytes), without_quality(&again));
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
}

#[test]
fn a_build_depends_on_its_works_alone() {
    let built = |threads: usize| {
        let site = Site::new();
        site.configure(&format!("[decode]\nthreads = {threads}\n"));
        site.draw(0, 60);
        site.build()
    };
    let (slow, fast) = (built(1), built(4));
    assert_eq!(slow.generation, 1, "all in one generation");
    assert_eq!(placed(&slow), placed(&fast));
    assert!(
        slow.drift.is_some_and(|drift| drift.p95 == 0),
        "all are at home"
    );
}

#[test]
fn the_mosaic_shows_each_work_in_its_cell() {
    let site = Site::new();
    site.configure("[mosaic]\nquality = 95\nsubsampling = \"4:4:4\"\n");
    let colours = [
        [220, 30, 30],
        [30, 200, 40],
        [40, 60, 220],
        [230, 220, 50],
        [120, 20, 160],
    ];
    for (i, colour) in colours.iter().enumerate() {
        image::RgbImage::from_pixel(50, 40, image::Rgb(*colour))
            .save(site.art(&format!("{i}.png")))
            .unwrap();
    }
    let manifest = site.build();
    let picture = mosaic(&site, &manifest);
    let px = manifest.grid.cell_px;
    for work in &manifest.works {
        let colour = colours[work.path[..1].parse::<usize>().unwrap()];
        let seen = picture
            .get_pixel(work.col * px + px / 2, work.row * px + px / 2)
            .0;
        let far = seen
            .iter()
            .zip(colour)
            .map(|(a, b)| a.abs_diff(b))
            .max()
            .unwrap();
        assert!(far <= 6, "{} shows {seen:?}, not {colour:?}", work.path);
    }
}

#[test]
fn an_arrival_leaves_nearly_every_other_work_where_it_was() {
    let site = Site::new();
    let (daemon, _) = site.run_with(60);
    let before = placed(&site.manifest());
    let names = site.draw(60, 1);
    let after = placed(&site.until_works(61));
    assert!(after.contains_key(&names[0]));
    let moved = before
        .iter()
        .filter(|(path, place)| after.get(*path) != Some(place))
        .count();
    assert!(moved <= 6, "{moved} of 60 moved");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn many_arrivals_are_shown_first_and_polished_after() {
    let site = Site::new();
    site.draw(0, 120);
    let first = site.build();
    site.draw(120, 15);
    let some = site.build();
    assert_eq!(some.generation, first.generation + 1);
    site.draw(135, 15);
    let polished = site.build();
    assert_eq!(placed(&polished).len(), 150);
    assert_eq!(polished.generation, some.generation + 2);
    assert_eq!((polished.moves.added, polished.moves.removed), (0, 0));
    assert!(polished.moves.moved > 0);
    assert_eq!(polished.quality.unwrap().generation, polished.generation);
    mosaic(&site, &polished);
    assert_eq!(site.build().generation, polished.generation);
}

#[test]
fn edit_rename_move_delete_and_readd_each_end_in_the_right_mosaic() {
    let site = Site::new();
    let (daemon, names) = site.run_with(30);
    let first = placed(&site.manifest());

    put(&site.art(&names[3]), &png(103));
    let hash = mosaicd::artwork::ContentHash::of(&png(103));
    let edited = site.until("the edit", |m| m.works.iter().any(|w| w.hash == hash));
    assert_eq!(edited.works.len(), 30);
    assert_eq!(
        placed(&edited)[&names[3]].0,
        first[&names[3]].0,
        "an edit keeps the id"
    );

    let before = placed(&edited);
    let embedded = 31.0;
    site.wait("metrics", || {
        (site.metric("mosaicd_embedded_total") == embedded).then_some(())
    });
    fs::rename(site.art(&names[5]), site.art("renamed.png")).unwrap();
    let renamed = site.until_shown("renamed.png");
    let after = placed(&renamed);
    assert_eq!(after.len(), 30);
    assert_eq!(
        after["renamed.png"], before[&names[5]],
        "a rename keeps id and cell"
    );
    assert_eq!(
        site.metric("mosaicd_embedded_total"),
        embedded,
        "a rename embeds nothing"
    );

    fs::remove_file(site.art(&names[7])).unwrap();
    let removed = placed(&site.until_works(29));
    for (path, place) in &removed {
        assert_eq!(after[path], *place, "a removal moves nobody");
    }

    let outside = site.path("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    for i in 0..5 {
        fs::write(outside.join(format!("deep/{i}.png")), png(200 + i)).unwrap();
    }
    fs::rename(&outside, site.art("folder")).unwrap();
    site.until_works(34);
    fs::rename(site.art("folder"), &outside).unwrap();
    let back = placed(&site.until_works(29));
    assert!(back.keys().all(|path| !path.starts_with("folder/")));

    for entry in fs::read_dir(site.artworks()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let empty = site.until("delete-all", |m| m.works.is_empty());
    mosaic(&site, &empty);

    site.draw(0, 12);
    let again = site.until_works(12);
    placed(&again);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_burst_is_a_few_generations() {
    let site = Site::new();
    let (daemon, _) = site.run_with(20);
    let before = site.manifest();
    // Drawn before, so that a slow machine's pencil does not make many imports of one.
    let pictures: Vec<_> = (20..120).map(png).collect();
    for (i, picture) in pictures.iter().enumerate() {
        put(&site.art(&format!("burst-{i}.png")), picture);
    }
    let after = site.until_works(120);
    assert!(
        after.generation - before.generation <= 4,
        "{} generations",
        after.generation - before.generation
    );
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_restart_embeds_nothing_and_moves_nothing() {
    let site = Site::new();
    let (daemon, _) = site.run_with(25);
    let before = site.manifest();
    assert_eq!(daemon.stop(), 0);
    let daemon = site.start();
    site.draw(25, 1);
    let after = site.until_works(26);
    let (before, after) = (placed(&before), placed(&after));
    assert!(
        before
            .iter()
            .filter(|(path, place)| after[*path] != **place)
            .count()
            <= 4
    );
    site.wait("metrics", || {
        (site.metric("mosaicd_embedded_total") == 1.0).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn bad_input_is_named_and_the_daemon_goes_on() {
    let site = Site::new();
    site.draw(0, 10);
    let whole = png(50);
    fs::write(site.art("empty.png"), []).unwrap();
    fs::write(site.art("truncated.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(site.art("text.jpg"), "not a picture at all").unwrap();
    let mut corrupt = whole.clone();
    corrupt[40..200].fill(0x5a);
    fs::write(site.art("corrupt.png"), corrupt).unwrap();
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let crc = crc32fast::hash(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    fs::write(site.art("huge.png"), huge).unwrap();
    symlink(site.artworks(), site.art("loop")).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(site.art("fifo.png"))
        .status()
        .unwrap();
    assert!(fifo.success());
    let strange = std::ffi::OsStr::from_bytes(b"caf\xe9 \xf0\x9f\x8e\xa8.png");
    fs::write(site.artworks().join(strange), png(51)).unwrap();

    let daemon = site.start();
    let manifest = site.until_works(11);
    assert!(
        manifest.works.iter().any(|w| w.path.contains("%E9")),
        "{:?}",
        placed(&manifest).keys()
    );
    let named = |name: &str| {
        site.wait(name, || {
            site.status()
                .failures
                .into_iter()
                .find(|f| f.path == name)
                .map(|f| f.reason)
        })
    };
    for name in [
        "empty.png",
        "truncated.png",
        "text.jpg",
        "corrupt.png",
        "huge.png",
        "fifo.png",
        "loop",
    ] {
        assert!(!named(name).is_empty());
    }
    assert!(named("huge.png").contains("65535"), "{}", named("huge.png"));

    put(&site.art("corrupt.png"), &whole);
    site.until_shown("corrupt.png");
    let human = site.mosaicd(&["status"]);
    assert!(String::from_utf8_lossy(&human.stdout).contains("huge.png"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_reload_takes_a_good_file_and_refuses_a_bad_one() {
    let site = Site::new();
    let (daemon, _) = site.run_with(9);
    let first = site.manifest();

    site.configure("[grid]\nreserv = 0.2\n");
    daemon.signal("HUP");
    site.wait("the refusal", || {
        site.log().contains("grid.reserve").then_some(())
    });

    site.configure("[page]\ntitle = \"Second\"\n");
    daemon.signal("HUP");
    let titled = site.until("the title", |m| m.title == "Second");
    assert_eq!(placed(&titled), placed(&first));

    fs::write(site.path("mosaicd.toml"), "[tile]\nsize_px = 64\n").unwrap();
    daemon.signal("HUP");
    let larger = site.until("the larger cells", |m| m.grid.cell_px == 64);
    assert_eq!(
        placed(&larger),
        placed(&first),
        "everything is rendered again, nothing moves"
    );
    mosaic(&site, &larger);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn systemd_is_told_of_every_step() {
    let site = Site::new();
    site.draw(0, 5);
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    let daemon = site.start_with(&[
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "4000000"),
    ]);
    let expect = |word: &str| {
        let mut buffer = [0; 4096];
        loop {
            let n = socket
                .recv(&mut buffer)
                .unwrap_or_else(|_| panic!("never came: {word}; {}", site.log()));
            if String::from_utf8_lossy(&buffer[..n]).contains(word) {
                return;
            }
        }
    };
    expect("READY=1");
    expect("WATCHDOG=1");
    daemon.signal("HUP");
    expect("RELOADING=1");
    expect("READY=1");
    daemon.signal("TERM");
    expect("STOPPING=1");
    // Whoever stops reading blocks those who write.
    let (left, end) = (socket.try_clone().unwrap(), Duration::from_secs(2));
    left.set_read_timeout(Some(end)).unwrap();
    let reader = std::thread::spawn(move || while left.recv(&mut [0; 4096]).is_ok() {});
    assert_eq!(daemon.stop(), 0);
    reader.join().unwrap();
}

#[test]
fn killed_at_any_moment_the_next_start_goes_on() {
    let site = Site::new();
    site.draw(0, 30);
    for round in 0..6 {
        let daemon = site.start();
        site.draw(30 + 5 * round, 5);
        std::thread::sleep(Duration::from_millis(40 + 70 * round as u64));
        daemon.kill();
        if let Some(manifest) = site.try_manifest() {
            placed(&manifest);
            mosaic(&site, &manifest);
        }
    }
    assert_eq!(placed(&site.build()).len(), 60);
}

#[test]
fn both_recipes_of_the_post_are_reachable() {
    for method in ["pca", "umap"] {
        let site = Site::new();
        site.configure(&format!(
            "[layout]\nmethod = \"{method}\"\n[grid]\nmethod = \"rows\"\n"
        ));
        site.draw(0, 30);
        let manifest = site.build();
        assert_eq!(placed(&manifest).len(), 30);
        assert_eq!(manifest.grid.cols.max(manifest.grid.rows), 6);
        site.draw(30, 3);
        assert_eq!(placed(&site.build()).len(), 33);
    }
}

#[test]
fn exit_codes_tell_configuration_usage_and_failure_apart() {
    let site = Site::new();
    site.configure("[grid]\nreserv = 0.2\n");
    let wrong = site.mosaicd(&["validate"]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean grid.reserve?"));
    assert_eq!(site.mosaicd(&["frobnicate"]).status.code(), Some(2));
    site.configure("[folders]\noutput = \"artworks/out\"\n");
    assert_eq!(
        site.mosaicd(&["build"]).status.code(),
        Some(78),
        "the output lies in the artwork folder"
    );

    site.configure("");
    let (daemon, _) = site.run_with(3);
    let second = site.mosaicd(&["build"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another mosaicd"));
    assert!(site.mosaicd(&["validate"]).status.success());
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_artwork_folder_is_never_written() {
    let site = Site::new();
    site.draw(0, 8);
    let list = || {
        let mut names: Vec<_> = fs::read_dir(site.artworks())
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name(), e.metadata().unwrap().modified().unwrap()))
            .collect();
        names.sort();
        names
    };
    let before = list();
    site.build();
    assert_eq!(list(), before);
}

#[test]
fn a_reload_that_fails_late_brings_the_old_configuration_back() {
    let site = Site::new();
    let (daemon, _) = site.run_with(6);
    let foreign = site.path("website");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("index.html"), "somebody else's").unwrap();
    site.configure("[folders]\noutput = \"website\"\n");
    daemon.signal("HUP");
    site.wait("the refusal", || {
        site.log()
            .contains("the old one is used again")
            .then_some(())
    });
    site.draw(6, 1);
    site.until_works(7);
    assert_eq!(
        fs::read_to_string(foreign.join("index.html")).unwrap(),
        "somebody else's"
    );
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_build_that_cannot_publish_fails() {
    let site = Site::new();
    site.draw(0, 4);
    site.build();
    site.draw(4, 1);
    fs::remove_file(site.output().join("latest.json")).unwrap();
    fs::create_dir(site.output().join("latest.json")).unwrap();
    let output = site.mosaicd(&["build"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_dir(site.output().join("latest.json")).unwrap();
    assert_eq!(site.build().works.len(), 5, "it heals");
}
