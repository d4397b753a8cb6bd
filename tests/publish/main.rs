//! Stories of publishing, told through the room's door.

mod lag;
mod properties;
#[path = "../publish_support/mod.rs"]
mod publish_support;

use mosaicd::{
    publish::{
        Generation, HistoryFiles, Notes, OutputSpec, PublishError, Publisher, manifest::Quality,
        names,
    },
    render::jpeg::encode_image,
};
use publish_support::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Everything of a folder that a write would change, but for the lock: it names the process that holds it.
fn fingerprint(output: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    files(output)
        .into_keys()
        .filter(|name| name != ".mosaicd.lock")
        .map(|name| {
            let meta = fs::metadata(output.join(&name)).expect("a file");
            let stamp = (meta.ino(), meta.mtime_nsec(), meta.ctime_nsec());
            (name, stamp)
        })
        .collect()
}

fn decode(path: &Path) -> image::RgbImage {
    image::open(path).expect("a picture").to_rgb8()
}

#[test]
fn a_mosaic_has_the_pixels_of_a_whole_encode_and_png_and_webp_are_exact() {
    let mut spec = spec();
    (spec.png, spec.webp) = (true, true);
    let mut stage = Stage::with(spec.clone(), 30);
    let generation = rows_of(30, 7, 5);
    let published = stage.publish(&generation, 1);
    assert_eq!((published.generation, published.cells_drawn), (1, 35));
    let picture = picture(&generation, &spec);
    let whole = encode_image(
        picture.as_raw(),
        picture.width(),
        picture.height(),
        spec.jpeg,
    );
    let whole = image::load_from_memory(&whole.expect("an encode")).expect("a JPEG");
    assert!(decode(&stage.output.join("mosaic.jpg")) == whole.to_rgb8());
    assert!(decode(&stage.output.join("mosaic.png")) == picture);
    assert!(decode(&stage.output.join("mosaic.webp")) == picture);
    stage.assert_finished();
}

#[test]
fn an_unchanged_state_writes_nothing_even_after_a_restart() {
    let mut stage = Stage::new(30);
    let generation = rows_of(30, 6, 6);
    stage.publish(&generation, 1);
    let before = fingerprint(&stage.output);
    for _ in 0..2 {
        let again = stage.publish(&generation, 2);
        assert_eq!(
            (again.changed, again.generation, again.bytes),
            (false, 1, 0)
        );
        assert_eq!(fingerprint(&stage.output), before);
        stage.restart();
        assert_eq!(stage.publisher().generation(), 1);
    }
}

#[test]
fn tiny_and_empty_collections_have_mosaics() {
    let mut stage = Stage::new(3);
    for (n, cols, rows) in [
        (0, 0, 0),
        (1, 1, 1),
        (2, 2, 1),
        (3, 2, 2),
        (0, 0, 0),
        (0, 3, 3),
    ] {
        let generation = rows_of(n, cols.max(1), rows);
        let generation = Generation { cols, ..generation };
        stage.publish(&generation, 1);
        stage.assert_finished();
        let mosaic = decode(&stage.output.join("mosaic.jpg"));
        let shape = (cols.max(1) * 32, rows.max(1) * 32);
        assert_eq!(mosaic.dimensions(), shape);
        if n == 0 {
            let [r, g, b] = spec().cell.background;
            let close =
                |p: &image::Rgb<u8>| p.0.iter().zip([r, g, b]).all(|(&a, b)| a.abs_diff(b) <= 3);
            assert!(
                mosaic.pixels().all(close),
                "background within the JPEG's tolerance of 3"
            );
        }
    }
}

#[test]
fn a_change_touches_only_its_tiles() {
    let mut stage = Stage::new(400);
    let mut generation = rows_of(399, 20, 20);
    let first = stage.publish(&generation, 1);
    assert_eq!(first.tiles_written, 9 + 4 + 1);
    Arc::make_mut(&mut generation.works[21]).hash = hash(399);
    let second = stage.publish(&generation, 2);
    assert_eq!((second.cells_drawn, second.tiles_written), (1, 3));
    stage.assert_finished();
}

#[test]
fn growing_by_a_level_draws_only_what_is_new() {
    let mut stage = Stage::new(280);
    let generation = rows_of(256, 16, 16);
    stage.publish(&generation, 1);
    let mut grown = generation.clone();
    grown.cols = 17;
    grown.works.push(work(900, 270, 16, 0).into());
    let published = stage.publish(&grown, 2);
    // Levels of 512 and 256 px have become ones of 544 and 272 px, and there is a new one of 136 px.
    assert_eq!(published.tiles_written, 2 + 1 + 1);
    stage.assert_equals_rebuild(&grown);
}

#[test]
fn readers_never_miss_a_file_nor_see_a_torn_or_mixed_generation() {
    let mut stage = Stage::new(200);
    let mut generation = rows_of(100, 10, 10);
    stage.publish(&generation, 0);
    let output = stage.output.clone();
    let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                loop {
                    let stop = done.load(Ordering::Acquire);
                    let manifest = read_all(&output);
                    assert!(manifest.generation >= last, "time runs forwards");
                    last = manifest.generation;
                    let mosaic = decode(&mosaic_of(&output, &manifest));
                    for work in &manifest.works {
                        let mosaicd::artwork::ContentHash(bytes) = work.hash;
                        let at = (work.col * 32 + 16, work.row * 32 + 16);
                        let pixel = mosaic.get_pixel(at.0, at.1).0;
                        // Texture adds up to 15; JPEG's chroma some more.
                        let close = (0..3).all(|c| pixel[c].abs_diff(bytes[c] / 2 + 47) <= 24);
                        assert!(close, "generation {} shows another one's work", last);
                    }
                    // The stable name is whole at any time.
                    decode(&output.join("mosaic.jpg"));
                    reads.fetch_add(1, Ordering::Relaxed);
                    if stop {
                        break;
                    }
                }
            });
        }
        for step in 1..=100u64 {
            for k in 0..3 {
                let at = (step * 7 + k * 31) as usize % generation.works.len();
                Arc::make_mut(&mut generation.works[at]).hash = hash((step * 3 + k) % 200);
            }
            let published = stage.publish(&generation, step * 1000);
            assert_eq!(published.generation, step + 1);
            stage.publisher().collect(step * 1000).expect("collected");
        }
        done.store(true, Ordering::Release);
    });
    assert!(reads.load(Ordering::Relaxed) >= 2);
    stage.publisher().collect(10_000_000).expect("collected");
    stage.assert_finished();
    let named = tiles(&stage.manifest()).len();
    let kept = files(&stage.output)
        .into_keys()
        .filter(|name| name.starts_with("t/"))
        .count();
    assert!(
        kept <= 2 * named,
        "old tiles are collected, but for the last two generations'"
    );
}

#[test]
fn files_of_others_are_neither_replaced_nor_collected() {
    let mut stage = Stage::new(60);
    fs::create_dir_all(stage.output.join("t/8")).expect("folders");
    fs::create_dir_all(stage.output.join("mosaic_files/8")).expect("folders");
    let theirs = [
        "t/8/holiday.jpg",
        "t/readme",
        "mosaic-1.jpg",
        "mosaic_files/8/x.jpg",
        "about.html",
    ];
    for name in theirs {
        fs::write(stage.output.join(name), b"theirs").expect("a file");
    }
    fs::write(stage.output.join("index.html"), b"their page").expect("a file");
    let refused = stage.open().map(|_| ());
    assert!(matches!(refused, Err(PublishError::Foreign { path }) if path.ends_with("index.html")));
    fs::remove_file(stage.output.join("index.html")).expect("removed");
    for n in [50, 20, 3] {
        stage.publish(&rows_of(n, 8, 7), n);
    }
    stage.publisher().collect(50_000_000).expect("collected");
    let mut plain = spec();
    (plain.pyramid, plain.preview) = (false, false);
    stage.use_spec(plain);
    stage.publish(&rows_of(3, 2, 2), 60_000_000);
    stage.publish(&rows_of(2, 2, 2), 61_000_000);
    // What the second publisher found at its start begins its grace with the first collection.
    stage.publisher().collect(70_000_000).expect("collected");
    stage.publisher().collect(71_000_000).expect("collected");
    for name in theirs {
        let bytes = fs::read(stage.output.join(name)).expect("still there");
        assert_eq!(bytes, b"theirs", "{name}");
    }
    let ours: Vec<_> = files(&stage.output)
        .into_keys()
        .filter(|name| name.starts_with("t/") || name.starts_with("mosaic_files/"))
        .filter(|name| !theirs.contains(&name.as_str()))
        .collect();
    assert!(ours.is_empty(), "the pyramid is switched off: {ours:?}");
    assert!(
        !stage.output.join("mosaic.dzi").exists() && !stage.output.join("preview.jpg").exists()
    );
}

#[test]
fn a_missing_cell_is_background_until_it_comes() {
    let mut stage = Stage::new(8);
    let generation = rows_of(9, 3, 3);
    let published = stage.publish(&generation, 1);
    assert_eq!(published.missing, [hash(8)]);
    let again = stage.publish(&generation, 2);
    assert!(
        !again.changed && again.missing == [hash(8)],
        "still missing is nothing new"
    );
    stage.restart();
    let again = stage.publish(&generation, 3);
    assert!(
        !again.changed && again.missing == [hash(8)],
        "nor is it after a restart"
    );
    stage.cells.put(&hash(8), &cell(8, 32), None).expect("put");
    let healed = stage.publish(&generation, 4);
    assert!(healed.changed && healed.missing.is_empty());
    stage.assert_equals_rebuild(&generation);
}

#[test]
fn a_cell_that_is_damaged_later_heals_without_a_trace() {
    let mut stage = Stage::new(40);
    let folder = stage.dir.path().join("cells");
    let mut generation = rows_of(36, 6, 6);
    stage.publish(&generation, 1);
    let name = hash(8).to_string();
    let damaged = files(&folder)
        .into_keys()
        .find(|path| path.ends_with(&name));
    let damaged = folder.join(damaged.expect("its file"));
    let mut bytes = fs::read(&damaged).expect("its bytes");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&damaged, bytes).expect("damage");
    // It changes places with its neighbour, so it is drawn again; nothing is cached after a start.
    stage.cells = cells(&folder, &spec(), 0);
    stage.restart();
    let cols = [7, 8].map(|at| generation.works[at].col);
    Arc::make_mut(&mut generation.works[7]).col = cols[1];
    Arc::make_mut(&mut generation.works[8]).col = cols[0];
    let published = stage.publish(&generation, 2);
    assert_eq!(published.missing, [hash(8)]);
    stage.cells.put(&hash(8), &cell(8, 32), None).expect("put");
    let healed = stage.publish(&generation, 3);
    assert!(healed.changed && healed.missing.is_empty());
    stage.assert_equals_rebuild(&generation);
}

#[test]
fn damage_to_the_published_mosaic_is_not_copied_on() {
    let mut stage = Stage::new(40);
    let mut generation = rows_of(36, 6, 6);
    stage.publish(&generation, 1);
    for (step, restart) in [(1, false), (2, true)] {
        let mosaic = stage.mosaic();
        let mut bytes = fs::read(&mosaic).expect("the mosaic");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(&mosaic, bytes).expect("damage");
        if restart {
            stage.restart();
        }
        Arc::make_mut(&mut generation.works[0]).hash = hash(36 + step);
        stage.publish(&generation, 1 + step);
        stage.assert_equals_rebuild(&generation);
    }
}

#[test]
fn lost_files_come_back() {
    let mut stage = Stage::new(36);
    let generation = rows_of(36, 6, 6);
    stage.publish(&generation, 1);
    let lost: [&dyn Fn(&Stage); 6] = [
        &|stage| fs::remove_dir_all(stage.output.join("t")).expect("removed"),
        &|stage| fs::remove_dir_all(stage.output.join("mosaic_files")).expect("removed"),
        &|stage| fs::remove_file(stage.mosaic()).expect("removed"),
        &|stage| fs::remove_file(stage.output.join("mosaic.jpg")).expect("removed"),
        &|stage| fs::remove_file(stage.output.join("manifest.json")).expect("removed"),
        &|stage| fs::write(stage.output.join("manifest.json"), b"{\"schema\":1,").expect("damaged"),
    ];
    for (i, lose) in lost.into_iter().enumerate() {
        let number = stage.manifest().generation;
        lose(&stage);
        stage.restart();
        let published = stage.publish(&generation, 2);
        assert!(
            published.generation >= number,
            "loss {i}: numbers do not start again"
        );
        stage.assert_equals_rebuild(&generation);
    }
}

#[test]
fn another_quality_draws_everything_and_only_that() {
    let mut stage = Stage::new(36);
    let generation = rows_of(36, 6, 6);
    stage.publish(&generation, 1);
    let before = stage.manifest();
    let mut coarse = spec();
    coarse.jpeg.quality = 40;
    coarse.title = "Other".to_owned();
    stage.use_spec(coarse);
    let published = stage.publish(&generation, 2);
    assert_eq!((published.generation, published.cells_drawn), (2, 36));
    let after = stage.manifest();
    assert_eq!(after.title, "Other");
    assert_ne!(after.pyramid, before.pyramid);
    stage.assert_finished();
    stage.publish(&rows_of(35, 6, 6), 3);
    assert!(
        stage
            .publisher()
            .collect(1_000_000)
            .expect("collected")
            .files
            > 0
    );
    stage.assert_finished();
}

#[test]
fn without_a_mosaic_file_the_pyramid_is_kept_and_the_file_comes_and_goes() {
    let mut stage = Stage::new(40);
    let mut generation = rows_of(36, 6, 6);
    let without = OutputSpec {
        mosaic: false,
        ..spec()
    };
    for (step, spec) in [&without, &spec(), &without].into_iter().enumerate() {
        stage.use_spec(spec.clone());
        let published = stage.publish(&generation, 1);
        assert!(published.changed);
        let tiles = if step == 0 {
            tiles(&stage.manifest()).len()
        } else {
            0
        };
        assert_eq!(published.tiles_written, tiles, "step {step}");
        stage.assert_finished();
        assert_eq!(stage.manifest().mosaic.is_some(), spec.mosaic);
        let again = stage.publish(&generation, 2);
        assert!(!again.changed, "step {step}");
    }
    Arc::make_mut(&mut generation.works[0]).hash = hash(37);
    stage.use_spec(without);
    stage.publish(&generation, 3);
    stage.assert_finished();
}

#[test]
fn quality_changes_the_manifest_alone() {
    let mut stage = Stage::new(9);
    let quality = Quality {
        generation: 1,
        dpq16: Some(0.9),
        trustworthiness: Some(0.97),
    };
    stage
        .publisher()
        .publish_quality(quality)
        .expect("nothing to do");
    stage.publish(&rows_of(9, 3, 3), 1);
    let before = fingerprint(&stage.output);
    stage
        .publisher()
        .publish_quality(quality)
        .expect("published");
    let after = fingerprint(&stage.output);
    let differing = after.iter().filter(|(k, v)| before.get(*k) != Some(v));
    let mut differing: Vec<String> = differing.map(|(k, _)| k.to_string()).collect();
    differing.sort();
    assert_eq!(differing, ["manifest.js", "manifest.json"]);
    assert_eq!(stage.manifest().quality, Some(quality));
    stage.publish(&rows_of(8, 3, 3), 2);
    assert_eq!(
        stage.manifest().quality,
        Some(quality),
        "it stays until there is another"
    );
}

#[test]
fn a_start_writes_nothing_again_whatever_the_digits_of_the_quality() {
    let mut stage = Stage::new(4);
    let generation = rows_of(4, 2, 2);
    stage.publish(&generation, 1);
    for i in 1..60 {
        let dpq16 = Some(f64::from(i).sqrt() / 8.0);
        let quality = Quality {
            generation: 1,
            dpq16,
            trustworthiness: Some(0.97),
        };
        stage
            .publisher()
            .publish_quality(quality)
            .expect("published");
        stage.restart();
        assert_eq!(stage.manifest().quality, Some(quality));
        let before = fingerprint(&stage.output);
        assert_eq!(stage.publish(&generation, 2).bytes, 0, "{dpq16:?}");
        assert!(fingerprint(&stage.output) == before);
    }
}

#[test]
fn a_newer_schema_is_refused_and_names_of_ours_are_reserved() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("manifest.json"), b"{\"schema\":2}").expect("a file");
    let refused = Publisher::open(dir.path(), spec()).map(|_| ());
    assert!(matches!(
        refused,
        Err(PublishError::NewerSchema { found: 2, .. })
    ));
    fs::remove_file(dir.path().join("manifest.json")).expect("removed");
    let notes = Notes::open(dir.path()).expect("the folder");
    for name in ["manifest.json", "mosaic.jpg", "../x", "t", ".hidden", ""] {
        assert!(notes.write(name, b"").is_err(), "{name}");
    }
    notes.write("status.json", b"{}").expect("written");
    assert_eq!(
        fs::read(dir.path().join("status.json")).expect("there"),
        b"{}"
    );
    assert_eq!(names::parse_mosaic_file("status.json"), None);
}

#[test]
fn the_feed_has_what_a_publish_brought_that_failed_after_its_manifest_stood() {
    let mut stage = Stage::new(31);
    let mut generation = rows_of(30, 6, 6);
    let entries = |stage: &Stage| {
        let text = fs::read_to_string(stage.output.join("feed.json")).expect("a feed");
        let feed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        feed["items"].as_array().expect("a list").len()
    };
    let first = stage.publish(&generation, 1);
    let mut history_files = HistoryFiles::open(&stage.output, "").expect("opened");
    let manifest = stage.publisher().manifest().expect("published");
    history_files.note(manifest, &first.touched).expect("noted");
    assert_eq!(entries(&stage), 30);
    // The second generation stands, but nobody is told what it changed.
    generation.works.push(work(30, 30, 0, 5).into());
    stage.publish(&generation, 2);
    history_files.compare_next();
    let again = stage.publish(&generation, 3);
    let manifest = stage.publisher().manifest().expect("published");
    history_files.note(manifest, &again.touched).expect("noted");
    assert_eq!(entries(&stage), 31);
}
