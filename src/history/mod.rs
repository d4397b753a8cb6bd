//! The mosaic's past: where each work was, generation by generation, next to whom each arrived, and near-twins.
//!
//! The door of the room, and pure: `publish` keeps the journal on disk and writes the feeds, the daemon says when.
//!
//! | file | owns |
//! | --- | --- |
//! | `journal` | a line a generation, checksummed, bounded; [`Past`] is what the lines add up to |
//! | `feed` | arrivals with their neighbours, as Atom and as JSON Feed |
//! | `twins` | the same picture twice, in another encoding or size |
//!
//! Invariants: a journal holds numbers alone, never a name; a damaged or torn line costs what it said and no more; a
//! work that is forgotten is in no line.

pub mod feed;
mod journal;
pub mod twins;

pub use journal::{CALL, Past};
