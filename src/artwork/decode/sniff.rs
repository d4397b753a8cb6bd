//! Telling a file's format from its first bytes, and naming those that mosaicd does not decode.
//!
//! Source: the formats' signatures; ISO 14496-12 for the `ftyp` brands of AVIF, HEIC and video.

use super::DecodeError;
use image::ImageFormat;

/// The format of `bytes`, or the error that names what they are instead.
pub(super) fn sniff(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    const DECODED: &[(&[u8], ImageFormat)] = &[
        (b"\x89PNG\r\n\x1a\n", ImageFormat::Png),
        (b"\xff\xd8\xff", ImageFormat::Jpeg),
        (b"GIF87a", ImageFormat::Gif),
        (b"GIF89a", ImageFormat::Gif),
        (b"II\x2a\0", ImageFormat::Tiff),
        (b"MM\0\x2a", ImageFormat::Tiff),
    ];
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if let Some(&(_, format)) = DECODED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Ok(format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(ImageFormat::WebP);
    }
    if is_bmp(bytes) {
        return Ok(ImageFormat::Bmp);
    }
    // An upload's first bytes may be the beginning of a signature and no more.
    if let Some(&(_, format)) = DECODED.iter().find(|(magic, _)| magic.starts_with(bytes)) {
        return Err(DecodeError::Truncated {
            format: name(format),
        });
    }
    Err(unsupported(bytes).map_or(DecodeError::NotAPicture, DecodeError::Unsupported))
}

/// The format's name for people.
pub(super) fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        _ => "picture",
    }
}

/// `BM` alone also begins words; a header size that exists makes it a bitmap.
fn is_bmp(bytes: &[u8]) -> bool {
    let header = bytes
        .get(14..18)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    bytes.starts_with(b"BM") && matches!(header, Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

fn unsupported(bytes: &[u8]) -> Option<&'static str> {
    const NAMED: &[(&[u8], &str)] = &[
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"II\x2b\0", "BigTIFF"),
        (b"MM\0\x2b", "BigTIFF"),
        (b"8BPS", "PSD"),
        (b"gimp xcf", "XCF"),
        (b"\0\0\x01\0", "ICO"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"qoif", "QOI"),
        (b"farbfeld", "farbfeld"),
        (b"DDS ", "DDS"),
        (b"\xabKTX ", "KTX"),
        (b"\x1a\x45\xdf\xa3", "video (Matroska or WebM)"),
        (b"OggS", "video or audio (Ogg)"),
        (b"%PDF", "PDF"),
        (b"%!PS", "PostScript"),
        (b"PK\x03\x04", "ZIP archive"),
        (b"\x1f\x8b", "gzip archive"),
        (
            b"version https://git-lfs",
            "Git LFS pointer, not the file itself",
        ),
    ];
    if let Some(&(_, name)) = NAMED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(name);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(iso_media(bytes.get(8..).unwrap_or_default()));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"AVI ") {
        return Some("video (AVI)");
    }
    if matches!(bytes, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace()) {
        return Some("Netpbm");
    }
    markup(bytes)
}

/// Names a file of the ISO media family; `brands` begins at the major brand.
fn iso_media(brands: &[u8]) -> &'static str {
    let brands = &brands[..brands.len().min(64)];
    let any = |wanted: &[&[u8]]| brands.chunks_exact(4).any(|brand| wanted.contains(&brand));
    if any(&[b"avif", b"avis"]) {
        "AVIF"
    } else if any(&[
        b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1",
    ]) {
        "HEIC"
    } else {
        "video (MP4 or QuickTime)"
    }
}

fn markup(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(1024)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = head.trim_ascii_start().to_ascii_lowercase();
    let has = |needle: &[u8]| text.windows(needle.len()).any(|w| w == needle);
    if !text.starts_with(b"<") {
        None
    } else if has(b"<svg") {
        Some("SVG")
    } else if has(b"<html") || text.starts_with(b"<!doctype html") {
        Some("HTML page")
    } else {
        Some("XML")
    }
}
