//! The camera and the sphere tracer that all solid families share.
//!
//! Source: Hart 1996 (sphere tracing); Quilez' articles on soft shadows, ambient occlusion and normals of distance
//! fields.

use super::look::Look;
use super::palette::pixel;
use super::random::Draws;
use super::vector::{Basis, Vec3, fract, mix, smoothstep, vec3};
use image::RgbImage;

/// A solid inside a sphere of radius [`Scene::bound`] around the origin.
pub(super) trait Scene {
    /// Share of the distance that is safe to step; below 1 where [`Scene::distance`] overestimates.
    const STEP: f32 = 1.0;
    /// Nothing of the solid is farther from the origin.
    fn bound(&self) -> f32 {
        1.45
    }
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

    /// The same camera, as near as if the solid reached from the centre of view to its `half_view`.
    pub(super) fn fitted<S: Scene>(mut self, scene: &S) -> Self {
        let bound = scene.bound();
        let reach = (0..64)
            .map(|i| {
                // A spiral of directions (golden angle) covers the sphere evenly.
                let y = 1.0 - (i as f32 + 0.5) / 32.0;
                let (s, c) = (i as f32 * 2.399_963).sin_cos();
                let out = (1.0 - y * y).sqrt();
                let direction = vec3(out * c, y, out * s);
                let mut radius = bound;
                for _ in 0..40 {
                    let distance = scene.distance(direction * radius) * S::STEP;
                    if distance < 0.01 || radius <= 0.0 {
                        break;
                    }
                    radius -= distance;
                }
                radius
            })
            .fold(0.3, f32::max);
        self.distance *= reach * 0.97;
        self
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
    let ray_at = |x: f32, y: f32| {
        let (x, y) = (x - camera.shift.0, y - camera.shift.1);
        camera.basis.outward(vec3(x, y, camera.focal).unit())
    };
    let blocks = size_px.div_ceil(BLOCK_PX);
    let starts: Vec<Option<f32>> = (0..blocks * blocks)
        .map(|block| {
            let corner = |at: u32| 2.0 * (at * BLOCK_PX) as f32 / size_px as f32 - 1.0;
            let half = BLOCK_PX as f32 / size_px as f32;
            let (x, y) = (
                corner(block % blocks) + half,
                -corner(block / blocks) - half,
            );
            // Half a block's diagonal and the pixel beyond that smooths the outline.
            let angle = pixel_angle * (0.71 * BLOCK_PX as f32 + 1.5);
            approach(scene, eye, ray_at(x, y), angle)
        })
        .collect();
    RgbImage::from_fn(size_px, size_px, |column, row| {
        let (x, y) = image_plane(column, row, size_px);
        let ray = ray_at(x, y);
        let behind = || {
            let colour = look.background(x, y);
            match camera.floor {
                Some(floor) => colour * floor_light(scene, eye, ray, light, floor),
                None => colour,
            }
        };
        let start = starts[(row / BLOCK_PX * blocks + column / BLOCK_PX) as usize];
        let Some(hit) = start.and_then(|start| trace(scene, eye, ray, start, pixel_angle)) else {
            return pixel(behind());
        };
        let p = eye + ray * hit.along;
        let colour = shade(scene, look, p, ray, light, camera.floor);
        if hit.covered >= 1.0 {
            pixel(colour)
        } else {
            pixel(behind().mix(colour, hit.covered))
        }
    })
}

/// Side of the blocks of pixels that approach the solid together.
const BLOCK_PX: u32 = 8;

/// How far a cone of rays can go before one of them may touch the solid; `None` when none ever does.
fn approach<S: Scene>(scene: &S, eye: Vec3, ray: Vec3, angle: f32) -> Option<f32> {
    let (mut along, end) = through_bound(eye, ray, scene.bound() + angle * eye.length())?;
    for _ in 0..60 {
        let free = scene.distance(eye + ray * along) * S::STEP - angle * along;
        if free < 0.004 {
            return Some(along);
        }
        along += free / (1.0 + angle);
        if along > end {
            return None;
        }
    }
    Some(along)
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

fn trace<S: Scene>(scene: &S, eye: Vec3, ray: Vec3, start: f32, pixel_angle: f32) -> Option<Hit> {
    let (enter, end) = through_bound(eye, ray, scene.bound())?;
    let mut along = start.max(enter);
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
    let Some((start, end)) = through_bound(from, light, scene.bound()) else {
        return 1.0;
    };
    let mut along = start.max(0.02);
    let mut lit: f32 = 1.0;
    for _ in 0..36 {
        let distance = scene.distance(from + light * along);
        lit = lit.min(SHARPNESS * distance / along);
        if lit < 0.02 {
            return 0.0;
        }
        along += (distance * 0.6).clamp(0.012, 0.25);
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
    let contact = if away < scene.bound() {
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
