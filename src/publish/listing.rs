//! The works of a generation as its manifest lists them, taken over from the generation before where they are the same:
//! these are neither cloned nor serialised again, since one change leaves all other works as they were.
//!
//! Pure. Invariant: [`Serialised`] is what `serde_json` writes of the works.

use super::{Generation, PublishError, manifest::Work, page::Touched};
use rayon::prelude::*;
use std::{borrow::Cow, ops::Range};

/// Works that are serialised in one piece.
const WORKS_A_PIECE: usize = 512;

/// The works of a generation, ordered by id, coordinates finite.
pub(super) struct Listing {
    pub(super) works: Vec<Work>,
    pub(super) serialised: Serialised,
    /// Whether they differ from the list before.
    pub(super) changed: bool,
    /// Those that do.
    pub(super) touched: Touched,
}

impl Listing {
    /// The works of a generation; `before` is the list of the last one, and `serialised` the same as JSON. Fails on an
    /// id twice.
    pub(super) fn of(
        generation: &Generation,
        before: Vec<Work>,
        serialised: &Serialised,
    ) -> Result<Self, PublishError> {
        let mut wanted: Vec<&Work> = generation.works.iter().collect();
        wanted.sort_by_key(|work| work.id);
        if let Some(pair) = wanted.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(PublishError::DuplicateId { id: pair[0].id });
        }
        let mut works = Vec::with_capacity(wanted.len());
        // Where each stood before; `None` for a work that is new or has changed.
        let mut stood = Vec::with_capacity(wanted.len());
        let (count, mut before) = (before.len(), before.into_iter().enumerate().peekable());
        let mut touched = Touched::default();
        for work in wanted.into_iter().map(finite) {
            while let Some((_, gone)) = before.next_if(|(_, old)| old.id < work.id) {
                touched.all.push(gone.id);
            }
            let old = before.next_if(|(_, old)| *old == *work);
            if old.is_none() {
                touched.all.push(work.id);
                let same = before.peek().filter(|(_, old)| old.id == work.id);
                if same.is_some_and(|(_, old)| old.hash != work.hash) {
                    touched.edited.push(work.id);
                }
            }
            stood.push(old.as_ref().map(|(at, _)| *at));
            works.push(old.map_or_else(|| work.into_owned(), |(_, old)| old));
        }
        touched.all.extend(before.map(|(_, gone)| gone.id));
        Ok(Self {
            touched,
            changed: count != works.len() || stood.iter().any(Option::is_none),
            serialised: serialised.updated(&works, &stood)?,
            works,
        })
    }
}

/// Works as JSON, separated by commas.
#[derive(Default)]
pub(super) struct Serialised {
    json: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Serialised {
    /// Serialises works.
    pub(super) fn of(works: &[Work]) -> serde_json::Result<Self> {
        Self::default().updated(works, &vec![None; works.len()])
    }

    /// All of them, joined by commas.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Serialises works, on all cores, except those that were here before: they are copied.
    fn updated(&self, works: &[Work], stood: &[Option<usize>]) -> serde_json::Result<Self> {
        let piece = |(works, stood): (&[Work], &[Option<usize>])| {
            let mut piece = Self::default();
            for (work, stood) in works.iter().zip(stood) {
                match stood.and_then(|at| self.json.get(self.span(at))) {
                    Some(same) => piece.json.extend_from_slice(same),
                    None => serde_json::to_writer(&mut piece.json, work)?,
                }
                piece.ends.push(piece.json.len());
                piece.json.push(b',');
            }
            Ok(piece)
        };
        let pieces = works.par_chunks(WORKS_A_PIECE);
        let pieces = pieces.zip(stood.par_chunks(WORKS_A_PIECE)).map(piece);
        let pieces = pieces.collect::<serde_json::Result<Vec<_>>>()?;
        let mut whole = Self {
            json: Vec::with_capacity(pieces.iter().map(|piece| piece.json.len()).sum()),
            ends: Vec::with_capacity(works.len()),
        };
        for piece in pieces {
            let start = whole.json.len();
            whole.ends.extend(piece.ends.iter().map(|end| start + end));
            whole.json.extend_from_slice(&piece.json);
        }
        whole.json.pop();
        Ok(whole)
    }

    /// Where a work lies; nowhere if it was not among them.
    fn span(&self, at: usize) -> Range<usize> {
        let Some(&end) = self.ends.get(at) else {
            return usize::MAX..usize::MAX;
        };
        let before = at.checked_sub(1).and_then(|at| self.ends.get(at));
        before.map_or(0, |before| before + 1)..end
    }
}

/// A work without coordinates that JSON does not know: NaN would be written as null, and read back as damage.
fn finite(work: &Work) -> Cow<'_, Work> {
    if work.x.is_finite() && work.y.is_finite() {
        return Cow::Borrowed(work);
    }
    let mut work = work.clone();
    for value in [&mut work.x, &mut work.y] {
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    Cow::Owned(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artwork::{ArtworkId, ContentHash};
    use proptest::prelude::*;

    fn work(id: u64, x: f32) -> Work {
        Work {
            id: ArtworkId(id),
            path: format!("\"{id}\",.png"),
            col: 0,
            row: 0,
            x,
            y: 0.5,
            hash: ContentHash::of(&id.to_le_bytes()),
            size: id * id,
            added_ms: 0,
            neighbours: (0..id % 9).map(ArtworkId).collect(),
            format: None,
            title: None,
            artist: None,
            link: None,
            large: None,
            fields: Default::default(),
        }
    }

    fn generation(works: Vec<Work>) -> Generation {
        Generation {
            works,
            ..Generation::default()
        }
    }

    fn listed(works: Vec<Work>) -> Result<Listing, PublishError> {
        Listing::of(&generation(works), Vec::new(), &Serialised::default())
    }

    #[test]
    fn works_are_ordered_and_finite_and_an_id_twice_is_named() {
        let listing = listed(vec![work(9, f32::NAN), work(3, 0.0)]).expect("works");
        let seen: Vec<_> = listing.works.iter().map(|w| (w.id.0, w.x)).collect();
        assert_eq!(seen, [(3, 0.0), (9, 0.0)]);
        let twice = listed(vec![work(3, 0.0), work(4, 0.0), work(3, 1.0)]);
        let id = ArtworkId(3);
        assert!(matches!(twice, Err(PublishError::DuplicateId { id: named }) if named == id));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn a_list_taken_over_equals_one_from_nothing(
            before in proptest::collection::btree_map(0..1_400_u64, 0..3_u8, 0..1_200),
            edits in proptest::collection::btree_map(0..1_400_u64, 0..4_u8, 0..20),
        ) {
            let coordinate = |value: u8| [0.0, 1.0 / 3.0, f32::NAN][usize::from(value)];
            let works = |values: &std::collections::BTreeMap<u64, u8>| -> Vec<Work> {
                values.iter().map(|(&id, &value)| work(id, coordinate(value))).rev().collect()
            };
            let old = listed(works(&before)).expect("listed");
            let mut after = before.clone();
            for (&id, &value) in &edits {
                match value {
                    3 => after.remove(&id),
                    value => after.insert(id, value),
                };
            }
            let relisted = listed(works(&after)).expect("listed");
            let now = generation(works(&after));
            let changed = old.works != relisted.works;
            let taken = Listing::of(&now, old.works, &old.serialised).expect("listed");
            prop_assert_eq!(taken.changed, changed);
            prop_assert!(taken.works == relisted.works);
            let json = [b"[", taken.serialised.json(), b"]"].concat();
            prop_assert!(json == serde_json::to_vec(&taken.works).expect("serialised"));
            let lost = Listing::of(&now, relisted.works, &Serialised::default()).expect("listed");
            prop_assert!(lost.serialised.json() == taken.serialised.json());
        }
    }
}
