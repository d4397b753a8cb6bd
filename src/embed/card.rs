//! Finding a model's files: the ONNX file, its `model.toml`, its identity.
//!
//! `model.toml` is next to the ONNX file and says what the file itself cannot; every key is optional:
//! ```toml
//! file = "onnx/vision_model.onnx"     # which file of the folder
//! size = 224                          # side of the input, where the model leaves it open
//! short_side = 256                    # length of the short side before the crop
//! shape = "crop"                      # or "squash"
//! filter = "bicubic"                  # or "bilinear"
//! mean = [0.48145466, 0.4578275, 0.40821073]
//! std = [0.26862954, 0.26130258, 0.27577711]
//! input = "pixel_values"              # names, where a model has several
//! output = "image_embeds"
//! batch = 8                           # most pictures in one run
//! text = "onnx/text_model.onnx"       # the text encoder and its tokenizer, for words
//! tokenizer = "tokenizer.json"
//! prompt = "a picture of {}"          # what words are put into; "{}" alone if left out
//! [sha256]                            # files that must be these and no others
//! "vision_model.onnx" = "fd6e1402a588279d1723c7534d4bcba5bc0b14b47dfab0e46f8c47b8270d7d40"
//! ```

use super::{
    EncodeError, ModelId, external,
    preprocess::{Filter, Preprocess, Shape},
};
use crate::disk;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What `model.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Which file of the folder is the model.
    pub file: Option<PathBuf>,
    /// Side of the input, pixels.
    pub size: Option<u32>,
    /// Length of the short side before the crop, pixels.
    pub short_side: Option<u32>,
    /// How a picture becomes square.
    #[serde(default)]
    pub shape: Shape,
    /// The resizing filter.
    #[serde(default)]
    pub filter: Filter,
    /// Mean of each channel, in 0..=1.
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of each channel.
    pub std: Option<[f32; 3]>,
    /// Name of the input.
    pub input: Option<String>,
    /// Name of the output.
    pub output: Option<String>,
    /// Most pictures in one run.
    pub batch: Option<usize>,
    /// The text encoder's file.
    pub text: Option<PathBuf>,
    /// The tokenizer's file.
    pub tokenizer: Option<PathBuf>,
    /// What words are put into, in place of `{}`.
    pub prompt: Option<String>,
    /// Sums of files, by their paths below the card's folder: a file with another one is refused.
    #[serde(default)]
    pub sha256: BTreeMap<PathBuf, String>,
}

/// Largest input side that is believed, pixels: far above any encoder's.
pub(super) const MAX_SIZE: u32 = 4096;

impl ModelCard {
    /// The preprocessing for an input side of `size` pixels, or what is wrong with the card.
    pub(super) fn preprocess(&self, size: u32) -> Result<Preprocess, &'static str> {
        let clip = Preprocess::clip(size);
        let recipe = Preprocess {
            short_side: self.short_side.unwrap_or(size),
            shape: self.shape,
            filter: self.filter,
            mean: self.mean.unwrap_or(clip.mean),
            std: self.std.unwrap_or(clip.std),
            ..clip
        };
        if size == 0 || size > MAX_SIZE || recipe.short_side > MAX_SIZE {
            return Err("size and short_side must lie in 1..=4096");
        }
        if recipe.short_side < size {
            return Err("short_side must not be smaller than size");
        }
        if !recipe.mean.iter().all(|v| v.is_finite()) {
            return Err("mean must be finite numbers");
        }
        if !recipe.std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Err("std must be positive numbers");
        }
        if self.batch == Some(0) {
            return Err("batch must be at least 1");
        }
        if self.prompt.as_ref().is_some_and(|p| !p.contains("{}")) {
            return Err("prompt must have {} where the words go");
        }
        Ok(recipe)
    }
}

/// The sums that a card gives, with the paths of their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(Vec<(PathBuf, String)>);

impl Sums {
    fn of(card: &ModelCard, folder: &Path) -> Self {
        let each = card.sha256.iter();
        Self(
            each.map(|(file, sum)| (folder.join(file), sum.to_lowercase()))
                .collect(),
        )
    }

    /// The sum that `path` must have, if one is given.
    fn wanted(&self, path: &Path) -> Option<&str> {
        let found = self.0.iter().find(|(file, _)| same_file(file, path));
        found.map(|(_, sum)| &sum[..])
    }
}

/// A model on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFiles {
    /// The ONNX file.
    pub onnx: PathBuf,
    /// Its card, or the defaults.
    pub card: ModelCard,
    /// What people call it: the folder's name, or the file's.
    pub name: String,
    pub(super) sums: Sums,
}

/// Finds the model at `path`, which is an ONNX file or a folder with one.
pub fn locate(path: &Path) -> Result<ModelFiles, EncodeError> {
    let unreadable = |source| EncodeError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let is_folder = fs::metadata(path).map_err(unreadable)?.is_dir();
    let folder = if is_folder {
        path
    } else {
        path.parent().unwrap_or(Path::new(""))
    };
    let card = read_card(&folder.join("model.toml"))?;
    let onnx = if is_folder {
        match &card.file {
            Some(file) => folder.join(file),
            None => only_model(folder)?,
        }
    } else {
        path.to_path_buf()
    };
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |n| n.to_string_lossy().into(),
    );
    Ok(ModelFiles {
        sums: Sums::of(&card, folder),
        onnx,
        card,
        name,
    })
}

/// The files of a text encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextFiles {
    /// The ONNX file.
    pub(super) onnx: PathBuf,
    /// Its `tokenizer.json`.
    pub(super) tokenizer: PathBuf,
    /// What words are put into.
    pub(super) prompt: String,
    sums: Sums,
}

impl TextFiles {
    /// Refuses files that are others than the card says.
    pub(super) fn check(&self) -> Result<(), EncodeError> {
        match self.sums.0.is_empty() {
            true => Ok(()),
            false => self.identity().map(drop),
        }
    }

    /// Tells text encoders apart whose embeddings of the same words differ: sha256 of encoder and tokenizer, and the
    /// prompt.
    pub(super) fn identity(&self) -> Result<String, EncodeError> {
        let mut tokenizer = Sha256::new();
        digest(&self.tokenizer, &self.sums, &mut tokenizer, &mut false)?;
        let encoder = fingerprint(&self.onnx, &self.sums)?.model;
        let tokenizer = hex(tokenizer);
        Ok(format!("{encoder} {tokenizer} {}", self.prompt))
    }
}

/// Finds the text encoder that lies with the model at `path`, if both its files are there or named by the card.
pub(super) fn locate_text(path: &Path) -> Result<Option<TextFiles>, EncodeError> {
    const USUAL: [(&str, &str); 4] = [
        ("text_model.onnx", "tokenizer.json"),
        ("onnx/text_model.onnx", "tokenizer.json"),
        ("text_model.onnx", "../tokenizer.json"),
        ("textual/model.onnx", "textual/tokenizer.json"),
    ];
    let folder = match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(Path::new("")),
    };
    let card = read_card(&folder.join("model.toml"))?;
    let found = USUAL.iter().find_map(|(onnx, tokenizer)| {
        let onnx = folder.join(card.text.as_deref().unwrap_or(Path::new(onnx)));
        let tokenizer = folder.join(card.tokenizer.as_deref().unwrap_or(Path::new(tokenizer)));
        (onnx.is_file() && tokenizer.is_file()).then_some((onnx, tokenizer))
    });
    match found {
        Some((onnx, tokenizer)) => Ok(Some(TextFiles {
            onnx,
            tokenizer,
            sums: Sums::of(&card, folder),
            prompt: card.prompt.unwrap_or_else(|| "{}".into()),
        })),
        None => match card.text.or(card.tokenizer) {
            Some(named) => Err(EncodeError::Unreadable {
                path: folder.join(named),
                source: io::ErrorKind::NotFound.into(),
            }),
            None => Ok(None),
        },
    }
}

fn read_card(path: &Path) -> Result<ModelCard, EncodeError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ModelCard::default()),
        Err(source) => {
            let path = path.to_path_buf();
            return Err(EncodeError::Unreadable { path, source });
        }
    };
    toml::from_str(&text).map_err(|source| EncodeError::Card {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

/// The usual names, else the folder's only ONNX file.
fn only_model(folder: &Path) -> Result<PathBuf, EncodeError> {
    const USUAL: [&str; 5] = [
        "model.onnx",
        "vision_model.onnx",
        "onnx/vision_model.onnx",
        "onnx/model.onnx",
        "visual/model.onnx",
    ];
    let usual = USUAL.iter().map(|name| folder.join(name));
    if let Some(file) = usual.into_iter().find(|file| file.is_file()) {
        return Ok(file);
    }
    let entries = fs::read_dir(folder).map_err(|source| EncodeError::Unreadable {
        path: folder.to_path_buf(),
        source,
    })?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|e| e == "onnx"))
        .collect();
    files.sort();
    match files.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(EncodeError::WhichModel {
            folder: folder.to_path_buf(),
            found: files,
        }),
    }
}

/// What a pass over the model's bytes tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// sha256 of the file, and of every file of weights that it names.
    pub(super) model: ModelId,
    /// Whether it computes with whole numbers, so that its results depend on the batch (notes: cosine .99985).
    pub(super) quantised: bool,
    /// Bytes of all that.
    pub(super) bytes: u64,
}

/// Reads every file that the model loads once, in pieces: the ONNX file, and the files of weights that it names.
///
/// `<file>_data` and `<file>.data` count by their bytes alone and whether or not the model names them: these are the
/// identities of version 0.1. Every other file counts with its name and length, so that no two sets of files look the same.
///
/// # Errors
/// A file cannot be read, or is another than `sums` say.
pub(super) fn fingerprint(onnx: &Path, sums: &Sums) -> Result<Fingerprint, EncodeError> {
    let mut sum = Sha256::new();
    let mut quantised = false;
    let mut bytes = digest(onnx, sums, &mut sum, &mut quantised)?;
    let mut usual = Vec::new();
    for suffix in ["_data", ".data"] {
        let mut name = onnx.as_os_str().to_owned();
        name.push(suffix);
        let weights = PathBuf::from(name);
        if weights.is_file() {
            bytes += digest(&weights, sums, &mut sum, &mut false)?;
            usual.push(weights);
        }
    }
    for location in named(onnx)? {
        let weights = weights_of(onnx, &location)?;
        if usual.iter().any(|file| same_file(file, &weights)) {
            continue;
        }
        let mut own = Sha256::new();
        let length = digest(&weights, sums, &mut own, &mut false)?;
        sum.update((location.len() as u64).to_le_bytes());
        sum.update(location.as_bytes());
        sum.update(own.finalize());
        bytes += length;
    }
    Ok(Fingerprint {
        model: ModelId(hex(sum)),
        quantised,
        bytes,
    })
}

/// The locations of weights that the model names.
fn named(onnx: &Path) -> Result<BTreeSet<String>, EncodeError> {
    let found = File::open(onnx).and_then(|file| external::locations(BufReader::new(file)));
    found.map_err(|source| EncodeError::Unreadable {
        path: onnx.to_path_buf(),
        source,
    })
}

/// The file at a location that the model names.
fn weights_of(onnx: &Path, location: &str) -> Result<PathBuf, EncodeError> {
    let weights = onnx.parent().unwrap_or(Path::new("")).join(location);
    if !external::stays_inside(location) {
        return Err(EncodeError::WeightsOutside {
            path: onnx.to_path_buf(),
            location: location.to_owned(),
        });
    }
    match fs::metadata(&weights) {
        Ok(metadata) if metadata.is_file() => Ok(weights),
        Ok(_) => Err(EncodeError::WeightsMissing {
            path: onnx.to_path_buf(),
            weights,
            source: io::Error::other("it is no file"),
        }),
        Err(source) => Err(EncodeError::WeightsMissing {
            path: onnx.to_path_buf(),
            weights,
            source,
        }),
    }
}

/// Whether two paths name one file, by links or by other spellings.
fn same_file(a: &Path, b: &Path) -> bool {
    let inode = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((inode(a), inode(b)), (Ok(a), Ok(b)) if a == b)
}

fn hex(sum: Sha256) -> String {
    sum.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Says how many bytes it has read.
fn digest(
    path: &Path,
    sums: &Sums,
    sum: &mut Sha256,
    quantised: &mut bool,
) -> Result<u64, EncodeError> {
    // An operator's name stands in the file as plain text. A false hit costs a little speed, nothing else.
    const WHOLE_NUMBERS: [&[u8]; 4] = [
        b"DynamicQuantizeLinear",
        b"MatMulInteger",
        b"QLinear",
        b"DequantizeLinear",
    ];
    const OVERLAP: usize = 32;
    let unreadable = |source| EncodeError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let wanted = sums.wanted(path);
    let (mut own, mut window) = (Sha256::new(), Vec::new());
    let bytes = disk::in_pieces(&mut file, |piece| {
        sum.update(piece);
        if wanted.is_some() {
            own.update(piece);
        }
        // With the end of the piece before: a name may stand across both.
        window.drain(..window.len().saturating_sub(OVERLAP));
        window.extend_from_slice(piece);
        *quantised = *quantised || WHOLE_NUMBERS.iter().any(|name| contains(&window, name));
    })
    .map_err(unreadable)?;
    match (wanted, hex(own)) {
        (Some(wanted), found) if wanted != found => Err(EncodeError::OtherFile {
            path: path.to_path_buf(),
            wanted: wanted.to_owned(),
            found,
        }),
        _ => Ok(bytes),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|&byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests;
