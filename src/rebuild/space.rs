//! How embeddings are looked at: less what all pictures have in common for a network.
//!
//! The embeddings of a network lie in a cone: much of each is the same for every picture, and the rest decides what is
//! alike (Mu and Viswanath 2018, arXiv:1702.01417, for words). The mean of the collection is therefore taken out, and what
//! is left brought to length 1. The mean is taken once, when there are enough works, and kept: it stays the same while
//! works come and go, so that nothing moves because of it.
//!
//! Of embeddings with a look (`embed::blended`) each part is brought to a length of its own: the two squared distances are
//! divided by their means and added, so that `look` is the share that the look has on average.
//!
//! The store and `export` keep embeddings as the network made them: a mean is a collection's own. Words need none:
//! pictures and words lie in cones of their own, and what sets a place apart (`embed::words`) is a difference, in which a
//! mean cancels out.

use crate::{domain::ModelId, matrix::Matrix};
use serde::{Deserialize, Serialize};

/// Works that a mean is taken of, at least.
const FEWEST: usize = 64;

/// What is taken out of embeddings before they are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The common mean of what a network made, `D` values less those of the look; empty as long as none is taken out.
    mean: Vec<f32>,
    /// Whether a mean waits for enough works.
    waits: bool,
    /// Stored apart: states without one stay readable.
    #[serde(skip)]
    look: Look,
}

/// How much the look counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Values of the look, the last ones.
    dims: usize,
    /// Lengths that what is shown and the look are brought to.
    lengths: (f32, f32),
}

impl Default for Look {
    /// There is none.
    fn default() -> Self {
        Self {
            dims: 0,
            lengths: (1.0, 0.0),
        }
    }
}

impl Default for Space {
    /// A space for a new collection: a mean is taken as soon as there are enough works.
    fn default() -> Self {
        Self {
            mean: Vec::new(),
            waits: true,
            look: Look::default(),
        }
    }
}

impl Space {
    /// Embeddings as they are, until everything is laid out afresh: version 0.1 knew no mean, and what it published must
    /// not be shuffled.
    pub fn of_version_0_1() -> Self {
        Self {
            waits: false,
            ..Self::default()
        }
    }

    /// The space that takes the mean of these embeddings out; `None` if they are too few. `look`: how many of the last
    /// values are a look, and how much it counts.
    pub fn of(embeddings: &Matrix, (look_dims, look): (usize, f32)) -> Option<Self> {
        let mean = mean(embeddings)?;
        let dims = mean.len().saturating_sub(look_dims);
        let mut space = Self {
            mean: mean[..dims].to_vec(),
            waits: false,
            look: Look {
                dims: look_dims,
                ..Look::default()
            },
        };
        if look_dims > 0 {
            let shown = space.spread(embeddings);
            // The look has length √½ in an embedding: its variance is what its mean leaves of ½, and is doubled here.
            let square: f32 = mean[dims..].iter().map(|v| v * v).sum();
            let looks = (1.0 - 2.0 * square).max(1e-6);
            // Something of the network stays, for words.
            let squares = ((1.0 - look).max(1e-6) / shown, look / looks);
            let whole = squares.0 + squares.1;
            space.look.lengths = ((squares.0 / whole).sqrt(), (squares.1 / whole).sqrt());
        }
        Some(space)
    }

    /// The same space with this look.
    pub fn with_look(self, look: Look) -> Self {
        Self { look, ..self }
    }

    /// How much the look counts.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Whether embeddings are taken as they are.
    pub fn is_plain(&self) -> bool {
        self.mean.is_empty()
    }

    /// Whether it can be of embeddings of `dims` values.
    pub fn fits(&self, dims: usize) -> bool {
        let numbers = self
            .mean
            .iter()
            .chain([&self.look.lengths.0, &self.look.lengths.1]);
        (self.is_plain() || self.mean.len().checked_add(self.look.dims) == Some(dims))
            && numbers.into_iter().all(|v| v.is_finite())
    }

    /// An embedding as it is compared. One without a direction is left as it is.
    pub fn seen(&self, mut embedding: Vec<f32>) -> Vec<f32> {
        self.look_at(&mut embedding);
        embedding
    }

    /// The same for every row.
    pub fn all_seen(&self, mut embeddings: Matrix) -> Matrix {
        if !self.is_plain() {
            for i in 0..embeddings.rows() {
                self.look_at(embeddings.row_mut(i));
            }
        }
        embeddings
    }

    /// Takes the mean of `embeddings`, as the model made them, if none was taken before, the model is a network, and they
    /// are enough; then they are seen without it. Says whether it did.
    ///
    /// `look`: how many of the last values are a look, and how much it counts.
    /// `afresh`: the whole layout is made again, so that nothing is waited for.
    pub(super) fn settle(
        &mut self,
        model: &ModelId,
        look: (usize, f32),
        embeddings: &mut Matrix,
        afresh: bool,
    ) -> bool {
        if !self.is_due(model, embeddings.rows(), afresh) {
            return false;
        }
        let Some(space) = Self::of(embeddings, look) else {
            return false;
        };
        *self = space;
        let rows = std::mem::replace(embeddings, Matrix::new(0));
        *embeddings = self.all_seen(rows);
        true
    }

    /// Whether [`Space::settle`] would take the mean of so many embeddings.
    pub(super) fn is_due(&self, model: &ModelId, embeddings: usize, afresh: bool) -> bool {
        let wanted = self.is_plain() && (self.waits || afresh) && model.is_a_network();
        wanted && embeddings >= FEWEST
    }

    /// The variance of what the network made, seen at length 1.
    fn spread(&self, embeddings: &Matrix) -> f32 {
        let mut sums = vec![0.0_f64; self.mean.len()];
        let mut known = 0;
        for i in 0..embeddings.rows() {
            let row = self.seen(embeddings.row(i).to_vec());
            known += usize::from(row.iter().any(|&v| v != 0.0));
            sums.iter_mut()
                .zip(&row)
                .for_each(|(sum, &v)| *sum += f64::from(v));
        }
        let means = sums.iter().map(|sum| sum / known.max(1) as f64);
        let square: f64 = means.map(|mean| mean * mean).sum();
        (1.0 - square).max(1e-6) as f32
    }

    fn look_at(&self, embedding: &mut [f32]) {
        if self.is_plain() || embedding.iter().all(|&v| v == 0.0) {
            return;
        }
        let (embedding, look) = embedding.split_at_mut(self.mean.len());
        let of_look = self.look.lengths.1 * std::f32::consts::SQRT_2;
        look.iter_mut().for_each(|value| *value *= of_look);
        let less = |(value, mean): (&f32, &f32)| f64::from(*value) - f64::from(*mean);
        let square: f64 = embedding
            .iter()
            .zip(&self.mean)
            .map(|pair| less(pair).powi(2))
            .sum();
        let (length, wanted) = (square.sqrt(), f64::from(self.look.lengths.0));
        if length > 1e-6 {
            for pair in embedding.iter_mut().zip(&self.mean) {
                *pair.0 = (less((&*pair.0, pair.1)) * wanted / length) as f32;
            }
        }
    }
}

/// The mean of the rows that have a direction; `None` if too few have.
fn mean(embeddings: &Matrix) -> Option<Vec<f32>> {
    let mut sums = vec![0.0_f64; embeddings.dims()];
    let rows = (0..embeddings.rows()).map(|i| embeddings.row(i));
    let known = rows.filter(|row| row.iter().any(|&v| v != 0.0));
    let mut count = 0;
    for row in known {
        count += 1;
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, &v)| *sum += f64::from(v));
    }
    let mean = |sum: f64| (sum / count as f64) as f32;
    (count >= FEWEST).then(|| sums.into_iter().map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: (usize, f32) = (0, 0.0);

    fn network() -> ModelId {
        ModelId("ab".repeat(32))
    }

    /// Unit vectors around one direction, `n` of three values.
    fn cone(n: usize) -> Matrix {
        let mut rows = Matrix::new(3);
        for i in 0..n {
            let angle = i as f32 * 2.4;
            let row = [3.0, angle.cos(), angle.sin()];
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            rows.push(&row.map(|v| v / length));
        }
        rows
    }

    #[test]
    fn the_common_mean_is_taken_out_once_there_are_enough() {
        let mut space = Space::default();
        let mut few = cone(FEWEST - 1);
        assert!(!space.settle(&network(), NONE, &mut few, false));
        assert_eq!(few, cone(FEWEST - 1), "too few: as they are");

        let mut rows = cone(200);
        assert!(space.settle(&network(), NONE, &mut rows, false));
        for i in 0..200 {
            let row = rows.row(i);
            let length: f32 = row.iter().map(|v| v * v).sum();
            assert!((length - 1.0).abs() < 1e-5 && row[0].abs() < 0.1, "{row:?}");
            assert_eq!(
                space.seen(cone(200).row(i).to_vec()),
                row,
                "the same for all"
            );
        }
        assert_eq!(
            space.seen(vec![0.0; 3]),
            [0.0; 3],
            "what is not known stays so"
        );
        let kept = space.clone();
        assert!(
            !space.settle(&network(), NONE, &mut cone(300), true),
            "it is kept"
        );
        assert_eq!(space, kept);
    }

    #[test]
    fn the_look_has_its_share_of_the_distances() {
        // Two values of a network, around a direction, and two of a look that varies little.
        let mut rows = Matrix::new(4);
        for i in 0..400 {
            let (a, b) = (i as f32 * 2.4, i as f32 * 0.7);
            let unit = |x: f32, y: f32| {
                let length = (x * x + y * y).sqrt() * std::f32::consts::SQRT_2;
                [x / length, y / length]
            };
            let (shown, look) = (unit(2.0, a.cos()), unit(5.0, b.sin()));
            rows.push(&[shown[0], shown[1], look[0], look[1]]);
        }
        for share in [0.0, 0.25, 0.5, 1.0] {
            let mut seen = rows.clone();
            let mut space = Space::default();
            let model = ModelId(format!("{}+builtin-4", "ab".repeat(32)));
            assert!(space.settle(&model, (2, share), &mut seen, false));
            assert!(space.fits(4) && !space.fits(2));
            let (mut looks, mut all) = (0.0, 0.0);
            for i in 0..400 {
                for j in 0..i {
                    let pairs = seen.row(i).iter().zip(seen.row(j));
                    let squares: Vec<f64> = pairs.map(|(a, b)| f64::from(a - b).powi(2)).collect();
                    looks += squares[2] + squares[3];
                    all += squares.iter().sum::<f64>();
                }
            }
            let found = looks / all;
            assert!((found - f64::from(share)).abs() < 0.01, "{share}: {found}");
        }
    }

    #[test]
    fn other_models_and_old_states_are_left_as_they_are() {
        let builtin = ModelId("builtin-4".into());
        assert!(!Space::default().settle(&builtin, NONE, &mut cone(200), true));
        let mut old = Space::of_version_0_1();
        assert!(!old.settle(&network(), NONE, &mut cone(200), false));
        assert!(
            old.settle(&network(), NONE, &mut cone(200), true),
            "afresh it is taken"
        );
        assert!(old.fits(3) && !old.fits(4) && Space::default().fits(4));
    }
}
