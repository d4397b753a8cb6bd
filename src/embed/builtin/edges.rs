//! Edges and textures: gradients at four scales, pooled in several ways.
//!
//! - [`Edges::layout`]: orientations by place, as in HOG (Dalal & Triggs 2005);
//! - [`Edges::polar`]: orientations against the direction to the centre, by ring: unchanged when the picture turns;
//! - [`Edges::energy`], [`Edges::spectrum`], [`Edges::texture`]: energy by scale, orientation spectrum, strength
//!   distribution and second-order energies without place, in the manner of scattering transforms (Bruna & Mallat
//!   2013), unchanged when the picture turns.
//!
//! All are divided by the picture's whole edge strength, so that light and contrast matter little. Angles never
//! appear: an orientation is the doubled angle's vector, (gx² − gy², 2·gx·gy) over the squared length. Pure.

use super::plane::Plane;

/// Number of scales: sides of 128, 64, 32 and 16 pixels.
const SCALES: usize = 4;
/// Orientations of a histogram.
const ORIENTATIONS: usize = 8;
/// Cells a side of the layout.
const GRID: usize = 4;
/// Rings around the centre.
const RINGS: usize = 3;
/// Levels of edge strength.
const STRENGTHS: usize = 6;
/// Edge strength of the faintest visible edge, lightness a pixel.
pub(super) const FAINT: f32 = 0.004;

/// Number of values of [`Edges::layout`].
pub(super) const LAYOUT: usize = GRID * GRID * ORIENTATIONS;
/// Number of values of [`Edges::polar`].
pub(super) const POLAR: usize = SCALES * RINGS * ORIENTATIONS;
/// Number of values of [`Edges::texture`].
pub(super) const TEXTURE: usize = SCALES * STRENGTHS + PAIRS * 3;
/// Number of values of [`Edges::energy`].
pub(super) const ENERGY: usize = SCALES;
/// Number of values of [`Edges::spectrum`].
pub(super) const SPECTRUM: usize = SCALES * 3;
/// Pairs of a scale and a coarser one.
const PAIRS: usize = SCALES * (SCALES - 1) / 2;

/// Cosine and sine of the doubled angles 0°, 45°, ... of the eight orientations.
const DOUBLED: [(f32, f32); ORIENTATIONS] = [
    (1.0, 0.0),
    (0.707_106_77, 0.707_106_77),
    (0.0, 1.0),
    (-0.707_106_77, 0.707_106_77),
    (-1.0, 0.0),
    (-0.707_106_77, -0.707_106_77),
    (0.0, -1.0),
    (0.707_106_77, -0.707_106_77),
];

/// The gradients of one scale.
pub(super) struct Scale {
    pub(super) side: usize,
    /// Strength, and the doubled angle's vector times the strength, less where lightness and colours disagree.
    pub(super) strength: Plane,
    cos: Plane,
    sin: Plane,
    /// The same vectors, of length 1 or 0.
    pub(super) directions: Vec<(f32, f32)>,
}

/// Gradients of lightness and colour at all scales.
pub(super) struct Edges {
    /// From the finest to the coarsest.
    pub(super) scales: [Scale; SCALES],
}

impl Edges {
    /// Takes the gradients of a lightness plane and two colour planes.
    pub(super) fn new(lightness: &Plane, green_red: &Plane, blue_yellow: &Plane) -> Self {
        let mut planes = [lightness.clone(), green_red.clone(), blue_yellow.clone()];
        let scales = std::array::from_fn(|_| {
            let scale = gradients(&planes);
            planes = [0, 1, 2].map(|i| planes[i].halved());
            scale
        });
        Self { scales }
    }

    /// Square roots of the shares of each orientation in each cell, at the second scale.
    pub(super) fn layout(&self) -> Vec<f32> {
        let scale = &self.scales[1];
        let cell = scale.side / GRID;
        let mut sums = vec![0.0_f32; LAYOUT];
        for y in 0..scale.side {
            for x in 0..scale.side {
                let at = (y / cell * GRID + x / cell) * ORIENTATIONS;
                let i = y * scale.side + x;
                vote(
                    &mut sums[at..at + ORIENTATIONS],
                    scale.cos.values[i],
                    scale.sin.values[i],
                );
            }
        }
        shares(&sums, FAINT * (scale.side * scale.side) as f32)
    }

    /// Square roots of the shares of each orientation against the radius, in each ring, at each scale.
    pub(super) fn polar(&self) -> Vec<f32> {
        let mut all = Vec::with_capacity(POLAR);
        for scale in &self.scales {
            let mut sums = vec![0.0_f32; RINGS * ORIENTATIONS];
            let middle = (scale.side - 1) as f32 / 2.0;
            let reach = scale.side as f32 / 2.0;
            for y in 0..scale.side {
                let dy = y as f32 - middle;
                for x in 0..scale.side {
                    let dx = x as f32 - middle;
                    let square = dx * dx + dy * dy;
                    let ring = ((square.sqrt() / reach * RINGS as f32) as usize).min(RINGS);
                    if ring == RINGS {
                        continue; // The corners leave the picture when it turns.
                    }
                    let (c, s) = ((dx * dx - dy * dy) / square, 2.0 * dx * dy / square);
                    let i = y * scale.side + x;
                    let (cos, sin) = (scale.cos.values[i], scale.sin.values[i]);
                    let at = ring * ORIENTATIONS;
                    vote(
                        &mut sums[at..at + ORIENTATIONS],
                        cos * c + sin * s,
                        sin * c - cos * s,
                    );
                }
            }
            all.extend(shares(&sums, FAINT * (scale.side * scale.side) as f32));
        }
        all
    }

    /// Square roots of each scale's share of the edge strength.
    pub(super) fn energy(&self) -> Vec<f32> {
        let energy = self.scales.iter().map(|s| s.strength.mean());
        let total: f32 = energy.clone().sum::<f32>() + FAINT;
        energy.map(|energy| (energy / total).sqrt()).collect()
    }

    /// How far orientations agree over the whole picture, scale by scale.
    pub(super) fn spectrum(&self) -> Vec<f32> {
        self.scales.iter().flat_map(spectrum).collect()
    }

    /// Square roots of the distribution of strengths and of second-order energies.
    pub(super) fn texture(&self) -> Vec<f32> {
        let mut all = Vec::with_capacity(TEXTURE);
        for scale in &self.scales {
            all.extend(strengths(scale, scale.strength.mean()));
        }
        for (fine, scale) in self.scales.iter().enumerate() {
            let mut strength = scale.strength.clone();
            let (mut cos, mut sin) = (scale.cos.clone(), scale.sin.clone());
            for _ in fine + 1..SCALES {
                strength = strength.halved();
                (cos, sin) = (cos.halved(), sin.halved());
                all.extend(second_order(&strength, &cos, &sin).map(signed_root));
            }
        }
        all
    }
}

/// Central differences of three planes, lightness counting once and colour twice, added as doubled-angle vectors so
/// that opposite gradients strengthen each other.
fn gradients(planes: &[Plane; 3]) -> Scale {
    const WEIGHTS: [f32; 3] = [1.0, 2.0, 2.0];
    let side = planes[0].side;
    let (mut strength, mut cos, mut sin) = (
        vec![0.0_f32; side * side],
        vec![0.0_f32; side * side],
        vec![0.0_f32; side * side],
    );
    for (plane, weight) in planes.iter().zip(WEIGHTS) {
        let half = 0.5 * weight;
        for y in 0..side {
            let (up, down) = (y.saturating_sub(1) * side, (y + 1).min(side - 1) * side);
            for x in 0..side {
                let (left, right) = (x.saturating_sub(1), (x + 1).min(side - 1));
                let gx = half * (plane.values[y * side + right] - plane.values[y * side + left]);
                let gy = half * (plane.values[down + x] - plane.values[up + x]);
                cos[y * side + x] += gx * gx - gy * gy;
                sin[y * side + x] += 2.0 * gx * gy;
                strength[y * side + x] += gx * gx + gy * gy;
            }
        }
    }
    let mut directions = Vec::with_capacity(side * side);
    for (cos, sin) in cos.iter().zip(&sin) {
        let length = (cos * cos + sin * sin).sqrt();
        let scale = if length > 1e-12 { 1.0 / length } else { 0.0 };
        directions.push((scale * cos, scale * sin));
    }
    // From squared strength to strength; the vectors keep their direction.
    for ((strength, cos), sin) in strength.iter_mut().zip(&mut cos).zip(&mut sin) {
        let root = strength.sqrt();
        let scale = if root > 1e-12 { 1.0 / root } else { 0.0 };
        *strength = root;
        *cos *= scale;
        *sin *= scale;
    }
    let plane = |values| Plane { side, values };
    Scale {
        side,
        strength: plane(strength),
        cos: plane(cos),
        sin: plane(sin),
        directions,
    }
}

/// Adds a doubled-angle vector to the orientations near it.
#[inline]
fn vote(bins: &mut [f32], cos: f32, sin: f32) {
    let square = cos * cos + sin * sin;
    if square < 1e-14 {
        return;
    }
    // (max(0, cosine of the difference))² over eight directions sums to 2, whatever the direction.
    let scale = 0.5 / square.sqrt();
    for (bin, (c, s)) in bins.iter_mut().zip(DOUBLED) {
        let near = (cos * c + sin * s).max(0.0);
        *bin += near * near * scale;
    }
}

/// Square roots of the parts of a whole that is at least `floor`.
fn shares(sums: &[f32], floor: f32) -> Vec<f32> {
    let total = sums.iter().sum::<f32>() + floor;
    sums.iter().map(|sum| (sum / total).sqrt()).collect()
}

/// How far the orientations agree over the whole picture: magnitudes of the histogram's first three harmonics, from
/// stripes (all high) to noise (all low).
fn spectrum(scale: &Scale) -> [f32; 3] {
    let mut sums = [(0.0_f32, 0.0_f32); 3];
    let mut total = FAINT * scale.strength.values.len() as f32;
    for ((&m, &c), &s) in scale
        .strength
        .values
        .iter()
        .zip(&scale.cos.values)
        .zip(&scale.sin.values)
    {
        total += m;
        if m < 1e-7 {
            continue;
        }
        let (c1, s1) = (c / m, s / m);
        let (mut c, mut s) = (c1, s1);
        for sum in &mut sums {
            sum.0 += m * c;
            sum.1 += m * s;
            (c, s) = (c * c1 - s * s1, s * c1 + c * s1);
        }
    }
    sums.map(|(c, s)| (c * c + s * s).sqrt() / total)
}

/// Shares of the pixels by edge strength in octaves around the mean: sparse lines or busy texture.
fn strengths(scale: &Scale, energy: f32) -> [f32; STRENGTHS] {
    let mut counts = [0.0_f32; STRENGTHS];
    let share = 1.0 / scale.strength.values.len() as f32;
    for &m in &scale.strength.values {
        let mut bound = 0.25 * (energy + FAINT);
        let mut level = 0;
        while level < STRENGTHS - 1 && m > bound {
            bound *= 2.0;
            level += 1;
        }
        counts[level] += share;
    }
    counts.map(f32::sqrt)
}

/// How a fine scale's edges vary at a coarser one: the gradient of their strength, the part of it across and along
/// their orientation, and how far neighbouring edges agree in orientation.
fn second_order(strength: &Plane, cos: &Plane, sin: &Plane) -> [f32; 3] {
    let side = strength.side;
    let (mut varied, mut across, mut agree) = (0.0_f32, 0.0_f32, 0.0_f32);
    let mut total = FAINT * (side * side) as f32;
    for y in 0..side {
        let (up, down) = (y.saturating_sub(1), (y + 1).min(side - 1));
        for x in 0..side {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(side - 1));
            let gx = 0.5 * (strength.at(right, y) - strength.at(left, y));
            let gy = 0.5 * (strength.at(x, down) - strength.at(x, up));
            let square = gx * gx + gy * gy;
            let length = square.sqrt();
            let (c, s) = (cos.at(x, y), sin.at(x, y));
            let vector = (c * c + s * s).sqrt();
            varied += length;
            agree += vector;
            total += strength.at(x, y);
            if length > 1e-7 && vector > 1e-7 {
                let (dc, ds) = ((gx * gx - gy * gy) / length, 2.0 * gx * gy / length);
                across += (dc * c + ds * s) / vector;
            }
        }
    }
    [varied / total, 0.5 * across / total, agree / total]
}

/// The root of the magnitude, with the sign.
fn signed_root(value: f32) -> f32 {
    value.abs().sqrt().copysign(value)
}
