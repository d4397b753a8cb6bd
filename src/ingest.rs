//! From a finished file to a durable embedding and a durable cell.
//!
//! It owns the threads that read, hash, decode, prepare and embed, and the commit that makes their results durable.
//! It decides nothing: which files, and when, is `plan`'s; what becomes of the results is `pipeline`'s.
//!
//! Invariants: an [`Outcome`] with a hash is sent only after its embedding and its cell are durable; each [`Job`] has
//! exactly one outcome; hash and pixels come from the same bytes; a file that ended the process twice while it was
//! being decoded is not tried a third time (see [`Attempts`]).

use crate::{
    artwork::{
        ContentHash, FileIdentity,
        decode::{self, DecodeError, DecodeLimits},
        tile::{self, TileSpec},
    },
    embed::{EncodeError, Encoder},
    publish::{CellStore, PublishError},
    store::{Store, StoreError},
    watch::{ReadError, read_finished},
};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

mod attempts;
mod memory;
pub use attempts::Attempts;
pub use memory::Memory;

/// Embeddings that wait for one commit at most.
const COMMIT: usize = 256;

/// What the threads share.
#[derive(Clone)]
pub struct Ingest {
    /// The artwork folder.
    pub root: PathBuf,
    /// Largest file read, bytes.
    pub max_file_bytes: u64,
    /// Decoding limits.
    pub limits: DecodeLimits,
    /// What decides a cell's pixels.
    pub tile: TileSpec,
    /// The encoder.
    pub encoder: Arc<dyn Encoder>,
    /// Durable embeddings.
    pub store: Arc<dyn Store>,
    /// Durable cells.
    pub cells: Arc<CellStore>,
    /// Crash-loop guard.
    pub attempts: Arc<Attempts>,
    /// What all threads may hold together.
    pub memory: Arc<Memory>,
    /// Set when the jobs that are left are to be dropped.
    pub stop: Arc<AtomicBool>,
}

/// One finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// What the file system said of it when it was found finished.
    pub identity: FileIdentity,
}

/// What became of a job.
#[derive(Debug)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// The content's hash, once its embedding and cell are durable.
    pub result: Result<ContentHash, Refusal>,
    /// Whether it had to be embedded: its content was new to the store.
    pub embedded: bool,
}

/// Why a file is not in the mosaic.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It could not be read whole.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is no picture that can be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Decoding it ended the process before.
    #[error("decoding it ended mosaicd {0} times; it is tried again when it changes")]
    Crashes(u32),
    /// The encoder refused it.
    #[error(transparent)]
    Encode(Arc<EncodeError>),
    /// The embedding could not be made durable.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The cell could not be made durable.
    #[error(transparent)]
    Cell(Arc<PublishError>),
}

/// When a refused file is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Look at the path again now: it changed or vanished while it was read.
    Look,
    /// After a back-off: it may get better by itself.
    Later,
    /// Soon: the file is not to blame.
    Wait,
    /// When the file changes.
    WhenChanged,
}

impl Refusal {
    /// When the file is tried again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Read(ReadError::Changed | ReadError::Vanished) => Retry::Look,
            Self::Read(ReadError::TooLarge { .. }) => Retry::WhenChanged,
            Self::Read(ReadError::NotAFile) => Retry::WhenChanged,
            Self::Read(_) => Retry::Later,
            Self::Decode(error) if error.is_truncated() => Retry::Later,
            Self::Decode(_) | Self::Crashes(_) | Self::Encode(_) => Retry::WhenChanged,
            Self::Store(_) | Self::Cell(_) => Retry::Wait,
        }
    }
}

struct Decoded {
    job: Job,
    hash: ContentHash,
    /// The encoder's input; `None` if the store has the embedding already.
    input: Option<Vec<f32>>,
}

impl Ingest {
    /// Starts the threads. They end when the returned sender is dropped and the last outcome was delivered.
    pub fn start(
        self,
        threads: usize,
        deliver: impl Fn(Outcome) + Send + Clone + 'static,
    ) -> std::io::Result<(Sender<Job>, Vec<thread::JoinHandle<()>>)> {
        let (jobs, inbox) = unbounded::<Job>();
        let (decoded, to_encode) = bounded::<Decoded>(2 * self.encoder.max_batch().max(16));
        let mut handles = Vec::new();
        for i in 0..threads.max(1) {
            let (ingest, inbox, decoded, deliver) = (
                self.clone(),
                inbox.clone(),
                decoded.clone(),
                deliver.clone(),
            );
            let work = move || {
                for job in inbox {
                    if ingest.stop.load(Ordering::Relaxed) {
                        continue;
                    }
                    match ingest.decode(&job) {
                        Ok((hash, input)) => {
                            if decoded.send(Decoded { job, hash, input }).is_err() {
                                return;
                            }
                        }
                        Err(refusal) => deliver(Outcome {
                            job,
                            result: Err(refusal),
                            embedded: false,
                        }),
                    }
                }
            };
            handles.push(
                thread::Builder::new()
                    .name(format!("decode-{i}"))
                    .spawn(work)?,
            );
        }
        let encode = move || self.encode_all(&to_encode, &deliver);
        handles.push(thread::Builder::new().name("encode".into()).spawn(encode)?);
        Ok((jobs, handles))
    }

    /// Reads a file and makes its cell and the encoder's input, each only if it is not there already.
    fn decode(&self, job: &Job) -> Result<(ContentHash, Option<Vec<f32>>), Refusal> {
        let _file = self.memory.files.take(job.identity.size);
        let bytes = read_finished(&self.root, &job.path, &job.identity, self.max_file_bytes)?;
        let hash = ContentHash::of(&bytes);
        let embedded = self
            .store
            .has_embedding(&hash, self.encoder.model())
            .map_err(store)?;
        if embedded && self.cells.contains(&hash) {
            return Ok((hash, None));
        }
        let _pixels = self.memory.pixels.take(decode::footprint(&bytes));
        let attempt = self.attempts.begin(&hash).map_err(Refusal::Crashes)?;
        let picture = decode::decode(&bytes, &self.limits)?;
        drop(bytes);
        self.cells
            .put(&hash, &tile::prepare(&picture, &self.tile))
            .map_err(cell)?;
        let input = (!embedded).then(|| self.encoder.prepare(&picture));
        attempt.end();
        Ok((hash, input))
    }

    fn encode_all(&self, inbox: &Receiver<Decoded>, deliver: &impl Fn(Outcome)) {
        while let Ok(first) = inbox.recv() {
            let mut group = vec![first];
            let limit = self.encoder.max_batch().clamp(1, COMMIT);
            group.extend(inbox.try_iter().take(limit - 1));
            for outcome in self.commit(group) {
                deliver(outcome);
            }
        }
    }

    /// Embeds a group and makes it durable.
    fn commit(&self, mut group: Vec<Decoded>) -> Vec<Outcome> {
        let fresh: Vec<usize> = (0..group.len())
            .filter(|&i| group[i].input.is_some())
            .collect();
        let mut failed: Vec<Option<Refusal>> = group.iter().map(|_| None).collect();
        let mut embedded = Vec::with_capacity(fresh.len());
        for chunk in fresh.chunks(self.encoder.max_batch().max(1)) {
            let inputs: Vec<Vec<f32>> = chunk
                .iter()
                .filter_map(|&i| group[i].input.take())
                .collect();
            match self.encoder.encode(&inputs) {
                Ok(vectors) => embedded.extend(chunk.iter().map(|&i| group[i].hash).zip(vectors)),
                Err(error) => {
                    let error = Arc::new(error);
                    chunk
                        .iter()
                        .for_each(|&i| failed[i] = Some(Refusal::Encode(error.clone())));
                }
            }
        }
        let durable = self.make_durable(&embedded);
        let fresh: HashSet<usize> = fresh.into_iter().collect();
        let outcome = |(i, (decoded, failed)): (usize, (Decoded, Option<Refusal>))| {
            let result = match (failed, &durable) {
                (Some(refusal), _) => Err(refusal),
                (None, Err(Undurable::Store(error))) => Err(Refusal::Store(error.clone())),
                (None, Err(Undurable::Cell(error))) => Err(Refusal::Cell(error.clone())),
                (None, Ok(())) => Ok(decoded.hash),
            };
            Outcome {
                job: decoded.job,
                embedded: result.is_ok() && fresh.contains(&i),
                result,
            }
        };
        group
            .into_iter()
            .zip(failed)
            .enumerate()
            .map(outcome)
            .collect()
    }

    fn make_durable(&self, embedded: &[(ContentHash, Vec<f32>)]) -> Result<(), Undurable> {
        self.cells
            .sync()
            .map_err(|error| Undurable::Cell(Arc::new(error)))?;
        if embedded.is_empty() {
            return Ok(());
        }
        let stored = self.store.put_embeddings(self.encoder.model(), embedded);
        stored.map_err(|error| Undurable::Store(Arc::new(error)))
    }
}

enum Undurable {
    Store(Arc<StoreError>),
    Cell(Arc<PublishError>),
}

fn store(error: StoreError) -> Refusal {
    Refusal::Store(Arc::new(error))
}

fn cell(error: PublishError) -> Refusal {
    Refusal::Cell(Arc::new(error))
}

/// The threads a setting of 0 stands for: one a processor.
pub fn threads_or_all(setting: usize) -> usize {
    match setting {
        0 => thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    }
}
