//! Publishing generations to the output folder.
//!
//! The door of the only room that writes, syncs, renames and deletes outputs. [`Publisher`] turns the works of a
//! generation and their prepared cells ([`CellStore`]) into files; `render` does the drawing.
//!
//! # Order of a generation
//! 1. tiles and the page's own files (`page`) under names that carry their content's hash, the preview and the single files
//!    (`mosaic.jpg` and the like) likewise, unless these may be older for a while (`lag`), everything else as temporary files in the target's folder;
//! 2. all of it made durable: a few files one by one, many by one `syncfs`;
//! 3. `manifest.json` renamed into place, the folder synced: from here on the generation is the published one;
//! 4. the works' own pages, `latest.json`, `manifest.js`, then the stable names (`mosaic.jpg`, `preview.jpg`, `mosaic_files/`, `mosaic.dzi`, the viewer),
//!    each by rename;
//! 5. [`Publisher::collect`] removes what no kept generation names.
//!
//! # Invariants
//! - Renditions of works ([`Renditions`]) belong to contents and are durable before a generation that names them begins.
//! - Whatever a manifest names exists, complete and synced, before the manifest does, and is never changed.
//! - A stop between any two steps leaves the old or the new generation published; the next publish heals the rest.
//! - Only files with one of our names ([`names`]) are deleted or replaced; a folder whose stable names belong to
//!   another program is refused.
//! - `manifest.js`, for pages opened straight from disk, is not flushed: if a crash tears it, the next start notices
//!   and writes it again.
//! - One process at a time publishes to a folder; a folder that was removed or replaced is made and filled again, and
//!   its numbers go on.
//! - Memory grows with the number of works (tens of bytes each, plus the manifest twice), not with the number of
//!   pixels, except for caches with a budget and the opt-in WebP file.

mod clock;
mod collect;
mod difference;
mod drawing;
mod files;
mod history_files;
mod iiif;
mod listing;
mod lock;
mod lossless;
pub mod manifest;
pub mod names;
mod notes;
mod page;
mod placement;
mod pointers;
mod publisher;
mod pyramid;
mod recover;
mod renditions;
mod spliced;
mod stable;
mod work_pages;

use crate::{
    artwork::cell::CellSpec,
    cells::{CellError, CellStore},
    domain::{ArtworkId, ContentHash, ModelId},
    render::jpeg::{BROWSER_MAX_SIDE, JpegError, JpegSpec},
};
use std::{fmt, io, path::PathBuf, sync::Arc};

pub use crate::disk::{Action, Failpoint, Step};
pub use collect::Collected;
pub use history_files::HistoryFiles;
pub use iiif::Iiif;
pub use listing::Was;
pub use notes::Notes;
pub use publisher::Publisher;
pub use renditions::{Changed, Renditions};

/// What to publish and how; fixed while a [`Publisher`] is open.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    /// Title of the page.
    pub title: String,
    /// Where visitors find the page; empty: unknown, and works have no pages of their own.
    pub url: String,
    /// Columns of `artworks.csv` that visitors may filter by.
    pub filters: Vec<String>,
    /// How cells are prepared; `px` must be a power of two from 16 to 1024.
    pub cell: CellSpec,
    /// How tiles and the mosaic are encoded.
    pub jpeg: JpegSpec,
    /// Whether to write `mosaic.jpg`, which every change writes again; the viewer needs it where there is no pyramid.
    pub mosaic: bool,
    /// How long the single files may show an older generation than the tiles, milliseconds; `None`: not at all up to
    /// 100,000 works, then a minute. What left the mosaic leaves them at once.
    pub lag_ms: Option<u64>,
    /// Whether to keep the Deep Zoom pyramid.
    pub pyramid: bool,
    /// Whether to write `mosaic.png` as well (up to 16,384 px; rewritten whole with every change).
    pub png: bool,
    /// Whether to write a lossless `mosaic.webp` as well (up to 16,383 px; held in memory while encoded).
    pub webp: bool,
    /// Whether to write `preview.jpg`, at most 2,048 px per side.
    pub preview: bool,
    /// Largest side of the single-file mosaic, pixels; its cell shrinks in steps of 16 px to stay within.
    pub max_side: u32,
    /// What spare cells show; `None`: the background.
    pub spare: Option<Spare>,
    /// The watched folders and their titles, if there are several.
    pub folders: Vec<manifest::Folder>,
    /// Pattern of a link to an original; `None` when originals are not served.
    pub link: Option<String>,
    /// How long a file stays after the last generation that names it, milliseconds.
    pub grace_ms: u64,
    /// Generations whose files stay in any case, the published one included; at least 2 are kept.
    pub keep: u64,
    /// The viewer's files: plain names and contents, written when they differ.
    pub viewer: Vec<(String, Vec<u8>)>,
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self {
            title: "Mosaic".to_owned(),
            url: String::new(),
            filters: Vec::new(),
            cell: CellSpec {
                px: 128,
                fit: Default::default(),
                background: [0x11; 3],
            },
            jpeg: JpegSpec::default(),
            mosaic: true,
            lag_ms: None,
            pyramid: true,
            png: false,
            webp: false,
            preview: true,
            max_side: BROWSER_MAX_SIDE,
            spare: None,
            folders: Vec::new(),
            link: None,
            grace_ms: 600_000,
            keep: 2,
            viewer: Vec::new(),
        }
    }
}

impl OutputSpec {
    /// The colour of what is not drawn.
    fn ground(&self) -> [u8; 3] {
        match self.spare {
            Some(Spare::Colour(colour)) => colour,
            Some(Spare::Blend) | None => self.cell.background,
        }
    }
}

/// What spare cells show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spare {
    /// The colours of their neighbours' edges.
    Blend,
    /// This colour.
    Colour([u8; 3]),
}

impl fmt::Display for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blend => f.write_str("blend"),
            Self::Colour([r, g, b]) => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

/// The state to publish.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    /// Every artwork with its cell, in any order. One that is shared with the published manifest is known to be as it was.
    pub works: Vec<Arc<manifest::Work>>,
    /// Columns of the grid; an empty collection is drawn as one spare cell.
    pub cols: u32,
    /// Rows of the grid.
    pub rows: u32,
    /// What moved since the generation before.
    pub moves: manifest::Moves,
    /// How far the works are from their homes, if they have any.
    pub drift: Option<manifest::Drift>,
    /// Name of the encoder whose embeddings sorted the works.
    pub model: String,
    /// Id of that encoder, if regions may have words; words that another model found are dropped.
    pub words_by: Option<ModelId>,
}

/// What a publish did.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Number of the published generation.
    pub generation: u64,
    /// Whether it is a new one; an unchanged state is not published again.
    pub changed: bool,
    /// Cells drawn.
    pub cells_drawn: usize,
    /// Pyramid tiles written.
    pub tiles_written: usize,
    /// Bytes written.
    pub bytes: u64,
    /// Works whose prepared cell was missing or damaged: they are shown as background, and drawn by the first
    /// publish that finds their cell.
    pub missing: Vec<ContentHash>,
    /// Works that are new, gone, or changed in more than their points on the map.
    pub touched: Vec<ArtworkId>,
    /// In how many milliseconds the next publish is needed at the latest, because the single files show an older generation.
    pub due_ms: Option<u64>,
    /// Time per step.
    pub elapsed: Elapsed,
}

/// Wall-clock time per step, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elapsed {
    /// Comparing with the generation before.
    pub compare_ms: f64,
    /// Drawing and writing pyramid tiles.
    pub tiles_ms: f64,
    /// Drawing the preview and the single files.
    pub mosaic_ms: f64,
    /// Serialising the manifest and staging the small files.
    pub stage_ms: f64,
    /// Making it all durable.
    pub sync_ms: f64,
    /// Renaming the manifest and syncing its folder.
    pub manifest_ms: f64,
    /// Re-pointing the stable names.
    pub stable_ms: f64,
    /// Everything.
    pub total_ms: f64,
}

/// Why nothing (or not everything) was published. The last good generation stays published in every case.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The file system refused: full, read-only, failing.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: Action,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that another program wrote under one of our names, in a folder that we never published to.
    #[error("{} exists and was not written by mosaicd: choose another output folder, or move it away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process publishes to the folder.
    #[error("another mosaicd publishes to {} ({holder}): stop it, or choose another output folder", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
        /// Who it is.
        holder: String,
    },
    /// A newer mosaicd wrote this folder.
    #[error("{} has schema {found}, this mosaicd knows {}", path.display(), manifest::SCHEMA)]
    NewerSchema {
        /// The manifest.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
    /// A cell size that the pyramid or the splice cannot have.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// A viewer file whose name is not a plain file name, or is one that a generation uses.
    #[error("not a name for a viewer file: {name:?}")]
    ViewerName {
        /// The name.
        name: String,
    },
    /// More cells than a JPEG can hold at 16 px each.
    #[error("a grid of {cols} × {rows} cells does not fit a single-file mosaic")]
    GridTooLarge {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
    },
    /// A work outside the grid.
    #[error("artwork {} is placed at ({col}, {row}), outside the grid", id.0)]
    OutsideGrid {
        /// The work.
        id: ArtworkId,
        /// Its column.
        col: u32,
        /// Its row.
        row: u32,
    },
    /// Two works in one cell.
    #[error("artworks {} and {} share a cell", first.0, second.0)]
    SharedCell {
        /// One of them.
        first: ArtworkId,
        /// The other.
        second: ArtworkId,
    },
    /// One id twice.
    #[error("artwork {} is listed twice", id.0)]
    DuplicateId {
        /// The id.
        id: ArtworkId,
    },
    /// Encoding failed.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    /// A PNG or WebP could not be encoded.
    #[error("cannot encode {}: {source}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The manifest could not be serialised.
    #[error("cannot serialise the manifest: {0}")]
    Manifest(#[from] serde_json::Error),
}
