//! The types that the rooms exchange, as plain data.
//!
//! The bottom room: it imports no other room, and holds no file, clock, thread or database. Decisions about them are
//! pure too, and are made in `plan` (what to do next), `rebuild` (which work moves where) and `history` (what is
//! recorded).
//!
//! | file | owns |
//! | --- | --- |
//! | `ids` | [`ContentHash`], [`ArtworkId`], [`ModelId`] |
//! | `file` | a file's [`FileIdentity`]; a [`Job`] (read it), its [`Outcome`], why it is refused and when it is tried again |
//! | `scan` | what a [`Scan`] saw, and what it skipped |
//! | `artwork` | a placed [`Artwork`] |
//! | `task` | a [`Task`] that changes the mosaic, and its [`Report`] |
//! | [`manifest`] | what readers learn of a generation |

mod artwork;
mod file;
mod ids;
pub mod manifest;
mod scan;
mod task;

pub use artwork::{Artwork, Known};
pub use file::{FileIdentity, Job, Outcome, Refusal, Retry, Touch, chain};
pub use ids::{ArtworkId, ContentHash, ModelId, NotAHash};
pub use scan::{OptedOut, RootId, Scan, SkipReason, SystemError};
pub use task::{Rebuilt, Report, Task};
