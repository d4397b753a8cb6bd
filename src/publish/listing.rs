//! The works of a generation as its manifest lists them: those that are the same as in the generation before are not
//! serialised again, since one change leaves all other works as they were.
//!
//! Pure. Invariant: [`Serialised`] is what `serde_json` writes of the works.

use super::{PublishError, manifest::Work, page::Touched};
use crate::domain::{ArtworkId, ContentHash};
use rayon::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// Ids whose works are serialised in one piece.
const WORKS_A_PIECE: u64 = 512;

/// What stood in the generation before where a generation's works stand.
#[derive(Debug)]
pub enum Was {
    /// These works, ordered by id; which of them are still the same is not known.
    Works(Vec<Arc<Work>>),
    /// The same works, but for those at these positions, ascending, of a list that is ordered by id: each with the work
    /// that stood there, or `None` if it is new. No work is gone.
    But(Vec<(usize, Option<Arc<Work>>)>),
}

/// The works of a generation, ordered by id, coordinates finite.
pub(super) struct Listing {
    pub(super) works: Vec<Arc<Work>>,
    pub(super) serialised: Serialised,
    /// Whether they differ from the list before.
    pub(super) changed: bool,
    /// Those that do.
    pub(super) touched: Touched,
    /// Works that are new or show something else than before, with the cell that each had; `None` if others are gone, or if
    /// that is not known.
    pub(super) steps: Option<Vec<Step>>,
}

/// A work that is new, or was elsewhere, or showed something else.
pub(super) struct Step {
    /// Column and row before.
    pub(super) from: Option<(u32, u32)>,
    /// Column and row now.
    pub(super) to: (u32, u32),
    /// Its content.
    pub(super) hash: ContentHash,
}

impl Listing {
    /// The works of a generation; `was` tells of the last one, and `serialised` is that one as JSON. Fails on an id twice.
    pub(super) fn of(
        mut works: Vec<Arc<Work>>,
        was: Was,
        serialised: Serialised,
    ) -> Result<Self, PublishError> {
        let mut touched = Touched::default();
        let changes = match was {
            Was::Works(before) => {
                works.iter_mut().for_each(finite);
                works.sort_by_key(|work| work.id);
                if let Some(pair) = works.windows(2).find(|pair| pair[0].id == pair[1].id) {
                    return Err(PublishError::DuplicateId { id: pair[0].id });
                }
                return Self::compared(works, before, serialised);
            }
            Was::But(changes) => changes,
        };
        let (mut steps, mut differing) = (Vec::new(), Vec::new());
        for (at, old) in changes {
            finite(&mut works[at]);
            let work = &works[at];
            let near = [at.wrapping_sub(1), at + 1].map(|near| works.get(near));
            if near.iter().flatten().any(|near| near.id == work.id) {
                return Err(PublishError::DuplicateId { id: work.id });
            }
            if old.as_ref() == Some(work) {
                continue;
            }
            let from = old.as_ref().map(|old| ((old.col, old.row), old.hash));
            let to = (work.col, work.row);
            if from != Some((to, work.hash)) {
                let (from, hash) = (from.map(|(cell, _)| cell), work.hash);
                steps.push(Step { from, to, hash });
            }
            touched.note(old, work);
            differing.push(at);
        }
        Ok(Self {
            touched,
            changed: !differing.is_empty(),
            steps: Some(steps),
            serialised: serialised.with(&works, &differing)?,
            works,
        })
    }

    /// Compares works with those `before`, both ordered by id.
    fn compared(
        works: Vec<Arc<Work>>,
        before: Vec<Arc<Work>>,
        serialised: Serialised,
    ) -> Result<Self, PublishError> {
        // Whether each is as it was.
        let mut same = Vec::with_capacity(works.len());
        let (count, mut before) = (before.len(), before.into_iter().peekable());
        let mut touched = Touched::default();
        for work in &works {
            while let Some(gone) = before.next_if(|old| old.id < work.id) {
                touched.all.push(gone.id);
                touched.gone = true;
            }
            let old = before.next_if(|old| old.id == work.id);
            let is_same = |old: &Arc<Work>| Arc::ptr_eq(old, work) || old == work;
            same.push(old.as_ref().is_some_and(is_same));
            if same.last() == Some(&false) {
                touched.note(old, work);
            }
        }
        touched.gone |= before.peek().is_some();
        touched.all.extend(before.map(|gone| gone.id));
        Ok(Self {
            touched,
            changed: count != works.len() || same.contains(&false),
            steps: None,
            serialised: serialised.updated(&works, &same)?,
            works,
        })
    }
}

impl Touched {
    /// Notes a work that is new or not as it was.
    fn note(&mut self, old: Option<Arc<Work>>, work: &Work) {
        if old.as_ref().is_some_and(|old| old.hash != work.hash) {
            self.edited.push(work.id);
        }
        if !old.is_some_and(|old| only_its_point_moved(old, work)) {
            self.all.push(work.id);
        }
    }
}

/// Works as JSON, in pieces of neighbouring ids: a piece without a change is kept as it is.
#[derive(Default)]
pub(super) struct Serialised(BTreeMap<u64, Piece>);

/// Some works as JSON, each followed by a comma.
#[derive(Default)]
struct Piece {
    json: Vec<u8>,
    /// The id of each and where it ends.
    ends: Vec<(ArtworkId, usize)>,
}

/// The piece that a work is in.
fn piece_of(work: &Work) -> u64 {
    work.id.0 / WORKS_A_PIECE
}

impl Serialised {
    /// Serialises works, which are ordered by id.
    pub(super) fn of(works: &[Arc<Work>]) -> serde_json::Result<Self> {
        Self::default().updated(works, &vec![false; works.len()])
    }

    /// All of them, separated by commas, in parts that follow one another.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        let mut parts: Vec<&[u8]> = self.0.values().map(|piece| &piece.json[..]).collect();
        if let Some(last) = parts.last_mut() {
            *last = &last[..last.len() - 1];
        }
        parts
    }

    /// Serialises works, except those that are the `same` as before.
    fn updated(mut self, works: &[Arc<Work>], same: &[bool]) -> serde_json::Result<Self> {
        let mut at = 0;
        let pieces = works.chunk_by(|a, b| piece_of(a) == piece_of(b));
        let pieces = pieces.map(|works| {
            let same = same[at..at + works.len()].to_vec();
            at += works.len();
            (works, same)
        });
        let pieces = self.renewed(pieces.collect())?;
        Ok(Self(pieces))
    }

    /// Serialises the works at these positions, ascending; all others are the same as before.
    fn with(mut self, works: &[Arc<Work>], differing: &[usize]) -> serde_json::Result<Self> {
        let pieces = differing.chunk_by(|&a, &b| piece_of(&works[a]) == piece_of(&works[b]));
        let pieces = pieces.map(|differing| {
            let piece = piece_of(&works[differing[0]]);
            let start = works.partition_point(|work| piece_of(work) < piece);
            let count = works[start..].partition_point(|work| piece_of(work) == piece);
            let mut same = vec![true; count];
            differing.iter().for_each(|at| same[at - start] = false);
            (&works[start..start + count], same)
        });
        let pieces = self.renewed(pieces.collect())?;
        self.0.extend(pieces);
        Ok(self)
    }

    /// Serialises pieces again, on all cores; each with its works, and which of them are the same as before.
    fn renewed(
        &mut self,
        pieces: Vec<(&[Arc<Work>], Vec<bool>)>,
    ) -> serde_json::Result<BTreeMap<u64, Piece>> {
        let old = |(works, same): (_, _)| {
            let works: &[Arc<Work>] = works;
            let number = piece_of(&works[0]);
            (number, works, same, self.0.remove(&number))
        };
        let pieces: Vec<(_, _, Vec<bool>, _)> = pieces.into_iter().map(old).collect();
        let pieces = pieces.into_par_iter().map(|(number, works, same, old)| {
            let piece = old.unwrap_or_default().updated(works, &same)?;
            Ok((number, piece))
        });
        pieces.collect()
    }
}

impl Piece {
    fn updated(self, works: &[Arc<Work>], same: &[bool]) -> serde_json::Result<Self> {
        if self.ends.len() == works.len() && same.iter().all(|same| *same) {
            return Ok(self);
        }
        let mut now = Self {
            json: Vec::with_capacity(self.json.len()),
            ends: Vec::with_capacity(works.len()),
        };
        for (work, same) in works.iter().zip(same) {
            match self.get(work.id).filter(|_| *same) {
                Some(json) => now.json.extend_from_slice(json),
                None => {
                    serde_json::to_writer(&mut now.json, work)?;
                    now.json.push(b',');
                }
            }
            now.ends.push((work.id, now.json.len()));
        }
        Ok(now)
    }

    /// A work that was serialised before.
    fn get(&self, id: ArtworkId) -> Option<&[u8]> {
        let at = self.ends.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
        self.json.get(start..self.ends[at].1)
    }
}

/// Whether a work differs in nothing but its point on the map.
fn only_its_point_moved(old: Arc<Work>, work: &Work) -> bool {
    let mut old = Arc::unwrap_or_clone(old);
    (old.x, old.y) = (work.x, work.y);
    old == *work
}

/// Takes coordinates away that JSON does not know: NaN would be written as null, and read back as damage.
fn finite(work: &mut Arc<Work>) {
    if !(work.x.is_finite() && work.y.is_finite()) {
        let own = Arc::make_mut(work);
        for value in [&mut own.x, &mut own.y] {
            if !value.is_finite() {
                *value = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artwork::ContentHash;
    use proptest::prelude::*;

    fn work(id: u64, x: f32) -> Work {
        Work {
            x,
            y: 0.5,
            size: id * id,
            neighbours: (0..id % 9).map(ArtworkId).collect(),
            ..Work::sample(id, &format!("\"{id}\",.png"), (0, 0))
        }
    }

    fn shared(works: Vec<Work>) -> Vec<Arc<Work>> {
        works.into_iter().map(Arc::new).collect()
    }

    fn listed(works: Vec<Work>) -> Result<Listing, PublishError> {
        let was = Was::Works(Vec::new());
        Listing::of(shared(works), was, Serialised::default())
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

    #[test]
    fn what_only_moved_on_the_map_is_not_touched_and_all_else_is_named_once() {
        let before = listed((0..6).map(|id| work(id, 0.0)).collect()).expect("listed");
        let mut now: Vec<Work> = (1..7).map(|id| work(id, 0.0)).collect();
        now[0].x = 1.0;
        now[1].title = Some("new".into());
        now[2].hash = ContentHash::of(b"edited");
        let taken = Listing::of(shared(now), Was::Works(before.works), before.serialised);
        let touched = taken.expect("listed").touched;
        let ids = |list: &[ArtworkId]| list.iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(
            (ids(&touched.all), ids(&touched.edited)),
            (vec![0, 2, 3, 6], vec![3])
        );
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
            let now = shared(works(&after));
            let changed = old.works != relisted.works;
            let taken = Listing::of(now.clone(), Was::Works(old.works), old.serialised).expect("listed");
            prop_assert_eq!(taken.changed, changed);
            prop_assert!(taken.works == relisted.works);
            let json = [b"[".to_vec(), taken.serialised.parts().concat(), b"]".to_vec()].concat();
            prop_assert!(json == serde_json::to_vec(&taken.works).expect("serialised"));
            let lost = Listing::of(now, Was::Works(relisted.works), Serialised::default()).expect("listed");
            prop_assert!(lost.serialised.parts() == taken.serialised.parts());
        }
    }
}
