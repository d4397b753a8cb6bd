//! Renditions that placed works lack: after an upgrade, another `page.large_px`, a lost output folder.
//!
//! It owns which placed works are to be read for their rendition alone, and which are being read. Everything else goes
//! first; what comes in has its rendition made as it is read (`ingest`), so it never enters here.

use super::{
    rereads::{Follows, Rereads},
    table::Table,
};
use crate::domain::{Job, Outcome, Retry};
use std::{collections::BTreeSet, path::PathBuf};

/// Works read at a time: nobody waits for them.
const AT_ONCE: usize = 4;
/// When a work that could not be read or written is tried again.
const RETRY_MS: u64 = 3_600_000;
/// While many are made, what is made is published this often.
const SHOW_MS: u64 = 120_000;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Rendering {
    rereads: Rereads,
    /// Those that failed, and when they are tried again.
    failed: BTreeSet<PathBuf>,
    again_at: u64,
    /// Renditions made that are not published, and since when.
    made_since: Option<u64>,
}

impl Rendering {
    /// These placed works lack their rendition.
    pub(super) fn lack(&mut self, paths: Vec<PathBuf>) {
        let waits = |path: &PathBuf| self.rereads.is_reading(path) || self.failed.contains(path);
        self.rereads.todo = paths.into_iter().filter(|path| !waits(path)).collect();
    }

    /// Whether nothing can be made now.
    pub(super) fn is_over(&self) -> bool {
        self.rereads.left() == 0
    }

    /// When what failed is tried again.
    pub(super) fn again_at(&self) -> Option<u64> {
        (!self.failed.is_empty()).then_some(self.again_at)
    }

    /// The works to read now; one that is not placed any more is dropped.
    pub(super) fn next(&mut self, table: &Table, now_ms: u64) -> Vec<Job> {
        if self.is_over() && now_ms >= self.again_at {
            self.rereads.todo = std::mem::take(&mut self.failed);
        }
        self.rereads.next(table, AT_ONCE)
    }

    /// Takes an outcome that may be one of its own.
    pub(super) fn ingested(&mut self, outcome: &Outcome, now_ms: u64) -> Follows {
        if !self.rereads.ended(&outcome.job) {
            return Follows::NotOurs;
        }
        match &outcome.result {
            Ok(_) if outcome.render_error.is_none() => {
                self.made_since.get_or_insert(now_ms);
            }
            Err(refusal) if refusal.retry == Retry::Look => return Follows::Look,
            _ => {
                self.failed.insert(outcome.job.path.clone());
                self.again_at = now_ms + RETRY_MS;
            }
        }
        let shown = |since| self.is_over() || now_ms >= since + SHOW_MS;
        match self.made_since.is_some_and(shown) {
            true => {
                self.made_since = None;
                Follows::Publication
            }
            false => Follows::Nothing,
        }
    }
}
