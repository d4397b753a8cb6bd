//! One file on its way into the mosaic: its identity, what happens to it, and the result of reading it.

use super::ContentHash;
use serde::{Deserialize, Serialize};
use std::{error::Error, path::PathBuf, time::Duration};

/// What the file system says of a file; any difference means "look again".
///
/// `ctime_ns` is part of it because a modification time can be set at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Status-change time, nanoseconds since the epoch.
    pub ctime_ns: i64,
}

/// What an event says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Its times or permissions changed; this says nothing about writing.
    Attributes,
    /// It was just made: a link, or a file that somebody opened.
    Made,
    /// It is being written.
    Writing,
    /// It was closed after writing, or renamed to where it is.
    Closed,
}

/// A finished file that is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// What the file system said of it when it was found finished.
    pub identity: FileIdentity,
}

/// What became of a job.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// The content's hash, once its embedding and cell are durable.
    pub result: Result<ContentHash, Refusal>,
    /// How long reading, decoding and embedding took, without waiting; `None` if its content was embedded before.
    pub embedded: Option<Duration>,
    /// Why the next encoder could not embed it; the file gets its place all the same.
    pub next_error: Option<String>,
    /// Why its rendition could not be written; the file gets its place all the same.
    pub render_error: Option<String>,
}

/// Why a file is not in the mosaic, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When it is tried again.
    pub retry: Retry,
    /// The reason in words.
    pub reason: String,
}

/// When a refused file is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Look at the path again now: it changed or vanished while it was read.
    Look,
    /// After a back-off: the cause may pass without a change of the file.
    Later,
    /// Soon: the file is not to blame.
    Wait,
    /// When the file changes.
    WhenChanged,
    /// When the file changes; it is not a picture and does not claim to be one, so this is not a failure.
    NoPicture,
}

/// An error and its causes in one line, without saying anything twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
