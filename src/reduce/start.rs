//! Where points are before they are optimised: all of them at a cold start, arrivals near their neighbours.
//!
//! The cold start is by principal components, which copes with disconnected graphs and was measured to end as well as
//! the spectral start. Everything here is seeded.

use super::Point;
use super::ReduceError;
use super::distance::distance;
use super::fuzzy::strengths;
use super::knn::Knn;
use super::pca::Pca;
use super::random::Random;
use crate::matrix::Matrix;

/// Half the extent of a cold start's longer axis, as in umap-learn.
const EXTENT: f32 = 10.0;

/// Keeps duplicates from sharing one point forever (they would never be pushed apart).
const JITTER: f64 = 0.01;

/// Variance below this share of a row's squared length is rounding, not difference.
const NO_VARIANCE: f32 = 1e-12;

/// The plane of greatest variance, scaled to `EXTENT` and jittered; `None` if all rows are alike.
pub(super) fn principal(x: &Matrix, seed: u64) -> Result<Option<Vec<Point>>, ReduceError> {
    let Some(mut points) = plane(x, &Pca::fit(x, 2)?) else {
        return Ok(None);
    };
    scale_to(&mut points, EXTENT);
    let mut random = Random::new(seed, 0x57A7);
    points.iter_mut().for_each(|p| jitter(p, &mut random));
    Ok(Some(points))
}

/// The first two components of `x`; `None` if all rows are alike.
pub(super) fn plane(x: &Matrix, pca: &Pca) -> Option<Vec<Point>> {
    if x.rows() < 2 {
        return None;
    }
    let square: f32 = x.row(0).iter().map(|v| v * v).sum();
    let spread = pca.explained_variance().first().copied().unwrap_or(0.0);
    if spread <= NO_VARIANCE * square || spread <= 0.0 {
        return None;
    }
    let y = pca.project(x);
    Some((0..x.rows()).map(|i| [y.row(i)[0], y.row(i)[1]]).collect())
}

/// Scales about the origin so that the largest coordinate is `extent`.
pub(super) fn scale_to(points: &mut [Point], extent: f32) {
    let largest = points.iter().flatten().fold(0.0f32, |m, v| m.max(v.abs()));
    if largest > 0.0 {
        let scale = extent / largest;
        points.iter_mut().flatten().for_each(|v| *v *= scale);
    }
}

/// `n` distinct points evenly over a disc, the first in its middle: a sunflower's seeds (Vogel 1979), about one unit
/// of area each.
pub(super) fn sunflower(n: usize) -> Vec<Point> {
    let golden = std::f64::consts::PI * (3.0 - 5f64.sqrt());
    (0..n)
        .map(|i| {
            let radius = (i as f64 / std::f64::consts::PI).sqrt();
            let (sin, cos) = (i as f64 * golden).sin_cos();
            [(radius * cos) as f32, (radius * sin) as f32]
        })
        .collect()
}

/// Appends a point for each row of `knn` that has none: the mean of its placed neighbours, weighted by membership
/// strength. Rows whose neighbours are all new follow once those are placed; a group that touches nothing known
/// starts at its nearest known row. There is at least one point.
pub(super) fn place(points: &mut Vec<Point>, knn: &Knn, x: &Matrix, seed: u64) {
    let (old, n) = (points.len(), knn.rows());
    let mut random = Random::new(seed, n as u64);
    let mut placed = vec![false; n];
    placed[..old].fill(true);
    points.resize(n, [0.0; 2]);
    let mut waiting: Vec<usize> = (old..n).collect();
    let mut weights = Vec::new();
    while !waiting.is_empty() {
        let mut found: Vec<(usize, Point)> = Vec::new();
        for &i in &waiting {
            let (ids, distances) = knn.list(i);
            strengths(distances, &mut weights);
            let (mut at, mut total) = ([0.0f64; 2], 0.0f64);
            for (&j, &w) in ids
                .iter()
                .zip(&weights)
                .filter(|(j, _)| placed[**j as usize])
            {
                let w = f64::from(w).max(1e-9);
                let p = points[j as usize];
                at = [at[0] + w * f64::from(p[0]), at[1] + w * f64::from(p[1])];
                total += w;
            }
            if total > 0.0 {
                found.push((i, [(at[0] / total) as f32, (at[1] / total) as f32]));
            }
        }
        if found.is_empty() {
            let lost = waiting[0];
            let near = (0..old)
                .map(|j| (distance(x.row(lost), x.row(j)), j))
                .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            found.push((lost, near.map_or([0.0; 2], |(_, j)| points[j])));
        }
        for (i, mut p) in found {
            jitter(&mut p, &mut random);
            points[i] = p;
            placed[i] = true;
        }
        waiting.retain(|&i| !placed[i]);
    }
}

fn jitter(p: &mut Point, random: &mut Random) {
    for v in p {
        *v += (random.signed() * JITTER) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sunflower_points_are_apart() {
        let points = sunflower(300);
        for i in 0..300 {
            for j in 0..i {
                assert!((points[i][0] - points[j][0]).hypot(points[i][1] - points[j][1]) > 0.5);
            }
        }
    }

    #[test]
    fn arrivals_land_between_their_neighbours_and_lost_groups_at_the_nearest() {
        // Two known rows; one arrival near the second, and a pair of arrivals far away that know only each other.
        let x = Matrix::from_data(vec![0., 1., 1.1, 50., 50.1], 1).expect("five rows");
        let knn = Knn::build(&x, 1).expect("finite rows");
        let mut points = vec![[0.0, 0.0], [4.0, 4.0]];
        place(&mut points, &knn, &x, 1);
        for p in &points[2..] {
            assert!((p[0] - 4.0).abs() < 0.1 && (p[1] - 4.0).abs() < 0.1);
        }
        assert_ne!(points[3], points[4]);
    }
}
