//! Refines the whole grid after many quick placements.
//!
//! It takes longer than a placement and moves some items a little, so the caller chooses the moment: when nothing
//! arrives.

use super::anneal::{self, Rules};
use super::board::Board;
use super::features::{self, Features};
use super::insert::REACH;
use super::{Grid, GridError, GridParams, Outcome, shape, undo};
use crate::matrix::Matrix;

/// Proposals in all, within [`PER_ITEM`]: on a large grid arrivals would wait for more.
const PROPOSALS: usize = 20_000_000;
/// Fewest and most proposals per item.
const PER_ITEM: (usize, usize) = (800, 2000);
/// First temperature, in mean neighbour distances. .05 found less (.004 DPQ16), .15 moves works farther from home.
const HEAT: f32 = 0.12;
/// Largest share of the items that one polish moves, at `lambda = 1`.
const MOST: f32 = 0.15;
/// A small grid may always move this many items.
const FEWEST: f32 = 8.0;
/// Fewest arrivals between two polishes.
const EVERY: usize = 25;
/// Larger grids wait for one arrival per this many items.
const SHARE: usize = 80;

impl Grid {
    /// Whether enough has arrived since the last polish: 25 items, or one in 80 of a larger grid.
    pub fn wants_polish(&self, p: &GridParams) -> bool {
        self.polish_is_due(1, self.len(), p)
    }

    /// Polishes the whole grid: neighbours swap, and step into spare cells, where that makes the arrangement better by
    /// more than `lambda` asks for each item that leaves its place or its home. Items that arrived since the last
    /// polish may leave their place without a price, and get their home where the polish puts them. At `lambda = 1` at
    /// most 15 % of the items move (10 to 13 % on average), none by more than 3 cells.
    ///
    /// `z` holds the features of exactly the items placed, as in [`Grid::arrange`]. Does nothing where
    /// [`Grid::wants_polish`] is false.
    pub fn polish(&mut self, z: &Matrix, p: &GridParams) -> Result<Outcome, GridError> {
        let before: Vec<(u32, u32)> = self.places().collect();
        shape::check(p)?;
        features::check_features(z, before.len(), before.len())?;
        self.own_homes();
        if !self.wants_polish(p) {
            return Ok(Outcome::default());
        }
        let mut board = Board::new(self.cols, &self.cells);
        self.operations += 1;
        by_dimensions!(z.dims(), D => {
            let features = Features::<D>::new(z, before.len());
            self.polish_board(&features.rows, &mut board, p);
        });
        board.copy_to(&mut self.cells);
        self.index();
        Ok(self.outcome(&before, Vec::new()))
    }

    /// Whether `times` as many items as a polish of `items` waits for have arrived since the last one.
    pub(super) fn polish_is_due(&self, times: usize, items: usize, p: &GridParams) -> bool {
        let due = times * EVERY.max(items / SHARE);
        self.polishes(p) && self.unpolished as usize >= due
    }

    /// Anneals a board that holds this grid's items; those without a home have it where they are then.
    pub(super) fn polish_board<const D: usize>(
        &mut self,
        features: &[[f32; D]],
        board: &mut Board,
        p: &GridParams,
    ) {
        let len = self.homes.len();
        let from = board.places(len);
        let ties = self.ties(from, p);
        let rules = Rules {
            heat: HEAT,
            reach: REACH,
            into_spares: true,
            ties: Some(&ties),
            budget: usize::MAX,
        };
        let seed = p.seed ^ self.operations;
        let proposals = (PROPOSALS / len.max(1)).clamp(PER_ITEM.0, PER_ITEM.1);
        anneal::anneal(features, board, proposals, &rules, seed);
        let most = (len as f32 * MOST / p.lambda).max(FEWEST).min(len as f32);
        undo::all_but(features, board, &ties, most as usize);
        // Those that have seen two polishes are at home now.
        let places = board.places(len);
        let seen = self.recent.len().saturating_sub(self.unpolished as usize);
        for item in self.recent.drain(..seen) {
            let [col, row] = places[item as usize];
            self.homes[item as usize] = row as u32 * board.cols + col as u32;
        }
        self.unpolished = 0;
    }
}
