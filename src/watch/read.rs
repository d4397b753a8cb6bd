//! Reading a file whole, and only if it is and stays the one that the scan saw; and the owner's own small files.

use super::root;
use crate::domain::FileIdentity;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file's bytes could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is gone: nothing to report.
    #[error("it is not there any more")]
    Vanished,
    /// It is not the file that was expected, or changed while it was read: settle it again.
    #[error("it changed while it was read")]
    Changed,
    /// It is larger than allowed; nothing was read.
    #[error("it has {size} bytes, and at most {max_bytes} are read")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// It is not a regular file, or its path leads through a symbolic link.
    #[error("it is not a regular file, or behind a symbolic link")]
    NotAFile,
    /// Permission is missing; a change of it shows in the file's identity.
    #[error("permission denied")]
    Denied,
    /// The system failed otherwise.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
}

/// Reads the file at `path`, relative to the artwork folder `root`, if it is `expected` before and after.
///
/// Never blocks on a FIFO, never opens a device, never follows a symbolic link.
pub fn read_finished(
    root: &Path,
    path: &Path,
    expected: &FileIdentity,
    max_bytes: u64,
) -> Result<Vec<u8>, ReadError> {
    let root = root::open_root(root).map_err(of_errno)?;
    // Looked at before it is opened, because opening a device may already do something.
    let before = rustix::fs::statat(&root, path, AtFlags::SYMLINK_NOFOLLOW).map_err(of_errno)?;
    check(&before, expected)?;
    let size = expected.size;
    if size > max_bytes {
        return Err(ReadError::TooLarge { size, max_bytes });
    }
    let file = root::open_beneath(&root, path, OFlags::RDONLY).map_err(of_errno)?;
    let mut file = File::from(file);
    check(&rustix::fs::fstat(&file).map_err(of_errno)?, expected)?;
    let mut bytes = Vec::new();
    let room = usize::try_from(size)
        .ok()
        .and_then(|size| size.checked_add(1));
    if room.is_none_or(|room| bytes.try_reserve_exact(room).is_err()) {
        return Err(of_io(io::ErrorKind::OutOfMemory.into()));
    }
    // One byte more than expected, to notice a file that grew.
    (&mut file)
        .take(size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(of_io)?;
    check(&rustix::fs::fstat(&file).map_err(of_errno)?, expected)?;
    if bytes.len() as u64 != size {
        return Err(ReadError::Changed);
    }
    Ok(bytes)
}

/// A file of the owner that says something about other files.
pub(super) struct Small {
    /// Its bytes, the first ones only if there are too many.
    pub(super) bytes: Vec<u8>,
    /// Whether these are all.
    pub(super) whole: bool,
    /// Which file it was.
    pub(super) identity: FileIdentity,
    /// Whose it is.
    pub(super) user: u32,
}

/// Reads a file that lies in the open `folder`, but no more than `max_bytes` of it; `None` if there is none.
///
/// # Errors
/// The system's; `InvalidInput` for what is no regular file.
pub(super) fn read_small(
    folder: &OwnedFd,
    name: &Path,
    max_bytes: u64,
) -> io::Result<Option<Small>> {
    let is_regular = |stat: &Stat| match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    // A FIFO of this name must not block us, and a link not lead out of the folder.
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => is_regular(&stat?)?,
    }
    let file = File::from(root::open_beneath(folder, name, OFlags::RDONLY)?);
    let stat = rustix::fs::fstat(&file)?;
    is_regular(&stat)?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 <= max_bytes;
    bytes.truncate(usize::try_from(max_bytes).unwrap_or(usize::MAX));
    Ok(Some(Small {
        bytes,
        whole,
        identity: root::identity(&stat),
        user: stat.st_uid,
    }))
}

fn check(stat: &Stat, expected: &FileIdentity) -> Result<(), ReadError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Err(ReadError::NotAFile)
    } else if root::identity(stat) == *expected {
        Ok(())
    } else {
        Err(ReadError::Changed)
    }
}

fn of_errno(errno: Errno) -> ReadError {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::STALE => ReadError::Vanished,
        Errno::LOOP | Errno::XDEV | Errno::NXIO => ReadError::NotAFile,
        Errno::ACCESS | Errno::PERM => ReadError::Denied,
        errno => ReadError::Io(errno.into()),
    }
}

fn of_io(error: io::Error) -> ReadError {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(errno) => of_errno(errno),
        None => ReadError::Io(error),
    }
}
