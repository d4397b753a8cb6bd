//! A fault at every durable step of a publish: readers see the old or the new generation, and the next publish heals.

mod publish_support;

use mosaicd::publish::{Failpoint, Generation, OutputSpec, PublishError, Publisher, Step};
use publish_support::*;
use std::{
    io,
    path::{Path, PathBuf},
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

struct Stage {
    dir: tempfile::TempDir,
    cells: mosaicd::cells::CellStore,
    spec: OutputSpec,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let spec = spec();
        let cells = cells(&dir.path().join("cells"), &spec, 130);
        Self { dir, cells, spec }
    }

    fn before(&self) -> Generation {
        rows_of(90, 10, 9)
    }

    /// The generation whose publish is disturbed: an edit, a move, an arrival, a departure and growth.
    fn after(&self) -> Generation {
        let mut generation = self.before();
        generation.works[3].hash = hash(120);
        generation.works.remove(40);
        generation.works.push(work(500, 121, 10, 2));
        generation.cols = 11;
        generation.works[50].col = 0;
        generation.works[50].row = 4;
        generation
    }

    /// An output folder that shows [`Stage::before`].
    fn output(&self, name: &str) -> PathBuf {
        let output = self.dir.path().join(name);
        self.publish(&output, &self.before());
        output
    }

    fn publish(&self, output: &Path, generation: &Generation) {
        Publisher::open(output, self.spec.clone())
            .and_then(|mut publisher| publisher.publish(generation, &self.cells, 10))
            .expect("published");
    }
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
    let stage = Stage::new();
    let (counting, steps) = strike(usize::MAX, fault);
    let output = stage.output("count");
    let mut publisher = Publisher::open(&output, stage.spec.clone()).expect("a publisher");
    publisher.set_failpoint(Some(counting));
    publisher
        .publish(&stage.after(), &stage.cells, 20)
        .expect("published");
    let steps = steps.load(Ordering::SeqCst);
    assert!(steps > 30, "only {steps} steps");
    let reference = files(&output);
    for at in 0..steps {
        let output = stage.output(&format!("at-{at}"));
        let mut publisher = Publisher::open(&output, stage.spec.clone()).expect("a publisher");
        publisher.set_failpoint(Some(strike(at, fault).0));
        let struck = publisher.publish(&stage.after(), &stage.cells, 20);
        assert!(matches!(struck, Err(PublishError::Io { .. })), "step {at}");
        assert_old_or_new(&output, at);
        if fault == Fault::Death {
            drop(publisher);
            publisher = Publisher::open(&output, stage.spec.clone()).expect("a publisher");
            assert_old_or_new(&output, at);
        }
        publisher.set_failpoint(None);
        let healed = publisher
            .publish(&stage.after(), &stage.cells, 30)
            .expect("the next publish heals");
        assert_eq!(healed.generation, 2, "step {at}");
        assert_finished(&output);
        // Nothing stays behind: after two more generations' grace the files are the undisturbed run's.
        for now in [40, 50] {
            publisher.collect(now).expect("collected");
        }
        let mut again = stage.after();
        again.works[0].hash = hash(125);
        for (generation, now) in [(&again, 60), (&stage.after(), 70), (&again, 80)] {
            publisher
                .publish(generation, &stage.cells, now)
                .expect("published");
        }
        publisher.collect(90).expect("collected");
        publisher.collect(10_000_000).expect("collected");
        assert_finished(&output);
        let left = files(&output).len();
        // The last two generations differ in one cell: a tile a level, a mosaic and a preview.
        assert!(
            left <= reference.len() + 2,
            "step {at}: {left} files are left"
        );
        std::fs::remove_dir_all(&output).expect("removed");
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
fn a_death_at_any_step_of_the_first_publish_heals() {
    let stage = Stage::new();
    for at in 0.. {
        let output = stage.dir.path().join(format!("first-{at}"));
        let mut publisher = Publisher::open(&output, stage.spec.clone()).expect("a publisher");
        publisher.set_failpoint(Some(strike(at, Fault::Death).0));
        let struck = publisher.publish(&stage.before(), &stage.cells, 20);
        drop(publisher);
        if output.join("manifest.json").exists() {
            read_all(&output);
        }
        stage.publish(&output, &stage.before());
        assert_finished(&output);
        if struck.is_ok() {
            assert!(at > 30, "only {at} steps");
            break;
        }
    }
}

#[test]
fn scripts_that_a_crash_has_torn_are_healed_by_the_next_start() {
    let stage = Stage::new();
    let output = stage.output("torn");
    let manifest = std::fs::read(output.join("manifest.json")).expect("a manifest");
    for script in ["manifest.js", "latest.js"] {
        let path = output.join(script);
        let whole = std::fs::read(&path).expect("a script");
        for left in [&[][..], &whole[..whole.len() / 2]] {
            std::fs::write(&path, left).expect("torn");
            stage.publish(&output, &stage.before());
            assert_finished(&output);
        }
    }
    let now = std::fs::read(output.join("manifest.json")).expect("a manifest");
    assert!(now == manifest, "an unchanged state is not published again");
}
