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

    /// Ends two stages at once: `first` took this many milliseconds of the time since the one before.
    pub(super) fn split(&mut self, first: &'static str, first_ms: f64, then: &'static str) {
        let first_took = Duration::try_from_secs_f64(first_ms / 1e3).unwrap_or_default();
        let rest = self.since.elapsed().saturating_sub(first_took);
        self.list.extend([(first, first_took), (then, rest)]);
        self.since = Instant::now();
    }
}
