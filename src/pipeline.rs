//! One rebuild after another: from acknowledged files to a published generation.
//!
//! It owns the [`Collection`], the publisher, and the order in which things become durable: store (before a task comes
//! here) → assignment saved → files of the generation → manifest. It runs on a thread of its own and does one [`Task`]
//! at a time; `plan` decides what to do, and when.
//!
//! Invariants: nothing is published that was not saved; after any error the next task makes store and output agree with
//! the collection again.

use crate::{
    cells::CellStore,
    describe::Descriptions,
    domain::{Artwork, ContentHash, Known, ModelId, Rebuilt, Report, Task, manifest},
    embed::Encoder,
    history::twins::Groups,
    publish::{Changed, HistoryFiles, Iiif, PublishError, Published, Publisher, Renditions},
    rebuild::{self, Collection, Params, RebuildError},
    service::limit::Complaints,
    snapshot::{self, SnapshotError},
    store::{Store, StoreError},
    vectors::VectorFile,
};
use erase::Erasing;
use load::{changes_of, start_from, vectors_of};
use rayon::prelude::*;
use seen::Seen;
use shown::Details;
use stages::Stages;
use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

mod erase;
mod forget;
mod imported;
mod load;
mod polish;
mod seen;
mod shown;
mod stages;
mod upkeep;
mod wording;

pub use imported::Imported;
pub use load::load;
pub use polish::{Polish, Polished};
pub use shown::portable;
pub use upkeep::OPT_OUT_HELD;
pub use wording::{Unworded, Worded, Wording};

/// Why a task failed. Nothing acknowledged is lost, the last good mosaic stays.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Layout or grid.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The store.
    #[error("cannot save the placed works: {0}")]
    Store(#[from] StoreError),
    /// The saved state does not fit together.
    #[error("the saved state cannot be used: {0}")]
    Snapshot(#[from] SnapshotError),
    /// The output.
    #[error("cannot publish: {0}")]
    Publish(#[from] PublishError),
}

/// The rebuilding side of the daemon.
pub struct Pipeline {
    params: Params,
    encoder: Arc<dyn Encoder>,
    store: Arc<dyn Store>,
    cells: Arc<CellStore>,
    publisher: Publisher,
    history_files: HistoryFiles,
    renditions: Arc<Renditions>,
    iiif: Option<Iiif>,
    /// How many placed works lacked their rendition after the last task.
    unrendered: usize,
    collection: Collection,
    /// The parameters, by their key, that the collection was made with.
    made_with: String,
    state: PathBuf,
    unsaved: bool,
    unpublished: Rebuilt,
    /// The generation whose cells were collected last.
    collected: u64,
    /// Whether a content may be needed no more since then.
    unneeded: bool,
    /// Whether the last attempt to shrink the store failed.
    cramped: bool,
    forget: forget::Forget,
    /// What the owner says of the works.
    described: Descriptions,
    /// The works as readers see them, with what is said of them, and with their renditions but for those that have changed
    /// since.
    seen: Option<Seen>,
    /// Which mass opt-out the owner has confirmed.
    confirmed_erasing: Option<ContentHash>,
    /// Where the words of regions come from.
    wording: Wording,
    /// What the owner's patterns took out and must leave no trace.
    erasing: Erasing,
    /// What was imported for works that may not be placed yet.
    imported: Imported,
    /// The embeddings for `export` and `similar`; opened at the first publication and after an error.
    shared: Option<VectorFile>,
    /// A polished grid that a task is to take over.
    polished: Option<Polished>,
    /// What could not be done after a task, and is tried again.
    complaints: Complaints,
}

impl Pipeline {
    /// Begins with the placed works as [`load()`] gave them. The first task fits them to a model or parameters that changed
    /// since they were saved.
    pub fn open(
        loaded: Option<(Collection, String)>,
        mut params: Params,
        encoder: Arc<dyn Encoder>,
        (store, cells): (Arc<dyn Store>, Arc<CellStore>),
        (publisher, history_files, renditions): (Publisher, HistoryFiles, Arc<Renditions>),
        (state, now_ms): (&Path, u64),
    ) -> Result<Self, PipelineError> {
        params.look_dims = encoder.look_dims();
        let key = params.key();
        let (collection, made_with) = match loaded {
            Some(loaded) => loaded,
            None => {
                let (model, dims) = (encoder.model().clone(), encoder.dims());
                let manifest = publisher.manifest();
                (start_from(manifest, model, dims, &params, now_ms)?, key)
            }
        };
        Ok(Self {
            made_with,
            params,
            encoder,
            store,
            cells,
            publisher,
            history_files,
            renditions,
            iiif: None,
            unrendered: 0,
            collection,
            state: state.to_owned(),
            unsaved: false,
            unpublished: Rebuilt::default(),
            collected: 0,
            unneeded: true,
            cramped: false,
            forget: forget::Forget::default(),
            described: Descriptions::default(),
            seen: None,
            confirmed_erasing: None,
            wording: Wording::Off,
            erasing: Erasing::open(state),
            imported: Imported::open(state),
            shared: None,
            polished: None,
            complaints: Complaints::default(),
        })
    }

    /// Number of the published generation; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.publisher.generation()
    }

    /// The quality that is published; it may be that of an earlier generation.
    pub fn quality(&self) -> Option<manifest::Quality> {
        self.publisher.manifest()?.quality
    }

    /// Publishes the quality of a generation and which of its works are one picture.
    pub fn publish_quality(
        &mut self,
        quality: manifest::Quality,
        twins: Groups,
    ) -> Result<(), PublishError> {
        self.publisher.publish_quality(quality)?;
        match self.publisher.manifest() {
            Some(manifest) => self.history_files.found_twins(twins, manifest),
            None => Ok(()),
        }
    }

    /// Moves a large map's points to where they belong after arrivals, some 10,000 points at a time; says whether it moved any. Cells stay, and
    /// the next generation brings the points to disk and to readers.
    pub fn relax(&mut self) -> bool {
        let moved = self.collection.layout.relax(&self.params.layout);
        self.unsaved |= moved;
        moved
    }

    /// The prepared cells.
    pub fn cells(&self) -> &Arc<CellStore> {
        &self.cells
    }

    /// Sets how long the number and cell of a work that left are kept for it, milliseconds.
    pub fn wait_for_departed(&mut self, grace_ms: u64) {
        self.collection.grace_ms = grace_ms;
    }

    /// The contents of placed works, of those that may come back, and of those that were imported.
    fn used(&self) -> HashSet<ContentHash> {
        let works = self.collection.works.iter().map(|work| work.hash);
        let departed = self
            .collection
            .departed
            .iter()
            .map(|departed| departed.hash);
        let digest = self.erasing.digest();
        let imported = self.imported.under(&digest);
        works.chain(departed).chain(imported).collect()
    }

    /// Keeps the collection's files for IIIF viewers in step with every publication.
    pub fn publish_iiif(&mut self, iiif: Iiif) {
        self.iiif = Some(iiif);
    }

    /// Takes over what the owner says of the works; the next publication shows it.
    pub fn describe(&mut self, described: Descriptions) {
        self.described = described;
        self.seen = None;
    }

    /// The placed works.
    pub fn collection(&self) -> &Collection {
        &self.collection
    }

    /// Every placed file, and whether it must be read again, for this model or for the `next` one.
    pub fn known(&self, next: Option<&ModelId>) -> Result<Vec<Known>, StoreError> {
        let (model, stale) = (self.encoder.model(), &self.collection.stale);
        let known = |work: &Artwork| {
            let fresh = !stale.contains(&work.id)
                && self.cells.contains(&work.hash)
                && (self.collection.model == *model
                    || self.store.has_embedding(&work.hash, model)?);
            let shadowed = |next| self.store.has_embedding(&work.hash, next);
            Ok(Known {
                unshadowed: !next.map_or(Ok(true), shadowed)?,
                path: work.path.clone(),
                identity: work.identity,
                hash: work.hash,
                stale: !fresh,
            })
        };
        self.collection.works.par_iter().map(known).collect()
    }

    /// Does one task; `now_ms` is milliseconds since the Unix epoch.
    pub fn run(&mut self, task: Task, now_ms: u64) -> Result<Report, PipelineError> {
        let mut stages = Stages::default();
        if self.collection.model != *self.encoder.model()
            || rebuild::looks_otherwise(&self.made_with, &self.params)
        {
            self.change_model()?;
        } else if self.made_with != self.params.key() {
            let made_with = self.made_with.clone();
            let rebuilt =
                self.rebuild(|collection, params| rebuild::adapt(collection, &made_with, params))?;
            self.unpublished = self.unpublished.and(rebuilt);
        }
        self.made_with = self.params.key();
        let mut unembedded = Vec::new();
        let rebuilt = match task {
            Task::Apply { arrivals, gone } if arrivals.is_empty() && gone.is_empty() => {
                Rebuilt::default()
            }
            Task::Apply { arrivals, gone } => {
                self.forget.arrived(arrivals.len());
                // A work that comes back with another content frees the one that it had.
                self.unneeded |= !self.collection.departed.is_empty();
                let (model, dims) = (self.encoder.model(), self.encoder.dims());
                let (changes, lost) = changes_of(&*self.store, (arrivals, gone), model, dims)?;
                unembedded = lost;
                let _span = tracing::info_span!("layout").entered();
                self.rebuild(|collection, params| {
                    rebuild::apply(collection, changes, now_ms, params)
                })?
            }
            Task::Polish => self.take_polished(),
            Task::Relayout => self.rebuild(rebuild::relayout)?,
        };
        stages.done("layout");
        self.unpublished = self.unpublished.and(rebuilt);
        // A store that was rebuilt while in use may have lost what was saved last.
        let store_healed = self.store.take_healed().is_some();
        self.unsaved |= store_healed;
        if self.unsaved {
            self.save()?;
            stages.done("store");
        }
        let (published, looked) = self.publish(now_ms)?;
        let drawing = &published.elapsed;
        let drawing_ms = drawing.tiles_ms + drawing.mosaic_ms;
        stages.split("render", drawing_ms, "publish");
        self.erase();
        let missing: HashSet<ContentHash> = published.missing.into_iter().collect();
        let works = &self.collection.works;
        let undrawn = works
            .iter()
            .filter(|w| missing.contains(&w.hash))
            .map(|w| w.path.clone());
        // Where nothing lacked its rendition, only what was looked at can lack it now.
        let all = 0..works.len();
        let looked = match self.unrendered {
            0 => looked,
            _ => all.collect(),
        };
        let lacks = |work: &&Artwork| self.renditions.wants(&work.hash);
        let unrendered = looked.iter().map(|&i| &works[i]).filter(lacks);
        let unrendered: Vec<_> = unrendered.map(|work| work.path.clone()).collect();
        if self.unrendered == 0 && !unrendered.is_empty() {
            tracing::info!(
                artworks = unrendered.len(),
                "renditions of placed works are made in the background"
            );
        }
        self.unrendered = unrendered.len();
        let manifest = self.publisher.manifest();
        Ok(Report {
            rebuilt,
            generation: published.generation,
            changed: published.changed,
            due_ms: published.due_ms,
            published_ms: manifest.map_or(now_ms, |manifest| manifest.published_ms),
            works: works.len(),
            grid: (self.collection.grid.cols(), self.collection.grid.rows()),
            cell_px: self.cells.px(),
            moves: manifest.map_or_else(Default::default, |manifest| manifest.moves.clone()),
            drift: manifest.and_then(|manifest| manifest.drift),
            tiles: published.tiles_written,
            store_bytes: self.store.size_on_disk().unwrap_or(0),
            store_healed,
            missing: undrawn.chain(unembedded).collect(),
            unrendered,
            stages: stages.list,
            wants_polish: self.collection.grid.wants_polish(&self.params.grid),
        })
    }

    /// Runs a rebuild; on an error the last saved collection comes back.
    fn rebuild(
        &mut self,
        work: impl FnOnce(&mut Collection, &Params) -> Result<Rebuilt, RebuildError>,
    ) -> Result<Rebuilt, PipelineError> {
        match work(&mut self.collection, &self.params) {
            Ok(rebuilt) => {
                self.unsaved = true;
                self.unneeded |= rebuilt.removed + rebuilt.changed > 0;
                Ok(rebuilt)
            }
            Err(error) => {
                (self.unneeded, self.seen) = (true, None);
                let grace_ms = self.collection.grace_ms;
                (self.collection, self.made_with) = match load(&*self.store)? {
                    Some(saved) => saved,
                    None => {
                        let (model, dims) = (self.encoder.model().clone(), self.encoder.dims());
                        (
                            Collection::empty(model, dims, &self.params)?,
                            self.params.key(),
                        )
                    }
                };
                self.collection.grace_ms = grace_ms;
                Err(error.into())
            }
        }
    }

    /// Brings the whole collection over to the encoder's model.
    fn change_model(&mut self) -> Result<(), PipelineError> {
        let (model, dims) = (self.encoder.model().clone(), self.encoder.dims());
        let (vectors, stale) = vectors_of(&*self.store, &self.collection.works, &model, dims)?;
        match self.collection.model == model {
            true => tracing::info!(look = %self.params.look, "the weight of the look changed"),
            false => {
                tracing::info!(model = %self.encoder.name(), artworks = vectors.rows(), "the model changed");
            }
        }
        let rebuilt = self.rebuild(|collection, params| {
            rebuild::change_model(collection, model, vectors, stale, params)
        })?;
        self.unpublished = self.unpublished.and(rebuilt);
        Ok(())
    }

    fn save(&mut self) -> Result<(), PipelineError> {
        let _span = tracing::info_span!("store").entered();
        let sections = snapshot::encode(&self.collection, &self.params.key())?;
        let sections: Vec<(&str, &[u8])> = sections
            .iter()
            .map(|(name, bytes)| (*name, &**bytes))
            .collect();
        self.store.save_state(&sections)?;
        self.unsaved = false;
        Ok(())
    }

    fn publish(&mut self, now_ms: u64) -> Result<(Published, Vec<usize>), PipelineError> {
        let _span = tracing::info_span!("publish").entered();
        self.share_vectors();
        self.renditions.check()?;
        let changed = self.renditions.take_changed();
        let filters = self.publisher.filters().to_vec();
        let (model, rebuilt, words_by) = (self.encoder.name(), self.unpublished, self.words_by());
        let seen = self.seen.take();
        let mut noted = None;
        let next = |before: Vec<_>, readings| {
            let seen = seen.filter(|seen| seen.is_of(readings, before.len()));
            let details = Details {
                changed: seen.as_ref().map_or_else(Changed::default, |_| changed),
                cells: &self.cells,
                renditions: &self.renditions,
                described: &self.described,
                filters: &filters,
            };
            // A renamed work has the same picture at the same place.
            let seen = seen.filter(|_| rebuilt.renamed == 0);
            let before = (before, readings);
            let mut next = shown::next(&self.collection, before, seen, &details, model, rebuilt);
            next.generation.words_by = words_by;
            noted = Some((next.looked, next.seen));
            (next.generation, next.was)
        };
        let published = self.publisher.publish_next(next, &self.cells, now_ms);
        let published = published.inspect_err(|_| self.history_files.compare_next())?;
        let (looked, seen) = noted.unwrap_or_default();
        self.unpublished = Rebuilt::default();
        self.seen = seen;
        if self.publisher.take_lost()
            && let Err(error) = self.history_files.reopen()
        {
            let what = "the history could not be read; the next generation catches up";
            self.complaints.warn(what, &error);
        }
        if let Some(manifest) = self.publisher.manifest()
            && let Err(error) = self.history_files.note(manifest, &published.touched)
        {
            let what = "the history could not be written; the next generation catches up";
            self.complaints.warn(what, &error);
        }
        if let (Some(iiif), Some(manifest)) = (&mut self.iiif, self.publisher.manifest())
            && let Err(error) = iiif.note(manifest)
        {
            let what = "the IIIF files could not be written; the next generation catches up";
            self.complaints.warn(what, &error);
        }
        Ok((published, looked))
    }

    /// Writes the embeddings for `export` and `similar`; they are derived data, so a failure is only logged.
    pub fn share_vectors(&mut self) {
        let Collection {
            works,
            vectors,
            space,
            model,
            ..
        } = &self.collection;
        // As the model made them; a work whose embedding is missing has a zero row.
        let raw = |i: usize| match space.is_plain() {
            true => Ok(vectors.row(i).to_vec()),
            false => {
                let stored = self.store.embedding(&works[i].hash, model);
                let stored = stored.map_err(io::Error::other)?;
                Ok(stored
                    .filter(|row| row.len() == vectors.dims())
                    .unwrap_or_else(|| vec![0.0; vectors.dims()]))
            }
        };
        let hashes = works.iter().map(|work| &work.hash);
        let open = self
            .shared
            .take()
            .filter(|file| file.is_of(model, vectors.dims()));
        let shared = open
            .map_or_else(|| VectorFile::open(&self.state, model, vectors.dims()), Ok)
            .and_then(|mut file| file.update(hashes, raw).map(|()| file));
        match shared {
            Ok(file) => self.shared = Some(file),
            Err(error) => {
                let what = "the embeddings for export could not be written";
                self.complaints.warn(what, &error);
            }
        }
    }
}
