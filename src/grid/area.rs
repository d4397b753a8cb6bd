//! Parts of a board that are annealed separately: rectangles with a border of context, and how a board is cut into
//! them.

use super::SPARE;
use super::board::{BORDER, Board};
use super::rng::Rng;

/// Columns or rows, from the first to one beyond the last.
pub(super) type Span = (u32, u32);

/// A rectangle cut out of a board with a border of context, which is seen but does not change.
pub(super) struct Area {
    /// Sites a row, border included.
    pub(super) pitch: usize,
    /// Occupants, as in [`Board::sites`].
    pub(super) sites: Vec<u32>,
    /// As [`Board::ring`](super::board::Board).
    pub(super) ring: [(isize, f32); 12],
    /// The board's site, or [`FROZEN`].
    pub(super) names: Vec<u32>,
    /// Column and row of the first site, which is in the border.
    origin: [i32; 2],
}

/// Named so, a site of an area may not change.
pub(super) const FROZEN: u32 = SPARE;

impl Area {
    /// Cuts out columns `cols.0..cols.1` and rows `rows.0..rows.1`.
    pub(super) fn cut(board: &Board, cols: Span, rows: Span) -> Self {
        let (width, height) = ((cols.1 - cols.0) as usize, (rows.1 - rows.0) as usize);
        let pitch = width + 2 * BORDER;
        let len = pitch * (height + 2 * BORDER);
        let mut area = Self {
            pitch,
            sites: Vec::with_capacity(len),
            ring: Board::ring(pitch),
            names: vec![FROZEN; len],
            origin: [cols.0, rows.0].map(|first| first as i32 - BORDER as i32),
        };
        for line in 0..height + 2 * BORDER {
            // Padded by as much as the board is, the area begins at the board's site of the same column and row.
            let start = (rows.0 as usize + line) * board.pitch + cols.0 as usize;
            area.sites
                .extend_from_slice(&board.sites[start..start + pitch]);
            if (BORDER..BORDER + height).contains(&line) {
                let names = &mut area.names[line * pitch + BORDER..][..width];
                let first = (start + BORDER) as u32;
                names
                    .iter_mut()
                    .zip(first..)
                    .for_each(|(n, site)| *n = site);
            }
        }
        area
    }

    /// The site of a column and row of the rectangle.
    pub(super) fn site(&self, col: u32, row: u32) -> usize {
        (row as usize + BORDER) * self.pitch + col as usize + BORDER
    }

    /// Column and row of a site on the board.
    #[inline(always)]
    pub(super) fn place(&self, site: usize) -> [i32; 2] {
        let (row, col) = (site / self.pitch, site % self.pitch);
        [self.origin[0] + col as i32, self.origin[1] + row as i32]
    }

    /// Sites that may change: those of items, and spare ones if asked for.
    pub(super) fn starts(&self, spares: bool) -> Vec<u32> {
        let may = |s: &u32| {
            let held = self.sites[*s as usize];
            self.names[*s as usize] != FROZEN && (spares || Board::is_item(held))
        };
        (0..self.sites.len() as u32).filter(may).collect()
    }

    /// Hands out the board's site and the occupant of every site that may have changed.
    pub(super) fn paste(&self, mut put: impl FnMut(usize, u32)) {
        for (&name, &held) in self.names.iter().zip(&self.sites) {
            if name != FROZEN {
                put(name as usize, held);
            }
        }
    }
}

/// Pieces of `0..n` about `side` long, two cells apart, at a random offset.
///
/// A site's energy looks two cells far; two cells between blocks keep every site out of every other block's sight.
pub(super) fn spans(n: u32, side: u32, rng: &mut Rng) -> Vec<Span> {
    if side >= n {
        return vec![(0, n)];
    }
    let mut cuts = vec![];
    let mut next = side / 2 + rng.below(side);
    while next + side / 2 < n {
        cuts.push(next);
        next += side;
    }
    let mut from = 0;
    let mut spans: Vec<Span> = cuts
        .into_iter()
        .map(|cut| (std::mem::replace(&mut from, cut + 1), cut - 1))
        .collect();
    spans.push((from, n));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_two_cells_apart_and_leave_out_little() {
        for n in [1, 2, 39, 40, 41, 59, 60, 100, 333] {
            for stream in 0..50 {
                let spans = spans(n, 40, &mut Rng::new(1, stream));
                assert_eq!((spans[0].0, spans[spans.len() - 1].1), (0, n));
                assert!(spans.windows(2).all(|w| w[1].0 - w[0].1 == 2));
                assert!(spans.iter().all(|&(from, to)| n <= 40 || to - from >= 18));
            }
        }
    }

    #[test]
    fn an_area_shows_the_board_and_gives_its_own_sites_back() {
        let cells: Vec<u32> = (0..63)
            .map(|i| if i % 4 == 0 { SPARE } else { i })
            .collect();
        let board = Board::new(9, &cells);
        let area = Area::cut(&board, (2, 6), (1, 7));
        let mut seen = Vec::new();
        area.paste(|site, held| {
            assert_eq!(board.sites[site], held);
            seen.push(board.place(site));
        });
        let want: Vec<_> = (1..7).flat_map(|r| (2..6).map(move |c| (c, r))).collect();
        assert_eq!(seen, want);
        // Context: the sites around the rectangle are seen, but not returned.
        assert_eq!(area.sites[area.site(0, 0) - 1], 10);
    }
}
