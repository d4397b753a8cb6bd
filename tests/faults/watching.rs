//! Everything that happens to an artwork folder, told through the real binary: bursts, races, mounts, slow uploads.

use crate::{
    album::Editor,
    check::{
        agree, configure, copy_folder, count, patience, run, skip, start_ready, tail, until_same,
    },
    common::{Site, placed, png, put},
    disk::Mounted,
};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_folder_of_the_same_device_that_is_unmounted_is_held() {
    let site = Site::new();
    configure(&site, "");
    site.draw(0, 6);
    let mut mounts = Vec::new();
    for (i, name) in ["a", "b"].into_iter().enumerate() {
        fs::create_dir(site.path(name)).unwrap();
        fs::write(site.path(name).join("work.png"), png(50 + i)).unwrap();
        mounts.push(Mounted::bound(&site.path(name), &site.art(name)));
    }
    if mounts.iter().any(Option::is_none) {
        return skip("binding a folder needs root");
    }
    let (daemon, _) = start_ready(&site, &[]);
    site.until("8 works", |m| m.works.len() == 8);
    for lost in [1, 2] {
        drop(mounts.pop());
        site.wait("the lost mount", || {
            (site.status().counts.held == lost).then_some(())
        });
        // The mount point is watched from now on, and looked at.
        let mark = format!("mark-{lost}.png");
        put(&site.art(&mark), &png(60 + lost as usize));
        let marked = site.until(&mark, |m| m.works.iter().any(|work| work.path == mark));
        assert_eq!(marked.works.len(), 8 + lost as usize);
    }
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_burst_is_taken_whole() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 20, 1_000_000);
    let (daemon, _) = start_ready(&site, &[]);
    let files = count(1_000, 50_000) as usize;
    editor.add(files);
    // So many works take more than one patience to lay out on a small machine.
    let began = Instant::now();
    let longest = patience() * (1 + files as u32 / 1_000);
    while site.try_manifest().is_none_or(|m| m.works.len() < files) {
        assert!(began.elapsed() < longest, "log:\n{}", tail(&site.log()));
        thread::sleep(Duration::from_millis(200));
    }
    until_same(&site);
    println!("{files} files at once: shown after {:.1?}", began.elapsed());
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

#[test]
fn folders_made_and_filled_in_one_breath_are_not_missed() {
    let site = Site::new();
    // Only events can be quick enough: no scan comes by.
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 21, 0);
    let (daemon, _) = start_ready(&site, &[]);
    let rounds = count(60, 300);
    for i in 0..u64::from(rounds) {
        let nested = site.art(&format!("d{i}/a/b"));
        fs::create_dir_all(&nested).unwrap();
        fs::write(nested.join("x.png"), editor.album.hand_out(10_000 + i)).unwrap();
        if i % 3 == 0 {
            let outside = site.path(&format!("t{i}"));
            fs::create_dir_all(outside.join("p/q")).unwrap();
            fs::write(outside.join("p/q/y.png"), editor.album.hand_out(20_000 + i)).unwrap();
            fs::rename(&outside, site.art(&format!("t{i}"))).unwrap();
            fs::write(
                site.art(&format!("t{i}/p/z.png")),
                editor.album.hand_out(30_000 + i),
            )
            .unwrap();
        }
    }
    let (manifest, took) = until_same(&site);
    assert_eq!(manifest.works.len() as u32, rounds + 2 * rounds.div_ceil(3));
    println!(
        "{rounds} nested folders and {} moved in: all shown after {took:.1?}",
        rounds.div_ceil(3)
    );
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

/// Whether the status tells a condition with this in it.
fn is_told(site: &Site, what: &str) -> Option<()> {
    let text = fs::read_to_string(site.state().join("status.json")).ok()?;
    let status = mosaicd::service::status::Status::from_json(&text).ok()?;
    let told = |c: &mosaicd::service::status::Condition| c.what.contains(what);
    status.degraded.iter().any(told).then_some(())
}

#[test]
fn a_folder_that_goes_away_keeps_its_mosaic_and_comes_back() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 22, 30);
    editor.add(20);
    let (daemon, _) = start_ready(&site, &[]);
    until_same(&site);
    let (root, away) = (site.artworks(), site.path("away"));

    // Renamed: nothing is there, nothing is taken out.
    fs::rename(&root, &away).unwrap();
    site.wait("the missing folder", || is_told(&site, "cannot be scanned"));
    assert_eq!(site.manifest().works.len(), 20);
    // Another one, empty, in its place.
    fs::create_dir(&root).unwrap();
    site.wait("the empty folder", || is_told(&site, "vanished at once"));
    assert_eq!(site.manifest().works.len(), 20);
    // And back, with something new in it; events must come from the folder that is there now.
    fs::remove_dir(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    editor.add(3);
    until_same(&site);
    editor.step();
    until_same(&site);

    // Gone for good, which its old watches tell under its old name, and restored from a copy: the same works.
    let (before, copy) = (site.manifest(), site.path("copy"));
    copy_folder(&root, &copy);
    fs::rename(&root, &away).unwrap();
    fs::remove_dir_all(&away).unwrap();
    site.wait("the folder that is gone", || {
        is_told(&site, "cannot be scanned")
    });
    assert_eq!(site.manifest().works.len(), before.works.len());
    copy_folder(&copy, &root);
    editor.add(2);
    let (after, _) = until_same(&site);
    let (before, after) = (placed(&before), placed(&after));
    for (path, (id, _)) in &before {
        assert_eq!(after[path].0, *id, "{path} is another work now");
    }

    // Mounted over by an empty file system, and unmounted.
    if let Some(mount) = Mounted::tmpfs(&root, 8) {
        site.wait("the empty mount", || is_told(&site, "vanished at once"));
        assert!(site.manifest().works.len() > 20);
        drop(mount);
        editor.add(3);
        until_same(&site);
    } else {
        skip("mounting over the folder needs root");
    }

    // The works themselves are on a mount that goes and comes.
    fs::rename(&root, &away).unwrap();
    fs::create_dir(&root).unwrap();
    if let Some(mount) = Mounted::bound(&away, &root) {
        editor.step();
        until_same(&site);
        let before = site.manifest().works.len();
        drop(mount);
        site.wait("the lost mount", || is_told(&site, "vanished at once"));
        assert_eq!(site.manifest().works.len(), before);
        let mount = Mounted::bound(&away, &root);
        editor.step();
        until_same(&site);
        assert_eq!(daemon.stop(), 0);
        drop(mount);
    } else {
        skip("binding a folder needs root");
    }
}

#[test]
#[ignore = "needs unshare and user namespaces"]
fn without_enough_watches_it_scans_and_says_so() {
    let site = Site::new();
    configure(&site, "");
    let limited = "echo 40 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["-Ur", "sh", "-c", limited])
        .arg(env!("CARGO_BIN_EXE_mosaicd"))
        .args(["--config", "mosaicd.toml", "run"])
        .current_dir(site.dir.path())
        .stdout(Stdio::null())
        .stderr(File::create(site.path("log")).unwrap());
    let can_limit = run("unshare -Ur sh -c 'echo 40 > /proc/sys/user/max_inotify_watches'");
    assert!(can_limit, "unshare and user namespaces");
    let mut editor = Editor::new(&site.artworks(), 23, 30);
    editor.add(10);
    let mut child = command.spawn().unwrap();
    until_same(&site);
    for i in 0..60 {
        let folder = site.art(&format!("many/{i}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("x.png"), editor.album.hand_out(40_000 + i)).unwrap();
    }
    let (_, took) = until_same(&site);
    site.wait("the condition", || is_told(&site, "noticed by scans alone"));
    println!("60 folders with 40 watches: all shown after {took:.1?}");
    assert!(run(&format!("kill -TERM {}", child.id())));
    assert!(child.wait().unwrap().success());
}

#[test]
fn scans_alone_find_everything() {
    let site = Site::new();
    configure(&site, "");
    let text = fs::read_to_string(site.path("mosaicd.toml")).unwrap();
    let text = text.replace("[watch]\n", "[watch]\nmode = \"scan\"\n");
    fs::write(site.path("mosaicd.toml"), text).unwrap();
    let mut editor = Editor::new(&site.artworks(), 24, 40);
    let (daemon, _) = start_ready(&site, &[]);
    let mut slowest = Duration::ZERO;
    for _ in 0..count(3, 20) {
        (0..30).for_each(|_| editor.step());
        slowest = slowest.max(until_same(&site).1);
    }
    println!("polling alone: shown after {slowest:.1?} at most");
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

/// A file system that others write to: FUSE, whose files change below without an event.
#[test]
#[ignore = "needs root, bindfs and /dev/fuse"]
fn changes_behind_a_network_file_system_are_found() {
    let site = Site::new();
    configure(&site, "");
    let behind = site.path("behind");
    fs::create_dir(&behind).unwrap();
    let mount = Mounted::fuse(&behind, &site.artworks()).expect("root, bindfs and /dev/fuse");
    let mut editor = Editor::new(&behind, 26, 40);
    editor.add(20);
    let (daemon, _) = start_ready(&site, &[]);
    until_same(&site);
    site.wait("the condition", || is_told(&site, "noticed by scans alone"));
    let (rounds, mut slowest) = (count(2, 20), Duration::ZERO);
    for _ in 0..rounds {
        (0..20).for_each(|_| editor.step());
        slowest = slowest.max(until_same(&site).1);
    }
    println!("{rounds} times 20 changes behind a FUSE: shown after {slowest:.1?} at most");
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
    drop(mount);
}

/// Writes a file in pieces with pauses between them.
fn write_slowly(path: &Path, bytes: &[u8], pieces: usize, pause: Duration) {
    let mut file = File::create(path).unwrap();
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        file.write_all(piece).unwrap();
        thread::sleep(pause);
    }
}

/// The ways that uploads come.
const WAYS: u64 = 6;

/// Uploads as people and tools do them; whatever is shown must be a whole picture, which [`agree`] and the album tell.
#[test]
fn no_half_upload_is_ever_shown() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 25, 0);
    let (daemon, _) = start_ready(&site, &[]);
    let rsync = run("rsync --version");
    if !rsync {
        skip("rsync is not installed");
    }
    let source = site.path("source");
    fs::create_dir(&source).unwrap();
    let (each, mut looks, mut slowest) = (u64::from(count(3, 100)), 0, Duration::ZERO);
    let numbers: Vec<u64> = (0..each * WAYS).collect();
    // So many at a time.
    for wave in numbers.chunks(60) {
        let uploads: Vec<_> = wave
            .iter()
            .map(|i| (*i, editor.album.hand_out(50_000 + i)))
            .collect();
        thread::scope(|scope| {
            let start = |(i, bytes): &(u64, Vec<u8>)| {
                let (i, bytes, root, source) = (*i, bytes.clone(), site.artworks(), &source);
                scope.spawn(move || upload(i, &bytes, &root, source, rsync))
            };
            let running: Vec<_> = uploads.iter().map(start).collect();
            while running.iter().any(|upload| !upload.is_finished()) {
                if site.output().join("manifest.json").exists() {
                    agree(&site, &editor.album);
                    looks += 1;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        slowest = slowest.max(until_same(&site).1);
    }
    let (manifest, _) = until_same(&site);
    assert_eq!(manifest.works.len() as u64, each * WAYS);
    println!(
        "{each} uploads in each of {WAYS} ways, looked at {looks} times, no half of one shown; all shown {slowest:.1?} \
         after the last ended"
    );
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

fn upload(i: u64, bytes: &[u8], root: &Path, source: &Path, rsync: bool) {
    let pause = Duration::from_millis(30 + 7 * (i % 5));
    let (name, original) = (format!("{i}.png"), source.join(format!("{i}.png")));
    let target = root.join(&name);
    fs::write(&original, bytes).unwrap();
    let copied = |tool: &str| {
        let command = format!("{tool} {} {}", original.display(), target.display());
        assert!(run(&command), "{tool}");
    };
    match i % WAYS {
        0 => write_slowly(&target, bytes, 10, pause),
        // Broken off, and begun again later.
        1 => {
            fs::write(&target, &bytes[..bytes.len() / 2]).unwrap();
            thread::sleep(10 * pause);
            write_slowly(&target, bytes, 5, pause);
        }
        2 => {
            let hidden = root.join(format!(".{name}.Xy12z"));
            write_slowly(&hidden, bytes, 5, pause);
            fs::rename(hidden, &target).unwrap();
        }
        3 if rsync => copied("rsync -a --bwlimit=8"),
        4 => copied("scp -q"),
        // Allotted whole first, then filled, as some tools and network file systems do.
        _ => {
            let file = File::create(&target).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
            for (at, piece) in (0u64..).zip(bytes.chunks(64)) {
                std::os::unix::fs::FileExt::write_all_at(&file, piece, at * 64).unwrap();
                thread::sleep(Duration::from_millis(15));
            }
        }
    }
}
