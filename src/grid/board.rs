//! The grid as the swapping steps see it: padded, so that neighbours need no edge tests.
//!
//! Twelve neighbours count: the four beside a cell (weight 1), the four at its corners (1/2) and the four at distance
//! two (1/4). The energy `Σ w·‖x_i − x_j‖` over them resembles DPQ16's small `k`.

use super::SPARE;

/// Spare cells around the grid; also the farthest a proposal reaches.
pub(super) const BORDER: usize = 4;

/// What a border site holds.
pub(super) const OUTSIDE: u32 = SPARE - 1;

/// Column offset, row offset and weight of the neighbours, heaviest first.
pub(super) const NEIGHBOURS: [(isize, isize, f32); 12] = [
    (1, 0, 1.0),
    (-1, 0, 1.0),
    (0, 1, 1.0),
    (0, -1, 1.0),
    (1, 1, 0.5),
    (-1, 1, 0.5),
    (1, -1, 0.5),
    (-1, -1, 0.5),
    (2, 0, 0.25),
    (-2, 0, 0.25),
    (0, 2, 0.25),
    (0, -2, 0.25),
];

/// Occupants of a padded grid.
pub(super) struct Board {
    /// Columns of the grid proper.
    pub(super) cols: usize,
    /// Sites a row, border included.
    pub(super) pitch: usize,
    /// Item at each site, [`SPARE`] where there is none, [`OUTSIDE`] in the border.
    pub(super) sites: Vec<u32>,
    /// How far the neighbours are in `sites`, and their weights.
    pub(super) ring: [(isize, f32); 12],
}

impl Board {
    /// Pads `cells`, which are `cols` wide.
    pub(super) fn new(cols: usize, cells: &[u32]) -> Self {
        let rows = cells.len().checked_div(cols).unwrap_or(0);
        let pitch = cols + 2 * BORDER;
        let mut board = Self {
            cols,
            pitch,
            sites: vec![OUTSIDE; pitch * (rows + 2 * BORDER)],
            ring: NEIGHBOURS.map(|(dx, dy, w)| (dy * pitch as isize + dx, w)),
        };
        for (cell, &item) in cells.iter().enumerate() {
            let site = board.site(cell);
            board.sites[site] = item;
        }
        board
    }

    /// The site of a cell.
    #[inline(always)]
    pub(super) fn site(&self, cell: usize) -> usize {
        (cell / self.cols + BORDER) * self.pitch + cell % self.cols + BORDER
    }

    /// Whether what a site holds is an item.
    #[inline(always)]
    pub(super) fn is_item(held: u32) -> bool {
        held < OUTSIDE
    }

    /// Writes the occupants back to `cells`.
    pub(super) fn copy_to(&self, cells: &mut [u32]) {
        for (cell, item) in cells.iter_mut().enumerate() {
            *item = self.sites[self.site(cell)];
        }
    }
}
