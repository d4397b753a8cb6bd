//! What colours a picture has, and where.
//!
//! The layout is sensitive to position, the histogram is not. Pure.

use super::plane::Working;

/// Cells a side of the layout.
const GRID: usize = 4;
/// Directions of hue.
const HUES: usize = 12;
/// Levels of lightness of a chromatic colour, and of a neutral one.
const CHROMATIC_LEVELS: usize = 3;
const NEUTRAL_LEVELS: usize = 6;
/// Chroma at which a colour counts half as neutral: a faint tint.
const NEUTRAL_CHROMA: f32 = 0.04;

/// Number of values of [`histogram`].
pub(super) const HISTOGRAM: usize = HUES * CHROMATIC_LEVELS + NEUTRAL_LEVELS;
/// Number of values of [`layout`].
pub(super) const LAYOUT: usize = 3 * GRID * GRID;

/// Cosine and sine of each hue's direction.
const DIRECTIONS: [(f32, f32); HUES] = [
    (1.0, 0.0),
    (0.866_025_4, 0.5),
    (0.5, 0.866_025_4),
    (0.0, 1.0),
    (-0.5, 0.866_025_4),
    (-0.866_025_4, 0.5),
    (-1.0, 0.0),
    (-0.866_025_4, -0.5),
    (-0.5, -0.866_025_4),
    (0.0, -1.0),
    (0.5, -0.866_025_4),
    (0.866_025_4, -0.5),
];

/// Mean colours of a 4 × 4 grid, lightness around its middle; colour counts three times, as its numbers are smaller.
pub(super) fn layout(picture: &Working) -> Vec<f32> {
    let lightness = picture.lightness.grid(GRID).into_iter().map(|v| v - 0.5);
    let green_red = picture.green_red.grid(GRID).into_iter().map(|v| 3.0 * v);
    let blue_yellow = picture.blue_yellow.grid(GRID).into_iter().map(|v| 3.0 * v);
    lightness.chain(green_red).chain(blue_yellow).collect()
}

/// Square roots of the shares of hues at three lightnesses and of greys at six: the Hellinger kernel's form.
pub(super) fn histogram(picture: &Working) -> Vec<f32> {
    let mut chromatic = [[0.0_f32; CHROMATIC_LEVELS]; HUES];
    let mut neutral = [0.0_f32; NEUTRAL_LEVELS];
    let half = NEUTRAL_CHROMA * NEUTRAL_CHROMA;
    // A quarter of the pixels is enough for shares.
    let (l, a, b) = (
        picture.lightness.halved(),
        picture.green_red.halved(),
        picture.blue_yellow.halved(),
    );
    for ((&l, &a), &b) in l.values.iter().zip(&a.values).zip(&b.values) {
        let square = a * a + b * b;
        let colourful = square / (square + half);
        spread(&mut neutral, l, 1.0 - colourful);
        if colourful < 0.02 {
            continue;
        }
        let length = square.sqrt();
        let (x, y) = (a / length, b / length);
        let mut shares = [0.0_f32; HUES];
        let mut total = 0.0;
        for (share, (cos, sin)) in shares.iter_mut().zip(DIRECTIONS) {
            // A bump about two directions wide.
            let near = (x * cos + y * sin).max(0.0);
            let fourth = near * near * near * near;
            *share = fourth * fourth;
            total += *share;
        }
        for (levels, share) in chromatic.iter_mut().zip(shares) {
            if share > 0.0 {
                spread(levels, l, colourful * share / total);
            }
        }
    }
    let all = chromatic.iter().flatten().chain(&neutral);
    let share = 1.0 / l.values.len() as f32;
    all.map(|&sum| (sum * share).sqrt()).collect()
}

/// Adds `weight` to the two levels nearest to `l` in 0..=1, in proportion.
fn spread<const N: usize>(levels: &mut [f32; N], l: f32, weight: f32) {
    let at = l.clamp(0.0, 1.0) * (N - 1) as f32;
    let low = (at as usize).min(N - 2);
    let part = at - low as f32;
    levels[low] += weight * (1.0 - part);
    levels[low + 1] += weight * part;
}
