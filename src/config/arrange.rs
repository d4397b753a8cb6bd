//! The sections about where a work goes: `[layout]` and `[grid]`. Their bounds are `check`'s.

use serde::{Deserialize, Serialize};
use std::fmt;

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

/// When the whole grid may be polished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Polish {
    /// Whenever nothing has been published for a while.
    #[default]
    Quiet,
    /// In the hour from this time of the machine's clock on, minutes since midnight.
    At(u16),
    /// Never.
    Never,
}

impl fmt::Display for Polish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet => f.write_str("quiet"),
            Self::Never => f.write_str("never"),
            Self::At(minute) => write!(f, "{:02}:{:02}", minute / 60, minute % 60),
        }
    }
}

impl From<Polish> for String {
    fn from(polish: Polish) -> Self {
        polish.to_string()
    }
}

impl TryFrom<String> for Polish {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |digits: &str, below: u16| {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|&n: &u16| plain && n < below)
        };
        let time =
            |(hours, minutes)| Some(Self::At(60 * number(hours, 24)? + number(minutes, 60)?));
        match text.as_str() {
            "quiet" => Ok(Self::Quiet),
            "never" => Ok(Self::Never),
            text => text.split_once(':').and_then(time).ok_or_else(|| {
                format!("grid.polish must be \"quiet\", \"never\" or a time like \"03:00\", not {text:?}")
            }),
        }
    }
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
    /// When the whole grid may be polished.
    pub polish: Polish,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            method: GridMethod::Incremental,
            columns: 0,
            aspect: 1.0,
            reserve: 0.06,
            lambda: 1.0,
            polish: Polish::Quiet,
        }
    }
}
