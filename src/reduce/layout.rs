//! [`Layout`]: the neighbour graph and the points, and the policy of who moves when.
//!
//! A known point moves as little as quality allows. Few arrivals: they are placed beside their neighbours, then 50
//! epochs in which they move freely, their neighbours a fifth, the rest a fiftieth. Many: 200 epochs from where
//! everything is, then a rigid alignment. A map that is mostly new is made anew and aligned. Never a re-run without
//! one of these reasons.

use super::align::Rigid;
use super::curve::{Curve, Gradients};
use super::fuzzy::graph;
use super::knn::Knn;
use super::pca::Pca;
use super::random::Random;
use super::sgd::{Descent, descend};
use super::start::{place, plane, principal, scale_to, sunflower};
use super::{LayoutParams, Method, Point, ReduceError, linfa_pca};
use crate::matrix::Matrix;
use serde::{Deserialize, Serialize};

/// Up to this many points a cold start takes 500 epochs, above it 200 (umap-learn's rule).
const MANY: usize = 10_000;
/// Epochs after a large batch.
const BATCH_EPOCHS: usize = 200;
/// Epochs after a small batch. At full mobility so few would lower the quality; it is mobility that is cut instead.
const ARRIVAL_EPOCHS: usize = 50;
/// What share of a move a neighbour of an arrival makes.
const NEIGHBOUR_MOBILITY: f32 = 0.2;
/// What share of a move everybody else makes.
const REST_MOBILITY: f32 = 0.02;
/// A batch is small up to one in so many points.
const SMALL_BATCH: usize = 5;
/// A map of fewer points has no shape worth keeping.
const SHAPELESS: usize = 15;
/// A map that grows by more than this factor is made anew.
const ANEW: usize = 4;

/// The map of `N` embeddings: for each its point and its nearest neighbours.
#[derive(Clone, Debug)]
pub struct Layout {
    knn: Knn,
    points: Vec<Point>,
    unsettled: bool,
}

/// Everything of a [`Layout`] that is worth storing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayoutParts {
    /// Neighbours asked for, `k`.
    pub n_neighbors: usize,
    /// `N × min(k, N − 1)` neighbour ids, nearest first.
    pub ids: Vec<u32>,
    /// Their Euclidean distances.
    pub distances: Vec<f32>,
    /// `N` points.
    pub points: Vec<Point>,
    /// Whether [`Layout::settle`] has something to do.
    pub unsettled: bool,
}

impl Layout {
    /// Makes the map of `x` (`N × D`) from nothing.
    ///
    /// Two or three embeddings keep their proportions; if all are alike, they are spread over a disc.
    pub fn cold(x: &Matrix, p: &LayoutParams) -> Result<Self, ReduceError> {
        p.check()?;
        let knn = Knn::build(x, p.n_neighbors)?;
        let points = cold_points(x, &knn, p)?;
        Ok(Self {
            knn,
            points,
            unsettled: false,
        })
    }

    /// Number of points `N`.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The points, one an embedding.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Ids and Euclidean distances of the `min(n_neighbors, N − 1)` nearest embeddings of `i`, nearest first, ties by
    /// id. `i` is below [`Layout::len`].
    pub fn neighbours(&self, i: usize) -> (&[u32], &[f32]) {
        self.knn.list(i)
    }

    /// Takes in the rows `self.len() .. x.rows()`. The rows before are those the layout knows.
    ///
    /// Up to 20 % arrivals move almost nobody else; more let everybody move, from where they are; a map that was below
    /// 15 points or grows more than fourfold is made anew; the last two end aligned onto the old points.
    pub fn insert(&mut self, x: &Matrix, p: &LayoutParams) -> Result<(), ReduceError> {
        p.check()?;
        let (old, n) = (self.len(), x.rows());
        if n < old {
            return Err(ReduceError::LengthMismatch {
                layout: old,
                matrix: n,
            });
        }
        if n == old && p.n_neighbors == self.knn.k() {
            return Ok(());
        }
        // A build sees each pair once, an insertion sees those of new rows twice.
        if p.n_neighbors != self.knn.k() || n - old > old {
            self.insert_with(x, p, Knn::build(x, p.n_neighbors)?)
        } else {
            let mut knn = std::mem::replace(&mut self.knn, Knn::empty(p.n_neighbors));
            match knn.insert(x) {
                Ok(()) => self.insert_with(x, p, knn),
                Err(error) => {
                    self.knn = knn;
                    Err(error)
                }
            }
        }
    }

    /// Forgets embeddings. `removed` holds their indices, strictly descending, each already `swap_remove`d from `x` in
    /// that order. The remaining points stay where they are.
    pub fn remove(&mut self, x: &Matrix, removed: &[usize]) -> Result<(), ReduceError> {
        let mut origin: Vec<u32> = (0..self.len() as u32).collect();
        let mut bound = self.len();
        for &i in removed {
            if i >= bound {
                return Err(ReduceError::RemovedIndex(i));
            }
            bound = i;
            origin.swap_remove(i);
        }
        if origin.len() != x.rows() {
            return Err(ReduceError::LengthMismatch {
                layout: origin.len(),
                matrix: x.rows(),
            });
        }
        if removed.is_empty() {
            return Ok(());
        }
        self.knn.remove(x, &origin)?;
        self.points = origin
            .iter()
            .map(|&was| self.points[was as usize])
            .collect();
        Ok(())
    }

    /// Lets the rest of a large map follow the arrivals that [`Layout::insert`] has placed in it (above
    /// `drift_limit`); for idle time. Says whether any point moved.
    pub fn settle(&mut self, p: &LayoutParams) -> bool {
        let due =
            std::mem::take(&mut self.unsettled) && p.method == Method::Umap && p.check().is_ok();
        if due {
            let mobility = vec![REST_MOBILITY; self.len()];
            optimise(
                &mut self.points,
                &self.knn,
                p,
                ARRIVAL_EPOCHS,
                Some(&mobility),
                None,
            );
        }
        due
    }

    /// Moves the map rigidly (rotation, reflection, shift; no scale) so that the points of the given indices come
    /// nearest to the given places. Indices out of range are ignored.
    pub fn align_onto(&mut self, pairs: &[(usize, Point)]) {
        let known = pairs
            .iter()
            .filter_map(|&(i, to)| Some((*self.points.get(i)?, to)));
        if let Some(rigid) = Rigid::fit(known) {
            self.points.iter_mut().for_each(|p| *p = rigid.apply(*p));
        }
    }

    /// What to store.
    pub fn to_parts(&self) -> LayoutParts {
        let (mut ids, mut distances) = (Vec::new(), Vec::new());
        for i in 0..self.len() {
            let (list, away) = self.knn.list(i);
            ids.extend_from_slice(list);
            distances.extend_from_slice(away);
        }
        LayoutParts {
            n_neighbors: self.knn.k(),
            ids,
            distances,
            points: self.points.clone(),
            unsettled: self.unsettled,
        }
    }

    /// A layout from stored parts; [`ReduceError::Damaged`] if lengths, ids, order or numbers cannot be right.
    pub fn from_parts(parts: LayoutParts) -> Result<Self, ReduceError> {
        if !(2..=1024).contains(&parts.n_neighbors) {
            return Err(ReduceError::NeighborCount(parts.n_neighbors));
        }
        let usable = |p: &Point| p.iter().all(|v| v.is_finite());
        if let Some(row) = parts.points.iter().position(|p| !usable(p)) {
            return Err(ReduceError::Damaged { row });
        }
        let knn = Knn::from_lists(
            parts.n_neighbors,
            parts.points.len(),
            &parts.ids,
            &parts.distances,
        )?;
        Ok(Self {
            knn,
            points: parts.points,
            unsettled: parts.unsettled,
        })
    }

    /// The part of [`Layout::insert`] after the graph is known; nothing changes on failure but the graph.
    fn insert_with(&mut self, x: &Matrix, p: &LayoutParams, knn: Knn) -> Result<(), ReduceError> {
        let (old, n) = (self.len(), x.rows());
        let new = n - old;
        if p.method == Method::Pca || old < SHAPELESS || new > ANEW * old {
            let fresh = cold_points(x, &knn, p)?;
            self.realign(fresh);
            self.unsettled = false;
        } else if new * SMALL_BATCH > n {
            let mut points = self.points.clone();
            place(&mut points, &knn, x, p.seed);
            optimise(&mut points, &knn, p, BATCH_EPOCHS, None, None);
            self.realign(points);
            self.unsettled = false;
        } else {
            place(&mut self.points, &knn, x, p.seed);
            let drifting = n <= p.drift_limit;
            let rest = if drifting { REST_MOBILITY } else { 0.0 };
            let mobility = mobility_around(&knn, old, rest);
            let wanted: Option<Vec<bool>> =
                (!drifting).then(|| mobility.iter().map(|&m| m > 0.0).collect());
            optimise(
                &mut self.points,
                &knn,
                p,
                ARRIVAL_EPOCHS,
                Some(&mobility),
                wanted.as_deref(),
            );
            self.unsettled |= !drifting;
        }
        self.knn = knn;
        Ok(())
    }

    /// Takes `fresh` points, moved rigidly so that the known ones are nearest to where they were.
    fn realign(&mut self, fresh: Vec<Point>) {
        let before = std::mem::replace(&mut self.points, fresh);
        let pairs: Vec<(usize, Point)> = before.into_iter().enumerate().collect();
        self.align_onto(&pairs);
    }
}

fn cold_points(x: &Matrix, knn: &Knn, p: &LayoutParams) -> Result<Vec<Point>, ReduceError> {
    let n = x.rows();
    if p.method == Method::Pca {
        let pca = match linfa_pca::fit(x, 2) {
            Some(pca) => pca,
            None => Pca::fit(x, 2)?,
        };
        return Ok(plane(x, &pca).unwrap_or_else(|| sunflower(n)));
    }
    let Some(mut points) = principal(x, p.seed)? else {
        return Ok(sunflower(n));
    };
    if n <= 3 {
        // Up to three points fit in a plane exactly; there is nothing to optimise.
        scale_to(&mut points, 1.0);
        return Ok(points);
    }
    let epochs = if n <= MANY { 500 } else { 200 };
    optimise(&mut points, knn, p, epochs, None, None);
    Ok(points)
}

/// Mobility 1 from row `old` on, `NEIGHBOUR_MOBILITY` for the rows that share an edge with one of them, else `rest`.
fn mobility_around(knn: &Knn, old: usize, rest: f32) -> Vec<f32> {
    let n = knn.rows();
    let mut mobility = vec![rest; n];
    for i in 0..n {
        for &j in knn.list(i).0 {
            match (i < old, (j as usize) < old) {
                (true, false) => mobility[i] = NEIGHBOUR_MOBILITY,
                (false, true) => mobility[j as usize] = NEIGHBOUR_MOBILITY,
                _ => {}
            }
        }
    }
    mobility[old..].fill(1.0);
    mobility
}

fn optimise(
    points: &mut [Point],
    knn: &Knn,
    p: &LayoutParams,
    epochs: usize,
    mobility: Option<&[f32]>,
    wanted: Option<&[bool]>,
) {
    let gradients = Gradients::new(Curve::fit(p.min_dist));
    let edges = graph(knn, wanted);
    let seed = Random::new(p.seed, points.len() as u64).next();
    descend(
        points,
        &edges,
        &Descent {
            epochs,
            seed,
            gradients: &gradients,
            mobility,
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::trust::trustworthiness;
    use super::*;

    /// `clusters` tanh-curved patches in `d` dimensions, unit length, cluster `i % clusters`: like digits, not like noise.
    fn clustered(n: usize, d: usize, clusters: usize, seed: u64) -> Matrix {
        let mut random = Random::new(seed, 1);
        let centres: Vec<f64> = (0..clusters * d).map(|_| random.signed()).collect();
        let bends: Vec<f64> = (0..clusters * d * 2).map(|_| random.signed()).collect();
        let mut x = Matrix::new(d);
        for i in 0..n {
            let c = i % clusters;
            let (u, v) = (random.signed(), random.signed());
            let row: Vec<f64> = (0..d)
                .map(|j| {
                    let at = (c * d + j) * 2;
                    centres[c * d + j]
                        + (u * bends[at] + v * bends[at + 1]).tanh() * 0.8
                        + random.signed() * 0.05
                })
                .collect();
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            x.push(&row.iter().map(|v| (v / length) as f32).collect::<Vec<_>>());
        }
        x
    }

    fn head(x: &Matrix, n: usize) -> Matrix {
        Matrix::from_data(x.data()[..n * x.dims()].to_vec(), x.dims()).expect("whole rows")
    }

    fn finite(points: &[Point]) -> bool {
        points.iter().flatten().all(|v| v.is_finite())
    }

    /// Median displacement of the first points, in units of the map's radius.
    fn displacement(before: &[Point], after: &[Point]) -> f32 {
        let mut moves: Vec<f32> = before
            .iter()
            .zip(after)
            .map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1]))
            .collect();
        moves.sort_by(f32::total_cmp);
        let squares: f32 = before.iter().flatten().map(|v| v * v).sum();
        moves[moves.len() / 2] / (squares / before.len() as f32).sqrt()
    }

    #[test]
    fn clusters_keep_their_neighbours() {
        let x = clustered(600, 32, 8, 1);
        let layout = Layout::cold(&x, &LayoutParams::default()).expect("finite rows");
        assert!(trustworthiness(&x, layout.points(), 15, None, 0) > 0.95);
        let (ids, distances) = layout.neighbours(0);
        assert_eq!((ids.len(), distances.len()), (15, 15));
        assert!(ids.iter().all(|id| id % 8 == 0));
    }

    #[test]
    fn arrivals_find_their_place_and_the_others_stay() {
        let x = clustered(620, 32, 8, 2);
        for drift_limit in [20_000, 100] {
            let p = LayoutParams {
                drift_limit,
                ..LayoutParams::default()
            };
            let mut layout = Layout::cold(&head(&x, 600), &p).expect("finite rows");
            let before = layout.points().to_vec();
            layout.insert(&x, &p).expect("finite rows");
            assert!(displacement(&before, layout.points()) < 0.03);
            assert!(trustworthiness(&x, layout.points(), 15, None, 0) > 0.95);
            let moved = layout.points().to_vec();
            assert_eq!(layout.settle(&p), drift_limit == 100);
            assert_eq!(moved != layout.points(), drift_limit == 100);
            assert!(!layout.settle(&p));
        }
    }

    #[test]
    fn large_batches_keep_the_map_upright() {
        let x = clustered(900, 32, 8, 3);
        let p = LayoutParams::default();
        let mut layout = Layout::cold(&head(&x, 500), &p).expect("finite rows");
        let before = layout.points().to_vec();
        layout.insert(&x, &p).expect("finite rows");
        assert!(displacement(&before, layout.points()) < 0.5);
        assert!(trustworthiness(&x, layout.points(), 15, None, 0) > 0.95);
        let mut grown = Layout::cold(&head(&x, 20), &p).expect("finite rows");
        grown.insert(&x, &p).expect("finite rows");
        assert!(trustworthiness(&x, grown.points(), 15, None, 0) > 0.95);
    }

    #[test]
    fn removal_moves_nobody() {
        let mut x = clustered(120, 16, 4, 4);
        let p = LayoutParams::default();
        let mut layout = Layout::cold(&x, &p).expect("finite rows");
        let mut points = layout.points().to_vec();
        for i in [119, 50, 3] {
            x.swap_remove(i);
            points.swap_remove(i);
        }
        layout.remove(&x, &[119, 50, 3]).expect("valid indices");
        assert_eq!(layout.points(), points);
        assert_eq!(
            layout.to_parts().ids,
            Layout::cold(&x, &p).expect("finite rows").to_parts().ids
        );
        assert_eq!(
            layout.remove(&x, &[3, 4]),
            Err(ReduceError::RemovedIndex(4))
        );
        assert_eq!(
            layout.remove(&x, &[117]),
            Err(ReduceError::RemovedIndex(117))
        );
        assert!(matches!(
            layout.remove(&x, &[1]),
            Err(ReduceError::LengthMismatch { .. })
        ));
    }

    #[test]
    fn tiny_and_degenerate_collections_have_maps() {
        for method in [Method::Umap, Method::Pca] {
            let p = LayoutParams {
                method,
                ..LayoutParams::default()
            };
            for n in [0, 1, 2, 3, 4, 5, 10, 14, 15, 16, 17, 40] {
                for kind in 0..4 {
                    let mut x = Matrix::new(6);
                    for i in 0..n {
                        let mut row = [0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6];
                        match kind {
                            0 => row[i % 6] += 1.0 + i as f32 / 10.0, // all different
                            1 => {}                                   // all identical
                            2 => row[i % 3] += 1.0,                   // three distinct rows
                            _ => row[0] += 100.0 * (i % 5) as f32 + 0.01 * i as f32, // far-apart groups
                        }
                        x.push(&row);
                    }
                    let mut layout = Layout::cold(&x, &p).expect("finite rows");
                    assert_eq!(layout.len(), n);
                    assert!(finite(layout.points()), "{n} rows of kind {kind}");
                    let mut distinct: Vec<[u32; 2]> = layout
                        .points()
                        .iter()
                        .map(|p| p.map(f32::to_bits))
                        .collect();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert!(
                        distinct.len() == n || method == Method::Pca && kind == 2,
                        "{n} rows of kind {kind}"
                    );
                    // Grow by one, by many; shrink by one, to nothing.
                    for more in [1, 2 * n + 3] {
                        (0..more).for_each(|i| x.push(&[i as f32, 0.2, 0.3, 0.4, 0.5, 0.6]));
                        layout.insert(&x, &p).expect("finite rows");
                        assert!(finite(layout.points()) && layout.len() == x.rows());
                    }
                    x.swap_remove(0);
                    layout.remove(&x, &[0]).expect("valid index");
                    let all: Vec<usize> = (0..x.rows()).rev().collect();
                    layout.remove(&Matrix::new(6), &all).expect("valid indices");
                    assert!(layout.is_empty());
                }
            }
        }
    }

    #[test]
    fn unusable_input_is_refused_and_changes_nothing() {
        let mut x = clustered(40, 8, 2, 5);
        let p = LayoutParams::default();
        let mut layout = Layout::cold(&x, &p).expect("finite rows");
        let before = layout.to_parts();
        x.push(&[f32::NAN; 8]);
        assert_eq!(
            layout.insert(&x, &p),
            Err(ReduceError::NonFinite { row: 40 })
        );
        assert_eq!(layout.to_parts(), before);
        assert!(matches!(
            Layout::cold(&x, &p),
            Err(ReduceError::NonFinite { row: 40 })
        ));
        assert!(matches!(
            layout.insert(&head(&x, 9), &p),
            Err(ReduceError::LengthMismatch { .. })
        ));
        let bad = LayoutParams {
            n_neighbors: 1,
            ..p
        };
        assert_eq!(
            layout.insert(&head(&x, 40), &bad),
            Err(ReduceError::NeighborCount(1))
        );
        let bad = LayoutParams {
            min_dist: f32::NAN,
            ..p
        };
        assert!(matches!(
            Layout::cold(&x, &bad),
            Err(ReduceError::MinDist(_))
        ));
    }

    #[test]
    fn parts_survive_and_damage_is_found() {
        let x = clustered(50, 8, 2, 6);
        let p = LayoutParams::default();
        let mut layout = Layout::cold(&head(&x, 48), &p).expect("finite rows");
        let parts = layout.to_parts();
        let mut again = Layout::from_parts(parts.clone()).expect("sound parts");
        layout.insert(&x, &p).expect("finite rows");
        again.insert(&x, &p).expect("finite rows");
        assert_eq!(layout.to_parts(), again.to_parts());
        let damages: [fn(&mut LayoutParts); 5] = [
            |p| p.points[3][1] = f32::NAN,
            |p| p.ids[0] = 48,
            |p| p.distances[0] = -1.0,
            |p| p.n_neighbors = 14,
            |p| p.points.truncate(47),
        ];
        for damage in damages {
            let mut parts = parts.clone();
            damage(&mut parts);
            assert!(Layout::from_parts(parts).is_err());
        }
        assert!(
            Layout::from_parts(LayoutParts {
                n_neighbors: 15,
                ..LayoutParts::default()
            })
            .is_ok()
        );
    }

    #[test]
    fn changing_n_neighbors_rebuilds_the_graph() {
        let x = clustered(60, 8, 2, 7);
        let mut layout = Layout::cold(&x, &LayoutParams::default()).expect("finite rows");
        let p = LayoutParams {
            n_neighbors: 7,
            ..LayoutParams::default()
        };
        layout.insert(&x, &p).expect("finite rows");
        assert_eq!(layout.neighbours(5).0.len(), 7);
    }

    #[test]
    fn the_same_input_gives_the_same_bits_on_any_number_of_threads() {
        let x = clustered(1300, 24, 6, 8);
        let p = LayoutParams::default();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a thread pool");
            pool.install(|| {
                let mut layout = Layout::cold(&head(&x, 1100), &p).expect("finite rows");
                layout.insert(&head(&x, 1150), &p).expect("finite rows");
                let mut less = head(&x, 1150);
                less.swap_remove(700);
                less.swap_remove(9);
                layout.remove(&less, &[700, 9]).expect("valid indices");
                (layout.to_parts(), Pca::fit(&x, 5).expect("finite rows"))
            })
        };
        let one = run(1);
        for threads in [1, 2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
