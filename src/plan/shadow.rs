//! Embedding in shadow: another model embeds the placed works while the mosaic goes on under the old one.
//!
//! It owns which placed works are still to be read for the other model and which are being read. Arrivals go first:
//! only a few works are read in shadow at a time. New files are embedded by both models when they are read (`ingest`),
//! so they never come here. `daemon` decides which model takes over, and when.

use super::{entry::Placed, table::Table};
use crate::domain::{FileIdentity, Job, Outcome, Retry};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// Works read in shadow at a time: enough to fill an encoder's batch twice, few enough not to delay arrivals.
const AT_ONCE: usize = 16;
/// How long to wait when the state folder cannot be written.
const RETRY_MS: u64 = 5_000;
/// The other model does not take over when it fails on more than one work in this many.
const TOLERATED: usize = 10;

/// How far the other model is.
#[derive(Debug, Default)]
pub struct Shadow {
    todo: BTreeSet<PathBuf>,
    reading: BTreeMap<PathBuf, FileIdentity>,
    not_before: u64,
    total: usize,
    failed: usize,
    reason: Option<String>,
}

/// What an outcome means to the plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was read for the placed mosaic.
    NotOurs,
    /// It was read in shadow alone: nothing else follows.
    Done,
    /// The file is another one now.
    Look,
}

impl Shadow {
    /// The placed works that the other model has to embed.
    pub fn new(todo: impl IntoIterator<Item = PathBuf>) -> Self {
        let todo: BTreeSet<PathBuf> = todo.into_iter().collect();
        Self {
            total: todo.len(),
            todo,
            ..Self::default()
        }
    }

    /// Works done and works in all.
    pub fn progress(&self) -> (usize, usize) {
        (
            self.total - self.todo.len() - self.reading.len(),
            self.total,
        )
    }

    /// Whether no work is left to be read.
    pub fn is_over(&self) -> bool {
        self.todo.is_empty() && self.reading.is_empty()
    }

    /// Whether no work is left to be read and nearly all could be embedded.
    pub fn is_complete(&self) -> bool {
        self.is_over() && self.failed * TOLERATED <= self.total
    }

    /// Works that the other model failed on, and why it did last.
    pub fn failures(&self) -> Option<(usize, &str)> {
        self.reason.as_deref().map(|reason| (self.failed, reason))
    }

    /// Until when nothing is to be read.
    pub(super) fn not_before(&self) -> Option<u64> {
        (!self.todo.is_empty()).then_some(self.not_before)
    }

    /// The works to read now; one that is not placed any more is dropped.
    pub(super) fn next(&mut self, table: &Table, now_ms: u64) -> Vec<Job> {
        let mut jobs = Vec::new();
        while now_ms >= self.not_before && self.reading.len() < AT_ONCE {
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

    /// Takes an outcome that may belong to a shadow read.
    pub(super) fn ingested(&mut self, outcome: &Outcome, now_ms: u64) -> Verdict {
        let Job { path, identity } = &outcome.job;
        if self.reading.get(path) != Some(identity) {
            return Verdict::NotOurs;
        }
        self.reading.remove(path);
        let error = match &outcome.result {
            Ok(_) => outcome.next_error.clone(),
            Err(refusal) => match refusal.retry {
                Retry::Look => return Verdict::Look,
                Retry::Wait => {
                    self.todo.insert(path.clone());
                    self.not_before = now_ms + RETRY_MS;
                    return Verdict::Done;
                }
                Retry::Later | Retry::WhenChanged | Retry::NoPicture => {
                    Some(refusal.reason.clone())
                }
            },
        };
        if let Some(error) = error {
            self.failed += 1;
            self.reason = Some(error);
        }
        Verdict::Done
    }
}
