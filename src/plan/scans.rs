//! What a scan of the whole folder, or a look at a part of it, teaches: files that are new or changed, works that are not
//! there any more, and whether their disappearance is to be believed.

use super::{
    Command, Held, Plan,
    entry::{Entry, InTask, Placed, Stage},
};
use crate::domain::{FileIdentity, Scan};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// Removals that are looked at before they are believed start at this many works.
const GUARD_FROM: usize = 10;

/// How long ago a file last changed by the wall clock; `None` if it did so in the future.
fn age_ms(identity: &FileIdentity, wall_ms: u64) -> Option<u64> {
    let changed_ms = identity.mtime_ns.max(identity.ctime_ns) / 1_000_000;
    u64::try_from(wall_ms as i64 - changed_ms).ok()
}

impl Plan {
    /// A path was looked at: what is there is true now.
    pub(super) fn looked(&mut self, path: &Path, scan: &Scan, wall_ms: u64) -> Vec<Command> {
        for known in self.table.below(path) {
            if !scan.files.contains_key(&known) && scan.covers(&known) {
                self.table.vanished(&known);
            }
        }
        self.skipped
            .retain(|(skipped, _)| !skipped.starts_with(path));
        self.skipped.extend(scan.skipped.iter().cloned());
        let files = scan.files.iter();
        let jobs = files.filter_map(|(path, identity)| {
            let age_ms = age_ms(identity, wall_ms);
            self.table.looked_at(path, *identity, age_ms, self.now_ms)
        });
        jobs.map(Command::Ingest).collect()
    }

    /// The whole folder was scanned: what was there is already past. What it says against what is known is looked at
    /// again before it is believed.
    pub(super) fn scanned(&mut self, scan: Result<Scan, String>, wall_ms: u64) -> Vec<Command> {
        self.scanning = false;
        self.scans += 1;
        let (ok, rescan_ms) = (scan.is_ok(), self.settings.rescan_ms);
        let pause_ms = if ok { rescan_ms } else { rescan_ms.min(10_000) };
        let again = self.now_ms + pause_ms;
        self.scan_at = Some(self.scan_at.map_or(again, |at| at.min(again)));
        let scan = match scan {
            Ok(scan) => scan,
            Err(error) => {
                self.scan_error = Some(error);
                return Vec::new();
            }
        };
        self.scan_error = None;
        let mut doubtful = self.missing(&scan);
        let contradicts = |(path, entry): &(&PathBuf, &Entry)| match scan.files.contains_key(*path)
        {
            true => matches!(entry.stage, Stage::Gone),
            false => {
                let under_way = !matches!(entry.stage, Stage::Rest) || entry.task.is_some();
                entry.placed.is_none() && under_way && scan.covers(path)
            }
        };
        let contradicted = self.table.iter().filter(contradicts);
        doubtful.extend(contradicted.map(|(path, _)| path.clone()));
        self.skipped = scan.skipped;
        for (path, identity) in scan.files {
            let age_ms = age_ms(&identity, wall_ms);
            self.table.found(&path, identity, age_ms, self.now_ms);
        }
        doubtful.into_iter().map(Command::Look).collect()
    }

    /// Which placed works are not there any more, and is that to be believed?
    fn missing(&mut self, scan: &Scan) -> Vec<PathBuf> {
        // A work that the owner's patterns name, or whose file is elsewhere now, has not vanished without a reason.
        let there: HashSet<(u64, u64)> = scan.files.values().map(|f| (f.dev, f.ino)).collect();
        let (mut missing, mut vanished) = (Vec::new(), 0);
        for (path, entry) in self.table.iter() {
            let Some(Placed { identity, .. }) = entry.placed else {
                continue;
            };
            let known = matches!(entry.stage, Stage::Gone) || entry.task == Some(InTask::TakesOut);
            if known || scan.files.contains_key(path) || !scan.covers(path) {
                continue;
            }
            let explained =
                scan.opted_out.contains(path) || there.contains(&(identity.dev, identity.ino));
            vanished += usize::from(!explained);
            missing.push(path.clone());
        }
        let grave = vanished >= GUARD_FROM && 2 * vanished > self.table.counts().placed;
        if grave && self.settings.hold && !self.confirmed {
            let since_ms = self.held.map_or(self.now_ms, |held| held.since_ms);
            let here_ms = self.now_ms.saturating_sub(since_ms);
            if self.held_before_ms.saturating_add(here_ms) < self.settings.grace_ms {
                self.held = Some(Held {
                    since_ms,
                    missing: vanished,
                });
                return Vec::new();
            }
        }
        self.held = None;
        self.held_before_ms = 0;
        self.confirmed = false;
        missing
    }
}
