//! What a publish has to do: which cells differ from those drawn, and whether anything differs at all.
//!
//! It decides nothing about files. Invariant: a cell that was missing and still is counts as unchanged.

use super::{manifest::Manifest, placement::Placement, pyramid::Tiles};
use crate::artwork::ContentHash;
use crate::cells::CellStore;
use std::collections::BTreeSet;

/// What a publish has to draw.
pub(super) struct Difference {
    pub(super) wanted: Placement,
    /// Cells that differ from what is drawn.
    pub(super) changed: Vec<(u32, u32)>,
    /// Contents whose prepared cell is missing.
    pub(super) missing: BTreeSet<ContentHash>,
}

impl Difference {
    /// Compares what is drawn with what is wanted.
    pub(super) fn of(drawn: &Placement, mut wanted: Placement, cells: &CellStore) -> Self {
        let differing = wanted.changed_since(drawn);
        let hashes = differing
            .iter()
            .filter_map(|&(col, row)| wanted.artwork(col, row));
        let missing: BTreeSet<_> = hashes.filter(|hash| !cells.contains(hash)).collect();
        let mut changed = differing;
        if !missing.is_empty() {
            // A cell that was missing and still is has not changed.
            wanted.without(|hash| missing.contains(hash));
            changed = wanted.changed_since(drawn);
        }
        Self {
            wanted,
            changed,
            missing,
        }
    }
}

/// Whether two manifests say the same of everything but their works, number, time, moves and files.
pub(super) fn same(before: &Manifest, wanted: &Manifest) -> bool {
    // One of an older generation may have another size.
    let older = before
        .mosaic
        .as_ref()
        .is_some_and(|m| m.generation.is_some());
    let mosaic = |m: &Manifest| m.mosaic.as_ref().map(|m| (m.cell_px, m.width, m.height));
    before.render_key == wanted.render_key
        && before.model == wanted.model
        && before.title == wanted.title
        && before.grid == wanted.grid
        && (older || mosaic(before) == mosaic(wanted))
        && before.background == wanted.background
        && before.link == wanted.link
        && before.folders == wanted.folders
        && before.work_pages == wanted.work_pages
}

/// Whether the pyramid grew or shrank by levels: then a level of the same scale has another number.
pub(super) fn shifted(before: Option<&Tiles>, now: Option<&Tiles>) -> bool {
    before.map(|t| t.pyramid.max_level) != now.map(|t| t.pyramid.max_level)
}
