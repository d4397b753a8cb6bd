//! Annealed swaps: the last step of a batch arrangement, and the polish after arrivals.
//!
//! Two occupants a few cells apart swap when that lowers the energy of their twelve neighbours (see `board`), and
//! sometimes when it does not, less and less often. FLAS compares with blurred neighbourhoods and leaves much to gain
//! between single neighbours: +.005 to +.02 DPQ16 measured. In a polish an item may also step into a spare cell, and
//! every item that leaves its place adds a price.
//!
//! Large boards are annealed in separate blocks, at other places in every phase: blocks neither see nor change each
//! other's sites, so that the result does not depend on which thread anneals which block.

use super::area::{Area, FROZEN, Span, spans};
use super::blur::SHARED_FROM;
use super::board::Board;
use super::features::distance;
use super::rng::Rng;
use super::ties::Ties;
use rayon::prelude::*;

/// Phases of one annealing; in each, other blocks are cut and costs are summed exactly.
const PHASES: u32 = 16;
/// Side of a block on a large board, cells; its items' features then fit a core's cache.
const BLOCK: u32 = 40;
/// Keeps the streams of random numbers apart from those of the sort.
const STREAM: u64 = 1 << 40;

/// What two neighbours cost, in the unit of distances.
///
/// The cost of a distance `d` is `4·m·d / (d + m)`, where `m` is the mean distance of direct neighbours: near `m` it rises
/// as the distance does, and far beyond it hardly rises at all. So a few good neighbours count for more than many fair
/// ones, as in DPQ16, where the nearest few of an item's neighbours are in every mean; and what has no like on the grid
/// does not push the others around. Against the distance itself: +.001 to +.008 DPQ16 with as many proposals.
#[derive(Clone, Copy)]
pub(super) struct Bonds {
    /// Mean distance of direct neighbours, above 0.
    mean: f32,
}

impl Bonds {
    /// As direct neighbours are on the board now, at about `sample` sites evenly chosen; `None` where they are all alike.
    pub(super) fn on<const D: usize>(
        features: &[[f32; D]],
        board: &Board,
        sample: usize,
    ) -> Option<Self> {
        let mean = wide!(mean_beside(features, board, sample));
        (mean > 0.0).then_some(Self { mean })
    }

    /// What two neighbours cost. Where one is missing, half of what two at the mean distance cost, so that neither edges
    /// nor spare cells attract.
    #[inline(always)]
    fn cost<const D: usize>(self, features: &[[f32; D]], x: Option<&[f32; D]>, other: u32) -> f32 {
        match (x, Board::is_item(other)) {
            (Some(x), true) => {
                let d = distance(x, &features[other as usize]);
                4.0 * self.mean * d / (d + self.mean)
            }
            (None, false) => 0.0,
            _ => self.mean,
        }
    }

    /// What a site and its neighbours cost.
    pub(super) fn at<const D: usize>(
        self,
        features: &[[f32; D]],
        board: &Board,
        site: usize,
    ) -> f32 {
        let held = board.sites[site];
        let x = Board::is_item(held).then(|| &features[held as usize]);
        let beside = |step| board.sites[site.wrapping_add_signed(step)];
        let cost = |&(step, weight): &(isize, f32)| weight * self.cost(features, x, beside(step));
        board.ring.iter().map(cost).sum()
    }
}

/// What may be swapped, and at what price. Energies are in mean distances of direct neighbours.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// First temperature; it falls to 0 in a straight line.
    pub(super) heat: f32,
    /// How far a proposal reaches, cells, at most [`super::board::BORDER`].
    pub(super) reach: u32,
    /// Whether items may step into spare cells.
    pub(super) into_spares: bool,
    /// What binds items to places; without it all move freely.
    pub(super) ties: Option<&'a Ties>,
    /// How many more items may leave the place that they had before.
    pub(super) budget: usize,
}

/// Where proposals begin, and how many there are.
struct Draws<'a> {
    /// Sites of the area.
    starts: &'a [u32],
    /// How far from one of them a proposal may begin, cells.
    around: u32,
    proposals: usize,
    /// First and last temperature, absolute.
    temperature: (f32, f32),
}

/// Anneals the whole board with `proposals_per_item`.
pub(super) fn anneal<const D: usize>(
    features: &[[f32; D]],
    board: &mut Board,
    proposals_per_item: usize,
    rules: &Rules,
    seed: u64,
) {
    let Some(bonds) = Bonds::on(features, board, usize::MAX) else {
        return;
    };
    let shared = board.cells() >= SHARED_FROM;
    let per_phase = proposals_per_item as f32 / PHASES as f32;
    for phase in 0..PHASES {
        let mut rng = Rng::new(seed, STREAM + u64::from(phase) * STREAM);
        let side = if shared { BLOCK } else { u32::MAX };
        let (xs, ys) = (
            spans(board.cols, side, &mut rng),
            spans(board.rows, side, &mut rng),
        );
        let cool = |phase: u32| rules.heat * bonds.mean * (1.0 - phase as f32 / PHASES as f32);
        let temperature = (cool(phase), cool(phase + 1));
        let block = |(index, (cols, rows)): (usize, (Span, Span))| {
            let mut area = Area::cut(board, cols, rows);
            let starts = area.starts(rules.into_spares);
            let items = starts
                .iter()
                .filter(|&&s| Board::is_item(area.sites[s as usize]));
            let draws = Draws {
                proposals: (items.count() as f32 * per_phase) as usize,
                starts: &starts,
                around: 0,
                temperature,
            };
            let stream = STREAM + u64::from(phase) * STREAM + 1 + index as u64;
            let mut rng = Rng::new(seed, stream);
            wide!(run(features, &mut area, &draws, rules, bonds, &mut rng));
            area
        };
        let blocks = ys.iter().flat_map(|&y| xs.iter().map(move |&x| (x, y)));
        let done: Vec<Area> = if shared {
            let blocks: Vec<_> = blocks.enumerate().collect();
            blocks.into_par_iter().map(block).collect()
        } else {
            blocks.enumerate().map(block).collect()
        };
        for area in done {
            area.paste(|site, held| board.sites[site] = held);
        }
    }
}

/// Polishes around `path` (sites) at temperature 0, with `proposals` that begin at most `around` cells from it.
/// Returns every site whose occupant should change, and its new one.
pub(super) fn polish_near<const D: usize>(
    features: &[[f32; D]],
    board: &Board,
    path: &[u32],
    (around, proposals): (u32, usize),
    rules: &Rules,
    rng: &mut Rng,
) -> Vec<(u32, u32)> {
    let bonds = Bonds::on(features, board, SAMPLE);
    let (Some(bonds), Some(&first)) = (bonds, path.first()) else {
        return Vec::new();
    };
    let (col, row) = board.place(first as usize);
    let (mut cols, mut rows) = ((col, col), (row, row));
    for &site in path {
        let (col, row) = board.place(site as usize);
        cols = (cols.0.min(col), cols.1.max(col));
        rows = (rows.0.min(row), rows.1.max(row));
    }
    let far = around + rules.reach;
    let widen = |(from, to): (u32, u32), end| (from.saturating_sub(far), (to + far + 1).min(end));
    let (cols, rows) = (widen(cols, board.cols), widen(rows, board.rows));
    let mut area = Area::cut(board, cols, rows);
    let starts: Vec<u32> = path
        .iter()
        .map(|&site| {
            let (col, row) = board.place(site as usize);
            area.site(col - cols.0, row - rows.0) as u32
        })
        .collect();
    let draws = Draws {
        starts: &starts,
        around,
        proposals,
        temperature: (0.0, 0.0),
    };
    wide!(run(features, &mut area, &draws, rules, bonds, rng));
    let mut changed = Vec::new();
    area.paste(|site, held| {
        if board.sites[site] != held {
            changed.push((site as u32, held));
        }
    });
    changed
}

/// Sites looked at for the mean distance around one arrival.
const SAMPLE: usize = 256;

/// Mean distance of direct neighbours, of `sample` sites evenly chosen.
#[inline(always)]
fn mean_beside<const D: usize>(features: &[[f32; D]], board: &Board, sample: usize) -> f32 {
    let sites = &board.sites;
    let stride = (sites.len() / sample).max(1);
    let (mut sum, mut count) = (0.0f64, 0u32);
    for site in (0..sites.len()).step_by(stride) {
        if !Board::is_item(sites[site]) {
            continue;
        }
        let x = &features[sites[site] as usize];
        for &(step, _) in &board.ring[..4] {
            let other = sites[site.wrapping_add_signed(step)];
            if Board::is_item(other) {
                sum += f64::from(distance(x, &features[other as usize]));
                count += 1;
            }
        }
    }
    (sum / f64::from(count.max(1))) as f32
}

#[inline(always)]
fn run<const D: usize>(
    features: &[[f32; D]],
    area: &mut Area,
    draws: &Draws,
    rules: &Rules,
    bonds: Bonds,
    rng: &mut Rng,
) {
    if draws.starts.is_empty() {
        return;
    }
    let mean = bonds.mean;
    let surprises = surprises();
    // Not yet summed where it is NaN, which adding to leaves as it is.
    let mut costs = vec![f32::NAN; area.sites.len()];
    let (hot, cold) = draws.temperature;
    let mut budget = i64::try_from(rules.budget).unwrap_or(i64::MAX / 2);
    let pitch = area.pitch;
    let step = |rng: &mut Rng, from: usize, reach: u32| {
        let width = 2 * reach + 1;
        let (dx, dy) = (rng.below(width) as usize, rng.below(width) as usize);
        from + dy * pitch + dx - reach as usize * (pitch + 1)
    };
    let row = |item: u32| Board::is_item(item).then(|| &features[item as usize]);
    for k in 0..draws.proposals {
        let mut a = draws.starts[rng.below(draws.starts.len() as u32) as usize] as usize;
        if draws.around > 0 {
            a = step(rng, a, draws.around);
        }
        let item_a = area.sites[a];
        if !Board::is_item(item_a) {
            continue;
        }
        let b = step(rng, a, rules.reach);
        let item_b = area.sites[b];
        let may = Board::is_item(item_b) || rules.into_spares;
        if a == b || !may || area.names[a] == FROZEN || area.names[b] == FROZEN {
            continue;
        }
        let mut limit = -1e-6 * mean;
        for site in [a, b] {
            if costs[site].is_nan() {
                let x = row(area.sites[site]);
                costs[site] = 0.0;
                for &(step, weight) in &area.ring {
                    let other = area.sites[site.wrapping_add_signed(step)];
                    costs[site] += weight * bonds.cost(features, x, other);
                }
            }
            limit += costs[site];
        }
        let temperature = hot + (cold - hot) * (k as f32 / draws.proposals as f32);
        limit += temperature * surprises[(rng.next() >> 22) as usize];
        let mut leaving = 0;
        if let Some(ties) = rules.ties {
            let (at_a, at_b) = (area.place(a), area.place(b));
            leaving = ties.leaves(item_a, at_a, at_b);
            if Board::is_item(item_b) {
                leaving += ties.leaves(item_b, at_b, at_a);
            }
            if leaving > budget.max(0) {
                continue;
            }
            let mut price = ties.price(item_a, at_a, at_b);
            if Board::is_item(item_b) {
                price += ties.price(item_b, at_b, at_a);
            }
            limit -= mean * price;
        }
        let (xa, xb) = (Some(&features[item_a as usize]), row(item_b));
        let mut at_a = [0.0f32; 12];
        let mut at_b = [0.0f32; 12];
        let mut sum = 0.0;
        // The sum only grows, so a proposal is dropped as soon as it is over the limit.
        for part in [0..4, 4..8, 8..12] {
            for n in part {
                let (step, weight) = area.ring[n];
                let near = b.wrapping_add_signed(step);
                let other = if near == a { item_b } else { area.sites[near] };
                at_b[n] = weight * bonds.cost(features, xa, other);
                let near = a.wrapping_add_signed(step);
                let other = if near == b { item_a } else { area.sites[near] };
                at_a[n] = weight * bonds.cost(features, xb, other);
                sum += at_a[n] + at_b[n];
            }
            if sum >= limit {
                break;
            }
        }
        if sum >= limit {
            continue;
        }
        for (site, old, new) in [(a, xa, &at_a), (b, xb, &at_b)] {
            let (mut cost, other_site) = (0.0, if site == a { b } else { a });
            for (n, &(step, weight)) in area.ring.iter().enumerate() {
                cost += new[n];
                let near = site.wrapping_add_signed(step);
                if near != other_site {
                    let other = area.sites[near];
                    costs[near] += new[n] - weight * bonds.cost(features, old, other);
                }
            }
            costs[site] = cost;
        }
        area.sites[a] = item_b;
        area.sites[b] = item_a;
        budget -= leaving;
    }
}

/// `−ln u` for `u` in the middle of 1024 equal parts of 0 to 1.
fn surprises() -> Vec<f32> {
    (0..1024)
        .map(|i| -((f64::from(i) + 0.5) / 1024.0).ln() as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_near_and_one_far_neighbour_cost_less_than_two_fair_ones() {
        // On a line: direct neighbours are 1 apart.
        let features: Vec<[f32; 4]> = (0..9).map(|i| [i as f32, 0.0, 0.0, 0.0]).collect();
        let cells: Vec<u32> = (0..9).collect();
        let board = Board::new(9, &cells);
        let bonds = Bonds::on(&features, &board, usize::MAX).expect("they differ");
        let cost = |other| bonds.cost(&features, Some(&features[0]), other);
        assert!(cost(0) == 0.0 && cost(1) > 0.0);
        assert!(
            cost(0) + cost(8) < 2.0 * cost(4),
            "the distances are as long"
        );
        assert!(cost(7) < cost(8), "but nearer is always better");
        let missing = bonds.cost(&features, Some(&features[0]), super::super::SPARE);
        assert!((2.0 * missing - cost(1)).abs() < 1e-6);
    }
}
