//! What an artwork shows: its picture, decoded, and its cell.
//!
//! The door of the room. `decode` turns bytes into a [`decode::Picture`] (guarded), `tile` turns a picture into the
//! square [`tile::Cell`] that the mosaic shows. Nothing here opens a file: bytes come in from `watch` and `embed`.

pub mod decode;
pub(crate) mod resize;
pub mod tile;

pub use crate::domain::{ArtworkId, ContentHash, FileIdentity, NotAHash};
