//! What keeps items near their places while a grid is polished: a price for the distance from home, a price for leaving
//! the present place, and limits to both.
//!
//! Prices are in mean distances of direct neighbours, as the energies that they are weighed against. Distances between
//! cells are the larger of the column and row difference.

/// Column and row; [`NOWHERE`] stands for a place that an item does not have.
pub(super) type Place = [i32; 2];

/// The place of an item that is bound to none.
pub(super) const NOWHERE: Place = [i32::MIN; 2];

/// The ties of all items, in item order.
///
/// The price of the distance is linear, because the mean distance is to be small; the limit keeps single items from
/// going too far. A quadratic price was not better.
pub(super) struct Ties {
    /// Home of each item, or [`NOWHERE`].
    pub(super) homes: Vec<Place>,
    /// Place of each item before the operation, or [`NOWHERE`] for those that are new.
    pub(super) from: Vec<Place>,
    /// Price of each cell between an item and its home.
    pub(super) spring: f32,
    /// Price of leaving the place before the operation.
    pub(super) stay: f32,
    /// Share of that price which items without a home pay: they have just arrived, and no visitor has seen them there
    /// yet.
    pub(super) homeless: f32,
    /// Farthest that an item may go from its home, cells; one that is farther may only come closer.
    pub(super) from_home: u32,
    /// Farthest that an item may go from its place before the operation, cells.
    pub(super) from_place: u32,
}

impl Ties {
    /// What `item` pays for going from one place to another; infinite where it may not.
    #[inline(always)]
    pub(super) fn price(&self, item: u32, now: Place, then: Place) -> f32 {
        let mut price = 0.0;
        let home = self.homes[item as usize];
        if home != NOWHERE {
            let (near, far) = (apart(home, now), apart(home, then));
            if far > near && far > self.from_home {
                return f32::INFINITY;
            }
            price += self.spring * (far as f32 - near as f32);
        }
        let from = self.from[item as usize];
        if from != NOWHERE {
            if apart(from, then) > self.from_place {
                return f32::INFINITY;
            }
            let share = if home == NOWHERE { self.homeless } else { 1.0 };
            price += share * self.stay * (f32::from(then != from) - f32::from(now != from));
        }
        price
    }

    /// 1 where a step takes `item` off its place before the operation, -1 where it takes it back, else 0.
    #[inline(always)]
    pub(super) fn leaves(&self, item: u32, now: Place, then: Place) -> i64 {
        match self.from[item as usize] {
            NOWHERE => 0,
            from => i64::from(then != from) - i64::from(now != from),
        }
    }

    /// Whether `item` may step from one place to another without going farther from its home than it may.
    #[inline(always)]
    pub(super) fn may(&self, item: u32, now: Place, then: Place) -> bool {
        let home = self.homes[item as usize];
        home == NOWHERE || apart(home, then) <= self.from_home.max(apart(home, now))
    }
}

/// The larger of the column and row difference.
#[inline(always)]
pub(super) fn apart(a: Place, b: Place) -> u32 {
    a[0].abs_diff(b[0]).max(a[1].abs_diff(b[1]))
}
