//! Decoding stays within its limits, whatever a header says.

use super::*;

/// A PNG header that claims a size and has no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 6, 0, 0, 0]);
    bytes.extend(13_u32.to_be_bytes());
    bytes.extend(&chunk);
    bytes.extend(crc32fast::hash(&chunk).to_be_bytes());
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend(b"IDAT");
    bytes.extend(crc32fast::hash(b"IDAT").to_be_bytes());
    bytes
}

/// Whole small files whose headers are then made to claim so many pixels.
pub(super) fn of_size(width: u16, height: u16) -> Vec<(&'static str, Vec<u8>)> {
    let mut jpeg = scene_as(ImageFormat::Jpeg);
    let sof = jpeg
        .windows(2)
        .position(|w| w == [0xff, 0xc0])
        .expect("a baseline frame header");
    jpeg[sof + 5..sof + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[sof + 7..sof + 9].copy_from_slice(&width.to_be_bytes());

    let mut gif = scene_as(ImageFormat::Gif);
    gif[6..8].copy_from_slice(&width.to_le_bytes());
    gif[8..10].copy_from_slice(&height.to_le_bytes());

    let mut bmp = scene_as(ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&u32::from(width).to_le_bytes());
    bmp[22..26].copy_from_slice(&u32::from(height).to_le_bytes());

    // VP8L: a signature byte, then 14 bits of width - 1 and 14 bits of height - 1.
    let mut webp = scene_as(ImageFormat::WebP);
    let vp8l = webp
        .windows(4)
        .position(|w| w == b"VP8L")
        .expect("the encoder is lossless")
        + 9;
    let side = |length: u16| u32::from(length.min(16_000) - 1);
    let packed = side(width) | side(height) << 14;
    webp[vp8l..vp8l + 4].copy_from_slice(&packed.to_le_bytes());

    // TIFF: the values of the directory's entries 256 and 257, and of 278, the rows of its one strip.
    let mut tiff = scene_as(ImageFormat::Tiff);
    for (tag, side) in [(256_u16, width), (257, height), (278, height)] {
        let entry: Vec<usize> = tiff
            .windows(8)
            .enumerate()
            .filter(|(_, w)| w[..2] == tag.to_le_bytes() && w[2..8] == [4, 0, 1, 0, 0, 0])
            .map(|(i, _)| i)
            .collect();
        for i in entry {
            tiff[i + 8..i + 12].copy_from_slice(&u32::from(side).to_le_bytes());
        }
    }
    vec![
        ("PNG", png_header(width.into(), height.into())),
        ("JPEG", jpeg),
        ("GIF", gif),
        ("BMP", bmp),
        ("WebP", webp),
        ("TIFF", tiff),
    ]
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let widest = ("PNG, widest", png_header(0x7fff_ffff, 0x7fff_ffff));
    of_size(16_000, 16_000)
        .into_iter()
        .chain([widest])
        .collect()
}

#[test]
fn bombs_are_refused_by_their_headers() {
    for (name, bytes) in bombs() {
        let error = error(&bytes);
        assert!(
            matches!(error, DecodeError::TooManyPixels { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn memory_is_limited_beside_pixels() {
    let limits = DecodeLimits {
        max_pixels: u64::MAX,
        max_alloc_bytes: 9_000,
        ..DecodeLimits::default()
    };
    for format in FORMATS {
        let error = decode(&scene_as(format), &limits).expect_err("60 × 40 × 4 bytes");
        let named = matches!(&error, DecodeError::TooManyBytes { .. });
        let limited = matches!(&error, DecodeError::LimitReached { .. });
        assert!(named || limited, "{format:?}: {error}");
    }
}

#[test]
fn what_the_limit_on_pixels_allows_the_limit_on_bytes_allows() {
    // Besides RGBA: eight bytes per pixel of a CMYK JPEG's coefficients or of 16-bit RGBA.
    for megapixels in [1, 40, 100, 300] {
        let limits = DecodeLimits::of_pixels(megapixels * 1_000_000);
        let side = megapixels as u32 * 1000;
        assert!(check_size(side, 1000, 8 * u64::from(side) * 1000, &limits).is_ok());
        assert!(check_size(side + 1, 1000, 0, &limits).is_err());
    }
}

#[test]
fn zero_sizes_are_named() {
    let error = error(&png_header(0, 5));
    assert!(matches!(error, DecodeError::ZeroSize { .. }), "{error}");
    // A GIF's screen grows with its first frame.
    let mut gif = scene_as(ImageFormat::Gif);
    gif[6..10].fill(0);
    let picture = decoded(&gif);
    assert_eq!((picture.width, picture.height), (60, 40));
}
