//! Families of smooth solids: spheres, tori, gyroids, blobs, knots, shells.

use super::look::Look;
use super::random::{Draws, fbm, noise};
use super::stage::{Camera, Paint, Scene, render, stripe};
use super::vector::{Basis, Vec3, fract, smooth_min, turn, vec3};
use image::RgbImage;
use std::f32::consts::{PI, TAU};

/// A sphere whose surface is displaced.
struct Bumpy {
    radius: f32,
    relief: Relief,
    frequency: f32,
    height: f32,
    seed: Vec3,
    paint_relief: f32,
}

#[derive(Clone, Copy)]
enum Relief {
    Waves,
    Clouds,
    Ridges,
    Dimples,
}

impl Bumpy {
    fn relief(&self, p: Vec3) -> f32 {
        let q = p * self.frequency + self.seed;
        match self.relief {
            Relief::Waves => q.x.sin() * q.y.sin() * q.z.sin(),
            Relief::Clouds => fbm(q * 0.45, 2) * 2.4 - 1.0,
            Relief::Ridges => 1.0 - 2.0 * (2.0 * noise(q * 0.4) - 1.0).abs(),
            Relief::Dimples => {
                let wave = q.x.sin() + q.y.sin() + q.z.sin();
                -(wave * 0.4).clamp(-0.3, 1.0)
            }
        }
    }
}

impl Scene for Bumpy {
    const STEP: f32 = 0.62;
    fn distance(&self, p: Vec3) -> f32 {
        let shell = p.length() - self.radius;
        if shell > 0.35 {
            return shell - 0.2;
        }
        shell - self.height * self.relief(p)
    }
    fn paint(&self, p: Vec3) -> Paint {
        Paint::Look(self.relief(p) * self.paint_relief)
    }
}

pub(super) fn spheres(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let relief = draws.pick(&[
        Relief::Waves,
        Relief::Clouds,
        Relief::Ridges,
        Relief::Dimples,
    ]);
    let frequency = draws.range(4.0, 13.0);
    let scene = Bumpy {
        radius: 1.0,
        relief,
        frequency,
        height: draws.range(0.5, 1.0) * 0.85 / frequency,
        seed: draws.direction() * 20.0,
        paint_relief: draws.pick(&[0.0, 0.15, 0.35]),
    };
    let camera = Camera::free(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}

/// One torus of a group.
struct Ring {
    basis: Basis,
    centre: Vec3,
    major: f32,
    minor: f32,
}

struct Tori {
    rings: Vec<Ring>,
    ridges: f32,
    ridge_height: f32,
}

impl Tori {
    fn nearest(&self, p: Vec3) -> (f32, usize) {
        let mut best = (f32::INFINITY, 0);
        for (i, ring) in self.rings.iter().enumerate() {
            let q = ring.basis.inward(p - ring.centre);
            let around = (q.x * q.x + q.z * q.z).sqrt() - ring.major;
            let mut distance = (around * around + q.y * q.y).sqrt() - ring.minor;
            if self.ridge_height > 0.0 && distance < 0.2 {
                let twist = q.y.atan2(around) + q.x.atan2(q.z) * self.ridges;
                distance -= self.ridge_height * (twist * 3.0).sin();
            }
            if distance < best.0 {
                best = (distance, i);
            }
        }
        best
    }
}

impl Scene for Tori {
    const STEP: f32 = 0.75;
    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        Paint::Look(self.nearest(p).1 as f32 * 0.19)
    }
}

pub(super) fn tori(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let ring = |yaw: f32, pitch: f32, roll: f32, x: f32, major: f32, minor: f32| Ring {
        basis: Basis::looking(yaw, pitch, roll),
        centre: vec3(x, 0.0, 0.0),
        major,
        minor,
    };
    let rings = match draws.below(3) {
        0 => vec![ring(0.0, 0.0, 0.0, 0.0, 0.85, draws.range(0.25, 0.45))],
        1 => {
            let minor = draws.range(0.12, 0.2);
            (0..3_u8)
                .map(|i| {
                    let quarter = if i == 1 { PI / 2.0 } else { 0.0 };
                    ring(0.0, quarter, 0.0, (f32::from(i) - 1.0) * 0.56, 0.48, minor)
                })
                .collect()
        }
        _ => {
            let n = draws.count(3, 5);
            let minor = draws.range(0.05, 0.1);
            (0..n)
                .map(|i| {
                    let major = 1.15 * (1.0 - i as f32 / n as f32);
                    ring(
                        draws.angle(),
                        draws.angle(),
                        0.0,
                        0.0,
                        major.max(0.2),
                        minor,
                    )
                })
                .collect()
        }
    };
    let single = rings.len() == 1;
    let scene = Tori {
        rings,
        ridges: draws.pick(&[0.0, 1.0, 2.0, 3.0, 5.0]),
        ridge_height: if single && draws.chance(0.7) {
            0.05
        } else {
            0.0
        },
    };
    let camera = Camera::free(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}

/// A gyroid sheet cut out of a ball or a cube.
struct Gyroid {
    frequency: f32,
    thickness: f32,
    phase: Vec3,
    cube: bool,
}

impl Gyroid {
    fn field(&self, p: Vec3) -> f32 {
        let q = p * self.frequency + self.phase;
        let (sx, cx) = q.x.sin_cos();
        let (sy, cy) = q.y.sin_cos();
        let (sz, cz) = q.z.sin_cos();
        sx * cy + sy * cz + sz * cx
    }
}

impl Scene for Gyroid {
    const STEP: f32 = 0.8;
    fn distance(&self, p: Vec3) -> f32 {
        let hull = if self.cube {
            (p.abs() - Vec3::splat(0.78)).max_part()
        } else {
            p.length() - 1.1
        };
        if hull > 0.15 {
            return hull;
        }
        let sheet = (self.field(p).abs() - self.thickness) / self.frequency * 0.68;
        hull.max(sheet)
    }
    fn paint(&self, p: Vec3) -> Paint {
        let side = if self.field(p) > 0.0 { 0.0 } else { 0.33 };
        Paint::Look(side)
    }
}

pub(super) fn gyroids(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let scene = Gyroid {
        frequency: draws.range(4.0, 9.5),
        thickness: draws.range(0.12, 0.55),
        phase: draws.direction() * 10.0,
        cube: draws.chance(0.4),
    };
    let camera = Camera::free(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}

/// Balls that melt into each other.
struct Blobs {
    balls: Vec<(Vec3, f32)>,
    melt: f32,
}

impl Scene for Blobs {
    const STEP: f32 = 0.95;
    fn distance(&self, p: Vec3) -> f32 {
        self.balls
            .iter()
            .fold(f32::INFINITY, |d, (centre, radius)| {
                let ball = (p - *centre).length() - radius;
                if d.is_finite() {
                    smooth_min(d, ball, self.melt)
                } else {
                    ball
                }
            })
    }
    fn paint(&self, p: Vec3) -> Paint {
        let (mut shift, mut weights) = (0.0, 1e-6);
        for (i, (centre, radius)) in self.balls.iter().enumerate() {
            let near = (p - *centre).length() / radius;
            let weight = 1.0 / (near * near * near * near + 1e-3);
            shift += weight * i as f32 * 0.11;
            weights += weight;
        }
        Paint::Look(shift / weights)
    }
}

pub(super) fn blobs(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let balls = (0..draws.count(5, 9))
        .map(|_| {
            let radius = draws.range(0.18, 0.5);
            (
                draws.direction() * (draws.range(0.3, 1.0) * (1.15 - radius)),
                radius,
            )
        })
        .collect();
    let scene = Blobs {
        balls,
        melt: draws.range(0.25, 0.6),
    };
    let camera = Camera::free(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}

/// A tube or a band wound `turns` times around a torus while it runs `laps` times around the axis.
struct Knot {
    laps: usize,
    turns: f32,
    major: f32,
    minor: f32,
    thick: f32,
    flat: f32,
    stripes: f32,
}

impl Knot {
    /// Distance, and the place along the curve.
    fn nearest(&self, p: Vec3) -> (f32, f32) {
        let around = p.z.atan2(p.x);
        let out = (p.x * p.x + p.z * p.z).sqrt() - self.major;
        let per_lap = self.turns / self.laps as f32;
        let mut at = (around * per_lap).sin_cos();
        let step = (TAU * per_lap).sin_cos();
        let mut best = (f32::INFINITY, 0.0);
        for lap in 0..self.laps {
            let (s, c) = at;
            let (x, y) = (out - self.minor * c, p.y - self.minor * s);
            // In the frame of the tube's own cross-section: outwards and along the torus.
            let (u, v) = turn(x, y, (-s, c));
            let distance = if self.flat > 0.0 {
                let (u, v) = (
                    (u.abs() - self.thick * 0.12).max(0.0),
                    (v.abs() - self.flat).max(0.0),
                );
                (u * u + v * v).sqrt() - self.thick * 0.18
            } else {
                (u * u + v * v).sqrt() - self.thick
            };
            if distance < best.0 {
                best = (distance, around / TAU + lap as f32);
            }
            let (sin, cos) = turn(s, c, (-step.0, step.1));
            at = (sin, cos);
        }
        best
    }
}

impl Scene for Knot {
    const STEP: f32 = 0.55;
    fn bound(&self) -> f32 {
        1.5
    }
    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        let along = self.nearest(p).1 / self.laps as f32;
        if self.stripes > 0.0 {
            Paint::Look(0.3 * stripe(along * self.stripes * self.laps as f32, 0.5, 0.05))
        } else {
            Paint::Look(along)
        }
    }
}

pub(super) fn knots(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let (laps, turns) = draws.pick(&[
        (2, 3.0),
        (3, 2.0),
        (3, 4.0),
        (2, 5.0),
        (3, 5.0),
        (4, 3.0),
        (2, 7.0),
    ]);
    let crowd = if laps > 3 || turns > 4.0 { 0.75 } else { 1.0 };
    let flat = if draws.chance(0.35) {
        draws.range(0.14, 0.24) * crowd
    } else {
        0.0
    };
    let scene = Knot {
        laps,
        turns,
        major: draws.range(0.75, 0.85),
        minor: draws.range(0.3, 0.4),
        thick: draws.range(0.11, 0.2) * crowd,
        flat,
        stripes: draws.pick(&[0.0, 0.0, 8.0, 14.0]),
    };
    let camera = Camera::free(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}

/// Nested shells, cut open.
struct Shells {
    gap: f32,
    wall: f32,
    cut: Basis,
    wedge: bool,
    holes: f32,
}

impl Scene for Shells {
    const STEP: f32 = 0.9;
    fn distance(&self, p: Vec3) -> f32 {
        let radius = p.length();
        let ball = radius - 1.15;
        if ball > 0.1 {
            return ball;
        }
        let layer = (fract(radius / self.gap) - 0.5) * self.gap;
        let mut distance = ball.max(layer.abs() - self.wall);
        let q = self.cut.inward(p);
        let cut = if self.wedge {
            q.x.min(q.y).min(q.z)
        } else {
            q.y.min(q.x + 0.9)
        };
        distance = distance.max(cut - 0.02);
        if self.holes > 0.0 {
            let h = p.unit() * self.holes;
            let hole =
                (h.x.sin() * h.y.sin() + h.y.sin() * h.z.sin() + h.z.sin() * h.x.sin()) - 0.35;
            distance = distance.max(hole / self.holes * 0.7);
        }
        distance
    }
    fn paint(&self, p: Vec3) -> Paint {
        Paint::Look((p.length() / self.gap).floor() * 0.17)
    }
}

pub(super) fn shells(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let gap = draws.range(0.16, 0.34);
    let camera = Camera::free(draws, 1.35);
    let scene = Shells {
        gap,
        wall: gap * draws.range(0.1, 0.2),
        cut: camera.facing_cut(draws),
        wedge: draws.chance(0.6),
        holes: if draws.chance(0.35) {
            draws.range(5.0, 9.0)
        } else {
            0.0
        },
    };
    render(&scene, &camera, &look, size_px)
}
