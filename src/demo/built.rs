//! Families of hard-edged solids: boxes, crystals, folded fractals.

use super::look::Look;
use super::random::{Draws, hash};
use super::stage::{Camera, Paint, Scene, render};
use super::vector::{Basis, Vec3, turn, vec3};
use image::RgbImage;
use std::f32::consts::{PI, TAU};

/// Boxes on a lattice of `2 reach + 1` a side: a cloud of cubes, or a town of columns on a floor.
struct Boxes {
    pitch: f32,
    reach: i32,
    round: f32,
    town: bool,
    swell: Vec3,
    fill: f32,
    seed: i32,
    twist: f32,
}

impl Boxes {
    fn half(&self, x: i32, y: i32, z: i32) -> Vec3 {
        if self.town {
            let tall = hash(x, self.seed, z);
            let side = 0.5 * self.pitch * self.fill;
            return vec3(side, 0.12 + 0.95 * tall * tall, side);
        }
        let centre = vec3(x as f32, y as f32, z as f32);
        let wave = 0.72 + 0.28 * (centre.dot(self.swell)).sin();
        Vec3::splat(0.5 * self.pitch * self.fill * wave)
    }

    fn one(&self, p: Vec3, x: i32, y: i32, z: i32) -> f32 {
        let half = self.half(x, y, z);
        let centre = if self.town {
            vec3(x as f32 * self.pitch, half.y - 0.8, z as f32 * self.pitch)
        } else {
            vec3(x as f32, y as f32, z as f32) * self.pitch
        };
        let q = (p - centre).abs() - (half - Vec3::splat(self.round));
        q.max(0.0).length() + q.max_part().min(0.0) - self.round
    }

    fn bend(&self, p: Vec3) -> Vec3 {
        if self.twist == 0.0 {
            return p;
        }
        let (x, z) = turn(p.x, p.z, (p.y * self.twist).sin_cos());
        vec3(x, p.y, z)
    }

    fn cell(&self, v: f32) -> i32 {
        ((v / self.pitch).round() as i32).clamp(-self.reach, self.reach)
    }
}

impl Scene for Boxes {
    const STEP: f32 = 0.85;
    fn bound(&self) -> f32 {
        if self.town { 2.05 } else { 1.6 }
    }
    fn distance(&self, p: Vec3) -> f32 {
        let p = self.bend(p);
        let (x, z) = (self.cell(p.x), self.cell(p.z));
        if !self.town {
            return self.one(p, x, self.cell(p.y), z);
        }
        // Neighbours differ in height, so the nearest column may be the next one; one farther off is at least half
        // a pitch away.
        let side = |v: f32, at: i32| {
            let towards = if v > at as f32 * self.pitch { 1 } else { -1 };
            (at + towards).clamp(-self.reach, self.reach)
        };
        let (x2, z2) = (side(p.x, x), side(p.z, z));
        let near = self
            .one(p, x, 0, z)
            .min(self.one(p, x2, 0, z))
            .min(self.one(p, x, 0, z2))
            .min(self.one(p, x2, 0, z2));
        let half = (self.reach as f32 + 0.5) * self.pitch;
        let town = vec3(p.x.abs() - half, p.y - 1.35, p.z.abs() - half)
            .max(0.0)
            .length();
        near.min((0.5 * self.pitch).max(town))
    }
    fn paint(&self, p: Vec3) -> Paint {
        let p = self.bend(p);
        let y = if self.town { 0 } else { self.cell(p.y) };
        Paint::Look(0.35 * hash(self.cell(p.x), y + self.seed, self.cell(p.z)))
    }
}

pub(super) fn boxes(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let town = draws.chance(0.45);
    let reach = draws.count(1, if town { 4 } else { 2 });
    let side = 2.0 * reach as f32 + 1.0;
    let pitch = if town { 2.1 } else { 1.7 } / side;
    let scene = Boxes {
        pitch,
        reach: reach as i32,
        round: draws.range(0.0, 0.08) * pitch,
        town,
        swell: draws.direction() * draws.range(0.0, 2.5),
        fill: if town {
            draws.range(0.7, 0.95)
        } else {
            draws.range(0.6, 0.97)
        },
        seed: draws.below(1 << 20) as i32,
        twist: if !town && draws.chance(0.3) {
            draws.range(-0.7, 0.7)
        } else {
            0.0
        },
    };
    let camera = if town {
        Camera::standing(draws, 1.75, PI, -0.8).raised(draws.range(0.1, 0.5))
    } else {
        Camera::free(draws, 1.3).fitted(&scene)
    };
    render(&scene, &camera, &look, size_px)
}

/// A prism with a pointed end.
struct Prism {
    root: Vec3,
    basis: Basis,
    radius: f32,
    length: f32,
}

struct Crystals {
    prisms: Vec<Prism>,
    /// Directions of the side faces in a prism's own plane; those opposite to one of them are left out.
    faces: Vec<(f32, f32)>,
    /// Whether opposite faces exist.
    even: bool,
    tip: f32,
}

impl Crystals {
    fn nearest(&self, p: Vec3) -> (f32, usize) {
        let mut best = (f32::INFINITY, 0);
        for (i, prism) in self.prisms.iter().enumerate() {
            let q = prism.basis.inward(p - prism.root);
            let around = (q.x * q.x + q.z * q.z).sqrt();
            let rough = (around - prism.radius * 1.1)
                .max(q.y - prism.length)
                .max(-q.y);
            if rough > best.0 {
                continue;
            }
            let flat = self.faces.iter().fold(0.0, |most: f32, (s, c)| {
                let out = q.x * s + q.z * c;
                most.max(if self.even { out.abs() } else { out })
            });
            let cap = (flat * self.tip + (q.y - prism.length)) / (1.0 + self.tip * self.tip).sqrt();
            let distance = (flat - prism.radius).max(cap).max(-q.y);
            if distance < best.0 {
                best = (distance, i);
            }
        }
        best
    }
}

impl Scene for Crystals {
    const STEP: f32 = 0.9;
    fn bound(&self) -> f32 {
        1.75
    }
    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        let i = self.nearest(p).1 as f32;
        Paint::Look(i * 0.07 + 0.15 * (p.y + 0.8))
    }
}

pub(super) fn crystals(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws).glossy(draws.range(0.5, 1.0));
    let n = draws.count(5, 10);
    let spin = draws.angle();
    let prisms = (0..n)
        .map(|i| {
            let lean = if i == 0 {
                draws.range(0.0, 0.15)
            } else {
                draws.range(0.2, 0.85)
            };
            let around = spin + TAU * i as f32 / (n - 1) as f32 + draws.range(-0.3, 0.3);
            let (s, c) = around.sin_cos();
            let up = vec3(lean.sin() * c, lean.cos(), lean.sin() * s);
            let right = up.cross(vec3(s, 0.0, -c) + Vec3::splat(1e-3)).unit();
            let size = if i == 0 {
                draws.range(0.9, 1.1)
            } else {
                draws.range(0.45, 0.95)
            };
            Prism {
                root: vec3(c, 0.0, s) * (0.16 * lean) + vec3(0.0, -0.85, 0.0),
                basis: Basis {
                    right,
                    up,
                    forward: right.cross(up),
                },
                radius: draws.range(0.11, 0.22) * size.sqrt(),
                length: 1.75 * size,
            }
        })
        .collect();
    let sides = draws.pick(&[4_u8, 5, 6, 6]);
    let even = sides.is_multiple_of(2);
    let shown = if even { sides / 2 } else { sides };
    let scene = Crystals {
        prisms,
        faces: (0..shown)
            .map(|i| (TAU * f32::from(i) / f32::from(sides)).sin_cos())
            .collect(),
        even,
        tip: draws.range(1.0, 2.6),
    };
    render(
        &scene,
        &Camera::standing(draws, 1.3, PI, -0.85),
        &look,
        size_px,
    )
}

/// A solid folded onto itself again and again.
struct Folded {
    rounds: u32,
    sponge: bool,
    scale: f32,
    offset: Vec3,
    fold: (f32, f32),
    tilt: (f32, f32),
}

impl Folded {
    /// Distance, and how far out the folding threw the point.
    fn orbit(&self, p: Vec3) -> (f32, f32) {
        if self.sponge {
            self.sponge(p)
        } else {
            self.folds(p)
        }
    }

    /// Menger's sponge (Quilez, "Menger fractal").
    fn sponge(&self, p: Vec3) -> (f32, f32) {
        let p = p * 1.2;
        let mut distance = (p.abs() - Vec3::splat(1.0)).max_part();
        let (mut scale, mut deepest) = (1.0, 0.0);
        if distance > 0.2 {
            return (distance / 1.2, 0.0);
        }
        for round in 0..self.rounds.min(3) {
            let wrap = |v: f32| {
                let v = v * scale * 0.5 + 0.5;
                1.0 - 3.0 * ((v - v.floor()) * 2.0 - 1.0).abs()
            };
            let r = vec3(wrap(p.x), wrap(p.y), wrap(p.z)).abs();
            scale *= 3.0;
            let cross = (r.x.max(r.y)).min(r.y.max(r.z)).min(r.z.max(r.x));
            let hole = (cross - self.offset.x) / scale;
            if hole > distance {
                distance = hole;
                deepest = 1.0 + round as f32;
            }
        }
        (distance / 1.2, deepest * 0.3)
    }

    /// Kaleidoscopic folds (Knighty's iterated function systems).
    fn folds(&self, p: Vec3) -> (f32, f32) {
        let (mut p, mut scale, mut trap) = (p * 1.25, 1.25, f32::INFINITY);
        for _ in 0..self.rounds {
            p = p.abs();
            if p.x < p.y {
                p = vec3(p.y, p.x, p.z);
            }
            if p.y < p.z {
                p = vec3(p.x, p.z, p.y);
            }
            let (x, y) = turn(p.x, p.y, self.fold);
            let (y, z) = turn(y, p.z, self.tilt);
            p = vec3(x, y, z) * self.scale - self.offset * (self.scale - 1.0);
            scale *= self.scale;
            trap = trap.min(p.dot(p));
        }
        let q = p.abs() - Vec3::splat(0.75);
        (
            (q.max(0.0).length() + q.max_part().min(0.0)) / scale,
            trap.sqrt() * 0.5,
        )
    }
}

impl Scene for Folded {
    const STEP: f32 = 0.8;
    fn bound(&self) -> f32 {
        1.6
    }
    fn distance(&self, p: Vec3) -> f32 {
        self.orbit(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        Paint::Look(self.orbit(p).1)
    }
}

pub(super) fn fractals(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws);
    let sponge = draws.chance(0.35);
    let scene = Folded {
        rounds: draws.count(4, 6) as u32 - u32::from(sponge),
        sponge,
        scale: draws.range(1.8, 2.3),
        offset: if sponge {
            Vec3::splat(draws.range(0.8, 1.2))
        } else {
            vec3(1.0, draws.range(0.2, 1.0), draws.range(0.0, 0.8))
        },
        fold: draws.range(-0.35, 0.35).sin_cos(),
        tilt: draws.range(-0.35, 0.35).sin_cos(),
    };
    let camera = Camera::free(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}
