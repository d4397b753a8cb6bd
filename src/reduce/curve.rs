//! UMAP's curve `1 / (1 + a·d²ᵇ)`: fitting `a` and `b` to `min_dist`, and its gradients as a table.
//!
//! Source: `find_ab_params` and `_optimize_layout_euclidean_single_epoch` of umap-learn 0.5 (`spread` is 1).

/// Parameters of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Curve {
    pub(super) a: f64,
    pub(super) b: f64,
}

impl Curve {
    /// Fits the curve to 1 below `min_dist` and `exp(min_dist − d)` above, at 300 distances from 0 to 3, by
    /// Levenberg-Marquardt. `min_dist` is within `0 ..= 1`.
    pub(super) fn fit(min_dist: f32) -> Self {
        let min_dist = f64::from(min_dist);
        let samples: Vec<(f64, f64)> = (1..300)
            .map(|i| {
                let d = 3.0 * f64::from(i) / 299.0;
                (
                    d,
                    if d < min_dist {
                        1.0
                    } else {
                        (min_dist - d).exp()
                    },
                )
            })
            .collect();
        let error = |curve: Self| -> f64 {
            let miss = |&(d, y): &(f64, f64)| (curve.at(d * d) - y).powi(2);
            samples.iter().map(miss).sum()
        };
        let mut curve = Self { a: 1.0, b: 1.0 };
        let mut best = error(curve);
        let mut damping = 1e-3;
        for _ in 0..500 {
            let (mut haa, mut hab, mut hbb, mut ga, mut gb) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for &(d, y) in &samples {
                let f = curve.at(d * d);
                let power = (d * d).powf(curve.b);
                let (da, db) = (-f * f * power, -f * f * curve.a * power * (d * d).ln());
                haa += da * da;
                hab += da * db;
                hbb += db * db;
                ga += da * (y - f);
                gb += db * (y - f);
            }
            let (daa, dbb) = (haa * (1.0 + damping), hbb * (1.0 + damping));
            let determinant = daa * dbb - hab * hab;
            let next = Self {
                a: curve.a + (ga * dbb - gb * hab) / determinant,
                b: curve.b + (gb * daa - ga * hab) / determinant,
            };
            let missed = error(next);
            if next.a > 0.0 && next.b > 0.0 && missed < best {
                let gain = best - missed;
                (curve, best) = (next, missed);
                damping *= 0.3;
                if gain < 1e-15 {
                    break;
                }
            } else {
                damping *= 4.0;
                if damping > 1e12 {
                    break;
                }
            }
        }
        curve
    }

    /// The curve's value at a squared distance.
    fn at(self, squared: f64) -> f64 {
        1.0 / (1.0 + self.a * squared.powf(self.b))
    }

    /// What a difference vector is multiplied by to pull two neighbours together (negative).
    fn attraction(self, squared: f64) -> f64 {
        -2.0 * self.a * self.b * squared.powf(self.b - 1.0) * self.at(squared)
    }

    /// What a difference vector is multiplied by to push two strangers apart (positive).
    fn repulsion(self, squared: f64) -> f64 {
        2.0 * self.b / (0.001 + squared) * self.at(squared)
    }
}

/// Cells per doubling of the squared distance, as bits of the mantissa; 2⁶ keep the coefficient within 1 %.
const MANTISSA_BITS: u32 = 6;
/// The table covers squared distances from 2⁻²⁰ to 2¹⁶ and continues its last cells beyond.
const LOWEST: i32 = -20;
const HIGHEST: i32 = 16;
const CELLS: usize = ((HIGHEST - LOWEST) as usize) << MANTISSA_BITS;
const SHIFT: u32 = 23 - MANTISSA_BITS;
const OFFSET: u32 = ((127 + LOWEST) as u32) << MANTISSA_BITS;

/// Gradient coefficients by squared distance, indexed by the leading bits of the `f32`.
pub(super) struct Gradients {
    attraction: Box<[f32; CELLS]>,
    repulsion: Box<[f32; CELLS]>,
}

impl Gradients {
    pub(super) fn new(curve: Curve) -> Self {
        let middle = |cell: usize| {
            let bits = (cell as u32 + OFFSET) << SHIFT | 1 << (SHIFT - 1);
            f64::from(f32::from_bits(bits))
        };
        let table = |f: &dyn Fn(f64) -> f64| {
            let mut table = Box::new([0.0f32; CELLS]);
            for (cell, value) in table.iter_mut().enumerate() {
                *value = f(middle(cell)) as f32;
            }
            table
        };
        Self {
            attraction: table(&|s| curve.attraction(s)),
            repulsion: table(&|s| curve.repulsion(s)),
        }
    }

    #[inline]
    fn cell(squared: f32) -> usize {
        ((squared.to_bits() >> SHIFT).saturating_sub(OFFSET) as usize).min(CELLS - 1)
    }

    /// See [`Curve::attraction`].
    #[inline]
    pub(super) fn attraction(&self, squared: f32) -> f32 {
        self.attraction[Self::cell(squared)]
    }

    /// See [`Curve::repulsion`].
    #[inline]
    pub(super) fn repulsion(&self, squared: f32) -> f32 {
        self.repulsion[Self::cell(squared)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_matches_umap_learn() {
        // `umap.umap_.find_ab_params(1.0, min_dist)` of umap-learn 0.5.
        for (min_dist, a, b) in [(0.1, 1.576_943, 0.895_061), (0.5, 0.583_030, 1.334_167)] {
            let curve = Curve::fit(min_dist);
            assert!(
                (curve.a - a).abs() < 1e-4 && (curve.b - b).abs() < 1e-4,
                "{curve:?}"
            );
        }
    }

    #[test]
    fn every_allowed_min_dist_has_a_curve() {
        for step in 0..=20 {
            let curve = Curve::fit(step as f32 / 20.0);
            assert!(curve.a.is_finite() && curve.b.is_finite() && curve.a > 0.0 && curve.b > 0.0);
        }
    }

    #[test]
    fn table_is_within_one_percent() {
        let curve = Curve {
            a: 1.57694,
            b: 0.89506,
        };
        let gradients = Gradients::new(curve);
        for i in 0..4000 {
            let squared = 2f32.powf(-19.9 + i as f32 * 0.0089);
            let (pull, push) = (
                curve.attraction(f64::from(squared)),
                curve.repulsion(f64::from(squared)),
            );
            assert!((f64::from(gradients.attraction(squared)) / pull - 1.0).abs() < 0.02);
            assert!((f64::from(gradients.repulsion(squared)) / push - 1.0).abs() < 0.02);
        }
        for extreme in [0.0, f32::MIN_POSITIVE, 1e30, f32::INFINITY] {
            assert!(gradients.attraction(extreme).is_finite());
            assert!(gradients.repulsion(extreme).is_finite());
        }
    }
}
