//! What lies where in the sled database, and the only functions that read and write it.
//!
//! One keyspace; the first byte of a key says what it is:
//! `v` version mark · `e` + content hash + model digest + part → record · `c` + digest → chunk of the state ·
//! `h` → head of the state.
//!
//! No write here needs to be atomic with another one: records and chunks stand for themselves, and sled recovers a
//! prefix of the writes in their order, so a head is never there without its chunks.

use super::{
    Damage, StoreError,
    fault::Fault,
    record::{self, Record, RecordDamage},
    state::{self, Cut, Digest, Found, StateDamage, Whole},
};
use crate::{
    disk,
    domain::{ContentHash, ModelId},
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::{
    fs::File,
    path::Path,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// sled takes 1 GB unless configured otherwise.
const CACHE_BYTES: u64 = 32 << 20;
/// sled's log keeps what was overwritten until whole segments of it are nearly empty: after 15 minutes of changes to
/// 5,000 works its files were seven times what was stored.
const BLOAT: u64 = 2;
/// A database that was just rewritten takes up 1.7 to 1.9 times what is stored, so it must also have grown by this much
/// since then: without that, every tenth save at 6,000 works was followed by half a second of rewriting.
const GROWTH: (u64, u64) = (3, 2);
const SCHEMA_KEY: &[u8] = b"v";
const SCHEMA: &[u8] = b"mosaicd store 1";
const HEAD_KEY: &[u8] = b"h";
const CHUNK_PREFIX: u8 = b'c';
const EMBEDDING_PREFIX: u8 = b'e';

/// An embedding as its records.
pub(super) type Encoded = (ContentHash, Vec<Vec<u8>>);

/// An embedding as it was found, or why its records are none; `None` if there are none.
pub(super) type FoundEmbedding = Option<Result<Vec<f32>, RecordDamage>>;

/// An open, verified database.
pub(super) struct Engine {
    db: sled::Db,
    /// The database file and its folder: sled's own flush leaves their size and extents to the system, and without an
    /// fsync of both a power cut destroyed 15 of 15 stores.
    to_sync: Vec<File>,
    /// Chunks of the state that are stored.
    chunks: BTreeSet<Digest>,
    /// Contents that have an embedding; one that was stored again counts twice.
    contents: AtomicUsize,
    /// Number of the last save.
    save: u64,
    /// Bytes stored when they were counted last; at first those of embeddings alone.
    live: AtomicU64,
    /// Bytes on disk when it was rewritten; 0 if that was not done since it was opened, or embeddings went since.
    fresh: u64,
}

impl Engine {
    /// Opens the database in `folder`, creates it if it is not there, and verifies every value in it.
    pub(super) fn open(folder: &Path) -> Result<Self, Fault> {
        remove_unfinished_snapshots(folder)?;
        let db = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()?;
        let to_sync = vec![File::open(folder.join("db"))?, File::open(folder)?];
        let mut engine = Self {
            db,
            to_sync,
            chunks: BTreeSet::new(),
            contents: AtomicUsize::new(0),
            save: 0,
            live: AtomicU64::new(0),
            fresh: 0,
        };
        if engine.db.is_empty() {
            engine.db.insert(SCHEMA_KEY, SCHEMA)?;
            engine.sync()?;
            File::open(folder.join("conf"))?.sync_all()?;
            for parent in folder.ancestors().skip(1).take(3) {
                disk::sync_folder(parent)?;
            }
        } else if engine.db.get(SCHEMA_KEY)?.as_deref() != Some(SCHEMA) {
            return Err(Damage::Schema.into());
        }
        engine.verify()?;
        Ok(engine)
    }

    /// How many contents have an embedding, at most.
    pub(super) fn contents(&self) -> usize {
        self.contents.load(Ordering::Relaxed)
    }

    /// Reads and checks everything, counts it, and learns which chunks are there.
    fn verify(&mut self) -> Result<(), Fault> {
        // A part for each first byte of a hash.
        let verify = |first: u8| {
            let (mut contents, mut last, mut bytes) = (0, None, 0);
            for entry in self.db.scan_prefix([EMBEDDING_PREFIX, first]) {
                let (key, value) = entry?;
                let record = record::check(&value).map_err(Damage::Record)?;
                if *key != part_key(&record.hash, record.model, record.first) {
                    return Err(Fault::from(Damage::Record(RecordDamage::WrongKey)));
                }
                contents += usize::from(last.replace(record.hash) != Some(record.hash));
                bytes += (key.len() + value.len()) as u64;
            }
            Ok((contents, bytes))
        };
        let counted: Result<Vec<_>, Fault> = (0..=u8::MAX).into_par_iter().map(verify).collect();
        for (contents, bytes) in counted? {
            *self.contents.get_mut() += contents;
            *self.live.get_mut() += bytes;
        }
        let chunks = self.read_chunks()?;
        let mut named = BTreeSet::new();
        if let Some(head) = self.db.get(HEAD_KEY)? {
            let whole = state::join(&head, &chunks).map_err(Damage::State)?;
            self.save = whole.save;
            named = whole.digests;
        }
        // A save that was interrupted before its head leaves chunks that nothing names.
        for digest in chunks.keys().filter(|digest| !named.contains(*digest)) {
            self.db.remove(chunk_key(digest))?;
        }
        self.chunks = named;
        Ok(())
    }

    /// Makes everything written so far durable.
    fn sync(&self) -> Result<(), Fault> {
        self.db.flush()?;
        self.to_sync.iter().try_for_each(File::sync_all)?;
        Ok(())
    }

    /// The embedding of `hash` by `model`.
    pub(super) fn embedding(
        &self,
        hash: &ContentHash,
        model: &ModelId,
    ) -> Result<FoundEmbedding, Fault> {
        let mut parts = Vec::new();
        for entry in self.db.scan_prefix(embedding_key(hash, &model.0)) {
            match record::decode(&entry?.1) {
                Ok(record) => parts.push(record),
                Err(damage) => return Ok(Some(Err(damage))),
            }
        }
        Ok((!parts.is_empty()).then(|| record::join(hash, model, parts)))
    }

    /// [`Engine::embedding`] of each of these contents, which ascend, in one walk over all that is stored between them.
    pub(super) fn embeddings(
        &self,
        hashes: &[ContentHash],
        model: &ModelId,
    ) -> Result<Vec<FoundEmbedding>, Fault> {
        let mut parts: Vec<Result<Vec<Record>, RecordDamage>> = Vec::new();
        parts.resize_with(hashes.len(), || Ok(Vec::new()));
        if let (Some(first), Some(last)) = (hashes.first(), hashes.last()) {
            let mut wanted = hashes.iter().zip(&mut parts).peekable();
            let first = part_key(first, &model.0, 0);
            let last = part_key(last, &model.0, record::MAX_DIMS);
            let of_model = first[33..49].to_vec();
            for entry in self.db.range(first..=last) {
                let (key, value) = entry?;
                while wanted
                    .next_if(|(hash, _)| key[1..33] > hash.0[..])
                    .is_some()
                {}
                let Some((hash, parts)) = wanted.peek_mut() else {
                    break;
                };
                if key[1..33] != hash.0 || key[33..49] != of_model {
                    continue;
                }
                match (record::decode(&value), &mut *parts) {
                    (Ok(record), Ok(parts)) => parts.push(record),
                    (Err(damage), parts) => **parts = Err(damage),
                    (Ok(_), Err(_)) => {}
                }
            }
        }
        let joined = hashes.iter().zip(parts).map(|(hash, parts)| match parts {
            Ok(parts) if parts.is_empty() => None,
            Ok(parts) => Some(record::join(hash, model, parts)),
            Err(damage) => Some(Err(damage)),
        });
        Ok(joined.collect())
    }

    /// Stores encoded embeddings ([`record::encode`]), durably.
    pub(super) fn put(&self, model: &ModelId, batch: Vec<Encoded>) -> Result<(), Fault> {
        self.contents.fetch_add(batch.len(), Ordering::Relaxed);
        for (hash, parts) in batch {
            let end = parts.len() * record::PART_VALUES;
            for (index, bytes) in parts.into_iter().enumerate() {
                self.db.insert(
                    part_key(&hash, &model.0, index * record::PART_VALUES),
                    bytes,
                )?;
            }
            // A longer vector stood here before.
            for entry in self
                .db
                .range(part_key(&hash, &model.0, end)..=part_key(&hash, &model.0, record::MAX_DIMS))
            {
                self.db.remove(entry?.0)?;
            }
        }
        self.sync()
    }

    /// Stores records found elsewhere; not durable before [`Engine::adopt_state`] or another write is.
    pub(super) fn adopt(&self, record: &Record) -> Result<(), Fault> {
        let key = part_key(&record.hash, &record.model.0, record.first);
        self.db.insert(key, record.to_bytes())?;
        let first = usize::from(record.first == 0);
        self.contents.fetch_add(first, Ordering::Relaxed);
        Ok(())
    }

    /// Stores a state found elsewhere, durably, with everything adopted before.
    pub(super) fn adopt_state(&mut self, found: Option<Found>) -> Result<(), Fault> {
        if let Some(Found { head, chunks }) = found {
            for (digest, chunk) in &chunks {
                self.db.insert(chunk_key(digest), state::wrap(chunk))?;
            }
            self.db.insert(HEAD_KEY, head)?;
        }
        self.sync()?;
        self.verify()
    }

    /// Number to give to the next save.
    pub(super) fn next_save(&self) -> u64 {
        self.save.saturating_add(1)
    }

    /// Replaces the state, durably; returns how many chunks were written.
    pub(super) fn save(&mut self, cut: &Cut<'_>) -> Result<usize, Fault> {
        let new: Vec<_> = cut
            .chunks
            .iter()
            .filter(|(digest, _)| !self.chunks.contains(*digest))
            .collect();
        for (digest, chunk) in &new {
            self.db.insert(chunk_key(digest), state::wrap(chunk))?;
        }
        self.db.insert(HEAD_KEY, cut.head.as_slice())?;
        self.sync()?;
        // These removals may be lost: what nothing names is removed at the next opening.
        for digest in self
            .chunks
            .iter()
            .filter(|digest| !cut.chunks.contains_key(*digest))
        {
            self.db.remove(chunk_key(digest))?;
        }
        self.chunks = cut.chunks.keys().copied().collect();
        self.save = self.next_save();
        Ok(new.len())
    }

    /// The state; `None` if none was saved, the inner error if it is damaged.
    pub(super) fn load(&self) -> Result<Option<Result<Whole, StateDamage>>, Fault> {
        let Some(head) = self.db.get(HEAD_KEY)? else {
            return Ok(None);
        };
        Ok(Some(state::join(&head, &self.read_chunks()?)))
    }

    fn read_chunks(&self) -> Result<BTreeMap<Digest, Vec<u8>>, Fault> {
        let mut chunks = BTreeMap::new();
        for entry in self.db.scan_prefix([CHUNK_PREFIX]) {
            let (key, value) = entry?;
            let digest = Digest::try_from(&key[1..]).map_err(|_| Damage::Schema)?;
            let chunk = state::unwrap(&value).unwrap_or_default();
            chunks.insert(digest, chunk.to_vec());
        }
        Ok(chunks)
    }

    /// Drops what `keep` does not want, and damaged records; returns how many embeddings went.
    pub(super) fn collect(
        &mut self,
        keep: &dyn Fn(&ContentHash, &ModelId) -> bool,
    ) -> Result<u64, Fault> {
        let mut unwanted = Vec::new();
        let mut gone = 0;
        let (mut contents, mut last) = (0, None);
        for entry in self.db.scan_prefix([EMBEDDING_PREFIX]) {
            let (key, value) = entry?;
            match record::decode(&value) {
                Ok(record) if keep(&record.hash, &record.model) => {
                    contents += usize::from(last.replace(record.hash) != Some(record.hash));
                    continue;
                }
                Ok(record) if record.first > 0 => {}
                _ => gone += 1,
            }
            unwanted.push(key);
        }
        self.contents = AtomicUsize::new(contents);
        if !unwanted.is_empty() {
            for key in unwanted {
                self.db.remove(key)?;
            }
            self.sync()?;
            // What is stored is less now, and the files are as large as before: they need not grow to be too large.
            (self.live, self.fresh) = (AtomicU64::new(0), 0);
        }
        Ok(gone)
    }

    /// Copies the state, and of the embeddings those that `keep` wants, into another, empty engine; durable when it
    /// returns. Says how many embeddings were left out.
    pub(super) fn copy_into(
        &self,
        other: &mut Self,
        keep: &dyn Fn(&ContentHash, &ModelId) -> bool,
    ) -> Result<u64, Fault> {
        let mut left_out = 0;
        for entry in self.db.scan_prefix([EMBEDDING_PREFIX]) {
            let (key, value) = entry?;
            match record::decode(&value) {
                Ok(record) if keep(&record.hash, &record.model) => {
                    other.db.insert(key, value)?;
                }
                Ok(record) if record.first > 0 => {}
                _ => left_out += 1,
            }
        }
        for digest in &self.chunks {
            if let Some(chunk) = self.db.get(chunk_key(digest))? {
                other.db.insert(chunk_key(digest), chunk)?;
            }
        }
        if let Some(head) = self.db.get(HEAD_KEY)? {
            other.db.insert(HEAD_KEY, head)?;
        }
        other.sync()?;
        Ok(left_out)
    }

    /// Whether the files take up more than twice what is stored, and `spare_bytes`, and have grown by half since they were
    /// rewritten.
    pub(super) fn is_bloated(&self, spare_bytes: u64) -> Result<bool, Fault> {
        let size = self.size_on_disk()?;
        if size <= self.fresh.saturating_mul(GROWTH.0) / GROWTH.1 {
            return Ok(false);
        }
        let enough = |live: u64| spare_bytes.saturating_add(live.saturating_mul(BLOAT));
        // What is stored is only counted when it may be too little for the size.
        if size <= enough(self.live.load(Ordering::Relaxed)) {
            return Ok(false);
        }
        let mut live: u64 = 0;
        for entry in self.db.iter() {
            let (key, value) = entry?;
            live += (key.len() + value.len()) as u64;
        }
        self.live.store(live, Ordering::Relaxed);
        Ok(size > enough(live))
    }

    /// Notes that it has just been rewritten.
    pub(super) fn is_fresh(&mut self) -> Result<(), Fault> {
        self.fresh = self.size_on_disk()?;
        Ok(())
    }

    /// Bytes on disk.
    pub(super) fn size_on_disk(&self) -> Result<u64, Fault> {
        Ok(self.db.size_on_disk()?)
    }
}

/// Encodes a batch before anything of it is written.
pub(super) fn encode_batch(
    model: &ModelId,
    batch: &[(ContentHash, Vec<f32>)],
) -> Result<Vec<Encoded>, StoreError> {
    let encode = |(hash, vector): &(ContentHash, Vec<f32>)| {
        let parts = record::encode(hash, model, vector);
        parts
            .map(|parts| (*hash, parts))
            .map_err(|source| StoreError::NotStorable {
                hash: *hash,
                source,
            })
    };
    batch.iter().map(encode).collect()
}

/// sled 0.34.7 takes a snapshot that a crash left half written for the newest one, and fails.
fn remove_unfinished_snapshots(folder: &Path) -> Result<(), Fault> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .ends_with(b".generating")
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn embedding_key(hash: &ContentHash, model: &str) -> Vec<u8> {
    let model = blake3::hash(model.as_bytes());
    [&[EMBEDDING_PREFIX], &hash.0[..], &model.as_bytes()[..16]].concat()
}

fn part_key(hash: &ContentHash, model: &str, first: usize) -> Vec<u8> {
    let mut key = embedding_key(hash, model);
    key.extend_from_slice(&((first / record::PART_VALUES) as u16).to_be_bytes());
    key
}

fn chunk_key(digest: &Digest) -> [u8; 17] {
    let mut key = [CHUNK_PREFIX; 17];
    key[1..].copy_from_slice(digest);
    key
}
