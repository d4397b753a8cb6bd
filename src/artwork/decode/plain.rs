//! GIF, WebP and BMP, by the decoders of the `image` family, with additions for what those leave out.
//!
//! GIF: a first frame that is larger than the screen makes the screen as large, as in browsers. WebP: the orientation
//! is read with or without the six bytes that some programs put before it.

use super::{DecodeError, DecodeLimits, Raster, check_size, spread};
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader,
    codecs::{bmp::BmpDecoder, webp::WebPDecoder},
    metadata::Orientation,
};
use std::{error::Error, io::Cursor};

/// What decoding a WebP holds per pixel besides the picture, measured.
pub(super) const WEBP_BYTES_PER_PX: u64 = 10;

/// Width and height by the header.
pub(super) fn size(bytes: &[u8], format: ImageFormat) -> Option<(u32, u32)> {
    if format == ImageFormat::Gif {
        let mut decoder = gif::DecodeOptions::new()
            .read_info(Cursor::new(bytes))
            .ok()?;
        let screen = (u32::from(decoder.width()), u32::from(decoder.height()));
        let frame = decoder.next_frame_info().ok()??;
        let right = u32::from(frame.left) + u32::from(frame.width);
        let bottom = u32::from(frame.top) + u32::from(frame.height);
        return Some((screen.0.max(right), screen.1.max(bottom)));
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.into_dimensions().ok()
}

/// The first frame of a GIF on its screen.
pub(super) fn decode_gif(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    const FORMAT: &str = "GIF";
    let refused = |error: gif::DecodingError| match &error {
        gif::DecodingError::Io(io) if io.kind() != std::io::ErrorKind::UnexpectedEof => {
            wrong(FORMAT)
        }
        gif::DecodingError::Io(_) | gif::DecodingError::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        gif::DecodingError::OutOfMemory => DecodeError::LimitReached { format: FORMAT },
        _ => wrong(FORMAT),
    };
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let most =
        std::num::NonZeroU64::new(limits.max_alloc_bytes).unwrap_or(std::num::NonZeroU64::MIN);
    options.set_memory_limit(gif::MemoryLimit::Bytes(most));
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(refused)?;
    let screen = (u32::from(decoder.width()), u32::from(decoder.height()));
    let frame = match decoder.next_frame_info().map_err(refused)? {
        Some(frame) => (frame.left, frame.top, frame.width, frame.height),
        None if bytes.last() == Some(&0x3b) => {
            return Err(DecodeError::Damaged {
                format: FORMAT,
                what: "it holds no picture",
            });
        }
        None => return Err(DecodeError::Truncated { format: FORMAT }),
    };
    let (left, top, w, h) = (
        u32::from(frame.0),
        u32::from(frame.1),
        u32::from(frame.2),
        u32::from(frame.3),
    );
    let (width, height) = (screen.0.max(left + w), screen.1.max(top + h));
    let frame_bytes = 4 * u64::from(w) * u64::from(h);
    check_size(width, height, frame_bytes, limits)?;
    let mut pixels = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut pixels).map_err(refused)?;
    let mut raster = Raster::new(width, height, limits);
    raster.profile = decoder.icc_profile().map(<[u8]>::to_vec);
    if (left, top, w, h) == (0, 0, width, height) {
        raster.take_all(pixels);
        return Ok(raster);
    }
    // What the frame leaves free is clear.
    let (from, line) = (4 * left as usize, 4 * w as usize);
    let mut rows = pixels.chunks_exact(line.max(1));
    for y in 0..height {
        let row = (y >= top).then(|| rows.next()).flatten();
        raster.take(|rgba| {
            let start = rgba.len();
            rgba.resize(start + 4 * width as usize, 0);
            if let Some(row) = row {
                rgba[start + from..start + from + line].copy_from_slice(row);
            }
        });
    }
    Ok(raster)
}

/// A WebP; of an animation the first frame.
pub(super) fn decode_webp(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    const FORMAT: &str = "WebP";
    // The first eight bytes of a RIFF file say how long the rest is.
    let declared = bytes
        .get(4..8)
        .map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    if u64::from(declared) + 8 > bytes.len() as u64 {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    let refused = |source| refused(FORMAT, &source);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(refused)?;
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif.and_then(|exif| {
        let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
        Orientation::from_exif_chunk(exif)
    });
    let mut raster = read(decoder, FORMAT, limits)?;
    raster.orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(raster)
}

/// A Windows bitmap.
pub(super) fn decode_bmp(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|e| refused("BMP", &e))?;
    read(decoder, "BMP", limits)
}

fn read(
    mut decoder: impl ImageDecoder,
    format: &'static str,
    limits: &DecodeLimits,
) -> Result<Raster, DecodeError> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), limits)?;
    let refused = |source| refused(format, &source);
    let mut raster = Raster::new(width, height, limits);
    raster.profile = decoder.icc_profile().ok().flatten();
    raster.grey = !decoder.color_type().has_color();
    if decoder.color_type() == ColorType::Rgb8 {
        let mut rgb = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut rgb).map_err(refused)?;
        for row in rgb.chunks_exact(3 * width as usize) {
            raster.take(|rgba| spread(row, rgba));
        }
    } else {
        let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
        raster.take_all(image.into_rgba8().into_raw());
    }
    Ok(raster)
}

fn wrong(format: &'static str) -> DecodeError {
    DecodeError::Damaged {
        format,
        what: "the data of its pixels is wrong",
    }
}

/// Distinguishes a file that ends too early, one that is damaged, and one of a kind that is not decoded.
fn refused(format: &'static str, source: &ImageError) -> DecodeError {
    match source {
        ImageError::Limits(_) => return DecodeError::LimitReached { format },
        ImageError::Unsupported(_) => {
            return DecodeError::UnsupportedVariant {
                format,
                what: "a rare kind of it".into(),
            };
        }
        _ => {}
    }
    let mut cause: Option<&(dyn Error + 'static)> = match source {
        ImageError::IoError(error) => Some(error),
        other => other.source(),
    };
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof) {
            return DecodeError::Truncated { format };
        }
        cause = error.source();
    }
    wrong(format)
}
