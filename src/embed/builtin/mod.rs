//! stub
use super::*;
/// stub
pub struct Builtin {
    model: ModelId,
}
impl Builtin {
    /// stub
    pub fn new() -> Self {
        Self {
            model: ModelId("builtin-1".into()),
        }
    }
}
impl Encoder for Builtin {
    fn model(&self) -> &ModelId {
        &self.model
    }
    fn name(&self) -> &str {
        "builtin"
    }
    fn dims(&self) -> usize {
        1
    }
    fn max_batch(&self) -> usize {
        64
    }
    fn prepare(&self, _: &Picture) -> Vec<f32> {
        vec![1.0]
    }
    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        Ok(inputs.to_vec())
    }
}
