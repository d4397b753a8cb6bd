//! Stories of publishing, told through the room's door.

mod publish_support;

use mosaicd::{
    publish::{
        Notes, OutputSpec, PublishError, Publisher,
        manifest::{Manifest, Quality},
        names,
    },
    render::jpeg::encode_image,
};
use proptest::prelude::*;
use publish_support::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Everything of a folder that a write would change.
fn fingerprint(output: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    files(output)
        .into_keys()
        .map(|name| {
            let meta = fs::metadata(output.join(&name)).expect("a file");
            let stamp = (meta.ino(), meta.mtime_nsec(), meta.ctime_nsec());
            (name, stamp)
        })
        .collect()
}

/// The mosaic that a manifest names.
fn mosaic_of(output: &Path, manifest: &Manifest) -> PathBuf {
    output.join(&manifest.mosaic.as_ref().expect("a mosaic").file)
}

fn decode(path: &Path) -> image::RgbImage {
    image::open(path).expect("a picture").to_rgb8()
}

#[test]
fn a_mosaic_has_the_pixels_of_a_whole_encode_and_png_and_webp_are_exact() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let mut spec = spec();
    (spec.png, spec.webp) = (true, true);
    let cells = cells(&dir.path().join("cells"), &spec, 30);
    let mut publisher = Publisher::open(&output, spec.clone()).expect("a publisher");
    let generation = rows_of(30, 7, 5);
    let published = publisher
        .publish(&generation, &cells, 1)
        .expect("published");
    assert_eq!((published.generation, published.cells_drawn), (1, 35));
    let picture = picture(&generation, &spec);
    let whole = encode_image(
        picture.as_raw(),
        picture.width(),
        picture.height(),
        spec.jpeg,
    );
    let whole = image::load_from_memory(&whole.expect("an encode")).expect("a JPEG");
    assert!(decode(&output.join("mosaic.jpg")) == whole.to_rgb8());
    assert!(decode(&output.join("mosaic.png")) == picture);
    assert!(decode(&output.join("mosaic.webp")) == picture);
    assert_finished(&output);
}

#[test]
fn an_unchanged_state_writes_nothing_even_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let cells = cells(&dir.path().join("cells"), &spec(), 30);
    let generation = rows_of(30, 6, 6);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    publisher
        .publish(&generation, &cells, 1)
        .expect("published");
    let before = fingerprint(&output);
    for _ in 0..2 {
        let again = publisher
            .publish(&generation, &cells, 2)
            .expect("published");
        assert_eq!(
            (again.changed, again.generation, again.bytes),
            (false, 1, 0)
        );
        assert_eq!(fingerprint(&output), before);
        publisher = Publisher::open(&output, spec()).expect("a publisher");
        assert_eq!(publisher.generation(), 1);
    }
}

#[test]
fn tiny_and_empty_collections_have_mosaics() {
    let dir = tempfile::tempdir().expect("a folder");
    let cells = cells(&dir.path().join("cells"), &spec(), 3);
    let output = dir.path().join("out");
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    for (n, cols, rows) in [
        (0, 0, 0),
        (1, 1, 1),
        (2, 2, 1),
        (3, 2, 2),
        (0, 0, 0),
        (0, 3, 3),
    ] {
        let generation = rows_of(n, cols.max(1), rows);
        let generation = mosaicd::publish::Generation { cols, ..generation };
        publisher
            .publish(&generation, &cells, 1)
            .expect("published");
        assert_finished(&output);
        let mosaic = decode(&output.join("mosaic.jpg"));
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
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let cells = cells(&dir.path().join("cells"), &spec(), 400);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    let mut generation = rows_of(399, 20, 20);
    let first = publisher
        .publish(&generation, &cells, 1)
        .expect("published");
    assert_eq!(first.tiles_written, 9 + 4 + 1);
    generation.works[21].hash = hash(399);
    let second = publisher
        .publish(&generation, &cells, 2)
        .expect("published");
    assert_eq!((second.cells_drawn, second.tiles_written), (1, 3));
    assert_finished(&output);
}

#[test]
fn growing_by_a_level_draws_only_what_is_new() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let cells = cells(&dir.path().join("cells"), &spec(), 280);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    let generation = rows_of(256, 16, 16);
    publisher
        .publish(&generation, &cells, 1)
        .expect("published");
    let mut grown = generation.clone();
    grown.cols = 17;
    grown.works.push(work(900, 270, 16, 0));
    let published = publisher.publish(&grown, &cells, 2).expect("published");
    // Levels of 512 and 256 px have become ones of 544 and 272 px, and there is a new one of 136 px.
    assert_eq!(published.tiles_written, 2 + 1 + 1);
    assert_finished(&output);
    assert_equals_rebuild(&output, &grown, &cells, dir.path());
}

/// Checks that a folder shows what a publish from scratch shows.
fn assert_equals_rebuild(
    output: &Path,
    generation: &mosaicd::publish::Generation,
    cells: &mosaicd::cells::CellStore,
    dir: &Path,
) {
    let fresh = tempfile::tempdir_in(dir).expect("a folder");
    let mut spec = spec();
    spec.cell.px = cells.px();
    let mut publisher = Publisher::open(fresh.path(), spec).expect("a publisher");
    publisher.publish(generation, cells, 1).expect("published");
    let (a, b) = (manifest(output), manifest(fresh.path()));
    assert_eq!(a.pyramid, b.pyramid, "tiles");
    for name in ["mosaic.jpg", "preview.jpg"] {
        let read = |folder: &Path| fs::read(folder.join(name)).expect("a file");
        assert!(read(output) == read(fresh.path()), "{name}");
    }
}

/// What can happen to a collection between two generations.
#[derive(Clone, Debug)]
enum Change {
    Add(u8),
    Remove(u8),
    Edit(u8, u8),
    Swap(u8, u8),
    GrowRight,
    GrowDown,
    InsertColumn(u8),
    DropLastRow,
    Restart,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Add),
        any::<u8>().prop_map(Change::Remove),
        any::<(u8, u8)>().prop_map(|(a, b)| Change::Edit(a, b)),
        any::<(u8, u8)>().prop_map(|(a, b)| Change::Swap(a, b)),
        Just(Change::GrowRight),
        Just(Change::GrowDown),
        any::<u8>().prop_map(Change::InsertColumn),
        Just(Change::DropLastRow),
        Just(Change::Restart),
    ]
}

fn apply(generation: &mut mosaicd::publish::Generation, change: &Change, id: u64) {
    let n = generation.works.len();
    let pick = |at: u8| usize::from(at) % n.max(1);
    match *change {
        Change::Add(seed) => {
            let taken: Vec<_> = generation.works.iter().map(|w| (w.col, w.row)).collect();
            let (cols, rows) = (generation.cols, generation.rows);
            let spare = (0..rows)
                .flat_map(|row| (0..cols).map(move |col| (col, row)))
                .find(|place| !taken.contains(place));
            if let Some((col, row)) = spare {
                generation
                    .works
                    .push(work(id, u64::from(seed) % 60, col, row));
            }
        }
        Change::Remove(at) if n > 0 => {
            generation.works.swap_remove(pick(at));
        }
        Change::Edit(at, seed) if n > 0 => {
            generation.works[pick(at)].hash = hash(u64::from(seed) % 60);
        }
        Change::Swap(a, b) if n > 0 => {
            let (a, b) = (pick(a), pick(b));
            let place = (generation.works[a].col, generation.works[a].row);
            generation.works[a].col = generation.works[b].col;
            generation.works[a].row = generation.works[b].row;
            (generation.works[b].col, generation.works[b].row) = place;
        }
        Change::GrowRight => generation.cols += 1,
        Change::GrowDown => generation.rows += 1,
        Change::InsertColumn(at) => {
            let at = u32::from(at) % generation.cols;
            let shifted = generation.works.iter_mut().filter(|w| w.col >= at);
            shifted.for_each(|w| w.col += 1);
            generation.cols += 1;
        }
        Change::DropLastRow if generation.rows > 1 => {
            generation.rows -= 1;
            generation.works.retain(|w| w.row < generation.rows);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn incremental_generations_equal_a_rebuild(
        n in 0u64..60, cols in 1u32..12, wide in any::<bool>(), changes in prop::collection::vec(change(), 1..8),
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let output = dir.path().join("out");
        let mut spec = spec();
        // A wide grid of small cells has previews below 16 px a cell and several levels.
        let cols = if wide { 120 + cols } else { cols };
        spec.cell.px = if wide { 16 } else { 64 };
        let cells = cells(&dir.path().join("cells"), &spec, 60);
        let mut publisher = Publisher::open(&output, spec.clone()).expect("a publisher");
        let mut generation = rows_of(n, cols, (n as u32).div_ceil(cols).max(1));
        publisher.publish(&generation, &cells, 1).expect("published");
        for (i, change) in changes.iter().enumerate() {
            if let Change::Restart = change {
                publisher = Publisher::open(&output, spec.clone()).expect("a publisher");
                continue;
            }
            apply(&mut generation, change, 1000 + i as u64);
            publisher.publish(&generation, &cells, 2 + i as u64).expect("published");
        }
        assert_finished(&output);
        assert_equals_rebuild(&output, &generation, &cells, dir.path());
    }
}

#[test]
fn readers_never_miss_a_file_nor_see_a_torn_or_mixed_generation() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let cells = cells(&dir.path().join("cells"), &spec(), 200);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    let mut generation = rows_of(100, 10, 10);
    publisher
        .publish(&generation, &cells, 0)
        .expect("published");
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
                generation.works[at].hash = hash((step * 3 + k) % 200);
            }
            let published = publisher
                .publish(&generation, &cells, step * 1000)
                .expect("published");
            assert_eq!(published.generation, step + 1);
            publisher.collect(step * 1000).expect("collected");
        }
        done.store(true, Ordering::Release);
    });
    assert!(reads.load(Ordering::Relaxed) >= 2);
    publisher.collect(10_000_000).expect("collected");
    assert_finished(&output);
    let named = tiles(&manifest(&output)).len();
    let kept = files(&output)
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
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    fs::create_dir_all(output.join("t/8")).expect("folders");
    fs::create_dir_all(output.join("mosaic_files/8")).expect("folders");
    let theirs = [
        "t/8/holiday.jpg",
        "t/readme",
        "mosaic-1.jpg",
        "mosaic_files/8/x.jpg",
        "about.html",
    ];
    for name in theirs {
        fs::write(output.join(name), b"theirs").expect("a file");
    }
    fs::write(output.join("index.html"), b"their page").expect("a file");
    let cells = cells(&dir.path().join("cells"), &spec(), 60);
    let refused = Publisher::open(&output, spec()).map(|_| ());
    assert!(matches!(refused, Err(PublishError::Foreign { path }) if path.ends_with("index.html")));
    fs::remove_file(output.join("index.html")).expect("removed");
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    for n in [50, 20, 3] {
        publisher
            .publish(&rows_of(n, 8, 7), &cells, n)
            .expect("published");
    }
    publisher.collect(50_000_000).expect("collected");
    let mut plain = spec();
    (plain.pyramid, plain.preview) = (false, false);
    let mut publisher = Publisher::open(&output, plain).expect("a publisher");
    publisher
        .publish(&rows_of(3, 2, 2), &cells, 60_000_000)
        .expect("published");
    publisher
        .publish(&rows_of(2, 2, 2), &cells, 61_000_000)
        .expect("published");
    // What the second publisher found at its start begins its grace with the first collection.
    publisher.collect(70_000_000).expect("collected");
    publisher.collect(71_000_000).expect("collected");
    for name in theirs {
        let bytes = fs::read(output.join(name)).expect("still there");
        assert_eq!(bytes, b"theirs", "{name}");
    }
    let ours: Vec<_> = files(&output)
        .into_keys()
        .filter(|name| name.starts_with("t/") || name.starts_with("mosaic_files/"))
        .filter(|name| !theirs.contains(&name.as_str()))
        .collect();
    assert!(ours.is_empty(), "the pyramid is switched off: {ours:?}");
    assert!(!output.join("mosaic.dzi").exists() && !output.join("preview.jpg").exists());
}

#[test]
fn a_missing_cell_is_background_until_it_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 8);
    let generation = rows_of(9, 3, 3);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    let published = publisher
        .publish(&generation, &store, 1)
        .expect("published");
    assert_eq!(published.missing, [hash(8)]);
    let again = publisher
        .publish(&generation, &store, 2)
        .expect("published");
    assert!(
        !again.changed && again.missing == [hash(8)],
        "still missing is nothing new"
    );
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    let again = publisher
        .publish(&generation, &store, 3)
        .expect("published");
    assert!(
        !again.changed && again.missing == [hash(8)],
        "nor is it after a restart"
    );
    store.put(&hash(8), &cell(8, 32)).expect("put");
    let healed = publisher
        .publish(&generation, &store, 4)
        .expect("published");
    assert!(healed.changed && healed.missing.is_empty());
    assert_equals_rebuild(&output, &generation, &store, dir.path());
}

#[test]
fn a_cell_that_is_damaged_later_heals_without_a_trace() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let folder = dir.path().join("cells");
    let store = cells(&folder, &spec(), 40);
    let mut generation = rows_of(36, 6, 6);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    publisher
        .publish(&generation, &store, 1)
        .expect("published");
    let name = hash(8).to_string();
    let damaged = files(&folder)
        .into_keys()
        .find(|path| path.ends_with(&name));
    let damaged = folder.join(damaged.expect("its file"));
    let mut bytes = fs::read(&damaged).expect("its bytes");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&damaged, bytes).expect("damage");
    // Its neighbour changes, so the tile that shows both is drawn again; nothing is cached after a start, and the lowest
    // level is drawn from all cells.
    let store = cells(&folder, &spec(), 0);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    generation.works[7].hash = hash(39);
    let published = publisher
        .publish(&generation, &store, 2)
        .expect("published");
    assert_eq!(published.missing, [hash(8)]);
    store.put(&hash(8), &cell(8, 32)).expect("put");
    let healed = publisher
        .publish(&generation, &store, 3)
        .expect("published");
    assert!(healed.changed && healed.missing.is_empty());
    assert_equals_rebuild(&output, &generation, &store, dir.path());
}

#[test]
fn damage_to_the_published_mosaic_is_not_copied_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 40);
    let mut generation = rows_of(36, 6, 6);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    publisher
        .publish(&generation, &store, 1)
        .expect("published");
    for (step, restart) in [(1, false), (2, true)] {
        let mosaic = mosaic_of(&output, &manifest(&output));
        let mut bytes = fs::read(&mosaic).expect("the mosaic");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(&mosaic, bytes).expect("damage");
        if restart {
            publisher = Publisher::open(&output, spec()).expect("a publisher");
        }
        generation.works[0].hash = hash(36 + step);
        publisher
            .publish(&generation, &store, 1 + step)
            .expect("published");
        assert_finished(&output);
        assert_equals_rebuild(&output, &generation, &store, dir.path());
    }
}

#[test]
fn lost_files_come_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 36);
    let generation = rows_of(36, 6, 6);
    Publisher::open(&output, spec())
        .and_then(|mut p| p.publish(&generation, &store, 1))
        .expect("published");
    let lost: [&dyn Fn(); 6] = [
        &|| fs::remove_dir_all(output.join("t")).expect("removed"),
        &|| fs::remove_dir_all(output.join("mosaic_files")).expect("removed"),
        &|| fs::remove_file(mosaic_of(&output, &manifest(&output))).expect("removed"),
        &|| fs::remove_file(output.join("mosaic.jpg")).expect("removed"),
        &|| fs::remove_file(output.join("manifest.json")).expect("removed"),
        &|| fs::write(output.join("manifest.json"), b"{\"schema\":1,").expect("damaged"),
    ];
    for (i, lose) in lost.into_iter().enumerate() {
        let number = manifest(&output).generation;
        lose();
        let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
        let published = publisher
            .publish(&generation, &store, 2)
            .expect("published");
        assert!(
            published.generation >= number,
            "loss {i}: numbers do not start again"
        );
        assert_finished(&output);
        assert_equals_rebuild(&output, &generation, &store, dir.path());
    }
}

#[test]
fn another_quality_draws_everything_and_only_that() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 36);
    let generation = rows_of(36, 6, 6);
    Publisher::open(&output, spec())
        .and_then(|mut p| p.publish(&generation, &store, 1))
        .expect("published");
    let before = manifest(&output);
    let mut coarse = spec();
    coarse.jpeg.quality = 40;
    coarse.title = "Other".to_owned();
    let mut publisher = Publisher::open(&output, coarse).expect("a publisher");
    let published = publisher
        .publish(&generation, &store, 2)
        .expect("published");
    assert_eq!((published.generation, published.cells_drawn), (2, 36));
    let after = manifest(&output);
    assert_eq!(after.title, "Other");
    assert_ne!(after.pyramid, before.pyramid);
    assert_finished(&output);
    publisher
        .publish(&rows_of(35, 6, 6), &store, 3)
        .expect("published");
    assert!(publisher.collect(1_000_000).expect("collected").files > 0);
    assert_finished(&output);
}

#[test]
fn without_a_mosaic_file_the_pyramid_is_kept_and_the_file_comes_and_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 40);
    let mut generation = rows_of(36, 6, 6);
    let without = OutputSpec {
        mosaic: false,
        ..spec()
    };
    for (step, spec) in [&without, &spec(), &without].into_iter().enumerate() {
        let mut publisher = Publisher::open(&output, spec.clone()).expect("a publisher");
        let published = publisher
            .publish(&generation, &store, 1)
            .expect("published");
        assert!(published.changed);
        let tiles = if step == 0 {
            tiles(&manifest(&output)).len()
        } else {
            0
        };
        assert_eq!(published.tiles_written, tiles, "step {step}");
        assert_finished(&output);
        assert_eq!(manifest(&output).mosaic.is_some(), spec.mosaic);
        let again = publisher
            .publish(&generation, &store, 2)
            .expect("published");
        assert!(!again.changed, "step {step}");
    }
    generation.works[0].hash = hash(37);
    let mut publisher = Publisher::open(&output, without).expect("a publisher");
    publisher
        .publish(&generation, &store, 3)
        .expect("published");
    assert_finished(&output);
}

#[test]
fn quality_changes_the_manifest_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 9);
    let mut publisher = Publisher::open(&output, spec()).expect("a publisher");
    let quality = Quality {
        generation: 1,
        dpq16: Some(0.9),
        trustworthiness: Some(0.97),
    };
    publisher.publish_quality(quality).expect("nothing to do");
    publisher
        .publish(&rows_of(9, 3, 3), &store, 1)
        .expect("published");
    let before = fingerprint(&output);
    publisher.publish_quality(quality).expect("published");
    let after = fingerprint(&output);
    let differing = after.iter().filter(|(k, v)| before.get(*k) != Some(v));
    let mut differing: Vec<String> = differing.map(|(k, _)| k.to_string()).collect();
    differing.sort();
    assert_eq!(differing, ["manifest.js", "manifest.json"]);
    assert_eq!(manifest(&output).quality, Some(quality));
    publisher
        .publish(&rows_of(8, 3, 3), &store, 2)
        .expect("published");
    assert_eq!(
        manifest(&output).quality,
        Some(quality),
        "it stays until there is another"
    );
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
