//! Stories of the store on real disks: restarts, other processes, `kill -9`, damage, full disks, power cuts.
//!
//! Faults are injected a few times here; `MOSAICD_FULL_FAULTS=1` makes it ten times as many. What needs root (full disks
//! on a tmpfs, power cuts on an ext4 in a file) says so and passes without it.

#![expect(clippy::print_stdout, reason = "figures, and reasons for skipping")]

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
fn faults(count: u32) -> u32 {
    match std::env::var_os("MOSAICD_FULL_FAULTS") {
        Some(_) => 10 * count,
        None => count,
    }
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

/// A store of 1,000 embeddings and a state, to be copied and damaged.
fn healthy(folder: &Path) -> u32 {
    let store = open(folder);
    for i in 0..20 {
        store
            .put_embeddings(&model(), &batch(i * 50..(i + 1) * 50))
            .expect("put");
        save(&store, i).expect("save");
    }
    drop(store);
    drop(open(folder)); // Writes a snapshot.
    1_000
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copy");
        }
    }
}

/// Copies the healthy store, lets `damage` loose on its database folder, and checks that it opens, serves nothing
/// wrong, and takes new embeddings. Returns whether it healed, how many embeddings are left, and the state.
fn damaged(healthy: &Path, n: u32, damage: impl FnOnce(&Path)) -> (bool, u32, Option<u32>) {
    let folder = tempfile::tempdir().expect("folder");
    copy(healthy, folder.path());
    damage(&database(folder.path()));
    let Opened { store, healed } = SledStore::open(folder.path()).expect("always opens");
    if let Some(healed) = &healed {
        assert_eq!(
            quarantines(folder.path()),
            std::slice::from_ref(&healed.moved_to)
        );
        assert_eq!(
            store.load_state().expect("load").is_some(),
            healed.state_salvaged
        );
    }
    let mut left = 0;
    for i in 0..n {
        match store.embedding(&hash(i), &model()).expect("read") {
            Some(kept) => {
                assert_eq!(kept, vector(i), "a wrong vector");
                left += 1;
            }
            None => store
                .put_embeddings(&model(), &batch(i..i + 1))
                .expect("put again"),
        }
    }
    let state = store.load_state().expect("load").as_ref().map(generation);
    save(&store, 99).expect("save");
    drop(store);
    let store = open(folder.path());
    for i in 0..n {
        assert_eq!(
            store.embedding(&hash(i), &model()).expect("read"),
            Some(vector(i))
        );
    }
    assert_eq!(
        store.load_state().expect("load").as_ref().map(generation),
        Some(99)
    );
    (healed.is_some(), left, state)
}

#[test]
fn flipped_bits_never_serve_wrong_vectors_and_nearly_everything_is_salvaged() {
    let folder = tempfile::tempdir().expect("folder");
    let n = healthy(folder.path());
    let mut dice = Dice(11);
    let (mut healed_times, mut states, mut lost, rounds) = (0, 0, 0, faults(20));
    for round in 0..rounds {
        let (healed, left, state) = damaged(folder.path(), n, |database| {
            let files: Vec<_> = fs::read_dir(database)
                .expect("folder")
                .flatten()
                .map(|e| e.path())
                .collect();
            let files: Vec<_> = files.into_iter().filter(|path| path.is_file()).collect();
            // Mostly the log; now and then the snapshot or the configuration.
            let file = match round % 4 {
                0 => files[dice.below(files.len() as u64) as usize].clone(),
                _ => database.join("db"),
            };
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(file)
                .expect("file");
            let at = dice.below(file.metadata().expect("size").len());
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("read");
            byte[0] ^= 1 << dice.below(8);
            file.write_all_at(&byte, at).expect("write");
        });
        healed_times += u32::from(healed);
        states += u32::from(state.is_some());
        // sled, before it gives up, zeroes what follows the damage in its segment of 512 KiB.
        assert!(left + 250 >= n, "only {left} of {n} left, healed: {healed}");
        lost += n - left;
    }
    println!(
        "{rounds} flips, {n} embeddings each: healed {healed_times}, state kept {states}, embeddings lost {lost}"
    );
    assert!(
        healed_times > 0,
        "no flip did any harm: this test cannot fail"
    );
}

#[test]
fn a_truncated_or_deleted_database_is_no_obstacle() {
    let folder = tempfile::tempdir().expect("folder");
    let n = healthy(folder.path());
    let mut dice = Dice(13);
    for _ in 0..faults(5) {
        damaged(folder.path(), n, |database| {
            let file = OpenOptions::new()
                .write(true)
                .open(database.join("db"))
                .expect("file");
            let len = file.metadata().expect("size").len();
            file.set_len(dice.below(len)).expect("truncated");
        });
    }
    let zeroed = |database: &Path| {
        let file = OpenOptions::new()
            .write(true)
            .open(database.join("db"))
            .expect("file");
        file.write_all_at(&[0; 4096], 4096 * 30).expect("write");
    };
    damaged(folder.path(), n, zeroed);
    let gone = |name: &'static str| {
        move |database: &Path| fs::remove_file(database.join(name)).expect("removed")
    };
    let (_, left, _) = damaged(folder.path(), n, gone("db"));
    assert_eq!(left, 0);
    damaged(folder.path(), n, gone("conf"));
    damaged(folder.path(), n, |database| {
        fs::write(database.join("conf"), "rubbish: 1\n\0\0\0\0").expect("write")
    });
    damaged(folder.path(), n, |database| {
        fs::remove_dir_all(database).expect("removed")
    });
    damaged(folder.path(), n, |database| {
        fs::write(database.join("db"), vec![0x5a; 1 << 20]).expect("write")
    });
    let (healed, left, state) = damaged(folder.path(), n, |database| {
        // A crash while the snapshot is written (spacejam/sled/issues/1527).
        fs::write(database.join("snap.FFFFFFFFFFFFFFF0.generating"), "half").expect("write");
    });
    assert!(
        !healed && left == n && state == Some(19),
        "a half written snapshot is no damage"
    );
}

#[test]
fn only_the_last_damaged_store_is_kept_and_an_interrupted_salvage_is_done_again() {
    let folder = tempfile::tempdir().expect("folder");
    let n = healthy(folder.path());
    let spoil =
        || fs::write(database(folder.path()).join("conf"), "rubbish\n1234567890").expect("write");
    spoil();
    let first = SledStore::open(folder.path())
        .expect("opens")
        .healed
        .expect("healed");
    assert!(
        matches!(first.reason, Damage::Database(_)),
        "{:?}",
        first.reason
    );
    assert!(first.salvaged >= u64::from(n) && first.state_salvaged);
    spoil();
    let second = SledStore::open(folder.path())
        .expect("opens")
        .healed
        .expect("healed");
    assert_eq!(
        quarantines(folder.path()),
        std::slice::from_ref(&second.moved_to)
    );
    assert_ne!(first.moved_to, second.moved_to);
    // The run that set it aside was stopped: nothing is in the new store yet.
    fs::remove_file(second.moved_to.join("salvaged")).expect("mark");
    fs::remove_dir_all(database(folder.path())).expect("removed");
    let Opened { store, healed } = SledStore::open(folder.path()).expect("opens");
    assert!(matches!(
        healed.expect("healed").reason,
        Damage::Interrupted
    ));
    assert!((0..n).all(|i| store.has_embedding(&hash(i), &model()).expect("read")));
    assert_eq!(
        store.load_state().expect("load").as_ref().map(generation),
        Some(19)
    );
}

/// Runs a command; `false` if it cannot be run or fails.
fn run(command: &str) -> bool {
    let status = Command::new("sh")
        .args(["-c", command])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Unmounts on the way out.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn tmpfs(mb: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("folder");
        let mounted = run(&format!(
            "mount -t tmpfs -o size={mb}m tmpfs {}",
            folder.path().display()
        ));
        if !mounted {
            println!("skipped: mounting a tmpfs needs root");
        }
        mounted.then(|| Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(&format!("umount -l {}", self.0.path().display()));
    }
}

#[test]
fn a_full_disk_is_waited_out_and_never_taken_for_damage() {
    let rounds = faults(3);
    // What each round stores stays.
    let Some(disk) = Mounted::tmpfs(100 + 20 * rounds) else {
        return;
    };
    let path = disk.0.path();
    let store = open(path);
    let mut acknowledged = 0;
    for _ in 0..rounds {
        let before = acknowledged;
        let filler = path.join("filler");
        let mut file = File::create(&filler).expect("file");
        // Fill it to the brim, then leave 6 MB.
        let block = vec![1; 1 << 20];
        while file.write_all(&block).is_ok() {}
        let len = file.metadata().expect("size").len();
        file.set_len(len.saturating_sub(6 << 20))
            .expect("truncated");
        let error = loop {
            match store.put_embeddings(&model(), &batch(acknowledged..acknowledged + 100)) {
                Ok(()) => acknowledged += 100,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        for _ in 0..3 {
            let error = save(&store, 1).expect_err("still full");
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        }
        drop(file);
        fs::remove_file(&filler).expect("removed");
        save(&store, 2).expect("there is space again");
        for i in 0..acknowledged {
            assert_eq!(
                store.embedding(&hash(i), &model()).expect("read"),
                Some(vector(i))
            );
        }
        assert!(acknowledged > before, "6 MB hold some embeddings");
        assert!(store.take_healed().is_none() && quarantines(path).is_empty());
    }
}

/// The power is cut on an ext4 in a file, whose journal is not flushed: what is not fsynced is gone.
#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let image = tempfile::NamedTempFile::new().expect("file");
    image.as_file().set_len(512 << 20).expect("size");
    let disk = Mounted(tempfile::tempdir().expect("folder"));
    let (image, folder) = (image.path().display(), disk.0.path().display());
    let mount = format!("mkfs.ext4 -q -F {image} && mount -o loop {image} {folder}");
    if !run(&mount) || !run("python3 -c 'import fcntl'") {
        return println!("skipped: needs root, mkfs.ext4, loop devices and python3");
    }
    let mut dice = Dice(17);
    let (mut put, mut saved) = (0, 0);
    let mut slowest = Duration::ZERO;
    let rounds = faults(5);
    for round in 0..rounds {
        let mut child = Writer::start(disk.0.path());
        child.works();
        std::thread::sleep(Duration::from_micros(dice.below(500_000)));
        // FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let shutdown = "import fcntl,os,struct,sys; f=os.open(sys.argv[1],0); fcntl.ioctl(f,0x8004587d,struct.pack('I',2))";
        assert!(run(&format!("python3 -c \"{shutdown}\" {folder}")));
        let (last_put, last_saved) = child.kill();
        (put, saved) = (put.max(last_put), saved.max(last_saved));
        assert!(run(&format!("umount {folder}")), "round {round}");
        // Mounted again while some other mount namespace still has it, it would be the dead file system itself.
        let unmounted = Instant::now();
        while !run(&format!("test -z \"$(losetup -j {image})\"")) {
            assert!(
                unmounted.elapsed() < Duration::from_secs(120),
                "somebody holds the disk"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(
            run(&format!("mount -o loop {image} {folder}")),
            "round {round}"
        );
        let began = Instant::now();
        let store = open(disk.0.path());
        slowest = slowest.max(began.elapsed());
        saved = assert_nothing_lost(&store, put, saved);
    }
    println!("{rounds} power cuts, {put} rounds of 20 embeddings, slowest opening {slowest:?}");
}

/// `cargo test --release --test store -- --ignored --nocapture memory`
#[test]
#[ignore = "a measurement"]
fn memory_of_opening_again_and_again() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    for i in 0..25 {
        let batch = batch(i * 200..(i + 1) * 200);
        store.put_embeddings(&model(), &batch).expect("put");
    }
    let knn: Vec<u8> = (0..2_400_000u32)
        .map(|i| (i / 7) as u8 ^ (i >> 13) as u8)
        .collect();
    store.save_state(&[("knn", &knn)]).expect("save");
    drop(store);
    let rss = || {
        let status = fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.expect("a line").to_owned()
    };
    println!("before: {}", rss());
    for i in 0..30 {
        let store = open(folder.path());
        store.load_state().expect("load");
        if i % 3 == 0 {
            println!("opened {i} times: {}", rss());
        }
    }
    let store = open(folder.path());
    for i in 0..30u32 {
        let mut knn = knn.clone();
        for (k, byte) in knn.iter_mut().enumerate() {
            *byte ^= (i as usize + k / 4096) as u8;
        }
        (0..3).for_each(|_| store.save_state(&[("knn", &knn)]).expect("save"));
        store.erase(&|_, _| true).expect("rewrite");
        if i % 3 == 0 {
            println!("rewritten {i} times: {}", rss());
        }
    }
}

/// `cargo test --release --test store -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn figures_of_20_000_embeddings() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let began = Instant::now();
    for i in 0..100 {
        let batch = batch(i * 200..(i + 1) * 200);
        store.put_embeddings(&model(), &batch).expect("put");
    }
    println!("200 embeddings put: {:?} on average", began.elapsed() / 100);
    let mut knn = vec![0; 20_000 * 15 * 8];
    for (i, byte) in (0u32..).zip(&mut knn) {
        *byte = (i / 7) as u8 ^ (i >> 13) as u8;
    }
    for what in ["first", "second"] {
        let began = Instant::now();
        store.save_state(&[("knn", &knn)]).expect("save");
        println!("{what} save of 2.4 MB: {:?}", began.elapsed());
        for i in 0..20 {
            knn[i * 100_003] ^= 1;
        }
    }
    let began = Instant::now();
    let found = (0..20_000).all(|i| store.has_embedding(&hash(i), &model()).expect("read"));
    println!("20,000 read: {:?}, all there: {found}", began.elapsed());
    println!(
        "size on disk: {} MB",
        store.size_on_disk().expect("size") >> 20
    );
    drop(store);
    for _ in 0..2 {
        let began = Instant::now();
        drop(open(folder.path()));
        println!("opened and verified: {:?}", began.elapsed());
    }
    let status = fs::read_to_string("/proc/self/status").expect("status");
    println!(
        "{}",
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default()
    );
}
