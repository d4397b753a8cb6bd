//! Stories of the artwork folder with real files: what a scan sees, what a read hands on, and that watching, scanning
//! and settling together miss nothing and take nothing half written.
//!
//! `MOSAICD_FULL_FAULTS=1` makes it ten times as many.

#![expect(clippy::print_stdout, reason = "figures, and reasons for skipping")]
#![allow(clippy::disallowed_methods)]

#[path = "../common/mod.rs"]
mod common;
mod events;

use common::{count, patience};
use mosaicd::domain::{
    ContentHash, FileIdentity, Job, Outcome, Refusal, Report, Retry, SystemError,
};
use mosaicd::plan::{self, Input, Plan, PolishTime, Quiet, RateLimit, Settings};
use mosaicd::watch::{
    FsKind, Ignore, ReadError, Scan, ScanError, SkipReason, WatchError, WatchEvent, Watcher,
    fs_kind, read_finished, root_id, scan_subtree,
};
use rustix::fs::{Mode, OFlags};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

const MAX_BYTES: u64 = 1 << 20;
/// Set for a child process whose watches are limited.
const LIMITED: &str = "MOSAICD_TEST_LIMITED";

fn faults(few: u32) -> u32 {
    count(few, 10 * few)
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
        matches!(
            scan.skipped.values().collect::<Vec<_>>()[..],
            [SkipReason::Unreadable(_)]
        ),
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
    let denied = SystemError(rustix::io::Errno::ACCESS.raw_os_error());
    scan.skipped
        .insert(PathBuf::from("a"), SkipReason::Unreadable(denied));
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
fn a_folder_of_many_files_is_scanned_as_one_of_few_is() {
    let folder = folder();
    let names: Vec<String> = (0..10_000).map(|i| format!("{}.png", i * i)).collect();
    for name in &names {
        fs::write(folder.path().join(name), name).expect("a file");
    }
    fs::create_dir(folder.path().join("below")).expect("a folder");
    fs::write(folder.path().join("below/a.png"), "a").expect("a file");
    fs::write(folder.path().join("4.png.part"), "a").expect("an unfinished file");
    let ignore = Ignore::new(&["49.png".to_owned()]).expect("a pattern");
    let found = scan(folder.path(), &ignore).expect("scanned");
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    wanted.retain(|name| *name != "49.png");
    wanted.push("below/a.png");
    wanted.sort_unstable();
    let seen: Vec<_> = found.files.keys().map(|path| path.as_path()).collect();
    assert_eq!(seen, wanted.iter().map(Path::new).collect::<Vec<_>>());
    let sizes = found
        .files
        .iter()
        .filter(|(path, _)| path.parent() == Some(Path::new("")));
    for (path, identity) in sizes {
        assert_eq!(identity.size, path.as_os_str().len() as u64);
    }
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
