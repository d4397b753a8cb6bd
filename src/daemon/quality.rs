//! Computed in the background when nothing has been published for a while: how good the arrangement is, and which works
//! are the same picture.

use super::background::on_one_core;
use crate::{
    cells::CellStore,
    domain::{ContentHash, manifest::Quality},
    grid::quality::dpq16,
    history::twins::{self, Groups},
    rebuild::Collection,
    reduce::trustworthiness,
};

/// Up to this many works, quality is computed from all of them.
const QUALITY_SAMPLE: usize = 4_096;
/// Rows that the grid's quality is computed from in larger collections; they err by .0003 at most.
const QUALITY_ROWS: usize = 1_024;

/// Twins are looked for among this many nearest works,
const TWINS_AMONG: usize = 4;
/// and nearer than this (embeddings have unit length: 0 is the same, 2 the opposite).
const TWINS_WITHIN: f32 = 0.5;

/// The quality of a generation, unless that is `known`, and which of its works are one picture. The smallest cells are
/// cached on the way.
pub(super) fn measured(
    collection: &Collection,
    cells: &CellStore,
    generation: u64,
    known: Option<Quality>,
) -> Option<(Quality, Groups)> {
    cells.warm(collection.works.iter().map(|work| &work.hash));
    let quality = match known.filter(|known| known.generation == generation) {
        Some(known) => known,
        None => on_one_core(|| measure(collection, generation))?,
    };
    Some((quality, twins_of(collection, cells)))
}

fn measure(collection: &Collection, generation: u64) -> Quality {
    let n = collection.works.len();
    let cells: Vec<_> = (0..n).map(|i| collection.cell(i)).collect();
    let (vectors, points) = (&collection.vectors, collection.layout.points());
    let sample = Some(QUALITY_SAMPLE);
    Quality {
        generation,
        dpq16: dpq16(
            vectors,
            &cells,
            (n > QUALITY_SAMPLE).then_some(QUALITY_ROWS),
            0,
        ),
        trustworthiness: (n > 2).then(|| trustworthiness(vectors, points, 15, sample, 0)),
    }
}

/// Which works are one picture.
fn twins_of(collection: &Collection, cells: &CellStore) -> Groups {
    let works: Vec<_> = collection
        .works
        .iter()
        .map(|work| (work.id, work.hash))
        .collect();
    let near = |i: usize| {
        let (near, distances) = collection.layout.neighbours(i);
        let close = near
            .iter()
            .zip(distances)
            .filter(|(_, d)| **d < TWINS_WITHIN);
        close.take(TWINS_AMONG).map(|(&j, _)| j as usize).collect()
    };
    let small = |hash: &ContentHash| {
        let mut pixels = Vec::new();
        cells
            .mip(hash, twins::SIDE_PX, &mut pixels)
            .then_some(pixels)
    };
    twins::find(&works, near, small)
}
