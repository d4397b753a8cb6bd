//! A model of everything around the plan: a folder, a clock, readers, a rebuild, background work. It carries commands out
//! and checks at each step what the plan promises.

use super::*;
use std::collections::{HashMap, VecDeque};

/// What reading a file comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It can be placed.
    Good,
    /// It is no picture.
    Junk,
    /// Its end is missing.
    Torn,
}

/// The model, with a plan in it.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now_ms: u64,
    /// Wall clock less `now_ms`.
    pub(crate) wall_ms: u64,
    pub(crate) folder: BTreeMap<PathBuf, (FileIdentity, Kind)>,
    /// Whether the folder "d", a mount, is away: its files are not seen then.
    pub(crate) is_away: bool,
    /// What the owner opts out.
    pub(crate) opted_out: BTreeSet<PathBuf>,
    flips: bool,
    /// What the pipeline has placed.
    pub(crate) placed: BTreeMap<PathBuf, FileIdentity>,
    /// Files to read.
    pub(crate) jobs: VecDeque<Job>,
    /// The task that runs.
    pub(crate) task: Option<Task>,
    /// Whether a scan was asked for, and what it saw if it has looked already.
    scan: Option<Option<(Scan, u64)>>,
    /// Whether the store is full.
    pub(crate) full: bool,
    /// How often a file may be read, and was.
    reads: HashMap<(PathBuf, FileIdentity), (u32, u32)>,
    /// Every task so far.
    pub(crate) tasks: Vec<Task>,
    /// How many files were read.
    pub(crate) read: usize,
    /// Background work that was begun.
    pub(crate) background: VecDeque<Background>,
    /// When there was a collection.
    pub(crate) collected: Vec<u64>,
    /// Whether the next task says that the grid is to be polished.
    pub(crate) wants_polish: bool,
    /// What the next task reports: when a publication is due.
    pub(crate) due_ms: Option<u64>,
    inodes: u64,
}

pub(crate) fn settings() -> Settings {
    Settings {
        rate_limit: RateLimit::Auto,
        quiet: Quiet::default(),
        gather_ms: 1_000,
        rescan_ms: 10_000,
        hold: true,
        grace_ms: 86_400_000,
        polish: PolishTime::Quiet,
        once: false,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(settings())
    }

    pub(crate) fn of(settings: Settings) -> Self {
        let mut world = Self {
            plan: Plan::new(settings, Vec::new(), None),
            now_ms: 0,
            wall_ms: 1_000_000_000,
            folder: BTreeMap::new(),
            is_away: false,
            opted_out: BTreeSet::new(),
            flips: false,
            placed: BTreeMap::new(),
            jobs: VecDeque::new(),
            task: None,
            scan: None,
            full: false,
            reads: HashMap::new(),
            tasks: Vec::new(),
            read: 0,
            background: VecDeque::new(),
            collected: Vec::new(),
            wants_polish: false,
            due_ms: None,
            inodes: 0,
        };
        world.on(Input::Start);
        world
    }

    /// A world in which these files are placed.
    pub(crate) fn with(names: &[&str]) -> Self {
        let mut world = Self::new();
        names.iter().for_each(|name| world.make(name, Kind::Good));
        world.settle();
        assert_eq!(world.placed.len(), names.len());
        world.tasks.clear();
        world
    }

    /// Tells the plan; looks are carried out at once, everything else waits.
    pub(crate) fn on(&mut self, input: Input) {
        let mut commands: VecDeque<Command> = self.plan.on(input, self.now_ms).into();
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Scan => {
                    assert!(self.scan.is_none(), "two scans at a time");
                    self.scan = Some(None);
                }
                Command::Look(path) => {
                    let input = self.look(&path);
                    commands.extend(self.plan.on(input, self.now_ms));
                }
                Command::Ingest(job) => {
                    let twice = self.jobs.contains(&job) && !self.flips;
                    assert!(!twice, "{job:?} is read twice at a time");
                    let key = (job.path.clone(), job.identity);
                    let (may, was) = self.reads.entry(key).or_insert((1, 0));
                    *was += 1;
                    assert!(*was <= *may, "{job:?} is read again without a reason");
                    self.jobs.push_back(job);
                }
                Command::Background(Background::Collect) => self.collected.push(self.now_ms),
                Command::Background(work) => self.background.push_back(work),
                Command::Run(task) => {
                    assert!(self.task.is_none(), "two tasks at a time");
                    self.tasks.push(task.clone());
                    self.task = Some(task);
                }
            }
        }
    }

    /// Whether the owner's patterns and the mount let a file be seen.
    fn shows(&self, path: &Path) -> bool {
        let is_away = self.is_away && path.starts_with("d");
        !is_away && !self.opted_out.contains(path)
    }

    fn seen(&self, start: &Path) -> Scan {
        let files = self.folder.range(start.to_owned()..);
        let files = files.take_while(|(path, _)| path.starts_with(start));
        let files = files.filter(|(path, _)| self.shows(path));
        let opted_out = self.opted_out.clone();
        let mut scan = Scan {
            start: start.into(),
            files: files
                .map(|(path, (identity, _))| (path.clone(), *identity))
                .collect(),
            opted_out: OptedOut::new(move |path| opted_out.contains(path)),
            ..Scan::default()
        };
        let below = |path: &&PathBuf| path.starts_with("d/e");
        let deep = !self.is_away && self.folder.keys().any(|path| below(&path));
        let mount = if self.is_away { (1, 2) } else { (9, 1) };
        for (folder, (dev, ino), is_there) in [
            ("", (1, 1), true),
            ("d", mount, true),
            ("d/e", (9, 2), deep),
        ] {
            let folder = Path::new(folder);
            let is_seen = folder.starts_with(start) || start.starts_with(folder);
            if is_there && is_seen && !self.folder.contains_key(folder) {
                scan.folders.insert(folder.into(), RootId { dev, ino });
            }
        }
        scan
    }

    fn look(&self, path: &Path) -> Input {
        Input::Looked {
            path: path.to_owned(),
            scan: self.seen(path),
            wall_ms: self.wall_ms + self.now_ms,
        }
    }

    /// What happens when something at a path is removed, made or moved here.
    pub(crate) fn subtree(&mut self, path: &str) {
        let input = self.look(Path::new(path));
        self.on(input);
    }

    pub(crate) fn touched(&mut self, path: &str, touch: Touch) {
        let path = path.into();
        self.on(Input::Touched { path, touch });
    }

    fn new_identity(&mut self) -> FileIdentity {
        self.inodes += 1;
        let changed_ns = (self.wall_ms + self.now_ms) as i64 * 1_000_000;
        FileIdentity {
            dev: 1,
            ino: self.inodes,
            size: 10,
            mtime_ns: changed_ns,
            ctime_ns: changed_ns,
        }
    }

    /// Makes or replaces a file; nobody notices.
    pub(crate) fn make(&mut self, path: &str, kind: Kind) {
        let identity = self.new_identity();
        self.folder.insert(path.into(), (identity, kind));
    }

    /// Renames a file; nobody notices.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if let Some((identity, kind)) = self.folder.remove(Path::new(from)) {
            let ctime_ns = identity.ctime_ns + 1;
            let identity = FileIdentity {
                ctime_ns,
                ..identity
            };
            self.folder.insert(to.into(), (identity, kind));
        }
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.on(Input::Tick);
    }

    /// A scan that was asked for looks now; what it saw is told later.
    pub(crate) fn take_scan(&mut self) {
        if let Some(taken @ None) = &mut self.scan {
            *taken = Some((Scan::default(), self.wall_ms + self.now_ms));
            let scan = self.seen(Path::new(""));
            if let Some(Some((taken, _))) = &mut self.scan {
                *taken = scan;
            }
        }
    }

    /// What the scan saw is told.
    pub(crate) fn finish_scan(&mut self) {
        self.take_scan();
        if let Some((scan, wall_ms)) = self.scan.take().flatten() {
            let scan = Ok(scan);
            self.on(Input::Scanned { scan, wall_ms });
        }
    }

    /// A file is read.
    pub(crate) fn finish_read(&mut self, which: usize) {
        if self.jobs.is_empty() {
            return;
        }
        let Some(job) = self.jobs.remove(which % self.jobs.len()) else {
            return;
        };
        self.read += 1;
        let seen = self.folder.get(&job.path).filter(|_| self.shows(&job.path));
        let result = match seen {
            Some((identity, kind)) if *identity == job.identity => match kind {
                _ if self.full => Err(refusal(Retry::Wait, "full")),
                Kind::Good => Ok(hash(&job.path)),
                Kind::Junk => Err(refusal(Retry::WhenChanged, "junk")),
                Kind::Torn => Err(refusal(Retry::Later, "torn")),
            },
            _ => Err(refusal(Retry::Look, "changed")),
        };
        let again = matches!(&result, Err(refusal) if refusal.retry != Retry::WhenChanged);
        if again {
            self.may_read_again(&job.path, job.identity);
        }
        self.on(Input::Ingested(Outcome {
            job,
            result,
            embedded: None,
            next_error: None,
            render_error: None,
        }));
    }

    fn may_read_again(&mut self, path: &Path, identity: FileIdentity) {
        let key = (path.to_owned(), identity);
        self.reads.entry(key).or_insert((1, 0)).0 += 1;
    }

    /// The task ends: well, or not; a placed file's cell may turn out to be missing.
    pub(crate) fn finish_task(&mut self, fails: bool, loses: bool) {
        let Some(task) = self.task.take() else { return };
        if fails {
            return self.on(Input::Done(Err("disk full".into())));
        }
        if let Task::Apply { arrivals, gone } = task {
            for path in gone {
                assert!(
                    self.placed.remove(&path).is_some(),
                    "{path:?} was not placed"
                );
            }
            for (job, _) in arrivals {
                self.placed.insert(job.path, job.identity);
            }
        }
        let lost = self.placed.iter().next().filter(|_| loses);
        let lost = lost.map(|(path, identity)| (path.clone(), *identity));
        let missing: Vec<_> = lost.iter().map(|(path, _)| path.clone()).collect();
        if let Some((path, identity)) = lost {
            self.may_read_again(&path, identity);
        }
        let wants_polish = std::mem::take(&mut self.wants_polish);
        let due_ms = self.due_ms.take();
        self.on(Input::Done(Ok(Report {
            missing,
            wants_polish,
            due_ms,
            changed: true,
            ..Report::default()
        })));
    }

    /// The daemon ends, and starts again (`reload`: after its task).
    pub(crate) fn restart(&mut self, reload: bool) {
        if reload {
            self.finish_task(false, false);
        }
        self.restart_with(None);
    }

    /// A new plan begins, with another model that embeds in shadow or none.
    pub(crate) fn restart_with(&mut self, shadow: Option<Shadow>) {
        (self.task, self.scan) = (None, None);
        self.jobs.clear();
        self.background.clear();
        self.reads.clear();
        let known = self.placed.iter().map(|(path, identity)| Known {
            path: path.clone(),
            identity: *identity,
            hash: hash(path),
            stale: false,
            unshadowed: false,
        });
        let folders = self.plan.folders().clone();
        self.plan = Plan::new(settings(), known.collect(), shadow);
        self.plan.remember_folders(folders);
        self.now_ms += 1;
        self.on(Input::Start);
    }

    /// Ends all background work; each finds something or not.
    pub(crate) fn end_background(&mut self, found: bool) {
        for work in std::mem::take(&mut self.background) {
            self.on(Input::Ended { work, found });
        }
    }

    /// Leaves the first so many files; nobody notices.
    pub(crate) fn keep(&mut self, n: usize) {
        self.folder = std::mem::take(&mut self.folder)
            .into_iter()
            .take(n)
            .collect();
    }

    /// Scans now.
    pub(crate) fn scan(&mut self) {
        self.on(Input::Rescan);
        self.finish_scan();
    }

    /// What is seen of the folder has changed, and may change back: every file may be read again, even while it is read.
    pub(crate) fn flip(&mut self) {
        self.reads.clear();
        self.flips = true;
    }

    /// Lets everything but a task end well, and time pass until the next deadline.
    fn step_within_task(&mut self) {
        self.finish_scan();
        while !self.jobs.is_empty() {
            self.finish_read(0);
        }
        self.end_background(false);
        let next = self.plan.next_deadline().unwrap_or(u64::MAX);
        self.now_ms = next.clamp(self.now_ms + 1, self.now_ms + 1_000);
        self.on(Input::Tick);
    }

    /// Lets everything end well, and time pass until the next deadline.
    pub(crate) fn step(&mut self) {
        self.finish_task(false, false);
        self.step_within_task();
    }

    /// Steps until a task runs.
    pub(crate) fn until_a_task_runs(&mut self) {
        let from_ms = self.now_ms;
        while self.task.is_none() {
            assert!(
                self.now_ms < from_ms + 300_000,
                "no task runs: {:#?}",
                self.plan
            );
            self.step_within_task();
        }
    }

    /// Steps until nothing is under way, for a minute at least.
    pub(crate) fn settle(&mut self) {
        let from_ms = self.now_ms;
        while !self.plan.is_idle() || self.now_ms < from_ms + 60_000 {
            assert!(self.now_ms < from_ms + 40_000_000, "{:#?}", self.plan);
            self.step();
        }
    }
}

pub(crate) fn hash(path: &Path) -> ContentHash {
    ContentHash::of(path.as_os_str().as_encoded_bytes())
}

fn refusal(retry: Retry, reason: &str) -> Refusal {
    let reason = reason.into();
    Refusal { retry, reason }
}
