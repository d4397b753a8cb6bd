//! What to do next: (state, input) → commands.
//!
//! It owns the daemon's knowledge: which files are placed, settling, being read, ready, gone or refused, what runs
//! now, and when something must happen without any event. It is pure: time is an argument, and carrying a
//! [`Command`] out is `daemon`'s.
//!
//! Invariants: the scan is the truth and events only schedule; one scan, one task at a time, and each path in flight
//! at most once, [`Shadow`]'s apart; a change that comes while a task runs makes the next one; an unexplained
//! disappearance of more than half of the works removes nothing until it is confirmed or has lasted out the grace.

use crate::domain::{
    ContentHash, FileIdentity, Job, Known, Outcome, Report, Scan, SkipReason, Task, Touch,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::PathBuf,
};

mod files;
mod outlook;
mod scans;
mod settle;
mod shadow;
mod tasks;

pub use settle::{Quiet, Settle};
pub use shadow::Shadow;

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
    /// Something is due to be published that no file tells: what the owner says of the works, or a polished grid.
    Due,
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
    /// When this plan noticed it.
    since_ms: u64,
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
    /// How long the removal had been held before this plan was made, milliseconds; 0 once nothing is held.
    held_before_ms: u64,
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
            held_before_ms: 0,
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
            burst_ms: tasks::BURST_MS.0,
            scans: 0,
            now_ms: 0,
            inputs: 0,
        }
    }

    /// A removal had been held for so long when the last plan ended: if it still is, its grace goes on from there.
    pub fn go_on_holding(&mut self, held_ms: u64) {
        self.held_before_ms = held_ms;
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
            Input::Due => self.due = true,
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
                // Said when nothing is held, it must not lie in wait for the next removal; before the first scan it is
                // meant for what that finds.
                self.confirmed = self.held.is_some() || self.scans == 0;
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
            .map(|since| since + tasks::RENAME_MS)
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

    fn advance(&mut self, now_ms: u64, commands: &mut Vec<Command>) {
        if !self.scanning && self.scan_at.is_some_and(|at| at <= now_ms) {
            (self.scanning, self.scan_at) = (true, None);
            commands.push(Command::Scan);
        }
        if self.probe_at.is_some_and(|at| at <= now_ms) {
            let mut waiting = self.refused.iter().filter(|(_, refused)| refused.ours);
            let probe = waiting.next().map(|(path, _)| path);
            self.probe_at = probe.map(|_| now_ms + files::PROBE_MS);
            probe.inspect(|path| self.settle.hurry(path, now_ms));
        }
        commands.extend(self.settle.due(now_ms).into_iter().map(Command::Look));
        if let Some(shadow) = &mut self.shadow {
            let jobs = shadow.next(&self.placed, now_ms);
            commands.extend(jobs.into_iter().map(Command::Ingest));
        }
        if self.has_changes() && self.waiting_since.is_none() {
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
            // What becomes due while the task runs is not in it.
            self.due = false;
            self.running = Some(task.clone());
            self.waiting_since = None;
            commands.push(Command::Run(task));
        }
    }
}

#[cfg(test)]
mod tests;
