//! Measures how long the steps of a publish take.

use std::time::Instant;

/// Measures steps one after another.
pub(super) struct Clock {
    last: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            last: Instant::now(),
        }
    }

    /// Milliseconds since the step before.
    pub(super) fn lap(&mut self) -> f64 {
        let ms = self.last.elapsed().as_secs_f64() * 1e3;
        self.last = Instant::now();
        ms
    }
}
