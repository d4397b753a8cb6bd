//! CLIP and any other ONNX image encoder, through onnxruntime.
//!
//! Names, sizes and the batch are read from the session; what it cannot say comes from `model.toml`. A model that is
//! no image encoder is refused with what was found. One trial run at the start finds the embedding's length and shows
//! that the model runs at all. onnxruntime's session is used under a lock: it has its own threads.
//!
//! Invariants: embeddings have length 1 and no value that is not finite; the same picture gives the same bits whatever
//! else is in its batch, which is why quantised models run one picture at a time.

use super::{
    EncodeError, Encoder, ModelId,
    card::{self, ModelFiles},
    library::{self, LibrarySearch},
    preprocess::Preprocess,
};
use crate::artwork::decode::Picture;
use ort::{
    session::Session,
    value::{Outlet, TensorElementType, TensorRef, ValueType},
};
use std::{
    num::NonZero,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

/// Pictures in one run where the model leaves it open: more gain nothing and keep memory (notes/ort.md).
const BATCH: usize = 8;

/// An image encoder in an ONNX file.
pub struct OnnxEncoder {
    session: Mutex<Session>,
    input: Input,
    output: String,
    recipe: Preprocess,
    model: ModelId,
    name: String,
    dims: usize,
    max_batch: usize,
}

/// The model's picture input.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Input {
    name: String,
    /// The batch the model insists on.
    fixed_batch: Option<usize>,
    /// The side it insists on, pixels.
    fixed_size: Option<u32>,
}

impl OnnxEncoder {
    /// Loads the model at `path`, an ONNX file or a folder with one, to run on `threads` threads (default: one a core).
    pub fn load(
        path: &Path,
        library: &LibrarySearch,
        threads: Option<NonZero<usize>>,
    ) -> Result<Self, EncodeError> {
        let ModelFiles { onnx, card, name } = card::locate(path)?;
        let fingerprint = card::fingerprint(&onnx)?;
        let environment = library::environment(library)?;
        let threads = threads
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZero::get);
        let session = open(&environment, &onnx, threads).map_err(|source| EncodeError::Model {
            path: onnx.clone(),
            source,
        })?;

        let refuse = |what: String| EncodeError::NotAnEncoder {
            path: onnx.clone(),
            what,
        };
        let input = picture_input(session.inputs(), card.input.as_deref()).map_err(refuse)?;
        let output = embedding_output(session.outputs(), card.output.as_deref()).map_err(refuse)?;
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
            session: Mutex::new(session),
            input,
            output,
            recipe,
            model: fingerprint.model,
            name,
            dims: 0,
            max_batch,
        };
        encoder.dims = encoder.trial(&onnx)?;
        Ok(encoder)
    }

    /// The preprocessing, for those who show or test it.
    pub fn recipe(&self) -> &Preprocess {
        &self.recipe
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
        let value = TensorRef::from_array_view((vec![rows as i64, 3, side, side], &tensor[..]))
            .map_err(failed)?;

        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session
            .run(ort::inputs![self.input.name.as_str() => value])
            .map_err(failed)?;
        let (shape, data) = outputs[self.output.as_str()]
            .try_extract_tensor::<f32>()
            .map_err(failed)?;
        let dims = match shape[..] {
            [n, d] | [n, 1, d] if n == rows as i64 && d > 0 => d as usize,
            _ => {
                return Err(EncodeError::WrongOutput {
                    found: shape.to_vec(),
                });
            }
        };
        data.chunks_exact(dims)
            .take(inputs.len())
            .enumerate()
            .map(|(index, row)| normalised(row).ok_or(EncodeError::NotFinite { index }))
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

    fn prepare(&self, picture: &Picture) -> Vec<f32> {
        self.recipe.tensor(picture)
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

fn open(
    environment: &ort::environment::Environment,
    onnx: &Path,
    threads: usize,
) -> Result<Session, ort::Error> {
    Session::builder(environment)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .commit_from_file(onnx)
}

/// A vector of length 1; `None` if a value is not finite or all are zero.
fn normalised(row: &[f32]) -> Option<Vec<f32>> {
    let square: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let norm = square.sqrt();
    (norm.is_finite() && norm > 0.0)
        .then(|| row.iter().map(|&v| (f64::from(v) / norm) as f32).collect())
}

/// What is asked of the output, for messages.
const POOLED: &str = "mosaicd needs one vector a picture, [N, D] or [N, 1, D]: export the model with pooling \
                      (for CLIP, the projected `image_embeds`) or name another output in model.toml";

/// The input that takes pictures, or what there is instead.
fn picture_input(inputs: &[Outlet], wanted: Option<&str>) -> Result<Input, String> {
    let outlet = match (wanted, inputs) {
        (Some(name), _) => inputs.iter().find(|i| i.name() == name).ok_or_else(|| {
            format!(
                "model.toml names the input `{name}`; it has {}",
                list(inputs)
            )
        })?,
        (None, [only]) => only,
        _ => {
            return Err(format!(
                "an image encoder has one input; it has {}. A whole CLIP model must be exported as its vision part",
                list(inputs)
            ));
        }
    };
    let name = outlet.name().to_owned();
    let wrong = |why: &str| {
        Err(format!(
            "its input `{name}` is {}; {why}",
            kind(outlet.dtype())
        ))
    };
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return wrong("it must be a tensor");
    };
    if *ty != TensorElementType::Float32 {
        return wrong("it must be float32: export the model with float32 inputs");
    }
    let &[batch, channels, height, width] = &shape[..] else {
        return wrong("it must be [N, 3, H, W]");
    };
    if channels > 0 && channels != 3 {
        return wrong("it must be [N, 3, H, W], channels first");
    }
    if height > 0 && width > 0 && height != width {
        return wrong("it must be square");
    }
    let fixed_size = match height.max(width) {
        side @ 1.. => Some(u32::try_from(side).unwrap_or(u32::MAX)),
        _ => None,
    };
    Ok(Input {
        fixed_batch: usize::try_from(batch).ok().filter(|&n| n > 0),
        fixed_size,
        name,
    })
}

/// The output that holds embeddings, or what there is instead.
fn embedding_output(outputs: &[Outlet], wanted: Option<&str>) -> Result<String, String> {
    const USUAL: [&str; 6] = [
        "image_embeds",
        "image_embedding",
        "image_features",
        "embedding",
        "embeddings",
        "pooler_output",
    ];
    if let Some(name) = wanted {
        let found = outputs.iter().find(|o| o.name() == name);
        let outlet = found.ok_or_else(|| {
            format!(
                "model.toml names the output `{name}`; it has {}",
                list(outputs)
            )
        })?;
        return pooled(outlet).map(|()| name.to_owned());
    }
    let usual = USUAL
        .iter()
        .find_map(|name| outputs.iter().find(|o| o.name() == *name));
    let by_shape = || outputs.iter().find(|o| pooled(o).is_ok());
    let outlet = usual
        .or_else(by_shape)
        .ok_or_else(|| format!("its outputs are {}; {POOLED}", list(outputs)))?;
    pooled(outlet).map(|()| outlet.name().to_owned())
}

/// Whether the output may be one float32 vector a picture; unknown lengths are settled by the trial run.
fn pooled(outlet: &Outlet) -> Result<(), String> {
    let fits = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } if *ty == TensorElementType::Float32 => {
            matches!(shape[..], [_, _] | [_, 1 | -1, _])
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "its output `{}` is {}; {POOLED}",
            outlet.name(),
            kind(outlet.dtype())
        ))
    }
}

fn list(outlets: &[Outlet]) -> String {
    let each = outlets
        .iter()
        .take(8)
        .map(|o| format!("`{}` {}", o.name(), kind(o.dtype())));
    each.collect::<Vec<_>>().join(", ")
}

fn kind(value: &ValueType) -> String {
    match value {
        ValueType::Tensor { ty, shape, .. } => {
            let dims = shape.iter().map(|&d| match d {
                ..0 => "?".to_owned(),
                d => d.to_string(),
            });
            format!("{ty:?} [{}]", dims.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}").chars().take(80).collect(),
    }
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
