//! A change of the mosaic: what is asked for, and the result.

use super::{
    ContentHash, Job,
    manifest::{Drift, Moves},
};
use std::{path::PathBuf, time::Duration};

/// What the pipeline can be asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Place new and changed files (already durable in the store), remove what is gone, publish.
    Apply {
        /// New and changed files with their content's hash.
        arrivals: Vec<(Job, ContentHash)>,
        /// Paths that are gone.
        gone: Vec<PathBuf>,
    },
    /// Take over the grid that was polished in the background, unless works came or went meanwhile, and publish.
    Polish,
    /// Make the whole layout again and publish.
    Relayout,
}

/// What a task did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What changed.
    pub rebuilt: Rebuilt,
    /// The generation readers see now.
    pub generation: u64,
    /// Whether this task published it; otherwise there was nothing new for readers.
    pub changed: bool,
    /// In how many milliseconds the next publication is due although nothing changes; `None`: never.
    pub due_ms: Option<u64>,
    /// When it was published, milliseconds since the Unix epoch.
    pub published_ms: u64,
    /// Works placed.
    pub works: usize,
    /// Columns and rows.
    pub grid: (u32, u32),
    /// Side of a cell, pixels.
    pub cell_px: u32,
    /// What moved since the generation before, as readers see it.
    pub moves: Moves,
    /// How far the works are from their homes; `None` without works.
    pub drift: Option<Drift>,
    /// Pyramid tiles written.
    pub tiles: usize,
    /// Size of the store, bytes.
    pub store_bytes: u64,
    /// Whether the store was damaged and rebuilt since the last report.
    pub store_healed: bool,
    /// Placed files whose prepared cell is missing, so that they must be read again.
    pub missing: Vec<PathBuf>,
    /// Placed files whose rendition is still to be made.
    pub unrendered: Vec<PathBuf>,
    /// How long each stage took.
    pub stages: Vec<(&'static str, Duration)>,
    /// Whether so much has arrived that a polish has something to do.
    pub wants_polish: bool,
}

impl Report {
    /// How long the task took.
    pub fn elapsed(&self) -> Duration {
        self.stages.iter().map(|(_, took)| *took).sum()
    }
}

/// What a rebuild did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// New works.
    pub added: u32,
    /// Works that are gone.
    pub removed: u32,
    /// Works whose content changed.
    pub changed: u32,
    /// Works that have another path now.
    pub renamed: u32,
    /// Unchanged works that were moved to another cell, not counting growth.
    pub moved: u32,
    /// Works pushed along because a row or column was inserted.
    pub grown: u32,
}

impl Rebuilt {
    /// This and then `next`, as one.
    pub fn and(self, next: Self) -> Self {
        Self {
            added: self.added + next.added,
            removed: self.removed + next.removed,
            changed: self.changed + next.changed,
            renamed: self.renamed + next.renamed,
            moved: self.moved + next.moved,
            grown: self.grown + next.grown,
        }
    }
}
