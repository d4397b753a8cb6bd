//! One block of the nearest-neighbour search: every query against a range of columns, in both directions.
//!
//! A matrix product gives approximate squared distances that only *filter*: the error bound below never lets a true
//! neighbour slip, and what passes is measured by [`distance`]. So the lists are exact and independent of the order
//! in which blocks are visited.

use super::distance::distance;
use super::product::{View, product};
use crate::matrix::Matrix;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Marks the unused tail of a list.
pub(super) const NOBODY: u32 = u32::MAX;

/// The `k` nearest of each row of a block, sorted by distance, then id; unused slots hold `(∞, NOBODY)`.
pub(super) struct Lists<'a> {
    pub(super) k: usize,
    pub(super) ids: &'a mut [u32],
    pub(super) distances: &'a mut [f32],
}

impl Lists<'_> {
    /// The worst kept neighbour of `row`.
    fn worst(&self, row: usize) -> (f32, u32) {
        let at = row * self.k + self.k - 1;
        (self.distances[at], self.ids[at])
    }

    /// Takes `id` into the list of `row` if it is among the nearest and not there yet; says whether it was taken.
    pub(super) fn offer(&mut self, row: usize, distance: f32, id: u32) -> bool {
        let ids = &mut self.ids[row * self.k..(row + 1) * self.k];
        let distances = &mut self.distances[row * self.k..(row + 1) * self.k];
        let last = self.k - 1;
        if (distances[last], ids[last]) <= (distance, id) {
            return false;
        }
        let before = |i: usize| (distances[i], ids[i]) < (distance, id);
        let mut at = last;
        while at > 0 && !before(at - 1) {
            at -= 1;
        }
        if ids[at] == id {
            return false;
        }
        ids.copy_within(at..last, at + 1);
        distances.copy_within(at..last, at + 1);
        ids[at] = id;
        distances[at] = distance;
        true
    }
}

/// What the search knows of all rows: the matrix and, for the filter, half their squared lengths.
pub(super) struct Field<'a> {
    x: &'a Matrix,
    /// `|x|² (1 − ε) / 2`: the shrinking is the error bound.
    halves: Vec<f32>,
}

impl<'a> Field<'a> {
    /// `squares[i]` is the squared length of row `i`.
    pub(super) fn new(x: &'a Matrix, squares: &[f32]) -> Self {
        // With u = 2⁻²⁴, a D-term product in any order errs by at most D·u·|x||y| ≤ D·u·(|x|² + |y|²)/2, and the
        // distance we compare with by less than (D/16 + 8)·u relatively, of at most 2(|x|² + |y|²).
        let epsilon = (2.0 * x.dims() as f32 + 64.0) / (1u32 << 24) as f32;
        let halves = squares
            .iter()
            .map(|s| s * 0.5 * (1.0 - epsilon) - 1e-30)
            .collect();
        Self { x, halves }
    }

    /// Visits queries × columns. `query_lists` (one list a query) learn of the columns, `column_lists` (one list a
    /// column) learn of the queries. No row ever learns of itself.
    pub(super) fn visit(
        &self,
        queries: &[u32],
        columns: Range<usize>,
        query_lists: Option<&Mutex<Lists<'_>>>,
        column_lists: Option<&Mutex<Lists<'_>>>,
    ) {
        let d = self.x.dims();
        let (m, n) = (queries.len(), columns.len());
        let gathered: Vec<f32>;
        let contiguous = queries
            .windows(2)
            .all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        let rows = if contiguous && m > 0 {
            let first = queries[0] as usize;
            &self.x.data()[first * d..(first + m) * d]
        } else {
            gathered = queries
                .iter()
                .flat_map(|&q| self.x.row(q as usize))
                .copied()
                .collect();
            &gathered
        };
        let mut dots = vec![0.0f32; m * n];
        product(
            &mut dots,
            View::row_major(rows, m, d),
            View::row_major(&self.x.data()[columns.start * d..columns.end * d], n, d).transposed(),
        );
        if let Some(lists) = query_lists {
            // A poisoned lock means another block panicked; that panic is already on its way to the caller.
            let mut lists = lists.lock().unwrap_or_else(PoisonError::into_inner);
            self.tell_queries(queries, &columns, &dots, &mut lists);
        }
        if let Some(lists) = column_lists {
            let mut lists = lists.lock().unwrap_or_else(PoisonError::into_inner);
            self.tell_columns(queries, &columns, &dots, &mut lists);
        }
    }

    /// A candidate passes if `dot − half(candidate) ≥ half(row) − worst²/2`.
    fn bar(&self, row: usize, worst: f32) -> f32 {
        self.halves[row] - worst * worst * 0.500_001
    }

    fn measure(&self, lists: &mut Lists<'_>, slot: usize, row: usize, candidate: usize) -> bool {
        // No distance is below zero, so against a list full of equals only a smaller id can win.
        row != candidate
            && (0.0, candidate as u32) < lists.worst(slot)
            && lists.offer(
                slot,
                distance(self.x.row(row), self.x.row(candidate)),
                candidate as u32,
            )
    }

    fn tell_queries(
        &self,
        queries: &[u32],
        columns: &Range<usize>,
        dots: &[f32],
        lists: &mut Lists<'_>,
    ) {
        let halves = &self.halves[columns.clone()];
        for (slot, (&query, dots)) in queries
            .iter()
            .zip(dots.chunks_exact(columns.len()))
            .enumerate()
        {
            let row = query as usize;
            let mut bar = self.bar(row, lists.worst(slot).0);
            for (chunk, (dots, halves)) in dots.chunks(CHUNK).zip(halves.chunks(CHUNK)).enumerate()
            {
                if highest_difference(dots, halves) < bar {
                    continue;
                }
                for (lane, (dot, half)) in dots.iter().zip(halves).enumerate() {
                    let candidate = columns.start + chunk * CHUNK + lane;
                    if dot - half >= bar && self.measure(lists, slot, row, candidate) {
                        bar = self.bar(row, lists.worst(slot).0);
                    }
                }
            }
        }
    }

    fn tell_columns(
        &self,
        queries: &[u32],
        columns: &Range<usize>,
        dots: &[f32],
        lists: &mut Lists<'_>,
    ) {
        let mut bars: Vec<f32> = columns
            .clone()
            .enumerate()
            .map(|(slot, row)| self.bar(row, lists.worst(slot).0))
            .collect();
        for (&query, dots) in queries.iter().zip(dots.chunks_exact(columns.len())) {
            let candidate = query as usize;
            let half = self.halves[candidate];
            for (chunk, dots) in dots.chunks(CHUNK).enumerate() {
                let start = chunk * CHUNK;
                if highest_difference(dots, &bars[start..start + dots.len()]) < half {
                    continue;
                }
                for (lane, dot) in dots.iter().enumerate() {
                    let slot = start + lane;
                    let row = columns.start + slot;
                    if dot - bars[slot] >= half && self.measure(lists, slot, row, candidate) {
                        bars[slot] = self.bar(row, lists.worst(slot).0);
                    }
                }
            }
        }
    }
}

/// Candidates rejected by one comparison.
const CHUNK: usize = 32;

/// The largest `a − b`; written so that it vectorises.
#[inline]
fn highest_difference(a: &[f32], b: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; 8];
    if a.len() == CHUNK && b.len() == CHUNK {
        for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
            for lane in 0..8 {
                let d = a[lane] - b[lane];
                best[lane] = if d > best[lane] { d } else { best[lane] };
            }
        }
    } else {
        for (a, b) in a.iter().zip(b) {
            best[0] = best[0].max(a - b);
        }
    }
    best.into_iter().fold(f32::NEG_INFINITY, f32::max)
}
