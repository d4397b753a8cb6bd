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
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek},
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
    header: [u8; HEADER],
    dims: usize,
    slots: HashMap<ContentHash, u64>,
    free: Vec<u64>,
    end: u64,
    /// The works of the last update, in its order.
    placed: Vec<ContentHash>,
}

impl VectorFile {
    /// Opens the file of a model; what is not of this model and `dims` is replaced by an empty one.
    pub fn open(state: &Path, model: &ModelId, dims: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(state.join(FILE))?;
        let header = header(model, dims);
        if header_of(&file)? != Some(header) {
            file.set_len(0)?;
            file.write_all_at(&header, 0)?;
        }
        Self::of(file, header)
    }

    /// Opens the file of any model for reading alone; `None` if there is none, or it is not one of ours.
    pub fn look(state: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(state.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match header_of(&file)? {
            Some(header) => Self::of(file, header).map(Some),
            None => Ok(None),
        }
    }

    fn of(file: File, header: [u8; HEADER]) -> io::Result<Self> {
        let dims = word(&header, 12) as usize;
        let (mut slots, mut free, mut end) = (HashMap::new(), Vec::new(), 0);
        for_each_slot(&file, dims, |row| {
            match row.map(|(hash, _)| slots.insert(hash, end)) {
                Some(None) => {}
                Some(Some(twice)) => free.push(twice),
                None => free.push(end),
            }
            end += 1;
        })?;
        Ok(Self {
            file,
            header,
            dims,
            slots,
            free,
            end,
            placed: Vec::new(),
        })
    }

    /// Whether it holds embeddings of a model, `dims` values each.
    pub fn is_of(&self, model: &ModelId, dims: usize) -> bool {
        self.header == header(model, dims)
    }

    /// The model, as [`digest`] names it.
    pub fn model(&self) -> String {
        hex(&self.header[16..48])
    }

    /// Values of a row.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Whether it has a row of this content.
    pub fn contains(&self, hash: &ContentHash) -> bool {
        self.slots.contains_key(hash)
    }

    /// The row of a content; `None` if there is none, or it is damaged.
    pub fn row(&self, hash: &ContentHash) -> io::Result<Option<Vec<f32>>> {
        let Some(&slot) = self.slots.get(hash) else {
            return Ok(None);
        };
        let mut row = vec![0; PREFIX + 4 * self.dims];
        self.file.read_exact_at(&mut row, self.offset(slot))?;
        let sound = row[..32] == hash.0 && word(&row, 32) == checksum(&row);
        Ok(sound.then(|| values(&row[PREFIX..])))
    }

    /// Adds the row of a content, `D` values, unless it is there.
    pub fn put(&mut self, hash: &ContentHash, row: &[f32]) -> io::Result<()> {
        if self.contains(hash) {
            return Ok(());
        }
        let slot = self.free.last().copied().unwrap_or(self.end);
        self.file
            .write_all_at(&row_bytes(hash, row), self.offset(slot))?;
        self.free.pop();
        self.slots.insert(*hash, slot);
        self.end = self.end.max(slot + 1);
        Ok(())
    }

    /// Makes the file agree with the placed works: `row` gives the embedding of work `i`, `D` values.
    pub fn update<'a>(
        &mut self,
        hashes: impl Iterator<Item = &'a ContentHash> + Clone,
        row: impl Fn(usize) -> io::Result<Vec<f32>>,
    ) -> io::Result<()> {
        // New works are most often all that changed, and they come last.
        let mut placed = std::mem::take(&mut self.placed);
        if !hashes.clone().take(placed.len()).eq(&placed) {
            placed.clear();
        }
        if placed.is_empty() {
            self.keep(hashes.clone())?;
        }
        for (i, hash) in hashes.enumerate().skip(placed.len()) {
            if !self.contains(hash) {
                self.put(hash, &row(i)?)?;
            }
            placed.push(*hash);
        }
        self.placed = placed;
        Ok(())
    }

    /// Removes the rows of all other contents.
    fn keep<'a>(&mut self, hashes: impl Iterator<Item = &'a ContentHash>) -> io::Result<()> {
        let wanted: HashSet<&ContentHash> = hashes.collect();
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
    let file = match File::open(state.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let Some(header) = header_of(&file)? else {
        return Ok(None);
    };
    let (dims, mut good) = (word(&header, 12) as usize, HashMap::new());
    for_each_slot(&file, dims, |row| {
        good.extend(row.map(|(hash, row)| (hash, values(row))));
    })?;
    Ok(Some((dims, good)))
}

/// The model whose embeddings the file holds, as [`digest`] names it; `None` as for [`read`].
pub fn model(state: &Path) -> io::Result<Option<String>> {
    match File::open(state.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => Ok(header_of(&file?)?.map(|header| hex(&header[16..48]))),
    }
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

/// The header of a file; `None` if it is none of ours.
fn header_of(file: &File) -> io::Result<Option<[u8; HEADER]>> {
    let mut header = [0; HEADER];
    match file.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let dims = word(&header, 12);
    let ours =
        &header[..8] == MAGIC && word(&header, 8) == VERSION && (1..=1 << 20).contains(&dims);
    Ok(ours.then_some(header))
}

/// Gives every slot of a file to `take`, in their order: hash and value bytes where the checksum fits.
fn for_each_slot(
    file: &File,
    dims: usize,
    mut take: impl FnMut(Option<(ContentHash, &[u8])>),
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, file);
    reader.seek(io::SeekFrom::Start(HEADER as u64))?;
    let mut row = vec![0; PREFIX + 4 * dims];
    loop {
        match reader.read_exact(&mut row) {
            // What is left is no whole row.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&row[..32]);
        let sound = word(&row, 32) == checksum(&row);
        take(sound.then_some((ContentHash(hash), &row[PREFIX..])));
    }
}

fn values(bytes: &[u8]) -> Vec<f32> {
    let four = bytes.as_chunks::<4>().0.iter();
    four.map(|four| f32::from_le_bytes(*four)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    use std::fs;

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
            file.update(hashes.iter(), |at| Ok(row(placed[at])))
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
        file.update([hash(1), hash(2)].iter(), |at| Ok(row(at as u32 + 1)))
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
