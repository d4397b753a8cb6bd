//! The polish of the whole grid, which mends what many arrivals, each placed with little ado, have left.
//!
//! It takes seconds and moves many items a little, so it is its caller's to choose the moment: when nothing arrives.

use super::anneal::{self, Rules};
use super::board::Board;
use super::features::{self, Features};
use super::insert::{REACH, homes};
use super::{Grid, GridError, GridParams, Method, Outcome, SPARE, shape};
use crate::matrix::Matrix;

/// Mean neighbour distances an item must gain to leave its place, at `lambda = 1`.
const ANCHOR: f32 = 0.03;
/// Proposals an item.
const PROPOSALS: usize = 800;
/// First temperature, in mean neighbour distances; twice that of a batch arrangement, since seams leave more to undo.
const HEAT: f32 = 0.2;
/// Fewest arrivals between two polishes.
const EVERY: usize = 50;
/// Larger grids wait for one arrival in so many items.
const SHARE: usize = 40;

impl Grid {
    /// Whether enough has arrived since the last polish: 50 items, or 2.5 % of a larger grid.
    pub fn wants_polish(&self, p: &GridParams) -> bool {
        self.polish_is_due(1, self.len(), p)
    }

    /// Polishes the whole grid: neighbours swap, and step into spare cells, where that makes the arrangement better by
    /// more than `lambda` asks for each item taken off its place. What arrived since the last time moves freely.
    ///
    /// `z` holds the features of exactly the items placed, as in [`Grid::arrange`]. Does nothing where
    /// [`Grid::wants_polish`] is false.
    pub fn polish(&mut self, z: &Matrix, p: &GridParams) -> Result<Outcome, GridError> {
        let before: Vec<(u32, u32)> = self.places().collect();
        shape::check(p)?;
        features::check_features(z, before.len(), before.len())?;
        if !self.wants_polish(p) {
            return Ok(Outcome::default());
        }
        let mut board = Board::new(self.cols, &self.cells);
        let mut homes = homes(&board, &before, before.len());
        self.operations += 1;
        self.free_recent(&mut homes);
        by_dimensions!(z.dims(), D => {
            let features = Features::<D>::new(z, before.len());
            self.anneal(&features.rows, &mut board, &homes, p);
        });
        board.copy_to(&mut self.cells);
        self.index();
        Ok(self.outcome(&before, Vec::new()))
    }

    /// Whether so many times the arrivals that a polish of `items` waits for have come since the last one.
    pub(super) fn polish_is_due(&self, times: usize, items: usize, p: &GridParams) -> bool {
        let due = times * EVERY.max(items / SHARE);
        p.method == Method::Incremental
            && p.lambda.is_finite()
            && p.lambda > 0.0
            && self.unpolished as usize >= due
    }

    /// Lets what arrived since the last polish move freely in this one.
    pub(super) fn free_recent(&mut self, homes: &mut [u32]) {
        for recent in self.recent.drain(..) {
            homes[recent as usize] = SPARE;
        }
        self.unpolished = 0;
    }

    pub(super) fn anneal<const D: usize>(
        &self,
        features: &[[f32; D]],
        board: &mut Board,
        homes: &[u32],
        p: &GridParams,
    ) {
        let rules = Rules {
            heat: HEAT,
            reach: REACH,
            into_spares: true,
            homes: Some(homes),
            anchor: ANCHOR * p.lambda,
        };
        let seed = p.seed ^ self.operations;
        anneal::anneal(features, board, PROPOSALS, &rules, seed);
    }
}
