//! The scan: what is in the artwork folder, by stat alone. It opens folders but never a file.

use super::{Ignore, root};
use crate::domain::{Scan, SkipReason, SystemError};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The folder could not be scanned at all; nothing is known about its files.
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

/// Scans what is at `start`, relative to `root`: a folder with everything in it (the whole one if it is empty), one
/// file, or nothing (any more). 60,000 files take well under a second. Nothing is found at a path with `..` in it or
/// beyond a symbolic link.
pub fn scan_subtree(root: &Path, start: &Path, ignore: &Ignore) -> Result<Scan, ScanError> {
    let failed = |errno: Errno| match errno {
        Errno::NOENT => ScanError::RootMissing(root.to_owned()),
        Errno::NOTDIR => ScanError::NotAFolder(root.to_owned()),
        errno => ScanError::Unreadable {
            path: root.to_owned(),
            source: errno.into(),
        },
    };
    let opened = root::open_root(root).map_err(failed)?;
    let mut walk = Walk {
        root: &opened,
        ignore,
        folders: Vec::new(),
        seen: HashSet::new(),
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
        && !ignore.leaves_out_any(start, false)
    {
        walk.start(start);
    }
    while let Some(path) = walk.folders.pop() {
        if let Err(errno) = walk.folder(path.clone()) {
            walk.skip(path, errno);
        }
    }
    Ok(walk.scan)
}

struct Walk<'a> {
    root: &'a OwnedFd,
    ignore: &'a Ignore,
    /// Folders still to read.
    folders: Vec<PathBuf>,
    /// Device and inode of the folders read.
    seen: HashSet<(u64, u64)>,
    scan: Scan,
}

impl Walk<'_> {
    /// Begins with one entry, reached without passing a link.
    fn start(&mut self, path: &Path) {
        let parent = path.parent().unwrap_or(Path::new(""));
        let Some(name) = path.file_name() else {
            return;
        };
        match root::open_beneath(self.root, parent, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(parent) => self.entry(&parent, name, path.to_owned(), FileType::Unknown),
            Err(errno) => self.skip(path.to_owned(), errno),
        }
    }

    /// Reads one folder.
    fn folder(&mut self, path: PathBuf) -> Result<(), Errno> {
        let folder = root::open_beneath(self.root, &path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let stat = rustix::fs::fstat(&folder)?;
        if !self.seen.insert((stat.st_dev, stat.st_ino)) {
            self.scan.skipped.push((path, SkipReason::Loop));
            return Ok(());
        }
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                self.entry(&folder, name, path.join(name), entry.file_type());
            }
        }
        Ok(())
    }

    /// Takes in one entry of an open folder.
    fn entry(&mut self, folder: &OwnedFd, name: &OsStr, path: PathBuf, hint: FileType) {
        if self.ignore.leaves_out(&path, hint == FileType::Directory) {
            return;
        }
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(errno) => return self.skip(path, errno),
        };
        let reason = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                self.scan.files.insert(path, root::identity(&stat));
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
        self.scan.skipped.push((path, reason));
    }

    /// Notes what could not be read; what vanished meanwhile is simply not there.
    fn skip(&mut self, path: PathBuf, errno: Errno) {
        let reason = match errno {
            Errno::NOENT | Errno::NOTDIR => return,
            // A folder on the way was replaced by a link.
            Errno::LOOP | Errno::XDEV => SkipReason::Symlink,
            errno => SkipReason::Unreadable(SystemError(errno.raw_os_error())),
        };
        self.scan.skipped.push((path, reason));
    }
}
