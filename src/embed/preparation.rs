//! How a picture becomes an encoder's input, as plain data.
//!
//! Pictures are decoded in processes that have no model; what they have to know of an encoder is this.

use super::{builtin, preprocess::Preprocess};
use crate::artwork::decode::Picture;
use serde::{Deserialize, Serialize};

/// What an encoder wants of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Preparation {
    /// The built-in descriptor, which is an embedding already.
    Descriptor,
    /// A tensor for a neural encoder.
    Tensor(Preprocess),
    /// Several, one after the other.
    Several(Vec<Self>),
}

impl Preparation {
    /// The input that the encoder takes; pure.
    pub fn of(&self, picture: &Picture) -> Vec<f32> {
        match self {
            Self::Descriptor => builtin::describe(picture),
            Self::Tensor(preprocess) => preprocess.tensor(picture),
            Self::Several(parts) => parts.iter().flat_map(|part| part.of(picture)).collect(),
        }
    }
}
