//! The original post's two-stage sort: strips by x, each strip by y.
//!
//! Points are sorted by x and cut into strips of as many items as the grid has rows; each strip, sorted by y, is a
//! column. It looks at the map alone, and every change recomputes it.

use super::{GridParams, SPARE};

/// Columns, rows and the item of each cell. Equal coordinates keep the order of items.
pub(super) fn strips(points: &[[f32; 2]], p: &GridParams) -> (u32, u32, Vec<u32>) {
    let n = points.len();
    if n == 0 {
        return (0, 0, Vec::new());
    }
    let (cols, rows) = match p.columns {
        Some(c) => (c as usize, n.div_ceil(c as usize)),
        None => {
            let side = (n as f64 / f64::from(p.aspect) - 1e-9).sqrt().ceil();
            let rows = (side as usize).clamp(1, n);
            (n.div_ceil(rows), rows)
        }
    };
    let mut items: Vec<u32> = (0..n as u32).collect();
    let by = |axis: usize| {
        move |a: &u32, b: &u32| {
            points[*a as usize][axis]
                .total_cmp(&points[*b as usize][axis])
                .then(a.cmp(b))
        }
    };
    items.sort_unstable_by(by(0));
    let mut cells = vec![SPARE; cols * rows];
    for (col, strip) in items.chunks_mut(rows).enumerate() {
        strip.sort_unstable_by(by(1));
        for (row, &item) in strip.iter().enumerate() {
            cells[row * cols + col] = item;
        }
    }
    (cols as u32, rows as u32, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_columns_of_ascending_y() {
        // Python: side = 3; by_x = sorted(range(7), key=x); strips sorted by y (peer_mosaic.py).
        let points = [
            [3., 1.],
            [0., 9.],
            [5., 5.],
            [1., 2.],
            [2., 4.],
            [4., 0.],
            [6., 7.],
        ];
        let (cols, rows, cells) = strips(&points, &GridParams::default());
        assert_eq!((cols, rows), (3, 3));
        assert_eq!(cells, [3, 5, 6, 4, 0, SPARE, 1, 2, SPARE]);
    }

    #[test]
    fn any_number_of_points_fits() {
        for n in 0..40 {
            let points: Vec<[f32; 2]> = (0..n).map(|i| [(i * 7 % 11) as f32, i as f32]).collect();
            for columns in [None, Some(1), Some(6), Some(50)] {
                let p = GridParams {
                    columns,
                    ..GridParams::default()
                };
                let (cols, rows, cells) = strips(&points, &p);
                assert_eq!(cells.len(), (cols * rows) as usize);
                let mut seen: Vec<u32> = cells.into_iter().filter(|&c| c != SPARE).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..n as u32).collect::<Vec<_>>());
            }
        }
    }
}
