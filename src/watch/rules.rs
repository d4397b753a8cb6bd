//! What is left out of all watched folders, as one scan found it: the patterns in force, and what is wrong with the
//! ignore files. Pure.

use super::{Ignore, book::Trouble};
use crate::domain::OptedOut;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The patterns in force. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Folder by folder; a single one has the empty name.
    folders: Vec<(PathBuf, Ignore)>,
    troubles: Vec<Trouble>,
    again: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(vec![(PathBuf::new(), Ignore::default())], vec![], None)
    }
}

impl Rules {
    pub(super) fn new(
        folders: Vec<(PathBuf, Ignore)>,
        troubles: Vec<Trouble>,
        again: Option<Duration>,
    ) -> Self {
        Self(Arc::new(Inner {
            folders,
            troubles,
            again,
        }))
    }

    /// Whether a pattern of the owner names the work at `path` or a folder it is in.
    pub fn name(&self, path: &Path) -> bool {
        self.any(path, |ignore, path| ignore.names(path))
    }

    /// Whether the file at `path`, or a folder it is in, is left out: by a pattern, or because its name is never an
    /// artwork's.
    pub fn leave_out(&self, path: &Path) -> bool {
        self.any(path, |ignore, path| ignore.leaves_out_any(path, false))
    }

    /// Whether nothing new may be shown at `path`, because an ignore file that counts for it is not understood.
    pub fn hold(&self, path: &Path) -> bool {
        self.any(path, |ignore, path| ignore.holds(path))
    }

    /// Why the file at `path`, or a folder it is in, is left out; `None` if it is not.
    pub fn explain(&self, path: &Path) -> Option<String> {
        let mut folders = self.0.folders.iter();
        folders.find_map(|(name, ignore)| {
            let below = path.strip_prefix(name).ok()?;
            ignore.explain(below, false)
        })
    }

    /// Whether there are no patterns at all.
    pub fn is_empty(&self) -> bool {
        let mut folders = self.0.folders.iter();
        folders.all(|(_, ignore)| ignore.patterns().next().is_none())
    }

    /// A digest of the patterns: it differs when they have changed.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (name, ignore) in &self.0.folders {
            hasher.update(name.as_os_str().as_encoded_bytes());
            for (folder, pattern) in ignore.patterns() {
                // A folder's own patterns differ from the watched folder's in where they count.
                if !folder.as_os_str().is_empty() {
                    hasher
                        .update(b"\n/")
                        .update(folder.as_os_str().as_encoded_bytes());
                }
                hasher.update(b"\n").update(pattern.trim().as_bytes());
            }
            hasher.update(&[0]);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The ignore files that are not in force as they are, and what holds instead.
    pub fn troubles(&self) -> &[Trouble] {
        &self.0.troubles
    }

    /// When to scan again at the latest, because an ignore file has not settled.
    pub fn again(&self) -> Option<Duration> {
        self.0.again
    }

    /// The paths that the patterns name.
    pub(super) fn opted_out(&self) -> OptedOut {
        let rules = self.clone();
        OptedOut::new(move |path| rules.name(path))
    }

    /// The patterns of one watched folder.
    pub(super) fn of(&self, name: &Path) -> Ignore {
        let mut folders = self.0.folders.iter();
        let found = folders.find(|(other, _)| other == name);
        found.map_or_else(Ignore::default, |(_, ignore)| ignore.clone())
    }

    fn any(&self, path: &Path, is: impl Fn(&Ignore, &Path) -> bool) -> bool {
        let mut folders = self.0.folders.iter();
        folders.any(|(name, ignore)| path.strip_prefix(name).is_ok_and(|path| is(ignore, path)))
    }
}
