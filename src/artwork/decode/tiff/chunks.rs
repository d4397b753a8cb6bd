//! The strips or tiles of a TIFF: where they lie, and their bytes one row after the other.
//!
//! Every compression that works through its bytes from front to back is read row by row, so that a strip as large as the
//! picture takes no memory of its own. Fax and JPEG strips are decoded whole by their own modules.

use super::{ccitt, layout::Layout};
use flate2::read::ZlibDecoder;
use ruzstd::decoding::StreamingDecoder;
use std::{
    borrow::Cow,
    io::{self, Read},
};
use weezl::{BitOrder, LzwStatus, decode::Decoder};

/// Most bytes that a Zstandard strip may look back, and that its decoder therefore holds.
const MAX_WINDOW: u64 = 64 << 20;

/// How strips or tiles are compressed, as far as they are read by rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Fax(ccitt::Scheme),
    Lzw,
    Jpeg,
    OldJpeg,
    Deflate,
    PackBits,
    Zstd,
    WebP,
}

/// The bytes of one strip or tile, decompressed as they are read. `None` for what its own module decodes whole.
pub(super) fn reader<'a>(
    chunk: Cow<'a, [u8]>,
    compression: Compression,
    layout: &Layout,
    rows: usize,
    width: usize,
) -> Option<Box<dyn Read + 'a>> {
    Some(match compression {
        Compression::None => Box::new(io::Cursor::new(chunk)),
        Compression::Deflate => Box::new(ZlibDecoder::new(io::Cursor::new(chunk))),
        Compression::Lzw => Box::new(Lzw::new(chunk)),
        Compression::PackBits => Box::new(PackBits {
            bytes: chunk,
            at: 0,
            run: 0,
            literal: 0,
        }),
        Compression::Zstd => {
            let bytes = io::Cursor::new(chunk);
            let decoder = StreamingDecoder::new_with_max_window_size(bytes, MAX_WINDOW);
            Box::new(decoder.ok()?)
        }
        Compression::Fax(scheme) => {
            let bits = ccitt::decode(&chunk, scheme, layout.fax_options, width, rows)?;
            Box::new(io::Cursor::new(bits))
        }
        Compression::Jpeg | Compression::OldJpeg | Compression::WebP => return None,
    })
}

/// Each byte with its bits in reverse, as `FillOrder` 2 wants.
pub(super) fn reversed(chunk: &[u8]) -> Vec<u8> {
    chunk.iter().map(|byte| byte.reverse_bits()).collect()
}

/// LZW, read bit by bit.
struct Lzw<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
    decoder: Decoder,
}

impl<'a> Lzw<'a> {
    fn new(bytes: Cow<'a, [u8]>) -> Self {
        // Libraries of before TIFF 5 wrote the lowest bit first; the first code, a clear, tells the two apart.
        let old = matches!(&*bytes, [0, second, ..] if second & 1 == 1);
        let decoder = match old {
            true => Decoder::new(BitOrder::Lsb, 8),
            false => Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
        };
        Self {
            bytes,
            at: 0,
            decoder,
        }
    }
}

impl Read for Lzw<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        loop {
            let done = self
                .decoder
                .decode_bytes(self.bytes.get(self.at..).unwrap_or_default(), to);
            self.at += done.consumed_in;
            if done.consumed_out > 0 {
                return Ok(done.consumed_out);
            }
            match done.status {
                Ok(LzwStatus::Ok) if done.consumed_in > 0 => {}
                Ok(_) => return Ok(0),
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Runs of equal bytes and literal bytes (TIFF 6.0, section 9).
struct PackBits<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
    run: usize,
    literal: usize,
}

impl Read for PackBits<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < to.len() {
            let left = to.len() - written;
            if self.literal > 0 {
                let from = self.bytes.get(self.at..).unwrap_or_default();
                let n = self.literal.min(left).min(from.len());
                if n == 0 {
                    break;
                }
                to[written..written + n].copy_from_slice(&from[..n]);
                self.at += n;
                self.literal -= n;
                written += n;
            } else if self.run > 0 {
                let Some(&byte) = self.bytes.get(self.at) else {
                    break;
                };
                let n = self.run.min(left);
                to[written..written + n].fill(byte);
                self.run -= n;
                self.at += usize::from(self.run == 0);
                written += n;
            } else {
                let Some(&head) = self.bytes.get(self.at) else {
                    break;
                };
                self.at += 1;
                match head {
                    0..=127 => self.literal = usize::from(head) + 1,
                    128 => {}
                    129..=255 => self.run = 257 - usize::from(head),
                }
            }
        }
        Ok(written)
    }
}
