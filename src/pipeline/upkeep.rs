//! Keeping house between tasks: what nobody needs any more is removed, and what must leave no trace is erased.

use super::{Pipeline, erase};
use crate::{artwork::ContentHash, watch::Rules};
use std::collections::HashSet;

/// The store's files may be this much larger than they need to be.
const SPARE_BYTES: u64 = 8 << 20;

impl Pipeline {
    /// Removes files of old generations, cells that no work needs, and embeddings beyond those that may come back.
    ///
    /// Called when nothing is being read; what was made meanwhile is found missing and made again.
    pub fn collect(&mut self, now_ms: u64) {
        self.erase();
        if let Err(error) = self.publisher.collect(now_ms) {
            tracing::warn!(%error, "old generations could not be removed");
        }
        if self.collected == self.publisher.generation() {
            return;
        }
        self.collected = self.publisher.generation();
        let used: HashSet<ContentHash> =
            self.collection.works.iter().map(|work| work.hash).collect();
        if let Err(error) = self.cells.retain(|hash| used.contains(hash)) {
            tracing::warn!(%error, "unneeded cells could not be removed");
        }
        match self.forget.collect(&*self.store, &used) {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "forgot embeddings of works that are gone"),
            Err(error) => tracing::warn!(%error, "unneeded embeddings could not be removed"),
        }
        match self.store.compact(SPARE_BYTES) {
            Ok(false) => {}
            Ok(true) => tracing::info!("the store gave room back"),
            Err(error) => tracing::warn!(%error, "the store could not give room back"),
        }
    }

    /// Takes over the owner's patterns. What they name is taken out by the next task, which then erases it from disk;
    /// what of it was placed once and is not any more is erased now.
    pub fn forbid(&mut self, rules: Rules) {
        self.erasing.forbid(rules);
        self.erase();
    }

    /// Erases what the patterns took out, once no placed work bears such a name. A failure is tried again.
    pub(super) fn erase(&mut self) {
        let works = &self.collection.works;
        if !self
            .erasing
            .is_due(works.iter().map(|work| work.path.as_path()))
        {
            return;
        }
        let used: HashSet<ContentHash> = works.iter().map(|work| work.hash).collect();
        let chronicle = &mut self.chronicle;
        let output = (&mut self.publisher, chronicle);
        let erased = erase::erase(output, &self.cells, &*self.store, &used)
            .and_then(|erased| self.erasing.done().map(|()| erased));
        match erased {
            Ok(erased) => tracing::info!(
                embeddings = erased.embeddings,
                files = erased.files,
                "what the ignore patterns name is erased"
            ),
            Err(error) => {
                tracing::warn!(%error, "what the ignore patterns name is not erased yet; trying again")
            }
        }
    }
}
