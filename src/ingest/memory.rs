//! How much the reading threads may hold together, so that many large uploads at once stay within the unit's
//! `MemoryHigh=` whatever the number of threads.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes of files held at once; a single larger file passes alone.
const FILES: u64 = 256 << 20;
/// Bytes of decoders and pixels held at once: one picture of the largest that is decoded.
const PIXELS: u64 = 512 << 20;

/// The two budgets. A file's bytes are taken first, its pixels second; a thread that has both waits for nothing more.
#[derive(Debug)]
pub struct Memory {
    pub(super) files: Budget,
    pub(super) pixels: Budget,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            files: Budget::new(FILES),
            pixels: Budget::new(PIXELS),
        }
    }
}

/// A number of bytes to be shared.
#[derive(Debug)]
pub(super) struct Budget {
    total: u64,
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// A share, given back when dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    fn new(total: u64) -> Self {
        Self {
            total,
            taken: Mutex::new(0),
            given_back: Condvar::new(),
        }
    }

    /// Half of it.
    pub(super) fn half(&self) -> u64 {
        self.total / 2
    }

    /// Waits until `bytes` are left; more than there are in all are given to one at a time.
    pub(super) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.total);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self
            .given_back
            .wait_while(taken, |taken| *taken + bytes > self.total)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += bytes;
        Share {
            budget: self,
            bytes,
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = (self.budget.taken.lock()).unwrap_or_else(PoisonError::into_inner);
        *taken -= self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn never_more_than_the_total_is_held_and_everyone_gets_a_turn() {
        let budget = Budget::new(100);
        let (held, most, turns) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (budget, held, most, turns) = (&budget, &held, &most, &turns);
                scope.spawn(move || {
                    for i in 0..200 {
                        // Some want more than there is.
                        let bytes = (thread * 37 + i * 13) % 130;
                        let share = budget.take(bytes);
                        let now = held.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        held.fetch_sub(share.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 1_600);
        assert!(most.into_inner() <= 100);
    }
}
