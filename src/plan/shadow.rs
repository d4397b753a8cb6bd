//! Embedding in shadow: another model embeds the placed works while the old one still makes the mosaic.
//!
//! It owns which placed works are still to be read for the other model and which are being read. Arrivals go first:
//! only a few works are read in shadow at a time. New files are embedded by both models when they are read (`ingest`),
//! so they never come here. `daemon` decides which model takes over, and when.

use super::{
    rereads::{Follows, Rereads},
    table::Table,
};
use crate::domain::{Job, Outcome, Retry};
use std::{collections::BTreeSet, path::PathBuf};

/// Works read in shadow at a time: enough to fill an encoder's batch twice, few enough not to delay arrivals.
const AT_ONCE: usize = 16;
/// How long to wait when the state folder cannot be written.
const RETRY_MS: u64 = 5_000;
/// The other model does not take over when it fails on more than one work in this many.
const TOLERATED: usize = 10;

/// How far the other model is.
#[derive(Debug, Default)]
pub struct Shadow {
    rereads: Rereads,
    not_before: u64,
    total: usize,
    failed: usize,
    reason: Option<String>,
}

impl Shadow {
    /// The placed works that the other model has to embed.
    pub fn new(todo: impl IntoIterator<Item = PathBuf>) -> Self {
        let todo: BTreeSet<PathBuf> = todo.into_iter().collect();
        Self {
            total: todo.len(),
            rereads: Rereads::of(todo),
            ..Self::default()
        }
    }

    /// Works done and works in all.
    pub fn progress(&self) -> (usize, usize) {
        (self.total - self.rereads.left(), self.total)
    }

    /// Whether no work is left to be read.
    pub fn is_over(&self) -> bool {
        self.rereads.left() == 0
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
        (!self.rereads.todo.is_empty()).then_some(self.not_before)
    }

    /// The works to read now; one that is not placed any more is dropped.
    pub(super) fn next(&mut self, table: &Table, now_ms: u64) -> Vec<Job> {
        match now_ms >= self.not_before {
            true => self.rereads.next(table, AT_ONCE),
            false => Vec::new(),
        }
    }

    /// Takes an outcome that may belong to a shadow read.
    pub(super) fn ingested(&mut self, outcome: &Outcome, now_ms: u64) -> Follows {
        if !self.rereads.ended(&outcome.job) {
            return Follows::NotOurs;
        }
        let error = match &outcome.result {
            Ok(_) => outcome.next_error.clone(),
            Err(refusal) => match refusal.retry {
                Retry::Look => return Follows::Look,
                Retry::Wait => {
                    self.rereads.todo.insert(outcome.job.path.clone());
                    self.not_before = now_ms + RETRY_MS;
                    return Follows::Nothing;
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
        Follows::Nothing
    }
}
