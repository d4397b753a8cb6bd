//! Placed works that are read again for something besides their place: another model, a rendition.
//!
//! It owns which of them are still to be read and which are being read, so that an outcome can be told from that of a
//! read for the mosaic.

use super::{entry::Placed, table::Table};
use crate::domain::{FileIdentity, Job};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The works of one reason.
#[derive(Debug, Default)]
pub(super) struct Rereads {
    /// Still to be read.
    pub(super) todo: BTreeSet<PathBuf>,
    reading: BTreeMap<PathBuf, FileIdentity>,
}

/// What follows from an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// It was read for another reason: this is for others to say.
    NotOurs,
    Nothing,
    /// It is time to publish what was made.
    Publication,
    /// The file was changed or replaced: it is looked at.
    Look,
}

impl Rereads {
    /// These are to be read.
    pub(super) fn of(todo: BTreeSet<PathBuf>) -> Self {
        let reading = BTreeMap::new();
        Self { todo, reading }
    }

    /// Works that are not read yet.
    pub(super) fn left(&self) -> usize {
        self.todo.len() + self.reading.len()
    }

    /// Whether a work is being read.
    pub(super) fn is_reading(&self, path: &Path) -> bool {
        self.reading.contains_key(path)
    }

    /// The works to read now, so that `at_once` are being read; one that is not placed any more is dropped.
    pub(super) fn next(&mut self, table: &Table, at_once: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while self.reading.len() < at_once {
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

    /// A read ended; whether it was one of these.
    pub(super) fn ended(&mut self, job: &Job) -> bool {
        let ours = self.reading.get(&job.path) == Some(&job.identity);
        if ours {
            self.reading.remove(&job.path);
        }
        ours
    }
}
