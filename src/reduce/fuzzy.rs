//! The fuzzy neighbour graph: how strongly each pair of neighbours belongs together, `0 ..= 1`.
//!
//! Source: `smooth_knn_dist`, `compute_membership_strengths` and the fuzzy union of umap-learn 0.5, with
//! `local_connectivity` 1 and `set_op_mix_ratio` 1. The bandwidth is found by Newton's method instead of bisection.

use super::knn::Knn;
use rayon::prelude::*;

/// A bandwidth is at least this share of the mean distance (umap-learn's `MIN_K_DIST_SCALE`).
const MIN_BANDWIDTH: f64 = 1e-3;

/// A directed edge of the graph; each pair has two, of equal weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edge {
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) weight: f32,
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

/// The fuzzy graph of the `k − 1` nearest neighbours (umap-learn counts the point itself as one), edges sorted by
/// head, then tail. With `wanted`, only the edges that have a wanted end.
pub(super) fn graph(knn: &Knn, wanted: Option<&[bool]>) -> Vec<Edge> {
    let n = knn.rows();
    let width = knn.width().min((knn.k() - 1).max(1));
    let want = |i: usize| wanted.is_none_or(|w| w[i]);
    // Rows whose strengths matter: wanted ones and those with a wanted neighbour; of the rest no edge is kept.
    let relevant: Vec<bool> = (0..n)
        .map(|i| want(i) || knn.list(i).0[..width].iter().any(|&j| want(j as usize)))
        .collect();
    let mut needed = relevant.clone();
    if wanted.is_some() {
        for i in (0..n).filter(|&i| want(i)) {
            for &j in &knn.list(i).0[..width] {
                needed[j as usize] = true;
            }
        }
    }
    let mut forward = vec![0.0f32; n * width];
    if width > 0 {
        forward
            .par_chunks_mut(width)
            .enumerate()
            .filter(|(i, _)| needed[*i])
            .for_each_init(Vec::new, |scratch, (i, row)| {
                strengths(&knn.list(i).1[..width], scratch);
                row.copy_from_slice(scratch);
            });
    }
    let mut edges = Vec::with_capacity(n * width * 3 / 2);
    for i in (0..n).filter(|&i| relevant[i]) {
        for (slot, &j) in knn.list(i).0[..width].iter().enumerate() {
            let j = j as usize;
            if !(want(i) || want(j)) {
                continue;
            }
            let there = forward[i * width + slot];
            let mutual = knn.list(j).0[..width]
                .iter()
                .position(|&id| id as usize == i);
            let back = mutual.map_or(0.0, |slot| forward[j * width + slot]);
            let weight = there + back - there * back;
            edges.push(Edge {
                head: i as u32,
                tail: j as u32,
                weight,
            });
            if mutual.is_none() {
                edges.push(Edge {
                    head: j as u32,
                    tail: i as u32,
                    weight,
                });
            }
        }
    }
    edges.par_sort_unstable_by_key(|e| (e.head, e.tail));
    edges
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

    #[test]
    fn graph_is_symmetric_and_sorted() {
        let edges = graph(&line(9), None);
        assert!(
            edges
                .windows(2)
                .all(|w| (w[0].head, w[0].tail) < (w[1].head, w[1].tail))
        );
        for e in &edges {
            let back = Edge {
                head: e.tail,
                tail: e.head,
                weight: e.weight,
            };
            assert!(edges.contains(&back) && e.weight > 0.0 && e.weight <= 1.0);
        }
    }

    #[test]
    fn a_restricted_graph_is_the_same_where_it_is_wanted() {
        let knn = line(30);
        let mut wanted = vec![false; 30];
        wanted[4] = true;
        wanted[20] = true;
        let all = graph(&knn, None);
        let touching: Vec<Edge> = all
            .into_iter()
            .filter(|e| wanted[e.head as usize] || wanted[e.tail as usize])
            .collect();
        assert_eq!(graph(&knn, Some(&wanted)), touching);
    }
}
