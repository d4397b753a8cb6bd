//! From cells to pictures: what tiles, the mosaic, its preview and its other formats show of a placement.
//!
//! It knows where pixels come from and notes which cells are missing; files are its callers' business.
//!
//! Invariant: a missing cell never stops a publish: its place shows background until a later publish finds the cell.

use super::{
    CellStore, OutputSpec, PublishError,
    difference::Difference,
    files::Folder,
    manifest::{GridSize, Manifest, MosaicFile},
    names::MosaicKind,
    placement::{Placement, Shown},
    spliced::{self, NewFile, Source, Spliced},
};
use crate::{
    artwork::{ContentHash, cell::Cell},
    render::{
        blend::{self, Around},
        jpeg::{Frame, encode_segment},
        mips::resize,
        pyramid::{Level, Rect},
        tile::{Raster, compose, compose_cells},
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

/// The largest preview, pixels per side.
const PREVIEW_MAX_SIDE: u32 = 2048;

/// Draws a placement.
pub(super) struct Artist<'a> {
    pub(super) spec: &'a OutputSpec,
    pub(super) placement: &'a Placement,
    cells: &'a CellStore,
    missing: Mutex<BTreeSet<ContentHash>>,
}

impl<'a> Artist<'a> {
    pub(super) fn new(
        spec: &'a OutputSpec,
        cells: &'a CellStore,
        difference: &'a Difference,
    ) -> Self {
        Self {
            spec,
            placement: &difference.wanted,
            cells,
            missing: Mutex::new(difference.missing.clone()),
        }
    }

    /// Contents whose cell was found missing.
    pub(super) fn into_missing(self) -> BTreeSet<ContentHash> {
        self.missing
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills `out` with the cell at a power of two of pixels; false for background.
    fn mip(&self, col: u32, row: u32, px: u32, out: &mut Vec<u8>) -> bool {
        if let Some(around) = self.placement.blended(col, row) {
            return self.blended(around, px, out);
        }
        let Some(hash) = self.placement.artwork(col, row) else {
            return false;
        };
        let there = self.cells.mip(&hash, px, out);
        if !there {
            self.note_missing(hash);
        }
        there
    }

    /// Fills `out` with the colours around a spare cell; false if there are none.
    fn blended(&self, around: [Option<ContentHash>; 4], px: u32, out: &mut Vec<u8>) -> bool {
        let side = px.min(blend::SIDE);
        let [left, right, above, below] = around.map(|hash| {
            let mut pixels = Vec::new();
            self.cells.mip(&hash?, side, &mut pixels).then_some(pixels)
        });
        let around = Around {
            left,
            right,
            above,
            below,
        };
        let small = blend::blend(&around, side);
        *out = small.map_or(Vec::new(), |small| blend::enlarge(&small, side, px));
        !out.is_empty()
    }

    fn note_missing(&self, hash: ContentHash) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.insert(hash);
    }

    /// The cell at any number of pixels; `None` for background.
    pub(super) fn cell(&self, col: u32, row: u32, px: u32) -> Option<Cell> {
        if px.is_power_of_two() || self.placement.blended(col, row).is_some() {
            let mut rgb = Vec::new();
            return self.mip(col, row, px, &mut rgb).then_some(Cell { px, rgb });
        }
        let hash = self.placement.artwork(col, row)?;
        let cell = self.cells.get(&hash).and_then(|cell| resize(&cell, px));
        if cell.is_none() {
            self.note_missing(hash);
        }
        cell
    }

    /// Pixels of a level of the pyramid.
    pub(super) fn pixels(&self, level: &Level, rect: Rect) -> Raster {
        let grid = (self.placement.cols, self.placement.rows);
        let mut mip = |col: u32, row: u32, px: u32, out: &mut Vec<u8>| self.mip(col, row, px, out);
        let background = self.spec.ground();
        compose(level, rect, grid, background, &mut mip)
    }

    /// Splices the single-file mosaic of a generation. `old` is the one before and what it shows; unless that has `changed`,
    /// it stays.
    pub(super) fn mosaic(
        &self,
        folder: &Folder,
        generation: u64,
        wanted: &MosaicFile,
        changed: bool,
        old: Option<(Spliced, &Placement)>,
    ) -> Result<Spliced, PublishError> {
        let (px, spec) = (wanted.cell_px, self.spec.jpeg);
        let frame = Frame::new(wanted.width, wanted.height, px, spec.subsampling)?;
        let mut old = old.filter(|(old, _)| old.frame.block_px == px);
        if let Some((old, _)) = old.take_if(|(old, _)| !changed && old.frame == frame) {
            return Ok(old);
        }
        let sources = match old {
            Some((_, drawn)) => sources(drawn, self.placement),
            None => vec![Source::Fresh; self.placement.cells.len()],
        };
        let background = Raster::filled(px, px, self.spec.ground()).rgb;
        let background = encode_segment(
            &Cell {
                px,
                rgb: background,
            },
            spec,
        )?;
        let encode = |col: u32, row: u32| match self.cell(col, row, px) {
            Some(cell) => encode_segment(&cell, spec),
            None => Ok(background.clone()),
        };
        let file = NewFile {
            kind: MosaicKind::Mosaic,
            generation,
            frame,
            spec,
            sources: &sources,
            encode: &encode,
        };
        let mut old = old.map(|(old, _)| old);
        spliced::write(folder, &file, old.as_mut())
    }

    /// Splices the preview, if there is to be one, and names it in the manifest: from cells, or from MCUs of several cells
    /// where a cell is smaller than one. One that would show the same as the old one stays.
    pub(super) fn preview(
        &self,
        folder: &Folder,
        manifest: &mut Manifest,
        changed: &[(u32, u32)],
        old: Option<Spliced>,
    ) -> Result<Option<Spliced>, PublishError> {
        let Some(px) = preview_px(manifest.grid).filter(|_| self.spec.preview) else {
            return Ok(None);
        };
        let spliced = self.spliced_preview(folder, manifest.generation, px, changed, old)?;
        manifest.preview = Some(MosaicFile {
            file: spliced.name.clone(),
            cell_px: px,
            width: spliced.frame.width,
            height: spliced.frame.height,
            generation: None,
        });
        Ok(Some(spliced))
    }

    fn spliced_preview(
        &self,
        folder: &Folder,
        generation: u64,
        px: u32,
        changed: &[(u32, u32)],
        old: Option<Spliced>,
    ) -> Result<Spliced, PublishError> {
        let spec = self.spec.jpeg;
        let grid = (self.placement.cols, self.placement.rows);
        let block_px = px.max(spec.subsampling.mcu_px());
        let frame = Frame::new(grid.0 * px, grid.1 * px, block_px, spec.subsampling)?;
        let mut old = old.filter(|old| old.frame == frame);
        if let Some(old) = old.take_if(|_| changed.is_empty()) {
            return Ok(old);
        }
        let blocks = (0..frame.rows).flat_map(|row| (0..frame.cols).map(move |col| (col, row)));
        let mut sources: Vec<_> = match old {
            Some(_) => blocks.map(|(col, row)| Source::Old(col, row)).collect(),
            None => blocks.map(|_| Source::Fresh).collect(),
        };
        let cells = block_px / px;
        for (col, row) in changed {
            let at = (row / cells) as usize * frame.cols as usize + (col / cells) as usize;
            if let Some(source) = sources.get_mut(at) {
                *source = Source::Fresh;
            }
        }
        let encode = |col: u32, row: u32| {
            let rect = Rect {
                x: col * block_px,
                y: row * block_px,
                width: block_px,
                height: block_px,
            };
            let mut mip =
                |col: u32, row: u32, px: u32, out: &mut Vec<u8>| self.mip(col, row, px, out);
            let raster = compose_cells(px, rect, grid, self.spec.ground(), &mut mip);
            let block = Cell {
                px: block_px,
                rgb: raster.rgb,
            };
            encode_segment(&block, spec)
        };
        let file = NewFile {
            kind: MosaicKind::Preview,
            generation,
            frame,
            spec,
            sources: &sources,
            encode: &encode,
        };
        spliced::write(folder, &file, old.as_mut())
    }
}

/// The side of a cell in the preview: the largest power of two that keeps it within 2,048 px; `None` if not even a
/// pixel does.
pub(super) fn preview_px(grid: GridSize) -> Option<u32> {
    let fitting = PREVIEW_MAX_SIDE / grid.cols.max(grid.rows).max(1);
    let px = 1 << fitting.checked_ilog2()?;
    Some(grid.cell_px.min(px))
}

/// Where each wanted cell can be taken from in a mosaic that shows `drawn`.
fn sources(drawn: &Placement, wanted: &Placement) -> Vec<Source> {
    let places: HashMap<Shown, (u32, u32)> = drawn
        .cells
        .iter()
        .enumerate()
        .map(|(index, shown)| (*shown, drawn.at(index)))
        .collect();
    let source = |(index, shown): (usize, &Shown)| {
        let (col, row) = wanted.at(index);
        let place = match shown {
            _ if drawn.get(col, row) == Some(*shown) => Some((col, row)),
            // What an undrawn cell shows elsewhere is not known.
            Shown::Undrawn(_) => None,
            _ => places.get(shown).copied(),
        };
        place.map_or(Source::Fresh, |(col, row)| Source::Old(col, row))
    };
    wanted.cells.iter().enumerate().map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_stay_within_2048_pixels() {
        let px = |cols, rows, cell_px| {
            preview_px(GridSize {
                cols,
                rows,
                cell_px,
            })
        };
        assert_eq!(px(1, 1, 128), Some(128));
        assert_eq!(px(32, 32, 128), Some(64));
        assert_eq!(px(100, 100, 128), Some(16));
        assert_eq!(px(317, 316, 64), Some(4));
        assert_eq!(px(2048, 1, 64), Some(1));
        assert_eq!(px(2049, 1, 64), None);
        assert_eq!(px(0, 0, 64), Some(64));
    }

    #[test]
    fn moved_cells_are_taken_from_where_they_were() {
        let art = |name: &[u8]| Shown::Artwork(ContentHash::of(name));
        let (a, b, c) = (art(b"a"), art(b"b"), art(b"c"));
        let lost = Shown::Undrawn(ContentHash::of(b"l"));
        let drawn = Placement {
            cols: 2,
            rows: 2,
            cells: vec![a, b, Shown::Background, lost],
        };
        let wanted = Placement {
            cols: 3,
            rows: 1,
            cells: vec![a, a, lost],
        };
        let from = |placement| sources(&drawn, &placement);
        assert_eq!(
            from(wanted),
            [Source::Old(0, 0), Source::Old(0, 0), Source::Fresh]
        );
        let other = Placement {
            cols: 2,
            rows: 2,
            cells: vec![b, Shown::Background, c, lost],
        };
        let expected = [
            Source::Old(1, 0),
            Source::Old(0, 1),
            Source::Fresh,
            Source::Old(1, 1),
        ];
        assert_eq!(from(other), expected);
    }
}
