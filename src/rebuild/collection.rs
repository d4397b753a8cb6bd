//! The placed works: each with its embedding, its point and its cell, in one dense index order.

use super::{Departed, Params, RebuildError, Space};
use crate::{
    domain::{Artwork, ArtworkId, ModelId},
    grid::{Drift, Grid},
    matrix::Matrix,
    reduce::{Layout, Pca},
};
use std::{borrow::Cow, collections::HashSet, sync::Arc};

/// All placed works; every field in one dense index order.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The encoder of every embedding.
    pub model: ModelId,
    /// The works.
    pub works: Vec<Artwork>,
    /// Embeddings as they are compared, `N × D`; copies of the collection, for work in the background, share them.
    pub vectors: Arc<Matrix>,
    /// What was taken out of them.
    pub space: Space,
    /// Points and nearest neighbours.
    pub layout: Layout,
    /// Cells.
    pub grid: Grid,
    /// Projection onto the grid's features, and the number of works it was fitted to.
    pub basis: Option<(Pca, usize)>,
    /// The id that the next new work gets.
    pub next_id: u64,
    /// Works whose embedding must be made again (damaged record, other model); their row is zero.
    pub stale: HashSet<ArtworkId>,
    /// Works that left a short while ago.
    pub departed: Vec<Departed>,
    /// How long they are waited for, milliseconds; 0: not at all.
    pub grace_ms: u64,
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
            vectors: Arc::new(vectors),
            space: Space::default(),
            basis: None,
            next_id: 1,
            stale: HashSet::new(),
            departed: Vec::new(),
            grace_ms: 0,
            features: Matrix::new(0),
        })
    }

    /// Puts loaded parts together; `vectors` are as the model made them. `features` are derived, so they are never stored.
    pub fn assemble(
        model: ModelId,
        works: Vec<Artwork>,
        (vectors, space): (Matrix, Space),
        (layout, grid): (Layout, Grid),
        basis: Option<(Pca, usize)>,
        next_id: u64,
    ) -> Self {
        let vectors = space.all_seen(vectors);
        let features = basis
            .as_ref()
            .map_or(Matrix::new(0), |(pca, _)| pca.project(&vectors));
        Self {
            model,
            works,
            vectors: Arc::new(vectors),
            space,
            layout,
            grid,
            basis,
            next_id,
            stale: HashSet::new(),
            departed: Vec::new(),
            grace_ms: 0,
            features,
        }
    }

    /// Takes the common mean out of the embeddings if it is time, see [`Space`]; says whether it did.
    pub(super) fn settle_space(&mut self, params: &Params, afresh: bool) -> bool {
        let look = (params.look_dims, params.look);
        let due = self.space.is_due(&self.model, self.vectors.rows(), afresh);
        due && self
            .space
            .settle(&self.model, look, Arc::make_mut(&mut self.vectors), afresh)
    }

    /// What embeddings say of what pictures show, their look left out, at length 1: what words can be compared with.
    pub fn shown(&self, look_dims: usize) -> Cow<'_, Matrix> {
        if look_dims == 0 {
            return Cow::Borrowed(&self.vectors);
        }
        let dims = self.vectors.dims().saturating_sub(look_dims);
        let mut shown = Matrix::new(dims);
        for i in 0..self.vectors.rows() {
            let row = &self.vectors.row(i)[..dims];
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            shown.push(&row.iter().map(|v| v / length).collect::<Vec<_>>());
        }
        Cow::Owned(shown)
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

    /// The cell of every work, in index order.
    pub(super) fn cells(&self) -> Vec<(u32, u32)> {
        (0..self.works.len()).map(|i| self.cell(i)).collect()
    }
}
