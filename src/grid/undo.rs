//! Undoes moves of a polish until few enough items have moved.
//!
//! What a polish did is a permutation of cells. Each of its cycles, and each path that ends in a spare cell, can be
//! undone independently of the others; those that gained least per item are undone first.

use super::SPARE;
use super::anneal::Bonds;
use super::board::Board;
use super::ties::{NOWHERE, Ties};

/// Undoes moves until at most `most` items are off the places that they had before, according to `ties`.
pub(super) fn all_but<const D: usize>(
    features: &[[f32; D]],
    board: &mut Board,
    ties: &Ties,
    most: usize,
) {
    let mut parts = parts(board, ties);
    let mut moved: usize = parts.iter().map(|part| part.items).sum();
    if moved <= most {
        return;
    }
    let bonds = Bonds::on(features, board, usize::MAX);
    let mut gains: Vec<(f32, usize)> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter_mut().enumerate() {
        let with = part.cost(features, board, bonds);
        part.swap(board);
        let without = part.cost(features, board, bonds);
        part.swap(board);
        gains.push(((without - with) / part.items as f32, index));
    }
    gains.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for (_, index) in gains {
        if moved <= most {
            break;
        }
        parts[index].swap(board);
        moved -= parts[index].items;
    }
}

/// One cycle or path: each of its sites, what it holds now and what it held before.
struct Part {
    sites: Vec<(u32, u32, u32)>,
    items: usize,
}

impl Part {
    fn cost<const D: usize>(
        &self,
        features: &[[f32; D]],
        board: &Board,
        bonds: Option<Bonds>,
    ) -> f32 {
        let sites = self.sites.iter().map(|&(site, ..)| site as usize);
        let cost = |site| bonds.map_or(0.0, |bonds| bonds.at(features, board, site));
        sites.map(cost).sum()
    }

    /// Exchanges what is and what was.
    fn swap(&mut self, board: &mut Board) {
        for (site, now, before) in &mut self.sites {
            board.sites[*site as usize] = *before;
            std::mem::swap(now, before);
        }
    }
}

/// The cycles and paths by which the board differs from where items came from.
fn parts(board: &Board, ties: &Ties) -> Vec<Part> {
    let mut before = vec![SPARE; board.sites.len()];
    for (item, &place) in ties.from.iter().enumerate() {
        if place != NOWHERE {
            before[board.site(place[0] as u32, place[1] as u32)] = item as u32;
        }
    }
    let mut now_at = vec![usize::MAX; ties.from.len()];
    for (site, &held) in board.sites.iter().enumerate() {
        if Board::is_item(held) {
            now_at[held as usize] = site;
        }
    }
    let differs = |site: usize| {
        let held = board.sites[site];
        (Board::is_item(held) || before[site] != SPARE) && held != before[site]
    };
    let mut seen = vec![false; board.sites.len()];
    let mut parts = Vec::new();
    // Paths first, from the site that nobody came to; what is left are cycles.
    for paths in [true, false] {
        for start in 0..board.sites.len() {
            let head = !Board::is_item(board.sites[start]);
            if seen[start] || !differs(start) || head != paths {
                continue;
            }
            let mut part = Part {
                sites: Vec::new(),
                items: 0,
            };
            let mut site = start;
            while !seen[site] {
                seen[site] = true;
                let (now, was) = (board.sites[site], before[site]);
                part.sites.push((site as u32, now, was));
                part.items += usize::from(was != SPARE);
                if was == SPARE {
                    break;
                }
                // On to where what was here is now.
                site = now_at[was as usize];
            }
            parts.push(part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::rng::Rng;

    #[test]
    fn moves_are_taken_back_until_few_enough_are_left() {
        let mut cells: Vec<u32> = (0..100)
            .map(|i| if i % 9 == 0 { SPARE } else { i })
            .collect();
        let features: Vec<[f32; 4]> = (0..100)
            .map(|i| [(i * 7 % 13) as f32, 0.0, 0.0, 0.0])
            .collect();
        let before = Board::new(10, &cells);
        let ties = Ties {
            homes: vec![NOWHERE; 100],
            from: before.places(100),
            spring: 0.0,
            stay: 0.0,
            homeless: 1.0,
            from_home: 3,
            from_place: 3,
        };
        let mut rng = Rng::new(1, 1);
        for part in cells.chunks_mut(12) {
            rng.shuffle(part);
        }
        let shuffled = Board::new(10, &cells);
        let moved = |board: &Board| {
            let places = board.places(100);
            places
                .iter()
                .zip(&ties.from)
                .filter(|(a, b)| a != b)
                .count()
        };
        let all = moved(&shuffled);
        assert!(all > 60);
        for most in [0, 10, 40, all] {
            let mut board = Board::new(10, &cells);
            all_but(&features, &mut board, &ties, most);
            assert!(moved(&board) <= most, "{} of {most}", moved(&board));
            let mut held: Vec<u32> = board
                .sites
                .iter()
                .copied()
                .filter(|&h| Board::is_item(h))
                .collect();
            held.sort_unstable();
            assert_eq!(held, (0..100).filter(|i| i % 9 != 0).collect::<Vec<u32>>());
        }
    }
}
