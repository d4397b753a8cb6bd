//! What changed between two heads: a few numbers for an open page.
//!
//! Pure. Rows and columns that were inserted push half of all works along; a delta says by how far each old column and
//! row was pushed, and lists only the works that lie elsewhere.

use super::{
    CELLS, TEXTS, Touched,
    blocks::Kind,
    head::{Head, Names, hex},
};
use crate::{domain::ArtworkId, publish::manifest::Work};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// More changed tiles than this are not listed: blocks of them are loaded when they are looked at.
const TILES: usize = 256;

/// Where a work lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    id: u64,
    col: u32,
    row: u32,
    /// Minutes since the Unix epoch.
    added: u64,
}

/// The cells of works, ordered by id as they are; `before` holds those of the last generation, and which works it has
/// otherwise.
pub(super) fn cells(works: &[Arc<Work>], before: Option<(&[Cell], &Touched)>) -> Vec<Cell> {
    let Some((before, touched)) = before.filter(|(_, touched)| !touched.gone) else {
        return works.iter().map(|work| Cell::of(work)).collect();
    };
    let mut cells = before.to_vec();
    let mut new = Vec::new();
    for id in &touched.all {
        let at = works.binary_search_by_key(id, |work| work.id);
        let Some(cell) = at.ok().map(|at| Cell::of(&works[at])) else {
            continue;
        };
        match before.binary_search_by_key(&id.0, |cell| cell.id) {
            Ok(at) => cells[at] = cell,
            Err(_) => new.push(cell),
        }
    }
    cells.extend(new);
    if !cells.is_sorted_by_key(|cell| cell.id) {
        cells.sort_by_key(|cell| cell.id);
    }
    cells
}

impl Cell {
    fn of(work: &Work) -> Self {
        Self {
            id: work.id.0,
            col: work.col,
            row: work.row,
            added: work.added_ms / 60_000,
        }
    }
}

/// From one head to the next.
pub(super) struct Step<'a> {
    /// Hashes of the heads' files.
    pub(super) hashes: (u32, u32),
    pub(super) heads: (&'a Head, &'a Head),
    pub(super) cells: (&'a [Cell], &'a [Cell]),
    /// All tiles of all levels, as in the manifest.
    pub(super) levels: (&'a [String], &'a [String]),
    pub(super) edited: &'a [ArtworkId],
}

/// A delta's file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Delta {
    /// Hash of the head that it begins at.
    from: String,
    /// Hash of the head that it leads to.
    to: String,
    /// Deltas before it, newest first: the head that each begins at, and its file.
    earlier: Vec<(String, String)>,
    /// What the new head says and the old one does not.
    says: Map<String, Value>,
    count: usize,
    /// How far each old column was pushed to the right; empty: none was.
    cols: Vec<i64>,
    /// How far each old row was pushed down.
    rows: Vec<i64>,
    /// Id, column, row, minute of arrival of works that are new, or that lie elsewhere than `cols` and `rows` say.
    placed: Vec<u64>,
    gone: Vec<u64>,
    edited: Vec<u64>,
    /// Level, number, hash of tiles that changed.
    tiles: Vec<(u32, usize, String)>,
    /// All tiles of the upper levels, where too many changed to be listed.
    levels: Option<Vec<String>>,
    /// Number and name of blocks that changed, by their kind.
    blocks: BTreeMap<String, Vec<(usize, String)>>,
    /// Number and name of blocks of tiles that changed, by their level.
    tile_blocks: BTreeMap<u32, Vec<(usize, String)>>,
    /// Facet, value and number of works, where this number changed.
    facets: Vec<(String, String, usize)>,
    /// The names of the facets in their order, if they changed.
    columns: Option<Vec<String>>,
}

/// The deltas that end with one's file: the head that each begins at, and its file.
pub(super) fn chain(text: &[u8], name: u32) -> Option<Vec<(u32, u32)>> {
    let delta: Delta = serde_json::from_slice(text).ok()?;
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let earlier = delta.earlier.iter();
    let earlier = earlier.map(|(from, delta)| Some((number(from)?, number(delta)?)));
    std::iter::once(number(&delta.from).map(|from| (from, name)))
        .chain(earlier)
        .collect()
}

impl Step<'_> {
    /// The delta as JSON, with those before it.
    pub(super) fn serialise(&self, earlier: &[(u32, u32)]) -> serde_json::Result<Vec<u8>> {
        let ((from, to), (before, now), (old, new)) = (self.hashes, self.heads, self.cells);
        // A grid of the same size got no rows or columns.
        let (cols, rows) = match before.says.get("grid") == now.says.get("grid") {
            true => Default::default(),
            false => pushes(old, new),
        };
        let mut delta = Delta {
            from: hex(from),
            to: hex(to),
            earlier: earlier
                .iter()
                .take(super::DELTAS - 1)
                .map(|&(from, delta)| (hex(from), hex(delta)))
                .collect(),
            says: (now.says.iter())
                .filter(|(key, value)| before.says.get(*key) != Some(value))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            count: now.count,
            edited: self.edited.iter().map(|id| id.0).collect(),
            ..Delta::default()
        };
        let mut at = old.iter().peekable();
        for cell in new {
            while let Some(gone) = at.next_if(|old| old.id < cell.id) {
                delta.gone.push(gone.id);
            }
            let stood = at.next_if(|old| old.id == cell.id);
            if stood.map(|old| pushed(old, &cols, &rows)) != Some(*cell) {
                let Cell {
                    id,
                    col,
                    row,
                    added,
                } = *cell;
                delta.placed.extend([id, col.into(), row.into(), added]);
            }
        }
        delta.gone.extend(at.map(|old| old.id));
        (delta.cols, delta.rows) = (cols, rows);
        self.tiles(&mut delta);
        for kind in Kind::ALL {
            let others = others(before.names(kind), now.names(kind));
            if !others.is_empty() {
                delta.blocks.insert(kind.key().to_owned(), others);
            }
        }
        if !before.filters_alike(now) {
            delta.columns = Some(now.facets.iter().map(|facet| facet.name.clone()).collect());
        }
        for facet in &now.facets {
            let old = before.facets.iter().find(|old| old.name == facet.name);
            let old: BTreeMap<_, _> = old.iter().flat_map(|old| &old.values).cloned().collect();
            let mut left = old.clone();
            for (value, count) in &facet.values {
                left.remove(value);
                if old.get(value) != Some(count) {
                    let changed = (facet.name.clone(), value.clone(), *count);
                    delta.facets.push(changed);
                }
            }
            let left = left.into_keys();
            delta
                .facets
                .extend(left.map(|value| (facet.name.clone(), value, 0)));
        }
        serde_json::to_vec(&delta)
    }

    /// Says which tiles changed: one by one where they are few.
    fn tiles(&self, delta: &mut Delta) {
        let (before, now) = self.heads;
        let shape = |head: &Head| head.says.get("pyramid").cloned();
        let same = shape(before) == shape(now);
        for (&level, names) in &now.tiles {
            let old = before.tiles.get(&level).filter(|_| same);
            let none = Names::default();
            let others = others(&old.unwrap_or(&none).0, &names.0);
            if !others.is_empty() {
                delta.tile_blocks.insert(level, others);
            }
        }
        let lowest = shape(now).and_then(|shape| shape.get("min_level")?.as_u64());
        let levels = self.levels.0.iter().zip(self.levels.1);
        let hashes = |text: &str| {
            text.as_bytes()
                .chunks(8)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        for (level, (old, new)) in (lowest.unwrap_or(0) as u32..).zip(levels).filter(|_| same) {
            if old == new {
                continue;
            }
            let pairs = hashes(old).into_iter().zip(hashes(new)).enumerate();
            let others = pairs.filter(|(_, (old, new))| old != new);
            let hash = |(n, (_, new)): (usize, (_, Vec<u8>))| {
                (level, n, String::from_utf8_lossy(&new).into_owned())
            };
            delta.tiles.extend(others.map(hash));
        }
        if !same || delta.tiles.len() > TILES {
            delta.tiles.clear();
            delta.levels = Some(now.levels.clone());
        }
    }
}

/// Blocks that changed.
fn others(before: &[Option<u32>], now: &[Option<u32>]) -> Vec<(usize, String)> {
    let differs = |&(n, name): &(usize, &Option<u32>)| before.get(n) != Some(name);
    let names = now.iter().enumerate().filter(differs);
    names.map(|(n, name)| (n, hex(name.unwrap_or(0)))).collect()
}

/// How far most works of each old column and row were pushed; empty where none was.
fn pushes(old: &[Cell], new: &[Cell]) -> (Vec<i64>, Vec<i64>) {
    let mut at = new.iter().peekable();
    let pairs: Vec<_> = (old.iter())
        .filter_map(|old| {
            while at.next_if(|new| new.id < old.id).is_some() {}
            Some((*old, **at.peek().filter(|new| new.id == old.id)?))
        })
        .collect();
    let along = |of: fn(&Cell) -> u32| -> Vec<i64> {
        let mut votes: Vec<BTreeMap<i64, usize>> = Vec::new();
        for (old, new) in &pairs {
            let (from, to) = (of(old), of(new));
            votes.resize(votes.len().max(from as usize + 1), BTreeMap::new());
            *votes[from as usize]
                .entry(i64::from(to) - i64::from(from))
                .or_default() += 1;
        }
        let most = |votes: &BTreeMap<i64, usize>| {
            let best = votes
                .iter()
                .max_by_key(|&(by, count)| (count, std::cmp::Reverse(by.abs())));
            best.map_or(0, |(&by, _)| by)
        };
        let pushes: Vec<i64> = votes.iter().map(most).collect();
        match pushes.iter().all(|&by| by == 0) {
            true => Vec::new(),
            false => pushes,
        }
    };
    (along(|cell| cell.col), along(|cell| cell.row))
}

fn pushed(cell: &Cell, cols: &[i64], rows: &[i64]) -> Cell {
    let by = |at: u32, by: &[i64]| {
        let by = by.get(at as usize).copied().unwrap_or(0);
        at.saturating_add_signed(by as i32)
    };
    Cell {
        col: by(cell.col, cols),
        row: by(cell.row, rows),
        ..*cell
    }
}

const _: () = assert!(CELLS.is_multiple_of(TEXTS));
