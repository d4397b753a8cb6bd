//! The [`Store`] on disk: one process at a time, and a database that is reopened and healed when it fails.

use super::{
    Quarantine, Store, StoreError,
    engine::{self, Engine, FoundEmbedding},
    fault::{self, Fault},
    open::{self, Chain, open_or_heal},
    rewrite, state,
};
use crate::{artwork::ContentHash, disk, embed::ModelId};
use rustix::fs::FlockOperation;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

/// sled's file format under the version of ours: another version of either never meets these files, which matters
/// because sled opens what another version wrote as an empty database.
const SUBFOLDER: &str = "sled-0.34/v1";

/// The store in `<state>/store`.
///
/// After any error of the database it is closed, and the next call opens it again from what is on disk: after a full
/// disk sled refuses writes for good, and after damage the opening heals.
pub struct SledStore {
    folder: PathBuf,
    /// `None` between an error and the next call.
    engine: RwLock<Option<Engine>>,
    healed: Mutex<Option<Quarantine>>,
    /// Held, with this process's id in it, as long as the store lives.
    lock: Lock,
}

/// A store that was opened.
pub struct Opened {
    /// The store.
    pub store: SledStore,
    /// Whether a damaged one had to be set aside; it is not empty where embeddings could be salvaged.
    pub healed: Option<Quarantine>,
}

impl SledStore {
    /// Opens the store below the state folder, creates it if it is not there, verifies every byte of it, and replaces
    /// it if it is damaged. Takes some 60 ms for 20,000 embeddings.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Full`] and [`StoreError::Io`] leave everything as it is: try again later.
    pub fn open(state_dir: &Path) -> Result<Opened, StoreError> {
        Self::open_then(state_dir, || {})
    }

    /// [`SledStore::open`], which calls `locked` once the store is known to be no other process's, before it is read.
    pub fn open_then(state_dir: &Path, locked: impl FnOnce()) -> Result<Opened, StoreError> {
        let folder = state_dir.join("store");
        let io = |source: io::Error| Fault::from(source).at(&folder);
        disk::make_private(&folder.join(SUBFOLDER)).map_err(io)?;
        let lock = lock(&folder)?;
        locked();
        let (engine, healed) =
            open_or_heal(&folder.join(SUBFOLDER)).map_err(|fault| fault.at(&folder))?;
        let store = Self {
            folder,
            engine: RwLock::new(Some(engine)),
            healed: Mutex::default(),
            lock,
        };
        Ok(Opened { store, healed })
    }

    /// Runs `work`, any number at a time.
    fn read<R>(&self, work: impl FnOnce(&Engine) -> Result<R, Fault>) -> Result<R, StoreError> {
        let slot = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let Some(engine) = slot.as_ref() else {
            drop(slot);
            return self.write(|engine| work(engine));
        };
        let done = fault::guarded(&self.folder, || work(engine));
        drop(slot);
        done.map_err(|fault| {
            self.close();
            self.report(fault)
        })
    }

    /// Runs `work` alone, on a database that is opened if it was closed.
    fn write<R>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<R, Fault>,
    ) -> Result<R, StoreError> {
        let mut slot = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        let done = fault::guarded(&self.folder, || {
            self.check_place()?;
            let engine = match &mut *slot {
                Some(engine) => engine,
                closed => closed.insert(self.open_again()?),
            };
            work(engine)
        });
        drop(slot);
        done.map_err(|fault| {
            self.close();
            self.report(fault)
        })
    }

    /// Opens a database that was closed after an error; a healing is noted for [`Store::take_healed`].
    fn open_again(&self) -> Result<Engine, Fault> {
        let (engine, healed) = open_or_heal(&self.folder.join(SUBFOLDER))?;
        if healed.is_some() {
            *self.healed.lock().unwrap_or_else(PoisonError::into_inner) = healed;
        }
        Ok(engine)
    }

    /// Rewrites the database without the embeddings that `keep` does not want; says how many went.
    fn rewrite(&self, keep: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError> {
        let mut slot = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        // An error on the way leaves it closed, and the next call opens what is there.
        let done = fault::guarded(&self.folder, || {
            self.check_place()?;
            let old = match slot.take() {
                Some(engine) => engine,
                None => self.open_again()?,
            };
            let gone = rewrite::rewrite(&self.folder.join(SUBFOLDER), old, keep)?;
            let mut new = self.open_again()?;
            new.is_fresh()?;
            *slot = Some(new);
            Ok(gone)
        });
        drop(slot);
        done.map_err(|fault| self.report(fault))
    }

    /// Refuses to write where the folder is not the one that was opened: an empty store in its place would hold the
    /// placed works without their embeddings.
    fn check_place(&self) -> Result<(), Fault> {
        match self.is_lost() {
            true => {
                let what = "the state folder was removed or replaced while it was in use";
                Err(io::Error::new(io::ErrorKind::NotFound, what).into())
            }
            false => Ok(()),
        }
    }

    fn report(&self, fault: Fault) -> StoreError {
        let error = fault.at(&self.folder);
        tracing::debug!(error = %Chain(&error), "the database was closed after an error");
        error
    }

    fn close(&self) {
        let engine = self
            .engine
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Closing flushes, and sled panics where that fails.
        if catch_unwind(AssertUnwindSafe(|| drop(engine))).is_err() {
            tracing::debug!("the database panicked while it was closed");
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// An embedding that was found, unless it is damaged.
fn sound(found: FoundEmbedding, hash: &ContentHash, model: &ModelId) -> Option<Vec<f32>> {
    found?
        .inspect_err(|damage| {
            tracing::warn!(%hash, %model, error = %damage, "a stored embedding is damaged and ignored");
        })
        .ok()
}

impl Store for SledStore {
    fn embedding(
        &self,
        hash: &ContentHash,
        model: &ModelId,
    ) -> Result<Option<Vec<f32>>, StoreError> {
        let found = self.read(|engine| engine.embedding(hash, model))?;
        Ok(sound(found, hash, model))
    }

    fn embeddings(
        &self,
        hashes: &[ContentHash],
        model: &ModelId,
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        let found = self.read(|engine| engine.embeddings(hashes, model))?;
        let found = hashes.iter().zip(found);
        Ok(found
            .map(|(hash, found)| sound(found, hash, model))
            .collect())
    }

    fn put_embeddings(
        &self,
        model: &ModelId,
        batch: &[(ContentHash, Vec<f32>)],
    ) -> Result<(), StoreError> {
        let encoded = engine::encode_batch(model, batch)?;
        self.write(|engine| engine.put(model, encoded))
    }

    fn save_state(&self, sections: &[(&str, &[u8])]) -> Result<(), StoreError> {
        // Names are checked before anything is written; the number of the save is known only under the lock.
        let mut cut = state::cut(0, sections)?;
        let written = self.write(|engine| {
            state::number(&mut cut, engine.next_save());
            engine.save(&cut)
        })?;
        tracing::debug!(chunks = cut.chunks.len(), written, "saved the state");
        Ok(())
    }

    fn load_state(&self) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError> {
        match self.read(Engine::load)? {
            None => Ok(None),
            Some(Ok(whole)) => Ok(Some(whole.sections)),
            Some(Err(damage)) => {
                tracing::warn!(error = %damage, "the placed state is damaged and ignored");
                Ok(None)
            }
        }
    }

    fn contents(&self) -> Result<usize, StoreError> {
        self.read(|engine| Ok(engine.contents()))
    }

    fn collect(&self, keep: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError> {
        self.write(|engine| engine.collect(keep))
    }

    fn erase(&self, keep: &dyn Fn(&ContentHash, &ModelId) -> bool) -> Result<u64, StoreError> {
        let gone = self.rewrite(keep)?;
        let removed = open::remove_quarantines(&self.folder.join(SUBFOLDER));
        removed.map_err(|error| Fault::from(error).at(&self.folder))?;
        Ok(gone)
    }

    fn compact(&self, spare_bytes: u64) -> Result<bool, StoreError> {
        if !self.read(|engine| engine.is_bloated(spare_bytes))? {
            return Ok(false);
        }
        self.rewrite(&|_, _| true)?;
        Ok(true)
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.read(Engine::size_on_disk)
    }

    fn is_lost(&self) -> bool {
        match (
            fs::metadata(self.folder.join("lock")),
            self.lock.0.metadata(),
        ) {
            (Ok(there), Ok(held)) => (there.dev(), there.ino()) != (held.dev(), held.ino()),
            (Err(error), _) => matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ),
            _ => false,
        }
    }

    fn take_healed(&self) -> Option<Quarantine> {
        self.healed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// The held lock file.
///
/// It is unlocked explicitly, not by closing: a process that is being forked holds a copy of the file until it execs.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::debug!(error = %io::Error::from(error), "the store could not be unlocked");
        }
    }
}

/// Takes the lock that keeps other processes, and other stores of this one, away.
fn lock(folder: &Path) -> Result<Lock, StoreError> {
    let io = |source: io::Error| Fault::from(source).at(folder);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok();
            return Err(StoreError::Locked {
                folder: folder.to_owned(),
                pid: pid.and_then(|_| text.trim().parse().ok()),
            });
        }
        Err(error) => return Err(io(error.into())),
    }
    // The number is for people; without it the lock holds just as well.
    let noted = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = noted {
        tracing::debug!(%error, "the lock file could not be written");
    }
    Ok(Lock(file))
}
