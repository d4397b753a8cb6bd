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
    watch::{ReadError, Roots},
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
pub use attempts::Attempts;

/// Embeddings that wait for one commit at most.
const COMMIT: usize = 256;

/// What the threads share.
#[derive(Clone)]
pub struct Ingest {
    /// The artwork folders.
    pub roots: Roots,
    /// Largest file read, bytes.
    pub max_file_bytes: u64,
    /// Decoding limits.
    pub limits: DecodeLimits,
    /// What decides a cell's pixels.
    pub tile: TileSpec,
    /// The encoder of the mosaic.
    pub encoder: Arc<dyn Encoder>,
    /// The encoder that is to take over: it embeds whatever is read, too.
    pub next: Option<Arc<dyn Encoder>>,
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
    /// Why the next encoder could not embed it; the file has its place all the same.
    pub next_error: Option<String>,
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
    inputs: Inputs,
}

/// What the encoder and the next one are to embed; `None` if the store has the embedding already.
#[derive(Default)]
struct Inputs {
    input: Option<Vec<f32>>,
    next: Option<Vec<f32>>,
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
                        Ok((hash, inputs)) => {
                            if decoded.send(Decoded { job, hash, inputs }).is_err() {
                                return;
                            }
                        }
                        Err(refusal) => deliver(Outcome {
                            job,
                            result: Err(refusal),
                            embedded: false,
                            next_error: None,
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

    /// Reads a file and makes its cell and the encoders' inputs, each only if it is not there already.
    fn decode(&self, job: &Job) -> Result<(ContentHash, Inputs), Refusal> {
        let bytes = self
            .roots
            .read_finished(&job.path, &job.identity, self.max_file_bytes)?;
        let hash = ContentHash::of(&bytes);
        let wanted = |encoder: &dyn Encoder| {
            let embedded = self.store.has_embedding(&hash, encoder.model());
            embedded.map(|embedded| !embedded).map_err(store)
        };
        let fresh = wanted(&*self.encoder)?;
        let next = match &self.next {
            Some(next) if wanted(&**next)? => Some(next),
            _ => None,
        };
        if !fresh && next.is_none() && self.cells.contains(&hash) {
            return Ok((hash, Inputs::default()));
        }
        let attempt = self.attempts.begin(&hash).map_err(Refusal::Crashes)?;
        let picture = decode::decode(&bytes, &self.limits)?;
        drop(bytes);
        if !self.cells.contains(&hash) {
            self.cells
                .put(&hash, &tile::prepare(&picture, &self.tile))
                .map_err(cell)?;
        }
        let inputs = Inputs {
            input: fresh.then(|| self.encoder.prepare(&picture)),
            next: next.map(|next| next.prepare(&picture)),
        };
        attempt.end();
        Ok((hash, inputs))
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
        let hashes: Vec<ContentHash> = group.iter().map(|decoded| decoded.hash).collect();
        let (inputs, next_inputs) = group
            .iter_mut()
            .map(|decoded| std::mem::take(&mut decoded.inputs))
            .map(|Inputs { input, next }| (input, next))
            .unzip();
        let embedded = embed(&*self.encoder, inputs);
        let next = match &self.next {
            Some(next) => embed(&**next, next_inputs),
            None => hashes.iter().map(|_| None).collect(),
        };
        let durable = self
            .cells
            .sync()
            .map_err(|error| Undurable::Cell(Arc::new(error)));
        let durable = durable
            .and_then(|()| self.make_durable(&*self.encoder, &hashes, &embedded))
            .and_then(|()| match &self.next {
                Some(encoder) => self.make_durable(&**encoder, &hashes, &next),
                None => Ok(()),
            });
        let outcome = |(decoded, (embedded, next)): (Decoded, (Embedded, Embedded))| {
            let fresh = embedded.is_some();
            let result = match (embedded, &durable) {
                (Some(Err(error)), _) => Err(Refusal::Encode(error)),
                (_, Err(Undurable::Store(error))) => Err(Refusal::Store(error.clone())),
                (_, Err(Undurable::Cell(error))) => Err(Refusal::Cell(error.clone())),
                (_, Ok(())) => Ok(decoded.hash),
            };
            Outcome {
                job: decoded.job,
                embedded: result.is_ok() && fresh,
                result,
                next_error: next.and_then(Result::err).map(|error| error.to_string()),
            }
        };
        let answers = embedded.into_iter().zip(next);
        group.into_iter().zip(answers).map(outcome).collect()
    }

    fn make_durable(
        &self,
        encoder: &dyn Encoder,
        hashes: &[ContentHash],
        embedded: &[Embedded],
    ) -> Result<(), Undurable> {
        let good = |(hash, embedded): (&ContentHash, &Embedded)| match embedded {
            Some(Ok(vector)) => Some((*hash, vector.clone())),
            _ => None,
        };
        let fresh: Vec<_> = hashes.iter().zip(embedded).filter_map(good).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let stored = self.store.put_embeddings(encoder.model(), &fresh);
        stored.map_err(|error| Undurable::Store(Arc::new(error)))
    }
}

/// An embedding, or why there is none; `None` if none was wanted.
type Embedded = Option<Result<Vec<f32>, Arc<EncodeError>>>;

/// Embeds what there is to embed, in batches; a batch that fails fails whole.
fn embed(encoder: &dyn Encoder, inputs: Vec<Option<Vec<f32>>>) -> Vec<Embedded> {
    let mut answers: Vec<Embedded> = inputs.iter().map(|_| None).collect();
    let wanted: Vec<(usize, Vec<f32>)> = inputs
        .into_iter()
        .enumerate()
        .filter_map(|(i, input)| input.map(|input| (i, input)))
        .collect();
    let (places, inputs): (Vec<usize>, Vec<Vec<f32>>) = wanted.into_iter().unzip();
    let batch = encoder.max_batch().max(1);
    for (places, inputs) in places.chunks(batch).zip(inputs.chunks(batch)) {
        match encoder.encode(inputs) {
            Ok(vectors) => {
                for (&i, vector) in places.iter().zip(vectors) {
                    answers[i] = Some(Ok(vector));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for &i in places {
                    answers[i] = Some(Err(error.clone()));
                }
            }
        }
    }
    answers
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
