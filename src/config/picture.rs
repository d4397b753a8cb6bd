//! The sections about pixels and files: `[tile]` and `[mosaic]`. Their bounds are `check`'s.

use crate::artwork::cell::Fit;
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// What spare cells show: `blend` or a colour in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Spare {
    /// The colours of their neighbours' edges.
    Blend,
    /// This colour.
    Colour(Colour),
}

impl From<Spare> for String {
    fn from(spare: Spare) -> Self {
        match spare {
            Spare::Blend => "blend".to_owned(),
            Spare::Colour(colour) => colour.to_string(),
        }
    }
}

impl TryFrom<String> for Spare {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "blend" {
            return Ok(Self::Blend);
        }
        let colour = Colour::try_from(text)
            .map_err(|error| format!("mosaic.spare must be \"blend\" or a colour: {error}"))?;
        Ok(Self::Colour(colour))
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
    /// Behind alpha and letterboxes.
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
    /// What spare cells show.
    pub spare: Spare,
    /// Write `mosaic.jpg`.
    pub jpg: bool,
    /// How many seconds the single files may be older than the tiles; 0: by the number of works.
    pub every_s: u64,
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
            spare: Spare::Blend,
            jpg: true,
            every_s: 0,
            pyramid: true,
            png: false,
            webp: false,
        }
    }
}
