//! Linear assignment sorting: FLAS (arXiv 2205.04255) with windows that cover the grid once a round.
//!
//! Each round blurs the grid's features with a box of radius `r` (mirrored at the edges), then swaps items within
//! windows so that each sits where the blur is most like it, and shrinks `r`. FLAS draws windows at random; here a round
//! cuts the grid into blocks of side `2r + 1` at a random offset and deals each block's cells into groups, so groups are
//! disjoint: they are solved in parallel, and the result does not depend on who solves which.
//!
//! Spare cells take no part: they neither move nor weigh in the blur.

use super::SPARE;
use super::blur::{Blur, SHARED_FROM};
use super::lap::{self, Lap};
use super::rng::Rng;
use rayon::prelude::*;

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
            for (line, &value) in self.targets.iter_mut().zip(t) {
                line[k] = value;
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
