//! Homes: the cell that each item stays close to, however many arrivals and polishes there are.
//!
//! An item's home is the cell that it had after its first polish (or arrangement); seams push homes along as they push
//! items. Everything that moves items puts a price or a limit on their distance from home.

use super::ties::{NOWHERE, Place, Ties, apart};
use super::{Damage, Grid, GridError, GridParams, Method, Polishing, SPARE};

/// Price of each cell between an item and its home, in mean distances of direct neighbours, at `lambda = 1`.
const SPRING: f32 = 0.035;
/// Price of leaving a place, in the same unit. Around an arrival it rises with the number of items above 1,000.
const STAY: f32 = 0.08;
/// Farthest that an item may go from its home, cells, at `lambda = 1`.
const FROM_HOME: f32 = 3.0;
/// Farthest that one operation may take an item, cells.
const FROM_PLACE: u32 = 3;

/// How far items are from their homes, in cells: the larger of the column and row difference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// Mean distance.
    pub mean: f64,
    /// The distance that 95 % of the items do not exceed.
    pub p95: u32,
    /// Largest distance.
    pub most: u32,
}

impl Grid {
    /// How far the items are from their homes; those that have none yet are left out.
    pub fn drift(&self) -> Drift {
        let homes = self.home_places();
        let away = |(home, (col, row)): (Place, (u32, u32))| {
            (home != NOWHERE).then(|| apart(home, [col as i32, row as i32]))
        };
        let mut away: Vec<u32> = homes
            .into_iter()
            .zip(self.places())
            .filter_map(away)
            .collect();
        away.sort_unstable();
        let sum: f64 = away.iter().map(|&cells| f64::from(cells)).sum();
        let at = (away.len() * 95).div_ceil(100).saturating_sub(1);
        Drift {
            mean: sum / away.len().max(1) as f64,
            p95: away.get(at).copied().unwrap_or(0),
            most: away.last().copied().unwrap_or(0),
        }
    }

    /// Home cell of each item, row-major, [`SPARE`] where it has none yet: for the stored state, which keeps homes apart
    /// from the rest of the grid.
    pub fn homes(&self) -> &[u32] {
        &self.homes
    }

    /// Takes stored homes; without any (version 0.1 had none) every item's home is its present cell.
    ///
    /// # Errors
    /// [`GridError::Damaged`] if the number of homes is not that of the items, or a home is not a cell of this grid.
    pub fn with_homes(mut self, homes: Option<Vec<u32>>) -> Result<Self, GridError> {
        self.homes = match homes {
            None => self.places.clone(),
            Some(homes) if homes.len() == self.places.len() => homes,
            Some(_) => return Err(GridError::Damaged(Damage::Size)),
        };
        let beyond = |&home: &u32| home != SPARE && home as usize >= self.cells.len();
        match self.homes.iter().position(beyond) {
            Some(item) => Err(GridError::Damaged(Damage::Home(item as u32))),
            None => Ok(self),
        }
    }

    /// Gives a grid that was stored without homes some.
    pub(super) fn own_homes(&mut self) {
        if self.homes.len() != self.places.len() {
            self.homes.clone_from(&self.places);
        }
    }

    /// Home of each item as column and row.
    pub(super) fn home_places(&self) -> Vec<Place> {
        let cols = self.cols.max(1);
        let place = |&home: &u32| match home {
            SPARE => NOWHERE,
            home => [(home % cols) as i32, (home / cols) as i32],
        };
        self.homes.iter().map(place).collect()
    }

    /// Gives items without a home the cell that they are in.
    pub(super) fn fill_homes(&mut self) {
        for (home, &place) in self.homes.iter_mut().zip(&self.places) {
            if *home == SPARE {
                *home = place;
            }
        }
    }

    /// Whether this grid is ever polished.
    pub(super) fn polishes(&self, p: &GridParams) -> bool {
        p.method == Method::Incremental
            && p.polishing != Polishing::Never
            && p.lambda.is_finite()
            && p.lambda > 0.0
    }

    /// The ties around an arrival, for items at `from`.
    pub(super) fn ties_near(&self, from: Vec<Place>, p: &GridParams) -> Ties {
        // One arrival is a smaller part of a larger grid, and may disturb fewer.
        let scale = (from.len() as f32 / 1000.0).max(1.0);
        Ties {
            stay: STAY * p.lambda * scale,
            homeless: 1.0,
            ..self.ties(from, p)
        }
    }

    /// The ties in a polish of the whole grid, for items at `from`.
    pub(super) fn ties(&self, from: Vec<Place>, p: &GridParams) -> Ties {
        Ties {
            homes: self.home_places(),
            from,
            spring: SPRING * p.lambda,
            stay: STAY * p.lambda,
            homeless: 0.0,
            from_home: (FROM_HOME / p.lambda).round().clamp(1.0, 1e6) as u32,
            from_place: FROM_PLACE,
        }
    }
}
