//! Linear assignment sorting: FLAS (arXiv 2205.04255) with windows that cover the grid once a round.
//!
//! Each round blurs the grid's features with a box of radius `r` (mirrored at the edges), then swaps items within
//! windows so that each sits where the blur is most like it, and shrinks `r`. FLAS draws windows at random; here a round
//! cuts the grid into blocks of side `2r + 1` at a random offset and deals each block's cells into groups, so groups are
//! disjoint: they are solved in parallel, and the result does not depend on who solves which.
//!
//! Spare cells take no part: they neither move nor weigh in the blur.

use super::SPARE;
use super::lap::{self, Lap};
use super::rng::Rng;
use rayon::prelude::*;

/// Cells from which on work is shared among threads; below, sharing costs more than it saves.
const SHARED_FROM: usize = 4096;
/// Rows of the vertical blur that share one running sum.
const BAND: usize = 64;
/// Steps of the integer costs; FLAS' own choice.
const STEPS: f32 = 2048.0;
const _: () = assert!(STEPS as i32 <= lap::MAX_COST);

/// How to sort.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Radius of the first round, cells.
    pub(super) radius: f32,
    /// Factor from one round's radius to the next, below 1.
    pub(super) decay: f32,
    /// Most cells of one assignment, up to [`lap::MAX`].
    pub(super) window: usize,
    /// Seed of the windows.
    pub(super) seed: u64,
}

/// Sorts the occupied `cells` of a grid `cols` wide.
pub(super) fn sort<const D: usize>(
    features: &[[f32; D]],
    cols: usize,
    cells: &mut [u32],
    schedule: Schedule,
) {
    if cols == 0 || cells.is_empty() {
        return;
    }
    let rows = cells.len() / cols;
    let mut blur = Blur::new(cols, rows);
    let mut windows = Windows::default();
    let mut next = vec![0u32; cells.len()];
    let mut radius = schedule.radius;
    let mut round = 0;
    while radius >= 1.0 {
        let r = (radius + 0.5) as usize;
        blur.run(features, cells, r);
        windows.deal(cells, cols, r, schedule, round);
        let mut jobs = Vec::with_capacity(windows.ends.len());
        let (mut out, mut from) = (next.as_mut_slice(), 0);
        for &end in &windows.ends {
            let (head, tail) = out.split_at_mut(end - from);
            jobs.push((head, &windows.cells[from..end]));
            (out, from) = (tail, end);
        }
        let (target, occupants) = (&blur.target, &*cells);
        let solve = |group: &mut Group<D>, (out, places): &mut (&mut [u32], &[u32])| {
            wide!(group.assign(features, target, occupants, places, out));
        };
        if cells.len() >= SHARED_FROM {
            jobs.par_iter_mut()
                .with_min_len(4)
                .for_each_init(Group::new, solve);
        } else {
            let mut group = Group::new();
            jobs.iter_mut().for_each(|job| solve(&mut group, job));
        }
        for (&cell, &item) in windows.cells.iter().zip(&next) {
            cells[cell as usize] = item;
        }
        radius *= schedule.decay;
        round += 1;
    }
}

/// The features of the grid under a box filter.
struct Blur<const D: usize> {
    cols: usize,
    rows: usize,
    across: Vec<[f32; D]>,
    across_count: Vec<f32>,
    target: Vec<[f32; D]>,
}

impl<const D: usize> Blur<D> {
    fn new(cols: usize, rows: usize) -> Self {
        let n = cols * rows;
        Self {
            cols,
            rows,
            across: vec![[0.0; D]; n],
            across_count: vec![0.0; n],
            target: vec![[0.0; D]; n],
        }
    }

    /// Means of the occupied cells in boxes of radius `r`; zero where a box holds none.
    fn run(&mut self, features: &[[f32; D]], cells: &[u32], r: usize) {
        let (cols, rows) = (self.cols, self.rows);
        let shared = cells.len() >= SHARED_FROM;
        let horizontal = |((sums, counts), cells): ((&mut [[f32; D]], &mut [f32]), &[u32])| {
            wide!(blur_row(features, cells, r.min(cols - 1), sums, counts));
        };
        let by_row = self
            .across
            .chunks_mut(cols)
            .zip(self.across_count.chunks_mut(cols))
            .zip(cells.chunks(cols));
        if shared {
            by_row.par_bridge().for_each(horizontal);
        } else {
            by_row.for_each(horizontal);
        }
        let (across, counts) = (&self.across, &self.across_count);
        let vertical = |(band, target): (usize, &mut [[f32; D]])| {
            let r = r.min(rows - 1);
            wide!(blur_band(across, counts, cols, rows, r, band * BAND, target));
        };
        if shared {
            self.target
                .par_chunks_mut(cols * BAND)
                .enumerate()
                .for_each(vertical);
        } else {
            self.target
                .chunks_mut(cols * BAND)
                .enumerate()
                .for_each(vertical);
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

#[inline(always)]
fn blur_row<const D: usize>(
    features: &[[f32; D]],
    cells: &[u32],
    r: usize,
    sums: &mut [[f32; D]],
    counts: &mut [f32],
) {
    let (n, r) = (cells.len(), r as isize);
    let mut sum = [0.0f32; D];
    let mut count = 0.0f32;
    let add = |sum: &mut [f32; D], count: &mut f32, i: isize, sign: f32| {
        let item = cells[mirror(i, n)];
        if item != SPARE {
            let f = &features[item as usize];
            for k in 0..D {
                sum[k] += sign * f[k];
            }
            *count += sign;
        }
    };
    for i in -r..=r {
        add(&mut sum, &mut count, i, 1.0);
    }
    for i in 0..n {
        sums[i] = sum;
        counts[i] = count;
        if i + 1 < n {
            add(&mut sum, &mut count, i as isize + 1 + r, 1.0);
            add(&mut sum, &mut count, i as isize - r, -1.0);
        }
    }
}

/// Rows `top..` of the vertical pass, as many as `target` holds.
#[inline(always)]
fn blur_band<const D: usize>(
    across: &[[f32; D]],
    counts: &[f32],
    cols: usize,
    rows: usize,
    r: usize,
    top: usize,
    target: &mut [[f32; D]],
) {
    let mut sums = vec![[0.0f32; D]; cols];
    let mut weights = vec![0.0f32; cols];
    let add = |sums: &mut [[f32; D]], weights: &mut [f32], row: isize, sign: f32| {
        let start = mirror(row, rows) * cols;
        let source = &across[start..start + cols];
        for (sum, from) in sums.iter_mut().zip(source) {
            for k in 0..D {
                sum[k] += sign * from[k];
            }
        }
        for (weight, from) in weights.iter_mut().zip(&counts[start..start + cols]) {
            *weight += sign * from;
        }
    };
    let (top, r) = (top as isize, r as isize);
    for row in top - r..=top + r {
        add(&mut sums, &mut weights, row, 1.0);
    }
    let height = target.len() / cols;
    for (y, out) in target.chunks_mut(cols).enumerate() {
        for ((out, sum), &weight) in out.iter_mut().zip(&sums).zip(&weights) {
            let share = if weight > 0.5 { 1.0 / weight } else { 0.0 };
            for k in 0..D {
                out[k] = sum[k] * share;
            }
        }
        if y + 1 < height {
            let row = top + y as isize;
            add(&mut sums, &mut weights, row + 1 + r, 1.0);
            add(&mut sums, &mut weights, row - r, -1.0);
        }
    }
}

/// One round's disjoint groups of cells.
#[derive(Default)]
struct Windows {
    /// Cells of all groups, one group after the other.
    cells: Vec<u32>,
    /// Where each group ends in `cells`.
    ends: Vec<usize>,
}

impl Windows {
    /// Deals the occupied cells into groups of at most `schedule.window` within blocks of side `2r + 1`.
    fn deal(&mut self, cells: &[u32], cols: usize, r: usize, schedule: Schedule, round: u64) {
        let mut rng = Rng::new(schedule.seed, round);
        let window = schedule.window.clamp(2, lap::MAX);
        let least = (window as f32).sqrt().ceil() as usize;
        let side = (2 * r + 1).max(least);
        let rows = cells.len() / cols;
        let xs = cuts(cols, side, &mut rng);
        let ys = cuts(rows, side, &mut rng);
        self.cells.clear();
        self.ends.clear();
        for y in ys.windows(2) {
            for x in xs.windows(2) {
                let start = self.cells.len();
                for row in y[0]..y[1] {
                    let line = row * cols;
                    self.cells.extend(
                        (line + x[0]..line + x[1])
                            .filter(|&c| cells[c] != SPARE)
                            .map(|c| c as u32),
                    );
                }
                let block = &mut self.cells[start..];
                let groups = block.len().div_ceil(window);
                if groups > 1 {
                    rng.shuffle(block);
                }
                let len = block.len();
                self.ends
                    .extend((1..=groups).map(|g| start + len * g / groups));
            }
        }
    }
}

/// Cuts `0..n` into pieces of `side` at a random offset; a sliver at an end joins its neighbour.
fn cuts(n: usize, side: usize, rng: &mut Rng) -> Vec<usize> {
    let offset = rng.below(side as u32) as usize;
    if side >= n {
        return vec![0, n];
    }
    let mut cuts = vec![0];
    let half = side / 2;
    cuts.extend(
        (0..)
            .map(|i| offset + i * side)
            .take_while(|&c| c < n)
            .filter(|&c| c > half && n - c > half),
    );
    cuts.push(n);
    cuts
}

/// Working space for one group's assignment.
struct Group<const D: usize> {
    lap: Lap,
    items: [[f32; D]; lap::MAX],
    targets: [[f32; lap::MAX]; D],
    gains: [[f32; lap::MAX]; lap::MAX],
}

impl<const D: usize> Group<D> {
    fn new() -> Self {
        Self {
            lap: Lap::new(),
            items: [[0.0; D]; lap::MAX],
            targets: [[0.0; lap::MAX]; D],
            gains: [[0.0; lap::MAX]; lap::MAX],
        }
    }

    /// Gives the occupants of `places` new places among them; `out[k]` is who comes to `places[k]`.
    ///
    /// The squared distance of item and target is least in sum where the sum of their products is largest, since the
    /// squares of either alone are the same in every assignment.
    #[inline(always)]
    fn assign(
        &mut self,
        features: &[[f32; D]],
        target: &[[f32; D]],
        occupants: &[u32],
        places: &[u32],
        out: &mut [u32],
    ) {
        let n = places.len();
        for (k, &place) in places.iter().enumerate() {
            self.items[k] = features[occupants[place as usize] as usize];
            let t = &target[place as usize];
            for d in 0..D {
                self.targets[d][k] = t[d];
            }
        }
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for i in 0..n {
            let mut gain = [0.0f32; lap::MAX];
            for d in 0..D {
                let x = self.items[i][d];
                let t = &self.targets[d];
                for c in 0..lap::MAX {
                    gain[c] += x * t[c];
                }
            }
            for &g in &gain[..n] {
                low = low.min(g);
                high = high.max(g);
            }
            self.gains[i] = gain;
        }
        let span = high - low;
        let scale = if span > 0.0 { STEPS / span } else { 0.0 };
        for i in 0..n {
            let (cost, gain) = (&mut self.lap.cost[i], &self.gains[i]);
            for c in 0..lap::MAX {
                cost[c] = ((high - gain[c]) * scale) as i32;
            }
        }
        let columns = self.lap.solve(n);
        for (k, &col) in columns.iter().enumerate() {
            out[col as usize] = occupants[places[k] as usize];
        }
    }
}
