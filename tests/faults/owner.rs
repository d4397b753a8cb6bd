//! The owner's will, told through the real binary: what is opted out stays out, what was not deleted stays in, what comes
//! back is the same work, and nobody else's files are shown.

use crate::{
    check::skip,
    common::{Daemon, Site, placed, png, put},
    disk::Mounted,
};
use mosaicd::domain::manifest::Manifest;
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

fn shows(manifest: &Manifest, path: &str) -> bool {
    manifest.works.iter().any(|work| work.path == path)
}

/// Waits until a work that was just put there is shown: everything that was noticed before it is done.
fn marked(site: &Site, name: &str, picture: usize) -> Manifest {
    put(&site.art(name), &png(picture));
    site.until_shown(name)
}

fn private(manifest: &Manifest) -> usize {
    let works = manifest.works.iter();
    works.filter(|w| w.path.starts_with("private")).count()
}

fn with_private(site: &Site) -> Daemon<'_> {
    site.draw(0, 8);
    fs::create_dir(site.art("private")).unwrap();
    for i in 0..3 {
        fs::write(site.art(&format!("private/{i}.png")), png(100 + i)).unwrap();
    }
    fs::write(site.art(".mosaicignore"), "private/\n").unwrap();
    let daemon = site.start();
    site.until_works(8);
    daemon
}

#[test]
fn opting_out_fails_closed() {
    let site = Site::new();
    let daemon = with_private(&site);
    let ignore = site.art(".mosaicignore");
    let utf16: Vec<u8> = "\u{feff}private/\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let bad: [(&[u8], Option<&str>); 8] = [
        (b"private/\nEntw\xfcrfe/\n", Some("line 2 is not UTF-8")),
        (b"\xef\xbb\xbfprivate/\r\n", None),
        (&utf16, None),
        (b"private\\\n", Some("line 1 has a backslash")),
        (b"\"private/\"\n", Some("line 1 is in quotation marks")),
        (b"private/ # mine\n", Some("line 1 has a comment")),
        (b"", Some("is empty")),
        (b"private/\n[z-a]\n", Some("line 2 is no pattern")),
    ];
    for (i, (text, wrong)) in bad.into_iter().enumerate() {
        fs::write(&ignore, text).unwrap();
        if let Some(wrong) = wrong {
            site.until_told(wrong);
            let validate = site.mosaicd(&["validate"]);
            let said = String::from_utf8_lossy(&validate.stdout).into_owned();
            assert!(said.contains(wrong), "{said}");
            assert_eq!(validate.status.code(), Some(78));
        }
        let manifest = marked(&site, &format!("mark-{i}.png"), 200 + i);
        assert_eq!(private(&manifest), 0, "{}", String::from_utf8_lossy(text));
    }
    fs::remove_file(&ignore).unwrap();
    site.until_told("is not there any more");
    assert_eq!(private(&marked(&site, "mark-gone.png", 210)), 0);
    fs::create_dir(&ignore).unwrap();
    site.until_told("is a folder");
    assert_eq!(private(&marked(&site, "mark-folder.png", 211)), 0);
    fs::remove_dir(&ignore).unwrap();
    symlink("nowhere", &ignore).unwrap();
    site.until_told("symbolic link");
    assert_eq!(daemon.stop(), 0);
    // Across a restart, too.
    let daemon = site.start();
    site.until_told("symbolic link");
    assert_eq!(private(&marked(&site, "mark-restart.png", 212)), 0);
    // Taken back for good.
    fs::remove_file(&ignore).unwrap();
    site.until("the private works", |m| private(m) == 3);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn rules_that_were_never_understood_show_nothing_new() {
    let site = Site::new();
    site.draw(0, 3);
    fs::write(site.art(".mosaicignore"), b"Entw\xfcrfe/\n").unwrap();
    let daemon = site.start();
    site.until_told("is not understood");
    let understood = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    fs::write(site.art(".mosaicignore"), "Entw\u{fc}rfe/\n").unwrap();
    let manifest = site.until_works(3);
    let early = |ms: u64| u128::from(ms) < understood.as_millis();
    assert!(!manifest.works.iter().any(|work| early(work.added_ms)));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn subfolders_have_ignore_files_of_their_own() {
    let site = Site::new();
    site.draw(0, 4);
    for folder in ["a", "b", "d", "Mu\u{308}ller"] {
        fs::create_dir(site.art(folder)).unwrap();
        for i in 0..2 {
            fs::write(site.art(&format!("{folder}/{i}.png")), png(30 + i)).unwrap();
        }
    }
    fs::write(site.art("a/.mosaicignore"), "0.png\n").unwrap();
    fs::write(site.art("b/.nomedia"), "").unwrap();
    fs::write(site.art("d/.mosaicignore.txt"), "0.png\n").unwrap();
    fs::write(site.art(".mosaicignore"), "M\u{fc}ller/\n").unwrap();
    let daemon = site.start();
    let manifest = site.until_works(6);
    assert!(shows(&manifest, "a/1.png") && shows(&manifest, "d/1.png"));
    // A folder that is moved in with its rules.
    fs::create_dir(site.path("c")).unwrap();
    fs::write(site.path("c/secret.png"), png(40)).unwrap();
    fs::write(site.path("c/open.png"), png(41)).unwrap();
    fs::write(site.path("c/.mosaicignore"), "secret*\n").unwrap();
    fs::rename(site.path("c"), site.art("c")).unwrap();
    let manifest = site.until_shown("c/open.png");
    assert!(!shows(&manifest, "c/secret.png"));
    put(&site.art("a/.nomedia"), b"");
    site.until("a is left out", |m| !shows(m, "a/1.png"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_folder_that_is_a_link_is_watched_and_followed() {
    let site = Site::new();
    for (folder, from) in [("real", 0), ("other", 10)] {
        fs::create_dir(site.path(folder)).unwrap();
        for i in from..from + 4 {
            fs::write(site.path(&format!("{folder}/{i}.png")), png(i)).unwrap();
        }
    }
    fs::remove_dir(site.artworks()).unwrap();
    symlink("real", site.artworks()).unwrap();
    let daemon = site.start();
    site.until_works(4);
    // Nothing but an event is quick enough: the next scan is minutes away.
    put(&site.path("real/new.png"), &png(50));
    site.until_shown("new.png");
    symlink("other", site.path("next")).unwrap();
    fs::rename(site.path("next"), site.artworks()).unwrap();
    site.until_shown("10.png");
    put(&site.path("other/newer.png"), &png(51));
    site.until_shown("newer.png");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_mount_that_appears_later_is_watched_and_one_that_is_lost_is_held() {
    let site = Site::new();
    site.draw(0, 30);
    fs::create_dir(site.art("nas")).unwrap();
    let daemon = site.start();
    site.until_works(30);
    let Some(mount) = Mounted::tmpfs(&site.art("nas"), 8) else {
        return skip("mounting needs root");
    };
    for i in 0..4 {
        fs::write(site.art(&format!("nas/{i}.png")), png(60 + i)).unwrap();
    }
    site.until_works(34);
    let before = placed(&marked(&site, "nas/later.png", 70));
    drop(mount);
    site.until_told("with their folder (nas)");
    assert_eq!(site.manifest().works.len(), 35, "a tenth of the works");
    assert_eq!(daemon.stop(), 0);
    let daemon = site.start();
    site.until_told("(nas)");
    assert_eq!(placed(&marked(&site, "mark.png", 71)).len(), 36);
    let mount = Mounted::tmpfs(&site.art("nas"), 8);
    for i in 0..4 {
        fs::write(site.art(&format!("nas/{i}.png")), png(60 + i)).unwrap();
    }
    put(&site.art("nas/later.png"), &png(70));
    site.until_untold("(nas)");
    let after = placed(&marked(&site, "mark-2.png", 72));
    for (path, place) in &before {
        assert_eq!(after[path].0, place.0, "{path}");
    }
    drop(mount);
    site.until_told("(nas)");
    // What is opted out leaves, although its folder is held.
    fs::write(site.art(".mosaicignore"), "later.png\n").unwrap();
    let manifest = site.until("the opt-out", |m| !shows(m, "nas/later.png"));
    assert!(shows(&manifest, "nas/0.png"));
    // Lost for good: confirmed, and only then.
    assert!(site.mosaicd(&["confirm-removal"]).status.success());
    site.until("the removal", |m| !shows(m, "nas/0.png"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_confirmation_with_nothing_held_is_refused() {
    let site = Site::new();
    site.draw(0, 12);
    site.build();
    let refused = site.mosaicd(&["confirm-removal"]);
    assert_eq!(refused.status.code(), Some(1));
    // One that was written all the same has no effect on a later removal.
    fs::write(site.path("state/confirm-removal"), "").unwrap();
    fs::rename(site.artworks(), site.path("away")).unwrap();
    fs::create_dir(site.artworks()).unwrap();
    let daemon = site.start();
    site.until_told("vanished");
    let confirmation = site.path("state/confirm-removal");
    site.wait("the end of it", || (!confirmation.exists()).then_some(()));
    assert_eq!(site.manifest().works.len(), 12);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_output_within_the_artworks_is_refused_however_it_gets_there() {
    let site = Site::new();
    site.draw(0, 3);
    fs::create_dir_all(site.art("site")).unwrap();
    fs::create_dir_all(site.output()).unwrap();
    let Some(mount) = Mounted::bound(&site.art("site"), &site.output()) else {
        return skip("binding a folder needs root");
    };
    let refused = site.mosaicd(&["build"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("through a mount"));
    drop(mount);
    // And when it gets there later, the other way round.
    let daemon = site.start();
    site.until_works(3);
    let mount = Mounted::bound(&site.output(), &site.art("site"));
    site.until_told("reached through site");
    assert_eq!(marked(&site, "mark.png", 20).works.len(), 4);
    assert_eq!(daemon.stop(), 0);
    drop(mount);
}

#[test]
fn one_output_belongs_to_one_daemon() {
    let site = Site::new();
    let (daemon, _) = site.run_with(4);
    fs::create_dir(site.path("others")).unwrap();
    let more = ["--artworks", "others", "--state", "state2", "build"];
    let second = site.mosaicd(&more);
    assert_eq!(second.status.code(), Some(78));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    let holder = format!("process {}", daemon.child.id());
    assert!(said.contains(&holder), "{said}");
    assert_eq!(site.manifest().works.len(), 4);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn an_output_that_is_removed_is_made_again() {
    let site = Site::new();
    let (daemon, _) = site.run_with(6);
    let before = site.manifest();
    // The daemon may write into it meanwhile.
    site.wait("the removal", || fs::remove_dir_all(site.output()).ok());
    let again = site.until("the output again", |m| m.generation > before.generation);
    assert_eq!(placed(&again), placed(&before));
    site.wait("the page", || {
        site.output().join("index.html").exists().then_some(())
    });
    // Emptied, and replaced by another folder.
    for entry in fs::read_dir(site.output()).unwrap().flatten() {
        let path = entry.path();
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        };
        drop(removed);
    }
    let more = site.until("filled again", |m| m.generation > again.generation);
    fs::rename(site.output(), site.path("old")).unwrap();
    fs::create_dir(site.output()).unwrap();
    // What the daemon was about to publish has the same number in the new folder.
    let last = site.until("the new folder", |m| m.generation >= more.generation);
    assert_eq!(placed(&last), placed(&before));
    let status = site.mosaicd(&["status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(!said.contains("not running"), "{said}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn backups_are_no_works_and_the_edited_file_keeps_its_number() {
    let site = Site::new();
    let (daemon, names) = site.run_with(6);
    let before = placed(&site.manifest());
    // As exiftool does it.
    let (work, new) = (site.art(&names[2]), png(90));
    let (temporary, backup) = (
        site.art(&format!("{}_exiftool_tmp", names[2])),
        site.art(&format!("{}_original", names[2])),
    );
    fs::write(&temporary, &new).unwrap();
    fs::rename(&work, &backup).unwrap();
    fs::rename(&temporary, &work).unwrap();
    let hash = mosaicd::domain::ContentHash::of(&new);
    let after = site.until("the edit", |m| m.works.iter().any(|w| w.hash == hash));
    assert_eq!(after.works.len(), 6);
    assert_eq!(placed(&after)[&names[2]].0, before[&names[2]].0);
    let asked = format!("artworks/{}_original", names[2]);
    let why = site.mosaicd(&["validate", "--explain", &asked]);
    let said = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(
        said.contains("is not shown") && said.contains("exiftool"),
        "{said}"
    );
    let why = site.mosaicd(&["validate", "--explain", &names[2]]);
    let said = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(said.contains("is shown: artwork"), "{said}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn what_is_no_picture_is_no_failure() {
    let site = Site::new();
    site.draw(0, 3);
    fs::write(site.art("a.xmp"), "<x:xmpmeta/>").unwrap();
    fs::write(site.art("notes.txt"), "").unwrap();
    fs::write(site.art("README"), "read me").unwrap();
    fs::write(site.art("b.pdf"), "%PDF-1.7").unwrap();
    fs::write(site.art("broken.png"), "no picture").unwrap();
    let daemon = site.start();
    site.until_works(3);
    let status = site.wait("all told", || {
        let status = site.status();
        (status.counts.other == 4 && status.counts.failed == 1).then_some(status)
    });
    let failed: Vec<_> = status.failures.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(failed, ["broken.png"]);
    assert_eq!(site.log().matches("a file is left out").count(), 1);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_table_that_names_nothing_is_told_line_by_line() {
    let site = Site::new();
    let names = site.draw(0, 3);
    let table = format!("path;titel;title\r{};x;Zero\rW9.PNG;x;Nine\r", names[0]);
    fs::write(site.art("artworks.csv"), table).unwrap();
    let daemon = site.start();
    let manifest = site.until_works(3);
    let titled = manifest.works.iter().find(|w| w.path == names[0]).unwrap();
    assert_eq!(titled.title.as_deref(), Some("Zero"));
    site.wait("the line", || {
        let failures = site.status().failures;
        let line = failures
            .iter()
            .any(|f| f.reason.starts_with("line 3: no work is at"));
        line.then_some(())
    });
    let validate = site.mosaicd(&["validate"]);
    assert_eq!(validate.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&validate.stdout).contains("line 3"));
    put(&site.art("W9.PNG"), &png(30));
    site.wait("the end of it", || {
        let failures = site.status().failures;
        (!failures.iter().any(|f| f.path == "artworks.csv")).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_file_that_is_open_is_not_finished() {
    let site = Site::new();
    let (daemon, names) = site.run_with(4);
    let before = site.manifest();
    // Overwritten in place by a copy that stalls: the head is new, the rest is old.
    let bytes = png(77);
    let mut file = File::options()
        .write(true)
        .open(site.art(&names[1]))
        .unwrap();
    file.write_all(&bytes[..bytes.len() / 2]).unwrap();
    let later = marked(&site, "mark.png", 78);
    // Far more than the time after which a file that nobody wrote to is believed.
    let stable = std::time::Duration::from_millis(3 * 600);
    let began = std::time::Instant::now();
    while began.elapsed() < stable {
        let now = site.manifest();
        let hash = |m: &Manifest| m.works.iter().find(|w| w.path == names[1]).map(|w| w.hash);
        assert_eq!(hash(&now), hash(&before));
        assert!(site.status().failures.is_empty());
    }
    assert_eq!(later.works.len(), 5);
    file.write_all(&bytes[bytes.len() / 2..]).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    drop(file);
    let hash = mosaicd::domain::ContentHash::of(&bytes);
    site.until("the new content", |m| {
        m.works.iter().any(|w| w.hash == hash)
    });
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn what_is_gone_and_comes_back_is_the_same_work() {
    let site = Site::new();
    let (daemon, names) = site.run_with(31);
    let before = placed(&site.manifest());
    let away = site.path("away");
    fs::create_dir(&away).unwrap();
    for name in &names[..30] {
        fs::rename(site.art(name), away.join(name)).unwrap();
    }
    site.until_works(1);
    for name in &names[..30] {
        fs::rename(away.join(name), site.art(name)).unwrap();
    }
    let after = placed(&site.until_works(31));
    assert_eq!(after, before);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_mass_opt_out_by_a_slip_is_taken_back_whole() {
    let site = Site::new();
    let (daemon, _) = site.run_with(24);
    let before = placed(&site.manifest());
    fs::write(site.art(".mosaicignore"), "*\n").unwrap();
    site.until("nothing is shown", |m| m.works.is_empty());
    site.until_told("24 artworks were opted out at once");
    assert!(!site.path("state/erased-for").exists());
    fs::write(site.art(".mosaicignore"), "# none\n").unwrap();
    let after = placed(&site.until_works(24));
    assert_eq!(after, before);
    site.until_untold("opted out at once");
    // Meant, and confirmed.
    fs::write(site.art(".mosaicignore"), "*\n").unwrap();
    site.until("nothing is shown again", |m| m.works.is_empty());
    site.until_told("opted out at once");
    assert!(site.mosaicd(&["confirm-removal"]).status.success());
    let erased = site.path("state/erased-for");
    site.wait("the erasing", || erased.exists().then_some(()));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn numbers_and_cells_outlive_the_state() {
    let site = Site::new();
    site.draw(0, 40);
    let before = site.build();
    fs::remove_dir_all(site.path("state")).unwrap();
    let after = site.build();
    assert_eq!(placed(&after), placed(&before));
    let added = |m: &Manifest| {
        let works = m.works.iter();
        works.map(|w| (w.id, w.added_ms)).collect::<Vec<_>>()
    };
    assert_eq!(added(&after), added(&before));
    assert_eq!(
        (after.grid.cols, after.grid.rows),
        (before.grid.cols, before.grid.rows)
    );
    // New works get new numbers.
    let names = site.draw(40, 1);
    let last = placed(&site.build());
    assert_eq!(last[&names[0]].0, 41);
}

#[test]
fn validate_does_not_say_ok_where_it_cannot_look() {
    let site = Site::new();
    site.draw(0, 3);
    site.build();
    fs::create_dir(site.art("locked")).unwrap();
    let mut command = Command::new("unshare");
    let limited = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let output = command
        .args(["-Ur", "sh", "-c", limited])
        .arg(env!("CARGO_BIN_EXE_mosaicd"))
        .args(["--config", "mosaicd.toml", "validate"])
        .current_dir(site.dir.path())
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.code() == Some(78) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("fs.inotify.max_user_instances"), "{said}");
        }
        _ => skip("needs unshare and user namespaces"),
    }
}
