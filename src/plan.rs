//! What to do next: (state, input) → commands.
//!
//! It owns the daemon's knowledge: which files are placed, settling, being read, ready, gone or refused, what runs
//! now, and when something must happen without any event. It is pure: time is an argument, and carrying a
//! [`Command`] out is `daemon`'s.
//!
//! Invariants: the scan is the truth and events only schedule; one scan, one task at a time, and each path in flight
//! at most once, [`Shadow`]'s apart; a change that comes while a task runs makes the next one; an unexplained
//! disappearance of more than half of the works removes nothing until it is confirmed or has lasted out the grace.

use crate::{
    artwork::{ContentHash, FileIdentity},
    ingest::{Job, Outcome, Retry},
    pipeline::{Known, Report, Task},
    watch::{Scan, Settle, SkipReason, Touch},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
};

mod shadow;
pub use shadow::Shadow;

/// Removals that are looked at before they are believed start at this many works.
const GUARD_FROM: usize = 10;
/// How long a work that is gone waits for its new name to be noticed: the halves of a rename may come apart.
const RENAME_MS: u64 = 150;
/// How long ready files wait for company while an import is going on; doubles with every generation of the import.
const BURST_MS: (u64, u64) = (15_000, 120_000);
/// While files wait because of us (the state folder is full, say), one of them is tried this often; when one gets
/// through, all the others follow at once.
const PROBE_MS: u64 = 10_000;
/// Back-off after the store or the output failed (disk full, say).
const HEAL_MS: (u64, u64) = (2_000, 30_000);

/// The plan's share of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long ready files wait for others that are nearly ready (the other half of a rename), milliseconds.
    pub gather_ms: u64,
    /// A full scan at least this often, milliseconds.
    pub rescan_ms: u64,
    /// Whether an unexplained mass removal is held.
    pub hold: bool,
    /// How long it is held, milliseconds.
    pub grace_ms: u64,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The first input: nothing happened yet.
    Start,
    /// Something happened to a file, or to what may be one.
    Touched {
        /// Path below the artwork folder.
        path: PathBuf,
        /// What.
        touch: Touch,
    },
    /// A path was removed, made, or moved here; or it was asked for with [`Command::Look`].
    Looked {
        /// Path below the artwork folder: a file's or a folder's.
        path: PathBuf,
        /// What is there now.
        scan: Scan,
        /// Start of the look, milliseconds since the Unix epoch.
        wall_ms: u64,
    },
    /// Events call for a scan: an overflow, a watcher that failed, another root.
    Rescan,
    /// A scan ended; `wall_ms` is its start in milliseconds since the Unix epoch.
    Scanned {
        /// What is there, or why the folder could not be scanned.
        scan: Result<Scan, String>,
        /// Start of the scan, milliseconds since the Unix epoch.
        wall_ms: u64,
    },
    /// The owner says something new of the works: it is due to be published.
    Described,
    /// A file was read.
    Ingested(Outcome),
    /// A task ended.
    Done(Result<Report, String>),
    /// The owner asks for a fresh layout.
    Relayout,
    /// The owner confirms a held removal.
    Confirm,
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Scan the artwork folder.
    Scan,
    /// Look at a path and say what is there.
    Look(PathBuf),
    /// Read, embed and store a file.
    Ingest(Job),
    /// Rebuild and publish.
    Run(Task),
}

/// A file that is not in the mosaic, or not as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What the file system said of it.
    pub identity: FileIdentity,
    /// Why.
    pub reason: String,
    /// Whether it is tried again by itself; otherwise when it changes.
    pub again: bool,
    /// Whether the file is not to blame: the store or the cells could not be written.
    pub ours: bool,
}

/// An unexplained mass removal that is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it was noticed.
    pub since_ms: u64,
    /// How many works are missing.
    pub missing: usize,
}

/// The daemon's knowledge.
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    placed: BTreeMap<PathBuf, FileIdentity>,
    /// Placed files to be read again though unchanged: another model, another tile, a damaged record.
    stale: HashSet<PathBuf>,
    refused: BTreeMap<PathBuf, Refused>,
    /// Paths that vanished while they were being read or placed: looked at again afterwards.
    recheck: BTreeSet<PathBuf>,
    skipped: Vec<(PathBuf, SkipReason)>,
    settle: Settle,
    /// Device and inode of files that settle or are read: a work that is gone may be one of them, renamed.
    candidates: BTreeMap<PathBuf, (u64, u64)>,
    in_flight: BTreeMap<PathBuf, FileIdentity>,
    ready: BTreeMap<PathBuf, (FileIdentity, ContentHash)>,
    gone: BTreeMap<PathBuf, FileIdentity>,
    held: Option<Held>,
    confirmed: bool,
    scanning: bool,
    scan_at: Option<u64>,
    scan_error: Option<String>,
    running: Option<Task>,
    /// The arrivals of the running task.
    placing: BTreeMap<PathBuf, ()>,
    /// The paths that the running task takes out.
    leaving: BTreeSet<PathBuf>,
    failing: Option<(String, u32, u64)>,
    /// When the next of the files that wait because of us is tried; `None` while there is none.
    probe_at: Option<u64>,
    relayout: bool,
    /// A publication is due even without a change: at the start.
    due: bool,
    waiting_since: Option<u64>,
    burst_ms: u64,
    scans: u64,
    /// Time of the last input.
    now_ms: u64,
    /// Inputs so far, ticks apart.
    inputs: u64,
    shadow: Option<Shadow>,
}

impl Plan {
    /// A plan that knows the placed files, and which of them another model is to embed in shadow.
    pub fn new(
        settings: Settings,
        settle: Settle,
        known: Vec<Known>,
        shadow: Option<Shadow>,
    ) -> Self {
        Self {
            shadow,
            settings,
            stale: known
                .iter()
                .filter(|k| k.stale)
                .map(|k| k.path.clone())
                .collect(),
            placed: known.into_iter().map(|k| (k.path, k.identity)).collect(),
            refused: BTreeMap::new(),
            recheck: BTreeSet::new(),
            skipped: Vec::new(),
            settle,
            candidates: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            ready: BTreeMap::new(),
            gone: BTreeMap::new(),
            held: None,
            confirmed: false,
            scanning: false,
            scan_at: None,
            scan_error: None,
            running: None,
            placing: BTreeMap::new(),
            leaving: BTreeSet::new(),
            failing: None,
            probe_at: None,
            relayout: false,
            due: true,
            waiting_since: None,
            burst_ms: BURST_MS.0,
            scans: 0,
            now_ms: 0,
            inputs: 0,
        }
    }

    /// Takes an input; `now_ms` is monotonic.
    pub fn on(&mut self, input: Input, now_ms: u64) -> Vec<Command> {
        self.now_ms = now_ms;
        self.inputs += u64::from(!matches!(input, Input::Tick));
        let mut commands = Vec::new();
        match input {
            Input::Start => self.scan_at = Some(now_ms),
            Input::Touched { path, touch } => {
                if let Some(refused) = self.refused.get_mut(&path) {
                    refused.again = false;
                }
                self.settle.touched(&path, touch, now_ms);
            }
            Input::Looked {
                path,
                scan,
                wall_ms,
            } => {
                commands.extend(self.looked(&path, &scan, wall_ms, now_ms));
            }
            Input::Rescan => self.scan_at = Some(now_ms),
            Input::Scanned { scan, wall_ms } => {
                commands.extend(self.scanned(scan, wall_ms, now_ms));
            }
            Input::Described => self.due = true,
            Input::Ingested(outcome) => commands.extend(self.ingested(outcome, now_ms)),
            Input::Done(result) => {
                if let Ok(report) = &result {
                    self.stale.extend(report.missing.iter().cloned());
                    self.recheck.extend(report.missing.iter().cloned());
                }
                self.done(result, now_ms);
                commands.extend(
                    std::mem::take(&mut self.recheck)
                        .into_iter()
                        .map(Command::Look),
                );
            }
            Input::Relayout => self.relayout = true,
            Input::Confirm => {
                self.confirmed = true;
                self.scan_at = Some(now_ms);
            }
            Input::Tick => {}
        }
        self.advance(now_ms, &mut commands);
        commands
    }

    /// When [`Input::Tick`] is needed at the latest.
    pub fn next_deadline(&self) -> Option<u64> {
        let future = |at: &u64| *at > self.now_ms;
        let since = self.waiting_since.filter(|_| self.running.is_none());
        let waits = since.map(|since| since + self.patience()).filter(future);
        let renames = since
            .filter(|_| !self.gone.is_empty())
            .map(|since| since + RENAME_MS)
            .filter(future);
        let heals = self.failing.as_ref().map(|(_, _, at)| *at).filter(future);
        let scan = self.scan_at.filter(|_| !self.scanning);
        let settles = self.settle.next_deadline_ms();
        let shadow = self
            .shadow
            .as_ref()
            .and_then(|shadow| shadow.next_deadline(self.now_ms));
        [scan, settles, waits, renames, heals, shadow, self.probe_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether nothing is left to do until something changes.
    pub fn is_idle(&self) -> bool {
        self.scans > 0
            && !self.scanning
            && self.running.is_none()
            && self.failing.is_none()
            && self.in_flight.is_empty()
            && self.ready.is_empty()
            && self.gone.is_empty()
            && self.settling() == 0
            && !(self.due || self.relayout)
            && self.shadow.as_ref().is_none_or(Shadow::is_over)
    }

    /// Whether nothing is being read or placed; files may settle, and the output may be failing.
    pub fn is_calm(&self) -> bool {
        self.running.is_none() && self.in_flight.is_empty() && self.ready.is_empty()
    }

    /// The embedding of the placed works by another model, while that goes on.
    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }

    /// Whether every placed work is embedded by the other model, so that it can take over.
    pub fn can_take_over(&self) -> bool {
        self.running.is_none() && self.shadow.as_ref().is_some_and(Shadow::is_complete)
    }

    /// Whether the artwork folder was scanned.
    pub fn has_scanned(&self) -> bool {
        self.scans > 0
    }

    /// Whether some file could not be taken in for lack of room or an I/O error of ours.
    pub fn is_blocked(&self) -> bool {
        self.refused.values().any(|refused| refused.ours)
    }

    /// Files in a state between seen and placed.
    pub fn pending(&self) -> usize {
        self.unread() + self.ready.len()
    }

    /// Inputs so far, ticks apart: while it stays the same, nothing that the plan tells has changed.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Files that are being read and embedded.
    pub fn reading(&self) -> usize {
        self.in_flight.len()
    }

    /// Files that are seen and not read yet.
    pub fn unread(&self) -> usize {
        self.settling() + self.in_flight.len()
    }

    /// Files that are not in the mosaic, by name.
    pub fn refused(&self) -> &BTreeMap<PathBuf, Refused> {
        &self.refused
    }

    /// What the last scan left aside.
    pub fn skipped(&self) -> &[(PathBuf, SkipReason)] {
        &self.skipped
    }

    /// A held removal.
    pub fn held(&self) -> Option<Held> {
        self.held
    }

    /// Why the artwork folder cannot be scanned.
    pub fn scan_error(&self) -> Option<&str> {
        self.scan_error.as_deref()
    }

    /// Why the last task failed.
    pub fn failing(&self) -> Option<&str> {
        self.failing.as_ref().map(|(reason, ..)| reason.as_str())
    }

    /// What is being done: `scan`, `embed` or `layout`; `None` when idle.
    pub fn stage(&self) -> Option<&'static str> {
        match () {
            () if self.scanning && self.scans == 0 => Some("scan"),
            () if !self.in_flight.is_empty() => Some("embed"),
            () if self.running.is_some() => Some("layout"),
            () if self.settling() > 0 => Some("settle"),
            () => None,
        }
    }

    /// Paths that are still being written.
    pub fn settling(&self) -> usize {
        let again = self
            .refused
            .values()
            .filter(|refused| refused.again)
            .count();
        self.settle.len().saturating_sub(again)
    }

    /// Whether nothing about a file is new.
    fn is_current(&self, path: &Path, identity: &FileIdentity) -> bool {
        match (self.in_flight.get(path), self.ready.get(path)) {
            (Some(reading), _) => reading == identity,
            (None, Some((ready, _))) => ready == identity,
            (None, None) => {
                let refused = self
                    .refused
                    .get(path)
                    .is_some_and(|r| r.identity == *identity);
                let placed = self.placed.get(path) == Some(identity);
                refused || (placed && !self.stale.contains(path))
            }
        }
    }

    /// A file was seen by its identity alone: it settles if anything about it is new.
    fn found(&mut self, path: &Path, identity: FileIdentity, wall_ms: u64, now_ms: u64) {
        if self.is_current(path, &identity) {
            return;
        }
        let changed_ms = identity.mtime_ns.max(identity.ctime_ns) / 1_000_000;
        let age_ms = u64::try_from(wall_ms as i64 - changed_ms).ok();
        self.candidates
            .insert(path.to_owned(), (identity.dev, identity.ino));
        self.settle.found(path, identity, age_ms, now_ms);
    }

    /// A path was looked at: a file may be finished, works may be gone.
    fn looked(&mut self, path: &Path, scan: &Scan, wall_ms: u64, now_ms: u64) -> Vec<Command> {
        let mut commands = Vec::new();
        let below = self
            .leaving
            .range(path.to_owned()..)
            .take_while(|p| p.starts_with(path));
        for leaving in below {
            if scan.files.contains_key(leaving) {
                self.recheck.insert(leaving.clone());
            }
        }
        for known in self.known_below(path) {
            if !scan.files.contains_key(&known) && scan.covers(&known) {
                self.vanished(known);
            }
        }
        self.skipped
            .retain(|(skipped, _)| !skipped.starts_with(path));
        self.skipped.extend(scan.skipped.iter().cloned());
        for (path, identity) in &scan.files {
            self.gone.remove(path);
            let retry = self.refused.get(path).is_some_and(|refused| refused.again);
            if !self.settle.observed(path, *identity, now_ms) {
                self.found(path, *identity, wall_ms, now_ms);
            } else if self.in_flight.contains_key(path) {
                // It changed while it was being read: its turn comes when the reader is done with it.
                self.settle.found(path, *identity, None, now_ms);
            } else if retry || !self.is_current(path, identity) {
                if let Some(refused) = self.refused.get_mut(path) {
                    refused.again = false;
                }
                self.ready.remove(path);
                self.candidates
                    .insert(path.clone(), (identity.dev, identity.ino));
                self.in_flight.insert(path.clone(), *identity);
                commands.push(Command::Ingest(Job {
                    path: path.clone(),
                    identity: *identity,
                }));
            }
        }
        commands
    }

    /// `path` itself, and every path below it in any state: placed, settling, being read, ready or being placed.
    fn known_below(&self, path: &Path) -> BTreeSet<PathBuf> {
        fn below<'a, V>(
            map: &'a BTreeMap<PathBuf, V>,
            path: &Path,
        ) -> impl Iterator<Item = PathBuf> + 'a {
            let path = path.to_owned();
            map.range(path.clone()..)
                .map(|(p, _)| p.clone())
                .take_while(move |p| p.starts_with(&path))
        }
        let mut known: BTreeSet<PathBuf> = [path.to_owned()].into();
        known.extend(below(&self.placed, path));
        known.extend(below(&self.candidates, path));
        known.extend(below(&self.in_flight, path));
        known.extend(below(&self.ready, path));
        known.extend(below(&self.placing, path));
        known
    }

    /// A path is not there (any more).
    fn vanished(&mut self, path: PathBuf) {
        self.settle.removed(&path);
        self.candidates.remove(&path);
        self.ready.remove(&path);
        self.refused.remove(&path);
        if self.in_flight.contains_key(&path) || self.placing.contains_key(&path) {
            self.recheck.insert(path.clone());
        }
        if let Some(identity) = self.placed.get(&path) {
            self.gone.insert(path, *identity);
        }
    }

    fn scanned(&mut self, scan: Result<Scan, String>, wall_ms: u64, now_ms: u64) -> Vec<Command> {
        self.scanning = false;
        self.scans += 1;
        let rescan = now_ms + self.settings.rescan_ms;
        let scan = match scan {
            Ok(scan) => scan,
            Err(error) => {
                let soon = now_ms + self.settings.rescan_ms.min(10_000);
                self.scan_at = Some(self.scan_at.map_or(soon, |at| at.min(soon)));
                self.scan_error = Some(error);
                return Vec::new();
            }
        };
        self.scan_error = None;
        self.scan_at = Some(self.scan_at.map_or(rescan, |at| at.min(rescan)));
        // A scan tells of the past: what it says against what is known is looked at again before it is believed.
        let underway = self
            .ready
            .keys()
            .chain(self.in_flight.keys())
            .chain(self.placing.keys());
        let absent = |path: &&PathBuf| {
            !scan.files.contains_key(*path) && scan.covers(path) && !self.placed.contains_key(*path)
        };
        let mut doubtful: Vec<PathBuf> = underway.filter(absent).cloned().collect();
        doubtful.extend(
            self.gone
                .keys()
                .filter(|path| scan.files.contains_key(*path))
                .cloned(),
        );
        doubtful.extend(self.missing(&scan, now_ms));
        self.skipped = scan.skipped;
        for (path, identity) in scan.files {
            self.found(&path, identity, wall_ms, now_ms);
        }
        doubtful.into_iter().map(Command::Look).collect()
    }

    /// Which placed works are not there any more, and is that to be believed?
    fn missing(&mut self, scan: &Scan, now_ms: u64) -> Vec<PathBuf> {
        self.refused.retain(|path, _| scan.files.contains_key(path));
        let absent = |path: &PathBuf| !scan.files.contains_key(path) && scan.covers(path);
        let new = |path: &&PathBuf| absent(path) && !self.gone.contains_key(*path);
        let missing: Vec<PathBuf> = self.placed.keys().filter(new).cloned().collect();
        // A work that the owner's patterns name, or whose file is elsewhere now, has not vanished without a reason.
        let there: HashSet<(u64, u64)> = scan.files.values().map(|f| (f.dev, f.ino)).collect();
        let inode = |path: &PathBuf| self.placed.get(path).map(|f| (f.dev, f.ino));
        let unexplained = |path: &&PathBuf| {
            !scan.rules.name(path) && inode(path).is_none_or(|inode| !there.contains(&inode))
        };
        let vanished = missing.iter().filter(unexplained).count();
        let grave = vanished >= GUARD_FROM && 2 * vanished > self.placed.len();
        if grave && self.settings.hold && !self.confirmed {
            let since_ms = self.held.map_or(now_ms, |held| held.since_ms);
            if now_ms.saturating_sub(since_ms) < self.settings.grace_ms {
                self.held = Some(Held {
                    since_ms,
                    missing: vanished,
                });
                return Vec::new();
            }
        }
        self.held = None;
        self.confirmed = false;
        missing
    }

    fn ingested(&mut self, outcome: Outcome, now_ms: u64) -> Option<Command> {
        let shadow = self
            .shadow
            .as_mut()
            .map(|shadow| shadow.ingested(&outcome, now_ms));
        match shadow {
            Some(shadow::Verdict::Done) => return None,
            Some(shadow::Verdict::Look) => return Some(Command::Look(outcome.job.path)),
            Some(shadow::Verdict::NotOurs) | None => {}
        }
        let Outcome {
            job: Job { path, identity },
            result,
            ..
        } = outcome;
        self.in_flight.remove(&path);
        self.candidates.remove(&path);
        let look = self
            .recheck
            .remove(&path)
            .then(|| Command::Look(path.clone()));
        let refusal = match result {
            Ok(hash) => {
                self.refused.remove(&path);
                self.stale.remove(&path);
                self.settle.succeeded(&path);
                self.ready.insert(path, (identity, hash));
                if self.probe_at.take().is_some() {
                    let waiting = self.refused.iter().filter(|(_, refused)| refused.ours);
                    waiting.for_each(|(path, _)| self.settle.hurry(path, now_ms));
                }
                return look;
            }
            Err(refusal) => refusal,
        };
        let retry = refusal.retry();
        if retry == Retry::Look {
            return Some(Command::Look(path));
        }
        let again = matches!(retry, Retry::Later | Retry::Wait);
        if again {
            self.settle.failed(&path, identity, now_ms);
        }
        if retry == Retry::Wait {
            self.probe_at = Some(now_ms + PROBE_MS);
        } else {
            self.stale.remove(&path);
        }
        self.refused.insert(
            path,
            Refused {
                identity,
                reason: refusal.to_string(),
                again,
                ours: retry == Retry::Wait,
            },
        );
        look
    }

    fn done(&mut self, result: Result<Report, String>, now_ms: u64) {
        let Some(task) = self.running.take() else {
            return;
        };
        self.placing.clear();
        self.leaving.clear();
        match result {
            Ok(_) => {
                self.failing = None;
                self.due = false;
                if let Task::Apply { arrivals, gone } = task {
                    for path in gone {
                        self.stale.remove(&path);
                        self.placed.remove(&path);
                    }
                    for (Job { path, identity }, _) in arrivals {
                        self.placed.insert(path, identity);
                    }
                }
                let calm = self.pending() == 0;
                self.burst_ms = if calm {
                    BURST_MS.0
                } else {
                    (2 * self.burst_ms).min(BURST_MS.1)
                };
            }
            Err(reason) => {
                let tries = self.failing.as_ref().map_or(0, |(_, tries, _)| *tries) + 1;
                self.failing = Some((reason, tries, now_ms + back_off(HEAL_MS, tries)));
                self.due = true;
                match task {
                    Task::Apply { arrivals, gone } => self.put_back(arrivals, gone),
                    Task::Relayout => self.relayout = true,
                }
            }
        }
        let changes = !(self.ready.is_empty() && self.gone.is_empty());
        self.waiting_since = changes.then_some(now_ms);
    }

    /// A task failed: its files are applied again, unless something newer is known of them.
    fn put_back(&mut self, arrivals: Vec<(Job, ContentHash)>, gone: Vec<PathBuf>) {
        for (Job { path, identity }, hash) in arrivals {
            if !self.gone.contains_key(&path) {
                self.ready.entry(path).or_insert((identity, hash));
            }
        }
        for path in gone {
            if let (false, Some(identity)) =
                (self.ready.contains_key(&path), self.placed.get(&path))
            {
                self.gone.insert(path, *identity);
            }
        }
    }

    fn advance(&mut self, now_ms: u64, commands: &mut Vec<Command>) {
        if !self.scanning && self.scan_at.is_some_and(|at| at <= now_ms) {
            (self.scanning, self.scan_at) = (true, None);
            commands.push(Command::Scan);
        }
        if self.probe_at.is_some_and(|at| at <= now_ms) {
            let mut waiting = self.refused.iter().filter(|(_, refused)| refused.ours);
            let probe = waiting.next().map(|(path, _)| path);
            self.probe_at = probe.map(|_| now_ms + PROBE_MS);
            probe.inspect(|path| self.settle.hurry(path, now_ms));
        }
        commands.extend(self.settle.due(now_ms).into_iter().map(Command::Look));
        if let Some(shadow) = &mut self.shadow {
            let jobs = shadow.next(&self.placed, now_ms);
            commands.extend(jobs.into_iter().map(Command::Ingest));
        }
        let changes = !(self.ready.is_empty() && self.gone.is_empty());
        if changes && self.waiting_since.is_none() {
            self.waiting_since = Some(now_ms);
        }
        if self.running.is_none()
            && self.scans > 0
            && let Some(task) = self.next_task(now_ms)
        {
            if let Task::Apply { arrivals, gone } = &task {
                self.leaving = gone.iter().cloned().collect();
                self.placing = arrivals
                    .iter()
                    .map(|(job, _)| (job.path.clone(), ()))
                    .collect();
            }
            self.running = Some(task.clone());
            self.waiting_since = None;
            commands.push(Command::Run(task));
        }
    }

    /// How long ready changes wait for company.
    fn patience(&self) -> u64 {
        let incoming = self.pending();
        if incoming > 20.max(self.placed.len() / 5) {
            self.burst_ms
        } else {
            self.settings.gather_ms
        }
    }

    fn next_task(&mut self, now_ms: u64) -> Option<Task> {
        if self.failing.as_ref().is_some_and(|(_, _, at)| *at > now_ms) {
            return None;
        }
        let busy = !self.in_flight.is_empty() || self.settling() > 0;
        let changes = !(self.ready.is_empty() && self.gone.is_empty());
        let renaming = self
            .waiting_since
            .is_none_or(|since| now_ms < since + RENAME_MS);
        if !self.gone.is_empty() && renaming {
            return None;
        }
        let waited = self
            .waiting_since
            .is_some_and(|since| now_ms >= since + self.patience());
        // While placed works are read again (another model or tile), readers keep the old mosaic until all are.
        let rereading = self.stale.iter().any(|path| {
            self.in_flight.contains_key(path)
                || self.candidates.contains_key(path)
                || self.refused.get(path).is_some_and(|refused| refused.ours)
        });
        if rereading || (busy && changes && !waited) {
            return None;
        }
        if changes || (self.due && !busy) {
            let inodes: HashSet<(u64, u64)> = self.candidates.values().copied().collect();
            let (renaming, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.gone)
                .into_iter()
                .partition(|(_, identity)| inodes.contains(&(identity.dev, identity.ino)));
            self.gone = renaming;
            let arrivals: Vec<_> = std::mem::take(&mut self.ready)
                .into_iter()
                .map(|(path, (identity, hash))| (Job { path, identity }, hash))
                .collect();
            if !arrivals.is_empty() || !gone.is_empty() || self.due {
                return Some(Task::Apply {
                    arrivals,
                    gone: gone.into_keys().collect(),
                });
            }
        }
        std::mem::take(&mut self.relayout).then_some(Task::Relayout)
    }
}

fn back_off((first, most): (u64, u64), tries: u32) -> u64 {
    first
        .saturating_mul(1 << tries.saturating_sub(1).min(20))
        .min(most)
}

#[cfg(test)]
mod tests;
