//! The batch arrangement: map → bisection → FLAS → annealed swaps.

use super::anneal::{self, Rules};
use super::board::{BORDER, Board};
use super::features::{self, Features};
use super::sort::{self, Schedule};
use super::{Grid, GridError, GridParams, Method, bisect, rows, shape};
use crate::matrix::Matrix;

/// Proposals of the annealing, an item: beyond it each doubling gives less than .003 DPQ16.
const PROPOSALS: usize = 400;
/// First temperature of the annealing, in mean distances of neighbours.
const HEAT: f32 = 0.1;
/// Most cells of one assignment, as in FLAS' high-quality setting.
const WINDOW: usize = 49;
/// Factor between FLAS rounds.
const DECAY: f32 = 0.98;

impl Grid {
    /// Arranges all items from scratch.
    ///
    /// `z`: `N × ≤128` features, the leading principal components of the embeddings; `points`: `N` layout points. Takes
    /// about 0.3 ms an item. Spare cells (`reserve`) are spread evenly; with `reserve = 0` those of an
    /// incomplete last row stay at its end. Errors: counts that differ, values that are not finite, parameters out of
    /// range.
    pub fn arrange(z: &Matrix, points: &[[f32; 2]], p: &GridParams) -> Result<Self, GridError> {
        shape::check(p)?;
        features::check(z, points, 0)?;
        if p.method == Method::Rows {
            let (cols, rows, cells) = rows::strips(points, p);
            return Ok(Self::from_cells(cols, rows, cells, points.len()));
        }
        let (cols, rows) = shape::size(points.len(), p);
        let capacity = shape::capacity(points.len(), (cols, rows), p);
        let mut cells = bisect::bisect(points, cols, rows, capacity);
        let radius = cols.max(rows) as f32 / p.map_fidelity;
        by_dimensions!(z.dims(), D => {
            let features = Features::<D>::new(z, points.len());
            settle(&features.rows, cols, &mut cells, radius, p.seed);
        });
        Ok(Self::from_cells(cols, rows, cells, points.len()))
    }
}

/// Sorts occupied `cells` from radius `radius` on, then anneals.
pub(super) fn settle<const D: usize>(
    features: &[[f32; D]],
    cols: u32,
    cells: &mut [u32],
    radius: f32,
    seed: u64,
) {
    let schedule = Schedule {
        radius,
        decay: DECAY,
        window: WINDOW,
        seed,
    };
    sort::sort(features, cols as usize, cells, schedule);
    let mut board = Board::new(cols, cells);
    let rules = Rules {
        heat: HEAT,
        reach: BORDER as u32,
        into_spares: false,
        homes: None,
        anchor: 0.0,
    };
    anneal::anneal(features, &mut board, PROPOSALS, &rules, seed);
    board.copy_to(cells);
}
