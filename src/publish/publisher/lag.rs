//! The single files (`mosaic.jpg`, and the PNG and WebP where they are asked for): when they are drawn, and when they may
//! show an older generation for a while, because each takes a copy of all that it shows.
//!
//! Invariant: no work that left the mosaic, and no picture that was replaced, stays in them: only arrivals and moves wait.

use super::{
    super::{
        PublishError,
        collect::retire_images,
        difference::Difference,
        drawing::Artist,
        lossless,
        manifest::MosaicFile,
        names::MosaicKind,
        page::Touched,
        placement::Placement,
        recover::{Lag, State},
        stable,
    },
    Publisher,
};
use crate::{cells::CellStore, domain::ContentHash, render::jpeg::mosaic_cell_px};
use std::collections::BTreeSet;

/// Beyond this many works the single files may be [`LAG_MS`] older, unless the configuration says otherwise.
const LAG_FROM: usize = 100_000;
/// Milliseconds.
const LAG_MS: u64 = 60_000;

/// `mosaic.jpg`, the PNG and the WebP.
pub(super) type SingleFiles = [Option<MosaicFile>; 3];

impl Publisher {
    /// How long the single files of so many works may be older, milliseconds.
    fn lag_ms(&self, works: usize) -> u64 {
        let automatic = if works > LAG_FROM { LAG_MS } else { 0 };
        self.spec.lag_ms.unwrap_or(automatic)
    }

    /// How much longer the single files may be older at `now_ms`. A clock that was set back ends the wait.
    fn left_ms(&self, since_ms: u64, works: usize, now_ms: u64) -> u64 {
        let age_ms = now_ms.checked_sub(since_ms).unwrap_or(u64::MAX);
        self.lag_ms(works).saturating_sub(age_ms)
    }

    /// Whether the single files may stay as they are in a generation that is published now.
    pub(super) fn lags(
        &self,
        state: &State,
        difference: &Difference,
        touched: &Touched,
        (works, now_ms): (usize, u64),
    ) -> bool {
        let since_ms = state.lag.as_ref().map_or(now_ms, |lag| lag.since_ms);
        let differ = state.lag.is_some() || !difference.changed.is_empty();
        differ
            && self.spec.pyramid
            && self.present(state)
            && !touched.gone
            && touched.edited.is_empty()
            && self.left_ms(since_ms, works, now_ms) > 0
    }

    /// In how many milliseconds the single files are due; `None` if they show the published generation.
    pub(super) fn due_ms(&self, state: &State, now_ms: u64) -> Option<u64> {
        let works = state.manifest.as_ref().map_or(0, |m| m.works.len());
        let lag = state.lag.as_ref()?;
        Some(self.left_ms(lag.since_ms, works, now_ms))
    }

    /// The single files as they are, in a generation that they do not show.
    pub(super) fn older_files(&self, state: &mut State, now_ms: u64) -> SingleFiles {
        state.lag.get_or_insert_with(|| Lag {
            shown: Some(state.drawn.clone()),
            since_ms: now_ms,
        });
        let Some(before) = &state.manifest else {
            return SingleFiles::default();
        };
        [&before.mosaic, &before.png, &before.webp].map(|file| {
            let mut file = file.clone()?;
            file.generation.get_or_insert(before.generation);
            Some(file)
        })
    }

    /// Draws the single files as `artist` shows the works. A file that would show the same as the old one stays.
    pub(super) fn draw_files(
        &self,
        state: &mut State,
        artist: &Artist<'_>,
        generation: u64,
    ) -> Result<SingleFiles, PublishError> {
        let folder = &self.folder;
        let lag = state.lag.take();
        let shown = match &lag {
            None => Some(&state.drawn),
            Some(lag) => lag.shown.as_ref(),
        };
        let changed = shown.is_none_or(|shown| !artist.placement.changed_since(shown).is_empty());
        let mut mosaic = self.mosaic_file(artist.placement)?;
        let old = shown.and_then(|shown| Some((state.mosaic.take()?, shown)));
        state.mosaic = None;
        if let Some(file) = &mut mosaic {
            let drawn = artist.mosaic(folder, generation, file, changed, old)?;
            file.file.clone_from(&drawn.name);
            state.mosaic = Some(drawn);
        }
        let before = state.manifest.as_ref();
        let kept = before.filter(|_| state.reusable && state.mosaic_files && !changed);
        let lossless = |kind, wanted: bool| {
            let kept = kept.and_then(|before| stable::mosaic_file(before, kind).cloned());
            match (wanted, kept) {
                (false, _) => Ok(None),
                (true, Some(kept)) => Ok(Some(kept)),
                (true, None) => lossless::write(folder, kind, generation, artist).map(Some),
            }
        };
        let png = lossless(MosaicKind::Png, self.spec.png)?;
        Ok([mosaic, png, lossless(MosaicKind::Webp, self.spec.webp)?])
    }

    /// Brings the single files up to date with the published generation, if they are older and their unchanged cells can
    /// be taken over.
    pub fn catch_up(&mut self, cells: &CellStore, now_ms: u64) -> Result<(), PublishError> {
        let is_known = |lag: &Lag| lag.shown.is_some();
        let is_behind = |state: &State| state.lag.as_ref().is_some_and(is_known);
        if self.state.as_ref().is_some_and(is_behind) {
            let mut state = self.take_state()?;
            // The folder may have been replaced, and read again.
            if is_behind(&state) {
                self.draw_now(&mut state, cells, now_ms)?;
            }
            self.state = Some(state);
        }
        Ok(())
    }

    /// [`Publisher::catch_up`], of a state that was taken. Says which contents could not be drawn.
    pub(super) fn draw_now(
        &mut self,
        state: &mut State,
        cells: &CellStore,
        now_ms: u64,
    ) -> Result<BTreeSet<ContentHash>, PublishError> {
        let difference = Difference {
            wanted: state.drawn.clone(),
            changed: Vec::new(),
            missing: BTreeSet::new(),
        };
        let artist = Artist::new(&self.spec, cells, &difference);
        let generation = (state.manifest.as_ref()).map_or(state.generation, |m| m.generation);
        let [mosaic, png, webp] = self.draw_files(state, &artist, generation)?;
        let missing = artist.into_missing();
        state.drawn.without(|hash| missing.contains(hash));
        let mut old = SingleFiles::default();
        self.amend_state(state, None, |manifest| {
            let lost = manifest.works.iter().filter(|w| missing.contains(&w.hash));
            manifest.undrawn.extend(lost.map(|work| work.id));
            let files = [&mut manifest.mosaic, &mut manifest.png, &mut manifest.webp];
            old = files.map(Option::take);
            [manifest.mosaic, manifest.png, manifest.webp] = [mosaic, png, webp];
            true
        })?;
        let Some(manifest) = &state.manifest else {
            return Ok(missing);
        };
        stable::point_mosaic_files(&self.folder, None, manifest)?;
        let old = old.each_ref().map(Option::as_ref);
        let now = stable::mosaic_files(manifest).map(|(_, file)| file);
        retire_images(&mut self.retired, &old, &now, (generation, now_ms));
        Ok(missing)
    }

    /// The single-file mosaic of a placement, without its name; `None` if it is switched off.
    pub(super) fn mosaic_file(
        &self,
        placement: &Placement,
    ) -> Result<Option<MosaicFile>, PublishError> {
        if !self.spec.mosaic {
            return Ok(None);
        }
        let (cols, rows) = (placement.cols, placement.rows);
        let px = mosaic_cell_px(cols, rows, self.spec.cell.px, self.spec.max_side)
            .ok_or(PublishError::GridTooLarge { cols, rows })?;
        Ok(Some(MosaicFile {
            file: String::new(),
            cell_px: px,
            width: cols * px,
            height: rows * px,
            generation: None,
        }))
    }
}
