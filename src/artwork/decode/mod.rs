//! Decoding bytes into pixels, guarded.
//!
//! The content decides the format, never the name. Every size is checked against [`DecodeLimits`] from the header,
//! before anything is allocated for it: `image`'s `from_decoder`, which orientation needs, applies no limit of its own
//! (image-rs/image#3081). A decoder's panic becomes [`DecodeError::Panicked`].
//!
//! Invariants: [`decode`] never panics; it allocates at most about [`DecodeLimits::max_alloc_bytes`] besides its input;
//! a file that was cut short is never taken for a whole picture, except a format's trailing bytes without pixels.
//! Animated files give their first frame. Pixels come out upright and in sRGB.
//!
//! Left to others: reading the file and capping its size (`watch`), retrying later ([`DecodeError::is_truncated`]).

mod colour;
mod jpeg;
mod opaque;
mod sniff;

use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader,
    metadata::Orientation,
};
use std::{any::Any, error::Error, io::Cursor, panic};

/// A decoded picture: sRGB, upright, 8 bits a channel, straight alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels, > 0.
    pub width: u32,
    /// Height in pixels, > 0.
    pub height: u32,
    /// `height × width × 4` bytes, row-major RGBA.
    pub rgba: Vec<u8>,
}

#[cfg(test)]
impl Picture {
    /// A picture whose pixel in column `x` and row `y` is `pixel(x, y)`.
    pub(crate) fn drawn(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Self {
        let rgba = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| pixel(x, y))
            .collect();
        Self {
            width,
            height,
            rgba,
        }
    }
}

/// What a picture may cost. Both are checked against the header alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels, width × height.
    pub max_pixels: u64,
    /// Most bytes decoding may hold at once: the decoder's own buffers (a progressive JPEG's coefficients), its
    /// output and the RGBA copy.
    pub max_alloc_bytes: u64,
}

impl Default for DecodeLimits {
    /// 100 megapixels and 512 MiB: a 40-megapixel upload passes in every format and depth (its worst case, a
    /// progressive JPEG, is estimated at 520 MB), a 16k × 16k header does not. Above 50 megapixels memory binds first:
    /// 76 megapixels of 8-bit RGB, 100 of grey.
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_alloc_bytes: 512 << 20,
        }
    }
}

/// Why bytes are no picture. The texts are short because the status shows them beside the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes at all: often an upload that has just begun.
    #[error("the file is empty")]
    Empty,
    /// The file ends before the picture does: often an upload under way.
    #[error("the {format} file is cut short")]
    Truncated {
        /// The format's name.
        format: &'static str,
    },
    /// A picture, but in a format that mosaicd has no decoder for.
    #[error("unsupported format: {0}")]
    Unsupported(&'static str),
    /// A variant of a known format that the decoder cannot be trusted with.
    #[error("unsupported {format}: {what}")]
    UnsupportedVariant {
        /// The format's name.
        format: &'static str,
        /// What is not supported.
        what: &'static str,
    },
    /// The content is of no known picture format.
    #[error("not a picture (unknown content)")]
    NotAPicture,
    /// A side is zero pixels long.
    #[error("the picture has no pixels ({width} × {height})")]
    ZeroSize {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// The header promises more pixels than the limit.
    #[error("too large: {width} × {height} pixels (limit {max_pixels} in all)")]
    TooManyPixels {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// Decoding would need more memory than the limit.
    #[error(
        "too large: {width} × {height} needs {bytes} bytes to decode (limit {max_alloc_bytes})"
    )]
    TooManyBytes {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Estimated need.
        bytes: u64,
        /// The limit.
        max_alloc_bytes: u64,
    },
    /// The decoder itself ran into the limit on memory.
    #[error("the {format} file needs more memory to decode than the limit")]
    LimitReached {
        /// The format's name.
        format: &'static str,
    },
    /// The decoder refused the content.
    #[error("damaged {format}: {source}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// The decoder's own words.
        source: ImageError,
    },
    /// The decoder panicked; the panic was caught.
    #[error("the {format} decoder failed on it: {message}")]
    Panicked {
        /// The format's name.
        format: &'static str,
        /// The panic's message.
        message: String,
    },
}

impl DecodeError {
    /// Whether the file may simply not be complete yet, so that the caller does well to look again soon.
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Empty | Self::Truncated { .. })
    }
}

/// Decodes the content of one file.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Picture, DecodeError> {
    let format = sniff::sniff(bytes)?;
    let name = sniff::name(format);
    panic::catch_unwind(|| decode_as(bytes, format, name, limits)).unwrap_or_else(|payload| {
        Err(DecodeError::Panicked {
            format: name,
            message: panic_message(payload.as_ref()),
        })
    })
}

/// About how many bytes [`decode`] will hold at once, by the header; 0 for what it will refuse at once.
pub fn footprint(bytes: &[u8]) -> u64 {
    // A decoder's output in 16-bit RGBA and the 8-bit copy of it.
    const BYTES_PER_PX: u64 = 8 + 4;
    let Ok(format) = sniff::sniff(bytes) else {
        return 0;
    };
    let (size, more) = match format {
        ImageFormat::Jpeg => match jpeg::inspect(bytes) {
            Ok(shape) => (
                Some((shape.width, shape.height)),
                shape.coefficient_bytes_per_px(),
            ),
            Err(_) => (None, 0),
        },
        ImageFormat::Png => (png_size(bytes), 0),
        _ => {
            let reader = ImageReader::with_format(Cursor::new(bytes), format);
            let size = panic::catch_unwind(|| reader.into_dimensions());
            (size.ok().and_then(Result::ok), 0)
        }
    };
    size.map_or(0, |(width, height)| {
        let pixels = u64::from(width) * u64::from(height);
        pixels.saturating_mul(BYTES_PER_PX + more)
    })
}

fn decode_as(
    bytes: &[u8],
    format: ImageFormat,
    name: &'static str,
    limits: &DecodeLimits,
) -> Result<Picture, DecodeError> {
    let mut coefficient_bytes_per_px = 0;
    match format {
        ImageFormat::Jpeg => {
            let shape = jpeg::inspect(bytes)?;
            check_size(shape.width, shape.height, 0, limits)?;
            coefficient_bytes_per_px = shape.coefficient_bytes_per_px();
        }
        ImageFormat::Png => {
            if let Some((width, height)) = png_size(bytes) {
                check_size(width, height, 0, limits)?;
            }
        }
        // The first eight bytes of a RIFF file say how long the rest is.
        ImageFormat::WebP if declared_riff_len(bytes) > bytes.len() as u64 => {
            return Err(DecodeError::Truncated { format: name });
        }
        _ => {}
    }
    let refused = |source| refused(name, source);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut own_limits = image::Limits::default();
    own_limits.max_alloc = Some(limits.max_alloc_bytes);
    reader.limits(own_limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let decoder_bytes = decoder
        .total_bytes()
        .saturating_add(pixels.saturating_mul(coefficient_bytes_per_px));
    check_size(width, height, decoder_bytes, limits)?;

    // Neither an unreadable orientation nor an unreadable profile spoils the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let grey = !decoder.color_type().has_color();
    let profile = decoder.icc_profile().ok().flatten();
    let plain = orientation == Orientation::NoTransforms && decoder.color_type() == ColorType::Rgb8;
    let mut picture = match plain {
        true => Picture {
            width,
            height,
            rgba: match format {
                ImageFormat::Png => opaque::read_png(bytes, limits),
                ImageFormat::Jpeg => {
                    opaque::read_jpeg(bytes).unwrap_or_else(|| opaque::read(decoder))
                }
                _ => opaque::read(decoder),
            }
            .map_err(refused)?,
        },
        false => {
            let mut image = DynamicImage::from_decoder(decoder).map_err(refused)?;
            image.apply_orientation(orientation);
            Picture {
                width: image.width(),
                height: image.height(),
                rgba: into_rgba(image),
            }
        }
    };
    if let Some(profile) = profile {
        colour::convert_to_srgb(&mut picture.rgba, &profile, grey);
    }
    Ok(picture)
}

/// Holds a header's size, and what the decoder will allocate for it, against the limits.
fn check_size(
    width: u32,
    height: u32,
    decoder_bytes: u64,
    limits: &DecodeLimits,
) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::ZeroSize { width, height });
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels {
        return Err(DecodeError::TooManyPixels {
            width,
            height,
            max_pixels: limits.max_pixels,
        });
    }
    let bytes = decoder_bytes.saturating_add(pixels.saturating_mul(4));
    if bytes > limits.max_alloc_bytes {
        return Err(DecodeError::TooManyBytes {
            width,
            height,
            bytes,
            max_alloc_bytes: limits.max_alloc_bytes,
        });
    }
    Ok(())
}

/// Eight-bit RGBA. Sixteen-bit samples keep their high byte, as libpng's `strip_16` and Pillow do, so that an
/// encoder sees the pixels of its reference.
fn into_rgba(image: DynamicImage) -> Vec<u8> {
    let high = |sample: u16| (sample >> 8) as u8;
    match image {
        DynamicImage::ImageLuma16(grey) => grey
            .pixels()
            .flat_map(|p| [high(p[0]), high(p[0]), high(p[0]), 255])
            .collect(),
        DynamicImage::ImageLumaA16(grey) => grey
            .pixels()
            .flat_map(|p| [high(p[0]), high(p[0]), high(p[0]), high(p[1])])
            .collect(),
        DynamicImage::ImageRgb16(rgb) => rgb
            .pixels()
            .flat_map(|p| [high(p[0]), high(p[1]), high(p[2]), 255])
            .collect(),
        DynamicImage::ImageRgba16(rgba) => rgba.as_raw().iter().copied().map(high).collect(),
        other => other.into_rgba8().into_raw(),
    }
}

/// Tells a file that ends too early from one that is wrong.
fn refused(format: &'static str, source: ImageError) -> DecodeError {
    if matches!(source, ImageError::Limits(_)) {
        return DecodeError::LimitReached { format };
    }
    let mut cause: Option<&(dyn Error + 'static)> = match &source {
        ImageError::IoError(error) => Some(error),
        other => other.source(),
    };
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        // The GIF decoder's own error for it is not public; its text is.
        let ends = io.is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof)
            || error.to_string() == "Unexpected End of File";
        if ends {
            return DecodeError::Truncated { format };
        }
        cause = error.source();
    }
    DecodeError::Damaged { format, source }
}

/// The size in a PNG's IHDR, which must come first; its decoder would call a huge one a lack of memory.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let field = |at: usize| {
        let b = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    };
    Some((field(16)?, field(20)?))
}

fn declared_riff_len(bytes: &[u8]) -> u64 {
    let len = bytes.get(4..8).map_or(0, |b| {
        u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    });
    len + 8
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests;
