//! A cell at every power of two: box-filtered halves down to one pixel, and other sizes by resampling.
//!
//! Halving is exact integer arithmetic (mean of four, rounded), so a pyramid built in any order has the same bits.

use crate::artwork::tile::{Cell, Part, resample};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};

/// All mips of a cell from 1 px up to its own side, each `side × side × 3` bytes; the side must be a power of two.
pub fn mips(cell: &Cell) -> Vec<Vec<u8>> {
    let mut all = vec![cell.rgb.clone()];
    let mut side = cell.px;
    while side > 1 {
        let half = halve(&all[all.len() - 1], side, side);
        all.push(half);
        side /= 2;
    }
    all.reverse();
    all
}

/// Halves a `width × height × 3` picture; an odd last row or column is averaged from what there is.
pub fn halve(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let mut out = Vec::with_capacity(width.div_ceil(2) * height.div_ceil(2) * 3);
    for y in (0..height).step_by(2) {
        let lower = if y + 1 < height { y + 1 } else { y };
        let (top, bottom) = (&rgb[y * width * 3..], &rgb[lower * width * 3..]);
        for x in (0..width).step_by(2) {
            let right = if x + 1 < width { x + 1 } else { x };
            for channel in 0..3 {
                let sum = u16::from(top[x * 3 + channel])
                    + u16::from(top[right * 3 + channel])
                    + u16::from(bottom[x * 3 + channel])
                    + u16::from(bottom[right * 3 + channel]);
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    out
}

/// A cell at any other side, pixels (Lanczos3), for a single-file mosaic near its size limit.
///
/// `None` if the cell's bytes do not fit its side.
pub fn resize(cell: &Cell, px: u32) -> Option<Cell> {
    if px == cell.px {
        return Some(cell.clone());
    }
    let side = (cell.px, cell.px);
    let rgbx: Vec<u8> = cell
        .rgb
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false);
    let rgb = resample(&rgbx, side, Part::whole(side), (px, px), &options)?;
    Some(Cell { px, rgb })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_means() {
        let rgb = [0, 10, 255, 1, 20, 255, 1, 30, 255, 1, 41, 255];
        assert_eq!(halve(&rgb, 2, 2), [1, 25, 255]);
        let odd: Vec<u8> = (0..9).flat_map(|i| [i * 10; 3]).collect();
        let half = halve(&odd, 3, 3);
        assert_eq!(half, [[20; 3], [35; 3], [65; 3], [80; 3]].concat());
    }

    #[test]
    fn mips_go_from_one_pixel_to_the_cell() {
        let cell = Cell {
            px: 8,
            rgb: vec![7; 192],
        };
        let all = mips(&cell);
        let sides: Vec<_> = all.iter().map(|mip| mip.len()).collect();
        assert_eq!(sides, [3, 12, 48, 192]);
        assert!(all.iter().flatten().all(|&v| v == 7));
    }

    #[test]
    fn resizing_a_flat_cell_keeps_it_flat() {
        let cell = Cell {
            px: 64,
            rgb: vec![90; 64 * 64 * 3],
        };
        let small = resize(&cell, 48).expect("a sound cell");
        assert_eq!((small.px, small.rgb.len()), (48, 48 * 48 * 3));
        assert!(small.rgb.iter().all(|&v| v == 90));
        let broken = Cell {
            px: 64,
            rgb: vec![0; 5],
        };
        assert!(resize(&broken, 48).is_none());
    }
}
