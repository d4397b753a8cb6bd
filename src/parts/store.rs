//! The embeddings of a part as the [`Store`] of the threads that make them: by content, for one model, in `embeddings.bin`.
//!
//! There is no state and nothing to collect. A write is not flushed: rows are checked when they are read, and what a power
//! cut takes is embedded again.

use crate::{
    domain::{ContentHash, ModelId},
    store::{Store, StoreError},
    vectors::VectorFile,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The embeddings of a part.
pub struct PartStore {
    folder: PathBuf,
    model: ModelId,
    file: Mutex<VectorFile>,
}

impl PartStore {
    pub(super) fn open(folder: &Path, model: &ModelId, dims: usize) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            model: model.clone(),
            file: Mutex::new(VectorFile::open(folder, model, dims)?),
        })
    }

    pub(super) fn file(&self) -> MutexGuard<'_, VectorFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, source: io::Error) -> StoreError {
        let folder = self.folder.clone();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full { folder, source }
            }
            _ => StoreError::Io { folder, source },
        }
    }
}

impl Store for PartStore {
    fn embedding(
        &self,
        hash: &ContentHash,
        model: &ModelId,
    ) -> Result<Option<Vec<f32>>, StoreError> {
        match *model == self.model {
            true => self.file().row(hash).map_err(|error| self.error(error)),
            false => Ok(None),
        }
    }

    fn put_embeddings(
        &self,
        model: &ModelId,
        batch: &[(ContentHash, Vec<f32>)],
    ) -> Result<(), StoreError> {
        if *model != self.model {
            return Ok(());
        }
        let mut file = self.file();
        batch
            .iter()
            .try_for_each(|(hash, row)| file.put(hash, row))
            .map_err(|error| self.error(error))
    }

    fn save_state(&self, _: &[(&str, &[u8])]) -> Result<(), StoreError> {
        Ok(())
    }

    fn load_state(&self) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError> {
        Ok(None)
    }

    fn contents(&self) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn collect(&self, _: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn compact(&self, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
