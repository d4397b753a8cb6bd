//! The linear assignment problem for small dense matrices: Jonker and Volgenant's algorithm (Computing 38, 1987).
//!
//! Costs are integers, so results do not depend on rounding. Everything lies in fixed arrays: solving allocates nothing.

/// Largest number of rows.
pub(super) const MAX: usize = 64;
const NONE: u32 = u32::MAX;

/// Costs and working space for problems of up to [`MAX`] rows.
pub(super) struct Lap {
    /// `cost[row][col]`, 0 to 2²⁰; columns beyond the problem's size are never read.
    pub(super) cost: [[i32; MAX]; MAX],
    price: [i32; MAX],
    row_of: [u32; MAX],
    col_of: [u32; MAX],
    dist: [i32; MAX],
    before: [u32; MAX],
    order: [u32; MAX],
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
            dist: [0; MAX],
            before: [0; MAX],
            order: [0; MAX],
            free: [0; MAX],
        }
    }

    /// Assigns `n ≤ MAX` rows to columns at least cost; returns the column of each row.
    #[inline(always)]
    pub(super) fn solve(&mut self, n: usize) -> &[u32] {
        let n = n.min(MAX);
        let mut free = self.reduce_columns(n);
        for _ in 0..2 {
            free = self.reduce_rows(n, free);
        }
        for i in 0..free {
            self.augment(n, self.free[i] as usize);
        }
        &self.col_of[..n]
    }

    /// Column reduction and reduction transfer; returns how many rows stay free.
    #[inline(always)]
    fn reduce_columns(&mut self, n: usize) -> usize {
        self.price[..n].copy_from_slice(&self.cost[0][..n]);
        self.before[..n].fill(0);
        for row in 1..n {
            for col in 0..n {
                let c = self.cost[row][col];
                if c < self.price[col] {
                    self.price[col] = c;
                    self.before[col] = row as u32;
                }
            }
        }
        self.col_of[..n].fill(NONE);
        self.row_of[..n].fill(NONE);
        // `order` counts how many columns have their least cost in a row.
        self.order[..n].fill(0);
        for col in (0..n).rev() {
            let row = self.before[col] as usize;
            self.order[row] += 1;
            if self.col_of[row] == NONE {
                self.col_of[row] = col as u32;
                self.row_of[col] = row as u32;
            }
        }
        let mut free = 0;
        for row in 0..n {
            match self.order[row] {
                0 => {
                    self.free[free] = row as u32;
                    free += 1;
                }
                1 => {
                    let own = self.col_of[row] as usize;
                    let mut least = i32::MAX;
                    for col in 0..n {
                        let c = self.cost[row][col] - self.price[col];
                        if col != own && c < least {
                            least = c;
                        }
                    }
                    if n > 1 {
                        self.price[own] -= least;
                    }
                }
                _ => {}
            }
        }
        free
    }

    /// Augmenting row reduction over the first `free` free rows; returns how many stay free.
    #[inline(always)]
    fn reduce_rows(&mut self, n: usize, free: usize) -> usize {
        let (mut k, mut left) = (0, 0);
        // Ties could pass a column back and forth for long; the budget ends that, augmentation finishes the work.
        let mut budget = 8 * n;
        while k < free {
            let row = self.free[k] as usize;
            k += 1;
            let (mut least, mut second) = (i32::MAX, i32::MAX);
            let (mut best, mut next) = (0, 0);
            for col in 0..n {
                let c = self.cost[row][col] - self.price[col];
                if c < second {
                    if c < least {
                        second = least;
                        next = best;
                        least = c;
                        best = col;
                    } else {
                        second = c;
                        next = col;
                    }
                }
            }
            let mut holder = self.row_of[best];
            if n > 1 && least < second {
                self.price[best] -= second - least;
            } else if n > 1 && holder != NONE {
                best = next;
                holder = self.row_of[best];
            }
            self.row_of[best] = row as u32;
            self.col_of[row] = best as u32;
            if holder != NONE {
                self.col_of[holder as usize] = NONE;
                if n > 1 && least < second && budget > 0 {
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
    fn augment(&mut self, n: usize, start: usize) {
        for col in 0..n {
            self.dist[col] = self.cost[start][col] - self.price[col];
            self.before[col] = start as u32;
            self.order[col] = col as u32;
        }
        // order[..done]: scanned; order[done..near]: at the present least distance; order[near..]: beyond it.
        let (mut done, mut near) = (0, 0);
        let mut least = 0;
        let end = 'search: loop {
            if near == done {
                least = self.dist[self.order[near] as usize];
                near += 1;
                for k in near..n {
                    let col = self.order[k];
                    let d = self.dist[col as usize];
                    if d <= least {
                        if d < least {
                            near = done;
                            least = d;
                        }
                        self.order.swap(k, near);
                        near += 1;
                    }
                }
                for k in done..near {
                    let col = self.order[k] as usize;
                    if self.row_of[col] == NONE {
                        break 'search col;
                    }
                }
            }
            let from = self.order[done] as usize;
            done += 1;
            let row = self.row_of[from] as usize;
            let offset = self.cost[row][from] - self.price[from] - least;
            for k in near..n {
                let col = self.order[k] as usize;
                let d = self.cost[row][col] - self.price[col] - offset;
                if d < self.dist[col] {
                    self.before[col] = row as u32;
                    self.dist[col] = d;
                    if d == least {
                        if self.row_of[col] == NONE {
                            // Columns scanned so far get their prices below; `done` says which they are.
                            break 'search col;
                        }
                        self.order.swap(k, near);
                        near += 1;
                    }
                }
            }
        };
        for k in 0..done {
            let col = self.order[k] as usize;
            if self.dist[col] < least {
                self.price[col] += self.dist[col] - least;
            }
        }
        let mut col = end;
        loop {
            let row = self.before[col] as usize;
            self.row_of[col] = row as u32;
            let previous = self.col_of[row];
            self.col_of[row] = col as u32;
            if row == start {
                break;
            }
            col = previous as usize;
        }
    }
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
            let values = [1, 2, 5, 2048][round / 7 % 4];
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
        for values in [1, 3, 2048, 1 << 20] {
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
