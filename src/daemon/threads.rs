//! The daemon's threads: watcher, scanner, readers, pipeline, quality. Each says what happened as an [`Event`].

use super::{DaemonError, Event, chain, rooms::Rooms, wall_ms};
use crate::{
    config::Config,
    grid::quality::dpq16,
    ingest::{Job, threads_or_all},
    pipeline::{Known, Pipeline, Task},
    publish::manifest::Quality,
    rebuild::Collection,
    reduce::trustworthiness,
    service::limit::Limited,
    watch::{Ignore, scan},
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::{
    path::Path,
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

/// Up to this many works quality is computed from all of them.
const QUALITY_SAMPLE: usize = 4_096;
/// Rows that the grid's quality is computed from in larger collections; they err by .0003 at most.
const QUALITY_ROWS: usize = 1_024;

/// What the pipeline's thread is asked.
enum Order {
    Run(Task),
    Measure,
    Grade(Quality),
    Collect,
}

/// The running threads and the ways to talk to them.
pub(super) struct Hands {
    scans: Sender<()>,
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
        let (root, stop) = (ingest.root.clone(), ingest.stop.clone());

        let send = events.clone();
        let (jobs, mut handles) = ingest
            .start(threads_or_all(config.decode.threads), move |outcome| {
                drop(send.send(Event::Ingested(outcome)));
            })
            .map_err(system)?;

        let (orders, inbox) = unbounded();
        let send = events.clone();
        let work = move || run_pipeline(pipeline, &inbox, &send);
        handles.push(spawn("pipeline", work).map_err(system)?);

        let (scans, inbox) = unbounded();
        let (send, folder) = (events.clone(), root.clone());
        let work = move || run_scans(&folder, &ignore, &inbox, &send);
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

    pub(super) fn scan(&self) {
        let _ = self.scans.send(());
    }

    pub(super) fn ingest(&self, job: Job) {
        drop(self.jobs.send(job));
    }

    pub(super) fn run(&self, task: Task) {
        drop(self.orders.send(Order::Run(task)));
    }

    /// Computes the quality of the current generation beside everything else.
    pub(super) fn measure(&self) {
        drop(self.orders.send(Order::Measure));
    }

    pub(super) fn grade(&self, quality: Quality) {
        drop(self.orders.send(Order::Grade(quality)));
    }

    /// Removes old generations and cells that no work needs.
    pub(super) fn collect(&self) {
        drop(self.orders.send(Order::Collect));
    }

    /// Whether a thread has ended though nobody told it to: it panicked.
    pub(super) fn any_died(&self) -> bool {
        self.handles.iter().any(JoinHandle::is_finished)
    }

    /// Lets every thread finish what it is at, drops what is left, and waits, calling `alive` often; for ever without
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
        let deadline = limit.map(|limit| Instant::now() + limit);
        for handle in handles {
            while !handle.is_finished() && deadline.is_none_or(|at| Instant::now() < at) {
                alive();
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

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}

fn run_pipeline(mut pipeline: Pipeline, inbox: &Receiver<Order>, send: &UnboundedSender<Event>) {
    for order in inbox {
        match order {
            Order::Run(task) => drop(send.send(Event::Done(pipeline.run(task, wall_ms())))),
            Order::Grade(quality) => {
                if let Err(error) = pipeline.grade(quality) {
                    tracing::warn!(error = %error, "the quality could not be published");
                }
            }
            Order::Collect => pipeline.collect(wall_ms()),
            Order::Measure => {
                let (collection, generation) =
                    (pipeline.collection().clone(), pipeline.generation());
                let send = send.clone();
                // A pool of its own, of one thread: the next rebuild must not queue behind it.
                let measure = move || match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) => {
                        let quality = pool.install(|| measure(&collection, generation));
                        drop(send.send(Event::Measured(quality)));
                    }
                    Err(error) => tracing::warn!(%error, "the quality cannot be computed"),
                };
                if let Err(error) = spawn("quality", measure) {
                    tracing::warn!(%error, "the quality cannot be computed");
                }
            }
        }
    }
}

fn measure(collection: &Collection, generation: u64) -> Quality {
    let n = collection.works.len();
    let cells: Vec<_> = (0..n).map(|i| collection.cell(i)).collect();
    let (vectors, points) = (&collection.vectors, collection.layout.points());
    let sample = Some(QUALITY_SAMPLE);
    Quality {
        generation,
        dpq16: dpq16(
            vectors,
            &cells,
            (n > QUALITY_SAMPLE).then_some(QUALITY_ROWS),
            0,
        ),
        trustworthiness: (n > 2).then(|| trustworthiness(vectors, points, 15, sample, 0)),
    }
}

/// Scans whenever asked, of late requests only the last.
fn run_scans(root: &Path, ignore: &Ignore, inbox: &Receiver<()>, send: &UnboundedSender<Event>) {
    let mut limited = Limited::new(3, 600_000);
    for () in inbox {
        let wall_ms = wall_ms();
        let (ignore, wrong) = ignore.with_file(root);
        for error in wrong {
            if limited.admit("ignore", wall_ms).is_some() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a line of .mosaicignore is left out"
                );
            }
        }
        let scan = scan(root, &ignore).map_err(|error| chain(&error));
        drop(send.send(Event::Scanned {
            scan,
            ignore,
            wall_ms,
        }));
    }
}
