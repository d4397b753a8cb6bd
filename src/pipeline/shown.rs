//! From a collection to a generation: what readers see of the placed works.

use super::seen::Seen;
use crate::{
    cells::CellStore,
    describe::Descriptions,
    domain::{Artwork, ArtworkId, Rebuilt, manifest, manifest::Work},
    publish::{Changed, Generation, Renditions, Was},
    rebuild::Collection,
};
use rayon::prelude::*;
use std::{borrow::Cow, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

/// Works that a thread takes at a time.
const WORKS_A_PART: usize = 4096;
/// Neighbours of a work that the manifest names.
pub(super) const NEIGHBOURS: usize = 12;

/// What is known of the works apart from their places.
pub(super) struct Details<'a> {
    /// Works whose details readers may not see yet.
    pub(super) changed: Changed,
    pub(super) cells: &'a CellStore,
    pub(super) renditions: &'a Renditions,
    pub(super) described: &'a Descriptions,
    /// Columns of `artworks.csv` that visitors may filter by.
    pub(super) filters: &'a [String],
}

/// The next generation.
pub(super) struct Next {
    pub(super) generation: Generation,
    /// What readers saw before.
    pub(super) was: Was,
    /// Indices of the works whose details were looked at.
    pub(super) looked: Vec<usize>,
    /// What readers are to see; `None` if more may become known of a work without a change of it.
    pub(super) seen: Option<Seen>,
}

/// What readers are to see of a collection. `before` is what they see now, ordered by id, at these `readings` of the output;
/// `seen` is the same, unless more than the works, their places and `details` may have changed since. A work that readers
/// see as it is now is shared with it: one change leaves all others as they were.
pub(super) fn next(
    collection: &Collection,
    (before, readings): (Vec<Arc<Work>>, u64),
    seen: Option<Seen>,
    details: &Details<'_>,
    model: &str,
    rebuilt: Rebuilt,
) -> Next {
    let known = |seen: &Seen| seen.leads_to(collection);
    let (works, was, looked, seen) = match seen.filter(known) {
        Some(seen) => some(collection, before, seen, details),
        None => all(collection, before, Seen::of(collection, readings), details),
    };
    let complete = match &was {
        Was::But(changes) => changes.iter().all(|(at, _)| works[*at].format.is_some()),
        Was::Works(_) => works.iter().all(|work| work.format.is_some()),
    };
    let generation = Generation {
        works,
        cols: collection.grid.cols(),
        rows: collection.grid.rows(),
        model: model.to_owned(),
        moves: moves(rebuilt),
        drift: drift(collection),
        words_by: None,
    };
    Next {
        generation,
        was,
        looked,
        seen: complete.then_some(seen),
    }
}

/// Works, what was there, indices of those that were looked at, and what readers are to see.
type Compared = (Vec<Arc<Work>>, Was, Vec<usize>, Seen);

/// Looks at the works that are new or may have changed since readers saw them as `seen` says.
fn some(
    collection: &Collection,
    before: Vec<Arc<Work>>,
    mut seen: Seen,
    details: &Details<'_>,
) -> Compared {
    let looked = seen.follow(collection, |hash| details.changed.contains(hash));
    let look = |&i: &usize| {
        let (at, placed) = (seen.position(i), Placed::of(collection, seen.ids(), i));
        let old = before.get(at).map(|old| &**old);
        let same = old.is_some_and(|old| placed.is_shown_by(old) && details.are_shown_by(old));
        (!same).then(|| (at, Arc::new(details.of(placed, old))))
    };
    let new: Vec<_> = looked.par_iter().filter_map(look).collect();
    let mut works = before;
    let mut changes = Vec::with_capacity(new.len());
    for (at, new) in new {
        match works.get_mut(at) {
            Some(work) => changes.push((at, Some(std::mem::replace(work, new)))),
            None => {
                works.push(new);
                changes.push((at, None));
            }
        }
    }
    (works, Was::But(changes), looked, seen)
}

/// Looks at all works; those that readers see as they are, are shared with `before`.
fn all(
    collection: &Collection,
    before: Vec<Arc<Work>>,
    seen: Seen,
    details: &Details<'_>,
) -> Compared {
    let ids = seen.ids();
    let part = |order: &[usize]| {
        let first = before.partition_point(|old| old.id < ids[order[0]]);
        let mut before = before[first..].iter().peekable();
        let work = |&i: &usize| {
            while before.next_if(|old| old.id < ids[i]).is_some() {}
            let old = before.next_if(|old| old.id == ids[i]);
            let placed = Placed::of(collection, ids, i);
            let same = old.filter(|old| placed.is_shown_by(old));
            match same {
                Some(old) if !details.may_differ(old) => (old.clone(), None),
                Some(old) if details.are_shown_by(old) => (old.clone(), Some(i)),
                _ => (Arc::new(details.of(placed, old.map(|old| &**old))), Some(i)),
            }
        };
        order.iter().map(work).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let parts = seen.order().par_chunks(WORKS_A_PART).map(part);
    let (works, looked): (Vec<_>, Vec<_>) = parts.collect::<Vec<_>>().into_iter().unzip();
    let works = works.into_iter().flatten().collect();
    let looked = looked.into_iter().flatten().flatten().collect();
    (works, Was::Works(before), looked, seen)
}

/// What a collection says of one work.
struct Placed<'a> {
    artwork: &'a Artwork,
    path: Cow<'a, str>,
    cell: (u32, u32),
    point: [f32; 2],
    /// Indices, nearest first.
    near: &'a [u32],
    /// The works' ids by index.
    ids: &'a [ArtworkId],
}

impl<'a> Placed<'a> {
    fn of(collection: &'a Collection, ids: &'a [ArtworkId], i: usize) -> Self {
        let near = collection.layout.neighbours(i).0;
        Self {
            artwork: &collection.works[i],
            path: written(&collection.works[i].path),
            cell: collection.cell(i),
            point: collection.layout.points()[i],
            near: &near[..near.len().min(NEIGHBOURS)],
            ids,
        }
    }

    fn neighbours(&self) -> impl Iterator<Item = ArtworkId> {
        self.near.iter().map(|&j| self.ids[j as usize])
    }

    /// Whether readers of `old` see just this, details apart.
    fn is_shown_by(&self, old: &Work) -> bool {
        old.path == self.path
            && (old.col, old.row) == self.cell
            && [old.x, old.y] == self.point
            && old.hash == self.artwork.hash
            && old.size == self.artwork.identity.size
            && old.added_ms == self.artwork.added_ms
            && old.neighbours.iter().copied().eq(self.neighbours())
    }
}

impl Details<'_> {
    /// Whether readers of `old` may not see all that is known of its work.
    fn may_differ(&self, old: &Work) -> bool {
        old.format.is_none() || self.changed.contains(&old.hash)
    }

    /// Whether readers of `old` see all that is known of its work.
    fn are_shown_by(&self, old: &Work) -> bool {
        let said = match self.described.of(&old.path) {
            None => [&old.title, &old.artist, &old.link] == [&None; 3] && old.fields.is_empty(),
            Some(said) => {
                [&old.title, &old.artist, &old.link] == [&said.title, &said.artist, &said.link]
                    && old.fields == said.filters(self.filters)
            }
        };
        said && old.format.is_some() && self.renditions.is(&old.hash, old.large.as_ref())
    }

    /// A work with all that is known of it. The cell of one that readers of `old` did not see is opened.
    fn of(&self, placed: Placed<'_>, old: Option<&Work>) -> Work {
        let hash = placed.artwork.hash;
        let known = old.filter(|old| old.hash == hash);
        let known = known.and_then(|old| old.format.clone());
        let found = || Some(self.cells.format(&hash)?.key().to_owned());
        let said = self.described.of(&placed.path).cloned().unwrap_or_default();
        let [x, y] = placed.point;
        Work {
            id: placed.artwork.id,
            col: placed.cell.0,
            row: placed.cell.1,
            x,
            y,
            hash,
            size: placed.artwork.identity.size,
            added_ms: placed.artwork.added_ms,
            neighbours: placed.neighbours().collect(),
            format: known.or_else(found),
            large: self.renditions.of(&hash),
            fields: said.filters(self.filters),
            title: said.title,
            artist: said.artist,
            link: said.link,
            path: placed.path.into_owned(),
        }
    }
}

/// How far the works are from their homes, the mean to a hundredth of a cell.
fn drift(collection: &Collection) -> Option<manifest::Drift> {
    let drift = collection.drift();
    (!collection.works.is_empty()).then(|| manifest::Drift {
        mean: (drift.mean * 100.0).round() / 100.0,
        p95: drift.p95,
    })
}

fn moves(rebuilt: Rebuilt) -> manifest::Moves {
    let Rebuilt {
        added,
        removed,
        moved,
        grown,
        ..
    } = rebuilt;
    manifest::Moves {
        added,
        removed,
        moved,
        grown,
    }
}

/// A path as the manifest writes it: UTF-8 as it is, other bytes percent-encoded, and then `%` itself too; likewise where a
/// `%` before two hexadecimal digits would be taken for such a byte. No two paths are written alike.
pub fn portable(path: &Path) -> String {
    written(path).into_owned()
}

fn written(path: &Path) -> Cow<'_, str> {
    if let Some(text) = path.to_str() {
        if memchr::memchr(b'%', text.as_bytes()).is_none() {
            return Cow::Borrowed(text);
        }
        let is_code = |rest: &str| {
            let digits = rest.as_bytes().first_chunk::<2>();
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        return match text.split('%').skip(1).any(is_code) {
            true => Cow::Owned(text.replace('%', "%25")),
            false => Cow::Borrowed(text),
        };
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        chunk
            .invalid()
            .iter()
            .for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn no_two_paths_are_written_alike() {
        let names: [(&[u8], &str); 7] = [
            (b"a.png", "a.png"),
            (b"100%.png", "100%.png"),
            (b"a\xff.png", "a%FF.png"),
            (b"a%FF.png", "a%25FF.png"),
            (b"a%25FF.png", "a%2525FF.png"),
            (b"%\xff%41", "%25%FF%2541"),
            (b"%zz%4", "%zz%4"),
        ];
        for (name, written) in names {
            assert_eq!(portable(Path::new(OsStr::from_bytes(name))), written);
        }
    }
}
