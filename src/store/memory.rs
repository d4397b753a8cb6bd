//! A [`Store`] without a disk, for tests and one-off commands: it answers like the one on disk, and keeps nothing.

use super::{Store, StoreError, record, state};
use crate::{artwork::ContentHash, embed::ModelId};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    embeddings: BTreeMap<(ContentHash, ModelId), Vec<f32>>,
    state: Option<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStore {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn embedding(
        &self,
        hash: &ContentHash,
        model: &ModelId,
    ) -> Result<Option<Vec<f32>>, StoreError> {
        let key = (*hash, model.clone());
        Ok(self.kept().embeddings.get(&key).cloned())
    }

    fn put_embeddings(
        &self,
        model: &ModelId,
        batch: &[(ContentHash, Vec<f32>)],
    ) -> Result<(), StoreError> {
        for (hash, vector) in batch {
            record::encode(hash, model, vector).map_err(|source| StoreError::NotStorable {
                hash: *hash,
                source,
            })?;
        }
        let new = batch
            .iter()
            .map(|(hash, vector)| ((*hash, model.clone()), vector.clone()));
        self.kept().embeddings.extend(new);
        Ok(())
    }

    fn save_state(&self, sections: &[(&str, &[u8])]) -> Result<(), StoreError> {
        state::cut(0, sections)?;
        let copy = |(name, bytes): &(&str, &[u8])| ((*name).to_owned(), bytes.to_vec());
        self.kept().state = Some(sections.iter().map(copy).collect());
        Ok(())
    }

    fn load_state(&self) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError> {
        Ok(self.kept().state.clone())
    }

    fn contents(&self) -> Result<usize, StoreError> {
        let kept = self.kept();
        let hashes: HashSet<_> = kept.embeddings.keys().map(|(hash, _)| hash).collect();
        Ok(hashes.len())
    }

    fn collect(&self, keep: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let before = kept.embeddings.len();
        kept.embeddings.retain(|(hash, model), _| keep(hash, model));
        Ok((before - kept.embeddings.len()) as u64)
    }

    fn compact(&self, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
