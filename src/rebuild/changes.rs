//! What changed in the folder: which changes are renames, edits, removals or new works.

use crate::{
    domain::{Artwork, ArtworkId, ContentHash, FileIdentity},
    matrix::Matrix,
};
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
    /// Row of its embedding in [`ChangeSet::vectors`].
    pub row: usize,
}

/// What changed in the folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeSet {
    /// New and changed files.
    pub arrivals: Vec<Arrival>,
    /// Their embeddings as the model made them, of unit length. One block of memory, so that it is given back as a whole.
    pub vectors: Matrix,
    /// Paths that are gone.
    pub gone: Vec<PathBuf>,
}

/// The changes by kind; a work is named by its index.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Matched {
    pub(super) removed: Vec<usize>,
    pub(super) changed: Vec<(usize, Arrival)>,
    pub(super) new: Vec<Arrival>,
    pub(super) renamed: u32,
}

/// Distinguishes renames, edits, removals and new works; gives renamed works their path, and touched ones their
/// identity.
///
/// A work whose path is gone or holds other content now is *displaced*; an arrival with a displaced work's content
/// is that work under a new path. Works in `stale` have no embedding: they are read again at their own path.
pub(super) fn match_changes(
    works: &mut [Artwork],
    stale: &HashSet<ArtworkId>,
    changes: ChangeSet,
) -> Matched {
    let arrivals: BTreeMap<PathBuf, Arrival> = changes
        .arrivals
        .into_iter()
        .map(|arrival| (arrival.path.clone(), arrival))
        .collect();
    let gone: HashSet<PathBuf> = changes.gone.into_iter().collect();

    let mut displaced: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut by_hash: HashMap<ContentHash, Vec<usize>> = HashMap::new();
    let mut untouched: HashSet<PathBuf> = HashSet::new();
    for (i, work) in works.iter_mut().enumerate() {
        let stale = stale.contains(&work.id);
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
                let work = &mut works[i];
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

/// The arrival as a work, and the row of its embedding.
pub(super) fn placed(arrival: Arrival, id: ArtworkId, added_ms: u64) -> (Artwork, usize) {
    let Arrival {
        path,
        hash,
        identity,
        row,
    } = arrival;
    (
        Artwork {
            id,
            path,
            hash,
            identity,
            added_ms,
        },
        row,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn identity(ino: u64) -> FileIdentity {
        FileIdentity {
            dev: 1,
            ino,
            size: 1,
            mtime_ns: 0,
            ctime_ns: 0,
        }
    }

    fn hash(content: &str) -> ContentHash {
        ContentHash::of(content.as_bytes())
    }

    /// What became of works, each a path with a content, their ids counted from 1: the arrivals, paths that are gone, and
    /// stale works come in; what is matched, and path and identity of each work, come out.
    fn matched(
        works: &[(&str, &str)],
        arrivals: &[(&str, &str)],
        gone: &[&str],
        stale: &[u64],
    ) -> (Matched, Vec<(PathBuf, u64)>) {
        let work = |(id, (path, content)): (u64, &(&str, &str))| Artwork {
            id: ArtworkId(id),
            path: path.into(),
            hash: hash(content),
            identity: identity(id),
            added_ms: 0,
        };
        let mut works: Vec<Artwork> = (1..).zip(works).map(work).collect();
        let arrival = |(ino, (path, content)): (u64, &(&str, &str))| Arrival {
            path: path.into(),
            hash: hash(content),
            identity: identity(ino),
            row: 0,
        };
        let changes = ChangeSet {
            arrivals: (100..).zip(arrivals).map(arrival).collect(),
            vectors: Matrix::default(),
            gone: gone.iter().map(PathBuf::from).collect(),
        };
        let stale = stale.iter().copied().map(ArtworkId).collect();
        let matched = match_changes(&mut works, &stale, changes);
        let places = works.into_iter().map(|work| (work.path, work.identity.ino));
        (matched, places.collect())
    }

    /// Removed works, changed works, new paths, and how many were renamed.
    fn told(matched: &Matched) -> (&[usize], Vec<usize>, Vec<&Path>, u32) {
        let changed = matched.changed.iter().map(|(i, _)| *i).collect();
        let new = matched.new.iter().map(|a| a.path.as_path()).collect();
        (&matched.removed, changed, new, matched.renamed)
    }

    #[test]
    fn a_rename_an_edit_a_removal_and_news_are_told_apart() {
        let works = [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")];
        let arrivals = [("z", "A"), ("b", "B2"), ("e", "E")];
        let (matched, places) = matched(&works, &arrivals, &["a", "c"], &[]);
        let new = vec![Path::new("e")];
        assert_eq!(told(&matched), ([2].as_slice(), vec![1], new, 1));
        assert_eq!(
            places[0],
            ("z".into(), 100),
            "it has the new file's identity"
        );
        assert_eq!(places[3], ("d".into(), 4));
    }

    #[test]
    fn names_that_are_swapped_are_two_renames() {
        let works = [("a", "A"), ("b", "B"), ("c", "C")];
        // In a ring, too: each name holds the next one's content.
        let ring = [("a", "B"), ("b", "C"), ("c", "A")];
        for (arrivals, names) in [
            (&ring[..], ["c", "a", "b"]),
            (&[("a", "B"), ("b", "A")][..], ["b", "a", "c"]),
        ] {
            let (matched, places) = matched(&works, arrivals, &[], &[]);
            assert_eq!(
                told(&matched),
                ([].as_slice(), vec![], vec![], arrivals.len() as u32)
            );
            let now: Vec<&Path> = places.iter().map(|(path, _)| path.as_path()).collect();
            assert_eq!(now, names.map(Path::new));
        }
    }

    #[test]
    fn a_copy_is_new_and_a_touch_is_nothing() {
        let (matched, places) = matched(&[("a", "A")], &[("a", "A"), ("copy", "A")], &[], &[]);
        assert_eq!(
            told(&matched),
            ([].as_slice(), vec![], vec![Path::new("copy")], 0)
        );
        assert_eq!(
            places,
            [("a".into(), 100)],
            "touched: its identity is the new one"
        );
    }

    #[test]
    fn a_rename_with_an_edit_is_a_removal_and_news() {
        let (matched, _) = matched(&[("a", "A")], &[("b", "A2")], &["a"], &[]);
        assert_eq!(
            told(&matched),
            ([0].as_slice(), vec![], vec![Path::new("b")], 0)
        );
    }

    #[test]
    fn of_equal_pictures_each_is_one_work() {
        let works = [("a", "X"), ("b", "X"), ("c", "X")];
        let (matched, places) = matched(&works, &[("d", "X")], &["a", "b"], &[]);
        assert_eq!(
            (matched.removed.len(), matched.new.len(), matched.renamed),
            (1, 0, 1)
        );
        assert_eq!(places[2], ("c".into(), 3), "it stays where it is");
        assert!(places.iter().any(|(path, _)| path == Path::new("d")));
    }

    #[test]
    fn content_that_moves_onto_another_works_path_takes_its_number_along() {
        let (matched, places) = matched(&[("a", "A"), ("b", "B")], &[("a", "B")], &["b"], &[]);
        assert_eq!(told(&matched), ([0].as_slice(), vec![], vec![], 1));
        assert_eq!(places[1], ("a".into(), 100));
    }

    #[test]
    fn a_work_without_its_embedding_is_changed_by_the_same_content_and_is_no_rename() {
        let works = [("a", "A"), ("b", "B")];
        let (first, _) = matched(&works, &[("a", "A")], &[], &[1]);
        assert_eq!(told(&first), ([].as_slice(), vec![0], vec![], 0));
        let (second, _) = matched(&works, &[("z", "A")], &["a"], &[1]);
        assert_eq!(
            told(&second),
            ([0].as_slice(), vec![], vec![Path::new("z")], 0)
        );
    }
}
