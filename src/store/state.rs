//! The placed state as chunks: named byte sections, cut so that a save writes only what changed. Pure.
//!
//! Every chunk lies under the digest of its own bytes and is never overwritten. A section's chunk digests are
//! themselves cut into index chunks, and one small head names the index chunks of every section. Writing the new
//! chunks, then the head, then removing chunks that nothing names any more therefore leaves a whole state, the old or
//! the new one, wherever it is interrupted; and a chunk that is not what was saved cannot be taken for it.
//!
//! What the bytes of a section mean is the caller's business. A section whose bytes keep their offsets from save to
//! save (fixed-width entries in dense order) costs least to write.

use super::StoreError;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a chunk. The database keeps 16 of them in a leaf; a leaf of over 128 KiB would leave its log.
pub(super) const CHUNK_BYTES: usize = 4096;
/// Longest section name, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The last byte is the version of this layout.
const HEAD_MAGIC: [u8; 8] = *b"mosHea\0\x01";
/// Goes before a chunk's bytes, so that a damaged file can be searched for chunks.
const CHUNK_MAGIC: [u8; 8] = *b"mosChu\0\x01";

/// Magic, number of the save, length of the head.
const HEAD_FIXED_BYTES: usize = 8 + 8 + 4;

/// The first half of a BLAKE3: the key of a chunk.
pub(super) type Digest = [u8; 16];

/// The state's bytes are not what was saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateDamage {
    /// The head is of another version, torn or altered.
    #[error("the state's head is not of this version, or torn")]
    Head,
    /// A chunk is missing or altered.
    #[error("section {0:?} of the state is missing bytes or altered")]
    Section(String),
}

/// A state cut into chunks.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// Names the chunks; to be written after them.
    pub(super) head: Vec<u8>,
    /// Every chunk by its digest, data and index chunks alike; stored as [`wrap`] gives it.
    pub(super) chunks: BTreeMap<Digest, Cow<'a, [u8]>>,
}

/// A head and all its chunks, found in raw bytes.
#[derive(Debug)]
pub(super) struct Found {
    /// The head, as it was stored.
    pub(super) head: Vec<u8>,
    /// The chunks that it names, by digest.
    pub(super) chunks: BTreeMap<Digest, Vec<u8>>,
}

/// A state put together again.
#[derive(Debug)]
pub(super) struct Whole {
    /// Number of the save.
    pub(super) save: u64,
    /// Digests of all chunks that belong to it.
    pub(super) digests: BTreeSet<Digest>,
    /// The sections' bytes by name.
    pub(super) sections: BTreeMap<String, Vec<u8>>,
}

/// Cuts sections into chunks; `save` counts the saves.
///
/// # Errors
/// [`StoreError::SectionName`] for a name that is empty, longer than 64 bytes, or comes twice.
pub(super) fn cut<'a>(save: u64, sections: &[(&str, &'a [u8])]) -> Result<Cut<'a>, StoreError> {
    let mut chunks = BTreeMap::new();
    let mut head = HEAD_MAGIC.to_vec();
    head.extend_from_slice(&save.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    let mut names = BTreeSet::new();
    for &(name, bytes) in sections {
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !names.insert(name) {
            return Err(StoreError::SectionName(name.to_owned()));
        }
        let parts = bytes.par_chunks(CHUNK_BYTES);
        let parts: Vec<(Digest, &[u8])> = parts.map(|part| (digest(part), part)).collect();
        let mut index = Vec::with_capacity(parts.len() * size_of::<Digest>());
        for (digest, part) in parts {
            index.extend_from_slice(&digest);
            chunks.insert(digest, Cow::Borrowed(part));
        }
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        for part in index.chunks(CHUNK_BYTES) {
            head.extend_from_slice(&digest(part));
            chunks.insert(digest(part), Cow::Owned(part.to_vec()));
        }
    }
    let len = head.len() as u32 + 4;
    head[16..HEAD_FIXED_BYTES].copy_from_slice(&len.to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    Ok(Cut { head, chunks })
}

/// Gives the cut another number of its save.
pub(super) fn number(cut: &mut Cut<'_>, save: u64) {
    cut.head[8..16].copy_from_slice(&save.to_le_bytes());
    if let Some((content, crc)) = cut.head.split_last_chunk_mut() {
        *crc = crc32fast::hash(content).to_le_bytes();
    }
}

/// A chunk as it is stored.
pub(super) fn wrap(chunk: &[u8]) -> Vec<u8> {
    let len = (chunk.len() as u16).to_le_bytes();
    [&CHUNK_MAGIC[..], &len, chunk].concat()
}

/// The chunk at the start of `bytes`, which [`wrap`] made; whether it is the right one its digest says.
pub(super) fn unwrap(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.strip_prefix(&CHUNK_MAGIC)?.split_first_chunk()?;
    rest.get(..usize::from(u16::from_le_bytes(*len)))
}

/// The head at the start of `bytes`, with the number of its save, if its checksum holds.
pub(super) fn head_at(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (save, rest) = bytes.strip_prefix(&HEAD_MAGIC)?.split_first_chunk()?;
    let len = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    let (content, crc) = bytes.get(..len)?.split_last_chunk()?;
    let whole = crc32fast::hash(content) == u32::from_le_bytes(*crc);
    whole.then(|| (u64::from_le_bytes(*save), &bytes[..len]))
}

/// Puts a state together from its head and `stored` chunks, verifying every byte.
pub(super) fn join(head: &[u8], stored: &BTreeMap<Digest, Vec<u8>>) -> Result<Whole, StateDamage> {
    let mut digests = BTreeSet::new();
    let mut sections = BTreeMap::new();
    let (save, listed) = parse_head(head).ok_or(StateDamage::Head)?;
    for (name, len, index) in listed {
        let mut chunk = |wanted: &Digest| {
            digests.insert(*wanted);
            let bytes = stored.get(wanted).filter(|bytes| digest(bytes) == *wanted);
            bytes.ok_or_else(|| StateDamage::Section(name.clone()))
        };
        let mut bytes = Vec::new();
        for part in index {
            for wanted in chunk(&part)?.as_chunks().0 {
                bytes.extend_from_slice(chunk(wanted)?);
            }
        }
        if bytes.len() as u64 != len {
            return Err(StateDamage::Section(name));
        }
        sections.insert(name, bytes);
    }
    Ok(Whole {
        save,
        digests,
        sections,
    })
}

/// The key of a chunk.
pub(super) fn digest(chunk: &[u8]) -> Digest {
    let mut short = Digest::default();
    short.copy_from_slice(&blake3::hash(chunk).as_bytes()[..16]);
    short
}

/// Name, length in bytes and index chunks of a section.
type Listed = (String, u64, Vec<Digest>);

/// The number of the save and its sections; `None` if anything is wrong with the head.
fn parse_head(head: &[u8]) -> Option<(u64, Vec<Listed>)> {
    let (save, exact) = head_at(head)?;
    let mut rest = (exact.len() == head.len()).then(|| &head[..head.len() - 4])?;
    rest = rest.get(HEAD_FIXED_BYTES..)?;
    let mut sections = Vec::new();
    while let Some((name_len, tail)) = rest.split_first() {
        let (name, tail) = tail.split_at_checked(usize::from(*name_len))?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        let (len, tail) = tail.split_first_chunk()?;
        let len = u64::from_le_bytes(*len);
        let data_chunks = usize::try_from(len).ok()?.div_ceil(CHUNK_BYTES);
        let parts = data_chunks.div_ceil(CHUNK_BYTES / size_of::<Digest>());
        let (index, tail) = tail.split_at_checked(parts.checked_mul(size_of::<Digest>())?)?;
        sections.push((name, len, index.as_chunks().0.to_vec()));
        rest = tail;
    }
    Some((save, sections))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes what is missing, then removes what is not named any more; returns how many chunks it wrote.
    fn save(disk: &mut BTreeMap<Digest, Vec<u8>>, cut: &Cut<'_>) -> usize {
        let before = disk.len();
        for (digest, chunk) in &cut.chunks {
            disk.entry(*digest).or_insert_with(|| chunk.to_vec());
        }
        let written = disk.len() - before;
        disk.retain(|digest, _| cut.chunks.contains_key(digest));
        written
    }

    #[test]
    fn a_small_change_writes_one_chunk_and_the_index() {
        let mut disk = BTreeMap::new();
        let mut points: Vec<u8> = (0..300 * CHUNK_BYTES + 5).map(|i| (i / 97) as u8).collect();
        points
            .chunks_mut(CHUNK_BYTES)
            .zip(0u16..)
            .for_each(|(chunk, i)| chunk[..2].copy_from_slice(&i.to_le_bytes()));
        let first = cut(1, &[("points", &points), ("none", b"")]).expect("good names");
        assert_eq!(save(&mut disk, &first), 301 + 2);
        points[5 * CHUNK_BYTES + 9] ^= 1;
        let second = cut(1, &[("points", &points), ("none", b"")]).expect("good names");
        assert_eq!(save(&mut disk, &second), 1 + 1);
        let whole = join(&second.head, &disk).expect("whole");
        assert_eq!(whole.sections["points"], points);
        assert_eq!(whole.sections["none"], b"");
    }

    #[test]
    fn bad_section_names_are_refused() {
        let long = "n".repeat(65);
        let twice: &[(&str, &[u8])] = &[("a", b""), ("a", b"")];
        for bad in [twice, &[("", b"")], &[(&long, b"")]] {
            assert!(
                matches!(cut(1, bad), Err(StoreError::SectionName(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_wrapped_chunk_comes_back() {
        for chunk in [&b""[..], b"x", &[9; CHUNK_BYTES]] {
            let mut stored = wrap(chunk);
            assert_eq!(unwrap(&stored), Some(chunk));
            stored.push(1);
            assert_eq!(unwrap(&stored), Some(chunk), "a chunk knows its length");
            assert_eq!(unwrap(&stored[..stored.len() - 2]), None);
        }
    }

    proptest! {
        #[test]
        fn any_sequence_of_saves_loads_the_last(
            saves in prop::collection::vec(
                prop::collection::btree_map("[a-c]", prop::collection::vec(0u8..3, 0..3 * CHUNK_BYTES), 0..4), 1..5),
        ) {
            let mut disk = BTreeMap::new();
            for (save_no, sections) in (1..).zip(saves) {
                let borrowed: Vec<_> = sections.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
                let mut cut = cut(0, &borrowed).expect("good names");
                number(&mut cut, save_no);
                save(&mut disk, &cut);
                let whole = join(&cut.head, &disk).expect("whole");
                prop_assert_eq!(whole.save, save_no);
                prop_assert_eq!(whole.sections, sections);
                prop_assert!(whole.digests.iter().eq(disk.keys()));
            }
        }

        #[test]
        fn any_damage_is_noticed(
            len in 1..3 * CHUNK_BYTES, at: prop::sample::Index, in_head: bool, truncate: bool,
        ) {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut disk = BTreeMap::new();
            let cut = cut(1, &[("knn", &bytes)]).expect("good name");
            save(&mut disk, &cut);
            let mut head = cut.head;
            let mut chunks: Vec<_> = disk.values_mut().collect();
            let which = at.index(chunks.len());
            let victim = if in_head { &mut head } else { &mut *chunks[which] };
            let at = at.index(victim.len());
            if truncate { victim.truncate(at) } else { victim[at] ^= 4 }
            prop_assert!(join(&head, &disk).is_err());
        }

        #[test]
        fn no_head_panics(mut head in prop::collection::vec(any::<u8>(), 0..200), dress: bool) {
            if dress {
                let len = head.len() as u32 + 24;
                let fixed = [&HEAD_MAGIC[..], &[0; 8], &len.to_le_bytes()].concat();
                head.splice(0..0, fixed);
                head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
            }
            let _ = join(&head, &BTreeMap::new());
        }
    }
}
