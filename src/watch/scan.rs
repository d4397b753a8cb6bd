//! The scan: what is in the artwork folder, by stat alone. It opens folders and the owner's ignore files, but no artwork.
//!
//! A scan of everything reads the ignore files through the [`Book`] and returns the patterns in force. A look at a part
//! uses the patterns of the last scan; where an ignore file has changed since then, it finds nothing new.

use super::{
    Ignore,
    book::{Book, RULE_FILES, seen_of},
    root,
};
use crate::domain::{FileIdentity, RootId, Scan, SkipReason, SystemError};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::panic::resume_unwind;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Entries of a folder that several threads look at.
const MANY: usize = 4096;

/// The folder could not be scanned at all; nothing is known about the files in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// There is nothing at its path.
    #[error("the artwork folder {} is not there", .0.display())]
    RootMissing(PathBuf),
    /// It is something else.
    #[error("the artwork folder {} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The system refused.
    #[error("the artwork folder {} cannot be read", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where the patterns of a scan come from.
pub(super) enum Source<'a> {
    /// The ignore files, as far as they are in force; there a folder's path begins with `name`.
    Book { book: &'a mut Book, name: &'a Path },
    /// Those that the last scan found in force.
    Known,
}

/// Scans what is at `start`, relative to `root`: a folder with everything in it (the whole one if it is empty), one
/// file, or nothing (any more). 60,000 files take well under a second. Nothing is found at a path with `..` in it or
/// beyond a symbolic link, nor in a folder whose ignore files have changed since `ignore` was made.
pub fn scan_subtree(root: &Path, start: &Path, ignore: &Ignore) -> Result<Scan, ScanError> {
    let (own, known) = (HashSet::new(), Source::Known);
    walk(root, start, ignore.clone(), known, &own).map(|(scan, _)| scan)
}

/// Scans with patterns from a source; mosaicd's `own` folders are skipped. Also returns the patterns in force.
pub(super) fn walk(
    root: &Path,
    start: &Path,
    ignore: Ignore,
    source: Source<'_>,
    own: &HashSet<RootId>,
) -> Result<(Scan, Ignore), ScanError> {
    let failed = |errno: Errno| match errno {
        Errno::NOENT => ScanError::RootMissing(root.to_owned()),
        Errno::NOTDIR => ScanError::NotAFolder(root.to_owned()),
        errno => ScanError::Unreadable {
            path: root.to_owned(),
            source: errno.into(),
        },
    };
    let opened = root::open_root(root).map_err(failed)?;
    let speakers = root::speakers(&rustix::fs::fstat(&opened).map_err(failed)?);
    let mut walk = Walk {
        root: &opened,
        speakers,
        ignore,
        source,
        own,
        folders: Vec::new(),
        seen: HashSet::new(),
        files: Vec::new(),
        scan: Scan {
            start: start.to_owned(),
            ..Scan::default()
        },
    };
    if start.as_os_str().is_empty() {
        walk.folder(PathBuf::new()).map_err(failed)?;
    } else if start
        .components()
        .all(|step| matches!(step, Component::Normal(_)))
        && walk.passes(start)
        && !walk.ignore.leaves_out_any(start, false)
    {
        walk.start(start);
    }
    while let Some(path) = walk.folders.pop() {
        if let Err(errno) = walk.folder(path.clone()) {
            walk.skip(path, errno);
        }
    }
    walk.scan.files = walk.files.into_iter().collect();
    Ok((walk.scan, walk.ignore))
}

struct Walk<'a> {
    root: &'a OwnedFd,
    /// Whose ignore files count for everybody's files.
    speakers: [u32; 3],
    ignore: Ignore,
    source: Source<'a>,
    own: &'a HashSet<RootId>,
    /// Folders still to read.
    folders: Vec<PathBuf>,
    /// The folders read.
    seen: HashSet<RootId>,
    /// The files found, in order within each folder: to build a map of them at once is much quicker.
    files: Vec<(PathBuf, FileIdentity)>,
    scan: Scan,
}

impl Walk<'_> {
    /// Whether every folder that `path` is in may be looked into; notes the one that may not.
    fn passes(&mut self, path: &Path) -> bool {
        let folders: Vec<&Path> = path.ancestors().skip(1).collect();
        for folder in folders.into_iter().rev() {
            let opened = root::open_beneath(self.root, folder, OFlags::RDONLY | OFlags::DIRECTORY);
            // What is not there, or beyond a link, is reported when the path itself is looked at.
            let Ok((opened, stat)) = opened.and_then(|opened| {
                let stat = rustix::fs::fstat(&opened)?;
                Ok((opened, stat))
            }) else {
                return true;
            };
            self.scan
                .folders
                .insert(folder.to_owned(), RootId::of(&stat));
            if let Some(reason) = self.closed(&opened, folder, &stat) {
                self.scan.skipped.insert(folder.to_owned(), reason);
                return false;
            }
        }
        true
    }

    /// Begins with one entry, reached without passing a link.
    fn start(&mut self, path: &Path) {
        let parent = path.parent().unwrap_or(Path::new(""));
        let Some(name) = path.file_name() else {
            return;
        };
        match root::open_beneath(self.root, parent, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(parent) => {
                let hint = FileType::Unknown;
                if let Some(stat) = look(&self.ignore, &parent, name, path, hint) {
                    self.entry(stat, path.to_owned(), hint);
                }
            }
            Err(errno) => self.skip(path.to_owned(), errno),
        }
    }

    /// Reads one folder.
    fn folder(&mut self, path: PathBuf) -> Result<(), Errno> {
        let folder = root::open_beneath(self.root, &path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let stat = rustix::fs::fstat(&folder)?;
        if !self.seen.insert(RootId::of(&stat)) {
            self.scan.skipped.insert(path, SkipReason::Loop);
            return Ok(());
        }
        // The whole folder is read before any of it is believed: its ignore file may come last.
        let mut entries = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                entries.push((OsString::from_vec(name.to_vec()), entry.file_type()));
            }
        }
        if let Some(reason) = self.closed(&folder, &path, &stat) {
            self.scan.skipped.insert(path, reason);
            return Ok(());
        }
        self.scan.folders.insert(path.clone(), RootId::of(&stat));
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let ignore = &self.ignore;
        let look = |(name, hint): &(OsString, FileType)| {
            let path = path.join(name);
            Some((look(ignore, &folder, name, &path, *hint)?, path, *hint))
        };
        for (stat, path, hint) in on_threads(&entries, look) {
            self.entry(stat, path, hint);
        }
        Ok(())
    }

    /// Why a folder is not to be looked into; takes in its patterns.
    fn closed(&mut self, opened: &OwnedFd, path: &Path, stat: &Stat) -> Option<SkipReason> {
        if self.own.contains(&RootId::of(stat)) {
            return Some(SkipReason::Own);
        }
        let mut stats = [None; RULE_FILES.len()];
        for (name, found) in RULE_FILES.into_iter().zip(&mut stats) {
            *found = match rustix::fs::statat(opened, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Some(stat),
                Err(Errno::NOENT) => None,
                // Whether there are rules is not known.
                Err(errno) => {
                    let error = SystemError(errno.raw_os_error());
                    return Some(SkipReason::Unreadable(error));
                }
            };
        }
        let hold = match &mut self.source {
            Source::Known => {
                let level = self.ignore.levels().get(path);
                let seen = stats.map(|stat| stat.map(|stat| seen_of(&stat, &self.speakers)));
                if level.map_or([None; RULE_FILES.len()], |level| level.seen) != seen {
                    return Some(SkipReason::RulesChanged);
                }
                level.is_some_and(|level| level.hold)
            }
            Source::Book { book, name } => {
                let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
                let changed = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
                let changed = changed.unwrap_or_else(SystemTime::now);
                let folder = name.join(path);
                let level = book.level((opened, &self.speakers), &folder, stats, changed);
                let hold = level.as_ref().is_some_and(|level| level.hold);
                if let Some(level) = level {
                    self.ignore.add(path.to_owned(), level);
                }
                hold
            }
        };
        (hold || self.ignore.holds_all()).then_some(SkipReason::RulesUnread)
    }

    /// Takes in one entry of a folder.
    fn entry(&mut self, stat: Result<Stat, Errno>, path: PathBuf, hint: FileType) {
        let stat = match stat {
            Ok(stat) => stat,
            Err(errno) => return self.skip(path, errno),
        };
        let reason = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if self.ignore.withholds(&path, stat.st_uid) => {
                self.scan.withheld.insert(path);
                return;
            }
            FileType::RegularFile => {
                self.files.push((path, root::identity(&stat)));
                return;
            }
            FileType::Directory => {
                if hint == FileType::Directory || !self.ignore.leaves_out(&path, true) {
                    self.folders.push(path);
                }
                return;
            }
            FileType::Symlink => SkipReason::Symlink,
            FileType::Fifo => SkipReason::Fifo,
            FileType::Socket => SkipReason::Socket,
            _ => SkipReason::Device,
        };
        self.scan.skipped.insert(path, reason);
    }

    /// Notes what could not be read; what vanished meanwhile is simply not there.
    fn skip(&mut self, path: PathBuf, errno: Errno) {
        let reason = match errno {
            Errno::NOENT | Errno::NOTDIR => return,
            // A folder on the way was replaced by a link.
            Errno::LOOP | Errno::XDEV => SkipReason::Symlink,
            errno => SkipReason::Unreadable(SystemError(errno.raw_os_error())),
        };
        self.scan.skipped.insert(path, reason);
    }
}

/// What `look` gives for the items, in their order. Threads of its own do it where there are many: a file system that does
/// not answer must not stop work that the others share.
fn on_threads<T: Sync, R: Send>(items: &[T], look: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let some = &|items: &[T]| items.iter().filter_map(&look).collect::<Vec<_>>();
    if items.len() < MANY {
        return some(items);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(threads));
        let start = |part| {
            let thread = thread::Builder::new().spawn_scoped(scope, move || some(part));
            thread.map_err(|_| part)
        };
        let parts: Vec<_> = parts.map(start).collect();
        let looked = parts
            .into_iter()
            .map(|part| match part.map(|part| part.join()) {
                Ok(Ok(looked)) => looked,
                Ok(Err(panic)) => resume_unwind(panic),
                // There are too many threads.
                Err(part) => some(part),
            });
        looked.flatten().collect()
    })
}

/// Looks at one entry of an open folder; `None` if it is left out.
fn look(
    ignore: &Ignore,
    folder: &OwnedFd,
    name: &OsStr,
    path: &Path,
    hint: FileType,
) -> Option<Result<Stat, Errno>> {
    let left_out = ignore.leaves_out(path, hint == FileType::Directory);
    (!left_out).then(|| rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))
}
