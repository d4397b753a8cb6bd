//! Anchored polish: swaps and steps into spare cells that pay for every item they take off its place.
//!
//! A proposal is taken if the energy of the twelve neighbours (see `board`) falls by more than `anchor` times the mean
//! neighbour distance for each item that leaves the cell it had before the operation (returning gives it back). A
//! missing neighbour counts as half the mean distance to each side, so that neither edges nor spare cells attract.
//! Around a chain only gains are taken; over the whole grid the proposals are annealed as in a batch arrangement.

use super::SPARE;
use super::anneal::surprises;
use super::board::Board;
use super::chain::Field;
use super::features::distance;
use super::rng::Rng;

/// How far a proposal reaches, cells.
const REACH: u32 = 3;
/// How far from a chain a proposal may begin, cells.
const AROUND: u32 = 4;
/// Proposals around one chain.
const NEAR: usize = 2000;
/// Proposals an item over the whole grid.
const ALL: usize = 300;

/// First temperature over the whole grid, in mean neighbour distances; twice that of a batch arrangement, since seams
/// leave more to undo.
const FIRST_TEMPERATURE: f32 = 0.2;

/// Where proposals begin.
pub(super) enum Scope<'a> {
    /// Near these sites.
    Near(&'a [u32]),
    /// Anywhere.
    All,
}

/// Home site of each item that has one to keep; [`SPARE`] for those that are free.
pub(super) type Homes = [u32];

/// Polishes; `anchor` is in mean neighbour distances an item.
pub(super) fn polish<const D: usize>(
    field: &mut Field<D>,
    homes: &Homes,
    scope: &Scope,
    anchor: f32,
    rng: &mut Rng,
) {
    wide!(run(field, homes, scope, anchor, rng));
}

#[inline(always)]
fn run<const D: usize>(
    field: &mut Field<D>,
    homes: &Homes,
    scope: &Scope,
    anchor: f32,
    rng: &mut Rng,
) {
    let mean = mean_beside(field);
    if mean <= 0.0 {
        return;
    }
    let (sites, proposals, around, heat): (Vec<u32>, usize, u32, f32) = match scope {
        Scope::Near(path) => (path.to_vec(), NEAR, AROUND, 0.0),
        Scope::All => {
            let all: Vec<u32> = (0..field.board.sites.len() as u32)
                .filter(|&s| Board::is_item(field.board.sites[s as usize]))
                .collect();
            let proposals = ALL * all.len();
            (all, proposals, 0, FIRST_TEMPERATURE)
        }
    };
    if sites.is_empty() {
        return;
    }
    let pitch = field.board.pitch;
    let step = |rng: &mut Rng, from: usize, reach: u32| {
        let width = 2 * reach + 1;
        let (dx, dy) = (rng.below(width) as usize, rng.below(width) as usize);
        (from + dy * pitch + dx) - reach as usize * (pitch + 1)
    };
    let surprises = surprises();
    let first = heat * mean;
    for k in 0..proposals {
        let temperature = first * (1.0 - k as f32 / proposals as f32);
        let a = sites[rng.below(sites.len() as u32) as usize] as usize;
        let a = if around > 0 { step(rng, a, around) } else { a };
        let item = field.board.sites[a];
        if !Board::is_item(item) {
            continue;
        }
        let b = step(rng, a, REACH);
        let other = field.board.sites[b];
        if a == b || !(Board::is_item(other) || other == SPARE) {
            continue;
        }
        let off = |item: u32, from: usize, to: usize| {
            let home = homes[item as usize];
            if home == SPARE {
                0.0
            } else {
                f32::from(u8::from(home as usize != to))
                    - f32::from(u8::from(home as usize != from))
            }
        };
        let mut price = off(item, a, b);
        let gain = if other == SPARE {
            bond(field, item, a, None, mean) - bond(field, item, b, Some(a), mean)
        } else {
            price += off(other, b, a);
            swap_gain(field, a, b)
        };
        if gain
            > anchor * mean * price + 1e-6 * mean
                - temperature * surprises[(rng.next() >> 22) as usize]
        {
            field.put(a, other);
            field.put(b, item);
        }
    }
}

/// How much the energy falls if two occupants swap.
#[inline(always)]
fn swap_gain<const D: usize>(field: &Field<D>, a: usize, b: usize) -> f32 {
    let sites = &field.board.sites;
    let xa = &field.features[sites[a] as usize];
    let xb = &field.features[sites[b] as usize];
    let mut gain = 0.0;
    for &(step, weight) in &field.board.ring {
        for (site, own, new) in [(a, xa, xb), (b, xb, xa)] {
            let near = site.wrapping_add_signed(step);
            let other = sites[near];
            // Neighbours of each other stay neighbours.
            if Board::is_item(other) && near != a && near != b {
                let y = &field.features[other as usize];
                gain += weight * (distance(own, y) - distance(new, y));
            }
        }
    }
    gain
}

/// Energy of an item at a site; `left` is a site to take for spare.
#[inline(always)]
fn bond<const D: usize>(
    field: &Field<D>,
    item: u32,
    site: usize,
    left: Option<usize>,
    mean: f32,
) -> f32 {
    let x = &field.features[item as usize];
    let mut sum = 0.0;
    for &(step, weight) in &field.board.ring {
        let near = site.wrapping_add_signed(step);
        let other = field.board.sites[near];
        sum += if Board::is_item(other) && Some(near) != left {
            weight * (distance(x, &field.features[other as usize]) - 0.5 * mean)
        } else {
            weight * 0.5 * mean
        };
    }
    sum
}

/// Mean distance of direct neighbours, of up to 1,024 items evenly chosen.
#[inline(always)]
fn mean_beside<const D: usize>(field: &Field<D>) -> f32 {
    let sites = &field.board.sites;
    let stride = (sites.len() / 1024).max(1);
    let (mut sum, mut count) = (0.0f64, 0u32);
    for site in (0..sites.len()).step_by(stride) {
        if !Board::is_item(sites[site]) {
            continue;
        }
        let x = &field.features[sites[site] as usize];
        for &(step, _) in &field.board.ring[..4] {
            let other = sites[site.wrapping_add_signed(step)];
            if Board::is_item(other) {
                sum += f64::from(distance(x, &field.features[other as usize]));
                count += 1;
            }
        }
    }
    (sum / f64::from(count.max(1))) as f32
}
