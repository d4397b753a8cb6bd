//! Trustworthiness: how far the neighbours on the map are neighbours among the embeddings.
//!
//! Source: Venna and Kaski 2001; the definition of scikit-learn's `trustworthiness`.

use super::Point;
use super::distance::squares;
use super::product::{View, product};
use super::random::Random;
use crate::matrix::Matrix;
use rayon::prelude::*;

/// Rows of one product.
const BLOCK: usize = 256;

/// Trustworthiness of `points` as a map of `x` (`N × D`), `0 ..= 1`, 1 is best.
///
/// Each of a point's `k` nearest on the map that is not among its `k` nearest embeddings counts by how far down it
/// ranks there. With more than `sample` items, a seeded choice of so many is judged as a collection of its own. `k` is
/// cut to `(N − 1) / 2`; fewer than three items, or embeddings that are not finite, have nothing to judge: 1 and 0.
pub fn trustworthiness(
    x: &Matrix,
    points: &[Point],
    k: usize,
    sample: Option<usize>,
    seed: u64,
) -> f64 {
    let all = x.rows().min(points.len());
    let chosen = choose(all, sample.unwrap_or(all), seed);
    let n = chosen.len();
    let k = k.min(n.saturating_sub(1) / 2);
    if k == 0 {
        return 1.0;
    }
    let d = x.dims();
    let rows: Vec<f32> = chosen.iter().flat_map(|&i| x.row(i)).copied().collect();
    let Some(rows) = Matrix::from_data(rows, d) else {
        return 0.0;
    };
    let Ok(squares) = squares(&rows, 0..n) else {
        return 0.0;
    };
    let points: Vec<Point> = chosen.iter().map(|&i| points[i]).collect();
    let blocks: Vec<usize> = (0..n).step_by(BLOCK).collect();
    let penalty: u64 = blocks
        .into_par_iter()
        .map(|start| {
            let end = (start + BLOCK).min(n);
            let mut dots = vec![0.0f32; (end - start) * n];
            product(
                &mut dots,
                View::row_major(&rows.data()[start * d..end * d], end - start, d),
                View::row_major(rows.data(), n, d).transposed(),
            );
            dots.chunks_exact_mut(n)
                .enumerate()
                .map(|(at, row)| {
                    for (dot, square) in row.iter_mut().zip(&squares) {
                        *dot = square - 2.0 * *dot; // squared distance but for a constant
                    }
                    penalty_of(start + at, row, &points, k)
                })
                .sum::<u64>()
        })
        .sum();
    let (n, k) = (n as f64, k as f64);
    1.0 - penalty as f64 * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0))
}

/// Σ (rank − k) over the `k` nearest of `i` on the map, ranks from 1 by `far`.
fn penalty_of(i: usize, far: &[f32], points: &[Point], k: usize) -> u64 {
    let mut near: Vec<(f32, usize)> = (0..points.len())
        .filter(|&j| j != i)
        .map(|j| {
            let (dx, dy) = (points[i][0] - points[j][0], points[i][1] - points[j][1]);
            (dx * dx + dy * dy, j)
        })
        .collect();
    let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    near.select_nth_unstable_by(k - 1, order);
    near[..k]
        .iter()
        .map(|&(_, j)| {
            let mine = far[j];
            let below: usize = far.iter().map(|&f| usize::from(f < mine)).sum();
            let ties: usize = far[..j].iter().map(|&f| usize::from(f == mine)).sum();
            // The point itself is no neighbour, wherever rounding has put it.
            let own = usize::from(far[i] < mine || (far[i] == mine && i < j));
            (below + ties - own + 1).saturating_sub(k) as u64
        })
        .sum()
}

/// `count` of `0..n` in ascending order (all if `count ≥ n`): a partial Fisher-Yates shuffle.
fn choose(n: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    if count < n {
        let mut random = Random::new(seed, 0x7257);
        for i in 0..count {
            let [step, _] = random.two_below((n - i) as u32);
            all.swap(i, i + step as usize);
        }
        all.truncate(count);
        all.sort_unstable();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f32]) -> Matrix {
        Matrix::from_data(values.to_vec(), 1).expect("rows of one value")
    }

    #[test]
    fn a_faithful_map_scores_one() {
        let x = line(&[0., 1., 3., 7., 8., 12.]);
        let points: Vec<Point> = x.data().iter().map(|&v| [v, 0.0]).collect();
        assert_eq!(trustworthiness(&x, &points, 2, None, 0), 1.0);
    }

    #[test]
    fn a_case_worked_by_hand() {
        // On the line 0 1 3 7 7.9 the map exchanges the last two and 1: places 0 7 3 1 7.9, k = 1.
        // Nearest on the map: 0→3rd (rank 3, +2), 1→4 (rank 4, +3), 2→3 (7 is 4 from 3; nearer are 1, 0: rank 3, +2),
        // 3→0 (rank 4, +3), 4→1 (6.9; nearer are 7, 3: rank 3... 3 is 4.9 away, so +2).
        let x = line(&[0., 1., 3., 7., 7.9]);
        let points: Vec<Point> = [0., 7., 3., 1., 7.9].iter().map(|&v| [v, 0.0]).collect();
        let penalty = 2.0 + 3.0 + 2.0 + 3.0 + 2.0;
        let expected = 1.0 - penalty * 2.0 / (5.0 * (10.0 - 3.0 - 1.0));
        assert!((trustworthiness(&x, &points, 1, None, 0) - expected).abs() < 1e-12);
    }

    #[test]
    fn tiny_and_unusable_input_has_an_answer() {
        for n in 0..3 {
            assert_eq!(
                trustworthiness(&line(&vec![1.0; n]), &vec![[0.0; 2]; n], 15, None, 0),
                1.0
            );
        }
        assert_eq!(
            trustworthiness(&line(&[1., f32::NAN, 2.]), &[[0.0; 2]; 3], 15, None, 0),
            0.0
        );
    }

    #[test]
    fn a_sample_is_a_collection_of_its_own() {
        let x = line(&(0..300).map(|i| i as f32).collect::<Vec<_>>());
        let points: Vec<Point> = (0..300).map(|i| [(i as f32 * 7.3).sin(), 0.0]).collect();
        let chosen = choose(300, 100, 4);
        assert!(chosen.windows(2).all(|w| w[0] < w[1]) && chosen.len() == 100);
        let part = line(&chosen.iter().map(|&i| i as f32).collect::<Vec<_>>());
        let part_points: Vec<Point> = chosen.iter().map(|&i| points[i]).collect();
        assert_eq!(
            trustworthiness(&x, &points, 9, Some(100), 4),
            trustworthiness(&part, &part_points, 9, None, 0)
        );
    }
}
