//! The photographer: camera, light, background and the sphere tracer that all solid families share.
//!
//! Source: Hart 1996 (sphere tracing); Quilez' articles on soft shadows, ambient occlusion and normals of distance
//! fields.

use super::palette::{Palette, luminance, pixel};
use super::random::{Draws, hash, noise};
use super::vector::{Basis, Vec3, fract, mix, smoothstep, vec3};
use image::RgbImage;

/// A solid inside a sphere of radius [`Scene::BOUND`] around the origin.
pub(super) trait Scene {
    /// Share of the distance that is safe to step; below 1 where [`Scene::distance`] overestimates.
    const STEP: f32 = 1.0;
    /// Nothing of the solid is farther from the origin.
    const BOUND: f32 = 1.45;
    /// Signed distance to the surface, or an estimate.
    fn distance(&self, p: Vec3) -> f32;
    /// What the surface is painted with at `p`.
    fn paint(&self, _p: Vec3) -> Paint {
        Paint::Look(0.0)
    }
}

/// What a surface is painted with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    /// The image's own way of colouring, shifted along the palette.
    Look(f32),
    /// A colour of the palette.
    Palette(f32),
    /// A colour, and how glossy it is (0..1).
    Own(Vec3, f32),
}

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
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) palette: Palette,
    way: Way,
    axis: Vec3,
    colours: f32,
    offset: f32,
    gloss: f32,
    rim: f32,
    key: Vec3,
    fill: Vec3,
    light: Vec3,
    run: Run,
    near: Vec3,
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

    fn colour(&self, shift: f32, p: Vec3, normal: Vec3, view: Vec3) -> Vec3 {
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

/// Where the camera stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    basis: Basis,
    distance: f32,
    focal: f32,
    /// Height of the floor that catches shadows.
    floor: Option<f32>,
    /// Moves the solid off the centre, image coordinates.
    shift: (f32, f32),
    /// What it is aimed at.
    centre: Vec3,
}

impl Camera {
    /// A camera anywhere around a solid that floats.
    pub(super) fn free(draws: &mut Draws, half_view: f32) -> Self {
        let basis = Basis::looking(draws.angle(), draws.range(-1.0, 1.0), draws.angle());
        Self::with(draws, basis, half_view, None)
    }

    /// A camera that looks slightly down at the front (`+z`) of a solid that stands on a floor.
    pub(super) fn standing(draws: &mut Draws, half_view: f32, turn: f32, floor: f32) -> Self {
        let basis = Basis::looking(draws.range(-turn, turn), draws.range(0.1, 0.5), 0.0);
        Self::with(draws, basis, half_view, Some(floor))
    }

    /// A camera in front (`+z`) of a solid that shows its face, tilted by at most 45°.
    pub(super) fn front(draws: &mut Draws, half_view: f32) -> Self {
        let basis = Basis::looking(
            draws.range(-0.7, 0.7),
            draws.range(-0.6, 0.6),
            draws.angle(),
        );
        Self::with(draws, basis, half_view, None)
    }

    /// The same camera without a floor.
    pub(super) fn floating(mut self) -> Self {
        self.floor = None;
        self
    }

    /// The same camera, aimed at this height.
    pub(super) fn aimed(mut self, height: f32) -> Self {
        self.centre = vec3(0.0, height, 0.0);
        self
    }

    /// The same camera, looking down more steeply by `pitch` radians.
    pub(super) fn raised(mut self, pitch: f32) -> Self {
        let (s, c) = pitch.sin_cos();
        let Basis { up, forward, .. } = self.basis;
        self.basis.forward = forward * c - up * s;
        self.basis.up = up * c + forward * s;
        self
    }

    /// A rotation whose first octant faces the camera, for solids that are cut open.
    pub(super) fn facing_cut(&self, draws: &mut Draws) -> Basis {
        let towards = |x: f32, y: f32| self.basis.outward(vec3(x, y, -1.0)).unit();
        let forward = towards(draws.range(-1.6, -1.2), draws.range(-0.9, -0.5));
        let side = towards(draws.range(1.2, 1.6), draws.range(-0.9, -0.5));
        let right = (side + forward * -side.dot(forward)).unit();
        let up = right.cross(forward);
        let up = if up.dot(self.basis.up) < 0.0 { -up } else { up };
        Basis { right, up, forward }
    }

    fn with(draws: &mut Draws, basis: Basis, half_view: f32, floor: Option<f32>) -> Self {
        let focal = draws.range(2.0, 3.6);
        let half_view = half_view * draws.range(0.85, 1.2);
        Self {
            basis,
            distance: focal * half_view,
            focal,
            floor,
            shift: (draws.range(-0.12, 0.12), draws.range(-0.12, 0.12)),
            centre: Vec3::ZERO,
        }
    }
}

/// Renders a solid, `size_px` × `size_px`.
pub(super) fn render<S: Scene>(scene: &S, camera: &Camera, look: &Look, size_px: u32) -> RgbImage {
    let eye = camera.centre - camera.basis.forward * camera.distance;
    let mut light = camera.basis.outward(look.light);
    if camera.floor.is_some() {
        light = vec3(light.x, light.y.max(0.45), light.z).unit();
    }
    let pixel_angle = 2.0 / (size_px.max(1) as f32 * camera.focal);
    RgbImage::from_fn(size_px, size_px, |column, row| {
        let (x, y) = image_plane(column, row, size_px);
        let ray = camera
            .basis
            .outward(vec3(x - camera.shift.0, y - camera.shift.1, camera.focal).unit());
        let behind = look.background(x, y);
        let behind = match camera.floor {
            Some(floor) => behind * floor_light(scene, eye, ray, light, floor),
            None => behind,
        };
        let Some(hit) = trace(scene, eye, ray, pixel_angle) else {
            return pixel(behind);
        };
        let colour = shade(scene, look, eye + ray * hit.along, ray, light, camera.floor);
        pixel(behind.mix(colour, hit.covered))
    })
}

/// The centre of a pixel in -1..1, y up.
pub(super) fn image_plane(column: u32, row: u32, size_px: u32) -> (f32, f32) {
    let scale = 2.0 / size_px as f32;
    (
        (column as f32 + 0.5) * scale - 1.0,
        1.0 - (row as f32 + 0.5) * scale,
    )
}

struct Hit {
    along: f32,
    /// Share of the pixel that the solid covers: below 1 where the ray just misses, which smooths the outline.
    covered: f32,
}

fn trace<S: Scene>(scene: &S, eye: Vec3, ray: Vec3, pixel_angle: f32) -> Option<Hit> {
    let (mut along, end) = through_bound(eye, ray, S::BOUND)?;
    let mut closest = Hit {
        along,
        covered: f32::INFINITY,
    };
    for _ in 0..110 {
        let distance = scene.distance(eye + ray * along);
        let angle = distance / along;
        if angle < 0.25 * pixel_angle {
            return Some(Hit {
                along,
                covered: 1.0,
            });
        }
        if angle < closest.covered {
            closest = Hit {
                along,
                covered: angle,
            };
        }
        along += distance * S::STEP;
        if along > end {
            break;
        }
    }
    closest.covered = 1.0 - closest.covered / pixel_angle;
    (closest.covered > 0.0).then_some(closest)
}

/// Where a ray enters and leaves the sphere of radius `bound` around the origin.
fn through_bound(from: Vec3, ray: Vec3, bound: f32) -> Option<(f32, f32)> {
    let b = from.dot(ray);
    let inside = b * b - from.dot(from) + bound * bound;
    if inside <= 0.0 {
        return None;
    }
    let half = inside.sqrt();
    (half - b > 0.0).then(|| ((-b - half).max(0.001), half - b))
}

fn shade<S: Scene>(
    scene: &S,
    look: &Look,
    p: Vec3,
    ray: Vec3,
    light: Vec3,
    floor: Option<f32>,
) -> Vec3 {
    let normal = normal(scene, p);
    let view = -ray;
    let (base, gloss) = match scene.paint(p) {
        Paint::Look(shift) => (look.colour(shift, p, normal, view), look.gloss),
        Paint::Palette(t) => (look.palette.at(look.offset + t), look.gloss),
        Paint::Own(colour, gloss) => (colour, gloss),
    };
    let facing = normal.dot(light);
    let lit = if facing > 0.0 {
        facing * shadow(scene, p + normal * 0.012, light)
    } else {
        0.0
    };
    let open = occlusion(scene, p, normal, floor);
    let half = (light + view).unit();
    let shine = normal.dot(half).max(0.0).powf(mix(14.0, 90.0, gloss)) * gloss * lit.min(1.0);
    let graze = (1.0 - normal.dot(view).clamp(0.0, 1.0)).powi(4);
    let sky = mix(0.45, 1.0, 0.5 + 0.5 * normal.y);
    let rim = look.near.mix(Vec3::splat(0.8), 0.5) * (graze * look.rim * open);
    base * (look.key * (lit * 0.85) + look.fill * (sky * open)) + look.key * (shine * 0.8) + rim
}

/// The gradient of the distance by four samples (Quilez, "normals for an SDF", tetrahedron technique).
fn normal<S: Scene>(scene: &S, p: Vec3) -> Vec3 {
    const H: f32 = 0.0015;
    [
        vec3(1.0, -1.0, -1.0),
        vec3(-1.0, -1.0, 1.0),
        vec3(-1.0, 1.0, -1.0),
        vec3(1.0, 1.0, 1.0),
    ]
    .into_iter()
    .fold(Vec3::ZERO, |sum, k| sum + k * scene.distance(p + k * H))
    .unit()
}

/// How much of the light reaches `from`, 0..1.
fn shadow<S: Scene>(scene: &S, from: Vec3, light: Vec3) -> f32 {
    const SHARPNESS: f32 = 9.0;
    let Some((start, end)) = through_bound(from, light, S::BOUND) else {
        return 1.0;
    };
    let mut along = start.max(0.02);
    let mut lit: f32 = 1.0;
    for _ in 0..28 {
        let distance = scene.distance(from + light * along);
        lit = lit.min(SHARPNESS * distance / along);
        if lit < 0.02 {
            return 0.0;
        }
        along += (distance * S::STEP).clamp(0.025, 0.3);
        if along > end {
            break;
        }
    }
    lit * lit * (3.0 - 2.0 * lit)
}

/// How much of the sky `p` sees, 0..1.
fn occlusion<S: Scene>(scene: &S, p: Vec3, normal: Vec3, floor: Option<f32>) -> f32 {
    let (mut blocked, mut weight) = (0.0, 1.0);
    for reach in [0.03, 0.1, 0.2, 0.34] {
        let sample = p + normal * reach;
        let mut distance = scene.distance(sample);
        if let Some(floor) = floor {
            distance = distance.min(sample.y - floor);
        }
        blocked += (reach - distance).max(0.0) * weight;
        weight *= 0.7;
    }
    (1.0 - 2.2 * blocked).clamp(0.08, 1.0)
}

/// How bright the floor is where a ray meets it; 1 where it does not.
fn floor_light<S: Scene>(scene: &S, eye: Vec3, ray: Vec3, light: Vec3, floor: f32) -> f32 {
    if ray.y > -1e-3 {
        return 1.0;
    }
    let p = eye + ray * ((floor - eye.y) / ray.y);
    let away = (p.x * p.x + p.z * p.z).sqrt();
    if away > 6.0 {
        return 1.0;
    }
    let lit = mix(0.38, 1.0, shadow(scene, p, light));
    let contact = if away < S::BOUND {
        mix(0.55, 1.0, smoothstep(-0.02, 0.5, scene.distance(p)))
    } else {
        1.0
    };
    mix(lit * contact, 1.0, smoothstep(3.0, 6.0, away))
}

/// Turns a place along some pattern into the sharp-edged stripes that many families share: 0 or 1, the edge
/// smoothed over `blur`.
pub(super) fn stripe(place: f32, width: f32, blur: f32) -> f32 {
    let f = (fract(place) - 0.5).abs() * 2.0;
    smoothstep(width - blur, width + blur, f)
}
