//! Composing a tile's pixels from the mips of the cells it shows.
//!
//! The caller says what a cell looks like at a size; this file puts its pixels in their place. Spare cells are
//! background.

use super::pyramid::{Level, Rect, Scale};

/// A picture: `width × height × 3` bytes of row-major RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The bytes.
    pub rgb: Vec<u8>,
}

/// Gives a cell's pixels: `mip(col, row, px, out)` fills `out` with `px × px × 3` bytes and says true, or says false
/// for a spare cell. `px` is a power of two.
pub type MipSource<'a> = &'a mut dyn FnMut(u32, u32, u32, &mut Vec<u8>) -> bool;

impl Raster {
    /// A picture of one colour.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            rgb: colour.repeat(width as usize * height as usize),
        }
    }

    /// Copies a square of `px` pixels per side to (`x`, `y`), which may lie partly outside.
    pub fn blit(&mut self, square: &[u8], px: u32, x: i64, y: i64) {
        let clip = |at: i64, limit: u32| {
            let from = (-at).clamp(0, i64::from(px));
            let to = (i64::from(limit) - at).clamp(from, i64::from(px));
            (from as usize, to as usize)
        };
        let (left, right) = clip(x, self.width);
        let (top, bottom) = clip(y, self.height);
        for line in top..bottom {
            let from = (line * px as usize + left) * 3;
            let to = ((y + line as i64) * i64::from(self.width) + x + left as i64) as usize;
            let bytes = (right - left) * 3;
            self.rgb[to * 3..to * 3 + bytes].copy_from_slice(&square[from..from + bytes]);
        }
    }
}

/// Composes the pixels `rect` of a level over a grid of `cols × rows` cells.
pub fn compose(
    level: &Level,
    rect: Rect,
    grid: (u32, u32),
    background: [u8; 3],
    mip: MipSource<'_>,
) -> Raster {
    match level.scale {
        Scale::CellPx(px) => compose_cells(px, rect, grid, background, mip),
        Scale::CellsPerPixel(log) => {
            // Below one pixel per cell: draw the cells as single pixels, then halve.
            let (x, y) = (rect.x << log, rect.y << log);
            let mut wide = Rect {
                x,
                y,
                width: (rect.width << log).min(grid.0.saturating_sub(x)).max(1),
                height: (rect.height << log).min(grid.1.saturating_sub(y)).max(1),
            };
            let mut rgb = compose_cells(1, wide, grid, background, mip).rgb;
            for _ in 0..log {
                rgb = super::mips::halve(&rgb, wide.width, wide.height);
                wide.width = wide.width.div_ceil(2);
                wide.height = wide.height.div_ceil(2);
            }
            Raster {
                width: wide.width,
                height: wide.height,
                rgb,
            }
        }
    }
}

/// Composes the pixels `rect` of the grid drawn with `px` pixels per cell.
pub fn compose_cells(
    px: u32,
    rect: Rect,
    grid: (u32, u32),
    background: [u8; 3],
    mip: MipSource<'_>,
) -> Raster {
    let mut raster = Raster::filled(rect.width, rect.height, background);
    let mut scratch = Vec::new();
    let cells = |from: u32, length: u32, limit: u32| {
        (from / px).min(limit)..(from + length).div_ceil(px).min(limit)
    };
    for row in cells(rect.y, rect.height, grid.1) {
        for col in cells(rect.x, rect.width, grid.0) {
            let square = px as usize * px as usize * 3;
            if mip(col, row, px, &mut scratch) && scratch.len() == square {
                let at = |cell: u32, from: u32| i64::from(cell) * i64::from(px) - i64::from(from);
                raster.blit(&scratch, px, at(col, rect.x), at(row, rect.y));
            }
        }
    }
    raster
}

#[cfg(test)]
mod tests {
    use super::super::pyramid::Pyramid;
    use super::*;

    /// Cell (col, row) is flat grey of value 10 col + row.
    fn grey(col: u32, row: u32, px: u32, out: &mut Vec<u8>) -> bool {
        out.clear();
        out.resize((px * px * 3) as usize, (10 * col + row) as u8);
        (col, row) != (1, 1)
    }

    #[test]
    fn cells_land_where_they_belong_and_spare_cells_are_background() {
        for cell_px in [16, 64, 512] {
            let p = Pyramid::new(3, 2, cell_px).expect("a pyramid");
            let level = p.level(p.max_level);
            for row in 0..level.rows {
                for col in 0..level.cols {
                    let rect = level.rect(col, row);
                    let tile = compose(&level, rect, (3, 2), [200, 0, 0], &mut grey);
                    for (i, pixel) in tile.rgb.chunks(3).enumerate() {
                        let (x, y) = (i as u32 % rect.width, i as u32 / rect.width);
                        let cell = ((rect.x + x) / cell_px, (rect.y + y) / cell_px);
                        let wanted = match cell {
                            (1, 1) => [200, 0, 0],
                            (c, r) => [(10 * c + r) as u8; 3],
                        };
                        assert_eq!(pixel, wanted, "cell {cell:?} of {cell_px} px");
                    }
                }
            }
        }
    }

    #[test]
    fn below_one_pixel_cells_are_averaged() {
        let p = Pyramid::new(300, 5, 16).expect("a pyramid");
        let level = p.level(p.min_level());
        assert_eq!(level.scale, Scale::CellsPerPixel(1));
        let mut value = |col: u32, _: u32, _: u32, out: &mut Vec<u8>| {
            *out = vec![(col % 2 * 100) as u8; 3];
            true
        };
        let tile = compose(&level, level.rect(0, 0), (300, 5), [0; 3], &mut value);
        assert_eq!((tile.width, tile.height), (150, 3));
        assert!(tile.rgb.iter().all(|&v| v == 50));
    }
}
