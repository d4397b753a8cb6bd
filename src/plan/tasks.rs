//! When a task may begin, what it contains, and what follows from its end.
//!
//! It owns the waiting: for more files, for the other half of a rename, for the end of an import, and for a disk that
//! failed.

use super::{Command, Plan};
use crate::domain::{Report, Task};

/// How long a work that is gone waits for its new name to be noticed: the two halves of a rename may be noticed at
/// different times.
pub(super) const RENAME_MS: u64 = 150;
/// How long the first works of an import are waited for, and how long works that are gone wait for one.
const FIRST_MS: u64 = 15_000;
/// How long ready works wait at most until they are as many as those that are placed.
const IMPORT_MS: u64 = 300_000;
/// The same for each placed work: a small mosaic is soon arranged, so its works need not wait long for each other.
const IMPORT_WORK_MS: u64 = 5;
/// In a single pass, files still being written are waited for this long.
pub const LINGER_MS: u64 = 30_000;
/// Back-off after the store or the output failed (because of a full disk, for instance).
const HEAL_MS: (u64, u64) = (2_000, 30_000);

impl Plan {
    /// The task that runs ended.
    pub(super) fn done(&mut self, result: Result<Report, String>) -> Vec<Command> {
        let (Some(task), now_ms) = (self.running.take(), self.now_ms) else {
            return Vec::new();
        };
        if let Task::Apply { arrivals, gone } = &task {
            let arrived = arrivals.iter().map(|(job, _)| &job.path);
            self.table.end_task(arrived.chain(gone), result.is_ok());
        }
        let mut looks = Vec::new();
        match result {
            Ok(report) => {
                self.failing = None;
                self.pending.published(&report, now_ms);
                self.rendering.lack(report.unrendered);
                for path in report.missing {
                    self.table.damaged(&path);
                    looks.push(Command::Look(path));
                }
            }
            Err(reason) => {
                let tries = self.failing.as_ref().map_or(0, |(_, tries, _)| *tries) + 1;
                let wait_ms = (HEAL_MS.0 << (tries - 1).min(20)).min(HEAL_MS.1);
                self.failing = Some((reason, tries, now_ms + wait_ms));
                self.pending.due = true;
                self.pending.relayout |= task == Task::Relayout;
            }
        }
        self.waiting_since = self.has_changes().then_some(now_ms);
        looks
    }

    /// Whether works are ready to be placed or taken out.
    pub(super) fn has_changes(&self) -> bool {
        self.table.counts().ready + self.table.counts().gone > 0
    }

    /// Until when works that came or are gone wait, so that generations do not follow each other too fast.
    pub(super) fn rate_limited_until_ms(&self) -> u64 {
        let (every_ms, at_once) = self.settings.rate_limit.of(self.table.counts().placed);
        match self.urgent || self.settings.once {
            true => 0,
            false => self
                .steady_ms
                .saturating_sub(every_ms * at_once.saturating_sub(1)),
        }
    }

    /// How long ready changes wait for more.
    ///
    /// In a single pass they wait until all is read, so that what comes of it depends on the works alone, and not on how
    /// fast each was read. Elsewhere the works of an import wait until the mosaic doubles, but not for longer than it takes
    /// to arrange all of it a few times: each generation does that. Nothing waits for files that take long: a stranger could
    /// upload one after the other.
    pub(super) fn patience_ms(&self) -> u64 {
        let counts = self.table.counts();
        let is_import = counts.awaited() > 20.max(counts.placed / 20);
        match () {
            () if self.settings.once && counts.reading > 0 => u64::MAX,
            () if self.settings.once => LINGER_MS,
            () if !is_import => self.settings.gather_ms,
            () if counts.placed == 0 || counts.gone > 0 => FIRST_MS,
            () if counts.ready >= counts.placed => self.settings.gather_ms,
            // Nearly all is there, and nothing waits for a few files that are still being written.
            () if counts.reading == 0 && 4 * counts.settling < counts.ready => FIRST_MS,
            () => (IMPORT_WORK_MS * counts.placed as u64).clamp(FIRST_MS, IMPORT_MS),
        }
    }

    /// The task to begin now, if any may begin: none runs, the folder was scanned, and the back-off after a failure is
    /// over.
    ///
    /// - Works that came or are gone wait for files that are nearly ready, but not for long ([`Plan::patience_ms`]).
    /// - A work that is gone waits [`RENAME_MS`], and then as long as its file is on its way in under another name.
    /// - The rate of generations is limited ([`RateLimit`](super::RateLimit)); a work that its owner opts out does not wait.
    /// - While placed works are read again (another model or tile), readers keep the old mosaic until all are.
    /// - What is due without a change waits until no file is on its way in; a polished grid does not, because works that
    ///   come or go make it void.
    pub(super) fn next_task(&mut self) -> Option<Task> {
        let (now_ms, counts) = (self.now_ms, *self.table.counts());
        let heals = self.failing.as_ref().is_some_and(|(_, _, at)| *at > now_ms);
        if self.running.is_some() || self.scans == 0 || heals || counts.rereading > 0 {
            return None;
        }
        let waited = |ms| {
            self.waiting_since
                .is_some_and(|since| now_ms >= since.saturating_add(ms))
        };
        if counts.gone > 0 && !waited(RENAME_MS) {
            return None;
        }
        if self.rate_limited_until_ms() > now_ms {
            return None;
        }
        let (busy, changes) = (counts.reading + counts.settling > 0, self.has_changes());
        if busy && changes && !self.urgent && !waited(self.patience_ms()) {
            return None;
        }
        if changes || (self.pending.due && !busy) {
            let (arrivals, gone) = self.table.begin_task();
            if !arrivals.is_empty() || !gone.is_empty() || self.pending.due {
                // What becomes due while the task runs is not in it.
                self.pending.due = false;
                self.urgent = false;
                if !(arrivals.is_empty() && gone.is_empty()) {
                    let (every_ms, _) = self.settings.rate_limit.of(counts.placed);
                    self.steady_ms = self.steady_ms.max(now_ms).saturating_add(every_ms);
                    self.pending.void_polish();
                }
                return Some(Task::Apply { arrivals, gone });
            }
        }
        if std::mem::take(&mut self.pending.polished) {
            return Some(Task::Polish);
        }
        std::mem::take(&mut self.pending.relayout).then_some(Task::Relayout)
    }
}
