//! Stories of another model that embeds in shadow.

use super::*;

/// A world whose placed works another model is to embed.
fn shadowed(n: usize) -> World {
    let mut world = placed(n);
    world.restart_with(Some(Shadow::new(world.placed.keys().cloned())));
    world.finish_scan();
    world.finish_task(false, false);
    world.tasks.clear();
    world
}

#[test]
fn another_model_takes_over_when_it_has_embedded_everything_and_nothing_is_placed_twice() {
    let mut world = shadowed(40);
    assert!(world.jobs.len() < 40, "only a few at a time");
    assert!(!world.plan.is_idle());
    for read in 0..40 {
        assert!(!world.plan.can_take_over());
        let shadow = world.plan.shadow().expect("it goes on");
        assert_eq!(shadow.progress(), (read, 40));
        world.finish_read(0);
    }
    assert!(world.plan.can_take_over());
    assert!(world.tasks.is_empty());
}

#[test]
fn arrivals_are_placed_while_another_model_embeds() {
    let mut world = shadowed(1);
    world.make("b", Kind::Good);
    world.subtree("b");
    world.wait(3_000);
    world.finish_read(1);
    world.wait(1_000);
    assert_eq!(sizes(&world), [(1, 0)]);
    world.finish_task(false, false);
    assert!(!world.plan.can_take_over());
    world.settle();
    assert!(world.plan.can_take_over());
}

#[test]
fn a_work_that_changes_while_it_is_read_in_shadow_is_read_for_the_mosaic() {
    let mut world = shadowed(1);
    world.make("001.png", Kind::Good);
    world.settle();
    assert_eq!(sizes(&world), [(1, 0)]);
    assert!(world.plan.can_take_over());
}

#[test]
fn a_model_that_fails_does_not_take_over_and_says_why() {
    let mut world = shadowed(2);
    for job in std::mem::take(&mut world.jobs) {
        world.on(Input::Ingested(Outcome {
            result: Ok(world::hash(&job.path)),
            job,
            embedded: None,
            next_error: Some("out of memory".into()),
            render_error: None,
        }));
    }
    assert!(!world.plan.can_take_over());
    let shadow = world.plan.shadow().expect("it is over");
    assert_eq!(shadow.failures(), Some((2, "out of memory")));
    assert!(world.plan.is_idle(), "the old model goes on");
}

#[test]
fn a_full_disk_makes_the_shadow_wait() {
    let mut world = shadowed(1);
    world.full = true;
    world.finish_read(0);
    assert!(world.jobs.is_empty());
    let soon_ms = world.now_ms + 5_000;
    assert!(world.plan.next_deadline().is_some_and(|at| at <= soon_ms));
    world.wait(5_000);
    assert_eq!(world.jobs.len(), 1);
}
