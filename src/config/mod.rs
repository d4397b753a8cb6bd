//! The configuration: TOML parsed and checked once into values that cannot be wrong.
//!
//! The door of the room. It owns every key, its default, its bounds and its error message; it does not open models,
//! folders or stores: `validate` and the daemon do that with the values it gives them.
//!
//! | file | owns |
//! | --- | --- |
//! | `folders`, `intake`, `arrange`, `picture`, `operate` | the sections and their defaults |
//! | `read` | file → table → [`Config`], unknown keys, [`ConfigError`] |
//! | `check` | the bounds of every value |
//! | `changes` | what a reload changes, and what it cannot |
//!
//! Invariants: unknown keys are errors that name the key and the nearest known one; every problem of a file is reported
//! at once; `config/mosaicd.toml` (embedded as [`COMMENTED`]) has exactly the values of [`Config::default`].

mod arrange;
mod changes;
mod check;
mod folders;
mod intake;
mod operate;
mod picture;
mod read;

pub use arrange::{Grid, GridMethod, Layout, LayoutMethod, Polish};
pub use changes::{Change, changes};
pub use folders::{Folder, Folders, Language, Page};
pub use intake::{Decode, Device, Embed, MassRemoval, Watch, WatchMode};
pub use operate::{OnPublish, StatusFiles};
pub use picture::{Colour, Mosaic, Spare, Subsampling, Tile};
pub use read::ConfigError;

use crate::{artwork::cell::CellSpec, service::telemetry::LogFormat};
use serde::{Deserialize, Serialize};

/// The commented default file, printed by `mosaicd config init`.
pub const COMMENTED: &str = include_str!("../../config/mosaicd.toml");

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
    /// What is started after each generation.
    pub publish: OnPublish,
    /// Where the daemon reports.
    pub status: StatusFiles,
    /// Logging.
    pub log: Log,
    /// Several watched folders, instead of `folders.artworks`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folder: Vec<Folder>,
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

impl Config {
    /// Makes the folders' paths absolute: the watcher needs it, and a change of the working directory cannot matter.
    pub fn absolute(mut self) -> Self {
        for folder in self.folder_paths() {
            if let Ok(path) = std::path::absolute(&*folder) {
                *folder = path;
            }
        }
        self
    }

    /// What decides a cell's pixels.
    pub fn cell_spec(&self) -> CellSpec {
        CellSpec {
            px: self.tile.size_px,
            fit: self.tile.fit,
            background: self.tile.background.0,
        }
    }
}

#[cfg(test)]
mod tests;
