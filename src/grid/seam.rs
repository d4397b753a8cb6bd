//! Growth by a seam: one spare cell in every row (or column), each item pushed along by at most one cell.
//!
//! A column seam picks a cut in every row; what lies right of it moves one column to the right. Carved seams separate
//! neighbours that differ, run where spare cells have become few, and do not part items from their homes: an item whose
//! home lies on the other side is a cell farther from it afterwards. At the edge, a seam is a blank column or row and
//! nobody moves.
//!
//! Where a seam runs decides how far later arrivals push others: with random places in place of where spare cells are
//! few, 500 arrivals to 1,000 works of the demo ended .008 DPQ16 lower, and without regard to homes .010 lower and .15
//! cells farther from home (means of four seeds).

use super::SPARE;
use super::features::distance;

/// How far the cuts of adjacent lines may lie apart.
const SHIFT: usize = 8;
/// How far around a cut spare cells are counted, cells. 3 and 6 are as good.
const AROUND: usize = 4;
/// Most times the mean number of spare cells that counts.
const CROWD: f32 = 4.0;

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

/// The cuts that harm least, by a dynamic programme over lines and cuts, as seam carving does it (Avidan and Shamir
/// 2007).
///
/// In mean distances of neighbours, a cut costs what its two neighbours are closer than the mean; the number of spare
/// cells around it, against the mean; and 1 for each item that it parts from its home. Where cuts of two lines are apart,
/// the lines shear, which costs what their neighbours are less alike then.
pub(super) fn carve<const D: usize>(
    features: &[[f32; D]],
    cells: &[u32],
    homes: &[u32],
    cols: u32,
    column: bool,
) -> Vec<u32> {
    let grid = Lines::new(cells, cols as usize, column);
    let (lines, length) = (grid.lines, grid.length);
    let at = |line, k| cells[grid.cell(line, k)];
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
    let mut harm = grid.spares_around();
    grid.add_parted(homes, &mut harm);
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
                for a in b.saturating_sub(SHIFT)..=(b + SHIFT).min(length) {
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
        let harm = &harm[line * (length + 1)..][..=length];
        for (cut, cost) in next.iter_mut().enumerate() {
            let beside = (cut > 0 && cut < length).then(|| (at(line, cut - 1), at(line, cut)));
            let d = beside.and_then(|(a, b)| apart(a, b)).unwrap_or(0.0);
            *cost += mean - d + mean * harm[cut];
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

/// Cells seen as lines that a seam crosses: rows for a column seam, columns for a row seam.
struct Lines<'a> {
    cells: &'a [u32],
    cols: usize,
    column: bool,
    lines: usize,
    length: usize,
}

impl<'a> Lines<'a> {
    fn new(cells: &'a [u32], cols: usize, column: bool) -> Self {
        let rows = cells.len() / cols.max(1);
        let (lines, length) = if column { (rows, cols) } else { (cols, rows) };
        Self {
            cells,
            cols,
            column,
            lines,
            length,
        }
    }

    fn cell(&self, line: usize, k: usize) -> usize {
        let (row, col) = if self.column { (line, k) } else { (k, line) };
        row * self.cols + col
    }

    /// Line of a cell, and how far along.
    fn place(&self, cell: usize) -> (usize, usize) {
        let (row, col) = (cell / self.cols, cell % self.cols);
        if self.column { (row, col) } else { (col, row) }
    }

    /// Spare cells around each cut of each line (`lines × (length + 1)`), against the mean of the grid.
    fn spares_around(&self) -> Vec<f32> {
        let width = self.length + 1;
        // Spare cells in all lines before one, and before a place in them.
        let mut sums = vec![0u32; (self.lines + 1) * width];
        for line in 0..self.lines {
            let mut sum = 0;
            for k in 0..self.length {
                sum += u32::from(self.cells[self.cell(line, k)] == SPARE);
                sums[(line + 1) * width + k + 1] = sums[line * width + k + 1] + sum;
            }
        }
        let share = sums.last().map_or(0, |&n| n) as f32 / self.cells.len().max(1) as f32;
        let mut around = Vec::with_capacity(self.lines * width);
        for line in 0..self.lines {
            let (top, end) = (
                line.saturating_sub(AROUND),
                (line + AROUND + 1).min(self.lines),
            );
            for cut in 0..width {
                let (left, right) = (cut.saturating_sub(AROUND), (cut + AROUND).min(self.length));
                let sum = |line: usize, k: usize| sums[line * width + k];
                let spares = sum(end, right) + sum(top, left) - sum(top, right) - sum(end, left);
                let cells = ((end - top) * (right - left)) as f32;
                around.push((spares as f32 / (cells * share + 1e-6)).min(CROWD));
            }
        }
        around
    }

    /// Adds to each cut how many items of its line it takes farther from their homes.
    fn add_parted(&self, homes: &[u32], harm: &mut [f32]) {
        for (cell, &item) in self.cells.iter().enumerate() {
            let home = homes.get(item as usize).filter(|&&home| home != SPARE);
            let Some(&home) = home else { continue };
            let (line, k) = self.place(cell);
            let (home_line, home_k) = self.place(home as usize);
            if k.abs_diff(home_k) >= line.abs_diff(home_line) {
                let parted = k.min(home_k) + 1..=k.max(home_k);
                for cost in &mut harm[line * (self.length + 1)..][parted] {
                    *cost += 1.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::features::Features;
    use super::*;

    #[test]
    fn every_line_gains_one_spare_cell_and_keeps_its_order() {
        let z = crate::matrix::Matrix::from_data((0..24).map(|i| (i * i % 7) as f32).collect(), 1);
        let features = Features::<4>::new(&z.expect("24 rows"), 24);
        for column in [true, false] {
            for at_edge in [true, false] {
                let (mut cols, mut rows) = (6, 4);
                let mut cells: Vec<u32> = (0..24).collect();
                let cuts = if at_edge {
                    edge(cols, rows, column)
                } else {
                    carve(&features.rows, &cells, &[], cols, column)
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
        let border = [3, 4, 5, 4, 3, 4];
        let value = |row: usize, col: usize| if col < border[row] { 0.0 } else { 1.0 };
        let data = (0..48).map(|i| value(i / 8, i % 8)).collect();
        let z = crate::matrix::Matrix::from_data(data, 1).expect("48 rows");
        let features = Features::<4>::new(&z, 48);
        let cells: Vec<u32> = (0..48).collect();
        let cuts = carve(&features.rows, &cells, &[], 8, true);
        assert_eq!(cuts, border.map(|b| b as u32));
    }

    #[test]
    fn a_seam_runs_where_spare_cells_are_few() {
        // All alike; columns 0 to 15 have every other cell spare, the last 14 none.
        let features = [[0.0f32; 4]; 900];
        let spare = |i: u32| i % 30 < 16 && (i + i / 30).is_multiple_of(2);
        let cells: Vec<u32> = (0..900).map(|i| if spare(i) { SPARE } else { i }).collect();
        let cuts = carve(&features, &cells, &[], 30, true);
        assert!(
            cuts.iter().all(|&cut| cut >= 16 + AROUND as u32),
            "{cuts:?}"
        );
    }

    #[test]
    fn a_seam_parts_no_item_from_its_home_where_it_can() {
        // All alike; items of columns 1 to 7 have their home in the column before, the others where they are.
        let features = [[0.0f32; 4]; 60];
        let cells: Vec<u32> = (0..60).collect();
        let strayed = |i: u32| (1..8).contains(&(i % 10));
        let homes: Vec<u32> = (0..60).map(|i| i - u32::from(strayed(i))).collect();
        let cuts = carve(&features, &cells, &homes, 10, true);
        assert!(cuts.iter().all(|cut| !(1..8).contains(cut)), "{cuts:?}");
    }
}
