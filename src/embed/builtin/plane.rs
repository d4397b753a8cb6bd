//! The working picture: a square of Oklab planes, halved again and again.
//!
//! Pure, and the same bits on every machine: sums run in a fixed order, no function of the system's mathematics
//! library is called (roots are Newton's), and Rust never fuses a multiplication with an addition.
//! Source of the colour space: Björn Ottosson, "A perceptual color space for image processing", 2020.

use crate::artwork::decode::Picture;
use std::sync::LazyLock;

/// Side of the working picture, pixels: a power of two, so that it halves three times and more.
pub(super) const SIDE: usize = 128;

/// One channel, `side × side` values, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane {
    pub(super) side: usize,
    pub(super) values: Vec<f32>,
}

/// Lightness in 0..=1 and the two opponent colours, about −0.3..=0.3.
pub(super) struct Working {
    pub(super) lightness: Plane,
    pub(super) green_red: Plane,
    pub(super) blue_yellow: Plane,
}

impl Plane {
    #[inline]
    pub(super) fn at(&self, x: usize, y: usize) -> f32 {
        self.values[y * self.side + x]
    }

    pub(super) fn mean(&self) -> f32 {
        self.values.iter().sum::<f32>() / self.values.len() as f32
    }

    /// Half the side, each value the mean of four.
    pub(super) fn halved(&self) -> Self {
        let side = self.side / 2;
        let mut values = Vec::with_capacity(side * side);
        for rows in self.values.chunks_exact(2 * self.side) {
            let (top, bottom) = rows.split_at(self.side);
            let pairs = top.chunks_exact(2).zip(bottom.chunks_exact(2));
            for (t, b) in pairs {
                values.push(0.25 * ((t[0] + t[1]) + (b[0] + b[1])));
            }
        }
        Self { side, values }
    }

    /// The means of `cells × cells` equal squares; `cells` divides the side.
    pub(super) fn grid(&self, cells: usize) -> Vec<f32> {
        let size = self.side / cells;
        let mut sums = vec![0.0_f32; cells * cells];
        for (y, row) in self.values.chunks_exact(self.side).enumerate() {
            for (x, cell) in row.chunks_exact(size).enumerate() {
                sums[y / size * cells + x] += cell.iter().sum::<f32>();
            }
        }
        let share = 1.0 / (size * size) as f32;
        sums.iter().map(|sum| sum * share).collect()
    }
}

/// Draws the picture on white, crops it to at most 3 : 2 and scales it to the working square.
pub(super) fn working(picture: &Picture) -> Working {
    let (w, h) = (picture.width as usize, picture.height as usize);
    let (kept_w, kept_h) = (w.min(h + h / 2).max(1), h.min(w + w / 2).max(1));
    let columns = spans(kept_w, (w - kept_w) / 2);
    let rows = spans(kept_h, (h - kept_h) / 2);
    let mut planes = [(); 3].map(|()| Vec::with_capacity(SIDE * SIDE));
    let mut line = vec![[0.0_f32; 3]; SIDE];
    for span in &rows {
        line.fill([0.0; 3]);
        for (i, &row_share) in span.shares.iter().enumerate() {
            let row = span.first + i;
            let pixels = &picture.rgba[4 * row * w..4 * (row + 1) * w];
            for (sum, span) in line.iter_mut().zip(&columns) {
                let mut part = [0.0_f32; 3];
                for (i, &share) in span.shares.iter().enumerate() {
                    let at = 4 * (span.first + i);
                    let pixel = &pixels[at..at + 4];
                    // On white: c·a + 255·(1 − a).
                    let (opaque, white) = if pixel[3] == 255 {
                        (share, 0.0)
                    } else {
                        let alpha = f32::from(pixel[3]);
                        (share * (alpha / 255.0), share * (255.0 - alpha))
                    };
                    for c in 0..3 {
                        part[c] += f32::from(pixel[c]) * opaque + white;
                    }
                }
                for c in 0..3 {
                    sum[c] += row_share * part[c];
                }
            }
        }
        oklab(&line, &mut planes);
    }
    let [lightness, green_red, blue_yellow] = planes.map(|values| Plane { side: SIDE, values });
    Working {
        lightness,
        green_red,
        blue_yellow,
    }
}

/// Which source pixels one working pixel averages, and how much of each.
struct Span {
    first: usize,
    shares: Vec<f32>,
}

/// Averages of areas where the picture shrinks, straight lines between pixels where it grows.
fn spans(len: usize, offset: usize) -> Vec<Span> {
    let scale = len as f64 / SIDE as f64;
    let half = scale.max(1.0);
    let span = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        // A box of the output pixel's width, at least a source pixel wide, gives both.
        let (from, to) = (
            (centre - half / 2.0).max(0.0),
            (centre + half / 2.0).min(len as f64),
        );
        let first = from as usize;
        let end = (to.ceil() as usize).clamp(first + 1, len.max(first + 1));
        let covered = |x: usize| (to.min(x as f64 + 1.0) - from.max(x as f64)).max(0.0);
        let total: f64 = (first..end).map(covered).sum();
        let shares = (first..end).map(|x| if total > 0.0 { covered(x) / total } else { 1.0 });
        Span {
            first: first + offset,
            shares: shares.map(|share| share as f32).collect(),
        }
    };
    (0..SIDE).map(span).collect()
}

/// Appends a line of sRGB pixels in 0..=255 to the planes. One colour cone after the other, so that roots are taken
/// several at a time.
fn oklab(line: &[[f32; 3]], planes: &mut [Vec<f32>; 3]) {
    static LINEAR: LazyLock<Vec<f32>> = LazyLock::new(|| (0..256).map(linear).collect());
    let level = |v: f32| LINEAR[((v + 0.5) as usize).min(255)];
    let mut cones = [(); 3].map(|()| Vec::with_capacity(line.len()));
    for &[r, g, b] in line {
        let (r, g, b) = (level(r), level(g), level(b));
        cones[0].push(0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b);
        cones[1].push(0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b);
        cones[2].push(0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b);
    }
    for cone in &mut cones {
        for value in cone {
            *value = cube_root(*value);
        }
    }
    let [l, m, s] = &cones;
    for ((&l, &m), &s) in l.iter().zip(m).zip(s) {
        planes[0].push(0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s);
        planes[1].push(1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s);
        planes[2].push(0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s);
    }
}

/// The sRGB transfer function (IEC 61966-2-1) of a level.
fn linear(level: usize) -> f32 {
    let v = level as f64 / 255.0;
    if v <= 0.040_45 {
        return (v / 12.92) as f32;
    }
    // x^2.4 is the fifth root of x^12; Newton's steps from 1 fall monotonically to it.
    let x = (v + 0.055) / 1.055;
    let fourth = x * x * x * x;
    let power = fourth * fourth * fourth;
    let mut root = 1.0_f64;
    for _ in 0..60 {
        let fourth = root * root * root * root;
        root = (4.0 * root + power / fourth) / 5.0;
    }
    root as f32
}

/// Cosine and sine of an angle in −7..=7, by Taylor's series.
pub(super) fn cis(angle: f64) -> (f64, f64) {
    let (mut cos, mut sin, mut term) = (0.0, 0.0, 1.0);
    for power in 0..40 {
        match power % 4 {
            0 => cos += term,
            1 => sin += term,
            2 => cos -= term,
            _ => sin -= term,
        }
        term *= angle / f64::from(power + 1);
    }
    (cos, sin)
}

/// Newton's cube root of a value in 0..=1, from a guess by the exponent's third.
#[inline]
fn cube_root(x: f32) -> f32 {
    let mut root = f32::from_bits(x.to_bits() / 3 + 0x2a51_37a0);
    for _ in 0..3 {
        root = (2.0 * root + x / (root * root)) / 3.0;
    }
    if x < 1e-9 { 0.0 } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_roots() {
        for i in 0..=1000 {
            let x = i as f32 / 1000.0;
            assert!((cube_root(x).powi(3) - x).abs() < 2e-6, "{x}");
        }
        for level in 0..256 {
            let v = level as f64 / 255.0;
            let expected = if v <= 0.040_45 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            };
            assert!(
                (f64::from(linear(level)) - expected).abs() < 1e-6,
                "{level}"
            );
        }
    }

    #[test]
    fn oklab_meets_its_author_s_values() {
        // White, and sRGB red, from the source's reference implementation.
        for (rgb, expected) in [
            ([255.0, 255.0, 255.0], [1.0, 0.0, 0.0]),
            ([255.0, 0.0, 0.0], [0.627_955, 0.224_863, 0.125_846]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ] {
            let mut planes = [(); 3].map(|()| Vec::new());
            oklab(&[rgb], &mut planes);
            let ours = planes.concat();
            assert!(
                ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4),
                "{ours:?}"
            );
        }
    }

    #[test]
    fn a_plain_picture_of_any_size_stays_plain() {
        for (width, height) in [(1, 1), (3, 200), (38, 39), (96, 96), (512, 300), (2000, 1)] {
            let picture = Picture {
                width,
                height,
                rgba: [128, 128, 128, 255].repeat((width * height) as usize),
            };
            let planes = working(&picture);
            let first = planes.lightness.at(0, 0);
            assert!(
                planes.lightness.values.iter().all(|&v| v == first),
                "{width} × {height}"
            );
            assert!(planes.green_red.values.iter().all(|&v| v.abs() < 1e-3));
        }
    }

    #[test]
    fn transparent_is_white() {
        let picture = Picture {
            width: 5,
            height: 5,
            rgba: [0, 0, 0, 0].repeat(25),
        };
        assert!((working(&picture).lightness.at(50, 50) - 1.0).abs() < 1e-3);
    }
}
