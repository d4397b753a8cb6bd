//! The embedding's record: one vector as bytes in the database. Pure.
//!
//! A record says by itself which content and which model it belongs to and carries a checksum, so that
//! - a vector is served only if every bit of it is the one that was stored, under the key that it was stored for;
//! - records can be found again in the raw bytes of a damaged database file (`salvage`), whatever became of its index.
//!
//! Layout, little-endian: magic 8 (the last byte is the version) · content hash 32 · model length `u16` ·
//! dims `u32` · first value `u32` · number of values `u16` · model id · values `f32` · CRC-32 of all before it `u32`.
//!
//! A long vector is several records of at most [`PART_VALUES`] values: the database keeps values over some 7 KB
//! outside its log, in files that no fsync of ours would reach.

use crate::{artwork::ContentHash, embed::ModelId};

/// Most values in one record: 4 KiB of them.
pub const PART_VALUES: usize = 1024;
/// Longest model id, in bytes.
pub const MAX_MODEL_BYTES: usize = 512;
/// Most dimensions of an embedding (the widest published image encoders have some 4,000).
pub const MAX_DIMS: usize = 1 << 16;

/// The last byte is the version of this layout.
const MAGIC: [u8; 8] = *b"mosEmb\0\x01";
const FIXED_BYTES: usize = 8 + 32 + 2 + 4 + 4 + 2;
const CRC_BYTES: usize = 4;
/// Longest record, in bytes: what a reader of raw bytes must hold at once.
pub const MAX_RECORD_BYTES: usize = FIXED_BYTES + MAX_MODEL_BYTES + 4 * PART_VALUES + CRC_BYTES;

/// One decoded record: values `first .. first + values.len()` of an embedding of `dims` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The content that was embedded.
    pub hash: ContentHash,
    /// The model that embedded it.
    pub model: ModelId,
    /// Length of the whole embedding, > 0.
    pub dims: usize,
    /// Index of the first value here; a multiple of [`PART_VALUES`].
    pub first: usize,
    /// The values, all finite, 1 to [`PART_VALUES`] of them.
    pub values: Vec<f32>,
}

/// Bytes that are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDamage {
    /// Another version, or no record at all.
    #[error("not a record of this version")]
    NotARecord,
    /// The bytes end too early, go on too long, or the lengths in them cannot be.
    #[error("the record has a wrong length")]
    Length,
    /// The checksum differs.
    #[error("the record's checksum does not match")]
    Checksum,
    /// A right record in a wrong place.
    #[error("the record belongs to another content or model")]
    WrongKey,
    /// Parts of one embedding are missing or do not fit together.
    #[error("parts of the embedding are missing")]
    Incomplete,
}

/// A vector that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStorable {
    /// No values, or more than [`MAX_DIMS`].
    #[error("an embedding of {0} values")]
    Dims(usize),
    /// A value is infinite or not a number.
    #[error("value {0} is not finite")]
    NotFinite(usize),
    /// The model id is longer than [`MAX_MODEL_BYTES`].
    #[error("a model id of {0} bytes")]
    Model(usize),
}

/// Encodes an embedding as its records, in order; one up to [`PART_VALUES`] dimensions.
pub fn encode(
    hash: &ContentHash,
    model: &ModelId,
    vector: &[f32],
) -> Result<Vec<Vec<u8>>, NotStorable> {
    if vector.is_empty() || vector.len() > MAX_DIMS {
        return Err(NotStorable::Dims(vector.len()));
    }
    if let Some(index) = vector.iter().position(|value| !value.is_finite()) {
        return Err(NotStorable::NotFinite(index));
    }
    if model.0.len() > MAX_MODEL_BYTES {
        return Err(NotStorable::Model(model.0.len()));
    }
    let part = |(index, values): (usize, &[f32])| {
        encode_part(hash, model, vector.len(), index * PART_VALUES, values)
    };
    Ok(vector.chunks(PART_VALUES).enumerate().map(part).collect())
}

impl Record {
    /// The record's bytes, the same that it was decoded from.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_part(&self.hash, &self.model, self.dims, self.first, &self.values)
    }
}

fn encode_part(
    hash: &ContentHash,
    model: &ModelId,
    dims: usize,
    first: usize,
    values: &[f32],
) -> Vec<u8> {
    let len = FIXED_BYTES + model.0.len() + 4 * values.len() + CRC_BYTES;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&hash.0);
    bytes.extend_from_slice(&(model.0.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&(dims as u32).to_le_bytes());
    bytes.extend_from_slice(&(first as u32).to_le_bytes());
    bytes.extend_from_slice(&(values.len() as u16).to_le_bytes());
    bytes.extend_from_slice(model.0.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Decodes one record that fills `bytes` exactly.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordDamage> {
    Ok(check(bytes)?.to_record())
}

/// Puts the records of one embedding together; `parts` in order of `first`.
pub fn join(
    hash: &ContentHash,
    model: &ModelId,
    parts: impl IntoIterator<Item = Record>,
) -> Result<Vec<f32>, RecordDamage> {
    let mut vector = Vec::new();
    let mut dims = 0;
    for part in parts {
        if part.hash != *hash || part.model != *model {
            return Err(RecordDamage::WrongKey);
        }
        if part.first != vector.len() || (dims != 0 && part.dims != dims) {
            return Err(RecordDamage::Incomplete);
        }
        dims = part.dims;
        match vector.is_empty() {
            true => vector = part.values,
            false => vector.extend_from_slice(&part.values),
        }
    }
    if dims == 0 || vector.len() != dims {
        return Err(RecordDamage::Incomplete);
    }
    Ok(vector)
}

/// One record that was checked: what [`Record`] says, where it lies.
pub(super) struct View<'a> {
    pub(super) hash: ContentHash,
    pub(super) model: &'a str,
    dims: usize,
    pub(super) first: usize,
    /// Little-endian `f32`.
    values: &'a [[u8; 4]],
}

impl View<'_> {
    fn values(&self) -> impl Iterator<Item = f32> {
        self.values.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    fn to_record(&self) -> Record {
        Record {
            hash: self.hash,
            model: ModelId(self.model.to_owned()),
            dims: self.dims,
            first: self.first,
            values: self.values().collect(),
        }
    }
}

/// Checks one record that fills `bytes` exactly.
pub(super) fn check(bytes: &[u8]) -> Result<View<'_>, RecordDamage> {
    let (view, used) = check_prefix(bytes)?;
    match used == bytes.len() {
        true => Ok(view),
        false => Err(RecordDamage::Length),
    }
}

/// Decodes the record at the start of `bytes`; also its length in bytes.
pub(super) fn decode_prefix(bytes: &[u8]) -> Result<(Record, usize), RecordDamage> {
    let (view, used) = check_prefix(bytes)?;
    Ok((view.to_record(), used))
}

fn check_prefix(bytes: &[u8]) -> Result<(View<'_>, usize), RecordDamage> {
    if !bytes.starts_with(&MAGIC) {
        return Err(RecordDamage::NotARecord);
    }
    let mut rest = &bytes[MAGIC.len()..];
    let hash = ContentHash(*take(&mut rest)?);
    let model_bytes = usize::from(u16::from_le_bytes(*take(&mut rest)?));
    let dims = u32::from_le_bytes(*take(&mut rest)?) as usize;
    let first = u32::from_le_bytes(*take(&mut rest)?) as usize;
    let count = usize::from(u16::from_le_bytes(*take(&mut rest)?));
    let fits = model_bytes <= MAX_MODEL_BYTES
        && dims <= MAX_DIMS
        && first < dims
        && first.is_multiple_of(PART_VALUES)
        && count == (dims - first).min(PART_VALUES);
    let body = FIXED_BYTES + model_bytes + 4 * count;
    if !fits || bytes.len() < body + CRC_BYTES {
        return Err(RecordDamage::Length);
    }
    let (content, mut tail) = bytes.split_at(body);
    if crc32fast::hash(content) != u32::from_le_bytes(*take(&mut tail)?) {
        return Err(RecordDamage::Checksum);
    }
    let (model, values) = content[FIXED_BYTES..].split_at(model_bytes);
    let model = std::str::from_utf8(model).map_err(|_| RecordDamage::NotARecord)?;
    let view = View {
        hash,
        model,
        dims,
        first,
        values: values.as_chunks().0,
    };
    if !view.values().all(f32::is_finite) {
        return Err(RecordDamage::NotARecord);
    }
    Ok((view, body + CRC_BYTES))
}

/// Takes the next `N` bytes off the front.
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], RecordDamage> {
    let (head, tail) = rest.split_first_chunk().ok_or(RecordDamage::Length)?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(seed: u8) -> ContentHash {
        ContentHash::of(&[seed])
    }

    fn model(name: &str) -> ModelId {
        ModelId(name.to_owned())
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let refused = |vector: &[f32]| encode(&hash(1), &model("m"), vector).err();
        assert_eq!(refused(&[]), Some(NotStorable::Dims(0)));
        assert_eq!(refused(&[0.0, f32::NAN]), Some(NotStorable::NotFinite(1)));
        assert_eq!(
            refused(&vec![0.0; MAX_DIMS + 1]),
            Some(NotStorable::Dims(MAX_DIMS + 1))
        );
        let long = model(&"m".repeat(MAX_MODEL_BYTES + 1));
        assert!(matches!(
            encode(&hash(1), &long, &[1.0]),
            Err(NotStorable::Model(_))
        ));
    }

    #[test]
    fn parts_that_do_not_belong_together_are_no_embedding() {
        let of = |h: u8, m: &str, n: usize| -> Vec<Record> {
            let parts = encode(&hash(h), &model(m), &vec![0.5; n]).expect("storable");
            parts.iter().map(|p| decode(p).expect("whole")).collect()
        };
        let whole = of(1, "m", 2500);
        assert_eq!(whole.len(), 3);
        let joined = |parts: Vec<Record>| join(&hash(1), &model("m"), parts);
        assert_eq!(joined(whole.clone()).expect("whole").len(), 2500);
        assert_eq!(joined(whole[..2].to_vec()), Err(RecordDamage::Incomplete));
        assert_eq!(joined(whole[1..].to_vec()), Err(RecordDamage::Incomplete));
        assert_eq!(joined(vec![]), Err(RecordDamage::Incomplete));
        assert_eq!(joined(of(2, "m", 3)), Err(RecordDamage::WrongKey));
        assert_eq!(joined(of(1, "n", 3)), Err(RecordDamage::WrongKey));
        let mixed = vec![of(1, "m", 2500)[0].clone(), of(1, "m", 2400)[1].clone()];
        assert_eq!(joined(mixed), Err(RecordDamage::Incomplete));
    }

    proptest! {
        #[test]
        fn every_vector_comes_back_bit_for_bit(
            vector in prop::collection::vec(-1e30f32..1e30, 1..3000), name in ".{0,60}", seed: u8,
        ) {
            let parts = encode(&hash(seed), &model(&name), &vector).expect("storable");
            prop_assert!(parts.iter().all(|part| part.len() <= MAX_RECORD_BYTES));
            for part in &parts {
                prop_assert_eq!(&decode(part).expect("whole").to_bytes(), part);
            }
            let parts = parts.iter().map(|part| decode(part).expect("whole"));
            prop_assert_eq!(join(&hash(seed), &model(&name), parts), Ok(vector));
        }

        #[test]
        fn any_flipped_bit_is_noticed(dims in 1usize..600, at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(&hash(3), &model("m"), &vec![0.25; dims]).expect("storable").remove(0);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), magic: bool) {
            if magic && bytes.len() >= 8 {
                bytes[..8].copy_from_slice(&MAGIC);
            }
            prop_assert!(decode(&bytes).is_err());
            prop_assert!(decode_prefix(&bytes).is_err());
        }
    }
}
