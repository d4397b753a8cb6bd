//! What was imported for works that are not placed yet: it must not be collected before they are.
//!
//! `imported` in the state folder has the digest of the ignore patterns under which the works were chosen, and then the
//! hashes of their contents. Under other patterns the list is void, so that what these take out is erased. It has no names, and
//! losing it costs time alone.

use crate::{domain::ContentHash, watch::Rules};
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

/// Name of the file in the state folder.
const FILE: &str = "imported";

/// The list of one state folder.
#[derive(Debug)]
pub struct Imported {
    path: PathBuf,
    digest: String,
    hashes: HashSet<ContentHash>,
}

impl Imported {
    /// Reads the list of a state folder.
    pub fn open(state: &Path) -> Self {
        let path = state.join(FILE);
        let file = File::open(&path).into_iter();
        let mut lines = file.flat_map(|file| BufReader::new(file).lines().map_while(Result::ok));
        Self {
            path,
            digest: lines.next().unwrap_or_default(),
            hashes: lines.filter_map(|line| line.parse().ok()).collect(),
        }
    }

    /// Adds works that were chosen under these patterns; those that were chosen under others are forgotten.
    pub fn add(&mut self, rules: &Rules, hashes: &[ContentHash]) -> io::Result<()> {
        let digest = rules.digest();
        let fresh = self.digest != digest || !self.path.exists();
        let mut text = String::new();
        if fresh {
            self.hashes.clear();
            text = format!("{digest}\n");
        }
        for hash in hashes.iter().filter(|hash| !self.hashes.contains(hash)) {
            text.push_str(&format!("{hash}\n"));
        }
        let mut file = OpenOptions::new();
        let file = file.create(true).append(!fresh).write(true).truncate(fresh);
        file.open(&self.path)?.write_all(text.as_bytes())?;
        self.digest = digest;
        self.hashes.extend(hashes);
        Ok(())
    }

    /// The contents that were imported under the patterns of this digest.
    pub(super) fn under(&self, digest: &str) -> impl Iterator<Item = ContentHash> {
        let all = (self.digest == digest).then_some(&self.hashes);
        all.into_iter().flatten().copied()
    }

    /// Forgets all; says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        self.hashes = HashSet::new();
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, path = %self.path.display(), "cannot be removed");
        }
        true
    }
}
