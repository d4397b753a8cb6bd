//! The linear assignment problem for small dense matrices: Jonker and Volgenant's algorithm (Computing 38, 1987).
//!
//! Costs are integers, so results do not depend on rounding. Everything lies in fixed arrays: solving allocates nothing.
//! Instead of the column reduction that the paper begins with, the caller gives prices to begin from.
//! A column's number is packed below its cost, so that one minimum over plain integers finds both: loops over a fixed
//! number of columns without branches turn into vector instructions. Costs and prices are therefore held shifted.

/// Largest number of rows.
pub(super) const MAX: usize = 64;
/// Largest cost that is allowed.
pub(super) const MAX_COST: i32 = 1 << 12;
/// Largest magnitude of a price to begin with.
pub(super) const MAX_PRICE: i32 = 1 << 14;
/// What a column beyond the problem's size costs: more than any path through the others.
const PADDING: i32 = amount(1 << 22);
/// Marks a row or column without partner.
const NONE: u32 = u32::MAX;
/// Bits of the column in a packed number.
const COLUMN: i32 = MAX as i32 - 1;
/// Set in a packed number when its column is taken: of equal numbers, one whose column is free is less.
const TAKEN: i32 = 1 << 6;
/// Columns that are looked at together.
const LANES: usize = 8;

/// A cost or price as it is held.
pub(super) const fn amount(value: i32) -> i32 {
    value << 7
}

/// A cost with its column.
#[inline(always)]
pub(super) const fn packed(cost: i32, col: usize) -> i32 {
    amount(cost) | col as i32
}

/// What was packed with a column, and perhaps marked as taken.
#[inline(always)]
const fn amount_of(packed: i32) -> i32 {
    packed & !(COLUMN | TAKEN)
}

/// The column that was packed.
#[inline(always)]
const fn column_of(packed: i32) -> usize {
    (packed & COLUMN) as usize
}

/// Costs and working space for problems of up to [`MAX`] rows.
pub(super) struct Lap {
    /// `cost[row][col]`, 0 to [`MAX_COST`] and [`packed`]; what lies beyond the problem's size is overwritten.
    pub(super) cost: [[i32; MAX]; MAX],
    /// Price of each column (the dual variables), an [`amount`]. Any start within [`MAX_PRICE`] leads to an assignment
    /// of least cost, at once where the prices are right; those found lie here afterwards.
    pub(super) price: [i32; MAX],
    row_of: [u32; MAX],
    col_of: [u32; MAX],
    free: [u32; MAX],
    /// [`TAKEN`] for columns that have a row.
    taken: [i32; MAX],
}

impl Lap {
    /// Working space with all costs 0.
    pub(super) fn new() -> Self {
        Self {
            cost: [[0; MAX]; MAX],
            price: [0; MAX],
            row_of: [NONE; MAX],
            col_of: [NONE; MAX],
            free: [0; MAX],
            taken: [0; MAX],
        }
    }

    /// Assigns `n ≤ MAX` rows to columns at least cost, beginning from `price`; returns the column of each row.
    pub(super) fn solve(&mut self, n: usize) -> &[u32] {
        match n {
            0..=1 => self.col_of[0] = 0,
            2..=16 => wide!(self.run::<16>(n)),
            17..=32 => wide!(self.run::<32>(n)),
            33..=48 => wide!(self.run::<48>(n)),
            49..=56 => wide!(self.run::<56>(n)),
            _ => wide!(self.run::<MAX>(n.min(MAX))),
        }
        &self.col_of[..n.min(MAX)]
    }

    /// Solves with `W ≥ n` columns.
    #[inline(always)]
    fn run<const W: usize>(&mut self, n: usize) {
        for row in &mut self.cost[..n] {
            for (cost, col) in row[n..W].iter_mut().zip(n as i32..) {
                *cost = PADDING | col;
            }
        }
        self.price[n..].fill(0);
        self.col_of = [NONE; MAX];
        self.row_of = [NONE; MAX];
        self.taken = [0; MAX];
        for (free, row) in self.free[..n].iter_mut().zip(0..) {
            *free = row;
        }
        let mut free = n;
        for _ in 0..2 {
            free = self.reduce_rows::<W>(n, free);
        }
        for i in 0..free {
            self.augment::<W>(self.free[i] as usize);
        }
    }

    /// Packed least and second least reduced cost in a row.
    #[inline(always)]
    fn least_two<const W: usize>(&self, row: usize) -> (i32, i32) {
        let (costs, price) = (lead::<W>(&self.cost[row]), lead::<W>(&self.price));
        let (mut first, mut second) = ([i32::MAX; LANES], [i32::MAX; LANES]);
        for start in (0..W).step_by(LANES) {
            for lane in 0..LANES {
                let col = start + lane;
                let key = costs[col] - price[col];
                second[lane] = second[lane].min(first[lane].max(key));
                first[lane] = first[lane].min(key);
            }
        }
        for half in [4, 2, 1] {
            for lane in 0..half {
                let greater = first[lane].max(first[lane + half]);
                second[lane] = second[lane].min(second[lane + half]).min(greater);
                first[lane] = first[lane].min(first[lane + half]);
            }
        }
        (first[0], second[0])
    }

    /// Augmenting row reduction over the first `free` free rows; returns how many stay free.
    #[inline(always)]
    fn reduce_rows<const W: usize>(&mut self, n: usize, free: usize) -> usize {
        let (mut k, mut left) = (0, 0);
        // Ties could pass a column back and forth for long; the budget ends that, augmentation finishes the work.
        let mut budget = 8 * n;
        while k < free {
            let row = self.free[k] as usize;
            k += 1;
            let (first, second) = self.least_two::<W>(row);
            let best = column_of(first);
            let (least, runner_up) = (amount_of(first), amount_of(second));
            let mut col = best;
            if least < runner_up {
                self.price[best] -= runner_up - least;
            } else if self.row_of[best] != NONE {
                col = column_of(second);
            }
            let holder = self.row_of[col];
            self.row_of[col] = row as u32;
            self.col_of[row] = col as u32;
            self.taken[col] = TAKEN;
            if holder != NONE {
                self.col_of[holder as usize] = NONE;
                if least < runner_up && budget > 0 {
                    budget -= 1;
                    k -= 1;
                    self.free[k] = holder;
                } else {
                    self.free[left] = holder;
                    left += 1;
                }
            }
        }
        left
    }

    /// Assigns one free row by a shortest alternating path (Dijkstra on reduced costs).
    #[inline(always)]
    fn augment<const W: usize>(&mut self, start: usize) {
        let mut dist = [i32::MAX; W];
        let mut before = [0i32; W];
        // Nothing is nearer than a scanned column; its mark makes it the farthest, as distances are not negative.
        let mut marks = *lead::<W>(&self.taken);
        let mut scanned = [(0u8, 0i32); MAX];
        let mut scans = 0;
        let (mut row, mut offset) = (start, amount(MAX_PRICE));
        let (end, reach) = loop {
            let (costs, price) = (lead::<W>(&self.cost[row]), lead::<W>(&self.price));
            let mut nearest = i32::MAX;
            for col in 0..W {
                let d = costs[col] - price[col] + offset;
                before[col] = if d < dist[col] {
                    row as i32
                } else {
                    before[col]
                };
                dist[col] = dist[col].min(d);
                nearest = nearest.min(dist[col] | marks[col]);
            }
            let (reach, col) = (amount_of(nearest), column_of(nearest));
            if nearest & TAKEN == 0 {
                break (col, reach);
            }
            marks[col] = i32::MAX;
            scanned[scans] = (col as u8, reach);
            scans += 1;
            row = self.row_of[col] as usize;
            offset = reach - (amount_of(self.cost[row][col]) - self.price[col]);
        };
        for &(col, dist) in &scanned[..scans] {
            self.price[col as usize] += dist - reach;
        }
        self.taken[end] = TAKEN;
        let mut col = end;
        loop {
            let row = before[col] as usize;
            self.row_of[col] = row as u32;
            let previous = std::mem::replace(&mut self.col_of[row], col as u32);
            if row == start {
                break;
            }
            col = previous as usize;
        }
    }
}

/// The first `W` of the values.
#[inline(always)]
fn lead<const W: usize>(values: &[i32; MAX]) -> &[i32; W] {
    values.first_chunk().expect("W is at most MAX")
}

#[cfg(test)]
mod tests {
    use super::super::rng::Rng;
    use super::*;

    fn brute(cost: &[[i32; MAX]; MAX], n: usize, row: usize, used: u32) -> i32 {
        if row == n {
            return 0;
        }
        (0..n)
            .filter(|c| used & (1 << c) == 0)
            .map(|c| (cost[row][c] >> 7) + brute(cost, n, row + 1, used | 1 << c))
            .min()
            .unwrap_or(0)
    }

    #[test]
    fn finds_the_least_cost_of_every_small_problem() {
        let mut rng = Rng::new(1, 1);
        let mut lap = Lap::new();
        for round in 0..2000 {
            let n = 1 + round % 7;
            // Few distinct values make many ties, many make none.
            let values = [1, 2, 5, MAX_COST as u32][round / 7 % 4];
            for row in 0..n {
                for col in 0..n {
                    lap.cost[row][col] = packed(rng.below(values) as i32, col);
                }
            }
            let cols = lap.solve(n).to_vec();
            let mut seen = [false; MAX];
            let mut sum = 0;
            for (row, &col) in cols.iter().enumerate() {
                assert!(!std::mem::replace(&mut seen[col as usize], true));
                sum += lap.cost[row][col as usize] >> 7;
            }
            assert_eq!(sum, brute(&lap.cost, n, 0, 0), "n {n} values {values}");
        }
    }

    #[test]
    fn large_problems_end_and_assign_every_row() {
        let mut rng = Rng::new(2, 1);
        let mut lap = Lap::new();
        for values in [1, 3, 2048, MAX_COST as u32] {
            for row in 0..MAX {
                for col in 0..MAX {
                    lap.cost[row][col] = packed(rng.below(values) as i32, col);
                }
            }
            let mut cols = lap.solve(MAX).to_vec();
            cols.sort_unstable();
            assert_eq!(cols, (0..MAX as u32).collect::<Vec<_>>());
        }
    }
}
