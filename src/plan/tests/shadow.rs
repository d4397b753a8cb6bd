//! Stories of another model that embeds in shadow.

use super::*;

/// A house whose placed works another model embeds in shadow, and the files it was asked to read for it.
fn shadowed(files: &[(&str, u64)]) -> (House, Vec<Job>) {
    let mut house = House::with(files);
    house.plan.shadow = Some(Shadow::new(
        files.iter().map(|(path, _)| PathBuf::from(path)),
    ));
    let commands = house.wait(1);
    let jobs = commands.into_iter().filter_map(|command| match command {
        Command::Ingest(job) => Some(job),
        _ => None,
    });
    let jobs = jobs.collect();
    (house, jobs)
}

fn read_well(job: Job) -> Input {
    Input::Ingested(Outcome {
        result: Ok(hash(&job.path.to_string_lossy())),
        job,
        embedded: Some(Duration::ZERO),
        next_error: None,
    })
}

#[test]
fn another_model_takes_over_when_it_has_embedded_everything_and_nothing_is_placed_twice() {
    let files: Vec<(String, u64)> = (0..40).map(|i| (format!("{i:02}.png"), i)).collect();
    let files: Vec<(&str, u64)> = files.iter().map(|(p, i)| (p.as_str(), *i)).collect();
    let (mut house, mut jobs) = shadowed(&files);
    assert!(jobs.len() < files.len(), "only a few at a time");
    assert!(!house.plan.is_idle());
    let mut read = 0;
    while let Some(job) = jobs.pop() {
        assert!(!house.plan.can_take_over());
        assert_eq!(
            house.plan.shadow().expect("it goes on").progress(),
            (read, 40)
        );
        read += 1;
        for command in house.on(read_well(job)) {
            match command {
                Command::Ingest(job) => jobs.push(job),
                command => panic!("{command:?} for a work that is placed already"),
            }
        }
    }
    assert_eq!(read, 40);
    assert!(house.plan.can_take_over());
}

#[test]
fn arrivals_are_placed_while_another_model_embeds() {
    let (mut house, jobs) = shadowed(&[("a.png", 1)]);
    let files = [("a.png", 1), ("b.png", 2)];
    let commands = house.looked("b.png", &files[1..]);
    let tasks = house.carry(commands, &files);
    assert!(matches!(&tasks[..], [Task::Apply { arrivals, .. }] if arrivals.len() == 1));
    assert!(!house.plan.can_take_over());
    for job in jobs {
        house.on(read_well(job));
    }
    assert!(house.plan.can_take_over());
}

#[test]
fn a_work_that_changes_while_it_is_read_in_shadow_is_read_for_the_mosaic() {
    let (mut house, mut jobs) = shadowed(&[("a.png", 1)]);
    let job = jobs.pop().expect("it is read");
    let commands = house.on(Input::Ingested(Outcome {
        job,
        result: Err(refusal(Retry::Look, "it changed")),
        embedded: None,
        next_error: None,
    }));
    assert_eq!(commands, [Command::Look("a.png".into())]);
    let files = [("a.png", 7)];
    let tasks = house.carry(commands, &files);
    assert!(matches!(&tasks[..], [Task::Apply { arrivals, .. }] if arrivals.len() == 1));
    assert!(house.plan.can_take_over());
}

#[test]
fn a_model_that_fails_does_not_take_over_and_says_why() {
    let (mut house, jobs) = shadowed(&[("a.png", 1), ("b.png", 2)]);
    for job in jobs {
        house.on(Input::Ingested(Outcome {
            result: Ok(hash("a")),
            job,
            embedded: None,
            next_error: Some("out of memory".into()),
        }));
    }
    assert!(!house.plan.can_take_over());
    let shadow = house.plan.shadow().expect("it is over");
    assert_eq!(shadow.failures(), Some((2, "out of memory")));
    assert!(house.plan.is_idle(), "the old model goes on");
}

#[test]
fn a_full_disk_makes_the_shadow_wait() {
    let (mut house, mut jobs) = shadowed(&[("a.png", 1)]);
    let job = jobs.pop().expect("it is read");
    let commands = house.on(Input::Ingested(Outcome {
        job: job.clone(),
        result: Err(refusal(Retry::Wait, "full")),
        embedded: None,
        next_error: None,
    }));
    assert_eq!(commands, []);
    assert!(
        house
            .plan
            .next_deadline()
            .is_some_and(|at| at <= house.now_ms + 5_000)
    );
    assert_eq!(house.wait(5_000), [Command::Ingest(job)]);
}
