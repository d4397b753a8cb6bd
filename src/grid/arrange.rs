//! The batch arrangement: map → bisection → FLAS → annealed swaps.

use super::anneal::{self, Rules};
use super::board::{BORDER, Board};
use super::features::{self, Features};
use super::rng::Rng;
use super::sort::{self, Schedule};
use super::{Grid, GridError, GridParams, Method, bisect, rows, shape};
use crate::matrix::Matrix;

/// Most cells of one assignment, as in FLAS' high-quality setting.
const WINDOW: usize = 49;
/// First temperature of the annealing, in mean distances of neighbours.
const HEAT: f32 = 0.1;
/// Proposals of an annealing, of all items, within bounds.
const PROPOSALS: usize = 5_000_000;
/// Number of the random stream that takes the map's place.
const SHUFFLE: u64 = 1 << 63;

/// How long to work, by the number of values of a feature and of items.
///
/// Where there are many values, single neighbours leave much to gain: from 320 proposals an item to 1,280 DPQ16 rises by .005
/// to .008, and a slower sort gives nothing. So small collections, where they cost nothing, get the most. Colours and the like
/// have few local optima: the sort does it, the slower the better at large radii, and more than 100 proposals gave nothing
/// (random RGB).
struct Effort {
    /// Factor between FLAS rounds, far out and near.
    decay: [f32; 2],
    /// Proposals of the annealing for each item.
    proposals: usize,
}

fn effort(dims: usize, items: usize) -> Effort {
    if dims <= 4 {
        Effort {
            decay: [0.983, 0.97],
            proposals: 100,
        }
    } else {
        Effort {
            decay: [0.98, 0.98],
            proposals: (PROPOSALS / items.max(1)).clamp(320, 1280),
        }
    }
}

impl Grid {
    /// Arranges all items from scratch.
    ///
    /// `z`: `N × ≤128` features, the leading principal components of the embeddings; `points`: `N` layout points. Takes
    /// about 1 ms of CPU per item up to 4,000 items, and less in larger collections. Spare cells (`reserve`) are spread
    /// evenly; with `reserve = 0` those of an incomplete last row stay at its end. Errors: counts that differ, values that
    /// are not finite, parameters out of range.
    pub fn arrange(z: &Matrix, points: &[[f32; 2]], p: &GridParams) -> Result<Self, GridError> {
        shape::check(p)?;
        features::check(z, points, 0)?;
        if p.method == Method::Rows {
            let (cols, rows, cells) = rows::strips(points, p);
            return Ok(Self::from_cells(cols, rows, cells, points.len()));
        }
        let (cols, rows) = shape::size(points.len(), p);
        let capacity = shape::capacity(points.len(), (cols, rows), p);
        let side = cols.max(rows) as f32;
        let (mut cells, radius) = if p.map_fidelity == 0.0 {
            let mut rng = Rng::new(p.seed, SHUFFLE);
            let mut place = || rng.next() as f32;
            let places: Vec<_> = points.iter().map(|_| [place(), place()]).collect();
            (bisect::bisect(&places, cols, rows, capacity), side / 2.0)
        } else {
            let cells = bisect::bisect(points, cols, rows, capacity);
            (cells, side / p.map_fidelity)
        };
        by_dimensions!(z.dims(), D => {
            let features = Features::<D>::new(z, points.len());
            sort_and_anneal(&features.rows, cols, &mut cells, radius, p.seed);
        });
        Ok(Self::from_cells(cols, rows, cells, points.len()))
    }
}

/// Sorts occupied `cells` from radius `radius` on, then anneals.
pub(super) fn sort_and_anneal<const D: usize>(
    features: &[[f32; D]],
    cols: u32,
    cells: &mut [u32],
    radius: f32,
    seed: u64,
) {
    let effort = effort(D, features.len());
    let schedule = Schedule {
        radius,
        decay: effort.decay,
        window: WINDOW,
        seed,
    };
    sort::sort(features, cols as usize, cells, schedule);
    let mut board = Board::new(cols, cells);
    let rules = Rules {
        heat: HEAT,
        reach: BORDER as u32,
        into_spares: false,
        ties: None,
        budget: usize::MAX,
    };
    anneal::anneal(features, &mut board, effort.proposals, &rules, seed);
    board.copy_to(cells);
}
