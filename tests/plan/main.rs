//! The plan's stories, without a file system or a clock.
#![allow(missing_docs)]

use mosaicd::domain::{
    ContentHash, FileIdentity, Job, Known, OptedOut, Outcome, Refusal, Report, Retry, RootId, Scan,
    Task, Touch,
};
use mosaicd::plan::{
    Background, Command, Input, Plan, PolishTime, Quiet, RateLimit, Settings, Shadow,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use world::{Kind, World};

mod background;
mod properties;
mod shadow;
mod world;

/// Names of many files.
fn many(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("{i:03}.png")).collect()
}

/// A world in which many files are placed.
fn placed(n: usize) -> World {
    let names = many(n);
    World::with(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Arrivals and works taken out, task by task.
fn sizes(world: &World) -> Vec<(usize, usize)> {
    let size = |task: &Task| match task {
        Task::Apply { arrivals, gone } => (arrivals.len(), gone.len()),
        Task::Polish | Task::Relayout => (0, 0),
    };
    world.tasks.iter().map(size).collect()
}

#[test]
fn a_start_places_everything_in_one_task() {
    let mut world = World::new();
    for name in many(40) {
        world.make(&name, Kind::Good);
    }
    world.settle();
    assert_eq!(sizes(&world), [(40, 0)]);
}

#[test]
fn a_single_pass_places_all_at_once_however_slowly_it_reads() {
    let once = Settings {
        once: true,
        ..world::settings()
    };
    let mut world = World::of(once);
    for name in many(30) {
        world.make(&name, Kind::Good);
    }
    world.make("torn", Kind::Torn);
    while world.jobs.len() < 30 {
        world.finish_scan();
        world.wait(500);
    }
    while !world.jobs.is_empty() {
        assert!(world.task.is_none(), "not all is read");
        world.wait(60_000);
        world.finish_scan();
        world.finish_read(0);
    }
    world.until_a_task_runs();
    assert_eq!(sizes(&world), [(30, 0)]);
    // A file that never becomes quiet holds the others up for a while alone.
    let mut world = World::of(once);
    world.make("a", Kind::Good);
    world.finish_scan();
    while world.plan.reading() + world.read == 0 {
        world.wait(500);
        world.touched("writes", Touch::Writing);
    }
    world.finish_read(0);
    let from_ms = world.now_ms;
    while world.task.is_none() {
        world.touched("writes", Touch::Writing);
        world.wait(200);
    }
    assert!((25_000..40_000).contains(&(world.now_ms - from_ms)));
}

#[test]
fn an_import_into_a_small_mosaic_is_shown_every_15_s() {
    let mut world = World::new();
    for name in many(900) {
        world.make(&name, Kind::Good);
    }
    world.finish_scan();
    while world.placed.len() < 900 {
        world.finish_scan();
        world.finish_read(0);
        world.wait(1_000);
        world.finish_task(false, false);
        assert!(world.now_ms < 4_000_000, "{:?}", sizes(&world));
    }
    let arrivals: Vec<usize> = sizes(&world)
        .iter()
        .map(|(arrivals, _)| *arrivals)
        .collect();
    assert!((5..=30).contains(&arrivals[0]), "{arrivals:?}");
    // One is read a second.
    assert!(arrivals.iter().all(|&count| count <= 30), "{arrivals:?}");
    // The last ones do not wait: they are few compared with those that are there.
    assert!(arrivals.len() <= 90, "{arrivals:?}");
}

#[test]
fn files_that_take_long_keep_nobody() {
    let slow: Vec<String> = many(60).iter().map(|name| format!("slow/{name}")).collect();
    let mut world = World::with(&["a"]);
    slow.iter().for_each(|name| world.make(name, Kind::Junk));
    world.subtree("slow");
    while world.jobs.len() < 60 {
        world.wait(500);
        world.finish_scan();
    }
    let jobs: Vec<Job> = world.jobs.drain(..).collect();
    for job in jobs.clone() {
        world.on(Input::Slow(job));
    }
    for i in 0..20 {
        let name = format!("good-{i}");
        world.make(&name, Kind::Good);
        world.touched(&name, Touch::Closed);
        let from_ms = world.now_ms;
        while !world.placed.contains_key(Path::new(&name)) {
            world.wait(100);
            world.finish_scan();
            world.finish_read(0);
            world.finish_task(false, false);
        }
        assert!(world.now_ms - from_ms < 5_000, "{name} waits");
    }
    assert_eq!((world.plan.reading(), world.plan.pending()), (60, 60));
    assert!(!world.plan.is_idle());
    // Old generations are collected meanwhile, and the grid is measured.
    let collected = world.collected.len();
    for _ in 0..100 {
        world.wait(1_000);
        world.finish_scan();
    }
    assert!(world.collected.len() > collected);
    assert!(world.background.contains(&Background::Relax));
    world.jobs.extend(jobs);
    while !world.jobs.is_empty() {
        world.finish_read(0);
    }
    assert_eq!(
        (world.plan.pending(), world.plan.refused_count().0),
        (0, 60)
    );
}

#[test]
fn a_work_whose_cell_is_lost_keeps_nobody_while_it_waits_to_be_read_again() {
    let mut world = World::with(&["a"]);
    let arrive = |world: &mut World, name: &str, loses: bool| {
        world.make(name, Kind::Good);
        world.touched(name, Touch::Closed);
        let from_ms = world.now_ms;
        while !world.placed.contains_key(Path::new(name)) {
            world.wait(100);
            world.finish_scan();
            let other = world.jobs.iter().position(|job| job.path != Path::new("a"));
            if let Some(other) = other {
                world.finish_read(other);
            }
            world.finish_task(false, loses);
            assert!(world.now_ms - from_ms < 5_000, "{name} waits");
        }
    };
    arrive(&mut world, "b", true);
    arrive(&mut world, "c", false);
    assert_eq!(world.jobs.len(), 1, "a is still being read");
    world.settle();
    assert_eq!((world.plan.pending(), world.plan.reading()), (0, 0));
}

#[test]
fn an_import_into_a_large_mosaic_waits_for_more() {
    let names = many(6_000);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with(&names);
    for i in 0..1_000 {
        world.make(&format!("new-{i}"), Kind::Good);
    }
    world.finish_scan();
    while sizes(&world).is_empty() {
        world.finish_scan();
        world.finish_read(0);
        world.wait(100);
        assert!(world.now_ms < 4_000_000);
    }
    // 5 ms for each placed work.
    let (arrivals, _) = sizes(&world)[0];
    assert!((250..=400).contains(&arrivals), "{arrivals}");
}

#[test]
fn a_file_that_is_deleted_while_it_is_being_placed_is_taken_out_by_the_next_task() {
    let mut world = World::with(&["a"]);
    world.make("folder/b", Kind::Good);
    world.subtree("folder");
    world.until_a_task_runs();
    world.folder.remove(Path::new("folder/b"));
    world.subtree("folder");
    world.settle();
    assert_eq!(sizes(&world), [(1, 0), (0, 1)]);
    assert_eq!(world.placed.len(), 1);
}

#[test]
fn a_scan_during_a_long_layout_reads_nothing_again() {
    let mut world = World::new();
    for name in many(40) {
        world.make(&name, Kind::Good);
    }
    world.until_a_task_runs();
    for _ in 0..10 {
        world.wait(10_000);
        world.finish_scan();
        assert_eq!((world.plan.pending(), world.jobs.len()), (0, 0));
    }
    world.settle();
    assert_eq!(sizes(&world), [(40, 0)]);
}

#[test]
fn a_work_that_is_gone_and_back_while_a_task_takes_it_out_is_placed_again() {
    let mut world = World::with(&["a", "b"]);
    let file = world.folder.remove(Path::new("a")).expect("it is there");
    world.subtree("a");
    world.until_a_task_runs();
    world.folder.insert("a".into(), file);
    world.flip();
    world.subtree("a");
    world.settle();
    assert_eq!(sizes(&world), [(0, 1), (1, 0)]);
    assert_eq!(world.placed.len(), 2);
}

#[test]
fn what_is_said_while_a_task_runs_is_published_after_it() {
    let mut world = World::with(&["a"]);
    world.on(Input::Due);
    world.on(Input::Due);
    assert_eq!(world.tasks.len(), 1);
    world.finish_task(false, false);
    assert_eq!(world.tasks.len(), 2);
    world.finish_task(false, false);
    assert_eq!(world.tasks.len(), 2);
    assert!(world.plan.is_idle());
}

#[test]
fn an_unexplained_mass_removal_is_held_confirmed_and_carried_out() {
    let mut world = placed(30);
    world.keep(10);
    world.settle();
    assert_eq!(
        (
            world.plan.held().map(|held| held.missing),
            world.placed.len()
        ),
        (Some(20), 30)
    );
    world.on(Input::Confirm);
    world.settle();
    assert_eq!(sizes(&world), [(0, 20)]);
    assert!(world.plan.held().is_none());
}

#[test]
fn the_grace_goes_on_where_the_last_plan_ended() {
    let grace_ms = world::settings().grace_ms;
    for (before_ms, believed) in [(0, false), (grace_ms - 3_000_000, true)] {
        let mut world = placed(30);
        world.plan.go_on_holding(before_ms);
        world.keep(0);
        world.scan();
        assert_eq!(world.plan.held_ms(), Some(before_ms));
        world.wait(2_900_000);
        world.finish_scan();
        let left_ms = grace_ms - before_ms - 2_900_000;
        assert_eq!(world.plan.held_left_ms(), Some(left_ms));
        world.wait(200_000);
        world.finish_scan();
        assert_eq!(world.plan.holds_nothing(), believed);
        world.settle();
        assert_eq!(world.placed.len(), if believed { 0 } else { 30 });
    }
}

#[test]
fn a_removal_that_was_held_adds_nothing_to_the_next_one() {
    let mut world = placed(30);
    world.plan.go_on_holding(80_000_000);
    world.settle();
    assert!(world.plan.holds_nothing());
    world.keep(0);
    world.scan();
    assert_eq!(world.plan.held_ms(), Some(0));
}

#[test]
fn works_that_come_back_are_held_no_longer() {
    let mut world = placed(30);
    let there = world.folder.clone();
    world.keep(0);
    world.settle();
    assert!(world.plan.held().is_some());
    world.folder = there;
    world.settle();
    assert!(world.plan.held().is_none());
    assert!(world.tasks.is_empty());
}

#[test]
fn deletions_that_were_seen_are_believed() {
    let mut world = placed(30);
    for name in many(30) {
        world.folder.remove(Path::new(&name));
        world.subtree(&name);
    }
    world.settle();
    assert_eq!(sizes(&world), [(0, 30)]);
}

#[test]
fn a_failed_task_is_tried_again_with_the_same_files() {
    let mut world = World::with(&["a"]);
    world.make("b", Kind::Good);
    world.subtree("b");
    for _ in 0..3 {
        world.until_a_task_runs();
        world.finish_task(true, false);
        assert_eq!(world.plan.failing(), Some("disk full"));
    }
    world.settle();
    assert_eq!(sizes(&world), [(1, 0); 4]);
}

#[test]
fn a_refused_file_is_tried_again_when_it_changes() {
    let mut world = World::with(&["a"]);
    world.make("b", Kind::Junk);
    world.settle();
    let read = world.read;
    world.settle();
    assert_eq!(world.read, read, "once, however long it stays the same");
    assert!(world.plan.refused().any(|(path, _)| path == Path::new("b")));
    world.make("b", Kind::Junk);
    world.settle();
    assert_eq!(world.read, read + 1, "once more after it changed");
}

#[test]
fn files_that_wait_for_room_all_come_in_soon_after_there_is_some() {
    let mut world = World::new();
    for name in many(50) {
        world.make(&name, Kind::Good);
    }
    world.full = true;
    while world.now_ms < 3 * 3_600_000 {
        world.step();
    }
    assert!(world.read > 700, "{} tries are too few probes", world.read);
    assert!(
        world.read < 2_500,
        "{} tries of 50 files in three hours without room are too many",
        world.read
    );
    world.full = false;
    let room_ms = world.now_ms;
    while world.placed.len() < 50 {
        world.step();
    }
    assert!(world.now_ms - room_ms < 30_000);
}

#[test]
fn a_work_that_waits_for_room_while_its_mount_is_away_is_read_once_both_are_back() {
    let mut world = World::with(&["a", "d/0"]);
    world.make("d/0", Kind::Good);
    world.full = true;
    while world.plan.refused().next().is_none() {
        world.step();
    }
    world.is_away = true;
    world.flip();
    // There is room again, as another file shows, and nothing can be said of the mount.
    world.full = false;
    world.make("b", Kind::Good);
    world.settle();
    assert_eq!(world.placed.len(), 3);
    world.is_away = false;
    world.flip();
    world.settle();
    let now = world.folder[Path::new("d/0")].0;
    assert_eq!(world.placed[Path::new("d/0")], now);
    assert_eq!(world.plan.refused().next(), None);
}
