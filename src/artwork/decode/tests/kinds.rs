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
            assert_eq!(
                a,
                if name.contains("alpha") && i == 3 {
                    128
                } else {
                    255
                },
                "{name}, quarter {i}"
            );
            let off = [r, g, b]
                .iter()
                .zip(wanted)
                .map(|(a, b)| a.abs_diff(b))
                .max()
                .unwrap_or(0);
            // One bit a pixel is black or white.
            let allowed = if name.contains("grey") { 120 } else { 14 };
            assert!(
                off <= allowed,
                "{name}, quarter {i}: {r} {g} {b}, wanted {wanted:?}"
            );
        }
    }
    assert!(files > 30, "{files}");
}
