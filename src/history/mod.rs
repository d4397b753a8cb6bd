//! The mosaic's past: where each work was, generation by generation, which works it arrived next to, and near-twins.
//!
//! The door of the room, and pure: `publish` keeps the journal on disk and writes the feeds when the daemon asks for
//! it.
//!
//! | file | owns |
//! | --- | --- |
//! | `journal` | a line per generation, checksummed, bounded; [`Past`] is what the lines add up to |
//! | `feed` | arrivals with their neighbours, as Atom and as JSON Feed |
//! | `twins` | the same picture twice, in another encoding or size |
//!
//! Invariants: a journal holds numbers alone, never a name; a damaged or torn line loses only what it said; a work that
//! was erased appears in no line.

pub mod feed;
mod journal;
pub mod twins;

pub use journal::{CALL, Past};
