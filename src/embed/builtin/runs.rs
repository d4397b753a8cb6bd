//! How edges continue: the orientation of an edge against the edges on both sides of it.
//!
//! From a pixel, two opposite steps of one of three lengths lead along its edge or across it. Each side shows a
//! parallel, an oblique or a crossing edge, or none; the pairs of sides are counted. A line, a bend, a corner, parallel
//! stripes and rings of some width, a lone edge and a grain each have their own mixture. Steps follow the edge itself,
//! so that a turn, a mirror image, another place, light or tint of the picture change nothing. In the manner of the
//! co-occurrences of oriented gradients (Watanabe, Ito & Yokoi 2009; Kobayashi & Otsu 2008). Pure.

use super::edges::{FAINT, Scale};

/// Pixels from one visited pixel to the next, on both axes: a quarter of the pixels is enough.
const STRIDE: usize = 2;
/// Reaches, pixels of the scale.
const REACHES: [f32; 3] = [2.0, 4.0, 8.0];
/// What a side can show: a parallel, an oblique or a crossing edge, or none.
const KINDS: usize = 4;
/// Unordered pairs of kinds.
const PAIRS: usize = KINDS * (KINDS + 1) / 2;

/// Number of values of [`runs`].
pub(super) const RUNS: usize = 2 * REACHES.len() * PAIRS;

/// Square roots of the shares of each pair, across and along the edge, by reach.
pub(super) fn runs(scale: &Scale) -> Vec<f32> {
    /// Strength against the mean below which a pixel shows no edge.
    const LEAST: f32 = 0.25;
    let side = scale.side;
    let strength = &scale.strength.values;
    let mean = scale.strength.mean() + 0.25 * FAINT;
    let visited = (side / STRIDE) * (side / STRIDE);
    let mut total = (0.05 * mean + 0.25 * FAINT) * visited as f32;
    let mut sums = [[[[0.0_f32; KINDS]; KINDS]; REACHES.len()]; 2];
    for y in (0..side).step_by(STRIDE) {
        for x in (0..side).step_by(STRIDE) {
            let here = strength[y * side + x];
            if here < LEAST * mean {
                continue;
            }
            total += here;
            let inverse = 1.0 / here;
            let doubled = scale.directions[y * side + x];
            // The half angle's vector: across the edge.
            let cos = (0.5 * (1.0 + doubled.0)).max(0.0).sqrt();
            let sin = if cos > 1e-3 {
                0.5 * doubled.1 / cos
            } else {
                1.0
            };
            for (sums, (dx, dy)) in sums.iter_mut().zip([(cos, sin), (-sin, cos)]) {
                for (sums, reach) in sums.iter_mut().zip(REACHES) {
                    let (dx, dy) = (reach * dx, reach * dy);
                    let one = shown(scale, inverse, doubled, stepped(side, x, y, dx, dy));
                    let other = shown(scale, inverse, doubled, stepped(side, x, y, -dx, -dy));
                    add_pairs(sums, here, one, other);
                }
            }
        }
    }
    let mut all = Vec::with_capacity(RUNS);
    for sums in sums.iter().flatten() {
        for (a, row) in sums.iter().enumerate() {
            all.push((row[a] / total).sqrt());
            all.extend((a + 1..KINDS).map(|b| ((row[b] + sums[b][a]) / total).sqrt()));
        }
    }
    all
}

/// Adds the product of two sides. Indexed, because this loop is too hot to depend on the inlining of iterators.
#[inline]
fn add_pairs(
    sums: &mut [[f32; KINDS]; KINDS],
    weight: f32,
    one: [f32; KINDS],
    other: [f32; KINDS],
) {
    for a in 0..KINDS {
        let weight = weight * one[a];
        for b in 0..KINDS {
            sums[a][b] += weight * other[b];
        }
    }
}

/// The pixel nearest to a step from `x`, `y`, if it lies inside.
#[inline]
fn stepped(side: usize, x: usize, y: usize, dx: f32, dy: f32) -> Option<usize> {
    // Keeps the sums above 0 for every reach, so that conversion rounds down.
    const ABOVE: usize = 16;
    let x = (x as f32 + dx + ABOVE as f32 + 0.5) as usize;
    let y = (y as f32 + dy + ABOVE as f32 + 0.5) as usize;
    let inside = ABOVE..ABOVE + side;
    let both = inside.contains(&x) && inside.contains(&y);
    both.then(|| (y - ABOVE) * side + x - ABOVE)
}

/// How much a pixel counts as each kind, next to one of strength 1 / `inverse` and direction `doubled`.
#[inline]
fn shown(scale: &Scale, inverse: f32, doubled: (f32, f32), at: Option<usize>) -> [f32; KINDS] {
    let Some(at) = at else {
        return [0.0, 0.0, 0.0, 1.0];
    };
    let strength = (scale.strength.values[at] * inverse).min(1.0);
    let (cos, sin) = scale.directions[at];
    let cos = doubled.0 * cos + doubled.1 * sin;
    // The sine of the angle, from parallel to crossing.
    let between = (0.5 * (1.0 - cos)).max(0.0).sqrt().min(1.0);
    let parallel = (1.0 - 2.0 * between).max(0.0);
    let crossing = (2.0 * between - 1.0).max(0.0);
    let oblique = 1.0 - parallel - crossing;
    [
        strength * parallel,
        strength * oblique,
        strength * crossing,
        1.0 - strength,
    ]
}
