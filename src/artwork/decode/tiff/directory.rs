//! Reading a TIFF's header and its first directory: which tags there are, and their values.
//!
//! Both byte orders, classic and BigTIFF. Nothing is allocated beyond the length of the file: a value whose bytes do not
//! lie in the file is an error. Later directories (pages, thumbnails) are left alone. Source: TIFF 6.0, section 2; the
//! BigTIFF design of 2004.

use super::{TRUNCATED, damaged};
use crate::artwork::decode::DecodeError;
use std::collections::BTreeMap;

/// Most entries a directory may have; real ones have some twenty.
const MAX_ENTRIES: u64 = 4096;

/// A file's bytes and how they are ordered.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big_endian: bool,
    big_tiff: bool,
}

/// Where a tag's values lie.
#[derive(Clone, Copy)]
struct Entry {
    kind: u16,
    count: usize,
    at: usize,
}

/// The first directory.
pub(super) struct Directory<'a> {
    pub(super) source: Source<'a>,
    entries: BTreeMap<u16, Entry>,
}

impl<'a> Source<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let magic = bytes.get(..4).ok_or(TRUNCATED)?;
        let big_endian = magic[0] == b'M';
        let version = if big_endian { magic[3] } else { magic[2] };
        Ok(Self {
            bytes,
            big_endian,
            big_tiff: version == 43,
        })
    }

    /// An unsigned number of `size` bytes at `at`.
    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(size)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match self.big_endian {
            true => field.iter().fold(0, add),
            false => field.iter().rev().fold(0, add),
        })
    }

    /// An offset or a count of values, whose size depends on the kind of TIFF.
    fn offset(&self, at: usize) -> Option<u64> {
        self.number(at, if self.big_tiff { 8 } else { 4 })
    }
}

impl<'a> Directory<'a> {
    /// Reads the header and the first directory.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let source = Source::of(bytes)?;
        let first = source.offset(if source.big_tiff { 8 } else { 4 });
        let first = usize::try_from(first.ok_or(TRUNCATED)?).map_err(|_| TRUNCATED)?;
        let (count_size, entry_size) = if source.big_tiff { (8, 20) } else { (2, 12) };
        let count = source.number(first, count_size).ok_or(TRUNCATED)?;
        if count == 0 || count > MAX_ENTRIES {
            return Err(damaged("its directory is not one"));
        }
        let mut entries = BTreeMap::new();
        for i in 0..count as usize {
            let at = first + count_size + i * entry_size;
            let tag = source.number(at, 2).ok_or(TRUNCATED)? as u16;
            // An entry that makes no sense is passed over: the picture may not need it.
            if let Some(entry) = source.entry(at) {
                entries.entry(tag).or_insert(entry);
            }
        }
        Ok(Self { source, entries })
    }

    /// Whether there is such a tag.
    pub(super) fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// The first value of a tag of whole numbers.
    pub(super) fn first(&self, tag: u16) -> Option<u64> {
        let entry = self.entries.get(&tag)?;
        self.source.value(entry, 0)
    }

    /// All values of a tag of whole numbers; empty if there is none.
    pub(super) fn all(&self, tag: u16) -> Vec<u64> {
        let Some(entry) = self.entries.get(&tag) else {
            return Vec::new();
        };
        (0..entry.count)
            .map_while(|i| self.source.value(entry, i))
            .collect()
    }

    /// All values of a tag of fractions.
    pub(super) fn fractions(&self, tag: u16) -> Option<Vec<f64>> {
        let entry = self.entries.get(&tag)?;
        if entry.kind != 5 {
            return None;
        }
        let value = |i: usize| {
            let above = self.source.number(entry.at + 8 * i, 4)?;
            let below = self.source.number(entry.at + 8 * i + 4, 4)?;
            (below > 0).then(|| above as f64 / below as f64)
        };
        (0..entry.count).map(value).collect()
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entries.get(&tag)?;
        let len = entry.count.checked_mul(size_of(entry.kind)?)?;
        self.source.bytes.get(entry.at..entry.at.checked_add(len)?)
    }
}

impl Source<'_> {
    fn entry(&self, at: usize) -> Option<Entry> {
        let kind = self.number(at + 2, 2)? as u16;
        let count = usize::try_from(self.offset(at + 4)?).ok()?;
        let len = count.checked_mul(size_of(kind)?)?;
        let (field, room) = if self.big_tiff {
            (at + 12, 8)
        } else {
            (at + 8, 4)
        };
        let at = match len <= room {
            true => field,
            false => usize::try_from(self.offset(field)?).ok()?,
        };
        (at.checked_add(len)? <= self.bytes.len()).then_some(Entry { kind, count, at })
    }

    fn value(&self, entry: &Entry, i: usize) -> Option<u64> {
        if i >= entry.count {
            return None;
        }
        match entry.kind {
            1..=4 | 6..=9 | 13 | 16..=18 => {
                let size = size_of(entry.kind)?;
                self.number(entry.at + size * i, size)
            }
            _ => None,
        }
    }
}

/// Bytes of one value of a kind.
fn size_of(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}
