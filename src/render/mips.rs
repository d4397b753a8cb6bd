//! A cell at every power of two: box-filtered halves down to one pixel, and other sizes by resampling.
//!
//! Halving is exact integer arithmetic (mean of four, rounded), so a pyramid built in any order has the same bits.

use crate::artwork::{cell::Cell, resize::resized_square};

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
    let line = 3 * width.div_ceil(2);
    let mut out = vec![0; line * height.div_ceil(2)];
    if line == 0 {
        return out;
    }
    let mut rows = rgb.chunks_exact(3 * width);
    for to in out.chunks_exact_mut(line) {
        let Some(top) = rows.next() else { break };
        let bottom = rows.next().unwrap_or(top);
        let (top, last_top) = top.as_chunks::<6>();
        let (bottom, last_bottom) = bottom.as_chunks::<6>();
        let (to, _) = to.as_chunks_mut::<3>();
        for ((to, top), bottom) in to.iter_mut().zip(top).zip(bottom) {
            for c in 0..3 {
                to[c] = mean([top[c], top[c + 3], bottom[c], bottom[c + 3]]);
            }
        }
        if let (Some(to), [_, _, _]) = (to.last_mut(), last_top) {
            for c in 0..3 {
                to[c] = mean([last_top[c], last_top[c], last_bottom[c], last_bottom[c]]);
            }
        }
    }
    out
}

/// The rounded mean.
#[inline(always)]
fn mean(four: [u8; 4]) -> u8 {
    // Not by `map` and `sum`: without LTO they are not inlined from the unit that they are compiled in.
    let [a, b, c, d] = four;
    ((u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d) + 2) / 4) as u8
}

/// A cell at any other side, pixels, for a single-file mosaic near its size limit.
///
/// `None` if the cell's bytes do not fit its side.
pub fn resize(cell: &Cell, px: u32) -> Option<Cell> {
    if px == cell.px {
        return Some(cell.clone());
    }
    let rgbx: Vec<u8> = cell
        .rgb
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    let rgb = resized_square(&rgbx, cell.px, px)?;
    Some(Cell { px, rgb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_are_rounded_means() {
        let rgb = [0, 10, 255, 1, 20, 255, 1, 30, 255, 1, 41, 255];
        assert_eq!(halve(&rgb, 2, 2), [1, 25, 255]);
        let odd: Vec<u8> = (0..9).flat_map(|i| [i * 10; 3]).collect();
        let half = halve(&odd, 3, 3);
        assert_eq!(half, [[20; 3], [35; 3], [65; 3], [80; 3]].concat());
    }

    proptest! {
        #[test]
        fn halves_of_any_size_are_the_means_of_what_there_is(
            (width, height, rgb) in (1_u32..9, 1_u32..9).prop_flat_map(|(w, h)| {
                (Just(w), Just(h), proptest::collection::vec(any::<u8>(), (w * h * 3) as usize))
            })
        ) {
            let at = |x: u32, y: u32, c: u32| {
                let (x, y) = (x.min(width - 1), y.min(height - 1));
                u16::from(rgb[((y * width + x) * 3 + c) as usize])
            };
            let mut expected = Vec::new();
            for y in (0..height).step_by(2) {
                for x in (0..width).step_by(2) {
                    for c in 0..3 {
                        let sum = at(x, y, c) + at(x + 1, y, c) + at(x, y + 1, c) + at(x + 1, y + 1, c);
                        expected.push(((sum + 2) / 4) as u8);
                    }
                }
            }
            prop_assert_eq!(halve(&rgb, width, height), expected);
        }
    }

    #[test]
    fn a_resized_cell_is_not_turned() {
        let rgb = (0..16 * 16).flat_map(|i| [if i % 16 < 8 { 200 } else { 20 }, 0, 0]);
        let cell = Cell {
            px: 16,
            rgb: rgb.collect(),
        };
        let small = resize(&cell, 8).expect("a sound cell");
        let at = |x: usize, y: usize| small.rgb[3 * (8 * y + x)];
        assert!(at(1, 6) > 180 && at(6, 1) < 40, "{} {}", at(1, 6), at(6, 1));
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
