//! What changed in the folder, and telling renames, edits, removals and news apart.

use super::Collection;
use crate::domain::{Artwork, ArtworkId, ContentHash, FileIdentity};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

/// A file that was read, embedded and stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// Content.
    pub hash: ContentHash,
    /// What the file system says of the file.
    pub identity: FileIdentity,
    /// Its embedding, `D` values, unit length.
    pub vector: Vec<f32>,
}

/// What changed in the folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeSet {
    /// New and changed files.
    pub arrivals: Vec<Arrival>,
    /// Paths that are no more.
    pub gone: Vec<PathBuf>,
}

/// The changes told apart; a work is named by its index.
#[derive(Default)]
pub(super) struct Matched {
    pub(super) removed: Vec<usize>,
    pub(super) changed: Vec<(usize, Arrival)>,
    pub(super) new: Vec<Arrival>,
    pub(super) renamed: u32,
}

/// Tells renames, edits, removals and news apart, and carries the renames and touches out.
///
/// A work whose path is gone or holds other content now is *displaced*; an arrival with a displaced work's content
/// is that work under a new path.
pub(super) fn match_changes(collection: &mut Collection, changes: ChangeSet) -> Matched {
    let arrivals: BTreeMap<PathBuf, Arrival> = changes
        .arrivals
        .into_iter()
        .map(|arrival| (arrival.path.clone(), arrival))
        .collect();
    let gone: HashSet<PathBuf> = changes.gone.into_iter().collect();

    let mut displaced: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut by_hash: HashMap<ContentHash, Vec<usize>> = HashMap::new();
    let mut untouched: HashSet<PathBuf> = HashSet::new();
    for (i, work) in collection.works.iter_mut().enumerate() {
        let stale = collection.stale.contains(&work.id);
        match arrivals.get(&work.path) {
            Some(arrival) if arrival.hash == work.hash && !stale => {
                work.identity = arrival.identity;
                untouched.insert(work.path.clone());
                continue;
            }
            None if !gone.contains(&work.path) => continue,
            _ => {}
        }
        displaced.insert(work.path.clone(), i);
        if !stale {
            by_hash.entry(work.hash).or_default().push(i);
        }
    }

    let mut matched = Matched::default();
    let mut taken: HashSet<usize> = HashSet::new();
    let mut rest = Vec::new();
    for (path, arrival) in arrivals {
        if untouched.contains(&path) {
            continue;
        }
        match by_hash.get_mut(&arrival.hash).and_then(Vec::pop) {
            Some(i) => {
                taken.insert(i);
                let work = &mut collection.works[i];
                (work.path, work.identity) = (arrival.path, arrival.identity);
                matched.renamed += 1;
            }
            None => rest.push(arrival),
        }
    }
    displaced.retain(|_, i| !taken.contains(i));
    for arrival in rest {
        match displaced.remove(&arrival.path) {
            Some(i) => matched.changed.push((i, arrival)),
            None => matched.new.push(arrival),
        }
    }
    matched.removed = displaced.into_values().collect();
    matched
}

/// The arrival as a work, and its embedding.
pub(super) fn placed(arrival: Arrival, id: ArtworkId, added_ms: u64) -> (Artwork, Vec<f32>) {
    let Arrival {
        path,
        hash,
        identity,
        vector,
    } = arrival;
    (
        Artwork {
            id,
            path,
            hash,
            identity,
            added_ms,
        },
        vector,
    )
}
