//! Reading a model's card, and telling models apart.

use super::*;

#[test]
fn a_card_fills_in_what_it_leaves_out() {
    let card: ModelCard = toml::from_str("size = 384\nshape = \"squash\"\nmean = [0.5, 0.5, 0.5]")
        .expect("a valid card");
    let recipe = card.preprocess(384).expect("a sane card");
    assert_eq!((recipe.size, recipe.short_side), (384, 384));
    assert_eq!(
        (recipe.shape, recipe.filter),
        (Shape::Squash, Filter::Bicubic)
    );
    assert_eq!(
        (recipe.mean, recipe.std),
        ([0.5; 3], Preprocess::clip(1).std)
    );
}

#[test]
fn senseless_cards_are_refused() {
    for text in [
        "short_side = 100",
        "std = [0.0, 1.0, 1.0]",
        "mean = [nan, 0.0, 0.0]",
        "batch = 0",
    ] {
        let card: ModelCard = toml::from_str(text).expect("valid TOML");
        assert!(card.preprocess(224).is_err(), "{text}");
    }
    assert!(ModelCard::default().preprocess(0).is_err());
    assert!(toml::from_str::<ModelCard>("sise = 224").is_err());
}

#[test]
fn a_folder_needs_one_model_or_a_usual_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str| {
        fs::write(folder.path().join(name), b"x").expect("the temporary folder is writable");
    };
    let found = || locate(folder.path()).map(|m| m.onnx);
    assert!(matches!(found(), Err(EncodeError::WhichModel { found, .. }) if found.is_empty()));
    write("b.onnx");
    assert!(found().is_ok_and(|file| file.ends_with("b.onnx")));
    write("a.onnx");
    assert!(matches!(found(), Err(EncodeError::WhichModel { found, .. }) if found.len() == 2));
    write("vision_model.onnx");
    assert!(found().is_ok_and(|file| file.ends_with("vision_model.onnx")));
    fs::write(folder.path().join("model.toml"), "file = 'a.onnx'").expect("writable");
    assert!(found().is_ok_and(|file| file.ends_with("a.onnx")));
}

#[test]
fn the_identity_is_the_file_s_sha256() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    fs::write(&path, b"abc").expect("the temporary folder is writable");
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let print = fingerprint(&path, &Sums::default()).expect("readable");
    assert_eq!((print.model.0.as_str(), print.quantised), (abc, false));
    fs::write(folder.path().join("m.onnx_data"), b"weights").expect("writable");
    assert_ne!(
        fingerprint(&path, &Sums::default())
            .expect("readable")
            .model
            .0,
        abc
    );
}

/// A model with one tensor, whose weights lie at `location`.
fn with_weights_at(location: &str) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let entry = [field(0x0A, b"location"), field(0x12, location.as_bytes())].concat();
    field(0x3A, &field(0x2A, &field(0x6A, &entry)))
}

#[test]
fn the_identity_covers_every_file_that_the_model_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(path, bytes).expect("the temporary folder is writable");
    };
    let onnx = folder.path().join("m.onnx");
    let id = || fingerprint(&onnx, &Sums::default()).map(|print| (print.model.0, print.bytes));
    for location in ["weights.bin", "parts/0.bin", "./here.bin"] {
        let model = with_weights_at(location);
        write("m.onnx", &model);
        assert!(
            matches!(id(), Err(EncodeError::WeightsMissing { .. })),
            "{location}"
        );
        write(location, b"trained");
        let first = id().expect("all files are there");
        assert_eq!(first.1, model.len() as u64 + 7);
        write(location, b"changed");
        let second = id().expect("all files are there");
        assert_ne!(first.0, second.0, "{location}");
        write(location, b"trained");
        assert_eq!(id().expect("all files are there"), first);
    }
}

#[test]
fn a_file_that_differs_from_the_card_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).expect("the temporary folder is writable");
    };
    // FIPS 180-2, appendix B.1.
    let abc = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    let card = format!("file = 'm.onnx'\n[sha256]\n'w.bin' = '{abc}'\n'not-there.onnx' = '00'");
    write("model.toml", card.as_bytes());
    write("m.onnx", &with_weights_at("w.bin"));
    let id = || {
        let files = locate(folder.path()).expect("a model");
        fingerprint(&files.onnx, &files.sums)
    };
    write("w.bin", b"abc");
    let good = id().expect("the file is the one that the card means");
    for damaged in [&b"abd"[..], b"ab", b""] {
        write("w.bin", damaged);
        let refused = id().expect_err("another file").to_string();
        assert!(
            refused.contains("w.bin is damaged") && refused.contains("model fetch"),
            "{refused}"
        );
    }
    // Without the card's word it is another model.
    write("model.toml", b"file = 'm.onnx'");
    assert_ne!(id().expect("any file will do").model, good.model);
}

#[test]
fn usual_names_of_weights_keep_the_identities_of_version_0_1() {
    for suffix in ["_data", ".data"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let onnx = folder.path().join("m.onnx");
        let location = format!("m.onnx{suffix}");
        let model = with_weights_at(&location);
        fs::write(&onnx, &model).expect("writable");
        fs::write(folder.path().join(&location), b"weights").expect("writable");
        // Version 0.1 took the sum of the two files one after the other.
        let mut sum = Sha256::new();
        sum.update(&model);
        sum.update(b"weights");
        let print = fingerprint(&onnx, &Sums::default()).expect("readable");
        assert_eq!(print.model.0, hex(sum));
    }
}

#[test]
fn weights_outside_the_folder_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let onnx = folder.path().join("model/m.onnx");
    fs::create_dir(folder.path().join("model")).expect("writable");
    fs::write(folder.path().join("w.bin"), b"weights").expect("writable");
    let whole = folder.path().join("w.bin");
    for location in [
        "../w.bin",
        whole.to_str().expect("plain text"),
        "a/../../w.bin",
    ] {
        fs::write(&onnx, with_weights_at(location)).expect("writable");
        let refused = fingerprint(&onnx, &Sums::default()).expect_err("the weights lie outside");
        assert!(refused.to_string().contains(location), "{refused}");
        assert!(matches!(refused, EncodeError::WeightsOutside { .. }));
    }
}

#[test]
fn an_operator_s_name_is_found_across_pieces() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("m.onnx");
    for before in [0, (1 << 18) - 7, 1 << 18, (1 << 18) + 3] {
        let mut bytes = vec![b'M'; before];
        bytes.extend(b"MatMulInteger");
        fs::write(&path, &bytes).expect("the temporary folder is writable");
        assert!(
            fingerprint(&path, &Sums::default())
                .expect("readable")
                .quantised,
            "{before}"
        );
    }
}
