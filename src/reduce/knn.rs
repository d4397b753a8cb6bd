//! The exact nearest-neighbour graph, and keeping it equal to a rebuild while rows come and go.
//!
//! Neighbours are ordered by [`distance`](super::distance), then id, so ties have one answer. Not here: what UMAP
//! makes of the graph (`fuzzy`).
//!
//! Invariant: row `i` lists the `min(k, N − 1)` nearest other rows.

use super::ReduceError;
use super::distance::squares;
use super::tile::{Lists, NOBODY, Rows};
use crate::matrix::Matrix;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Mutex;

/// Rows and columns of one product: small enough for the L2 cache, large enough for the product to be efficient.
const BLOCK: usize = 512;

/// `k` nearest neighbours of each of `N` rows.
#[derive(Clone, Debug)]
pub(super) struct Knn {
    k: usize,
    rows: usize,
    /// `rows × k`, `NOBODY` past `width()`.
    ids: Vec<u32>,
    /// `rows × k`, infinite past `width()`.
    distances: Vec<f32>,
    /// Squared lengths of the rows; empty until a matrix has been seen.
    squares: Vec<f32>,
}

impl Knn {
    /// A graph of no rows.
    pub(super) fn empty(k: usize) -> Self {
        Self {
            k,
            rows: 0,
            ids: Vec::new(),
            distances: Vec::new(),
            squares: Vec::new(),
        }
    }

    /// The graph of all rows of `x`.
    pub(super) fn build(x: &Matrix, k: usize) -> Result<Self, ReduceError> {
        let n = x.rows();
        if n >= NOBODY as usize {
            return Err(ReduceError::TooMany(n));
        }
        let mut knn = Self {
            k,
            rows: n,
            ids: vec![NOBODY; n * k],
            distances: vec![f32::INFINITY; n * k],
            squares: squares(x, 0..n)?,
        };
        let rows = Rows::with_sketch(x, &knn.squares)?;
        let blocks = blocks(0..n);
        let lists = locked(k, BLOCK, &mut knn.ids, &mut knn.distances);
        let visit = |(i, j): (usize, usize)| {
            let queries: Vec<u32> = blocks[i].clone().map(|q| q as u32).collect();
            let column_lists = (i != j).then(|| &lists[j]);
            rows.visit(&queries, blocks[j].clone(), Some(&lists[i]), column_lists);
        };
        // Lists that are full reject more, so each block meets itself before it meets others.
        (0..blocks.len())
            .into_par_iter()
            .for_each(|i| visit((i, i)));
        let pairs: Vec<(usize, usize)> = (0..blocks.len())
            .flat_map(|i| (i + 1..blocks.len()).map(move |j| (i, j)))
            .collect();
        pairs.into_par_iter().for_each(visit);
        drop(lists);
        Ok(knn)
    }

    /// Takes stored lists of `width = min(k, rows − 1)` each; the error is the first row that cannot be right.
    pub(super) fn from_lists(
        k: usize,
        rows: usize,
        ids: &[u32],
        distances: &[f32],
    ) -> Result<Self, ReduceError> {
        let width = k.min(rows.saturating_sub(1));
        if ids.len() != rows * width || distances.len() != rows * width || rows >= NOBODY as usize {
            return Err(ReduceError::Damaged { row: 0 });
        }
        let mut knn = Self::empty(k);
        for row in 0..rows {
            let ids = &ids[row * width..(row + 1) * width];
            let distances = &distances[row * width..(row + 1) * width];
            let sorted =
                (1..width).all(|i| (distances[i - 1], ids[i - 1]) < (distances[i], ids[i]));
            let usable = distances.iter().all(|d| d.is_finite() && *d >= 0.0);
            let mut known = ids.to_vec();
            known.sort_unstable();
            known.dedup();
            let distinct = known.len() == width
                && known
                    .iter()
                    .all(|&id| (id as usize) < rows && id as usize != row);
            if !(sorted && usable && distinct) {
                return Err(ReduceError::Damaged { row });
            }
            knn.push_list(ids, distances);
        }
        Ok(knn)
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Neighbours asked for.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Neighbours each row has: `min(k, N − 1)`.
    pub(super) fn width(&self) -> usize {
        self.k.min(self.rows.saturating_sub(1))
    }

    /// Ids and distances of the neighbours of `row`, nearest first.
    pub(super) fn list(&self, row: usize) -> (&[u32], &[f32]) {
        let range = row * self.k..row * self.k + self.width();
        (&self.ids[range.clone()], &self.distances[range])
    }

    /// Ids and distances of all lists, one after the other, `width()` each.
    pub(super) fn lists(&self) -> (Cow<'_, [u32]>, Cow<'_, [f32]>) {
        if self.width() == self.k {
            return (self.ids.as_slice().into(), self.distances.as_slice().into());
        }
        let all = || (0..self.rows).map(|row| self.list(row));
        let ids: Vec<u32> = all().flat_map(|(ids, _)| ids).copied().collect();
        let distances: Vec<f32> = all().flat_map(|(_, away)| away).copied().collect();
        (ids.into(), distances.into())
    }

    /// Takes in the rows `self.rows() .. x.rows()`.
    pub(super) fn insert(&mut self, x: &Matrix) -> Result<(), ReduceError> {
        let (old, n) = (self.rows, x.rows());
        if n >= NOBODY as usize {
            return Err(ReduceError::TooMany(n));
        }
        self.know_squares(x)?;
        self.squares.extend(squares(x, old..n)?);
        let queries: Vec<u32> = (old..n).map(|q| q as u32).collect();
        let mut ids = vec![NOBODY; queries.len() * self.k];
        let mut distances = vec![f32::INFINITY; queries.len() * self.k];
        self.visit_all(
            x,
            &queries,
            Some((&mut ids, &mut distances)),
            Some(0..old),
            0..n,
        );
        self.ids.extend(ids);
        self.distances.extend(distances);
        self.rows = n;
        Ok(())
    }

    /// Forgets rows. `origin[i]` is where row `i` of `x` was before; rows that no `origin` names are gone.
    pub(super) fn remove(&mut self, x: &Matrix, origin: &[u32]) -> Result<(), ReduceError> {
        let n = origin.len();
        let mut now = vec![NOBODY; self.rows];
        for (i, &was) in origin.iter().enumerate() {
            now[was as usize] = i as u32;
        }
        let mut after = Self::empty(self.k);
        let full = self.k.min(n.saturating_sub(1));
        let mut short: Vec<u32> = Vec::new();
        let mut list: Vec<(f32, u32)> = Vec::with_capacity(self.k);
        for (i, &was) in origin.iter().enumerate() {
            let (ids, distances) = self.list(was as usize);
            list.clear();
            list.extend(
                ids.iter()
                    .zip(distances)
                    .map(|(&id, &distance)| (distance, now[id as usize]))
                    .filter(|&(_, id)| id != NOBODY),
            );
            list.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            if list.len() < full {
                short.push(i as u32);
            }
            let ids: Vec<u32> = list.iter().map(|p| p.1).collect();
            let distances: Vec<f32> = list.iter().map(|p| p.0).collect();
            after.push_list(&ids, &distances);
        }
        // Refilling visits each short row's block with all others and cannot use symmetry.
        if short.len() * 2 > n {
            *self = Self::build(x, self.k)?;
            return Ok(());
        }
        if self.squares.len() == self.rows {
            after.squares = origin
                .iter()
                .map(|&was| self.squares[was as usize])
                .collect();
        }
        after.know_squares(x)?;
        let k = self.k;
        let row_of = |q: u32| q as usize * k..(q as usize + 1) * k;
        let mut ids: Vec<u32> = short
            .iter()
            .flat_map(|&q| &after.ids[row_of(q)])
            .copied()
            .collect();
        let mut distances: Vec<f32> = short
            .iter()
            .flat_map(|&q| &after.distances[row_of(q)])
            .copied()
            .collect();
        after.visit_all(x, &short, Some((&mut ids, &mut distances)), None, 0..n);
        for (slot, &q) in short.iter().enumerate() {
            after.ids[row_of(q)].copy_from_slice(&ids[slot * k..(slot + 1) * k]);
            after.distances[row_of(q)].copy_from_slice(&distances[slot * k..(slot + 1) * k]);
        }
        // A row that took a lower index wins ties that it lost before.
        let renamed: Vec<u32> = (0..n as u32).filter(|&i| origin[i as usize] != i).collect();
        after.visit_all(x, &renamed, None, Some(0..n), 0..n);
        *self = after;
        Ok(())
    }

    /// Visits `queries` × `columns`. The queries' own lists are apart (`learn`); of the lists held here, those of the
    /// rows `tell` hear of the queries.
    fn visit_all(
        &mut self,
        x: &Matrix,
        queries: &[u32],
        learn: Option<(&mut [u32], &mut [f32])>,
        tell: Option<Range<usize>>,
        columns: Range<usize>,
    ) {
        if queries.is_empty() {
            return;
        }
        let k = self.k;
        let rows = Rows::new(x, &self.squares);
        let told = tell.unwrap_or(0..0);
        let told_blocks = blocks(told.clone());
        let told_lists = locked(
            k,
            BLOCK,
            &mut self.ids[told.start * k..told.end * k],
            &mut self.distances[told.start * k..told.end * k],
        );
        let learners = learn.map(|(ids, distances)| locked(k, BLOCK, ids, distances));
        let untold = blocks(told.end.max(columns.start)..columns.end);
        let mut tasks: Vec<(usize, Range<usize>, Option<usize>)> = Vec::new();
        for query_block in 0..queries.len().div_ceil(BLOCK) {
            for (at, block) in told_blocks.iter().enumerate() {
                tasks.push((query_block, block.clone(), Some(at)));
            }
            for block in &untold {
                tasks.push((query_block, block.clone(), None));
            }
        }
        tasks
            .into_par_iter()
            .for_each(|(query_block, block, told)| {
                let end = ((query_block + 1) * BLOCK).min(queries.len());
                rows.visit(
                    &queries[query_block * BLOCK..end],
                    block,
                    learners.as_ref().map(|lists| &lists[query_block]),
                    told.map(|at| &told_lists[at]),
                );
            });
    }

    fn know_squares(&mut self, x: &Matrix) -> Result<(), ReduceError> {
        if self.squares.len() != self.rows {
            self.squares = squares(x, 0..self.rows)?;
        }
        Ok(())
    }

    fn push_list(&mut self, ids: &[u32], distances: &[f32]) {
        self.ids.extend_from_slice(ids);
        self.distances.extend_from_slice(distances);
        self.rows += 1;
        self.ids.resize(self.rows * self.k, NOBODY);
        self.distances.resize(self.rows * self.k, f32::INFINITY);
    }
}

fn blocks(range: Range<usize>) -> Vec<Range<usize>> {
    range
        .clone()
        .step_by(BLOCK)
        .map(|start| start..(start + BLOCK).min(range.end))
        .collect()
}

fn locked<'a>(
    k: usize,
    rows: usize,
    ids: &'a mut [u32],
    distances: &'a mut [f32],
) -> Vec<Mutex<Lists<'a>>> {
    ids.chunks_mut(rows * k)
        .zip(distances.chunks_mut(rows * k))
        .map(|(ids, distances)| Mutex::new(Lists { k, ids, distances }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::distance::distance;
    use super::super::random::Random;
    use super::*;
    use proptest::prelude::*;

    /// Rows on a coarse lattice, so that ties and duplicates are common.
    fn lattice(n: usize, d: usize, levels: f64, seed: u64) -> Matrix {
        let mut random = Random::new(seed, 0);
        let data = (0..n * d)
            .map(|_| (random.signed() * levels).round() as f32)
            .collect();
        Matrix::from_data(data, d).expect("n rows of d values")
    }

    fn brute(x: &Matrix, k: usize) -> Vec<Vec<(f32, u32)>> {
        (0..x.rows())
            .map(|i| {
                let mut all: Vec<(f32, u32)> = (0..x.rows())
                    .filter(|&j| j != i)
                    .map(|j| (distance(x.row(i), x.row(j)), j as u32))
                    .collect();
                all.sort_by(|a, b| a.partial_cmp(b).expect("distances are numbers"));
                all.truncate(k);
                all
            })
            .collect()
    }

    fn lists(knn: &Knn) -> Vec<Vec<(f32, u32)>> {
        (0..knn.rows())
            .map(|i| {
                let (ids, distances) = knn.list(i);
                distances.iter().copied().zip(ids.iter().copied()).collect()
            })
            .collect()
    }

    #[test]
    fn build_equals_brute_force_across_blocks() {
        for (n, levels) in [(0, 1.0), (1, 1.0), (2, 0.2), (700, 1.5), (1100, 1e6)] {
            let x = lattice(n, 9, levels, 3);
            let knn = Knn::build(&x, 15).expect("finite rows");
            assert_eq!(lists(&knn), brute(&x, 15), "{n} rows");
        }
    }

    #[test]
    fn near_duplicates_far_from_the_origin_are_told_apart() {
        // Squared distances of 1e-8 next to squared lengths of 64: the product alone cannot order them.
        let mut x = Matrix::new(64);
        for i in 0..40 {
            let mut row = [1.0f32; 64];
            row[i % 64] += 1e-4 * (1.0 + i as f32 / 40.0);
            x.push(&row);
        }
        let knn = Knn::build(&x, 5).expect("finite rows");
        assert_eq!(lists(&knn), brute(&x, 5));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize),
        Remove(Vec<prop::sample::Index>),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1usize..20).prop_map(Step::Insert),
            prop::collection::vec(any::<prop::sample::Index>(), 1..8).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_sequence_of_changes_equals_a_rebuild(
            start in 0usize..60, levels in 0.6f64..4.0, steps in prop::collection::vec(step(), 1..8),
        ) {
            let mut x = lattice(start, 5, levels, 11);
            let mut knn = Knn::build(&x, 6).expect("finite rows");
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(count) => {
                        let more = lattice(count, 5, levels, at as u64 + 100);
                        (0..count).for_each(|i| x.push(more.row(i)));
                        knn.insert(&x).expect("finite rows");
                    }
                    Step::Remove(indices) if !x.is_empty() => {
                        let mut gone: Vec<usize> = indices.iter().map(|i| i.index(x.rows())).collect();
                        gone.sort_unstable_by(|a, b| b.cmp(a));
                        gone.dedup();
                        let mut origin: Vec<u32> = (0..x.rows() as u32).collect();
                        for &i in &gone {
                            x.swap_remove(i);
                            origin.swap_remove(i);
                        }
                        knn.remove(&x, &origin).expect("finite rows");
                    }
                    Step::Remove(_) => {}
                }
                prop_assert_eq!(lists(&knn), brute(&x, 6));
            }
        }
    }

    #[test]
    fn incremental_equals_rebuild_across_blocks() {
        let whole = lattice(1300, 16, 3.0, 5);
        let mut x = Matrix::from_data(whole.data()[..1100 * 16].to_vec(), 16).expect("whole rows");
        let mut knn = Knn::build(&x, 15).expect("finite rows");
        (1100..1300).for_each(|i| x.push(whole.row(i)));
        knn.insert(&x).expect("finite rows");
        assert_eq!(lists(&knn), brute(&x, 15));
        let mut origin: Vec<u32> = (0..1300).collect();
        for i in [1299, 1100, 600, 512, 511, 3] {
            x.swap_remove(i);
            origin.swap_remove(i);
        }
        knn.remove(&x, &origin).expect("finite rows");
        assert_eq!(lists(&knn), brute(&x, 15));
    }

    #[test]
    fn damaged_lists_are_refused() {
        let good = Knn::from_lists(2, 3, &[1, 2, 0, 2, 1, 0], &[1., 2., 1., 1.5, 1.5, 2.]);
        assert!(good.is_ok());
        for (ids, distances) in [
            (vec![1, 2, 0, 2, 1], vec![1., 2., 1., 1.5, 1.5]),
            (vec![1, 3, 0, 2, 1, 0], vec![1., 2., 1., 1.5, 1.5, 2.]),
            (vec![0, 2, 0, 2, 1, 0], vec![1., 2., 1., 1.5, 1.5, 2.]),
            (vec![2, 2, 0, 2, 1, 0], vec![1., 2., 1., 1.5, 1.5, 2.]),
            (vec![1, 2, 0, 2, 1, 0], vec![3., 2., 1., 1.5, 1.5, 2.]),
            (vec![1, 2, 0, 2, 1, 0], vec![1., f32::NAN, 1., 1.5, 1.5, 2.]),
            (vec![1, 2, 0, 2, 1, 0], vec![-1., 2., 1., 1.5, 1.5, 2.]),
        ] {
            assert!(Knn::from_lists(2, 3, &ids, &distances).is_err());
        }
    }
}
