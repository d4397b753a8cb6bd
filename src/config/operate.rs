//! The sections about running it: `[status]` says where the daemon reports, `[publish]` what it starts afterwards.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where `status.json` and `metrics.prom` are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusFiles {
    /// Their folder; empty: the state folder. The output folder publishes them.
    pub folder: PathBuf,
    /// Value of the label `site` on every metric; empty: no label.
    pub site: String,
}

/// How often generations are published, and what is started after each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnPublish {
    /// A program and its arguments, started without a shell; empty: nothing.
    pub command: Vec<String>,
    /// It is killed after this time, seconds.
    pub timeout_s: u64,
    /// Seconds between two generations when works change all the time; 0: 2, and more in large collections.
    pub every_s: u64,
}

impl Default for OnPublish {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            timeout_s: 60,
            every_s: 0,
        }
    }
}

impl super::Config {
    /// The folder of `status.json` and `metrics.prom`.
    pub fn status_folder(&self) -> &Path {
        match self.status.folder.as_os_str().is_empty() {
            true => &self.folders.state,
            false => &self.status.folder,
        }
    }
}
