//! Tiles as spliced JPEGs: a tile is encoded with restart intervals, so that a change of some of its blocks is an
//! encode of those blocks and a copy of the rest.
//!
//! It owns the shape of such tiles, their encode and their patch; `publish` provides the old tile's bytes. Blocks are
//! whole cells, or squares of several where cells are smaller (`BLOCK_PX`): a restart interval costs 4 to 6 bytes, so
//! much smaller blocks would make tiles larger, and much larger ones slower to patch.
//!
//! Invariant: a patched tile has the very bytes of a tile encoded whole from the same pixels.

use super::{
    jpeg::{Frame, JpegError, JpegSpec, Segment, encode_restarting, push_piece, scan_start},
    pyramid::{Level, Rect, Scale, TILE_SIZE},
    tile::Raster,
};
use crate::artwork::cell::Cell;
use std::ops::Range;

/// The least side of a block, pixels, unless a cut tile has room for whole MCUs only.
const BLOCK_PX: u32 = 64;

/// The shape of the tile `rect` of a level.
///
/// Blocks are the same for every tile of a level but those that the picture's edge cuts within a block.
pub fn tile_frame(level: &Level, rect: Rect, spec: JpegSpec) -> Result<Frame, JpegError> {
    let cell_px = match level.scale {
        Scale::CellPx(px) => px,
        Scale::CellsPerPixel(_) => 1,
    };
    let block_px = cell_px.clamp(BLOCK_PX, TILE_SIZE);
    let frame = |px| Frame::new(rect.width, rect.height, px, spec.subsampling);
    frame(block_px).or_else(|_| frame(spec.subsampling.mcu_px()))
}

/// Pixels of a block within its level, clipped to its tile.
pub fn block_rect(frame: &Frame, tile: Rect, (col, row): (u32, u32)) -> Rect {
    let (x, y) = (col * frame.block_px, row * frame.block_px);
    Rect {
        x: tile.x + x,
        y: tile.y + y,
        width: frame.block_px.min(tile.width.saturating_sub(x)),
        height: frame.block_px.min(tile.height.saturating_sub(y)),
    }
}

/// Encodes a tile whole.
pub fn encode_tile(raster: &Raster, frame: &Frame, spec: JpegSpec) -> Result<Vec<u8>, JpegError> {
    if (raster.width, raster.height) != (frame.width, frame.height) {
        let (width, height) = (raster.width, raster.height);
        return Err(JpegError::Size { width, height });
    }
    encode_restarting(&raster.rgb, frame, spec)
}

/// Encodes a block for [`patch`]; what the picture's edge cuts off repeats the last pixels, as in a whole encode.
pub fn encode_block(raster: Raster, frame: &Frame, spec: JpegSpec) -> Result<Segment, JpegError> {
    let px = frame.block_px;
    super::jpeg::encode_segment(
        &Cell {
            px,
            rgb: padded(raster, px),
        },
        spec,
    )
}

/// Replaces blocks of an encoded tile. `fresh` holds column, row and segment of each, ordered by row, then column.
///
/// Fails if `old` is not a tile of this shape.
pub fn patch(
    old: &[u8],
    frame: &Frame,
    fresh: &[((u32, u32), Segment)],
) -> Result<Vec<u8>, JpegError> {
    let start = scan_start(old)?;
    let per_block = frame.pieces_per_block();
    let mut pieces = Pieces {
        bytes: old,
        at: start,
    };
    let mut out = Vec::with_capacity(old.len() + old.len() / 8);
    out.extend_from_slice(&old[..start]);
    let mut index = 0;
    for mcu_row in 0..frame.mcu_rows() {
        let (row, within) = (mcu_row / per_block, (mcu_row % per_block) as usize);
        let from = fresh.partition_point(|((_, r), _)| *r < row);
        let mut fresh = fresh[from..].iter().take_while(|((_, r), _)| *r == row);
        let mut next = fresh.next();
        for col in 0..frame.cols {
            let kept = pieces.take(index, frame.intervals())?;
            let piece = match next {
                Some(((c, _), segment)) if *c == col => {
                    next = fresh.next();
                    segment.piece(within)
                }
                _ => &old[kept],
            };
            push_piece(&mut out, piece, index, frame.intervals());
            index += 1;
        }
    }
    match pieces.at == old.len() {
        true => Ok(out),
        false => Err(JpegError::Structure("bytes after the end")),
    }
}

/// The restart intervals of a scan, one after another.
struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Pieces<'_> {
    /// Where interval `index` of `intervals` lies, without its marker.
    fn take(&mut self, index: u64, intervals: u64) -> Result<Range<usize>, JpegError> {
        let wanted = match index + 1 == intervals {
            true => 0xD9,
            false => 0xD0 + (index % 8) as u8,
        };
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or(&[]);
            let skip = rest.iter().position(|&byte| byte == 0xFF);
            let end = self.at + skip.ok_or(JpegError::Structure("no end of image"))?;
            self.at = end + 2;
            match self.bytes.get(end + 1) {
                // Within entropy-coded data 0xFF is followed by 0.
                Some(0) => {}
                Some(&marker) if marker == wanted => return Ok(start..end),
                _ => return Err(JpegError::Structure("markers out of order")),
            }
        }
    }
}

/// A picture's pixels on a square of `px`, the last column and row repeated.
fn padded(raster: Raster, px: u32) -> Vec<u8> {
    if (raster.width, raster.height) == (px, px) || raster.rgb.is_empty() {
        return raster.rgb;
    }
    let (width, px) = (raster.width as usize * 3, px as usize);
    let mut rgb = Vec::with_capacity(px * px * 3);
    for line in raster.rgb.chunks_exact(width).take(px) {
        rgb.extend_from_slice(line);
        let last = [line[width - 3], line[width - 2], line[width - 1]];
        (width / 3..px).for_each(|_| rgb.extend_from_slice(&last));
    }
    while rgb.len() < px * px * 3 {
        rgb.extend_from_within(rgb.len() - px * 3..);
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::super::{jpeg::Subsampling, jpeg::encode_image, pyramid::Pyramid};
    use super::*;
    use proptest::prelude::*;

    /// A noisy picture of a tile; `seed` decides its blocks' colours.
    fn raster(rect: Rect, seed: &dyn Fn(u32, u32) -> u32) -> Raster {
        let mut rgb = Vec::new();
        for y in 0..rect.height {
            for x in 0..rect.width {
                let noise = (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761) >> 27;
                let value = seed(x, y).wrapping_mul(37) + noise * 3 + x;
                rgb.extend([value as u8, (value / 2) as u8, y as u8]);
            }
        }
        Raster {
            width: rect.width,
            height: rect.height,
            rgb,
        }
    }

    fn crop(whole: &Raster, tile: Rect, rect: Rect) -> Raster {
        let mut rgb = Vec::new();
        for y in rect.y - tile.y..rect.y - tile.y + rect.height {
            let from = ((y * whole.width + rect.x - tile.x) * 3) as usize;
            rgb.extend_from_slice(&whole.rgb[from..from + rect.width as usize * 3]);
        }
        Raster {
            width: rect.width,
            height: rect.height,
            rgb,
        }
    }

    fn decode(bytes: &[u8]) -> image::RgbImage {
        let picture = image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg);
        picture.expect("a readable JPEG").to_rgb8()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Tiles of every level, cut or whole, with any blocks changed.
        #[test]
        fn a_patched_tile_has_the_bytes_of_a_whole_encode(
            cols in 1u32..40, rows in 1u32..40, log in 4u32..10, level in 0u32..12, at in any::<u32>(),
            full in any::<bool>(), changed in any::<u64>(),
        ) {
            let spec = JpegSpec {
                quality: 85,
                subsampling: if full { Subsampling::S444 } else { Subsampling::S420 },
            };
            let pyramid = Pyramid::new(cols, rows, 1 << log).expect("a pyramid");
            let level = pyramid.level(pyramid.max_level - level.min(pyramid.max_level - pyramid.min_level()));
            let tile = level.rect(at % level.cols, at / 7 % level.rows);
            let frame = tile_frame(&level, tile, spec).expect("a frame");
            let dirty = |col: u32, row: u32| changed >> ((row * frame.cols + col) % 64) & 1 == 1;
            let before = raster(tile, &|_, _| 1);
            let after = raster(tile, &|x, y| {
                1 + u32::from(dirty(x / frame.block_px, y / frame.block_px))
            });
            let old = encode_tile(&before, &frame, spec).expect("a tile");
            let whole = encode_tile(&after, &frame, spec).expect("a tile");
            let blocks = (0..frame.rows).flat_map(|row| (0..frame.cols).map(move |col| (col, row)));
            let fresh: Vec<_> = blocks
                .filter(|&(col, row)| dirty(col, row))
                .map(|at| {
                    let block = crop(&after, tile, block_rect(&frame, tile, at));
                    (at, encode_block(block, &frame, spec).expect("a segment"))
                })
                .collect();
            prop_assert!(patch(&old, &frame, &fresh).expect("a patch") == whole);
            // The intervals change bytes, never pixels.
            let plain = encode_image(&after.rgb, tile.width, tile.height, spec).expect("an encode");
            prop_assert!(decode(&whole) == decode(&plain));
        }
    }

    #[test]
    fn what_is_no_tile_of_this_shape_is_refused() {
        let spec = JpegSpec::default();
        let level = Pyramid::new(4, 4, 64).expect("a pyramid").level(8);
        let tile = level.rect(0, 0);
        let frame = tile_frame(&level, tile, spec).expect("a frame");
        let bytes = encode_tile(&raster(tile, &|_, _| 5), &frame, spec).expect("a tile");
        assert!(patch(&bytes, &frame, &[]).is_ok_and(|same| same == bytes));
        assert!(patch(&bytes[..bytes.len() - 1], &frame, &[]).is_err());
        assert!(patch(&[&bytes[..], &[0]].concat(), &frame, &[]).is_err());
        assert!(patch(&bytes[1..], &frame, &[]).is_err());
        assert!(patch(b"", &frame, &[]).is_err());
        let other = Frame::new(256, 256, 32, spec.subsampling).expect("a frame");
        assert!(patch(&bytes, &other, &[]).is_err());
        assert!(encode_tile(&Raster::filled(8, 8, [0; 3]), &frame, spec).is_err());
    }
}
