//! When is a file finished? The quiet table: paths with something going on, and when to look at each again. Pure; times
//! are milliseconds of any monotonic clock.
//!
//! Rules, from what good watchers learnt (syncthing, paperless-ngx, immich):
//! - After a close or a rename a file is looked at once it has been quiet for [`Quiet::closed_ms`]; devices open and
//!   close repeatedly, so anything that happens begins the wait anew.
//! - Without a close (links, files found by a scan, network file systems) its identity must stay the same for
//!   [`Quiet::stable_ms`].
//! - Giving up is no option: a file that could not be used is looked at again after 5 s, 10 s, … 1 h, and at once
//!   when its identity changes.
//!
//! A file that changes all the time is never ready, and holds nothing else up.

use crate::domain::{FileIdentity, Touch};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How long is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// After the last event of a file that was closed or renamed.
    pub closed_ms: u64,
    /// For the identity of any other file.
    pub stable_ms: u64,
    /// Before the first retry of a file that could not be used; doubles every time.
    pub retry_ms: u64,
    /// The longest wait before a retry.
    pub max_retry_ms: u64,
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            closed_ms: 300,
            stable_ms: 2_000,
            retry_ms: 5_000,
            max_retry_ms: 3_600_000,
        }
    }
}

/// The quiet table.
#[derive(Clone, Debug, Default)]
pub struct Settle {
    quiet: Quiet,
    waiting: BTreeMap<PathBuf, Waiting>,
    /// The paths of `waiting` by when to look.
    by_time: BTreeSet<(u64, PathBuf)>,
    /// Files that could not be used: the identity that could not, and how often.
    failed: BTreeMap<PathBuf, (FileIdentity, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    look_at_ms: u64,
    closed: bool,
    /// The identity seen last and since when.
    seen: Option<(FileIdentity, u64)>,
}

impl Settle {
    /// An empty table.
    pub fn new(quiet: Quiet) -> Self {
        Self {
            quiet,
            ..Self::default()
        }
    }

    /// Takes in an event.
    pub fn touched(&mut self, path: &Path, touch: Touch, now_ms: u64) {
        let old = self.waiting.get(path);
        let closed = match touch {
            Touch::Closed => true,
            Touch::Writing => false,
            Touch::Attributes => old.is_none_or(|old| old.closed),
        };
        let waiting = Waiting {
            look_at_ms: now_ms.saturating_add(self.quiet.closed_ms),
            closed,
            seen: None,
        };
        self.put(path, waiting);
    }

    /// Takes in a file that a scan found new or changed. `age_ms` is how long ago it last changed by the wall clock,
    /// if that can be told: an old file needs no wait.
    pub fn found(&mut self, path: &Path, identity: FileIdentity, age_ms: Option<u64>, now_ms: u64) {
        if self
            .failed
            .get(path)
            .is_some_and(|(failed, _)| *failed == identity)
            && self.waiting.contains_key(path)
        {
            return; // It waits for its retry.
        }
        let known = self.waiting.get(path).is_some_and(|waiting| {
            waiting.closed || waiting.seen.is_some_and(|(seen, _)| seen == identity)
        });
        if known {
            return; // A scan says nothing new; looking will.
        }
        let old_enough = age_ms.is_some_and(|age_ms| age_ms >= self.quiet.stable_ms);
        let wait_ms = if old_enough { 0 } else { self.quiet.stable_ms };
        let waiting = Waiting {
            look_at_ms: now_ms.saturating_add(wait_ms),
            closed: old_enough,
            seen: Some((identity, now_ms)),
        };
        self.put(path, waiting);
    }

    /// Forgets `path` and everything below it.
    pub fn removed(&mut self, path: &Path) {
        for path in below(&self.waiting, path) {
            self.take(&path);
        }
        for path in below(&self.failed, path) {
            self.failed.remove(&path);
        }
    }

    /// When something is due next; `None` while the table is empty.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(look_at_ms, _)| *look_at_ms)
    }

    /// The files to look at now. Each must be stated and reported through [`Settle::observed`] or
    /// [`Settle::removed`]; one that is not will be due again.
    pub fn due(&mut self, now_ms: u64) -> Vec<PathBuf> {
        let mut due = Vec::new();
        while let Some((look_at_ms, _)) = self.by_time.first()
            && *look_at_ms <= now_ms
            && let Some((_, path)) = self.by_time.pop_first()
        {
            due.push(path);
        }
        let again_ms = now_ms.saturating_add(self.quiet.stable_ms.max(1));
        for path in &due {
            if let Some(waiting) = self.waiting.get_mut(path) {
                waiting.look_at_ms = again_ms;
                self.by_time.insert((again_ms, path.clone()));
            }
        }
        due
    }

    /// Takes in what a file that was due looks like. `true`: it is finished, to be read as exactly this identity, and
    /// no longer waited for. `false`: it will be due again, or is not waited for at all.
    pub fn observed(&mut self, path: &Path, identity: FileIdentity, now_ms: u64) -> bool {
        let Some(waiting) = self.waiting.get(path).copied() else {
            return false;
        };
        let since_ms = match waiting.seen {
            Some((seen, since_ms)) if seen == identity => since_ms,
            // The clue that it was closed is older than what it is now, unless nothing was known of it then.
            Some(_) => {
                self.failed.remove(path);
                return self.wait_for(path, identity, now_ms);
            }
            None if waiting.closed => now_ms.saturating_sub(self.quiet.stable_ms),
            None => return self.wait_for(path, identity, now_ms),
        };
        if !waiting.closed && now_ms.saturating_sub(since_ms) < self.quiet.stable_ms {
            let look_at_ms = since_ms.saturating_add(self.quiet.stable_ms);
            self.put(
                path,
                Waiting {
                    look_at_ms,
                    ..waiting
                },
            );
            return false;
        }
        self.take(path);
        true
    }

    /// Takes in that a finished file could not be used as `identity` (truncated, say): it will be due again after a
    /// wait that doubles with every failure of the same identity.
    pub fn failed(&mut self, path: &Path, identity: FileIdentity, now_ms: u64) {
        let before = match self.failed.get(path) {
            Some((failed, times)) if *failed == identity => *times,
            _ => 0,
        };
        self.failed
            .insert(path.to_owned(), (identity, before.saturating_add(1)));
        if self.waiting.contains_key(path) {
            return; // Something happened to it since; that wait is shorter.
        }
        let factor = 1u64.checked_shl(before).unwrap_or(u64::MAX);
        let wait_ms = self
            .quiet
            .retry_ms
            .saturating_mul(factor)
            .min(self.quiet.max_retry_ms);
        let waiting = Waiting {
            look_at_ms: now_ms.saturating_add(wait_ms),
            closed: true,
            seen: Some((identity, now_ms)),
        };
        self.put(path, waiting);
    }

    /// Looks at a file now, if it is waited for.
    pub fn hurry(&mut self, path: &Path, now_ms: u64) {
        if let Some(waiting) = self.waiting.get(path).copied() {
            let look_at_ms = waiting.look_at_ms.min(now_ms);
            self.put(
                path,
                Waiting {
                    look_at_ms,
                    ..waiting
                },
            );
        }
    }

    /// Takes in that a file was used: its failures are forgotten.
    pub fn succeeded(&mut self, path: &Path) {
        self.failed.remove(path);
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many files are waited for, failed ones among them.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    fn wait_for(&mut self, path: &Path, identity: FileIdentity, now_ms: u64) -> bool {
        let waiting = Waiting {
            look_at_ms: now_ms.saturating_add(self.quiet.stable_ms),
            closed: false,
            seen: Some((identity, now_ms)),
        };
        self.put(path, waiting);
        false
    }

    fn put(&mut self, path: &Path, waiting: Waiting) {
        self.take(path);
        self.by_time.insert((waiting.look_at_ms, path.to_owned()));
        self.waiting.insert(path.to_owned(), waiting);
    }

    fn take(&mut self, path: &Path) {
        if let Some(old) = self.waiting.remove(path) {
            self.by_time.remove(&(old.look_at_ms, path.to_owned()));
        }
    }
}

/// `path` and what is below it; paths are ordered by component, so these lie together.
fn below<V>(map: &BTreeMap<PathBuf, V>, path: &Path) -> Vec<PathBuf> {
    let from = map.range(path.to_owned()..);
    from.map(|(below, _)| below)
        .take_while(|below| below.starts_with(path))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(size: u64) -> FileIdentity {
        FileIdentity {
            dev: 1,
            ino: 2,
            size,
            mtime_ns: 3,
            ctime_ns: 4,
        }
    }

    fn table() -> Settle {
        Settle::new(Quiet::default())
    }

    const A: &str = "a.png";

    /// Looks whenever something is due until `end_ms`; when was the file ready?
    fn ready_at(
        settle: &mut Settle,
        end_ms: u64,
        version_at: impl Fn(u64) -> FileIdentity,
    ) -> Option<u64> {
        while let Some(now_ms) = settle.next_deadline_ms().filter(|at| *at <= end_ms) {
            for path in settle.due(now_ms) {
                if settle.observed(&path, version_at(now_ms), now_ms) {
                    return Some(now_ms);
                }
            }
        }
        None
    }

    #[test]
    fn a_closed_file_is_ready_soon_and_any_other_when_stable() {
        let mut settle = table();
        settle.touched(Path::new(A), Touch::Closed, 1_000);
        assert_eq!(ready_at(&mut settle, 9_000, |_| version(1)), Some(1_300));
        assert!(settle.is_empty());
        settle.touched(Path::new(A), Touch::Writing, 1_000);
        assert_eq!(ready_at(&mut settle, 9_000, |_| version(1)), Some(3_300));
        settle.found(Path::new(A), version(1), None, 1_000);
        assert_eq!(ready_at(&mut settle, 9_000, |_| version(1)), Some(3_000));
        settle.found(Path::new(A), version(1), Some(3_000), 1_000);
        assert_eq!(ready_at(&mut settle, 9_000, |_| version(1)), Some(1_000));
    }

    #[test]
    fn attributes_begin_the_wait_anew_and_no_more() {
        for (touch, expected) in [(Touch::Closed, 1_500), (Touch::Writing, 3_500)] {
            let mut settle = table();
            settle.touched(Path::new(A), touch, 1_000);
            settle.touched(Path::new(A), Touch::Attributes, 1_200);
            assert_eq!(ready_at(&mut settle, 9_000, |_| version(1)), Some(expected));
        }
    }

    #[test]
    fn a_failed_file_is_tried_again_with_growing_waits_and_at_once_when_it_changes() {
        let mut settle = table();
        let mut now_ms = 0;
        let mut waits = Vec::new();
        for _ in 0..13 {
            settle.failed(Path::new(A), version(1), now_ms);
            settle.found(Path::new(A), version(1), Some(9_999_999), now_ms);
            let again = ready_at(&mut settle, u64::MAX, |_| version(1)).expect("tried again");
            waits.push((again - now_ms) / 1_000);
            now_ms = again;
        }
        assert_eq!(
            waits,
            [
                5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600
            ]
        );
        settle.failed(Path::new(A), version(1), now_ms);
        settle.touched(Path::new(A), Touch::Closed, now_ms + 10);
        assert_eq!(
            ready_at(&mut settle, u64::MAX, |_| version(2)),
            Some(now_ms + 310)
        );
        settle.failed(Path::new(A), version(2), 0);
        assert_eq!(
            settle.next_deadline_ms(),
            Some(5_000),
            "another identity begins anew"
        );
    }

    #[test]
    fn a_removed_folder_takes_everything_below_with_it() {
        let mut settle = table();
        for path in ["d", "d/a", "d/b/c", "d.png", "da"] {
            settle.touched(Path::new(path), Touch::Closed, 0);
        }
        settle.removed(Path::new("d"));
        assert_eq!(
            settle.due(300),
            [PathBuf::from("d.png"), PathBuf::from("da")]
        );
        assert!(!settle.observed(Path::new("d/a"), version(1), 300));
    }

    #[test]
    fn a_file_that_is_due_and_not_reported_is_due_again() {
        let mut settle = table();
        settle.touched(Path::new(A), Touch::Closed, 0);
        assert_eq!(settle.due(300).len(), 1);
        assert_eq!(settle.due(300).len(), 0);
        assert_eq!(settle.due(2_300).len(), 1);
    }

    proptest! {
        /// Events at random times, of which the last is a close: ready exactly one quiet after it, never before.
        #[test]
        fn ready_once_quiet_after_the_last_event(
            gaps in prop::collection::vec((1u64..299, 0u8..3), 1..40),
        ) {
            let mut settle = table();
            let mut now_ms = 0;
            for (gap, touch) in gaps {
                now_ms += gap;
                prop_assert_eq!(ready_at(&mut settle, now_ms - 1, version), None);
                let touch = [Touch::Attributes, Touch::Writing, Touch::Closed][usize::from(touch)];
                settle.touched(Path::new(A), touch, now_ms);
            }
            settle.touched(Path::new(A), Touch::Closed, now_ms);
            prop_assert_eq!(ready_at(&mut settle, u64::MAX, |_| version(1)), Some(now_ms + 300));
        }

        /// A file that changes without events is ready only after it stayed the same for the stable time, and then is.
        #[test]
        fn never_ready_while_it_changes_and_ready_soon_after(
            changes in prop::collection::btree_set(0u64..30_000, 1..30), writing: bool,
        ) {
            let mut settle = table();
            if writing {
                settle.touched(Path::new(A), Touch::Writing, 0);
            } else {
                settle.found(Path::new(A), version(0), None, 0);
            }
            let version_at = |now| version(changes.range(..=now).count() as u64);
            let ready = ready_at(&mut settle, u64::MAX, version_at).expect("ready in the end");
            prop_assert_eq!(version_at(ready), version_at(ready - 2_000), "stable for the whole wait");
            let last = *changes.last().expect("at least one");
            prop_assert!(ready <= last + 4_300, "{} after {}", ready, last);
        }

        /// Nothing is ever lost: whatever happens, each file is ready in the end, or was removed.
        #[test]
        fn every_file_is_ready_or_removed(
            steps in prop::collection::vec((0usize..4, 0u8..6, 0u64..3_000), 1..80),
        ) {
            let names = ["a", "b", "d/a", "d/b"];
            let mut settle = table();
            let mut pending = BTreeSet::new();
            let mut now_ms = 0;
            for (which, what, gap) in steps {
                now_ms += gap;
                let path = Path::new(names[which]);
                match what {
                    0 => settle.touched(path, Touch::Writing, now_ms),
                    1 => settle.touched(path, Touch::Closed, now_ms),
                    2 => settle.found(path, version(1), None, now_ms),
                    3 => settle.failed(path, version(1), now_ms),
                    4 => {
                        settle.removed(Path::new("d"));
                        pending.retain(|path: &PathBuf| !path.starts_with("d"));
                        continue;
                    }
                    _ => {
                        for path in settle.due(now_ms) {
                            if settle.observed(&path, version(1), now_ms) {
                                prop_assert!(pending.remove(&path), "ready without a reason");
                            }
                        }
                        continue;
                    }
                }
                pending.insert(path.to_owned());
            }
            prop_assert_eq!(settle.len(), pending.len());
            while let Some(now_ms) = settle.next_deadline_ms() {
                for path in settle.due(now_ms) {
                    if settle.observed(&path, version(1), now_ms) {
                        prop_assert!(pending.remove(&path), "ready without a reason");
                    }
                }
            }
            prop_assert!(pending.is_empty(), "lost: {:?}", pending);
        }
    }
}
