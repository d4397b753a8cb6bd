//! Three-component vectors and the few scalar functions of shader languages that `std` lacks.

use std::ops::{Add, Mul, Neg, Sub};

/// A point, a direction or a linear RGB colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vec3 {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(super) const ZERO: Self = vec3(0.0, 0.0, 0.0);

    pub(super) const fn splat(v: f32) -> Self {
        vec3(v, v, v)
    }

    #[inline(always)]
    pub(super) fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub(super) fn cross(self, o: Self) -> Self {
        vec3(
            self.y * o.z - self.z * o.y,
            self.z * o.x - self.x * o.z,
            self.x * o.y - self.y * o.x,
        )
    }

    #[inline(always)]
    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of this vector; the zero vector stays zero.
    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-20))
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        vec3(self.x.abs(), self.y.abs(), self.z.abs())
    }

    #[inline(always)]
    pub(super) fn max(self, v: f32) -> Self {
        vec3(self.x.max(v), self.y.max(v), self.z.max(v))
    }

    #[inline(always)]
    pub(super) fn max_part(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }

    pub(super) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        vec3(f(self.x), f(self.y), f(self.z))
    }

    pub(super) fn mix(self, o: Self, share: f32) -> Self {
        self + (o - self) * share
    }
}

impl Add for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        vec3(-self.x, -self.y, -self.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, v: f32) -> Self {
        vec3(self.x * v, self.y * v, self.z * v)
    }
}

impl Mul for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        vec3(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}

/// An orthonormal basis: a rotation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basis {
    pub(super) right: Vec3,
    pub(super) up: Vec3,
    pub(super) forward: Vec3,
}

impl Basis {
    /// Looks along the given angles (radians): around the vertical, up and down, around the view.
    pub(super) fn looking(yaw: f32, pitch: f32, roll: f32) -> Self {
        let (sy, cy) = yaw.sin_cos();
        let (sp, cp) = pitch.sin_cos();
        let (sr, cr) = roll.sin_cos();
        let forward = vec3(-sy * cp, -sp, -cy * cp);
        let right = vec3(cy, 0.0, -sy);
        let up = right.cross(forward);
        Self {
            right: right * cr + up * sr,
            up: up * cr - right * sr,
            forward,
        }
    }

    /// From this basis to the world.
    #[inline(always)]
    pub(super) fn outward(&self, v: Vec3) -> Vec3 {
        self.right * v.x + self.up * v.y + self.forward * v.z
    }

    /// From the world to this basis.
    #[inline(always)]
    pub(super) fn inward(&self, v: Vec3) -> Vec3 {
        vec3(v.dot(self.right), v.dot(self.up), v.dot(self.forward))
    }
}

pub(super) fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

pub(super) fn smoothstep(from: f32, to: f32, v: f32) -> f32 {
    let t = ((v - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The part after the point, in 0..1 for negative numbers too.
pub(super) fn fract(v: f32) -> f32 {
    v - v.floor()
}

/// Rotates the plane by an angle given as (sin, cos).
#[inline(always)]
pub(super) fn turn(x: f32, y: f32, (s, c): (f32, f32)) -> (f32, f32) {
    (c * x - s * y, s * x + c * y)
}

/// The smaller of two distances, their crease rounded over `k` (Quilez, "smooth minimum").
#[inline(always)]
pub(super) fn smooth_min(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - h * h * k * 0.25
}
