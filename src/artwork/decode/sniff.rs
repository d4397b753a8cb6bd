//! Recognising a file's format by its first bytes, and naming those that mosaicd does not decode.
//!
//! Source: the formats' signatures; ISO 14496-12 for the `ftyp` brands of AVIF, HEIC and video.

use super::{DecodeError, Format};

/// The format of `bytes`, or the error that names what they are instead.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, DecodeError> {
    const DECODED: &[(&[u8], Format)] = &[
        (b"\x89PNG\r\n\x1a\n", Format::Png),
        (b"\xff\xd8\xff", Format::Jpeg),
        (b"GIF87a", Format::Gif),
        (b"GIF89a", Format::Gif),
        (b"II\x2a\0", Format::Tiff),
        (b"MM\0\x2a", Format::Tiff),
        (b"II\x2b\0\x08\0\0\0", Format::Tiff),
        (b"MM\0\x2b\0\x08\0\0", Format::Tiff),
        (b"\xff\x0a", Format::JpegXl),
        (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", Format::JpegXl),
    ];
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if let Some(&(_, format)) = DECODED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Ok(format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    if is_bmp(bytes) {
        return Ok(Format::Bmp);
    }
    // An upload's first bytes may be the beginning of a signature and no more.
    if let Some(&(_, format)) = DECODED.iter().find(|(magic, _)| magic.starts_with(bytes)) {
        return Err(DecodeError::Truncated {
            format: format.name(),
        });
    }
    match unsupported(bytes) {
        Some("AVIF") => Ok(Format::Avif),
        Some("SVG") => Ok(Format::Svg),
        Some(name) => Err(DecodeError::Unsupported(name)),
        None => Err(DecodeError::NotAPicture),
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
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
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

/// Names a file of markup by its first element, whatever comments and declarations stand before it. An HTML page that
/// holds drawings is a page.
fn markup(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(16_384)];
    let text = match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            // UTF-16: its ASCII is enough here.
            head[2..]
                .iter()
                .copied()
                .filter(|&byte| byte != 0)
                .collect()
        }
        _ => head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).to_vec(),
    };
    let mut rest = text.trim_ascii_start();
    if !rest.starts_with(b"<") {
        return None;
    }
    loop {
        rest = rest.trim_ascii_start();
        let end: &[u8] = match rest {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            [b'<', b'!', ..] if rest.to_ascii_lowercase().starts_with(b"<!doctype html") => {
                return Some("HTML page");
            }
            // A declaration may have entities of its own in brackets.
            [b'<', b'!', ..] => match memchr::memchr2(b'[', b'>', rest) {
                Some(at) if rest[at] == b'[' => b"]>",
                _ => b">",
            },
            _ => break,
        };
        match memchr::memmem::find(rest, end) {
            Some(at) => rest = &rest[at + end.len()..],
            None => return Some("XML"),
        }
    }
    let name = rest.get(1..).unwrap_or_default();
    let len = name
        .iter()
        .take_while(|byte| !byte.is_ascii_whitespace() && !b"/>".contains(byte));
    let name = name[..len.count()].to_ascii_lowercase();
    Some(match name.rsplit(|&byte| byte == b':').next() {
        Some(b"svg") => "SVG",
        Some(b"html" | b"head" | b"body") => "HTML page",
        _ => "XML",
    })
}
