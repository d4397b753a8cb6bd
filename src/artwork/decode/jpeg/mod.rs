//! JPEG.
//!
//! Two decoders: `fast` for plain files, which nearly all are, and `careful` for the others and for the largest, which it
//! reads by rows. The fast one refuses whatever looks wrong, and the careful one then decides: a picture is never shown with
//! a grey area in place of a missing part. `markers` reads the segments around the pixels, `colour` converts them to RGB or inks.

mod arithmetic;
mod careful;
mod colour;
mod fast;
mod huffman;
mod idct;
mod markers;
mod scan;
mod strips;

use super::{DecodeError, DecodeLimits, Raster, check_size};
use image::metadata::Orientation;
use markers::{Markers, Process};

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

/// Width and height, and what decoding holds besides the picture.
pub(super) fn size(bytes: &[u8], limits: &DecodeLimits) -> Option<((u32, u32), u64)> {
    let markers = Markers::read(bytes).ok()?;
    let size = (markers.width, markers.height);
    Some((size, held(&markers, limits)))
}

/// Whether the fast decoder is asked, which holds the whole picture. Of larger ones the careful decoder holds some rows,
/// and takes many times as long.
fn is_asked_whole(markers: &Markers, limits: &DecodeLimits) -> bool {
    let pixels = u64::from(markers.width) * u64::from(markers.height);
    fast::is_fast(markers) && pixels / 2 <= limits.kept_pixels
}

/// What decoding holds besides the picture.
fn held(markers: &Markers, limits: &DecodeLimits) -> u64 {
    let pixels = u64::from(markers.width) * u64::from(markers.height);
    let whole = is_asked_whole(markers, limits);
    let halved = Raster::new(markers.width, markers.height, limits).is_halved();
    let kept_whole = if whole && halved { 4 * pixels } else { 0 };
    let in_one_scan = match whole {
        true => markers.process == Process::Sequential,
        false => markers.is_read_by_rows(),
    };
    kept_whole
        + if in_one_scan {
            0
        } else {
            markers.coefficients()
        }
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    let markers = Markers::read(bytes)?;
    let mut raster = Raster::new(markers.width, markers.height, limits);
    let held = held(&markers, limits);
    check_size(markers.width, markers.height, held, limits)?;
    let channels = markers.components.len();
    raster.grey = channels <= 2;
    raster.inks = channels == 4;
    raster.profile = markers.profile();
    raster.orientation = markers
        .exif
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    let whole = is_asked_whole(&markers, limits).then(|| fast::read(bytes, &markers));
    if let Some(rgba) = whole.flatten() {
        raster.take_all(rgba);
        return Ok(raster);
    }
    let transformed = colour::is_transformed(&markers);
    careful::decode(bytes, &markers, None, &mut |row| {
        raster.take(|to| colour::append(row, channels, transformed, to));
    })?;
    Ok(raster)
}

/// Samples as they are coded, eight bits, all components at full size.
pub(super) struct Raw {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: usize,
    /// `height × width × components` bytes, row-major, interleaved.
    pub(super) samples: Vec<u8>,
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
    let (width, height) = (markers.width as usize, markers.height as usize);
    let components = markers.components.len();
    let len = width * height * components;
    check_size(
        markers.width,
        markers.height,
        markers.coefficients() + len as u64,
        limits,
    )?;
    let mut samples = Vec::with_capacity(len);
    careful::decode(bytes, &markers, tables, &mut |row| {
        samples.extend_from_slice(row)
    })?;
    Ok(Raw {
        width,
        height,
        components,
        samples,
    })
}
