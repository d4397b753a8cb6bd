//! Keeping house between tasks: what nobody needs any more is removed, and what must leave no trace is erased.

use super::{Pipeline, erase};
use crate::rebuild::Departed;
use crate::{artwork::ContentHash, watch::Rules};
use std::collections::HashSet;

/// The store's files may be this much larger than they need to be.
const SPARE_BYTES: u64 = 4 << 20;

impl Pipeline {
    /// Removes files of old generations, cells that no work needs, and embeddings beyond those that may come back.
    ///
    /// Called when nothing is being read; what was made meanwhile is found missing and made again.
    pub fn collect(&mut self, now_ms: u64) {
        self.cramped = false;
        self.erase();
        if let Err(error) = self.publisher.collect(now_ms) {
            self.complaints
                .warn("old generations could not be removed", &error);
        }
        if self.collected == self.publisher.generation() {
            return;
        }
        self.collected = self.publisher.generation();
        let used = self.used();
        if let Err(error) = self.cells.retain(|hash| used.contains(hash)) {
            self.complaints
                .warn("unneeded cells could not be removed", &error);
        }
        match self.forget.collect(&*self.store, &used) {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "forgot embeddings of works that are gone"),
            Err(error) => self
                .complaints
                .warn("unneeded embeddings could not be removed", &error),
        }
        self.give_room_back();
    }

    /// Writes the store anew if its files take up much more than what is stored. Each save appends: some 200 KB an
    /// arrival at 5,000 works. To be called after every task, so that neither restarts nor a long import put it off;
    /// after a failure, for which a full disk is the likely reason, not before the next [`Pipeline::collect`].
    pub fn give_room_back(&mut self) {
        if self.cramped {
            return;
        }
        match self.store.compact(SPARE_BYTES) {
            Ok(false) => {}
            Ok(true) => tracing::info!("the store gave room back"),
            Err(error) => {
                self.cramped = true;
                self.complaints
                    .warn("the store could not give room back", &error);
            }
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
        let before = self.collection.departed.len();
        let erasing = &self.erasing;
        let named = |departed: &Departed| erasing.names(&departed.path);
        self.collection.departed.retain(|departed| !named(departed));
        if self.collection.departed.len() != before
            && let Err(error) = self.save()
        {
            let what = "what the ignore patterns name is not erased yet; trying again";
            return self.complaints.warn(what, &error);
        }
        let used = self.used();
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
                let what = "what the ignore patterns name is not erased yet; trying again";
                self.complaints.warn(what, &error);
            }
        }
    }
}
