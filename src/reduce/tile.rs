//! One block of the nearest-neighbour search: every query against a range of columns, in both directions.
//!
//! A matrix product gives approximate squared distances that only *filter*: the error bound below never rejects a true
//! neighbour, and pairs that pass are measured by [`distance`](mod@super::distance). So the lists are exact and
//! independent of the order in which blocks are visited. Large searches filter by the leading components first, where
//! that rejects enough, which takes an eighth of the arithmetic: exact search for 100,000 rows without an index.

use super::ReduceError;
use super::distance::{self, distance};
use super::pca::Pca;
use super::product::{View, product};
use super::random::Random;
use crate::matrix::Matrix;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Marks the unused tail of a list.
pub(super) const NOBODY: u32 = u32::MAX;

/// Components of the first sieve.
const SKETCH: usize = 64;
/// Rows that they are fitted to.
const SKETCH_SAMPLE: usize = 2048;
/// Fewer rows are searched before the components are found.
const SKETCH_ROWS: usize = 8192;
/// If more than one in this many pairs pass the first sieve, measuring those costs more than the whole product.
const SKETCH_PAYS: usize = 8;
/// Passing pairs are counted for one query in so many.
const PASSING_STEP: usize = 8;

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

    /// Whether any distance could bring `id` in. None is below zero, so against a list full of equals only a smaller id
    /// can win.
    fn is_open(&self, row: usize, id: u32) -> bool {
        (0.0, id) < self.worst(row)
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

/// What the search knows of all rows.
pub(super) struct Rows<'a> {
    x: &'a Matrix,
    full: Sieve<'a>,
    sketch: Option<Sieve<'a>>,
}

/// Rows whose products tell which pairs may be near: those of the matrix, or something shorter.
struct Sieve<'a> {
    rows: Cow<'a, Matrix>,
    /// `|row|² (1 − ε) / 2`: the shrinking bounds the error of a product.
    halves: Vec<f32>,
    /// How much larger than the true distance that of two rows can be.
    slack: f32,
}

impl<'a> Rows<'a> {
    /// `squares[i]` is the squared length of row `i`.
    pub(super) fn new(x: &'a Matrix, squares: &[f32]) -> Self {
        Self {
            x,
            full: Sieve::new(Cow::Borrowed(x), squares, 0.0),
            sketch: None,
        }
    }

    /// As [`Rows::new`], with a first sieve by the rows' leading components, which are quicker to multiply. Distances
    /// along them are never larger, so the lists stay exact. It is made only where it can pay.
    pub(super) fn with_sketch(x: &'a Matrix, squares: &[f32]) -> Result<Self, ReduceError> {
        let mut rows = Self::new(x, squares);
        let (n, d) = (x.rows(), x.dims());
        if n < SKETCH_ROWS || d < 4 * SKETCH {
            return Ok(rows);
        }
        let mut sample = Matrix::new(d);
        // Drawn, not strided: collections come in series, and a stride can meet one of them only.
        let mut random = Random::new(0x5CE7, n as u64);
        for _ in 0..SKETCH_SAMPLE {
            let [drawn, _] = random.two_below(n as u32);
            sample.push(x.row(drawn as usize));
        }
        let y = Pca::fit(&sample, SKETCH)?.project(x);
        // A coordinate is a sum of D products of the centred row, at most twice the longest row, and errs by
        // (D + 2)·u of that; two rows err both. The directions are orthonormal to better than 10⁻⁵.
        let longest = squares.iter().fold(0.0f32, |m, &s| m.max(s)).sqrt();
        let rounding = 4.0 * (SKETCH as f32).sqrt() * (d as f32 + 2.0) / (1u32 << 24) as f32;
        let slack = longest * (1.1 * rounding + 2e-5);
        let squares = distance::squares(&y, 0..n)?;
        rows.sketch = Some(Sieve::new(Cow::Owned(y), &squares, slack));
        Ok(rows)
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
        let mut dots = vec![0.0f32; queries.len() * columns.len()];
        let sketch = self.sketch.as_ref().filter(|sketch| {
            sketch.products(queries, &columns, &mut dots);
            let passing = sketch.passing(queries, &columns, &dots, query_lists, column_lists);
            passing <= dots.len() / SKETCH_PAYS
        });
        let sieve = sketch.unwrap_or_else(|| {
            self.full.products(queries, &columns, &mut dots);
            &self.full
        });
        // A build locks the lower block first, an insertion the lists of new rows, so no two threads wait for each other.
        let (mut query_lists, mut column_lists) = (query_lists.map(lock), column_lists.map(lock));
        let tell = Tell {
            x: self.x,
            sieve,
            queries,
            columns,
            dots: &dots,
            query_lists: query_lists.as_deref_mut(),
            column_lists: column_lists.as_deref_mut(),
        };
        wide!(tell.run());
    }
}

/// Measures the pairs of a block that pass, once, and offers each side to the other's list.
struct Tell<'t, 'q, 'c> {
    x: &'t Matrix,
    sieve: &'t Sieve<'t>,
    queries: &'t [u32],
    columns: Range<usize>,
    dots: &'t [f32],
    query_lists: Option<&'t mut Lists<'q>>,
    column_lists: Option<&'t mut Lists<'c>>,
}

impl Tell<'_, '_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self {
            x,
            sieve,
            queries,
            columns,
            dots,
            mut query_lists,
            mut column_lists,
        } = self;
        let halves = &sieve.halves[columns.clone()];
        let mut bars = sieve.bars(columns.clone(), column_lists.as_deref());
        for (slot, (&query, dots)) in queries
            .iter()
            .zip(dots.chunks_exact(columns.len()))
            .enumerate()
        {
            let row = query as usize;
            let half = sieve.halves[row];
            let mut bar = sieve.bar(row, slot, query_lists.as_deref());
            for start in (0..columns.len()).step_by(CHUNK) {
                let lanes = start..(start + CHUNK).min(columns.len());
                if !any_passes(
                    &dots[lanes.clone()],
                    &halves[lanes.clone()],
                    bar,
                    &bars[lanes.clone()],
                    half,
                ) {
                    continue;
                }
                for lane in lanes {
                    let candidate = columns.start + lane;
                    if !passes(dots[lane], halves[lane], bar, bars[lane], half) || row == candidate
                    {
                        continue;
                    }
                    let open = |lists: Option<&Lists<'_>>, slot, id| {
                        lists.is_some_and(|lists| lists.is_open(slot, id))
                    };
                    if !open(query_lists.as_deref(), slot, candidate as u32)
                        && !open(column_lists.as_deref(), lane, query)
                    {
                        continue;
                    }
                    let apart = distance(x.row(row), x.row(candidate));
                    if let Some(lists) = query_lists.as_deref_mut()
                        && lists.offer(slot, apart, candidate as u32)
                    {
                        bar = sieve.bar(row, slot, Some(lists));
                    }
                    if let Some(lists) = column_lists.as_deref_mut()
                        && lists.offer(lane, apart, query)
                    {
                        bars[lane] = sieve.bar(candidate, lane, Some(lists));
                    }
                }
            }
        }
    }
}

impl<'a> Sieve<'a> {
    fn new(rows: Cow<'a, Matrix>, squares: &[f32], slack: f32) -> Self {
        // With u = 2⁻²⁴, a D-term product in any order errs by at most D·u·|x||y| ≤ D·u·(|x|² + |y|²)/2, and the
        // distance we compare with by less than (D/16 + 8)·u relatively, of at most 2(|x|² + |y|²).
        let epsilon = (2.0 * rows.dims() as f32 + 64.0) / (1u32 << 24) as f32;
        let halves = squares
            .iter()
            .map(|s| s * 0.5 * (1.0 - epsilon) - 1e-30)
            .collect();
        Self {
            rows,
            halves,
            slack,
        }
    }

    /// A candidate passes for the list at `slot` of `row` if `dot − half(candidate) ≥ half(row) − worst²/2`, and never
    /// where there is no list.
    #[inline(always)]
    fn bar(&self, row: usize, slot: usize, lists: Option<&Lists<'_>>) -> f32 {
        lists.map_or(f32::INFINITY, |lists| {
            self.halves[row] - (lists.worst(slot).0 + self.slack).powi(2) * 0.500_001
        })
    }

    fn bars(&self, rows: impl Iterator<Item = usize>, lists: Option<&Lists<'_>>) -> Vec<f32> {
        rows.enumerate()
            .map(|(slot, row)| self.bar(row, slot, lists))
            .collect()
    }

    /// Writes the products of queries × columns.
    fn products(&self, queries: &[u32], columns: &Range<usize>, out: &mut [f32]) {
        let d = self.rows.dims();
        let (m, n) = (queries.len(), columns.len());
        let gathered: Vec<f32>;
        let contiguous = queries
            .windows(2)
            .all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        let rows = if contiguous && m > 0 {
            let first = queries[0] as usize;
            &self.rows.data()[first * d..(first + m) * d]
        } else {
            gathered = queries
                .iter()
                .flat_map(|&q| self.rows.row(q as usize))
                .copied()
                .collect();
            &gathered
        };
        let columns = &self.rows.data()[columns.start * d..columns.end * d];
        product(
            out,
            View::row_major(rows, m, d),
            View::row_major(columns, n, d).transposed(),
        );
    }

    /// About how many pairs pass.
    fn passing(
        &self,
        queries: &[u32],
        columns: &Range<usize>,
        dots: &[f32],
        query_lists: Option<&Mutex<Lists<'_>>>,
        column_lists: Option<&Mutex<Lists<'_>>>,
    ) -> usize {
        let query_rows = queries.iter().map(|&q| q as usize);
        let query_bars = self.bars(query_rows, query_lists.map(lock).as_deref());
        let column_bars = self.bars(columns.clone(), column_lists.map(lock).as_deref());
        let halves = &self.halves[columns.clone()];
        let mut count = 0;
        for ((&query, bar), dots) in queries
            .iter()
            .zip(query_bars)
            .zip(dots.chunks_exact(columns.len()))
            .step_by(PASSING_STEP)
        {
            let half = self.halves[query as usize];
            let passing: u32 = (0..dots.len())
                .map(|lane| {
                    u32::from(passes(
                        dots[lane],
                        halves[lane],
                        bar,
                        column_bars[lane],
                        half,
                    ))
                })
                .sum();
            count += passing as usize;
        }
        count * PASSING_STEP
    }
}

fn lock<'l, 'a>(lists: &'l Mutex<Lists<'a>>) -> MutexGuard<'l, Lists<'a>> {
    // A poisoned lock means another block panicked; that panic is already on its way to the caller.
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Candidates rejected by one comparison.
const CHUNK: usize = 32;

/// Whether a pair passes for its query or for its column, of which each has a half and a bar.
#[inline(always)]
fn passes(dot: f32, column_half: f32, query_bar: f32, column_bar: f32, query_half: f32) -> bool {
    dot - column_half >= query_bar || dot - column_bar >= query_half
}

/// Whether one of a row of columns passes; written so that it vectorises.
#[inline(always)]
fn any_passes(dots: &[f32], halves: &[f32], bar: f32, bars: &[f32], half: f32) -> bool {
    let len = dots.len();
    let (halves, bars) = (&halves[..len], &bars[..len]);
    let mut any = 0;
    for i in 0..len {
        any |= u32::from((dots[i] - halves[i] >= bar) | (dots[i] - bars[i] >= half));
    }
    any > 0
}

#[cfg(test)]
mod tests {
    use super::super::knn::Knn;
    use super::*;

    /// Rows of rank 20 with a common direction, each third close to the row before it.
    fn low_rank(n: usize, d: usize) -> Matrix {
        let mut random = Random::new(3, 1);
        let directions: Vec<f32> = (0..20 * d).map(|_| random.signed() as f32).collect();
        let mut x = Matrix::new(d);
        for i in 0..n {
            let mut row = vec![3.0f32; d];
            for direction in directions.chunks_exact(d) {
                let at = random.signed() as f32;
                row.iter_mut()
                    .zip(direction)
                    .for_each(|(v, w)| *v += at * w);
            }
            if i % 3 == 1 {
                row.copy_from_slice(x.row(i - 1));
            }
            row.iter_mut()
                .for_each(|v| *v += random.signed() as f32 * 1e-4);
            x.push(&row);
        }
        x
    }

    #[test]
    fn the_sketch_rejects_much_and_changes_nothing() {
        const K: usize = 15;
        let mut x = low_rank(SKETCH_ROWS + 100, 4 * SKETCH);
        for outlier in [false, true] {
            if outlier {
                // Its length makes the slack so wide that nothing is rejected any more.
                x.row_mut(5).iter_mut().for_each(|v| *v *= 1e4);
            }
            let n = x.rows();
            let squares = distance::squares(&x, 0..n).expect("finite rows");
            let queries: Vec<u32> = (0..200).map(|i| i * 41).collect();
            let (mut ids, mut distances) = (vec![NOBODY; 200 * K], vec![f32::INFINITY; 200 * K]);
            let lists = Mutex::new(Lists {
                k: K,
                ids: &mut ids,
                distances: &mut distances,
            });
            Rows::new(&x, &squares).visit(&queries, 0..n, Some(&lists), None);
            let rows = Rows::with_sketch(&x, &squares).expect("finite rows");
            let sketch = rows.sketch.expect("enough rows and dimensions");
            let mut dots = vec![0.0; 200 * n];
            sketch.products(&queries, &(0..n), &mut dots);
            let passing = sketch.passing(&queries, &(0..n), &dots, Some(&lists), None);
            assert_eq!(passing > dots.len() / SKETCH_PAYS, outlier, "{passing}");
            let knn = Knn::build(&x, K).expect("finite rows");
            for (slot, &query) in queries.iter().enumerate() {
                let row = slot * K..(slot + 1) * K;
                let expected = (&ids[row.clone()], &distances[row]);
                assert_eq!(knn.list(query as usize), expected, "row {query}");
            }
        }
    }
}
