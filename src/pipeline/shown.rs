//! From a collection to a generation: the pure step that says what readers see of the placed works.

use crate::{
    domain::{Artwork, ArtworkId, Rebuilt, manifest},
    publish::Generation,
    rebuild::Collection,
};
use std::{os::unix::ffi::OsStrExt, path::Path};

/// Neighbours of a work that the manifest names.
const NEIGHBOURS: usize = 12;

/// What readers are to see of a collection.
pub(super) fn generation(collection: &Collection, model: &str, rebuilt: Rebuilt) -> Generation {
    let ids: Vec<ArtworkId> = collection.works.iter().map(|work| work.id).collect();
    let work = |(i, work): (usize, &Artwork)| {
        let (col, row) = collection.cell(i);
        let [x, y] = collection.layout.points()[i];
        let (near, _) = collection.layout.neighbours(i);
        manifest::Work {
            id: work.id,
            path: portable(&work.path),
            col,
            row,
            x,
            y,
            hash: work.hash,
            size: work.identity.size,
            added_ms: work.added_ms,
            neighbours: near
                .iter()
                .take(NEIGHBOURS)
                .map(|&j| ids[j as usize])
                .collect(),
            title: None,
            artist: None,
            link: None,
            fields: Default::default(),
        }
    };
    let mut works: Vec<manifest::Work> = collection.works.iter().enumerate().map(work).collect();
    works.sort_by_key(|work| work.id);
    Generation {
        works,
        cols: collection.grid.cols(),
        rows: collection.grid.rows(),
        model: model.to_owned(),
        moves: moves(rebuilt),
        words_by: None,
    }
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

/// A path as the manifest writes it: UTF-8 as it is, other bytes percent-encoded (then `%` itself too).
pub fn portable(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        chunk
            .invalid()
            .iter()
            .for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    text
}
