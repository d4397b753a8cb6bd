//! Drawing a mosaic: JPEG splicing, mips, Deep Zoom arithmetic, composition of tiles.
//!
//! The door of a pure room: pixels and bytes go in, bytes come out. `publish` knows which cells exist, where they are
//! kept, and where the bytes go; nothing here touches a file, a clock or a thread.
//!
//! Invariants: a spliced JPEG decodes to the same pixels as one whole encode of the same picture; a tile drawn after
//! a change equals the tile of a pyramid drawn from scratch.

pub mod blend;
pub mod jpeg;
pub mod mips;
pub mod patch;
pub mod pieces;
pub mod pyramid;
pub mod tile;

/// Raised whenever the same input begins to give other pixels or tiles of another structure, so that published tiles
/// are drawn again.
pub const RENDER_VERSION: u32 = 2;
