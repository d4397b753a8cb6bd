//! Rows of eight-bit samples to RGBA, or to inks where the picture has inks.
//!
//! Source: TIFF 6.0, sections 20 to 23; the matrices of Lab are those of sRGB under D50 (Bradford), as in ICC profiles.

use super::layout::{Alpha, Colour, Layout, YCbCr};

/// Turns the samples of pixels into four bytes each.
pub(super) struct Converter<'a> {
    layout: &'a Layout,
}

impl<'a> Converter<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        Self { layout }
    }

    /// Converts as many pixels as `to` has room for. `index` gives a pixel's index into the palette, which may need more
    /// than the eight bits of a sample.
    pub(super) fn convert(&self, samples: &[u8], index: impl Fn(usize) -> usize, to: &mut [u8]) {
        let layout = self.layout;
        let pixels = samples.chunks_exact(layout.samples);
        let targets = to.as_chunks_mut::<4>().0.iter_mut();
        let both = targets.zip(pixels);
        match &layout.colour {
            Colour::Grey { inverted } => {
                let flip = if *inverted { 255 } else { 0 };
                both.for_each(|(to, p)| *to = self.faded([p[0] ^ flip; 3], p));
            }
            Colour::Rgb => both.for_each(|(to, p)| *to = self.faded([p[0], p[1], p[2]], p)),
            Colour::Palette(colours) => {
                let colour = |i: usize| colours.get(index(i)).copied().unwrap_or_default();
                both.enumerate()
                    .for_each(|(i, (to, p))| *to = self.faded(colour(i), p));
            }
            Colour::Cmyk => both.for_each(|(to, p)| *to = [p[0], p[1], p[2], p[3]]),
            Colour::Lab { offset } => {
                let flip = if *offset { 0 } else { 128 };
                both.for_each(|(to, p)| *to = self.faded(lab(p[0], p[1] ^ flip, p[2] ^ flip), p));
            }
            Colour::YCbCr(ycbcr) => {
                both.for_each(|(to, p)| *to = self.faded(ycbcr.rgb([p[0], p[1], p[2]]), p));
            }
        }
    }

    /// A colour with the pixel's transparency, straight.
    fn faded(&self, colour: [u8; 3], pixel: &[u8]) -> [u8; 4] {
        let [r, g, b] = colour;
        match self.layout.alpha {
            None => [r, g, b, 255],
            Some((at, Alpha::Straight)) => [r, g, b, pixel[at]],
            Some((at, Alpha::Associated)) => {
                let alpha = pixel[at];
                let [r, g, b] = colour.map(|value| straight(value, alpha));
                [r, g, b, alpha]
            }
        }
    }
}

/// A value that was multiplied by `alpha`, without it.
fn straight(value: u8, alpha: u8) -> u8 {
    match alpha {
        0 => 0,
        alpha => {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * 255 + alpha / 2) / alpha).min(255) as u8
        }
    }
}

impl YCbCr {
    /// RGB of one pixel.
    fn rgb(&self, samples: [u8; 3]) -> [u8; 3] {
        let [red, green, blue] = self.luma;
        let full = |i: usize, range: f32| {
            let (black, white) = (self.reference[2 * i], self.reference[2 * i + 1]);
            (f32::from(samples[i]) - black) * range / (white - black)
        };
        let (y, cb, cr) = (full(0, 255.0), full(1, 127.0), full(2, 127.0));
        let r = y + cr * (2.0 - 2.0 * red);
        let b = y + cb * (2.0 - 2.0 * blue);
        let g = (y - blue * b - red * r) / green;
        [r, g, b].map(|value| value.round().clamp(0.0, 255.0) as u8)
    }
}

/// sRGB of CIE Lab under D50; `a` and `b` are shifted by 128.
fn lab(l: u8, a: u8, b: u8) -> [u8; 3] {
    let l = f32::from(l) * 100.0 / 255.0;
    let middle = (l + 16.0) / 116.0;
    let wide = |f: f32| {
        if f > 6.0 / 29.0 {
            f.powi(3)
        } else {
            (f - 16.0 / 116.0) * 108.0 / 841.0
        }
    };
    let x = 0.9642 * wide(middle + (f32::from(a) - 128.0) / 500.0);
    let y = wide(middle);
    let z = 0.8249 * wide(middle - (f32::from(b) - 128.0) / 200.0);
    let linear = [
        3.134_136 * x - 1.617_386 * y - 0.490_663 * z,
        -0.978_796 * x + 1.916_254 * y + 0.033_443 * z,
        0.071_955 * x - 0.228_977 * y + 1.405_386 * z,
    ];
    linear.map(|v| {
        let v = v.clamp(0.0, 1.0);
        let curved = if v <= 0.003_130_8 {
            12.92 * v
        } else {
            1.055 * v.powf(1.0 / 2.4) - 0.055
        };
        (255.0 * curved).round() as u8
    })
}
