//! Deep Zoom arithmetic: levels, tiles, and which tiles a changed cell touches.
//!
//! Source: the Deep Zoom format (`.dzi`): level `ceil(log2(max side))` is the full picture, each level below has half
//! the side, rounded up. Cells are powers of two, so every level but the smallest has whole cells of `px >> depth`.
//! Levels are kept down to the deepest one that fits a single tile; the levels below it exist for third-party viewers
//! only.
//!
//! Invariant: a tile's pixels depend only on the cells that [`Level::cells_of`] names.

use std::{collections::BTreeMap, ops::Range};

/// Deep Zoom's `TileSize`, pixels: 512 would halve the files touched by a change but double to quintuple the time.
pub const TILE_SIZE: u32 = 256;
/// Deep Zoom's `Overlap`, pixels.
pub const OVERLAP: u32 = 0;

/// The levels of a grid of cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pyramid {
    /// Width of the deepest level, pixels.
    pub width: u32,
    /// Height of the deepest level, pixels.
    pub height: u32,
    /// Columns of cells.
    pub cols: u32,
    /// Rows of cells.
    pub rows: u32,
    /// Side of a cell in the deepest level, pixels; a power of two.
    pub cell_px: u32,
    /// Number of the deepest level.
    pub max_level: u32,
}

/// One level of a pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Deep Zoom's number of the level.
    pub number: u32,
    /// Levels above the deepest: the picture's side is divided by `2^depth`.
    pub depth: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Columns of tiles.
    pub cols: u32,
    /// Rows of tiles.
    pub rows: u32,
    /// What a pixel or a cell is here.
    pub scale: Scale,
}

/// The relation of cells and pixels in a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A cell has this many pixels per side.
    CellPx(u32),
    /// A pixel has `2^n` cells per side, `n ≥ 1`.
    CellsPerPixel(u32),
}

/// A rectangle of pixels within a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Pyramid {
    /// The pyramid of `cols × rows` cells; `None` if there are none, `cell_px` is not a power of two, or the picture's
    /// side does not fit 31 bits.
    pub fn new(cols: u32, rows: u32, cell_px: u32) -> Option<Self> {
        let side = |cells: u32| {
            cells
                .checked_mul(cell_px)
                .filter(|&side| side > 0 && side <= 1 << 31)
        };
        if !cell_px.is_power_of_two() {
            return None;
        }
        let (width, height) = (side(cols)?, side(rows)?);
        Some(Self {
            width,
            height,
            cols,
            rows,
            cell_px,
            max_level: width.max(height).next_power_of_two().trailing_zeros(),
        })
    }

    /// Number of the lowest level that mosaicd's own tiles keep: the deepest one that fits a single tile.
    pub fn min_level(&self) -> u32 {
        self.max_level.min(TILE_SIZE.trailing_zeros())
    }

    /// Kept levels, from the lowest to the deepest.
    pub fn levels(&self) -> impl DoubleEndedIterator<Item = Level> + '_ {
        (self.min_level()..=self.max_level).map(|number| self.level(number))
    }

    /// The level of this number, which is at most `max_level`.
    pub fn level(&self, number: u32) -> Level {
        let depth = self.max_level - number.min(self.max_level);
        let scaled = |side: u32| (u64::from(side).div_ceil(1 << depth)) as u32;
        let (width, height) = (scaled(self.width), scaled(self.height));
        let log = self.cell_px.trailing_zeros();
        Level {
            number,
            depth,
            width,
            height,
            cols: width.div_ceil(TILE_SIZE),
            rows: height.div_ceil(TILE_SIZE),
            scale: match depth <= log {
                true => Scale::CellPx(self.cell_px >> depth),
                false => Scale::CellsPerPixel(depth - log),
            },
        }
    }
}

impl Level {
    /// Number of tiles.
    pub fn tiles(&self) -> usize {
        self.cols as usize * self.rows as usize
    }

    /// The pixels of a tile; those at the right and bottom edge may be smaller.
    pub fn rect(&self, col: u32, row: u32) -> Rect {
        let (x, y) = (col * TILE_SIZE, row * TILE_SIZE);
        Rect {
            x,
            y,
            width: TILE_SIZE.min(self.width.saturating_sub(x)),
            height: TILE_SIZE.min(self.height.saturating_sub(y)),
        }
    }

    /// Columns and rows of the cells that decide a tile's pixels, clipped to a grid of `cols × rows`.
    pub fn cells_of(&self, col: u32, row: u32, grid: (u32, u32)) -> (Range<u32>, Range<u32>) {
        let rect = self.rect(col, row);
        let cells = |from: u32, length: u32, limit: u32| match self.scale {
            Scale::CellPx(px) => (from / px).min(limit)..(from + length).div_ceil(px).min(limit),
            Scale::CellsPerPixel(log) => {
                let at = |pixel: u32| (u64::from(pixel) << log).min(u64::from(limit)) as u32;
                at(from)..at(from + length)
            }
        };
        (
            cells(rect.x, rect.width, grid.0),
            cells(rect.y, rect.height, grid.1),
        )
    }

    /// Tiles that show a cell: columns and rows.
    pub fn tiles_of(&self, col: u32, row: u32) -> (Range<u32>, Range<u32>) {
        let tiles = |cell: u32| {
            let (first, last) = match self.scale {
                Scale::CellPx(px) => (cell * px, cell * px + px - 1),
                Scale::CellsPerPixel(log) => (cell >> log, cell >> log),
            };
            first / TILE_SIZE..last / TILE_SIZE + 1
        };
        (tiles(col), tiles(row))
    }

    /// The pixels that show a cell: at least one, within the level.
    pub fn cell_rect(&self, col: u32, row: u32) -> Rect {
        let (x, y, px) = match self.scale {
            Scale::CellPx(px) => (col * px, row * px, px),
            Scale::CellsPerPixel(log) => (col >> log, row >> log, 1),
        };
        Rect {
            x,
            y,
            width: px,
            height: px,
        }
    }

    /// The tiles that show any of the changed cells (column, row), by row-major index, each with those cells.
    pub fn dirty(&self, changed: &[(u32, u32)]) -> BTreeMap<usize, Vec<(u32, u32)>> {
        let mut dirty = BTreeMap::<_, Vec<_>>::new();
        for &(col, row) in changed {
            let (cols, rows) = self.tiles_of(col, row);
            for tile_row in rows.start..rows.end.min(self.rows) {
                for tile_col in cols.start..cols.end.min(self.cols) {
                    let at = tile_row as usize * self.cols as usize + tile_col as usize;
                    dirty.entry(at).or_default().push((col, row));
                }
            }
        }
        dirty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_follow_the_deep_zoom_rule() {
        let p = Pyramid::new(100, 100, 128).expect("a pyramid");
        assert_eq!((p.width, p.max_level, p.min_level()), (12_800, 14, 8));
        let lowest = p.level(8);
        assert_eq!((lowest.width, lowest.tiles()), (200, 1));
        assert_eq!(lowest.scale, Scale::CellPx(2));
        let total: usize = p.levels().map(|level| level.tiles()).sum();
        assert_eq!(total, 2500 + 625 + 169 + 49 + 16 + 4 + 1);
    }

    #[test]
    fn tiny_and_huge_grids_have_levels_too() {
        let one = Pyramid::new(1, 1, 16).expect("a pyramid");
        assert_eq!((one.min_level(), one.max_level), (4, 4));
        let wide = Pyramid::new(317, 316, 64).expect("a pyramid");
        let lowest = wide.level(wide.min_level());
        assert_eq!(lowest.scale, Scale::CellsPerPixel(1));
        assert_eq!((lowest.width, lowest.height), (159, 158));
        assert!(Pyramid::new(0, 1, 16).is_none());
        assert!(Pyramid::new(1, 1, 24).is_none());
        assert!(Pyramid::new(u32::MAX, 1, 16).is_none());
    }

    proptest! {
        #[test]
        fn a_tile_shows_a_cell_exactly_if_the_cell_touches_the_tile(
            cols in 1u32..400, rows in 1u32..400, log in 4u32..10, col in 0u32..400, row in 0u32..400,
        ) {
            let (col, row) = (col % cols, row % rows);
            let p = Pyramid::new(cols, rows, 1 << log).expect("a pyramid");
            for level in p.levels() {
                prop_assert!(level.number > p.min_level() || level.tiles() == 1);
                let (tile_cols, tile_rows) = level.tiles_of(col, row);
                for tile_row in 0..level.rows.min(9) {
                    for tile_col in 0..level.cols.min(9) {
                        let (c, r) = level.cells_of(tile_col, tile_row, (cols, rows));
                        prop_assert_eq!(
                            c.contains(&col) && r.contains(&row),
                            tile_cols.contains(&tile_col) && tile_rows.contains(&tile_row)
                        );
                    }
                }
            }
        }
    }
}
