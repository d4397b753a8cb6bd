//! Leading eigenpairs of a symmetric positive semi-definite matrix, in `f64`.
//!
//! Small matrices are diagonalised by cyclic Jacobi rotations; for few pairs of a large one, subspace iteration with
//! Chebyshev filtering (Zhou and Saad 2007), which stops on the residual `‖C·v − λ·v‖`, and falls back to Jacobi if
//! it does not get there. Seeded and on one thread, so the bits are the same everywhere on one machine.

use super::product::{View, product};
use super::random::Random;
use linfa_linalg::eigh::{EigSort, EighInto};
use ndarray::Array2;

/// Relative to the largest eigenvalue.
const RESIDUAL: f64 = 1e-9;
/// Degree of the filter: products per round.
const DEGREE: usize = 10;
const ROUNDS: usize = 60;
/// Up to this many pairs subspace iteration is quicker than all of them.
const FEW: usize = 56;
/// Below this size Jacobi is quicker.
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
    let (values, vectors) = dense(c, n).unwrap_or_else(|| jacobi(c.to_vec(), n));
    (values[..k].to_vec(), vectors[..k * n].to_vec())
}

/// All eigenvalues, descending, and eigenvectors (rows) of the symmetric `c` (`n × n`) by linfa-linalg's tridiagonal
/// QR; `None` if it is small, or if the answer's residual is not.
fn dense(c: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    if n <= SMALL {
        return None;
    }
    let matrix = Array2::from_shape_vec((n, n), c.to_vec()).ok()?;
    let (values, vectors) = matrix.eigh_into().ok()?.sort_eig_desc();
    let image = Array2::from_shape_vec((n, n), c.to_vec())
        .ok()?
        .dot(&vectors);
    let residual = (&image - &(&vectors * &values))
        .mapv(|v| v * v)
        .sum()
        .sqrt();
    let good = residual <= RESIDUAL * norm(c).max(f64::MIN_POSITIVE)
        && values.iter().all(|v| v.is_finite());
    let rows = vectors.reversed_axes();
    good.then(|| (values.to_vec(), rows.iter().copied().collect()))
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
        orthonormalise(&mut v, n, &mut random);
        v = times_c(&v);
    }
    for _ in 0..ROUNDS {
        orthonormalise(&mut v, n, &mut random);
        let image = times_c(&v);
        let mut small = vec![0.0; block * block];
        product(
            &mut small,
            View::row_major(&v, block, n),
            View::row_major(&image, block, n).transposed(),
        );
        let (values, turn) = jacobi(small, block);
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
        let settled = (0..k).all(|i| {
            let residual: f64 = (i * n..(i + 1) * n)
                .map(|at| (image[at] - values[i] * v[at]).powi(2))
                .sum();
            residual.sqrt() <= RESIDUAL * top
        });
        if settled {
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

/// Modified Gram-Schmidt, twice; a row that vanishes is drawn anew.
fn orthonormalise(v: &mut [f64], n: usize, random: &mut Random) {
    for i in 0..v.len() / n {
        let (done, rest) = v.split_at_mut(i * n);
        let row = &mut rest[..n];
        for _ in 0..4 {
            let before = norm(row);
            for _ in 0..2 {
                for other in done.chunks_exact(n) {
                    let along = dot(row, other);
                    row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
                }
            }
            let length = norm(row);
            if length > 1e-10 * before && length > f64::MIN_POSITIVE {
                row.iter_mut().for_each(|a| *a /= length);
                break;
            }
            row.iter_mut().for_each(|a| *a = random.signed());
        }
    }
}

/// All eigenvalues, descending, and eigenvectors (rows) of the symmetric `a` (`n × n`): cyclic Jacobi.
fn jacobi(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let scale = norm(&a);
    for _ in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| i * n + j))
            .map(|at| a[at] * a[at])
            .sum();
        if off.sqrt() <= 1e-14 * scale || off == 0.0 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for i in 0..n {
                    let (x, y) = (a[i * n + p], a[i * n + q]);
                    a[i * n + p] = c * x - s * y;
                    a[i * n + q] = s * x + c * y;
                }
                rotate_rows(&mut a, n, p, q, c, s);
                rotate_rows(&mut v, n, p, q, c, s);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]).then(i.cmp(&j)));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let vectors = order
        .iter()
        .flat_map(|&i| &v[i * n..(i + 1) * n])
        .copied()
        .collect();
    (values, vectors)
}

fn rotate_rows(m: &mut [f64], n: usize, p: usize, q: usize, c: f64, s: f64) {
    let (head, tail) = m.split_at_mut(q * n);
    for (x, y) in head[p * n..(p + 1) * n].iter_mut().zip(&mut tail[..n]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Σ λᵢ qᵢ qᵢᵀ` for random orthonormal `q`.
    fn with_spectrum(values: &[f64]) -> Vec<f64> {
        let n = values.len();
        let mut random = Random::new(3, n as u64);
        let mut q: Vec<f64> = (0..n * n).map(|_| random.signed()).collect();
        orthonormalise(&mut q, n, &mut random);
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
            assert!(residual.sqrt() <= 1e-8 * spectrum[0].max(1e-300));
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
