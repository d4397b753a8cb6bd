//! One file's way: noticed, settled, read, and then ready to be placed or refused.
//!
//! It owns what is believed of a single path, and when one that could not be read is tried again. Scans of the whole
//! folder are `scans`, placing is `tasks`.

use super::{Command, Plan, Refused, shadow};
use crate::domain::{FileIdentity, Job, Outcome, Retry, Scan};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// While files wait because of us (the state folder is full, say), one of them is tried this often; when one gets
/// through, all the others follow at once.
pub(super) const PROBE_MS: u64 = 10_000;

impl Plan {
    /// Whether nothing about a file is new.
    fn is_current(&self, path: &Path, identity: &FileIdentity) -> bool {
        match (self.in_flight.get(path), self.ready.get(path)) {
            (Some(reading), _) => reading == identity,
            (None, Some((ready, _))) => ready == identity,
            (None, None) => {
                let refused = self
                    .refused
                    .get(path)
                    .is_some_and(|r| r.identity == *identity);
                let placed = self.placed.get(path) == Some(identity);
                refused || (placed && !self.stale.contains(path))
            }
        }
    }

    /// A file was seen by its identity alone: it settles if anything about it is new.
    pub(super) fn found(&mut self, path: &Path, identity: FileIdentity, wall_ms: u64, now_ms: u64) {
        if self.is_current(path, &identity) {
            return;
        }
        let changed_ms = identity.mtime_ns.max(identity.ctime_ns) / 1_000_000;
        let age_ms = u64::try_from(wall_ms as i64 - changed_ms).ok();
        self.candidates
            .insert(path.to_owned(), (identity.dev, identity.ino));
        self.settle.found(path, identity, age_ms, now_ms);
    }

    /// A path was looked at: a file may be finished, works may be gone.
    pub(super) fn looked(
        &mut self,
        path: &Path,
        scan: &Scan,
        wall_ms: u64,
        now_ms: u64,
    ) -> Vec<Command> {
        let mut commands = Vec::new();
        let below = self
            .leaving
            .range(path.to_owned()..)
            .take_while(|p| p.starts_with(path));
        for leaving in below {
            if scan.files.contains_key(leaving) {
                self.recheck.insert(leaving.clone());
            }
        }
        for known in self.known_below(path) {
            if !scan.files.contains_key(&known) && scan.covers(&known) {
                self.vanished(known);
            }
        }
        self.skipped
            .retain(|(skipped, _)| !skipped.starts_with(path));
        self.skipped.extend(scan.skipped.iter().cloned());
        for (path, identity) in &scan.files {
            self.gone.remove(path);
            let retry = self.refused.get(path).is_some_and(|refused| refused.again);
            if !self.settle.observed(path, *identity, now_ms) {
                self.found(path, *identity, wall_ms, now_ms);
            } else if self.in_flight.contains_key(path) {
                // It changed while it was being read: its turn comes when the reader is done with it.
                self.settle.found(path, *identity, None, now_ms);
            } else if retry || !self.is_current(path, identity) {
                if let Some(refused) = self.refused.get_mut(path) {
                    refused.again = false;
                }
                self.ready.remove(path);
                self.candidates
                    .insert(path.clone(), (identity.dev, identity.ino));
                self.in_flight.insert(path.clone(), *identity);
                commands.push(Command::Ingest(Job {
                    path: path.clone(),
                    identity: *identity,
                }));
            }
        }
        commands
    }

    /// `path` itself, and every path below it in any state: placed, settling, being read, ready or being placed.
    fn known_below(&self, path: &Path) -> BTreeSet<PathBuf> {
        fn below<'a, V>(
            map: &'a BTreeMap<PathBuf, V>,
            path: &Path,
        ) -> impl Iterator<Item = PathBuf> + 'a {
            let path = path.to_owned();
            map.range(path.clone()..)
                .map(|(p, _)| p.clone())
                .take_while(move |p| p.starts_with(&path))
        }
        let mut known: BTreeSet<PathBuf> = [path.to_owned()].into();
        known.extend(below(&self.placed, path));
        known.extend(below(&self.candidates, path));
        known.extend(below(&self.in_flight, path));
        known.extend(below(&self.ready, path));
        known.extend(below(&self.placing, path));
        known
    }

    /// A path is not there (any more).
    fn vanished(&mut self, path: PathBuf) {
        self.settle.removed(&path);
        self.candidates.remove(&path);
        self.ready.remove(&path);
        self.refused.remove(&path);
        if self.in_flight.contains_key(&path) || self.placing.contains_key(&path) {
            self.recheck.insert(path.clone());
        }
        if let Some(identity) = self.placed.get(&path) {
            self.gone.insert(path, *identity);
        }
    }

    pub(super) fn ingested(&mut self, outcome: Outcome, now_ms: u64) -> Option<Command> {
        let shadow = self
            .shadow
            .as_mut()
            .map(|shadow| shadow.ingested(&outcome, now_ms));
        match shadow {
            Some(shadow::Verdict::Done) => return None,
            Some(shadow::Verdict::Look) => return Some(Command::Look(outcome.job.path)),
            Some(shadow::Verdict::NotOurs) | None => {}
        }
        let Outcome {
            job: Job { path, identity },
            result,
            ..
        } = outcome;
        self.in_flight.remove(&path);
        self.candidates.remove(&path);
        let look = self
            .recheck
            .remove(&path)
            .then(|| Command::Look(path.clone()));
        let refusal = match result {
            Ok(hash) => {
                self.refused.remove(&path);
                self.stale.remove(&path);
                self.settle.succeeded(&path);
                self.ready.insert(path, (identity, hash));
                if self.probe_at.take().is_some() {
                    let waiting = self.refused.iter().filter(|(_, refused)| refused.ours);
                    waiting.for_each(|(path, _)| self.settle.hurry(path, now_ms));
                }
                return look;
            }
            Err(refusal) => refusal,
        };
        let retry = refusal.retry;
        if retry == Retry::Look {
            return Some(Command::Look(path));
        }
        let again = matches!(retry, Retry::Later | Retry::Wait);
        if again {
            self.settle.failed(&path, identity, now_ms);
        }
        if retry == Retry::Wait {
            self.probe_at = Some(now_ms + PROBE_MS);
        } else {
            self.stale.remove(&path);
        }
        self.refused.insert(
            path,
            Refused {
                identity,
                reason: refusal.reason,
                again,
                ours: retry == Retry::Wait,
            },
        );
        look
    }
}
