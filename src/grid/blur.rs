//! The grid's features under a box filter, mirrored at the edges: the mean features of a neighbourhood of radius `r`.
//!
//! Two passes of running sums, O(cells) at any radius. Spare cells weigh nothing. Bands of rows that share a running
//! sum have a fixed height, so that rounding does not depend on which thread computes them.

use super::SPARE;
use rayon::prelude::*;

/// Cells from which on work is shared among threads; below, sharing costs more than it saves.
pub(super) const SHARED_FROM: usize = 4096;
/// Rows of the vertical pass that share one running sum.
const BAND: usize = 64;

/// A sum of features and of how many items.
#[derive(Clone, Copy)]
struct Sum<const D: usize> {
    features: [f32; D],
    count: f32,
}

impl<const D: usize> Sum<D> {
    const NONE: Self = Self {
        features: [0.0; D],
        count: 0.0,
    };

    #[inline(always)]
    fn add(&mut self, features: &[f32; D], count: f32, sign: f32) {
        for (sum, value) in self.features.iter_mut().zip(features) {
            *sum += sign * value;
        }
        self.count += sign * count;
    }
}

/// A box filter's working space and result.
pub(super) struct Blur<const D: usize> {
    cols: usize,
    rows: usize,
    across: Vec<Sum<D>>,
    /// Mean of the items in the box around each cell; zero where it holds none.
    pub(super) target: Vec<[f32; D]>,
}

impl<const D: usize> Blur<D> {
    /// Space for a grid of `cols × rows`, both at least 1.
    pub(super) fn new(cols: usize, rows: usize) -> Self {
        Self {
            cols,
            rows,
            across: vec![Sum::NONE; cols * rows],
            target: vec![[0.0; D]; cols * rows],
        }
    }

    /// Fills `target` with means over boxes of radius `r`, clipped to the grid's size.
    pub(super) fn run(&mut self, features: &[[f32; D]], cells: &[u32], r: usize) {
        let (cols, rows) = (self.cols, self.rows);
        let shared = cells.len() >= SHARED_FROM;
        let line = |(sums, cells): (&mut [Sum<D>], &[u32])| {
            wide!(row_sums(features, cells, r.min(cols - 1), sums));
        };
        let by_row = self.across.par_chunks_mut(cols).zip(cells.par_chunks(cols));
        if shared {
            by_row.with_min_len(8).for_each(line);
        } else {
            let by_row = self.across.chunks_mut(cols).zip(cells.chunks(cols));
            by_row.for_each(line);
        }
        let across = &self.across;
        let band = |(band, target): (usize, &mut [[f32; D]])| {
            let from = Band {
                across,
                cols,
                rows,
                top: band * BAND,
            };
            wide!(from.means(r.min(rows - 1), target));
        };
        if shared {
            let bands = self.target.par_chunks_mut(cols * BAND);
            bands.enumerate().for_each(band);
        } else {
            let bands = self.target.chunks_mut(cols * BAND);
            bands.enumerate().for_each(band);
        }
    }
}

/// The index that `i` mirrors to in `0..n`; `i` is at most `n - 1` outside.
#[inline(always)]
fn mirror(i: isize, n: usize) -> usize {
    let last = n as isize - 1;
    let i = i.abs();
    (if i > last { 2 * last - i } else { i }) as usize
}

/// Running sums along one row.
#[inline(always)]
fn row_sums<const D: usize>(features: &[[f32; D]], cells: &[u32], r: usize, sums: &mut [Sum<D>]) {
    let (n, r) = (cells.len(), r as isize);
    let mut sum = Sum::NONE;
    let add = |sum: &mut Sum<D>, i: isize, sign: f32| {
        let item = cells[mirror(i, n)];
        if item != SPARE {
            sum.add(&features[item as usize], 1.0, sign);
        }
    };
    for i in -r..=r {
        add(&mut sum, i, 1.0);
    }
    for (i, out) in sums[..n].iter_mut().enumerate() {
        *out = sum;
        if i + 1 < n {
            add(&mut sum, i as isize + 1 + r, 1.0);
            add(&mut sum, i as isize - r, -1.0);
        }
    }
}

/// Rows from `top` on, for the vertical pass.
struct Band<'a, const D: usize> {
    across: &'a [Sum<D>],
    cols: usize,
    rows: usize,
    top: usize,
}

impl<const D: usize> Band<'_, D> {
    /// Means for as many rows as `target` holds.
    #[inline(always)]
    fn means(&self, r: usize, target: &mut [[f32; D]]) {
        let mut sums = vec![Sum::NONE; self.cols];
        let add = |sums: &mut [Sum<D>], row: isize, sign: f32| {
            let start = mirror(row, self.rows) * self.cols;
            for (sum, from) in sums.iter_mut().zip(&self.across[start..]) {
                sum.add(&from.features, from.count, sign);
            }
        };
        let (top, r) = (self.top as isize, r as isize);
        for row in top - r..=top + r {
            add(&mut sums, row, 1.0);
        }
        let height = target.len() / self.cols;
        for (y, line) in target.chunks_mut(self.cols).enumerate() {
            for (mean, sum) in line.iter_mut().zip(&sums) {
                let share = if sum.count > 0.5 {
                    1.0 / sum.count
                } else {
                    0.0
                };
                for (mean, sum) in mean.iter_mut().zip(&sum.features) {
                    *mean = sum * share;
                }
            }
            if y + 1 < height {
                let row = top + y as isize;
                add(&mut sums, row + 1 + r, 1.0);
                add(&mut sums, row - r, -1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_mirrored_box() {
        let (cols, rows) = (7, 70);
        let features: Vec<[f32; 4]> = (0..cols * rows)
            .map(|i| [(i * 31 % 17) as f32, 1.0, (i % 5) as f32, 0.0])
            .collect();
        let cells: Vec<u32> = (0..(cols * rows) as u32)
            .map(|i| if i % 6 == 0 { SPARE } else { i })
            .collect();
        for r in [1, 3, 10] {
            let mut blur = Blur::new(cols, rows);
            blur.run(&features, &cells, r);
            for cell in 0..cols * rows {
                let (x, y) = ((cell % cols) as isize, (cell / cols) as isize);
                let (rx, ry) = (r.min(cols - 1) as isize, r.min(rows - 1) as isize);
                let (mut sum, mut count) = ([0.0f32; 4], 0.0);
                for dy in -ry..=ry {
                    for dx in -rx..=rx {
                        let at = mirror(y + dy, rows) * cols + mirror(x + dx, cols);
                        if cells[at] != SPARE {
                            count += 1.0;
                            (0..4).for_each(|k| sum[k] += features[at][k]);
                        }
                    }
                }
                for (sum, mean) in sum.iter().zip(&blur.target[cell]) {
                    let want = sum / f32::max(count, 1.0);
                    assert!((mean - want).abs() < 1e-3, "r {r} cell {cell}");
                }
            }
        }
    }
}
