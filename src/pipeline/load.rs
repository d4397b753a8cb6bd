//! From the store: the placed works of the last run, and the embeddings of arrivals.

use super::PipelineError;
use crate::{
    domain::{Artwork, ArtworkId, ContentHash, Job, ModelId, manifest::Manifest},
    grid::Grid,
    matrix::Matrix,
    rebuild::{Arrival, ChangeSet, Collection, Params, RebuildError, departed_of},
    snapshot::{self, Snapshot},
    store::{Store, StoreError},
};
use rayon::prelude::*;
use std::{collections::HashSet, path::PathBuf};

/// Embeddings that are read from the store at a time.
const READ_TOGETHER: usize = 8192;
/// Of these, in one walk through the store.
const READ_IN_A_WALK: usize = 512;

/// Loads the saved collection and the key of the parameters it was made with; `None` if there is none or (logged) if
/// its sections do not fit together.
pub fn load(store: &dyn Store) -> Result<Option<(Collection, String)>, PipelineError> {
    let Some(sections) = store.load_state()? else {
        return Ok(None);
    };
    let snapshot = match snapshot::decode(&sections) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            tracing::error!(%error, "the placed works cannot be restored; all works are placed again");
            return Ok(None);
        }
    };
    let Snapshot {
        model,
        dims,
        works,
        layout,
        grid,
        basis,
        next_id,
        made_with,
        space,
        departed,
    } = snapshot;
    let (vectors, stale) = vectors_of(store, &works, &model, dims)?;
    let mut collection = Collection::assemble(
        model,
        works,
        (vectors, space),
        (layout, grid),
        basis,
        next_id,
    );
    collection.stale = stale;
    collection.departed = departed;
    Ok(Some((collection, made_with)))
}

/// A collection to start from when there is no saved one: without works, but with the numbers and cells of the published
/// manifest, which its works get back by their content.
pub(super) fn start_from(
    manifest: Option<&Manifest>,
    model: ModelId,
    dims: usize,
    params: &Params,
    now_ms: u64,
) -> Result<Collection, RebuildError> {
    let mut collection = Collection::empty(model, dims, params)?;
    let Some(manifest) = manifest.filter(|manifest| !manifest.works.is_empty()) else {
        return Ok(collection);
    };
    match departed_of(manifest, now_ms) {
        Some(departed) => {
            let highest = departed.iter().map(|departed| departed.id.0).max();
            tracing::warn!(
                artworks = departed.len(),
                "the state is lost; numbers, dates and cells are taken from the published manifest, and every work is \
                 embedded again"
            );
            collection.next_id = highest.map_or(1, |highest| highest.saturating_add(1));
            collection.grid = Grid::blank(manifest.grid.cols, manifest.grid.rows);
            collection.departed = departed;
        }
        None => tracing::error!(
            "the state is lost, and the published manifest is inconsistent: works get new numbers"
        ),
    }
    Ok(collection)
}

/// The works' embeddings, `N × dims`; a work whose embedding is missing has a zero row and is listed.
pub(super) fn vectors_of(
    store: &dyn Store,
    works: &[Artwork],
    model: &ModelId,
    dims: usize,
) -> Result<(Matrix, HashSet<ArtworkId>), StoreError> {
    let zeros = Matrix::from_data(vec![0.0; works.len() * dims], dims);
    let (mut vectors, mut stale) = (zeros.unwrap_or_default(), HashSet::new());
    // In the order in which the store keeps them: in any other one it reads each of its pages many times.
    let mut order: Vec<usize> = (0..works.len()).collect();
    order.sort_unstable_by_key(|&i| works[i].hash);
    for block in order.chunks(READ_TOGETHER) {
        // Works that are the same picture share one.
        let alike = |a: &usize, b: &usize| works[*a].hash == works[*b].hash;
        let alike: Vec<&[usize]> = block.chunk_by(alike).collect();
        let parts = alike.par_chunks(READ_IN_A_WALK).map(|part| {
            let hashes: Vec<_> = part.iter().map(|alike| works[alike[0]].hash).collect();
            store.embeddings(&hashes, model)
        });
        let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        for (alike, vector) in alike.iter().zip(parts.into_iter().flatten()) {
            let vector = vector.filter(|vector| vector.len() == dims);
            for &i in *alike {
                match &vector {
                    Some(vector) => vectors.row_mut(i).copy_from_slice(vector),
                    None => drop(stale.insert(works[i].id)),
                }
            }
        }
    }
    Ok((vectors, stale))
}

/// The arrivals, `gone` and the embeddings; files whose embedding is damaged are named, to be embedded again.
pub(super) fn changes_of(
    store: &dyn Store,
    (files, gone): (Vec<(Job, ContentHash)>, Vec<PathBuf>),
    model: &ModelId,
    dims: usize,
) -> Result<(ChangeSet, Vec<PathBuf>), StoreError> {
    let (mut arrivals, mut lost) = (Vec::with_capacity(files.len()), Vec::new());
    let mut vectors = Matrix::new(dims);
    for (Job { path, identity }, hash) in files {
        match store.embedding(&hash, model)? {
            Some(vector) if vector.len() == dims => {
                arrivals.push(Arrival {
                    path,
                    hash,
                    identity,
                    row: vectors.rows(),
                });
                vectors.push(&vector);
            }
            _ => lost.push(path),
        }
    }
    let changes = ChangeSet {
        arrivals,
        vectors,
        gone,
    };
    Ok((changes, lost))
}
