//! The file of one prepared cell: a header with a CRC-32 per mip, then the mips from one pixel up to the cell's own side,
//! so that any mip is one read at a known place.
//!
//! The door of the room decides where files are, and which are cached. Invariant: pixels that do not match their
//! checksum are never returned.

use crate::{
    artwork::{cell::Cell, decode::Format},
    render::mips::mips,
};
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

const MAGIC: [u8; 4] = *b"mcel";
/// The lower half of the second word. The upper half is the place of the picture's format in [`Format::ALL`], counted from 1;
/// 0, as version 0.1 wrote it: not known.
const VERSION: u32 = 1;

/// Bytes of the file of a cell of `px`, a power of two.
pub(super) fn bytes(px: u32) -> u64 {
    (header_bytes(px) + pixels_below(2 * px)) as u64
}

/// The file's bytes. The cell's side must be a power of two.
pub(super) fn encode(cell: &Cell, format: Option<Format>) -> Vec<u8> {
    let mips = mips(cell);
    let mut bytes = Vec::with_capacity(bytes(cell.px) as usize);
    bytes.extend_from_slice(&MAGIC);
    let place = Format::ALL.iter().position(|one| Some(*one) == format);
    let place = place.map_or(0, |place| place as u32 + 1);
    bytes.extend_from_slice(&(VERSION | place << 16).to_le_bytes());
    bytes.extend_from_slice(&cell.px.to_le_bytes());
    for mip in &mips {
        bytes.extend_from_slice(&crc32fast::hash(mip).to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    mips.iter().for_each(|mip| bytes.extend_from_slice(mip));
    bytes
}

/// The format of the picture that a cell of `px` shows; `None` if the file does not say it, or is damaged.
pub(super) fn format(path: &Path, px: u32) -> Option<Format> {
    let header = header(&File::open(path).ok()?, px).ok()?;
    let place = usize::from(u16::from_le_bytes(*header[6..].first_chunk()?));
    Format::ALL.get(place.checked_sub(1)?).copied()
}

/// Reads and verifies the mips from side `from` to side `to` of a cell of `px`, one after another.
pub(super) fn read(path: &Path, px: u32, from: u32, to: u32) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let header = header(&file, px)?;
    let (start, end) = (pixels_below(from), pixels_below(2 * to));
    let mut pixels = vec![0; end - start];
    file.read_exact_at(&mut pixels, (header.len() + start) as u64)?;
    let mut side = from;
    while side <= to {
        let at = pixels_below(side) - start;
        let crc = word(&header, 12 + 4 * side.trailing_zeros() as usize);
        if crc32fast::hash(&pixels[at..at + pixels_at(side)]) != crc {
            return Err(damaged("pixels do not match their checksum"));
        }
        side *= 2;
    }
    Ok(pixels)
}

fn header(file: &File, px: u32) -> io::Result<Vec<u8>> {
    let mut header = vec![0; header_bytes(px)];
    file.read_exact_at(&mut header, 0)?;
    let crc_at = header.len() - 4;
    let sound = header[..4] == MAGIC
        && word(&header, 4) & 0xffff == VERSION
        && word(&header, 8) == px
        && word(&header, crc_at) == crc32fast::hash(&header[..crc_at]);
    match sound {
        true => Ok(header),
        false => Err(damaged("not the header of a cell of this size")),
    }
}

fn word(header: &[u8], at: usize) -> u32 {
    let bytes = header.get(at..at + 4).and_then(|b| b.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Magic, version and format, side, a CRC-32 per mip, a CRC-32 of all that.
fn header_bytes(px: u32) -> usize {
    16 + 4 * (px.trailing_zeros() as usize + 1)
}

/// Bytes of a mip.
pub(super) fn pixels_at(px: u32) -> usize {
    px as usize * px as usize * 3
}

/// Bytes of all mips smaller than a power of two `px`: 3 (1 + 4 + 16 + …) = px² − 1.
pub(super) fn pixels_below(px: u32) -> usize {
    px as usize * px as usize - 1
}
