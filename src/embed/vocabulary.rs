//! A vocabulary file with its embeddings: the words that the mosaic's regions may have.
//!
//! The file is read and checked at once, so that a mistake is reported at the start; the words are embedded when they
//! are first needed, which takes some 20 ms per word, and kept in the state folder as `vocabulary.bin`. That file is
//! derived data: a file that is missing, damaged or from elsewhere is made again. It is bound to the text encoder, its
//! tokenizer and its prompt; of an edited list only the new words are embedded.
//!
//! Format: postcard of [`Kept`], then its CRC-32, little-endian.

use super::{
    EncodeError,
    card::{self, TextFiles},
    session::Runtime,
    text::TextEncoder,
    words::{self, MOST_BYTES, Vocabulary, WordsError},
};
use crate::{disk, matrix::Matrix};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    num::NonZero,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Name of the file in the state folder.
const FILE: &str = "vocabulary.bin";
/// Another version is not read.
const VERSION: u32 = 1;
/// Words that are embedded before what is known is written down, so that a stop loses no more: some 20 s.
const WRITE_EVERY: usize = 1_000;

/// Stands for the list that comes with mosaicd, instead of a path.
pub const ART: &str = "art";
const ART_WORDS: &str = include_str!("art.txt");

/// Reads a word list: a file's, or [`ART`]'s.
pub fn read(path: &Path) -> Result<Vec<String>, EncodeError> {
    let unreadable = |source| EncodeError::WordListUnreadable {
        path: path.to_path_buf(),
        source,
    };
    let wrong = |source| EncodeError::WordList {
        path: path.to_path_buf(),
        source,
    };
    if path == Path::new(ART) {
        return words::parse(ART_WORDS.as_bytes()).map_err(wrong);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut file = file.take(MOST_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(WordsError::TooLarge));
    }
    words::parse(&bytes).map_err(wrong)
}

/// A word list and the text encoder for it.
#[derive(Debug)]
pub struct WordList {
    words: Vec<String>,
    model: PathBuf,
    files: TextFiles,
    runtime: Runtime,
    /// What the embeddings depend on, once it has been computed.
    bound_to: OnceLock<String>,
}

impl WordList {
    /// Reads the list at `path` for the model at `model` (an ONNX file or a folder); `None` if no text encoder lies
    /// there, whatever the list says.
    pub fn open(path: &Path, model: &Path, runtime: &Runtime) -> Result<Option<Self>, EncodeError> {
        let words = read(path)?;
        let found = card::locate_text(model)?;
        Ok(found.map(|files| Self {
            words,
            model: model.to_path_buf(),
            files,
            // Words can wait: they leave the processors to pictures.
            runtime: Runtime {
                threads: NonZero::new(1),
                ..runtime.clone()
            },
            bound_to: OnceLock::new(),
        }))
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words with their embeddings of `dims` values, from the state folder as far as they are there.
    ///
    /// Asks `stop` before each word that has to be embedded; `None` if `stop` returned true.
    ///
    /// # Errors
    /// The text encoder cannot be used, or does not belong to the pictures' encoder.
    pub fn embed(
        &self,
        state: &Path,
        dims: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vocabulary>, EncodeError> {
        let bound_to = match self.bound_to.get() {
            Some(known) => known,
            None => {
                let made = self.files.identity()?;
                self.bound_to.get_or_init(|| made)
            }
        };
        let kept = load(state).filter(|kept| kept.bound_to == *bound_to && kept.dims == dims);
        let mut known: HashMap<String, Vec<f32>> = match &kept {
            Some(kept) => kept.rows().collect(),
            None => HashMap::new(),
        };
        let missing: Vec<&String> = self
            .words
            .iter()
            .filter(|w| !known.contains_key(*w))
            .collect();
        if !missing.is_empty() {
            let encoder = match TextEncoder::load(&self.model, &self.runtime)? {
                Some(encoder) => encoder.of_dims(dims)?,
                None => return Ok(None),
            };
            tracing::info!(words = missing.len(), "embedding the vocabulary");
            for part in missing.chunks(WRITE_EVERY) {
                for word in part {
                    if stop() {
                        return Ok(None);
                    }
                    known.insert((*word).clone(), encoder.encode(word)?);
                }
                self.keep(state, bound_to, dims, &known);
            }
        }
        let mut embeddings = Matrix::new(dims);
        for word in &self.words {
            embeddings.push(&known[word]);
        }
        Ok(Some(Vocabulary {
            words: self.words.clone(),
            embeddings,
        }))
    }

    /// Writes down the list's words that are known; what cannot be written is embedded again the next time.
    fn keep(&self, state: &Path, bound_to: &str, dims: usize, known: &HashMap<String, Vec<f32>>) {
        let mut kept = Kept {
            version: VERSION,
            bound_to: bound_to.to_owned(),
            dims,
            words: Vec::new(),
            values: Vec::new(),
        };
        for word in &self.words {
            if let Some(embedding) = known.get(word) {
                kept.words.push(word.clone());
                kept.values.extend_from_slice(embedding);
            }
        }
        if let Err(error) = write(&state.join(FILE), &kept) {
            tracing::warn!(%error, path = FILE, "cannot be written; the vocabulary will be embedded again");
        }
    }
}

/// What `vocabulary.bin` holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// Identity of text encoder, tokenizer and prompt.
    bound_to: String,
    dims: usize,
    words: Vec<String>,
    /// Words × `dims`.
    values: Vec<f32>,
}

impl Kept {
    fn rows(&self) -> impl Iterator<Item = (String, Vec<f32>)> {
        let rows = self.values.chunks_exact(self.dims.max(1));
        self.words.iter().cloned().zip(rows.map(<[f32]>::to_vec))
    }
}

/// What is kept, if it is whole.
fn load(state: &Path) -> Option<Kept> {
    let bytes = fs::read(state.join(FILE)).ok()?;
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let kept: Kept = postcard::from_bytes(body).ok()?;
    (kept.version == VERSION && kept.words.len().checked_mul(kept.dims) == Some(kept.values.len()))
        .then_some(kept)
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let mut bytes = postcard::to_stdvec(kept).map_err(io::Error::other)?;
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    disk::replace(path, &path.with_extension("new"), &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept {
            version: VERSION,
            bound_to: "encoder".into(),
            dims: 2,
            words: vec!["sea".into(), "piano keys".into()],
            values: vec![1.0, 0.0, 0.6, 0.8],
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_damage_is_seen() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(FILE);
        assert!(load(folder.path()).is_none());
        write(&path, &kept()).expect("writable");
        let rows: Vec<_> = load(folder.path()).expect("whole").rows().collect();
        assert_eq!(rows[1], ("piano keys".to_owned(), vec![0.6, 0.8]));
        assert_eq!(rows.len(), 2);

        let whole = fs::read(&path).expect("it is there");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, damaged).expect("writable");
            assert!(load(folder.path()).is_none(), "byte {at}");
            fs::write(&path, &whole[..at]).expect("writable");
            assert!(load(folder.path()).is_none(), "cut at {at}");
        }
        let short = Kept {
            values: vec![1.0],
            ..kept()
        };
        write(&path, &short).expect("writable");
        assert!(load(folder.path()).is_none(), "rows are missing");
    }

    #[test]
    fn the_list_that_comes_with_mosaicd_has_a_thousand_words_none_twice() {
        let words = read(Path::new(ART)).expect("a list");
        let mut lower: Vec<_> = words.iter().map(|word| word.to_lowercase()).collect();
        lower.sort();
        lower.dedup();
        assert_eq!(lower.len(), words.len());
        assert!(words.len() >= 1_000 && words.contains(&"piano keys".to_owned()));
        // A file of that name is meant by another path.
        assert!(read(Path::new("./art")).is_err());
    }

    #[test]
    fn a_list_that_cannot_be_used_names_file_and_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("words.txt");
        let message = || match read(&path) {
            Ok(words) => panic!("{} words", words.len()),
            Err(error) => error.to_string(),
        };
        assert!(message().contains("words.txt"), "{}", message());
        for (bytes, said) in [
            (&b"\n"[..], "is empty"),
            (b"sea\n\xff\n", "line 2 of the word list is not UTF-8"),
            (
                &vec![b'\n'; MOST_BYTES as usize + 1][..],
                "larger than 8 MiB",
            ),
        ] {
            fs::write(&path, bytes).expect("writable");
            let message = message();
            assert!(
                message.contains("words.txt") && message.contains(said),
                "{message}"
            );
        }
        fs::remove_file(&path).expect("it is there");
        fs::create_dir(&path).expect("writable");
        assert!(message().contains("words.txt"), "{}", message());
    }
}
