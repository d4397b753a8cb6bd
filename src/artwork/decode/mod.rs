//! Decoding bytes into pixels, guarded.
//!
//! The content decides the format, never the name. Every size is checked against [`DecodeLimits`] from the header, before
//! anything is allocated for it. A decoder's panic becomes [`DecodeError::Panicked`].
//!
//! Invariants: [`decode`] depends on its arguments alone and never panics; it allocates at most about
//! [`DecodeLimits::max_alloc_bytes`] besides its input; a file that was cut short never counts as a whole picture,
//! except where the missing bytes hold no pixels. Animated files give their first frame. Pixels come out upright and in
//! sRGB.
//!
//! The orientation comes from EXIF (in a TIFF from its own tag, in AVIF and JPEG XL from their own headers). An
//! orientation that only XMP states is ignored, as in browsers.
//!
//! Left to others: reading the file and capping its size (`watch`), retrying later ([`DecodeError::is_truncated`]).

mod avif;
mod cicp;
mod colour;
mod error;
mod jpeg;
mod jxl;
mod plain;
mod png;
mod raster;
mod sniff;
mod svg;
mod tiff;

pub use error::DecodeError;

use image::ImageFormat;
use raster::{Raster, kept};
use serde::{Deserialize, Serialize};
use std::{any::Any, fmt, panic, str::FromStr};

/// A decoded picture: sRGB, upright, 8 bits per channel, straight alpha.
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

/// A format that has a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG of 1992 in all its kinds.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
    /// Windows bitmaps.
    Bmp,
    /// TIFF and BigTIFF.
    Tiff,
    /// AV1 pictures.
    Avif,
    /// JPEG XL.
    JpegXl,
    /// Scalable Vector Graphics.
    Svg,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Png,
        Self::Jpeg,
        Self::Gif,
        Self::WebP,
        Self::Bmp,
        Self::Tiff,
        Self::Avif,
        Self::JpegXl,
        Self::Svg,
    ];

    /// The format that a file of these bytes has, if it has a decoder.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        sniff::sniff(bytes).ok()
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Avif => "AVIF",
            Self::JpegXl => "JPEG XL",
            Self::Svg => "SVG",
        }
    }

    /// Its name in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Avif => "avif",
            Self::JpegXl => "jxl",
            Self::Svg => "svg",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// The text names no format that has a decoder.
#[derive(Debug, thiserror::Error)]
#[error(
    "no picture format is called {0:?} (there are png, jpeg, gif, webp, bmp, tiff, avif, jxl, svg)"
)]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.key() == text);
        found.ok_or_else(|| UnknownFormat(text.chars().take(40).collect()))
    }
}

/// A set of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats(u16);

impl Formats {
    /// Every format that has a decoder.
    pub const ALL: Self = Self((1 << Format::ALL.len()) - 1);

    /// Whether the format is one of them.
    pub fn has(self, format: Format) -> bool {
        self.0 & 1 << format as u16 != 0
    }
}

impl FromIterator<Format> for Formats {
    fn from_iter<I: IntoIterator<Item = Format>>(formats: I) -> Self {
        let add = |set, format| set | 1 << format as u16;
        Self(formats.into_iter().fold(0, add))
    }
}

/// What a picture may cost. Sizes are checked against the header alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeLimits {
    /// Most pixels, width × height.
    pub max_pixels: u64,
    /// Most bytes that decoding may hold at once: the decoder's own buffers (a progressive JPEG's coefficients) and what
    /// is kept of the picture.
    pub max_alloc_bytes: u64,
    /// A picture of more pixels is halved while it is decoded.
    pub kept_pixels: u64,
    /// The formats that are decoded.
    pub formats: Formats,
}

impl DecodeLimits {
    /// The limits for pictures of up to `max_pixels`.
    ///
    /// 13 bytes per pixel are enough for nearly every kind: 4 of RGBA, and 8 of a CMYK JPEG's coefficients or of 16-bit RGBA.
    /// Small limits get 64 MiB, for what does not grow with the picture.
    pub fn of_pixels(max_pixels: u64) -> Self {
        const BYTES_PER_PX: u64 = 13;
        const LEAST: u64 = 64 << 20;
        /// Halved, its square has the longest side of a rendition (`page.large_px`).
        const KEPT: u64 = 8192 * 8192;
        Self {
            max_pixels,
            max_alloc_bytes: max_pixels.saturating_mul(BYTES_PER_PX).max(LEAST),
            kept_pixels: KEPT,
            formats: Formats::ALL,
        }
    }
}

impl Default for DecodeLimits {
    /// 100 megapixels, and all formats.
    fn default() -> Self {
        Self::of_pixels(100_000_000)
    }
}

/// Decodes the content of one file.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Picture, DecodeError> {
    let format = sniff::sniff(bytes)?;
    let name = format.name();
    if !limits.formats.has(format) {
        return Err(DecodeError::TurnedOff { format: name });
    }
    let decoded = panic::catch_unwind(|| {
        match format {
            Format::Png => png::decode(bytes, limits),
            Format::Jpeg => jpeg::decode(bytes, limits),
            Format::Gif => plain::decode_gif(bytes, limits),
            Format::WebP => plain::decode_webp(bytes, limits),
            Format::Bmp => plain::decode_bmp(bytes, limits),
            Format::Tiff => tiff::decode(bytes, limits),
            Format::Avif => avif::decode(bytes, limits),
            Format::JpegXl => jxl::decode(bytes, limits),
            Format::Svg => svg::decode(bytes, limits),
        }
        .and_then(|raster| raster.finished(name))
    });
    decoded.unwrap_or_else(|payload| {
        Err(DecodeError::Panicked {
            format: name,
            message: panic_message(payload.as_ref()),
        })
    })
}

/// What [`decode`] will take, by the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// About how many bytes it will hold at once.
    pub bytes: u64,
    /// Pixels that it goes through.
    pub pixels: u64,
}

/// What [`decode`] will take; nothing for a file that it will refuse by its header.
pub fn cost(bytes: &[u8], limits: &DecodeLimits) -> Cost {
    let Ok(format) = sniff::sniff(bytes) else {
        return Cost::default();
    };
    let per_px = |size: (u32, u32), bytes| (size, bytes * pixels(size));
    let plain = |kind, bytes_per_px| {
        let size = plain::size(bytes, kind)?;
        Some(per_px(size, bytes_per_px))
    };
    let size = panic::catch_unwind(|| match format {
        Format::Png => png::size(bytes).map(|size| per_px(size, png::bytes_per_px(bytes))),
        Format::Jpeg => jpeg::size(bytes, limits),
        Format::Tiff => tiff::size(bytes),
        Format::Avif => avif::size(bytes).map(|size| per_px(size, avif::BYTES_PER_PX)),
        Format::JpegXl => jxl::size(bytes).map(|size| (size, jxl::strip_bytes(size))),
        Format::Svg => Some(per_px((svg::SIDE, svg::SIDE), 8)),
        Format::Gif => plain(ImageFormat::Gif, 4),
        Format::WebP => plain(ImageFormat::WebP, plain::WEBP_BYTES_PER_PX),
        Format::Bmp => plain(ImageFormat::Bmp, 4),
    });
    let Some(((width, height), besides)) = size.ok().flatten() else {
        return Cost::default();
    };
    Cost {
        // What is made of the picture, or turns it, may hold it twice.
        bytes: besides.saturating_add(8 * kept(width, height, limits)),
        pixels: pixels((width, height)),
    }
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Checks a header's size, and what the decoder will allocate for it, against the limits.
fn check_size(
    width: u32,
    height: u32,
    decoder_bytes: u64,
    limits: &DecodeLimits,
) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::ZeroSize { width, height });
    }
    if pixels((width, height)) > limits.max_pixels {
        return Err(DecodeError::TooManyPixels {
            width,
            height,
            max_pixels: limits.max_pixels,
        });
    }
    let bytes = decoder_bytes.saturating_add(4 * kept(width, height, limits));
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

/// Appends RGB as opaque RGBA.
fn spread(rgb: &[u8], rgba: &mut Vec<u8>) {
    let start = rgba.len();
    rgba.resize(start + rgb.len() / 3 * 4, 255);
    let (fours, rest) = rgb.as_chunks::<12>();
    let (to_fours, to_rest) = rgba[start..].as_chunks_mut::<16>();
    for (to, &[a, b, c, d, e, f, g, h, i, j, k, l]) in to_fours.iter_mut().zip(fours) {
        // Four pixels by two words: a byte at a time takes three times as long.
        const LOW: u64 = 0x0000_0000_00FF_FFFF;
        const HIGH: u64 = LOW << 32;
        const ALPHA: u64 = 0xFF00_0000_FF00_0000;
        let front = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let back = u64::from_le_bytes([e, f, g, h, i, j, k, l]);
        let front = (front & LOW) | (front << 8 & HIGH) | ALPHA;
        let back = (back >> 16 & LOW) | (back >> 8 & HIGH) | ALPHA;
        // Whole arrays are assigned: copies of slices are calls where they are not inlined, and took a tenth of a cold
        // render.
        if let [to_front, to_back] = to.as_chunks_mut::<8>().0 {
            *to_front = front.to_le_bytes();
            *to_back = back.to_le_bytes();
        }
    }
    let to_rest = to_rest.as_chunks_mut::<4>().0.iter_mut();
    for (to, &[r, g, b]) in to_rest.zip(rest.as_chunks::<3>().0) {
        *to = [r, g, b, 255];
    }
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
