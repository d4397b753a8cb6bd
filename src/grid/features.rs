//! The features items are compared by, checked and laid out for fast distances.
//!
//! Rows are centred and scaled to at most 1 in magnitude (only relative distances matter, and squares then cannot
//! overflow) and padded with zeros to `D` values. Sums are taken in a fixed order of lanes, without fused
//! multiplication, so that every instruction set gives the same bits.

use super::{GridError, MAX_FEATURES};
use crate::matrix::Matrix;

/// `N × D` features, one array an item.
pub(super) struct Features<const D: usize> {
    /// The rows, in item order.
    pub(super) rows: Vec<[f32; D]>,
}

/// Refuses what cannot be arranged: counts that differ, too many features, values that are not finite.
pub(super) fn check(z: &Matrix, points: &[[f32; 2]], placed: usize) -> Result<(), GridError> {
    // A matrix without columns cannot count its rows; the points do it then.
    let rows = if z.dims() == 0 {
        points.len()
    } else {
        z.rows()
    };
    if rows != points.len() || rows < placed {
        return Err(GridError::Counts {
            features: rows,
            points: points.len(),
            placed,
        });
    }
    if z.dims() > MAX_FEATURES {
        return Err(GridError::TooManyFeatures(z.dims()));
    }
    // A quarter of the index range leaves room for spare cells, borders and the mark of a spare cell.
    if rows > (u32::MAX / 4) as usize {
        return Err(GridError::TooManyItems(rows));
    }
    let bad = z.data().iter().position(|v| !v.is_finite());
    if let Some(at) = bad {
        return Err(GridError::NotFinite(at / z.dims()));
    }
    match points.iter().position(|p| !p.iter().all(|v| v.is_finite())) {
        Some(item) => Err(GridError::NotFinite(item)),
        None => Ok(()),
    }
}

impl<const D: usize> Features<D> {
    /// Copies finite `z` of at most `D` columns; `n` rows, also where `z` has no columns.
    pub(super) fn new(z: &Matrix, n: usize) -> Self {
        wide!(Self::centred(z, n))
    }

    #[inline(always)]
    fn centred(z: &Matrix, n: usize) -> Self {
        let dims = z.dims().min(D);
        let mut rows = vec![[0.0; D]; n];
        if dims == 0 || n == 0 {
            return Self { rows };
        }
        let mut mean = [0.0f64; D];
        for i in 0..n {
            for (m, v) in mean.iter_mut().zip(z.row(i)) {
                *m += f64::from(*v);
            }
        }
        let mut shift = [0.0f64; D];
        for (s, m) in shift.iter_mut().zip(&mean) {
            *s = m / n as f64;
        }
        let mut largest = 0.0f64;
        for i in 0..n {
            for (v, s) in z.row(i).iter().zip(&shift) {
                largest = largest.max((f64::from(*v) - s).abs());
            }
        }
        let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
        for (i, row) in rows.iter_mut().enumerate() {
            for ((to, v), s) in row.iter_mut().zip(z.row(i)).zip(&shift) {
                *to = ((f64::from(*v) - s) * scale) as f32;
            }
        }
        Self { rows }
    }
}

/// Squared Euclidean distance, summed in a fixed order.
#[inline(always)]
pub(super) fn squared<const D: usize>(a: &[f32; D], b: &[f32; D]) -> f32 {
    if D <= 4 {
        let mut sum = 0.0;
        for k in 0..D {
            let d = a[k] - b[k];
            sum += d * d;
        }
        return sum;
    }
    let mut lanes = [0.0f32; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for k in 0..16 {
            let d = a[k] - b[k];
            lanes[k] += d * d;
        }
    }
    total(lanes)
}

/// The sum of sixteen lanes as a balanced tree.
#[inline(always)]
pub(super) fn total(mut lanes: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for k in 0..half {
            lanes[k] += lanes[k + half];
        }
    }
    lanes[0]
}

/// Euclidean distance.
#[inline(always)]
pub(super) fn distance<const D: usize>(a: &[f32; D], b: &[f32; D]) -> f32 {
    squared(a, b).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_but_finite_values_keep_finite_distances() {
        let z = Matrix::from_data(vec![3e38, -3e38, -3e38, 3e38, 0.0, 1.0], 2).expect("three rows");
        let f = Features::<4>::new(&z, 3);
        let d = distance(&f.rows[0], &f.rows[1]);
        assert!((d - 8f32.sqrt()).abs() < 1e-5, "{d}");
    }

    #[test]
    fn padded_distance_is_the_plain_one() {
        let data: Vec<f32> = (0..20).map(|i| (i * i % 7) as f32).collect();
        let z = Matrix::from_data(data, 10).expect("two rows of ten");
        let f = Features::<16>::new(&z, 2);
        let plain: f32 = z
            .row(0)
            .iter()
            .zip(z.row(1))
            .map(|(a, b)| (a - b) * (a - b))
            .sum();
        // Two rows lie symmetrically about their mean, so the largest feature is half the largest difference.
        let widest = z.row(0).iter().zip(z.row(1)).map(|(a, b)| (a - b).abs());
        let scale = widest.fold(0.0, f32::max) / 2.0;
        assert!((distance(&f.rows[0], &f.rows[1]) * scale - plain.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn bad_input_is_named() {
        let nan = Matrix::from_data(vec![0.0, 1.0, 2.0, f32::NAN], 2).expect("two rows");
        let points = [[0.0; 2]; 2];
        assert_eq!(check(&nan, &points, 0), Err(GridError::NotFinite(1)));
        let ok = Matrix::from_data(vec![0.0; 4], 2).expect("two rows");
        assert_eq!(
            check(&ok, &[[0.0; 2], [0.0, f32::INFINITY]], 0),
            Err(GridError::NotFinite(1))
        );
        assert!(matches!(
            check(&ok, &points, 3),
            Err(GridError::Counts { .. })
        ));
        let wide = Matrix::from_data(vec![0.0; 258], 129).expect("two rows");
        assert_eq!(
            check(&wide, &points, 0),
            Err(GridError::TooManyFeatures(129))
        );
    }
}
