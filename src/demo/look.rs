//! Palette, way of colouring, light and background of an image, chosen independently of its family.

use super::palette::{Palette, luminance};
use super::random::{Draws, hash, noise};
use super::vector::{Vec3, fract, smoothstep, vec3};

/// How an unpainted surface gets its place on the palette.
#[derive(Clone, Copy, Debug)]
enum Way {
    Flat,
    Along,
    Facing,
    Outward,
    Cloudy,
    Banded,
    Shimmering,
}

/// How a background runs.
#[derive(Clone, Copy, Debug)]
enum Run {
    Down,
    Around,
}

/// Everything about an image that is not its solid.
///
/// The light comes from [`Look::light`] in the camera's frame: `key` is its colour, `fill` the sky's, `near` the
/// background's brighter end.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) palette: Palette,
    way: Way,
    axis: Vec3,
    colours: f32,
    pub(super) offset: f32,
    pub(super) gloss: f32,
    pub(super) rim: f32,
    pub(super) key: Vec3,
    pub(super) fill: Vec3,
    pub(super) light: Vec3,
    run: Run,
    pub(super) near: Vec3,
    far: Vec3,
    /// Which stars are in the sky; 0 for none.
    stars: i32,
}

impl Look {
    pub(super) fn draw(draws: &mut Draws) -> Self {
        let palette = Palette::draw(draws);
        let offset = draws.range(0.0, 1.0);
        let (near, far) = background(&palette, draws);
        let warm = draws.range(-0.18, 0.18);
        Self {
            palette,
            way: draws.pick(&[
                Way::Flat,
                Way::Along,
                Way::Along,
                Way::Facing,
                Way::Facing,
                Way::Outward,
                Way::Cloudy,
                Way::Banded,
                Way::Shimmering,
            ]),
            axis: draws.direction(),
            colours: draws.range(0.25, 0.75),
            offset,
            gloss: draws.range(0.0, 1.0) * draws.range(0.0, 1.0),
            rim: draws.range(0.0, 0.6),
            key: vec3(1.0 + warm, 1.0, 1.0 - warm) * draws.range(2.0, 2.8),
            fill: vec3(0.5 - 0.5 * warm, 0.52, 0.56 + 0.5 * warm) * draws.range(0.5, 0.9),
            light: vec3(
                draws.pick(&[-1.0, 1.0]) * draws.range(0.2, 0.9),
                draws.range(0.5, 1.0),
                -draws.range(0.4, 0.9),
            )
            .unit(),
            run: draws.pick(&[Run::Down, Run::Around]),
            near,
            far,
            stars: 0,
        }
    }

    /// The same look without the ways of colouring that would hide what is painted on.
    pub(super) fn calm(mut self) -> Self {
        if matches!(self.way, Way::Cloudy | Way::Banded | Way::Outward) {
            self.way = Way::Along;
        }
        self.colours *= 0.4;
        self
    }

    /// The same look without gloss and rim light.
    pub(super) fn matte(mut self) -> Self {
        (self.gloss, self.rim) = (self.gloss * 0.15, self.rim * 0.4);
        self
    }

    /// The same look before a night sky, lit from one side.
    pub(super) fn night(mut self, draws: &mut Draws) -> Self {
        let tone = self.palette.by_light(draws.below(2));
        self.near = tone * (0.04 / luminance(tone).max(0.04));
        self.far = self.near * 0.2;
        self.stars = draws.below(1 << 20) as i32 + 1;
        self.fill = self.fill * 0.35;
        self
    }

    /// The same look, at least this glossy.
    pub(super) fn glossy(mut self, gloss: f32) -> Self {
        self.gloss = self.gloss.max(gloss);
        self
    }

    /// The background at image coordinates in -1..1 (y up).
    pub(super) fn background(&self, x: f32, y: f32) -> Vec3 {
        let share = match self.run {
            Run::Down => 0.5 - 0.5 * y,
            Run::Around => 1.0 - 0.62 * (x * x + y * y).sqrt(),
        };
        let sky = self.far.mix(self.near, share.clamp(0.0, 1.0));
        if self.stars == 0 {
            sky
        } else {
            sky + Vec3::splat(self.starlight(x, y))
        }
    }

    /// At most one star in each field of a lattice.
    fn starlight(&self, x: f32, y: f32) -> f32 {
        const FIELDS: f32 = 14.0;
        let (u, v) = (x * FIELDS, y * FIELDS);
        let (i, j) = (u.floor() as i32, v.floor() as i32);
        let size = hash(i, j, self.stars);
        if size < 0.55 {
            return 0.0;
        }
        let at = |layer| 0.2 + 0.6 * hash(i, j, self.stars.wrapping_add(layer));
        let away = (fract(u) - at(1)).hypot(fract(v) - at(2));
        (size - 0.5) * 2.0 * smoothstep(0.04 + 0.1 * (size - 0.5), 0.0, away)
    }

    /// The colour of an unpainted surface, `shift` along the palette.
    pub(super) fn colour(&self, shift: f32, p: Vec3, normal: Vec3, view: Vec3) -> Vec3 {
        let t = match self.way {
            Way::Flat => 0.0,
            Way::Along => p.dot(self.axis) * 0.5,
            Way::Facing => normal.dot(self.axis) * 0.5,
            Way::Outward => p.length() * 0.8,
            Way::Cloudy => noise(p * 2.3 + self.axis * 9.0),
            Way::Banded => ((p.dot(self.axis) + 2.0) * 3.5).floor() * 0.3,
            Way::Shimmering => normal.dot(view) * 1.1 + p.y * 0.2,
        };
        self.palette.at(self.offset + shift + t * self.colours)
    }
}

/// Colours of a background: mostly dark, sometimes pale, rarely loud.
fn background(palette: &Palette, draws: &mut Draws) -> (Vec3, Vec3) {
    let dim = |c: Vec3, to: f32| c * (to / luminance(c).max(0.01)).min(1.0);
    match draws.below(20) {
        0..9 => {
            let tone = palette.by_light(draws.below(2));
            (dim(tone, 0.10), dim(tone, 0.015))
        }
        9..12 => (Vec3::splat(draws.range(0.0, 0.02)), Vec3::ZERO),
        12..16 => {
            let tone = palette.by_light(draws.count(3, 4));
            let pale = tone.mix(Vec3::splat(0.9), draws.range(0.4, 0.8));
            (pale, pale * draws.range(0.55, 0.8))
        }
        _ => {
            let (a, b) = (draws.count(0, 2), draws.count(1, 3));
            (
                dim(palette.by_light(b), 0.35),
                dim(palette.by_light(a), 0.12),
            )
        }
    }
}
