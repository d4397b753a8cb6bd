//! The fuzzy neighbour graph: how strongly each pair of neighbours belongs together, `0 ..= 1`.
//!
//! Source: `smooth_knn_dist`, `compute_membership_strengths` and the fuzzy union of umap-learn 0.5, with
//! `local_connectivity` 1 and `set_op_mix_ratio` 1. The bandwidth is found by Newton's method instead of bisection.

use super::knn::Knn;
use super::tile::NOBODY;
use rayon::prelude::*;

/// A bandwidth is at least this share of the mean distance (umap-learn's `MIN_K_DIST_SCALE`).
const MIN_BANDWIDTH: f64 = 1e-3;

/// Membership strengths of every row's `k − 1` nearest neighbours (umap-learn counts the point itself as one), as seen
/// from that row alone. A memory, not a state: a row whose distances have not changed keeps what was computed for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Memberships {
    width: usize,
    /// `N × width`, what `strengths` was computed from.
    distances: Vec<f32>,
    /// `N × width`.
    strengths: Vec<f32>,
}

impl Memberships {
    /// Brings the strengths up to date with `knn`.
    pub(super) fn refresh(&mut self, knn: &Knn) {
        let width = knn.width().min((knn.k() - 1).max(1));
        if self.width != width {
            self.width = width;
            self.distances.clear();
        }
        let len = knn.rows() * width;
        // No distance is NaN, so rows that were not there before are never taken for known.
        self.distances.resize(len, f32::NAN);
        self.strengths.resize(len, 0.0);
        if width == 0 {
            return;
        }
        self.distances
            .par_chunks_mut(width)
            .zip(self.strengths.par_chunks_mut(width))
            .enumerate()
            .with_min_len(256)
            .for_each_init(Vec::new, |scratch, (i, (known, strength))| {
                let now = &knn.list(i).1[..width];
                if known != now {
                    known.copy_from_slice(now);
                    strengths(now, scratch);
                    strength.copy_from_slice(scratch);
                }
            });
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.strengths[i * self.width..(i + 1) * self.width]
    }
}

/// The fuzzy graph as adjacency lists of chosen points, its heads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Graph {
    /// The points whose edges are listed.
    pub(super) heads: Vec<u32>,
    /// The edges of `heads[r]` are `offsets[r]..offsets[r + 1]`.
    pub(super) offsets: Vec<usize>,
    /// The other end of each edge.
    pub(super) tails: Vec<u32>,
    /// Strength of each edge, `0 ..= 1`, the same from both ends.
    pub(super) weights: Vec<f32>,
}

/// Membership strengths of one row's neighbours, in the order of `distances` (ascending), as seen from that row alone.
///
/// The nearest neighbour at a positive distance has strength 1; the strengths sum up to about
/// `log₂(distances.len() + 1)`.
pub(super) fn strengths(distances: &[f32], out: &mut Vec<f32>) {
    out.clear();
    let nearest = distances.iter().copied().find(|&d| d > 0.0).unwrap_or(0.0);
    let target = ((distances.len() + 1) as f64).log2();
    let over: Vec<f64> = distances
        .iter()
        .map(|&d| f64::from((d - nearest).max(0.0)))
        .collect();
    // Σ exp(−over·s) falls convexly in s, so Newton's steps from 0 never overshoot the root.
    let mut inverse = 0.0f64;
    for _ in 0..64 {
        let (mut sum, mut slope) = (0.0, 0.0);
        for &o in &over {
            let e = (-o * inverse).exp();
            sum += e;
            slope += o * e;
        }
        if sum - target < 1e-5 || slope <= 0.0 {
            break;
        }
        inverse += (sum - target) / slope;
    }
    let mean = distances.iter().map(|&d| f64::from(d)).sum::<f64>() / (distances.len() + 1) as f64;
    let bandwidth = (1.0 / inverse).max(MIN_BANDWIDTH * mean);
    out.extend(over.iter().map(|&o| {
        if o <= 0.0 || bandwidth <= 0.0 {
            1.0
        } else {
            (-o / bandwidth).exp() as f32
        }
    }));
}

/// All edges of `heads` (distinct). `memberships` are up to date with `knn`.
pub(super) fn graph(knn: &Knn, memberships: &Memberships, heads: Vec<u32>) -> Graph {
    let (n, width) = (knn.rows(), memberships.width);
    let mut slots = vec![NOBODY; n];
    for (slot, &head) in heads.iter().enumerate() {
        slots[head as usize] = slot as u32;
    }
    let list = |i: usize| &knn.list(i).0[..width];
    let is_head = |i: usize| slots[i] != NOBODY;
    // The rows with an edge of a head.
    let touches = |&i: &usize| is_head(i) || list(i).iter().any(|&j| is_head(j as usize));
    let rows: Vec<usize> = (0..n).into_par_iter().filter(touches).collect();
    // For each neighbour that these list, how strongly it lists the row in turn; negative if it does not.
    let mut back = vec![-1.0f32; rows.len() * width];
    if width > 0 {
        back.par_chunks_mut(width)
            .zip(&rows)
            .with_min_len(256)
            .for_each(|(back, &i)| {
                for (back, &j) in back.iter_mut().zip(list(i)) {
                    let j = j as usize;
                    if (is_head(i) || is_head(j))
                        && let Some(at) = list(j).iter().position(|&id| id as usize == i)
                    {
                        *back = memberships.row(j)[at];
                    }
                }
            });
    }
    let each_edge = |visit: &mut dyn FnMut(usize, usize, f32)| {
        for (at, &i) in rows.iter().enumerate() {
            let row = at * width..(at + 1) * width;
            for ((&j, &there), &back) in list(i).iter().zip(memberships.row(i)).zip(&back[row]) {
                let j = j as usize;
                let weight = there + back.max(0.0) - there * back.max(0.0);
                if is_head(i) {
                    visit(i, j, weight);
                }
                if back < 0.0 && is_head(j) {
                    visit(j, i, weight);
                }
            }
        }
    };
    let mut offsets = vec![0usize; heads.len() + 1];
    each_edge(&mut |head, _, _| offsets[slots[head] as usize + 1] += 1);
    for slot in 0..heads.len() {
        offsets[slot + 1] += offsets[slot];
    }
    let mut next = offsets.clone();
    let mut tails = vec![0; offsets[heads.len()]];
    let mut weights = vec![0.0; offsets[heads.len()]];
    each_edge(&mut |head, tail, weight| {
        let at = &mut next[slots[head] as usize];
        tails[*at] = tail as u32;
        weights[*at] = weight;
        *at += 1;
    });
    Graph {
        heads,
        offsets,
        tails,
        weights,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u32) -> Knn {
        // Points at 0, 1, 2, …: neighbours listed as the graph orders them.
        let k = 4usize.min(n as usize - 1);
        let (mut ids, mut distances) = (Vec::new(), Vec::new());
        for i in 0..n {
            let mut all: Vec<(u32, u32)> = (0..n)
                .filter(|&j| j != i)
                .map(|j| (i.abs_diff(j), j))
                .collect();
            all.sort_unstable();
            ids.extend(all[..k].iter().map(|p| p.1));
            distances.extend(all[..k].iter().map(|p| p.0 as f32));
        }
        Knn::from_lists(4, n as usize, &ids, &distances).expect("a valid graph")
    }

    #[test]
    fn strengths_sum_to_the_logarithm() {
        let distances: Vec<f32> = (0..14).map(|i| 0.5 + (i as f32).sqrt() * 0.1).collect();
        let mut out = Vec::new();
        strengths(&distances, &mut out);
        assert_eq!(out[0], 1.0);
        assert!((out.iter().sum::<f32>() - 15f32.log2()).abs() < 1e-3);
        assert!(out.windows(2).all(|w| w[0] >= w[1]));
    }

    #[test]
    fn duplicates_do_not_break_the_bandwidth() {
        let mut out = Vec::new();
        for distances in [vec![0.0; 14], vec![1.0; 14], vec![], vec![3.0]] {
            strengths(&distances, &mut out);
            assert!(out.iter().all(|&s| s == 1.0));
        }
        strengths(&[0., 0., 0., 0., 0., 0., 0., 2., 3.], &mut out);
        assert!(out.iter().all(|s| (0.0..=1.0).contains(s)) && out[7] == 1.0 && out[8] < 0.1);
    }

    /// `(head, tail, weight)` of all edges, sorted.
    fn edges(knn: &Knn, heads: Vec<u32>) -> Vec<(u32, u32, f32)> {
        let mut memberships = Memberships::default();
        memberships.refresh(knn);
        let graph = graph(knn, &memberships, heads);
        let mut edges: Vec<(u32, u32, f32)> = (0..graph.heads.len())
            .flat_map(|r| (graph.offsets[r]..graph.offsets[r + 1]).map(move |e| (r, e)))
            .map(|(r, e)| (graph.heads[r], graph.tails[e], graph.weights[e]))
            .collect();
        edges.sort_by(|a, b| a.partial_cmp(b).expect("weights are numbers"));
        edges
    }

    #[test]
    fn graph_is_symmetric_and_names_each_edge_once() {
        let edges = edges(&line(9), (0..9).collect());
        assert!(
            edges
                .windows(2)
                .all(|w| (w[0].0, w[0].1) < (w[1].0, w[1].1))
        );
        for &(head, tail, weight) in &edges {
            assert!(edges.contains(&(tail, head, weight)) && weight > 0.0 && weight <= 1.0);
        }
    }

    #[test]
    fn chosen_heads_have_all_their_edges() {
        let knn = line(30);
        let mut wanted = edges(&knn, (0..30).collect());
        wanted.retain(|e| e.0 == 20 || e.0 == 4);
        assert_eq!(edges(&knn, vec![20, 4]), wanted);
    }

    #[test]
    fn remembered_strengths_equal_fresh_ones() {
        let fresh = |knn: &Knn| {
            let mut memberships = Memberships::default();
            memberships.refresh(knn);
            memberships.strengths
        };
        let mut kept = Memberships::default();
        for n in [9, 30, 12, 1, 3, 20] {
            let knn = line(n);
            kept.refresh(&knn);
            assert_eq!(kept.strengths, fresh(&knn), "{n} rows");
        }
    }
}
