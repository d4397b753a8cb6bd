//! The pipeline in one function: a set of changes becomes a new layout and a new assignment.
//!
//! It owns the [`Collection`] (every placed work with its embedding, its point and its cell) and [`apply`], which
//! takes it from one state to the next. Reading files, embedding them and making things durable come before;
//! rendering and publishing come after.
//!
//! Invariants: works, embeddings, features, points and cells share one dense index order; a removal swaps the last
//! work into the gap, an arrival is pushed at the end. A work keeps its id and cell through a rename, its id through
//! an edit. Same collection and same changes give the same bits.

use crate::{
    artwork::{ArtworkId, ContentHash, FileIdentity},
    embed::ModelId,
    grid::{Grid, GridError, GridParams},
    matrix::Matrix,
    reduce::{Layout, LayoutParams, Pca, Point, ReduceError},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

/// The grid sorts by as many principal components as hold this share of the variance, within these bounds: fewer lose
/// quality (48 of a 512-d mixture hold 70 %, and .02 DPQ16 less), more cost time and gain nothing.
const FEATURE_SHARE: f32 = 0.9;
const FEATURES: (usize, usize) = (16, 128);

/// The feature basis is fitted anew when the collection has grown by half since the last fit, or shrunk to half.
const REFIT: f64 = 1.5;

/// One placed artwork.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Number kept through rename and edit.
    pub id: ArtworkId,
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// Content.
    pub hash: ContentHash,
    /// What the file system said of the file when it was read.
    pub identity: FileIdentity,
    /// When it was first placed, milliseconds since the Unix epoch.
    pub added_ms: u64,
}

/// All placed works; every field in one dense index order.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The encoder of every embedding.
    pub model: ModelId,
    /// The works.
    pub works: Vec<Work>,
    /// Embeddings, `N × D`.
    pub vectors: Matrix,
    /// Points and nearest neighbours.
    pub layout: Layout,
    /// Cells.
    pub grid: Grid,
    /// Projection onto the grid's features, and the number of works it was fitted to.
    pub basis: Option<(Pca, usize)>,
    /// The id that the next new work gets.
    pub next_id: u64,
    /// Works whose embedding must be made anew (damaged record, other model); their row is zero.
    pub stale: HashSet<ArtworkId>,
    features: Matrix,
}

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

/// Everything that [`apply`] needs to know besides the collection and the changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// Layout.
    pub layout: LayoutParams,
    /// Grid.
    pub grid: GridParams,
}

impl Params {
    /// The parameters as text: layout, grid method and grid shape, one line each. Collections made with other
    /// parameters are brought over by [`adapt`].
    pub fn key(&self) -> String {
        let (l, g) = (&self.layout, &self.grid);
        format!(
            "{:?} {} {} {}\n{:?}\n{:?} {} {}",
            l.method, l.n_neighbors, l.min_dist, l.seed, g.method, g.columns, g.aspect, g.reserve
        )
    }
}

/// What a rebuild did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// New works.
    pub added: u32,
    /// Works that are gone.
    pub removed: u32,
    /// Works whose content changed.
    pub changed: u32,
    /// Works that have another path now.
    pub renamed: u32,
    /// Works placed before and untouched that changed their cell, growth apart.
    pub moved: u32,
    /// Works pushed along because a row or column was inserted.
    pub grown: u32,
}

impl Rebuilt {
    /// This and then `next`, as one.
    pub fn and(self, next: Self) -> Self {
        Self {
            added: self.added + next.added,
            removed: self.removed + next.removed,
            changed: self.changed + next.changed,
            renamed: self.renamed + next.renamed,
            moved: self.moved + next.moved,
            grown: self.grown + next.grown,
        }
    }

    /// Whether readers would see no difference.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The layout or the grid could not be made. The collection is then half changed: load it anew.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The layout.
    #[error("layout: {0}")]
    Layout(#[from] ReduceError),
    /// The grid.
    #[error("grid: {0}")]
    Grid(#[from] GridError),
}

impl Collection {
    /// A collection without works.
    pub fn empty(model: ModelId, dims: usize, params: &Params) -> Result<Self, RebuildError> {
        let vectors = Matrix::new(dims);
        Ok(Self {
            model,
            works: Vec::new(),
            layout: Layout::cold(&vectors, &params.layout)?,
            grid: Grid::arrange(&Matrix::new(0), &[], &params.grid)?,
            vectors,
            basis: None,
            next_id: 1,
            stale: HashSet::new(),
            features: Matrix::new(0),
        })
    }

    /// Puts loaded parts together. `features` are derived, so they are never stored.
    pub fn assemble(
        model: ModelId,
        works: Vec<Work>,
        vectors: Matrix,
        (layout, grid): (Layout, Grid),
        basis: Option<(Pca, usize)>,
        next_id: u64,
    ) -> Self {
        let features = basis
            .as_ref()
            .map_or(Matrix::new(0), |(pca, _)| pca.project(&vectors));
        Self {
            model,
            works,
            vectors,
            layout,
            grid,
            basis,
            next_id,
            stale: HashSet::new(),
            features,
        }
    }

    /// The features the grid sorts by, `N × 128` at most.
    pub fn features(&self) -> &Matrix {
        &self.features
    }

    /// Column and row of work `i`.
    pub fn cell(&self, i: usize) -> (u32, u32) {
        self.grid.cell_of(i).expect("every work has a cell")
    }

    fn cells(&self) -> HashMap<ArtworkId, (u32, u32)> {
        self.works
            .iter()
            .enumerate()
            .map(|(i, work)| (work.id, self.cell(i)))
            .collect()
    }

    fn fit_basis(&mut self) -> Result<(), RebuildError> {
        let n = self.works.len();
        let pca = features(&self.vectors)?;
        self.features = pca.project(&self.vectors);
        self.basis = Some((pca, n));
        Ok(())
    }
}

/// Takes the collection from one state to the next.
///
/// On an error the collection is half changed; the caller loads the stored one.
pub fn apply(
    collection: &mut Collection,
    changes: ChangeSet,
    now_ms: u64,
    params: &Params,
) -> Result<Rebuilt, RebuildError> {
    let matched = match_changes(collection, changes);
    let before = collection.cells();
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

    let mut arrivals: Vec<(Work, Vec<f32>)> = Vec::new();
    for (i, arrival) in matched.changed {
        let Work { id, added_ms, .. } = collection.works[i];
        collection.stale.remove(&id);
        arrivals.push(placed(arrival, id, added_ms));
    }
    for arrival in matched.new {
        arrivals.push(placed(arrival, ArtworkId(collection.next_id), now_ms));
        collection.next_id += 1;
    }
    if leaving.is_empty() && arrivals.is_empty() {
        return Ok(rebuilt);
    }

    for &i in &leaving {
        let work = collection.works.swap_remove(i);
        collection.stale.remove(&work.id);
        collection.vectors.swap_remove(i);
        collection.features.swap_remove(i);
    }
    collection.layout.remove(&collection.vectors, &leaving)?;
    let shrunk = collection.grid.remove(&leaving, &params.grid);
    let mut pushed: HashSet<ArtworkId> = ids(collection, &shrunk.pushed);

    let touched: HashSet<ArtworkId> = arrivals.iter().map(|(work, _)| work.id).collect();
    for (work, vector) in arrivals {
        collection.works.push(work);
        collection.vectors.push(&vector);
    }
    follow_features(collection)?;
    if !touched.is_empty() {
        collection
            .layout
            .insert(&collection.vectors, &params.layout)?;
        let outcome = collection.grid.insert(
            &collection.features,
            collection.layout.points(),
            &params.grid,
        )?;
        pushed.extend(ids(collection, &outcome.pushed));
    }
    count_moves(collection, &before, &touched, &pushed, &mut rebuilt);
    Ok(rebuilt)
}

/// Lays everything out afresh, aligned onto the old map: on request, or after a change of model.
pub fn relayout(collection: &mut Collection, params: &Params) -> Result<Rebuilt, RebuildError> {
    let before = collection.cells();
    let old: Vec<(usize, Point)> = collection
        .layout
        .points()
        .iter()
        .copied()
        .enumerate()
        .collect();
    collection.layout = Layout::cold(&collection.vectors, &params.layout)?;
    collection.layout.align_onto(&old);
    collection.fit_basis()?;
    collection.grid = Grid::arrange(
        &collection.features,
        collection.layout.points(),
        &params.grid,
    )?;
    Ok(moves_alone(collection, &before))
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
        return relayout(collection, params);
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

/// Replaces every embedding by another model's and lays everything out afresh, aligned onto the old map.
///
/// `vectors` has one row a work, in index order; works in `stale` have a zero row.
pub fn change_model(
    collection: &mut Collection,
    model: ModelId,
    vectors: Matrix,
    stale: HashSet<ArtworkId>,
    params: &Params,
) -> Result<Rebuilt, RebuildError> {
    collection.model = model;
    collection.vectors = vectors;
    collection.stale = stale;
    relayout(collection, params)
}

/// The projection onto the features that a grid of `vectors` (`N × D`) sorts by.
pub fn features(vectors: &Matrix) -> Result<Pca, ReduceError> {
    let pca = Pca::fit(vectors, FEATURES.1)?;
    let mut held = 0.0;
    let enough = pca
        .explained_variance_ratio()
        .into_iter()
        .position(|share| {
            held += share;
            held >= FEATURE_SHARE
        });
    Ok(pca.leading(enough.map_or(FEATURES.1, |last| last + 1).max(FEATURES.0)))
}

fn placed(arrival: Arrival, id: ArtworkId, added_ms: u64) -> (Work, Vec<f32>) {
    let Arrival {
        path,
        hash,
        identity,
        vector,
    } = arrival;
    (
        Work {
            id,
            path,
            hash,
            identity,
            added_ms,
        },
        vector,
    )
}

fn ids(collection: &Collection, items: &[u32]) -> HashSet<ArtworkId> {
    items
        .iter()
        .filter_map(|&i| collection.works.get(i as usize))
        .map(|work| work.id)
        .collect()
}

/// Brings the features into step with the embeddings: projects the new rows, or fits the basis anew when the
/// collection has outgrown it.
fn follow_features(collection: &mut Collection) -> Result<(), RebuildError> {
    let n = collection.works.len() as f64;
    let current = collection.basis.take().filter(|(_, fitted)| {
        let fitted = *fitted as f64;
        n < fitted * REFIT && n > fitted * 0.5
    });
    let Some((pca, fitted)) = current else {
        return collection.fit_basis();
    };
    for i in collection.features.rows()..collection.works.len() {
        let mut row = vec![0.0; collection.features.dims()];
        pca.project_row(collection.vectors.row(i), &mut row);
        collection.features.push(&row);
    }
    collection.basis = Some((pca, fitted));
    Ok(())
}

/// What a rearrangement did that took nothing in and nothing out.
fn moves_alone(collection: &Collection, before: &HashMap<ArtworkId, (u32, u32)>) -> Rebuilt {
    let (none, mut rebuilt) = (HashSet::new(), Rebuilt::default());
    count_moves(collection, before, &none, &none, &mut rebuilt);
    rebuilt
}

fn count_moves(
    collection: &Collection,
    before: &HashMap<ArtworkId, (u32, u32)>,
    touched: &HashSet<ArtworkId>,
    pushed: &HashSet<ArtworkId>,
    rebuilt: &mut Rebuilt,
) {
    for (i, work) in collection.works.iter().enumerate() {
        let Some(&old) = before.get(&work.id) else {
            continue;
        };
        if touched.contains(&work.id) || old == collection.cell(i) {
            continue;
        }
        if pushed.contains(&work.id) {
            rebuilt.grown += 1;
        } else {
            rebuilt.moved += 1;
        }
    }
}

#[derive(Default)]
struct Matched {
    removed: Vec<usize>,
    changed: Vec<(usize, Arrival)>,
    new: Vec<Arrival>,
    renamed: u32,
}

/// Tells renames, edits, removals and news apart, and carries the renames and touches out.
///
/// A work whose path is gone or holds other content now is *displaced*; an arrival with a displaced work's content
/// is that work under a new path.
fn match_changes(collection: &mut Collection, changes: ChangeSet) -> Matched {
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
