//! Families of small creatures and of flowers.

use super::look::Look;
use super::random::Draws;
use super::stage::{Camera, Paint, Scene, render};
use super::vector::{Vec3, mix, smooth_min, turn, vec3};
use image::RgbImage;
use std::f32::consts::{PI, TAU};

/// A creature that looks along `+z`, symmetric about `x = 0`.
struct Creature {
    body: Vec3,
    square: f32,
    head: Option<(Vec3, f32)>,
    eyes: Eyes,
    ears: Ears,
    legs: usize,
    arms: f32,
    mouth: f32,
    belly: bool,
    spots: f32,
    ground: f32,
}

struct Eyes {
    centre: Vec3,
    radius: f32,
    /// Where the pupils look, and how large they are.
    gaze: Vec3,
    pupil: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Ears {
    Round,
    Long,
    Horns,
    Antennae,
    None,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Skin,
    Extra,
    Eye,
}

impl Creature {
    fn top(&self) -> (Vec3, f32) {
        self.head.unwrap_or((Vec3::ZERO, self.body.y))
    }

    fn trunk(&self, p: Vec3) -> f32 {
        let ball = ellipsoid(p, self.body);
        let q = p.abs() - self.body * 0.78;
        let cube = q.max(0.0).length() + q.max_part().min(0.0) - 0.2 * self.body.y;
        let trunk = mix(ball, cube, self.square);
        match self.head {
            Some((centre, radius)) => smooth_min(
                trunk,
                ellipsoid(p - centre, vec3(radius * 1.1, radius, radius)),
                0.18,
            ),
            None => trunk,
        }
    }

    fn nearest(&self, p: Vec3) -> (f32, Part) {
        let q = vec3(p.x.abs(), p.y, p.z);
        let mut skin = self.trunk(q);
        if skin > 1.2 {
            return (skin - 0.6, Part::Skin);
        }
        for leg in 0..self.legs {
            let z = if self.legs == 1 {
                0.0
            } else {
                leg as f32 * 0.5 - 0.25
            };
            let hip = vec3(self.body.x * 0.5, -self.body.y * 0.6, z * self.body.z);
            let foot = vec3(
                self.body.x * 0.55,
                self.ground + 0.09,
                z * self.body.z * 1.2 + 0.05,
            );
            skin = smooth_min(skin, capsule(q, hip, foot, 0.1), 0.08);
        }
        if self.arms > 0.0 {
            let shoulder = vec3(self.body.x * 0.85, self.body.y * 0.1, 0.0);
            let hand = shoulder + vec3(0.3, mix(-0.35, 0.35, self.arms), 0.15);
            skin = smooth_min(skin, capsule(q, shoulder, hand, 0.085), 0.08);
        }
        if self.mouth > 0.0 {
            let (centre, radius) = self.top();
            let lips = vec3(self.mouth, self.mouth * 0.5, 0.25);
            let at = vec3(
                0.0,
                self.eyes.centre.y - self.eyes.radius - 0.16 * radius,
                centre.z + radius,
            );
            skin = skin.max(-ellipsoid(q - at, lips));
        }
        let extra = self.ears(q);
        let eye = (q - self.eyes.centre).length() - self.eyes.radius;
        if eye < skin && eye < extra {
            (eye, Part::Eye)
        } else if extra < skin {
            (smooth_min(skin, extra, 0.06), Part::Extra)
        } else {
            (smooth_min(skin, extra, 0.06), Part::Skin)
        }
    }

    fn ears(&self, q: Vec3) -> f32 {
        let (centre, radius) = self.top();
        let root = centre + vec3(radius * 0.55, radius * 0.75, 0.0);
        match self.ears {
            Ears::None => f32::INFINITY,
            Ears::Round => ellipsoid(q - root - vec3(0.1, 0.1, 0.0), vec3(0.2, 0.2, 0.09)),
            Ears::Long => {
                let tip = root + vec3(0.08, 0.5, -0.05);
                capsule(q, root, tip, 0.095)
            }
            Ears::Horns => {
                let d = q - root;
                let up = (d.y + 0.1).clamp(0.0, 0.42);
                let bend = vec3(up * 0.6 - 0.05, up - 0.1, 0.0);
                (d - bend).length() - 0.13 * (1.0 - up / 0.45)
            }
            Ears::Antennae => {
                let tip = root + vec3(0.12, 0.42, 0.05);
                capsule(q, root, tip, 0.028).min((q - tip).length() - 0.09)
            }
        }
    }
}

impl Scene for Creature {
    const STEP: f32 = 0.8;
    fn bound(&self) -> f32 {
        1.7
    }
    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        match self.nearest(p).1 {
            Part::Eye => {
                let q = vec3(p.x.abs(), p.y, p.z) - self.eyes.centre;
                // One eye looks where the other does, so the gaze is mirrored with the half.
                let gaze = vec3(
                    self.eyes.gaze.x * p.x.signum(),
                    self.eyes.gaze.y,
                    self.eyes.gaze.z,
                );
                if q.unit().dot(gaze.unit()) > self.eyes.pupil {
                    Paint::Own(Vec3::splat(0.012), 1.0)
                } else {
                    Paint::Own(vec3(0.85, 0.85, 0.82), 0.8)
                }
            }
            Part::Extra => Paint::Look(0.22),
            Part::Skin => {
                let front = vec3(p.x / self.body.x, (p.y + 0.1) / self.body.y, 0.0).length();
                if self.belly && p.z > 0.0 && front < 0.62 && p.y < self.body.y * 0.35 {
                    return Paint::Look(0.4);
                }
                let spot = p * self.spots;
                if self.spots > 0.0 && (spot.x.sin() * spot.y.sin() * spot.z.sin()) > 0.3 {
                    return Paint::Look(0.3);
                }
                Paint::Look(0.0)
            }
        }
    }
}

pub(super) fn creatures(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws).calm();
    let height = draws.range(0.48, 0.75);
    let body = vec3(
        height * draws.range(0.75, 1.25),
        height,
        height * draws.range(0.75, 1.0),
    );
    let head = draws.chance(0.45).then(|| {
        (
            vec3(0.0, height * 1.05, 0.12),
            height * draws.range(0.6, 0.9),
        )
    });
    let square = if head.is_none() && draws.chance(0.3) {
        1.0
    } else {
        0.0
    };
    let (face, face_radius) = head.unwrap_or((Vec3::ZERO, height));
    let front = match (head, square > 0.0) {
        (Some(_), _) => face.z + face_radius,
        (None, true) => body.z * 0.98,
        (None, false) => body.z,
    };
    let cyclops = draws.chance(0.2);
    let radius = face_radius
        * if cyclops {
            draws.range(0.3, 0.42)
        } else {
            draws.range(0.18, 0.32)
        };
    let apart = if cyclops {
        0.0
    } else {
        radius + draws.range(0.0, 0.12)
    };
    let up = face_radius * draws.range(0.1, 0.35);
    // On a rounded face an eye away from the middle sits farther back.
    let back = 1.0 - 0.55 * ((apart * apart + up * up) / (face_radius * face_radius)).min(1.0);
    let leg_length = draws.range(0.15, 0.4);
    let legs = draws.below(3);
    let ground = -height - if legs > 0 { leg_length } else { 0.0 };
    let scene = Creature {
        body,
        square,
        head,
        eyes: Eyes {
            centre: vec3(
                apart,
                face.y + up,
                front * if square > 0.0 { 1.0 } else { back } - radius * 0.25,
            ),
            radius,
            gaze: vec3(draws.range(-0.35, 0.35), draws.range(-0.25, 0.2), 1.0),
            pupil: draws.range(0.72, 0.9),
        },
        ears: draws.pick(&[
            Ears::Round,
            Ears::Long,
            Ears::Horns,
            Ears::Antennae,
            Ears::None,
        ]),
        legs,
        arms: if draws.chance(0.6) {
            draws.range(0.05, 1.0)
        } else {
            0.0
        },
        mouth: if draws.chance(0.6) {
            draws.range(0.08, 0.22)
        } else {
            0.0
        },
        belly: draws.chance(0.4),
        spots: if draws.chance(0.3) {
            draws.range(9.0, 16.0)
        } else {
            0.0
        },
        ground,
    };
    let top = face.y + face_radius + if scene.ears == Ears::None { 0.0 } else { 0.25 };
    let half_view = 0.62 * (top - ground) + 0.25;
    let camera = Camera::standing(draws, half_view, 0.7, ground).aimed(0.5 * (top + ground));
    render(&scene, &camera, &look, size_px)
}

/// Layers of petals around a centre, facing `+z`.
struct Flower {
    layers: Vec<Layer>,
    heart: f32,
    heart_bumps: f32,
}

struct Layer {
    petals: f32,
    spin: f32,
    /// The turn that brings each petal to `+x`.
    turns: Vec<(f32, f32)>,
    reach: f32,
    /// Half axes of a petal, inverted.
    petal: Vec3,
    lift: (f32, f32),
    shift: f32,
}

impl Flower {
    fn nearest(&self, p: Vec3) -> (f32, usize) {
        let outside = p.length() - 1.3;
        if outside > 0.1 {
            return (outside, 0);
        }
        let mut heart = ellipsoid(p, vec3(self.heart, self.heart, self.heart * 0.7));
        if self.heart_bumps > 0.0 && heart < 0.1 {
            let q = p * self.heart_bumps;
            heart -= 0.25 / self.heart_bumps * q.x.sin() * q.y.sin();
        }
        let mut best = (heart, usize::MAX);
        let around = p.y.atan2(p.x);
        for (i, layer) in self.layers.iter().enumerate() {
            let sector = TAU / layer.petals;
            let angle = around + layer.spin;
            let own = (angle / sector).round() as i32;
            // The petals are counted from 0 both ways around.
            let own = own.rem_euclid(layer.petals as i32) as usize;
            let (x, y) = turn(p.x, p.y, layer.turns[own]);
            let (x, z) = turn(x, p.z, layer.lift);
            let q = vec3(x - layer.reach, y, z);
            // A petal is a thin shell bent upwards at its rim.
            let bent = vec3(q.x, q.y, q.z - 0.35 * (q.y * q.y + q.x * q.x * 0.4));
            let distance = ellipsoid_inverse(bent, layer.petal);
            if distance < best.0 {
                best = (distance, i);
            }
        }
        best
    }
}

impl Scene for Flower {
    const STEP: f32 = 0.6;
    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).0
    }
    fn paint(&self, p: Vec3) -> Paint {
        match self.nearest(p).1 {
            usize::MAX => Paint::Palette(0.55),
            i => Paint::Look(self.layers[i].shift + 0.25 * (p.x * p.x + p.y * p.y).sqrt()),
        }
    }
}

pub(super) fn flowers(draws: &mut Draws, size_px: u32) -> RgbImage {
    let look = Look::draw(draws).calm();
    let petals = draws.count(5, 13) as f32;
    let wide = draws.range(0.8, 1.25) * 1.6 / petals;
    let count = draws.count(1, 3);
    let layers = (0..count)
        .map(|i| {
            let inner = i as f32 / 3.0;
            let reach = 0.62 * (1.0 - 0.5 * inner);
            let spin = inner * 3.0 * PI / petals;
            Layer {
                petals,
                spin,
                turns: (0..petals as i32)
                    .map(|own| (spin - TAU * own as f32 / petals).sin_cos())
                    .collect(),
                reach,
                petal: vec3(reach * 0.78, (wide * (1.0 - 0.4 * inner)).min(0.4), 0.055)
                    .map(f32::recip),
                lift: (-(draws.range(0.1, 0.35) + 0.35 * inner)).sin_cos(),
                shift: inner * 0.4,
            }
        })
        .collect();
    let scene = Flower {
        layers,
        heart: draws.range(0.14, 0.32),
        heart_bumps: draws.pick(&[0.0, 30.0, 45.0]),
    };
    let camera = Camera::front(draws, 1.3).fitted(&scene);
    render(&scene, &camera, &look, size_px)
}

/// Distance to an ellipsoid, close to the truth near it (Quilez).
fn ellipsoid(p: Vec3, radii: Vec3) -> f32 {
    ellipsoid_inverse(p, radii.map(f32::recip))
}

/// The same, given the inverse half axes.
fn ellipsoid_inverse(p: Vec3, inverse: Vec3) -> f32 {
    let scaled = p * inverse;
    let k0 = scaled.length();
    let k1 = (scaled * inverse).length();
    if k1 < 1e-6 {
        return -1.0 / inverse.max_part();
    }
    k0 * (k0 - 1.0) / k1
}

fn capsule(p: Vec3, a: Vec3, b: Vec3, radius: f32) -> f32 {
    let (pa, ba) = (p - a, b - a);
    let along = (pa.dot(ba) / ba.dot(ba).max(1e-9)).clamp(0.0, 1.0);
    (pa - ba * along).length() - radius
}
