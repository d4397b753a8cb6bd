//! The threads that read files and have them decoded.
//!
//! There are two lanes. Every file comes to the first one, where a picture may take little more time and memory than its
//! size justifies. A file that takes more, or whose worker ends, goes to the second lane: one thread, where it is decoded
//! once more, by a worker of its own, within the limits of the configuration. What fails there is left out and remembered.
//! So a stranger's thousand slow files delay each other, not everybody; and no good picture is lost because a worker was
//! killed for somebody else's memory.

use super::{Decoded, Ingest, IngestError, Inputs, cell, refusal, store};
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

/// Seconds that a small picture may take in the first lane.
const FIRST_SECONDS: u64 = 1;

/// Bytes that it may take there, more than its size justifies.
const FIRST_SPARE: u64 = 64 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    First,
    Second,
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
    /// Starts the threads of both lanes; they end when nobody sends jobs any more, and all are done.
    pub(super) fn start_lanes(
        &self,
        threads: usize,
        inbox: &Receiver<Job>,
        decoded: &Sender<Decoded>,
        deliver: &(impl Fn(Outcome) + Send + Clone + 'static),
    ) -> io::Result<Vec<thread::JoinHandle<()>>> {
        let (again, second) = unbounded::<Job>();
        let names = (0..threads).map(|i| format!("decode-{i}"));
        let first = names.map(|name| (name, inbox.clone(), Some(again.clone())));
        let all: Vec<_> = first
            .chain([("decode-again".to_owned(), second, None)])
            .collect();
        drop(again);
        let start = |(name, inbox, again): (String, Receiver<Job>, Option<Sender<Job>>)| {
            let (ingest, decoded, deliver) = (self.clone(), decoded.clone(), deliver.clone());
            let work = move || ingest.serve_lane(&inbox, again.as_ref(), &decoded, &deliver);
            thread::Builder::new().name(name).spawn(work)
        };
        all.into_iter().map(start).collect()
    }

    /// Serves one thread's jobs; those that are to be decoded once more go to `again`, in the first lane.
    fn serve_lane(
        &self,
        inbox: &Receiver<Job>,
        again: Option<&Sender<Job>>,
        decoded: &Sender<Decoded>,
        deliver: &impl Fn(Outcome),
    ) {
        let lane = again.map_or(Lane::Second, |_| Lane::First);
        let mut decoder = self.decoders.decoder();
        for job in inbox {
            if self.stop.load(Ordering::Relaxed) {
                continue;
            }
            self.underway.begin(&job.path);
            if lane == Lane::Second {
                decoder = self.decoders.decoder();
            }
            let result = self.decode(&job, &mut *decoder, lane);
            if let (Err(error), Some(again)) = (&result, again)
                && deserves_another(error)
            {
                tracing::debug!(path = %job.path.display(), error = %chain(error), "decoded once more");
                let _ = again.send(job);
                continue;
            }
            self.underway.end(&job.path);
            match result {
                Ok((hash, inputs)) => {
                    if decoded.send(Decoded { job, hash, inputs }).is_err() {
                        return;
                    }
                }
                Err(IngestError::Decoding(Failure::Stopped)) => {}
                Err(error) => deliver(Outcome {
                    result: Err(refusal(&job, &error)),
                    job,
                    embedded: None,
                    next_error: None,
                    render_error: None,
                }),
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
        let _file = self.memory.files.take(job.identity.size);
        let began = Instant::now();
        let bytes = self
            .roots
            .read_finished(&job.path, &job.identity, self.max_file_bytes)?;
        let hash = ContentHash::of(&bytes);
        let fresh = self.unembedded(&hash, Some(&self.encoder))?;
        let next = self.unembedded(&hash, self.next.as_ref())?;
        let celled = self.cells.contains(&hash);
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
        // The second lane must not take all that the first one needs.
        let most = match lane {
            Lane::First => u64::MAX,
            Lane::Second => self.memory.pixels.half(),
        };
        let mut share = None;
        let mut reserve = |bytes: u64| share = Some(self.memory.pixels.take(bytes.min(most)));
        let allowance = self.allowance(lane);
        let made = decoder.decode(bytes, &wanted, allowance, &mut reserve, &self.stop);
        drop(share);
        let trouble = match &made {
            Err(error @ Failure::NoWorker(_)) => Some(chain(error)),
            _ => None,
        };
        self.underway.set_trouble(trouble);
        let mut made = made.inspect_err(|error| {
            if let (Lane::Second, Failure::Overrun(overrun)) = (lane, error) {
                let reason = overrun.to_string();
                self.overruns.remember(&hash, &job.identity, &reason);
            }
        })?;
        if let Some(spec) = &wanted.cell {
            let nonsense = Failure::Overrun(Overrun::Crash(crate::decoding::Ending::Nonsense));
            let made = made.cell(spec).ok_or(nonsense)?;
            self.cells.put(&hash, &made).map_err(cell)?;
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
        match lane {
            Lane::First => Allowance {
                spare: FIRST_SPARE,
                seconds: FIRST_SECONDS.min(self.allowance.seconds),
                ..self.allowance
            },
            Lane::Second => self.allowance,
        }
    }
}

/// Whether a file that failed in the first lane is decoded once more.
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
