//! Stories of the store on real disks: restarts, other processes, `kill -9`, damage, full disks, power cuts.
//!
//! Faults are injected a few times here; `MOSAICD_FULL_FAULTS=1` makes it ten times as many. What needs root (full disks
//! on a tmpfs, power cuts on an ext4 in a file) is ignored without `--include-ignored`.

#![expect(clippy::print_stdout, reason = "figures, and reasons for skipping")]

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod disks;
mod figures;

use common::{count, patience};
use mosaicd::artwork::ContentHash;
use mosaicd::embed::ModelId;
use mosaicd::store::{Damage, MemoryStore, Opened, SledStore, Store, StoreError};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const DIMS: usize = 512;
/// Set for a child process that writes until it is killed: the state folder.
const CHILD: &str = "MOSAICD_TEST_WRITER";

fn model() -> ModelId {
    ModelId("builtin-1".to_owned())
}

fn hash(i: u32) -> ContentHash {
    ContentHash::of(&i.to_le_bytes())
}

fn vector(i: u32) -> Vec<f32> {
    (0..DIMS as u32)
        .map(|k| (i.wrapping_mul(31).wrapping_add(k * k) % 1009) as f32 / 1009.0)
        .collect()
}

fn batch(range: std::ops::Range<u32>) -> Vec<(ContentHash, Vec<f32>)> {
    range.map(|i| (hash(i), vector(i))).collect()
}

fn open(state: &Path) -> SledStore {
    let Opened { store, healed } = SledStore::open(state).expect("opens");
    assert!(healed.is_none(), "healed a healthy store: {healed:?}");
    store
}

/// A state that says its own number everywhere.
fn save(store: &dyn Store, generation: u32) -> Result<(), StoreError> {
    let points = generation.to_le_bytes().repeat(20_000);
    let works = generation
        .to_le_bytes()
        .repeat(5_000 + generation as usize % 7);
    store.save_state(&[("points", &points), ("works", &works)])
}

/// The number of the state that was loaded, which must be whole.
fn generation(state: &BTreeMap<String, Vec<u8>>) -> u32 {
    let number = u32::from_le_bytes(state["points"][..4].try_into().expect("4 bytes"));
    assert_eq!(state["points"], number.to_le_bytes().repeat(20_000));
    assert_eq!(
        state["works"],
        number.to_le_bytes().repeat(5_000 + number as usize % 7)
    );
    number
}

/// `count` faults, more if asked for.
fn faults(few: u32) -> u32 {
    count(few, 10 * few)
}

/// A small generator of seeded numbers (xorshift64*): the tests' faults are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

fn database(state: &Path) -> PathBuf {
    state.join("store/sled-0.34/v1")
}

fn quarantines(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.join("store/sled-0.34")).expect("folder");
    let paths = entries.map(|entry| entry.expect("entry").path());
    paths
        .filter(|path| path.to_string_lossy().contains(".corrupt-"))
        .collect()
}

#[test]
fn both_stores_answer_alike() {
    let folder = tempfile::tempdir().expect("folder");
    let stores: [Box<dyn Store>; 2] = [
        Box::new(open(folder.path())),
        Box::new(MemoryStore::default()),
    ];
    for store in stores {
        let (one, other) = (model(), ModelId("other".to_owned()));
        assert_eq!(store.embedding(&hash(1), &one).expect("read"), None);
        store.put_embeddings(&one, &batch(0..10)).expect("put");
        store
            .put_embeddings(&other, &[(hash(1), vec![1.0; 4096])])
            .expect("put");
        store.put_embeddings(&one, &[]).expect("put nothing");
        assert_eq!(
            store.embedding(&hash(1), &one).expect("read"),
            Some(vector(1))
        );
        assert_eq!(
            store.embedding(&hash(1), &other).expect("read"),
            Some(vec![1.0; 4096])
        );
        store
            .put_embeddings(&other, &[(hash(1), vec![2.0; 3])])
            .expect("a shorter one");
        assert_eq!(
            store.embedding(&hash(1), &other).expect("read"),
            Some(vec![2.0; 3])
        );
        let mut asked: Vec<ContentHash> = (5..15).chain([1]).map(hash).collect();
        asked.sort_unstable();
        for model in [&one, &other, &ModelId("none".to_owned())] {
            let each = asked.iter().map(|h| store.embedding(h, model));
            let each: Vec<_> = each.collect::<Result<_, _>>().expect("read");
            assert_eq!(store.embeddings(&asked, model).expect("read"), each);
        }
        assert_eq!(store.embeddings(&[], &one).expect("read nothing"), []);
        assert!(store.has_embedding(&hash(9), &one).expect("read"));
        assert!(!store.has_embedding(&hash(9), &other).expect("read"));

        let bad = [(hash(20), vector(20)), (hash(21), vec![f32::NAN])];
        let error = store.put_embeddings(&one, &bad).expect_err("not a number");
        assert!(matches!(&error, StoreError::NotStorable { hash: h, .. } if *h == hash(21)));
        assert!(
            !store.has_embedding(&hash(20), &one).expect("read"),
            "nothing of its batch"
        );

        assert_eq!(store.load_state().expect("load"), None);
        save(&*store, 1).expect("save");
        save(&*store, 2).expect("save");
        assert_eq!(
            generation(&store.load_state().expect("load").expect("state")),
            2
        );
        assert!(matches!(
            store.save_state(&[("", b"")]),
            Err(StoreError::SectionName(_))
        ));
        store.save_state(&[]).expect("an empty state");
        assert_eq!(store.load_state().expect("load"), Some(BTreeMap::new()));

        let gone = store
            .collect(&|h, m| *m == one && *h != hash(3))
            .expect("collect");
        assert_eq!(gone, 2);
        assert!(!store.has_embedding(&hash(3), &one).expect("read"));
        assert!(store.has_embedding(&hash(4), &one).expect("read"));
        assert_eq!(store.collect(&|_, _| true).expect("collect"), 0);
        assert_eq!(store.contents().expect("counted"), 9);
        store.put_embeddings(&one, &batch(20..22)).expect("put");
        assert_eq!(store.contents().expect("counted"), 11);

        assert!(store.take_healed().is_none());
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    for round in 0..3 {
        let store = open(folder.path());
        for i in 0..round * 100 {
            assert_eq!(
                store.embedding(&hash(i), &model()).expect("read"),
                Some(vector(i))
            );
        }
        assert_eq!(store.contents().expect("counted"), round as usize * 100);
        let state = store.load_state().expect("load");
        assert_eq!(state.as_ref().map(generation), round.checked_sub(1));
        store
            .put_embeddings(&model(), &batch(round * 100..(round + 1) * 100))
            .expect("put");
        save(&store, round).expect("save");
        assert!(store.size_on_disk().expect("size") > 0);
    }
}

#[test]
fn what_was_overwritten_gives_its_room_back() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    store.put_embeddings(&model(), &batch(0..200)).expect("put");
    assert!(!store.compact(1 << 30).expect("compact"), "there is room");
    for i in 0..300 {
        let noise: Vec<u8> = (0..40u32)
            .flat_map(|k| *blake3::hash(&(i * 1_000 + k).to_le_bytes()).as_bytes())
            .collect();
        let noise = noise.repeat(50);
        store.save_state(&[("noise", &noise)]).expect("save");
    }
    save(&store, 7).expect("save");
    let before = store.size_on_disk().expect("size");
    assert!(
        store.compact(0).expect("compact"),
        "{before} bytes are enough"
    );
    let after = store.size_on_disk().expect("size");
    assert!(2 * after < before, "from {before} to {after} bytes");
    let is_whole = |store: &SledStore| {
        for i in 0..200 {
            let kept = store.embedding(&hash(i), &model()).expect("read");
            assert_eq!(kept, Some(vector(i)));
        }
        let state = store.load_state().expect("load");
        assert_eq!(state.as_ref().map(generation), Some(7));
    };
    is_whole(&store);
    drop(store);
    is_whole(&open(folder.path()));
}

#[test]
fn what_was_collected_gives_its_room_back_without_growing_first() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    for _ in 0..2 {
        let batch = batch(0..20_000);
        store.put_embeddings(&model(), &batch).expect("put");
    }
    store.erase(&|_, _| true).expect("written again");
    let before = store.size_on_disk().expect("size");
    let few: Vec<_> = (0..10).map(hash).collect();
    let gone = store.collect(&|hash, _| few.contains(hash)).expect("done");
    assert_eq!(gone, 19_990);
    assert!(store.compact(0).expect("compact"), "{before} bytes stay");
    let after = store.size_on_disk().expect("size");
    assert!(2 * after < before, "from {before} to {after} bytes");
    let there = |i| store.has_embedding(&hash(i), &model()).expect("read");
    assert!((0..10).all(there) && !there(10));
}

#[test]
fn a_second_store_and_a_second_process_are_told_who_holds_it() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let error = SledStore::open(folder.path()).err().expect("held");
    assert!(
        matches!(error, StoreError::Locked { pid: Some(pid), .. } if pid == std::process::id())
    );
    let said = error.to_string();
    assert!(said.contains("another mosaicd (process"), "{said}");
    let output = writer(folder.path()).wait_with_output().expect("ran");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("another mosaicd (process"), "{said}");
    drop(store);
    open(folder.path());
}

/// Not a test by itself: the child that writes until it is killed.
#[test]
fn child_writer() {
    let Some(state) = std::env::var_os(CHILD) else {
        return;
    };
    let store = match SledStore::open(Path::new(&state)) {
        Ok(opened) => opened.store,
        Err(error) => return println!("error {error}"),
    };
    let kept = store
        .load_state()
        .expect("load")
        .map_or(0, |state| generation(&state));
    for round in kept + 1.. {
        store
            .put_embeddings(&model(), &batch(round * 20..(round + 1) * 20))
            .expect("put");
        println!("put {round}");
        save(&store, round).expect("save");
        println!("saved {round}");
        if round % 5 == 0 {
            store.compact(0).expect("compact");
        }
    }
}

fn writer(state: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child
        .args(["--exact", "child_writer", "--nocapture"])
        .env(CHILD, state);
    child.stdout(Stdio::piped()).spawn().expect("starts")
}

/// A child that writes, and what it has acknowledged so far: rounds put and saved.
struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    acknowledged: (u32, u32),
}

impl Writer {
    fn start(state: &Path) -> Self {
        let mut child = writer(state);
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self {
            child,
            lines,
            acknowledged: (0, 0),
        }
    }

    /// Reads a line; `false` at the end.
    fn read(&mut self) -> bool {
        let Some(line) = self.lines.next() else {
            return false;
        };
        let line = line.unwrap_or_default();
        let number = |prefix| line.strip_prefix(prefix).and_then(|n: &str| n.parse().ok());
        let (put, saved) = &mut self.acknowledged;
        *put = number("put ").unwrap_or(*put);
        *saved = number("saved ").unwrap_or(*saved);
        assert!(!line.starts_with("error"), "{line}");
        true
    }

    /// Waits until it has written something.
    fn works(&mut self) {
        while self.acknowledged.0 == 0 && self.read() {}
    }

    /// Kills it; what it had acknowledged last.
    fn kill(mut self) -> (u32, u32) {
        self.child.kill().expect("killed");
        while self.read() {}
        self.child.wait().expect("gone");
        self.acknowledged
    }
}

/// Checks what was acknowledged, and gives the number of the state that is there.
fn assert_nothing_lost(store: &SledStore, put: u32, saved: u32) -> u32 {
    for i in 20..(put + 1) * 20 {
        let kept = store.embedding(&hash(i), &model()).expect("read");
        assert_eq!(kept, Some(vector(i)), "embedding {i} of {put} rounds");
    }
    let state = store.load_state().expect("load");
    let kept = state.as_ref().map_or(0, generation);
    assert!(
        (saved..=saved + 1).contains(&kept),
        "state {kept}, acknowledged {saved}"
    );
    kept
}

#[test]
fn kill_9_at_any_moment_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().expect("folder");
    let mut dice = Dice(7);
    let (mut put, mut saved) = (0, 0);
    for round in 0..faults(10) {
        let mut child = Writer::start(folder.path());
        // Every other one is killed at any moment, its start included.
        if round % 2 == 0 {
            child.works();
        }
        std::thread::sleep(Duration::from_micros(dice.below(150_000)));
        let (last_put, last_saved) = child.kill();
        (put, saved) = (put.max(last_put), saved.max(last_saved));
        saved = assert_nothing_lost(&open(folder.path()), put, saved);
    }
    assert!(put > 0, "no child came to write anything");
    println!("{} kills, {put} rounds of 20 embeddings", faults(10));
}
