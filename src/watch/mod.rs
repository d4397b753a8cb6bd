//! Noticing what is in the artwork folder and what happens there.
//!
//! The door of the room. The scan is the truth and the events only say when and where to scan: a [`Scan`] gives
//! every file's identity, a [`Watcher`] gives hints, `plan` says when a file has been quiet long enough, and
//! [`read_finished`] reads it only if it still is what the scan saw. [`Roots`] does the same for several folders at once.
//!
//! Invariants:
//! - Only `read` opens artworks, and nothing below the artwork folder is ever written.
//! - Opting out fails closed: an ignore file that cannot be read or has just changed leaves the last good one in force.
//! - Symbolic links are not followed, neither to folders nor to files.
//! - A folder that cannot be read is reported; its files are unknown, not gone.
//! - Bytes are handed on only if the file did not change while they were read.

mod book;
mod ignore;
mod level;
mod litter;
mod read;
mod root;
mod roots;
mod rules;
mod scan;
mod tables;
mod watcher;
mod watchers;
mod watches;

pub use crate::domain::{RootId, Scan, SkipReason, Touch};
pub use book::{Book, Trouble};
pub use ignore::{IGNORE_FILE, Ignore, IgnoreError, NOMEDIA_FILE};
pub use read::{ReadError, read_finished};
pub use root::{FsKind, fs_kind, root_id};
pub use roots::{DESCRIPTIONS_FILE, Roots};
pub use rules::Rules;
pub use scan::{ScanError, scan_subtree};
pub use watcher::{WatchError, WatchEvent, Watcher};
pub use watchers::Watchers;
pub use watches::can_watch;
