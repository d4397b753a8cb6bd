//! Stories of the artwork folder with real files: what a scan sees, what a read hands on, and that watching, scanning
//! and settling together miss nothing and take nothing half written.
//!
//! `MOSAICD_FULL_FAULTS=1` makes it ten times as many.

#![expect(clippy::print_stdout, reason = "figures, and reasons for skipping")]

use mosaicd::artwork::FileIdentity;
use mosaicd::watch::{
    FsKind, Ignore, Quiet, ReadError, Scan, ScanError, Settle, SkipReason, Touch, WatchError,
    WatchEvent, Watcher, fs_kind, read_finished, root_id, scan_subtree,
};
use rustix::fs::{Mode, OFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes nearly as long, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_BYTES: u64 = 1 << 20;
/// Set for a child process whose watches are limited.
const LIMITED: &str = "MOSAICD_TEST_LIMITED";

fn faults(count: u32) -> u32 {
    match std::env::var_os("MOSAICD_FULL_FAULTS") {
        Some(_) => 10 * count,
        None => count,
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("folder")
}

fn scan(root: &Path, ignore: &Ignore) -> Result<Scan, ScanError> {
    scan_subtree(root, Path::new(""), ignore)
}

fn all(root: &Path) -> Scan {
    scan(root, &Ignore::default()).expect("scans")
}

fn names(scan: &Scan) -> Vec<&Path> {
    scan.files.keys().map(PathBuf::as_path).collect()
}

/// Files known before that a scan tells to be gone.
fn gone(scan: &Scan, known: &BTreeMap<PathBuf, FileIdentity>) -> Vec<PathBuf> {
    let gone = |path: &&PathBuf| !scan.files.contains_key(*path) && scan.covers(path);
    known.keys().filter(gone).cloned().collect()
}

fn identity(root: &Path, name: &str) -> FileIdentity {
    all(root).files[Path::new(name)]
}

fn mkfifo(path: &Path) {
    assert!(
        Command::new("mkfifo")
            .arg(path)
            .status()
            .expect("mkfifo")
            .success()
    );
}

#[test]
fn a_scan_sees_regular_files_and_says_what_it_skips() {
    let root = folder();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("a/b")).expect("folders");
    fs::write(at("a/b/deep.png"), "x").expect("file");
    fs::write(at("top.png"), "xy").expect("file");
    fs::write(at(".hidden.png"), "x").expect("file");
    fs::write(at("upload.png.part"), "x").expect("file");
    fs::write(at("draft.gif"), "x").expect("file");
    fs::create_dir(at("@eaDir")).expect("folder");
    fs::write(at("@eaDir/top.png"), "x").expect("file");
    symlink("top.png", at("link.png")).expect("link");
    symlink("..", at("a/loop")).expect("link");
    symlink("/nowhere", at("dangling")).expect("link");
    mkfifo(&at("pipe.png"));
    let _socket = UnixListener::bind(at("socket")).expect("socket");
    fs::hard_link(at("top.png"), at("a/same.png")).expect("hard link");
    let ignore = Ignore::new(&["*.gif".to_owned()]).expect("pattern");
    let scan = scan(root.path(), &ignore).expect("scans");
    assert_eq!(
        names(&scan),
        ["a/b/deep.png", "a/same.png", "top.png"].map(Path::new)
    );
    assert_eq!(
        scan.files[Path::new("top.png")],
        scan.files[Path::new("a/same.png")]
    );
    assert_eq!(scan.files[Path::new("top.png")].size, 2);
    let skipped: BTreeMap<_, _> = scan
        .skipped
        .iter()
        .map(|(p, reason)| (p.to_str().expect("utf-8"), *reason))
        .collect();
    let expected = [
        ("a/loop", SkipReason::Symlink),
        ("dangling", SkipReason::Symlink),
        ("link.png", SkipReason::Symlink),
        ("pipe.png", SkipReason::Fifo),
        ("socket", SkipReason::Socket),
    ];
    assert_eq!(skipped, BTreeMap::from(expected));
    assert_eq!(scan.root, root_id(root.path()).expect("there"));
}

#[test]
fn names_may_be_any_bytes_of_any_length_at_any_depth() {
    let root = folder();
    let hostile: Vec<Vec<u8>> = vec![
        b"caf\xe9.jpg".to_vec(),
        vec![b'n'; 255],
        b"new\nline.png".to_vec(),
        b"<b>\"quote'.png".to_vec(),
        b" ".to_vec(),
        b"\xff\xfe".to_vec(),
        b"-rf".to_vec(),
        "\u{202e}gnp.exe".into(),
    ];
    for name in &hostile {
        fs::write(root.path().join(OsStr::from_bytes(name)), "x").expect("file");
    }
    let scan = all(root.path());
    assert_eq!(scan.files.len(), hostile.len());
    for name in &hostile {
        let path = Path::new(OsStr::from_bytes(name));
        let bytes = read_finished(root.path(), path, &scan.files[path], MAX_BYTES).expect("reads");
        assert_eq!(bytes, b"x");
    }
    // A path longer than the system takes at once can be made step by step; it is reported, not fatal.
    let long = "d".repeat(250);
    let mut here = rustix::fs::open(root.path(), OFlags::RDONLY, Mode::empty()).expect("opened");
    for _ in 0..20 {
        rustix::fs::mkdirat(&here, &long, Mode::RWXU).expect("folder");
        here = rustix::fs::openat(&here, &long, OFlags::RDONLY, Mode::empty()).expect("opened");
    }
    let scan = all(root.path());
    assert_eq!(scan.files.len(), hostile.len());
    assert!(
        matches!(scan.skipped[..], [(_, SkipReason::Unreadable(_))]),
        "{:?}",
        scan.skipped.len()
    );
}

#[test]
fn what_cannot_be_seen_is_not_gone() {
    let root = folder();
    fs::create_dir(root.path().join("a")).expect("folder");
    fs::write(root.path().join("a/x"), "x").expect("file");
    fs::write(root.path().join("y"), "x").expect("file");
    let known = all(root.path()).files;
    fs::remove_file(root.path().join("y")).expect("removed");
    fs::remove_dir_all(root.path().join("a")).expect("removed");
    let mut scan = all(root.path());
    assert_eq!(gone(&scan, &known), ["a/x", "y"].map(PathBuf::from));
    let denied = rustix::io::Errno::ACCESS;
    scan.skipped
        .push((PathBuf::from("a"), SkipReason::Unreadable(denied)));
    assert_eq!(gone(&scan, &known), ["y"].map(PathBuf::from));
    let part = scan_subtree(root.path(), Path::new("a"), &Ignore::default()).expect("scans");
    assert_eq!(
        gone(&part, &known),
        ["a/x"].map(PathBuf::from),
        "says nothing about the rest"
    );
    // A real folder without permission, where permissions bind us.
    fs::create_dir(root.path().join("locked")).expect("folder");
    fs::write(root.path().join("locked/z"), "x").expect("file");
    let known = all(root.path()).files;
    let mode = |mode| {
        fs::set_permissions(
            root.path().join("locked"),
            std::os::unix::fs::PermissionsExt::from_mode(mode),
        )
    };
    mode(0o000).expect("chmod");
    assert_eq!(gone(&all(root.path()), &known), [] as [PathBuf; 0]);
    mode(0o700).expect("chmod");
}

#[test]
fn a_missing_folder_is_an_error_and_not_empty() {
    let root = folder();
    let gone = root.path().join("gone");
    assert!(matches!(
        scan(&gone, &Ignore::default()),
        Err(ScanError::RootMissing(_))
    ));
    fs::write(&gone, "x").expect("file");
    assert!(matches!(
        scan(&gone, &Ignore::default()),
        Err(ScanError::NotAFolder(_))
    ));
    assert!(matches!(fs_kind(root.path()), Ok(FsKind::Local)));
    assert!(root_id(&root.path().join("nothing")).is_err());
    let before = root_id(root.path()).expect("there");
    let other = folder();
    assert_ne!(before, root_id(other.path()).expect("there"));
}

#[test]
fn part_of_the_folder_is_scanned_without_passing_links() {
    let root = folder();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("a/b")).expect("folders");
    fs::write(at("a/b/x"), "x").expect("file");
    fs::write(at("y"), "x").expect("file");
    symlink("a", at("link")).expect("link");
    let part = |start: &str| {
        let scan = scan_subtree(root.path(), Path::new(start), &Ignore::default()).expect("scans");
        scan.files.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(part("a"), [Path::new("a/b/x")]);
    assert_eq!(part("a/b/x"), [Path::new("a/b/x")]);
    assert_eq!(part("nothing"), [] as [&Path; 0]);
    for start in [
        "link", "link/b", "link/b/x", "..", "../a", "a/../y", "/etc", ".hidden",
    ] {
        assert_eq!(part(start), [] as [&Path; 0], "{start}");
    }
}

#[test]
fn only_the_expected_regular_file_is_read() {
    let root = folder();
    let at = |name: &str| root.path().join(name);
    let read = |name: &str, expected: FileIdentity| {
        read_finished(root.path(), Path::new(name), &expected, MAX_BYTES)
    };
    fs::write(at("a"), "one").expect("file");
    let first = identity(root.path(), "a");
    assert_eq!(read("a", first).expect("reads"), b"one");
    fs::write(at("a"), "two").expect("file");
    assert!(matches!(read("a", first), Err(ReadError::Changed)));
    assert!(matches!(read("nothing", first), Err(ReadError::Vanished)));
    assert!(matches!(read("a/b", first), Err(ReadError::Vanished)));
    fs::write(at("empty"), "").expect("file");
    assert_eq!(
        read("empty", identity(root.path(), "empty")).expect("reads"),
        b""
    );
    let mut big = File::create(at("big")).expect("file");
    big.seek(std::io::SeekFrom::Start(1 << 40)).expect("seek");
    big.write_all(b"x").expect("a sparse terabyte");
    assert!(matches!(
        read("big", identity(root.path(), "big")),
        Err(ReadError::TooLarge { .. })
    ));
    mkfifo(&at("pipe"));
    symlink("a", at("link")).expect("link");
    let here = identity(root.path(), "a");
    for name in ["pipe", "link", "/dev/null", "."] {
        assert!(
            matches!(read(name, here), Err(ReadError::NotAFile)),
            "{name}"
        );
    }
    let outside = folder();
    fs::write(outside.path().join("secret"), "x").expect("file");
    symlink(outside.path(), at("out")).expect("link");
    let secret = identity(outside.path(), "secret");
    assert!(matches!(
        read("out/secret", secret),
        Err(ReadError::NotAFile)
    ));
}

/// The daemon's part: drains, scans, settles, reads.
struct Daemon {
    root: PathBuf,
    watcher: Watcher,
    woken: Receiver<()>,
    settle: Settle,
    began: Instant,
    /// The bytes that were taken over, by path.
    taken: BTreeMap<PathBuf, Vec<u8>>,
    failures: Vec<WatchError>,
    rescans: u32,
}

impl Daemon {
    fn start(root: &Path) -> Self {
        let (wake, woken) = sync_channel(1);
        let watcher = Watcher::start(root, move || {
            let _ = wake.try_send(());
        })
        .expect("watches");
        // The tests' files are tiny; the stable wait is only for files nobody closed.
        let quiet = Quiet {
            closed_ms: 100,
            stable_ms: 1_000,
            ..Quiet::default()
        };
        Self {
            root: root.to_owned(),
            watcher,
            woken,
            settle: Settle::new(quiet),
            began: Instant::now(),
            taken: BTreeMap::new(),
            failures: Vec::new(),
            rescans: 0,
        }
    }

    fn step(&mut self) {
        let now_ms = self.began.elapsed().as_millis() as u64;
        let wait_ms = self
            .settle
            .next_deadline_ms()
            .map_or(100, |at| at.saturating_sub(now_ms).min(100));
        let _ = self.woken.recv_timeout(Duration::from_millis(wait_ms));
        let now_ms = self.began.elapsed().as_millis() as u64;
        for event in self.watcher.drain() {
            match event {
                WatchEvent::Touched { path, touch } => self.settle.touched(&path, touch, now_ms),
                WatchEvent::Removed { path } => {
                    self.settle.removed(&path);
                    self.look(&path, now_ms);
                }
                WatchEvent::Subtree(path) => self.look(&path, now_ms),
                WatchEvent::Lost | WatchEvent::Instructed(_) => {
                    self.rescans += 1;
                    self.look(Path::new(""), now_ms);
                }
                WatchEvent::Failed(error) => self.failures.push(error),
            }
        }
        for path in self.settle.due(now_ms) {
            let scan = scan_subtree(&self.root, &path, &Ignore::default()).expect("scans");
            let Some(identity) = scan.files.get(&path) else {
                self.settle.removed(&path);
                continue;
            };
            if self.settle.observed(&path, *identity, now_ms) {
                match read_finished(&self.root, &path, identity, MAX_BYTES) {
                    Ok(bytes) => drop(self.taken.insert(path, bytes)),
                    Err(ReadError::Changed) => self.settle.touched(&path, Touch::Writing, now_ms),
                    Err(_) => {}
                }
            }
        }
    }

    /// Scans a part: what is new is settled, what is gone forgotten.
    fn look(&mut self, path: &Path, now_ms: u64) {
        let scan = scan_subtree(&self.root, path, &Ignore::default()).expect("scans");
        self.taken
            .retain(|path, _| !scan.covers(path) || scan.files.contains_key(path));
        for (path, identity) in scan.files {
            if !self.taken.contains_key(&path) {
                self.settle.found(&path, identity, None, now_ms);
            }
        }
    }

    /// Steps until the files taken over are those in the folder.
    fn catch_up(&mut self) {
        let began = Instant::now();
        loop {
            self.step();
            let there: BTreeSet<_> = all(&self.root).files.into_keys().collect();
            if self.settle.is_empty() && there.iter().eq(self.taken.keys()) {
                return;
            }
            if began.elapsed() > PATIENCE {
                let taken: BTreeSet<_> = self.taken.keys().cloned().collect();
                let missing: Vec<_> = there.difference(&taken).take(9).collect();
                let surplus: Vec<_> = taken.difference(&there).take(9).collect();
                panic!(
                    "{} files there, {} taken; missing {missing:?}, gone {surplus:?}",
                    there.len(),
                    taken.len()
                );
            }
        }
    }
}

#[test]
fn every_kind_of_change_arrives() {
    let root = folder();
    let at = |name: &str| root.path().join(name);
    let outside = folder();
    let mut daemon = Daemon::start(root.path());
    let began = Instant::now();
    fs::write(at("a.png"), "a").expect("written");
    daemon.catch_up();
    println!("one file, written to taken: {:?}", began.elapsed());
    fs::write(at("a.png"), "changed").expect("written");
    while daemon.taken[Path::new("a.png")] != b"changed" {
        daemon.step();
        assert!(began.elapsed() < PATIENCE, "the change was missed");
    }
    fs::rename(at("a.png"), at("b.png")).expect("renamed");
    daemon.catch_up();
    fs::write(at("c.png.part"), "c").expect("written");
    fs::rename(at("c.png.part"), at("c.png")).expect("renamed");
    fs::hard_link(at("c.png"), at("d.png")).expect("linked");
    daemon.catch_up();
    assert_eq!(daemon.taken[Path::new("d.png")], b"c");
    fs::create_dir_all(outside.path().join("tree/x/y")).expect("folders");
    fs::write(outside.path().join("tree/x/y/e.png"), "e").expect("written");
    fs::rename(outside.path().join("tree"), at("tree")).expect("moved in");
    daemon.catch_up();
    assert_eq!(daemon.taken[Path::new("tree/x/y/e.png")], b"e");
    fs::write(at("tree/x/y/f.png"), "f").expect("written");
    daemon.catch_up();
    fs::rename(at("tree"), at("wood")).expect("renamed");
    daemon.catch_up();
    fs::write(at("wood/x/y/g.png"), "g").expect("written");
    daemon.catch_up();
    assert_eq!(daemon.taken.len(), 6);
    fs::rename(at("wood"), outside.path().join("wood")).expect("moved out");
    daemon.catch_up();
    fs::remove_file(at("b.png")).expect("removed");
    fs::remove_file(at("c.png")).expect("removed");
    daemon.catch_up();
    assert_eq!(
        daemon.taken.keys().collect::<Vec<_>>(),
        [Path::new("d.png")]
    );
    assert!(daemon.failures.is_empty() && daemon.watcher.is_alive());
    assert_eq!(daemon.rescans, 0);
    fs::write(at(".mosaicignore"), "*.gif").expect("written");
    while daemon.rescans == 0 {
        daemon.step();
        assert!(began.elapsed() < PATIENCE, "the ignore file was missed");
    }
}

#[test]
fn files_made_right_after_their_folders_are_not_missed() {
    let root = folder();
    let mut daemon = Daemon::start(root.path());
    let outside = folder();
    let rounds = faults(100);
    for i in 0..rounds {
        let made = root.path().join(format!("d{i}/a/b"));
        fs::create_dir_all(&made).expect("folders");
        fs::write(made.join("x.png"), "x").expect("written");
        if i % 3 == 0 {
            let tree = outside.path().join(format!("t{i}"));
            fs::create_dir_all(tree.join("p/q")).expect("folders");
            fs::write(tree.join("p/q/y.png"), "y").expect("written");
            fs::rename(&tree, root.path().join(format!("t{i}"))).expect("moved in");
            fs::write(root.path().join(format!("t{i}/p/z.png")), "z").expect("written");
        }
        if i % 10 == 0 {
            daemon.step();
        }
    }
    daemon.catch_up();
    assert_eq!(daemon.taken.len() as u32, rounds + 2 * rounds.div_ceil(3));
    assert_eq!(daemon.rescans, 0, "found by events, not by a full scan");
}

#[test]
fn a_burst_with_a_slow_daemon_is_taken_whole() {
    let root = folder();
    let mut daemon = Daemon::start(root.path());
    let files = faults(5_000);
    for i in 0..files {
        fs::write(root.path().join(format!("{i:06}.png")), "x").expect("written");
    }
    daemon.catch_up();
    assert_eq!(daemon.taken.len() as u32, files);
    println!("{files} files in {:?}", daemon.began.elapsed());
}

#[test]
fn nothing_half_written_is_taken() {
    let root = folder();
    let mut daemon = Daemon::start(root.path());
    let rounds = faults(4);
    let whole = |i: u32| format!("begin {i} {} end", "x".repeat(5_000)).into_bytes();
    let target = root.path().to_owned();
    let writers = std::thread::spawn(move || {
        let mut files: Vec<_> = (0..rounds)
            .map(|i| File::create(target.join(format!("{i}.png"))).expect("file"))
            .collect();
        // All are written at once, in pieces that come closer together than a quiet.
        for piece in 0..10 {
            for (i, file) in (0..).zip(&mut files) {
                let bytes = whole(i);
                let piece = bytes.len() * piece / 10..bytes.len() * (piece + 1) / 10;
                file.write_all(&bytes[piece]).expect("written");
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        // And some as rsync does.
        for i in 0..rounds {
            let hidden = target.join(format!(".{i}.jpg.Ab12Cd"));
            fs::write(&hidden, whole(i)).expect("written");
            fs::rename(hidden, target.join(format!("{i}.jpg"))).expect("renamed");
        }
    });
    while !writers.is_finished() {
        daemon.step();
        for (path, bytes) in &daemon.taken {
            assert!(
                bytes.ends_with(b" end"),
                "half of {} was taken",
                path.display()
            );
        }
    }
    writers.join().expect("written");
    daemon.catch_up();
    assert_eq!(daemon.taken.len() as u32, 2 * rounds);
    assert!(daemon.taken.values().all(|bytes| bytes.ends_with(b" end")));
}

#[test]
fn a_root_that_goes_away_is_told() {
    for rename in [false, true] {
        let parent = folder();
        let root = parent.path().join("root");
        fs::create_dir(&root).expect("folder");
        let before = root_id(&root).expect("there");
        let mut daemon = Daemon::start(&root);
        if rename {
            fs::rename(&root, parent.path().join("elsewhere")).expect("renamed");
        } else {
            fs::remove_dir(&root).expect("removed");
            // Another folder, so that the new root is not given the old number.
            fs::create_dir(parent.path().join("other")).expect("folder");
        }
        let began = Instant::now();
        while daemon.failures.is_empty() {
            daemon.step();
            assert!(began.elapsed() < PATIENCE, "nothing was told");
        }
        assert!(
            matches!(daemon.failures[0], WatchError::RootGone),
            "{:?}",
            daemon.failures
        );
        fs::create_dir(&root).expect("folder");
        assert_ne!(root_id(&root).expect("there"), before);
        let mut daemon = Daemon::start(&root);
        fs::write(root.join("x.png"), "x").expect("written");
        daemon.catch_up();
    }
}

/// Not a test by itself: runs in a user namespace that allows 40 watches.
#[test]
fn child_limited() {
    if std::env::var_os(LIMITED).is_none() {
        return;
    }
    let root = folder();
    let mut daemon = Daemon::start(root.path());
    for i in 0..60 {
        fs::create_dir(root.path().join(format!("d{i}"))).expect("folder");
    }
    let began = Instant::now();
    while daemon.failures.is_empty() && began.elapsed() < PATIENCE {
        daemon.step();
    }
    assert!(
        matches!(daemon.failures[..], [WatchError::TooManyFolders, ..]),
        "{:?}",
        daemon.failures
    );
    drop(daemon);
    let started = Watcher::start(root.path(), || {});
    assert!(matches!(started, Err(WatchError::TooManyFolders)));
    println!("limited as expected");
}

#[test]
fn the_watch_limit_is_told() {
    let test = std::env::current_exe().expect("this test");
    let limited = "echo 40 > /proc/sys/user/max_inotify_watches && exec \"$0\" --exact child_limited --nocapture";
    let output = Command::new("unshare")
        .args(["-Ur", "sh", "-c", limited])
        .arg(test)
        .env(LIMITED, "1")
        .output();
    let said = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    if !said.contains("running 1 test") {
        return println!("skipped: needs unshare and user namespaces");
    }
    assert!(said.contains("limited as expected"), "{said}");
}

/// `cargo test --release --test watch -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn a_scan_of_60_000_files() {
    let root = folder();
    for i in 0..60_000 {
        let folder = root.path().join(format!("{}", i / 500));
        fs::create_dir_all(&folder).expect("folder");
        File::create(folder.join(format!("{i}.png"))).expect("file");
    }
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(all(root.path()).files.len(), 60_000);
        println!("60,000 files: {:?}", began.elapsed());
    }
}
