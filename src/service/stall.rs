//! Whether work goes on, for the watchdog. Pure; times are milliseconds of any monotonic clock.

/// Follows one kind of work.
#[derive(Clone, Copy, Debug, Default)]
pub struct StallTimer {
    /// How much was done when it was seen to advance last, and when that was; `None` while nothing is under way.
    last: Option<(u64, u64)>,
}

impl StallTimer {
    /// Takes whether work is under way and how much of it has been done so far (any number that grows). Returns whether
    /// nothing was done for `limit_ms`.
    pub fn is_stuck(&mut self, under_way: bool, done: u64, now_ms: u64, limit_ms: u64) -> bool {
        let (seen, since_ms) = match self.last {
            Some((seen, since_ms)) if under_way && seen == done => (seen, since_ms),
            _ => (done, now_ms),
        };
        self.last = under_way.then_some((seen, since_ms));
        now_ms.saturating_sub(since_ms) >= limit_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_that_does_not_advance_is_stuck() {
        let mut timer = StallTimer::default();
        assert!(!timer.is_stuck(false, 0, 0, 100));
        assert!(!timer.is_stuck(false, 0, 1_000, 100), "idle is fine");
        assert!(!timer.is_stuck(true, 0, 1_010, 100));
        assert!(!timer.is_stuck(true, 0, 1_109, 100));
        assert!(timer.is_stuck(true, 0, 1_110, 100));
        assert!(!timer.is_stuck(true, 1, 1_120, 100), "it went on");
        assert!(!timer.is_stuck(true, 1, 1_219, 100));
        assert!(timer.is_stuck(true, 1, 1_220, 100));
        assert!(!timer.is_stuck(false, 1, 1_230, 100));
        assert!(!timer.is_stuck(true, 1, 1_240, 100), "new work");
    }
}
