//! From embeddings (`N × D`) to a map (`N × 2`): nearest neighbours, UMAP, PCA, and keeping all of them current.
//!
//! The door is [`Layout`]: made once with [`Layout::cold`], then kept with [`Layout::insert`], [`Layout::remove`] and
//! [`Layout::relax`], so that known points stay where readers have seen them. [`Pca`] also serves `grid`, which sorts
//! by 48 of its components. Where the points end up as cells is `grid`'s business.
//!
//! Invariants: no file, clock or global state; the same input gives the same bits at any number of threads; every
//! point is finite; the neighbour graph equals the one a rebuild from the same matrix would give.
//!
//! Sources: McInnes, Healy and Melville 2018 (arXiv:1802.03426) and umap-learn 0.5, whose objective, sampling order
//! and defaults are followed; Venna and Kaski 2001 for [`trustworthiness`].

mod align;
mod curve;
mod distance;
mod eigen;
mod fuzzy;
mod knn;
mod layout;
mod linfa_pca;
mod pca;
mod product;
mod random;
mod sgd;
mod start;
mod tile;
mod trust;

pub use layout::{Layout, LayoutParts};
pub use pca::Pca;
pub use trust::trustworthiness;

/// A place on the map, `[x, y]`, in UMAP's own unit (`min_dist` is measured in it).
pub type Point = [f32; 2];

/// How the map is made.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Uniform manifold approximation: keeps neighbourhoods.
    #[default]
    Umap,
    /// The first two principal components: keeps directions of variance.
    Pca,
}

/// Everything that decides a layout besides the embeddings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayoutParams {
    /// How the map is made.
    pub method: Method,
    /// Neighbours kept for each point; UMAP uses one less, as umap-learn counts the point itself. At least 2.
    pub n_neighbors: usize,
    /// The distance at which neighbours come to rest, `0 ..= 1`.
    pub min_dist: f32,
    /// Seed of all randomness.
    pub seed: u64,
    /// Above this many points an insertion moves only the new ones and their neighbours; the rest follows in
    /// [`Layout::relax`].
    pub relax_limit: usize,
}

impl Default for LayoutParams {
    fn default() -> Self {
        Self {
            method: Method::Umap,
            n_neighbors: 15,
            min_dist: 0.1,
            seed: 42,
            relax_limit: 20_000,
        }
    }
}

impl LayoutParams {
    fn check(&self) -> Result<(), ReduceError> {
        if self.n_neighbors < 2 || self.n_neighbors > 1024 {
            return Err(ReduceError::NeighborCount(self.n_neighbors));
        }
        if !(0.0..=1.0).contains(&self.min_dist) {
            return Err(ReduceError::MinDist(self.min_dist));
        }
        Ok(())
    }
}

/// Why a layout could not be made. All are bugs or damage on the caller's side; no layout is changed by a failed call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReduceError {
    /// A value is NaN, infinite or too large to be squared.
    #[error("embedding {row} has a value that is not a usable number")]
    NonFinite {
        /// Row of the matrix.
        row: usize,
    },
    /// More rows than 32-bit ids can name.
    #[error("{0} embeddings are more than a layout can hold")]
    TooMany(usize),
    /// The matrix and the layout do not describe the same artworks.
    #[error("the layout holds {layout} points but the matrix has {matrix} rows")]
    LengthMismatch {
        /// Points expected from the layout.
        layout: usize,
        /// Rows found.
        matrix: usize,
    },
    /// Removed indices must be in range and strictly descending.
    #[error("removed index {0} is out of range or out of order")]
    RemovedIndex(usize),
    /// `n_neighbors` must be within `2 ..= 1024`.
    #[error("n_neighbors is {0}, it must be within 2 and 1024")]
    NeighborCount(usize),
    /// `min_dist` must be within `0 ..= 1`.
    #[error("min_dist is {0}, it must be within 0 and 1")]
    MinDist(f32),
    /// Stored parts contradict each other.
    #[error("the stored layout is damaged at row {row}")]
    Damaged {
        /// First row that cannot be right.
        row: usize,
    },
}
