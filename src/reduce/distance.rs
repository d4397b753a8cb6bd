//! The one definition of distance between embeddings, and the check that an embedding can be used.
//!
//! Distances are computed by difference (no cancellation between near-duplicates) in a fixed order of additions, so
//! that `distance(a, b)` always has the same bits, in either order of its arguments.

use super::ReduceError;
use crate::matrix::Matrix;
use rayon::prelude::*;
use std::ops::Range;

/// Squared lengths above this are refused: differences of such rows could overflow.
const SQUARE_LIMIT: f32 = 1e30;

/// Partial sums kept apart, so that the compiler may use vector registers without changing the result.
const LANES: usize = 16;

/// Euclidean distance, symmetric to the bit.
pub(super) fn distance(a: &[f32], b: &[f32]) -> f32 {
    wide!(sum_of_squares(a, b)).sqrt()
}

/// Indices: iterators of chunks are not always inlined into a loop as hot as this.
#[inline(always)]
fn sum_of_squares(a: &[f32], b: &[f32]) -> f32 {
    let (a_head, a_tail) = a.as_chunks::<LANES>();
    let (b_head, b_tail) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for i in 0..a_head.len().min(b_head.len()) {
        let (p, q) = (&a_head[i], &b_head[i]);
        for lane in 0..LANES {
            let d = p[lane] - q[lane];
            sums[lane] += d * d;
        }
    }
    let tail: f32 = a_tail
        .iter()
        .zip(b_tail)
        .map(|(p, q)| (p - q) * (p - q))
        .sum();
    tail + total(sums)
}

/// Adds the lanes up, in halves. Never inlined: the compiler would take the pairs added here for vectors of two in the
/// loop over the rows.
#[inline(never)]
fn total(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Squared lengths of `rows`, or the first row that cannot be used.
pub(super) fn squares(x: &Matrix, rows: Range<usize>) -> Result<Vec<f32>, ReduceError> {
    let squares: Vec<f32> = rows
        .clone()
        .into_par_iter()
        .map(|i| {
            let mut sums = [0.0f64; LANES];
            for chunk in x.row(i).chunks(LANES) {
                for (sum, &v) in sums.iter_mut().zip(chunk) {
                    *sum += f64::from(v) * f64::from(v);
                }
            }
            sums.iter().sum::<f64>() as f32
        })
        .collect();
    let unusable = |&s: &f32| s.is_nan() || s > SQUARE_LIMIT;
    match squares.iter().position(unusable) {
        Some(at) => Err(ReduceError::NonFinite {
            row: rows.start + at,
        }),
        None => Ok(squares),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_euclidean_and_symmetric() {
        let a: Vec<f32> = (0..37).map(|i| (i as f32).sin()).collect();
        let b: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).cos()).collect();
        let slow: f64 = a
            .iter()
            .zip(&b)
            .map(|(p, q)| f64::from(p - q).powi(2))
            .sum();
        assert!((f64::from(distance(&a, &b)) - slow.sqrt()).abs() < 1e-6);
        assert_eq!(distance(&a, &b).to_bits(), distance(&b, &a).to_bits());
        assert_eq!(distance(&a, &a), 0.0);
    }

    #[test]
    fn unusable_rows_are_named() {
        let mut x = Matrix::new(2);
        x.push(&[1.0, 2.0]);
        x.push(&[f32::NAN, 0.0]);
        assert_eq!(squares(&x, 0..2), Err(ReduceError::NonFinite { row: 1 }));
        x.row_mut(1).copy_from_slice(&[1e20, 0.0]);
        assert_eq!(squares(&x, 0..2), Err(ReduceError::NonFinite { row: 1 }));
        x.row_mut(1).copy_from_slice(&[0.0, 0.0]);
        assert_eq!(squares(&x, 0..2), Ok(vec![5.0, 0.0]));
    }
}
