//! Opening the rooms: folders, store, encoder, cells, publisher, placed works.

use super::{DaemonError, chain, serving::Encoders, wall_ms};
use crate::{
    artwork::decode::DecodeLimits,
    config::{self, Config},
    embed::{
        self, Encoder, EncoderSpec,
        library::LibrarySearch,
        session::{Device, Runtime},
        vocabulary::{self, WordList},
    },
    grid::{GridParams, Method as GridMethod},
    ingest::{Attempts, Ingest},
    pipeline::{Pipeline, Wording},
    publish::{CellStore, Chronicle, OutputSpec, Publisher, manifest, names},
    rebuild::Params,
    reduce::{LayoutParams, Method as LayoutMethod},
    render::jpeg::{JpegSpec, Subsampling},
    service::signals::Signal,
    store::{Opened, SledStore, Store},
    viewer,
    watch::Roots,
};
use std::{
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};

/// How long to wait before a full or failing disk is tried again at the start.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// Where the prepared cells lie in the state folder.
const CELLS: &str = "cells";

/// Above this many works an arrival moves only its neighbours (notes: from ~20k).
const DRIFT_LIMIT: usize = 20_000;

/// The opened rooms.
pub(super) struct Rooms {
    pub(super) pipeline: Pipeline,
    pub(super) ingest: Ingest,
}

impl Rooms {
    /// Opens everything that follows the configuration and can be opened again on a reload; once the daemon has
    /// `started`, less of it may stop it.
    pub(super) fn open(
        config: &Config,
        store: &Arc<dyn Store>,
        Encoders { serving, next }: &Encoders,
        started: bool,
    ) -> Result<Self, DaemonError> {
        let state = &config.folders.state;
        let system = |what: String| move |source| DaemonError::System { what, source };
        let attempts = state.join("attempting");
        let attempts = Attempts::open(&attempts)
            .map_err(system(format!("cannot use {}", attempts.display())))?;
        let cells = CellStore::open(&state.join(CELLS), &config.tile_spec())?;
        let (cells, attempts) = (Arc::new(cells), Arc::new(attempts));
        let output = &config.folders.output;
        let publisher = Publisher::open(output, output_spec(config))?;
        let chronicle = Chronicle::open(output, &config.page.url)?;
        let wording = wording(config, next.is_some(), started)?;
        let mut pipeline = Pipeline::open(
            params(config),
            serving.clone(),
            store.clone(),
            cells.clone(),
            (publisher, chronicle),
            (state, wall_ms()),
        )?;
        pipeline.wait_for_departed(config.watch.removal_grace_h * 3_600_000);
        pipeline.set_wording(wording);
        let ingest = Ingest {
            roots: roots(config),
            max_file_bytes: config.decode.max_file_mb << 20,
            limits: limits(config),
            tile: config.tile_spec(),
            encoder: serving.clone(),
            next: next.clone(),
            store: store.clone(),
            cells,
            attempts,
            memory: Arc::default(),
            stop: Arc::default(),
        };
        Ok(Self { pipeline, ingest })
    }
}

/// The watched folders.
pub fn roots(config: &Config) -> Roots {
    let watched = config.watched().into_iter();
    Roots::new(watched.map(|(name, folder)| (name.into(), folder.to_owned())))
        .without(own_folders(config))
}

/// The folders that mosaicd writes to, and the largest ones in them.
fn own_folders(config: &Config) -> Vec<PathBuf> {
    let (output, state) = (&config.folders.output, &config.folders.state);
    let mut own = vec![output.clone(), state.clone()];
    own.extend([names::TILES, names::DZI_TILES].map(|name| output.join(name)));
    own.extend([CELLS, "store"].map(|name| state.join(name)));
    own
}

/// Checks that the folders are there and lie where they may.
pub(super) fn check_folders(config: &Config) -> Result<(), DaemonError> {
    let folders = &config.folders;
    let wrong = |what, path: &Path, advice| {
        Err(DaemonError::Folder {
            what,
            path: path.to_owned(),
            advice,
        })
    };
    let mut watched: Vec<PathBuf> = Vec::new();
    for (_, folder) in config.watched() {
        let artworks = match folder.canonicalize() {
            Ok(path) if path.is_dir() => path,
            Ok(path) => {
                let advice = "set folders.artworks, [[folder]] or --artworks";
                return wrong("the artwork folder is no folder", &path, advice);
            }
            Err(_) => {
                let advice = "make it, or set folders.artworks, [[folder]] or --artworks";
                return wrong("the artwork folder is not there", folder, advice);
            }
        };
        let twice = |other: &PathBuf| other.starts_with(&artworks) || artworks.starts_with(other);
        if watched.iter().any(twice) {
            let advice = "each work may be watched once; take one [[folder]] out";
            return wrong("a watched folder lies in another one", folder, advice);
        }
        for (what, folder) in [
            (
                "the output folder lies in the artwork folder",
                &folders.output,
            ),
            (
                "the state folder lies in the artwork folder",
                &folders.state,
            ),
        ] {
            if resolve(folder).starts_with(&artworks) {
                let advice = "mosaicd never writes there; choose another folder";
                return wrong(what, folder, advice);
            }
        }
        watched.push(artworks);
    }
    let (output, state) = (resolve(&folders.output), resolve(&folders.state));
    if output == state || state.starts_with(&output) {
        let advice = "it is private and the output is public; choose a folder outside it";
        return wrong(
            "the state folder lies in the output folder",
            &folders.state,
            advice,
        );
    }
    // By their paths they lie apart; through a mount they may be one all the same.
    if let Some(within) = roots(config).own_within() {
        let advice = "mosaicd would show its own mosaic; unmount it there, or choose another output or state folder";
        let what = "the output or state folder is reached through a mount in the artwork folder";
        return wrong(what, &within, advice);
    }
    for folder in [&folders.output, &folders.state] {
        std::fs::create_dir_all(folder).map_err(|source| DaemonError::System {
            what: format!("cannot make {}", folder.display()),
            source,
        })?;
    }
    Ok(())
}

/// The real path of a folder that may not be there yet: its nearest existing parent's, with the rest appended.
fn resolve(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    for parent in absolute.ancestors() {
        if let Ok(real) = parent.canonicalize() {
            return real.join(absolute.strip_prefix(parent).unwrap_or(Path::new("")));
        }
    }
    absolute
}

/// Opens the store on a thread of its own, which may hang over a failing disk; `None` when told to stop meanwhile.
///
/// Also says whether a damaged one was set aside.
pub(super) async fn open_store(
    config: &Config,
    signals: &mut UnboundedReceiver<Signal>,
) -> Result<Option<(Arc<dyn Store>, bool)>, DaemonError> {
    let (send, opened) = oneshot::channel();
    let state = config.folders.state.clone();
    let open = move || drop(send.send(SledStore::open(&state)));
    thread::Builder::new()
        .name("store".into())
        .spawn(open)
        .map_err(|source| DaemonError::System {
            what: "cannot start a thread".into(),
            source,
        })?;
    let opened = tokio::select! {
        biased;
        () = stop(signals) => return Ok(None),
        opened = opened => opened.map_err(|_| DaemonError::Died)?,
    };
    let Opened { store, healed } = opened?;
    if let Some(healed) = &healed {
        tracing::error!(
            path = %healed.moved_to.display(),
            error = %healed.reason,
            salvaged = healed.salvaged,
            "the store was damaged; it was set aside and rebuilt"
        );
    }
    Ok(Some((Arc::new(store), healed.is_some())))
}

/// Waits before the next try; `true` when told to stop meanwhile.
pub(super) async fn wait(signals: &mut UnboundedReceiver<Signal>) -> bool {
    tokio::time::timeout(RETRY, stop(signals)).await.is_ok()
}

/// Waits for the signal to stop; any other means nothing before the rooms are open.
async fn stop(signals: &mut UnboundedReceiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        if signal == Signal::Stop {
            return;
        }
    }
    std::future::pending().await
}

/// Loads the configured encoder.
pub(super) fn open_encoder(config: &Config) -> Result<Arc<dyn Encoder>, DaemonError> {
    Ok(Arc::from(embed::open(&encoder_spec(config))?))
}

/// Loads the configured encoder for a command that embeds one picture, or none: one session has all threads.
pub fn open_encoder_alone(config: &Config) -> Result<Arc<dyn Encoder>, DaemonError> {
    let mut spec = encoder_spec(config);
    spec.runtime.sessions = Some(NonZero::<usize>::MIN);
    Ok(Arc::from(embed::open(&spec)?))
}

/// The encoder as the configuration names it.
pub fn encoder_spec(config: &Config) -> EncoderSpec {
    let embed = &config.embed;
    EncoderSpec {
        model: (embed.model != "builtin").then(|| PathBuf::from(&embed.model)),
        runtime: Runtime {
            library: LibrarySearch {
                configured: (!embed.library.as_os_str().is_empty()).then(|| embed.library.clone()),
                state: Some(config.folders.state.clone()),
            },
            threads: NonZero::new(embed.threads),
            sessions: NonZero::new(embed.sessions),
            device: match embed.device {
                config::Device::Auto => Device::Auto,
                config::Device::Cpu => Device::Cpu,
                config::Device::Cuda => Device::Cuda,
            },
        },
    }
}

/// Where the words of regions come from; says so if a vocabulary has no effect. Once the daemon has `started`, a list
/// that went bad on the disk leaves the words as they are.
fn wording(config: &Config, changing: bool, started: bool) -> Result<Wording, DaemonError> {
    let configured = !config.embed.vocabulary.as_os_str().is_empty();
    let list = match open_vocabulary(config) {
        Err(error) if started => {
            tracing::warn!(error = %chain(&error), "embed.vocabulary cannot be used; the words stay");
            return Ok(Wording::Stay);
        }
        list => list?,
    };
    Ok(match list {
        // It belongs to the configured model; the regions are still another one's.
        _ if configured && changing => Wording::Stay,
        Some(list) => Wording::By(Arc::new(list)),
        None if configured => {
            tracing::warn!("embed.vocabulary has no effect: {}", wordless(config));
            Wording::Off
        }
        None => Wording::Off,
    })
}

/// The configured vocabulary for the configured model; `None` without one, or where the model has no text encoder.
pub(super) fn open_vocabulary(config: &Config) -> Result<Option<WordList>, DaemonError> {
    let path = &config.embed.vocabulary;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let EncoderSpec { model, runtime } = encoder_spec(config);
    match model {
        Some(model) => WordList::open(path, &model, &runtime),
        // A mistake in the list is told whatever the model.
        None => vocabulary::read(path).map(|_| None),
    }
    .map_err(DaemonError::Vocabulary)
}

/// Why the configured model has no use for a vocabulary.
pub(super) fn wordless(config: &Config) -> String {
    match config.embed.model.as_str() {
        "builtin" => {
            "the built-in descriptor understands no words; set embed.model to a CLIP model"
                .to_owned()
        }
        model => format!(
            "{model} has no text encoder: text_model.onnx and tokenizer.json of the same model are expected there, and \
             `mosaicd model fetch` brings them with --words"
        ),
    }
}

pub(super) fn limits(config: &Config) -> DecodeLimits {
    DecodeLimits {
        max_pixels: config.decode.max_megapixels * 1_000_000,
        ..DecodeLimits::default()
    }
}

/// Layout and grid as the configuration wants them.
pub fn params(config: &Config) -> Params {
    let (layout, grid) = (&config.layout, &config.grid);
    Params {
        layout: LayoutParams {
            method: match layout.method {
                config::LayoutMethod::Umap => LayoutMethod::Umap,
                config::LayoutMethod::Pca => LayoutMethod::Pca,
            },
            n_neighbors: layout.n_neighbors,
            min_dist: layout.min_dist as f32,
            seed: layout.seed,
            drift_limit: DRIFT_LIMIT,
        },
        grid: GridParams {
            method: match grid.method {
                config::GridMethod::Incremental => GridMethod::Incremental,
                config::GridMethod::Rows => GridMethod::Rows,
            },
            columns: (grid.columns > 0).then_some(grid.columns),
            aspect: grid.aspect as f32,
            reserve: grid.reserve as f32,
            lambda: grid.lambda as f32,
            seed: layout.seed,
            ..GridParams::default()
        },
    }
}

/// Names and titles of the watched folders, if there are several.
fn folder_titles(config: &Config) -> Vec<manifest::Folder> {
    let titled = |folder: &config::Folder| manifest::Folder {
        name: folder.prefix().to_owned(),
        title: folder.shown().to_owned(),
    };
    match config.folder.as_slice() {
        [] | [_] => Vec::new(),
        several => several.iter().map(titled).collect(),
    }
}

fn output_spec(config: &Config) -> OutputSpec {
    let mosaic = &config.mosaic;
    OutputSpec {
        title: config.page.title.clone(),
        link: (!config.page.link.is_empty()).then(|| config.page.link.clone()),
        folders: folder_titles(config),
        cell: config.tile_spec(),
        jpeg: JpegSpec {
            quality: mosaic.quality,
            subsampling: match mosaic.subsampling {
                config::Subsampling::S420 => Subsampling::S420,
                config::Subsampling::S444 => Subsampling::S444,
            },
        },
        mosaic: mosaic.jpg,
        pyramid: mosaic.pyramid,
        png: mosaic.png,
        webp: mosaic.webp,
        viewer: viewer::FILES
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
            .collect(),
        ..OutputSpec::default()
    }
}
