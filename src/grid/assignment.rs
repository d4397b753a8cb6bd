//! The assignment as a data structure: where items are, what cells hold, and whether the two agree.

use super::{Damage, Grid, GridError, Outcome, SPARE};

impl Grid {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Number of columns.
    pub fn cols(&self) -> u32 {
        self.cols
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Number of spare cells.
    pub fn spares(&self) -> usize {
        self.cells.len() - self.places.len()
    }

    /// Column and row of an item; `None` if there is no such item.
    pub fn cell_of(&self, item: usize) -> Option<(u32, u32)> {
        let place = *self.places.get(item)?;
        Some((place % self.cols, place / self.cols))
    }

    /// Column and row of every item, in item order.
    pub fn places(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        let cols = self.cols.max(1);
        self.places.iter().map(move |&p| (p % cols, p / cols))
    }

    /// Whether this is an assignment: every item in exactly one cell, every cell with at most one item. To be called on
    /// a grid that comes from outside; all operations keep it true.
    pub fn check(&self) -> Result<(), GridError> {
        let damaged = |d| Err(GridError::Damaged(d));
        let size = u64::from(self.cols) * u64::from(self.rows);
        let too_many = self.places.len() > (u32::MAX / 4) as usize;
        if self.cells.len() as u64 != size || size >= u64::from(SPARE) || too_many {
            return damaged(Damage::Size);
        }
        if self.recent.iter().any(|&i| i as usize >= self.places.len()) {
            return damaged(Damage::Size);
        }
        for (item, &place) in self.places.iter().enumerate() {
            if self.cells.get(place as usize) != Some(&(item as u32)) {
                return damaged(Damage::Item(item as u32));
            }
        }
        for (cell, &item) in self.cells.iter().enumerate() {
            if item != SPARE && self.places.get(item as usize) != Some(&(cell as u32)) {
                return damaged(Damage::Cell(cell as u32));
            }
        }
        Ok(())
    }

    /// Item in each cell, row-major, [`SPARE`] where there is none: for the stored state, which keeps cells apart from the
    /// rest of the grid ([`Grid::without_cells`]).
    pub fn cells(&self) -> &[u32] {
        &self.cells
    }

    /// The rest of the grid, for the stored state.
    pub fn without_cells(&self) -> Self {
        Self {
            cells: Vec::new(),
            places: Vec::new(),
            homes: Vec::new(),
            recent: self.recent.clone(),
            ..*self
        }
    }

    /// Takes stored cells.
    ///
    /// # Errors
    /// [`GridError::Damaged`] as [`Grid::check`].
    pub fn with_cells(mut self, cells: Vec<u32>) -> Result<Self, GridError> {
        let items = cells.iter().filter(|&&item| item != SPARE).count();
        let beyond = |&item: &u32| item != SPARE && item as usize >= items;
        if let Some(cell) = cells.iter().position(beyond) {
            return Err(GridError::Damaged(Damage::Cell(cell as u32)));
        }
        self.cells = cells;
        self.places = vec![SPARE; items];
        self.index();
        self.check()?;
        Ok(self)
    }

    /// A grid of `cells` holding items `0..len`, each once.
    pub(super) fn from_cells(cols: u32, rows: u32, cells: Vec<u32>, len: usize) -> Self {
        let mut grid = Self {
            cols,
            rows,
            cells,
            places: vec![0; len],
            ..Self::default()
        };
        grid.index();
        grid.homes.clone_from(&grid.places);
        grid
    }

    /// Derives `places` from `cells`.
    pub(super) fn index(&mut self) {
        for (cell, &item) in self.cells.iter().enumerate() {
            if item != SPARE {
                self.places[item as usize] = cell as u32;
            }
        }
    }

    /// What happened to the first `before.len()` items, given their cells then as (column, row) in today's coordinates:
    /// with growth already applied to them, and `pushed` naming those that growth moved.
    pub(super) fn outcome(&self, expected: &[(u32, u32)], mut pushed: Vec<u32>) -> Outcome {
        let moved: Vec<u32> = self
            .places()
            .zip(expected)
            .enumerate()
            .filter(|(_, (now, then))| now != *then)
            .map(|(item, _)| item as u32)
            .collect();
        pushed.retain(|item| moved.binary_search(item).is_err());
        Outcome {
            moved,
            pushed,
            ..Outcome::default()
        }
    }
}
