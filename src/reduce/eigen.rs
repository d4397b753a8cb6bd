//! Leading eigenpairs of a symmetric positive semi-definite matrix, in `f64`.
//!
//! `faer` diagonalises the matrix. For few pairs of a large one, subspace iteration with Chebyshev filtering (Zhou and
//! Saad 2007) is quicker; it stops on the residual `‖C·v − λ·v‖`, and if it does not get there, all pairs are computed.
//! Seeded and on one thread, so the bits are the same everywhere on one machine.

use super::product::{View, product};
use super::random::Random;
use faer::{
    Mat, MatRef, Par, Spec,
    diag::Diag,
    dyn_stack::{MemBuffer, MemStack},
    linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch},
};

/// Relative to the largest eigenvalue; the covariance's `f32` products err by as much.
const RESIDUAL: f64 = 1e-7;
/// Degree of the filter: products per round.
const DEGREE: usize = 5;
const ROUNDS: usize = 60;
/// Up to this many pairs subspace iteration is quicker than all of them.
const FEW: usize = 128;
/// Below this size all pairs are quicker.
const SMALL: usize = 64;

/// The `k` largest eigenvalues, descending, and their unit eigenvectors (`k × n`, row-major) of `c` (`n × n`).
/// `k` is at most `n`.
pub(super) fn leading(c: &[f64], n: usize, k: usize) -> (Vec<f64>, Vec<f64>) {
    let block = k + (k / 4).max(8);
    if n > SMALL
        && k <= FEW
        && block * 2 < n
        && let Some(found) = subspace(c, n, k, block)
    {
        return found;
    }
    let (mut values, mut vectors) = dense(c, n).unwrap_or_else(|| (vec![0.0; n], vec![0.0; n * n]));
    values.truncate(k);
    vectors.truncate(k * n);
    (values, vectors)
}

/// All eigenvalues, descending, and eigenvectors (rows) of the symmetric `c` (`n × n`). `None` if the iteration does not
/// converge, which takes values that are not finite.
fn dense(c: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let matrix = MatRef::from_row_major_slice(c, n, n);
    let (mut values, mut vectors) = (Diag::<f64>::zeros(n), Mat::<f64>::zeros(n, n));
    let need =
        self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Spec::default());
    self_adjoint_evd(
        matrix,
        values.as_mut(),
        Some(vectors.as_mut()),
        // One thread: the bits must not depend on how many there are.
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(need)),
        Spec::default(),
    )
    .ok()?;
    let values = values.column_vector();
    let descending = (0..n).rev();
    Some((
        descending.clone().map(|j| values[j]).collect(),
        descending
            .flat_map(|j| vectors.col(j).iter().copied())
            .collect(),
    ))
}

/// Rows of `v` (`block × n`) are the vectors throughout, so that each is contiguous.
fn subspace(c: &[f64], n: usize, k: usize, block: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let mut random = Random::new(0x0E16, n as u64);
    let mut v: Vec<f64> = (0..block * n).map(|_| random.signed()).collect();
    let times_c = |v: &[f64]| {
        let mut out = vec![0.0; block * n];
        product(
            &mut out,
            View::row_major(v, block, n),
            View::row_major(c, n, n),
        );
        out
    };
    // Two plain steps give the first Ritz values that the filter needs.
    for _ in 0..2 {
        orthonormalise(&mut v, n);
        v = times_c(&v);
    }
    for _ in 0..ROUNDS {
        orthonormalise(&mut v, n);
        let image = times_c(&v);
        let mut small = vec![0.0; block * block];
        product(
            &mut small,
            View::row_major(&v, block, n),
            View::row_major(&image, block, n).transposed(),
        );
        let (values, turn) = dense(&small, block)?;
        let rotate = |rows: &[f64]| {
            let mut out = vec![0.0; block * n];
            product(
                &mut out,
                View::row_major(&turn, block, block),
                View::row_major(rows, block, n),
            );
            out
        };
        v = rotate(&v);
        let image = rotate(&image);
        let top = values[0];
        if top <= 0.0 {
            return None;
        }
        let converged = (0..k).all(|i| {
            let residual: f64 = (i * n..(i + 1) * n)
                .map(|at| (image[at] - values[i] * v[at]).powi(2))
                .sum();
            residual.sqrt() <= RESIDUAL * top
        });
        if converged {
            v.truncate(k * n);
            return Some((values[..k].to_vec(), v));
        }
        // Damp the interval 0 ..= cut to [−1, 1], let everything above it grow; scaled so that `top` stays at 1.
        let cut = values[block - 1].max(1e-12 * top);
        let (centre, half) = (cut / 2.0, cut / 2.0);
        let first = half / (top - centre).max(half);
        let mut scale = first;
        let mut before = v.clone();
        let mut current: Vec<f64> = image
            .iter()
            .zip(&v)
            .map(|(cv, v)| (cv - centre * v) * scale / half)
            .collect();
        for _ in 1..DEGREE {
            let next_scale = 1.0 / (2.0 / first - scale);
            let next = times_c(&current)
                .iter()
                .zip(&current)
                .zip(&before)
                .map(|((cv, v), b)| {
                    2.0 * (cv - centre * v) * next_scale / half - scale * next_scale * b
                })
                .collect();
            before = std::mem::replace(&mut current, next);
            scale = next_scale;
        }
        v = current;
    }
    None
}

/// Makes the rows of `v` orthonormal, by Householder's QR; rows that depend on others become any direction that is left.
fn orthonormalise(v: &mut [f64], n: usize) {
    let rows = v.len() / n;
    let q = MatRef::from_column_major_slice(v, n, rows)
        .qr()
        .compute_thin_Q();
    for (row, column) in v.chunks_exact_mut(n).zip(q.col_iter()) {
        row.iter_mut().zip(column.iter()).for_each(|(a, b)| *a = *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// `Σ λᵢ qᵢ qᵢᵀ` for random orthonormal `q`.
    fn with_spectrum(values: &[f64]) -> Vec<f64> {
        let n = values.len();
        let mut random = Random::new(3, n as u64);
        let mut q: Vec<f64> = (0..n * n).map(|_| random.signed()).collect();
        orthonormalise(&mut q, n);
        let scaled: Vec<f64> = q
            .chunks(n)
            .zip(values)
            .flat_map(|(row, l)| row.iter().map(move |v| v * l))
            .collect();
        let mut c = vec![0.0; n * n];
        product(
            &mut c,
            View::row_major(&scaled, n, n).transposed(),
            View::row_major(&q, n, n),
        );
        c
    }

    fn check(spectrum: &[f64], k: usize, tolerance: f64) {
        let n = spectrum.len();
        let c = with_spectrum(spectrum);
        let (values, vectors) = leading(&c, n, k);
        for i in 0..k {
            assert!(
                (values[i] - spectrum[i]).abs() <= tolerance * spectrum[0],
                "{i}: {} {}",
                values[i],
                spectrum[i]
            );
            for j in 0..=i {
                let along = dot(&vectors[i * n..(i + 1) * n], &vectors[j * n..(j + 1) * n]);
                assert!((along - f64::from(u8::from(i == j))).abs() < 1e-9);
            }
            let mut image = vec![0.0; n];
            product(
                &mut image,
                View::row_major(&c, n, n),
                View::row_major(&vectors[i * n..(i + 1) * n], n, 1),
            );
            let residual: f64 = (0..n)
                .map(|r| (image[r] - values[i] * vectors[i * n + r]).powi(2))
                .sum();
            assert!(residual.sqrt() <= 1.1e-7 * spectrum[0].max(1e-300));
        }
    }

    #[test]
    fn spectra_of_every_kind_are_recovered() {
        let geometric: Vec<f64> = (0..200).map(|i| 0.9f64.powi(i)).collect();
        check(&geometric, 10, 1e-9);
        check(&geometric, 90, 1e-9);
        let flat: Vec<f64> = (0..200).map(|i| 1.4 - 0.006 * f64::from(i)).collect();
        check(&flat, 12, 1e-9);
        let mut low_rank = vec![0.0; 150];
        low_rank[0] = 5.0;
        low_rank[1] = 5.0;
        low_rank[2] = 1e-3;
        check(&low_rank, 20, 1e-9);
        check(&vec![1.0; 150], 5, 1e-9);
        check(&[3.0, 2.0, 0.0], 3, 1e-12);
        check(&vec![0.0; 100], 3, 1e-12);
    }
}
