//! From the rows that a decoder gives to a picture: its colours, its size, and which side is up.
//!
//! A picture of more pixels than [`DecodeLimits::kept_pixels`] is halved while its rows come, as often as needed, so that
//! only a few of its rows are in memory at full size. Each halving takes the mean of four pixels, weighted by their
//! opacity.

use super::{DecodeError, DecodeLimits, Picture, colour::ToSrgb};
use image::metadata::Orientation;

/// How often a picture is halved while it is decoded.
///
/// A square of the kept pixels, halved once, is large enough for every rendition, and half of that for twice every cell; no
/// picture gets smaller than that.
fn halvings(width: u32, height: u32, limits: &DecodeLimits) -> u32 {
    let side = limits.kept_pixels.isqrt();
    let suffices = |times: u32| {
        let (w, h) = (u64::from(width >> times), u64::from(height >> times));
        w * h <= limits.kept_pixels || w.max(h) < side || w.min(h) < side / 2
    };
    (0..16).find(|&times| suffices(times)).unwrap_or(0)
}

/// Pixels that stay in memory of a picture of this size.
pub(super) fn kept(width: u32, height: u32, limits: &DecodeLimits) -> u64 {
    let times = halvings(width, height, limits);
    let side = |length: u32| u64::from(length.div_ceil(1 << times));
    side(width) * side(height)
}

/// A picture as its decoder gives it: not yet upright, and in the colours of its profile.
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The pixels are inks, CMYK (0: no ink), not RGBA.
    pub(super) inks: bool,
    /// There was one channel of light.
    pub(super) grey: bool,
    /// An ICC profile.
    pub(super) profile: Option<Vec<u8>>,
    /// Code points of primaries and transfer function (ITU-T H.273), which go before a profile.
    pub(super) cicp: Option<(u8, u8)>,
    pub(super) orientation: Orientation,
    halvings: u32,
    /// Four bytes per pixel: what is finished, then the rows that came since.
    pixels: Vec<u8>,
    /// Bytes of `pixels` that are finished.
    finished: usize,
    /// Bytes that came in all.
    came: usize,
    to_srgb: Option<ToSrgb>,
}

impl Raster {
    /// A picture whose rows are still to come. What is known about its colours is set before the first of them.
    pub(super) fn new(width: u32, height: u32, limits: &DecodeLimits) -> Self {
        Self {
            width,
            height,
            inks: false,
            grey: false,
            profile: None,
            cicp: None,
            orientation: Orientation::NoTransforms,
            halvings: halvings(width, height, limits),
            pixels: Vec::new(),
            finished: 0,
            came: 0,
            to_srgb: None,
        }
    }

    /// Whether it is too large to be kept whole.
    pub(super) fn is_halved(&self) -> bool {
        self.halvings > 0
    }

    /// Bytes of a row.
    pub(super) fn line(&self) -> usize {
        4 * self.width as usize
    }

    /// Takes the next row, or part of one, which `append` appends.
    pub(super) fn take(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        if self.came == 0 {
            let side = |length: u32| length.div_ceil(1 << self.halvings) as usize;
            let rows = if self.is_halved() {
                1 << self.halvings
            } else {
                0
            };
            let kept = 4 * side(self.width) * side(self.height);
            self.pixels.reserve_exact(kept + rows * self.line());
        }
        let before = self.pixels.len();
        append(&mut self.pixels);
        self.came += self.pixels.len() - before;
        if self.is_halved() && self.pixels.len() - self.finished >= self.line() << self.halvings {
            self.halve();
        }
    }

    /// Takes rows that are there already, four bytes per pixel.
    pub(super) fn take_all(&mut self, rows: Vec<u8>) {
        if self.is_halved() || self.came > 0 {
            for row in rows.chunks(self.line()) {
                self.take(|pixels| pixels.extend_from_slice(row));
            }
        } else {
            self.came = rows.len();
            self.pixels = rows;
        }
    }

    /// The pixels as they came, of a picture that is part of another one.
    pub(super) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Brings the rows that came last to the size that is kept.
    fn halve(&mut self) {
        self.convert();
        let (mut width, line) = (self.width as usize, self.line());
        let last = &mut self.pixels[self.finished..];
        let mut rows = last.len() / line;
        for _ in 0..self.halvings {
            halve(last.as_chunks_mut().0, width, rows);
            (width, rows) = (width.div_ceil(2), rows.div_ceil(2));
        }
        self.finished += 4 * width * rows;
        self.pixels.truncate(self.finished);
    }

    /// Brings what came last to sRGB.
    fn convert(&mut self) {
        let to_srgb =
            self.to_srgb
                .get_or_insert_with(|| match (self.inks, self.cicp, &self.profile) {
                    (true, _, profile) => ToSrgb::of_inks(profile.as_deref()),
                    (false, Some((primaries, transfer)), _) => {
                        ToSrgb::of_code_points(primaries, transfer)
                    }
                    (false, None, Some(profile)) => ToSrgb::of_profile(profile, self.grey),
                    (false, None, None) => ToSrgb::Same,
                });
        to_srgb.convert(&mut self.pixels[self.finished..]);
    }

    /// In sRGB and upright.
    pub(super) fn finished(mut self, format: &'static str) -> Result<Picture, DecodeError> {
        let wrong_size = || DecodeError::Damaged {
            format,
            what: "it is not as large as it says",
        };
        if self.came != self.line() * self.height as usize {
            return Err(wrong_size());
        }
        if self.is_halved() {
            self.halve();
        } else {
            self.convert();
        }
        let side = |length: u32| length.div_ceil(1 << self.halvings);
        let (width, height, rgba) = (side(self.width), side(self.height), self.pixels);
        if self.orientation == Orientation::NoTransforms {
            return Ok(Picture {
                width,
                height,
                rgba,
            });
        }
        let lying = image::RgbaImage::from_raw(width, height, rgba);
        let lying = lying.ok_or_else(wrong_size)?;
        let mut image = image::DynamicImage::ImageRgba8(lying);
        image.apply_orientation(self.orientation);
        Ok(Picture {
            width: image.width(),
            height: image.height(),
            rgba: image.into_rgba8().into_raw(),
        })
    }
}

/// Halves both axes of `rows` rows of `width` pixels, in place; an odd last row or column counts twice.
fn halve(pixels: &mut [[u8; 4]], width: usize, rows: usize) {
    let across = width.div_ceil(2);
    for y in 0..rows.div_ceil(2) {
        let upper = 2 * y * width;
        let lower = (2 * y + 1).min(rows - 1) * width;
        for x in 0..across {
            let (left, right) = (2 * x, (2 * x + 1).min(width - 1));
            let four =
                [upper + left, upper + right, lower + left, lower + right].map(|at| pixels[at]);
            pixels[y * across + x] = mean(four);
        }
    }
}

/// The mean of four pixels, each colour as much as it is opaque.
fn mean(four: [[u8; 4]; 4]) -> [u8; 4] {
    let sum = |value: &dyn Fn([u8; 4]) -> u32| four.into_iter().map(value).sum::<u32>();
    let opacity = sum(&|pixel| u32::from(pixel[3]));
    if opacity == 4 * 255 {
        let [r, g, b] = [0, 1, 2].map(|c| ((sum(&|pixel| u32::from(pixel[c])) + 2) / 4) as u8);
        return [r, g, b, 255];
    }
    if opacity == 0 {
        return [0; 4];
    }
    let weighted = |c: usize| sum(&|pixel| u32::from(pixel[c]) * u32::from(pixel[3]));
    let [r, g, b] = [0, 1, 2].map(|c| ((weighted(c) + opacity / 2) / opacity) as u8);
    [r, g, b, ((opacity + 2) / 4) as u8]
}
