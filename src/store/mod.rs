//! Durable data: embeddings by content and model, and the placed state.
//!
//! The door of the room. [`record`] and `state` are pure codecs; [`SledStore`] keeps them in sled 0.34.7, heals a
//! damaged database (`open`, `fault`, `salvage`), rewrites it where bytes must go (`rewrite`), and makes every write
//! durable; [`MemoryStore`] is for tests.
//!
//! Invariants:
//! - What a writing call has returned `Ok` for survives `kill -9` and a power cut.
//! - An embedding is returned bit for bit as stored under that content and model, or not at all.
//! - The state is loaded whole, as one save left it, or not at all.
//! - Lack of space, I/O errors, missing permission and a held lock are never taken for damage.
//!
//! The caller knows what the sections of the state mean, and decides what is worth keeping ([`Store::collect`]).

mod engine;
mod fault;
mod memory;
mod open;
pub mod record;
mod rewrite;
mod salvage;
mod sled_store;
mod state;

pub use fault::Damage;
pub use memory::MemoryStore;
pub use sled_store::{Opened, SledStore};
pub use state::StateDamage;

use crate::{artwork::ContentHash, embed::ModelId};
use record::NotStorable;
use std::{collections::BTreeMap, io, path::PathBuf};

/// The store. All methods may be called from any thread; writes take turns.
pub trait Store: Send + Sync {
    /// The embedding of `hash` by `model`. A damaged one reads as `None` (logged), to be embedded again.
    fn embedding(
        &self,
        hash: &ContentHash,
        model: &ModelId,
    ) -> Result<Option<Vec<f32>>, StoreError>;

    /// [`Store::embedding`] of each of these contents, which ascend; quicker where they are most of the store.
    fn embeddings(
        &self,
        hashes: &[ContentHash],
        model: &ModelId,
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        let each = hashes.iter().map(|hash| self.embedding(hash, model));
        each.collect()
    }

    /// Whether [`Store::embedding`] would return one; reads and verifies it, some microseconds.
    fn has_embedding(&self, hash: &ContentHash, model: &ModelId) -> Result<bool, StoreError> {
        Ok(self.embedding(hash, model)?.is_some())
    }

    /// Stores embeddings by one model; durable when it returns. After an error any part of the batch may be stored.
    ///
    /// # Errors
    /// [`StoreError::NotStorable`] before anything is written, for an empty, overlong or non-finite vector.
    fn put_embeddings(
        &self,
        model: &ModelId,
        batch: &[(ContentHash, Vec<f32>)],
    ) -> Result<(), StoreError>;

    /// Replaces the placed state by these sections, all or nothing; durable when it returns. Only chunks of 4 KiB
    /// that differ from the state before are written.
    ///
    /// # Errors
    /// [`StoreError::SectionName`] for a name that is empty, longer than 64 bytes, or comes twice.
    fn save_state(&self, sections: &[(&str, &[u8])]) -> Result<(), StoreError>;

    /// The state last saved, verified whole. `None` if there is none, or (logged) if it is damaged or was written by
    /// another version.
    fn load_state(&self) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError>;

    /// How many contents have an embedding, at most: one that was stored again may count twice until the next
    /// [`Store::collect`].
    fn contents(&self) -> Result<usize, StoreError>;

    /// Reads all embeddings, drops those that `keep` does not want, and returns how many; damaged ones go too.
    fn collect(&self, keep: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError>;

    /// [`Store::collect`], and no byte of what goes is left in any file of the store; durable when it returns.
    fn erase(&self, keep: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError> {
        self.collect(keep)
    }

    /// Gives room back if the files take up more than twice what is stored, and `spare_bytes`, and half as much again as
    /// when that was done last, unless embeddings were collected since; whether it did. Nothing else is read or written
    /// meanwhile.
    fn compact(&self, spare_bytes: u64) -> Result<bool, StoreError>;

    /// Bytes on disk.
    fn size_on_disk(&self) -> Result<u64, StoreError>;

    /// Whether its files were removed or replaced since it was opened. Writes fail then; it must be opened again.
    fn is_lost(&self) -> bool {
        false
    }

    /// The healing that happened since the last call, if any: a store may also heal while it is in use.
    fn take_healed(&self) -> Option<Quarantine> {
        None
    }
}

/// A damaged store that was set aside.
#[derive(Debug)]
pub struct Quarantine {
    /// Where the damaged files are now; the one before it has been removed.
    pub moved_to: PathBuf,
    /// What was wrong with them.
    pub reason: Damage,
    /// Records of embeddings found in the damaged files, verified, and stored again.
    pub salvaged: u64,
    /// Whether a placed state was found whole in the damaged files; it may be an older one.
    pub state_salvaged: bool,
}

/// The store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses this store.
    #[error("another mosaicd{} holds {}", pid.map_or(String::new(), |pid| format!(" (process {pid})")), folder.display())]
    Locked {
        /// The store's folder.
        folder: PathBuf,
        /// The other process, where it is known.
        pid: Option<u32>,
    },
    /// No space, or no quota, is left.
    #[error("no space left for the store in {}", folder.display())]
    Full {
        /// The store's folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading, writing or permission failed.
    #[error("the store in {} cannot be read or written", folder.display())]
    Io {
        /// The store's folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database is damaged; the next call sets it aside and starts with what could be salvaged.
    #[error("the store in {} is damaged and will be rebuilt", folder.display())]
    Damaged {
        /// The store's folder.
        folder: PathBuf,
        /// What is wrong.
        source: Damage,
    },
    /// An embedding that cannot be stored; nothing of its batch was.
    #[error("the embedding of {hash} cannot be stored")]
    NotStorable {
        /// Whose embedding.
        hash: ContentHash,
        /// Why not.
        source: NotStorable,
    },
    /// Not a name for a section of the state, or given twice.
    #[error("not a name for one section of the state: {0:?}")]
    SectionName(String),
}
