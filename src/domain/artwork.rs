//! An artwork that has a place in the mosaic.

use super::{ArtworkId, ContentHash, FileIdentity};
use std::path::PathBuf;

/// One placed artwork.
#[derive(Clone, Debug, PartialEq)]
pub struct Artwork {
    /// Number kept through rename and edit.
    pub id: ArtworkId,
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// Content.
    pub hash: ContentHash,
    /// What the file system said of the file when it was read.
    pub identity: FileIdentity,
    /// When it was first placed, milliseconds since the Unix epoch.
    pub added_ms: u64,
}

/// A placed artwork as a new plan has to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Path below the artwork folder.
    pub path: PathBuf,
    /// What the file system said of it.
    pub identity: FileIdentity,
    /// Its content.
    pub hash: ContentHash,
    /// Whether its embedding or its cell is missing, so that it must be read again.
    pub stale: bool,
    /// Whether the next model's embedding is missing.
    pub unshadowed: bool,
}
