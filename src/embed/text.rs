//! CLIP's text encoder: words to embeddings that can be compared with those of pictures.
//!
//! It is there where the model's folder has a text encoder and a tokenizer, and absent otherwise. The tokenizer is the
//! model's own `tokenizer.json`; ids are cut to the model's length with the end kept, padded after the end, and masked
//! where the model takes a mask. Only the length of their embeddings shows whether both encoders belong together;
//! `mosaicd model fetch --words` fetches a matching pair.
//!
//! Invariants: embeddings have length 1; the same words give the same bits, because they are run one at a time.

use super::{
    EncodeError,
    card::{self, TextFiles},
    clip,
    outlets::{self, TextInput},
    session::{self, Runtime, Sessions},
};
use ort::{session::SessionInputValue, value::Tensor};
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};
use tokenizers::{Tokenizer, TruncationParams};

/// CLIP's context (openai/CLIP `clip.py`, `context_length`).
const LENGTH: usize = 77;
/// CLIP's end of text, which pads too.
const END: &str = "<|endoftext|>";

/// A text encoder with its tokenizer.
pub struct TextEncoder {
    onnx: PathBuf,
    sessions: Sessions,
    tokenizer: Tokenizer,
    input: TextInput,
    output: String,
    pad: u32,
    prompt: String,
    dims: usize,
}

impl TextEncoder {
    /// Loads the text encoder that lies with the model at `path` (an ONNX file or a folder, as for pictures) if there is
    /// one; the error says what is wrong with one that is there.
    pub fn load(path: &Path, runtime: &Runtime) -> Result<Option<Self>, EncodeError> {
        let Some(files) = card::locate_text(path)? else {
            return Ok(None);
        };
        files.check()?;
        let TextFiles {
            onnx,
            tokenizer,
            prompt,
            ..
        } = &files;
        let made = read_tokenizer(tokenizer)?;
        let prove = |sessions| Self::prove(onnx, &made, prompt, sessions);
        let (encoder, _) = session::open(onnx, runtime, 1, prove)?;
        Ok(Some(encoder))
    }

    fn prove(
        onnx: &Path,
        tokenizer: &Tokenizer,
        prompt: &str,
        sessions: Sessions,
    ) -> Result<Self, EncodeError> {
        let refuse = |what: String| EncodeError::NotATextEncoder {
            path: onnx.to_path_buf(),
            what,
        };
        let session = sessions.free();
        let input = outlets::text_input(session.inputs()).map_err(refuse)?;
        let output = outlets::embedding_output(session.outputs(), None).map_err(refuse)?;
        drop(session);
        let mut tokenizer = tokenizer.clone();
        let cut = TruncationParams {
            max_length: input.fixed_length.unwrap_or(LENGTH),
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(cut))
            .map_err(|error| refuse(error.to_string()))?;
        let padding = tokenizer.get_padding().map(|padding| padding.pad_id);
        let pad = padding.or_else(|| tokenizer.token_to_id(END)).unwrap_or(0);
        tokenizer.with_padding(None);
        let mut encoder = Self {
            onnx: onnx.to_path_buf(),
            sessions,
            tokenizer,
            input,
            output,
            pad,
            prompt: prompt.to_owned(),
            dims: 0,
        };
        encoder.dims = encoder.encode("trial")?.len();
        Ok(encoder)
    }

    /// Length of an embedding; the same as the picture encoder's, or they do not belong together.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Itself if its embeddings have `dims` values, as those of the pictures to compare them with.
    pub fn of_dims(self, dims: usize) -> Result<Self, EncodeError> {
        match self.dims == dims {
            true => Ok(self),
            false => Err(EncodeError::NotATextEncoder {
                path: self.onnx,
                what: format!(
                    "its embeddings have {} values, those of the pictures {dims}: they are of different models",
                    self.dims
                ),
            }),
        }
    }

    /// The embedding of a word or phrase, of length 1.
    pub fn encode(&self, words: &str) -> Result<Vec<f32>, EncodeError> {
        let asked = self.prompt.replace("{}", words);
        let ids = self.ids(&asked)?;
        let length = self.input.fixed_length.unwrap_or(LENGTH);
        let known = ids.len();
        let ids = ids.into_iter().chain(std::iter::repeat(self.pad));
        let ids = ids.take(length).map(i64::from).collect();
        let mask = (0..length).map(|i| i64::from(i < known)).collect();

        // A fixed batch is filled with the same row.
        let rows = self.input.fixed_batch.unwrap_or(1);
        let failed = |source| EncodeError::Run { source };
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(2);
        inputs.push((self.input.ids.as_str().into(), self.numbers(ids, rows)?));
        if let Some(name) = &self.input.mask {
            inputs.push((name.as_str().into(), self.numbers(mask, rows)?));
        }
        let mut session = self.sessions.free();
        let outputs = session.run(inputs).map_err(failed)?;
        let embeddings = clip::unit_rows(&outputs[self.output.as_str()], rows)?;
        let first = embeddings.into_iter().next().flatten();
        first.ok_or(EncodeError::NotFinite { index: 0 })
    }

    /// Token ids with begin and end, at most as many as the model takes.
    fn ids(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        let encoding = self.tokenizer.encode_fast(text, true);
        let encoding = encoding.map_err(|source| EncodeError::Words {
            words: text.chars().take(80).collect(),
            source,
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    fn numbers(
        &self,
        row: Vec<i64>,
        rows: usize,
    ) -> Result<SessionInputValue<'static>, EncodeError> {
        let shape = vec![rows as i64, row.len() as i64];
        let all = row.repeat(rows);
        let value = match self.input.wide {
            true => Tensor::from_array((shape, all)).map(Into::into),
            false => {
                let narrow: Vec<i32> = all.into_iter().map(|id| id as i32).collect();
                Tensor::from_array((shape, narrow)).map(Into::into)
            }
        };
        value.map_err(|source| EncodeError::Run { source })
    }
}

fn read_tokenizer(path: &Path) -> Result<Tokenizer, EncodeError> {
    Tokenizer::from_file(path).map_err(|source| EncodeError::Tokenizer {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// The ids are those of another implementation; see tests/fixtures/words/make_words.py.
    #[test]
    fn two_hundred_strings_get_the_reference_s_ids() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/words");
        let mut tokenizer = read_tokenizer(&folder.join("tokenizer.json")).expect("a tokenizer");
        let cut = TruncationParams {
            max_length: LENGTH,
            ..TruncationParams::default()
        };
        tokenizer.with_truncation(Some(cut)).expect("it can be cut");
        let text = std::fs::read_to_string(folder.join("expected.json")).expect("committed");
        let expected: Vec<(String, Vec<u32>)> = serde_json::from_str(&text).expect("JSON");
        assert!(expected.len() >= 200);
        let mut cut_ones = 0;
        for (text, ids) in &expected {
            let ours = tokenizer.encode_fast(text.as_str(), true).expect("ids");
            assert_eq!(ours.get_ids(), ids, "{text:?}");
            cut_ones += usize::from(ids.len() == LENGTH);
        }
        assert!(
            cut_ones >= 3,
            "some strings must be longer than the context"
        );
    }
}
