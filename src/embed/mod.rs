//! Turning pictures into embeddings: the [`Encoder`] trait and its implementations.

pub mod preprocess;

use crate::artwork::decode::Picture;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which encoder made an embedding: `builtin-<version>`, or the sha256 of the model file in hexadecimal.
///
/// Embeddings of different models are never compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelId(pub String);

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An encoder could not embed its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {}

/// Turns pictures into embeddings: unit vectors of [`Encoder::dims`] values whose dot product says how alike they look.
pub trait Encoder: Send + Sync {
    /// Which model this is.
    fn model(&self) -> &ModelId;
    /// A name for people: `builtin`, or the model's folder or file name.
    fn name(&self) -> &str;
    /// Length `D` of an embedding.
    fn dims(&self) -> usize;
    /// How many inputs [`Encoder::encode`] takes at most in one call.
    fn max_batch(&self) -> usize;
    /// Prepares a picture for [`Encoder::encode`]; pure, called on any thread, many at a time.
    fn prepare(&self, picture: &Picture) -> Vec<f32>;
    /// Embeds prepared inputs; the results are L2-normalised and in the order of `inputs`.
    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError>;
}
