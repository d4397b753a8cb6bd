//! The features items are compared by, checked and laid out for fast distances.
//!
//! Rows are centred and scaled to about 1 in magnitude (only relative distances matter, and squares then cannot
//! overflow) and padded with zeros to `D` values. Sums are taken in a fixed order of lanes, without fused
//! multiplication, so that every instruction set gives the same bits.

use super::{GridError, MAX_FEATURES};
use crate::matrix::Matrix;
use rayon::prelude::*;

/// Rows that the centre is taken from.
const CENTRE: usize = 1024;

/// `N × D` features, one array per item.
pub(super) struct Features<const D: usize> {
    /// The rows, in item order.
    pub(super) rows: Vec<[f32; D]>,
}

/// Refuses what cannot be arranged: counts that differ, too many features, values that are not finite.
pub(super) fn check(z: &Matrix, points: &[[f32; 2]], placed: usize) -> Result<(), GridError> {
    check_features(z, points.len(), placed)?;
    match points.iter().position(|p| !p.iter().all(|v| v.is_finite())) {
        Some(item) => Err(GridError::NotFinite(item)),
        None => Ok(()),
    }
}

/// The part of [`check`] that needs no points, only their number.
pub(super) fn check_features(z: &Matrix, points: usize, placed: usize) -> Result<(), GridError> {
    // A matrix without columns cannot count its rows; the points do it then.
    let rows = if z.dims() == 0 { points } else { z.rows() };
    if rows != points || rows < placed {
        return Err(GridError::Counts {
            features: rows,
            points,
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
    if !wide!(largest(z.data())).is_finite() {
        let bad = z.data().iter().position(|v| !v.is_finite());
        return Err(GridError::NotFinite(bad.unwrap_or(0) / z.dims().max(1)));
    }
    Ok(())
}

impl<const D: usize> Features<D> {
    /// Copies finite `z` of at most `D` columns; `n` rows, also where `z` has no columns.
    pub(super) fn new(z: &Matrix, n: usize) -> Self {
        wide!(Self::centred(z, n))
    }

    /// The centre is that of up to [`CENTRE`] rows evenly chosen. Scales are powers of two: they change no digit.
    #[inline(always)]
    fn centred(z: &Matrix, n: usize) -> Self {
        if z.dims() == 0 || n == 0 {
            let rows = vec![[0.0; D]; n];
            return Self { rows };
        }
        let shrink = 0.5 * to_one(largest(z.data()));
        let stride = n.div_ceil(CENTRE);
        let mut mean = [0.0f64; D];
        for i in (0..n).step_by(stride) {
            for (m, v) in mean.iter_mut().zip(z.row(i)) {
                *m += f64::from(*v);
            }
        }
        let count = n.div_ceil(stride) as f64;
        let centre = mean.map(|m| (m / count) as f32 * shrink);
        let row = |i: usize| {
            let mut row = [0.0f32; D];
            for ((to, v), c) in row.iter_mut().zip(z.row(i)).zip(&centre) {
                *to = v * shrink - c;
            }
            row
        };
        let mut rows: Vec<[f32; D]> = (0..n).into_par_iter().map(row).collect();
        let scale = to_one(largest(rows.as_flattened()));
        if scale != 1.0 {
            rows.as_flattened_mut().iter_mut().for_each(|v| *v *= scale);
        }
        Self { rows }
    }
}

/// Bits of a float but its sign; as integers they are in the order of the magnitudes, NaN above infinity.
const MAGNITUDE: u32 = u32::MAX >> 1;

/// Largest magnitude; NaN or infinite if any value is.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let bits = values.iter().map(|v| v.to_bits() & MAGNITUDE);
    f32::from_bits(bits.fold(0, u32::max))
}

/// The power of two that takes a finite magnitude to 1 to 2, as far as floats reach.
pub(super) fn to_one(magnitude: f32) -> f32 {
    let exponent = magnitude.to_bits() >> 23;
    f32::from_bits((254 - exponent.clamp(1, 253)) << 23)
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
    // Indices into fixed arrays: iterators of chunks are not always inlined into the loops that call this.
    let mut from = 0;
    while from + 16 <= D {
        for k in 0..16 {
            let d = a[from + k] - b[from + k];
            lanes[k] += d * d;
        }
        from += 16;
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
        let (across, half) = (
            distance(&f.rows[0], &f.rows[1]),
            distance(&f.rows[0], &f.rows[2]),
        );
        assert!((across / half - 2.0).abs() < 1e-5, "{across} {half}");
        let tiny = Matrix::from_data(vec![1e-40, -1e-40, 0.0], 1).expect("three rows");
        let f = Features::<4>::new(&tiny, 3);
        assert!(distance(&f.rows[0], &f.rows[1]) > 0.0);
    }

    #[test]
    fn padded_distance_is_the_plain_one() {
        let data: Vec<f32> = (0..30).map(|i| (i * i % 7) as f32).collect();
        let z = Matrix::from_data(data, 10).expect("three rows of ten");
        let f = Features::<16>::new(&z, 3);
        let plain = |a: usize, b: usize| -> f32 {
            let pairs = z.row(a).iter().zip(z.row(b));
            pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
        };
        let padded = |a: usize, b: usize| distance(&f.rows[a], &f.rows[b]);
        let scale = plain(0, 1) / padded(0, 1);
        assert_eq!(scale.log2().fract(), 0.0, "scales are powers of two");
        assert!((padded(1, 2) * scale - plain(1, 2)).abs() < 1e-5);
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
