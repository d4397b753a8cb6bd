//! Families of planets and of terrain.

use super::look::Look;
use super::palette::pixel;
use super::random::{Draws, fbm, fbm2, noise2};
use super::stage::{Camera, Paint, Scene, image_plane, render};
use super::vector::{Basis, Vec3, mix, smoothstep, vec3};
use image::RgbImage;

/// A painted ball with a flat ring or moons.
struct Planet {
    radius: f32,
    axis: Basis,
    ring: Option<(f32, f32)>,
    moons: Vec<(Vec3, f32)>,
    weather: Weather,
    detail: f32,
    seed: Vec3,
    tones: [f32; 3],
}

#[derive(Clone, Copy)]
enum Weather {
    Continents,
    Bands,
    Craters,
}

#[derive(Clone, Copy, PartialEq)]
enum Body {
    Ball,
    Ring,
    Moon,
}

impl Planet {
    fn nearest(&self, p: Vec3) -> (f32, Body) {
        let mut best = (p.length() - self.radius, Body::Ball);
        if let Some((inner, outer)) = self.ring {
            let q = self.axis.inward(p);
            let around = (q.x * q.x + q.z * q.z).sqrt();
            let (x, y) = (
                (around - 0.5 * (inner + outer)).abs() - 0.5 * (outer - inner),
                q.y.abs() - 0.006,
            );
            let ring = (x.max(0.0).powi(2) + y.max(0.0).powi(2)).sqrt() + x.max(y).min(0.0);
            if ring < best.0 {
                best = (ring, Body::Ring);
            }
        }
        for (centre, radius) in &self.moons {
            let moon = (p - *centre).length() - radius;
            if moon < best.0 {
                best = (moon, Body::Moon);
            }
        }
        best
    }
}

impl Scene for Planet {
    fn bound(&self) -> f32 {
        1.7
    }
    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        let q = self.axis.inward(p);
        match self.nearest(p).1 {
            Body::Moon => Paint::Palette(self.tones[0] + 0.2 * fbm(q * 6.0 + self.seed, 2)),
            Body::Ring => {
                let around = (q.x * q.x + q.z * q.z).sqrt();
                Paint::Palette(self.tones[1] + 0.35 * noise2(around * 28.0, self.seed.x, 3))
            }
            Body::Ball => {
                let s = q * self.detail + self.seed;
                match self.weather {
                    Weather::Bands => {
                        let swirl = fbm(s, 3);
                        Paint::Palette(
                            self.tones[2] + 0.8 * noise2(q.y * 4.5 + swirl * 1.3, self.seed.y, 1),
                        )
                    }
                    Weather::Continents => {
                        let land = fbm(s, 4);
                        let height = smoothstep(0.46, 0.49, land);
                        let cloud = smoothstep(0.55, 0.7, fbm(s * 1.7 + Vec3::splat(40.0), 3));
                        let ground = self.tones[0] + (land - 0.45) * 1.2;
                        if cloud > 0.5 {
                            return Paint::Own(Vec3::splat(0.85), 0.1);
                        }
                        Paint::Palette(mix(self.tones[2], ground, height))
                    }
                    Weather::Craters => {
                        let pits = 1.0 - (2.0 * fbm(s * 1.6, 3) - 1.0).abs();
                        Paint::Palette(self.tones[0] + 0.5 * pits * pits)
                    }
                }
            }
        }
    }
}

pub(super) fn planets(draws: &mut Draws, size_px: u32) -> RgbImage {
    let mut look = Look::draw(draws).matte();
    if draws.chance(0.8) {
        look = look.night(draws);
    }
    let ring = draws.chance(0.5).then(|| {
        let inner = draws.range(0.95, 1.1);
        (inner, inner + draws.range(0.2, 0.5))
    });
    let moons = (0..draws.below(3))
        .map(|_| {
            let radius = draws.range(0.07, 0.2);
            (draws.direction() * draws.range(1.1, 1.45), radius)
        })
        .collect();
    let scene = Planet {
        radius: if ring.is_some() { 0.78 } else { 0.95 },
        axis: Basis::looking(
            draws.angle(),
            draws.range(-0.6, 0.6),
            draws.range(-0.5, 0.5),
        ),
        ring,
        moons,
        weather: draws.pick(&[
            Weather::Continents,
            Weather::Bands,
            Weather::Bands,
            Weather::Craters,
        ]),
        detail: draws.range(1.4, 3.2),
        seed: draws.direction() * 30.0,
        tones: [
            draws.range(0.0, 1.0),
            draws.range(0.0, 1.0),
            draws.range(0.0, 1.0),
        ],
    };
    let camera = Camera::standing(draws, 1.45, 3.0, 0.0).floating();
    render(&scene, &camera, &look, size_px)
}

/// A height over the plane, seen from above ground.
struct Land {
    shape: Shape,
    scale: f32,
    height: f32,
    layer: i32,
    water: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Hills,
    Peaks,
    Dunes,
    Terraces,
}

impl Land {
    fn ground(&self, x: f32, z: f32, octaves: u32) -> f32 {
        let (u, v) = (x * self.scale, z * self.scale);
        let h = match self.shape {
            Shape::Hills => {
                let h = fbm2(u, v, octaves, self.layer);
                1.5 * h * h
            }
            Shape::Peaks => {
                let ridge = 1.0 - (2.0 * noise2(u, v, self.layer) - 1.0).abs();
                let rough = fbm2(u * 2.1, v * 2.1, octaves, self.layer + 1);
                0.62 * ridge * ridge + 0.38 * rough * (0.4 + ridge)
            }
            Shape::Dunes => {
                let bend = noise2(u * 0.7, v * 0.7, self.layer) * 5.0;
                let wave = 0.5 + 0.5 * (u * 2.6 + bend).sin();
                0.7 * wave * wave.sqrt() + 0.25 * noise2(u, v, self.layer + 1)
            }
            Shape::Terraces => {
                let h = fbm2(u, v, octaves.min(2), self.layer) * 6.0;
                let step = h.floor();
                (step + smoothstep(0.6, 1.0, h - step)) / 6.0
            }
        };
        (h * self.height).max(self.water)
    }
}

pub(super) fn terrain(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let shape = draws.pick(&[
        Shape::Hills,
        Shape::Peaks,
        Shape::Peaks,
        Shape::Dunes,
        Shape::Terraces,
    ]);
    let height = match shape {
        Shape::Dunes => 0.6,
        Shape::Peaks => draws.range(1.6, 2.3),
        _ => draws.range(1.4, 2.2),
    };
    let wet = shape != Shape::Dunes && draws.chance(0.45);
    let land = Land {
        shape,
        scale: draws.range(0.4, 0.75),
        height,
        layer: draws.below(1 << 20) as i32,
        water: if wet {
            height * draws.range(0.15, 0.3)
        } else {
            -1.0
        },
    };
    let tones = [draws.range(0.0, 1.0), draws.range(0.0, 1.0)];
    let (haze, zenith) = heavens(&look, draws);
    let sun = vec3(
        draws.pick(&[-1.0, 1.0]) * draws.range(0.3, 1.0),
        draws.range(0.18, 0.55),
        draws.range(-0.2, 0.9),
    )
    .unit();
    let eye_x = draws.range(-50.0, 50.0);
    // Above the ground here and before the camera, so that no slope blocks the view.
    let clear = (0..24_u8).fold(0.35 * height, |clear, i| {
        let (side, ahead) = (f32::from(i % 3) - 1.0, f32::from(i / 3) * 0.5);
        clear.max(land.ground(eye_x + side * (0.2 + 0.5 * ahead), ahead, 3) - 0.06 * ahead)
    });
    let eye = vec3(eye_x, clear + draws.range(0.25, 0.7), 0.0);
    let (sp, cp) = draws.range(-0.05, 0.32).sin_cos();
    let fog = draws.range(0.03, 0.075);
    let sky = |ray: Vec3| {
        let near_sun = ray.dot(sun).max(0.0);
        let disc = smoothstep(0.996, 0.997, near_sun) * 1.5;
        let glow = near_sun.powi(10) * 0.3;
        haze.mix(zenith, (ray.y.max(0.0) * 2.4).min(1.0)) + vec3(1.0, 0.85, 0.65) * (disc + glow)
    };
    let shade = |p: Vec3, ray: Vec3, along: f32| {
        let at = land.ground(p.x, p.z, 5);
        let level = at / height;
        let under_water = at <= land.water;
        let h = 0.004 + 0.003 * along;
        let normal = if under_water {
            vec3(0.0, 1.0, 0.0)
        } else {
            let (east, north) = (land.ground(p.x + h, p.z, 5), land.ground(p.x, p.z + h, 5));
            vec3(at - east, h, at - north).unit()
        };
        let flat = smoothstep(0.55, 0.9, normal.y);
        let tone = tones[0] + 0.6 * level + 0.2 * flat;
        let base = look.palette.at(if under_water { tones[1] } else { tone });
        let facing = normal.dot(sun);
        let lit = if facing > 0.0 && !shaded(&land, vec3(p.x, at + 0.03, p.z), sun) {
            facing
        } else {
            0.0
        };
        let ambient = haze.mix(zenith, 0.6) * (0.35 + 0.35 * normal.y) + Vec3::splat(0.06);
        let mut colour = base * (vec3(1.0, 0.92, 0.8) * (2.6 * lit) + ambient);
        if under_water {
            let graze = (1.0 + ray.y).clamp(0.0, 1.0).powi(4);
            colour = colour.mix(sky(vec3(ray.x, -ray.y, ray.z)), 0.3 + 0.6 * graze);
        }
        let far = 1.0 - (-(fog * along).powi(2)).exp();
        colour.mix(sky(vec3(ray.x, 0.0, ray.z).unit()), far)
    };
    let mut image = RgbImage::new(size_px, size_px);
    for column in 0..size_px {
        // The view is upright, so the ground is met farther and farther away up a column.
        let mut start = 0.02;
        for row in (0..size_px).rev() {
            let (x, y) = image_plane(column, row, size_px);
            let ray = vec3(x, y * cp - 1.6 * sp, 1.6 * cp + y * sp).unit();
            let colour = match meet(&land, eye, ray, start) {
                Some(along) => {
                    start = along * 0.98;
                    shade(eye + ray * along, ray, along)
                }
                None => sky(ray),
            };
            image.put_pixel(column, row, pixel(colour));
        }
    }
    image
}

/// Colours of the horizon and of the sky above, apart enough in light for a skyline.
fn heavens(look: &Look, draws: &mut Draws) -> (Vec3, Vec3) {
    match draws.below(3) {
        // Day: a pale horizon below a coloured sky.
        0 => (
            look.palette.by_light(4).mix(Vec3::splat(0.8), 0.4),
            look.palette.by_light(2),
        ),
        // Dusk: a glowing horizon below a dark sky.
        1 => (look.palette.by_light(3), look.palette.by_light(0) * 0.6),
        // Night.
        _ => (
            look.palette.by_light(1).mix(look.palette.by_light(3), 0.25),
            look.palette.by_light(0) * 0.25,
        ),
    }
}

/// How far along a ray the ground is, if it is met within sight; nothing is met before `start`.
fn meet(land: &Land, eye: Vec3, ray: Vec3, start: f32) -> Option<f32> {
    let (mut along, mut before) = (start, start);
    for _ in 0..120 {
        let p = eye + ray * along;
        if ray.y > 0.0 && p.y > land.height || along > 40.0 {
            return None;
        }
        let above = p.y - land.ground(p.x, p.z, 4);
        if above < 0.0 {
            return Some(refine(land, eye, ray, before, along));
        }
        before = along;
        along += (above * 0.45).max(0.006 + 0.008 * along);
    }
    None
}

/// Halves the interval in which the ground was crossed.
fn refine(land: &Land, eye: Vec3, ray: Vec3, mut above: f32, mut below: f32) -> f32 {
    for _ in 0..6 {
        let middle = 0.5 * (above + below);
        let p = eye + ray * middle;
        if p.y > land.ground(p.x, p.z, 4) {
            above = middle;
        } else {
            below = middle;
        }
    }
    below
}

/// Whether the ground hides the sun from `from`.
fn shaded(land: &Land, from: Vec3, sun: Vec3) -> bool {
    let mut along = 0.05;
    for _ in 0..24 {
        let p = from + sun * along;
        if p.y > land.height {
            return false;
        }
        let above = p.y - land.ground(p.x, p.z, 3);
        if above < 0.0 {
            return true;
        }
        along += above.max(0.06 + 0.06 * along);
    }
    false
}
