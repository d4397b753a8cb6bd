//! How edges are arranged around the picture's centre.
//!
//! Edges are weighed against those of their surroundings, as in HOG (Dalal & Triggs 2005), so that faint parts count
//! too. In each of four rings the edges, and their orientations against the direction to the middle, are functions of
//! the direction; the magnitudes of their angular harmonics stay the same when the picture turns (as in
//! Fourier-Mellin and Zernike moments). Pure.

use super::edges::{FAINT, Scale};
use super::plane::{SIDE, cis};
use std::{f64::consts::TAU, sync::LazyLock};

const RINGS: usize = 4;
/// Directions of a ring.
const SECTORS: usize = 32;
/// Cells a side over which strengths are compared.
const CELLS: usize = 16;
/// Harmonics of the edges' strength, of their orientation and of its double.
const HARMONICS: [&[isize]; 3] = [
    &[0, 1, 2, 3, 4, 5, 6],
    &[-4, -3, -2, -1, 0, 1, 2, 3, 4],
    &[-3, -2, -1, 0, 1, 2, 3],
];

/// Number of values of [`harmonics`].
pub(super) const HARMONIC: usize = RINGS * 23;

/// Where a pixel of the finest scale lies.
struct Place {
    /// The first of two rings; [`RINGS`] outside of all.
    ring: usize,
    /// Share of the second ring.
    beyond: f32,
    sector: usize,
    /// Doubled angle's vector of the direction from the middle.
    cos: f32,
    sin: f32,
}

static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let pixels = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
    pixels.map(|(x, y)| place(x, y)).collect()
});

/// Cosine and sine of each sector's direction.
static DIRECTIONS: LazyLock<[(f32, f32); SECTORS]> = LazyLock::new(|| {
    std::array::from_fn(|sector| {
        let (cos, sin) = cis(TAU * sector as f64 / SECTORS as f64);
        (cos as f32, sin as f32)
    })
});

fn place(x: usize, y: usize) -> Place {
    let middle = (SIDE - 1) as f32 / 2.0;
    let (dx, dy) = (x as f32 - middle, y as f32 - middle);
    let square = dx * dx + dy * dy;
    let radius = square.sqrt() / (SIDE as f32 / 2.0);
    let from_first = (radius * RINGS as f32 - 0.5).max(0.0);
    let ring = from_first as usize;
    let along = |(cos, sin): (f32, f32)| dx * cos + dy * sin;
    let nearest =
        (0..SECTORS).max_by(|&a, &b| along(DIRECTIONS[a]).total_cmp(&along(DIRECTIONS[b])));
    Place {
        // The corners leave the picture when it turns.
        ring: if radius < 1.0 { ring } else { RINGS },
        beyond: from_first - ring as f32,
        sector: nearest.unwrap_or(0),
        cos: (dx * dx - dy * dy) / square,
        sin: 2.0 * dx * dy / square,
    }
}

/// Square roots of the harmonics' magnitudes, field by field, ring by ring.
pub(super) fn harmonics(finest: &Scale) -> Vec<f32> {
    let weights = weighed(finest);
    // Of each ring and sector: strength, orientation's vector, its double's vector.
    let mut sums = [[[0.0_f32; 5]; SECTORS]; RINGS];
    let mut area = [0.0_f32; RINGS];
    for (i, (place, weight)) in PLACES.iter().zip(weights).enumerate() {
        if place.ring == RINGS {
            continue;
        }
        let (c, s) = finest.directions[i];
        let (cos, sin) = (c * place.cos + s * place.sin, s * place.cos - c * place.sin);
        let values = [1.0, cos, sin, cos * cos - sin * sin, 2.0 * cos * sin];
        for (ring, share) in [
            (place.ring, 1.0 - place.beyond),
            (place.ring + 1, place.beyond),
        ] {
            if ring < RINGS {
                area[ring] += share;
                let sums = &mut sums[ring][place.sector];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += share * weight * value;
                }
            }
        }
    }
    let mut all = Vec::with_capacity(HARMONIC);
    for (field, orders) in HARMONICS.iter().enumerate() {
        for (ring, area) in sums.iter().zip(area) {
            all.extend(orders.iter().map(|&order| {
                let (mut re, mut im) = (0.0_f32, 0.0_f32);
                for (sector, sums) in ring.iter().enumerate() {
                    let turns = (sector as isize * order).rem_euclid(SECTORS as isize);
                    let (cos, sin) = DIRECTIONS[turns as usize];
                    let (a, b) = match field {
                        0 => (sums[0], 0.0),
                        1 => (sums[1], sums[2]),
                        _ => (sums[3], sums[4]),
                    };
                    re += a * cos - b * sin;
                    im += a * sin + b * cos;
                }
                ((re * re + im * im).sqrt() / area).sqrt()
            }));
        }
    }
    all
}

/// Strengths against the mean strength of the cells around, or against a part of the picture's where that is little.
fn weighed(scale: &Scale) -> Vec<f32> {
    let strength = &scale.strength;
    let side = scale.side;
    let cell = side / CELLS;
    let cells = strength.grid(CELLS);
    let floor = 0.15 * strength.mean() + 0.5 * FAINT;
    let near = |v: usize| v.saturating_sub(1)..(v + 2).min(CELLS);
    let mut inverse = vec![0.0_f32; CELLS * CELLS];
    for y in 0..CELLS {
        for x in 0..CELLS {
            let around = near(y).flat_map(|y| near(x).map(move |x| y * CELLS + x));
            let sum: f32 = around.map(|i| cells[i]).sum();
            let count = near(y).len() * near(x).len();
            inverse[y * CELLS + x] = 1.0 / (sum / count as f32 + floor);
        }
    }
    let weigh = |(i, m): (usize, &f32)| m * inverse[i / side / cell * CELLS + i % side / cell];
    strength.values.iter().enumerate().map(weigh).collect()
}
