//! What is fuzzed: each function takes any bytes and must not panic. libFuzzer calls them (`tests/fuzz/run`), and a few
//! thousand damaged samples of each in the plain tests (`tests/fuzz.rs`).

use mosaicd::{
    artwork::{
        cell::{CellSpec, Fit, prepare},
        decode::{DecodeLimits, cost, decode},
    },
    config::Config,
    embed::{Encoder, EncoderSpec, ModelId},
    publish::{OutputSpec, Publisher, manifest::Manifest},
    render::{
        jpeg::{Frame, JpegSpec, Subsampling},
        patch::{encode_block, patch},
        pieces::IndexReader,
        tile::Raster,
    },
    store::record,
};
use std::{fs, path::Path, sync::OnceLock};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("record", record),
    ("manifest", manifest),
    ("config", config),
    ("splice", splice),
    ("decode", decode_picture),
];

/// A stored embedding: whatever is taken for a record is stored as exactly these bytes, and joins without a panic.
pub fn record(bytes: &[u8]) {
    let Ok(found) = record::decode(bytes) else {
        return;
    };
    assert_eq!(
        found.to_bytes(),
        bytes,
        "two different records of one embedding"
    );
    let (hash, model) = (found.hash, found.model.clone());
    let again = record::decode(bytes).expect("it was decoded a moment ago");
    for parts in [vec![found], vec![again.clone(), again]] {
        if let Ok(vector) = record::join(&hash, &model, parts) {
            let encoded = record::encode(&hash, &model, &vector).expect("it came from a record");
            assert!(!encoded.is_empty());
        }
    }
    let other = ModelId("another".to_owned());
    assert!(
        record::join(&hash, &other, Vec::new()).is_err(),
        "an embedding out of nothing"
    );
}

/// A manifest from an output folder that may be anybody's: it is refused or published over.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else {
        return;
    };
    let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
    let again: Manifest = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(again, manifest, "what was written is another manifest");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("manifest.json"), bytes).expect("written");
    fs::write(folder.path().join("latest.json"), bytes).expect("written");
    let spec = OutputSpec {
        cell: CellSpec {
            px: 16,
            ..OutputSpec::default().cell
        },
        ..OutputSpec::default()
    };
    if let Ok(mut publisher) = Publisher::open(folder.path(), spec) {
        let _ = publisher.collect(u64::MAX / 2);
    }
}

/// A configuration file: it is refused with an error, or every command can use it.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Config::parse(text, Path::new("/etc/mosaicd/mosaicd.toml")) {
        Ok(config) => {
            let config = config.absolute();
            let _ = (
                config.cell_spec(),
                mosaicd::parameters::params(&config).key(),
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// How a JPEG is written, chosen by a byte.
pub fn spec_of(shape: u8) -> JpegSpec {
    JpegSpec {
        quality: shape.clamp(1, 100),
        subsampling: if shape & 1 == 0 {
            Subsampling::S420
        } else {
            Subsampling::S444
        },
    }
}

/// A mosaic or a tile as it is found on the disk: spliced into, or refused. The first bytes choose the shape.
pub fn splice(bytes: &[u8]) {
    let Some((&[shape, width, height, block], jpeg)) = bytes.split_first_chunk() else {
        return;
    };
    let spec = spec_of(shape);
    let block_px = u32::from(block % 4 + 1) * 16;
    let (width, height) = (u32::from(width) + 1, u32::from(height) + 1);
    let Ok(frame) = Frame::new(width, height, block_px, spec.subsampling) else {
        return;
    };
    if let Ok(mut reader) = IndexReader::new(&frame, spec) {
        let (first, rest) = jpeg.split_at(jpeg.len() / 3);
        if reader.feed(first).and_then(|()| reader.feed(rest)).is_ok() {
            let _ = reader.finish();
        }
    }
    let raster = Raster::filled(block_px, block_px, [shape, block, 90]);
    let Ok(segment) = encode_block(raster, &frame, spec) else {
        return;
    };
    let last = (frame.cols - 1, frame.rows - 1);
    if let Ok(patched) = patch(jpeg, &frame, &[(last, segment)]) {
        assert!(
            patch(&patched, &frame, &[]).is_ok(),
            "spliced into nonsense"
        );
    }
}

/// A file that somebody uploaded: it is refused, or it becomes a cell and an embedding.
pub fn decode_picture(bytes: &[u8]) {
    static ENCODER: OnceLock<Box<dyn Encoder>> = OnceLock::new();
    // Small, so that bombs show as time and memory.
    let limits = DecodeLimits {
        max_pixels: 1_000_000,
        max_alloc_bytes: 32 << 20,
        ..DecodeLimits::default()
    };
    let expected = cost(bytes, &limits).bytes;
    let Ok(picture) = decode(bytes, &limits) else {
        return;
    };
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    assert!(pixels > 0 && pixels <= limits.max_pixels);
    assert_eq!(picture.rgba.len() as u64, 4 * pixels);
    assert!(
        expected >= 4 * pixels,
        "{expected} bytes were expected for {pixels} pixels"
    );
    for (px, fit) in [(16, Fit::Cover), (32, Fit::Letterbox), (16, Fit::PreCrop)] {
        let spec = CellSpec {
            px,
            fit,
            background: [1, 2, 3],
        };
        assert_eq!(prepare(&picture, &spec).rgb.len(), (px * px * 3) as usize);
    }
    let encoder = ENCODER.get_or_init(|| {
        mosaicd::embed::open(&EncoderSpec::default()).expect("the built-in encoder needs nothing")
    });
    let vectors = encoder
        .encode(&[encoder.prepare(&picture)])
        .expect("any picture has an embedding");
    let length: f32 = vectors[0].iter().map(|v| v * v).sum();
    assert!(
        (length - 1.0).abs() < 1e-3,
        "an embedding of length {length}"
    );
}
