//! [`Layout`]: the neighbour graph and the points, and the rules for which points move when.
//!
//! A known point moves as little as quality allows. A few arrivals are placed near their neighbours; then come 50
//! epochs in which they move freely, their neighbours by a fifth, and the rest by a fiftieth and rarely. For many
//! arrivals, 200 epochs follow from where everything is, then a rigid alignment. A map that is mostly new is made from
//! nothing and aligned. It is never made again without one of these reasons.

use super::align::Rigid;
use super::curve::{Curve, Gradients};
use super::fuzzy::{Memberships, graph};
use super::knn::Knn;
use super::pca::Pca;
use super::random::Random;
use super::sgd::{Descent, descend};
use super::start::{place, plane, principal, scale_to, sunflower};
use super::{LayoutParams, Method, Point, ReduceError, linfa_pca};
use crate::matrix::Matrix;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Up to this many points a cold start takes 500 epochs, above it 300. umap-learn takes 200 there; by sweeps that many
/// were measured to lose .01 of recall, and 300 to lose nothing.
const MANY: usize = 10_000;
/// Epochs after a large batch.
const BATCH_EPOCHS: usize = 200;
/// Epochs after a small batch. At full mobility so few would lower the quality; it is mobility that is cut instead.
const ARRIVAL_EPOCHS: usize = 50;
/// What share of a move a neighbour of an arrival makes.
const NEIGHBOUR_MOBILITY: f32 = 0.2;
/// What share of a move all other points make, in the few epochs in which `sgd` moves slow points.
const REST_MOBILITY: f32 = 0.02;
/// Most points that one call of [`Layout::relax`] moves.
const RELAXED: usize = 10_000;
/// The rest of a large map follows arrivals when they are one in so many points.
const RELAX_EVERY: usize = 1_000;
/// A batch is small up to one arrival in this many points.
const SMALL_BATCH: usize = 5;
/// A map of fewer points has no shape worth keeping.
const SHAPELESS: usize = 15;
/// A map that grows by more than this factor is made from nothing.
const ANEW: usize = 4;

/// The map of `N` embeddings: for each its point and its nearest neighbours.
#[derive(Clone, Debug)]
pub struct Layout {
    knn: Knn,
    points: Vec<Point>,
    memberships: Memberships,
    /// How many points, the last of them, still have to follow arrivals.
    unrelaxed: u32,
    /// How many points came since all began to follow arrivals.
    arrived: u32,
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
    /// How many points [`Layout::relax`] still has to move.
    pub unrelaxed: u32,
}

impl Layout {
    /// Makes the map of `x` (`N × D`) from nothing.
    ///
    /// Two or three embeddings keep their proportions; if all are alike, they are spread over a disc.
    pub fn cold(x: &Matrix, p: &LayoutParams) -> Result<Self, ReduceError> {
        p.check()?;
        let knn = Knn::build(x, p.n_neighbors)?;
        let mut memberships = Memberships::default();
        let points = cold_points(x, &knn, &mut memberships, p)?;
        Ok(Self {
            knn,
            points,
            memberships,
            unrelaxed: 0,
            arrived: 0,
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

    /// The points, one per embedding.
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
    /// Up to 20 % arrivals move almost no other point; with more, all points move, from where they are; a map that was
    /// below 15 points or grows more than fourfold is made from nothing; the last two end aligned onto the old points.
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
    /// `relax_limit`), once they are a thousandth of the map: each time, every point moves by a little. Up to 10,000
    /// points per call; for idle time, call after call, until it says that there was nothing left to do. Says whether
    /// points were moved.
    pub fn relax(&mut self, p: &LayoutParams) -> bool {
        let n = self.len();
        let left = std::mem::take(&mut self.unrelaxed).min(n as u32) as usize;
        if left == 0 || p.method != Method::Umap || p.check().is_err() {
            return false;
        }
        let from = n - left;
        let to = n.min(from + RELAXED);
        self.unrelaxed = (n - to) as u32;
        let mut mobility = vec![0.0; n];
        mobility[from..to].fill(REST_MOBILITY);
        optimise(
            &mut self.points,
            &self.knn,
            &mut self.memberships,
            p,
            ARRIVAL_EPOCHS,
            Some(&mobility),
        );
        true
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
        let (ids, distances) = self.lists();
        LayoutParts {
            ids: ids.into_owned(),
            distances: distances.into_owned(),
            points: self.points.clone(),
            ..self.parts_without_lists()
        }
    }

    /// What to store besides [`Layout::lists`] and [`Layout::points`].
    pub fn parts_without_lists(&self) -> LayoutParts {
        LayoutParts {
            n_neighbors: self.knn.k(),
            unrelaxed: self.unrelaxed,
            ..LayoutParts::default()
        }
    }

    /// The neighbours of all points, [`LayoutParts::ids`], and [`LayoutParts::distances`].
    pub fn lists(&self) -> (Cow<'_, [u32]>, Cow<'_, [f32]>) {
        self.knn.lists()
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
            memberships: Memberships::default(),
            unrelaxed: parts.unrelaxed,
            arrived: 0,
        })
    }

    /// How many points came since all began to follow arrivals.
    pub fn arrived(&self) -> u32 {
        self.arrived
    }

    /// The same layout, `arrived` as it was when its parts were stored.
    pub fn with_arrived(self, arrived: u32) -> Self {
        Self { arrived, ..self }
    }

    /// The part of [`Layout::insert`] after the graph is known; nothing changes on failure but the graph.
    fn insert_with(&mut self, x: &Matrix, p: &LayoutParams, knn: Knn) -> Result<(), ReduceError> {
        let (old, n) = (self.len(), x.rows());
        let new = n - old;
        if p.method == Method::Pca || old < SHAPELESS || new > ANEW * old {
            let fresh = cold_points(x, &knn, &mut self.memberships, p)?;
            self.realign(fresh);
            (self.unrelaxed, self.arrived) = (0, 0);
        } else if new * SMALL_BATCH > n {
            let mut points = self.points.clone();
            place(&mut points, &knn, x, p.seed);
            optimise(
                &mut points,
                &knn,
                &mut self.memberships,
                p,
                BATCH_EPOCHS,
                None,
            );
            self.realign(points);
            (self.unrelaxed, self.arrived) = (0, 0);
        } else {
            place(&mut self.points, &knn, x, p.seed);
            let moving = n <= p.relax_limit;
            let rest = if moving { REST_MOBILITY } else { 0.0 };
            let mobility = mobility_around(&knn, old, rest);
            optimise(
                &mut self.points,
                &knn,
                &mut self.memberships,
                p,
                ARRIVAL_EPOCHS,
                Some(&mobility),
            );
            if !moving {
                self.arrived = self.arrived.saturating_add(new as u32);
                if self.arrived as usize * RELAX_EVERY >= n {
                    (self.unrelaxed, self.arrived) = (n as u32, 0);
                }
            }
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

fn cold_points(
    x: &Matrix,
    knn: &Knn,
    memberships: &mut Memberships,
    p: &LayoutParams,
) -> Result<Vec<Point>, ReduceError> {
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
    let epochs = if n <= MANY { 500 } else { 300 };
    optimise(&mut points, knn, memberships, p, epochs, None);
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
    memberships: &mut Memberships,
    p: &LayoutParams,
    epochs: usize,
    mobility: Option<&[f32]>,
) {
    let gradients = Gradients::new(Curve::fit(p.min_dist));
    memberships.refresh(knn);
    let mobile = |i: &u32| mobility.is_none_or(|m| m[*i as usize] > 0.0);
    let heads = (0..points.len() as u32).filter(mobile).collect();
    let graph = graph(knn, memberships, heads);
    let seed = Random::new(p.seed, points.len() as u64).next();
    descend(
        points,
        &graph,
        &Descent {
            epochs,
            seed,
            gradients: &gradients,
            mobility,
        },
    );
}

#[cfg(test)]
mod tests;
