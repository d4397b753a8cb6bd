//! Why a file is not a usable picture, in words for the owner.

use std::borrow::Cow;

/// The end of a refusal where another file would help.
const ADVICE: &str = "save it as PNG or JPEG";

/// Why a file is not a usable picture. The texts are short because the status shows them next to the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes at all: often an upload that has just begun.
    #[error("the file is empty; upload it again")]
    Empty,
    /// The file ends before the picture does: often an upload under way.
    #[error("the {format} file is cut short; upload it again")]
    Truncated {
        /// The format's name.
        format: &'static str,
    },
    /// A file of a known kind that mosaicd has no decoder for.
    #[error("unsupported: {0}; {ADVICE}")]
    Unsupported(&'static str),
    /// A variant of a known format that is not decoded.
    #[error("unsupported: {format}, {what}; {ADVICE}")]
    UnsupportedVariant {
        /// The format's name.
        format: &'static str,
        /// What is not supported, in the owner's terms.
        what: Cow<'static, str>,
    },
    /// A format that the configuration leaves out.
    #[error("{format} is turned off in decode.formats; {ADVICE}")]
    TurnedOff {
        /// The format's name.
        format: &'static str,
    },
    /// The content is of no known picture format.
    #[error("not a picture (unknown content); {ADVICE}")]
    NotAPicture,
    /// A side is zero pixels long.
    #[error("the picture has no pixels ({width} × {height}); {ADVICE}")]
    ZeroSize {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// The header promises more pixels than the limit.
    #[error(
        "too large: {width} × {height} pixels (decode.max_megapixels allows {} million); save it smaller",
        max_pixels / 1_000_000
    )]
    TooManyPixels {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// Decoding would need more memory than the limit.
    #[error(
        "too large: {width} × {height} pixels of this kind need {} MB to decode (decode.max_megapixels allows {}); save it \
         smaller, or as PNG or JPEG",
        bytes / 1_000_000,
        max_alloc_bytes / 1_000_000
    )]
    TooManyBytes {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Estimated need.
        bytes: u64,
        /// The limit.
        max_alloc_bytes: u64,
    },
    /// The decoder itself ran into the limit on memory.
    #[error(
        "the {format} file needs more memory to decode than decode.max_megapixels allows; save it smaller, or as PNG or JPEG"
    )]
    LimitReached {
        /// The format's name.
        format: &'static str,
    },
    /// The content is wrong.
    #[error("damaged {format}: {what}; save or upload it again")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The decoder panicked; the panic was caught.
    #[error("the {format} file cannot be decoded; {ADVICE}")]
    Panicked {
        /// The format's name.
        format: &'static str,
        /// The panic's message, for the log alone.
        message: String,
    },
}

impl DecodeError {
    /// Whether the file may simply not be complete yet, so that the caller should look again soon.
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Empty | Self::Truncated { .. })
    }
}
