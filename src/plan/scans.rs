//! What a scan of the whole folder teaches: files to look at, works that are not there any more, and whether their
//! disappearance is to be believed.

use super::{Command, Held, Plan};
use crate::domain::Scan;
use std::{collections::HashSet, path::PathBuf};

/// Removals that are looked at before they are believed start at this many works.
const GUARD_FROM: usize = 10;

impl Plan {
    pub(super) fn scanned(
        &mut self,
        scan: Result<Scan, String>,
        wall_ms: u64,
        now_ms: u64,
    ) -> Vec<Command> {
        self.scanning = false;
        self.scans += 1;
        let rescan = now_ms + self.settings.rescan_ms;
        let scan = match scan {
            Ok(scan) => scan,
            Err(error) => {
                let soon = now_ms + self.settings.rescan_ms.min(10_000);
                self.scan_at = Some(self.scan_at.map_or(soon, |at| at.min(soon)));
                self.scan_error = Some(error);
                return Vec::new();
            }
        };
        self.scan_error = None;
        self.scan_at = Some(self.scan_at.map_or(rescan, |at| at.min(rescan)));
        // A scan tells of the past: what it says against what is known is looked at again before it is believed.
        let underway = self
            .ready
            .keys()
            .chain(self.in_flight.keys())
            .chain(self.placing.keys());
        let absent = |path: &&PathBuf| {
            !scan.files.contains_key(*path) && scan.covers(path) && !self.placed.contains_key(*path)
        };
        let mut doubtful: Vec<PathBuf> = underway.filter(absent).cloned().collect();
        doubtful.extend(
            self.gone
                .keys()
                .filter(|path| scan.files.contains_key(*path))
                .cloned(),
        );
        doubtful.extend(self.missing(&scan, now_ms));
        self.skipped = scan.skipped;
        for (path, identity) in scan.files {
            self.found(&path, identity, wall_ms, now_ms);
        }
        doubtful.into_iter().map(Command::Look).collect()
    }

    /// Which placed works are not there any more, and is that to be believed?
    fn missing(&mut self, scan: &Scan, now_ms: u64) -> Vec<PathBuf> {
        self.refused.retain(|path, _| scan.files.contains_key(path));
        let absent = |path: &PathBuf| !scan.files.contains_key(path) && scan.covers(path);
        let new = |path: &&PathBuf| absent(path) && !self.gone.contains_key(*path);
        let missing: Vec<PathBuf> = self.placed.keys().filter(new).cloned().collect();
        // A work that the owner's patterns name, or whose file is elsewhere now, has not vanished without a reason.
        let there: HashSet<(u64, u64)> = scan.files.values().map(|f| (f.dev, f.ino)).collect();
        let inode = |path: &PathBuf| self.placed.get(path).map(|f| (f.dev, f.ino));
        let unexplained = |path: &&PathBuf| {
            !scan.opted_out.contains(path)
                && inode(path).is_none_or(|inode| !there.contains(&inode))
        };
        let vanished = missing.iter().filter(unexplained).count();
        let grave = vanished >= GUARD_FROM && 2 * vanished > self.placed.len();
        if grave && self.settings.hold && !self.confirmed {
            let since_ms = self.held.map_or(now_ms, |held| held.since_ms);
            let held_ms = self
                .held_before_ms
                .saturating_add(now_ms.saturating_sub(since_ms));
            if held_ms < self.settings.grace_ms {
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
