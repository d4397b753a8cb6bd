//! The linear assignment problem for small dense matrices: Jonker and Volgenant's algorithm (Computing 38, 1987).
//!
//! Costs are integers, so results do not depend on rounding. Everything lies in fixed arrays: solving allocates nothing.
//! A column's number is packed below its cost, so that one minimum over plain integers finds both: loops over a fixed
//! number of columns without branches turn into vector instructions.

/// Largest number of rows.
pub(super) const MAX: usize = 64;
/// Largest cost that is allowed.
pub(super) const MAX_COST: i32 = 1 << 12;
/// What a column beyond the problem's size costs: more than any path through the others.
const PADDING: i32 = 1 << 22;
/// Marks a row or column without partner.
const NONE: u32 = u32::MAX;
/// Set in a packed key when its column is taken.
const TAKEN: i32 = 1 << 6;

/// Costs and working space for problems of up to [`MAX`] rows.
pub(super) struct Lap {
    /// `cost[row][col]`, 0 to [`MAX_COST`]; what lies beyond the problem's size is overwritten.
    pub(super) cost: [[i32; MAX]; MAX],
    price: [i32; MAX],
    row_of: [u32; MAX],
    col_of: [u32; MAX],
    free: [u32; MAX],
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
        }
    }

    /// Assigns `n ≤ MAX` rows to columns at least cost; returns the column of each row.
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
            row[n..W].fill(PADDING);
        }
        let mut free = self.reduce_columns::<W>(n);
        for _ in 0..2 {
            free = self.reduce_rows::<W>(n, free);
        }
        for i in 0..free {
            self.augment::<W>(self.free[i] as usize);
        }
    }

    /// Column reduction and reduction transfer; returns how many rows stay free.
    #[inline(always)]
    fn reduce_columns<const W: usize>(&mut self, n: usize) -> usize {
        let mut price = *lead::<W>(&self.cost[0]);
        let mut first = [0i32; W];
        for row in 1..n {
            let costs = lead::<W>(&self.cost[row]);
            for col in 0..W {
                let less = costs[col] < price[col];
                price[col] = price[col].min(costs[col]);
                first[col] = if less { row as i32 } else { first[col] };
            }
        }
        self.price = [0; MAX];
        self.price[..n].copy_from_slice(&price[..n]);
        self.col_of = [NONE; MAX];
        self.row_of = [NONE; MAX];
        let mut columns = [0u32; MAX];
        for col in (0..n).rev() {
            let row = first[col] as usize & (MAX - 1);
            columns[row] += 1;
            if self.col_of[row] == NONE {
                self.col_of[row] = col as u32;
                self.row_of[col] = row as u32;
            }
        }
        let mut free = 0;
        for (row, &columns) in columns[..n].iter().enumerate() {
            match columns {
                0 => {
                    self.free[free] = row as u32;
                    free += 1;
                }
                1 => {
                    let own = self.col_of[row] as usize;
                    let kept = std::mem::replace(&mut self.price[own], -PADDING);
                    self.price[own] = kept - (self.least::<W>(row) >> 7);
                }
                _ => {}
            }
        }
        free
    }

    /// Packed least reduced cost in a row.
    #[inline(always)]
    fn least<const W: usize>(&self, row: usize) -> i32 {
        let (costs, price) = (lead::<W>(&self.cost[row]), lead::<W>(&self.price));
        let mut least = i32::MAX;
        for col in 0..W {
            least = least.min(((costs[col] - price[col]) << 7) | col as i32);
        }
        least
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
            let first = self.least::<W>(row);
            let best = (first & 63) as usize;
            let kept = std::mem::replace(&mut self.price[best], -PADDING);
            let second = self.least::<W>(row);
            self.price[best] = kept;
            let (least, runner_up) = (first >> 7, second >> 7);
            let mut col = best;
            if least < runner_up {
                self.price[best] -= runner_up - least;
            } else if self.row_of[best] != NONE {
                col = (second & 63) as usize;
            }
            let holder = self.row_of[col];
            self.row_of[col] = row as u32;
            self.col_of[row] = col as u32;
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
        let mut dist = [PADDING; W];
        let mut before = [0i32; W];
        // What is packed below a distance. A scanned column has the least distance, so that nothing improves it, and a
        // tag that makes its key the greatest.
        let mut tags = [0i32; W];
        for (col, tag) in tags.iter_mut().enumerate() {
            let taken = self.row_of[col] != NONE;
            *tag = if taken {
                TAKEN | col as i32
            } else {
                col as i32
            };
        }
        let mut scanned = [(0u8, 0i32); MAX];
        let mut scans = 0;
        let (mut row, mut offset) = (start, 0);
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
                nearest = nearest.min((dist[col] << 7) | tags[col]);
            }
            let (reach, col) = (nearest >> 7, (nearest & 63) as usize);
            if nearest & TAKEN == 0 {
                break (col, reach);
            }
            dist[col] = i32::MIN;
            tags[col] = i32::MAX;
            scanned[scans] = (col as u8, reach);
            scans += 1;
            row = self.row_of[col] as usize;
            offset = reach - (self.cost[row][col] - self.price[col]);
        };
        for &(col, dist) in &scanned[..scans] {
            self.price[col as usize] += dist - reach;
        }
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
            .map(|c| cost[row][c] + brute(cost, n, row + 1, used | 1 << c))
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
                    lap.cost[row][col] = rng.below(values) as i32;
                }
            }
            let cols = lap.solve(n).to_vec();
            let mut seen = [false; MAX];
            let mut sum = 0;
            for (row, &col) in cols.iter().enumerate() {
                assert!(!std::mem::replace(&mut seen[col as usize], true));
                sum += lap.cost[row][col as usize];
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
                    lap.cost[row][col] = rng.below(values) as i32;
                }
            }
            let mut cols = lap.solve(MAX).to_vec();
            cols.sort_unstable();
            assert_eq!(cols, (0..MAX as u32).collect::<Vec<_>>());
        }
    }
}
