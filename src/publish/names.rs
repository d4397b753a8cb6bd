//! The names of everything mosaicd writes to an output folder, and the patterns that distinguish our files from others.
//!
//! Invariant: a name that a generation owns carries a checksum of its content, so it is never written twice with
//! different bytes; only a file whose name parses here is ever collected.

/// The manifest: the one file whose rename publishes a generation.
pub const MANIFEST: &str = "manifest.json";
/// A few bytes that say which generation the manifest holds, cheap to poll.
pub const LATEST: &str = "latest.json";
/// The manifest as a script, for a viewer opened straight from disk.
pub const MANIFEST_JS: &str = "manifest.js";
/// [`LATEST`] as a script, likewise.
pub const LATEST_JS: &str = "latest.js";
/// The Deep Zoom descriptor for third-party viewers.
pub const DZI: &str = "mosaic.dzi";
/// Where a Deep Zoom viewer looks for that descriptor's tiles.
pub const DZI_TILES: &str = "mosaic_files";
/// Where content-addressed tiles live.
pub const TILES: &str = "t";
/// Where renditions of whole works live.
pub const LARGE: &str = "large";
/// Where the page's own files live.
pub const PAGE: &str = "p";
/// Where works have pages of their own.
pub const WORK_PAGES: &str = "w";
/// Extension of a tile, and Deep Zoom's `Format`.
pub const TILE_FORMAT: &str = "jpg";

/// The kinds of whole-image files; each has a name per generation and a stable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MosaicKind {
    /// `mosaic.jpg`
    Mosaic,
    /// `preview.jpg`
    Preview,
    /// `mosaic.png`
    Png,
    /// `mosaic.webp`
    Webp,
}

impl MosaicKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Mosaic, Self::Preview, Self::Png, Self::Webp];

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Mosaic => ("mosaic", "jpg"),
            Self::Preview => ("preview", "jpg"),
            Self::Png => ("mosaic", "png"),
            Self::Webp => ("mosaic", "webp"),
        }
    }

    /// The name that always shows the newest generation.
    pub fn stable(self) -> String {
        let (stem, extension) = self.parts();
        format!("{stem}.{extension}")
    }

    /// The name of one generation's file; `crc` is the CRC-32 of its bytes.
    pub fn of(self, generation: u64, crc: u32) -> String {
        let (stem, extension) = self.parts();
        format!("{stem}-{generation}-{crc:08x}.{extension}")
    }
}

/// Generation and checksum in the name of a generation's whole-image file.
pub fn parse_mosaic_file(name: &str) -> Option<(MosaicKind, u64, u32)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let (stem, crc) = stem.rsplit_once('-')?;
    let (stem, generation) = stem.rsplit_once('-')?;
    let kind = MosaicKind::ALL
        .into_iter()
        .find(|kind| kind.parts() == (stem, extension))?;
    Some((kind, number(generation)?, hex(crc)?))
}

/// Path of a tile below the output folder; `hash` is the first four bytes of its content's BLAKE3.
pub fn tile(level: u32, col: u32, row: u32, hash: u32) -> String {
    format!("{TILES}/{level}/{col}_{row}-{hash:08x}.{TILE_FORMAT}")
}

/// Column, row and hash in the file name of a tile.
pub fn parse_tile(name: &str) -> Option<(u32, u32, u32)> {
    let (at, hash) = name
        .strip_suffix(TILE_FORMAT)?
        .strip_suffix('.')?
        .split_once('-')?;
    let (col, row) = at.split_once('_')?;
    Some((number(col)?, number(row)?, hex(hash)?))
}

/// What the file name of a rendition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeName {
    /// First half of the hash of the work's file.
    pub content: [u8; 16],
    /// What decided its pixels besides the work, `LargeSpec::tag`.
    pub tag: u32,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
}

impl LargeName {
    /// Path below the output folder. Work and spec decide the bytes, so they are never others under this name.
    pub fn path(&self) -> String {
        let Self {
            content,
            tag,
            width,
            height,
        } = self;
        let content = u128::from_be_bytes(*content);
        format!(
            "{LARGE}/{:02x}/{content:032x}-{tag:08x}-{width}x{height}.jpg",
            self.content[0]
        )
    }

    /// Reads the file name alone.
    pub fn parse(name: &str) -> Option<Self> {
        let (content, rest) = name.strip_suffix(".jpg")?.split_once('-')?;
        let (tag, size) = rest.split_once('-')?;
        let (width, height) = size.split_once('x')?;
        let (high, low) = (content.get(..16)?, content.get(16..)?);
        let content = (u128::from(hex64(high)?) << 64) | u128::from(hex64(low)?);
        Some(Self {
            content: content.to_be_bytes(),
            tag: hex(tag)?,
            width: number(width)?,
            height: number(height)?,
        })
    }
}

/// Whether a folder below `large/` is one of ours.
pub fn is_large_folder(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Path of one of the page's own files below the output folder; `hash` is that of its content.
pub fn page(stem: &str, hash: u32) -> String {
    format!("{PAGE}/{stem}-{hash:08x}.json")
}

/// Hash in the file name of one of the page's own files.
pub fn parse_page(name: &str) -> Option<u32> {
    let (stem, hash) = name.strip_suffix(".json")?.rsplit_once('-')?;
    let (kind, numbers) = stem.split_once('-').unwrap_or((stem, "0"));
    let kinds = [
        "head", "delta", "cells", "text", "near", "facet", "words", "tiles",
    ];
    let numbered = numbers.split('-').all(|n| number::<u64>(n).is_some());
    (kinds.contains(&kind) && numbered)
        .then(|| hex(hash))
        .flatten()
}

/// The folder of a work's own page: no folder holds more than a thousand.
pub fn shard(id: u64) -> u64 {
    id / 1000
}

/// Path of a work's own page below the output folder.
pub fn work_page(id: u64) -> String {
    format!("{WORK_PAGES}/{}/{id}.html", shard(id))
}

/// The work in the file name of its page.
pub fn parse_work_page(name: &str) -> Option<u64> {
    number(name.strip_suffix(".html")?)
}

/// Path of the same file, compressed.
pub fn compressed(name: &str) -> String {
    format!("{name}.gz")
}

/// Path of a tile for third-party viewers.
pub fn dzi_tile(level: u32, col: u32, row: u32) -> String {
    format!("{DZI_TILES}/{level}/{col}_{row}.{TILE_FORMAT}")
}

/// Column and row in the file name of a tile for third-party viewers.
pub fn parse_dzi_tile(name: &str) -> Option<(u32, u32)> {
    let (col, row) = name
        .strip_suffix(TILE_FORMAT)?
        .strip_suffix('.')?
        .split_once('_')?;
    Some((number(col)?, number(row)?))
}

/// The number of a level's folder.
pub fn parse_level(name: &str) -> Option<u32> {
    number(name).filter(|&level| level < 32)
}

/// First four bytes of the content's BLAKE3.
pub fn hash(bytes: &[u8]) -> u32 {
    let hash = blake3::hash(bytes);
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A decimal number exactly as we write it: digits only, no leading zero.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn hex(text: &str) -> Option<u32> {
    let number = (text.len() == 8).then(|| digits(text)).flatten()?;
    u32::try_from(number).ok()
}

fn hex64(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| digits(text)).flatten()
}

/// Hexadecimal digits as we write them, in lower case.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_parse_back() {
        for kind in MosaicKind::ALL {
            let name = kind.of(12, 0xab);
            assert_eq!(parse_mosaic_file(&name), Some((kind, 12, 0xab)));
        }
        let name = tile(9, 3, 0, 0xdead_beef);
        assert_eq!(name, "t/9/3_0-deadbeef.jpg");
        assert_eq!(parse_tile("3_0-deadbeef.jpg"), Some((3, 0, 0xdead_beef)));
        assert_eq!(parse_dzi_tile("3_0.jpg"), Some((3, 0)));
        let mut content = [0xee; 16];
        content[0] = 0x0a;
        let large = LargeName {
            content,
            tag: 0xdead_beef,
            width: 1024,
            height: 7,
        };
        let (folder, name) = large
            .path()
            .rsplit_once('/')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("a folder");
        assert_eq!(folder, "large/0a");
        assert_eq!(LargeName::parse(&name), Some(large));
        assert!(is_large_folder("0a") && !is_large_folder("0A") && !is_large_folder("a"));
        for stem in ["head", "cells-0", "tiles-12-3"] {
            let name = page(stem, 0xab);
            assert_eq!(parse_page(&name[2..]), Some(0xab), "{name}");
        }
    }

    #[test]
    fn other_names_do_not() {
        for name in [
            "mosaic.jpg",
            "mosaic-1-zz.jpg",
            "mosaic-01-00000000.jpg",
            "mosaic-1-0000000A.jpg",
            "photo-1-00000000.jpg",
            "mosaic-1-00000000.gif",
            "mosaic--1-00000000.jpg",
        ] {
            assert_eq!(parse_mosaic_file(name), None, "{name}");
        }
        for name in [
            "3_0.jpg",
            "a_0-deadbeef.jpg",
            "3_0-deadbeef.jpg.bak",
            "+3_0-deadbeef.jpg",
        ] {
            assert_eq!(parse_tile(name), None, "{name}");
        }
        assert_eq!(parse_dzi_tile("3_0-deadbeef.jpg"), None);
        for name in ["0a-deadbeef-1x1.jpg", "0a", "-", "0a-deadbeef-01x1.jpg"] {
            assert_eq!(LargeName::parse(name), None, "{name}");
        }
        for name in [
            "head.json",
            "note-000000ab.json",
            "cells-x-000000ab.json",
            "head-000000ab.js",
        ] {
            assert_eq!(parse_page(name), None, "{name}");
        }
        assert_eq!(parse_level("07"), None);
        assert_eq!(parse_level("40"), None);
    }
}
