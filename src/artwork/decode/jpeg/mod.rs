//! JPEG.
//!
//! Two decoders: `fast` for plain files, which nearly all are, and `careful` for the others. The fast one refuses
//! whatever looks wrong, and the careful one then decides: a picture is never shown with a grey area in place of a
//! missing part. `markers` reads the segments around the pixels, `colour` converts them to RGB or inks.

mod careful;
mod colour;
mod fast;
mod huffman;
mod idct;
mod markers;
mod scan;

use super::{DecodeError, DecodeLimits, Raster, check_size};
use image::metadata::Orientation;
use markers::Markers;

pub(super) use careful::Raw;

const FORMAT: &str = "JPEG";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

fn damaged(what: &'static str) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        what,
    }
}

fn unsupported(what: &'static str) -> DecodeError {
    DecodeError::UnsupportedVariant {
        format: FORMAT,
        what: what.into(),
    }
}

/// Width and height, and what decoding holds per pixel besides the picture.
pub(super) fn size(bytes: &[u8]) -> Option<((u32, u32), u64)> {
    let markers = Markers::read(bytes).ok()?;
    Some(((markers.width, markers.height), markers.bytes_per_px()))
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    let markers = Markers::read(bytes)?;
    check(&markers, limits)?;
    let mut raster = match fast::read(bytes, &markers) {
        Some(raster) => raster,
        None => colour::raster(careful::decode(bytes, &markers, None)?, &markers),
    };
    raster.profile = markers.profile();
    raster.orientation = markers
        .exif
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    Ok(raster)
}

/// The samples of a JPEG within another file, as they are coded; `tables` is a stream with tables that it uses.
pub(super) fn raw(
    bytes: &[u8],
    tables: Option<&[u8]>,
    limits: &DecodeLimits,
) -> Result<Raw, DecodeError> {
    if !bytes.starts_with(b"\xff\xd8") {
        return Err(damaged("it does not begin like one"));
    }
    let markers = Markers::read(bytes)?;
    check(&markers, limits)?;
    careful::decode(bytes, &markers, tables)
}

fn check(markers: &Markers, limits: &DecodeLimits) -> Result<(), DecodeError> {
    let pixels = u64::from(markers.width) * u64::from(markers.height);
    let more = pixels.saturating_mul(markers.bytes_per_px());
    check_size(markers.width, markers.height, more, limits)
}
