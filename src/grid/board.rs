//! The grid as the swapping steps use it: padded, so that neighbours need no edge tests.
//!
//! Twelve neighbours count: the four next to a cell (weight 1), the four at its corners (1/2) and the four at distance
//! two (1/4). The energy `Σ w·‖x_i − x_j‖` over them resembles DPQ16's small `k`.

use super::SPARE;
use super::ties::{NOWHERE, Place};

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
    pub(super) cols: u32,
    /// Rows of the grid proper.
    pub(super) rows: u32,
    /// Sites a row, border included.
    pub(super) pitch: usize,
    /// Item at each site, [`SPARE`] where there is none, [`OUTSIDE`] in the border.
    pub(super) sites: Vec<u32>,
    /// How far the neighbours are in `sites`, and their weights.
    pub(super) ring: [(isize, f32); 12],
}

impl Board {
    /// Pads `cells`, which are `cols` wide.
    pub(super) fn new(cols: u32, cells: &[u32]) -> Self {
        let width = cols as usize;
        let rows = cells.len().checked_div(width).unwrap_or(0);
        let pitch = width + 2 * BORDER;
        let mut board = Self {
            cols,
            rows: rows as u32,
            pitch,
            sites: vec![OUTSIDE; pitch * (rows + 2 * BORDER)],
            ring: Self::ring(pitch),
        };
        for row in 0..rows {
            let start = board.site(0, row as u32);
            board.sites[start..start + width].copy_from_slice(&cells[row * width..][..width]);
        }
        board
    }

    /// How far the neighbours of a site are, where rows have `pitch` sites, and their weights.
    pub(super) fn ring(pitch: usize) -> [(isize, f32); 12] {
        NEIGHBOURS.map(|(dx, dy, w)| (dy * pitch as isize + dx, w))
    }

    /// Number of cells.
    pub(super) fn cells(&self) -> usize {
        self.cols as usize * self.rows as usize
    }

    /// The site of a column and row.
    #[inline(always)]
    pub(super) fn site(&self, col: u32, row: u32) -> usize {
        (row as usize + BORDER) * self.pitch + col as usize + BORDER
    }

    /// Column and row of a site that is not in the border.
    pub(super) fn place(&self, site: usize) -> (u32, u32) {
        let (row, col) = (site / self.pitch, site % self.pitch);
        ((col - BORDER) as u32, (row - BORDER) as u32)
    }

    /// Column and row of a site that is not in the border, as ties have them.
    #[inline(always)]
    pub(super) fn place_of(&self, site: usize) -> Place {
        let (row, col) = (site / self.pitch, site % self.pitch);
        [col as i32 - BORDER as i32, row as i32 - BORDER as i32]
    }

    /// Column and row of items `0..len`; [`NOWHERE`] for those that are not on the board.
    pub(super) fn places(&self, len: usize) -> Vec<Place> {
        let mut places = vec![NOWHERE; len];
        for row in 0..self.rows {
            let line = &self.sites[self.site(0, row)..][..self.cols as usize];
            for (col, &held) in line.iter().enumerate() {
                if Self::is_item(held) {
                    places[held as usize] = [col as i32, row as i32];
                }
            }
        }
        places
    }

    /// Whether what a site holds is an item.
    #[inline(always)]
    pub(super) fn is_item(held: u32) -> bool {
        held < OUTSIDE
    }

    /// Writes the occupants back to `cells`.
    pub(super) fn copy_to(&self, cells: &mut [u32]) {
        let width = self.cols as usize;
        for row in 0..self.rows {
            let start = self.site(0, row);
            let line = &self.sites[start..start + width];
            cells[row as usize * width..][..width].copy_from_slice(line);
        }
    }
}
