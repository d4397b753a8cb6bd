//! The placed state as bytes: what a restart needs to continue exactly where the last generation ended.
//!
//! It owns the sections' names and codecs. Embeddings are not in it: they are in the store under their content's hash.
//! Every section is decoded defensively; sections that contradict each other are an error, never a panic.

use crate::{
    domain::{Artwork, ArtworkId, ContentHash, FileIdentity, ModelId},
    grid::Grid,
    rebuild::{Collection, Departed, Space},
    reduce::{Layout, Pca},
};
use serde::{Deserialize, Serialize};
use std::{
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
struct StoredWork {
    id: ArtworkId,
    path: Vec<u8>,
    hash: ContentHash,
    identity: FileIdentity,
    added_ms: u64,
}

/// Encodes a collection, section by section; `made_with` is its parameters' key.
pub fn encode(
    collection: &Collection,
    made_with: &str,
) -> Result<Vec<(&'static str, Vec<u8>)>, SnapshotError> {
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
    let works = || {
        let works: Vec<StoredWork> = collection.works.iter().map(stored).collect();
        pack("works", &works)
    };
    let layout = || pack("layout", &collection.layout.to_parts());
    let (works, layout) = rayon::join(works, layout);
    Ok(vec![
        ("meta", pack("meta", &meta)?),
        ("works", works?),
        ("layout", layout?),
        ("grid", pack("grid", &collection.grid)?),
        ("homes", pack("homes", &collection.grid.homes())?),
        ("basis", pack("basis", &collection.basis)?),
        ("departed", pack("departed", &departed)?),
        ("space", pack("space", &collection.space)?),
        ("look", pack("look", &collection.space.look())?),
        ("arrived", pack("arrived", &collection.layout.arrived())?),
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
    let layout = Layout::from_parts(unpack("layout", sections)?)
        .map_err(|error| SnapshotError::Inconsistent(error.to_string()))?;
    let layout = layout.with_arrived(unpack_if_there("arrived", sections)?.unwrap_or(0));
    let grid: Grid = unpack("grid", sections)?;
    // Version 0.1 had no homes: works are at home where they are.
    let homes = unpack_if_there("homes", sections)?;
    let grid = grid
        .check()
        .and_then(|()| grid.with_homes(homes))
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

fn stored(work: &Artwork) -> StoredWork {
    StoredWork {
        id: work.id,
        path: work.path.as_os_str().as_bytes().to_vec(),
        hash: work.hash,
        identity: work.identity,
        added_ms: work.added_ms,
    }
}

fn restored(stored: StoredWork) -> Artwork {
    Artwork {
        id: stored.id,
        path: PathBuf::from(OsString::from_vec(stored.path)),
        hash: stored.hash,
        identity: stored.identity,
        added_ms: stored.added_ms,
    }
}

fn pack<T: Serialize>(section: &'static str, value: &T) -> Result<Vec<u8>, SnapshotError> {
    postcard::to_stdvec(value).map_err(|source| SnapshotError::Codec { section, source })
}

fn unpack<T: for<'a> Deserialize<'a>>(
    section: &'static str,
    sections: &BTreeMap<String, Vec<u8>>,
) -> Result<T, SnapshotError> {
    let bytes = sections
        .get(section)
        .ok_or(SnapshotError::Missing(section))?;
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
