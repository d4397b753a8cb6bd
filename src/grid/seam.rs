//! Growth by a seam: one spare cell in every row (or column), each item pushed along by at most one cell.
//!
//! A column seam picks a cut in every row; what lies right of it moves one column to the right. At the edge, a seam is
//! a blank column or row and nobody moves.

use super::SPARE;
use super::rng::Rng;

/// How far the cuts of adjacent lines may lie apart. Cuts drawn independently shear lines against each other (−.005 to
/// −.01 DPQ16 after 13 seams); a straighter seam leaves its spare cells in a row, far from most arrivals.
const DRIFT: u32 = 8;

/// Cells being grown, and cells of items to be kept in step with them.
pub(super) struct Canvas<'a> {
    pub(super) cols: &'a mut u32,
    pub(super) rows: &'a mut u32,
    pub(super) cells: &'a mut Vec<u32>,
}

/// Where seams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// A blank line at the right or lower edge.
    Edge,
    /// From a random cut on, each at most [`DRIFT`] cells from the line's before.
    Winding,
}

/// A seam that was cut.
pub(super) struct Seam {
    column: bool,
    cuts: Vec<u32>,
}

impl Seam {
    /// Where a cell (column, row) is once the seam is in.
    pub(super) fn shift(&self, (col, row): (u32, u32)) -> (u32, u32) {
        if self.column {
            (col + u32::from(col >= self.cuts[row as usize]), row)
        } else {
            (col, row + u32::from(row >= self.cuts[col as usize]))
        }
    }
}

/// Grows the canvas by a column or a row.
pub(super) fn grow(canvas: &mut Canvas, column: bool, path: Path, rng: &mut Rng) -> Seam {
    let (cols, rows) = (*canvas.cols, *canvas.rows);
    let (lines, length) = if column { (rows, cols) } else { (cols, rows) };
    let mut at = rng.below(length + 1);
    let cuts = (0..lines)
        .map(|_| match path {
            Path::Edge => length,
            Path::Winding => {
                at = (at + rng.below(2 * DRIFT + 1))
                    .saturating_sub(DRIFT)
                    .min(length);
                at
            }
        })
        .collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gains_one_spare_cell_and_keeps_its_order() {
        let mut rng = Rng::new(3, 0);
        for column in [true, false] {
            for path in [Path::Edge, Path::Winding] {
                let (mut cols, mut rows) = (6, 4);
                let mut cells: Vec<u32> = (0..24).collect();
                let mut canvas = Canvas {
                    cols: &mut cols,
                    rows: &mut rows,
                    cells: &mut cells,
                };
                let seam = grow(&mut canvas, column, path, &mut rng);
                assert_eq!((cols, rows), if column { (7, 4) } else { (6, 5) });
                for item in 0..24 {
                    let before = (item % 6, item / 6);
                    let (col, row) = seam.shift(before);
                    assert_eq!(cells[(row * cols + col) as usize], item);
                    assert!(col - before.0 + row - before.1 <= 1);
                    assert!(path == Path::Winding || (col, row) == before);
                }
                assert_eq!(
                    cells.iter().filter(|&&c| c == SPARE).count(),
                    if column { 4 } else { 6 }
                );
            }
        }
    }
}
