//! When a task may begin, what it contains, and what follows from its end.
//!
//! It owns the waiting: for more files, for the other half of a rename, for the end of an import, and for a disk that
//! failed.

use super::{Command, Plan};
use crate::domain::{Report, Task};

/// How long a work that is gone waits for its new name to be noticed: the halves of a rename may come apart.
pub(super) const RENAME_MS: u64 = 150;
/// How long ready files wait for more files while an import is going on; doubles with every generation of the import.
pub(super) const BURST_MS: (u64, u64) = (15_000, 120_000);
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
                let going_on = self.pending() > 0;
                let longer = (2 * self.burst_ms).min(BURST_MS.1);
                self.burst_ms = if going_on { longer } else { BURST_MS.0 };
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

    /// How long ready changes wait for more.
    pub(super) fn patience_ms(&self) -> u64 {
        match self.pending() > 20.max(self.table.counts().placed / 5) {
            true => self.burst_ms,
            false => self.settings.gather_ms,
        }
    }

    /// The task to begin now, if any may begin: none runs, the folder was scanned, and the back-off after a failure is
    /// over.
    ///
    /// - Works that came or are gone wait for files that are nearly ready, but not for long ([`Plan::patience_ms`]).
    /// - A work that is gone waits [`RENAME_MS`], and then as long as its file is on its way in under another name.
    /// - While placed works are read again (another model or tile), readers keep the old mosaic until all are.
    /// - What is due without a change waits until no file is on its way in; a polished grid does not, because works that
    ///   come or go make it void.
    pub(super) fn next_task(&mut self) -> Option<Task> {
        let (now_ms, counts) = (self.now_ms, *self.table.counts());
        let heals = self.failing.as_ref().is_some_and(|(_, _, at)| *at > now_ms);
        if self.running.is_some() || self.scans == 0 || heals || counts.rereading > 0 {
            return None;
        }
        let waited = |ms| self.waiting_since.is_some_and(|since| now_ms >= since + ms);
        if counts.gone > 0 && !waited(RENAME_MS) {
            return None;
        }
        let (busy, changes) = (counts.reading + counts.settling > 0, self.has_changes());
        if busy && changes && !waited(self.patience_ms()) {
            return None;
        }
        if changes || (self.pending.due && !busy) {
            let (arrivals, gone) = self.table.begin_task();
            if !arrivals.is_empty() || !gone.is_empty() || self.pending.due {
                // What becomes due while the task runs is not in it.
                self.pending.due = false;
                if !(arrivals.is_empty() && gone.is_empty()) {
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
