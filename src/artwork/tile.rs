//! Preparing the square cell that the mosaic shows of a picture.

use serde::{Deserialize, Serialize};

/// How a picture fills its square cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Scale until the cell is covered, crop the rest around the centre.
    #[default]
    Cover,
    /// The 2022 post's recipe: squeeze to a square of twice the cell, keep its centre.
    PreCrop,
    /// Scale until the picture fits, fill the rest with the background.
    Letterbox,
}

/// Everything that decides a cell's pixels besides the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TileSpec {
    /// Side of the cell, pixels.
    pub px: u32,
    /// How the picture fills it.
    pub fit: Fit,
    /// Colour behind alpha and letterboxes, sRGB.
    pub background: [u8; 3],
}

/// A prepared cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Side, pixels.
    pub px: u32,
    /// `px × px × 3` bytes, row-major RGB.
    pub rgb: Vec<u8>,
}
