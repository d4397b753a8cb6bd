//! How changes are noticed: kernel events where they can be trusted, scans alone otherwise.
//!
//! It owns the watchers, the patterns in force, and what is known of the artwork folders themselves. `plan` decides
//! what is done about a change.

use super::{Event, chain, wall_ms};
use crate::{
    config::{Config, WatchMode},
    describe::Mistake,
    domain::FileIdentity,
    parameters,
    pipeline::portable,
    plan::Input,
    watch::{RootId, Roots, Rules, Scan, SkipReason, WatchEvent, Watchers},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// Without events, scans come this often, and at most a tenth of the time is spent scanning.
const POLL: Duration = Duration::from_secs(3);
/// How long to wait at most until an ignore file or a table is closed.
const WRITING: Duration = Duration::from_secs(600);
/// Ignore files and own folders named in the status at most.
const NAMED: usize = 5;
/// A watcher that failed is restarted this often; all others are asked whether they still answer.
const WATCH_AGAIN: Duration = Duration::from_secs(60);

/// The watchers of the artwork folders.
pub(super) struct Watching {
    roots: Roots,
    mode: WatchMode,
    /// A single pass scans once and watches nothing.
    once: bool,
    rules: Rules,
    watcher: Option<Watchers>,
    /// Why changes are noticed by scans alone; `None` while events come.
    blind: Option<String>,
    watch_tried: Instant,
    root_ids: Vec<Option<RootId>>,
    scan_asked: Instant,
    scan_took: Duration,
    /// When a scan is due because something has not settled.
    scan_at: Option<Instant>,
    /// The owner's files that are being written, and since when.
    writing: BTreeMap<PathBuf, Instant>,
    /// The mounts that concern the artwork folders.
    mounts: String,
    /// The owner's files that lie elsewhere.
    elsewhere: Vec<Option<FileIdentity>>,
    /// Whether some lines in `artworks.csv` files name no work yet.
    unmatched: bool,
    /// mosaicd's own folders that the last scan met.
    own: Vec<PathBuf>,
}

/// What a regular check of the watchers found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing changed.
    Same,
    /// A scan is due.
    Scan,
    /// An artwork folder was replaced or is gone; a scan is due.
    OtherRoot,
}

impl Watching {
    pub(super) fn new(config: &Config, once: bool) -> Self {
        let now = Instant::now();
        Self {
            roots: parameters::roots(config),
            mode: config.watch.mode,
            once,
            rules: Rules::default(),
            watcher: None,
            blind: None,
            watch_tried: now,
            root_ids: Vec::new(),
            scan_asked: now,
            scan_took: Duration::ZERO,
            scan_at: None,
            writing: BTreeMap::new(),
            mounts: String::new(),
            elsewhere: Vec::new(),
            unmatched: false,
            own: Vec::new(),
        }
    }

    /// Starts to watch, where events are wanted and can be trusted; `events` is told when there are some.
    pub(super) fn watch(&mut self, events: &UnboundedSender<Event>) {
        self.root_ids = self.roots.ids();
        self.mounts = self.roots.mounts();
        self.elsewhere = self.roots.elsewhere();
        self.watcher = None;
        self.watch_tried = Instant::now();
        if self.once {
            self.blind = None;
            return;
        }
        let network = self.roots.any_on_network();
        if self.mode == WatchMode::Scan || (network && self.mode == WatchMode::Auto) {
            self.blind =
                Some("watch.mode is \"scan\", or the folder is on a network file system".into());
            return;
        }
        let events = events.clone();
        match self.roots.watch(move || drop(events.send(Event::Woken))) {
            Ok(watcher) => (self.watcher, self.blind) = (Some(watcher), None),
            Err(error) => self.blind = Some(chain(&error)),
        }
    }

    /// What the watchers saw since they were asked last.
    pub(super) fn drain(&self) -> Vec<WatchEvent> {
        self.watcher.as_ref().map_or(Vec::new(), Watchers::drain)
    }

    /// The watchers failed.
    pub(super) fn failed(&mut self, error: String) {
        self.blind = Some(error);
    }

    /// A scan is being made.
    pub(super) fn scan_asked(&mut self) {
        self.scan_asked = Instant::now();
    }

    /// A scan ended; `took` is its duration. Returns whether the patterns in force have changed. Folders that nothing
    /// watches yet are watched from now on.
    pub(super) fn scanned(
        &mut self,
        took: Duration,
        rules: Option<Rules>,
        folders: Option<&BTreeMap<PathBuf, RootId>>,
    ) -> bool {
        self.scan_took = took;
        if let (Some(watcher), Some(folders)) = (&self.watcher, folders) {
            watcher.cover(folders);
        }
        let Some(rules) = rules else {
            return false;
        };
        self.scan_at = rules.again().map(|wait| Instant::now() + wait);
        let changed = self.rules.digest() != rules.digest();
        self.rules = rules;
        changed
    }

    /// What else a scan found.
    pub(super) fn found(&mut self, scan: &Scan) {
        let own = scan.skipped.iter();
        let own = own.filter(|(_, reason)| **reason == SkipReason::Own);
        self.own = own.map(|(path, _)| path.clone()).collect();
    }

    /// An ignore file or a table changed; `writing` says whether it is being written.
    pub(super) fn instructed(&mut self, path: PathBuf, writing: bool) {
        match writing {
            true => drop(self.writing.entry(path).or_insert_with(Instant::now)),
            false => drop(self.writing.remove(&path)),
        }
    }

    /// Events were lost, among them that a file was closed.
    pub(super) fn lost(&mut self) {
        self.writing.clear();
    }

    /// The owner's files that are being written.
    pub(super) fn writing(&mut self) -> BTreeSet<PathBuf> {
        self.writing.retain(|_, since| since.elapsed() < WRITING);
        self.writing.keys().cloned().collect()
    }

    /// The owner's tables were read.
    pub(super) fn described(&mut self, mistakes: &[Mistake]) {
        self.unmatched = !mistakes.is_empty();
    }

    /// A generation was published: lines in `artworks.csv` that named no work may name one now.
    pub(super) fn published(&mut self) {
        if self.unmatched && self.scan_at.is_none() {
            self.scan_at = Some(Instant::now());
        }
    }

    /// Whether a scan is due because something has not settled.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.scan_at.is_some_and(|at| at <= Instant::now());
        due && self.scan_at.take().is_some()
    }

    /// Whether every ignore file has settled, as of the last scan.
    pub(super) fn has_settled(&self) -> bool {
        self.rules.again().is_none()
    }

    /// What keeps files from being shown as their owner wants: what it is, and what to do.
    pub(super) fn conditions(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let troubles = self.rules.troubles();
        for trouble in troubles.iter().take(NAMED) {
            all.push((
                format!("the ignore file {} {}", portable(&trouble.file), trouble.what),
                "save it as plain text in UTF-8, one pattern a line, readable by mosaicd; `mosaicd validate` checks it".to_owned(),
            ));
        }
        if let Some(more) = troubles.len().checked_sub(NAMED + 1) {
            all.push((
                format!(
                    "{} more ignore files are not in force as they are",
                    more + 1
                ),
                "`mosaicd validate` names them".to_owned(),
            ));
        }
        for own in self.own.iter().take(NAMED) {
            all.push((
                format!("mosaicd's own output or state folder is reached through {}", portable(own)),
                "unmount it there, or choose another output or state folder; nothing in it is shown".to_owned(),
            ));
        }
        all
    }

    /// The patterns in force at the last scan.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Why changes are noticed by scans alone though that is not what was asked for.
    pub(super) fn blind(&self) -> Option<&str> {
        let blind = self.blind.as_deref();
        blind.filter(|_| self.mode != WatchMode::Scan)
    }

    /// Looks at a path.
    pub(super) fn look(&mut self, path: PathBuf) -> Input {
        let wall_ms = wall_ms();
        match self.roots.look(&path, &self.rules) {
            Ok(scan) => {
                let changed = |reason: &SkipReason| *reason == SkipReason::RulesChanged;
                if self.scan_at.is_none() && scan.skipped.values().any(changed) {
                    self.scan_at = Some(Instant::now());
                }
                Input::Looked {
                    path,
                    scan,
                    wall_ms,
                }
            }
            // The artwork folder itself is not there: the scan will say so.
            Err(_) => Input::Rescan,
        }
    }

    /// Checks everything that no event reports; call it about once a second.
    pub(super) fn beat(&mut self, events: &UnboundedSender<Event>) -> Check {
        if self.roots.ids() != self.root_ids {
            self.watch(events);
            return Check::OtherRoot;
        }
        let mounts = self.roots.mounts();
        if self.mounts != mounts {
            tracing::info!("something was mounted or unmounted at the artwork folders; scanning");
            self.mounts = mounts;
            return Check::Scan;
        }
        let elsewhere = self.roots.elsewhere();
        if self.elsewhere != elsewhere {
            self.elsewhere = elsewhere;
            return Check::Scan;
        }
        if self.is_due() {
            return Check::Scan;
        }
        let again = self.watch_tried.elapsed() > WATCH_AGAIN;
        match (&self.watcher, self.blind.is_some()) {
            (Some(watcher), false) if again => {
                self.watch_tried = Instant::now();
                if watcher.are_alive() {
                    return Check::Same;
                }
                tracing::warn!("the watcher does not answer; starting another one, and scanning");
                self.watch(events);
                return Check::Scan;
            }
            (_, false) => return Check::Same,
            (_, true) if again => {
                self.watch(events);
                if self.blind.is_none() {
                    return Check::Scan;
                }
            }
            (_, true) => {}
        }
        let pause = POLL.max(10 * self.scan_took);
        if self.scan_asked.elapsed() > pause {
            Check::Scan
        } else {
            Check::Same
        }
    }
}
