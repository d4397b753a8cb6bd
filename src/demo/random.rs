//! Randomness as a function of a seed: draws for a scene's parameters, and value noise for its surfaces.

use super::vector::{Vec3, vec3};

/// SplitMix64 (Steele, Lea, Flood 2014): any seed is a good one.
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    /// The draws of one image of one collection.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        let mut mixed = Self(seed);
        let seed = mixed.next();
        Self(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `from..to`.
    pub(super) fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * ((self.next() >> 40) as f32 / (1_u64 << 24) as f32)
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Uniform in `from..=to`.
    pub(super) fn count(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.range(0.0, 1.0) < probability
    }

    /// One of the values.
    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// An angle, radians.
    pub(super) fn angle(&mut self) -> f32 {
        self.range(0.0, std::f32::consts::TAU)
    }

    /// A direction, near enough to uniform.
    pub(super) fn direction(&mut self) -> Vec3 {
        let (s, c) = self.angle().sin_cos();
        let y = self.range(-1.0, 1.0);
        let r = (1.0 - y * y).sqrt();
        vec3(r * c, y, r * s)
    }
}

/// Hashes a lattice point to 0..1.
#[inline(always)]
pub(super) fn hash(x: i32, y: i32, z: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ (z as u32).wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 / (1_u32 << 24) as f32
}

/// Value noise in space, 0..1.
pub(super) fn noise(p: Vec3) -> f32 {
    let (fx, fy, fz) = (p.x.floor(), p.y.floor(), p.z.floor());
    let (x, y, z) = (fx as i32, fy as i32, fz as i32);
    let (u, v, w) = (fade(p.x - fx), fade(p.y - fy), fade(p.z - fz));
    let (x1, y1, z1) = (x.wrapping_add(1), y.wrapping_add(1), z.wrapping_add(1));
    let line = |y, z| {
        let a = hash(x, y, z);
        a + (hash(x1, y, z) - a) * u
    };
    let plane = |z| {
        let a = line(y, z);
        a + (line(y1, z) - a) * v
    };
    let a = plane(z);
    a + (plane(z1) - a) * w
}

/// Value noise in the plane, 0..1; `layer` selects one of independent noises.
pub(super) fn noise2(px: f32, py: f32, layer: i32) -> f32 {
    let (fx, fy) = (px.floor(), py.floor());
    let (x, y) = (fx as i32, fy as i32);
    let (u, v) = (fade(px - fx), fade(py - fy));
    let (x1, y1) = (x.wrapping_add(1), y.wrapping_add(1));
    let line = |y| {
        let a = hash(x, y, layer);
        a + (hash(x1, y, layer) - a) * u
    };
    let a = line(y);
    a + (line(y1) - a) * v
}

/// Octaves of [`noise2`], each turned and half as strong; about 0..1.
pub(super) fn fbm2(mut x: f32, mut y: f32, octaves: u32, layer: i32) -> f32 {
    let (mut sum, mut strength) = (0.0, 0.5);
    for _ in 0..octaves {
        sum += strength * noise2(x, y, layer);
        // A turn of about 37° with a scale of 2 hides the lattice.
        (x, y) = (1.6 * x + 1.2 * y + 7.1, -1.2 * x + 1.6 * y + 3.7);
        strength *= 0.5;
    }
    sum
}

/// Octaves of [`noise`]; about 0..1.
pub(super) fn fbm(mut p: Vec3, octaves: u32) -> f32 {
    let (mut sum, mut strength) = (0.0, 0.5);
    for _ in 0..octaves {
        sum += strength * noise(p);
        p = vec3(1.6 * p.x + 1.2 * p.y, -1.2 * p.x + 1.6 * p.y, 2.0 * p.z) + vec3(7.1, 3.7, 1.9);
        strength *= 0.5;
    }
    sum
}

/// The quintic of Perlin's improved noise.
fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}
