//! Distance preservation quality of an arrangement: one number for "are similar works near each other?".
//!
//! DPQ_p of Barthel et al. (Computer Graphics Forum 2023, arXiv 2205.04255), `p = 16`, without wrapping: for every item
//! the others are ordered by vector distance, and by squared grid distance (ties by vector distance); `D_k` is the mean
//! over items of the mean vector distance to the first `k`, `m` the mean distance of all pairs,
//! `ΔD_k = max(0, (m − D_k)/m)`, and DPQ the ratio of the two orders' `p`-norms of `ΔD`. 1 is perfect; a random
//! arrangement scores 0.2 to 0.4, since ties favour the nearest of the four neighbours.

use super::features::{to_one, total};
use super::rng::Rng;
use super::{Grid, GridParams, bisect, shape};
use crate::matrix::Matrix;
use rayon::prelude::*;

/// The norm's exponent.
const P: f64 = 16.0;
/// Items scored one by one up to this many; beyond, [`SAMPLE`] of them are (error at most 0.0003 measured).
const ALL_UP_TO: usize = 4096;
/// Items that stand for all in a larger collection.
const SAMPLE: usize = 1024;
/// Values that are summed side by side.
const LANES: usize = 16;
/// Number of parts that are summed separately; it is fixed, so that the order of additions is fixed.
const PARTS: usize = 32;

/// How far items are from the cells that the map alone gives them (`points` by bisection), on average, as a share of
/// the longer side. 0 for a grid that follows the map, about 0.4 for one that ignores it.
pub fn off_map(points: &[[f32; 2]], grid: &Grid, p: &GridParams) -> f64 {
    let (cols, rows) = (grid.cols(), grid.rows());
    if points.len() != grid.len() || points.is_empty() {
        return 0.0;
    }
    let capacity = shape::capacity(points.len(), (cols, rows), p);
    let cells = bisect::bisect(points, cols, rows, capacity);
    let map = Grid::from_cells(cols, rows, cells, points.len());
    let away = |((c, r), (col, row)): ((u32, u32), (u32, u32))| {
        f64::from(c.abs_diff(col)).hypot(f64::from(r.abs_diff(row)))
    };
    let sum: f64 = map.places().zip(grid.places()).map(away).sum();
    sum / points.len() as f64 / f64::from(cols.max(rows))
}

/// DPQ16 of items `x` (`N × D` embeddings) at `cells` (column, row).
///
/// All items are scored, or `sample` of them, or, with `None`, all up to 4,096 and 1,024 drawn with `seed` beyond.
/// Collections of fewer than two items or of identical ones score 1. `None` when counts differ or a value is not
/// finite. O(sample · N · (D + log N)) time, O(32 · N) memory.
pub fn dpq16(x: &Matrix, cells: &[(u32, u32)], sample: Option<usize>, seed: u64) -> Option<f64> {
    let n = cells.len();
    if x.rows() != n && !(x.dims() == 0 && x.is_empty()) {
        return None;
    }
    if x.data().iter().any(|v| !v.is_finite()) {
        return None;
    }
    if n < 2 || x.dims() == 0 {
        return Some(1.0);
    }
    let count = match sample {
        Some(s) => s.clamp(1, n),
        None if n <= ALL_UP_TO => n,
        None => SAMPLE,
    };
    let mut items: Vec<u32> = (0..n as u32).collect();
    if count < n {
        Rng::new(seed, 0).shuffle(&mut items);
        items.truncate(count);
    }
    let rows = Rows::new(x);
    let curves: Vec<Curves> = items
        .par_chunks(items.len().div_ceil(PARTS))
        .map_init(Space::default, |space, batch| {
            let mut curves = Curves::new(n - 1);
            for &item in batch {
                wide!(rows.distances(item as usize, &mut space.distances));
                curves.add(item as usize, cells, space);
            }
            curves
        })
        .collect();
    let mut sum = Curves::new(n - 1);
    for part in &curves {
        sum.join(part);
    }
    let scored = items.len() as f64;
    let mean = sum.total / (scored * (n - 1) as f64);
    if mean <= 0.0 {
        return Some(1.0);
    }
    let norm = |curve: &[f64]| {
        let powers: f64 = curve
            .iter()
            .map(|d| ((mean - d / scored) / mean).max(0.0).powf(P))
            .sum();
        powers.powf(1.0 / P)
    };
    let best = norm(&sum.by_vector);
    Some(if best > 0.0 {
        norm(&sum.by_grid) / best
    } else {
        1.0
    })
}

/// Embeddings, and a factor that keeps squares from overflowing; a common factor does not change the score.
struct Rows<'a> {
    x: &'a Matrix,
    scale: f32,
}

impl<'a> Rows<'a> {
    fn new(x: &'a Matrix) -> Self {
        let largest = x.data().iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let scale = to_one(largest);
        Self { x, scale }
    }

    /// Distances of item `i` to all items.
    #[inline(always)]
    fn distances(&self, i: usize, out: &mut Vec<f32>) {
        let (own, data, dims) = (self.x.row(i), self.x.data(), self.x.dims());
        let whole = dims / LANES * LANES;
        out.clear();
        // Indices: iterators of chunks are not always inlined here, and what is not stays narrow.
        for from in (0..data.len()).step_by(dims) {
            let other = &data[from..from + dims];
            let mut lanes = [0.0f32; LANES];
            for k in (0..whole).step_by(LANES) {
                let (a, b) = (&own[k..k + LANES], &other[k..k + LANES]);
                for lane in 0..LANES {
                    let d = a[lane] * self.scale - b[lane] * self.scale;
                    lanes[lane] += d * d;
                }
            }
            for k in whole..dims {
                let d = own[k] * self.scale - other[k] * self.scale;
                lanes[k - whole] += d * d;
            }
            out.push(total(lanes).sqrt());
        }
    }
}

/// Buffers of one thread.
#[derive(Default)]
struct Space {
    distances: Vec<f32>,
    by_vector: Vec<u32>,
    by_grid: Vec<u64>,
}

/// `Σ D_k` over items, for both orders.
struct Curves {
    by_grid: Vec<f64>,
    by_vector: Vec<f64>,
    total: f64,
}

impl Curves {
    fn new(len: usize) -> Self {
        Self {
            by_grid: vec![0.0; len],
            by_vector: vec![0.0; len],
            total: 0.0,
        }
    }

    fn add(&mut self, item: usize, cells: &[(u32, u32)], space: &mut Space) {
        let (col, row) = cells[item];
        space.by_vector.clear();
        space.by_grid.clear();
        for (other, (&d, &(c, r))) in space.distances.iter().zip(cells).enumerate() {
            if other == item {
                continue;
            }
            let (dx, dy) = (u64::from(c.abs_diff(col)), u64::from(r.abs_diff(row)));
            // The bits of a float that is not negative are in the order of its values.
            let bits = d.to_bits();
            space.by_vector.push(bits);
            // Beyond 65,535 cells all are equally far, which no figure can show.
            let far = dx.saturating_mul(dx).saturating_add(dy.saturating_mul(dy));
            space
                .by_grid
                .push(far.min(u64::from(u32::MAX)) << 32 | u64::from(bits));
        }
        space.by_vector.sort_unstable();
        space.by_grid.sort_unstable();
        let means = |curve: &mut [f64], bits: &mut dyn Iterator<Item = u32>| {
            let mut sum = 0.0;
            for (k, (to, bits)) in curve.iter_mut().zip(bits).enumerate() {
                sum += f64::from(f32::from_bits(bits));
                *to += sum / (k + 1) as f64;
            }
            sum
        };
        means(
            &mut self.by_grid,
            &mut space.by_grid.iter().map(|&k| k as u32),
        );
        self.total += means(&mut self.by_vector, &mut space.by_vector.iter().copied());
    }

    fn join(&mut self, other: &Self) {
        for (a, b) in self.by_grid.iter_mut().zip(&other.by_grid) {
            *a += b;
        }
        for (a, b) in self.by_vector.iter_mut().zip(&other.by_vector) {
            *a += b;
        }
        self.total += other.total;
    }
}
