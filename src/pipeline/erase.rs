//! Leaving no trace: a work that the owner's patterns name is removed from the mosaic and also from the disk.
//!
//! Ordinary removals keep the embedding (the work may come back) and the old tiles (readers may hold an old manifest).
//! Here nothing is kept: tiles, whole-image files and cells that no placed work needs are deleted, and the store is
//! rewritten. It is due whenever the patterns have changed since the last erasing; their digest is kept in the state
//! folder and written last, so that an erasing that was cut short is done again.

use crate::{
    artwork::ContentHash,
    cells::{CellError, CellStore},
    disk,
    publish::{HistoryFiles, PublishError, Publisher, Renditions},
    store::{Store, StoreError},
    watch::Rules,
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the file with the digest of the patterns that were in force at the last erasing.
const FILE: &str = "erased-for";

/// Something could not be erased yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum EraseError {
    /// In the output.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// In the prepared cells.
    #[error(transparent)]
    Cells(#[from] CellError),
    /// In the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is done, but that could not be written down.
    #[error("cannot write {}: {source}", path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Erased {
    /// Embeddings.
    pub(super) embeddings: u64,
    /// Files of the output and cells.
    pub(super) files: usize,
}

/// Which patterns are in force, and for which the last erasing was.
#[derive(Debug)]
pub(super) struct Erasing {
    path: PathBuf,
    rules: Rules,
    /// Digest of the patterns at the last erasing; `None` if there was none.
    done_for: Option<String>,
}

impl Erasing {
    pub(super) fn open(state: &Path) -> Self {
        let path = state.join(FILE);
        let done_for = fs::read_to_string(&path).ok();
        Self {
            done_for: done_for.map(|text| text.trim().to_owned()),
            path,
            rules: Rules::default(),
        }
    }

    pub(super) fn forbid(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Whether the patterns changed since the last erasing, and none of the `placed` paths is named by them any more.
    pub(super) fn is_due<'a>(&self, mut placed: impl Iterator<Item = &'a Path>) -> bool {
        let current = match &self.done_for {
            None => self.rules.is_empty(),
            Some(digest) => *digest == self.rules.digest(),
        };
        !current && !placed.any(|path| self.rules.name(path))
    }

    /// Digest of the patterns in force.
    pub(super) fn digest(&self) -> String {
        self.rules.digest()
    }

    /// Whether the patterns name a path.
    pub(super) fn names(&self, path: &Path) -> bool {
        self.rules.name(path)
    }

    /// Notes durably that the erasing is done.
    pub(super) fn done(&mut self) -> Result<(), EraseError> {
        let digest = self.rules.digest();
        let written = disk::replace_durably(&self.path, &format!("{digest}\n"));
        written.map_err(|source| EraseError::Note {
            path: self.path.clone(),
            source,
        })?;
        self.done_for = Some(digest);
        Ok(())
    }
}

/// Erases everything that belongs to none of the `used` contents.
pub(super) fn erase(
    (publisher, history_files): (&mut Publisher, &mut HistoryFiles),
    (cells, store, renditions): (&CellStore, &dyn Store, &Renditions),
    used: &HashSet<ContentHash>,
) -> Result<Erased, EraseError> {
    let files = erase_output((publisher, history_files), renditions, used.iter().copied())?;
    let cells = cells.retain(|hash| used.contains(hash))?;
    let embeddings = store.erase(&|hash, _| used.contains(hash))?;
    Ok(Erased {
        embeddings,
        files: files + cells,
    })
}

/// Erases from the output what belongs to no published work, renditions of the `used` contents excepted; gives how many
/// files that were.
pub(super) fn erase_output(
    (publisher, history_files): (&mut Publisher, &mut HistoryFiles),
    renditions: &Renditions,
    used: impl Iterator<Item = ContentHash>,
) -> Result<usize, EraseError> {
    let collected = publisher.erase()?;
    let Some(manifest) = publisher.manifest() else {
        return Ok(collected.files);
    };
    history_files.forget(manifest)?;
    // A rendition that is erased too early is made again.
    let shown = manifest.works.iter().map(|work| work.hash);
    let shown = shown.chain(used).collect();
    Ok(collected.files + renditions.retain(&shown, 0, 0)?)
}
