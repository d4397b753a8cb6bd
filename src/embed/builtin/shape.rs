//! What stands out, and what form it has.
//!
//! The ground is the colour of the border; whatever differs from it is figure. The figure is described by place
//! ([`Figure::layout`]) and around its own centre at its own size ([`Figure::harmonics`]), where turning, moving and
//! scaling it change little: magnitudes of its angular harmonics in rings, as in Zernike's moments. Pure.

use super::plane::{Plane, Working};

/// Cells a side of the layout.
const GRID: usize = 6;
/// Rings around the figure's centre, half its spread each.
const RINGS: usize = 5;
/// Angular harmonics 0, 1, ..., enough for stars and crosses.
const HARMONICS: usize = 7;
/// Distance in Oklab at which a pixel counts half as figure.
const DISTINCT: f32 = 0.12;

/// Number of values of [`Figure::layout`].
pub(super) const LAYOUT: usize = GRID * GRID;
/// Number of values of [`Figure::harmonics`].
pub(super) const FORM: usize = 2 * RINGS * HARMONICS;
/// Number of values of [`Figure::outline`].
pub(super) const OUTLINE: usize = 9;

/// How much each pixel is figure, and the lightness, at a quarter of the working pixels.
pub(super) struct Figure {
    mask: Plane,
    lightness: Plane,
    border_spread: f32,
}

/// Centre, spread and principal axes of the figure.
struct Moments {
    area: f32,
    x: f32,
    y: f32,
    /// Root of the mean squared distance from the centre, pixels.
    spread: f32,
    /// 0 for a disc, 1 for a line.
    elongation: f32,
}

impl Figure {
    /// Separates figure from ground.
    pub(super) fn new(picture: &Working) -> Self {
        let planes = [
            picture.lightness.halved(),
            picture.green_red.halved(),
            picture.blue_yellow.halved(),
        ];
        let side = planes[0].side;
        let border = border(side);
        let share = 1.0 / border.len() as f32;
        let ground =
            [0, 1, 2].map(|c| median(border.iter().map(|&i| planes[c].values[i]).collect()));
        let distance = |i: usize| {
            let [l, a, b] = [0, 1, 2].map(|c| planes[c].values[i] - ground[c]);
            (l * l + 3.0 * (a * a + b * b)).sqrt()
        };
        let border_spread = border.iter().map(|&i| distance(i)).sum::<f32>() * share;
        let values = (0..side * side)
            .map(|i| {
                let d = distance(i);
                let square = d * d;
                square / (square + DISTINCT * DISTINCT)
            })
            .collect();
        let [lightness, ..] = planes;
        Self {
            mask: Plane { side, values },
            lightness,
            border_spread,
        }
    }

    /// The figure's coverage of a 6 × 6 grid.
    pub(super) fn layout(&self) -> Vec<f32> {
        // 48 pixels make six cells of eight.
        self.mask.grid(GRID)
    }

    /// Harmonic magnitudes of the figure and of its shading, ring by ring around its centre.
    pub(super) fn harmonics(&self) -> Vec<f32> {
        let moments = self.moments();
        let mean = self.mean_lightness(moments.area);
        let side = self.mask.side;
        let mut sums = [[[(0.0_f32, 0.0_f32); HARMONICS]; RINGS]; 2];
        let mut area = [1e-3_f32; RINGS];
        let unit = (0.5 * moments.spread).max(0.5);
        for y in 0..side {
            for x in 0..side {
                let (dx, dy) = (x as f32 - moments.x, y as f32 - moments.y);
                let radius = (dx * dx + dy * dy).sqrt();
                let ring = (radius / unit) as usize;
                if ring >= RINGS {
                    continue;
                }
                let mask = self.mask.at(x, y);
                let shade = mask * (self.lightness.at(x, y) - mean);
                area[ring] += 1.0;
                let (c1, s1) = if radius > 0.25 {
                    (dx / radius, dy / radius)
                } else {
                    (1.0, 0.0)
                };
                let (mut c, mut s) = (1.0, 0.0);
                let [figure, shading] = &mut sums;
                for (figure, shading) in figure[ring].iter_mut().zip(&mut shading[ring]) {
                    figure.0 += mask * c;
                    figure.1 += mask * s;
                    shading.0 += shade * c;
                    shading.1 += shade * s;
                    (c, s) = (c * c1 - s * s1, s * c1 + c * s1);
                }
            }
        }
        let mut all = Vec::with_capacity(FORM);
        for (kind, weight) in sums.iter().zip([1.0_f32, 2.0]) {
            for (ring, area) in kind.iter().zip(area) {
                all.extend(ring.iter().enumerate().map(|(k, (c, s))| {
                    // Higher harmonics are weaker by nature and count double.
                    let gain = if k == 0 { weight } else { 2.0 * weight };
                    gain * (c * c + s * s).sqrt() / area
                }));
            }
        }
        all
    }

    /// Coverage, spread, elongation, restlessness of the border, and how far the picture equals its mirror images and
    /// its turns, all in 0..=1.
    pub(super) fn outline(&self) -> Vec<f32> {
        let moments = self.moments();
        let side = self.mask.side as f32;
        let pixels = side * side;
        let fill = moments.area / (4.0 * moments.spread * moments.spread + 1.0);
        let small = self.lightness.halved();
        let n = small.side;
        let mut all = vec![
            moments.area / pixels,
            2.0 * moments.spread / side,
            moments.elongation,
            (fill / 4.0).min(1.0),
            (4.0 * self.border_spread).min(1.0),
        ];
        all.extend([
            correlation(&small, |x, y| (n - 1 - x, y)),
            correlation(&small, |x, y| (x, n - 1 - y)),
            correlation(&small, |x, y| (n - 1 - x, n - 1 - y)),
            correlation(&small, |x, y| (y, n - 1 - x)),
        ]);
        all
    }

    fn moments(&self) -> Moments {
        /// Figure that is always in the middle, pixels.
        const FLOOR: f32 = 1.0;
        let side = self.mask.side;
        let (mut area, mut sx, mut sy) = (FLOOR, 0.0_f32, 0.0_f32);
        for y in 0..side {
            for x in 0..side {
                let m = self.mask.at(x, y);
                area += m;
                sx += m * x as f32;
                sy += m * y as f32;
            }
        }
        let middle = 0.5 * (side - 1) as f32;
        // A figure of almost nothing has its centre in the picture's middle.
        let (x, y) = ((sx + FLOOR * middle) / area, (sy + FLOOR * middle) / area);
        let (mut xx, mut yy, mut xy) = (0.0_f32, 0.0_f32, 0.0_f32);
        for row in 0..side {
            for column in 0..side {
                let m = self.mask.at(column, row);
                let (dx, dy) = (column as f32 - x, row as f32 - y);
                xx += m * dx * dx;
                yy += m * dy * dy;
                xy += m * dx * dy;
            }
        }
        let (xx, yy, xy) = (xx / area, yy / area, xy / area);
        let differing = ((xx - yy) * (xx - yy) + 4.0 * xy * xy).sqrt();
        Moments {
            area,
            x,
            y,
            spread: (xx + yy).sqrt(),
            elongation: differing / (xx + yy + 1.0),
        }
    }

    fn mean_lightness(&self, area: f32) -> f32 {
        let pairs = self.mask.values.iter().zip(&self.lightness.values);
        pairs.map(|(m, l)| m * l).sum::<f32>() / area
    }
}

/// Indices of the outermost two lines of pixels.
fn border(side: usize) -> Vec<usize> {
    let outer = |v: usize| v < 2 || v + 2 >= side;
    let all = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    all.filter(|&(x, y)| outer(x) || outer(y))
        .map(|(x, y)| y * side + x)
        .collect()
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

/// Pearson's correlation of a plane with itself under a map of positions, negative values as 0; that of an all but
/// blank plane, with a deviation below 1 % of lightness, fades to 0.
fn correlation(plane: &Plane, map: impl Fn(usize, usize) -> (usize, usize)) -> f32 {
    let mean = plane.values.iter().sum::<f32>() / plane.values.len() as f32;
    let (mut both, mut own) = (0.0_f32, 0.05_f32);
    for y in 0..plane.side {
        for x in 0..plane.side {
            let (tx, ty) = map(x, y);
            let here = plane.at(x, y) - mean;
            both += here * (plane.at(tx, ty) - mean);
            own += here * here;
        }
    }
    (both / own).max(0.0)
}
