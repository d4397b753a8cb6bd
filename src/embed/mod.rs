//! Turning pictures into embeddings: the [`Encoder`] trait and its implementations.
//!
//! The door of the room. [`builtin`] is a descriptor in plain Rust that needs no files; [`clip`] runs any ONNX image
//! encoder through the native onnxruntime library, which [`library`] finds and [`card`] configures; [`blended`] is both.
//! [`preprocess`] prepares pictures for it as Pillow does; [`session`] runs it, [`inspect`] describes it. [`text`] is the
//! text encoder that a CLIP model may bring, [`vocabulary`] a list of words with their embeddings, [`words`] finds words for
//! places. [`open`] chooses.
//!
//! Invariants: embeddings have length 1 and finite values only; embeddings of different models are never compared.

pub mod blended;
pub mod builtin;
pub mod card;
pub mod clip;
mod external;
pub mod inspect;
pub mod library;
mod memory;
mod outlets;
mod preparation;
pub mod preprocess;
pub mod session;
pub mod text;
pub mod vocabulary;
pub mod words;

use crate::artwork::decode::Picture;
use library::AllTried;
use session::Runtime;
use std::{io, path::PathBuf};

pub use crate::domain::ModelId;
pub use preparation::Preparation;

/// An encoder could not be opened, or could not embed its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No onnxruntime library loads.
    #[error(
        "the onnxruntime library was not found: tried {0}. `mosaicd model fetch onnxruntime` \
         gets it; or set embed.library or ORT_DYLIB_PATH to libonnxruntime.so (1.20 or later)"
    )]
    NoLibrary(AllTried),
    /// The library loaded but does not start.
    #[error("the onnxruntime library {path} does not start: {source}", path = path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// onnxruntime's own words.
        source: ort::Error,
    },
    /// A file or folder of the model cannot be read.
    #[error("cannot read the model's {path}: {source}", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder has no ONNX file, or several.
    #[error(
        "the model folder {folder} must hold one .onnx file, or name it in model.toml (`file = ...`); it holds {found:?}",
        folder = folder.display()
    )]
    WhichModel {
        /// The folder.
        folder: PathBuf,
        /// The ONNX files in it.
        found: Vec<PathBuf>,
    },
    /// `model.toml` is wrong.
    #[error("{path}: {source}", path = path.display())]
    Card {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        source: Box<toml::de::Error>,
    },
    /// onnxruntime does not take the file.
    #[error("{path} is no model that onnxruntime can run: {source}", path = path.display())]
    Model {
        /// The ONNX file.
        path: PathBuf,
        /// onnxruntime's own words.
        source: ort::Error,
    },
    /// A file of weights that the model names is not there.
    #[error(
        "{path} keeps its weights in {weights}, which cannot be read: {source}",
        path = path.display(), weights = weights.display()
    )]
    WeightsMissing {
        /// The ONNX file.
        path: PathBuf,
        /// The file that it names.
        weights: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the model is not the one that `model.toml` means.
    #[error(
        "{path} is damaged or another file: its sha256 is {found} instead of {wanted}, as model.toml says; fetch it again \
         (`mosaicd model fetch`), or remove the line from model.toml if you exchanged the file",
        path = path.display()
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The sum that the card has.
        wanted: String,
        /// The file's.
        found: String,
    },
    /// The model names weights outside its own folder.
    #[error(
        "{path} keeps its weights in {location:?}, outside its own folder; put them into the folder and name them by a \
         relative path",
        path = path.display()
    )]
    WeightsOutside {
        /// The ONNX file.
        path: PathBuf,
        /// What it names.
        location: String,
    },
    /// A model, but not an image encoder.
    #[error("{path} cannot be used as an image encoder: {what}", path = path.display())]
    NotAnEncoder {
        /// The ONNX file.
        path: PathBuf,
        /// What was found, and what to do.
        what: String,
    },
    /// A run of the model failed.
    #[error("running the model failed: {source}")]
    Run {
        /// onnxruntime's own words.
        source: ort::Error,
    },
    /// The model's output has another shape than it promised.
    #[error("the model returned the shape {found:?} instead of one vector a picture")]
    WrongOutput {
        /// The shape.
        found: Vec<i64>,
    },
    /// An input was not made by the same encoder's [`Encoder::prepare`].
    #[error("input {index} has {found} values instead of {wanted}")]
    WrongInput {
        /// Position in the call.
        index: usize,
        /// Values the encoder takes.
        wanted: usize,
        /// Values it got.
        found: usize,
    },
    /// A model, but not a text encoder.
    #[error("{path} cannot be used as a text encoder: {what}", path = path.display())]
    NotATextEncoder {
        /// The ONNX file.
        path: PathBuf,
        /// What was found, and what to do.
        what: String,
    },
    /// `tokenizer.json` is wrong.
    #[error("{path} is no tokenizer: {source}", path = path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: tokenizers::Error,
    },
    /// A word list cannot be read.
    #[error("cannot read the word list {path}: {source}", path = path.display())]
    WordListUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A word list cannot be used.
    #[error("{path}: {source}", path = path.display())]
    WordList {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: words::WordsError,
    },
    /// The tokenizer refused words.
    #[error("{words:?} cannot be read as words: {source}")]
    Words {
        /// Their beginning.
        words: String,
        /// Why.
        source: tokenizers::Error,
    },
    /// An embedding is not finite, or has no direction.
    #[error("the embedding of input {index} is not finite or zero")]
    NotFinite {
        /// Position in the call.
        index: usize,
    },
}

impl EncodeError {
    /// The same error of a call whose inputs were those at `places` of another one.
    fn of_inputs_at(mut self, places: &[usize]) -> Self {
        if let Self::WrongInput { index, .. } | Self::NotFinite { index } = &mut self {
            *index = places.get(*index).copied().unwrap_or(usize::MAX);
        }
        self
    }

    /// Whether only the named input of a call is at fault, so that the others may be encoded without it.
    pub fn bad_input(&self) -> Option<usize> {
        match self {
            Self::WrongInput { index, .. } | Self::NotFinite { index } => Some(*index),
            _ => None,
        }
    }
}

/// Turns pictures into embeddings: unit vectors of [`Encoder::dims`] values whose dot product says how alike they look.
pub trait Encoder: Send + Sync {
    /// Which model this is.
    fn model(&self) -> &ModelId;
    /// A name for people: `builtin`, or the model's folder or file name.
    fn name(&self) -> &str;
    /// Length `D` of an embedding.
    fn dims(&self) -> usize;
    /// How many inputs [`Encoder::encode`] runs at once; more are encoded in several runs.
    fn max_batch(&self) -> usize;
    /// How many calls of [`Encoder::encode`] gain from running at the same time.
    fn runs(&self) -> usize {
        1
    }
    /// How many of the last values describe how a picture looks, and not what it shows.
    fn look_dims(&self) -> usize {
        0
    }
    /// The model whose embedding may stand at the beginning of an input, in place of what that model takes; only
    /// [`Encoder::remainder`] is then to be made of the picture.
    fn begins_with(&self) -> Option<&ModelId> {
        None
    }
    /// How a picture is prepared whose embedding by [`Encoder::begins_with`] is known.
    fn remainder(&self) -> Preparation {
        self.preparation()
    }
    /// What it runs on: `cpu` or `cuda`.
    fn device(&self) -> &'static str {
        "cpu"
    }
    /// How a picture is prepared for [`Encoder::encode`].
    fn preparation(&self) -> Preparation;
    /// Prepares a picture for [`Encoder::encode`]; pure, called on any thread, many at a time.
    fn prepare(&self, picture: &Picture) -> Vec<f32> {
        self.preparation().of(picture)
    }
    /// Embeds prepared inputs; the results are L2-normalised and in the order of `inputs`.
    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError>;
}

/// Which encoder to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderSpec {
    /// An ONNX file or a folder with one; `None` means the built-in descriptor.
    pub model: Option<PathBuf>,
    /// Whether the built-in descriptor is embedded with the model.
    pub look: bool,
    /// How it is run.
    pub runtime: Runtime,
}

/// Opens the encoder that `spec` names.
pub fn open(spec: &EncoderSpec) -> Result<Box<dyn Encoder>, EncodeError> {
    Ok(match &spec.model {
        None => Box::new(builtin::Builtin::new()),
        Some(path) => {
            let network = Box::new(clip::OnnxEncoder::load(path, &spec.runtime)?);
            match spec.look {
                true => Box::new(blended::Blended::new(network)),
                false => network,
            }
        }
    })
}
