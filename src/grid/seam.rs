//! Growth by a seam: one spare cell in every row (or column), each item pushed along by at most one cell.
//!
//! A column seam picks a cut in every row; what lies right of it moves one column to the right. Carved seams separate
//! neighbours that differ: over 500 arrivals to 1,000 items they cost .001 and .009 DPQ16 (random colours, 512-d
//! mixture), cuts within 8 cells of each other .006 and .02, independent ones .01 and .03. At the edge, a seam is a
//! blank column or row and nobody moves.

use super::SPARE;
use super::features::distance;
use super::rng::Rng;

/// How far the cuts of adjacent lines may lie apart.
const DRIFT: usize = 8;
/// How strongly a seam is drawn to its random place: mean neighbour distances per cell at the far side of a line.
const PULL: f32 = 0.3;

/// Cells being grown, and cells of items to be kept in step with them.
pub(super) struct Canvas<'a> {
    pub(super) cols: &'a mut u32,
    pub(super) rows: &'a mut u32,
    pub(super) cells: &'a mut Vec<u32>,
}

/// A seam that was cut: with it the grid has one column or row more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seam {
    column: bool,
    cuts: Vec<u32>,
}

impl Seam {
    /// Where a cell (column, row) is once the seam is in; one beside the grid stays where it is.
    pub fn shift(&self, (col, row): (u32, u32)) -> (u32, u32) {
        let (line, along) = if self.column { (row, col) } else { (col, row) };
        let cut = self.cuts.get(line as usize);
        let pushed = u32::from(cut.is_some_and(|&cut| along >= cut));
        if self.column {
            (col + pushed, row)
        } else {
            (col, row + pushed)
        }
    }
}

/// Grows the canvas by a column or a row, along `cuts` (one per line, 0 to the line's length).
pub(super) fn grow(canvas: &mut Canvas, column: bool, cuts: Vec<u32>) -> Seam {
    let (cols, rows) = (*canvas.cols, *canvas.rows);
    let seam = Seam { column, cuts };
    let (new_cols, new_rows) = (cols + u32::from(column), rows + u32::from(!column));
    let mut cells = vec![SPARE; new_cols as usize * new_rows as usize];
    for row in 0..rows {
        for col in 0..cols {
            let (to_col, to_row) = seam.shift((col, row));
            cells[to_row as usize * new_cols as usize + to_col as usize] =
                canvas.cells[row as usize * cols as usize + col as usize];
        }
    }
    *canvas.cells = cells;
    *canvas.cols = new_cols;
    *canvas.rows = new_rows;
    seam
}

/// Cuts behind the last cell of every line: a blank column or row at the edge.
pub(super) fn edge(cols: u32, rows: u32, column: bool) -> Vec<u32> {
    let (lines, length) = if column { (rows, cols) } else { (cols, rows) };
    vec![length; lines as usize]
}

/// The cuts that separate similar neighbours least: between items that differ, without shearing lines that agree.
///
/// A dynamic programme over lines and cuts, as seam carving does it (Avidan and Shamir 2007). A random place draws the
/// seam, so that spare cells spread over the grid in the long run.
pub(super) fn carve<const D: usize>(
    features: &[[f32; D]],
    cells: &[u32],
    cols: u32,
    column: bool,
    rng: &mut Rng,
) -> Vec<u32> {
    let rows = cells.len() / (cols as usize).max(1);
    let (cols, rows) = (cols as usize, rows);
    let (lines, length) = if column { (rows, cols) } else { (cols, rows) };
    let at = |line: usize, k: usize| {
        if column {
            cells[line * cols + k]
        } else {
            cells[k * cols + line]
        }
    };
    let apart = |a: u32, b: u32| {
        (a != SPARE && b != SPARE).then(|| distance(&features[a as usize], &features[b as usize]))
    };
    // The mean distance across lines stands for a neighbour that is missing.
    let (mut sum, mut count) = (0.0f32, 0.0f32);
    for line in 0..lines {
        for k in 1..length {
            if let Some(d) = apart(at(line, k - 1), at(line, k)) {
                sum += d;
                count += 1.0;
            }
        }
    }
    let mean = if count > 0.0 { sum / count } else { 0.0 } + 1e-6;
    let draw = rng.below(length as u32 + 1) as f32;
    let pull = PULL * mean / length as f32;
    let mut best = vec![0.0f32; length + 1];
    let mut from = vec![0u32; lines * (length + 1)];
    for line in 0..lines {
        let mut next = vec![f32::INFINITY; length + 1];
        if line == 0 {
            next.fill(0.0);
        } else {
            // Sums of distances straight across to this line, and askew either way.
            let mut straight = vec![0.0f32; length + 1];
            let mut down = vec![0.0f32; length + 1];
            let mut up = vec![0.0f32; length + 1];
            for k in 0..length {
                let half = 0.5 * mean;
                let d = |a, b| apart(a, b).unwrap_or(half);
                straight[k + 1] = straight[k] + d(at(line - 1, k), at(line, k));
                if k + 1 < length {
                    down[k + 1] = down[k] + d(at(line - 1, k), at(line, k + 1));
                    up[k + 1] = up[k] + d(at(line - 1, k + 1), at(line, k));
                }
            }
            for b in 0..=length {
                for a in b.saturating_sub(DRIFT)..=(b + DRIFT).min(length) {
                    let shear = if a == b {
                        0.0
                    } else if a < b {
                        mean + down[b - 1] - down[a] - (straight[b] - straight[a])
                    } else {
                        mean + up[a - 1] - up[b] - (straight[a] - straight[b])
                    };
                    let total = best[a] + shear.max(0.0);
                    if total < next[b] {
                        next[b] = total;
                        from[line * (length + 1) + b] = a as u32;
                    }
                }
            }
        }
        for (cut, cost) in next.iter_mut().enumerate() {
            let across = if cut == 0 || cut == length {
                mean
            } else {
                match apart(at(line, cut - 1), at(line, cut)) {
                    Some(d) => mean - d,
                    None => mean,
                }
            };
            *cost += across + pull * (cut as f32 - draw).abs();
        }
        best = next;
    }
    let mut cut = (0..=length)
        .min_by(|&a, &b| best[a].total_cmp(&best[b]))
        .unwrap_or(0);
    let mut cuts = vec![0; lines];
    for line in (0..lines).rev() {
        cuts[line] = cut as u32;
        cut = from[line * (length + 1) + cut] as usize;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::super::features::Features;
    use super::*;

    #[test]
    fn every_line_gains_one_spare_cell_and_keeps_its_order() {
        let mut rng = Rng::new(3, 0);
        let z = crate::matrix::Matrix::from_data((0..24).map(|i| (i * i % 7) as f32).collect(), 1);
        let features = Features::<4>::new(&z.expect("24 rows"), 24);
        for column in [true, false] {
            for at_edge in [true, false] {
                let (mut cols, mut rows) = (6, 4);
                let mut cells: Vec<u32> = (0..24).collect();
                let cuts = if at_edge {
                    edge(cols, rows, column)
                } else {
                    carve(&features.rows, &cells, cols, column, &mut rng)
                };
                let mut canvas = Canvas {
                    cols: &mut cols,
                    rows: &mut rows,
                    cells: &mut cells,
                };
                let seam = grow(&mut canvas, column, cuts);
                assert_eq!((cols, rows), if column { (7, 4) } else { (6, 5) });
                for item in 0..24 {
                    let before = (item % 6, item / 6);
                    let (col, row) = seam.shift(before);
                    assert_eq!(cells[(row * cols + col) as usize], item);
                    assert!(col - before.0 + row - before.1 <= 1);
                    assert!(!at_edge || (col, row) == before);
                }
                let spare = cells.iter().filter(|&&c| c == SPARE).count();
                assert_eq!(spare, if column { 4 } else { 6 });
            }
        }
    }

    #[test]
    fn a_seam_runs_between_what_differs() {
        // Two flat halves, parted after column 3, 4 or 5 in turn.
        let mut rng = Rng::new(3, 1);
        let border = [3, 4, 5, 4, 3, 4];
        let value = |row: usize, col: usize| if col < border[row] { 0.0 } else { 1.0 };
        let data = (0..48).map(|i| value(i / 8, i % 8)).collect();
        let z = crate::matrix::Matrix::from_data(data, 1).expect("48 rows");
        let features = Features::<4>::new(&z, 48);
        let cells: Vec<u32> = (0..48).collect();
        let cuts = carve(&features.rows, &cells, 8, true, &mut rng);
        assert_eq!(cuts, border.map(|b| b as u32));
    }
}
