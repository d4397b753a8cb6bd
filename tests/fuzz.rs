//! The fuzz targets in the plain tests: samples of every kind, damaged a few hundred times each. Hours of it, guided by
//! coverage: `tests/fuzz/run`.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "fuzz/targets.rs"]
mod targets;

use mosaicd::{artwork::ContentHash, config::COMMENTED, embed::ModelId, store::record};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs, io::Cursor, path::Path};

/// Whole inputs of every target, by its name.
fn samples() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let vector: Vec<f32> = (0..700).map(|i| (i as f32).sin()).collect();
    let records = record::encode(
        &ContentHash::of(b"x"),
        &ModelId("builtin-1".to_owned()),
        &vector,
    )
    .unwrap();
    let manifest = br##"{"schema":1,"generation":3,"published_ms":5,"model":"m","title":"t",
        "grid":{"cols":2,"rows":1,"cell_px":16},
        "mosaic":{"file":"mosaic-3-00000000.jpg","cell_px":16,"width":32,"height":16},
        "pyramid":{"width":32,"height":16,"tile_size":256,"overlap":0,"format":"jpg","min_level":5,"max_level":5,
        "levels":["0123abcd"]},"background":"#101216","link":"x/{path}",
        "works":[{"id":1,"path":"a.png","col":0,"row":0,"x":0.5,"y":1.5,
        "hash":"00000000000000000000000000000000000000000000000000000000000000ff","size":9,"added_ms":1,
        "neighbours":[2]}],"moves":{"added":1,"removed":0,"moved":0,"grown":0},"quality":null,
        "preview":{"file":"preview-3-00000000.jpg","cell_px":16,"width":32,"height":16},"render_key":"k","undrawn":[1]}"##
        .to_vec();
    let mut splices = Vec::new();
    for (shape, width, height, block) in
        [(80u8, 63u8, 63u8, 0u8), (81, 127, 31, 1), (30, 127, 190, 3)]
    {
        let frame_px = (u32::from(width) + 1, u32::from(height) + 1);
        let mut bytes = vec![shape, width, height, block];
        bytes.extend(spliced(shape, frame_px, u32::from(block % 4 + 1) * 16));
        splices.push(bytes);
    }
    BTreeMap::from([
        ("record", records),
        ("manifest", vec![manifest]),
        ("config", vec![COMMENTED.as_bytes().to_vec()]),
        ("splice", splices),
        ("decode", pictures()),
    ])
}

fn spliced(shape: u8, (width, height): (u32, u32), block_px: u32) -> Vec<u8> {
    use mosaicd::render::jpeg::{Frame, encode_restarting};
    let spec = targets::spec_of(shape);
    let Ok(frame) = Frame::new(width, height, block_px, spec.subsampling) else {
        return Vec::new();
    };
    let rgb: Vec<u8> = (0..width * height * 3)
        .map(|i| (i.wrapping_mul(i) / 977) as u8)
        .collect();
    encode_restarting(&rgb, &frame, spec).unwrap_or_default()
}

/// One small picture in every format and a few variants.
fn pictures() -> Vec<Vec<u8>> {
    use image::{DynamicImage, ImageFormat};
    let rgba = image::RgbaImage::from_fn(24, 17, |x, y| {
        image::Rgba([(x * 10) as u8, (y * 15) as u8, (x ^ y) as u8, 255 - x as u8])
    });
    let picture = DynamicImage::ImageRgba8(rgba);
    let mut all = Vec::new();
    let mut add = |picture: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        all.push(bytes.into_inner());
    };
    for format in [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ] {
        add(&picture, format);
    }
    for picture in [
        DynamicImage::ImageRgb16(picture.to_rgb16()),
        DynamicImage::ImageLuma8(picture.to_luma8()),
    ] {
        add(&picture, ImageFormat::Png);
    }
    add(
        &DynamicImage::ImageRgb8(picture.to_rgb8()),
        ImageFormat::Jpeg,
    );
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for name in [
        "clip/progressive.jpg",
        "clip/cmyk.jpg",
        "clip/grey.jpg",
        "clip/separate-scans-420.jpg",
        "clip/mode-p-source.png",
        "clip/mode-1-source.png",
        "pictures/tiff-alpha-associated.tif",
        "pictures/tiff-palette-4.tif",
        "pictures/tiff-tiled-planar.tif",
        "pictures/tiff-grey-group3.tif",
        "pictures/tiff-ycbcr-jpeg.tif",
        "pictures/avif-alpha.avif",
        "pictures/jxl-lossy.jxl",
        "pictures/svg-shapes.svg",
    ] {
        all.push(fs::read(fixtures.join(name)).unwrap());
    }
    all
}

/// Writes the samples for libFuzzer to begin with, where `tests/fuzz/run` asks for them.
#[test]
fn seeds_reach_the_targets() {
    for (name, samples) in samples() {
        let target = targets::TARGETS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1;
        assert!(samples.iter().all(|sample| !sample.is_empty()), "{name}");
        samples.iter().for_each(|sample| target(sample));
        if let Some(folder) = std::env::var_os("MOSAICD_FUZZ_SEEDS") {
            let folder = Path::new(&folder).join(name);
            fs::create_dir_all(&folder).unwrap();
            for (i, sample) in samples.iter().enumerate() {
                fs::write(folder.join(format!("{i}")), sample).unwrap();
            }
        }
    }
}

/// Found by libFuzzer: the header of the scan said that it goes on past the end of the file.
#[test]
fn a_spliced_jpeg_whose_header_is_cut_short_is_refused() {
    for mut sample in samples().remove("splice").unwrap() {
        let scan = sample
            .windows(2)
            .position(|two| two == [0xFF, 0xDA])
            .unwrap();
        sample[scan + 2] = 0xCA;
        targets::splice(&sample);
    }
}

/// One way to damage an input.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Number(prop::sample::Index, u32),
    Rubbish(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let number = prop_oneof![
        Just(0),
        Just(u32::MAX),
        Just(0x7fff_ffff),
        Just(0xffff),
        any::<u32>()
    ];
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1..40usize).prop_map(|(at, n)| Damage::Drop(at, n)),
        1 => (at(), 1..40usize).prop_map(|(at, n)| Damage::Repeat(at, n)),
        3 => (at(), number).prop_map(|(at, n)| Damage::Number(at, n)),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Damage::Rubbish),
    ]
}

fn damaged(sample: &[u8], damages: Vec<Damage>) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match damage {
            Damage::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Damage::Cut(at) => bytes.truncate(at.index(len)),
            Damage::Drop(at, n) => {
                let at = at.index(len);
                bytes.drain(at..(at + n).min(len));
            }
            Damage::Repeat(at, n) => {
                let at = at.index(len);
                let again = bytes[at..(at + n).min(len)].to_vec();
                bytes.splice(at..at, again);
            }
            Damage::Number(at, n) => {
                let at = at.index(len);
                let end = (at + 4).min(len);
                bytes[at..end].copy_from_slice(&n.to_be_bytes()[..end - at]);
            }
            Damage::Rubbish(rubbish) => bytes.extend(rubbish),
        }
    }
    bytes
}

fn survives(name: &str) {
    let target = targets::TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1;
    let samples = samples().remove(name).unwrap();
    let cases = (
        any::<prop::sample::Index>(),
        prop::collection::vec(damage(), 0..6),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&cases, |(which, damages)| {
            target(&damaged(&samples[which.index(samples.len())], damages));
            Ok(())
        })
        .unwrap();
}

#[test]
fn damaged_records_are_refused() {
    survives("record");
}

#[test]
fn damaged_manifests_are_refused_or_published_over() {
    survives("manifest");
}

#[test]
fn damaged_configurations_are_refused() {
    survives("config");
}

#[test]
fn damaged_spliced_jpegs_are_refused_or_spliced() {
    survives("splice");
}

#[test]
fn damaged_pictures_are_refused_or_shown() {
    survives("decode");
}
