//! The pipeline in one function: a set of changes becomes a new layout and a new assignment.
//!
//! It owns the [`Collection`] (every placed work with its embedding, its point and its cell) and [`apply`], which
//! takes it from one state to the next. Reading files, embedding them and making things durable come before;
//! rendering and publishing come after.
//!
//! Invariants: works, embeddings, features, points and cells share one dense index order; a removal swaps the last work
//! into the gap, an arrival is pushed at the end. A rename keeps a work's id and cell, an edit keeps its id. A work
//! that comes back within the grace period gets its id back, and its cell if that is still spare. Same collection and
//! same changes give the same bits.

use crate::{
    domain::{Artwork, ArtworkId, ModelId, Rebuilt},
    grid::{Grid, GridError, GridParams},
    matrix::Matrix,
    reduce::{Layout, LayoutParams, Point, ReduceError},
};
use changes::{match_changes, placed};
use features::follow_features;
use std::{collections::HashSet, sync::Arc};

mod changes;
mod collection;
mod departed;
mod features;
mod space;

pub use changes::{Arrival, ChangeSet};
pub use collection::Collection;
pub use departed::{Departed, departed_of};
pub use features::features;
pub use space::{Look, Space};

/// What [`apply`] needs apart from the collection and the changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// How much the look counts where embeddings have one, 0 to 1.
    pub look: f32,
    /// How many of an embedding's last values are its look; 0: it has none.
    pub look_dims: usize,
    /// Layout.
    pub layout: LayoutParams,
    /// Grid.
    pub grid: GridParams,
}

impl Params {
    /// The parameters as text: layout, grid method, grid shape, and the look where there is one, one line each. Collections
    /// made with other parameters are brought over by [`adapt`].
    pub fn key(&self) -> String {
        let (l, g) = (&self.layout, &self.grid);
        let look = match self.look_dims {
            0 => String::new(),
            _ => format!("\nlook {}", self.look),
        };
        format!(
            "{:?} {} {} {}\n{:?}\n{:?} {} {}{look}",
            l.method, l.n_neighbors, l.min_dist, l.seed, g.method, g.columns, g.aspect, g.reserve
        )
    }
}

/// The layout or the grid could not be made. The collection is then half changed: load it again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The layout.
    #[error("layout: {0}")]
    Layout(#[from] ReduceError),
    /// The grid.
    #[error("grid: {0}")]
    Grid(#[from] GridError),
}

/// Whether a collection made with other parameters (by their [`Params::key`]) weighs the look otherwise. Where none is wanted
/// any more, a model without it is about to take over, and changes everything then.
pub fn looks_otherwise(made_with: &str, params: &Params) -> bool {
    params.look > 0.0 && made_with.lines().nth(3) != params.key().lines().nth(3)
}

/// Takes the collection from one state to the next.
///
/// On an error the collection is half changed; the caller loads the stored one.
pub fn apply(
    collection: &mut Collection,
    mut changes: ChangeSet,
    now_ms: u64,
    params: &Params,
) -> Result<Rebuilt, RebuildError> {
    let vectors = std::mem::take(&mut changes.vectors);
    collection.expire(now_ms);
    let matched = match_changes(&mut collection.works, &collection.stale, changes);
    let mut before = collection.cells();
    let mut rebuilt = Rebuilt {
        renamed: matched.renamed,
        ..Rebuilt::default()
    };

    let mut leaving: Vec<usize> = matched.removed.clone();
    leaving.extend(matched.changed.iter().map(|(i, _)| *i));
    leaving.sort_unstable_by(|a, b| b.cmp(a));
    rebuilt.removed = matched.removed.len() as u32;
    rebuilt.changed = matched.changed.len() as u32;
    rebuilt.added = matched.new.len() as u32;

    // A work and the row of its embedding.
    type Embedded = (Artwork, usize);
    let mut arrivals: Vec<Embedded> = Vec::new();
    // Works that come back, with the cells that they had.
    let mut returning: Vec<(Embedded, (u32, u32))> = Vec::new();
    for (i, arrival) in matched.changed {
        let Artwork { id, added_ms, .. } = collection.works[i];
        collection.stale.remove(&id);
        arrivals.push(placed(arrival, id, added_ms));
    }
    for (arrival, departed) in collection.come_back(matched.new) {
        match departed {
            Some(departed) => {
                let same = departed.hash == arrival.hash;
                let work = placed(arrival, departed.id, departed.added_ms);
                match same {
                    true => returning.push((work, departed.cell)),
                    false => arrivals.push(work),
                }
            }
            None => {
                arrivals.push(placed(arrival, ArtworkId(collection.next_id), now_ms));
                collection.next_id += 1;
            }
        }
    }
    for &i in &matched.removed {
        let (work, cell) = (collection.works[i].clone(), collection.cell(i));
        collection.depart(&work, cell, now_ms);
    }
    if leaving.is_empty() && arrivals.is_empty() && returning.is_empty() {
        return Ok(rebuilt);
    }

    for &i in &leaving {
        let work = collection.works.swap_remove(i);
        before.swap_remove(i);
        collection.stale.remove(&work.id);
        Arc::make_mut(&mut collection.vectors).swap_remove(i);
        collection.features.swap_remove(i);
    }
    collection.layout.remove(&collection.vectors, &leaving)?;
    // The grid keeps its shape as long as works may come back to their cells.
    let keeps = !(collection.departed.is_empty() && returning.is_empty());
    let mut pushed: HashSet<ArtworkId> = match keeps {
        true => {
            collection.grid.remove_still(&leaving);
            HashSet::new()
        }
        false => {
            let shrunk = collection.grid.remove(&leaving, &params.grid);
            ids(collection, &shrunk.pushed)
        }
    };

    let mut at_once: Vec<Embedded> = Vec::new();
    for (work, cell) in returning {
        match collection.grid.restore(cell) {
            true => at_once.push(work),
            false => arrivals.push(work),
        }
    }
    let arrivals = at_once.into_iter().chain(arrivals);
    let arrivals: Vec<Embedded> = arrivals.collect();
    let some_came = !arrivals.is_empty();
    for (work, row) in arrivals {
        collection.works.push(work);
        let seen = collection.space.seen(vectors.row(row).to_vec());
        Arc::make_mut(&mut collection.vectors).push(&seen);
    }
    drop(vectors);
    // A mean that is taken now changes all distances: before the first layout that costs nothing.
    let first = collection.layout.is_empty();
    if first {
        collection.settle_space(params, false);
    }
    follow_features(collection)?;
    if some_came {
        collection
            .layout
            .insert(&collection.vectors, &params.layout)?;
        let insert = match keeps {
            true => Grid::insert_still,
            false => Grid::insert,
        };
        let outcome = insert(
            &mut collection.grid,
            &collection.features,
            collection.layout.points(),
            &params.grid,
        )?;
        pushed.extend(ids(collection, &outcome.pushed));
        // The cells of works that may come back lie where their neighbours were pushed to.
        for departed in &mut collection.departed {
            for seam in &outcome.seams {
                departed.cell = seam.shift(departed.cell);
            }
        }
    }
    if !first && collection.settle_space(params, false) {
        lay_out_again(collection, params)?;
    }
    count_moves(collection, &before, &pushed, &mut rebuilt);
    Ok(rebuilt)
}

/// Lays everything out again on request: the new map is aligned onto the old one, and the grid is sorted starting from
/// the works' homes, so that the picture stays recognisable.
pub fn relayout(collection: &mut Collection, params: &Params) -> Result<Rebuilt, RebuildError> {
    let before = collection.cells();
    lay_out_again(collection, params)?;
    Ok(moves_alone(collection, &before))
}

fn lay_out_again(collection: &mut Collection, params: &Params) -> Result<(), RebuildError> {
    map_afresh(collection, params)?;
    let points = collection.layout.points();
    collection
        .grid
        .rearrange(&collection.features, points, &params.grid)?;
    Ok(())
}

/// Lays everything out from nothing, the new map aligned onto the old one.
fn afresh(collection: &mut Collection, params: &Params) -> Result<Rebuilt, RebuildError> {
    let before = collection.cells();
    map_afresh(collection, params)?;
    let points = collection.layout.points();
    collection.grid = Grid::arrange(&collection.features, points, &params.grid)?;
    Ok(moves_alone(collection, &before))
}

/// A new map, aligned onto the old one, and new features.
fn map_afresh(collection: &mut Collection, params: &Params) -> Result<(), RebuildError> {
    collection.settle_space(params, true);
    let points = collection.layout.points().iter().copied();
    let old: Vec<(usize, Point)> = points.enumerate().collect();
    collection.layout = Layout::cold(&collection.vectors, &params.layout)?;
    collection.layout.align_onto(&old);
    collection.fit_basis()
}

/// Brings a collection made with other parameters (by their [`Params::key`]) over, as gently as it can be done.
pub fn adapt(
    collection: &mut Collection,
    made_with: &str,
    params: &Params,
) -> Result<Rebuilt, RebuildError> {
    let key = params.key();
    let line = |text: &str, i: usize| text.lines().nth(i).map(str::to_owned);
    if line(made_with, 0) != line(&key, 0) {
        return afresh(collection, params);
    }
    let before = collection.cells();
    let points = collection.layout.points();
    if line(made_with, 1) != line(&key, 1) {
        collection.grid = Grid::arrange(&collection.features, points, &params.grid)?;
    } else {
        collection
            .grid
            .reshape(&collection.features, points, &params.grid)?;
    }
    Ok(moves_alone(collection, &before))
}

/// Puts the same works where another grid has them.
pub fn rearrange(collection: &mut Collection, grid: Grid) -> Rebuilt {
    let before = collection.cells();
    collection.grid = grid;
    moves_alone(collection, &before)
}

/// Replaces every embedding by another model's, or takes the same ones to weigh their look otherwise, and makes the whole
/// layout again, aligned onto the old map.
///
/// `vectors` has one row per work, as the model made them, in index order; works in `stale` have a zero row.
pub fn change_model(
    collection: &mut Collection,
    model: ModelId,
    vectors: Matrix,
    stale: HashSet<ArtworkId>,
    params: &Params,
) -> Result<Rebuilt, RebuildError> {
    collection.model = model;
    collection.vectors = Arc::new(vectors);
    collection.space = Space::default();
    collection.stale = stale;
    afresh(collection, params)
}

fn ids(collection: &Collection, items: &[u32]) -> HashSet<ArtworkId> {
    items
        .iter()
        .filter_map(|&i| collection.works.get(i as usize))
        .map(|work| work.id)
        .collect()
}

/// What a rearrangement did to the works; it added none and removed none.
fn moves_alone(collection: &Collection, before: &[(u32, u32)]) -> Rebuilt {
    let mut rebuilt = Rebuilt::default();
    count_moves(collection, before, &HashSet::new(), &mut rebuilt);
    rebuilt
}

/// Counts the works that changed their cell: `before` holds the cells of the first works.
fn count_moves(
    collection: &Collection,
    before: &[(u32, u32)],
    pushed: &HashSet<ArtworkId>,
    rebuilt: &mut Rebuilt,
) {
    for (i, (work, old)) in collection.works.iter().zip(before).enumerate() {
        if *old == collection.cell(i) {
            continue;
        }
        match pushed.contains(&work.id) {
            true => rebuilt.grown += 1,
            false => rebuilt.moved += 1,
        }
    }
}
