//! From a finished file to a durable embedding and a durable cell.
//!
//! It owns the threads: several that read and hash, and have a worker decode and prepare (`lanes`, `queue`); as many as the
//! encoder serves at a time that embed; one that makes the results durable. The queues between them are bounded, so that
//! memory is too; a picture that takes long to decode does not delay small ones. It decides nothing: `plan` chooses which
//! files are read and when, `pipeline` uses the results.
//!
//! Invariants: an [`Outcome`] with a hash is sent only after its embedding and its cell are durable; each [`Job`] has
//! exactly one outcome, unless it is told to stop; hash and pixels come from the same bytes; whatever a file does to the
//! process that decodes it (`decoding`) costs that file alone, and once (see [`Overruns`]).

use crate::{
    artwork::{cell::CellSpec, decode::DecodeLimits},
    cells::{CellError, CellStore},
    decoding::{Allowance, Decoders, Failure, Kind},
    domain::{ContentHash, Job, Outcome, Refusal, Retry, chain},
    embed::{EncodeError, Encoder},
    publish::{PublishError, Renditions},
    store::{Store, StoreError},
    watch::{ReadError, Roots},
};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

mod lanes;
mod memory;
mod overruns;
mod queue;
#[cfg(test)]
mod tests;
mod underway;
pub use lanes::longest;
pub use memory::Memory;
pub use overruns::Overruns;
pub use queue::Jobs;
pub use underway::Underway;

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
    pub cell: CellSpec,
    /// The encoder of the mosaic.
    pub encoder: Arc<dyn Encoder>,
    /// The encoder that is to take over: it embeds whatever is read, too.
    pub next: Option<Arc<dyn Encoder>>,
    /// Durable embeddings.
    pub store: Arc<dyn Store>,
    /// Durable cells.
    pub cells: Arc<CellStore>,
    /// Renditions in the output folder.
    pub renditions: Arc<Renditions>,
    /// Where files are decoded.
    pub decoders: Arc<dyn Decoders>,
    /// What decoding one file may use in all.
    pub allowance: Allowance,
    /// Files whose decoding went beyond that.
    pub overruns: Arc<Overruns>,
    /// Files that are being decoded.
    pub underway: Arc<Underway>,
    /// What all threads may hold together.
    pub memory: Arc<Memory>,
    /// Set when the jobs that are left are to be dropped.
    pub stop: Arc<AtomicBool>,
}

/// Why a file is not in the mosaic.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It could not be read whole.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing could be made of it.
    #[error(transparent)]
    Decoding(#[from] Failure),
    /// Decoding it went beyond its limits or crashed, now or before.
    #[error("{0}")]
    Overran(String),
    /// The encoder refused it.
    #[error(transparent)]
    Encode(Arc<EncodeError>),
    /// The embedding could not be made durable.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The cell could not be made durable.
    #[error(transparent)]
    Cell(Arc<CellError>),
}

impl IngestError {
    /// When the file is tried again.
    fn retry(&self) -> Retry {
        match self {
            Self::Read(ReadError::Changed | ReadError::Vanished) => Retry::Look,
            Self::Read(ReadError::TooLarge { .. }) => Retry::WhenChanged,
            Self::Read(ReadError::NotAFile) => Retry::WhenChanged,
            Self::Read(_) => Retry::Later,
            Self::Decoding(Failure::Refused(refused))
                if matches!(refused.kind, Kind::Empty | Kind::Truncated) =>
            {
                Retry::Later
            }
            Self::Decoding(Failure::NoWorker(_) | Failure::NoRoom | Failure::Stopped) => {
                Retry::Wait
            }
            // An encoder that failed as such (memory, a device) may work the next time.
            Self::Encode(error) if error.bad_input().is_none() => Retry::Later,
            Self::Decoding(_) | Self::Overran(_) | Self::Encode(_) => Retry::WhenChanged,
            Self::Store(_) | Self::Cell(_) => Retry::Wait,
        }
    }
}

/// Why the file of a job is not in the mosaic. A file that is not a picture and does not have a picture's name is not a
/// failure.
fn refusal(job: &Job, error: &IngestError) -> Refusal {
    let no_picture = match error {
        IngestError::Decoding(Failure::Refused(refused)) => {
            matches!(refused.kind, Kind::NoPicture | Kind::Empty)
        }
        IngestError::Read(error) => matches!(error, ReadError::TooLarge { .. }),
        _ => false,
    };
    Refusal {
        retry: match no_picture && !claims_to_be_a_picture(&job.path) {
            true => Retry::NoPicture,
            false => error.retry(),
        },
        reason: chain(error),
    }
}

/// Whether a file's name says that it is a picture, of a format that mosaicd decodes or any other.
fn claims_to_be_a_picture(path: &Path) -> bool {
    const EXTENSIONS: [&str; 44] = [
        "png", "apng", "jpg", "jpeg", "jpe", "jfif", "jif", "gif", "bmp", "dib", "tif", "tiff",
        "webp", "avif", "avifs", "heic", "heif", "jxl", "jp2", "jpx", "j2k", "svg", "svgz", "psd",
        "psb", "xcf", "kra", "ico", "cur", "tga", "exr", "hdr", "qoi", "dds", "ff", "pbm", "pgm",
        "ppm", "pnm", "pam", "pcx", "dng", "cr2", "nef",
    ];
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        let extension = extension.to_ascii_lowercase();
        EXTENSIONS.contains(&extension.as_str())
    })
}

/// What becomes of a [`Job`].
#[derive(Debug)]
pub enum Reading {
    /// It takes long: nobody should wait for it. Its outcome follows.
    Slow(Job),
    /// It has ended.
    Ended(Outcome),
}

struct Decoded {
    job: Job,
    hash: ContentHash,
    inputs: Inputs,
}

/// What the encoder and the next one are to embed; `None` if the store has the embedding already.
#[derive(Default)]
struct Inputs {
    /// Why there is no rendition though one was wanted.
    unrendered: Option<Arc<PublishError>>,
    input: Option<Vec<f32>>,
    next: Option<Vec<f32>>,
    /// How long it took to make them.
    took: Duration,
}

struct Encoded {
    job: Job,
    unrendered: Option<Arc<PublishError>>,
    hash: ContentHash,
    embedded: Embedded,
    next: Embedded,
    took: Duration,
}

/// An embedding, or why it could not be made; `None` if none was wanted.
type Embedded = Option<Result<Vec<f32>, Arc<EncodeError>>>;

impl Ingest {
    /// Starts the threads. They end when the returned [`Jobs`] are dropped and the last outcome was delivered.
    pub fn start(
        self,
        threads: usize,
        deliver: impl Fn(Reading) + Send + Clone + 'static,
    ) -> std::io::Result<(Jobs, Vec<thread::JoinHandle<()>>)> {
        let jobs = Jobs(Arc::default());
        let (decoded, to_encode) = bounded::<Decoded>(2 * self.encoder.max_batch().max(16));
        let mut handles = self.start_lanes(threads, &jobs.0, &decoded, &deliver)?;
        drop(decoded);
        // A thread of its own for what waits on the disk, so that the encoder need not.
        let groups = COMMIT.div_ceil(self.encoder.max_batch().clamp(1, COMMIT));
        let (encoded, to_commit) = bounded::<Vec<Encoded>>(groups);
        let next = self.next.as_ref().map_or(0, |next| next.runs());
        for i in 0..self.encoder.runs().max(next) {
            let (ingest, inbox, outbox) = (self.clone(), to_encode.clone(), encoded.clone());
            let encode = move || ingest.encode_all(&inbox, &outbox);
            handles.push(
                thread::Builder::new()
                    .name(format!("encode-{i}"))
                    .spawn(encode)?,
            );
        }
        drop(encoded);
        let commit = move || self.commit_all(&to_commit, &deliver);
        handles.push(thread::Builder::new().name("commit".into()).spawn(commit)?);
        Ok((jobs, handles))
    }

    /// Encodes what is waiting, in groups of at most one batch of new pictures.
    fn encode_all(&self, inbox: &Receiver<Decoded>, outbox: &Sender<Vec<Encoded>>) {
        let batch = self.encoder.max_batch().clamp(1, COMMIT);
        let is_fresh = |Decoded { inputs, .. }: &Decoded| {
            usize::from(inputs.input.is_some() || inputs.next.is_some())
        };
        while let Ok(first) = inbox.recv() {
            let mut fresh = is_fresh(&first);
            let mut group = vec![first];
            while fresh < batch
                && group.len() < COMMIT
                && let Ok(more) = inbox.try_recv()
            {
                fresh += is_fresh(&more);
                group.push(more);
            }
            if outbox.send(self.encode(group)).is_err() {
                return;
            }
        }
    }

    fn encode(&self, mut group: Vec<Decoded>) -> Vec<Encoded> {
        let (inputs, next_inputs): (Vec<_>, Vec<_>) = group
            .iter_mut()
            .map(|Decoded { inputs, .. }| (inputs.input.take(), inputs.next.take()))
            .unzip();
        let (fresh, began) = (inputs.iter().flatten().count(), Instant::now());
        let embedded = embed(&*self.encoder, inputs);
        let share = began.elapsed() / u32::try_from(fresh.max(1)).unwrap_or(u32::MAX);
        let next = match &self.next {
            Some(next) => embed(&**next, next_inputs),
            None => group.iter().map(|_| None).collect(),
        };
        let answers = embedded.into_iter().zip(next);
        let encoded = |(decoded, (embedded, next)): (Decoded, (Embedded, Embedded))| Encoded {
            unrendered: decoded.inputs.unrendered,
            job: decoded.job,
            hash: decoded.hash,
            embedded,
            next,
            took: decoded.inputs.took + share,
        };
        group.into_iter().zip(answers).map(encoded).collect()
    }

    /// Makes everything that is waiting durable, with one commit.
    fn commit_all(&self, inbox: &Receiver<Vec<Encoded>>, deliver: &impl Fn(Reading)) {
        while let Ok(mut group) = inbox.recv() {
            while group.len() < COMMIT
                && let Ok(more) = inbox.try_recv()
            {
                group.extend(more);
            }
            let outcomes = self.commit(group).into_iter();
            outcomes.map(Reading::Ended).for_each(deliver);
        }
    }

    fn commit(&self, group: Vec<Encoded>) -> Vec<Outcome> {
        let durable = self
            .cells
            .sync()
            .map_err(|error| Undurable::Cell(Arc::new(error)));
        let durable = durable
            .and_then(|()| self.make_durable(&*self.encoder, &group, |e| &e.embedded))
            .and_then(|()| match &self.next {
                Some(encoder) => self.make_durable(&**encoder, &group, |e| &e.next),
                None => Ok(()),
            });
        // Without its rendition a work gets its place all the same; it is made later.
        let rendered = self.renditions.sync().map_err(Arc::new);
        let outcome = |encoded: Encoded| {
            let fresh = encoded.embedded.is_some();
            let result = match (encoded.embedded, &durable) {
                (Some(Err(error)), _) => Err(IngestError::Encode(error)),
                (_, Err(Undurable::Store(error))) => Err(IngestError::Store(error.clone())),
                (_, Err(Undurable::Cell(error))) => Err(IngestError::Cell(error.clone())),
                (_, Ok(())) => Ok(encoded.hash),
            };
            let next_error = encoded.next.and_then(Result::err);
            let render_error = encoded.unrendered.or_else(|| rendered.clone().err());
            Outcome {
                embedded: (result.is_ok() && fresh).then_some(encoded.took),
                result: result.map_err(|error| refusal(&encoded.job, &error)),
                job: encoded.job,
                next_error: next_error.map(|error| error.to_string()),
                render_error: render_error.map(|error| error.to_string()),
            }
        };
        group.into_iter().map(outcome).collect()
    }

    fn make_durable(
        &self,
        encoder: &dyn Encoder,
        group: &[Encoded],
        embedded: impl Fn(&Encoded) -> &Embedded,
    ) -> Result<(), Undurable> {
        let good = |encoded: &Encoded| match embedded(encoded) {
            Some(Ok(vector)) => Some((encoded.hash, vector.clone())),
            _ => None,
        };
        let fresh: Vec<_> = group.iter().filter_map(good).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let stored = self.store.put_embeddings(encoder.model(), &fresh);
        stored.map_err(|error| Undurable::Store(Arc::new(error)))
    }
}

/// Embeds what there is to embed, in batches; an input that is itself at fault is refused without the others.
fn embed(encoder: &dyn Encoder, inputs: Vec<Option<Vec<f32>>>) -> Vec<Embedded> {
    let mut answers: Vec<Embedded> = inputs.iter().map(|_| None).collect();
    let wanted = inputs.into_iter().enumerate();
    let wanted = wanted.filter_map(|(i, input)| input.map(|input| (i, input)));
    let (mut places, mut inputs): (Vec<usize>, Vec<Vec<f32>>) = wanted.unzip();
    while !places.is_empty() {
        let batch = encoder.max_batch().clamp(1, places.len());
        match encoder.encode(&inputs[..batch]) {
            Ok(vectors) => {
                inputs.drain(..batch);
                for (i, vector) in places.drain(..batch).zip(vectors) {
                    answers[i] = Some(Ok(vector));
                }
            }
            Err(error) => {
                let bad = error.bad_input().filter(|&bad| bad < batch);
                let at_fault = bad.map_or(0..batch, |bad| bad..bad + 1);
                let error = Arc::new(error);
                inputs.drain(at_fault.clone());
                for i in places.drain(at_fault) {
                    answers[i] = Some(Err(error.clone()));
                }
            }
        }
    }
    answers
}

enum Undurable {
    Store(Arc<StoreError>),
    Cell(Arc<CellError>),
}

fn store(error: StoreError) -> IngestError {
    IngestError::Store(Arc::new(error))
}

fn cell(error: CellError) -> IngestError {
    IngestError::Cell(Arc::new(error))
}

/// The number of threads for a setting of 0: one per processor.
pub fn threads_or_all(setting: usize) -> usize {
    match setting {
        0 => thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    }
}
