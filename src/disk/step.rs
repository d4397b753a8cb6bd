//! The kinds of steps that are taken on files and folders, and the hook with which tests stop any of them.

use std::{fmt, io, path::Path, sync::Arc};

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Open or list a folder or a file.
    Read,
    /// Make a folder.
    MakeFolder,
    /// Create a file.
    Create,
    /// Write to a file.
    Write,
    /// Rename a file into place.
    Rename,
    /// Give a file a second name.
    Link,
    /// Remove a file.
    Remove,
    /// Flush everything written so far.
    Sync,
    /// Flush the names in a folder.
    SyncFolder,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::MakeFolder => "make the folder",
            Self::Create => "create",
            Self::Write => "write",
            Self::Rename => "rename into place",
            Self::Link => "link",
            Self::Remove => "remove",
            Self::Sync => "flush",
            Self::SyncFolder => "flush the folder",
        })
    }
}

/// A step that is about to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What.
    pub action: Action,
    /// On which path (a rename's or link's new name).
    pub path: &'a Path,
}

/// Is asked before every step; an error stops it. For tests of faults only.
pub type Failpoint = Arc<dyn Fn(Step<'_>) -> io::Result<()> + Send + Sync>;
