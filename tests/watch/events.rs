//! Watcher, scans and plan together, as in the daemon: they miss nothing and take nothing half written.

use super::*;
use std::ops::Bound;

/// The daemon's part: it drains and scans, carries the plan's commands out, and reads.
struct Daemon {
    root: PathBuf,
    watcher: Watcher,
    woken: Receiver<()>,
    plan: Plan,
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
        let settings = Settings {
            rate_limit: RateLimit::Auto,
            quiet,
            gather_ms: 0,
            rescan_ms: 3_600_000,
            hold: false,
            grace_ms: 0,
            polish: PolishTime::Quiet,
            once: false,
        };
        let mut daemon = Self {
            root: root.to_owned(),
            watcher,
            woken,
            plan: Plan::new(settings, Vec::new(), None),
            began: Instant::now(),
            taken: BTreeMap::new(),
            failures: Vec::new(),
            rescans: 0,
        };
        daemon.on(Input::Start);
        daemon
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn step(&mut self) {
        let next = self.plan.next_deadline();
        let wait_ms = next.map_or(100, |at| at.saturating_sub(self.now_ms()).min(100));
        let _ = self.woken.recv_timeout(Duration::from_millis(wait_ms));
        for event in self.watcher.drain() {
            match event {
                WatchEvent::Touched { path, touch } => self.on(Input::Touched { path, touch }),
                WatchEvent::Removed { path } | WatchEvent::Subtree(path) => {
                    let input = self.look(path);
                    self.on(input);
                }
                WatchEvent::Lost | WatchEvent::Instructed { .. } => {
                    self.rescans += 1;
                    self.on(Input::Rescan);
                }
                WatchEvent::Failed(error) => self.failures.push(error),
            }
        }
        self.on(Input::Tick);
    }

    /// Tells the plan, and carries its commands out at once. For the plan all of it happens at one time, as in the
    /// daemon: on a slow machine it would otherwise ask for looks again that are still in the queue.
    fn on(&mut self, input: Input) {
        let now_ms = self.now_ms();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for command in self.plan.on(input, now_ms) {
                inputs.push_back(match command {
                    plan::Command::Scan => Input::Scanned {
                        scan: Ok(all(&self.root)),
                        wall_ms: 0,
                    },
                    plan::Command::Look(path) => self.look(path),
                    plan::Command::Ingest(job) => Input::Ingested(self.read(job)),
                    plan::Command::Run(_) => Input::Done(Ok(Report::default())),
                    plan::Command::Background(work) => Input::Ended { work, found: false },
                });
            }
        }
    }

    fn look(&mut self, path: PathBuf) -> Input {
        let scan = scan_subtree(&self.root, &path, &Ignore::default()).expect("scans");
        let below = (Bound::Included(path.as_path()), Bound::Unbounded);
        let below = self.taken.range::<Path, _>(below).map(|(taken, _)| taken);
        let below = below.take_while(|taken| taken.starts_with(&path));
        let gone = below.filter(|taken| scan.covers(taken) && !scan.files.contains_key(*taken));
        for gone in gone.cloned().collect::<Vec<_>>() {
            self.taken.remove(&gone);
        }
        Input::Looked {
            path,
            scan,
            wall_ms: 0,
        }
    }

    fn read(&mut self, job: Job) -> Outcome {
        let result = match read_finished(&self.root, &job.path, &job.identity, MAX_BYTES) {
            Ok(bytes) => {
                let hash = ContentHash::of(&bytes);
                self.taken.insert(job.path.clone(), bytes);
                Ok(hash)
            }
            Err(error) => Err(Refusal {
                retry: Retry::Look,
                reason: error.to_string(),
            }),
        };
        Outcome {
            job,
            result,
            embedded: None,
            next_error: None,
            render_error: None,
        }
    }

    /// Steps until the files taken over are those in the folder.
    fn catch_up(&mut self) {
        let began = Instant::now();
        loop {
            self.step();
            let late = began.elapsed() > patience();
            if self.plan.pending() > 0 && !late {
                continue;
            }
            let there: BTreeSet<_> = all(&self.root).files.into_keys().collect();
            if there.iter().eq(self.taken.keys()) {
                return;
            }
            if late {
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
        assert!(began.elapsed() < patience(), "the change was missed");
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
        assert!(began.elapsed() < patience(), "the ignore file was missed");
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
            assert!(began.elapsed() < patience(), "nothing was told");
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
    while daemon.failures.is_empty() && began.elapsed() < patience() {
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
#[ignore = "needs unshare and user namespaces"]
fn the_watch_limit_is_told() {
    let test = std::env::current_exe().expect("this test");
    let limited = "echo 40 > /proc/sys/user/max_inotify_watches && exec \"$0\" --exact events::child_limited --nocapture";
    let output = Command::new("unshare")
        .args(["-Ur", "sh", "-c", limited])
        .arg(test)
        .env(LIMITED, "1")
        .output();
    let said = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    assert!(
        said.contains("running 1 test"),
        "unshare and user namespaces"
    );
    assert!(said.contains("limited as expected"), "{said}");
}
