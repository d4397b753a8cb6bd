//! The placed works: each with its embedding, its point and its cell, in one dense index order.

use super::{Params, RebuildError};
use crate::{
    artwork::{ArtworkId, ContentHash, FileIdentity},
    embed::ModelId,
    grid::{Drift, Grid},
    matrix::Matrix,
    reduce::{Layout, Pca},
};
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

/// One placed artwork.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Number kept through rename and edit.
    pub id: ArtworkId,
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// Content.
    pub hash: ContentHash,
    /// What the file system said of the file when it was read.
    pub identity: FileIdentity,
    /// When it was first placed, milliseconds since the Unix epoch.
    pub added_ms: u64,
}

/// All placed works; every field in one dense index order.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The encoder of every embedding.
    pub model: ModelId,
    /// The works.
    pub works: Vec<Work>,
    /// Embeddings, `N × D`.
    pub vectors: Matrix,
    /// Points and nearest neighbours.
    pub layout: Layout,
    /// Cells.
    pub grid: Grid,
    /// Projection onto the grid's features, and the number of works it was fitted to.
    pub basis: Option<(Pca, usize)>,
    /// The id that the next new work gets.
    pub next_id: u64,
    /// Works whose embedding must be made anew (damaged record, other model); their row is zero.
    pub stale: HashSet<ArtworkId>,
    pub(super) features: Matrix,
}

impl Collection {
    /// A collection without works.
    pub fn empty(model: ModelId, dims: usize, params: &Params) -> Result<Self, RebuildError> {
        let vectors = Matrix::new(dims);
        Ok(Self {
            model,
            works: Vec::new(),
            layout: Layout::cold(&vectors, &params.layout)?,
            grid: Grid::arrange(&Matrix::new(0), &[], &params.grid)?,
            vectors,
            basis: None,
            next_id: 1,
            stale: HashSet::new(),
            features: Matrix::new(0),
        })
    }

    /// Puts loaded parts together. `features` are derived, so they are never stored.
    pub fn assemble(
        model: ModelId,
        works: Vec<Work>,
        vectors: Matrix,
        (layout, grid): (Layout, Grid),
        basis: Option<(Pca, usize)>,
        next_id: u64,
    ) -> Self {
        let features = basis
            .as_ref()
            .map_or(Matrix::new(0), |(pca, _)| pca.project(&vectors));
        Self {
            model,
            works,
            vectors,
            layout,
            grid,
            basis,
            next_id,
            stale: HashSet::new(),
            features,
        }
    }

    /// The features the grid sorts by, `N × 128` at most.
    pub fn features(&self) -> &Matrix {
        &self.features
    }

    /// Column and row of work `i`.
    pub fn cell(&self, i: usize) -> (u32, u32) {
        self.grid.cell_of(i).expect("every work has a cell")
    }

    /// How far the works are from their homes.
    pub fn drift(&self) -> Drift {
        self.grid.drift()
    }

    pub(super) fn cells(&self) -> HashMap<ArtworkId, (u32, u32)> {
        self.works
            .iter()
            .enumerate()
            .map(|(i, work)| (work.id, self.cell(i)))
            .collect()
    }
}
