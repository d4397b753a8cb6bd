//! Plain JPEGs, decoded directly to the RGBA of a picture.
//!
//! Wrong bits within a scan often make it end early or late. If it ends early, the decoder reports it. If it ends late,
//! the decoder silently skips the rest byte by byte; therefore its reader counts how many single bytes are read one
//! after the other.

use super::{careful, colour::is_transformed, markers::Markers};
use crate::artwork::decode::spread;
use std::cell::Cell;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{
        bytestream::{ZByteIoError, ZByteReaderTrait, ZCursor, ZSeekFrom},
        colorspace::ColorSpace,
        options::DecoderOptions,
    },
};

/// Single bytes in a row that a sound scan may need: pixels are read by fours, or by at most eight where bytes are stuffed.
const MOST_SINGLE: u32 = 40;

/// Decodes a plain JPEG to RGBA; `None` for any other, and for one in which anything is wrong.
pub(super) fn read(bytes: &[u8], markers: &Markers) -> Option<Vec<u8>> {
    if !is_fast(markers) {
        return None;
    }
    let counts = Counts::default();
    let (colours, target) = match markers.components.len() {
        1 => (ColorSpace::Luma, ColorSpace::Luma),
        _ if is_transformed(markers) => (ColorSpace::YCbCr, ColorSpace::RGBA),
        _ => (ColorSpace::RGB, ColorSpace::RGB),
    };
    let mut decoder = decoder(bytes, target, &counts);
    decoder.decode_headers().ok()?;
    if decoder.input_colorspace() != Some(colours) {
        return None;
    }
    counts.most.set(0);
    let pixels = decoder.decode().ok()?;
    if counts.most.get() > MOST_SINGLE {
        return None;
    }
    let rgba = match colours {
        ColorSpace::YCbCr => pixels,
        ColorSpace::Luma => pixels.iter().flat_map(|&v| [v, v, v, 255]).collect(),
        _ => {
            let mut rgba = Vec::with_capacity(pixels.len() / 3 * 4);
            spread(&pixels, &mut rgba);
            rgba
        }
    };
    let line = 4 * markers.width as usize;
    if rgba.len() != line * markers.height as usize {
        return None;
    }
    // Wrong bits may be codes all the same, and what comes after them too bright or too dark from there on.
    let sound = !is_glaring(&rgba, line) || careful::is_sound(bytes, markers);
    sound.then_some(rgba)
}

/// Whether this decoder is asked at all.
pub(super) fn is_fast(markers: &Markers) -> bool {
    markers.is_plain() && markers.ended
}

/// Whether more than a hundredth of the blocks touch the end of the scale in two places.
fn is_glaring(rgba: &[u8], line: usize) -> bool {
    let mut glaring = 0;
    for rows in rgba.chunks_exact(8 * line) {
        let (upper, lower) = (&rows[2 * line..3 * line], &rows[5 * line..6 * line]);
        let blocks = upper
            .as_chunks::<32>()
            .0
            .iter()
            .zip(lower.as_chunks::<32>().0);
        let ends = |pixel: &[u8]| {
            let end = |c: usize| matches!(pixel[c], 0 | 255);
            end(0) || end(1) || end(2)
        };
        glaring += blocks
            .filter(|(u, l)| ends(&u[8..11]) && ends(&l[20..23]))
            .count();
    }
    100 * 64 * glaring > rgba.len() / 4
}

/// How many single bytes were read since others were, and the most there were.
#[derive(Default)]
struct Counts {
    single: Cell<u32>,
    most: Cell<u32>,
}

/// A reader that counts.
struct Counted<'a> {
    bytes: ZCursor<&'a [u8]>,
    counts: &'a Counts,
}

impl ZByteReaderTrait for Counted<'_> {
    #[inline(always)]
    fn read_byte_no_error(&mut self) -> u8 {
        let single = self.counts.single.get() + 1;
        self.counts.single.set(single);
        self.counts.most.set(self.counts.most.get().max(single));
        self.bytes.read_byte_no_error()
    }

    #[inline(always)]
    fn read_exact_bytes(&mut self, buf: &mut [u8]) -> Result<(), ZByteIoError> {
        self.counts.single.set(0);
        self.bytes.read_exact_bytes(buf)
    }

    fn read_bytes(&mut self, buf: &mut [u8]) -> Result<usize, ZByteIoError> {
        self.bytes.read_bytes(buf)
    }

    fn peek_bytes(&mut self, buf: &mut [u8]) -> Result<usize, ZByteIoError> {
        self.bytes.peek_bytes(buf)
    }

    fn peek_exact_bytes(&mut self, buf: &mut [u8]) -> Result<(), ZByteIoError> {
        self.bytes.peek_exact_bytes(buf)
    }

    #[inline(always)]
    fn z_seek(&mut self, from: ZSeekFrom) -> Result<u64, ZByteIoError> {
        self.bytes.z_seek(from)
    }

    #[inline(always)]
    fn is_eof(&mut self) -> Result<bool, ZByteIoError> {
        self.bytes.is_eof()
    }

    fn z_position(&mut self) -> Result<u64, ZByteIoError> {
        self.bytes.z_position()
    }

    fn read_remaining(&mut self, sink: &mut Vec<u8>) -> Result<usize, ZByteIoError> {
        self.bytes.read_remaining(sink)
    }
}

fn decoder<'a>(
    bytes: &'a [u8],
    colours: ColorSpace,
    counts: &'a Counts,
) -> JpegDecoder<Counted<'a>> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(colours)
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let bytes = ZCursor::new(bytes);
    JpegDecoder::new_with_options(Counted { bytes, counts }, options)
}
