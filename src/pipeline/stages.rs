//! How long each stage of a task took.

use std::time::{Duration, Instant};

/// The stages of one task and how long each took.
pub(super) struct Stages {
    since: Instant,
    pub(super) list: Vec<(&'static str, Duration)>,
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            list: Vec::new(),
        }
    }
}

impl Stages {
    /// Ends a stage: it took the time since the one before.
    pub(super) fn done(&mut self, stage: &'static str) {
        self.list.push((stage, self.since.elapsed()));
        self.since = Instant::now();
    }
}
