//! `embeddings.bin` in the state folder: the placed works' embeddings, for readers while the daemon runs.
//!
//! The store is locked while the daemon runs; `export` and `similar` read this file instead, together with the
//! manifest. It is derived data: written after every rebuild, only where it changed, and made again when it is missing
//! or damaged. No fsync: a reader after a power cut finds either good rows or rows whose checksum says that they are
//! not.
//!
//! Format, little-endian: a header of 64 bytes (`mosaicdE`, version `u32`, `D` `u32`, model digest of 32 bytes,
//! zeros), then slots of 40 + 4 `D` bytes: content hash (32), CRC-32 of hash and values (4), zeros (4), `D` `f32`.
//! A slot whose checksum does not fit is free or being written.

use crate::{artwork::ContentHash, embed::ModelId};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// Name of the file in the state folder.
pub const FILE: &str = "embeddings.bin";

const MAGIC: &[u8; 8] = b"mosaicdE";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const PREFIX: usize = 40;

/// The file, as its one writer has it.
#[derive(Debug)]
pub struct VectorFile {
    file: File,
    model: ModelId,
    dims: usize,
    slots: HashMap<ContentHash, u64>,
    free: Vec<u64>,
    end: u64,
}

impl VectorFile {
    /// Opens the file of a model; what is not of this model and `dims` is replaced by an empty one.
    pub fn open(state: &Path, model: &ModelId, dims: usize) -> io::Result<Self> {
        let path = state.join(FILE);
        let header = header(model, dims);
        let known = match fs::read(&path) {
            Ok(bytes) if bytes.get(..HEADER) == Some(&header[..]) => bytes,
            Ok(_) => Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let fresh = known.is_empty();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(fresh)
            .open(&path)?;
        if fresh {
            file.write_all_at(&header, 0)?;
        }
        let (mut slots, mut free, mut end) = (HashMap::new(), Vec::new(), 0);
        for (slot, row) in rows(&known, dims).enumerate() {
            end = slot as u64 + 1;
            match row.map(|(hash, _)| slots.insert(hash, slot as u64)) {
                Some(None) => {}
                Some(Some(twice)) => free.push(twice),
                None => free.push(slot as u64),
            }
        }
        Ok(Self {
            file,
            model: model.clone(),
            dims,
            slots,
            free,
            end,
        })
    }

    /// Whether it holds embeddings of a model, `dims` values each.
    pub fn is_of(&self, model: &ModelId, dims: usize) -> bool {
        (&self.model, self.dims) == (model, dims)
    }

    /// Makes the file agree with the placed works: `row` gives the embedding of `hashes[i]`, `D` values.
    pub fn update(
        &mut self,
        hashes: &[ContentHash],
        row: impl Fn(usize) -> io::Result<Vec<f32>>,
    ) -> io::Result<()> {
        let wanted: HashSet<&ContentHash> = hashes.iter().collect();
        let gone: Vec<ContentHash> = self
            .slots
            .keys()
            .filter(|h| !wanted.contains(h))
            .copied()
            .collect();
        for hash in gone {
            if let Some(slot) = self.slots.remove(&hash) {
                self.file
                    .write_all_at(&vec![0; PREFIX + 4 * self.dims], self.offset(slot))?;
                self.free.push(slot);
            }
        }
        for (i, hash) in hashes.iter().enumerate() {
            if self.slots.contains_key(hash) {
                continue;
            }
            let slot = self.free.pop().unwrap_or(self.end);
            self.file
                .write_all_at(&row_bytes(hash, &row(i)?), self.offset(slot))?;
            self.slots.insert(*hash, slot);
            self.end = self.end.max(slot + 1);
        }
        Ok(())
    }

    fn offset(&self, slot: u64) -> u64 {
        HEADER as u64 + slot * (PREFIX + 4 * self.dims) as u64
    }
}

/// Embeddings of `D` values by content.
pub type Vectors = (usize, HashMap<ContentHash, Vec<f32>>);

/// Reads every good row, whatever the model. `None` if there is no file, or it is not one of ours.
pub fn read(state: &Path) -> io::Result<Option<Vectors>> {
    let bytes = match fs::read(state.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let fits = bytes.len() >= HEADER && &bytes[..8] == MAGIC && word(&bytes, 8) == VERSION;
    let dims = if fits { word(&bytes, 12) as usize } else { 0 };
    if dims == 0 || dims > 1 << 20 {
        return Ok(None);
    }
    let values = |row: &[u8]| {
        row.chunks_exact(4)
            .map(|b| f32::from_bits(word(b, 0)))
            .collect()
    };
    let good = rows(&bytes, dims)
        .flatten()
        .map(|(hash, row)| (hash, values(row)));
    Ok(Some((dims, good.collect())))
}

/// The model whose embeddings the file holds, as [`digest`] names it; `None` as for [`read`].
pub fn model(state: &Path) -> io::Result<Option<String>> {
    let mut header = [0; HEADER];
    match File::open(state.join(FILE)).and_then(|file| file.read_exact_at(&mut header, 0)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((&header[..8] == MAGIC).then(|| hex(&header[16..48])))
}

/// A name for a model that fits in a table: 64 hexadecimal digits, the BLAKE3 of its id.
pub fn digest(model: &ModelId) -> String {
    blake3::hash(model.0.as_bytes()).to_hex().to_string()
}

fn header(model: &ModelId, dims: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(dims as u32).to_le_bytes());
    header[16..48].copy_from_slice(blake3::hash(model.0.as_bytes()).as_bytes());
    header
}

fn row_bytes(hash: &ContentHash, vector: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX + 4 * vector.len());
    bytes.extend_from_slice(&hash.0);
    bytes.extend_from_slice(&[0; 8]);
    vector
        .iter()
        .for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    let sum = checksum(&bytes);
    bytes[32..36].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The slots of a file: hash and value bytes where the checksum fits.
fn rows(bytes: &[u8], dims: usize) -> impl Iterator<Item = Option<(ContentHash, &[u8])>> {
    bytes
        .get(HEADER..)
        .unwrap_or_default()
        .chunks_exact(PREFIX + 4 * dims)
        .map(|row| {
            let mut hash = [0; 32];
            hash.copy_from_slice(&row[..32]);
            (word(row, 32) == checksum(row)).then_some((ContentHash(hash), &row[PREFIX..]))
        })
}

/// CRC-32 of a row's hash and values; never 0, so that a zeroed slot is free.
fn checksum(row: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&row[..32]);
    crc.update(&row[PREFIX..]);
    crc.finalize().max(1)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u32) -> ContentHash {
        ContentHash::of(&i.to_le_bytes())
    }

    fn row(i: u32) -> Vec<f32> {
        vec![i as f32, -1.5, 0.25]
    }

    #[test]
    fn readers_find_exactly_the_placed_works() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let model = ModelId("m".into());
        for placed in [vec![1, 2, 3], vec![2, 3, 4, 5], vec![5], vec![5, 1]] {
            let mut file = VectorFile::open(state.path(), &model, 3).expect("it opens");
            let hashes: Vec<_> = placed.iter().map(|&i| hash(i)).collect();
            file.update(&hashes, |at| Ok(row(placed[at])))
                .expect("it is written");
            let (dims, read) = read(state.path())
                .expect("it is read")
                .expect("it is there");
            assert_eq!(dims, 3);
            assert_eq!(read.len(), placed.len());
            for i in placed {
                assert_eq!(read[&hash(i)], [i as f32, -1.5, 0.25]);
            }
        }
    }

    #[test]
    fn damage_and_another_model_are_noticed() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let model = ModelId("m".into());
        let mut file = VectorFile::open(state.path(), &model, 3).expect("it opens");
        file.update(&[hash(1), hash(2)], |at| Ok(row(at as u32 + 1)))
            .expect("it is written");
        let path = state.path().join(FILE);
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[HEADER + PREFIX] ^= 1;
        fs::write(&path, &bytes).expect("it is written");
        let (_, rows) = read(state.path())
            .expect("it is read")
            .expect("it is there");
        assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [hash(2)]);
        let other = VectorFile::open(state.path(), &ModelId("n".into()), 3).expect("it opens");
        assert!(other.slots.is_empty());
    }
}
