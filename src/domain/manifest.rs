//! `manifest.json` as types: what a reader (the viewer, a site, a script) learns about a generation.
//!
//! This file owns the schema alone; writing it is [`crate::publish`]'s.

use super::{ArtworkId, ContentHash, ModelId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// The schema's version; a reader refuses a higher major number.
pub const SCHEMA: u32 = 1;

/// One published state of the mosaic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Schema version, [`SCHEMA`].
    pub schema: u32,
    /// Counts up by one with every published change.
    pub generation: u64,
    /// When it was published, milliseconds since the Unix epoch.
    pub published_ms: u64,
    /// Name of the encoder whose embeddings sorted the works.
    pub model: String,
    /// Title of the page, from the configuration.
    pub title: String,
    /// The grid's size in cells and a cell's size in pixels.
    pub grid: GridSize,
    /// The single-file mosaic, its cell smaller near size limits; absent when it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mosaic: Option<MosaicFile>,
    /// The Deep Zoom pyramid; absent when it is switched off.
    pub pyramid: Option<Pyramid>,
    /// Background of letterboxes and of what is not drawn, `#rrggbb`.
    pub background: String,
    /// How a work fills its cell: `cover`, `letterbox` or `pre-crop`; absent before 0.2.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fit: String,
    /// What spare cells show: `blend`, colours of their neighbours, or `#rrggbb`; absent: the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<String>,
    /// Pattern of a link to an original (`{path}` is replaced, URL-encoded); absent when originals are not served.
    pub link: Option<String>,
    /// The watched folders, if there are several: every path begins with one's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<Folder>,
    /// Present where every work has a page of its own, `w/<id / 1000>/<id>.html`; the text changes whenever all pages change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_pages: Option<String>,
    /// Every artwork, ordered by id.
    pub works: Vec<Arc<Work>>,
    /// What moved since the generation before.
    pub moves: Moves,
    /// How far the works are from their homes; absent in an empty mosaic, and in manifests of version 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Quality of the arrangement; absent until it has been computed for some generation.
    pub quality: Option<Quality>,
    /// A small picture of this generation; absent when it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<MosaicFile>,
    /// The mosaic as a PNG; absent when it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub png: Option<MosaicFile>,
    /// The mosaic as a lossless WebP; absent when it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webp: Option<MosaicFile>,
    /// Parts of the mosaic that a word names, those with most works first; for readers to show, not to rely on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// Id of the model whose words regions may have; absent where no words are wanted or there is no text encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_by: Option<ModelId>,
    /// Everything besides the artworks that decides the pixels; a difference redraws all.
    #[serde(default)]
    pub render_key: String,
    /// Works shown as background because their prepared cell was missing when they were drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undrawn: Vec<ArtworkId>,
}

/// `latest.json`: tells a poller in a few bytes whether `manifest.json` is worth fetching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// Schema version, [`SCHEMA`].
    pub schema: u32,
    /// The manifest's generation.
    pub generation: u64,
    /// The manifest's time of publishing, milliseconds since the Unix epoch.
    pub published_ms: u64,
    /// The page's own file of this generation, see [`crate::publish`]; absent before version 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// What changed from the head before to this one, see [`crate::publish`]; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<String>,
}

/// The grid in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridSize {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
    /// Side of a cell in the pyramid's deepest level, pixels.
    pub cell_px: u32,
}

/// The mosaic as one image file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MosaicFile {
    /// File name below the output folder; its bytes never change. Generations that look the same share it.
    pub file: String,
    /// Side of a cell in this file, pixels.
    pub cell_px: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The generation that it shows, if not this one: `mosaic.every_s` lets it be older, by arrivals and moves alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// A Deep Zoom pyramid of content-addressed tiles: `t/<level>/<col>_<row>-<hash>.<format>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pyramid {
    /// Width of the deepest level, pixels.
    pub width: u32,
    /// Height of the deepest level, pixels.
    pub height: u32,
    /// Deep Zoom's `TileSize`, pixels.
    pub tile_size: u32,
    /// Deep Zoom's `Overlap`, pixels.
    pub overlap: u32,
    /// File-name extension of a tile.
    pub format: String,
    /// Lowest level kept: the deepest one that fits in a single tile.
    pub min_level: u32,
    /// Deepest level, `ceil(log2(max(width, height)))`.
    pub max_level: u32,
    /// Tile hashes per level from `min_level` to `max_level`, each row-major, 8 hexadecimal digits per tile, joined.
    pub levels: Vec<String>,
}

/// One artwork.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Number kept through rename and edit.
    pub id: ArtworkId,
    /// Path below the artwork folder, `/`-separated; bytes that are not UTF-8 are percent-encoded, as is `%` itself
    /// in such a path, and in one where it stands before two hexadecimal digits.
    pub path: String,
    /// Column, 0 at the left.
    pub col: u32,
    /// Row, 0 at the top.
    pub row: u32,
    /// Layout, first coordinate.
    pub x: f32,
    /// Layout, second coordinate.
    pub y: f32,
    /// BLAKE3 of the file.
    pub hash: ContentHash,
    /// File size, bytes.
    pub size: u64,
    /// When the artwork was first placed, milliseconds since the Unix epoch.
    pub added_ms: u64,
    /// Nearest artworks by embedding, nearest first.
    pub neighbours: Vec<ArtworkId>,
    /// Format of the file as found in its content: `png`, `jpeg`, ... as in `decode.formats`; absent for a work that was read
    /// by version 0.1 and not since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Title, where the owner gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who made it, where the owner said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// Where to read more of it: an `http(s)` or relative URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The whole work, large enough to look at; absent where that is switched off or not made yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<Rendition>,
    /// Further columns of `artworks.csv` by which visitors may filter: the work's value by the column's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// Extensions of names, by the format that they stand for.
const EXTENSIONS: [(&str, &[&str]); 9] = [
    ("png", &["png"]),
    ("jpeg", &["jpg", "jpeg", "jpe", "jfif"]),
    ("gif", &["gif"]),
    ("webp", &["webp"]),
    ("bmp", &["bmp", "dib"]),
    ("tiff", &["tif", "tiff"]),
    ("avif", &["avif"]),
    ("jxl", &["jxl"]),
    ("svg", &["svg"]),
];

impl Work {
    /// Whether the name's extension is one of its format, as far as that is known. A web server takes a file's type from its
    /// name, so no other file is ever linked.
    pub fn is_named_rightly(&self) -> bool {
        let extension = self.path.rsplit_once('.').map_or("", |(_, end)| end);
        let extension = extension.to_ascii_lowercase();
        EXTENSIONS.iter().any(|(format, extensions)| {
            extensions.contains(&extension.as_str())
                && self.format.as_ref().is_none_or(|found| found == format)
        })
    }
}

#[cfg(test)]
impl Work {
    /// A work for tests, of which nothing is known but this.
    pub(crate) fn sample(id: u64, path: &str, (col, row): (u32, u32)) -> Self {
        Self {
            id: ArtworkId(id),
            path: path.to_owned(),
            col,
            row,
            x: 0.0,
            y: 0.0,
            hash: ContentHash::of(&id.to_le_bytes()),
            size: 1,
            added_ms: 1_000 * id,
            neighbours: Vec::new(),
            format: None,
            title: None,
            artist: None,
            link: None,
            large: None,
            fields: BTreeMap::new(),
        }
    }
}

/// A work uncropped, as a JPEG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Path below the output folder; its bytes never change.
    pub file: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// One of several watched folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// First part of its works' paths.
    pub name: String,
    /// What visitors read.
    pub title: String,
}

/// A part of the mosaic where most works have a word in their names, or which a word of the vocabulary distinguishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The word: in lower case if it is from names, otherwise as the vocabulary writes it. No two regions of a manifest
    /// have the same one.
    pub name: String,
    /// Words of the vocabulary that fit the works there better than others, the best first, without the name; absent
    /// where only names are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Middle of the region, cells from the left edge of the grid.
    pub col: f32,
    /// Middle of the region, cells from the top edge of the grid.
    pub row: f32,
    /// About how far the region reaches from its middle, cells.
    pub radius: f32,
    /// Works there that have the word in their names; all works there if the name is of the vocabulary.
    pub works: u32,
    /// Whether the name is a word of the vocabulary that fits the works' pictures; absent if it is from their names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen: bool,
}

/// A word of the vocabulary with the works that it fits best, for the page's search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordWorks {
    /// The word or phrase.
    pub word: String,
    /// The works, the best first; none if it fits none.
    pub works: Vec<ArtworkId>,
}

/// What moved since the generation before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// Works that are new.
    pub added: u32,
    /// Works that are gone.
    pub removed: u32,
    /// Works placed before that were moved to another cell, not counting growth.
    pub moved: u32,
    /// Works that were pushed along by one cell because a row or column was inserted.
    pub grown: u32,
}

/// How far the works are from their homes, the cells where each was first at rest: the larger of the column and row
/// difference, not counting growth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Mean distance, cells.
    pub mean: f64,
    /// The distance that 95 % of the works do not exceed, cells.
    pub p95: u32,
}

/// Quality of an arrangement; a figure is absent where it is not defined (fewer than two works, for instance).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// The generation it was computed for.
    pub generation: u64,
    /// Distance preservation quality of the grid, p = 16 (Barthel et al. 2023), 1 is perfect.
    pub dpq16: Option<f64>,
    /// Trustworthiness of the 2-D layout, k = 15 (Venna & Kaski 2001), 1 is perfect.
    pub trustworthiness: Option<f64>,
}
