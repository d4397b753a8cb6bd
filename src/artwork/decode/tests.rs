//! Decoding real, odd, cut, damaged and hostile files.

use super::*;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbImage};
use proptest::prelude::*;
use std::io::Cursor;

mod kinds;
mod large;
mod limits;

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::Gif,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];

fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = (x * 7 + y * 3) % 64;
        image::Rgb([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            (wave * 4) as u8,
        ])
    })
}

/// An uncompressed TIFF of one strip, its directory behind the pixels.
fn tiff(image: &DynamicImage) -> Vec<u8> {
    let alpha = image.color().has_alpha();
    let samples: u32 = if alpha { 4 } else { 3 };
    let pixels = if alpha {
        image.to_rgba8().into_raw()
    } else {
        image.to_rgb8().into_raw()
    };
    let mut bytes = [b"II*\0".to_vec(), vec![0; 4], pixels].concat();
    let len = bytes.len() as u32 - 8;
    let bits = bytes.len() as u32;
    bytes.extend([8, 0].repeat(samples as usize));
    let directory = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&directory.to_le_bytes());
    let mut entries = vec![
        (256, 4, 1, image.width()),
        (257, 4, 1, image.height()),
        (258, 3, samples, bits),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, samples),
        (278, 4, 1, image.height()),
        (279, 4, 1, len),
    ];
    if alpha {
        entries.push((338_u16, 3_u16, 1, 2));
    }
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    if format == ImageFormat::Tiff {
        return tiff(image);
    }
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, format)
        .expect("a small picture encodes");
    bytes.into_inner()
}

fn scene_as(format: ImageFormat) -> Vec<u8> {
    encoded(&scene(60, 40).into(), format)
}

fn decoded(bytes: &[u8]) -> Picture {
    decode(bytes, &DecodeLimits::default()).expect("a valid picture")
}

fn error(bytes: &[u8]) -> DecodeError {
    decode(bytes, &DecodeLimits::default()).expect_err("not a valid picture")
}

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 4] {
    let i = 4 * (y * picture.width + x) as usize;
    [0, 1, 2, 3].map(|c| picture.rgba[i + c])
}

#[test]
fn every_format_is_known_by_its_content() {
    let original = scene(60, 40);
    for format in FORMATS {
        let picture = decoded(&scene_as(format));
        assert_eq!((picture.width, picture.height), (60, 40), "{format:?}");
        assert_eq!(picture.rgba.len(), 60 * 40 * 4);
        // GIF quantises to 256 colours and JPEG loses detail; the others are exact.
        let tolerance = match format {
            ImageFormat::Jpeg | ImageFormat::Gif => 16.0,
            _ => 0.0,
        };
        let pairs = picture.rgba.chunks(4).zip(original.pixels());
        let sum: u64 = pairs
            .flat_map(|(ours, theirs)| (0..3).map(move |c| u64::from(ours[c].abs_diff(theirs[c]))))
            .sum();
        let mean = sum as f64 / (60.0 * 40.0 * 3.0);
        assert!(mean <= tolerance, "{format:?}: mean difference {mean}");
    }
}

#[test]
fn a_cut_file_is_never_a_whole_picture() {
    for format in FORMATS {
        let whole = scene_as(format);
        let full = decoded(&whole);
        let mut truncated = 0;
        let mut cuts = 0;
        for keep in 0..whole.len() {
            cuts += 1;
            match decode(&whole[..keep], &DecodeLimits::default()) {
                // Bytes after the last pixel (a trailer, a checksum) may be missing.
                Ok(picture) => {
                    // The careful decoder of JPEGs smooths chroma less than the fast one.
                    let off = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b));
                    let sum: u64 = picture.rgba.iter().zip(&full.rgba).map(off).sum();
                    let allowed = if format == ImageFormat::Jpeg { 4 } else { 0 };
                    let most = allowed * full.rgba.len() as u64;
                    assert!(sum <= most, "{format:?} cut at {keep}: {sum}");
                }
                Err(error) => truncated += usize::from(error.is_truncated()),
            }
        }
        assert!(
            truncated * 10 >= cuts * 9,
            "{format:?}: {truncated} of {cuts} cuts are called cut"
        );
    }
}

#[test]
fn a_jpeg_without_its_end_is_truncated_not_grey() {
    let mut bytes = scene_as(ImageFormat::Jpeg);
    let whole = decoded(&bytes);
    bytes.truncate(bytes.len() - 2);
    // Every row is there: what is missing is the end marker alone.
    let same = decoded(&bytes)
        .rgba
        .iter()
        .zip(&whole.rgba)
        .filter(|(a, b)| a.abs_diff(**b) > 24)
        .count();
    assert!(same < whole.rgba.len() / 50, "{same}");
    bytes.truncate(bytes.len() - 2);
    assert!(matches!(
        error(&bytes),
        DecodeError::Truncated { format: "JPEG" }
    ));
    // A preallocated upload: the rest of the file is zeros.
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
    assert!(error(&bytes).is_truncated());
}

#[test]
fn bytes_after_a_jpeg_s_end_are_allowed() {
    let mut bytes = scene_as(ImageFormat::Jpeg);
    let plain = decoded(&bytes);
    bytes.extend(b"trailing thumbnails of a camera");
    assert_eq!(decoded(&bytes), plain);
}

#[test]
fn empty_and_strange_files_are_named() {
    assert!(matches!(error(b""), DecodeError::Empty));
    assert!(matches!(error(b"hello, artist"), DecodeError::NotAPicture));
    assert!(matches!(
        error(b"BMW is a car maker"),
        DecodeError::NotAPicture
    ));
    assert!(error(b"\x89PN").is_truncated());
    let named: [(&[u8], &str); 6] = [
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypisom\0\0\0\0", "video (MP4 or QuickTime)"),
        (b"\x1a\x45\xdf\xa3....", "video (Matroska or WebM)"),
        (b"  <!DOCTYPE html><p>404<svg>", "HTML page"),
        (b"<?xml version='1.0'?><!-- <svg> --><rss/>", "XML"),
        (b"<html><body><svg xmlns='x'/></body></html>", "HTML page"),
    ];
    for (bytes, name) in named {
        assert!(
            matches!(error(bytes), DecodeError::Unsupported(n) if n == name),
            "{name}"
        );
    }
}

#[test]
fn sixteen_bits_keep_their_high_byte() {
    let grey = image::ImageBuffer::from_fn(3, 1, |x, _| {
        image::Luma([[0_u16, 0x12ff, 0xffff][x as usize]])
    });
    let picture = decoded(&encoded(&DynamicImage::ImageLuma16(grey), ImageFormat::Png));
    assert_eq!(
        picture.rgba,
        [0, 0, 0, 255, 0x12, 0x12, 0x12, 255, 255, 255, 255, 255]
    );
}

#[test]
fn alpha_stays_straight() {
    let one = image::RgbaImage::from_pixel(1, 1, image::Rgba([200, 100, 50, 7]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let picture = decoded(&encoded(&one.clone().into(), format));
        assert_eq!(picture.rgba, [200, 100, 50, 7], "{format:?}");
    }
}

#[test]
fn an_exif_orientation_turns_the_picture_upright() {
    // Orientation 6: the camera was turned, the picture must be turned a quarter clockwise.
    let tiff = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder
        .set_exif_metadata(tiff.to_vec())
        .expect("PNG carries EXIF");
    let lying = RgbImage::from_fn(2, 1, |x, _| {
        image::Rgb([[255, 0, 0], [0, 0, 255]][x as usize])
    });
    encoder
        .write_image(&lying, 2, 1, ExtendedColorType::Rgb8)
        .expect("a small picture encodes");
    let picture = decoded(&bytes);
    assert_eq!((picture.width, picture.height), (1, 2));
    assert_eq!(pixel(&picture, 0, 0), [255, 0, 0, 255]);
    assert_eq!(pixel(&picture, 0, 1), [0, 0, 255, 255]);
}

fn with_profile(image: &DynamicImage, profile: &moxcms::ColorProfile) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    let icc = profile.encode().expect("the profile encodes");
    encoder.set_icc_profile(icc).expect("PNG carries ICC");
    image
        .write_with_encoder(encoder)
        .expect("a small picture encodes");
    bytes
}

#[test]
fn a_wide_profile_is_converted_and_srgb_is_left_alone() {
    let image: DynamicImage = RgbImage::from_pixel(2, 1, image::Rgb([200, 100, 50])).into();
    let plain = decoded(&with_profile(&image, &moxcms::ColorProfile::new_srgb()));
    assert_eq!(pixel(&plain, 0, 0), [200, 100, 50, 255]);
    // Display P3 (200, 100, 50) in sRGB, by CSS Color 4's matrices: (215, 95, 31).
    let wide = decoded(&with_profile(
        &image,
        &moxcms::ColorProfile::new_display_p3(),
    ));
    let [r, g, b, a] = pixel(&wide, 1, 0);
    let near = |value: u8, wanted: u8| value.abs_diff(wanted) <= 2;
    assert!(
        near(r, 215) && near(g, 95) && near(b, 31) && a == 255,
        "{r} {g} {b} {a}"
    );
}

#[test]
fn a_broken_profile_leaves_the_colours() {
    let mut pixels = [1, 2, 3, 4];
    colour::ToSrgb::of_profile(b"not a profile", false).convert(&mut pixels);
    assert_eq!(pixels, [1, 2, 3, 4]);
}

#[test]
fn separate_baseline_scans_decode() {
    // `cjpeg -scans` with one scan a component, 4:2:0 (see tests/fixtures/clip/README.md).
    let bytes = include_bytes!("../../../tests/fixtures/clip/separate-scans-420.jpg");
    let picture = decoded(bytes);
    assert!(picture.rgba.chunks(4).all(|p| p[3] == 255));
}

#[test]
fn cmyk_grey_and_progressive_jpegs_decode() {
    for bytes in [
        &include_bytes!("../../../tests/fixtures/clip/cmyk.jpg")[..],
        include_bytes!("../../../tests/fixtures/clip/progressive.jpg"),
        include_bytes!("../../../tests/fixtures/clip/grey.jpg"),
    ] {
        let picture = decoded(bytes);
        assert_eq!((picture.width, picture.height), (48, 40));
        assert!(picture.rgba.chunks(4).all(|p| p[3] == 255));
        // All three were made from one picture: dark at the left, light at the right.
        let (left, right) = (pixel(&picture, 1, 20), pixel(&picture, 46, 20));
        assert!(left[0] < 70 && right[0] > 180, "{left:?} {right:?}");
    }
}

#[test]
fn jpegs_that_hold_rgb_decode() {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    let rgb: Vec<u8> = (0..24 * 16 * 3_u32).map(|i| (i * 5 / 7) as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
    encoder
        .encode(&rgb, 24, 16, ColorType::Rgb)
        .expect("encoded");
    // The same samples under other names: components R, G and B, or what Adobe's marker calls "no transform".
    let place = |marker: u8| bytes.windows(2).position(|w| w == [0xff, marker]);
    let (frame, scan) = (place(0xc0).expect("SOF0"), place(0xda).expect("SOS"));
    let mut named = bytes.clone();
    for (i, name) in b"RGB".iter().enumerate() {
        named[frame + 10 + 3 * i] = *name;
        named[scan + 5 + 2 * i] = *name;
    }
    let adobe = [
        &bytes[..2],
        b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0\0",
        &bytes[2..],
    ]
    .concat();
    // libjpeg believes the marker of JFIF before anything else.
    for file in [named, adobe] {
        let (ours, plain) = (decoded(&file), decoded(&bytes));
        let near = ours
            .rgba
            .iter()
            .zip(&plain.rgba)
            .all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(near, "another decoder, the same colours");
        let jfif = file.windows(4).position(|w| w == b"JFIF").expect("JFIF") - 4;
        let plain = [&file[..jfif], &file[jfif + 18..]].concat();
        assert!(plain.windows(4).all(|w| w != b"JFIF"));
        let expected = image::load_from_memory(&plain)
            .expect("readable")
            .to_rgba8();
        assert_ne!(expected.as_raw(), &decoded(&bytes).rgba);
        let ours = decoded(&plain).rgba;
        let near = ours
            .iter()
            .zip(expected.as_raw())
            .all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(near, "RGB as it is");
    }
}

#[test]
fn an_animation_gives_its_first_frame() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for colour in [[250, 0, 0, 255], [0, 250, 0, 255]] {
        let frame = image::RgbaImage::from_pixel(4, 4, image::Rgba(colour));
        encoder
            .encode_frame(image::Frame::new(frame))
            .expect("a small frame encodes");
    }
    drop(encoder);
    let [r, g, ..] = pixel(&decoded(&bytes), 2, 2);
    assert!(r > 200 && g < 50);
}

#[test]
fn a_decoder_s_panic_is_an_error() {
    let message = panic_message(&"index out of bounds" as &(dyn Any + Send));
    assert_eq!(message, "index out of bounds");
    let caught = panic::catch_unwind(|| panic!("row {}", 7)).expect_err("it panicked");
    assert_eq!(panic_message(caught.as_ref()), "row 7");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(decode(&bytes, &DecodeLimits::default()).is_err());
    }

    #[test]
    fn random_bytes_behind_a_signature_never_escape(
        format in 0..FORMATS.len(), keep in 4_usize..60,
        tail in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = scene_as(FORMATS[format]);
        bytes.truncate(keep.max(16));
        bytes.extend(tail);
        let limits = DecodeLimits { max_pixels: 1 << 20, max_alloc_bytes: 16 << 20, ..DecodeLimits::default() };
        let _ = decode(&bytes, &limits);
    }

    #[test]
    fn flipped_bytes_never_escape(
        format in 0..FORMATS.len(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = scene_as(FORMATS[format]);
        for (index, value) in flips {
            let i = index.index(bytes.len());
            bytes[i] = value;
        }
        let limits = DecodeLimits { max_pixels: 1 << 20, max_alloc_bytes: 16 << 20, ..DecodeLimits::default() };
        if let Ok(picture) = decode(&bytes, &limits) {
            let pixels = picture.width as usize * picture.height as usize;
            prop_assert_eq!(picture.rgba.len(), 4 * pixels);
        }
    }
}

#[test]
fn rgb_of_any_length_spreads_to_opaque_rgba() {
    for pixels in 0..20_u8 {
        let rgb: Vec<u8> = (1..=3 * pixels).map(|v| v.wrapping_mul(37)).collect();
        let naive: Vec<u8> = rgb
            .chunks(3)
            .flat_map(|p| [p[0], p[1], p[2], 255])
            .collect();
        let mut rgba = Vec::new();
        spread(&rgb, &mut rgba);
        assert_eq!(rgba, naive);
    }
}

#[test]
fn plain_jpegs_have_the_pixels_that_image_reads() {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    let sizes = [(1, 1), (7, 5), (16, 16), (33, 17), (61, 43), (250, 131)];
    let samplings = [
        SamplingFactor::R_4_4_4,
        SamplingFactor::R_4_2_2,
        SamplingFactor::R_4_2_0,
    ];
    for ((width, height), sampling) in sizes.into_iter().flat_map(|s| samplings.map(|f| (s, f))) {
        for progressive in [false, true] {
            let rgb: Vec<u8> = scene(width, height).into_raw();
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, 80);
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(progressive);
            let (w, h) = (width as u16, height as u16);
            encoder.encode(&rgb, w, h, ColorType::Rgb).expect("encoded");
            let expected = image::load_from_memory(&bytes)
                .expect("readable")
                .to_rgba8();
            let read = decoded(&bytes).rgba;
            // Small progressive files are the careful decoder's, which smooths chroma less.
            let off: u64 = read
                .iter()
                .zip(expected.as_raw())
                .map(|(a, b)| u64::from(a.abs_diff(*b)))
                .sum();
            let most = if progressive {
                12 * read.len() as u64
            } else {
                0
            };
            assert!(
                off <= most,
                "{width} × {height}, {sampling:?}, {progressive}: {off}"
            );
        }
    }
}
