//! How embeddings are looked at: less what all pictures have in common for a network.
//!
//! The embeddings of a network lie in a cone: much of each is the same for every picture, and the rest decides what is
//! alike (Mu and Viswanath 2018, arXiv:1702.01417, for words). The mean of the collection is therefore taken out, and what
//! is left brought to length 1. The mean is taken once, when there are enough works, and kept: it stays the same while
//! works come and go, so that nothing moves because of it.
//!
//! The store and `export` keep embeddings as the network made them: a mean is a collection's own. Words need none: pictures and words
//! lie in cones of their own, and what sets a place apart (`embed::words`) is a difference, in which a mean cancels out.

use crate::{domain::ModelId, matrix::Matrix};
use serde::{Deserialize, Serialize};

/// Works that a mean is taken of, at least.
const FEWEST: usize = 64;

/// What is taken out of embeddings before they are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The common mean, `D` values; empty as long as none is taken out.
    mean: Vec<f32>,
    /// Whether a mean waits for enough works.
    waits: bool,
}

impl Default for Space {
    /// A space for a new collection: a mean is taken as soon as there are enough works.
    fn default() -> Self {
        Self {
            mean: Vec::new(),
            waits: true,
        }
    }
}

impl Space {
    /// Embeddings as they are, until everything is laid out afresh: version 0.1 knew no mean, and what it published must
    /// not be shuffled.
    pub fn of_version_0_1() -> Self {
        Self {
            mean: Vec::new(),
            waits: false,
        }
    }

    /// The space that takes the mean of these embeddings out; `None` if they are too few.
    pub fn of(embeddings: &Matrix) -> Option<Self> {
        mean(embeddings).map(|mean| Self { mean, waits: false })
    }

    /// Whether embeddings are taken as they are.
    pub fn is_plain(&self) -> bool {
        self.mean.is_empty()
    }

    /// Whether it can be of embeddings of `dims` values.
    pub fn fits(&self, dims: usize) -> bool {
        (self.is_plain() || self.mean.len() == dims) && self.mean.iter().all(|v| v.is_finite())
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
    /// `afresh`: the whole layout is made again, so that nothing is waited for.
    pub(super) fn settle(
        &mut self,
        model: &ModelId,
        embeddings: &mut Matrix,
        afresh: bool,
    ) -> bool {
        let due = self.is_plain() && (self.waits || afresh) && model.is_a_network();
        if !due || embeddings.rows() < FEWEST {
            return false;
        }
        let Some(space) = Self::of(embeddings) else {
            return false;
        };
        *self = space;
        let rows = std::mem::replace(embeddings, Matrix::new(0));
        *embeddings = self.all_seen(rows);
        true
    }

    fn look_at(&self, embedding: &mut [f32]) {
        if embedding.iter().all(|&v| v == 0.0) {
            return;
        }
        let less = |(value, mean): (&f32, &f32)| f64::from(*value) - f64::from(*mean);
        let square: f64 = embedding
            .iter()
            .zip(&self.mean)
            .map(|pair| less(pair).powi(2))
            .sum();
        let length = square.sqrt();
        if length > 1e-6 {
            for pair in embedding.iter_mut().zip(&self.mean) {
                *pair.0 = (less((&*pair.0, pair.1)) / length) as f32;
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
        assert!(!space.settle(&network(), &mut few, false));
        assert_eq!(few, cone(FEWEST - 1), "too few: as they are");

        let mut rows = cone(200);
        assert!(space.settle(&network(), &mut rows, false));
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
            !space.settle(&network(), &mut cone(300), true),
            "it is kept"
        );
        assert_eq!(space, kept);
    }

    #[test]
    fn other_models_and_old_states_are_left_as_they_are() {
        let builtin = ModelId("builtin-4".into());
        assert!(!Space::default().settle(&builtin, &mut cone(200), true));
        let mut old = Space::of_version_0_1();
        assert!(!old.settle(&network(), &mut cone(200), false));
        assert!(
            old.settle(&network(), &mut cone(200), true),
            "afresh it is taken"
        );
        assert!(old.fits(3) && !old.fits(4) && Space::default().fits(4));
    }
}
