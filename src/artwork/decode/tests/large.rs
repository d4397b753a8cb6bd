//! Large pictures: halved while they are decoded, from files of every kind, and within the memory of the unit.

use super::*;
use crate::artwork::decode::cost;

/// Limits under which a picture of this size is halved `times` times.
fn halving(width: u32, height: u32, times: u32) -> DecodeLimits {
    DecodeLimits {
        kept_pixels: u64::from(width * height) >> (2 * times),
        ..DecodeLimits::default()
    }
}

/// Half the size, as this test understands it: the mean of what four pixels add to the light.
fn half(picture: &Picture) -> Picture {
    let (width, height) = (picture.width.div_ceil(2), picture.height.div_ceil(2));
    Picture::drawn(width, height, |x, y| {
        let right = (2 * x + 1).min(picture.width - 1);
        let lower = (2 * y + 1).min(picture.height - 1);
        let four = [
            (2 * x, 2 * y),
            (right, 2 * y),
            (2 * x, lower),
            (right, lower),
        ];
        let four = four.map(|(x, y)| pixel(picture, x, y).map(f64::from));
        let opacity: f64 = four.iter().map(|p| p[3]).sum();
        let mean = |c: usize| four.iter().map(|p| p[c] * p[3]).sum::<f64>() / opacity.max(1.0);
        [mean(0), mean(1), mean(2), opacity / 4.0].map(|v| v.round() as u8)
    })
}

fn most_apart(one: &Picture, other: &Picture) -> u8 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let both = one.rgba.iter().zip(&other.rgba);
    both.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

fn as_png(width: u32, height: u32, wide: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_depth(if wide {
        ::png::BitDepth::Sixteen
    } else {
        ::png::BitDepth::Eight
    });
    let mut data = Vec::new();
    for (x, y, p) in scene(width, height).enumerate_pixels() {
        for value in [p[0], p[1], p[2], (x * y / 9 % 256) as u8] {
            data.extend(std::iter::repeat_n(value, if wide { 2 } else { 1 }));
        }
    }
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&data).expect("pixels");
    writer.finish().expect("an end");
    bytes
}

#[test]
fn a_large_picture_is_the_small_one_of_the_whole() {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (width, height) in [(130, 70), (131, 73), (64, 129)] {
        for format in FORMATS {
            let image = DynamicImage::ImageRgb8(scene(width, height));
            files.push((format!("{format:?} {width}"), encoded(&image, format)));
        }
        for wide in [false, true] {
            files.push((
                format!("PNG, transparent {width} {wide}"),
                as_png(width, height, wide),
            ));
        }
    }
    for (name, bytes) in files {
        let whole = decoded(&bytes);
        let mut expected = whole.clone();
        for times in 1..=2 {
            expected = half(&expected);
            let limits = halving(whole.width, whole.height, times);
            let found = decode(&bytes, &limits).expect(&name);
            let apart = most_apart(&found, &expected);
            // Two JPEG decoders differ by rounding.
            let most = if name.contains("Jpeg") { 4 } else { 1 };
            assert!(apart <= most, "{name}, halved {times} times: {apart}");
        }
    }
}

/// Every fixture, which are of all formats, colours and orientations.
#[test]
fn fixtures_halve_to_what_their_whole_halves_to() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        let bytes = std::fs::read(&path).expect("readable");
        let Ok(whole) = decode(&bytes, &DecodeLimits::default()) else {
            continue;
        };
        if whole.width % 2 + whole.height % 2 > 0 || name.ends_with("svg") {
            continue;
        }
        files += 1;
        let halved = decode(&bytes, &halving(whole.width, whole.height, 1)).expect(&name);
        let expected = half(&whole);
        assert_eq!(
            (halved.width, halved.height),
            (expected.width, expected.height),
            "{name}"
        );
        // The edges of the quarters alone may differ, by how chroma is interpolated.
        let both = halved.rgba.iter().zip(&expected.rgba);
        let off = both.filter(|(a, b)| a.abs_diff(**b) > 3).count();
        assert!(
            100 * off <= 2 * expected.rgba.len(),
            "{name}: {off} of {}",
            expected.rgba.len()
        );
    }
    assert!(files > 30, "{files}");
}

#[test]
fn what_is_made_of_a_halved_picture_is_not_smaller_for_it() {
    let limits = DecodeLimits::default();
    for (width, height) in [
        (10_000, 10_000),
        (20_000, 15_000),
        (45_000, 44_000),
        (70_000, 1_500),
    ] {
        let raster = raster::Raster::new(width, height, &limits);
        let kept = raster::kept(width, height, &limits);
        if raster.is_halved() {
            // Sides of at least 4,096 and 2,048 pixels.
            assert!(
                kept >= 4096 * 2048 && kept <= limits.kept_pixels,
                "{width} × {height}: {kept}"
            );
        } else {
            assert_eq!(kept, u64::from(width) * u64::from(height));
        }
    }
}

#[test]
fn large_pictures_that_come_by_rows_cost_less_than_their_pixels() {
    // What the unit allows in all (`MemoryMax=`).
    const UNIT: u64 = 3 << 30;
    let limits = DecodeLimits::of_pixels(300_000_000);
    for (name, bytes) in limits::of_size(20_000, 15_000) {
        let cost = cost(&bytes, &limits);
        // A WebP has sides of at most 16,383 pixels.
        let pixels = if name == "WebP" {
            16_000 * 15_000
        } else {
            300_000_000
        };
        assert_eq!(cost.pixels, pixels, "{name}");
        let by_rows = ["PNG", "JPEG", "TIFF"].contains(&name);
        let most = if by_rows { cost.pixels * 3 } else { UNIT };
        assert!(cost.bytes <= most, "{name}: {} MB", cost.bytes >> 20);
    }
}
