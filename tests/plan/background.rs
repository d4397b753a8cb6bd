//! What happens when nothing happens.

use super::*;
use Background::{Collect, Measure, Polish, Relax, Word};

/// A world with a placed work and without background work; `now_ms` is when its generation was published.
fn published(wants_polish: bool) -> World {
    let mut world = World::with(&["a"]);
    world.make("b", Kind::Good);
    world.subtree("b");
    world.until_a_task_runs();
    world.wants_polish = wants_polish;
    world.finish_task(false, false);
    world
}

#[test]
fn background_work_comes_in_its_order_one_at_a_time_once_nothing_was_published_for_a_while() {
    let mut world = published(true);
    let begun: Vec<Background> = world.background.iter().copied().collect();
    assert_eq!(begun, [Relax], "at once");
    let mut order = Vec::new();
    let from_ms = world.now_ms;
    while order.len() < 3 {
        world.wait(1_000);
        world.finish_scan();
        if let Some(work) = world.background.pop_front() {
            if work != Relax && work != Collect {
                assert!(world.now_ms >= from_ms + 10_000, "{work:?} is too early");
                assert!(world.background.iter().all(|more| *more == Collect));
                order.push(work);
            }
            world.on(Input::Ended { work, found: false });
        }
    }
    assert_eq!(order, [Polish, Measure, Word]);
    assert!(world.tasks.len() == 1, "nothing was found");
}

#[test]
fn a_polished_grid_is_published_by_one_task_unless_works_come_first() {
    for comes in [false, true] {
        let mut world = published(true);
        world.wait(11_000);
        world.finish_scan();
        world.end_background(false);
        assert!(world.background.contains(&Polish));
        if comes {
            world.make("c", Kind::Good);
            world.subtree("c");
            world.wait(2_500);
            world.finish_read(0);
            assert!(world.task.is_some());
        }
        world.end_background(true);
        world.settle();
        let polishes = world.tasks.iter().filter(|task| **task == Task::Polish);
        assert_eq!(polishes.count(), usize::from(!comes), "{:?}", world.tasks);
    }
}

#[test]
fn a_polish_waits_for_its_time_of_day() {
    let at = |polish: PolishTime, minute: u16| {
        let settings = Settings {
            polish,
            ..world::settings()
        };
        let mut world = World::of(settings);
        world.make("a", Kind::Good);
        world.on(Input::LocalTime(minute));
        world.finish_scan();
        world.until_a_task_runs();
        world.wants_polish = true;
        world.finish_task(false, false);
        world.wait(11_000);
        world.finish_scan();
        world.end_background(false);
        (world.background.contains(&Polish), world)
    };
    let three = PolishTime::At(180);
    assert!(at(PolishTime::Quiet, 0).0 && !at(PolishTime::Never, 180).0);
    assert!(at(three, 180).0 && at(three, 239).0);
    assert!(!at(three, 179).0 && !at(three, 240).0);
    assert!(at(PolishTime::At(1_430), 10).0, "past midnight");
    let (begun, mut world) = at(three, 179);
    assert!(!begun, "a minute too early");
    world.end_background(false);
    world.on(Input::LocalTime(180));
    world.end_background(false);
    world.on(Input::LocalTime(180));
    assert!(world.background.contains(&Polish), "it is still wanted");
}

#[test]
fn a_map_is_relaxed_for_as_long_as_some_of_it_is_left() {
    let mut world = published(false);
    for _ in 0..3 {
        assert_eq!(world.background.pop_front(), Some(Relax));
        world.on(Input::Ended {
            work: Relax,
            found: true,
        });
    }
    assert_eq!(world.background.pop_front(), Some(Relax));
    world.on(Input::Ended {
        work: Relax,
        found: false,
    });
    assert!(world.background.is_empty());
}

#[test]
fn a_grid_that_takes_long_to_measure_is_not_measured_after_every_arrival() {
    let mut world = published(false);
    let mut measured = Vec::new();
    for i in 0..200 {
        let name = format!("c{i}");
        world.make(&name, Kind::Good);
        world.subtree(&name);
        world.until_a_task_runs();
        world.finish_task(false, false);
        let begun_ms = world.now_ms;
        for _ in 0..30 {
            world.wait(1_000);
            world.finish_scan();
            let work = world.background.pop_front();
            match work {
                None => continue,
                Some(Measure) => {
                    measured.push(world.now_ms);
                    world.wait(5_000);
                }
                Some(_) => {}
            }
            let work = work.expect("it is one");
            world.on(Input::Ended { work, found: false });
        }
        assert!(world.now_ms - begun_ms < 60_000);
    }
    let pauses = measured.windows(2).map(|pair| pair[1] - pair[0]);
    let pauses: Vec<u64> = pauses.collect();
    // 60 times 4 seconds, and until the next time of calm.
    assert!(
        pauses
            .iter()
            .all(|pause| (240_000..340_000).contains(pause)),
        "{pauses:?}"
    );
    assert!(pauses.len() > 10);
}

#[test]
fn nothing_is_begun_in_the_background_while_files_are_read_or_placed() {
    let mut world = published(true);
    world.background.clear();
    world.on(Input::Ended {
        work: Relax,
        found: true,
    });
    world.background.clear();
    world.on(Input::Ended {
        work: Relax,
        found: false,
    });
    world.make("c", Kind::Good);
    world.subtree("c");
    world.wait(2_500);
    assert_eq!(world.jobs.len(), 1);
    world.wait(200_000);
    assert!(world.background.is_empty(), "{:?}", world.background);
    world.finish_read(0);
    world.wait(200_000);
    assert!(world.task.is_some());
    assert!(world.background.is_empty(), "{:?}", world.background);
}

#[test]
fn unneeded_files_are_collected_every_minute() {
    let mut world = published(false);
    let mut times = Vec::new();
    while times.len() < 4 {
        world.step();
        if world.collected.last() != times.last() {
            times = world.collected.clone();
        }
    }
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 60_000),
        "{times:?}"
    );
}

#[test]
fn a_publication_that_is_due_later_comes_then_and_once() {
    let mut world = World::with(&["a"]);
    world.make("b", Kind::Good);
    world.subtree("b");
    world.until_a_task_runs();
    world.due_ms = Some(5_000);
    world.finish_task(false, false);
    let done = world.tasks.len();
    world.wait(4_900);
    assert_eq!(world.tasks.len(), done, "too early");
    world.wait(200);
    assert_eq!(world.tasks.len(), done + 1);
    world.finish_task(false, false);
    world.wait(60_000);
    assert_eq!(world.tasks.len(), done + 1, "not again");
}
