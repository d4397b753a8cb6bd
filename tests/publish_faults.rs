//! A fault at every durable step of a publish: readers see the old or the new generation, and the next publish heals.

mod publish_support;

use mosaicd::publish::{Failpoint, Generation, PublishError, Step, names};
use publish_support::*;
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It fails once, as on a full disk, and clean-up works.
    Once,
    /// Nothing after it happens: the process died there.
    Death,
}

/// A failpoint that strikes at the step of this number, and a count of the steps taken.
fn strike(at: usize, fault: Fault) -> (Failpoint, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let failpoint: Failpoint = Arc::new(move |_: Step<'_>| {
        let step = counter.fetch_add(1, Ordering::SeqCst);
        let stopped = match fault {
            Fault::Once => step == at,
            Fault::Death => step >= at,
        };
        match stopped {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    });
    (failpoint, taken)
}

fn before() -> Generation {
    rows_of(90, 10, 9)
}

/// The generation whose publish is disturbed: an edit, a move, an arrival, a departure and growth.
fn after() -> Generation {
    let mut generation = before();
    Arc::make_mut(&mut generation.works[3]).hash = hash(120);
    generation.works.remove(40);
    generation.works.push(work(500, 121, 10, 2).into());
    generation.cols = 11;
    Arc::make_mut(&mut generation.works[50]).col = 0;
    Arc::make_mut(&mut generation.works[50]).row = 4;
    generation
}

/// Another output folder that shows [`before`], and a publisher that has just started on it.
fn start_at(stage: &mut Stage, name: &str) {
    stage.use_output(name);
    stage.publish(&before(), 10);
    stage.restart();
}

/// What any reader may rely on at any time.
fn assert_old_or_new(output: &Path, at: usize) {
    let manifest = read_all(output);
    assert!(matches!(manifest.generation, 1 | 2), "step {at}");
    let expected = if manifest.generation == 1 { 10 } else { 11 };
    assert_eq!(manifest.grid.cols, expected, "step {at}");
    for name in ["mosaic.jpg", "preview.jpg"] {
        image::open(output.join(name)).expect("a stable name is whole");
    }
}

fn every_step(fault: Fault) {
    let mut stage = Stage::new(130);
    let (counting, steps) = strike(usize::MAX, fault);
    start_at(&mut stage, "count");
    stage.publisher().set_failpoint(Some(counting));
    stage.publish(&after(), 20);
    let steps = steps.load(Ordering::SeqCst);
    assert!(steps > 30, "only {steps} steps");
    let reference = files(&stage.output);
    for at in 0..steps {
        start_at(&mut stage, &format!("at-{at}"));
        let failpoint = strike(at, fault).0;
        stage.publisher().set_failpoint(Some(failpoint));
        let struck = stage.try_publish(&after(), 20);
        assert!(matches!(struck, Err(PublishError::Io { .. })), "step {at}");
        assert_old_or_new(&stage.output, at);
        if fault == Fault::Death {
            stage.restart();
            assert_old_or_new(&stage.output, at);
        }
        stage.publisher().set_failpoint(None);
        let healed = stage.publish(&after(), 30);
        assert_eq!(healed.generation, 2, "step {at}");
        stage.assert_finished();
        // Nothing stays behind: after two more generations' grace the files are the undisturbed run's.
        for now in [40, 50] {
            stage.publisher().collect(now).expect("collected");
        }
        let mut again = after();
        Arc::make_mut(&mut again.works[0]).hash = hash(125);
        for (generation, now) in [(&again, 60), (&after(), 70), (&again, 80)] {
            stage.publish(generation, now);
        }
        for now in [90, 10_000_000] {
            stage.publisher().collect(now).expect("collected");
        }
        stage.assert_finished();
        let left = files(&stage.output).len();
        // The last two generations differ in one cell: a tile a level, a mosaic and a preview.
        assert!(
            left <= reference.len() + 2,
            "step {at}: {left} files are left"
        );
        std::fs::remove_dir_all(&stage.output).expect("removed");
    }
}

#[test]
fn a_full_disk_at_any_step_heals() {
    every_step(Fault::Once);
}

#[test]
fn a_death_at_any_step_heals() {
    every_step(Fault::Death);
}

#[test]
fn a_fault_at_any_step_while_the_single_files_catch_up_heals() {
    let mut grown = before();
    grown.works.push(work(500, 121, 10, 2).into());
    grown.cols = 11;
    for fault in [Fault::Once, Fault::Death] {
        let mut spec = spec();
        spec.lag_ms = Some(5);
        let mut stage = Stage::with(spec, 130);
        for at in 0.. {
            stage.use_output(&format!("lag-{at}"));
            stage.publish(&before(), 10);
            assert_eq!(stage.publish(&grown, 20).due_ms, Some(5));
            let (failpoint, taken) = strike(at, fault);
            stage.publisher().set_failpoint(Some(failpoint));
            let struck = stage.try_publish(&grown, 30);
            read_all(&stage.output);
            if fault == Fault::Death {
                stage.restart();
            }
            stage.publisher().set_failpoint(None);
            stage.publish(&grown, 40);
            assert_eq!(stage.publish(&grown, 60).generation, 2, "step {at}");
            stage.assert_equals_rebuild(&grown);
            if taken.load(Ordering::SeqCst) <= at {
                assert!(struck.is_ok() && at > 10, "only {at} steps");
                break;
            }
        }
    }
}

#[test]
fn a_fault_at_any_step_of_a_removal_leaves_nothing_of_the_work_once_another_arrives() {
    let mut without = before();
    let gone = without.works.remove(40).id.0;
    let mut grown = without.clone();
    grown.works.push(work(500, 121, 10, 2).into());
    grown.cols = 11;
    for fault in [Fault::Once, Fault::Death] {
        let mut spec = spec();
        (spec.url, spec.lag_ms) = ("https://example.org/".to_owned(), Some(1_000));
        let mut stage = Stage::with(spec, 130);
        for at in 0.. {
            stage.use_output(&format!("gone-{at}"));
            stage.publish(&before(), 10);
            let page = stage.output.join(names::work_page(gone));
            assert!(page.exists());
            let (failpoint, taken) = strike(at, fault);
            stage.publisher().set_failpoint(Some(failpoint));
            let struck = stage.try_publish(&without, 20);
            if fault == Fault::Death {
                stage.restart();
            }
            stage.publisher().set_failpoint(None);
            stage.publish(&grown, 30);
            stage.assert_finished();
            assert!(!page.exists(), "step {at}");
            if taken.load(Ordering::SeqCst) <= at {
                assert!(struck.is_ok() && at > 30, "only {at} steps");
                break;
            }
        }
    }
}

#[test]
fn a_death_at_any_step_of_the_first_publish_heals() {
    let mut stage = Stage::new(130);
    for at in 0.. {
        stage.use_output(&format!("first-{at}"));
        let failpoint = strike(at, Fault::Death).0;
        stage.publisher().set_failpoint(Some(failpoint));
        let struck = stage.try_publish(&before(), 20);
        if stage.output.join("manifest.json").exists() {
            read_all(&stage.output);
        }
        stage.restart();
        stage.publish(&before(), 10);
        stage.assert_finished();
        if struck.is_ok() {
            assert!(at > 30, "only {at} steps");
            break;
        }
    }
}

#[test]
fn scripts_that_a_crash_has_torn_are_healed_by_the_next_start() {
    let mut stage = Stage::new(130);
    start_at(&mut stage, "torn");
    let manifest = std::fs::read(stage.output.join("manifest.json")).expect("a manifest");
    for script in ["manifest.js", "latest.js"] {
        let path = stage.output.join(script);
        let whole = std::fs::read(&path).expect("a script");
        for left in [&[][..], &whole[..whole.len() / 2]] {
            std::fs::write(&path, left).expect("torn");
            stage.restart();
            stage.publish(&before(), 10);
            stage.assert_finished();
        }
    }
    let now = std::fs::read(stage.output.join("manifest.json")).expect("a manifest");
    assert!(now == manifest, "an unchanged state is not published again");
}
