//! The threads that read files and have them decoded.
//!
//! Files come to the first lane (`queue`), where a picture may take little more time and memory than its size justifies. One
//! of its threads takes small pictures alone, and waits for no memory. A file that takes more, or whose worker ends, goes to
//! the second lane, and from there to the last. Each of these has one thread, and decodes the file once more, in a worker of
//! its own that lets the others go first. The second lane gives it several seconds, the last one all that the configuration
//! allows. What fails there is left out and remembered. So a stranger's thousand slow files delay only each other; a good
//! picture that takes seconds does not wait behind those that take a minute; and none is lost because a worker was killed for
//! the memory of another one.

use super::{
    Decoded, Ingest, IngestError, Inputs, Reading, cell,
    memory::{Memory, Share},
    queue::Queue,
    refusal, store,
};
use crate::{
    decoding::{Allowance, Decoder, Failure, Kind, Overrun, Wanted},
    domain::{ContentHash, Job, Outcome, chain},
    embed::{Encoder, Preparation},
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// Seconds that a picture may take in the first lane and in the second, more than its size justifies.
const SECONDS: (u64, u64) = (1, 8);

/// Bytes that it may take in the first lane, more than its size justifies.
const FIRST_SPARE: u64 = 64 << 20;

/// Bytes that a small picture takes to decode at most: of 8 megapixels, and as JPEG of 25.
const SMALL: u64 = 96 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// The first, small pictures alone.
    Small,
    First,
    Second,
    Last,
}

impl Lane {
    /// Waits for a share of the files' memory: small pictures wait for nothing.
    fn file(self, memory: &Memory, bytes: u64) -> Option<Share<'_>> {
        (self != Self::Small).then(|| match self {
            // It must not take for long what the others need.
            Self::Last => memory.files.take(bytes.min(memory.files.total() / 2)),
            _ => memory.files.take(bytes),
        })
    }

    /// The same for a picture's.
    fn pixels(self, memory: &Memory, bytes: u64) -> Option<Share<'_>> {
        (self != Self::Small).then(|| match self {
            Self::Last if bytes <= memory.slow.total() => memory.slow.take(bytes),
            _ => memory.pixels.take(bytes),
        })
    }
}

/// Where a thread's jobs come from.
enum Inbox {
    Waiting(Arc<Queue>),
    Again(Receiver<Job>),
}

/// What an encoder needs of a picture.
struct Unembedded {
    /// What the picture's input begins with, because it is stored; may be empty.
    known: Vec<f32>,
    /// How the rest is made.
    preparation: Preparation,
}

impl Unembedded {
    fn complete(self, rest: Option<Vec<f32>>) -> Option<Vec<f32>> {
        let mut input = self.known;
        input.extend(rest?);
        Some(input)
    }
}

impl Ingest {
    /// Starts the threads of all lanes; they end when nobody sends jobs any more, and all are done.
    pub(super) fn start_lanes(
        &self,
        threads: usize,
        queue: &Arc<Queue>,
        decoded: &Sender<Decoded>,
        deliver: &(impl Fn(Reading) + Send + Clone + 'static),
    ) -> io::Result<Vec<thread::JoinHandle<()>>> {
        let ((to_second, second), (to_last, last)) = (unbounded::<Job>(), unbounded::<Job>());
        let waiting = || Inbox::Waiting(queue.clone());
        let first = (0..threads).map(|i| (format!("decode-{i}"), Lane::First));
        let first = first.chain([("decode-small".into(), Lane::Small)]);
        let all: Vec<_> = first
            .map(|(name, lane)| (name, lane, waiting(), Some(to_second.clone())))
            .chain([
                (
                    "decode-second".into(),
                    Lane::Second,
                    Inbox::Again(second),
                    Some(to_last),
                ),
                ("decode-last".into(), Lane::Last, Inbox::Again(last), None),
            ])
            .collect();
        drop(to_second);
        let start = |(name, lane, inbox, again): (String, Lane, Inbox, Option<Sender<Job>>)| {
            let (ingest, decoded, deliver) = (self.clone(), decoded.clone(), deliver.clone());
            let work = move || ingest.serve_lane(lane, &inbox, again.as_ref(), &decoded, &deliver);
            thread::Builder::new().name(name).spawn(work)
        };
        all.into_iter().map(start).collect()
    }

    /// Serves one thread's jobs; those that are to be decoded once more go to `again`.
    fn serve_lane(
        &self,
        lane: Lane,
        inbox: &Inbox,
        again: Option<&Sender<Job>>,
        decoded: &Sender<Decoded>,
        deliver: &impl Fn(Reading),
    ) {
        let slow = matches!(lane, Lane::Second | Lane::Last);
        let mut decoder = self.decoders.decoder(slow);
        let mut large = None;
        while let Some(job) = inbox.next(lane, large.take()) {
            if self.stop.load(Ordering::Relaxed) {
                continue;
            }
            self.underway.begin(&job.path);
            if slow {
                decoder = self.decoders.decoder(slow);
            }
            let result = self.decode(&job, &mut *decoder, lane);
            self.underway.end(&job.path);
            if matches!(result, Err(IngestError::Decoding(Failure::NoRoom))) {
                large = Some(job);
                continue;
            }
            if let (Err(error), Some(again)) = (&result, again)
                && deserves_another(error)
            {
                tracing::debug!(path = %job.path.display(), ?lane, error = %chain(error), "decoded once more");
                deliver(Reading::Slow(job.clone()));
                let _ = again.send(job);
                continue;
            }
            match result {
                Ok((hash, inputs)) => {
                    if decoded.send(Decoded { job, hash, inputs }).is_err() {
                        return;
                    }
                }
                Err(IngestError::Decoding(Failure::Stopped)) => {}
                Err(error) => deliver(Reading::Ended(Outcome {
                    result: Err(refusal(&job, &error)),
                    job,
                    embedded: None,
                    next_error: None,
                    render_error: None,
                })),
            }
        }
    }

    /// Reads a file and makes its cell and the encoders' inputs, each only if it is not there already.
    fn decode(
        &self,
        job: &Job,
        decoder: &mut dyn Decoder,
        lane: Lane,
    ) -> Result<(ContentHash, Inputs), IngestError> {
        if let Some(reason) = self.overruns.of_file(&job.identity) {
            return Err(IngestError::Overran(reason));
        }
        let _file = lane.file(&self.memory, job.identity.size);
        let began = Instant::now();
        let bytes = self
            .roots
            .read_finished(&job.path, &job.identity, self.max_file_bytes)?;
        let hash = ContentHash::of(&bytes);
        let fresh = self.unembedded(&hash, Some(&self.encoder))?;
        let next = self.unembedded(&hash, self.next.as_ref())?;
        // Version 0.1 did not keep the format: it is found again with the cell.
        let celled = self.cells.contains(&hash) && self.cells.format(&hash).is_some();
        let unrendered = self.renditions.wants(&hash);
        if fresh.is_none() && next.is_none() && celled && !unrendered {
            return Ok((hash, Inputs::default()));
        }
        if let Some(reason) = self.overruns.of_content(&hash, &job.identity) {
            return Err(IngestError::Overran(reason));
        }
        let wanted = Wanted {
            limits: self.limits,
            cell: (!celled).then_some(self.cell),
            large: unrendered.then_some(*self.renditions.spec()),
            inputs: [&fresh, &next]
                .into_iter()
                .flatten()
                .map(|wanted| wanted.preparation.clone())
                .collect(),
        };
        let mut share = None;
        let mut reserve = |bytes: u64| {
            share = lane.pixels(&self.memory, bytes);
            lane != Lane::Small || bytes <= SMALL
        };
        let allowance = self.allowance(lane);
        let made = decoder.decode(bytes, &wanted, allowance, &mut reserve, &self.stop);
        drop(share);
        let trouble = match &made {
            Err(error @ Failure::NoWorker(_)) => Some(chain(error)),
            _ => None,
        };
        self.underway.set_trouble(trouble);
        let mut made = made.inspect_err(|error| {
            if let (Lane::Last, Failure::Overrun(overrun)) = (lane, error) {
                let reason = overrun.to_string();
                self.overruns.remember(&hash, &job.identity, &reason);
            }
        })?;
        if let Some(spec) = &wanted.cell {
            let nonsense = Failure::Overrun(Overrun::Crash(crate::decoding::Ending::Nonsense));
            let (format, made_cell) = (made.format, made.cell(spec).ok_or(nonsense)?);
            self.cells.put(&hash, &made_cell, format).map_err(cell)?;
        }
        let rendered = match wanted.large.and_then(|spec| made.large(&spec)) {
            Some(large) => self.renditions.put(&hash, &large),
            None => Ok(()),
        };
        let mut inputs = made.inputs.into_iter().map(|input| input.0);
        Ok((
            hash,
            Inputs {
                unrendered: rendered.err().map(Arc::new),
                input: fresh.and_then(|wanted| wanted.complete(inputs.next())),
                next: next.and_then(|wanted| wanted.complete(inputs.next())),
                took: began.elapsed(),
            },
        ))
    }

    /// What an encoder needs of a picture; `None` if the store has its embedding.
    fn unembedded(
        &self,
        hash: &ContentHash,
        encoder: Option<&Arc<dyn Encoder>>,
    ) -> Result<Option<Unembedded>, IngestError> {
        let Some(encoder) = encoder else {
            return Ok(None);
        };
        if self
            .store
            .has_embedding(hash, encoder.model())
            .map_err(store)?
        {
            return Ok(None);
        }
        let known = match encoder.begins_with() {
            Some(model) => self.store.embedding(hash, model).map_err(store)?,
            None => None,
        };
        let known = known.filter(|known| known.len() + encoder.look_dims() == encoder.dims());
        Ok(Some(Unembedded {
            preparation: match &known {
                Some(_) => encoder.remainder(),
                None => encoder.preparation(),
            },
            known: known.unwrap_or_default(),
        }))
    }

    fn allowance(&self, lane: Lane) -> Allowance {
        let all = self.allowance;
        match lane {
            Lane::Small | Lane::First => Allowance {
                spare: FIRST_SPARE,
                seconds: SECONDS.0.min(all.seconds),
                ..all
            },
            Lane::Second => Allowance {
                seconds: SECONDS.1.min(all.seconds),
                ..all
            },
            Lane::Last => all,
        }
    }
}

impl Inbox {
    /// Waits for the next job of a thread; the one before turned out to be `large`.
    fn next(&self, lane: Lane, large: Option<Job>) -> Option<Job> {
        match self {
            Self::Waiting(queue) if lane == Lane::Small => queue.small(large),
            Self::Waiting(queue) => queue.oldest(),
            Self::Again(jobs) => jobs.recv().ok(),
        }
    }
}

/// Whether a file that failed in one lane is decoded once more, in the next.
fn deserves_another(error: &IngestError) -> bool {
    match error {
        IngestError::Decoding(Failure::Overrun(_)) => true,
        IngestError::Decoding(Failure::Refused(refused)) => refused.kind == Kind::Memory,
        _ => false,
    }
}

/// The longest that a file may take in one lane, when the processors are busy with other things.
pub fn longest(allowance: &Allowance) -> Duration {
    crate::decoding::longest(allowance.most_seconds)
}
