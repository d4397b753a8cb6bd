//! Arrivals: each by a chain into a spare cell, followed by a polish around it; growth when it is due.

use super::anneal::{self, Rules};
use super::board::Board;
use super::chain::{LONGEST, Neighbourhoods};
use super::features::{self, Features};
use super::rng::Rng;
use super::seam::{self, Canvas, Seam};
use super::ties::Ties;
use super::{Grid, GridError, GridParams, Method, Outcome, Polishing, SPARE, arrange, bulk, shape};
use crate::matrix::Matrix;

/// Most items that one arrival moves, at `lambda = 1` or more.
const MOST: usize = LONGEST;
/// Proposals around one chain.
const NEAR: usize = 2000;
/// How far from a chain one of them may begin, cells.
const AROUND: u32 = 4;
/// How far a proposal reaches, cells.
pub(super) const REACH: u32 = 3;
/// Radius a re-sort from the present places starts at (`lambda = 0`, [`Grid::reshape`]), cells.
const WARM_RADIUS: f32 = 1.5;

impl Grid {
    /// Places items `self.len()..points.len()`, which are new; `z` and `points` hold all items, as in
    /// [`Grid::arrange`].
    ///
    /// Each arrival takes a cell that suits it by the shortest chain into a spare cell. When less than 0.7 of the
    /// reserve is spare, a seam adds a column or row. Call [`Grid::polish`] when [`Grid::wants_polish`] says so; if it
    /// is not called for twice as long, arrivals polish the whole grid themselves (but see [`Polishing`]). So many arrivals that this would
    /// cost much more than a new arrangement (or that they outnumber half of the placed items) are taken in together
    /// with one, which starts from the homes.
    ///
    /// With [`Method::Rows`] every call recomputes the strips, also without arrivals: call it after every removal.
    /// Errors as [`Grid::arrange`]; the grid is then as before.
    pub fn insert(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        p: &GridParams,
    ) -> Result<Outcome, GridError> {
        shape::check(p)?;
        features::check(z, points, self.len())?;
        self.own_homes();
        let new = points.len() - self.len();
        if p.method == Method::Rows || self.is_empty() {
            return self.afresh(z, points, p);
        }
        if p.lambda.is_finite() && bulk::is_better_together(new, self.len()) {
            return Ok(self.insert_together(z, points, p));
        }
        Ok(self.insert_one_by_one(z, points, p))
    }

    /// Places new items as [`Grid::insert`] does, but never makes a new arrangement because there are many: the cells
    /// around them are kept for items that may come back.
    ///
    /// # Errors
    /// See [`Grid::insert`].
    pub fn insert_still(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        p: &GridParams,
    ) -> Result<Outcome, GridError> {
        if p.method == Method::Rows || self.is_empty() {
            return self.insert(z, points, p);
        }
        shape::check(p)?;
        features::check(z, points, self.len())?;
        self.own_homes();
        Ok(self.insert_one_by_one(z, points, p))
    }

    /// Places the new items, if there are any, each by the shortest chain.
    fn insert_one_by_one(&mut self, z: &Matrix, points: &[[f32; 2]], p: &GridParams) -> Outcome {
        if points.len() == self.len() {
            return Outcome::default();
        }
        by_dimensions!(z.dims(), D => {
            let features = Features::<D>::new(z, points.len());
            self.insert_each(&features.rows, p)
        })
    }

    /// A grid of spare cells.
    pub fn blank(cols: u32, rows: u32) -> Self {
        Self {
            cols,
            rows,
            cells: vec![SPARE; cols as usize * rows as usize],
            ..Self::default()
        }
    }

    /// Puts the next item, whose index is [`Grid::len`], into a spare cell, its home from now on; `false` if the cell is
    /// none.
    pub fn restore(&mut self, (col, row): (u32, u32)) -> bool {
        if col >= self.cols || row >= self.rows {
            return false;
        }
        let cell = row as usize * self.cols as usize + col as usize;
        let spare = self.cells[cell] == SPARE;
        if spare {
            self.own_homes();
            self.cells[cell] = self.places.len() as u32;
            self.places.push(cell as u32);
            self.homes.push(cell as u32);
        }
        spare
    }

    /// A new arrangement of everything, and what it changes for the items placed before.
    pub(super) fn afresh(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        p: &GridParams,
    ) -> Result<Outcome, GridError> {
        let before: Vec<(u32, u32)> = self.places().collect();
        let operations = self.operations + 1;
        *self = Self::arrange(z, points, p)?;
        self.operations = operations;
        Ok(Outcome {
            rearranged: true,
            ..self.outcome(&before, Vec::new())
        })
    }

    fn insert_each<const D: usize>(&mut self, features: &[[f32; D]], p: &GridParams) -> Outcome {
        let before: Vec<(u32, u32)> = self.places().collect();
        let mut expected = before.clone();
        let mut seams = Vec::new();
        let (old_cols, old_rows) = (self.cols, self.rows);
        let mut neighbourhoods = Neighbourhoods::new(features, Board::new(self.cols, &self.cells));
        self.homes.resize(features.len(), SPARE);
        let mut ties = self.ties_near(neighbourhoods.board().places(features.len()), p);
        let mut typical = neighbourhoods.mean_misfit();
        for item in before.len()..features.len() {
            self.operations += 1;
            let mut rng = Rng::new(p.seed, self.operations);
            let placed = item + 1;
            while self.cells.len() < placed + shape::fewest_spares(placed, p) {
                neighbourhoods.board().copy_to(&mut self.cells);
                seams.push(self.grow(features, &mut expected, p));
                neighbourhoods = Neighbourhoods::new(features, Board::new(self.cols, &self.cells));
                ties = self.ties_near(neighbourhoods.board().places(features.len()), p);
            }
            place(
                &mut neighbourhoods,
                &mut ties,
                item as u32,
                typical,
                p,
                &mut rng,
            );
            self.recent.push(item as u32);
            self.unpolished += 1;
            if p.polishing == Polishing::WhenDue && self.polish_is_due(2, placed, p) {
                self.polish_board(features, neighbourhoods.board_mut(), p);
                ties = self.ties_near(neighbourhoods.board().places(features.len()), p);
                typical = neighbourhoods.mean_misfit();
            }
        }
        neighbourhoods.board().copy_to(&mut self.cells);
        if p.lambda == 0.0 {
            let seed = p.seed ^ self.operations;
            arrange::sort_and_anneal(features, self.cols, &mut self.cells, WARM_RADIUS, seed);
        }
        self.places.resize(features.len(), 0);
        self.index();
        if !self.polishes(p) {
            self.fill_homes();
        }
        let pushed = (0..before.len() as u32)
            .filter(|&i| before[i as usize] != expected[i as usize])
            .collect();
        Outcome {
            grown_cols: self.cols - old_cols,
            grown_rows: self.rows - old_rows,
            seams,
            ..self.outcome(&expected, pushed)
        }
    }

    /// Grows by one seam on the side that the aspect ratio asks for, and moves `expected` cells along.
    fn grow<const D: usize>(
        &mut self,
        features: &[[f32; D]],
        expected: &mut [(u32, u32)],
        p: &GridParams,
    ) -> Seam {
        let column = shape::grows_by_column(self.cols, self.rows, p);
        let cuts = if p.reserve > 0.0 && p.lambda.is_finite() {
            seam::carve(features, &self.cells, &self.homes, self.cols, column)
        } else {
            seam::edge(self.cols, self.rows, column)
        };
        let mut canvas = Canvas {
            cols: &mut self.cols,
            rows: &mut self.rows,
            cells: &mut self.cells,
        };
        let seam = seam::grow(&mut canvas, column, cuts);
        for cell in expected {
            *cell = seam.shift(*cell);
        }
        let (old, new) = (if column { self.cols - 1 } else { self.cols }, self.cols);
        for home in self.homes.iter_mut().filter(|home| **home != SPARE) {
            let (col, row) = seam.shift((*home % old, *home / old));
            *home = row * new + col;
        }
        seam
    }

    /// Fits the grid to a changed number of columns, aspect or reserve.
    ///
    /// If the grid has that shape within one line and has spare cells enough, nothing changes. Otherwise items keep
    /// their places relative to each other as far as the new shape allows, and are sorted from there. `z` and `points`
    /// as in [`Grid::arrange`], for exactly the items placed. To change the method, make a new arrangement.
    pub fn reshape(
        &mut self,
        z: &Matrix,
        points: &[[f32; 2]],
        p: &GridParams,
    ) -> Result<Outcome, GridError> {
        shape::check(p)?;
        features::check(z, points, self.len())?;
        if points.len() > self.len() {
            return Err(GridError::Counts {
                features: points.len(),
                points: points.len(),
                placed: self.len(),
            });
        }
        if p.method == Method::Rows {
            return self.afresh(z, points, p);
        }
        if self.fits(p) {
            return Ok(Outcome::default());
        }
        let before: Vec<(u32, u32)> = self.places().collect();
        self.refit(p);
        if p.lambda.is_finite() {
            by_dimensions!(z.dims(), D => {
                let features = Features::<D>::new(z, points.len());
                let seed = p.seed ^ self.operations;
                arrange::sort_and_anneal(&features.rows, self.cols, &mut self.cells, WARM_RADIUS, seed);
            });
            self.index();
        }
        Ok(Outcome {
            rearranged: true,
            ..self.outcome(&before, Vec::new())
        })
    }

    /// Whether arrivals and removals under `p` could have led to the grid's shape.
    fn fits(&self, p: &GridParams) -> bool {
        let (cols, rows) = shape::size(self.len(), p);
        let size = (self.cols, self.rows);
        let spares = self.spares();
        let shaped = match p.columns {
            Some(c) => self.cols == c,
            // A wide grid has proportionally wide steps between shapes.
            None => {
                let wanted = f64::from(cols) / f64::from(rows.max(1));
                let step = 1.0 + 2.0 / f64::from(self.cols.min(self.rows).max(1));
                let ratio = f64::from(self.cols) / f64::from(self.rows.max(1)) / wanted;
                ratio <= step && ratio >= 1.0 / step
            }
        };
        let line = self.cols.max(self.rows) as usize;
        let full = p.reserve > 0.0 || spares < line;
        self.is_empty() && size == (0, 0)
            || shaped
                && full
                && spares >= shape::fewest_spares(self.len(), p)
                && !shape::is_loose(self.len(), size, p)
    }
}

/// Places one arrival and polishes around it.
fn place<const D: usize>(
    neighbourhoods: &mut Neighbourhoods<D>,
    ties: &mut Ties,
    item: u32,
    typical: f32,
    p: &GridParams,
    rng: &mut Rng,
) {
    if p.lambda.is_infinite() {
        if let Some(site) = neighbourhoods.best_spare(item) {
            neighbourhoods.put(site, item);
        }
        return;
    }
    // One arrival is a smaller part of a larger grid, and may disturb fewer.
    let lambda = p.lambda * (ties.homes.len() as f32 / 1000.0).max(1.0);
    let mut path = neighbourhoods.chain(item, typical, lambda, Some(ties));
    if path.is_empty() {
        path = neighbourhoods.chain(item, typical, lambda, None);
    }
    for step in path.windows(2).rev() {
        let held = neighbourhoods.board().sites[step[0] as usize];
        neighbourhoods.put(step[1] as usize, held);
    }
    if let Some(&first) = path.first() {
        neighbourhoods.put(first as usize, item);
    }
    if p.lambda > 0.0 {
        let most = (MOST as f32 / p.lambda.min(1.0)) as usize;
        let rules = Rules {
            heat: 0.0,
            reach: REACH,
            into_spares: true,
            ties: Some(ties),
            budget: most.saturating_sub(path.len().saturating_sub(1)),
        };
        let draws = (AROUND, NEAR);
        let changes = anneal::polish_near(
            neighbourhoods.features,
            neighbourhoods.board(),
            &path,
            draws,
            &rules,
            rng,
        );
        for &(site, held) in &changes {
            neighbourhoods.put(site as usize, held);
        }
        for site in changes.iter().map(|&(site, _)| site).chain(path) {
            let held = neighbourhoods.board().sites[site as usize];
            if Board::is_item(held) {
                let (col, row) = neighbourhoods.board().place(site as usize);
                ties.from[held as usize] = [col as i32, row as i32];
            }
        }
    }
}
