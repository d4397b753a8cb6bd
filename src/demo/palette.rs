//! Colours: palettes that every family shares, so that colour alone does not distinguish families.

use super::random::Draws;
use super::vector::{Vec3, fract, vec3};

/// Five colours in a circle, linear RGB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette([Vec3; 5]);

/// sRGB; chosen by eye for range in lightness and few, related hues.
const PALETTES: [[u32; 5]; 20] = [
    [0x2d1b4e, 0x7b2d8b, 0xe0457b, 0xff8c5a, 0xffd28a], // dusk
    [0x06283d, 0x1363df, 0x47b5ff, 0xdff6ff, 0x0a4d7c], // sea
    [0x0b3d2e, 0x2f8f5b, 0x9bd770, 0xf4f1bb, 0x5b8c5a], // fern
    [0x3a0603, 0xa4161a, 0xe5383b, 0xff9f1c, 0xffe5b4], // ember
    [0x22223b, 0x4a4e69, 0x9a8c98, 0xc9ada7, 0xf2e9e4], // dust
    [0xff6f91, 0xff9671, 0xffc75f, 0xf9f871, 0xd65db1], // candy
    [0x0d1b2a, 0x1b4965, 0x5fa8d3, 0xbee9e8, 0xf7b267], // harbour
    [0x10002b, 0x3c096c, 0x7b2cbf, 0xc77dff, 0xe0aaff], // violet
    [0x264653, 0x2a9d8f, 0xe9c46a, 0xf4a261, 0xe76f51], // terracotta
    [0xf8f9fa, 0xced4da, 0x868e96, 0x495057, 0x212529], // silver
    [0x001219, 0x005f73, 0x0a9396, 0x94d2bd, 0xee9b00], // lagoon
    [0xffcdb2, 0xffb4a2, 0xe5989b, 0xb5838d, 0x6d6875], // blush
    [0x03071e, 0x6a040f, 0xd00000, 0xf48c06, 0xffba08], // lava
    [0x003049, 0xd62828, 0xf77f00, 0xfcbf49, 0xeae2b7], // poster
    [0x1a1423, 0x3d314a, 0x684756, 0x96705b, 0xab8476], // umber
    [0x72efdd, 0x56cfe1, 0x4ea8de, 0x5e60ce, 0x7400b8], // aurora
    [0xd9ed92, 0x99d98c, 0x52b69a, 0x168aad, 0x184e77], // meadow
    [0xfec5bb, 0xfcd5ce, 0xd8e2dc, 0xece4db, 0xffd7ba], // pastel
    [0x231942, 0x5e548e, 0x9f86c0, 0xbe95c4, 0xe0b1cb], // lilac
    [0x582f0e, 0x936639, 0xb6ad90, 0xa4ac86, 0x414833], // moss
];

impl Palette {
    /// A palette, its circle turned and perhaps reversed.
    pub(super) fn draw(draws: &mut Draws) -> Self {
        let mut colours = draws.pick(&PALETTES).map(linear);
        colours.rotate_left(draws.below(5));
        if draws.chance(0.5) {
            colours.reverse();
        }
        Self(colours)
    }

    /// The colour at `t`, which counts once around the circle from 0 to 1.
    pub(super) fn at(&self, t: f32) -> Vec3 {
        let place = fract(t) * 5.0;
        // `place` may round up to 5.
        let i = (place as usize).min(4);
        let share = place - i as f32;
        self.0[i].mix(self.0[(i + 1) % 5], share * share * (3.0 - 2.0 * share))
    }

    /// The darkest (`0`) to the lightest (`4`) of the five.
    pub(super) fn by_light(&self, rank: usize) -> Vec3 {
        let mut sorted = self.0;
        sorted.sort_by(|a, b| luminance(*a).total_cmp(&luminance(*b)));
        sorted[rank.min(4)]
    }
}

/// Rec. 709 luminance of a linear colour.
pub(super) fn luminance(c: Vec3) -> f32 {
    c.dot(vec3(0.2126, 0.7152, 0.0722))
}

/// From 0xRRGGBB (sRGB) to linear.
pub(super) fn linear(hex: u32) -> Vec3 {
    let part = |shift: u32| {
        let v = ((hex >> shift) & 255) as f32 / 255.0;
        if v <= 0.04045 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    };
    vec3(part(16), part(8), part(0))
}

/// From linear light to an sRGB pixel; bright light is bent down to white instead of being cut off.
pub(super) fn pixel(c: Vec3) -> image::Rgb<u8> {
    let byte = |v: f32| {
        let v = bend(v.max(0.0));
        let v = if v <= 0.003_130_8 {
            12.92 * v
        } else {
            1.055 * v.powf(1.0 / 2.4) - 0.055
        };
        (v * 255.0 + 0.5) as u8
    };
    image::Rgb([byte(c.x), byte(c.y), byte(c.z)])
}

/// Linear up to 0.7, then towards 1 without ever reaching it.
fn bend(v: f32) -> f32 {
    if v <= 0.7 { v } else { 1.0 - 0.09 / (v - 0.4) }
}
