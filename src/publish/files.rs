//! Every durable step in the output folder: create, write, rename, link, remove, sync.
//!
//! It owns how a file is made; `publisher` decides which files, and in which order. Each step can be stopped by a
//! [`Failpoint`], so that tests can plan a fault at every one of them.
//!
//! Invariants: a reader never sees an unfinished file under a name that it may know; files are 0644 and folders 0755
//! whatever the umask, an existing folder's mode is left alone.

use super::PublishError;
use crate::disk::{self, Action, Failpoint, Step, flush, syncfs_flushes};
use rustix::fs::{Advice, OFlags, fadvise};
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of a file that takes a disk a while.
const LARGE: u64 = 8 << 20;

/// A complete file that waits under a temporary name for its rename.
#[derive(Debug)]
pub(super) struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

/// What an attempt to publish has left on the disk so far.
#[derive(Default)]
struct Attempt {
    temporaries: HashSet<PathBuf>,
    /// Files under new names, which no manifest mentions yet.
    fresh: Vec<PathBuf>,
}

/// Numbers the temporary files of this process: several [`Folder`]s may write to one folder at the same time.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

/// The output folder.
pub(super) struct Folder {
    root: PathBuf,
    handle: File,
    failpoint: Option<Failpoint>,
    /// Whether one `syncfs` suffices.
    syncfs: bool,
    /// Files and folders made since the last [`Folder::sync`].
    unsynced: Mutex<HashSet<PathBuf>>,
    folders: Mutex<HashSet<PathBuf>>,
    attempt: Mutex<Attempt>,
    bytes: AtomicU64,
}

impl Folder {
    /// Opens the folder, making it if need be.
    pub(super) fn open(root: &Path, failpoint: Option<Failpoint>) -> Result<Self, PublishError> {
        let io = |action, source| PublishError::Io {
            action,
            path: root.to_owned(),
            source,
        };
        if !root.is_dir() {
            fs::create_dir_all(root).map_err(|e| io(Action::MakeFolder, e))?;
            widen(root).map_err(|e| io(Action::MakeFolder, e))?;
        }
        let handle = File::open(root).map_err(|e| io(Action::Read, e))?;
        Ok(Self {
            root: root.to_owned(),
            syncfs: syncfs_flushes(&handle),
            handle,
            failpoint,
            unsynced: Mutex::default(),
            folders: Mutex::default(),
            attempt: Mutex::default(),
            bytes: AtomicU64::new(0),
        })
    }

    /// Whether the path leads to another folder than the one that was opened, or to none.
    pub(super) fn is_replaced(&self) -> bool {
        match (self.handle.metadata(), fs::metadata(&self.root)) {
            (Ok(opened), Ok(there)) => (opened.dev(), opened.ino()) != (there.dev(), there.ino()),
            _ => true,
        }
    }

    /// Opens the folder that is there now, making it if need be; what was known of the old one is forgotten.
    pub(super) fn reopen(&mut self) -> Result<(), PublishError> {
        *self = Self::open(&self.root.clone(), self.failpoint.take())?;
        Ok(())
    }

    pub(super) fn set_failpoint(&mut self, failpoint: Option<Failpoint>) {
        self.failpoint = failpoint;
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Bytes written since the last call.
    pub(super) fn take_bytes(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Runs one step, after asking the failpoint, and names it in its error.
    pub(super) fn step<T>(
        &self,
        action: Action,
        path: &Path,
        run: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, PublishError> {
        let asked = match &self.failpoint {
            Some(failpoint) => failpoint(Step { action, path }),
            None => Ok(()),
        };
        asked
            .and_then(|()| run())
            .map_err(|source| PublishError::Io {
                action,
                path: path.to_owned(),
                source,
            })
    }

    /// Makes the folder that holds `path`, once.
    fn make_parent(&self, path: &Path) -> Result<(), PublishError> {
        let Some(parent) = path.parent().filter(|&parent| parent != self.root) else {
            return Ok(());
        };
        let known = |folders: &Mutex<HashSet<PathBuf>>| {
            let folders = folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.contains(parent)
        };
        if known(&self.folders) {
            return Ok(());
        }
        self.make_parent(parent)?;
        if !parent.is_dir() {
            self.step(Action::MakeFolder, parent, || {
                match fs::create_dir(parent) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists && parent.is_dir() => Ok(()),
                    Err(e) => Err(e),
                    Ok(()) => widen(parent),
                }
            })?;
            self.unsynced().insert(parent.to_owned());
        }
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.insert(parent.to_owned());
        Ok(())
    }

    /// Creates a new file, readable by all.
    fn create(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .read(true)
            .create_new(true)
            .mode(0o644)
            .custom_flags(NO_FOLLOW)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        self.unsynced().insert(path.to_owned());
        Ok(file)
    }

    /// Writes a file directly under a name that no reader knows yet. Returns whether it was written: a file that is
    /// already there with the same bytes stays, one with other bytes (a crash's leftover) is replaced.
    pub(super) fn write_new(&self, name: &str, bytes: &[u8]) -> Result<bool, PublishError> {
        let path = self.path(name);
        self.make_parent(&path)?;
        let created = self.step(Action::Create, &path, || match self.create(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // The folder was removed under us: forget it, so that the next publish makes it again.
                self.forget_folders();
                Err(e)
            }
            Err(e) => Err(e),
        })?;
        match created {
            Some(mut file) => {
                self.attempt().fresh.push(path.clone());
                self.step(Action::Write, &path, || file.write_all(bytes))?;
                self.count_bytes(bytes.len() as u64);
                Ok(true)
            }
            None if fs::read(&path).is_ok_and(|there| there == bytes) => {
                // A run that was stopped may have left it unflushed.
                self.include(name);
                Ok(false)
            }
            None => {
                let staged = self.stage(name, bytes)?;
                self.commit(staged)?;
                Ok(true)
            }
        }
    }

    /// Begins a file that will be renamed to `name`.
    pub(super) fn begin(&self, name: &str) -> Result<(Staged, File), PublishError> {
        let target = self.path(name);
        self.make_parent(&target)?;
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let temporary = target.with_file_name(disk::temporary(sequence));
        let file = self.step(Action::Create, &temporary, || {
            self.create(&temporary)
                .inspect_err(|_| self.forget_folders())
        })?;
        self.attempt().temporaries.insert(temporary.clone());
        Ok((Staged { temporary, target }, file))
    }

    /// Writes a file that will be renamed to `name`.
    pub(super) fn stage(&self, name: &str, bytes: &[u8]) -> Result<Staged, PublishError> {
        self.stage_joined(name, &[bytes])
    }

    /// Writes a file of several parts that will be renamed to `name`.
    pub(super) fn stage_joined(&self, name: &str, parts: &[&[u8]]) -> Result<Staged, PublishError> {
        let (staged, mut file) = self.begin(name)?;
        let mut write = || parts.iter().try_for_each(|part| file.write_all(part));
        match self.step(Action::Write, &staged.temporary, &mut write) {
            Ok(()) => {
                let bytes = parts.iter().map(|part| part.len() as u64).sum();
                self.count_bytes(bytes);
                if bytes >= LARGE {
                    // The disk begins with it at once, so that a flush has less to wait for.
                    let _ = fadvise(&file, 0, None, Advice::DontNeed);
                }
                Ok(staged)
            }
            Err(error) => {
                self.abandon(staged);
                Err(error)
            }
        }
    }

    /// Appends to a file, making it if need be, without making it durable.
    pub(super) fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o644);
        options.custom_flags(NO_FOLLOW);
        let append = || options.open(&path)?.write_all(bytes);
        self.step(Action::Write, &path, append)
    }

    /// Renames a staged file into place.
    pub(super) fn commit(&self, staged: Staged) -> Result<(), PublishError> {
        self.step(Action::Rename, &staged.target, || {
            disk::rename(&staged.temporary, &staged.target)
        })?;
        self.attempt().temporaries.remove(&staged.temporary);
        let mut unsynced = self.unsynced();
        if unsynced.remove(&staged.temporary) {
            unsynced.insert(staged.target);
        }
        Ok(())
    }

    /// Replaces a file atomically, without making it durable.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        self.replace_joined(name, &[bytes])
    }

    /// Replaces a file of several parts atomically, without making it durable.
    pub(super) fn replace_joined(&self, name: &str, parts: &[&[u8]]) -> Result<(), PublishError> {
        let staged = self.stage_joined(name, parts)?;
        let target = staged.target.clone();
        self.commit(staged)?;
        self.unsynced().remove(&target);
        Ok(())
    }

    /// Renames a staged file to a name that no reader knows yet, chosen after it was written.
    pub(super) fn commit_as(&self, mut staged: Staged, name: &str) -> Result<(), PublishError> {
        staged.target = self.path(name);
        let new = !staged.target.exists();
        let target = staged.target.clone();
        self.commit(staged)?;
        if new {
            self.attempt().fresh.push(target);
        }
        Ok(())
    }

    /// From here on a manifest may name the new files: [`Folder::discard`] no longer touches them.
    pub(super) fn keep_fresh(&self) {
        self.attempt().fresh.clear();
    }

    /// Removes what a failed attempt has written; what cannot be removed is left for the next start.
    pub(super) fn discard(&self) {
        let Attempt { temporaries, fresh } = std::mem::take(&mut *self.attempt());
        for path in temporaries.into_iter().chain(fresh) {
            let removed = self.step(Action::Remove, &path, || fs::remove_file(&path));
            if let Err(error) = removed {
                tracing::debug!(%error, "could not remove a file of a failed attempt");
            }
        }
    }

    fn attempt(&self) -> MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a staged file; what cannot be removed is left for the next start.
    pub(super) fn abandon(&self, staged: Staged) {
        let removed = self.step(Action::Remove, &staged.temporary, || {
            fs::remove_file(&staged.temporary)
        });
        match removed {
            Ok(()) => {
                self.attempt().temporaries.remove(&staged.temporary);
            }
            Err(error) => tracing::debug!(%error, "could not remove a temporary file"),
        }
    }

    /// Makes `name` another name of `from`, replacing what it was; copies where links are not supported.
    pub(super) fn point(&self, from: &str, name: &str) -> Result<(), PublishError> {
        let (source, target) = (self.path(from), self.path(name));
        self.make_parent(&target)?;
        // A rename between two names of one file does nothing and leaves both, so look first.
        if same_file(&source, &target) {
            return Ok(());
        }
        let linked = self.step(Action::Link, &target, || fs::hard_link(&source, &target));
        match linked {
            Ok(()) => return Ok(()),
            Err(PublishError::Io { source: e, .. }) if e.kind() == io::ErrorKind::AlreadyExists => {
            }
            Err(PublishError::Io { source: e, .. }) if cannot_link(&e) => {
                return self.copy(&source, name);
            }
            Err(error) => return Err(error),
        }
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let temporary = target.with_file_name(disk::temporary(sequence));
        self.step(Action::Link, &temporary, || {
            fs::hard_link(&source, &temporary)
        })?;
        self.attempt().temporaries.insert(temporary.clone());
        self.commit(Staged { temporary, target })
    }

    fn copy(&self, source: &Path, name: &str) -> Result<(), PublishError> {
        let (staged, mut file) = self.begin(name)?;
        let copied = self.step(Action::Write, &staged.temporary, || {
            io::copy(&mut File::open(source)?, &mut file)
        });
        match copied {
            Ok(bytes) => self.count_bytes(bytes),
            Err(error) => {
                self.abandon(staged);
                return Err(error);
            }
        }
        self.commit(staged)
    }

    /// Removes a file; a file that is gone already is not an error. Returns how many bytes it had.
    pub(super) fn remove(&self, name: &str) -> Result<u64, PublishError> {
        let path = self.path(name);
        self.step(Action::Remove, &path, || {
            let bytes = fs::symlink_metadata(&path).map_or(0, |m| m.len());
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(bytes),
            }
        })
    }

    /// Makes everything written so far durable.
    pub(super) fn sync(&self) -> Result<(), PublishError> {
        let paths: Vec<_> = self.unsynced().drain().collect();
        // A temporary name needs not last.
        let lasting = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            !name.is_some_and(disk::is_temporary)
        };
        let named = paths.iter().filter(lasting);
        let folders = named.filter_map(|path| path.parent().map(Path::to_owned));
        let folders = folders.collect();
        self.step(Action::Sync, &self.root, || {
            flush(&self.handle, self.syncfs, &paths, &folders)
        })
    }

    /// Has the next [`Folder::sync`] include a staged file, whatever one before it did with it.
    pub(super) fn include_staged(&self, staged: &Staged) {
        self.unsynced().insert(staged.temporary.clone());
    }

    /// Has the next [`Folder::sync`] include a file that was there before.
    pub(super) fn include(&self, name: &str) {
        self.unsynced().insert(self.path(name));
    }

    fn unsynced(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the names in the output folder itself durable.
    pub(super) fn sync_folder(&self) -> Result<(), PublishError> {
        self.step(Action::SyncFolder, &self.root, || self.handle.sync_all())
    }

    /// Names in a folder; none if it does not exist.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, PublishError> {
        let path = self.path(name);
        let entries = self.step(Action::Read, &path, || disk::list(&path))?;
        // A name that is not UTF-8 is none of ours.
        let names = entries
            .into_iter()
            .map(|entry| entry.file_name().into_string());
        Ok(names.filter_map(Result::ok).collect())
    }

    pub(super) fn forget_folders(&self) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.clear();
    }
}

/// `O_NOFOLLOW`: nothing is written through a symbolic link that has one of our names.
pub(super) const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;

/// Whether two names belong to the same file.
pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::symlink_metadata(other)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Adds the bits that the umask took from a folder we made, keeping what it inherited (setgid).
fn widen(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    match mode & 0o755 {
        0o755 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(mode | 0o755)),
    }
}

fn cannot_link(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::XDEV)
    )
}

#[cfg(test)]
mod tests;
