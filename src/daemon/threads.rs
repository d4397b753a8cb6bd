//! The daemon's threads: watcher, scanner, readers, pipeline, polish, quality, words. Each says what happened as an
//! [`Event`].

use super::{
    DaemonError, Event,
    beside::{beside, on_one_core, spawn},
    chain, quality,
    rooms::Rooms,
    wall_ms,
};
use crate::{
    config::Config,
    describe::{self, Descriptions, Mistake},
    domain::{Job, Known, Task, manifest::Quality},
    history::twins::Groups,
    ingest::threads_or_all,
    pipeline::{Pipeline, Polish, Polished, Unworded, Worded, portable},
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

/// How long the threads may take to end; systemd's TimeoutStopSec is 30 s. What runs longer, a large collection's first
/// layout, is left behind: nothing of it was acknowledged.
pub(super) const STOP: Duration = Duration::from_secs(15);

/// How often the service manager hears meanwhile that all is well. Its socket holds few messages, and a full one blocks.
const ALIVE: Duration = Duration::from_secs(1);

/// What the pipeline's thread is asked.
enum Order {
    Run(Task),
    Measure,
    Polish,
    Polished(Polished),
    Settle,
    Grade(Quality, Groups),
    Word(Worded),
    Describe(Descriptions),
    Rules(Rules),
    Collect,
}

/// The running threads and the ways to talk to them.
pub(super) struct Hands {
    scans: Sender<BTreeSet<PathBuf>>,
    jobs: Sender<Job>,
    orders: Sender<Order>,
    stop: Arc<AtomicBool>,
    handles: Vec<JoinHandle<()>>,
}

impl Hands {
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

        let send = events.clone();
        let (jobs, mut handles) = ingest
            .start(threads_or_all(config.decode.threads), move |outcome| {
                drop(send.send(Event::Ingested(outcome)));
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
        drop(self.jobs.send(job));
    }

    pub(super) fn run(&self, task: Task) {
        drop(self.orders.send(Order::Run(task)));
    }

    /// Lets a large map follow its arrivals a bit further.
    pub(super) fn settle(&self) {
        drop(self.orders.send(Order::Settle));
    }

    /// Computes the quality of the current generation, and finds words for its regions, beside everything else.
    pub(super) fn measure(&self) {
        drop(self.orders.send(Order::Measure));
    }

    /// Polishes the grid beside everything else, if enough has arrived.
    pub(super) fn polish(&self) {
        drop(self.orders.send(Order::Polish));
    }

    /// Has the next task publish a polished grid.
    pub(super) fn polished(&self, polished: Polished) {
        drop(self.orders.send(Order::Polished(polished)));
    }

    pub(super) fn grade(&self, quality: Quality, twins: Groups) {
        drop(self.orders.send(Order::Grade(quality, twins)));
    }

    pub(super) fn word(&self, worded: Worded) {
        drop(self.orders.send(Order::Word(worded)));
    }

    /// Says what the owner's table says of the works; the next generation shows it.
    pub(super) fn describe(&self, described: Descriptions) {
        drop(self.orders.send(Order::Describe(described)));
    }

    /// Says which names the owner does not want anywhere: what is left of them is erased.
    pub(super) fn rules(&self, rules: Rules) {
        drop(self.orders.send(Order::Rules(rules)));
    }

    /// Removes old generations and cells that no work needs.
    pub(super) fn collect(&self) {
        drop(self.orders.send(Order::Collect));
    }

    /// Whether a thread has ended though nobody told it to: it panicked.
    pub(super) fn any_died(&self) -> bool {
        self.handles.iter().any(JoinHandle::is_finished)
    }

    /// Lets every thread finish what it is at, drops what is left, and waits, calling `alive` meanwhile; for ever without
    /// a `limit`.
    pub(super) fn end(self, limit: Option<Duration>, alive: impl Fn()) {
        let Self {
            scans,
            jobs,
            orders,
            stop,
            handles,
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
    for order in inbox {
        match order {
            Order::Run(task) => {
                drop(send.send(Event::Done(pipeline.run(task, wall_ms()))));
                pipeline.give_room_back();
            }
            Order::Grade(quality, twins) => {
                if let Err(error) = pipeline.grade(quality, twins) {
                    tracing::warn!(error = %error, "the quality could not be published");
                }
            }
            Order::Word(worded) => {
                if let Err(error) = pipeline.word(worded) {
                    tracing::warn!(error = %error, "words could not be published");
                }
            }
            Order::Describe(described) => pipeline.describe(described),
            Order::Rules(rules) => pipeline.forbid(rules),
            Order::Collect => pipeline.collect(wall_ms()),
            Order::Settle => drop(send.send(Event::Settled(pipeline.settle()))),
            Order::Polish => {
                let polish = pipeline.polish();
                let work = move || on_one_core(|| polished(polish?)).flatten();
                beside("polish", send.clone(), Event::Polished, work);
            }
            Order::Polished(polished) => pipeline.polished(polished),
            Order::Measure => {
                let collection = Arc::new(pipeline.collection().clone());
                let (cells, generation) = (pipeline.cells().clone(), pipeline.generation());
                let placed = collection.clone();
                let work = move || quality::measured(&placed, &cells, generation);
                beside("quality", send.clone(), Event::Measured, work);
                let unworded = pipeline.unworded(collection).unwrap_or_else(|error| {
                    tracing::warn!(%error, "words could not be taken away");
                    None
                });
                let stop = stop.clone();
                let work = move || worded(&unworded?, &stop);
                words = beside("words", send.clone(), Event::Worded, work);
            }
        }
    }
    // The process must not end amid a run of the text encoder.
    if let Some(words) = words {
        drop(words.join());
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

/// The lines of the owner's tables that name no file, where the scan can tell.
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
