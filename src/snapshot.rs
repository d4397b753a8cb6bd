//! The placed state as bytes: what a restart needs to continue exactly where the last generation ended.
//!
//! It owns the sections' names and codecs. Embeddings are not in it: they are in the store under their content's hash.
//! Long lists of numbers are sections of their own, of a fixed width: a change then leaves the bytes after it where they
//! were, and the store writes only what changed. Version 0.1 had them within `layout` and `grid`.
//! Every section is decoded defensively; sections that contradict each other are an error, never a panic.

use crate::{
    domain::{Artwork, ArtworkId, ContentHash, FileIdentity, ModelId},
    grid::Grid,
    rebuild::{Collection, Departed, Space},
    reduce::{Layout, LayoutParts, Pca},
};
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

/// Version of the sections; no other version is read.
const VERSION: u32 = 1;

/// The sections do not fit together, or cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A section is missing.
    #[error("section {0} is missing")]
    Missing(&'static str),
    /// A section cannot be read or written.
    #[error("section {section}: {source}")]
    Codec {
        /// Its name.
        section: &'static str,
        /// Why.
        source: postcard::Error,
    },
    /// Sections disagree.
    #[error("{0}")]
    Inconsistent(String),
}

/// The decoded sections.
#[derive(Debug)]
pub struct Snapshot {
    /// The encoder of every embedding.
    pub model: ModelId,
    /// The works in index order.
    pub works: Vec<Artwork>,
    /// Points and neighbours.
    pub layout: Layout,
    /// Cells.
    pub grid: Grid,
    /// Projection onto the grid's features, and the number of works it was fitted to.
    pub basis: Option<(Pca, usize)>,
    /// The id that the next new work gets.
    pub next_id: u64,
    /// Length of an embedding.
    pub dims: usize,
    /// The parameters that layout and grid were made with, see [`Params::key`](crate::rebuild::Params::key).
    pub made_with: String,
    /// What is taken out of embeddings before they are compared.
    pub space: Space,
    /// Works that left a short while ago; none in a state that was saved before there were any.
    pub departed: Vec<Departed>,
}

#[derive(Serialize, Deserialize)]
struct StoredDeparted {
    id: ArtworkId,
    path: Vec<u8>,
    hash: ContentHash,
    added_ms: u64,
    cell: (u32, u32),
    gone_ms: u64,
    by_path: bool,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    version: u32,
    model: ModelId,
    next_id: u64,
    dims: usize,
    made_with: String,
}

#[derive(Serialize, Deserialize)]
struct StoredWork<'a> {
    id: ArtworkId,
    path: Cow<'a, [u8]>,
    hash: ContentHash,
    identity: FileIdentity,
    added_ms: u64,
}

/// A section's bytes; long lists are the collection's own.
pub type Section<'a> = Cow<'a, [u8]>;

/// Encodes a collection, section by section; `made_with` is its parameters' key.
pub fn encode<'a>(
    collection: &'a Collection,
    made_with: &str,
) -> Result<Vec<(&'static str, Section<'a>)>, SnapshotError> {
    let meta = Meta {
        version: VERSION,
        model: collection.model.clone(),
        next_id: collection.next_id,
        dims: collection.vectors.dims(),
        made_with: made_with.to_owned(),
    };
    let departed = collection.departed.iter().map(|departed| StoredDeparted {
        id: departed.id,
        path: departed.path.as_os_str().as_bytes().to_vec(),
        hash: departed.hash,
        added_ms: departed.added_ms,
        cell: departed.cell,
        gone_ms: departed.gone_ms,
        by_path: departed.by_path,
    });
    let departed: Vec<StoredDeparted> = departed.collect();
    let works: Vec<StoredWork> = collection.works.iter().map(stored).collect();
    let (layout, grid) = (&collection.layout, &collection.grid);
    let (neighbours, distances) = layout.lists();
    Ok(vec![
        ("meta", pack("meta", &meta)?),
        ("works", pack("works", &works)?),
        ("layout", pack("layout", &layout.parts_without_lists())?),
        ("neighbours", numbers(neighbours)),
        ("distances", numbers(distances)),
        ("points", numbers(layout.points().as_flattened().into())),
        ("grid", pack("grid", &grid.without_cells())?),
        ("cells", numbers(grid.cells().into())),
        ("home_cells", numbers(grid.homes().into())),
        ("basis", pack("basis", &collection.basis)?),
        ("departed", pack("departed", &departed)?),
        ("space", pack("space", &collection.space)?),
        ("look", pack("look", &collection.space.look())?),
        ("arrived", pack("arrived", &layout.arrived())?),
    ])
}

/// Decodes the sections and checks that they fit together.
pub fn decode(sections: &BTreeMap<String, Vec<u8>>) -> Result<Snapshot, SnapshotError> {
    let meta: Meta = unpack("meta", sections)?;
    if meta.version != VERSION {
        return Err(SnapshotError::Inconsistent(format!(
            "version {} is unknown",
            meta.version
        )));
    }
    let works: Vec<StoredWork> = unpack("works", sections)?;
    let works: Vec<Artwork> = works.into_iter().map(restored).collect();
    let mut parts: LayoutParts = unpack("layout", sections)?;
    if sections.contains_key("points") {
        parts.ids = numbers_of("neighbours", sections, |id| id)?;
        parts.distances = numbers_of("distances", sections, f32::from_bits)?;
        let points = numbers_of("points", sections, f32::from_bits)?;
        parts.points = points.as_chunks().0.to_vec();
    }
    let layout = Layout::from_parts(parts)
        .map_err(|error| SnapshotError::Inconsistent(error.to_string()))?;
    let layout = layout.with_arrived(unpack_if_there("arrived", sections)?.unwrap_or(0));
    let grid: Grid = unpack("grid", sections)?;
    // Version 0.1 had no homes: works are at home where they are.
    let homes = match sections.contains_key("home_cells") {
        true => Some(numbers_of("home_cells", sections, |cell| cell)?),
        false => unpack_if_there("homes", sections)?,
    };
    let grid = match sections.contains_key("cells") {
        true => grid.with_cells(numbers_of("cells", sections, |item| item)?),
        false => grid.check().map(|()| grid),
    };
    let grid = grid
        .and_then(|grid| grid.with_homes(homes))
        .map_err(|error| SnapshotError::Inconsistent(error.to_string()))?;
    let basis: Option<(Pca, usize)> = unpack("basis", sections)?;
    let departed: Vec<StoredDeparted> = unpack_if_there("departed", sections)?.unwrap_or_default();
    let space = unpack_if_there("space", sections)?.unwrap_or_else(Space::of_version_0_1);
    let space = match unpack_if_there("look", sections)? {
        Some(look) => space.with_look(look),
        None => space,
    };
    if layout.len() != works.len() || grid.len() != works.len() {
        let text = format!(
            "{} works, {} points, {} cells",
            works.len(),
            layout.len(),
            grid.len()
        );
        return Err(SnapshotError::Inconsistent(text));
    }
    let Meta {
        model,
        next_id,
        dims,
        made_with,
        ..
    } = meta;
    if basis.as_ref().is_some_and(|(pca, _)| pca.dims() != dims) {
        return Err(SnapshotError::Inconsistent(
            "basis and embeddings differ in length".into(),
        ));
    }
    if !space.fits(dims) {
        return Err(SnapshotError::Inconsistent(
            "mean and embeddings differ in length".into(),
        ));
    }
    Ok(Snapshot {
        model,
        works,
        layout,
        grid,
        basis,
        next_id,
        dims,
        made_with,
        space,
        departed: departed.into_iter().map(come_back).collect(),
    })
}

fn come_back(stored: StoredDeparted) -> Departed {
    Departed {
        id: stored.id,
        path: PathBuf::from(OsString::from_vec(stored.path)),
        hash: stored.hash,
        added_ms: stored.added_ms,
        cell: stored.cell,
        gone_ms: stored.gone_ms,
        by_path: stored.by_path,
    }
}

fn stored(work: &Artwork) -> StoredWork<'_> {
    StoredWork {
        id: work.id,
        path: work.path.as_os_str().as_bytes().into(),
        hash: work.hash,
        identity: work.identity,
        added_ms: work.added_ms,
    }
}

fn restored(stored: StoredWork<'_>) -> Artwork {
    Artwork {
        id: stored.id,
        path: PathBuf::from(OsString::from_vec(stored.path.into_owned())),
        hash: stored.hash,
        identity: stored.identity,
        added_ms: stored.added_ms,
    }
}

/// Numbers as they are stored: four bytes each, little-endian.
fn numbers<T: NoUninit + AnyBitPattern>(values: Cow<'_, [T]>) -> Section<'_> {
    const { assert!(size_of::<T>() == 4 && cfg!(target_endian = "little")) };
    match values {
        Cow::Borrowed(values) => Cow::Borrowed(bytemuck::cast_slice(values)),
        Cow::Owned(values) => Cow::Owned(bytemuck::cast_slice(&values).to_vec()),
    }
}

fn bytes_of<'a>(
    section: &'static str,
    sections: &'a BTreeMap<String, Vec<u8>>,
) -> Result<&'a [u8], SnapshotError> {
    let bytes = sections.get(section).map(Vec::as_slice);
    bytes.ok_or(SnapshotError::Missing(section))
}

/// The numbers of a section.
fn numbers_of<T>(
    section: &'static str,
    sections: &BTreeMap<String, Vec<u8>>,
    of: impl Fn(u32) -> T,
) -> Result<Vec<T>, SnapshotError> {
    let (words, rest) = bytes_of(section, sections)?.as_chunks();
    match rest.is_empty() {
        true => Ok(words
            .iter()
            .map(|word| of(u32::from_le_bytes(*word)))
            .collect()),
        false => Err(SnapshotError::Inconsistent(format!(
            "section {section} has half a number"
        ))),
    }
}

fn pack<T: Serialize>(section: &'static str, value: &T) -> Result<Section<'static>, SnapshotError> {
    let bytes = postcard::to_stdvec(value);
    bytes
        .map(Cow::Owned)
        .map_err(|source| SnapshotError::Codec { section, source })
}

fn unpack<T: for<'a> Deserialize<'a>>(
    section: &'static str,
    sections: &BTreeMap<String, Vec<u8>>,
) -> Result<T, SnapshotError> {
    let bytes = bytes_of(section, sections)?;
    postcard::from_bytes(bytes).map_err(|source| SnapshotError::Codec { section, source })
}

/// A section that older states do not have.
fn unpack_if_there<T: for<'a> Deserialize<'a>>(
    section: &'static str,
    sections: &BTreeMap<String, Vec<u8>>,
) -> Result<Option<T>, SnapshotError> {
    match sections.contains_key(section) {
        true => unpack(section, sections).map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grid::GridParams, reduce::LayoutParams};
    use crate::{
        matrix::Matrix,
        rebuild::{self, Arrival, ChangeSet, Params},
    };

    fn params() -> Params {
        Params {
            look: 0.0,
            look_dims: 0,
            layout: LayoutParams::default(),
            grid: GridParams::default(),
        }
    }

    fn sections(collection: &Collection) -> BTreeMap<String, Vec<u8>> {
        let sections = encode(collection, "made with").expect("encoded");
        sections
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes.into_owned()))
            .collect()
    }

    /// Lets works `ids` arrive, with embeddings that depend on their ids.
    fn arrive(collection: &mut Collection, ids: std::ops::Range<u64>) {
        let params = params();
        let mut vectors = Matrix::new(4);
        let arrivals = ids.map(|id| {
            let value = |k: u64| ((id * (2 * k + 3) % 97) as f32 / 97.0) - 0.5;
            vectors.push(&[value(0), value(1), value(2), value(3)]);
            Arrival {
                path: format!("{id}.png").into(),
                hash: ContentHash::of(&id.to_le_bytes()),
                identity: FileIdentity {
                    dev: 1,
                    ino: id,
                    size: id,
                    mtime_ns: 0,
                    ctime_ns: 0,
                },
                row: vectors.rows() - 1,
            }
        });
        let arrivals: Vec<Arrival> = arrivals.collect();
        let changes = ChangeSet {
            arrivals,
            vectors,
            gone: Vec::new(),
        };
        rebuild::apply(collection, changes, 1, &params).expect("applied");
    }

    #[test]
    fn an_arrival_leaves_most_bytes_where_they_were() {
        let model = ModelId("m".into());
        let mut collection = Collection::empty(model, 4, &params()).expect("empty");
        arrive(&mut collection, 0..1_000);
        let before = sections(&collection);
        arrive(&mut collection, 1_000..1_001);
        let after = sections(&collection);
        for name in ["works", "neighbours", "distances", "cells", "home_cells"] {
            let (before, after) = (
                before[name].as_chunks::<4>().0,
                after[name].as_chunks::<4>().0,
            );
            let same = before.iter().zip(after).filter(|(a, b)| a == b).count();
            assert!(
                same * 10 > before.len() * 9,
                "{name}: {same} of {}",
                before.len()
            );
        }
    }

    #[test]
    fn what_was_encoded_comes_back() {
        let model = ModelId("m".into());
        let mut collection = Collection::empty(model, 4, &params()).expect("empty");
        for ids in [0..0, 0..1, 1..90] {
            arrive(&mut collection, ids);
            let snapshot = decode(&sections(&collection)).expect("decoded");
            assert_eq!(snapshot.grid, collection.grid);
            assert_eq!(snapshot.layout.points(), collection.layout.points());
            for i in 0..collection.works.len() {
                assert_eq!(
                    snapshot.layout.neighbours(i),
                    collection.layout.neighbours(i)
                );
            }
            assert!(
                snapshot
                    .works
                    .iter()
                    .zip(&collection.works)
                    .all(|(a, b)| a == b)
            );
        }
    }

    #[test]
    fn sections_that_do_not_fit_are_refused() {
        let model = ModelId("m".into());
        let mut collection = Collection::empty(model, 4, &params()).expect("empty");
        arrive(&mut collection, 0..90);
        for name in ["neighbours", "distances", "points", "cells", "home_cells"] {
            for cut in [1, 4, 8] {
                let mut sections = sections(&collection);
                let section = sections.get_mut(name).expect("its bytes");
                section.truncate(section.len() - cut);
                assert!(decode(&sections).is_err(), "{name} without {cut} bytes");
            }
        }
    }
}
