//! Opening the rooms: folders, store, encoder, cells, publisher, placed works.

use super::{DaemonError, Mode, chain, serving::Encoders, wall_ms};
use crate::{
    cells::CellStore,
    config::Config,
    decoding::Processes,
    embed::{
        self, Encoder, EncoderSpec,
        vocabulary::{self, WordList},
    },
    ingest::{Ingest, Overruns},
    parameters,
    pipeline::{self, Pipeline, Wording},
    publish::{HistoryFiles, Iiif, Publisher, Renditions},
    service::signals::Signal,
    store::{Opened, SledStore, Store},
};
use std::{
    io,
    num::NonZero,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};

/// How long to wait before a full or failing disk is tried again at the start.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// The opened rooms.
pub(super) struct Rooms {
    pub(super) pipeline: Pipeline,
    pub(super) ingest: Ingest,
}

impl Rooms {
    /// Opens everything that follows the configuration and can be opened again on a reload; once the daemon has
    /// `started`, less of it may stop it. Calls `begin` once the output is known to be no other daemon's, before the works
    /// are loaded.
    pub(super) fn open(
        config: &Config,
        store: &Arc<dyn Store>,
        Encoders { serving, next }: &Encoders,
        (mode, started): (&Mode, bool),
        begin: impl FnOnce(),
    ) -> Result<Self, DaemonError> {
        let state = &config.folders.state;
        // Version 0.1 kept marks there, against files that end the process; they end a worker now.
        let _ = std::fs::remove_dir_all(state.join("attempting"));
        let cells = Arc::new(CellStore::open(&state.join("cells"), &config.cell_spec())?);
        let output = &config.folders.output;
        let mut spec = parameters::output_spec(config);
        if matches!(mode, Mode::Once) {
            spec.lag_ms = Some(0);
        }
        let page = &config.page;
        // Hundreds of thousands of works take seconds to load, and as long to compare with what is published.
        let (loaded, publisher, history_files, renditions) = thread::scope(|scope| {
            let mut loading = None;
            let publisher = Publisher::open_then(output, spec, || {
                begin();
                loading = Some(scope.spawn(|| pipeline::load(&**store)));
            })?;
            let history_files = HistoryFiles::open(output, &page.url)?;
            let renditions = Renditions::open(output, parameters::large_spec(config))?;
            let loaded = match loading.map(|loading| loading.join()) {
                Some(Ok(loaded)) => loaded?,
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => None,
            };
            Ok::<_, DaemonError>((loaded, publisher, history_files, renditions))
        })?;
        let renditions = Arc::new(renditions);
        let iiif = Iiif::open(output, if page.iiif { &page.url } else { "" })?;
        let wording = wording(config, next.is_some(), started)?;
        let mut pipeline = Pipeline::open(
            loaded,
            parameters::params(config),
            serving.clone(),
            (store.clone(), cells.clone()),
            (publisher, history_files, renditions.clone()),
            (state, wall_ms()),
        )?;
        pipeline.wait_for_departed(config.watch.removal_grace_h * 3_600_000);
        pipeline.set_wording(wording);
        pipeline.publish_iiif(iiif);
        let encoders = (serving.clone(), next.clone());
        let ingest = ingest_of(config, state, encoders, store, (&cells, &renditions));
        Ok(Self { pipeline, ingest })
    }
}

/// What reads files for `encoder`, and for the one that is to follow it: as the configuration says, into a store, cells and
/// renditions. `kept` is the folder with the list of files that decoding was given up for.
pub fn ingest_of(
    config: &Config,
    kept: &Path,
    (encoder, next): (Arc<dyn Encoder>, Option<Arc<dyn Encoder>>),
    store: &Arc<dyn Store>,
    (cells, renditions): (&Arc<CellStore>, &Arc<Renditions>),
) -> Ingest {
    let limits = parameters::decode_limits(config);
    let allowance = parameters::allowance(config);
    let under = format!("{} {limits:?} {allowance:?}", env!("CARGO_PKG_VERSION"));
    let overruns = Overruns::open(&kept.join("overruns.json"), &under);
    Ingest {
        roots: parameters::roots(config),
        max_file_bytes: config.decode.max_file_mb << 20,
        limits,
        cell: config.cell_spec(),
        encoder,
        next,
        store: store.clone(),
        cells: cells.clone(),
        renditions: renditions.clone(),
        decoders: Arc::new(Processes::default()),
        allowance,
        overruns: Arc::new(overruns),
        underway: Arc::default(),
        memory: Arc::default(),
        stop: Arc::default(),
    }
}

/// Says which folder is wrong, and what to do.
fn wrong(what: &'static str, path: &Path, advice: &'static str) -> Result<(), DaemonError> {
    Err(DaemonError::Folder {
        what,
        path: path.to_owned(),
        advice,
    })
}

/// Checks for a command that embeds into the output folder alone that the folders lie where they may.
pub fn check_part(config: &Config) -> Result<(), DaemonError> {
    check_apart(
        config,
        &[(
            "the folder lies in the artwork folder",
            &config.folders.output,
        )],
    )
}

/// Checks that the artwork folders are there, and that none of the folders that are written to lies in one.
fn check_apart(config: &Config, written: &[(&'static str, &Path)]) -> Result<(), DaemonError> {
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
        for (what, folder) in written {
            if resolve(folder).starts_with(&artworks) {
                let advice = "mosaicd never writes there; choose another folder";
                return wrong(what, folder, advice);
            }
        }
        watched.push(artworks);
    }
    // Their paths differ, but through a mount they may lead to the same folder.
    if let Some(within) = parameters::roots(config).own_within() {
        let advice = "mosaicd would show its own mosaic; unmount it there, or choose another output or state folder";
        let what = "the output or state folder is reached through a mount in the artwork folder";
        return wrong(what, &within, advice);
    }
    Ok(())
}

/// Checks that the folders are there and lie where they may; makes output and state.
pub fn check_folders(config: &Config) -> Result<(), DaemonError> {
    let folders = &config.folders;
    check_apart(
        config,
        &[
            (
                "the output folder lies in the artwork folder",
                &folders.output,
            ),
            (
                "the state folder lies in the artwork folder",
                &folders.state,
            ),
            (
                "status.folder lies in the artwork folder",
                config.status_folder(),
            ),
        ],
    )?;
    let (output, state) = (resolve(&folders.output), resolve(&folders.state));
    if output == state || state.starts_with(&output) {
        let advice = "it is private and the output is public; choose a folder outside it";
        return wrong(
            "the state folder lies in the output folder",
            &folders.state,
            advice,
        );
    }
    // What the state holds is nobody else's business: names of works that are opted out, embeddings, failures.
    for (folder, mode) in [(&folders.output, 0o777), (&folders.state, 0o700)] {
        make(folder, mode).map_err(|source| DaemonError::System {
            what: format!("cannot make {}", folder.display()),
            source,
        })?;
    }
    Ok(())
}

/// Makes a folder with a mode of its own, unless it is there.
fn make(folder: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
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
/// Also says whether a damaged one was set aside. Calls `begin` once the store is known to be no other daemon's: to read it
/// takes seconds.
pub(super) async fn open_store(
    config: &Config,
    signals: &mut UnboundedReceiver<Signal>,
    begin: &mut dyn FnMut(),
) -> Result<Option<(Arc<dyn Store>, bool)>, DaemonError> {
    let (send, opened) = oneshot::channel();
    let (send_locked, locked) = oneshot::channel();
    let state = config.folders.state.clone();
    let open = move || {
        let locked = || _ = send_locked.send(());
        drop(send.send(SledStore::open_then(&state, locked)));
    };
    thread::Builder::new()
        .name("store".into())
        .spawn(open)
        .map_err(|source| DaemonError::System {
            what: "cannot start a thread".into(),
            source,
        })?;
    let opened = async {
        if locked.await.is_ok() {
            begin();
        }
        opened.await
    };
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
pub fn open_encoder(config: &Config) -> Result<Arc<dyn Encoder>, DaemonError> {
    Ok(Arc::from(embed::open(&parameters::encoder_spec(config))?))
}

/// Loads the configured encoder for a command that embeds one picture, or none: one session has all threads.
pub fn open_encoder_alone(config: &Config) -> Result<Arc<dyn Encoder>, DaemonError> {
    let mut spec = parameters::encoder_spec(config);
    spec.runtime.sessions = Some(NonZero::<usize>::MIN);
    Ok(Arc::from(embed::open(&spec)?))
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
    let EncoderSpec { model, runtime, .. } = parameters::encoder_spec(config);
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
