//! Running ONNX image encoders through the native onnxruntime library.
//!
//! The library is not part of this repository. To run these tests, get it from PyPI (no Python needed to use it):
//! ```text
//! pip download --no-deps onnxruntime==1.32.0 && unzip onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime.so.*'
//! export ORT_DYLIB_PATH=$PWD/onnxruntime/capi/libonnxruntime.so.1.32.0
//! cargo test --release --test onnx -- --ignored
//! ```
//! A plain `cargo test` counts them as ignored.

mod words;

use mosaicd::{
    artwork::decode::{DecodeLimits, Picture, decode},
    embed::{
        EncodeError, Encoder, EncoderSpec,
        clip::OnnxEncoder,
        inspect::inspect,
        open,
        session::{Device, Runtime},
    },
};
use std::{
    collections::BTreeMap,
    fs,
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

fn load(path: &Path) -> Result<OnnxEncoder, EncodeError> {
    let runtime = Runtime {
        threads: NonZero::new(1),
        ..Runtime::default()
    };
    OnnxEncoder::load(path, &runtime)
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
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn embeddings_equal_the_reference_pipeline_s() {
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
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn every_shape_of_encoder_is_recognised() {
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
        ("torchscript", 8),
        ("dynamo", 8),
        ("pooled-and-projected", 8),
        ("misnamed-tokens", 8),
        ("half", 8),
        ("half-both", 8),
    ] {
        let encoder = model(name);
        assert_eq!((encoder.dims(), encoder.max_batch()), (5, batch), "{name}");
        assert_eq!(encoder.name(), format!("{name}.onnx"));
        // Seven pictures fill no batch of four twice; the same weights give the same embeddings.
        let ours = encoder.encode(&inputs_of(&encoder)).expect("it runs");
        assert_eq!(ours.len(), 7);
        // Half precision keeps eleven bits.
        let least = if name.starts_with("half") {
            0.999_99
        } else {
            0.999_999
        };
        for (a, b) in ours.iter().zip(&expected) {
            assert!(cosine(a, b) > least, "{name}: {}", cosine(a, b));
        }
    }
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn a_quantised_model_runs_one_picture_at_a_time() {
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
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn what_is_no_encoder_is_refused_with_what_was_found() {
    for (name, found) in [
        ("tokens", "`last_hidden_state` Float32 [?, 3, 64]"),
        ("tokens-undeclared", "`hidden` has the shape [1, 3, 64]"),
        ("channels-last", "[?, 8, 8, 3]"),
        ("oblong", "[?, 3, 4, 16]"),
        ("bytes", "Uint8"),
        (
            "two-outputs",
            "`first` Float32 [?, 5], `second` Float32 [?, 3]",
        ),
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
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn damaged_files_are_refused() {
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
    // An export whose weights, which lie in a second file, were left behind.
    fs::copy(
        fixture("models/dynamo.onnx"),
        folder.path().join("dynamo.onnx"),
    )
    .expect("the temporary folder is writable");
    let message = refusal(&folder.path().join("dynamo.onnx"));
    assert!(message.contains("dynamo.onnx.data"), "{message}");
    let missing = refusal(&folder.path().join("gone.onnx"));
    assert!(missing.contains("gone.onnx"), "{missing}");
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn an_embedding_that_is_not_finite_names_its_picture() {
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
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn sessions_side_by_side_give_the_bits_of_one() {
    let path = fixture("models/dynamic.onnx");
    let alone = load(&path).expect("an encoder");
    let runtime = Runtime {
        threads: NonZero::new(3),
        sessions: NonZero::new(2),
        ..Runtime::default()
    };
    let several = OnnxEncoder::load(&path, &runtime).expect("an encoder");
    assert_eq!((alone.runs(), several.runs()), (1, 2));
    let inputs: Vec<_> = (0..40).map(|seed| alone.prepare(&drawn(seed))).collect();
    let expected = alone.encode(&inputs).expect("embeddings");
    // More callers than sessions: some wait.
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| several.encode(&inputs).expect("embeddings")))
            .collect();
        for caller in callers {
            assert_eq!(caller.join().expect("no panic"), expected);
        }
    });
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn a_folder_with_a_card_is_a_model() {
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

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn the_card_chooses_among_outputs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let onnx = folder.path().join("two-outputs.onnx");
    fs::copy(fixture("models/two-outputs.onnx"), &onnx).expect("the temporary folder is writable");
    for (output, dims) in [("first", 5), ("second", 3)] {
        let card = format!("output = '{output}'");
        fs::write(folder.path().join("model.toml"), card).expect("writable");
        assert_eq!(load(folder.path()).expect("an encoder").dims(), dims);
    }
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn without_cuda_in_the_library_everything_runs_on_the_cpu() {
    for device in [Device::Auto, Device::Cpu, Device::Cuda] {
        let runtime = Runtime {
            device,
            ..Runtime::default()
        };
        let encoder = OnnxEncoder::load(&fixture("models/dynamic.onnx"), &runtime)
            .unwrap_or_else(|error| panic!("{device:?}: {error}"));
        assert!(matches!(encoder.device(), "cpu" | "cuda"));
        assert!(device != Device::Cpu || encoder.device() == "cpu");
        let input = encoder.prepare(&drawn(3));
        assert_eq!(
            encoder.encode(&[input]).map(|rows| rows.len()).ok(),
            Some(1)
        );
    }
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn looking_at_a_model_says_what_it_takes_even_if_it_is_refused() {
    let look = |name: &str| {
        inspect(
            &fixture(&format!("models/{name}.onnx")),
            &Runtime::default(),
        )
        .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let seen = look("dynamo");
    let fact = |name: &str| {
        let found = seen.facts.iter().find(|(what, _)| *what == name);
        found.map_or("", |(_, found)| found.as_str())
    };
    assert!(seen.refused.is_none());
    assert_eq!(fact("inputs"), "`pixel_values` Float32 [?, 3, 8, 8]");
    assert_eq!(fact("made by"), "pytorch");
    assert_eq!(fact("used"), "`pixel_values` to `image_embeds`");
    assert_eq!((fact("embedding"), fact("id").len()), ("5 dimensions", 64));
    let seen = look("whole-clip");
    assert!(
        seen.facts
            .iter()
            .any(|(_, found)| found.contains("input_ids"))
    );
    assert!(seen.refused.is_some());
    assert!(inspect(&fixture("models"), &Runtime::default()).is_err());
}
