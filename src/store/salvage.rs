//! Finding what is still good in the raw bytes of a damaged database file.
//!
//! sled writes values uncompressed and in one piece, and every value of ours begins with a magic number and can be
//! verified by itself: a record by its checksum, a chunk by the digest that the head names, the head by its checksum.
//! So the damaged index is not needed, and nothing wrong can be found. Some good data may be missed: before sled gives
//! up, it may zero what follows the damage in its segment of 512 KiB.

use super::{
    record::{self, Record},
    state::{self, Digest, Found, Whole},
};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// Bytes searched at once.
const WINDOW_BYTES: usize = 8 << 20;
/// Longest piece that is found; longer heads belong to states of some 4 GB.
const OVERLAP_BYTES: usize = 64 << 10;
/// Most bytes of chunks held; a database file holds old ones too.
const MAX_CHUNK_BYTES: usize = 256 << 20;
/// Most heads tried, newest first.
const MAX_HEADS: usize = 64;

/// Something good.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Record(Record),
    Chunk(&'a [u8]),
    Head(u64, &'a [u8]),
}

/// Searches `file` from its start: passes every record to `keep`, and returns the newest state that is whole.
///
/// # Errors
/// Reading failed, or `keep` did: what is left unsearched is searched by the next try.
pub(super) fn search<E: From<io::Error>>(
    mut file: impl Read,
    mut keep: impl FnMut(Record) -> Result<(), E>,
) -> Result<Option<Found>, E> {
    let mut heads = BTreeMap::new();
    let mut chunks: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
    let mut chunk_bytes = 0;
    let mut window = Vec::with_capacity(WINDOW_BYTES + OVERLAP_BYTES);
    loop {
        let read = (&mut file)
            .take(WINDOW_BYTES as u64)
            .read_to_end(&mut window)?;
        if read == 0 {
            break;
        }
        for piece in pieces(&window) {
            match piece {
                Piece::Record(record) => keep(record)?,
                Piece::Chunk(chunk) if chunk_bytes < MAX_CHUNK_BYTES => {
                    let new = chunks
                        .insert(state::digest(chunk), chunk.to_vec())
                        .is_none();
                    chunk_bytes += if new { chunk.len() } else { 0 };
                }
                Piece::Chunk(_) => {}
                Piece::Head(save, head) => {
                    heads.insert(save, head.to_vec());
                    if heads.len() > MAX_HEADS {
                        heads.pop_first();
                    }
                }
            }
        }
        window.drain(..window.len().saturating_sub(OVERLAP_BYTES));
    }
    for head in heads.into_values().rev() {
        if let Ok(Whole { digests, .. }) = state::join(&head, &chunks) {
            chunks.retain(|digest, _| digests.contains(digest));
            return Ok(Some(Found { head, chunks }));
        }
    }
    Ok(None)
}

/// The good pieces of `bytes`, in order.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(step) = bytes.get(at..)?.iter().position(|&byte| byte == b'm') {
            let here = &bytes[at + step..];
            at += step + 1;
            if !here.starts_with(b"mos") {
                continue;
            }
            let (piece, used) = if let Ok((record, used)) = record::decode_prefix(here) {
                (Piece::Record(record), used)
            } else if let Some((save, head)) = state::head_at(here) {
                (Piece::Head(save, head), head.len())
            } else if let Some(chunk) = state::unwrap(here) {
                // A chunk does not prove itself here, and so must not hide what begins within it.
                (Piece::Chunk(chunk), 1)
            } else {
                continue;
            };
            at += used - 1;
            return Some(piece);
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artwork::ContentHash, embed::ModelId};
    use proptest::prelude::*;

    fn record(seed: u8) -> Vec<u8> {
        let hash = ContentHash::of(&[seed]);
        let model = ModelId("m".to_owned());
        record::encode(&hash, &model, &[1.0; 7])
            .expect("storable")
            .remove(0)
    }

    fn found(rubble: &[u8]) -> (Vec<ContentHash>, Option<BTreeMap<String, Vec<u8>>>) {
        let mut hashes = Vec::new();
        let keep = |record: Record| -> io::Result<()> {
            hashes.push(record.hash);
            Ok(())
        };
        let state = search(rubble, keep).expect("memory is readable");
        let whole = state.map(|found| state::join(&found.head, &found.chunks).expect("whole"));
        (hashes, whole.map(|whole| whole.sections))
    }

    #[test]
    fn pieces_across_windows_are_found_and_the_newest_whole_state_wins() {
        let old = [3; 9000];
        let new = [4; 9000];
        let mut rubble = vec![0; WINDOW_BYTES - 10];
        rubble.extend(record(1));
        for (save, bytes) in [(1, &old), (2, &new)] {
            let cut = state::cut(save, &[("points", bytes)]).expect("good name");
            for (i, chunk) in cut.chunks.values().enumerate() {
                let torn = save == 2 && i == 0;
                rubble.extend(if torn { vec![0; 9] } else { state::wrap(chunk) });
            }
            rubble.extend(cut.head);
        }
        let (hashes, sections) = found(&rubble);
        assert_eq!(hashes, [ContentHash::of(&[1])]);
        assert_eq!(sections.expect("the old one is whole")["points"], old);
        assert_eq!(found(&[]), (vec![], None));
    }

    proptest! {
        #[test]
        fn records_are_found_in_rubble(
            junk in prop::collection::vec(
                prop::collection::vec(prop::sample::select(b"mosEmbChuHea\0\x01".to_vec()), 0..50), 4),
            cut in 0usize..40,
        ) {
            let mut rubble = Vec::new();
            for (seed, junk) in (0u8..).zip(&junk) {
                rubble.extend_from_slice(junk);
                rubble.extend(record(seed));
            }
            let torn = record(9);
            rubble.extend_from_slice(&torn[..torn.len() - 1 - cut]);
            let expected: Vec<_> = (0u8..4).map(|seed| ContentHash::of(&[seed])).collect();
            prop_assert_eq!(found(&rubble).0, expected);
        }
    }
}
