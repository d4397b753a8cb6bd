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
mod sniff;
mod svg;
mod tiff;

pub use error::DecodeError;

use image::{ImageFormat, metadata::Orientation};
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
    /// Most bytes that decoding may hold at once: the decoder's own buffers (a progressive JPEG's coefficients) and the
    /// RGBA.
    pub max_alloc_bytes: u64,
    /// The formats that are decoded.
    pub formats: Formats,
}

impl DecodeLimits {
    /// The limits for pictures of up to `max_pixels`.
    ///
    /// 13 bytes per pixel are enough for nearly every kind: 4 of RGBA, and 8 of a CMYK JPEG's coefficients or of 16-bit RGBA.
    /// JPEG XL needs more (`jxl`). Small limits get 64 MiB, for what does not grow with the picture.
    pub fn of_pixels(max_pixels: u64) -> Self {
        const BYTES_PER_PX: u64 = 13;
        const LEAST: u64 = 64 << 20;
        Self {
            max_pixels,
            max_alloc_bytes: max_pixels.saturating_mul(BYTES_PER_PX).max(LEAST),
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

/// A picture as its decoder gives it: not yet upright, and in the colours of its profile.
struct Raster {
    width: u32,
    height: u32,
    /// Four bytes per pixel: RGBA, or CMYK (0: no ink) if `inks`.
    rgba: Vec<u8>,
    inks: bool,
    /// There was one channel of light.
    grey: bool,
    /// An ICC profile.
    profile: Option<Vec<u8>>,
    /// Code points of primaries and transfer function (ITU-T H.273), which go before a profile.
    cicp: Option<(u8, u8)>,
    orientation: Orientation,
}

impl Raster {
    /// A transparent picture.
    fn new(width: u32, height: u32) -> Self {
        let mut raster = Self::sized(width, height);
        raster.rgba = vec![0; 4 * width as usize * height as usize];
        raster
    }

    /// A picture whose pixels are still to come.
    fn sized(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            rgba: Vec::new(),
            inks: false,
            grey: false,
            profile: None,
            cicp: None,
            orientation: Orientation::NoTransforms,
        }
    }

    /// In sRGB and upright.
    fn finished(mut self, format: &'static str) -> Result<Picture, DecodeError> {
        if self.inks {
            colour::inks_to_srgb(&mut self.rgba, self.profile.as_deref());
        } else if let Some((primaries, transfer)) = self.cicp {
            cicp::convert_to_srgb(&mut self.rgba, primaries, transfer);
        } else if let Some(profile) = &self.profile {
            colour::convert_to_srgb(&mut self.rgba, profile, self.grey);
        }
        if self.orientation == Orientation::NoTransforms {
            return Ok(Picture {
                width: self.width,
                height: self.height,
                rgba: self.rgba,
            });
        }
        let lying = image::RgbaImage::from_raw(self.width, self.height, self.rgba);
        let lying = lying.ok_or(DecodeError::Damaged {
            format,
            what: "it is not as large as it says",
        })?;
        let mut image = image::DynamicImage::ImageRgba8(lying);
        image.apply_orientation(self.orientation);
        Ok(Picture {
            width: image.width(),
            height: image.height(),
            rgba: image.into_rgba8().into_raw(),
        })
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

/// About how many bytes [`decode`] will hold at once, by the header; 0 for a file that it will refuse by its header.
pub fn footprint(bytes: &[u8]) -> u64 {
    /// RGBA, and what most decoders hold besides it.
    const BYTES_PER_PX: u64 = 4 + 8;
    let Ok(format) = sniff::sniff(bytes) else {
        return 0;
    };
    let size = panic::catch_unwind(|| match format {
        Format::Png => png::size(bytes).map(|size| (size, BYTES_PER_PX)),
        Format::Jpeg => jpeg::size(bytes).map(|(size, more)| (size, 4 + more)),
        Format::Tiff => tiff::size(bytes).map(|size| (size, BYTES_PER_PX)),
        Format::Avif => avif::size(bytes).map(|size| (size, BYTES_PER_PX)),
        Format::JpegXl => jxl::size(bytes).map(|size| (size, jxl::BYTES_PER_PX)),
        Format::Svg => Some(((svg::SIDE, svg::SIDE), BYTES_PER_PX)),
        Format::Gif => plain::size(bytes, ImageFormat::Gif).map(|size| (size, BYTES_PER_PX)),
        Format::WebP => plain::size(bytes, ImageFormat::WebP).map(|size| (size, BYTES_PER_PX)),
        Format::Bmp => plain::size(bytes, ImageFormat::Bmp).map(|size| (size, BYTES_PER_PX)),
    });
    size.ok().flatten().map_or(0, |((width, height), bytes)| {
        (u64::from(width) * u64::from(height)).saturating_mul(bytes)
    })
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
