//! Text encoders and word lists.

use super::{cosine, fixture, load};
use mosaicd::embed::{Encoder, session::Runtime, text::TextEncoder, vocabulary::WordList};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A model folder with pictures' and words' encoders; `text` is the file of the latter.
fn with_words(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let words = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/words");
    for (from, to) in [
        (fixture("tiny-clip.onnx"), "vision_model.onnx"),
        (words.join(text), "text_model.onnx"),
        (words.join("tokenizer.json"), "tokenizer.json"),
    ] {
        fs::copy(from, folder.path().join(to)).expect("the temporary folder is writable");
    }
    folder
}

/// The weights are random: this shows that words reach the encoder, not that it understands them.
#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn words_become_embeddings_beside_those_of_pictures() {
    let runtime = Runtime::default();
    for file in ["text_model.onnx", "text-without-mask.onnx"] {
        let folder = with_words(file);
        let pictures = load(folder.path()).expect("an image encoder");
        let words = TextEncoder::load(folder.path(), &runtime)
            .expect("a text encoder")
            .expect("it is there");
        assert_eq!(words.dims(), pictures.dims());
        let encode = |text: &str| words.encode(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let keys = encode("piano keys");
        assert!((cosine(&keys, &keys) - 1.0).abs() < 1e-9 && keys.len() == 512);
        assert_eq!(
            keys,
            encode("  Piano   KEYS "),
            "{file}: white space and case do not matter"
        );
        assert_ne!(keys, encode("keys piano"), "{file}: the order does");
        // Longer than the context, and nothing at all.
        assert_ne!(encode(&"many words ".repeat(200)), encode(""));

        fs::write(
            folder.path().join("model.toml"),
            "prompt = 'a picture of {}'",
        )
        .expect("writable");
        let asked = TextEncoder::load(folder.path(), &runtime)
            .expect("one")
            .expect("there");
        assert_eq!(
            asked.encode("sea").ok(),
            words.encode("a picture of sea").ok()
        );
    }
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn a_vocabulary_is_embedded_once() {
    let folder = with_words("text_model.onnx");
    let state = tempfile::tempdir().expect("a temporary folder");
    let words = TextEncoder::load(folder.path(), &Runtime::default())
        .expect("a text encoder")
        .expect("it is there");
    let list = folder.path().join("words.txt");
    let embedded = |text: &str, stop: &dyn Fn() -> bool| {
        fs::write(&list, text).expect("writable");
        let list = WordList::open(&list, folder.path(), &Runtime::default());
        let list = list.expect("a word list").expect("a text encoder");
        list.embed(state.path(), words.dims(), stop)
            .expect("it runs")
    };
    let asked = AtomicUsize::new(0);
    let go_on = || {
        asked.fetch_add(1, Ordering::Relaxed);
        false
    };
    let vocabulary = embedded("# places\npiano keys\nsea\n", &go_on).expect("not stopped");
    assert_eq!(vocabulary.words, ["piano keys", "sea"]);
    let keys = words.encode("piano keys").expect("it runs");
    assert_eq!(vocabulary.embeddings.row(0), keys);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 2);
    assert_eq!(
        embedded("sea\npiano keys", &|| true).map(|v| v.words.len()),
        Some(2)
    );
    assert_eq!(
        embedded("sea\npiano keys\nhills", &|| true),
        None,
        "it was stopped"
    );
    let more = embedded("hills\npiano keys", &go_on).expect("not stopped");
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1, "the new word alone");
    assert_eq!(more.embeddings.row(1), keys);

    // Another prompt asks for other embeddings, and a damaged file for all of them.
    fs::write(folder.path().join("model.toml"), "prompt = 'art of {}'").expect("writable");
    let other = embedded("hills\npiano keys", &go_on).expect("not stopped");
    assert_eq!(asked.swap(0, Ordering::Relaxed), 2);
    assert_ne!(other.embeddings, more.embeddings);
    fs::write(state.path().join("vocabulary.bin"), "damaged").expect("writable");
    assert_eq!(embedded("hills\npiano keys", &go_on), Some(other));
    assert_eq!(asked.swap(0, Ordering::Relaxed), 2);

    let list = WordList::open(&list, folder.path(), &Runtime::default());
    let list = list.expect("a word list").expect("a text encoder");
    let error = list
        .embed(state.path(), 7, &|| false)
        .expect_err("other dimensions");
    assert!(
        error.to_string().contains("those of the pictures 7"),
        "{error}"
    );
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn without_a_text_encoder_there_are_no_words() {
    let runtime = Runtime::default();
    let message = |folder: &Path| match TextEncoder::load(folder, &runtime) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    };
    let folder = with_words("text_model.onnx");
    let path = |name: &str| folder.path().join(name);
    fs::remove_file(path("tokenizer.json")).expect("it is there");
    assert!(TextEncoder::load(folder.path(), &runtime).is_ok_and(|found| found.is_none()));
    fs::write(path("model.toml"), "tokenizer = 'tok.json'").expect("writable");
    assert!(message(folder.path()).contains("tok.json"));
    fs::write(path("tok.json"), "{}").expect("writable");
    assert!(message(folder.path()).contains("is no tokenizer"));

    let folder = with_words("text_model.onnx");
    fs::copy(
        fixture("models/dynamic.onnx"),
        folder.path().join("text_model.onnx"),
    )
    .expect("writable");
    let found = message(folder.path());
    assert!(
        found.contains("text encoder") && found.contains("[?, 3, 8, 8]"),
        "{found}"
    );
}
