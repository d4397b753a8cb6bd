//! The shell around everything: one select loop that owns all mutable state.
//!
//! It starts the threads (watcher, scanner, readers, pipeline, background work), receives what they report as
//! [`Event`]s (one closed enum), hands each to `plan`, and carries the plan's commands out. It also writes the status,
//! talks to systemd, and takes signals. A reload is a restart in place: the new configuration is checked first, then
//! the rooms are opened again over the same store.
//!
//! Invariant: after `run` has returned, none of its threads touches the store or the output.

use crate::{
    cells::CellError,
    config::{Config, ConfigError},
    describe::{Descriptions, Mistake},
    domain::{Report, Scan},
    embed::{EncodeError, Encoder},
    ingest::Reading,
    pipeline::PipelineError,
    plan::{Plan, PolishTime, Quiet, RateLimit, Settings, Shadow},
    publish::PublishError,
    service::{
        signals::{self, Signal},
        status::Status,
        systemd::Notifier,
        telemetry::LevelHandle,
    },
    store::StoreError,
    watch::{Ignore, IgnoreError, Rules},
};
use background::Found;
use removal_guard::RemovalGuard;
use report::Reporter;
use rooms::Rooms;
use serve::Loop;
use serving::Encoders;
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use workers::Workers;

mod background;
mod conditions;
mod explain;
mod on_publish;
mod quality;
mod reload;
mod removal_guard;
mod report;
mod rooms;
mod serve;
mod serving;
mod time_left;
mod validate;
mod watching;
mod workers;

pub use crate::domain::chain;
pub use explain::explain;
pub use removal_guard::held_removal;
pub use rooms::{check_folders, check_part, ingest_of, open_encoder, open_encoder_alone};
pub use serve::CONFIRMATION;
pub use validate::{Finding, Invalid, validate};

/// Runs once or until told to stop.
pub enum Mode {
    /// Bring the mosaic up to date and end.
    Once,
    /// Watch, reload on SIGHUP.
    Watch {
        /// Reads the configuration again.
        reload: Box<dyn Fn() -> Result<Config, ConfigError>>,
        /// Changes the log level.
        level: Option<LevelHandle>,
    },
}

/// How [`run`] ended.
#[derive(Clone, Debug)]
pub enum Exit {
    /// A signal asked for it.
    Stopped(Status),
    /// [`Mode::Once`] found nothing left to do.
    Idle(Status),
}

/// The daemon cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// A folder is missing, or is in a place where it must not be.
    #[error("{what}: {}; {advice}", path.display())]
    Folder {
        /// What is wrong.
        what: &'static str,
        /// The folder.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// The encoder cannot be loaded.
    #[error("the encoder cannot be used: {0}")]
    Encoder(#[from] EncodeError),
    /// The vocabulary cannot be used.
    #[error("embed.vocabulary: {0}")]
    Vocabulary(EncodeError),
    /// The store cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// A thread panicked; a restart continues from the last generation.
    #[error("a thread of the daemon died, see the log above; what was published stays")]
    Died,
    /// A pattern of `watch.ignore` is malformed.
    #[error("watch.ignore: {0}")]
    Ignore(#[from] IgnoreError),
    /// The prepared cells cannot be used.
    #[error("the prepared cells cannot be used: {0}")]
    Cells(#[from] CellError),
    /// The output cannot be used.
    #[error("the output cannot be used: {0}")]
    Publish(#[from] PublishError),
    /// The placed works cannot be loaded.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A call to the operating system failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl DaemonError {
    /// Whether the cause may pass without help: a disk that is full or fails. A daemon waits for that instead of
    /// ending.
    fn may_pass(&self) -> bool {
        let store =
            |error: &StoreError| matches!(error, StoreError::Full { .. } | StoreError::Io { .. });
        match self {
            Self::Store(error) | Self::Pipeline(PipelineError::Store(error)) => store(error),
            Self::Publish(PublishError::Io { source, .. })
            | Self::Cells(CellError::Io { source, .. })
            | Self::System { source, .. } => passes(source),
            _ => false,
        }
    }

    /// Whether only a change of the configuration helps, so that a restart is pointless.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Folder { .. }
                | Self::Encoder(_)
                | Self::Vocabulary(_)
                | Self::Ignore(_)
                | Self::Publish(PublishError::Held { .. })
        )
    }
}

/// Everything that happens, in one closed list.
#[derive(Debug)]
enum Event {
    /// The watcher has something to drain.
    Woken,
    /// A scan ended; these patterns were in force, if anything could be scanned.
    Scanned {
        scan: Result<Scan, String>,
        rules: Option<Rules>,
        wall_ms: u64,
    },
    /// The owner's table of titles, artists and links was read, and something in it is new.
    Described(Descriptions, Vec<Mistake>),
    /// A file was read, or refused, or takes long.
    Ingested(Reading),
    /// The pipeline did what it was asked.
    Done(Result<Report, PipelineError>),
    /// Background work ended.
    Ended(Found),
}

/// What ended the loop.
enum Next {
    Stop,
    Idle,
    Reload(Box<(Config, Arc<dyn Encoder>)>),
    /// Every work is embedded by the next model.
    TakeOver,
    /// The state folder was removed or replaced.
    StateLost,
    Died,
}

/// Runs the daemon; `observe` sees every status that is written.
///
/// # Errors
/// When it cannot start: see [`DaemonError::is_configuration`]. Once it runs, nothing but a signal ends it.
pub fn run(
    config: Config,
    mode: Mode,
    observe: &mut dyn FnMut(&Status),
) -> Result<Exit, DaemonError> {
    let mut reporter = Reporter::new(observe);
    let ended = run_reported(config.absolute(), mode, &mut reporter);
    if ended.is_err() {
        reporter.failed();
    }
    ended
}

fn run_reported(
    mut config: Config,
    mode: Mode,
    reporter: &mut Reporter<'_>,
) -> Result<Exit, DaemonError> {
    let system = |what: &str| {
        let what = what.to_owned();
        move |source| DaemonError::System { what, source }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(system("cannot start the event loop"))?;
    let (to_loop, mut signals) = mpsc::unbounded_channel();
    let _listener = signals::listen(move |signal| {
        let _ = to_loop.send(signal);
    })
    .map_err(system("cannot listen for signals"))?;
    let notifier = Notifier::new();
    // A daemon waits for a full or failing disk to pass; a lock is somebody else's, and everything else an error.
    let patient = |error: &DaemonError| matches!(mode, Mode::Watch { .. }) && error.may_pass();
    let open_store = |config: &Config,
                      signals: &mut mpsc::UnboundedReceiver<Signal>,
                      begin: &mut dyn FnMut()| loop {
        let opened = rooms::check_folders(config)
            .and_then(|()| runtime.block_on(rooms::open_store(config, signals, begin)));
        match opened {
            Err(error) if patient(&error) => {
                report_wait(&notifier, &error);
                if runtime.block_on(rooms::wait(signals)) {
                    return Ok(None);
                }
            }
            opened => return opened,
        }
    };
    // Elsewhere the status may be another daemon's, until the output is known to be ours.
    let own = config.status_folder() == config.folders.state;
    let mut begin = || {
        if own {
            reporter.starting(&config);
        }
    };
    let Some((mut store, healed)) = open_store(&config, &mut signals, &mut begin)? else {
        return Ok(Exit::Stopped(reporter.stopped()));
    };
    let mut encoders = Encoders::open(&config, &mode)?;
    if healed {
        reporter.store_healed();
    }
    // What to go back to when a reload fails after all.
    let mut proven: Option<(Config, Encoders)> = None;
    let mut started = false;
    loop {
        // Each round has a channel of its own: a late word of the last one must not reach the next.
        let (events, mut inbox) = mpsc::unbounded_channel();
        // To load hundreds of thousands of works takes seconds.
        let begin = || {
            if !started {
                reporter.configure(&config, &encoders);
                reporter.starting(&config);
            }
        };
        let opened =
            Rooms::open(&config, &store, &encoders, (&mode, started), begin).and_then(|rooms| {
                let ignore = Ignore::new(&config.watch.ignore)?;
                Workers::start(rooms, &config, ignore, &events)
            });
        let (workers, known) = match (opened, proven.take()) {
            (Ok(opened), _) => opened,
            (Err(error), Some(old)) => {
                let error = chain(&error);
                tracing::error!(%error, "the new configuration cannot be used; the old one is used again");
                reporter.reload_failed();
                (config, encoders) = old;
                continue;
            }
            (Err(error), None) if patient(&error) => {
                report_wait(&notifier, &error);
                if runtime.block_on(rooms::wait(&mut signals)) {
                    return Ok(Exit::Stopped(reporter.stopped()));
                }
                continue;
            }
            (Err(error), None) => return Err(error),
        };
        if let Mode::Watch {
            level: Some(level), ..
        } = &mode
            && let Err(error) = level.set(&config.log.level)
        {
            tracing::warn!(%error, "the log level stays");
        }
        encoders.remember(&config);
        if std::mem::replace(&mut started, true) {
            reporter.configure(&config, &encoders);
        } else {
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                artworks = known.len(),
                model = encoders.serving.name(),
                output = %config.folders.output.display(),
                "started"
            );
        }
        let shadow = encoders.next.as_ref().map(|next| {
            let todo = known.iter().filter(|known| known.unshadowed);
            let shadow = Shadow::new(todo.map(|known| known.path.clone()));
            let (_, artworks) = shadow.progress();
            tracing::info!(
                model = next.name(),
                artworks,
                "embedding by another model in shadow"
            );
            shadow
        });
        let mut plan = Plan::new(settings(&config, &mode), known, shadow);
        let (guard, held_ms) = RemovalGuard::open(&config.folders.state);
        plan.go_on_holding(held_ms);
        plan.remember_folders(guard.folders().clone());
        let of = (&config, &mode, &*store);
        let mut round = Loop::new(of, &notifier, reporter, events, (plan, workers, guard));
        match runtime.block_on(round.serve(&mut inbox, &mut signals)) {
            Next::Reload(new) => {
                notifier.reloading();
                // Two pipelines must never share a store: the old one is waited for, however long its task takes.
                round.end(None);
                let (new, encoder) = *new;
                proven = Some((config, encoders.clone()));
                config = new;
                encoders.change(encoder);
            }
            Next::TakeOver => {
                round.end(None);
                encoders.take_over();
            }
            Next::StateLost => {
                tracing::error!(
                    path = %config.folders.state.display(),
                    "the state folder was removed or replaced while it was in use; it is opened again"
                );
                round.end(None);
                // First, because closing writes.
                drop(store);
                match open_store(&config, &mut signals, &mut || {})? {
                    Some((opened, _)) => store = opened,
                    None => return Ok(Exit::Stopped(reporter.stopped())),
                }
            }
            Next::Died => return Err(DaemonError::Died),
            next @ (Next::Stop | Next::Idle) => {
                notifier.stopping();
                round.end(Some(workers::STOP));
                let status = reporter.stopped();
                let idle = matches!(next, Next::Idle);
                reporter.finish(idle);
                return Ok(if idle {
                    Exit::Idle(status)
                } else {
                    Exit::Stopped(status)
                });
            }
        }
    }
}

/// Whether the system's error is one of a full or failing disk, rather than of rights or names.
fn passes(error: &io::Error) -> bool {
    use rustix::io::Errno;
    const PASSING: [Errno; 8] = [
        Errno::IO,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::STALE,
        Errno::TIMEDOUT,
    ];
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.is_some_and(|errno| PASSING.contains(&errno))
}

/// Reports in the log and to systemd that the start is waiting, and for what.
fn report_wait(notifier: &Notifier, error: &DaemonError) {
    let error = chain(error);
    tracing::error!(%error, "cannot start yet; trying again");
    notifier.waiting(&error, 4 * rooms::RETRY);
}

fn settings(config: &Config, mode: &Mode) -> Settings {
    let watch = &config.watch;
    Settings {
        rate_limit: match config.publish.every_s {
            0 => RateLimit::Auto,
            seconds => RateLimit::EveryMs(seconds * 1_000),
        },
        quiet: Quiet {
            closed_ms: watch.settle_ms,
            stable_ms: watch.stable_ms,
            open_ms: watch.open_s * 1_000,
            ..Quiet::default()
        },
        gather_ms: 1_000.max(2 * watch.settle_ms),
        rescan_ms: watch.rescan_s * 1_000,
        hold: watch.mass_removal == crate::config::MassRemoval::Hold,
        grace_ms: watch.removal_grace_h * 3_600_000,
        polish: match config.grid.polish {
            crate::config::Polish::Quiet => PolishTime::Quiet,
            crate::config::Polish::At(minute) => PolishTime::At(minute),
            crate::config::Polish::Never => PolishTime::Never,
        },
        once: matches!(mode, Mode::Once),
    }
}

/// The machine's local time, minutes since midnight.
fn local_minute() -> u16 {
    let now = jiff::Zoned::now();
    60 * now.hour().unsigned_abs() as u16 + now.minute().unsigned_abs() as u16
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64)
}
