//! Rigid alignment of one map onto another (orthogonal Procrustes in the plane, reflection allowed, no scale).
//!
//! Source: Schönemann 1966; in two dimensions the best rotation has a closed form.

use super::Point;

/// A rotation or reflection about `from`, then a shift to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rigid {
    /// Row-major 2 × 2, orthogonal.
    turn: [f64; 4],
    from: [f64; 2],
    to: [f64; 2],
}

impl Rigid {
    /// The rigid motion that brings the first of each pair nearest to the second, in the sense of least squares.
    /// `None` without pairs. One pair, or pairs that all coincide, give a pure shift.
    pub(super) fn fit(pairs: impl Iterator<Item = (Point, Point)> + Clone) -> Option<Self> {
        let n = pairs.clone().count();
        if n == 0 {
            return None;
        }
        let mut from = [0.0f64; 2];
        let mut to = [0.0f64; 2];
        for (p, q) in pairs.clone() {
            for axis in 0..2 {
                from[axis] += f64::from(p[axis]) / n as f64;
                to[axis] += f64::from(q[axis]) / n as f64;
            }
        }
        let mut m = [0.0f64; 4]; // Σ p qᵀ of the centred pairs: xx, xy, yx, yy.
        for (p, q) in pairs {
            let p = [f64::from(p[0]) - from[0], f64::from(p[1]) - from[1]];
            let q = [f64::from(q[0]) - to[0], f64::from(q[1]) - to[1]];
            m[0] += p[0] * q[0];
            m[1] += p[0] * q[1];
            m[2] += p[1] * q[0];
            m[3] += p[1] * q[1];
        }
        // A rotation by t gains cos t·(xx + yy) + sin t·(xy − yx); a reflection cos t·(xx − yy) + sin t·(xy + yx).
        let (rc, rs) = (m[0] + m[3], m[1] - m[2]);
        let (fc, fs) = (m[0] - m[3], m[1] + m[2]);
        let (rotation, reflection) = (rc.hypot(rs), fc.hypot(fs));
        let turn = if rotation.max(reflection) <= f64::MIN_POSITIVE {
            [1.0, 0.0, 0.0, 1.0]
        } else if rotation >= reflection {
            let (c, s) = (rc / rotation, rs / rotation);
            [c, -s, s, c]
        } else {
            let (c, s) = (fc / reflection, fs / reflection);
            [c, s, s, -c]
        };
        Some(Self { turn, from, to })
    }

    /// Where `p` comes to lie.
    pub(super) fn apply(&self, p: Point) -> Point {
        let (x, y) = (
            f64::from(p[0]) - self.from[0],
            f64::from(p[1]) - self.from[1],
        );
        [
            (self.turn[0] * x + self.turn[1] * y + self.to[0]) as f32,
            (self.turn[2] * x + self.turn[3] * y + self.to[1]) as f32,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(points: &[Point], angle: f32, flip: bool) -> Vec<Point> {
        let (s, c) = angle.sin_cos();
        let y_sign = if flip { -1.0 } else { 1.0 };
        points
            .iter()
            .map(|&[x, y]| {
                let y = y * y_sign;
                [c * x - s * y + 3.0, s * x + c * y - 8.0]
            })
            .collect()
    }

    #[test]
    fn recovers_rotations_and_reflections() {
        let points: Vec<Point> = (0..20)
            .map(|i| {
                [
                    (i as f32 * 1.3).sin() * 5.0,
                    (i as f32 * 0.4).cos() * i as f32,
                ]
            })
            .collect();
        for flip in [false, true] {
            for step in 0..8 {
                let target = moved(&points, step as f32 * 0.8, flip);
                let rigid = Rigid::fit(points.iter().copied().zip(target.iter().copied()))
                    .expect("there are pairs");
                for (&p, &q) in points.iter().zip(&target) {
                    let r = rigid.apply(p);
                    assert!((r[0] - q[0]).abs() < 1e-4 && (r[1] - q[1]).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn few_or_coinciding_pairs_only_shift() {
        assert_eq!(Rigid::fit(std::iter::empty()), None);
        let one = Rigid::fit([([1.0, 2.0], [4.0, 6.0])].into_iter()).expect("one pair");
        assert_eq!(one.apply([2.0, 2.0]), [5.0, 6.0]);
        let same = Rigid::fit([([1.0, 1.0], [0.0, 0.0]); 4].into_iter()).expect("four pairs");
        assert_eq!(same.apply([2.0, 1.0]), [1.0, 0.0]);
    }
}
