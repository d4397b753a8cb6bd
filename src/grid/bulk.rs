//! Many arrivals at once, and a new arrangement on request: everything is arranged again, starting from the homes.
//!
//! Placed items start where their homes are, new ones among those that lie nearest on the map. From there the grid is
//! sorted and annealed as a new one is, from a smaller radius where less has arrived: the mosaic stays recognisable,
//! and costs and quality are those of an arrangement from nothing.

use super::features::{self, Features};
use super::{Grid, GridError, GridParams, Method, Outcome, arrange, bisect, shape};
use crate::matrix::Matrix;
use rayon::prelude::*;

/// CPU milliseconds of one arrival with its share of the polishes, and what each placed item adds to it.
const EACH_MS: (f64, f64) = (12.0, 0.003);
/// CPU milliseconds per item of an arrangement.
const AFRESH_MS: f64 = 0.5;
/// Placing one by one moves fewer items, and may cost this many times as much.
const WORTH: f64 = 4.0;
/// Up to this many arrivals (or one in this many placed items) are placed one by one, whatever the cost.
const FEW: usize = 20;
/// Placed items whose places a new one starts between.
const NEAREST: usize = 3;
/// Radius that a sort on request starts at, cells.
const RADIUS: f32 = 3.0;

/// Whether `new` arrivals onto `placed` items are better arranged together than one by one. Depends on nothing else.
pub(super) fn is_better_together(new: usize, placed: usize) -> bool {
    let total = (new + placed) as f64;
    let each = new as f64 * (EACH_MS.0 + EACH_MS.1 * total);
    new > placed / 2 || new > FEW.max(placed / FEW) && each > WORTH * AFRESH_MS * total
}

impl Grid {
    /// Arranges everything again, starting from the items' homes; where they end is their new home.
    ///
    /// `z` and `points` as in [`Grid::arrange`], for exactly the items placed. Errors as there.
    pub fn rearrange(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        p: &GridParams,
    ) -> Result<Outcome, GridError> {
        shape::check(p)?;
        features::check(z, points, self.len())?;
        if self.is_empty() || p.method == Method::Rows || points.len() > self.len() {
            return self.afresh(z, points, p);
        }
        Ok(self.sort_from_homes(z, points, RADIUS, p))
    }

    /// Takes many new items in together with a new arrangement of all.
    pub(super) fn insert_together(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        p: &GridParams,
    ) -> Outcome {
        let (cols, rows) = shape::size(points.len(), p);
        let share = 4.0 * (points.len() - self.len()) as f32 / points.len() as f32;
        let fidelity = p.map_fidelity.max(2.0);
        let radius = cols.max(rows) as f32 / fidelity * share.min(1.0);
        self.sort_from_homes(z, points, radius.max(RADIUS), p)
    }

    fn sort_from_homes(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        radius: f32,
        p: &GridParams,
    ) -> Outcome {
        self.own_homes();
        let before: Vec<(u32, u32)> = self.places().collect();
        let mut starts: Vec<[f32; 2]> = self
            .home_places()
            .into_iter()
            .zip(&before)
            .map(|(home, &(col, row))| match home {
                super::ties::NOWHERE => [col as f32, row as f32],
                home => home.map(|c| c as f32),
            })
            .collect();
        let placed = before.len();
        let arrived: Vec<[f32; 2]> = points[placed..]
            .par_iter()
            .map(|point| between(point, &points[..placed], &starts))
            .collect();
        starts.extend(arrived);
        let (cols, rows) = shape::size(points.len(), p);
        let capacity = shape::capacity(points.len(), (cols, rows), p);
        let mut cells = bisect::bisect(&starts, cols, rows, capacity);
        let operations = self.operations + 1;
        by_dimensions!(z.dims(), D => {
            let features = Features::<D>::new(z, points.len());
            arrange::sort_and_anneal(&features.rows, cols, &mut cells, radius, p.seed ^ operations);
        });
        *self = Self::from_cells(cols, rows, cells, points.len());
        self.operations = operations;
        Outcome {
            rearranged: true,
            ..self.outcome(&before, Vec::new())
        }
    }
}

/// The mean place of the [`NEAREST`] placed items around `point` on the map.
fn between(point: &[f32; 2], points: &[[f32; 2]], places: &[[f32; 2]]) -> [f32; 2] {
    let mut best = [(f32::INFINITY, usize::MAX); NEAREST];
    for (item, other) in points.iter().enumerate() {
        let (dx, dy) = (point[0] - other[0], point[1] - other[1]);
        let away = dx * dx + dy * dy;
        let mut found = (away, item);
        for kept in &mut best {
            if found.0 < kept.0 {
                std::mem::swap(&mut found, kept);
            }
        }
    }
    let (mut sum, mut count) = ([0.0; 2], 0.0);
    for (_, item) in best {
        if let Some(place) = places.get(item) {
            sum = [sum[0] + place[0], sum[1] + place[1]];
            count += 1.0;
        }
    }
    sum.map(|v| v / f32::max(count, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_come_one_by_one_and_many_together() {
        assert!(!is_better_together(1, 60_000) && !is_better_together(1, 3));
        assert!(!is_better_together(100, 10_000) && !is_better_together(50, 1000));
        assert!(is_better_together(1569, 3431) && is_better_together(16_000, 44_000));
        assert!(is_better_together(3, 3) && is_better_together(2, 2));
    }
}
