//! Unit tests of reading files and making what they give durable.

use super::*;
use crate::{
    artwork::{
        cell::Fit,
        decode::{Picture, decode},
        large::LargeSpec,
    },
    decoding::{Decoder, Made, Overrun, Wanted, made::Floats},
    domain::{FileIdentity, ModelId},
    embed::Preparation,
    store::SledStore,
};
use crossbeam_channel::{Receiver, unbounded};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

const LARGE: LargeSpec = LargeSpec {
    px: 64,
    background: [0; 3],
};

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// An encoder that embeds a picture's width, and refuses inputs as told.
struct Fake {
    model: ModelId,
    /// Widths whose embedding is not finite.
    bad: Vec<u32>,
    /// Calls of `encode` wait here for each other; as many runs at a time as it wants.
    meeting: Option<Meeting>,
    /// The model whose embedding, [`KNOWN`], is stored for every picture; an input may begin with it.
    part: Option<ModelId>,
}

const KNOWN: f32 = 1_000.0;

/// Nobody leaves it before `wanted` have come.
struct Meeting {
    wanted: usize,
    come: Mutex<usize>,
    met: Condvar,
}

impl Meeting {
    fn attend(&self) {
        let mut come = self.come.lock().expect("no panic");
        *come += 1;
        self.met.notify_all();
        let waited = self
            .met
            .wait_timeout_while(come, PATIENCE, |come| *come < self.wanted);
        assert!(!waited.expect("no panic").1.timed_out(), "nobody else came");
    }
}

impl Encoder for Fake {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn name(&self) -> &str {
        "fake"
    }

    fn dims(&self) -> usize {
        2
    }

    fn max_batch(&self) -> usize {
        4
    }

    fn runs(&self) -> usize {
        self.meeting.as_ref().map_or(1, |meeting| meeting.wanted)
    }

    fn look_dims(&self) -> usize {
        1
    }

    fn begins_with(&self) -> Option<&ModelId> {
        self.part.as_ref()
    }

    fn preparation(&self) -> Preparation {
        Preparation::Descriptor
    }

    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        assert!(
            (1..=4).contains(&inputs.len()),
            "a batch of {}",
            inputs.len()
        );
        if let Some(meeting) = &self.meeting {
            meeting.attend();
        }
        let bad = |input: &Vec<f32>| self.bad.contains(&(input[0] as u32));
        match inputs.iter().position(bad) {
            Some(index) => Err(EncodeError::NotFinite { index }),
            None => Ok(inputs.iter().map(|_| vec![1.0, 0.0]).collect()),
        }
    }
}

/// Decodes here, where no process can be started: the input of an encoder is the picture's width.
#[derive(Clone, Default)]
struct Here {
    /// A picture wider than 100 waits for this; it takes more memory than a small one.
    gate: Option<Receiver<()>>,
    /// Pictures of this width are too much for the first so many decoders that get them.
    ends: Option<(u32, Arc<AtomicU32>)>,
}

impl Decoders for Here {
    fn decoder(&self, _: bool) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }
}

impl Decoder for Here {
    fn decode(
        &mut self,
        bytes: Vec<u8>,
        wanted: &Wanted,
        _: Allowance,
        reserve: &mut dyn FnMut(u64) -> bool,
        _: &AtomicBool,
    ) -> Result<Made, Failure> {
        let picture: Picture = decode(&bytes, &wanted.limits).expect("a picture");
        if let (101.., Some(gate)) = (picture.width, &self.gate) {
            if !reserve(100 << 20) {
                return Err(Failure::NoRoom);
            }
            gate.recv_timeout(PATIENCE).expect("the others went on");
        }
        if let Some((width, times)) = &self.ends
            && *width == picture.width
            && times
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
        {
            return Err(Overrun::Memory.into());
        }
        let mut made = Made::of(&picture, wanted);
        let width = Floats(vec![picture.width as f32]);
        made.inputs
            .iter_mut()
            .for_each(|input| *input = width.clone());
        Ok(made)
    }
}

/// Ingests one grey picture of each width, in order, on `threads` threads; `seen` is called at each outcome. What was said
/// to take long comes back.
fn ingest(fake: Fake, widths: &[u32], threads: usize, seen: impl FnMut(&Outcome)) -> Vec<Job> {
    ingest_by(Here::default(), fake, widths, threads, seen)
}

fn ingest_by(
    here: Here,
    fake: Fake,
    widths: &[u32],
    threads: usize,
    mut seen: impl FnMut(&Outcome),
) -> Vec<Job> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (root, state) = (folder.path().join("art"), folder.path().join("state"));
    fs::create_dir_all(&root).expect("writable");
    let cell = CellSpec {
        px: 16,
        fit: Fit::Cover,
        background: [0; 3],
    };
    let jobs: Vec<Job> = widths
        .iter()
        .map(|width| {
            let path = PathBuf::from(format!("{width}.png"));
            image::GrayImage::new(*width, 8)
                .save(root.join(&path))
                .expect("writable");
            let metadata = fs::metadata(root.join(&path)).expect("it is there");
            let identity = FileIdentity {
                dev: metadata.dev(),
                ino: metadata.ino(),
                size: metadata.size(),
                mtime_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
                ctime_ns: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
            };
            Job { path, identity }
        })
        .collect();
    let store = SledStore::open(&state).expect("a store").store;
    if let Some(model) = &fake.part {
        let known = jobs.iter().map(|job| {
            let bytes = fs::read(root.join(&job.path)).expect("it is there");
            (ContentHash::of(&bytes), vec![KNOWN])
        });
        let known: Vec<_> = known.collect();
        store.put_embeddings(model, &known).expect("writable");
    }
    let ingest = Ingest {
        roots: Roots::new([(PathBuf::new(), root)]),
        memory: Arc::new(Memory::default()),
        max_file_bytes: 1 << 20,
        limits: DecodeLimits::default(),
        encoder: Arc::new(fake),
        next: None,
        store: Arc::new(store),
        cells: Arc::new(CellStore::open(&state.join("cells"), &cell).expect("cells")),
        renditions: Arc::new(
            Renditions::open(&state.join("output"), LARGE).expect("an output folder"),
        ),
        decoders: Arc::new(here),
        allowance: Allowance {
            spare: 0,
            memory: 0,
            seconds: 0,
            most_seconds: 0,
        },
        overruns: Arc::new(Overruns::open(&state.join("overruns.json"), "")),
        underway: Arc::default(),
        cell,
        stop: Arc::default(),
    };
    let (send, outcomes) = unbounded();
    let (send_slow, slow) = unbounded();
    let (inbox, handles) = ingest
        .start(threads, move |progress| match progress {
            Reading::Slow(job) => drop(send_slow.send(job)),
            Reading::Ended(outcome) => drop(send.send(outcome)),
        })
        .expect("threads");
    jobs.into_iter().for_each(|job| inbox.send(job));
    for _ in widths {
        seen(&outcomes.recv_timeout(PATIENCE).expect("one outcome a job"));
    }
    drop(inbox);
    for handle in handles {
        handle.join().expect("no thread panicked");
    }
    assert!(outcomes.recv().is_err(), "one outcome a job");
    slow.iter().collect()
}

fn fake() -> Fake {
    Fake {
        model: ModelId("fake".into()),
        bad: Vec::new(),
        meeting: None,
        part: None,
    }
}

#[test]
fn a_picture_without_an_embedding_does_not_take_its_batch_with_it() {
    let widths: Vec<u32> = (1..40).collect();
    let bad = vec![3, 4, 7, 20];
    let fake = Fake {
        bad: bad.clone(),
        ..fake()
    };
    let mut refused = Vec::new();
    ingest(fake, &widths, 2, |outcome| match &outcome.result {
        Ok(_) => assert!(outcome.embedded.is_some()),
        Err(refusal) => {
            assert_eq!(refusal.retry, Retry::WhenChanged);
            let stem = outcome.job.path.file_stem().and_then(|stem| stem.to_str());
            refused.push(stem.and_then(|stem| stem.parse().ok()).unwrap_or(0));
        }
    });
    refused.sort_unstable();
    assert_eq!(refused, bad);
}

#[test]
fn what_is_stored_of_an_embedding_is_not_made_again() {
    let widths: Vec<u32> = (1..10).collect();
    let fake = Fake {
        // As first values of an input: what would be embedded without the stored part.
        bad: widths.clone(),
        part: Some(ModelId("part".into())),
        ..fake()
    };
    ingest(fake, &widths, 2, |outcome| {
        assert!(outcome.result.is_ok() && outcome.embedded.is_some());
    });
}

#[test]
fn an_encoder_is_run_as_often_at_a_time_as_it_says() {
    let meeting = Meeting {
        wanted: 3,
        come: Mutex::default(),
        met: Condvar::new(),
    };
    let fake = Fake {
        meeting: Some(meeting),
        ..fake()
    };
    let widths: Vec<u32> = (1..60).collect();
    ingest(fake, &widths, 2, |outcome| assert!(outcome.result.is_ok()));
}

#[test]
fn huge_pictures_hold_up_no_small_one() {
    // They come first, keep every thread that they may, and are not done before all others are.
    for threads in [1, 4] {
        let (open, gate) = unbounded();
        let here = Here {
            gate: Some(gate),
            ..Here::default()
        };
        let widths: Vec<u32> = (200..206).chain(1..60).collect();
        let mut done = 0;
        let slow = ingest_by(here, fake(), &widths, threads, |outcome| {
            assert!(outcome.result.is_ok());
            done += 1;
            if done == widths.len() - 6 {
                (0..6).for_each(|_| open.send(()).expect("the huge ones wait"));
            }
        });
        assert_eq!(slow, [], "nobody said that one takes long");
    }
}

#[test]
fn what_exceeds_its_limits_is_tried_twice_more_and_then_left_out() {
    for (times, good) in [(1, true), (2, true), (3, false)] {
        let here = Here {
            ends: Some((7, Arc::new(AtomicU32::new(times)))),
            ..Here::default()
        };
        let widths: Vec<u32> = (1..20).collect();
        let slow = ingest_by(here, fake(), &widths, 2, |outcome| {
            let is_seven = outcome.job.path == Path::new("7.png");
            assert_eq!(outcome.result.is_ok(), good || !is_seven);
            if let Err(refusal) = &outcome.result {
                assert_eq!(refusal.retry, Retry::WhenChanged);
                assert!(refusal.reason.contains("memory"), "{refusal:?}");
            }
        });
        let names = slow.iter().map(|job| job.path.display().to_string());
        let told = usize::min(2, times as usize);
        assert_eq!(names.collect::<Vec<_>>(), vec!["7.png"; told]);
    }
}
