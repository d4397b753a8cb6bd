//! The sections about where a work goes: `[layout]` and `[grid]`. Their bounds are `check`'s.

use serde::{Deserialize, Serialize};

/// Which layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutMethod {
    /// UMAP, kept warm.
    Umap,
    /// The first two principal components.
    Pca,
}

/// The 2-D layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// UMAP or PCA.
    pub method: LayoutMethod,
    /// UMAP's `n_neighbors`.
    pub n_neighbors: usize,
    /// UMAP's `min_dist`.
    pub min_dist: f64,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            method: LayoutMethod::Umap,
            n_neighbors: 15,
            min_dist: 0.1,
            seed: 42,
        }
    }
}

/// Which grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GridMethod {
    /// Placed works stay; arrivals go into spare cells.
    Incremental,
    /// The post's two-stage sort, redone after every change.
    Rows,
}

/// The grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grid {
    /// Incremental or rows.
    pub method: GridMethod,
    /// Fixed number of columns; 0: from `aspect`.
    pub columns: u32,
    /// Width divided by height.
    pub aspect: f64,
    /// Share of spare cells.
    pub reserve: f64,
    /// The dial between "nothing moves" and "as good as from scratch".
    pub lambda: f64,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            method: GridMethod::Incremental,
            columns: 0,
            aspect: 1.0,
            reserve: 0.06,
            lambda: 1.0,
        }
    }
}
