//! How long a new arrangement of many works will still take, estimated from their number.

use std::time::{Duration, Instant};

/// What a work costs in an arrangement of all until one was measured: map, grid and drawing on two cores.
const GUESS: Duration = Duration::from_micros(1_500);
/// Smaller arrangements are over before anybody reads of them, and their time per work says little.
const FEWEST: usize = 1_000;

/// The arrangement that is being made, and the time per work of the last one.
#[derive(Debug, Default)]
pub(super) struct TimeLeft {
    running: Option<(Instant, usize)>,
    measured: Option<Duration>,
}

impl TimeLeft {
    /// Takes note that so many works are being arranged together, or none; says how many seconds are left, as far as that
    /// can be told.
    pub(super) fn look(&mut self, works: Option<usize>, now: Instant) -> Option<u64> {
        let Some(works) = works.filter(|works| *works >= FEWEST) else {
            self.running = None;
            return None;
        };
        let (since, _) = *self.running.get_or_insert((now, works));
        let all = self.measured.unwrap_or(GUESS).mul_f64(works as f64);
        let left = all.saturating_sub(now.saturating_duration_since(since));
        // An estimate that was too low says nothing any more.
        (!left.is_zero()).then(|| left.as_secs() + 1)
    }

    /// The arrangement is made.
    pub(super) fn done(&mut self, now: Instant) {
        if let Some((since, works)) = self.running.take() {
            let took = now.saturating_duration_since(since);
            self.measured = Some(took.div_f64(works as f64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_falls_and_follows_the_speed_of_the_last_arrangement() {
        let (mut left, began) = (TimeLeft::default(), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(left.look(Some(20), began), None, "too few");
        assert_eq!(left.look(Some(10_000), began), Some(16));
        assert_eq!(left.look(Some(10_000), after(10)), Some(6));
        assert_eq!(
            left.look(Some(10_000), after(16)),
            None,
            "later than expected"
        );
        left.done(after(40));
        assert_eq!(left.look(Some(20_000), after(50)), Some(81), "4 ms a work");
        assert_eq!(left.look(None, after(51)), None);
    }
}
