//! What follows from a scan of the whole folder, or from a look at a part of it: which files are new or changed, which
//! works are gone, and whether their disappearance is accepted or held.

use super::{
    Command, Held, Plan,
    entry::{Entry, InTask, Placed, Stage},
};
use crate::domain::{ContentHash, FileIdentity, Scan, SkipReason};
use std::{
    cell::LazyCell,
    cmp::Ordering,
    collections::{BTreeMap, HashSet, btree_map},
    iter::Peekable,
    ops::Bound,
    path::{Path, PathBuf},
};

/// Fewer works than this are never held for being more than half of a folder.
const GUARD_FROM: usize = 10;
/// Folders of a held removal that are named at most.
const NAMED: usize = 3;

/// How long ago a file last changed by the wall clock; `None` if it did so in the future.
fn age_ms(identity: &FileIdentity, wall_ms: u64) -> Option<u64> {
    let changed_ms = identity.mtime_ns.max(identity.ctime_ns) / 1_000_000;
    u64::try_from(wall_ms as i64 - changed_ms).ok()
}

impl Plan {
    /// A path was looked at: what is there is true now.
    pub(super) fn looked(&mut self, path: &Path, scan: &Scan, wall_ms: u64) -> Vec<Command> {
        let replaced = self.folders.is_replaced(path, scan);
        let mut reasons = scan.skipped.values();
        let settled = !reasons.any(|reason| *reason == SkipReason::RulesChanged);
        for known in self.table.below(path) {
            if scan.files.contains_key(&known) {
                continue;
            }
            // What the owner opts out leaves, whether or not its folder is there.
            let opted_out = scan.opted_out.contains(&known);
            if !opted_out && !scan.covers(&known) {
                if settled {
                    self.table.unknown(&known);
                }
                continue;
            }
            let placed = self
                .table
                .get(&known)
                .is_some_and(|entry| entry.placed.is_some());
            self.urgent |= placed && opted_out;
            let judged = self.judged.remove(&known);
            let elsewhere = replaced || self.folders.is_elsewhere(&known, scan);
            if placed && self.settings.hold && elsewhere && !judged {
                // Its device is not there: a scan of everything judges that.
                self.table.unknown(&known);
                self.scan_at = Some(self.now_ms);
            } else {
                self.table.vanished(&known);
            }
        }
        let from = (Bound::Included(path), Bound::Unbounded);
        let below = self.skipped.range::<Path, _>(from).map(|(path, _)| path);
        let below = below.take_while(|below| below.starts_with(path));
        for below in below.cloned().collect::<Vec<_>>() {
            self.skipped.remove(&below);
        }
        // What lies in a folder that is left out is told by the folder.
        for (at, reason) in &scan.skipped {
            if !at
                .ancestors()
                .skip(1)
                .any(|above| self.skipped.contains_key(above))
            {
                self.skipped.insert(at.clone(), *reason);
            }
        }
        let files = scan.files.iter();
        let jobs = files.filter_map(|(path, identity)| {
            let age_ms = age_ms(identity, wall_ms);
            self.table.looked_at(path, *identity, age_ms, self.now_ms)
        });
        jobs.map(Command::Ingest).collect()
    }

    /// The whole folder was scanned: the result may be out of date already. Where it contradicts what is known, the
    /// path is looked at again first.
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
        self.judged = doubtful.iter().cloned().collect();
        let mut files = Ascending::of(&scan.files);
        let contradicts = |(path, entry): &(&PathBuf, &Entry)| match files.get(path).is_some() {
            true => matches!(entry.stage, Stage::Gone),
            false => {
                let under_way = !matches!(entry.stage, Stage::Rest) || entry.task.is_some();
                entry.placed.is_none() && under_way && scan.covers(path)
            }
        };
        let contradicted = self.table.iter().filter(contradicts);
        doubtful.extend(contradicted.map(|(path, _)| path.clone()));
        self.skipped = scan.skipped;
        for (path, identity) in self.news(scan.files) {
            let age_ms = age_ms(&identity, wall_ms);
            self.table.found(&path, identity, age_ms, self.now_ms);
        }
        doubtful.into_iter().map(Command::Look).collect()
    }

    /// The files that are not as they are known: few, most often, of many.
    fn news(&self, files: BTreeMap<PathBuf, FileIdentity>) -> Vec<(PathBuf, FileIdentity)> {
        let mut entries = Ascending(self.table.iter().peekable());
        let mut is_news = |path: &Path, identity: &FileIdentity| {
            let known = entries.get(path);
            !known.is_some_and(|entry| entry.is_current(identity))
        };
        files
            .into_iter()
            .filter(|(path, identity)| is_news(path, identity))
            .collect()
    }

    /// Which placed works are gone, and whether that is accepted or held.
    ///
    /// Held are works whose folder or device vanished with them, however few, and, where more than half of a watched
    /// folder's works (and [`GUARD_FROM`] of them) vanished without a reason, these.
    fn missing(&mut self, scan: &Scan) -> Vec<PathBuf> {
        // A work that the owner's patterns name, or whose file is elsewhere now, has not vanished without a reason.
        let there: LazyCell<HashSet<(u64, u64)>, _> =
            LazyCell::new(|| scan.files.values().map(|f| (f.dev, f.ino)).collect());
        let mut alive: HashSet<&Path> = HashSet::new();
        let mut watched: BTreeMap<&Path, (usize, usize)> = BTreeMap::new();
        let (mut missing, mut vanished) = (Vec::new(), Vec::new());
        let (mut files, mut last_parent) = (Ascending::of(&scan.files), None);
        for (path, entry) in self.table.iter() {
            let Some(Placed { identity, .. }) = entry.placed else {
                continue;
            };
            let counts = watched.entry(watched_folder(path, scan)).or_default();
            counts.0 += 1;
            if files.get(path).is_some() {
                // Files of a folder follow one another.
                let parent = path.parent().map(Path::as_os_str);
                if last_parent != parent {
                    alive.extend(path.ancestors().skip(1));
                    last_parent = parent;
                }
                continue;
            }
            let known = matches!(entry.stage, Stage::Gone) || entry.task == Some(InTask::TakesOut);
            let opted_out = scan.opted_out.contains(path);
            let is_told = opted_out || scan.covers(path);
            if known || !is_told {
                continue;
            }
            let explained = opted_out
                || scan.withheld.contains(path)
                || there.contains(&(identity.dev, identity.ino));
            if !explained {
                counts.1 += 1;
                vanished.push(path.clone());
            }
            missing.push(path.clone());
        }
        let is_lost = |path: &PathBuf| {
            let folder = path.parent();
            folder.is_some_and(|folder| self.folders.is_lost(folder, scan, &alive))
        };
        let all = vanished.len();
        let placed = self.table.counts().placed;
        let grave = |path: &Path| {
            let (of, gone) = watched
                .get(watched_folder(path, scan))
                .copied()
                .unwrap_or_default();
            let most = |gone: usize, of: usize| gone >= GUARD_FROM && 2 * gone > of;
            most(gone, of) || most(all, placed)
        };
        let held: Vec<PathBuf> = vanished
            .into_iter()
            .filter(|path| grave(path) || is_lost(path))
            .collect();
        if self.is_believed(&held, scan) {
            self.held = None;
            self.held_before_ms = 0;
            self.confirmed = None;
            self.folders.follow(scan, &[]);
            return missing;
        }
        self.folders.follow(scan, &held);
        let held: HashSet<PathBuf> = held.into_iter().collect();
        missing.retain(|path| !held.contains(path));
        missing
    }

    /// Whether works that seem to be gone are to be taken out; otherwise notes that they are held.
    fn is_believed(&mut self, held: &[PathBuf], scan: &Scan) -> bool {
        if held.is_empty() || !self.settings.hold {
            return true;
        }
        let mut names = Vec::new();
        for path in held {
            names.extend_from_slice(path.as_os_str().as_encoded_bytes());
            names.push(0);
        }
        let digest = ContentHash::of(&names);
        let since_ms = self.held.as_ref().map_or(self.now_ms, |held| held.since_ms);
        let here_ms = self.now_ms.saturating_sub(since_ms);
        let over = self.held_before_ms.saturating_add(here_ms) >= self.settings.grace_ms;
        if over || self.confirmed == Some(digest) {
            return true;
        }
        let none = HashSet::new();
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in held.iter().filter_map(|path| path.parent()) {
            let named = folders.iter().any(|named| folder.starts_with(named));
            if folders.len() < NAMED && !named && self.folders.is_lost(folder, scan, &none) {
                folders.push(folder.to_owned());
            }
        }
        self.held = Some(Held {
            since_ms,
            missing: held.len(),
            digest,
            folders,
        });
        false
    }
}

/// Finds paths that are asked for in ascending order in a sorted map, each a step from the one before.
struct Ascending<I: Iterator>(Peekable<I>);

impl<'a, V> Ascending<btree_map::Iter<'a, PathBuf, V>> {
    fn of(map: &'a BTreeMap<PathBuf, V>) -> Self {
        Self(map.iter().peekable())
    }
}

impl<'a, V: 'a, I: Iterator<Item = (&'a PathBuf, &'a V)>> Ascending<I> {
    fn get(&mut self, path: &Path) -> Option<&'a V> {
        while let Some((at, value)) = self.0.peek() {
            match at.as_path().cmp(path) {
                Ordering::Less => drop(self.0.next()),
                Ordering::Equal => return Some(value),
                Ordering::Greater => break,
            }
        }
        None
    }
}

/// The watched folder that a path is in: a single one has no name, of several the path begins with its name.
fn watched_folder<'a>(path: &'a Path, scan: &Scan) -> &'a Path {
    match scan.folders.is_empty() || scan.folders.contains_key(Path::new("")) {
        true => Path::new(""),
        false => path.iter().next().map_or(Path::new(""), Path::new),
    }
}
