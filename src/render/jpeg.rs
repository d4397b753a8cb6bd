//! JPEGs made of independently encoded cells (ITU-T T.81, restart intervals).
//!
//! A restart marker resets the decoder's only state, the DC predictors. With a restart interval of one *cell-row of
//! MCUs* (a cell's width in MCUs), a cell encoded alone is a run of such intervals, one per MCU row: its *pieces*. A
//! mosaic's MCU row is then the cells' pieces in order, with the markers between them renumbered; nothing is decoded or
//! encoded again. All cells share the header, so the Huffman tables are the standard ones. (Optimised tables would
//! differ per cell, and jpeg-encoder would then write non-interleaved scans, which zune-jpeg 0.5.15 misreads.)
//!
//! Invariant: the spliced file's pixels equal those of a whole encode, bit for bit.

use crate::artwork::cell::Cell;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, EncodingError, SamplingFactor};
use serde::{Deserialize, Serialize};

/// The format's own limit on a side (T.81, B.2.2), pixels.
pub const JPEG_MAX_SIDE: u32 = 65_535;
/// The largest side that all of today's browsers show (Firefox 153: 16,384; Chromium 156: 23,170² by area), pixels.
pub const BROWSER_MAX_SIDE: u32 = 16_384;
/// The single-file mosaic's cell shrinks in steps of this many pixels: a whole MCU at either subsampling.
pub const CELL_STEP: u32 = 16;

/// How colour is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subsampling {
    /// 4:2:0: one chroma sample for 2 × 2 pixels, averaged; MCUs of 16 px.
    #[default]
    #[serde(rename = "4:2:0")]
    S420,
    /// 4:4:4: full chroma; MCUs of 8 px.
    #[serde(rename = "4:4:4")]
    S444,
}

impl Subsampling {
    /// Side of a minimum coded unit, pixels.
    pub fn mcu_px(self) -> u32 {
        match self {
            Self::S420 => 16,
            Self::S444 => 8,
        }
    }
}

/// How cells and tiles are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JpegSpec {
    /// 1 to 100 on the Independent JPEG Group's scale.
    pub quality: u8,
    /// Chroma subsampling.
    pub subsampling: Subsampling,
}

impl Default for JpegSpec {
    fn default() -> Self {
        Self {
            quality: 85,
            subsampling: Subsampling::default(),
        }
    }
}

/// Why an encode or a splice was refused.
#[derive(Debug, thiserror::Error)]
pub enum JpegError {
    /// A block that does not fall on MCU borders.
    #[error("a block of {block_px} px cannot be spliced: it must be a multiple of {mcu_px} px")]
    BlockSize {
        /// The block's side.
        block_px: u32,
        /// The MCU's side.
        mcu_px: u32,
    },
    /// The image is empty or larger than the format allows.
    #[error("a JPEG cannot be {width} × {height} px (limit {JPEG_MAX_SIDE})")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The encoder refused.
    #[error("the JPEG encoder refused: {0}")]
    Encoder(#[from] EncodingError),
    /// Bytes that are not the JPEG they should be.
    #[error("not a spliced JPEG of this shape: {0}")]
    Structure(&'static str),
}

/// The shape of a spliced image: `cols × rows` square blocks, cropped to `width × height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Side of a block in pixels: a multiple of the MCU.
    pub block_px: u32,
    /// Blocks in a row.
    pub cols: u32,
    /// Rows of blocks.
    pub rows: u32,
    mcu_px: u32,
}

impl Frame {
    /// A frame of blocks that covers `width × height` pixels.
    ///
    /// Fails if a side is 0 or above [`JPEG_MAX_SIDE`], if a block is not a multiple of the MCU, or if the last block
    /// of a row would be cut at an MCU border (then the intervals would not line up; blocks of one MCU never are).
    pub fn new(
        width: u32,
        height: u32,
        block_px: u32,
        subsampling: Subsampling,
    ) -> Result<Self, JpegError> {
        let mcu_px = subsampling.mcu_px();
        if width == 0 || height == 0 || width.max(height) > JPEG_MAX_SIDE {
            return Err(JpegError::Size { width, height });
        }
        let cut = !width
            .div_ceil(mcu_px)
            .is_multiple_of(block_px.div_ceil(mcu_px).max(1));
        if block_px == 0 || !block_px.is_multiple_of(mcu_px) || cut {
            return Err(JpegError::BlockSize { block_px, mcu_px });
        }
        Ok(Self {
            width,
            height,
            block_px,
            cols: width.div_ceil(block_px),
            rows: height.div_ceil(block_px),
            mcu_px,
        })
    }

    /// Rows of MCUs in the image: restart intervals above one another.
    pub fn mcu_rows(&self) -> u32 {
        self.height.div_ceil(self.mcu_px)
    }

    /// Rows of MCUs in a block: pieces of a segment.
    pub fn pieces_per_block(&self) -> u32 {
        self.block_px / self.mcu_px
    }

    /// Restart intervals in the image.
    pub fn intervals(&self) -> u64 {
        u64::from(self.mcu_rows()) * u64::from(self.cols)
    }
}

/// One block's entropy-coded data, cut into its restart intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Segment {
    /// The piece of MCU row `row` of the block, without a marker; empty past the last row.
    pub fn piece(&self, row: usize) -> &[u8] {
        let Some(&end) = self.ends.get(row) else {
            return &[];
        };
        let start = match row {
            0 => 0,
            _ => self.ends[row - 1],
        };
        &self.bytes[start as usize..end as usize]
    }

    /// Number of pieces.
    pub fn pieces(&self) -> usize {
        self.ends.len()
    }
}

/// Encodes a cell (or any square block) on its own, to be spliced. Its side must be a multiple of the MCU.
pub fn encode_segment(cell: &Cell, spec: JpegSpec) -> Result<Segment, JpegError> {
    let mcu_px = spec.subsampling.mcu_px();
    if cell.px == 0 || !cell.px.is_multiple_of(mcu_px) {
        return Err(JpegError::BlockSize {
            block_px: cell.px,
            mcu_px,
        });
    }
    let interval = cell.px / mcu_px;
    let mut bytes = encode(&cell.rgb, cell.px, cell.px, spec, Some(interval))?;
    let start = scan_start(&bytes)?;
    // Markers are squeezed out in place; within entropy-coded data 0xFF is followed by 0 or by a restart number.
    let mut ends = Vec::with_capacity(interval as usize);
    let (mut read, mut write) = (start, 0);
    loop {
        let Some(&byte) = bytes.get(read) else {
            return Err(JpegError::Structure("no end of image"));
        };
        read += 1;
        bytes[write] = byte;
        write += 1;
        if byte != 0xFF {
            continue;
        }
        match bytes.get(read) {
            Some(0) => {
                bytes[write] = 0;
                write += 1;
            }
            Some(0xD0..=0xD7) => {
                write -= 1;
                ends.push(write as u32);
            }
            Some(0xD9) => {
                write -= 1;
                ends.push(write as u32);
                break;
            }
            _ => return Err(JpegError::Structure("an unknown marker in the scan")),
        }
        read += 1;
    }
    if ends.len() != interval as usize {
        return Err(JpegError::Structure("another number of intervals"));
    }
    bytes.truncate(write);
    bytes.shrink_to_fit();
    Ok(Segment { bytes, ends })
}

/// Everything before the entropy-coded data of a spliced image.
pub fn header(frame: &Frame, spec: JpegSpec) -> Result<Vec<u8>, JpegError> {
    let side = frame.mcu_px;
    let black = vec![0; (side * side * 3) as usize];
    let mut bytes = encode(&black, side, side, spec, Some(frame.pieces_per_block()))?;
    let start = scan_start(&bytes)?;
    bytes.truncate(start);
    let mut at = 2;
    while let Some((marker, length)) = segment_at(&bytes, at) {
        // SOF0: length, precision, then height and width (T.81, B.2.2).
        if marker == 0xC0 && length >= 8 {
            bytes[at + 5..at + 7].copy_from_slice(&(frame.height as u16).to_be_bytes());
            bytes[at + 7..at + 9].copy_from_slice(&(frame.width as u16).to_be_bytes());
            return Ok(bytes);
        }
        at += 2 + length;
    }
    Err(JpegError::Structure("no frame header"))
}

/// Appends interval `index` of `intervals` to a scan, followed by its marker: RSTn, or EOI after the last.
pub fn push_piece(out: &mut Vec<u8>, piece: &[u8], index: u64, intervals: u64) {
    out.extend_from_slice(piece);
    let marker = match index + 1 == intervals {
        true => 0xD9,
        false => 0xD0 + (index % 8) as u8,
    };
    out.extend_from_slice(&[0xFF, marker]);
}

/// Splices a whole image in memory; `segment(col, row)` gives the block there.
pub fn splice<'a>(
    frame: &Frame,
    spec: JpegSpec,
    segment: impl Fn(u32, u32) -> &'a Segment,
) -> Result<Vec<u8>, JpegError> {
    let mut out = header(frame, spec)?;
    let per_block = frame.pieces_per_block();
    let mut index = 0;
    for mcu_row in 0..frame.mcu_rows() {
        for col in 0..frame.cols {
            let piece = segment(col, mcu_row / per_block).piece((mcu_row % per_block) as usize);
            push_piece(&mut out, piece, index, frame.intervals());
            index += 1;
        }
    }
    Ok(out)
}

/// Encodes a whole picture, `width × height × 3` bytes of row-major RGB, without restart intervals.
pub fn encode_image(
    rgb: &[u8],
    width: u32,
    height: u32,
    spec: JpegSpec,
) -> Result<Vec<u8>, JpegError> {
    encode(rgb, width, height, spec, None)
}

/// Encodes a whole picture with the restart intervals of a frame of its size: the bytes that [`splice`] would give.
pub fn encode_restarting(rgb: &[u8], frame: &Frame, spec: JpegSpec) -> Result<Vec<u8>, JpegError> {
    let interval = frame.pieces_per_block();
    encode(rgb, frame.width, frame.height, spec, Some(interval))
}

/// The largest cell of the single-file mosaic, pixels: `cell_px` where `cols × rows` of it stay within `max_side`,
/// else less in steps of [`CELL_STEP`], and never less than one step. `None` if even that exceeds the format.
pub fn mosaic_cell_px(cols: u32, rows: u32, cell_px: u32, max_side: u32) -> Option<u32> {
    let cells = cols.max(rows).max(1);
    let fitting = max_side.min(JPEG_MAX_SIDE) / cells;
    let px = match cell_px <= fitting {
        true => cell_px,
        false => (fitting - fitting % CELL_STEP).max(CELL_STEP),
    };
    (u64::from(px) * u64::from(cells) <= u64::from(JPEG_MAX_SIDE)).then_some(px)
}

fn encode(
    rgb: &[u8],
    width: u32,
    height: u32,
    spec: JpegSpec,
    interval: Option<u32>,
) -> Result<Vec<u8>, JpegError> {
    let (Ok(w), Ok(h)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(JpegError::Size { width, height });
    };
    let mut out = Vec::with_capacity(rgb.len() / 8 + 1024);
    let mut encoder = Encoder::new(&mut out, spec.quality.clamp(1, 100));
    encoder.set_sampling_factor(match spec.subsampling {
        Subsampling::S420 => SamplingFactor::F_2_2,
        Subsampling::S444 => SamplingFactor::F_1_1,
    });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if let Some(interval) = interval {
        let interval = u16::try_from(interval).map_err(|_| JpegError::Size { width, height })?;
        encoder.set_restart_interval(interval);
    }
    encoder.encode(rgb, w, h, ColorType::Rgb)?;
    Ok(out)
}

/// Marker and length of the marker segment at `at`.
fn segment_at(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match bytes.get(at..at + 4)? {
        [0xFF, marker, high, low] => {
            Some((*marker, usize::from(u16::from_be_bytes([*high, *low]))))
        }
        _ => None,
    }
}

/// Where the entropy-coded data of the first scan begins.
pub(super) fn scan_start(bytes: &[u8]) -> Result<usize, JpegError> {
    let mut at = 2;
    while let Some((marker, length)) = segment_at(bytes, at) {
        at += 2 + length;
        if marker == 0xDA && at <= bytes.len() {
            return Ok(at);
        }
    }
    Err(JpegError::Structure("no scan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(px: u32, seed: u32) -> Cell {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let rgb = (0..px * px * 3)
            .map(|i| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                ((i / 3 % px) * (seed + 1) + state % 64) as u8
            })
            .collect();
        Cell { px, rgb }
    }

    fn decode(bytes: &[u8]) -> image::RgbImage {
        image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg)
            .expect("a readable JPEG")
            .to_rgb8()
    }

    #[test]
    fn a_splice_has_the_pixels_of_a_whole_encode() {
        for (subsampling, px) in [
            (Subsampling::S420, 16),
            (Subsampling::S420, 48),
            (Subsampling::S444, 8),
            (Subsampling::S444, 24),
            (Subsampling::S444, 64),
        ] {
            for (cols, rows) in [(1, 1), (3, 2), (9, 5)] {
                let spec = JpegSpec {
                    quality: 85,
                    subsampling,
                };
                let frame = Frame::new(cols * px, rows * px, px, subsampling).expect("a frame");
                let cells: Vec<_> = (0..cols * rows).map(|i| cell(px, i)).collect();
                let segments: Vec<_> = cells
                    .iter()
                    .map(|c| encode_segment(c, spec).expect("a segment"))
                    .collect();
                let spliced = splice(&frame, spec, |c, r| &segments[(r * cols + c) as usize])
                    .expect("a splice");
                let mut rgb = vec![0; (frame.width * frame.height * 3) as usize];
                for (i, cell) in cells.iter().enumerate() {
                    let (x, y) = (i as u32 % cols * px, i as u32 / cols * px);
                    for line in 0..px {
                        let to = (((y + line) * frame.width + x) * 3) as usize;
                        let from = (line * px * 3) as usize;
                        let bytes = (px * 3) as usize;
                        rgb[to..to + bytes].copy_from_slice(&cell.rgb[from..from + bytes]);
                    }
                }
                let whole = encode_image(&rgb, frame.width, frame.height, spec).expect("whole");
                assert!(
                    decode(&spliced) == decode(&whole),
                    "{subsampling:?} {px} {cols}x{rows}"
                );
                let with_markers = encode(
                    &rgb,
                    frame.width,
                    frame.height,
                    spec,
                    Some(frame.pieces_per_block()),
                )
                .expect("whole with the same intervals");
                assert!(
                    spliced == with_markers,
                    "the very bytes of an encoder that counts markers"
                );
            }
        }
    }

    #[test]
    fn blocks_off_the_mcu_grid_are_refused() {
        let spec = JpegSpec::default();
        assert!(encode_segment(&cell(24, 1), spec).is_err());
        assert!(Frame::new(72, 24, 24, Subsampling::S420).is_err());
        assert!(
            Frame::new(40, 40, 32, Subsampling::S420).is_err(),
            "cut within a block"
        );
        assert!(
            Frame::new(40, 40, 16, Subsampling::S420).is_ok(),
            "cropped within an MCU"
        );
        assert!(Frame::new(70_000, 16, 16, Subsampling::S420).is_err());
        assert!(Frame::new(0, 16, 16, Subsampling::S420).is_err());
    }

    #[test]
    fn the_cell_shrinks_in_steps_near_the_limits() {
        assert_eq!(mosaic_cell_px(32, 32, 128, BROWSER_MAX_SIDE), Some(128));
        assert_eq!(mosaic_cell_px(128, 128, 128, BROWSER_MAX_SIDE), Some(128));
        assert_eq!(mosaic_cell_px(129, 100, 128, BROWSER_MAX_SIDE), Some(112));
        assert_eq!(mosaic_cell_px(317, 316, 64, BROWSER_MAX_SIDE), Some(48));
        assert_eq!(mosaic_cell_px(2000, 1, 64, BROWSER_MAX_SIDE), Some(16));
        assert_eq!(mosaic_cell_px(5000, 1, 64, BROWSER_MAX_SIDE), None);
        assert_eq!(mosaic_cell_px(0, 0, 64, BROWSER_MAX_SIDE), Some(64));
    }
}
