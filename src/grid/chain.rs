//! The shortest insertion chain: makes room for one arrival with the least harm to the items already placed.
//!
//! A cell's neighbourhood is the mean of the features in its 3 × 3 cells; an item suits a cell by its squared distance
//! to that mean. Dijkstra's algorithm runs from the cells that suit the arrival best, over occupants that would step at
//! most three cells, to the first spare cell: each occupant on the way takes the next one's place.
//!
//! Neighbourhoods are summed when first looked at, so that one arrival does not pay for the whole grid. The search for
//! the cells that an arrival may start from begins around the items most like it.

use super::SPARE;
use super::board::{Board, OUTSIDE};
use super::features::squared;
use super::ties::Ties;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cells the arrival may start from.
const STARTS: usize = 64;
/// Most occupants that step for one arrival.
pub(super) const LONGEST: usize = 8;
/// How far one occupant may step, cells.
const HOP: isize = 3;
/// Price of a step over the mean misfit of placed items, at `lambda = 1`.
const STEP_PRICE: f32 = 0.025;

/// Items most like an arrival; their cells and those next to them are candidates for the start.
const ALIKE: usize = 64;
/// Placed items that stand for all in [`Neighbourhoods::mean_misfit`].
const SAMPLE: usize = 256;

/// The board with the mean features of every 3 × 3 neighbourhood that was looked at.
pub(super) struct Neighbourhoods<'a, const D: usize> {
    pub(super) features: &'a [[f32; D]],
    board: Board,
    /// `D` values a site. A list of arrays would be filled with zeros, all of it, for every arrival.
    sums: Vec<f32>,
    /// Items in each neighbourhood; [`UNKNOWN`] where `sums` does not hold.
    counts: Vec<f32>,
    reached: Vec<f32>,
    before: Vec<u32>,
    /// Occupants that step, from a start to each site that was reached.
    steps: Vec<u32>,
    touched: Vec<u32>,
    queue: BinaryHeap<Reverse<(u32, u32)>>,
    keys: Vec<u64>,
}

/// The count of a neighbourhood that was not summed.
const UNKNOWN: f32 = -1.0;

impl<'a, const D: usize> Neighbourhoods<'a, D> {
    pub(super) fn new(features: &'a [[f32; D]], board: Board) -> Self {
        let n = board.sites.len();
        Self {
            features,
            sums: vec![0.0; n * D],
            counts: vec![UNKNOWN; n],
            reached: vec![f32::INFINITY; n],
            before: vec![SPARE; n],
            steps: vec![0; n],
            touched: Vec::new(),
            queue: BinaryHeap::new(),
            keys: Vec::new(),
            board,
        }
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// The board, to be changed at will.
    pub(super) fn board_mut(&mut self) -> &mut Board {
        self.counts.fill(UNKNOWN);
        &mut self.board
    }

    /// Puts an item (or [`SPARE`]) at a site in place of what is there.
    pub(super) fn put(&mut self, site: usize, item: u32) {
        self.board.sites[site] = item;
        let pitch = self.board.pitch;
        for line in [site - pitch, site, site + pitch] {
            self.counts[line - 1..=line + 1].fill(UNKNOWN);
        }
    }

    /// Sums the neighbourhood of a site of the grid proper.
    #[inline(always)]
    fn sum(&mut self, site: usize) {
        let (mut sum, mut count) = ([0.0; D], 0.0);
        let pitch = self.board.pitch;
        for line in [site - pitch, site, site + pitch] {
            for &held in &self.board.sites[line - 1..=line + 1] {
                if Board::is_item(held) {
                    let x = &self.features[held as usize];
                    for k in 0..D {
                        sum[k] += x[k];
                    }
                    count += 1.0;
                }
            }
        }
        self.sums[site * D..][..D].copy_from_slice(&sum);
        self.counts[site] = count;
    }

    /// How badly an item suits a site; `at` is the item's own site, if it has one. `None` without neighbours.
    #[inline(always)]
    fn misfit(&mut self, item: u32, at: Option<usize>, site: usize) -> Option<f32> {
        if self.counts[site] == UNKNOWN {
            self.sum(site);
        }
        let x = &self.features[item as usize];
        let mut mean = [0.0; D];
        mean.copy_from_slice(&self.sums[site * D..][..D]);
        let mut count = self.counts[site];
        let pitch = self.board.pitch;
        let within = at.is_some_and(|at| {
            let step = at.abs_diff(site);
            step <= 1 || (pitch - 1..=pitch + 1).contains(&step)
        });
        if within {
            for k in 0..D {
                mean[k] -= x[k];
            }
            count -= 1.0;
        }
        if count < 0.5 {
            return None;
        }
        let share = 1.0 / count;
        for m in &mut mean {
            *m *= share;
        }
        Some(squared(x, &mean))
    }

    /// Mean misfit of up to [`SAMPLE`] placed items, evenly chosen.
    pub(super) fn mean_misfit(&mut self) -> f32 {
        wide!({
            let stride = (self.board.sites.len() / SAMPLE).max(1);
            let (mut sum, mut count) = (0.0f64, 0u32);
            for site in (0..self.board.sites.len()).step_by(stride) {
                let item = self.board.sites[site];
                if Board::is_item(item) {
                    sum += f64::from(self.misfit(item, Some(site), site).unwrap_or(0.0));
                    count += 1;
                }
            }
            (sum / f64::from(count.max(1))) as f32
        })
    }

    /// Sites from the one `item` should take to the spare one the last occupant should take; empty without a spare
    /// site. `typical` is [`Self::mean_misfit`].
    ///
    /// With `ties`, no occupant goes farther from its home than they allow, and at most [`LONGEST`] step.
    pub(super) fn chain(
        &mut self,
        item: u32,
        typical: f32,
        lambda: f32,
        ties: Option<&Ties>,
    ) -> Vec<u32> {
        wide!(self.search(item, typical, lambda, ties))
    }

    /// The spare site that suits `item` best.
    pub(super) fn best_spare(&mut self, item: u32) -> Option<usize> {
        let mut best = None;
        for site in 0..self.board.sites.len() {
            if self.board.sites[site] == SPARE {
                let fit = self.misfit(item, None, site).unwrap_or(f32::MAX);
                if best.is_none_or(|(least, _)| fit < least) {
                    best = Some((fit, site));
                }
            }
        }
        best.map(|(_, site)| site)
    }

    #[inline(always)]
    fn search(&mut self, item: u32, typical: f32, lambda: f32, ties: Option<&Ties>) -> Vec<u32> {
        // Even where all items are alike the shorter chain must win.
        let price = (STEP_PRICE * lambda * typical).clamp(1e-6, 1e6);
        self.start(item, typical);
        let pitch = self.board.pitch as isize;
        let mut end = None;
        while let Some(Reverse((bits, site))) = self.queue.pop() {
            let (far, site) = (f32::from_bits(bits), site as usize);
            if far > self.reached[site] {
                continue;
            }
            let held = self.board.sites[site];
            if held == SPARE {
                end = Some(site);
                break;
            }
            let steps = self.steps[site];
            if ties.is_some() && steps as usize >= LONGEST {
                continue;
            }
            let now = self.misfit(held, Some(site), site).unwrap_or(typical);
            let here = self.board.place_of(site);
            for dy in -HOP..=HOP {
                for dx in -HOP..=HOP {
                    let next = site.wrapping_add_signed(dy * pitch + dx);
                    if next == site || self.board.sites[next] == OUTSIDE {
                        continue;
                    }
                    // No step is cheaper than half its price, so most are settled without a look at the features.
                    if far + 0.5 * price >= self.reached[next] {
                        continue;
                    }
                    if ties.is_some_and(|ties| !ties.may(held, here, self.board.place_of(next))) {
                        continue;
                    }
                    let then = self.misfit(held, Some(site), next).unwrap_or(typical);
                    let cost = far + (then - now).max(-0.5 * price) + price;
                    if cost < self.reached[next] {
                        self.reach(next, cost, site as u32, steps + 1);
                    }
                }
            }
        }
        let mut path = Vec::new();
        while let Some(site) = end {
            path.push(site as u32);
            let before = self.before[site];
            end = (before != SPARE).then_some(before as usize);
        }
        path.reverse();
        for &site in &self.touched {
            self.reached[site as usize] = f32::INFINITY;
        }
        self.touched.clear();
        self.queue.clear();
        path
    }

    /// Queues the sites that suit `item` best, among the sites of the items most like it and those next to them.
    #[inline(always)]
    fn start(&mut self, item: u32, typical: f32) {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        let x = &self.features[item as usize];
        // In the order in which the features lie: in that of the sites, most of the time is spent waiting for memory.
        let mut away = Vec::with_capacity(self.features.len());
        for other in self.features {
            away.push(squared(x, other).to_bits());
        }
        for (site, &held) in self.board.sites.iter().enumerate() {
            if Board::is_item(held) {
                keys.push(u64::from(away[held as usize]) << 32 | site as u64);
            }
        }
        least(&mut keys, ALIKE);
        let pitch = self.board.pitch;
        let near: Vec<usize> = keys
            .iter()
            .map(|&key| key as u32 as usize)
            .flat_map(|site| [site - pitch, site, site + pitch])
            .flat_map(|site| site - 1..=site + 1)
            .filter(|&site| self.board.sites[site] != OUTSIDE)
            .collect();
        keys.clear();
        for site in near {
            let fit = self.misfit(item, None, site).unwrap_or(typical);
            keys.push(u64::from(fit.to_bits()) << 32 | site as u64);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(STARTS);
        let least = keys.first().copied().unwrap_or(0);
        for &key in &keys {
            let cost = f32::from_bits((key >> 32) as u32) - f32::from_bits((least >> 32) as u32);
            self.reach(key as u32 as usize, cost, SPARE, 0);
        }
        self.keys = keys;
    }

    #[inline(always)]
    fn reach(&mut self, site: usize, cost: f32, before: u32, steps: u32) {
        if self.reached[site] == f32::INFINITY {
            self.touched.push(site as u32);
        }
        self.reached[site] = cost;
        self.before[site] = before;
        self.steps[site] = steps;
        self.queue.push(Reverse((cost.to_bits(), site as u32)));
    }
}

/// Keeps the `count` least keys, in no order.
fn least(keys: &mut Vec<u64>, count: usize) {
    if keys.len() > count {
        keys.select_nth_unstable(count);
        keys.truncate(count);
    }
}
