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
            format: None,
            title: None,
            artist: None,
            link: None,
            large: None,
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
        drift: drift(collection),
        words_by: None,
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
    if let Some(text) = path.to_str() {
        let is_code = |rest: &str| {
            let digits = rest.as_bytes().first_chunk::<2>();
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        return match text.split('%').skip(1).any(is_code) {
            true => text.replace('%', "%25"),
            false => text.to_owned(),
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
    text
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
