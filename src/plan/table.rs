//! Everything known of each path, in one table.
//!
//! An [`Entry`] has two axes: what is *placed* at a path (and what the running task makes of it), and at which *stage*
//! the file that is there now is. Each thing that happens to a path is one step here, for every state of the entry: a
//! file that is deleted while a task places it, for instance, becomes [`Stage::Gone`] at once. When that task ends well,
//! the entry says "placed and gone", and the next task takes the work out. When it fails, nothing is placed, and the entry
//! is dropped.
//!
//! Invariants: an entry of which nothing is known is not kept; [`Counts`] and the index of deadlines follow every change,
//! because every change goes through [`Table::change`].

use super::{
    entry::{Counts, Entry, InTask, Placed, Refused, Stage, Validity},
    settling::{Looked, Quiet, Settling},
};
use crate::domain::{ContentHash, FileIdentity, Job, Known, Refusal, Retry, Touch};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Bound,
    path::{Path, PathBuf},
};

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    quiet: Quiet,
    entries: BTreeMap<PathBuf, Entry>,
    /// The paths that settle, by when to look.
    deadlines: BTreeSet<(u64, PathBuf)>,
    counts: Counts,
}

impl Table {
    /// A table in which these works are placed.
    pub(super) fn new(quiet: Quiet, known: Vec<Known>) -> Self {
        let entry = |known: Known| {
            let (identity, stale) = (known.identity, known.stale);
            let validity = match stale {
                true => Validity::Stale,
                false => Validity::Good,
            };
            let placed = Some(Placed { identity, validity });
            let entry = Entry {
                placed,
                ..Entry::default()
            };
            (known.path, entry)
        };
        let mut table = Self {
            quiet,
            entries: known.into_iter().map(entry).collect(),
            ..Self::default()
        };
        for entry in table.entries.values() {
            table
                .counts
                .each(entry.counts(), |count, one| *count += one);
        }
        table
    }

    /// How many entries are at which stage.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether nothing is being read, and nothing waits for the next task's arrivals.
    pub(super) fn is_calm(&self) -> bool {
        self.counts.reading + self.counts.ready == 0
    }

    /// What is known of a path.
    pub(super) fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All entries, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Entry)> {
        self.entries.iter()
    }

    /// `path` and every known path below it.
    pub(super) fn below(&self, path: &Path) -> Vec<PathBuf> {
        // Paths are ordered by component, so these lie together.
        let from = (Bound::Included(path), Bound::Unbounded);
        let below = self.entries.range::<Path, _>(from).map(|(path, _)| path);
        below
            .take_while(|below| below.starts_with(path))
            .cloned()
            .collect()
    }

    /// The files that are refused, by path.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&PathBuf, &Refused)> {
        self.iter().filter_map(|(path, entry)| match &entry.stage {
            Stage::Refused(refused) => Some((path, refused)),
            _ => None,
        })
    }

    /// Devices and inodes of all files on their way in.
    pub(super) fn arriving_inodes(&self) -> HashSet<(u64, u64)> {
        let entries = self.entries.values();
        entries.filter_map(Entry::arriving_inode).collect()
    }

    /// When a path is to be looked at next.
    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(look_at_ms, _)| *look_at_ms)
    }

    /// The paths to look at now. One that is not looked at will be due again.
    pub(super) fn due(&mut self, now_ms: u64) -> Vec<PathBuf> {
        let due = self.deadlines.iter();
        let due: Vec<PathBuf> = due
            .take_while(|(at_ms, _)| *at_ms <= now_ms)
            .map(|(_, path)| path.clone())
            .collect();
        let again_ms = now_ms.saturating_add(self.quiet.stable_ms.max(1));
        for path in &due {
            self.look_at(path, again_ms);
        }
        due
    }

    /// Has every refused file that is not to blame (or only the `first`) looked at now.
    pub(super) fn try_ours(&mut self, first: bool, now_ms: u64) {
        let ours = self.refused().filter(|(_, refused)| refused.ours);
        let ours: Vec<PathBuf> = ours
            .take(if first { 1 } else { usize::MAX })
            .map(|(path, _)| path.clone())
            .collect();
        ours.iter().for_each(|path| self.look_at(path, now_ms));
    }

    fn look_at(&mut self, path: &Path, at_ms: u64) {
        self.change(path, |entry| {
            if let Some(settling) = &mut entry.settling {
                settling.look_at_ms = at_ms;
            }
        });
    }

    /// An event came for a path.
    pub(super) fn touched(&mut self, path: &Path, touch: Touch, now_ms: u64) {
        let quiet = self.quiet;
        self.change(path, |entry| {
            let before = entry.settling;
            entry.settling = Some(Settling::touched(before, touch, now_ms, &quiet));
        });
    }

    /// Events were lost: no file is waited for to be closed.
    pub(super) fn lost(&mut self, now_ms: u64) {
        let (quiet, open) = (self.quiet, self.entries.iter());
        let open = open.filter(|(_, entry)| entry.settling.is_some());
        let open: Vec<PathBuf> = open.map(|(path, _)| path.clone()).collect();
        for path in open {
            self.change(&path, |entry| {
                entry.settling = entry.settling.map(|settling| settling.lost(now_ms, &quiet));
            });
        }
    }

    /// A scan saw a file by its identity alone: the file settles if anything about it is new.
    pub(super) fn found(
        &mut self,
        path: &Path,
        identity: FileIdentity,
        age_ms: Option<u64>,
        now_ms: u64,
    ) {
        if self
            .get(path)
            .is_some_and(|entry| entry.is_current(&identity))
        {
            return;
        }
        let quiet = self.quiet;
        self.change(path, |entry| {
            let before = entry.settling;
            let found = Settling::found(before, identity, age_ms, now_ms, &quiet);
            entry.settling = Some(found);
        });
    }

    /// A file was looked at and is there; gives the job if it is finished and to be read.
    pub(super) fn looked_at(
        &mut self,
        path: &Path,
        identity: FileIdentity,
        age_ms: Option<u64>,
        now_ms: u64,
    ) -> Option<Job> {
        let quiet = self.quiet;
        let Some(settling) = self.get(path).and_then(|entry| entry.settling) else {
            if self
                .get(path)
                .is_some_and(|entry| matches!(entry.stage, Stage::Gone))
            {
                self.change(path, |entry| entry.stage = Stage::Rest);
            }
            self.found(path, identity, age_ms, now_ms);
            return None;
        };
        let looked = settling.looked_at(identity, now_ms, &quiet);
        self.change(path, |entry| {
            if matches!(entry.stage, Stage::Gone) {
                entry.stage = Stage::Rest;
            }
            if let Looked::Settles(settling) = looked {
                entry.settling = Some(settling);
                return None;
            }
            entry.settling = None;
            let tries = match &entry.stage {
                Stage::Refused(refused) if refused.identity == identity => {
                    refused.again.then_some(refused.tries)?
                }
                _ if entry.is_current(&identity) => return None,
                _ => 0,
            };
            entry.stage = Stage::Reading {
                identity,
                tries,
                slow: false,
            };
            Some(Job {
                path: path.to_owned(),
                identity,
            })
        })
    }

    /// A path is not there (any more).
    pub(super) fn vanished(&mut self, path: &Path) {
        self.change(path, |entry| {
            (entry.settling, entry.stage) = (None, Stage::Gone);
        });
    }

    /// What is at a path cannot be found out: it does not settle until a scan sees it again.
    pub(super) fn unknown(&mut self, path: &Path) {
        self.change(path, |entry| entry.settling = None);
    }

    /// Reading a file takes long.
    pub(super) fn slow(&mut self, job: &Job) {
        if self.is_reading(job) {
            self.change(&job.path, |entry| {
                if let Stage::Reading { slow, .. } = &mut entry.stage {
                    *slow = true;
                }
            });
        }
    }

    /// A file was read: its content is durable.
    pub(super) fn read(&mut self, job: &Job, hash: ContentHash) {
        if self.is_reading(job) {
            self.change(&job.path, |entry| {
                entry.stage = Stage::Ready(job.identity, hash);
                entry.read_again();
            });
        }
    }

    /// A file could not be used.
    pub(super) fn refuse(&mut self, job: &Job, refusal: Refusal, now_ms: u64) {
        if !self.is_reading(job) {
            return;
        }
        let quiet = self.quiet;
        let Refusal { retry, reason } = refusal;
        let identity = job.identity;
        self.change(&job.path, |entry| {
            let Stage::Reading { tries, .. } = entry.stage else {
                return;
            };
            if retry == Retry::Look {
                entry.stage = Stage::Rest;
                return;
            }
            let ours = retry == Retry::Wait;
            let again = ours || retry == Retry::Later;
            let tries = tries.saturating_add(1);
            if again {
                // Something that happened to it meanwhile has a shorter wait.
                let retry = || Settling::retry(identity, tries, now_ms, &quiet);
                entry.settling.get_or_insert_with(retry);
            }
            if !ours {
                entry.read_again();
            }
            entry.stage = Stage::Refused(Refused {
                identity,
                reason,
                again,
                ours,
                other: retry == Retry::NoPicture,
                tries,
            });
        });
    }

    fn is_reading(&self, job: &Job) -> bool {
        let reading = |entry: &Entry| matches!(entry.stage, Stage::Reading { identity, .. } if identity == job.identity);
        self.get(&job.path).is_some_and(reading)
    }

    /// A placed work must be read again though unchanged.
    pub(super) fn damaged(&mut self, path: &Path) {
        if self.entries.contains_key(path) {
            self.change(path, |entry| {
                if let Some(placed) = &mut entry.placed {
                    placed.validity = Validity::Damaged;
                }
            });
        }
    }

    /// Takes the next task's works out of the table: those that are ready, and those that are gone and are not the old
    /// name of a file on its way in.
    pub(super) fn begin_task(&mut self) -> (Vec<(Job, ContentHash)>, Vec<PathBuf>) {
        let arriving = match self.counts.gone {
            0 => HashSet::new(),
            _ => self.arriving_inodes(),
        };
        let (mut arrivals, mut gone) = (Vec::new(), Vec::new());
        for (path, entry) in &self.entries {
            match (&entry.stage, entry.placed) {
                (Stage::Ready(identity, hash), _) => {
                    let (path, identity) = (path.clone(), *identity);
                    arrivals.push((Job { path, identity }, *hash));
                }
                (_, Some(Placed { identity, .. }))
                    if entry.is_gone() && !arriving.contains(&(identity.dev, identity.ino)) =>
                {
                    gone.push(path.clone());
                }
                _ => {}
            }
        }
        for (Job { path, identity }, hash) in &arrivals {
            self.change(path, |entry| {
                entry.stage = Stage::Rest;
                entry.task = Some(InTask::Places(*identity, *hash));
            });
        }
        for path in &gone {
            self.change(path, |entry| entry.task = Some(InTask::TakesOut));
        }
        (arrivals, gone)
    }

    /// The task that dealt with these paths ended, well or not: what it failed to do waits for the next one.
    pub(super) fn end_task<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>, well: bool) {
        for path in paths {
            self.change(path, |entry| match (entry.task.take(), well) {
                (Some(InTask::Places(identity, _)), true) => {
                    let validity = Validity::Good;
                    entry.placed = Some(Placed { identity, validity });
                }
                (Some(InTask::TakesOut), true) => entry.placed = None,
                // It waits for the next task, unless something newer is known of the path.
                (Some(InTask::Places(identity, hash)), false)
                    if matches!(entry.stage, Stage::Rest) =>
                {
                    entry.stage = Stage::Ready(identity, hash);
                }
                _ => {}
            });
        }
    }

    /// Changes an entry, and with it the counts and the deadlines.
    fn change<R>(&mut self, path: &Path, change: impl FnOnce(&mut Entry) -> R) -> R {
        let mut entry = self.entries.remove(path).unwrap_or_default();
        self.counts.each(entry.counts(), |count, one| *count -= one);
        let before_ms = entry.settling.map(|settling| settling.look_at_ms);
        let changed = change(&mut entry);
        self.counts.each(entry.counts(), |count, one| *count += one);
        let after_ms = entry.settling.map(|settling| settling.look_at_ms);
        if before_ms != after_ms {
            if let Some(at_ms) = before_ms {
                self.deadlines.remove(&(at_ms, path.to_owned()));
            }
            if let Some(at_ms) = after_ms {
                self.deadlines.insert((at_ms, path.to_owned()));
            }
        }
        if !entry.is_nothing() {
            self.entries.insert(path.to_owned(), entry);
        }
        changed
    }
}

#[cfg(test)]
mod tests;
