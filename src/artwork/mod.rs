//! An artwork's picture, decoded, and its cell.
//!
//! The door of the room. `decode` turns bytes into a [`decode::Picture`] (guarded), `cell` turns a picture into the
//! square [`cell::Cell`] that the mosaic shows, `large` into the uncropped [`large::Large`] that visitors look at. Nothing
//! here opens a file: bytes come in from `watch` and `embed`.

pub mod cell;
pub mod decode;
pub mod large;
pub(crate) mod resize;

pub use crate::domain::{ArtworkId, ContentHash, FileIdentity, NotAHash};
