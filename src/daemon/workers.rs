//! The daemon's threads: scanner, readers, pipeline, and those of background work. Each reports what happened as an
//! [`Event`].

use super::{
    DaemonError, Event,
    background::{self, Found, on_one_core, spawn},
    chain, quality,
    rooms::Rooms,
    wall_ms,
};
use crate::{
    config::Config,
    describe::{self, Descriptions, Mistake},
    domain::{ContentHash, Job, Known, Task},
    ingest::{Jobs, Underway, threads_or_all},
    pipeline::{Pipeline, Polish, Polished, Unworded, Worded, portable},
    plan::Background,
    watch::{Book, Ignore, Roots, Rules, Scan},
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// How long the threads may take to end; systemd's TimeoutStopSec is 30 s. What runs longer (a large collection's first
/// layout) is abandoned: nothing of it was acknowledged.
pub(super) const STOP: Duration = Duration::from_secs(15);

/// How often the service manager is notified meanwhile. Its socket holds few messages, and a full one blocks.
const ALIVE: Duration = Duration::from_secs(1);

/// What the pipeline's thread is asked.
pub(super) enum Order {
    Run(Task),
    /// Begin background work.
    Background(Background),
    /// Take over what background work found.
    Take(Found),
    /// These are the owner's titles, artists and links; the next generation shows them.
    Describe(Descriptions),
    /// These are the owner's patterns: whatever is left of works that they name is erased.
    Rules(Rules),
    /// The owner confirms a mass opt-out: it is erased.
    ConfirmErasing(ContentHash),
}

/// The running threads and the ways to talk to them.
pub(super) struct Workers {
    scans: Sender<BTreeSet<PathBuf>>,
    jobs: Jobs,
    orders: Sender<Order>,
    underway: Arc<Underway>,
    stop: Arc<AtomicBool>,
    handles: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts everything. The placed files come back too: what the plan has to know.
    pub(super) fn start(
        rooms: Rooms,
        config: &Config,
        ignore: Ignore,
        events: &UnboundedSender<Event>,
    ) -> Result<(Self, Vec<Known>), DaemonError> {
        let system = |source| DaemonError::System {
            what: "cannot start a thread".into(),
            source,
        };
        let Rooms { pipeline, ingest } = rooms;
        let known = pipeline.known(ingest.next.as_ref().map(|next| next.model()))?;
        let (roots, stop) = (ingest.roots.clone(), ingest.stop.clone());
        let underway = ingest.underway.clone();

        let send = events.clone();
        let (jobs, mut handles) = ingest
            .start(threads_or_all(config.decode.threads), move |progress| {
                drop(send.send(Event::Ingested(progress)));
            })
            .map_err(system)?;

        let (orders, inbox) = unbounded();
        let send = events.clone();
        let stopped = stop.clone();
        let work = move || run_pipeline(pipeline, &inbox, &send, &stopped);
        handles.push(spawn("pipeline", work).map_err(system)?);

        let (scans, inbox) = unbounded();
        let (send, quiet) = (
            events.clone(),
            Duration::from_millis(config.watch.settle_ms),
        );
        let book = Book::open(ignore, &config.folders.state, quiet);
        let work = move || run_scans(&roots, (book, quiet), &inbox, &send);
        handles.push(spawn("scan", work).map_err(system)?);
        Ok((
            Self {
                scans,
                jobs,
                orders,
                underway,
                stop,
                handles,
            },
            known,
        ))
    }

    /// Scans; these ignore files are open for writing, as far as is known.
    pub(super) fn scan(&self, writing: BTreeSet<PathBuf>) {
        let _ = self.scans.send(writing);
    }

    pub(super) fn ingest(&self, job: Job) {
        self.jobs.send(job);
    }

    /// Asks the pipeline for something.
    pub(super) fn order(&self, order: Order) {
        drop(self.orders.send(order));
    }

    /// What is being decoded.
    pub(super) fn underway(&self) -> &Underway {
        &self.underway
    }

    /// Whether a thread has ended without being asked to: it panicked.
    pub(super) fn any_died(&self) -> bool {
        self.handles.iter().any(JoinHandle::is_finished)
    }

    /// Lets every thread finish its current work, drops the rest, and waits, calling `alive` meanwhile; without a
    /// `limit` it waits until all have ended.
    pub(super) fn end(self, limit: Option<Duration>, alive: impl Fn()) {
        let Self {
            scans,
            jobs,
            orders,
            stop,
            handles,
            ..
        } = self;
        stop.store(true, Ordering::Relaxed);
        drop((scans, jobs, orders));
        let mut said = Instant::now();
        let deadline = limit.map(|limit| said + limit);
        for handle in handles {
            while !handle.is_finished() && deadline.is_none_or(|at| Instant::now() < at) {
                if said.elapsed() >= ALIVE {
                    said = Instant::now();
                    alive();
                }
                thread::sleep(Duration::from_millis(2));
            }
            if handle.is_finished() {
                drop(handle.join());
            } else {
                tracing::warn!(thread = handle.thread().name(), "did not end in time");
            }
        }
    }
}

fn run_pipeline(
    mut pipeline: Pipeline,
    inbox: &Receiver<Order>,
    send: &UnboundedSender<Event>,
    stop: &Arc<AtomicBool>,
) {
    let mut words = None;
    // While the folder is scanned.
    pipeline.share_vectors();
    for order in inbox {
        match order {
            Order::Run(task) => {
                drop(send.send(Event::Done(pipeline.run(task, wall_ms()))));
                pipeline.give_room_back();
            }
            Order::Describe(described) => pipeline.describe(described),
            Order::Rules(rules) => pipeline.forbid(rules),
            Order::ConfirmErasing(digest) => pipeline.confirm_erasing(digest),
            Order::Take(found) => take(&mut pipeline, found),
            Order::Background(Background::Relax) => {
                let more = pipeline.relax();
                drop(send.send(Event::Ended(Found::Relax(more))));
            }
            Order::Background(Background::Polish) => {
                let polish = pipeline.polish();
                let work = move || on_one_core(|| polished(polish?)).flatten();
                background::start("polish", send.clone(), Found::Polish, work);
            }
            Order::Background(Background::Measure) => {
                let (collection, cells) = (pipeline.collection().clone(), pipeline.cells().clone());
                let generation = pipeline.generation();
                let known = pipeline.quality();
                let work = move || quality::measured(&collection, &cells, generation, known);
                background::start("quality", send.clone(), Found::Measure, work);
            }
            Order::Background(Background::Word) => {
                let unworded = pipeline.unworded().unwrap_or_else(|error| {
                    tracing::warn!(%error, "words could not be removed");
                    None
                });
                let stop = stop.clone();
                let work = move || worded(&unworded?, &stop);
                words = background::start("words", send.clone(), Found::Word, work);
            }
            Order::Background(Background::Collect) => pipeline.collect(wall_ms()),
        }
    }
    pipeline.end(wall_ms());
    // The process must not end amid a run of the text encoder.
    if let Some(words) = words {
        drop(words.join());
    }
}

/// Publishes what background work found, or keeps it for the task that will.
fn take(pipeline: &mut Pipeline, found: Found) {
    let published = match found {
        Found::Measure(Some((quality, twins))) => pipeline.publish_quality(quality, twins),
        Found::Word(Some(worded)) => pipeline.word(worded),
        Found::Polish(Some(polished)) => {
            pipeline.keep_polished(polished);
            Ok(())
        }
        Found::Relax(_) | Found::Polish(None) | Found::Measure(None) | Found::Word(None) => Ok(()),
    };
    if let Err(error) = published {
        tracing::warn!(%error, "quality or words could not be published");
    }
}

fn polished(polish: Polish) -> Option<Polished> {
    let polished = polish.run();
    polished
        .inspect_err(|error| tracing::warn!(%error, "the grid cannot be polished"))
        .ok()
}

/// The words of what is published; ends soon after `stop` is set.
fn worded(unworded: &Unworded, stop: &AtomicBool) -> Option<Worded> {
    match unworded.word(&|| stop.load(Ordering::Relaxed)) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "embed.vocabulary has no effect until the next start or reload");
            Some(unworded.without())
        }
    }
}

/// Scans whenever asked. The owner's files come along: patterns, and descriptions when they changed.
fn run_scans(
    roots: &Roots,
    (mut book, quiet): (Book, Duration),
    inbox: &Receiver<BTreeSet<PathBuf>>,
    send: &UnboundedSender<Event>,
) {
    let mut said = None;
    // The tables as they were when they were read last, if nothing was wrong with them, and what they say.
    let mut tables = None;
    let mut described = (Descriptions::default(), Vec::new());
    for writing in inbox {
        let wall_ms = wall_ms();
        book.being_written(writing);
        let scan = roots.scan(&mut book);
        let there = Some(roots.tables());
        if tables != there {
            described = roots.descriptions(quiet);
            tables = there.filter(|_| described.1.is_empty());
        }
        let (descriptions, mistakes) = &described;
        let mut mistakes = mistakes.clone();
        if let Ok((scan, rules)) = &scan {
            mistakes.extend(unmatched(descriptions, scan, rules));
        }
        let now = Some((descriptions.digest(), mistakes.clone()));
        if said != now {
            said = now;
            drop(send.send(Event::Described(descriptions.clone(), mistakes)));
        }
        let (scan, rules) = match scan {
            Ok((scan, rules)) => (Ok(scan), Some(rules)),
            Err(error) => (Err(chain(&error)), None),
        };
        drop(send.send(Event::Scanned {
            scan,
            rules,
            wall_ms,
        }));
    }
}

/// The lines in `artworks.csv` files that do not name an existing file, where the scan can tell.
fn unmatched(descriptions: &Descriptions, scan: &Scan, rules: &Rules) -> Vec<Mistake> {
    if descriptions.is_empty() {
        return Vec::new();
    }
    let files: Vec<String> = scan.files.keys().map(|path| portable(path)).collect();
    // What the owner's patterns name is named nowhere else.
    let is_excused = |path: &str| {
        let path = Path::new(path);
        !scan.covers(path) || rules.leave_out(path)
    };
    describe::unmatched(descriptions, files.iter().map(String::as_str), is_excused)
}
