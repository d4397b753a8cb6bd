//! Linear assignment sorting: FLAS (arXiv 2205.04255) with windows that cover the grid once per round.
//!
//! Each round blurs the grid's features with a box of radius `r` (mirrored at the edges), then swaps items within
//! windows so that each sits where the blur is most like it, and shrinks `r`. FLAS draws windows at random; here a
//! round cuts the grid into blocks of side `2r + 1` at a random offset and deals each block's cells into groups, so
//! groups are disjoint: they are solved in parallel, and the result does not depend on which thread solves which group.
//!
//! What is not in the paper: every cell keeps its price in the assignments (the dual variable) from one round to the
//! next. Targets change little between rounds, so a window's prices are nearly right from the start and its assignment
//! takes a quarter of the steps.
//!
//! Spare cells take no part: they neither move nor weigh in the blur.

use super::SPARE;
use super::blur::{Blur, SHARED_FROM};
use super::lap::{self, Lap};
use super::rng::Rng;
use rayon::prelude::*;

/// Steps of the integer costs. FLAS' own 2,048 gave no better scores and took a tenth longer.
const STEPS: f32 = 512.0;
/// Below this radius, in cells, rounds are about direct neighbours.
const NEAR: f32 = 3.0;
/// Columns that are computed together.
const LANES: usize = 16;
const _: () = assert!(lap::MAX.is_multiple_of(LANES));
const _: () = assert!(STEPS as i32 <= lap::MAX_COST);

/// How to sort.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Radius of the first round, cells.
    pub(super) radius: f32,
    /// Factor from one round's radius to the next, below 1: from [`NEAR`] on outwards, and below it.
    pub(super) decay: [f32; 2],
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
    let mut next = vec![Placed::default(); cells.len()];
    let mut prices = vec![0.0f32; cells.len()];
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
        let board = Round {
            features,
            target: &blur.target,
            occupants: cells,
            prices: &prices,
        };
        let solve = |group: &mut Group<D>, (out, places): &mut (&mut [Placed], &[u32])| {
            wide!(group.assign(&board, places, out));
        };
        if cells.len() >= SHARED_FROM {
            jobs.par_iter_mut()
                .with_min_len(4)
                .for_each_init(Group::new, solve);
        } else {
            let mut group = Group::new();
            jobs.iter_mut().for_each(|job| solve(&mut group, job));
        }
        for (&cell, placed) in windows.cells.iter().zip(&next) {
            cells[cell as usize] = placed.item;
            prices[cell as usize] = placed.price;
        }
        radius *= schedule.decay[usize::from(radius < NEAR)];
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

/// The nearest integer of a number from 0 to 2²²: added to 2²³, a float has no room for a fraction.
///
/// A cast does the same, but looks for infinities and NaN first, which takes longer than all else here.
#[inline(always)]
fn small_integer(x: f32) -> i32 {
    const ONE: f32 = (1 << 23) as f32;
    (x + ONE).to_bits() as i32 - ONE.to_bits() as i32
}

/// What an assignment gives one cell.
#[derive(Clone, Copy, Default)]
struct Placed {
    item: u32,
    price: f32,
}

/// What all assignments of one round look at.
struct Round<'a, const D: usize> {
    features: &'a [[f32; D]],
    /// What each cell's neighbourhood looks like.
    target: &'a [[f32; D]],
    occupants: &'a [u32],
    /// Price of each cell in its last assignment, in the unit of gains, 0 before the first.
    prices: &'a [f32],
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

    /// Gives the occupants of `places` new places among them; `out[k]` is what comes to `places[k]`.
    ///
    /// The squared distance of item and target is least in sum where the sum of their products is largest, since the
    /// squares of either alone are the same in every assignment.
    #[inline(always)]
    fn assign(&mut self, round: &Round<D>, places: &[u32], out: &mut [Placed]) {
        let n = places.len();
        for (k, &place) in places.iter().enumerate() {
            self.items[k] = round.features[round.occupants[place as usize] as usize];
            let t = &round.target[place as usize];
            for (line, &value) in self.targets.iter_mut().zip(t) {
                line[k] = value;
            }
        }
        // Columns beyond the last repeat the first, so that they widen no range.
        for line in &mut self.targets {
            let first = line[0];
            line[n..].fill(first);
        }
        let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        for i in 0..n {
            for from in (0..n).step_by(LANES) {
                let mut gain = [0.0f32; LANES];
                for d in 0..D {
                    let x = self.items[i][d];
                    let t = &self.targets[d][from..from + LANES];
                    for c in 0..LANES {
                        gain[c] += x * t[c];
                    }
                }
                for c in 0..LANES {
                    low[c] = if gain[c] < low[c] { gain[c] } else { low[c] };
                    high[c] = if gain[c] > high[c] { gain[c] } else { high[c] };
                }
                self.gains[i][from..from + LANES].copy_from_slice(&gain);
            }
        }
        let low = low.into_iter().fold(f32::INFINITY, f32::min);
        let high = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let span = high - low;
        let scale = if span > 0.0 { STEPS / span } else { 0.0 };
        for i in 0..n {
            let (cost, gain) = (&mut self.lap.cost[i], &self.gains[i]);
            for c in 0..lap::MAX {
                cost[c] = lap::packed(small_integer((high - gain[c]) * scale), c);
            }
        }
        // Prices mean something only against each other. Their mean stays, so that those of cells that were never in
        // one window can be compared as well.
        let prices = || places.iter().map(|&place| round.prices[place as usize]);
        let mean = prices().sum::<f32>() / n as f32;
        let most = lap::MAX_PRICE as f32;
        for (to, price) in self.lap.price.iter_mut().zip(prices()) {
            *to = ((price - mean) * scale).clamp(-most, most) as i32;
            *to = lap::amount(*to);
        }
        for (row, &column) in self.lap.solve(n).iter().enumerate() {
            out[column as usize].item = round.occupants[places[row] as usize];
        }
        let found = &self.lap.price[..n];
        let shift = found.iter().map(|&price| price as f32).sum::<f32>() / n as f32;
        let unit = span / (STEPS * lap::amount(1) as f32);
        for (to, &price) in out.iter_mut().zip(found) {
            to.price = mean + (price as f32 - shift) * unit;
        }
    }
}
