//! Embeddings of works that are gone: kept in case they come back, and dropped when they outnumber those in use.

use crate::{
    artwork::ContentHash,
    store::{Store, StoreError},
};
use std::collections::HashSet;

/// Embeddings that may be kept beyond one and a half per work.
const SPARE: usize = 1_000;
/// Arrivals between two readings of the store; each reads all of it.
const LOOK_EVERY: usize = 1_000;

/// Decides when to read the store, and drops what is not needed.
pub(super) struct Forget {
    /// Works that were placed since the store was read.
    arrived: usize,
}

impl Default for Forget {
    /// The store may be read soon after the start.
    fn default() -> Self {
        Self {
            arrived: LOOK_EVERY,
        }
    }
}

impl Forget {
    /// Counts works that were placed.
    pub(super) fn arrived(&mut self, works: usize) {
        self.arrived += works;
    }

    /// Drops what is not `used` by any model, if there is too much of it; returns how many.
    pub(super) fn collect(
        &mut self,
        store: &dyn Store,
        used: &HashSet<ContentHash>,
    ) -> Result<u64, StoreError> {
        let too_many = || Ok(store.contents()? > 3 * used.len() / 2 + SPARE);
        if self.arrived < LOOK_EVERY || !too_many()? {
            return Ok(0);
        }
        // Whether it really has so many.
        let damaged = store.collect(&|_, _| true)?;
        self.arrived = 0;
        match too_many()? {
            true => Ok(damaged + store.collect(&|hash, _| used.contains(hash))?),
            false => Ok(damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{embed::ModelId, store::MemoryStore};

    fn hash(i: usize) -> ContentHash {
        ContentHash::of(&i.to_le_bytes())
    }

    #[test]
    fn what_is_gone_stays_for_a_while_and_what_is_used_for_good() {
        let store = MemoryStore::default();
        let model = ModelId("m".to_owned());
        let put = |from: usize, to: usize| {
            let batch: Vec<_> = (from..to).map(|i| (hash(i), vec![1.0])).collect();
            store.put_embeddings(&model, &batch).expect("stored");
        };
        let used: HashSet<_> = (0..100).map(hash).collect();
        let mut forget = Forget::default();
        put(0, 1_150);
        assert_eq!(forget.collect(&store, &used).expect("few"), 0);
        put(1_150, 1_151);
        assert_eq!(forget.collect(&store, &used).expect("dropped"), 1_051);
        put(100, 1_151);
        forget.arrived(LOOK_EVERY - 1);
        assert_eq!(forget.collect(&store, &used).expect("not yet"), 0);
        forget.arrived(1);
        assert_eq!(forget.collect(&store, &used).expect("dropped"), 1_051);
        let there = |i| store.has_embedding(&hash(i), &model).expect("read");
        assert!((0..100).all(there) && !there(100));
    }
}
