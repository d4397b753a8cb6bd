//! Words on the mosaic, with encoders whose answers are known (`fixtures/colours`). Needs onnxruntime, see `tests/onnx`.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Site, embed_with, fixture, put};
use mosaicd::publish::manifest::Manifest;
use std::{fs, io::Cursor};

const COLOURS: [(&str, [u8; 3]); 3] = [
    ("red", [230, 20, 20]),
    ("green", [20, 230, 20]),
    ("blue", [20, 20, 230]),
];

/// The configuration that names a model of the fixtures, with `more` keys.
fn config(model: &str, more: &str) -> String {
    embed_with(&fixture(model), more)
}

/// The colours' model with the site's `words.txt`.
fn colours() -> String {
    config("colours", "vocabulary = \"words.txt\"")
}

/// A site with 40 works of each colour, whose names say nothing.
fn site() -> Site {
    let site = Site::new();
    fs::write(
        site.path("words.txt"),
        "# colours\npicture\nred\ngreen\n\nblue\nteapot\n",
    )
    .unwrap();
    for i in 0..120 {
        draw(&site, i);
    }
    site
}

fn draw(site: &Site, i: usize) {
    let mut rgb = COLOURS[i % 3].1;
    rgb.iter_mut()
        .for_each(|value| *value = value.wrapping_add((i / 3 % 20) as u8));
    let image = image::RgbImage::from_fn(16, 16, |x, y| {
        let light = u8::from((x + y) as usize % 16 == i % 16) * 9;
        image::Rgb(rgb.map(|value| value.saturating_add(light)))
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    put(&site.art(&format!("{i:03}.png")), &bytes.into_inner());
}

/// The words on the mosaic, in alphabetical order.
fn words(manifest: &Manifest) -> Vec<&str> {
    let mut words: Vec<_> = manifest
        .regions
        .iter()
        .map(|region| region.name.as_str())
        .collect();
    words.sort_unstable();
    words
}

/// A file of the page as JSON.
fn page(site: &Site, name: &str) -> serde_json::Value {
    let text = fs::read(site.output().join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The works that the page's search finds by a word, best first, as their paths; `None` where no words are published.
fn looks_like(site: &Site, word: &str) -> Option<Vec<String>> {
    let head = page(site, page(site, "latest.json")["head"].as_str().unwrap());
    let names = head["blocks"]["words"].as_str().unwrap();
    let block = |n: usize| {
        let hash = names.get(8 * n..8 * n + 8)?;
        Some(page(site, &format!("p/words-{n}-{hash}.json")))
    };
    let list = block(0)?;
    let words = list["words"].as_array().unwrap();
    let at = words.iter().position(|other| other == word)?;
    let ids = block(1 + at / 64).unwrap()[at % 64].clone();
    let ids: Vec<u64> = serde_json::from_value(ids).unwrap();
    assert_eq!(list["count"][at], ids.len());
    let manifest = site.manifest();
    // The manifest is renamed into place a moment before the head.
    let path = |id| {
        let mut works = manifest.works.iter();
        works
            .find(|work| work.id.0 == id)
            .map(|work| work.path.clone())
    };
    Some(ids.into_iter().filter_map(path).collect())
}

/// Fails unless the works that a word finds are of a colour, as many as are published of a word.
fn assert_looks(site: &Site, word: &str, colour: usize) {
    let found = looks_like(site, word).unwrap();
    assert_eq!(found.len(), 24, "{word}: {found:?}");
    for path in &found {
        let number: usize = path[..3].parse().unwrap();
        assert_eq!(number % 3, colour, "{word}: {found:?}");
    }
}

/// Fails unless green works are found by their word.
fn assert_green_is_found(site: &Site) {
    let found = site.mosaicd(&["similar", "--text", "green", "-n", "5"]);
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.lines().count(), 5, "{found}");
    for line in found.lines() {
        let number: usize = line.split_whitespace().nth(1).unwrap()[..3]
            .parse()
            .unwrap();
        assert_eq!(COLOURS[number % 3].0, "green", "{found}");
    }
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn the_look_has_no_part_in_words() {
    let site = site();
    let vocabulary = "vocabulary = \"words.txt\"";
    for look in [0.3, 1.0] {
        site.configure(&config("colours", &format!("{vocabulary}\nlook = {look}")));
        assert_eq!(words(&site.build()), ["blue", "green", "red"], "{look}");
        assert_green_is_found(&site);
    }
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn regions_bear_the_words_of_their_works_and_a_restart_keeps_them() {
    let colours = colours();
    let site = site();
    site.configure(&colours);
    let first = site.build();
    // Neither what fits all works nor what fits none.
    assert_eq!(words(&first), ["blue", "green", "red"]);
    assert!(first.words_by.is_some());
    for region in &first.regions {
        assert!(region.seen && region.words.is_empty(), "{region:?}");
        let there = first.works.iter().filter(|work| {
            let (x, y) = (work.col as f32 + 0.5, work.row as f32 + 0.5);
            (x - region.col).hypot(y - region.row) <= region.radius
        });
        let (mut count, mut good) = (0, 0);
        for work in there {
            let number: usize = work.path[..3].parse().unwrap();
            (count, good) = (
                count + 1,
                good + usize::from(COLOURS[number % 3].0 == region.name),
            );
        }
        assert_eq!(count, region.works);
        assert!(
            2 * good > count as usize,
            "{good} of {count} are {}",
            region.name
        );
    }

    // A visitor's search finds works by what they show; what fits all works or none finds nothing.
    for (colour, (word, _)) in COLOURS.iter().enumerate() {
        assert_looks(&site, word, colour);
    }
    for word in ["picture", "teapot"] {
        assert_eq!(looks_like(&site, word).as_deref(), Some(&[][..]), "{word}");
    }

    let kept = fs::read(site.path("state/vocabulary.bin")).unwrap();
    let latest = fs::read(site.output().join("latest.json")).unwrap();
    let again = site.build();
    assert_eq!(
        fs::read(site.output().join("latest.json")).unwrap(),
        latest,
        "the page's files stay as they are"
    );
    assert_eq!(
        (again.generation, &again.regions),
        (first.generation, &first.regions)
    );
    assert_eq!(fs::read(site.path("state/vocabulary.bin")).unwrap(), kept);

    // An arrival takes the words along in its generation, before they are looked for again.
    let daemon = site.start();
    draw(&site, 120);
    let grown = site.until_works(121);
    assert_eq!(words(&grown), ["blue", "green", "red"]);
    assert_green_is_found(&site);
    // A work that leaves is not found any more, before words are looked for again or after.
    let gone = looks_like(&site, "green").unwrap().remove(0);
    let id = |m: &Manifest| m.works.iter().find(|w| w.path == gone).map(|w| w.id.0);
    let number = id(&grown).unwrap();
    fs::remove_file(site.art(&gone)).unwrap();
    site.until_works(120);
    site.wait("the end of the work that left", || {
        let head = page(&site, page(&site, "latest.json")["head"].as_str().unwrap());
        let names = head["blocks"]["words"].as_str().unwrap();
        let green = page(&site, &format!("p/words-1-{}.json", &names[8..16]))[2].clone();
        let ids: Vec<u64> = serde_json::from_value(green).unwrap();
        (!ids.is_empty() && !ids.contains(&number)).then_some(())
    });

    // A reload takes another list, refuses a bad one, and without one the words go.
    fs::write(site.path("words.txt"), "red\nblue\n").unwrap();
    daemon.signal("HUP");
    site.until("the other list's words", |m| words(m) == ["blue", "red"]);
    site.wait("works of the other list's words", || {
        looks_like(&site, "green").is_none().then_some(())
    });
    assert_looks(&site, "blue", 2);
    fs::write(site.path("words.txt"), b"red\nbl\xfce\n").unwrap();
    daemon.signal("HUP");
    site.wait("the refusal", || {
        site.log()
            .contains("line 2 of the word list is not UTF-8")
            .then_some(())
    });
    assert_eq!(words(&site.manifest()), ["blue", "red"]);
    site.configure(&config("colours", ""));
    daemon.signal("HUP");
    let without = site.until("no words", |m| m.regions.is_empty());
    assert_eq!(without.words_by, None);
    site.wait("no works of words", || {
        looks_like(&site, "blue").is_none().then_some(())
    });
    assert_eq!(daemon.stop(), 0);
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn words_belong_to_the_model() {
    let colours = colours();
    let site = site();
    site.configure(&colours);
    let first = site.build();
    assert_eq!(words(&first), ["blue", "green", "red"]);

    // A model without a text encoder: what is known of the old one goes with its embeddings.
    let slow = config("slow/slow.onnx", "vocabulary = \"words.txt\"");
    site.configure(&slow);
    let output = site.mosaicd(&["build"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        log.matches("embed.vocabulary has no effect").count(),
        1,
        "{log}"
    );
    assert!(log.contains("slow.onnx has no text encoder"), "{log}");
    let other = site.manifest();
    assert_eq!(
        (words(&other), &other.words_by, other.model.as_str()),
        (vec![], &None, "slow.onnx")
    );

    site.configure(&colours);
    let back = site.build();
    assert_eq!(words(&back), ["blue", "green", "red"]);
    assert_eq!(back.words_by, first.words_by);

    // While another model embeds in shadow they stay; its first generation has none.
    let daemon = site.start();
    site.wait("the daemon", || {
        site.log().contains("started").then_some(())
    });
    site.configure("[embed]\nvocabulary = \"words.txt\"\n");
    daemon.signal("HUP");
    let changed = site.until("another model or other words", |m| {
        m.model != back.model || m.regions != back.regions
    });
    assert_eq!(changed.model, "builtin");
    assert_eq!((words(&changed), &changed.words_by), (vec![], &None));
    assert!(
        site.log()
            .contains("the built-in descriptor understands no words")
    );
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_list_that_cannot_be_used_stops_the_start() {
    let site = Site::new();
    site.configure("[embed]\nvocabulary = \"words.txt\"\n");
    let refused = |said: &str| {
        let output = site.mosaicd(&["build"]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{log}");
        assert!(log.contains("words.txt") && log.contains(said), "{log}");
        let checked = site.mosaicd(&["validate"]);
        assert_ne!(checked.status.code(), Some(0));
    };
    refused("cannot read the word list");
    fs::write(site.path("words.txt"), "# nothing\n").unwrap();
    refused("the word list is empty");
    fs::write(site.path("words.txt"), b"sea\n\xff\xfe\n").unwrap();
    refused("line 2 of the word list is not UTF-8");
    fs::write(site.path("words.txt"), "sea\n").unwrap();
    let output = site.mosaicd(&["build"]);
    assert!(output.status.success());
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn a_text_encoder_of_another_model_is_said_and_left_alone() {
    let site = site();
    let model = site.path("model");
    fs::create_dir(&model).unwrap();
    for (from, to) in [
        ("colours/vision_model.onnx", "vision_model.onnx"),
        ("words/text_model.onnx", "text_model.onnx"),
        ("words/tokenizer.json", "tokenizer.json"),
    ] {
        fs::copy(fixture(from), model.join(to)).unwrap();
    }
    site.configure(&embed_with(&model, "vocabulary = \"words.txt\""));
    let output = site.mosaicd(&["build"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("they are of different models"), "{log}");
    let manifest = site.manifest();
    assert_eq!((manifest.works.len(), words(&manifest).len()), (120, 0));
}
