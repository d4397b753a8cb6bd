//! Decoding files from strangers, in processes that can do nothing else.
//!
//! The door of the room. A decoder may be made to take all memory, to compute for hours or to end its process, and no limit
//! within it can be complete. So mosaicd starts itself again as a worker (`mosaicd decode-worker`), gives it the bytes of
//! one file after the other, and gets back what was made of the picture; raw pixels stay there. GNOME's glycin is the model.
//!
//! | file | owns |
//! | --- | --- |
//! | [`made`] | what is made of a decoded picture: the list |
//! | `message` | what parent and worker say to each other |
//! | `process` | the parent's side: starting, asking, ending, why a worker ended |
//! | [`worker`] | the worker's side |
//! | `confined` | what a worker may use: memory, time, system calls |
//!
//! Invariants: nothing of a file is parsed outside a worker; a worker that ends, for whatever reason, costs the file that it
//! had and no other; a worker opens no file and no connection; it ends when mosaicd does.

mod confined;
pub mod made;
mod message;
mod process;
pub mod worker;

pub use made::{Made, Wanted};
pub use process::{ALLOCATOR, Processes, decode_once, longest};

use serde::{Deserialize, Serialize};
use std::{io, sync::atomic::AtomicBool};

/// What decoding one file may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Bytes of memory in addition to those that the file and the size of its picture justify.
    pub spare: u64,
    /// Most bytes in all.
    pub memory: u64,
    /// Seconds of a processor in addition to those that the size of the picture justifies.
    pub seconds: u64,
    /// Most seconds in all.
    pub most_seconds: u64,
}

/// Pictures that take up to so many bytes are decoded without asking whether there is room: one of a megapixel.
const UNASKED: u64 = 16 << 20;
/// Pixels that the slowest decoder gets through in a second of a slow processor.
const PIXELS_PER_SECOND: u64 = 5_000_000;

impl Allowance {
    /// Bytes for a file of `file` bytes whose picture takes `needs` by its header.
    fn bytes(&self, file: u64, needs: u64) -> u64 {
        let needs = needs.max(UNASKED);
        let justified = file.saturating_add(needs).saturating_add(needs / 4);
        self.spare.saturating_add(justified).min(self.memory)
    }

    /// Seconds of a processor for a picture of so many pixels.
    fn seconds(&self, pixels: u64) -> u64 {
        (self.seconds + pixels / PIXELS_PER_SECOND).min(self.most_seconds)
    }
}

/// Something that decodes files, one at a time.
pub trait Decoder: Send {
    /// Decodes the content of a file and makes of it what is wanted.
    ///
    /// `reserve` is asked before a picture is decoded that takes many bytes, and waits until they may be used, or says that
    /// they may not: [`Failure::NoRoom`]. Soon after `stop` is set, decoding ends.
    fn decode(
        &mut self,
        bytes: Vec<u8>,
        wanted: &Wanted,
        allowance: Allowance,
        reserve: &mut dyn FnMut(u64) -> bool,
        stop: &AtomicBool,
    ) -> Result<Made, Failure>;
}

/// Where decoders come from: each thread that decodes has one of its own.
pub trait Decoders: Send + Sync {
    /// A decoder; `last`: one that lets everybody else go first.
    fn decoder(&self, last: bool) -> Box<dyn Decoder>;
}

/// Nothing was made of a file.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is no picture that is decoded.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Decoding it exceeded a limit, or ended the worker.
    #[error(transparent)]
    Overrun(#[from] Overrun),
    /// No worker can be started or asked: not the file's fault.
    #[error("no process can be started that decodes it")]
    NoWorker(#[source] io::Error),
    /// It takes more memory than could be reserved; nothing was decoded.
    #[error("no memory is left for it")]
    NoRoom,
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
}

/// What speaks against a file, in words for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Why.
    pub reason: String,
    /// What kind of reason that is.
    pub kind: Kind,
    /// A decoder's own words, for the log.
    pub detail: Option<String>,
}

/// Kinds of [`Refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It has no bytes: it may not be complete yet, and need not be a picture.
    Empty,
    /// It may be no picture at all, or of a kind that mosaicd does not know.
    NoPicture,
    /// It may not be complete yet.
    Truncated,
    /// It needs more memory than there is for it.
    Memory,
    /// Everything else.
    Other,
}

/// How decoding a file went beyond what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overrun {
    /// It wanted more memory.
    #[error(
        "decoding it takes more memory than a picture of its size should, or than decode.memory_mb allows; save it again as \
         PNG or JPEG"
    )]
    Memory,
    /// It took longer.
    #[error(
        "decoding it takes longer than the {seconds} s that decode.seconds allows; save it again as PNG or JPEG"
    )]
    Time {
        /// The limit.
        seconds: u64,
    },
    /// The worker ended.
    #[error("decoding it crashed ({0}); save it again as PNG or JPEG")]
    Crash(Ending),
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By a signal.
    Signal(i32),
    /// With an exit code.
    Code(i32),
    /// It lives, or lived, and answered nonsense.
    Nonsense,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signal(9) => write!(f, "the decoding process was killed"),
            Self::Signal(signal) => write!(f, "the decoding process ended by signal {signal}"),
            Self::Code(code) => write!(f, "the decoding process ended with code {code}"),
            Self::Nonsense => write!(f, "the decoding process gave no answer that makes sense"),
        }
    }
}
