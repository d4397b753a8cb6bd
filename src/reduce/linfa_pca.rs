//! The 2022 post's PCA, linfa-reduction, behind guards.
//!
//! linfa-reduction 0.8.1 panics on degenerate input and returns unconverged components as `Ok`. So it is asked only
//! where its method (LOBPCG) can work, and its components are used only if they have unit length, are orthogonal, and
//! are the leading eigenvectors of the covariance. `None` sends the caller to [`Pca::fit`]. linfa's own explained
//! variance is wrong and not used.

use super::pca::{Pca, mean};
use super::random::Random;
use crate::matrix::Matrix;
use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array2;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Largest residual `‖C·v − λ·v‖ / λ` that is believed.
const RESIDUAL: f64 = 1e-3;

/// The `k` first components by linfa-reduction, if it gets them right. `x` is finite.
pub(super) fn fit(x: &Matrix, k: usize) -> Option<Pca> {
    let (n, d) = (x.rows(), x.dims());
    // LOBPCG needs a problem several times larger than its block; below that it is wrong or panics.
    if k == 0 || n.min(d) < 5 * k.max(2) {
        return None;
    }
    let mean = mean(x);
    let centred: Vec<f64> = (0..n)
        .flat_map(|i| x.row(i).iter().zip(&mean).map(|(&v, m)| f64::from(v) - m))
        .collect();
    let total = centred.iter().map(|v| v * v).sum::<f64>();
    if total <= 1e-12 * n as f64 * mean.iter().map(|m| m * m).sum::<f64>() || total <= 1e-30 {
        return None;
    }
    let records = Array2::from_shape_vec((n, d), centred.clone()).ok()?;
    let dataset = DatasetBase::from(records);
    // Rank-deficient data can still reach an `unwrap` inside; that is an answer of "no", not a crash.
    let fitted = catch_unwind(AssertUnwindSafe(|| {
        linfa_reduction::Pca::params(k).fit(&dataset).ok()
    }))
    .ok()??;
    let directions = fitted.components();
    if directions.nrows() != k || directions.ncols() != d {
        return None;
    }
    let mut vectors: Vec<f64> = directions.iter().copied().collect();
    let values = verified(&centred, d, &mut vectors)?;
    let scale = 1.0 / (n as f64 - 1.0);
    let values: Vec<f64> = values.into_iter().map(|v| v * scale).collect();
    Some(Pca::assemble(mean, k, &values, &vectors, total * scale))
}

/// The eigenvalues that belong to `vectors` (`k × d`), which are normalised; `None` if they are not the leading
/// eigenvectors of `XᵀX`.
fn verified(x: &[f64], d: usize, vectors: &mut [f64]) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    for i in 0..vectors.len() / d {
        let (before, rest) = vectors.split_at_mut(i * d);
        let v = &mut rest[..d];
        let length = dot(v, v).sqrt();
        if !(length.is_finite() && length > 0.0) {
            return None;
        }
        v.iter_mut().for_each(|a| *a /= length);
        let image = gram_times(x, v);
        let value = dot(&image, v);
        let residual: f64 = image
            .iter()
            .zip(v.iter())
            .map(|(a, b)| (a - value * b).powi(2))
            .sum();
        let orthogonal = before
            .chunks_exact(d)
            .all(|other| dot(other, v).abs() < 1e-6);
        let ordered = values
            .last()
            .is_none_or(|&last| value <= last * (1.0 + 1e-9));
        if !(orthogonal && ordered && value > 0.0 && residual.sqrt() <= RESIDUAL * value) {
            return None;
        }
        values.push(value);
    }
    // A few power steps in the complement: a larger eigenvalue there means that linfa missed a direction.
    let mut random = Random::new(0x11FA, d as u64);
    let mut probe: Vec<f64> = (0..d).map(|_| random.signed()).collect();
    for _ in 0..8 {
        for v in vectors.chunks_exact(d) {
            let along = dot(&probe, v);
            probe.iter_mut().zip(v).for_each(|(p, v)| *p -= along * v);
        }
        let length = dot(&probe, &probe).sqrt();
        if length <= f64::MIN_POSITIVE {
            break;
        }
        probe.iter_mut().for_each(|p| *p /= length);
        let image = gram_times(x, &probe);
        if dot(&image, &probe) > values.last()? * (1.0 + RESIDUAL) {
            return None;
        }
        probe = image;
    }
    Some(values)
}

/// `Xᵀ (X v)`.
fn gram_times(x: &[f64], v: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; v.len()];
    for row in x.chunks_exact(v.len()) {
        let along = dot(row, v);
        out.iter_mut().zip(row).for_each(|(o, r)| *o += along * r);
    }
    out
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_rows(n: usize, d: usize, distinct: usize) -> Matrix {
        let mut random = Random::new(5, 5);
        let base: Vec<f32> = (0..distinct * d)
            .map(|at| (random.signed() / (1 + at % d) as f64) as f32)
            .collect();
        let data = (0..n)
            .flat_map(|i| base[(i % distinct) * d..(i % distinct + 1) * d].to_vec())
            .collect();
        Matrix::from_data(data, d).expect("n rows")
    }

    #[test]
    fn agrees_with_our_own_where_it_answers() {
        let x = random_rows(400, 30, 400);
        let theirs = fit(&x, 2).expect("well-conditioned data is answered");
        let ours = Pca::fit(&x, 2).expect("finite rows");
        let (a, b) = (theirs.project(&x), ours.project(&x));
        for (p, q) in a.data().iter().zip(b.data()) {
            assert!((p - q).abs() < 1e-3, "{p} {q}");
        }
        for (p, q) in theirs
            .explained_variance_ratio()
            .iter()
            .zip(ours.explained_variance_ratio())
        {
            assert!((p - q).abs() < 1e-4);
        }
    }

    #[test]
    fn degenerate_data_is_declined_or_right_and_never_panics() {
        for (n, distinct) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 3),
            (60, 1),
            (60, 2),
            (60, 3),
            (200, 4),
            (200, 11),
        ] {
            let x = random_rows(n, 24, distinct);
            for k in [0, 1, 2, 4] {
                if let Some(theirs) = fit(&x, k) {
                    let ours = Pca::fit(&x, k).expect("finite rows");
                    for (p, q) in theirs
                        .explained_variance()
                        .iter()
                        .zip(ours.explained_variance())
                    {
                        assert!(
                            (p - q).abs() <= 2e-3 * q,
                            "{n} rows, {distinct} distinct: {p} {q}"
                        );
                    }
                }
            }
        }
    }
}
