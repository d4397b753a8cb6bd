//! Running ONNX image encoders through the native onnxruntime library.
//!
//! The library is not part of this repository. To run these tests, get it from PyPI (no Python needed to use it):
//! ```text
//! pip download --no-deps onnxruntime==1.32.0 && unzip onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime.so.*'
//! export ORT_DYLIB_PATH=$PWD/onnxruntime/capi/libonnxruntime.so.1.32.0
//! MOSAICD_REQUIRE_ONNX=1 cargo test --release --test onnx
//! ```
//! Without `ORT_DYLIB_PATH` they say that they are skipped; with `MOSAICD_REQUIRE_ONNX=1` they fail then.

use mosaicd::{
    artwork::decode::{DecodeLimits, Picture, decode},
    embed::{EncodeError, Encoder, EncoderSpec, clip::OnnxEncoder, library::LibrarySearch, open},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    num::NonZero,
    path::{Path, PathBuf},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/clip")
        .join(name)
}

fn picture(name: &str) -> Picture {
    let bytes = fs::read(fixture(name)).expect("the fixture is committed");
    decode(&bytes, &DecodeLimits::default()).expect("the fixture is a picture")
}

/// Whether the library is there; says so, or fails, if not.
fn has_library(test: &str) -> bool {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return true;
    }
    let required = std::env::var_os("MOSAICD_REQUIRE_ONNX").is_some_and(|v| v == "1");
    assert!(
        !required,
        "MOSAICD_REQUIRE_ONNX=1 but ORT_DYLIB_PATH is not set"
    );
    // Written past the harness, which hides what passing tests print.
    let note = format!("{test}: skipped, ORT_DYLIB_PATH is not set (see tests/onnx.rs)\n");
    let _ = std::io::stderr().write_all(note.as_bytes());
    false
}

fn load(path: &Path) -> Result<OnnxEncoder, EncodeError> {
    OnnxEncoder::load(path, &LibrarySearch::default(), NonZero::new(1))
}

fn model(name: &str) -> OnnxEncoder {
    load(&fixture(&format!("models/{name}.onnx"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The message with which a model is refused.
fn refusal(path: &Path) -> String {
    match load(path) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(error) => error.to_string(),
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&x, &y)| f64::from(x) * f64::from(y))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// A small picture with some structure that depends on `seed`.
fn drawn(seed: u8) -> Picture {
    let rgba = (0..20_u8 * 12)
        .flat_map(|i| {
            [
                i.wrapping_mul(seed),
                i.wrapping_add(seed),
                seed.wrapping_mul(31),
                255,
            ]
        })
        .collect();
    Picture {
        width: 20,
        height: 12,
        rgba,
    }
}

#[test]
fn embeddings_equal_the_reference_pipeline_s() {
    if !has_library("embeddings_equal_the_reference_pipeline_s") {
        return;
    }
    let text = fs::read_to_string(fixture("reference.json")).expect("the fixture is committed");
    let reference: BTreeMap<String, Vec<f32>> =
        serde_json::from_str(&text).expect("the reference is JSON");
    assert!(reference.len() >= 6);
    let encoder = open(&EncoderSpec {
        model: Some(fixture("tiny-clip.onnx")),
        ..EncoderSpec::default()
    })
    .expect("tiny-clip is an image encoder");
    assert_eq!(encoder.model().0.len(), 64);

    let names: Vec<&String> = reference.keys().collect();
    let inputs: Vec<Vec<f32>> = names
        .iter()
        .map(|name| encoder.prepare(&picture(name)))
        .collect();
    let together = encoder.encode(&inputs).expect("the model runs");
    for ((name, ours), input) in names.iter().zip(&together).zip(&inputs) {
        assert_eq!(ours.len(), encoder.dims());
        let similarity = cosine(ours, &reference[*name]);
        eprintln!("{name:24} cosine {similarity:.9}");
        assert!(similarity >= 0.9999, "{name}: {similarity}");
        let norm = cosine(ours, ours) * ours.iter().map(|v| v * v).sum::<f32>() as f64;
        assert!((norm - 1.0).abs() < 1e-5);
        let alone = encoder
            .encode(std::slice::from_ref(input))
            .expect("it runs");
        assert!(
            cosine(&alone[0], ours) > 0.999_999,
            "{name} depends on its batch"
        );
    }
}

#[test]
fn every_shape_of_encoder_is_recognised() {
    if !has_library("every_shape_of_encoder_is_recognised") {
        return;
    }
    let inputs_of = |encoder: &OnnxEncoder| -> Vec<Vec<f32>> {
        (1..8).map(|seed| encoder.prepare(&drawn(seed))).collect()
    };
    let dynamic = model("dynamic");
    assert_eq!((dynamic.dims(), dynamic.max_batch()), (5, 8));
    let expected = dynamic.encode(&inputs_of(&dynamic)).expect("it runs");
    for (name, batch) in [
        ("fixed-batch-1", 1),
        ("fixed-batch-4", 4),
        ("middle-1", 8),
        ("tokens-and-pooled", 8),
    ] {
        let encoder = model(name);
        assert_eq!((encoder.dims(), encoder.max_batch()), (5, batch), "{name}");
        assert_eq!(encoder.name(), format!("{name}.onnx"));
        // Seven pictures fill no batch of four twice; the same weights give the same embeddings.
        let ours = encoder.encode(&inputs_of(&encoder)).expect("it runs");
        assert_eq!(ours.len(), 7);
        for (a, b) in ours.iter().zip(&expected) {
            assert!(cosine(a, b) > 0.999_999, "{name}");
        }
    }
}

#[test]
fn a_quantised_model_runs_one_picture_at_a_time() {
    if !has_library("a_quantised_model_runs_one_picture_at_a_time") {
        return;
    }
    let encoder = model("int8");
    assert_eq!(encoder.max_batch(), 1);
    let inputs: Vec<_> = (1..6).map(|seed| encoder.prepare(&drawn(seed))).collect();
    let together = encoder.encode(&inputs).expect("it runs");
    for (input, ours) in inputs.iter().zip(&together) {
        let alone = encoder
            .encode(std::slice::from_ref(input))
            .expect("it runs");
        assert_eq!(&alone[0], ours, "the batch must not matter, bit for bit");
    }
}

#[test]
fn what_is_no_encoder_is_refused_with_what_was_found() {
    if !has_library("what_is_no_encoder_is_refused_with_what_was_found") {
        return;
    }
    for (name, found) in [
        ("tokens", "`last_hidden_state` Float32 [?, 3, 64]"),
        ("tokens-undeclared", "`hidden` has the shape [1, 3, 64]"),
        ("channels-last", "[?, 8, 8, 3]"),
        ("oblong", "[?, 3, 4, 16]"),
        ("half", "Float16"),
        ("whole-clip", "`input_ids` Int64 [?, 77]"),
    ] {
        let message = refusal(&fixture(&format!("models/{name}.onnx")));
        assert!(message.contains(found), "{name}: {message}");
        assert!(
            message.contains(&format!("{name}.onnx")),
            "{name}: {message}"
        );
    }
}

#[test]
fn damaged_files_are_refused() {
    if !has_library("damaged_files_are_refused") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = fs::read(fixture("tiny-clip.onnx")).expect("the fixture is committed");
    let damaged: [(&str, &[u8]); 5] = [
        ("empty", b""),
        ("html", b"<html>not found</html>"),
        (
            "lfs",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        ),
        ("cut", &whole[..whole.len() / 2]),
        ("noise", &[0xa5; 4096]),
    ];
    for (name, bytes) in damaged {
        let path = folder.path().join(format!("{name}.onnx"));
        fs::write(&path, bytes).expect("the temporary folder is writable");
        let message = refusal(&path);
        assert!(message.contains(&format!("{name}.onnx")), "{message}");
    }
    let missing = refusal(&folder.path().join("gone.onnx"));
    assert!(missing.contains("gone.onnx"), "{missing}");
}

#[test]
fn an_embedding_that_is_not_finite_names_its_picture() {
    if !has_library("an_embedding_that_is_not_finite_names_its_picture") {
        return;
    }
    // The model takes logarithms, some of them of negative numbers.
    let error = load(&fixture("models/not-finite.onnx"))
        .map(|_| ())
        .expect_err("not finite");
    assert!(
        matches!(error, EncodeError::NotFinite { index: 0 }),
        "{error}"
    );
    let encoder = model("dynamic");
    let mut inputs: Vec<_> = (1..12).map(|seed| encoder.prepare(&drawn(seed))).collect();
    inputs[10][3] = f32::NAN;
    let error = encoder
        .encode(&inputs)
        .expect_err("one input is not finite");
    assert_eq!(error.bad_input(), Some(10), "{error}");
    inputs[2].pop();
    let error = encoder.encode(&inputs).expect_err("one input is too short");
    assert_eq!(error.bad_input(), Some(2), "{error}");
    assert_eq!(
        encoder.encode(&[]).expect("nothing to do"),
        Vec::<Vec<f32>>::new()
    );
}

#[test]
fn a_folder_with_a_card_is_a_model() {
    if !has_library("a_folder_with_a_card_is_a_model") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).expect("the temporary folder is writable");
    };
    let onnx = fs::read(fixture("models/tokens-and-pooled.onnx")).expect("committed");
    write("model.onnx", &onnx);
    write(
        "model.toml",
        b"batch = 2\nshape = 'squash'\nmean = [0.5, 0.5, 0.5]",
    );
    let encoder = load(folder.path()).expect("a model folder");
    assert_eq!(encoder.max_batch(), 2);
    assert_eq!(encoder.recipe().mean, [0.5; 3]);
    write("model.toml", b"output = 'last_hidden_state'");
    assert!(refusal(folder.path()).contains("[N, D]"));
    write("model.toml", b"output = 'nothing'");
    assert!(refusal(folder.path()).contains("`pooler_output`"));
    write("model.toml", b"size = 16");
    assert!(refusal(folder.path()).contains("size = 16"));
    write("model.toml", b"batsh = 2");
    assert!(refusal(folder.path()).contains("batsh"));
}
