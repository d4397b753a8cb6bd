//! `mosaic.every_s`: the single files may be older than the tiles, but never show what left the mosaic.

use crate::{decode, publish_support::*};
use mosaicd::publish::Generation;
use std::{fs, sync::Arc};

/// A stage whose single files may be a second older, and 30 works in 6 columns that are published at 1,000 ms.
fn stage() -> (Stage, Generation) {
    let mut spec = spec();
    (spec.lag_ms, spec.png) = (Some(1_000), true);
    let mut stage = Stage::with(spec, 60);
    let generation = rows_of(30, 6, 6);
    stage.publish(&generation, 1_000);
    (stage, generation)
}

fn arrive(generation: &mut Generation, seed: u64) {
    let at = generation.works.len() as u32;
    generation
        .works
        .push(work(seed, seed, at % 6, at / 6).into());
}

fn mosaic_and_png(stage: &Stage) -> [Vec<u8>; 2] {
    ["mosaic.jpg", "mosaic.png"].map(|name| fs::read(stage.output.join(name)).expect("a file"))
}

#[test]
fn arrivals_are_in_the_tiles_at_once_and_in_the_single_files_within_the_time() {
    for restart in [false, true] {
        let (mut stage, mut generation) = stage();
        let before = mosaic_and_png(&stage);
        for (seed, now_ms, due_ms) in [(40, 2_000, 1_000), (41, 2_600, 400)] {
            arrive(&mut generation, seed);
            let published = stage.publish(&generation, now_ms);
            assert_eq!((published.changed, published.due_ms), (true, Some(due_ms)));
            assert!(published.tiles_written > 0);
        }
        assert!(mosaic_and_png(&stage) == before, "the files wait");
        let manifest = stage.manifest();
        assert_eq!(manifest.generation, 3);
        for file in [&manifest.mosaic, &manifest.png] {
            assert_eq!(file.as_ref().and_then(|file| file.generation), Some(1));
        }
        stage.assert_finished();
        let mut now_ms = 3_000;
        if restart {
            // When the files fell behind is not known any more.
            stage.restart();
            assert_eq!(stage.publish(&generation, 2_700).due_ms, Some(900));
            now_ms = 3_600;
        }
        let due = stage.publish(&generation, now_ms);
        assert_eq!((due.changed, due.generation, due.due_ms), (false, 3, None));
        stage.assert_equals_rebuild(&generation);
        assert!(decode(&stage.output.join("mosaic.png")) == picture(&generation, &stage.spec));
        assert_eq!(
            stage.manifest().mosaic.and_then(|file| file.generation),
            None
        );
        let again = stage.publish(&generation, 9_000);
        assert_eq!((again.changed, again.bytes), (false, 0));
    }
}

#[test]
fn what_is_removed_or_replaced_leaves_the_single_files_at_once() {
    let remove = |generation: &mut Generation| drop(generation.works.remove(3));
    let edit =
        |generation: &mut Generation| Arc::make_mut(&mut generation.works[3]).hash = hash(50);
    let changes: [&dyn Fn(&mut Generation); 2] = [&remove, &edit];
    for change in changes {
        for behind in [false, true] {
            let (mut stage, mut generation) = stage();
            if behind {
                arrive(&mut generation, 40);
                assert!(stage.publish(&generation, 2_000).due_ms.is_some());
            }
            change(&mut generation);
            assert_eq!(stage.publish(&generation, 2_100).due_ms, None);
            stage.assert_equals_rebuild(&generation);
        }
    }
}

#[test]
fn a_steady_stream_of_arrivals_is_in_the_single_files_within_the_time() {
    let (mut stage, mut generation) = stage();
    for seed in 40..45 {
        arrive(&mut generation, seed);
        let now_ms = 2_000 + (seed - 40) * 400;
        let waits = stage.publish(&generation, now_ms).due_ms.is_some();
        assert_eq!(waits, seed != 43, "of the arrival at 2,000 ms at 3,200 ms");
    }
}

#[test]
fn an_end_in_time_and_a_clock_that_was_set_back_leave_nothing_behind() {
    let (mut stage, mut generation) = stage();
    arrive(&mut generation, 40);
    stage.publish(&generation, 2_000);
    stage.catch_up(2_100);
    stage.assert_equals_rebuild(&generation);
    arrive(&mut generation, 41);
    stage.publish(&generation, 3_000);
    assert_eq!(stage.publish(&generation, 500).due_ms, None);
    stage.assert_equals_rebuild(&generation);
}

#[test]
fn without_tiles_the_page_shows_the_single_file_so_that_it_never_waits() {
    let mut spec = spec();
    (spec.lag_ms, spec.pyramid) = (Some(1_000), false);
    let mut stage = Stage::with(spec, 60);
    let mut generation = rows_of(30, 6, 6);
    stage.publish(&generation, 1_000);
    arrive(&mut generation, 40);
    assert_eq!(stage.publish(&generation, 1_100).due_ms, None);
    stage.assert_equals_rebuild(&generation);
}

#[test]
fn an_end_after_the_output_was_removed_draws_nothing_in_it() {
    let (mut stage, mut generation) = stage();
    arrive(&mut generation, 40);
    stage.publish(&generation, 2_000);
    fs::remove_dir_all(&stage.output).expect("removed");
    stage.catch_up(2_100);
    let left = fs::read_dir(&stage.output).into_iter().flatten();
    let names = left.map(|entry| entry.expect("an entry").file_name());
    assert!(
        !names
            .into_iter()
            .any(|name| name.to_string_lossy().ends_with(".jpg"))
    );
    stage.publish(&generation, 2_200);
    stage.assert_equals_rebuild(&generation);
}
