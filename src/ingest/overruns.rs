//! Files whose decoding went beyond its limits or crashed: remembered on disk, so that no start tries them again.
//!
//! What is remembered holds for this version and these limits; others try everything again. A file is known by its identity,
//! without being read, and by its content, so that a copy is not decoded either. Losing the list costs time alone.

use crate::{
    disk,
    domain::{ContentHash, FileIdentity},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Files remembered at most; the oldest are forgotten.
const MOST: usize = 10_000;

/// The list of one state folder.
#[derive(Debug)]
pub struct Overruns {
    path: PathBuf,
    list: Mutex<List>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    /// The version and the limits under which the files were decoded.
    under: String,
    files: Vec<Overran>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Overran {
    hash: ContentHash,
    identity: FileIdentity,
    reason: String,
}

impl Overruns {
    /// Opens the list at `path`; what was remembered under anything but `under` is forgotten.
    pub fn open(path: &Path, under: &str) -> Self {
        let kept = match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str::<List>(&text)
                .inspect_err(|error| tracing::debug!(%error, path = %path.display(), "damaged"))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot be read; its files are tried again");
                None
            }
        };
        let fresh = List {
            under: under.to_owned(),
            files: Vec::new(),
        };
        Self {
            path: path.to_owned(),
            list: Mutex::new(kept.filter(|list| list.under == under).unwrap_or(fresh)),
        }
    }

    /// Why the file of this identity is not to be read.
    pub(super) fn of_file(&self, identity: &FileIdentity) -> Option<String> {
        let list = self.list();
        let found = list.files.iter().find(|file| file.identity == *identity);
        found.map(|file| file.reason.clone())
    }

    /// Why this content, found in the file of this identity, is not to be decoded.
    pub(super) fn of_content(&self, hash: &ContentHash, identity: &FileIdentity) -> Option<String> {
        let found = self
            .list()
            .files
            .iter()
            .find(|file| file.hash == *hash)
            .cloned();
        let reason = found?.reason;
        self.remember(hash, identity, &reason);
        Some(reason)
    }

    /// Remembers a file.
    pub(super) fn remember(&self, hash: &ContentHash, identity: &FileIdentity, reason: &str) {
        let mut list = self.list();
        list.files.push(Overran {
            hash: *hash,
            identity: *identity,
            reason: reason.to_owned(),
        });
        let surplus = list.files.len().saturating_sub(MOST);
        list.files.drain(..surplus);
        let written = serde_json::to_string(&*list).map_err(io::Error::other);
        let written = written.and_then(|text| disk::replace_durably(&self.path, &text));
        if let Err(error) = written {
            tracing::debug!(path = %self.path.display(), %error, "cannot be written; the next start tries again");
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_copies_are_known_until_the_limits_change() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("overruns.json");
        let identity = |ino| FileIdentity {
            dev: 1,
            ino,
            size: 3,
            mtime_ns: 4,
            ctime_ns: 5,
        };
        let (good, bad) = (ContentHash::of(b"good"), ContentHash::of(b"bad"));
        let overruns = Overruns::open(&path, "limits");
        assert_eq!(overruns.of_content(&bad, &identity(1)), None);
        overruns.remember(&bad, &identity(1), "it crashed");
        let overruns = Overruns::open(&path, "limits");
        let why = Some("it crashed".to_owned());
        assert_eq!(overruns.of_file(&identity(1)), why);
        assert_eq!(overruns.of_file(&identity(2)), None);
        assert_eq!(overruns.of_content(&good, &identity(2)), None);
        assert_eq!(overruns.of_content(&bad, &identity(2)), why);
        let overruns = Overruns::open(&path, "limits");
        assert_eq!(overruns.of_file(&identity(2)), why, "the copy is known too");
        let overruns = Overruns::open(&path, "other limits");
        assert_eq!(overruns.of_file(&identity(1)), None);
        fs::write(&path, "{").expect("writable");
        assert_eq!(Overruns::open(&path, "limits").of_file(&identity(1)), None);
    }
}
