//! The small files that belong to no generation: `status.json`, `metrics.prom`.
//!
//! They are replaced atomically but not made durable: the next one comes soon. Invariant: a note never takes a name
//! that a generation uses.

use super::{
    PublishError,
    files::Folder,
    names::{self, MosaicKind},
};
use std::path::Path;

/// Writes the small files that belong to no generation, from any thread.
pub struct Notes(Folder);

impl Notes {
    /// Opens the output folder.
    pub fn open(output: &Path) -> Result<Self, PublishError> {
        Folder::open(output, None).map(Self)
    }

    /// Replaces a file atomically, without making it durable. The name must be a plain one that no generation uses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        if !plain(name) {
            return Err(PublishError::ViewerName {
                name: name.to_owned(),
            });
        }
        self.0.replace(name, bytes)
    }
}

/// A name for the caller's own file in the output folder: a plain one that no generation uses.
pub(super) fn plain(name: &str) -> bool {
    let reserved = [
        names::MANIFEST,
        names::MANIFEST_JS,
        names::LATEST,
        names::LATEST_JS,
        names::DZI,
        names::DZI_TILES,
        names::TILES,
        names::LARGE,
        super::iiif::IIIF,
        names::PAGE,
        names::WORK_PAGES,
        super::history_files::JOURNAL,
        super::history_files::FEED_ATOM,
        super::history_files::FEED_JSON,
        super::history_files::TWINS,
    ];
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\0'])
        && !reserved.contains(&name)
        && MosaicKind::ALL.iter().all(|kind| kind.stable() != name)
        && names::parse_mosaic_file(name).is_none()
}
