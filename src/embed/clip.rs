//! CLIP and any other ONNX image encoder, through onnxruntime.
//!
//! Names, sizes and the batch are read from the session; what it does not contain comes from `model.toml`. A model that
//! is not an image encoder is refused with a list of what was found. One trial run at the start finds the embedding's
//! length and shows that the model runs at all. On the CPU it may hold several sessions of the model, for as many
//! callers at a time.
//!
//! Invariants: embeddings have length 1 and no value that is not finite; the same picture gives the same bits whatever
//! else is in its batch, which is why quantised models run one picture at a time.

use super::{
    EncodeError, Encoder, ModelId, Preparation,
    card::{self, Fingerprint, ModelFiles},
    outlets::{self, Float, POOLED, PictureInput},
    preprocess::Preprocess,
    session::{self, Runtime, Sessions},
};
use half::f16;
use ort::{
    session::SessionInputValue,
    value::{DynValue, TensorRef},
};
use std::path::Path;

/// Pictures in one run where the model leaves it open: more gain nothing and keep memory (notes/ort.md).
const BATCH: usize = 8;

/// An image encoder in an ONNX file.
pub struct OnnxEncoder {
    sessions: Sessions,
    input: PictureInput,
    output: String,
    recipe: Preprocess,
    model: ModelId,
    name: String,
    dims: usize,
    max_batch: usize,
    device: &'static str,
}

impl OnnxEncoder {
    /// Loads the model at `path`, an ONNX file or a folder with one.
    pub fn load(path: &Path, runtime: &Runtime) -> Result<Self, EncodeError> {
        let files = card::locate(path)?;
        let fingerprint = card::fingerprint(&files.onnx, &files.sums)?;
        let prove = |sessions| Self::prove(&files, &fingerprint, sessions);
        let count = runtime.sessions(fingerprint.bytes);
        let (mut encoder, device) = session::open(&files.onnx, runtime, count, prove)?;
        encoder.device = device;
        let sessions = encoder.runs();
        tracing::info!(path = %files.onnx.display(), device, sessions, "model loaded");
        Ok(encoder)
    }

    /// Recognises the model's inputs and outputs and runs it once.
    fn prove(
        files: &ModelFiles,
        fingerprint: &Fingerprint,
        sessions: Sessions,
    ) -> Result<Self, EncodeError> {
        let ModelFiles {
            onnx, card, name, ..
        } = files;
        let refuse = |what: String| EncodeError::NotAnEncoder {
            path: onnx.clone(),
            what,
        };
        let session = sessions.free();
        let input =
            outlets::picture_input(session.inputs(), card.input.as_deref()).map_err(refuse)?;
        let output =
            outlets::embedding_output(session.outputs(), card.output.as_deref()).map_err(refuse)?;
        drop(session);
        let size = input.fixed_size.or(card.size).unwrap_or(224);
        if let (Some(fixed), Some(said)) = (input.fixed_size, card.size)
            && fixed != said
        {
            return Err(refuse(format!(
                "model.toml says size = {said}, the model takes {fixed} pixels"
            )));
        }
        let recipe = card
            .preprocess(size)
            .map_err(|what| refuse(format!("model.toml: {what}")))?;
        let open_batch = if fingerprint.quantised { 1 } else { BATCH };
        let max_batch = input.fixed_batch.or(card.batch).unwrap_or(open_batch);
        let mut encoder = Self {
            sessions,
            input,
            output,
            recipe,
            model: fingerprint.model.clone(),
            name: name.clone(),
            dims: 0,
            max_batch,
            device: "",
        };
        encoder.dims = encoder.trial(onnx)?;
        Ok(encoder)
    }

    /// The preprocessing, for those who show or test it.
    pub fn recipe(&self) -> &Preprocess {
        &self.recipe
    }

    /// The names of the input and the output that are used.
    pub fn outlets(&self) -> (&str, &str) {
        (&self.input.name, &self.output)
    }

    /// Runs one picture, a ramp, and returns the embedding's length.
    fn trial(&self, onnx: &Path) -> Result<usize, EncodeError> {
        let len = self.recipe.len();
        let ramp = (0..len).map(|i| i as f32 / len as f32 - 0.25).collect();
        let embeddings = self.run(&[&ramp]).map_err(|error| match error {
            EncodeError::Run { source } => EncodeError::Model {
                path: onnx.to_path_buf(),
                source,
            },
            EncodeError::WrongOutput { found } => EncodeError::NotAnEncoder {
                path: onnx.to_path_buf(),
                what: format!(
                    "its output `{}` has the shape {found:?}; {POOLED}",
                    self.output
                ),
            },
            other => other,
        })?;
        Ok(embeddings.first().map_or(0, Vec::len))
    }

    /// Raw embeddings of at most `max_batch` inputs of the right length, L2-normalised.
    fn run(&self, inputs: &[&Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        let rows = self.input.fixed_batch.unwrap_or(inputs.len());
        let mut tensor = Vec::with_capacity(rows * self.recipe.len());
        inputs
            .iter()
            .for_each(|input| tensor.extend_from_slice(input));
        // A fixed batch that is not full is filled with grey.
        tensor.resize(rows * self.recipe.len(), 0.0);
        let side = i64::from(self.recipe.size);
        let failed = |source| EncodeError::Run { source };
        let shape = vec![rows as i64, 3, side, side];
        let narrow: Vec<f16>;
        let value: SessionInputValue<'_> = match self.input.float {
            Float::F32 => TensorRef::from_array_view((shape, &tensor[..])).map(Into::into),
            Float::F16 => {
                narrow = tensor.iter().map(|&v| f16::from_f32(v)).collect();
                TensorRef::from_array_view((shape, &narrow[..])).map(Into::into)
            }
        }
        .map_err(failed)?;

        let mut session = self.sessions.free();
        let outputs = session
            .run(ort::inputs![self.input.name.as_str() => value])
            .map_err(failed)?;
        let mut embeddings = unit_rows(&outputs[self.output.as_str()], rows)?;
        embeddings.truncate(inputs.len());
        let each = embeddings.into_iter().enumerate();
        each.map(|(index, row)| row.ok_or(EncodeError::NotFinite { index }))
            .collect()
    }
}

impl Encoder for OnnxEncoder {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn runs(&self) -> usize {
        self.sessions.len()
    }

    fn device(&self) -> &'static str {
        self.device
    }

    fn preparation(&self) -> Preparation {
        Preparation::Tensor(self.recipe)
    }

    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        let wanted = self.recipe.len();
        if let Some(index) = inputs.iter().position(|input| input.len() != wanted) {
            return Err(EncodeError::WrongInput {
                index,
                wanted,
                found: inputs[index].len(),
            });
        }
        let mut embeddings = Vec::with_capacity(inputs.len());
        for (i, batch) in inputs.chunks(self.max_batch).enumerate() {
            let batch: Vec<&Vec<f32>> = batch.iter().collect();
            let part = self.run(&batch).map_err(|error| match error {
                EncodeError::NotFinite { index } => EncodeError::NotFinite {
                    index: index + i * self.max_batch,
                },
                other => other,
            })?;
            embeddings.extend(part);
        }
        Ok(embeddings)
    }
}

/// The rows of an output `[rows, D]` or `[rows, 1, D]` at length 1; `None` for those that have no direction.
pub(super) fn unit_rows(
    value: &DynValue,
    rows: usize,
) -> Result<Vec<Option<Vec<f32>>>, EncodeError> {
    let failed = |source| EncodeError::Run { source };
    let wide: Vec<f32>;
    let (shape, data) = match value.try_extract_tensor::<f16>() {
        Ok((shape, data)) => {
            wide = data.iter().map(|v| v.to_f32()).collect();
            (shape, &wide[..])
        }
        Err(_) => value.try_extract_tensor::<f32>().map_err(failed)?,
    };
    let dims = match shape[..] {
        [n, d] | [n, 1, d] if n == rows as i64 && d > 0 => d as usize,
        _ => {
            let found = shape.to_vec();
            return Err(EncodeError::WrongOutput { found });
        }
    };
    Ok(data.chunks_exact(dims).map(normalised).collect())
}

/// A vector of length 1; `None` if a value is not finite or all are zero.
fn normalised(row: &[f32]) -> Option<Vec<f32>> {
    let square: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let norm = square.sqrt();
    (norm.is_finite() && norm > 0.0)
        .then(|| row.iter().map(|&v| (f64::from(v) / norm) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_refuses_what_has_no_direction() {
        assert_eq!(normalised(&[3.0, 4.0]), Some(vec![0.6, 0.8]));
        assert_eq!(normalised(&[0.0, 0.0]), None);
        assert_eq!(normalised(&[1.0, f32::NAN]), None);
        assert_eq!(normalised(&[1.0, f32::INFINITY]), None);
        // Squares that overflow f32 do not.
        assert!(normalised(&[1e30, 1e30]).is_some());
    }
}
