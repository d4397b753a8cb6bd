//! What a scan of the artwork folder, or a look at a part of it, saw.

use super::FileIdentity;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a scan saw. All paths are relative to the artwork folder, in whatever bytes they have.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Where the scan began: empty for the whole folder.
    pub start: PathBuf,
    /// Every regular file that is not ignored.
    pub files: BTreeMap<PathBuf, FileIdentity>,
    /// What could have been an artwork and why it is none.
    pub skipped: BTreeMap<PathBuf, SkipReason>,
    /// Every folder that was read, and which one it is.
    pub folders: BTreeMap<PathBuf, RootId>,
    /// Files that an ignore file of their own user names; it has no effect on the files of others.
    pub withheld: BTreeSet<PathBuf>,
    /// The paths that the patterns in force name.
    pub opted_out: OptedOut,
}

/// Which folder a path leads to; a different value means that it was replaced, mounted over or unmounted, and that a
/// watch from before watches something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// Why an entry is not among the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// Links are not followed: they may lead out of the folder or in circles.
    #[error("a symbolic link (not followed)")]
    Symlink,
    /// A named pipe.
    #[error("a named pipe")]
    Fifo,
    /// A socket.
    #[error("a socket")]
    Socket,
    /// A device.
    #[error("a device")]
    Device,
    /// The same folder was already seen: a mount within itself.
    #[error("a folder that contains itself")]
    Loop,
    /// The output or the state folder, reached through a mount.
    #[error("mosaicd's own output or state folder: unmount it, or choose another folder")]
    Own,
    /// The folder's ignore file was never understood: what is there may be private.
    #[error("its ignore file is not understood, so nothing new in it is shown")]
    RulesUnread,
    /// An ignore file changed since the last scan: the next one tells what is in force.
    #[error("its ignore file is changing")]
    RulesChanged,
    /// The system refused: what is there, or below, is unknown.
    #[error("cannot be read: {0}")]
    Unreadable(SystemError),
}

impl SkipReason {
    /// Whether it is unknown what is there, so that nothing may be taken out.
    pub fn is_unknown(self) -> bool {
        matches!(
            self,
            Self::Unreadable(_) | Self::RulesUnread | Self::RulesChanged | Self::Own
        )
    }
}

impl Scan {
    /// Whether the scan can tell that `path` is not there: it lies below the scan's start, and not in a folder that
    /// could not be read.
    pub fn covers(&self, path: &Path) -> bool {
        let reason = |at: &Path| self.skipped.get(at);
        let unknown = |at: &Path| reason(at).is_some_and(|reason| reason.is_unknown());
        path.starts_with(&self.start) && !path.ancestors().any(unknown)
    }
}

/// Which paths the owner's patterns name. Cheap to clone.
#[derive(Clone, Default)]
pub struct OptedOut(Option<Arc<Pattern>>);

type Pattern = dyn Fn(&Path) -> bool + Send + Sync;

impl OptedOut {
    /// The paths for which `names` is true.
    pub fn new(names: impl Fn(&Path) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(names)))
    }

    /// Whether a pattern names `path`.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.as_ref().is_some_and(|names| names(path))
    }
}

impl fmt::Debug for OptedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OptedOut")
    }
}

/// An error number of the operating system (errno).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError(pub i32);

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}
