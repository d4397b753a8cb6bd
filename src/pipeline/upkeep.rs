//! Cleaning up between tasks: files that nobody needs any more are removed, and works that must leave no trace are
//! erased.

use super::{Pipeline, erase};
use crate::rebuild::Departed;
use crate::{disk, domain::ContentHash, watch::Rules};
use std::fs;

/// Name of the file in the state folder that says which mass opt-out is not erased yet, and how many works it has.
pub const OPT_OUT_HELD: &str = "opt-out-held";
/// An opt-out of at least so many works, and of more than half of all, may be a mistake: it is erased when the grace
/// period is over, or when it is confirmed.
const MASS: usize = 10;
/// The store's files may be this much larger than they need to be.
const SPARE_BYTES: u64 = 4 << 20;

impl Pipeline {
    /// Brings `mosaic.jpg` and the like up to date before the daemon ends: afterwards they would be drawn as a whole.
    pub fn end(&mut self, now_ms: u64) {
        if let Err(error) = self.publisher.catch_up(&self.cells, now_ms) {
            tracing::warn!(%error, "mosaic.jpg is older than the tiles; the next start draws it");
        }
    }

    /// Removes files of old generations, cells that no work needs, and embeddings beyond those that may come back.
    ///
    /// Files may be read meanwhile: cells made since the last call stay, because their works may not be placed yet;
    /// an embedding made meanwhile may be removed, and is then made again.
    pub fn collect(&mut self, now_ms: u64) {
        self.cramped = false;
        let expired = self.collection.expire(now_ms);
        self.unsaved |= expired;
        self.unneeded |= expired;
        self.erase();
        if let Err(error) = self.publisher.collect(now_ms) {
            self.complaints
                .warn("old generations could not be removed", &error);
        }
        self.collect_renditions(now_ms);
        if self.collected == self.publisher.generation() {
            return;
        }
        self.collected = self.publisher.generation();
        // Nothing waits to be placed any more.
        self.unneeded |= self.imported.clear();
        let used = self.used();
        let still = !std::mem::take(&mut self.unneeded);
        if let Err(error) = self.cells.collect(still, |hash| used.contains(hash)) {
            self.complaints
                .warn("unneeded cells could not be removed", &error);
        }
        match self.forget.collect(&*self.store, &used) {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "removed embeddings of works that are gone"),
            Err(error) => self
                .complaints
                .warn("unneeded embeddings could not be removed", &error),
        }
        self.give_room_back();
    }

    /// Removes renditions that no work has needed for a while: readers may hold an old manifest.
    fn collect_renditions(&mut self, now_ms: u64) {
        // What is published now must stay, whatever became of its work since.
        let Some(manifest) = self.publisher.manifest() else {
            return;
        };
        let mut needed = self.used();
        needed.extend(manifest.works.iter().map(|work| work.hash));
        let grace_ms = self.publisher.grace_ms();
        if let Err(error) = self.renditions.retain(&needed, now_ms, grace_ms) {
            self.complaints
                .warn("unneeded renditions could not be removed", &error);
        }
    }

    /// Rewrites the store if its files take up much more than what is stored. Each save appends: some 200 KB an
    /// arrival at 5,000 works. To be called after every task, so that neither restarts nor a long import put it off;
    /// after a failure, for which a full disk is the likely reason, not before the next [`Pipeline::collect`].
    pub fn give_room_back(&mut self) {
        if self.cramped {
            return;
        }
        match self.store.compact(SPARE_BYTES) {
            Ok(false) => {}
            Ok(true) => tracing::info!("the store was shrunk"),
            Err(error) => {
                self.cramped = true;
                self.complaints
                    .warn("the store could not be shrunk", &error);
            }
        }
    }

    /// Takes over the owner's patterns. The next task takes out the works that they name, and erases them from disk; traces
    /// of such works that are not placed any more are erased now.
    pub fn forbid(&mut self, rules: Rules) {
        self.erasing.forbid(rules);
        self.erase();
    }

    /// The owner confirms that the works of a mass opt-out are to be erased: those that the digest stands for.
    pub fn confirm_erasing(&mut self, digest: ContentHash) {
        self.confirmed_erasing = Some(digest);
        self.erase();
    }

    /// Notes in the state folder which mass opt-out is not erased yet.
    fn note_held(&mut self, named: &[u64]) {
        let path = self.state.join(OPT_OUT_HELD);
        let noted = match named {
            [] if !path.exists() => return,
            [] => fs::remove_file(&path),
            named => {
                disk::replace_durably(&path, &format!("{} {}\n", digest_of(named), named.len()))
            }
        };
        if let Err(error) = noted {
            tracing::debug!(%error, path = OPT_OUT_HELD, "cannot be written");
        }
    }

    /// Erases what the patterns took out, once they name no placed work any more. A failure is tried again.
    pub(super) fn erase(&mut self) {
        let works = &self.collection.works;
        if !self
            .erasing
            .is_due(works.iter().map(|work| work.path.as_path()))
        {
            // A pattern that was taken back has nothing held any more.
            return self.note_held(&[]);
        }
        // Its images are further names of the renditions.
        if let (Some(iiif), Some(manifest)) = (&mut self.iiif, self.publisher.manifest())
            && let Err(error) = iiif.note(manifest)
        {
            let what = "what the ignore patterns name is not erased yet; trying again";
            return self.complaints.warn(what, &error);
        }
        let (departed, erasing) = (&self.collection.departed, &self.erasing);
        let named = departed.iter().filter(|one| erasing.names(&one.path));
        let named: Vec<u64> = named.map(|one| one.id.0).collect();
        let mass = named.len() >= MASS && 2 * named.len() > works.len() + named.len();
        let held = mass && self.confirmed_erasing != Some(digest_of(&named));
        self.note_held(if held { &named } else { &[] });
        if held {
            // Nothing of it is to be seen; what is private stays until it is sure that the owner means it.
            let output = (&mut self.publisher, &mut self.history_files);
            let seen = erase::erase_output(output, &self.renditions, std::iter::empty());
            if let Err(error) = seen {
                let what = "what the ignore patterns name is not erased yet; trying again";
                self.complaints.warn(what, &error);
            }
            return;
        }
        let before = self.collection.departed.len();
        let erasing = &self.erasing;
        let named = |departed: &Departed| erasing.names(&departed.path);
        self.collection.departed.retain(|departed| !named(departed));
        if self.collection.departed.len() != before {
            (self.unsaved, self.unneeded) = (true, true);
        }
        if self.unsaved
            && let Err(error) = self.save()
        {
            let what = "what the ignore patterns name is not erased yet; trying again";
            return self.complaints.warn(what, &error);
        }
        let used = self.used();
        let history_files = &mut self.history_files;
        let output = (&mut self.publisher, history_files);
        let kept = (&*self.cells, &*self.store, &*self.renditions);
        if self.imported.under(&self.erasing.digest()).next().is_none() {
            self.unneeded |= self.imported.clear();
        }
        let erased = erase::erase(output, kept, &used)
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

/// Stands for a set of works.
fn digest_of(ids: &[u64]) -> ContentHash {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    ContentHash::of(&bytes)
}
