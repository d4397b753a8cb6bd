//! The publisher: from works and cells to a published generation, in the order that the room's door states.
//!
//! It decides what is new and in which order things become visible; the files next to it draw, write and collect. After
//! any failure it discards what it knew and reads the folder again, as a start does.

use super::{
    Collected, Elapsed, Failpoint, Generation, OutputSpec, PublishError, Published, Spare, Was,
    clock::Clock,
    collect::{self, Retired, retire, retire_page},
    difference::{Difference, same, shifted},
    drawing::{Artist, preview_px},
    files::{Folder, Staged},
    listing::Listing,
    lock::Lock,
    manifest::{GridSize, Manifest, SCHEMA, Work},
    names,
    notes::plain,
    page::{self, Page, Touched},
    placement::Placement,
    pointers,
    pyramid::{self, Tiles},
    recover::{State, recover, render_key},
    stable, work_pages,
};
mod amend;
mod finish;
mod lag;
mod loss;

use crate::{
    cells::{self, CellError, CellStore},
    regions,
    render::pyramid::Pyramid,
};
use std::{path::Path, sync::Arc};

/// Writes generations to one output folder. No other process does, see [`Lock`].
pub struct Publisher {
    folder: Folder,
    lock: Lock,
    /// The highest generation published, whatever happened to the folder since.
    highest: u64,
    /// How often the folder was read.
    readings: u64,
    /// Whether the folder was found removed, replaced or emptied since [`Publisher::take_lost`] was asked.
    lost: bool,
    spec: OutputSpec,
    render_key: String,
    /// `None` after a failure, until the folder has been read again.
    state: Option<State>,
    retired: Retired,
}

impl Publisher {
    /// Opens an output folder, makes it if need be, removes an earlier run's temporary files and reads what is
    /// published there, so that an unchanged restart writes nothing.
    ///
    /// Fails if the folder cannot be used, holds another program's files under our names, or was written by a newer
    /// mosaicd.
    pub fn open(output: &Path, spec: OutputSpec) -> Result<Self, PublishError> {
        Self::opened(output, spec, None, || {})
    }

    /// [`Publisher::open`], which calls `locked` once the folder is known to be no other process's, before it is read.
    pub fn open_then(
        output: &Path,
        spec: OutputSpec,
        locked: impl FnOnce(),
    ) -> Result<Self, PublishError> {
        Self::opened(output, spec, None, locked)
    }

    /// [`Publisher::open`] with a failpoint, for tests of faults.
    pub fn open_with(
        output: &Path,
        spec: OutputSpec,
        failpoint: Option<Failpoint>,
    ) -> Result<Self, PublishError> {
        Self::opened(output, spec, failpoint, || {})
    }

    fn opened(
        output: &Path,
        mut spec: OutputSpec,
        failpoint: Option<Failpoint>,
        locked: impl FnOnce(),
    ) -> Result<Self, PublishError> {
        cells::check_px(spec.cell.px)?;
        let text = spec
            .viewer
            .iter()
            .filter(|(name, _)| !name.ends_with(".png"));
        let compressed = text.map(|(name, bytes)| (names::compressed(name), page::gzip(bytes)));
        let compressed: Vec<_> = compressed.collect();
        spec.viewer.extend(compressed);
        if let Some((name, _)) = spec.viewer.iter().find(|(name, _)| !plain(name)) {
            return Err(PublishError::ViewerName { name: name.clone() });
        }
        let folder = Folder::open(output, failpoint)?;
        // Before anything is read: what another process is writing looks like leftovers.
        let lock = Lock::take(output)?;
        locked();
        let mut retired = Retired::default();
        let state = recover(&folder, &spec, &mut retired)?;
        Ok(Self {
            folder,
            lock,
            highest: state.generation,
            readings: 1,
            lost: false,
            render_key: render_key(&spec),
            spec,
            state: Some(state),
            retired,
        })
    }

    /// The published manifest, if there is one and no publish has failed since it was read.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.state.as_ref()?.manifest.as_ref()
    }

    /// Columns of `artworks.csv` that visitors may filter by.
    pub fn filters(&self) -> &[String] {
        &self.spec.filters
    }

    /// Publishes a generation; `now_ms` is its time, milliseconds since the Unix epoch. A state equal to the published
    /// one (except for moves) writes nothing.
    ///
    /// On any error the last good generation stays published, and the next call repairs the rest. An error after the
    /// manifest was renamed leaves the new generation published; the next call finishes its stable names.
    pub fn publish(
        &mut self,
        generation: &Generation,
        cells: &CellStore,
        now_ms: u64,
    ) -> Result<Published, PublishError> {
        let next = |before, _| (generation.clone(), Was::Works(before));
        self.publish_next(next, cells, now_ms)
    }

    /// [`Publisher::publish`] of the generation that `next` makes. It is given the published works, ordered by id, and how often
    /// the folder was read: after each reading they may be others than were published.
    pub fn publish_next(
        &mut self,
        next: impl FnOnce(Vec<Arc<Work>>, u64) -> (Generation, Was),
        cells: &CellStore,
        now_ms: u64,
    ) -> Result<Published, PublishError> {
        let mut clock = Clock::start();
        let state = self.take_state()?;
        self.folder.take_bytes();
        match self.attempt(state, next, cells, now_ms) {
            Ok((state, mut published)) => {
                self.folder.keep_fresh();
                self.highest = self.highest.max(state.generation);
                self.state = Some(state);
                published.bytes = self.folder.take_bytes();
                published.elapsed.total_ms = clock.lap();
                Ok(published)
            }
            Err(error) => {
                self.folder.discard();
                Err(error)
            }
        }
    }

    /// Removes files of earlier generations whose grace is over at `now_ms`.
    pub fn collect(&mut self, now_ms: u64) -> Result<Collected, PublishError> {
        let state = self.take_state()?;
        let current = state.manifest.as_ref().map_or(0, |m| m.generation);
        self.state = Some(state);
        let spec = (self.spec.grace_ms, self.spec.keep);
        collect::collect(&self.folder, &mut self.retired, now_ms, current, spec)
    }

    fn attempt(
        &mut self,
        mut state: State,
        next: impl FnOnce(Vec<Arc<Work>>, u64) -> (Generation, Was),
        cells: &CellStore,
        now_ms: u64,
    ) -> Result<(State, Published), PublishError> {
        let mut clock = Clock::start();
        if cells.px() != self.spec.cell.px {
            return Err(CellError::Size { px: cells.px() }.into());
        }
        // From here on the state holds no works, until it gets them back or gives way to the next.
        let before = state.manifest.as_mut();
        let before = before.map_or_else(Vec::new, |before| std::mem::take(&mut before.works));
        let (mut generation, was) = next(before, self.readings);
        let works = std::mem::take(&mut generation.works);
        let listing = Listing::of(works, was, std::mem::take(&mut state.serialised))?;
        state.serialised = listing.serialised;
        let (works, touched) = (listing.works, listing.touched);
        let size = (generation.cols, generation.rows);
        let steps = listing.steps.as_deref();
        let placement = steps.and_then(|steps| state.drawn.after(steps, size, &self.spec));
        let placement = match placement {
            Some(placement) => placement,
            None => Placement::of(&works, size.0, size.1)?.shown(&self.spec),
        };
        cells.expect(works.len());
        let difference = Difference::of(&state.drawn, placement, cells);
        let manifest = self.manifest_of(&state, &difference, works, generation, now_ms)?;
        let stands = !listing.changed && difference.changed.is_empty() && self.present(&state);
        let compare_ms = clock.lap();
        let (state, mut published) = match &mut state.manifest {
            Some(before) if stands && same(before, &manifest) => {
                before.works = manifest.works;
                let mut published = Published {
                    generation: before.generation,
                    missing: difference.missing.iter().copied().collect(),
                    ..Published::default()
                };
                if !state.finished {
                    self.finish(&mut state, &difference, cells)?;
                }
                if self.due_ms(&state, now_ms) == Some(0) {
                    let missing = self.draw_now(&mut state, cells, now_ms)?;
                    published.missing.extend(missing);
                }
                (state, published)
            }
            _ => self.release(state, manifest, (difference, &touched), cells, &mut clock)?,
        };
        published.elapsed.compare_ms = compare_ms;
        published.due_ms = self.due_ms(&state, now_ms);
        published.touched = touched.all;
        Ok((state, published))
    }

    /// The manifest of the state to publish, without the files it will name.
    fn manifest_of(
        &self,
        state: &State,
        difference: &Difference,
        works: Vec<Arc<Work>>,
        generation: Generation,
        now_ms: u64,
    ) -> Result<Manifest, PublishError> {
        let (cols, rows) = (difference.wanted.cols, difference.wanted.rows);
        let cell_px = self.spec.cell.px;
        Ok(Manifest {
            schema: SCHEMA,
            generation: state.generation + 1,
            published_ms: now_ms,
            model: generation.model,
            title: self.spec.title.clone(),
            grid: GridSize {
                cols,
                rows,
                cell_px,
            },
            mosaic: self.mosaic_file(&difference.wanted)?,
            pyramid: None,
            background: Spare::Colour(self.spec.cell.background).to_string(),
            fit: self.spec.cell.fit.name().to_owned(),
            spare: self.spec.spare.map(|spare| spare.to_string()),
            link: self.spec.link.clone(),
            folders: self.spec.folders.clone(),
            work_pages: work_pages::key(&self.spec),
            works,
            moves: generation.moves,
            drift: generation.drift,
            quality: state.manifest.as_ref().and_then(|m| m.quality),
            preview: None,
            png: None,
            webp: None,
            regions: Vec::new(),
            words_by: generation.words_by,
            render_key: self.render_key.clone(),
            undrawn: Vec::new(),
        })
    }

    /// Whether everything that the configuration asks for is published, and nothing else.
    fn present(&self, state: &State) -> bool {
        let Some(manifest) = &state.manifest else {
            return false;
        };
        let preview = self.spec.preview && preview_px(manifest.grid).is_some();
        state.reusable
            && state.mosaic_files
            && manifest.mosaic.is_some() == self.spec.mosaic
            && state.mosaic.is_some() == self.spec.mosaic
            && manifest.png.is_some() == self.spec.png
            && manifest.webp.is_some() == self.spec.webp
            && manifest.preview.is_some() == preview
            && state.preview.is_some() == preview
            && manifest.pyramid.is_some() == self.spec.pyramid
            && state.tiles.as_ref().is_some_and(Tiles::complete) == self.spec.pyramid
    }

    /// Draws, writes and publishes a new generation.
    fn release(
        &mut self,
        mut state: State,
        mut manifest: Manifest,
        (difference, touched): (Difference, &Touched),
        cells: &CellStore,
        clock: &mut Clock,
    ) -> Result<(State, Published), PublishError> {
        let mut elapsed = Elapsed::default();
        let folder = &self.folder;
        let before = state.manifest.as_ref();
        let regions_age = regions::name(
            &mut manifest,
            before,
            state.regions_age,
            difference.changed.len(),
        );
        let artist = Artist::new(&self.spec, cells, &difference);
        let pyramid = self.pyramid_of(manifest.grid)?;

        let (tiles, tiles_written) = match self.spec.pyramid {
            true => {
                let old = state.tiles.as_ref().filter(|_| state.reusable);
                let (tiles, written) =
                    pyramid::draw(folder, &artist, &pyramid, &difference.changed, old)?;
                (Some(tiles), written)
            }
            false => (None, 0),
        };
        manifest.pyramid = tiles.as_ref().map(Tiles::listed);
        elapsed.tiles_ms = clock.lap();

        let size = (manifest.works.len(), manifest.published_ms);
        let lags = self.lags(&state, &difference, touched, size);
        [manifest.mosaic, manifest.png, manifest.webp] = match lags {
            true => self.older_files(&mut state, manifest.published_ms),
            false => self.draw_files(&mut state, &artist, manifest.generation)?,
        };
        let old = state.preview.take();
        let preview = artist.preview(folder, &mut manifest, &difference.changed, old)?;
        elapsed.mosaic_ms = clock.lap();

        let staged_view = match &tiles {
            Some(tiles) => self.stage_view(&artist, tiles, manifest.generation)?,
            None => Vec::new(),
        };
        let missing = artist.into_missing();
        let lost = manifest.works.iter().filter(|w| missing.contains(&w.hash));
        manifest.undrawn = lost.map(|work| work.id).collect();
        let document = manifest.document(&state.serialised)?;
        let staged_manifest = folder.stage_joined(names::MANIFEST, &document.parts())?;
        // The words of another model are dropped, as those of regions are.
        let before = state.manifest.as_ref();
        let words_by = before.and_then(|before| before.words_by.as_ref());
        let same = words_by.is_some() && words_by == manifest.words_by.as_ref();
        let words = state.page.as_ref().filter(|_| same);
        let words = words.map_or_else(Vec::new, |page| page.words().to_vec());
        let page = Page::write(folder, state.page.as_ref(), &manifest, touched, words)?;
        let key = state.manifest.as_ref().map(|before| &before.work_pages);
        // A generation that was not finished may have left others' pages as they were.
        let known = state.finished && key == Some(&manifest.work_pages);
        let some = known.then_some(touched.all.as_slice());
        let staged_works = work_pages::stage(folder, &self.spec, &manifest, some)?;
        let staged_pointers = pointers::stage_latest(folder, &page.latest(&manifest))?;
        let staged_viewer = stable::stage_viewer(folder, &self.spec)?;
        elapsed.stage_ms = clock.lap();

        folder.sync()?;
        elapsed.sync_ms = clock.lap();

        // If the rename reports an error, whether it happened is unknown: the new files must stay from here on.
        folder.keep_fresh();
        folder.commit(staged_manifest)?;
        folder.sync_folder()?;
        elapsed.manifest_ms = clock.lap();

        staged_works.commit(folder)?;
        let [latest, latest_script] = staged_pointers;
        folder.commit(latest)?;
        pointers::write_script(folder, &document)?;
        folder.commit(latest_script)?;
        stable::point_mosaic_files(folder, state.manifest.as_ref(), &manifest)?;
        let whole = !state.view || shifted(state.tiles.as_ref(), tiles.as_ref());
        stable::show_view(
            folder,
            state.tiles.as_ref(),
            tiles.as_ref(),
            whole,
            staged_view,
        )?;
        for staged in staged_viewer {
            folder.commit(staged)?;
        }
        if let Some(before) = &state.manifest {
            let before = (before, state.tiles.as_ref());
            retire(&mut self.retired, before, (&manifest, tiles.as_ref()));
        }
        let at = (manifest.generation.saturating_sub(1), manifest.published_ms);
        retire_page(&mut self.retired, state.page.as_ref(), &page, at);
        elapsed.stable_ms = clock.lap();

        let published = Published {
            generation: manifest.generation,
            changed: true,
            cells_drawn: difference.changed.len(),
            tiles_written,
            missing: missing.iter().copied().collect(),
            elapsed,
            ..Published::default()
        };
        let mut drawn = difference.wanted;
        drawn.without(|hash| missing.contains(hash));
        let state = State {
            generation: manifest.generation,
            reusable: true,
            drawn,
            view: tiles.is_some(),
            tiles,
            page: Some(page),
            mosaic: state.mosaic,
            preview,
            lag: state.lag,
            mosaic_files: true,
            finished: true,
            regions_age: Some(regions_age),
            manifest: Some(manifest),
            serialised: state.serialised,
        };
        Ok((state, published))
    }

    fn pyramid_of(&self, grid: GridSize) -> Result<Pyramid, PublishError> {
        let (cols, rows) = (grid.cols, grid.rows);
        Pyramid::new(cols, rows, grid.cell_px).ok_or(PublishError::GridTooLarge { cols, rows })
    }

    /// Stages the parts of the Deep Zoom view that have no file in `t/`: the levels below one tile, and last the
    /// descriptor.
    fn stage_view(
        &self,
        artist: &Artist<'_>,
        tiles: &Tiles,
        generation: u64,
    ) -> Result<Vec<Staged>, PublishError> {
        let mut staged = Vec::new();
        for (number, bytes) in pyramid::low_levels(&self.folder, artist, tiles)? {
            staged.extend(stable::stage_changed(
                &self.folder,
                &names::dzi_tile(number, 0, 0),
                &bytes,
            )?);
        }
        let dzi = stable::dzi(tiles, generation);
        staged.push(self.folder.stage(names::DZI, dzi.as_bytes())?);
        Ok(staged)
    }
}
