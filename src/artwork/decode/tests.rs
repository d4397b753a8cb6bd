//! Decoding real, odd, cut, damaged and hostile files.

use super::*;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use proptest::prelude::*;

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

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
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
                Ok(picture) => assert_eq!(picture, full, "{format:?} cut at {keep}"),
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
    let named: [(&[u8], &str); 7] = [
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x1cftypisom\0\0\0\0", "video (MP4 or QuickTime)"),
        (b"\x1a\x45\xdf\xa3....", "video (Matroska or WebM)"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "SVG"),
        (b"  <!DOCTYPE html><p>404", "HTML page"),
    ];
    for (bytes, name) in named {
        assert!(
            matches!(error(bytes), DecodeError::Unsupported(n) if n == name),
            "{name}"
        );
    }
}

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

/// Whole small files whose headers are then made to claim 16,000 × 16,000 pixels.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let side = 16_000_u16;
    let mut jpeg = scene_as(ImageFormat::Jpeg);
    let sof = jpeg
        .windows(2)
        .position(|w| w == [0xff, 0xc0])
        .expect("a baseline frame header");
    jpeg[sof + 5..sof + 7].copy_from_slice(&side.to_be_bytes());
    jpeg[sof + 7..sof + 9].copy_from_slice(&side.to_be_bytes());

    let mut gif = scene_as(ImageFormat::Gif);
    gif[6..8].copy_from_slice(&side.to_le_bytes());
    gif[8..10].copy_from_slice(&side.to_le_bytes());

    let mut bmp = scene_as(ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&u32::from(side).to_le_bytes());
    bmp[22..26].copy_from_slice(&u32::from(side).to_le_bytes());

    // VP8L: a signature byte, then 14 bits of width - 1 and 14 bits of height - 1.
    let mut webp = scene_as(ImageFormat::WebP);
    let vp8l = webp
        .windows(4)
        .position(|w| w == b"VP8L")
        .expect("the encoder is lossless")
        + 9;
    let packed = u32::from(side - 1) | (u32::from(side - 1) << 14);
    webp[vp8l..vp8l + 4].copy_from_slice(&packed.to_le_bytes());

    // TIFF: the values of the directory's entries 256 and 257, and of 278, the rows of its one strip.
    let mut tiff = scene_as(ImageFormat::Tiff);
    for tag in [256_u16, 257, 278] {
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
    let huge = u32::from(side);
    vec![
        ("PNG", png_header(huge, huge)),
        ("PNG, widest", png_header(0x7fff_ffff, 0x7fff_ffff)),
        ("JPEG", jpeg),
        ("GIF", gif),
        ("BMP", bmp),
        ("WebP", webp),
        ("TIFF", tiff),
    ]
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
        max_alloc_bytes: 10_000,
    };
    for format in FORMATS {
        let error = decode(&scene_as(format), &limits).expect_err("60 × 40 × 7 bytes");
        let named = matches!(&error, DecodeError::TooManyBytes { .. });
        let limited = matches!(&error, DecodeError::LimitReached { .. });
        assert!(named || limited, "{format:?}: {error}");
    }
}

#[test]
fn forty_megapixels_pass_the_default_limits() {
    let limits = DecodeLimits::default();
    let pixels = 7_730 * 5_175;
    for bytes_per_px in [3, 4, 6, 8, 3 + 6] {
        let bytes = pixels * bytes_per_px;
        assert!(
            check_size(7_730, 5_175, bytes, &limits).is_ok(),
            "{bytes_per_px}"
        );
    }
    assert!(check_size(16_384, 16_384, 0, &limits).is_err());
}

#[test]
fn zero_sizes_are_named() {
    let error = error(&png_header(0, 5));
    assert!(matches!(error, DecodeError::ZeroSize { .. }), "{error}");
    let mut gif = scene_as(ImageFormat::Gif);
    gif[6..10].fill(0);
    assert!(decode(&gif, &DecodeLimits::default()).is_err());
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
    colour::convert_to_srgb(&mut pixels, b"not a profile", false);
    assert_eq!(pixels, [1, 2, 3, 4]);
}

#[test]
fn separate_baseline_scans_are_refused_by_name() {
    // `cjpeg -scans` with one scan a component, 4:2:0 (see tests/fixtures/clip/README.md).
    let bytes = include_bytes!("../../../tests/fixtures/clip/separate-scans-420.jpg");
    let error = error(bytes);
    assert!(
        matches!(
            error,
            DecodeError::UnsupportedVariant { format: "JPEG", .. }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("separate scans"), "{error}");
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
    for file in [named, adobe] {
        let expected = image::load_from_memory(&file).expect("readable").to_rgba8();
        assert_ne!(expected.as_raw(), &decoded(&bytes).rgba);
        assert_eq!(decoded(&file).rgba, expected.into_raw());
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
        let limits = DecodeLimits { max_pixels: 1 << 20, max_alloc_bytes: 16 << 20 };
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
        let limits = DecodeLimits { max_pixels: 1 << 20, max_alloc_bytes: 16 << 20 };
        if let Ok(picture) = decode(&bytes, &limits) {
            let pixels = picture.width as usize * picture.height as usize;
            prop_assert_eq!(picture.rgba.len(), 4 * pixels);
        }
    }
}
