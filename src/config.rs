//! The configuration: TOML parsed and checked once into values that cannot be wrong.
//!
//! It owns every key, its default, its bounds and its error message. It does not open models, folders or stores:
//! `validate` and the daemon do that with what this file hands them.
//!
//! Invariants: unknown keys are errors that name the key and the nearest known one; every problem of a file is
//! reported at once; `config/mosaicd.toml` (embedded as [`COMMENTED`]) says exactly what [`Config::default`] says.

use crate::{
    artwork::tile::{Fit, TileSpec},
    service::telemetry::LogFormat,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The commented default file, printed by `mosaicd config init`.
pub const COMMENTED: &str = include_str!("../config/mosaicd.toml");

/// A checked configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The three folders.
    pub folders: Folders,
    /// The page around the mosaic.
    pub page: Page,
    /// Noticing changes.
    pub watch: Watch,
    /// Decoding limits.
    pub decode: Decode,
    /// The encoder.
    pub embed: Embed,
    /// The 2-D layout.
    pub layout: Layout,
    /// The grid.
    pub grid: Grid,
    /// A cell's pixels.
    pub tile: Tile,
    /// The output files.
    pub mosaic: Mosaic,
    /// Logging.
    pub log: Log,
}

/// The three folders; relative ones start at the configuration file's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folders {
    /// Watched, never written.
    pub artworks: PathBuf,
    /// Published: mosaic, manifest, viewer.
    pub output: PathBuf,
    /// Private: store, prepared cells.
    pub state: PathBuf,
}

impl Default for Folders {
    fn default() -> Self {
        Self {
            artworks: "artworks".into(),
            output: "output".into(),
            state: "state".into(),
        }
    }
}

/// The page around the mosaic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Title of the page.
    pub title: String,
    /// URL pattern of an original, `{path}` replaced; empty: originals are not linked.
    pub link: String,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            title: "Mosaic".into(),
            link: String::new(),
        }
    }
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchMode {
    /// The kernel's events; scans alone on network file systems.
    Auto,
    /// The kernel's events always.
    Events,
    /// Scans alone.
    Scan,
}

/// What happens when more than half of the works vanish without a deletion having been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MassRemoval {
    /// The last good mosaic stays until confirmed or the grace has passed.
    Hold,
    /// The works go at once.
    Apply,
}

/// Noticing changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// Events, scans or both.
    pub mode: WatchMode,
    /// Quiet time after a file was closed or renamed into place, milliseconds.
    pub settle_ms: u64,
    /// Time a file must stay the same when nobody said that it is finished, milliseconds.
    pub stable_ms: u64,
    /// A full scan at least this often, seconds.
    pub rescan_s: u64,
    /// Patterns of files to leave alone, as in a `.gitignore`.
    pub ignore: Vec<String>,
    /// More than half vanished at once.
    pub mass_removal: MassRemoval,
    /// How long a held removal waits before it is believed, hours.
    pub removal_grace_h: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            mode: WatchMode::Auto,
            settle_ms: 300,
            stable_ms: 2_000,
            rescan_s: 300,
            ignore: Vec::new(),
            mass_removal: MassRemoval::Hold,
            removal_grace_h: 24,
        }
    }
}

/// Decoding limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decode {
    /// Largest file read, megabytes.
    pub max_file_mb: u64,
    /// Largest picture decoded, megapixels.
    pub max_megapixels: u64,
    /// Threads that read and decode; 0: as many as there are processors.
    pub threads: usize,
}

impl Default for Decode {
    fn default() -> Self {
        Self {
            max_file_mb: 256,
            max_megapixels: 100,
            threads: 0,
        }
    }
}

/// What an ONNX model runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// CUDA where library and machine have it, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA; the CPU, with a warning, if that is not possible.
    Cuda,
}

/// The encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Embed {
    /// `builtin`, or a folder or file with an ONNX image encoder.
    pub model: String,
    /// The onnxruntime library; empty: searched.
    pub library: PathBuf,
    /// Threads of one inference; 0: as many as there are processors.
    pub threads: usize,
    /// What inference runs on.
    pub device: Device,
}

impl Default for Embed {
    fn default() -> Self {
        Self {
            model: "builtin".into(),
            library: PathBuf::new(),
            threads: 0,
            device: Device::Auto,
        }
    }
}

/// Which layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutMethod {
    /// UMAP, kept warm.
    Umap,
    /// The first two principal components.
    Pca,
}

/// The 2-D layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// UMAP or PCA.
    pub method: LayoutMethod,
    /// UMAP's `n_neighbors`.
    pub n_neighbors: usize,
    /// UMAP's `min_dist`.
    pub min_dist: f64,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            method: LayoutMethod::Umap,
            n_neighbors: 15,
            min_dist: 0.1,
            seed: 42,
        }
    }
}

/// Which grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GridMethod {
    /// Placed works stay; arrivals go into spare cells.
    Incremental,
    /// The post's two-stage sort, redone after every change.
    Rows,
}

/// The grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grid {
    /// Incremental or rows.
    pub method: GridMethod,
    /// Fixed number of columns; 0: from `aspect`.
    pub columns: u32,
    /// Width divided by height.
    pub aspect: f64,
    /// Share of spare cells.
    pub reserve: f64,
    /// The dial between "nothing moves" and "as good as from scratch".
    pub lambda: f64,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            method: GridMethod::Incremental,
            columns: 0,
            aspect: 1.0,
            reserve: 0.06,
            lambda: 1.0,
        }
    }
}

/// An sRGB colour, `#rrggbb` in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Colour(pub [u8; 3]);

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("not a colour like \"#101418\": {text:?}");
        let digits = text
            .strip_prefix('#')
            .filter(|d| d.len() == 6 && d.is_ascii())
            .ok_or_else(wrong)?;
        let number = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
        let [_, r, g, b] = number.to_be_bytes();
        Ok(Self([r, g, b]))
    }
}

/// A cell's pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tile {
    /// Side of a cell, pixels: a power of two.
    pub size_px: u32,
    /// How a picture fills its cell.
    pub fit: Fit,
    /// Behind alpha, letterboxes and spare cells.
    pub background: Colour,
}

impl Default for Tile {
    fn default() -> Self {
        Self {
            size_px: 128,
            fit: Fit::Cover,
            background: Colour([0x10, 0x12, 0x16]),
        }
    }
}

/// Chroma subsampling of the JPEG files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subsampling {
    /// Half the chroma in both directions.
    #[serde(rename = "4:2:0")]
    S420,
    /// Full chroma.
    #[serde(rename = "4:4:4")]
    S444,
}

/// The output files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mosaic {
    /// JPEG quality.
    pub quality: u8,
    /// JPEG chroma subsampling.
    pub subsampling: Subsampling,
    /// Write the Deep Zoom pyramid.
    pub pyramid: bool,
    /// Write `mosaic.png` too.
    pub png: bool,
    /// Write `mosaic.webp` (lossless) too.
    pub webp: bool,
}

impl Default for Mosaic {
    fn default() -> Self {
        Self {
            quality: 85,
            subsampling: Subsampling::S420,
            pyramid: true,
            png: false,
            webp: false,
        }
    }
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// Form of the lines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, also by target: `warn,mosaicd::watch=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".into(),
        }
    }
}

/// A configuration that cannot be used; the process exits with 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why, from the parser.
        message: String,
    },
    /// Keys or values that are wrong, all of them.
    #[error("{path}: {}", problems.join("; "))]
    Wrong {
        /// The file, or `command line`.
        path: PathBuf,
        /// One sentence each.
        problems: Vec<String>,
    },
}

impl Config {
    /// Reads and checks a file. Relative folders, model and library paths start at the file's folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let mut config = Self::parse(&text, path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let folders = &mut config.folders;
        for folder in [
            &mut folders.artworks,
            &mut folders.output,
            &mut folders.state,
        ] {
            *folder = base.join(&*folder);
        }
        if config.embed.model != "builtin" {
            config.embed.model = base
                .join(&config.embed.model)
                .to_string_lossy()
                .into_owned();
        }
        if !config.embed.library.as_os_str().is_empty() {
            config.embed.library = base.join(&config.embed.library);
        }
        Ok(config)
    }

    /// Parses and checks a file's text; `path` is for messages alone.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parse = |error: toml::de::Error| ConfigError::Parse {
            path: path.into(),
            message: error.to_string().trim_end().to_owned(),
        };
        let table: toml::Table = text.parse().map_err(parse)?;
        let known = toml::Table::try_from(Self::default()).unwrap_or_default();
        let mut problems = Vec::new();
        unknown_keys(&table, &known, "", &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Wrong {
                path: path.into(),
                problems,
            });
        }
        let config: Self = toml::from_str(text).map_err(parse)?;
        config.check(path)?;
        Ok(config)
    }

    /// Checks the bounds of every value; `path` is for messages alone.
    pub fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut need = |good: bool, text: &str| {
            if !good {
                problems.push(text.to_owned());
            }
        };
        let (watch, tile) = (&self.watch, &self.tile);
        need(
            (10..=3_600_000).contains(&watch.settle_ms),
            "watch.settle_ms must be 10 to 3600000",
        );
        need(
            (10..=3_600_000).contains(&watch.stable_ms),
            "watch.stable_ms must be 10 to 3600000",
        );
        need(
            (1..=86_400).contains(&watch.rescan_s),
            "watch.rescan_s must be 1 to 86400",
        );
        need(
            watch.removal_grace_h <= 8_760,
            "watch.removal_grace_h must be at most 8760, a year",
        );
        need(
            (1..=16_384).contains(&self.decode.max_file_mb),
            "decode.max_file_mb must be 1 to 16384",
        );
        need(
            (1..=2_000).contains(&self.decode.max_megapixels),
            "decode.max_megapixels must be 1 to 2000",
        );
        need(
            self.decode.threads <= 1_024,
            "decode.threads must be at most 1024",
        );
        need(
            !self.embed.model.is_empty(),
            "embed.model must be \"builtin\", or a folder or file with an ONNX model",
        );
        need(
            self.embed.threads <= 1_024,
            "embed.threads must be at most 1024",
        );
        need(
            (2..=200).contains(&self.layout.n_neighbors),
            "layout.n_neighbors must be 2 to 200",
        );
        need(
            (0.0..=1.0).contains(&self.layout.min_dist),
            "layout.min_dist must be 0 to 1",
        );
        need(
            self.grid.columns <= 100_000,
            "grid.columns must be at most 100000",
        );
        need(
            (0.05..=20.0).contains(&self.grid.aspect),
            "grid.aspect (width / height) must be 0.05 to 20",
        );
        need(
            (0.0..=0.5).contains(&self.grid.reserve),
            "grid.reserve must be 0 to 0.5",
        );
        need(
            (0.0..=1000.0).contains(&self.grid.lambda),
            "grid.lambda must be 0 to 1000",
        );
        need(
            tile.size_px.is_power_of_two() && (16..=1024).contains(&tile.size_px),
            "tile.size_px must be a power of two from 16 to 1024",
        );
        need(
            (1..=100).contains(&self.mosaic.quality),
            "mosaic.quality must be 1 to 100",
        );
        need(
            self.page.link.is_empty() || self.page.link.contains("{path}"),
            "page.link must contain {path}, as in \"https://example.org/art/{path}\"",
        );
        if problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Wrong {
            path: path.into(),
            problems,
        })
    }

    /// Makes the folders' paths absolute: the watcher needs it, and a change of the working directory cannot matter.
    pub fn absolute(mut self) -> Self {
        let folders = &mut self.folders;
        for folder in [
            &mut folders.artworks,
            &mut folders.output,
            &mut folders.state,
        ] {
            if let Ok(path) = std::path::absolute(&*folder) {
                *folder = path;
            }
        }
        self
    }

    /// What decides a cell's pixels.
    pub fn tile_spec(&self) -> TileSpec {
        TileSpec {
            px: self.tile.size_px,
            fit: self.tile.fit,
            background: self.tile.background.0,
        }
    }
}

fn unknown_keys(
    table: &toml::Table,
    known: &toml::Table,
    prefix: &str,
    problems: &mut Vec<String>,
) {
    for (key, value) in table {
        let full = format!("{prefix}{key}");
        match (known.get(key), value) {
            (None, _) => {
                let near = known
                    .keys()
                    .map(|k| (strsim::damerau_levenshtein(k, key), k))
                    .min()
                    .map_or(String::new(), |(_, k)| {
                        format!(" (did you mean {prefix}{k}?)")
                    });
                problems.push(format!("unknown key {full}{near}"));
            }
            (Some(toml::Value::Table(inner)), toml::Value::Table(own)) => {
                unknown_keys(own, inner, &format!("{full}."), problems);
            }
            (Some(toml::Value::Table(_)), _) => {
                problems.push(format!("{full} must be a section, [{full}]"))
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("m.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_commented_file_is_the_default_and_names_every_key() {
        assert_eq!(
            parse(COMMENTED).expect("the embedded file is good"),
            Config::default()
        );
        let file: toml::Table = COMMENTED.parse().expect("it is TOML");
        assert_eq!(
            file,
            toml::Table::try_from(Config::default()).expect("it serialises")
        );
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("").expect("empty is good"), Config::default());
    }

    #[test]
    fn unknown_keys_name_the_nearest_known_one() {
        let error = parse("[grid]\nreserv = 0.1\ncolums = 3\n").expect_err("two unknown keys");
        assert!(
            error.contains("unknown key grid.reserv (did you mean grid.reserve?)"),
            "{error}"
        );
        assert!(
            error.contains("unknown key grid.colums (did you mean grid.columns?)"),
            "{error}"
        );
    }

    #[test]
    fn every_bound_is_reported_at_once() {
        let error =
            parse("[tile]\nsize_px = 100\n[mosaic]\nquality = 0\n").expect_err("both are wrong");
        assert!(
            error.contains("tile.size_px") && error.contains("mosaic.quality"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_type_names_its_line() {
        let error = parse("[grid]\nreserve = \"much\"\n").expect_err("text is no number");
        assert!(error.contains("line 2"), "{error}");
        assert!(
            parse("[tile]\nbackground = \"blue\"\n")
                .expect_err("no colour")
                .contains("#101418")
        );
    }

    #[test]
    fn nan_is_out_of_bounds() {
        assert!(parse("[grid]\naspect = nan\n").is_err());
    }
}
