//! PNG, row by row, so that no row leaves the processor's cache before it is RGBA.
//!
//! A file with all of its pixels is complete, with or without its end chunk. Of sixteen bits the high byte is kept, as
//! libpng's `strip_16` and Pillow do, so that an encoder sees the pixels of its reference. Source: W3C, PNG, third
//! edition.

use super::{DecodeError, DecodeLimits, Raster, check_size, spread};
use image::metadata::Orientation;
use png::{ColorType, Decoder, DecodingError, Limits, Transformations};
use std::io::Cursor;

const FORMAT: &str = "PNG";

/// The size in IHDR, which must come first; for a huge one the decoder would report a lack of memory.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let field = |at: usize| {
        let b = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    };
    Some((field(16)?, field(20)?))
}

/// What decoding holds per pixel besides the picture: all samples, if they are interlaced.
pub(super) fn bytes_per_px(bytes: &[u8]) -> u64 {
    match bytes.get(28) {
        Some(0) => 0,
        _ => 4,
    }
}

/// Decodes a file; of an animation its first picture.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    if let Some((width, height)) = size(bytes) {
        check_size(width, height, 0, limits)?;
    }
    let most = usize::try_from(limits.max_alloc_bytes).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: most });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(refused)?;
    let info = reader.info();
    let (width, height) = info.size();
    let interlaced = info.interlaced;
    let mut raster = Raster::new(width, height, limits);
    raster.grey = matches!(
        info.color_type,
        ColorType::Grayscale | ColorType::GrayscaleAlpha
    );
    raster.profile = info.icc_profile.as_ref().map(|profile| profile.to_vec());
    let code_points = info.coding_independent_code_points;
    raster.cicp = code_points.map(|code| (code.color_primaries, code.transfer_function));
    let exif = info.exif_metadata.as_ref();
    raster.orientation = exif
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let (kind, _) = reader.output_color_type();
    if interlaced {
        let len = reader.output_buffer_size().unwrap_or(usize::MAX);
        check_size(width, height, len as u64, limits)?;
        let mut whole = vec![0; len];
        reader.next_frame(&mut whole).map_err(refused)?;
        let line = kind.samples() * width as usize;
        for row in whole.chunks_exact(line) {
            raster.take(|rgba| append(row, kind, rgba));
        }
    } else {
        // Not one call more than there are rows: the next would look for the end of the file.
        for _ in 0..height {
            match reader.next_row().map_err(refused)? {
                Some(row) => raster.take(|rgba| append(row.data(), kind, rgba)),
                None => return Err(DecodeError::Truncated { format: FORMAT }),
            }
        }
    }
    Ok(raster)
}

/// Appends samples of eight bits as RGBA.
fn append(samples: &[u8], colour: ColorType, rgba: &mut Vec<u8>) {
    match colour {
        ColorType::Rgb => spread(samples, rgba),
        ColorType::Rgba => rgba.extend_from_slice(samples),
        ColorType::GrayscaleAlpha => {
            let pixels = samples.as_chunks::<2>().0.iter();
            rgba.extend(pixels.flat_map(|p| [p[0], p[0], p[0], p[1]]));
        }
        // Palettes are expanded before.
        ColorType::Grayscale | ColorType::Indexed => {
            rgba.extend(samples.iter().flat_map(|&v| [v, v, v, 255]));
        }
    }
}

fn damaged(what: &'static str) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        what,
    }
}

fn refused(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        DecodingError::LimitsExceeded => DecodeError::LimitReached { format: FORMAT },
        _ => damaged("its chunks or the data of its pixels are wrong"),
    }
}
