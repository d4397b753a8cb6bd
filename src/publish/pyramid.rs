//! Drawing the tiles of a generation and writing those that changed.
//!
//! A tile is drawn from its cells' mips and written under a name that carries its hash. Where some of its cells
//! changed, those are drawn and the rest is copied from the published file, which its hash proves sound; a tile none of
//! whose cells changed keeps its file. `render::pyramid` decides where tiles are.
//!
//! Invariant: the tiles of a changed generation are those of one drawn from scratch.

use super::{PublishError, drawing::Artist, files::Folder, manifest, names};
use crate::render::{
    jpeg::{Frame, JpegError, encode_image},
    mips::halve,
    patch::{block_rect, encode_block, encode_tile, patch, tile_frame},
    pyramid::{Level, OVERLAP, Pyramid, Rect, TILE_SIZE},
    tile::Raster,
};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// The tiles of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    pub(super) pyramid: Pyramid,
    /// Hashes per kept level from the lowest, row-major; `None` for a tile that must be drawn again.
    pub(super) levels: Vec<Vec<Option<u32>>>,
}

impl Tiles {
    /// Reads the hashes from a manifest; `None` if they do not fit the grid.
    pub(super) fn parse(listed: &manifest::Pyramid, grid: manifest::GridSize) -> Option<Self> {
        let pyramid = Pyramid::new(grid.cols, grid.rows, grid.cell_px)?;
        let shape = (listed.tile_size, listed.overlap, listed.format.as_str());
        let bounds = (listed.min_level, listed.max_level);
        if shape != (TILE_SIZE, OVERLAP, names::TILE_FORMAT)
            || bounds != (pyramid.min_level(), pyramid.max_level)
            || listed.levels.len() != pyramid.levels().count()
        {
            return None;
        }
        let parse = |(level, text): (Level, &String)| {
            let digits = text.as_bytes();
            if digits.len() != 8 * level.tiles() {
                return None;
            }
            let hash = |digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u32::from_str_radix(digits, 16).ok().map(Some)
            };
            digits.chunks(8).map(hash).collect::<Option<Vec<_>>>()
        };
        let levels = pyramid
            .levels()
            .zip(&listed.levels)
            .map(parse)
            .collect::<Option<Vec<_>>>()?;
        Some(Self { pyramid, levels })
    }

    /// What a manifest says about these tiles.
    pub(super) fn listed(&self) -> manifest::Pyramid {
        let text = |hashes: &Vec<Option<u32>>| {
            let hash = |hash: &Option<u32>| format!("{:08x}", hash.unwrap_or(0));
            hashes.iter().map(hash).collect()
        };
        manifest::Pyramid {
            width: self.pyramid.width,
            height: self.pyramid.height,
            tile_size: TILE_SIZE,
            overlap: OVERLAP,
            format: names::TILE_FORMAT.to_owned(),
            min_level: self.pyramid.min_level(),
            max_level: self.pyramid.max_level,
            levels: self.levels.iter().map(text).collect(),
        }
    }

    /// Hash of a tile by level number, column, row.
    pub(super) fn hash(&self, number: u32, col: u32, row: u32) -> Option<u32> {
        let level = number.checked_sub(self.pyramid.min_level())?;
        let hashes = self.levels.get(level as usize)?;
        let shape = self.pyramid.level(number);
        if col >= shape.cols {
            return None;
        }
        hashes
            .get(row as usize * shape.cols as usize + col as usize)
            .copied()
            .flatten()
    }

    /// All tiles: level number, column, row, hash.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, u32, u32, u32)> + '_ {
        let levels = self.pyramid.levels().zip(&self.levels);
        levels.flat_map(|(level, hashes)| {
            hashes.iter().enumerate().filter_map(move |(i, hash)| {
                let (col, row) = (i as u32 % level.cols, i as u32 / level.cols);
                hash.map(|hash| (level.number, col, row, hash))
            })
        })
    }

    /// Whether every tile has a file.
    pub(super) fn complete(&self) -> bool {
        self.levels.iter().flatten().all(Option::is_some)
    }

    /// Tiles of `self` that `other` does not have at the same place.
    pub(super) fn not_in<'a>(
        &'a self,
        other: Option<&'a Self>,
    ) -> impl Iterator<Item = (u32, u32, u32, u32)> + 'a {
        self.all().filter(move |&(number, col, row, hash)| {
            other.and_then(|tiles| tiles.hash(number, col, row)) != Some(hash)
        })
    }
}

/// Draws the tiles that differ from `old` and writes them. Returns how many were written.
pub(super) fn draw(
    folder: &Folder,
    artist: &Artist<'_>,
    pyramid: &Pyramid,
    changed: &[(u32, u32)],
    old: Option<&Tiles>,
) -> Result<(Tiles, usize), PublishError> {
    let mut levels = Vec::new();
    let mut stale = Vec::new();
    for (at, level) in pyramid.levels().enumerate() {
        let mut dirty = level.dirty(changed);
        let mut hashes = Vec::with_capacity(level.tiles());
        for i in 0..level.tiles() {
            let (col, row) = (i as u32 % level.cols, i as u32 / level.cols);
            let before = old.and_then(|old| standing(old, &level, col, row));
            let kept = match (dirty.contains_key(&i), &before) {
                (false, Some(before)) => keep(folder, before, &level, col, row)?,
                _ => None,
            };
            if kept.is_none() {
                let changed = dirty.remove(&i).unwrap_or_default();
                stale.push((
                    (at, i),
                    StaleTile {
                        level,
                        col,
                        row,
                        changed,
                        before,
                    },
                ));
            }
            hashes.push(kept);
        }
        levels.push(hashes);
    }
    let drawn = stale
        .par_iter()
        .map(|(at, tile)| {
            let bytes = tile.draw(folder, artist)?;
            let hash = names::hash(&bytes);
            let name = names::tile(tile.level.number, tile.col, tile.row, hash);
            Ok((*at, hash, folder.write_new(&name, &bytes)?))
        })
        .collect::<Result<Vec<_>, PublishError>>()?;
    let mut written = 0;
    for ((at, i), hash, new) in drawn {
        levels[at][i] = Some(hash);
        written += usize::from(new);
    }
    let tiles = Tiles {
        pyramid: pyramid.clone(),
        levels,
    };
    Ok((tiles, written))
}

/// A tile to draw.
struct StaleTile {
    level: Level,
    col: u32,
    row: u32,
    /// The cells that differ from those of `before`.
    changed: Vec<(u32, u32)>,
    before: Option<Standing>,
}

/// A published tile of the same place, size and scale.
struct Standing {
    /// Number of its level, which changes when the pyramid grows.
    number: u32,
    hash: u32,
}

impl StaleTile {
    /// The tile's bytes: the old tile's with the changed blocks replaced, or all drawn again.
    fn draw(&self, folder: &Folder, artist: &Artist<'_>) -> Result<Vec<u8>, PublishError> {
        let spec = artist.spec.jpeg;
        let rect = self.level.rect(self.col, self.row);
        let frame = tile_frame(&self.level, rect, spec)?;
        let blocks = self.blocks(&frame, rect);
        if !blocks.is_empty()
            && blocks.len() < frame.cols as usize * frame.rows as usize
            && let Some(old) = self.read(folder)
        {
            let fresh = |at| {
                let raster = artist.pixels(&self.level, block_rect(&frame, rect, at));
                Ok((at, encode_block(raster, &frame, spec)?))
            };
            let fresh = blocks
                .iter()
                .map(|&(row, col)| fresh((col, row)))
                .collect::<Result<Vec<_>, JpegError>>()?;
            if let Ok(bytes) = patch(&old, &frame, &fresh) {
                return Ok(bytes);
            }
        }
        let raster = artist.pixels(&self.level, rect);
        Ok(encode_tile(&raster, &frame, spec)?)
    }

    /// Row and column of the blocks that show a changed cell.
    fn blocks(&self, frame: &Frame, tile: Rect) -> BTreeSet<(u32, u32)> {
        let mut blocks = BTreeSet::new();
        for &(col, row) in &self.changed {
            let cell = self.level.cell_rect(col, row);
            let side = cell.width;
            let range = |cell: u32, tile: u32, limit: u32| {
                let last = (cell + side - 1).saturating_sub(tile) / frame.block_px;
                cell.saturating_sub(tile) / frame.block_px..(last + 1).min(limit)
            };
            for block_row in range(cell.y, tile.y, frame.rows) {
                let cols = range(cell.x, tile.x, frame.cols);
                blocks.extend(cols.map(|block_col| (block_row, block_col)));
            }
        }
        blocks
    }

    /// The published tile's bytes, if they match the hash in its name.
    fn read(&self, folder: &Folder) -> Option<Vec<u8>> {
        let Standing { number, hash } = *self.before.as_ref()?;
        read(folder, number, (self.col, self.row), hash)
    }
}

/// A published tile's bytes, if they match the hash in its name.
fn read(folder: &Folder, number: u32, (col, row): (u32, u32), hash: u32) -> Option<Vec<u8>> {
    let bytes = std::fs::read(folder.path(&names::tile(number, col, row, hash))).ok()?;
    (names::hash(&bytes) == hash).then_some(bytes)
}

/// The old tile of a place, if it has the same size and scale. When the pyramid has grown by a level, every level's
/// number rises by one.
fn standing(old: &Tiles, level: &Level, col: u32, row: u32) -> Option<Standing> {
    let number = old.pyramid.max_level.checked_sub(level.depth)?;
    let before = old.pyramid.level(number);
    if before.rect(col, row) != level.rect(col, row) || before.scale != level.scale {
        return None;
    }
    let hash = old.hash(number, col, row)?;
    Some(Standing { number, hash })
}

/// The hash of a published tile with the same pixels, if its file can be used for the new one: where the level has
/// another number, the file gets a second name.
fn keep(
    folder: &Folder,
    before: &Standing,
    level: &Level,
    col: u32,
    row: u32,
) -> Result<Option<u32>, PublishError> {
    let Standing { number, hash } = *before;
    if number != level.number {
        let from = names::tile(number, col, row, hash);
        let to = names::tile(level.number, col, row, hash);
        match folder.point(&from, &to) {
            Ok(()) => folder.include(&to),
            Err(PublishError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(hash))
}

/// Encodes the levels below the kept ones, which third-party viewers expect down to a single pixel. They are made of the
/// lowest kept one as it is published.
pub(super) fn low_levels(
    folder: &Folder,
    artist: &Artist<'_>,
    tiles: &Tiles,
) -> Result<Vec<(u32, Vec<u8>)>, PublishError> {
    let mut number = tiles.pyramid.min_level();
    let level = tiles.pyramid.level(number);
    let drawn = || artist.pixels(&level, level.rect(0, 0));
    let mut raster = published(folder, tiles, number).unwrap_or_else(drawn);
    let mut encoded = Vec::new();
    while number > 0 {
        number -= 1;
        raster = Raster {
            rgb: halve(&raster.rgb, raster.width, raster.height),
            width: raster.width.div_ceil(2),
            height: raster.height.div_ceil(2),
        };
        let bytes = encode_image(&raster.rgb, raster.width, raster.height, artist.spec.jpeg)?;
        encoded.push((number, bytes));
    }
    Ok(encoded)
}

/// A level of one tile, as that says; `None` if it cannot be read.
fn published(folder: &Folder, tiles: &Tiles, number: u32) -> Option<Raster> {
    let bytes = read(folder, number, (0, 0), tiles.hash(number, 0, 0)?)?;
    let picture = image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg).ok()?;
    let picture = picture.into_rgb8();
    Some(Raster {
        width: picture.width(),
        height: picture.height(),
        rgb: picture.into_raw(),
    })
}

/// The tiles that a folder holds, per level number: column, row, hash.
pub(super) type OnDisk = Vec<(u32, BTreeSet<(u32, u32, u32)>)>;

/// Lists the tiles that the folder holds.
pub(super) fn levels_on_disk(folder: &Folder) -> Result<OnDisk, PublishError> {
    let mut levels = Vec::new();
    for name in folder.list(names::TILES)? {
        if let Some(number) = names::parse_level(&name) {
            let files = folder.list(&format!("{}/{name}", names::TILES))?;
            levels.push((
                number,
                files.iter().filter_map(|n| names::parse_tile(n)).collect(),
            ));
        }
    }
    Ok(levels)
}
