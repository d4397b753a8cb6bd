//! Principal components of embeddings: fitting and projecting.
//!
//! The covariance (or, for fewer rows than columns, the Gram matrix) is formed block by block in a fixed order and
//! decomposed by [`super::eigen`]. It is correct for every shape: 0 rows, 1 row, identical rows, `k` beyond the rank.
//! The 2022 post's own solver is kept in `linfa_pca`.

use super::ReduceError;
use super::distance::squares;
use super::eigen::leading;
use super::product::{View, product};
use crate::matrix::Matrix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows of one covariance product; part of the result's bits, as sums are taken block by block.
const BLOCK: usize = 2048;

/// Eigenvalues below this share of the largest are rounding noise of the `f32` products, not directions.
const RANK_TOLERANCE: f64 = 1e-6;

/// A mean and `k` orthonormal directions of greatest variance. Past the rank of the data directions are zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// `D` values.
    mean: Vec<f32>,
    /// `D × k`, row-major: column `j` is direction `j`.
    components: Vec<f32>,
    /// Variance along each direction, `k` values, descending.
    variance: Vec<f32>,
    /// Variance along all directions together.
    total_variance: f32,
}

impl Pca {
    /// The `k` first components of `x` (`N × D`), the variances divided by `N − 1`. The entry of largest magnitude of
    /// each direction is positive. Fails on values that are not finite.
    pub fn fit(x: &Matrix, k: usize) -> Result<Self, ReduceError> {
        squares(x, 0..x.rows())?;
        let (n, d) = (x.rows(), x.dims());
        let mean = mean(x);
        let rank = k.min(d).min(n.saturating_sub(1));
        let (mut values, mut vectors, total) = if rank == 0 {
            (Vec::new(), Vec::new(), 0.0)
        } else if n <= d {
            by_gram(x, &mean, rank)
        } else {
            by_covariance(x, &mean, rank)
        };
        let floor = RANK_TOLERANCE * values.first().copied().unwrap_or(0.0);
        let kept = values.iter().take_while(|&&v| v > floor && v > 0.0).count();
        values.truncate(kept);
        vectors.truncate(kept * d);
        let scale = 1.0 / n.saturating_sub(1).max(1) as f64;
        values.iter_mut().for_each(|v| *v *= scale);
        Ok(Self::assemble(mean, k, &values, &vectors, total * scale))
    }

    /// `vectors` (`values.len() × D`) become directions; the rest up to `k` is zero.
    pub(super) fn assemble(
        mean: Vec<f64>,
        k: usize,
        values: &[f64],
        vectors: &[f64],
        total: f64,
    ) -> Self {
        let d = mean.len();
        let mut components = vec![0.0f32; d * k];
        for (j, direction) in vectors.chunks_exact(d.max(1)).enumerate() {
            let largest =
                direction.iter().fold(
                    0.0f64,
                    |best, &v| if v.abs() > best.abs() { v } else { best },
                );
            let sign = if largest < 0.0 { -1.0 } else { 1.0 };
            for (i, v) in direction.iter().enumerate() {
                components[i * k + j] = (v * sign) as f32;
            }
        }
        let mut variance: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        variance.resize(k, 0.0);
        Self {
            mean: mean.into_iter().map(|m| m as f32).collect(),
            components,
            variance,
            total_variance: total as f32,
        }
    }

    /// Number of components `k`, zero ones included.
    pub fn components(&self) -> usize {
        self.variance.len()
    }

    /// Length `D` of the embeddings it was fitted to.
    pub fn dims(&self) -> usize {
        self.mean.len()
    }

    /// Variance along each component, descending.
    pub fn explained_variance(&self) -> &[f32] {
        &self.variance
    }

    /// Share of the whole variance along each component; zeros if nothing varies.
    pub fn explained_variance_ratio(&self) -> Vec<f32> {
        let whole = self.total_variance;
        let share = |&v: &f32| if whole > 0.0 { v / whole } else { 0.0 };
        self.variance.iter().map(share).collect()
    }

    /// The first `k` components alone, fewer if there are fewer.
    pub fn leading(&self, k: usize) -> Self {
        let (all, k) = (self.components(), k.min(self.components()));
        let rows = self.components.chunks_exact(all.max(1));
        Self {
            mean: self.mean.clone(),
            components: rows.flat_map(|row| &row[..k]).copied().collect(),
            variance: self.variance[..k].to_vec(),
            total_variance: self.total_variance,
        }
    }

    /// The coordinates of each row (`N × D`) along the components: `N × k`, the same bits as
    /// [`Pca::project_row`] gives.
    pub fn project(&self, x: &Matrix) -> Matrix {
        let k = self.components();
        let mut out = vec![0.0f32; x.rows() * k];
        if k > 0 {
            out.par_chunks_mut(k)
                .enumerate()
                .for_each(|(i, out)| self.project_row(x.row(i), out));
        }
        Matrix::from_data(out, k).unwrap_or_default()
    }

    /// The coordinates of one embedding (`D` values) along the components (`k` values). Embeddings of another length
    /// are a bug of the caller; missing or surplus values are ignored.
    pub fn project_row(&self, row: &[f32], out: &mut [f32]) {
        let k = self.components();
        out.fill(0.0);
        if k == 0 {
            return;
        }
        let out = &mut out[..k];
        wide!(self.add_projection(row, out));
    }

    /// Indices: iterators of chunks are not always inlined into a loop as hot as this.
    #[inline(always)]
    fn add_projection(&self, row: &[f32], out: &mut [f32]) {
        let k = out.len();
        for (d, (v, m)) in row.iter().zip(&self.mean).enumerate() {
            let centred = v - m;
            let weights = &self.components[d * k..][..k];
            for i in 0..k {
                out[i] += centred * weights[i];
            }
        }
    }
}

/// Column means, `D` values.
pub(super) fn mean(x: &Matrix) -> Vec<f64> {
    let d = x.dims();
    let mut sum = vec![0.0f64; d];
    for i in 0..x.rows() {
        sum.iter_mut()
            .zip(x.row(i))
            .for_each(|(s, &v)| *s += f64::from(v));
    }
    let n = x.rows().max(1) as f64;
    sum.iter_mut().for_each(|s| *s /= n);
    sum
}

fn centred(x: &Matrix, mean: &[f64], rows: std::ops::Range<usize>) -> Vec<f32> {
    rows.flat_map(|i| {
        x.row(i)
            .iter()
            .zip(mean)
            .map(|(&v, m)| (f64::from(v) - m) as f32)
    })
    .collect()
}

/// Eigenpairs of `Xᵀ X` (centred) and its trace, through `D × D`.
fn by_covariance(x: &Matrix, mean: &[f64], k: usize) -> (Vec<f64>, Vec<f64>, f64) {
    let (n, d) = (x.rows(), x.dims());
    let starts: Vec<usize> = (0..n).step_by(BLOCK).collect();
    let mut covariance = vec![0.0f64; d * d];
    // A few blocks at a time, so that memory stays bounded; added in order, so that scheduling cannot matter.
    for starts in starts.chunks(8) {
        let parts: Vec<Vec<f32>> = starts
            .par_iter()
            .map(|&start| {
                let end = (start + BLOCK).min(n);
                let block = centred(x, mean, start..end);
                let block = View::row_major(&block, end - start, d);
                let mut part = vec![0.0f32; d * d];
                product(&mut part, block.transposed(), block);
                part
            })
            .collect();
        for part in parts {
            covariance
                .iter_mut()
                .zip(part)
                .for_each(|(c, p)| *c += f64::from(p));
        }
    }
    let trace = (0..d).map(|i| covariance[i * d + i]).sum();
    let (values, vectors) = leading(&covariance, d, k);
    (values, vectors, trace)
}

/// The same through `X Xᵀ`, `N × N`.
fn by_gram(x: &Matrix, mean: &[f64], k: usize) -> (Vec<f64>, Vec<f64>, f64) {
    let (n, d) = (x.rows(), x.dims());
    let rows: Vec<f64> = centred(x, mean, 0..n).into_iter().map(f64::from).collect();
    let rows = View::row_major(&rows, n, d);
    let mut gram = vec![0.0f64; n * n];
    product(&mut gram, rows, rows.transposed());
    let trace = (0..n).map(|i| gram[i * n + i]).sum();
    let (values, left) = leading(&gram, n, k);
    let mut vectors = vec![0.0f64; k * d];
    product(&mut vectors, View::row_major(&left, k, n), rows);
    for direction in vectors.chunks_exact_mut(d) {
        let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length > 0.0 {
            direction.iter_mut().for_each(|v| *v /= length);
        }
    }
    (values, vectors, trace)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    /// Rows with standard deviation `1 / (j + 1)` along axis `j`, shifted away from the origin.
    fn axes(n: usize, d: usize) -> Matrix {
        let mut random = Random::new(2, 2);
        let data = (0..n * d)
            .map(|at| (random.signed() * 3f64.sqrt() / (at % d + 1) as f64 + 5.0) as f32)
            .collect();
        Matrix::from_data(data, d).expect("n rows")
    }

    #[test]
    fn finds_axes_and_their_variance_on_both_routes() {
        let x = axes(4000, 12);
        let pca = Pca::fit(&x, 3).expect("finite rows");
        for j in 0..3 {
            let expected = 1.0 / ((j + 1) * (j + 1)) as f32;
            assert!((pca.explained_variance()[j] / expected - 1.0).abs() < 0.06);
            assert!(pca.components[j * 3 + j] > 0.99, "axis {j}");
        }
        let total: f32 = (1..=12).map(|j| 1.0 / (j * j) as f32).sum();
        assert!((pca.explained_variance_ratio()[0] * total - 1.0).abs() < 0.06);
    }

    #[test]
    fn projection_keeps_distances_when_k_covers_the_rank() {
        for (n, d) in [(2, 40), (3, 40), (5, 40), (30, 40), (300, 6)] {
            let x = axes(n, d);
            let pca = Pca::fit(&x, 30).expect("finite rows");
            let y = pca.project(&x);
            assert_eq!((y.rows(), y.dims()), (n, 30));
            for i in 1..n {
                let gap = |m: &Matrix| super::super::distance::distance(m.row(0), m.row(i));
                assert!((gap(&x) - gap(&y)).abs() < 1e-4 * gap(&x).max(1.0));
            }
        }
    }

    #[test]
    fn degenerate_input_gives_zero_columns() {
        for rows in [0, 1, 7] {
            let x = Matrix::from_data(vec![0.25; rows * 5], 5).expect("rows of 5");
            let pca = Pca::fit(&x, 4).expect("finite rows");
            assert!(pca.project(&x).data().iter().all(|&v| v == 0.0));
            assert_eq!(pca.explained_variance(), [0.0; 4]);
            assert_eq!(pca.explained_variance_ratio(), [0.0; 4]);
        }
        let bad = Matrix::from_data(vec![1.0, f32::INFINITY], 1).expect("two rows");
        assert_eq!(Pca::fit(&bad, 1), Err(ReduceError::NonFinite { row: 1 }));
    }

    #[test]
    fn one_row_projects_to_the_same_bits_as_all() {
        let x = axes(50, 20);
        let pca = Pca::fit(&x, 7).expect("finite rows");
        let all = pca.project(&x);
        let mut one = [0.0; 7];
        for i in 0..50 {
            pca.project_row(x.row(i), &mut one);
            assert_eq!(all.row(i), one);
        }
    }
}
