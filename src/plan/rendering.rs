//! Renditions that placed works lack: after an upgrade, another `page.large_px`, a lost output folder.
//!
//! It owns which placed works are to be read for their rendition alone, and which are being read. Everything else goes
//! first; what comes in has its rendition made as it is read (`ingest`), so it never enters here.

use super::{entry::Placed, table::Table};
use crate::domain::{FileIdentity, Job, Outcome, Retry};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// Works read at a time: nobody waits for them.
const AT_ONCE: usize = 4;
/// When a work that could not be read or written is tried again.
const RETRY_MS: u64 = 3_600_000;
/// While many are made, what is made is published this often.
const SHOW_MS: u64 = 120_000;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Rendering {
    todo: BTreeSet<PathBuf>,
    reading: BTreeMap<PathBuf, FileIdentity>,
    /// Those that failed, and when they are tried again.
    failed: BTreeSet<PathBuf>,
    again_at: u64,
    /// Renditions made that are not published, and since when.
    made_since: Option<u64>,
}

/// What an outcome means to the plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was read for another reason.
    NotOurs,
    /// Nothing else follows.
    Done,
    /// It is time to publish what was made.
    Show,
    /// The file is another one now.
    Look,
}

impl Rendering {
    /// These placed works lack their rendition.
    pub(super) fn lack(&mut self, paths: Vec<PathBuf>) {
        let waits = |path: &PathBuf| self.reading.contains_key(path) || self.failed.contains(path);
        self.todo = paths.into_iter().filter(|path| !waits(path)).collect();
    }

    /// Whether nothing can be made now.
    pub(super) fn is_over(&self) -> bool {
        self.todo.is_empty() && self.reading.is_empty()
    }

    /// When what failed is tried again.
    pub(super) fn again_at(&self) -> Option<u64> {
        (!self.failed.is_empty()).then_some(self.again_at)
    }

    /// The works to read now; one that is not placed any more is dropped.
    pub(super) fn next(&mut self, table: &Table, now_ms: u64) -> Vec<Job> {
        if self.is_over() && now_ms >= self.again_at {
            self.todo = std::mem::take(&mut self.failed);
        }
        let mut jobs = Vec::new();
        while self.reading.len() < AT_ONCE {
            let Some(path) = self.todo.pop_first() else {
                break;
            };
            if let Some(Placed { identity, .. }) = table.get(&path).and_then(|e| e.placed) {
                self.reading.insert(path.clone(), identity);
                jobs.push(Job { path, identity });
            }
        }
        jobs
    }

    /// Takes an outcome that may be one of its own.
    pub(super) fn ingested(&mut self, outcome: &Outcome, now_ms: u64) -> Verdict {
        let Job { path, identity } = &outcome.job;
        if self.reading.get(path) != Some(identity) {
            return Verdict::NotOurs;
        }
        self.reading.remove(path);
        match &outcome.result {
            Ok(_) if outcome.render_error.is_none() => {
                self.made_since.get_or_insert(now_ms);
            }
            Err(refusal) if refusal.retry == Retry::Look => return Verdict::Look,
            _ => {
                self.failed.insert(path.clone());
                self.again_at = now_ms + RETRY_MS;
            }
        }
        let shown = |since| self.is_over() || now_ms >= since + SHOW_MS;
        match self.made_since.is_some_and(shown) {
            true => {
                self.made_since = None;
                Verdict::Show
            }
            false => Verdict::Done,
        }
    }
}
