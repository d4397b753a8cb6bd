//! When to rebuild, with what, and what a rebuild's end means.
//!
//! It owns the waiting: for company, for the other half of a rename, for the end of an import, and for a disk that
//! failed.

use super::Plan;
use crate::domain::{ContentHash, Job, Report, Task};
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

/// How long a work that is gone waits for its new name to be noticed: the halves of a rename may come apart.
pub(super) const RENAME_MS: u64 = 150;
/// How long ready files wait for company while an import is going on; doubles with every generation of the import.
pub(super) const BURST_MS: (u64, u64) = (15_000, 120_000);
/// Back-off after the store or the output failed (disk full, say).
const HEAL_MS: (u64, u64) = (2_000, 30_000);

impl Plan {
    pub(super) fn done(&mut self, result: Result<Report, String>, now_ms: u64) {
        let Some(task) = self.running.take() else {
            return;
        };
        self.placing.clear();
        self.leaving.clear();
        match result {
            Ok(_) => {
                self.failing = None;
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
        self.waiting_since = self.has_changes().then_some(now_ms);
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

    /// Whether works are ready to be placed or taken out.
    pub(super) fn has_changes(&self) -> bool {
        !(self.ready.is_empty() && self.gone.is_empty())
    }

    /// How long ready changes wait for company.
    pub(super) fn patience(&self) -> u64 {
        let incoming = self.pending();
        if incoming > 20.max(self.placed.len() / 5) {
            self.burst_ms
        } else {
            self.settings.gather_ms
        }
    }

    pub(super) fn next_task(&mut self, now_ms: u64) -> Option<Task> {
        if self.failing.as_ref().is_some_and(|(_, _, at)| *at > now_ms) {
            return None;
        }
        let busy = !self.in_flight.is_empty() || self.settling() > 0;
        let changes = self.has_changes();
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
