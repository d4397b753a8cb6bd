//! Which artwork is drawn in which cell, and what differs between two generations.
//!
//! Pure: a checked view of the works of a generation, compared cell by cell.

use super::{OutputSpec, PublishError, Spare, listing::Step, manifest::Work};
use crate::artwork::{ArtworkId, ContentHash};
use std::sync::Arc;

/// What is in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shown {
    /// No artwork is placed here.
    Background,
    /// Nor here, and it is to show colours of its neighbours; the hash tells what they show.
    Blended(ContentHash),
    /// The prepared cell of this content.
    Artwork(ContentHash),
    /// Background, or what was there before, because this content's prepared cell is missing.
    Undrawn(ContentHash),
}

impl Shown {
    /// The content whose pixels can be drawn here.
    pub(super) fn artwork(self) -> Option<ContentHash> {
        match self {
            Self::Artwork(hash) => Some(hash),
            Self::Background | Self::Blended(_) | Self::Undrawn(_) => None,
        }
    }
}

/// What a spare cell shows before its neighbours are known.
fn spare(spec: &OutputSpec) -> Shown {
    match spec.spare {
        Some(Spare::Blend) => Shown::Blended(ContentHash::of(&[])),
        _ => Shown::Background,
    }
}

/// The grid's cells, row-major.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) cols: u32,
    pub(super) rows: u32,
    pub(super) cells: Vec<Shown>,
}

impl Placement {
    /// The placement of works on a grid; an empty grid becomes one spare cell. Fails if two works share a cell or
    /// one lies outside.
    pub(super) fn of(works: &[Arc<Work>], cols: u32, rows: u32) -> Result<Self, PublishError> {
        let (cols, rows) = (cols.max(1), rows.max(1));
        let limit = crate::render::jpeg::JPEG_MAX_SIDE;
        if cols > limit || rows > limit {
            return Err(PublishError::GridTooLarge { cols, rows });
        }
        let mut owners: Vec<Option<ArtworkId>> = vec![None; cols as usize * rows as usize];
        let mut cells = vec![Shown::Background; owners.len()];
        for work in works {
            let (id, col, row) = (work.id, work.col, work.row);
            if col >= cols || row >= rows {
                return Err(PublishError::OutsideGrid { id, col, row });
            }
            let at = row as usize * cols as usize + col as usize;
            if let Some(first) = owners[at].replace(id) {
                return Err(PublishError::SharedCell { first, second: id });
            }
            cells[at] = Shown::Artwork(work.hash);
        }
        Ok(Self { cols, rows, cells })
    }

    /// The same with spare cells as `spec` wants them shown.
    pub(super) fn shown(mut self, spec: &OutputSpec) -> Self {
        let spare = spare(spec);
        if spare != Shown::Background {
            let all = self.cells.iter_mut();
            all.filter(|shown| **shown == Shown::Background)
                .for_each(|shown| *shown = spare);
            self.blend();
        }
        self
    }

    /// The placement, with spare cells as `spec` wants them shown, after some works came or moved; `None` if it cannot be told
    /// from these steps alone.
    pub(super) fn after(
        &self,
        steps: &[Step],
        (cols, rows): (u32, u32),
        spec: &OutputSpec,
    ) -> Option<Self> {
        let undrawn = |shown: &Shown| matches!(shown, Shown::Undrawn(_));
        if (self.cols, self.rows) != (cols, rows) || self.cells.iter().any(undrawn) {
            return None;
        }
        let mut after = self.clone();
        let left = steps.iter().filter_map(|step| step.from);
        for (col, row) in left.clone() {
            *after.cells.get_mut(self.index(col, row))? = spare(spec);
        }
        for step in steps {
            let (col, row) = step.to;
            let free = after.get(col, row)?.artwork().is_none();
            let index = self.index(col, row);
            after.cells[index] = free.then_some(Shown::Artwork(step.hash))?;
        }
        for (col, row) in left.chain(steps.iter().map(|step| step.to)) {
            let near = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)];
            let near =
                near.map(|(dx, dy)| (col.wrapping_add_signed(dx), row.wrapping_add_signed(dy)));
            let inside = near.iter().filter(|(col, row)| *col < cols && *row < rows);
            inside.for_each(|&(col, row)| after.blend_at(self.index(col, row)));
        }
        Some(after)
    }

    /// Tells every blended cell what its neighbours show.
    fn blend(&mut self) {
        (0..self.cells.len()).for_each(|index| self.blend_at(index));
    }

    /// Tells a cell, if it is blended, what its neighbours show.
    fn blend_at(&mut self, index: usize) {
        if matches!(self.cells[index], Shown::Blended(_)) {
            let around = self.around(index).map(|near| near.map(|hash| hash.0));
            let around: Vec<u8> = around
                .iter()
                .flat_map(|near| near.unwrap_or_default())
                .collect();
            self.cells[index] = Shown::Blended(ContentHash::of(&around));
        }
    }

    /// The contents that can be drawn to the left and right of a cell, above and below it.
    fn around(&self, index: usize) -> [Option<ContentHash>; 4] {
        let (col, row) = self.at(index);
        let near = |col: Option<u32>, row: Option<u32>| self.artwork(col?, row?);
        [
            near(col.checked_sub(1), Some(row)),
            near(col.checked_add(1), Some(row)),
            near(Some(col), row.checked_sub(1)),
            near(Some(col), row.checked_add(1)),
        ]
    }

    /// What is around a spare cell that is to be blended; `None` for any other cell.
    pub(super) fn blended(&self, col: u32, row: u32) -> Option<[Option<ContentHash>; 4]> {
        let blended = matches!(self.get(col, row)?, Shown::Blended(_));
        blended.then(|| self.around(self.index(col, row)))
    }

    /// What is shown at a cell; `None` outside the grid.
    pub(super) fn get(&self, col: u32, row: u32) -> Option<Shown> {
        (col < self.cols && row < self.rows).then(|| self.cells[self.index(col, row)])
    }

    pub(super) fn index(&self, col: u32, row: u32) -> usize {
        row as usize * self.cols as usize + col as usize
    }

    /// Column and row of a cell's index.
    pub(super) fn at(&self, index: usize) -> (u32, u32) {
        let cols = self.cols as usize;
        ((index % cols) as u32, (index / cols) as u32)
    }

    /// The content whose pixels can be drawn at a cell.
    pub(super) fn artwork(&self, col: u32, row: u32) -> Option<ContentHash> {
        self.get(col, row)?.artwork()
    }

    /// Marks every cell whose content is `missing` as not drawn.
    pub(super) fn without(&mut self, missing: impl Fn(&ContentHash) -> bool) {
        for shown in &mut self.cells {
            if let Shown::Artwork(hash) = *shown
                && missing(&hash)
            {
                *shown = Shown::Undrawn(hash);
            }
        }
        self.blend();
    }

    /// Cells whose pixels differ from what `drawn` shows there, or that it does not have.
    pub(super) fn changed_since(&self, drawn: &Self) -> Vec<(u32, u32)> {
        (0..self.cells.len())
            .map(|index| self.at(index))
            .filter(|&(col, row)| drawn.get(col, row) != self.get(col, row))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(id: u64, col: u32, row: u32) -> Arc<Work> {
        Arc::new(Work {
            x: f32::NAN,
            ..Work::sample(id, &format!("{id}.png"), (col, row))
        })
    }

    #[test]
    fn bad_generations_are_named() {
        let outside = Placement::of(&[work(1, 2, 0)], 2, 1);
        assert!(matches!(outside, Err(PublishError::OutsideGrid { .. })));
        let shared = Placement::of(&[work(1, 0, 0), work(2, 0, 0)], 2, 1);
        assert!(matches!(shared, Err(PublishError::SharedCell { .. })));
        let huge = Placement::of(&[], u32::MAX, u32::MAX);
        assert!(matches!(huge, Err(PublishError::GridTooLarge { .. })));
    }

    #[test]
    fn an_empty_collection_is_one_spare_cell() {
        let none = Placement::of(&[], 0, 0).expect("a placement");
        assert_eq!(
            (none.cols, none.rows, none.cells),
            (1, 1, vec![Shown::Background])
        );
    }

    #[test]
    fn a_blended_cell_changes_with_its_neighbours_alone() {
        let blend = OutputSpec {
            spare: Some(Spare::Blend),
            ..OutputSpec::default()
        };
        let placed =
            |works: &[Arc<Work>]| Placement::of(works, 4, 2).expect("placed").shown(&blend);
        let before = placed(&[work(1, 0, 0), work(2, 3, 0)]);
        let after = placed(&[work(1, 0, 0), work(3, 3, 0)]);
        assert_eq!(after.changed_since(&before), [(2, 0), (3, 0), (3, 1)]);
        let mut undrawn = after.clone();
        undrawn.without(|hash| *hash == ContentHash::of(&3_u64.to_le_bytes()));
        assert_eq!(undrawn.changed_since(&after), [(2, 0), (3, 0), (3, 1)]);
    }

    #[test]
    fn changes_are_moves_arrivals_departures_and_growth() {
        let before = Placement::of(&[work(1, 0, 0), work(2, 1, 0)], 2, 1).expect("before");
        let after = Placement::of(&[work(2, 0, 0)], 2, 2).expect("after");
        let changed = after.changed_since(&before);
        assert_eq!(changed, [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert!(before.changed_since(&before).is_empty());
    }
}
