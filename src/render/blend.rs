//! What a spare cell shows so that it is not noticed: colours that run from each neighbour's edge to the others'.
//!
//! Pure integer arithmetic, so that the same neighbours give the same bits.

/// A blend is made of so many pixels a side, and enlarged: finer streaks of the neighbours' edges would be seen.
pub const SIDE: u32 = 8;

/// The pictures around a spare cell, `side × side × 3` bytes each, where there are any.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// To the left.
    pub left: Option<Vec<u8>>,
    /// To the right.
    pub right: Option<Vec<u8>>,
    /// Above.
    pub above: Option<Vec<u8>>,
    /// Below.
    pub below: Option<Vec<u8>>,
}

/// A square of `side` pixels between its neighbours: each pixel is the mean of the nearest pixels of their edges, the
/// nearer the more. `None` without neighbours.
pub fn blend(around: &Around, side: u32) -> Option<Vec<u8>> {
    let (last, bytes) = (side.checked_sub(1)?, (side * side * 3) as usize);
    let mut sides = Vec::new();
    for (at, picture) in [&around.left, &around.right, &around.above, &around.below]
        .into_iter()
        .enumerate()
    {
        if let Some(picture) = picture.as_ref().filter(|picture| picture.len() == bytes) {
            sides.push((at, picture));
        }
    }
    if sides.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(bytes);
    for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
        let (mut sum, mut weights) = ([0_u64; 3], 0);
        for &(at, picture) in &sides {
            // Half pixels to the edge, and the pixel beyond it.
            let (away, (from_x, from_y)) = match at {
                0 => (2 * x + 1, (last, y)),
                1 => (2 * (last - x) + 1, (0, y)),
                2 => (2 * y + 1, (x, last)),
                _ => (2 * (last - y) + 1, (x, 0)),
            };
            let weight = (1 << 20) / u64::from(away * away);
            let from = 3 * (from_y * side + from_x) as usize;
            for (sum, value) in sum.iter_mut().zip(&picture[from..]) {
                *sum += weight * u64::from(*value);
            }
            weights += weight;
        }
        out.extend(sum.map(|sum| ((sum + weights / 2) / weights) as u8));
    }
    Some(out)
}

/// A square of `side` pixels drawn with `px` pixels, with straight lines between the colours.
pub fn enlarge(rgb: &[u8], side: u32, px: u32) -> Vec<u8> {
    if px == side {
        return rgb.to_vec();
    }
    // The pixel before, and how far on the way to the next, of 256.
    let at = |pixel: u32| {
        let middle = (2 * pixel + 1) * side * 128 / px;
        let from = middle.saturating_sub(128);
        let first = (from / 256).min(side - 1);
        (first, (first + 1).min(side - 1), from % 256)
    };
    let mut out = Vec::with_capacity((px * px * 3) as usize);
    for y in 0..px {
        let (top, bottom, down) = at(y);
        for x in 0..px {
            let (left, right, along) = at(x);
            for channel in 0..3 {
                let value =
                    |x: u32, y: u32| u32::from(rgb[(3 * (y * side + x)) as usize + channel]);
                let line = |y: u32| value(left, y) * (256 - along) + value(right, y) * along;
                let sum = line(top) * (256 - down) + line(bottom) * down;
                out.push(((sum + (1 << 15)) >> 16) as u8);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: u8) -> Option<Vec<u8>> {
        Some(vec![value; (SIDE * SIDE * 3) as usize])
    }

    #[test]
    fn a_blend_runs_from_edge_to_edge() {
        let around = Around {
            left: flat(0),
            right: flat(200),
            ..Around::default()
        };
        let small = blend(&around, SIDE).expect("two neighbours");
        let row: Vec<u8> = small.chunks(3).take(SIDE as usize).map(|p| p[0]).collect();
        assert!(row.is_sorted() && row[0] < 5 && row[7] > 195, "{row:?}");
        let large = enlarge(&small, SIDE, 64);
        let row: Vec<u8> = large.chunks(3).take(64).map(|p| p[0]).collect();
        assert!(row.is_sorted() && row[0] < 5 && row[63] > 195, "{row:?}");
        assert_eq!(large.len(), 64 * 64 * 3);
    }

    #[test]
    fn neighbours_of_one_colour_leave_no_trace_and_none_give_nothing() {
        let around = Around {
            left: flat(90),
            above: flat(90),
            below: flat(90),
            right: None,
        };
        let small = blend(&around, SIDE).expect("three neighbours");
        assert!(enlarge(&small, SIDE, 48).iter().all(|&value| value == 90));
        assert_eq!(blend(&Around::default(), SIDE), None);
        assert_eq!(blend(&around, 4), None, "pictures of another size");
    }
}
