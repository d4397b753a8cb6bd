//! A rate limit for repeated warnings, so that 100,000 bad files do not become 100,000 log lines.
//!
//! Pure: time is an argument (milliseconds of any clock that does not go back). A kind of warning may be logged `burst`
//! times, then once per `every_ms`; warnings in between are counted, and the next line says how many there were. Memory
//! is bounded by [`MAX_KINDS`]. [`Complaints`] is the shell around it that reads a clock and logs the lines. [`Said`]
//! is for messages that are logged once only.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

/// Of each kind of warning, three are said at once, and then one every ten minutes.
const WARNINGS: (u32, u64) = (3, 600_000);

/// Kinds kept at most; the one said longest ago is forgotten first.
pub const MAX_KINDS: usize = 256;

/// Things that [`Said`] remembers at most, 16 bytes each.
const MAX_SAID: usize = 100_000;

/// Remembers what was said, so that it is said once.
///
/// It keeps hashes alone. When it is full it forgets everything, and things may be said once more.
#[derive(Clone, Debug, Default)]
pub struct Said(HashSet<u64>);

impl Said {
    /// Whether this has not been said yet; from now on it has.
    pub fn is_news(&mut self, what: impl Hash) -> bool {
        if self.0.len() >= MAX_SAID {
            self.0.clear();
        }
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.0.insert(hasher.finish())
    }
}

/// Decides which repeated warnings are said.
#[derive(Clone, Debug)]
pub struct Limited {
    burst: u32,
    every_ms: u64,
    kinds: BTreeMap<String, Kind>,
}

#[derive(Clone, Debug)]
struct Kind {
    /// Lines that may still be said without waiting.
    left: u32,
    said_ms: u64,
    held_back: u64,
}

impl Limited {
    /// Allows `burst` lines of a kind at once (at least 1), then one per `every_ms`.
    pub fn new(burst: u32, every_ms: u64) -> Self {
        Self {
            burst: burst.max(1),
            every_ms: every_ms.max(1),
            kinds: BTreeMap::new(),
        }
    }

    /// Asks to say a warning of this kind: `Some(held_back)` says it, with how many were held back before; `None`
    /// holds it back.
    pub fn admit(&mut self, kind: &str, now_ms: u64) -> Option<u64> {
        if !self.kinds.contains_key(kind) {
            self.make_room();
        }
        let (burst, every_ms) = (self.burst, self.every_ms);
        let entry = self.kinds.entry(kind.to_owned()).or_insert(Kind {
            left: burst,
            said_ms: now_ms,
            held_back: 0,
        });
        let earned = now_ms.saturating_sub(entry.said_ms) / every_ms;
        entry.left = entry
            .left
            .saturating_add(u32::try_from(earned).unwrap_or(u32::MAX))
            .min(burst);
        if entry.left == 0 {
            entry.held_back += 1;
            return None;
        }
        entry.left -= 1;
        entry.said_ms = now_ms;
        Some(std::mem::take(&mut entry.held_back))
    }

    /// Kinds whose last held-back warnings were not mentioned for `every_ms`, with their number; each is returned once.
    ///
    /// Call it now and then, so that the end of a flood is logged too.
    pub fn overdue(&mut self, now_ms: u64) -> Vec<(String, u64)> {
        let every_ms = self.every_ms;
        self.kinds
            .iter_mut()
            .filter(|(_, kind)| {
                kind.held_back > 0 && now_ms.saturating_sub(kind.said_ms) >= every_ms
            })
            .map(|(name, kind)| {
                kind.said_ms = now_ms;
                (name.clone(), std::mem::take(&mut kind.held_back))
            })
            .collect()
    }

    fn make_room(&mut self) {
        while self.kinds.len() >= MAX_KINDS {
            let oldest = self
                .kinds
                .iter()
                .min_by_key(|(_, kind)| kind.said_ms)
                .map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return };
            self.kinds.remove(&oldest);
        }
    }
}

/// Says warnings that may repeat.
#[derive(Debug)]
pub struct Complaints {
    limited: Limited,
    began: Instant,
}

impl Default for Complaints {
    fn default() -> Self {
        let (burst, every_ms) = WARNINGS;
        Self {
            limited: Limited::new(burst, every_ms),
            began: Instant::now(),
        }
    }
}

impl Complaints {
    /// Asks to say a warning of this kind, as [`Limited::admit`].
    pub fn admit(&mut self, kind: &str) -> Option<u64> {
        self.limited.admit(kind, self.now_ms())
    }

    /// Says that something went wrong, unless that was said often enough.
    pub fn warn(&mut self, what: &'static str, error: &dyn Error) {
        if let Some(suppressed) = self.admit(what) {
            tracing::warn!(%error, suppressed, "{what}");
        }
    }

    /// Says how many warnings were held back since the last of their kind, once it is long ago. Call it now and then.
    pub fn tell_held_back(&mut self) {
        for (kind, suppressed) in self.limited.overdue(self.now_ms()) {
            tracing::warn!(
                suppressed,
                "more warnings of this kind were held back: {kind}"
            );
        }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_said_then_one_per_interval_with_the_count() {
        let mut limited = Limited::new(3, 1000);
        let said: Vec<_> = (0..10).map(|ms| limited.admit("skipped", ms)).collect();
        assert_eq!(said[..3], [Some(0); 3]);
        assert_eq!(said[3..], [None; 7]);
        assert_eq!(limited.admit("skipped", 1002), Some(7));
        assert_eq!(limited.admit("skipped", 1003), None);
        assert_eq!(limited.admit("other", 1003), Some(0), "kinds are apart");
        assert_eq!(limited.admit("skipped", 1_000_000), Some(1));
    }

    #[test]
    fn a_flood_says_at_most_one_line_per_interval() {
        let mut limited = Limited::new(5, 1000);
        let said = (0..100_000)
            .filter_map(|ms| limited.admit("bad", ms))
            .count();
        assert!(said <= 5 + 100, "{said} lines in 100 intervals");
    }

    #[test]
    fn the_end_of_a_flood_is_told_once() {
        let mut limited = Limited::new(1, 1000);
        assert_eq!(limited.admit("bad", 0), Some(0));
        assert_eq!(limited.admit("bad", 1), None);
        assert_eq!(limited.overdue(500), []);
        assert_eq!(limited.overdue(1000), [("bad".to_owned(), 1)]);
        assert_eq!(limited.overdue(5000), []);
    }

    #[test]
    fn a_thing_is_news_once_and_memory_is_bounded() {
        let mut said = Said::default();
        assert!(said.is_news(("a.png", 1)) && said.is_news(("a.png", 2)));
        assert!(!said.is_news(("a.png", 1)));
        let news = (0..MAX_SAID).filter(|i| said.is_news(i)).count();
        assert_eq!(news, MAX_SAID);
        assert!(said.0.len() <= MAX_SAID);
        assert!(said.is_news(("a.png", 1)), "forgotten");
    }

    #[test]
    fn kinds_are_bounded_and_a_clock_that_goes_back_is_harmless() {
        let mut limited = Limited::new(1, 1000);
        for i in 0..10_000_u64 {
            limited.admit(&i.to_string(), 10_000 - i);
        }
        assert_eq!(limited.kinds.len(), MAX_KINDS);
    }
}
