//! The grid: which artwork sits in which cell, from scratch and after every change.
//!
//! # What this room owns
//! The assignment `item → cell` and everything that decides it: the batch arrangement (map → bisection → FLAS →
//! annealed swaps), the incremental one (insertion chains, anchored polish, seams), the strips of the original post and
//! the score of an arrangement. It is pure: it has no file system, clock or threads of its own, and randomness comes
//! from a seed.
//!
//! # Invariants
//! - Every item has exactly one cell and every cell holds at most one item ([`Grid::check`]).
//! - The same calls with the same arguments give the same bits at any number of rayon threads.
//! - A removal moves no item (but see [`Grid::remove`] for the shrinking after a mass removal); growth moves each item
//!   by at most one cell per seam; every other move is listed in the [`Outcome`].
//!
//! # Sources
//! FLAS: Barthel, Hezel, Jung, Schall, "Improved Evaluation and Generation of Grid Layouts using Distance Preservation
//! Quality and Linear Assignment Sorting", Computer Graphics Forum 2023, arXiv 2205.04255. The linear assignments are
//! solved with Jonker and Volgenant's algorithm (Computing 38, 1987). The incremental part is our own.

/// Runs a body with `$d` as the padded number of features: 4, 16, 48 or 128.
macro_rules! by_dimensions {
    ($dims:expr, $d:ident => $body:block) => {
        match $dims {
            0..=4 => {
                const $d: usize = 4;
                $body
            }
            5..=16 => {
                const $d: usize = 16;
                $body
            }
            17..=48 => {
                const $d: usize = 48;
                $body
            }
            _ => {
                const $d: usize = crate::grid::MAX_FEATURES;
                $body
            }
        }
    };
}

mod anneal;
mod area;
mod arrange;
mod assignment;
mod bisect;
mod blur;
mod board;
mod bulk;
mod chain;
mod features;
mod homes;
mod insert;
mod lap;
mod polish;
pub use homes::Drift;
pub use seam::Seam;
pub mod quality;
mod remove;
mod rng;
mod rows;
mod seam;
mod shape;
mod sort;
mod ties;
mod undo;

use serde::{Deserialize, Serialize};

/// Marks a spare cell where an item's index would be.
pub const SPARE: u32 = u32::MAX;

/// Most features an item may have: the leading principal components of its embedding.
///
/// Take as many as hold nine tenths of the variance. On 4,096 vectors of 512 dimensions, 48 components held 70 % of it
/// and scored .868 DPQ16, 96 held 81 % and scored .886, 128 held 86 % and scored .889; time grows with their number.
pub const MAX_FEATURES: usize = 128;

/// How items are put onto the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Sorted by the features, and kept still when items come and go.
    #[default]
    Incremental,
    /// The post's two-stage sort: strips by x, each strip by y. Every change recomputes it.
    Rows,
}

/// Who polishes the whole grid, and whether anybody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polishing {
    /// The caller, when [`Grid::wants_polish`]; arrivals do it themselves where nobody does for twice as long.
    #[default]
    WhenDue,
    /// The caller alone.
    OnRequest,
    /// Nobody: items are at home where they are placed.
    Never,
}

/// What decides an arrangement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridParams {
    /// How items are put onto the grid.
    pub method: Method,
    /// Fixed number of columns; `None` lets the grid follow `aspect`.
    pub columns: Option<u32>,
    /// Width of the grid divided by its height, in cells. Ignored when `columns` is fixed.
    pub aspect: f32,
    /// Spare cells as a share of the items, kept so that arrivals need not push others along; 0 fills the grid.
    pub reserve: f32,
    /// The balance between change and rest. Every price of leaving a home or a place is multiplied by it, and an item
    /// goes at most `3/lambda` cells (rounded, at least 1) from its home; a polish moves at most a share of
    /// `0.15/lambda` of the items. 0 sorts again after every arrival, from where the items are, without homes; infinity
    /// moves nothing (the grid then grows by whole columns or rows at its edge). Beyond 1,000 items leaving a place
    /// costs `N/1000` as much around an arrival.
    pub lambda: f32,
    /// Who polishes the whole grid.
    pub polishing: Polishing,
    /// How closely a batch arrangement follows the map: sorting starts at a radius of the longer side divided by this.
    /// 8 keeps items within a few cells of the map's place, 2 hardly follows the map, 0 ignores it: right for vectors
    /// without a map, such as colours.
    pub map_fidelity: f32,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for GridParams {
    fn default() -> Self {
        Self {
            method: Method::Incremental,
            columns: None,
            aspect: 1.0,
            reserve: 0.06,
            lambda: 1.0,
            polishing: Polishing::WhenDue,
            map_fidelity: 8.0,
            seed: 0,
        }
    }
}

/// What is wrong with the input or with a stored grid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GridError {
    /// Features and points count differently, or there are fewer than the items already placed.
    #[error("{features} feature rows and {points} points for a grid of {placed} items")]
    Counts {
        /// Rows of the feature matrix.
        features: usize,
        /// Layout points.
        points: usize,
        /// Items already on the grid.
        placed: usize,
    },
    /// More features per item than [`MAX_FEATURES`].
    #[error("{0} features an item; at most 128 are sorted by")]
    TooManyFeatures(usize),
    /// More items than a grid can index.
    #[error("{0} items are more than a grid can hold")]
    TooManyItems(usize),
    /// An item's features or point are not finite.
    #[error("item {0} has a feature or coordinate that is not a finite number")]
    NotFinite(usize),
    /// A parameter is out of its range.
    #[error("{name} is {value}; it must be {range}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The range it must be in, in words.
        range: &'static str,
    },
    /// A stored grid that is not an assignment.
    #[error("the stored grid is damaged: {0}")]
    Damaged(Damage),
}

/// How a stored grid fails to be an injective, total assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The cells are not `cols × rows`.
    #[error("its cells are not columns times rows")]
    Size,
    /// This item's cell does not exist or holds another item.
    #[error("item {0} is not in its own cell")]
    Item(u32),
    /// The home of this item is not a cell of the grid.
    #[error("the home of item {0} is not in the grid")]
    Home(u32),
    /// This cell holds an item that lies elsewhere or does not exist.
    #[error("cell {0} holds an item that lies elsewhere")]
    Cell(u32),
}

/// An assignment of items `0..len` to cells of a `cols × rows` grid, and what is needed to keep it going.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    cols: u32,
    rows: u32,
    /// Item in each cell, row-major; [`SPARE`] where there is none.
    cells: Vec<u32>,
    /// Cell of each item, row-major.
    places: Vec<u32>,
    /// Operations so far; each draws its random numbers from a stream of its own.
    operations: u64,
    /// Arrivals since the last polish of the whole grid.
    unpolished: u32,
    /// Items that arrived since then, in no order; they are free to move in the next one.
    recent: Vec<u32>,
    /// Home cell of each item, row-major; [`SPARE`] until the first polish that the item sees. Two items may have one
    /// home. Stored apart from the rest (see [`Grid::homes`]), since version 0.1 had none.
    #[serde(skip)]
    homes: Vec<u32>,
}

/// What an operation did to the items that were on the grid before and still are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Columns added by growth.
    pub grown_cols: u32,
    /// Rows added by growth.
    pub grown_rows: u32,
    /// The seams by which it grew, in their order: they say where a cell is that is kept in mind.
    pub seams: Vec<Seam>,
    /// Items, ascending, that moved for another reason than growth.
    pub moved: Vec<u32>,
    /// Items, ascending, that were only pushed along by growth.
    pub pushed: Vec<u32>,
    /// Whether everything was laid out from nothing (a large batch, shrinking, another shape, or [`Method::Rows`]).
    pub rearranged: bool,
}

#[cfg(test)]
mod tests;
