//! From a finished file to a durable embedding and a durable cell.
//!
//! It owns the threads: several that read, hash, decode and prepare, one that embeds, one that makes the results durable.
//! The queues between them are bounded, so that memory is too; a picture that takes long to decode holds up no other.
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
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

mod attempts;
#[cfg(test)]
mod tests;
pub use attempts::Attempts;

/// Embeddings that wait for one commit at most.
const COMMIT: usize = 256;

/// Fewest threads that decode: with one, a huge picture would hold up all others.
const LEAST_THREADS: usize = 2;

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
            // An encoder that failed as such (memory, a device) may work the next time.
            Self::Encode(error) if error.bad_input().is_none() => Retry::Later,
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

struct Encoded {
    job: Job,
    hash: ContentHash,
    /// The new embedding; `None` if the store has it already.
    embedding: Result<Option<Vec<f32>>, Refusal>,
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
        for i in 0..threads.max(LEAST_THREADS) {
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
        // A thread of its own for what waits on the disk, so that the encoder need not.
        let groups = COMMIT.div_ceil(self.encoder.max_batch().clamp(1, COMMIT));
        let (encoded, to_commit) = bounded::<Vec<Encoded>>(groups);
        let ingest = self.clone();
        let encode = move || ingest.encode_all(&to_encode, &encoded);
        handles.push(thread::Builder::new().name("encode".into()).spawn(encode)?);
        let commit = move || self.commit_all(&to_commit, &deliver);
        handles.push(thread::Builder::new().name("commit".into()).spawn(commit)?);
        Ok((jobs, handles))
    }

    /// Reads a file and makes its cell and the encoder's input, each only if it is not there already.
    fn decode(&self, job: &Job) -> Result<(ContentHash, Option<Vec<f32>>), Refusal> {
        let bytes = read_finished(&self.root, &job.path, &job.identity, self.max_file_bytes)?;
        let hash = ContentHash::of(&bytes);
        let embedded = self
            .store
            .has_embedding(&hash, self.encoder.model())
            .map_err(store)?;
        if embedded && self.cells.contains(&hash) {
            return Ok((hash, None));
        }
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

    /// Encodes whatever is there, in groups of at most a batch of new pictures.
    fn encode_all(&self, inbox: &Receiver<Decoded>, outbox: &Sender<Vec<Encoded>>) {
        let batch = self.encoder.max_batch().clamp(1, COMMIT);
        while let Ok(first) = inbox.recv() {
            let mut fresh = usize::from(first.input.is_some());
            let mut group = vec![first];
            while fresh < batch
                && group.len() < COMMIT
                && let Ok(next) = inbox.try_recv()
            {
                fresh += usize::from(next.input.is_some());
                group.push(next);
            }
            if outbox.send(self.encode(group)).is_err() {
                return;
            }
        }
    }

    fn encode(&self, group: Vec<Decoded>) -> Vec<Encoded> {
        let (mut inputs, mut waiting) = (Vec::new(), Vec::new());
        for Decoded { job, hash, input } in group {
            waiting.push((job, hash, input.is_some()));
            inputs.extend(input);
        }
        let mut embeddings = self.embed(inputs).into_iter();
        let encoded = waiting.into_iter().map(|(job, hash, fresh)| Encoded {
            job,
            hash,
            embedding: match fresh.then(|| embeddings.next()).flatten() {
                Some(embedding) => embedding.map(Some),
                None => Ok(None),
            },
        });
        encoded.collect()
    }

    /// As many results as inputs; an input that is itself at fault is refused without the others.
    fn embed(&self, mut inputs: Vec<Vec<f32>>) -> Vec<Result<Vec<f32>, Refusal>> {
        let mut left: Vec<usize> = (0..inputs.len()).collect();
        let mut results: Vec<(usize, Result<Vec<f32>, Refusal>)> = Vec::with_capacity(left.len());
        while !left.is_empty() {
            match self.encoder.encode(&inputs) {
                Ok(vectors) => results.extend(left.drain(..).zip(vectors.into_iter().map(Ok))),
                Err(error) => {
                    let bad = error.bad_input().filter(|&i| i < left.len());
                    let error = Arc::new(error);
                    let refusal = || Err(Refusal::Encode(error.clone()));
                    match bad {
                        Some(i) => {
                            inputs.remove(i);
                            results.push((left.remove(i), refusal()));
                        }
                        None => results.extend(left.drain(..).map(|i| (i, refusal()))),
                    }
                }
            }
        }
        results.sort_by_key(|(i, _)| *i);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Makes durable whatever is there, all of it with one commit.
    fn commit_all(&self, inbox: &Receiver<Vec<Encoded>>, deliver: &impl Fn(Outcome)) {
        while let Ok(mut group) = inbox.recv() {
            while group.len() < COMMIT
                && let Ok(more) = inbox.try_recv()
            {
                group.extend(more);
            }
            self.commit(group).for_each(deliver);
        }
    }

    fn commit(&self, group: Vec<Encoded>) -> impl Iterator<Item = Outcome> {
        let fresh = group.iter().filter_map(|encoded| match &encoded.embedding {
            Ok(Some(vector)) => Some((encoded.hash, vector.clone())),
            _ => None,
        });
        let durable = self.make_durable(&fresh.collect::<Vec<_>>());
        group.into_iter().map(move |encoded| {
            let fresh = matches!(encoded.embedding, Ok(Some(_)));
            let result = match (encoded.embedding, &durable) {
                (Err(refusal), _) => Err(refusal),
                (Ok(_), Err(Undurable::Store(error))) => Err(Refusal::Store(error.clone())),
                (Ok(_), Err(Undurable::Cell(error))) => Err(Refusal::Cell(error.clone())),
                (Ok(_), Ok(())) => Ok(encoded.hash),
            };
            Outcome {
                job: encoded.job,
                embedded: result.is_ok() && fresh,
                result,
            }
        })
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
