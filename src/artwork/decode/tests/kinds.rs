//! Decoding files of every kind, as other programs write them.

use super::*;

#[test]
fn interlaced_pngs_without_their_end_are_whole() {
    for indexed in [false, true] {
        let mut bytes = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut bytes, 61, 43);
        let picture = scene(61, 43);
        let data: Vec<u8> = match indexed {
            true => {
                encoder.set_color(::png::ColorType::Indexed);
                encoder.set_palette((0..768).map(|v| (v % 251) as u8).collect::<Vec<_>>());
                picture.pixels().map(|p| p[2]).collect()
            }
            false => {
                encoder.set_color(::png::ColorType::Rgb);
                picture.as_raw().clone()
            }
        };
        encoder.set_depth(::png::BitDepth::Eight);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&data).expect("pixels");
        writer.finish().expect("an end");
        let expected = image::load_from_memory(&bytes)
            .expect("readable")
            .to_rgba8();
        assert!(
            decoded(&bytes).rgba == expected.into_raw(),
            "indexed: {indexed}"
        );
        assert_eq!(decoded(&bytes[..bytes.len() - 12]), decoded(&bytes));
    }
}

#[test]
fn a_format_that_is_turned_off_is_named() {
    for format in FORMATS {
        let bytes = scene_as(format);
        let own = sniff::sniff(&bytes).expect("known");
        let without = Format::ALL
            .into_iter()
            .filter(|&format| format != own)
            .collect();
        let limits = DecodeLimits {
            formats: without,
            ..DecodeLimits::default()
        };
        let error = decode(&bytes, &limits).expect_err("turned off");
        assert!(error.to_string().contains("decode.formats"), "{error}");
        assert_eq!(own.key().parse::<Format>().ok(), Some(own));
    }
    assert!("heic".parse::<Format>().is_err());
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures/");
    std::fs::read(format!("{folder}{name}")).expect("readable")
}

/// `cjpeg -sample 2x2` writes such files of grey pictures.
#[test]
fn the_sampling_of_a_grey_jpeg_means_nothing() {
    let grey = DynamicImage::from(scene(61, 43)).to_luma8();
    let plain = encoded(&grey.into(), ImageFormat::Jpeg);
    let frame = plain
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .expect("a frame header");
    for sampling in [0x22, 0x21, 0x12, 0x41] {
        let mut bytes = plain.clone();
        assert_eq!(std::mem::replace(&mut bytes[frame + 11], sampling), 0x11);
        assert!(decoded(&bytes) == decoded(&plain), "{sampling:x}");
        // Without an end it is for the other decoder.
        let end = bytes.len() - 2;
        let without = (decoded(&bytes[..end]), decoded(&plain[..end]));
        assert!(without.0 == without.1, "{sampling:x}, without an end");
    }
}

/// The fixtures have the same coefficients (`jpegtran`), so every pixel is the same.
#[test]
fn arithmetic_and_huffman_codes_of_a_jpeg_show_the_same() {
    let huffman = fixture("jpeg-restarts-progressive.jpg");
    // Without its end the same decoder reads it.
    let expected = decoded(&huffman[..huffman.len() - 2]);
    for name in ["jpeg-arithmetic.jpg", "jpeg-arithmetic-progressive.jpg"] {
        assert!(decoded(&fixture(name)) == expected, "{name}");
    }
}

#[test]
fn a_further_scan_of_a_jpeg_that_brings_more_than_a_bit_is_refused() {
    let mut bytes = fixture("jpeg-arithmetic-progressive.jpg");
    let at = bytes
        .windows(10)
        .position(|s| s[..5] == [0xff, 0xda, 0, 8, 1] && s[9] == 0x21)
        .expect("a scan that brings the second bit");
    bytes[at + 9] = 0xd3;
    assert!(error(&bytes).to_string().contains("header of a scan"));
}

/// Every file in `tests/fixtures/pictures` shows the same scene (see the README there).
#[test]
fn every_kind_of_file_shows_the_scene() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if name == "README.md" || name == "make.py" {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let result = decode(&bytes, &DecodeLimits::default());
        files += 1;
        if name.starts_with("refused-") {
            let text = result.expect_err(&name).to_string();
            assert!(
                text.contains("; save") || text.contains("; upload"),
                "{name}: {text}"
            );
            continue;
        }
        let picture = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        // Other programs append to pictures; a text or a file without its end must not go on.
        if !name.ends_with(".svg") && !name.contains("without-end") {
            let longer = [&bytes[..], &9_u64.to_le_bytes()].concat();
            let same = decode(&longer, &DecodeLimits::default()).is_ok_and(|one| one == picture);
            assert!(same, "{name}, with bytes appended");
        }
        // A quarter of the picture each: red, green, blue, and a grey of 180.
        let colours: [[u8; 3]; 4] = match name.contains("grey") {
            true => [[54; 3], [137; 3], [42; 3], [180; 3]],
            false => [[220, 40, 40], [40, 200, 60], [40, 60, 220], [180, 180, 180]],
        };
        for (i, wanted) in colours.into_iter().enumerate() {
            let (x, y) = (
                (i as u32 % 2 * 2 + 1) * picture.width / 4,
                (i as u32 / 2 * 2 + 1) * picture.height / 4,
            );
            let [r, g, b, a] = pixel(&picture, x, y);
            let opaque = !name.contains("alpha") || i != 3;
            // Four bits cannot say 128.
            let sound = if opaque {
                a == 255
            } else {
                a.abs_diff(128) <= 8
            };
            assert!(sound, "{name}, quarter {i}: {a}");
            let off = [r, g, b]
                .iter()
                .zip(wanted)
                .map(|(a, b)| a.abs_diff(b))
                .max()
                .unwrap_or(0);
            // One bit per pixel is black or white.
            let allowed = if name.contains("grey") { 120 } else { 14 };
            assert!(
                off <= allowed,
                "{name}, quarter {i}: {r} {g} {b}, wanted {wanted:?}"
            );
        }
    }
    assert!(files > 30, "{files}");
}

/// Sixteen-bit indices reach beyond the 256 colours of a byte.
#[test]
fn a_long_palette_is_read_whole() {
    let indices = [0_u16, 255, 256, 65_535];
    let colours = [
        [10_u16, 20, 30],
        [40, 50, 60],
        [70, 80, 90],
        [100, 110, 120],
    ];
    let mut table = vec![0_u16; 3 << 16];
    for (&index, colour) in indices.iter().zip(colours) {
        for (c, value) in colour.into_iter().enumerate() {
            table[(c << 16) + usize::from(index)] = value * 257;
        }
    }
    let entries = [
        (256, 4, 1, 4),
        (257, 4, 1, 1),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 3),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (279, 4, 1, 8),
        (320, 3, 3 << 16, 16_u32),
    ];
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((16 + 6_u32 * (1 << 16)).to_le_bytes());
    for value in indices.into_iter().chain(table) {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend([tag, kind].map(u16::to_le_bytes).concat());
        bytes.extend([count, value].map(u32::to_le_bytes).concat());
    }
    bytes.extend([0; 4]);
    let picture = decoded(&bytes);
    for (x, [r, g, b]) in (0..).zip(colours) {
        assert_eq!(pixel(&picture, x, 0), [r as u8, g as u8, b as u8, 255]);
    }
}
