//! What happens when nothing happens?
//!
//! [`Plan::next`] is asked after every input, and at each deadline without one. It looks at what is known and chooses what
//! to do, always in the same order: what readers wait for comes first, what can wait comes last, and nothing is begun
//! that would hold up something before it. All of it is pure: the daemon only carries the commands out.

use super::{Command, Plan};
use crate::domain::Report;
use std::collections::BTreeSet;

/// While files wait because of a fault on our side (a full state folder, for instance), one of them is tried this
/// often; when one succeeds, all the others follow at once.
pub(super) const PROBE_MS: u64 = 10_000;
/// The grid is polished and measured when nothing was published for this long: both take seconds in large collections.
const CALM_MS: u64 = 10_000;
/// After the grid was measured, it is not measured again for this many times as long as that took, not counting the first
/// second: 60,000 works take some 13 seconds of a processor.
const MEASURE_PAUSE: u64 = 60;
/// Old generations and unneeded cells are collected this often; the first time sooner, so that frequent restarts do not
/// put it off for good.
const COLLECT_MS: (u64, u64) = (10_000, 60_000);

/// Work that nobody waits for; it runs on its own thread or between two tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Background {
    /// A large map adapts further to its arrivals. Found: more of this work may be left.
    Relax,
    /// The whole grid is refined after many quick placements. Found: a better grid, to be published by a task.
    Polish,
    /// The quality of the arrangement is computed, and which works are one picture.
    Measure,
    /// Words are found for the published regions.
    Word,
    /// Old generations, and cells and embeddings that no work needs, are removed.
    Collect,
}

/// What is to be done apart from files, and what is being done in the background.
#[derive(Debug)]
pub(super) struct Pending {
    /// A publication is due although no file changed: at the start, or because the owner's titles, artists or links did.
    pub(super) due: bool,
    /// When a publication becomes due, because `mosaic.jpg` shows an older generation.
    due_at: Option<u64>,
    /// The owner asked for a new layout.
    pub(super) relayout: bool,
    /// A polished grid is to be published.
    pub(super) polished: bool,
    /// Whether works have come or gone while the grid is polished: its result cannot be used.
    void: bool,
    /// Background work that is to be done.
    wanted: BTreeSet<Background>,
    /// Background work that is being done.
    working: BTreeSet<Background>,
    /// When the grid began to be measured, if it is being measured.
    measuring_since: Option<u64>,
    /// Before this time the grid is not measured again.
    measure_at: u64,
    /// When something was published last; `None` before the first time.
    published_ms: Option<u64>,
    /// When to collect next.
    collect_at: Option<u64>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            due: true,
            due_at: None,
            relayout: false,
            polished: false,
            void: false,
            wanted: BTreeSet::new(),
            working: BTreeSet::new(),
            measuring_since: None,
            measure_at: 0,
            published_ms: None,
            collect_at: None,
        }
    }
}

impl Pending {
    /// A task ended well: its map may be relaxed, what it published is to be measured, and so on.
    pub(super) fn published(&mut self, report: &Report, now_ms: u64) {
        self.due_at = report.due_ms.map(|ms| now_ms.saturating_add(ms));
        match report.wants_polish {
            true => self.wanted.insert(Background::Polish),
            false => self.wanted.remove(&Background::Polish),
        };
        if report.changed || self.published_ms.is_none() {
            self.published_ms = Some(now_ms);
            let new = [Background::Relax, Background::Measure, Background::Word];
            self.wanted.extend(new);
        }
    }

    /// Background work ended.
    pub(super) fn ended(&mut self, work: Background, found: bool, now_ms: u64) {
        self.working.remove(&work);
        match work {
            Background::Measure => {
                let took_ms = self.measuring_since.take().map_or(0, |ms| now_ms - ms);
                let pause_ms = took_ms.saturating_sub(1_000).saturating_mul(MEASURE_PAUSE);
                self.measure_at = now_ms.saturating_add(pause_ms);
            }
            Background::Relax if found => drop(self.wanted.insert(work)),
            Background::Polish => self.polished = found && !std::mem::take(&mut self.void),
            _ => {}
        }
    }

    /// Works come or go: a polish of the grid as it was cannot be used any more.
    pub(super) fn void_polish(&mut self) {
        self.polished = false;
        self.void = self.working.contains(&Background::Polish);
    }

    /// Whether a task has ended well.
    pub(super) fn has_published(&self) -> bool {
        self.published_ms.is_some()
    }

    /// Whether background work is being done that takes a while.
    pub(super) fn is_working(&self) -> bool {
        !self.working.is_empty()
    }
}

impl Plan {
    /// Chooses what to do now:
    ///
    /// 1. a scan, if one is due, and none is going on;
    /// 2. a look at every file whose wait is over, and at one of those that wait for room;
    /// 3. reading placed works for another model, a few at a time;
    /// 4. if nothing else is to be done, reading placed works for their renditions, a few at a time;
    /// 5. a task, if none runs (see [`Plan::next_task`] for when): works that came or are gone and what the owner says
    ///    of them; then a polished grid; then a new layout;
    /// 6. background work, if nothing is being read or placed (see [`Plan::next_background`]): relax, polish, measure,
    ///    word, collect.
    pub(super) fn next(&mut self, commands: &mut Vec<Command>) {
        let now_ms = self.now_ms;
        if !self.scanning && self.scan_at.is_some_and(|at| at <= now_ms) {
            (self.scanning, self.scan_at) = (true, None);
            commands.push(Command::Scan);
        }
        if self.probe_at.is_some_and(|at| at <= now_ms) {
            let waiting = self.table.counts().ours > 0;
            self.probe_at = waiting.then_some(now_ms + PROBE_MS);
            self.table.try_ours(true, now_ms);
        }
        let due = self.table.due(now_ms).into_iter();
        commands.extend(due.map(Command::Look));
        if let Some(shadow) = &mut self.shadow {
            let jobs = shadow.next(&self.table, now_ms);
            commands.extend(jobs.into_iter().map(Command::Ingest));
        }
        if self.is_quiet() {
            let jobs = self.rendering.next(&self.table, now_ms);
            commands.extend(jobs.into_iter().map(Command::Ingest));
        }
        self.pending.due |= self.pending.due_at.take_if(|at| *at <= now_ms).is_some();
        if self.has_changes() && self.waiting_since.is_none() {
            self.waiting_since = Some(now_ms);
        }
        if let Some(task) = self.next_task() {
            self.running = Some(task.clone());
            self.waiting_since = None;
            commands.push(Command::Run(task));
        }
        commands.extend(self.next_background().map(Command::Background));
    }

    /// Background work to begin now, one at a time, and only while no task runs and no file is being read (files that take
    /// long do not count):
    ///
    /// 1. relax, as soon as nothing else is to be done: the next generation then shows the points where they belong;
    /// 2. the others once nothing was published for [`CALM_MS`], so that arrivals do not compete with them: a polish
    ///    before the measuring, which it makes out of date, if this is the time for one ([`PolishTime`](super::PolishTime)),
    ///    and the words last, which come from the measured generation; the measuring keeps a pause ([`MEASURE_PAUSE`]);
    /// 3. a collection, every minute.
    ///
    /// A single pass neither relaxes nor collects, and waits for nothing.
    pub(super) fn next_background(&mut self) -> Option<Background> {
        let (now_ms, once, idle) = (self.now_ms, self.settings.once, self.is_quiet());
        let scanned = self.has_scanned();
        let polishes = self.settings.polish.allows(self.local);
        let pending = &mut self.pending;
        let collect_at = *pending.collect_at.get_or_insert(now_ms + COLLECT_MS.0);
        if !(self.running.is_none() && self.table.is_calm()) {
            return None;
        }
        let calm = |ms: u64| once || now_ms >= ms.saturating_add(CALM_MS);
        let calm = pending.published_ms.is_some_and(calm);
        let busy = pending.is_working();
        let wanted = |work| pending.wanted.contains(&work);
        let work = match () {
            () if wanted(Background::Relax) && idle && !once && !busy => Background::Relax,
            () if wanted(Background::Polish) && polishes && idle && calm && !busy => {
                Background::Polish
            }
            () if wanted(Background::Measure)
                && (once || now_ms >= pending.measure_at)
                && calm
                && !busy =>
            {
                Background::Measure
            }
            () if wanted(Background::Word) && !wanted(Background::Measure) && calm && !busy => {
                Background::Word
            }
            // Before the first scan nobody knows what is still to be placed.
            () if !once && scanned && now_ms >= collect_at => {
                pending.collect_at = Some(now_ms + COLLECT_MS.1);
                return Some(Background::Collect);
            }
            () => return None,
        };
        pending.wanted.remove(&work);
        pending.working.insert(work);
        if work == Background::Measure {
            pending.measuring_since = Some(now_ms);
        }
        Some(work)
    }

    /// When [`Input::Tick`](super::Input::Tick) is needed at the latest.
    pub fn next_deadline(&self) -> Option<u64> {
        let since = self.waiting_since.filter(|_| self.running.is_none());
        let patience = since.map(|since| since.saturating_add(self.patience_ms()));
        let renames = since.filter(|_| self.table.counts().gone > 0);
        let heals = self.failing.as_ref().map(|(_, _, at)| *at);
        let calm = self.pending.published_ms.map(|at| at + CALM_MS);
        let shadow = self.shadow.as_ref().and_then(|shadow| shadow.not_before());
        let future = [
            patience,
            since.map(|_| self.rate_limited_until_ms()),
            renames.map(|since| since + super::tasks::RENAME_MS),
            heals,
            shadow,
            calm.filter(|_| !self.pending.wanted.is_empty()),
            Some(self.pending.measure_at)
                .filter(|_| self.pending.wanted.contains(&Background::Measure)),
            self.rendering.again_at(),
            self.pending.due_at,
            self.pending.collect_at.filter(|_| !self.settings.once),
        ];
        let future = future.into_iter().flatten().filter(|at| *at > self.now_ms);
        let scan = self.scan_at.filter(|_| !self.scanning);
        let any = [scan, self.table.next_deadline_ms(), self.probe_at];
        future.chain(any.into_iter().flatten()).min()
    }
}
