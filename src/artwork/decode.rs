//! Decoding bytes into pixels, guarded.

/// A decoded picture: sRGB, upright, 8 bits a channel, straight alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels, > 0.
    pub width: u32,
    /// Height in pixels, > 0.
    pub height: u32,
    /// `height × width × 4` bytes, row-major RGBA.
    pub rgba: Vec<u8>,
}
