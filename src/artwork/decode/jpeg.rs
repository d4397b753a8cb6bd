//! Reading a JPEG's markers before its decoder does.
//!
//! The decoder takes a file without its end for a whole one and paints the rest grey, and it decodes baseline scans
//! of single components with subsampled chroma to wrong pixels without an error (zune-image#422; zune-jpeg 0.5.15).
//! Both are found here from the markers alone; nothing is allocated. Source: ITU-T T.81, annex B.

use super::DecodeError;

/// What the frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Width, pixels.
    pub(super) width: u32,
    /// Height, pixels.
    pub(super) height: u32,
    components: u8,
    progressive: bool,
    subsampled: bool,
}

impl Shape {
    /// What the decoder holds per pixel besides its output: a progressive file's coefficients, two bytes each, all
    /// components at the full size in the worst case.
    pub(super) fn coefficient_bytes_per_px(&self) -> u64 {
        if self.progressive {
            2 * u64::from(self.components)
        } else {
            0
        }
    }
}

const FORMAT: &str = "JPEG";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

/// Walks the markers from the first to the end of the picture.
pub(super) fn inspect(bytes: &[u8]) -> Result<Shape, DecodeError> {
    let mut shape: Option<Shape> = None;
    let mut scans = 0_usize;
    let mut at = 2;
    loop {
        let (marker, next) = next_marker(bytes, at).ok_or(TRUNCATED)?;
        at = next;
        match marker {
            // Restarts and TEM stand alone; a second SOI is tolerated as decoders do.
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 => break,
            _ => {}
        }
        let segment = segment(bytes, at).ok_or(TRUNCATED)?;
        at += 2 + segment.len();
        match marker {
            0xc0..=0xc2 => shape = Some(frame(marker, segment)?),
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(unsupported("lossless, hierarchical or arithmetic coding"));
            }
            0xda => {
                scans += 1;
                let in_scan = segment.first().copied().unwrap_or(0);
                if shape.is_some_and(|s| !s.progressive && s.subsampled && in_scan < s.components) {
                    return Err(unsupported(
                        "baseline with separate scans of subsampled components; save it again as usual",
                    ));
                }
            }
            _ => {}
        }
    }
    match shape {
        Some(shape) if scans > 0 => Ok(shape),
        _ => Err(unsupported("no picture between its first and last marker")),
    }
}

/// The next marker's code at or after `at`, and the position behind it. Entropy-coded bytes are passed over.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += memchr::memchr(0xff, bytes.get(at..)?)? + 1;
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let code = bytes[at];
        at += 1;
        if code != 0 {
            return Some((code, at));
        }
    }
}

/// The payload of the segment whose length field is at `at`.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let field = bytes.get(at..at + 2)?;
    let len = usize::from(u16::from_be_bytes([field[0], field[1]]));
    bytes.get(at + 2..at + len.max(2))
}

fn frame(marker: u8, segment: &[u8]) -> Result<Shape, DecodeError> {
    let &[_, h1, h0, w1, w0, components, ref table @ ..] = segment else {
        return Err(unsupported("a frame header too short to read"));
    };
    Ok(Shape {
        width: u32::from(u16::from_be_bytes([w1, w0])),
        height: u32::from(u16::from_be_bytes([h1, h0])),
        components,
        progressive: marker == 0xc2,
        subsampled: table.chunks_exact(3).any(|c| c[1] != 0x11),
    })
}

fn unsupported(what: &'static str) -> DecodeError {
    DecodeError::UnsupportedVariant {
        format: FORMAT,
        what,
    }
}
