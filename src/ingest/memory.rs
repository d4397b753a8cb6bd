//! How much the reading threads may hold together, so that many large uploads at once stay within the unit's
//! `MemoryHigh=` whatever the number of threads.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes of files held at once; a single larger file passes alone.
const FILES: u64 = 256 << 20;
/// Bytes of decoders and pixels held at once: one picture of the largest that is decoded.
const PIXELS: u64 = 512 << 20;

/// Bytes of decoders and pixels that files which take long have to themselves: they hold them for a minute.
const SLOW: u64 = 256 << 20;

/// The budgets. A file's bytes are taken first, its pixels second; a thread that has both waits for nothing more.
#[derive(Debug)]
pub struct Memory {
    pub(super) files: Budget,
    pub(super) pixels: Budget,
    pub(super) slow: Budget,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            files: Budget::new(FILES),
            pixels: Budget::new(PIXELS),
            slow: Budget::new(SLOW),
        }
    }
}

/// A number of bytes to be shared.
#[derive(Debug)]
pub(super) struct Budget {
    total: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// Shares asked for so far, and given.
    asked: u64,
    given: u64,
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
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// How much it is.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Waits until `bytes` are left, after all who asked before; more than there are in all are given to one at a time.
    pub(super) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.total);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = state.asked;
        state.asked += 1;
        let waits = |state: &mut State| state.given < turn || state.taken + bytes > self.total;
        let waited = self.changed.wait_while(state, waits);
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.taken += bytes;
        state.given += 1;
        self.changed.notify_all();
        Share {
            budget: self,
            bytes,
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let state = self.budget.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).taken -= self.bytes;
        self.budget.changed.notify_all();
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

    #[test]
    fn who_wants_everything_is_not_passed_by_those_who_want_little() {
        let budget = Budget::new(100);
        let order = Mutex::new(Vec::new());
        let asked = |count| {
            while budget.state.lock().expect("no panic").asked < count {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            let first = budget.take(60);
            let take = |bytes| {
                let share = budget.take(bytes);
                order.lock().expect("no panic").push(bytes);
                drop(share);
            };
            scope.spawn(move || take(500));
            asked(2);
            scope.spawn(move || take(10));
            asked(3);
            drop(first);
        });
        assert_eq!(order.into_inner().expect("no panic"), [500, 10]);
    }
}
