//! The sections about what comes in: `[watch]`, `[decode]`, `[embed]`. Their bounds are `check`'s.

use crate::artwork::decode::{Format, Formats};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
    /// Time a file that was written to but not closed must stay the same, seconds.
    pub open_s: u64,
    /// A full scan at least this often, seconds.
    pub rescan_s: u64,
    /// Patterns of files to leave alone, as in a `.gitignore`.
    pub ignore: Vec<String>,
    /// A file with more of them that lies elsewhere; empty: none.
    pub rules: PathBuf,
    /// More than half vanished at once.
    pub mass_removal: MassRemoval,
    /// How long a removal is held before it takes effect, hours.
    pub removal_grace_h: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            mode: WatchMode::Auto,
            settle_ms: 300,
            stable_ms: 2_000,
            open_s: 600,
            rescan_s: 300,
            ignore: Vec::new(),
            rules: PathBuf::new(),
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
    /// Most memory that decoding one file may take, megabytes; 0: what a picture of its size needs.
    pub memory_mb: u64,
    /// Longest that decoding one file may take, seconds of a processor.
    pub seconds: u64,
    /// Processes that decode, and threads that read; 0: as many as there are processors.
    pub threads: usize,
    /// The formats that are decoded, by their keys.
    pub formats: Vec<String>,
}

impl Decode {
    /// The formats that are decoded.
    pub fn formats(&self) -> Formats {
        self.formats
            .iter()
            .filter_map(|key| key.parse().ok())
            .collect()
    }
}

impl Default for Decode {
    fn default() -> Self {
        Self {
            max_file_mb: 256,
            max_megapixels: 100,
            memory_mb: 0,
            seconds: 60,
            threads: 0,
            formats: Format::ALL.map(|format| format.key().to_owned()).into(),
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
    /// Threads of inference in all; 0: as many as there are processors.
    pub threads: usize,
    /// Copies of the model that share the threads, on the CPU, at most one per thread; 0: up to 4 where there is memory.
    pub sessions: usize,
    /// What inference runs on.
    pub device: Device,
    /// A file with words for the regions of the mosaic; empty: none.
    pub vocabulary: PathBuf,
    /// How much the look counts with an ONNX model, 0 to 1.
    pub look: f64,
}

impl Default for Embed {
    fn default() -> Self {
        Self {
            model: "builtin".into(),
            library: PathBuf::new(),
            threads: 0,
            sessions: 0,
            device: Device::Auto,
            vocabulary: PathBuf::new(),
            look: 0.0,
        }
    }
}
