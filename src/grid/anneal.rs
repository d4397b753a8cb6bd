//! Annealed swaps: the last touch of a batch arrangement.
//!
//! Pairs of items at most [`BORDER`] cells apart swap when that lowers the energy of their twelve neighbours (see
//! `board`), and now and then when it does not, ever more rarely. FLAS compares with blurred neighbourhoods and leaves
//! much to gain between single neighbours: +.005 to +.02 DPQ16 measured.

use super::board::{BORDER, Board};
use super::features::distance;
use super::rng::Rng;

/// First temperature over the mean distance of neighbours.
pub(super) const FIRST_TEMPERATURE: f32 = 0.1;
/// Proposals between two exact sums of the cells' costs, a cell.
const REFRESH: usize = 64;

/// Makes `proposals_per_item` random proposals an item; spare cells stay where they are.
pub(super) fn anneal<const D: usize>(
    features: &[[f32; D]],
    board: &mut Board,
    proposals_per_item: usize,
    seed: u64,
) {
    wide!(run(features, board, proposals_per_item, seed));
}

#[inline(always)]
fn run<const D: usize>(
    features: &[[f32; D]],
    board: &mut Board,
    proposals_per_item: usize,
    seed: u64,
) {
    let taken: Vec<u32> = (0..board.sites.len())
        .filter(|&s| Board::is_item(board.sites[s]))
        .map(|s| s as u32)
        .collect();
    if taken.len() < 2 {
        return;
    }
    let mut rng = Rng::new(seed, 0);
    let surprises = surprises();
    let total = taken.len() * proposals_per_item;
    let mut costs = vec![0.0f32; board.sites.len()];
    let mut first = 0.0;
    let reach = 2 * BORDER as u32 + 1;
    for k in 0..total {
        if k % (REFRESH * taken.len()) == 0 {
            let mean = refresh(features, board, &taken, &mut costs);
            if k == 0 {
                first = FIRST_TEMPERATURE * mean;
            }
        }
        let a = taken[rng.below(taken.len() as u32) as usize] as usize;
        let dx = rng.below(reach) as usize;
        let dy = rng.below(reach) as usize;
        let b = a + dy * board.pitch + dx - BORDER * board.pitch - BORDER;
        let (item_a, item_b) = (board.sites[a], board.sites[b]);
        if !Board::is_item(item_b) || a == b {
            continue;
        }
        let temperature = first * (1.0 - k as f32 / total as f32);
        let surprise = surprises[(rng.next() >> 22) as usize];
        let limit = costs[a] + costs[b] + temperature * surprise;
        let (xa, xb) = (&features[item_a as usize], &features[item_b as usize]);
        let mut at_a = [0.0f32; 12];
        let mut at_b = [0.0f32; 12];
        let mut sum = 0.0;
        // The sum only grows, so a proposal is dropped as soon as it is over the limit.
        for part in [0..4, 4..8, 8..12] {
            for n in part {
                let (step, weight) = board.ring[n];
                let near_b = b.wrapping_add_signed(step);
                let other = if near_b == a {
                    item_b
                } else {
                    board.sites[near_b]
                };
                if Board::is_item(other) {
                    at_b[n] = weight * distance(xa, &features[other as usize]);
                    sum += at_b[n];
                }
                let near_a = a.wrapping_add_signed(step);
                let other = if near_a == b {
                    item_a
                } else {
                    board.sites[near_a]
                };
                if Board::is_item(other) {
                    at_a[n] = weight * distance(xb, &features[other as usize]);
                    sum += at_a[n];
                }
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
            for (n, &(step, weight)) in board.ring.iter().enumerate() {
                cost += new[n];
                let near = site.wrapping_add_signed(step);
                let other = board.sites[near];
                if Board::is_item(other) && near != other_site {
                    costs[near] += new[n] - weight * distance(old, &features[other as usize]);
                }
            }
            costs[site] = cost;
        }
        board.sites[a] = item_b;
        board.sites[b] = item_a;
    }
}

/// Sums every site's cost anew; returns the mean distance of direct neighbours.
#[inline(always)]
fn refresh<const D: usize>(
    features: &[[f32; D]],
    board: &Board,
    taken: &[u32],
    costs: &mut [f32],
) -> f32 {
    let (mut beside, mut pairs) = (0.0f64, 0u64);
    for &site in taken {
        let x = &features[board.sites[site as usize] as usize];
        let mut cost = 0.0;
        for (n, &(step, weight)) in board.ring.iter().enumerate() {
            let other = board.sites[(site as usize).wrapping_add_signed(step)];
            if Board::is_item(other) {
                let d = distance(x, &features[other as usize]);
                cost += weight * d;
                if n < 4 {
                    beside += f64::from(d);
                    pairs += 1;
                }
            }
        }
        costs[site as usize] = cost;
    }
    (beside / pairs.max(1) as f64) as f32
}

/// `−ln u` for `u` in the middle of 1024 equal parts of 0 to 1.
pub(super) fn surprises() -> Vec<f32> {
    (0..1024)
        .map(|i| -((f64::from(i) + 0.5) / 1024.0).ln() as f32)
        .collect()
}
