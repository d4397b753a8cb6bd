//! An artwork's picture, decoded, and its cell.
//!
//! The door of the room. `decode` turns bytes into a [`decode::Picture`] (guarded), `cell` turns a picture into the
//! square [`cell::Cell`] that the mosaic shows. Nothing here opens a file: bytes come in from `watch` and `embed`.

pub mod cell;
pub mod decode;
pub(crate) mod resize;

pub use crate::domain::{ArtworkId, ContentHash, FileIdentity, NotAHash};
