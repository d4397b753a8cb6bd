//! Departures: each leaves a spare cell; a grid that has become mostly empty shrinks.

use super::{Grid, GridParams, Method, Outcome, SPARE, bisect, shape};

impl Grid {
    /// Takes items out: indices, descending, each swap-removed in turn (the last item takes its index). Indices that do
    /// not exist are passed over.
    ///
    /// Nobody moves, unless the grid then has half as many cells again as it asks for, and a column and row more: it
    /// then shrinks to the size of a new one, items keeping their places relative to each other ([`Outcome::rearranged`]
    /// is set; not with an infinite `lambda`). The last removal leaves a grid without cells. With [`Method::Rows`], call
    /// [`Grid::insert`] next.
    pub fn remove(&mut self, removed: &[usize], p: &GridParams) -> Outcome {
        self.own_homes();
        for &item in removed {
            self.remove_one(item);
        }
        self.operations += 1;
        let size = (self.cols, self.rows);
        let loose = shape::check(p).is_ok()
            && p.method == Method::Incremental
            && p.lambda.is_finite()
            && shape::is_loose(self.len(), size, p);
        if !loose && !self.is_empty() {
            return Outcome::default();
        }
        let before: Vec<(u32, u32)> = self.places().collect();
        self.refit(p);
        Outcome {
            rearranged: true,
            ..self.outcome(&before, Vec::new())
        }
    }

    /// Takes items out as [`Grid::remove`] does, and keeps the grid's shape whatever is left.
    pub fn remove_still(&mut self, removed: &[usize]) {
        self.own_homes();
        for &item in removed {
            self.remove_one(item);
        }
        self.operations += 1;
    }

    fn remove_one(&mut self, item: usize) {
        let Some(&place) = self.places.get(item) else {
            return;
        };
        self.cells[place as usize] = SPARE;
        self.places.swap_remove(item);
        self.homes.swap_remove(item);
        let last = self.places.len() as u32;
        if let Some(&moved) = self.places.get(item) {
            self.cells[moved as usize] = item as u32;
        }
        self.recent.retain(|&i| i as usize != item);
        for recent in &mut self.recent {
            if *recent == last {
                *recent = item as u32;
            }
        }
    }

    /// Gives the grid the size a new one would have; items keep their places relative to each other, and their new
    /// places are their homes.
    pub(super) fn refit(&mut self, p: &GridParams) {
        let points: Vec<[f32; 2]> = self.places().map(|(c, r)| [c as f32, r as f32]).collect();
        (self.cols, self.rows) = shape::size(points.len(), p);
        let capacity = shape::capacity(points.len(), (self.cols, self.rows), p);
        self.cells = bisect::bisect(&points, self.cols, self.rows, capacity);
        self.index();
        self.homes.clone_from(&self.places);
        self.operations += 1;
    }
}
