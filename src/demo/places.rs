//! Families of planets and of terrain.

use super::palette::pixel;
use super::random::{Draws, fbm, fbm2, noise2};
use super::stage::{Camera, Look, Paint, Scene, image_plane, render};
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
    const BOUND: f32 = 1.7;
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
            Shape::Hills => fbm2(u, v, octaves, self.layer),
            Shape::Peaks => {
                let ridge = 1.0 - (2.0 * noise2(u, v, self.layer) - 1.0).abs();
                0.55 * ridge * ridge + 0.45 * fbm2(u * 2.0, v * 2.0, octaves, self.layer + 1)
            }
            Shape::Dunes => {
                let bend = noise2(u * 0.7, v * 0.7, self.layer) * 5.0;
                let wave = 0.5 + 0.5 * (u * 2.6 + bend).sin();
                0.7 * wave * wave.sqrt() + 0.2 * noise2(u, v, self.layer + 1)
            }
            Shape::Terraces => {
                let h = fbm2(u, v, octaves.min(3), self.layer) * 7.0;
                let step = h.floor();
                (step + smoothstep(0.7, 1.0, h - step)) / 7.0
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
    let height = if shape == Shape::Dunes {
        0.6
    } else {
        draws.range(1.1, 2.0)
    };
    let land = Land {
        shape,
        scale: draws.range(0.45, 0.9),
        height,
        layer: draws.below(1 << 20) as i32,
        water: if shape != Shape::Dunes && draws.chance(0.4) {
            height * draws.range(0.3, 0.45)
        } else {
            -1.0
        },
    };
    let haze = look
        .palette
        .at(draws.range(0.0, 1.0))
        .mix(Vec3::splat(0.7), draws.range(0.0, 0.6));
    let zenith = look.palette.by_light(draws.below(3)) * draws.range(0.5, 1.0);
    let tones = [draws.range(0.0, 1.0), draws.range(0.0, 1.0)];
    let sun = vec3(
        draws.range(-0.9, 0.9),
        draws.range(0.15, 0.6),
        draws.range(0.2, 1.0),
    )
    .unit();
    let eye_x = draws.range(-50.0, 50.0);
    let eye = vec3(
        eye_x,
        land.ground(eye_x, 0.0, 3).max(0.5 * height) + draws.range(0.5, 1.1),
        0.0,
    );
    let pitch = draws.range(-0.02, 0.3);
    let fog = draws.range(0.05, 0.11);
    let sky = |ray: Vec3| {
        let up = ray.y.max(0.0);
        let near_sun = ray.dot(sun).max(0.0);
        let disc = smoothstep(0.9965, 0.9975, near_sun) * 1.6;
        let glow = near_sun.powi(12) * 0.35;
        haze.mix(zenith, (up * 2.2).min(1.0)) + vec3(1.0, 0.85, 0.65) * (disc + glow)
    };
    let (sp, cp) = pitch.sin_cos();
    RgbImage::from_fn(size_px, size_px, |column, row| {
        let (x, y) = image_plane(column, row, size_px);
        let ray = vec3(x, y * cp - 1.6 * sp, 1.6 * cp + y * sp).unit();
        let Some(along) = meet(&land, eye, ray) else {
            return pixel(sky(ray));
        };
        let p = eye + ray * along;
        let h = 0.003 + 0.002 * along;
        let at = land.ground(p.x, p.z, 5);
        let slope = vec3(
            at - land.ground(p.x + h, p.z, 5),
            h,
            at - land.ground(p.x, p.z + h, 5),
        )
        .unit();
        let wet = at <= land.water;
        let normal = if wet { vec3(0.0, 1.0, 0.0) } else { slope };
        let level = at / height;
        let t = tones[0] + 0.55 * level + 0.25 * smoothstep(0.5, 0.9, slope.y);
        let base = look.palette.at(if wet { tones[1] } else { t });
        let blocked = meet(&land, vec3(p.x, at + 0.02, p.z), sun).is_some();
        let lit = if blocked {
            0.0
        } else {
            normal.dot(sun).max(0.0)
        };
        let mut colour = base * (vec3(1.0, 0.93, 0.82) * (2.2 * lit))
            + base * haze.mix(zenith, 0.5) * 0.6
            + base * 0.12;
        if wet {
            let mirrored = vec3(ray.x, -ray.y, ray.z);
            colour = colour.mix(
                sky(mirrored),
                0.25 + 0.5 * (1.0 + ray.y).clamp(0.0, 1.0).powi(5),
            );
        }
        let far = 1.0 - (-(fog * along).powf(1.5)).exp();
        pixel(colour.mix(sky(vec3(ray.x, 0.0, ray.z).unit()), far))
    })
}

/// How far along a ray the ground is, if it is met within sight.
fn meet(land: &Land, eye: Vec3, ray: Vec3) -> Option<f32> {
    let (mut along, mut before) = (0.02, 0.0);
    for _ in 0..70 {
        let p = eye + ray * along;
        if ray.y > 0.0 && p.y > land.height || along > 24.0 {
            return None;
        }
        let above = p.y - land.ground(p.x, p.z, 3);
        if above < 0.001 * along {
            return Some(refine(land, eye, ray, before, along));
        }
        before = along;
        along += (above * 0.5).max(0.008 + 0.012 * along);
    }
    None
}

/// Halves the interval in which the ground was crossed.
fn refine(land: &Land, eye: Vec3, ray: Vec3, mut above: f32, mut below: f32) -> f32 {
    for _ in 0..6 {
        let middle = 0.5 * (above + below);
        let p = eye + ray * middle;
        if p.y > land.ground(p.x, p.z, 3) {
            above = middle;
        } else {
            below = middle;
        }
    }
    below
}
