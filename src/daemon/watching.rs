//! How changes are noticed: kernel events where they can be trusted, scans alone otherwise.
//!
//! It owns the watchers, the patterns in force, and what is known of the artwork folders themselves. What is done
//! about a change is `plan`'s.

use super::{Event, chain, wall_ms};
use crate::{
    config::{Config, WatchMode},
    parameters,
    plan::Input,
    watch::{RootId, Roots, Rules, WatchEvent, Watchers},
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// Without events, scans come this often, and at most a tenth of the time is spent scanning.
const POLL: Duration = Duration::from_secs(3);
/// A watcher that failed is started again this often, and any other asked whether it still answers.
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
}

/// What the watchers say of themselves once in a while.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// All is as it was.
    Same,
    /// A scan is due.
    Scan,
    /// An artwork folder is another one now, or gone; a scan is due.
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
        }
    }

    /// Starts to watch, where events are wanted and can be trusted; `events` is told when there are some.
    pub(super) fn watch(&mut self, events: &UnboundedSender<Event>) {
        self.root_ids = self.roots.ids();
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

    /// A scan ended that took so long; says whether the patterns that were in force are other ones than before.
    pub(super) fn scanned(&mut self, took: Duration, rules: Rules) -> bool {
        self.scan_took = took;
        let changed = self.rules.digest() != rules.digest();
        self.rules = rules;
        changed
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
    pub(super) fn look(&self, path: PathBuf) -> Input {
        let wall_ms = wall_ms();
        match self.roots.look(&path, &self.rules) {
            Ok(scan) => Input::Looked {
                path,
                scan,
                wall_ms,
            },
            // The artwork folder itself is not there: the scan will say so.
            Err(_) => Input::Rescan,
        }
    }

    /// Everything that no event tells; to be asked about once a second.
    pub(super) fn beat(&mut self, events: &UnboundedSender<Event>) -> Check {
        if self.roots.ids() != self.root_ids {
            self.watch(events);
            return Check::OtherRoot;
        }
        let again = self.watch_tried.elapsed() > WATCH_AGAIN;
        match (&self.watcher, self.blind.is_some()) {
            (Some(watcher), false) if again => {
                self.watch_tried = Instant::now();
                if watcher.are_alive() {
                    return Check::Same;
                }
                tracing::warn!("the watcher does not answer; watching again, and scanning");
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
