//! The rendition of a picture: the whole picture, uncropped, large enough to look at.
//!
//! Pure: pixels in, a JPEG out. A picture is never enlarged. Transparent parts show the background, as in a cell. JPEG,
//! because the WebP encoder of the `image` crate is lossless only, and a lossless file of a photograph is several times as
//! large.

use super::{
    decode::Picture,
    resize::{Window, resized},
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use serde::{Deserialize, Serialize};

/// On the Independent JPEG Group's scale: a step below it shows on flat colours, a step above costs a fifth more bytes.
const QUALITY: u8 = 85;

/// Counts up when the same picture gives other bytes than before, so that all renditions are made again.
const VERSION: u32 = 1;

/// Everything that decides a rendition besides the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeSpec {
    /// Longest side, pixels; 0: no renditions.
    pub px: u32,
    /// Colour behind alpha, sRGB.
    pub background: [u8; 3],
}

impl LargeSpec {
    /// Stands for the spec in names: 32 bits of its digest.
    pub fn tag(&self) -> u32 {
        let [r, g, b] = self.background;
        let text = format!("v{VERSION}-{}-q{QUALITY}-{r:02x}{g:02x}{b:02x}", self.px);
        let [a, b, c, d, ..] = *blake3::hash(text.as_bytes()).as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// A picture as visitors see it large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Large {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// The file.
    pub jpeg: Vec<u8>,
}

/// Makes the rendition of `picture`; `None` if none is wanted, and for a picture whose buffer does not hold its size.
pub fn prepare(picture: &Picture, spec: &LargeSpec) -> Option<Large> {
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    if spec.px == 0 || pixels == 0 || picture.rgba.len() as u64 != 4 * pixels {
        return None;
    }
    let (width, height) = shown(picture.width, picture.height, spec.px);
    let window = Window::whole((picture.width, picture.height));
    let rgb = resized(picture, window, (width, height), spec.background)?;
    let mut jpeg = Vec::with_capacity(rgb.len() / 8);
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    let (w, h) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    encoder.encode(&rgb, w, h, ColorType::Rgb).ok()?;
    Some(Large {
        width,
        height,
        jpeg,
    })
}

impl Large {
    /// Whether it can be what [`prepare`] makes for `spec`: a stranger's file may have taken over the process that made it.
    pub fn is_sound(&self, spec: &LargeSpec) -> bool {
        let sides = [self.width, self.height];
        let pixels = u64::from(self.width) * u64::from(self.height);
        sides.iter().all(|side| (1..=spec.px).contains(side))
            && self.jpeg.starts_with(b"\xff\xd8\xff")
            && self.jpeg.ends_with(b"\xff\xd9")
            && self.jpeg.len() as u64 <= 3 * pixels + 4096
    }
}

/// The size in which a `width × height` picture is shown: its longest side at most `px`.
fn shown(width: u32, height: u32, px: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= px {
        return (width, height);
    }
    let scale = f64::from(px) / f64::from(longest);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, px);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artwork::decode::{self, DecodeLimits};

    const GREY: LargeSpec = LargeSpec {
        px: 100,
        background: [10, 120, 230],
    };

    fn decoded(large: &Large) -> Picture {
        let picture = decode::decode(&large.jpeg, &DecodeLimits::default()).expect("a JPEG");
        assert_eq!((picture.width, picture.height), (large.width, large.height));
        picture
    }

    fn at(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
        let i = 4 * (y * picture.width + x) as usize;
        [picture.rgba[i], picture.rgba[i + 1], picture.rgba[i + 2]]
    }

    fn near(one: [u8; 3], other: [u8; 3]) -> bool {
        one.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 6)
    }

    #[test]
    fn all_of_the_picture_is_there_and_no_side_is_longer() {
        let colours = [[200, 40, 40], [40, 180, 60], [30, 60, 190]];
        let flag = Picture::drawn(600, 200, |x, _| {
            let [r, g, b] = colours[x as usize / 200];
            [r, g, b, 255]
        });
        let large = prepare(&flag, &GREY).expect("a rendition");
        assert_eq!((large.width, large.height), (100, 33));
        let shown = decoded(&large);
        for (x, colour) in [(16, colours[0]), (50, colours[1]), (84, colours[2])] {
            assert!(near(at(&shown, x, 16), colour), "{:?}", at(&shown, x, 16));
        }
    }

    #[test]
    fn nothing_is_enlarged_and_any_shape_has_a_rendition() {
        for (width, height, wanted) in [
            (60, 40, (60, 40)),
            (100, 100, (100, 100)),
            (1, 1, (1, 1)),
            (3_000, 1, (100, 1)),
            (1, 3_000, (1, 100)),
            (101, 50, (100, 50)),
        ] {
            let plain = Picture::drawn(width, height, |_, _| [9, 9, 9, 255]);
            let large = prepare(&plain, &GREY).expect("a rendition");
            assert_eq!((large.width, large.height), wanted);
            decoded(&large);
        }
    }

    #[test]
    fn transparent_parts_show_the_background() {
        let half = Picture::drawn(200, 200, |x, _| {
            [250, 250, 250, if x < 100 { 255 } else { 0 }]
        });
        let shown = decoded(&prepare(&half, &GREY).expect("a rendition"));
        assert!(near(at(&shown, 20, 50), [250; 3]));
        assert!(near(at(&shown, 80, 50), GREY.background));
    }

    #[test]
    fn none_is_made_where_none_is_wanted_and_other_specs_have_other_tags() {
        let plain = Picture::drawn(8, 8, |_, _| [9, 9, 9, 255]);
        assert_eq!(prepare(&plain, &LargeSpec { px: 0, ..GREY }), None);
        let torn = Picture {
            width: 9,
            ..plain.clone()
        };
        assert_eq!(prepare(&torn, &GREY), None);
        let tags = [
            GREY,
            LargeSpec { px: 99, ..GREY },
            LargeSpec {
                background: [0; 3],
                ..GREY
            },
        ]
        .map(|spec| spec.tag());
        assert!(tags[0] != tags[1] && tags[0] != tags[2]);
    }
}
