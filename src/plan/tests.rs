//! The plan's stories, without a file system or a clock.

use super::*;
use crate::domain::{Rebuilt, Refusal, Retry, manifest::Moves};
use std::{path::Path, time::Duration};

mod shadow;

fn identity(ino: u64) -> FileIdentity {
    FileIdentity {
        dev: 1,
        ino,
        size: 10,
        mtime_ns: 0,
        ctime_ns: 0,
    }
}

fn hash(path: &str) -> ContentHash {
    ContentHash::of(path.as_bytes())
}

fn scan(start: &str, files: &[(&str, u64)]) -> Scan {
    Scan {
        start: start.into(),
        files: files
            .iter()
            .map(|(path, ino)| (PathBuf::from(path), identity(*ino)))
            .collect(),
        ..Scan::default()
    }
}

fn refusal(retry: Retry, reason: &str) -> Refusal {
    let reason = reason.into();
    Refusal { retry, reason }
}

fn report() -> Report {
    Report {
        rebuilt: Rebuilt::default(),
        generation: 1,
        changed: true,
        published_ms: 0,
        works: 0,
        grid: (0, 0),
        cell_px: 32,
        moves: Moves::default(),
        tiles: 0,
        store_bytes: 0,
        store_healed: false,
        missing: Vec::new(),
        stages: Vec::new(),
        wants_polish: false,
    }
}

/// A plan beside a folder, with a clock and a wall clock that agree.
struct House {
    plan: Plan,
    now_ms: u64,
}

impl House {
    fn new() -> Self {
        let settings = Settings {
            gather_ms: 1_000,
            rescan_ms: 300_000,
            hold: true,
            grace_ms: 86_400_000,
        };
        let plan = Plan::new(settings, Settle::new(Quiet::default()), Vec::new(), None);
        Self {
            plan,
            now_ms: 10_000_000,
        }
    }

    fn on(&mut self, input: Input) -> Vec<Command> {
        self.now_ms += 1;
        self.plan.on(input, self.now_ms)
    }

    fn wait(&mut self, ms: u64) -> Vec<Command> {
        self.now_ms += ms;
        self.plan.on(Input::Tick, self.now_ms)
    }

    fn scanned(&mut self, files: &[(&str, u64)]) -> Vec<Command> {
        let wall_ms = self.now_ms;
        self.on(Input::Scanned {
            scan: Ok(scan("", files)),
            wall_ms,
        })
    }

    fn looked(&mut self, path: &str, files: &[(&str, u64)]) -> Vec<Command> {
        let wall_ms = self.now_ms;
        self.on(Input::Looked {
            path: path.into(),
            scan: scan(path, files),
            wall_ms,
        })
    }

    /// Carries commands out as a good house does until nothing is left; returns the tasks.
    fn carry(&mut self, mut commands: Vec<Command>, files: &[(&str, u64)]) -> Vec<Task> {
        let mut tasks = Vec::new();
        while let Some(command) = commands.pop() {
            commands.extend(match command {
                Command::Scan => self.scanned(files),
                Command::Look(path) => {
                    let path = path.to_str().expect("test paths are text").to_owned();
                    let there: Vec<_> = files
                        .iter()
                        .filter(|(file, _)| Path::new(file).starts_with(&path))
                        .copied()
                        .collect();
                    self.looked(&path, &there)
                }
                Command::Ingest(job) => {
                    let result = Ok(hash(job.path.to_str().expect("test paths are text")));
                    self.on(Input::Ingested(Outcome {
                        job,
                        result,
                        embedded: Some(Duration::ZERO),
                        next_error: None,
                    }))
                }
                Command::Run(task) => {
                    tasks.push(task);
                    self.on(Input::Done(Ok(report())))
                }
            });
            if commands.is_empty() {
                commands = self.wait(1_000);
            }
        }
        tasks
    }

    fn with(files: &[(&str, u64)]) -> Self {
        let mut house = Self::new();
        let commands = house.on(Input::Start);
        house.carry(commands, files);
        assert_eq!(house.plan.placed.len(), files.len());
        assert!(house.plan.is_idle());
        house
    }
}

fn many(n: u64) -> Vec<(String, u64)> {
    (1..=n).map(|i| (format!("{i:03}.png"), i)).collect()
}

fn borrowed(files: &[(String, u64)]) -> Vec<(&str, u64)> {
    files
        .iter()
        .map(|(path, ino)| (path.as_str(), *ino))
        .collect()
}

#[test]
fn a_start_places_everything_in_one_task() {
    let files = many(40);
    let files = borrowed(&files);
    let mut house = House::new();
    let commands = house.on(Input::Start);
    let tasks = house.carry(commands, &files);
    let placed: Vec<usize> = tasks
        .iter()
        .map(|task| match task {
            Task::Apply { arrivals, .. } => arrivals.len(),
            Task::Relayout => 0,
        })
        .collect();
    assert_eq!(placed, [40]);
}

#[test]
fn a_folder_that_leaves_while_its_works_are_being_placed_is_looked_at_again() {
    let mut house = House::with(&[("a.png", 1)]);
    let all = [("a.png", 1), ("folder/b.png", 2)];
    let mut commands = house.looked("folder", &[("folder/b.png", 2)]);
    commands.extend(house.wait(2_000));
    let running = loop {
        let Some(command) = commands.pop() else {
            commands = house.wait(1_000);
            continue;
        };
        match command {
            Command::Run(task) => break task,
            Command::Look(_) => commands.extend(house.looked("folder/b.png", &all[1..])),
            Command::Ingest(job) => {
                let outcome = Outcome {
                    job,
                    result: Ok(hash("b")),
                    embedded: Some(Duration::ZERO),
                    next_error: None,
                };
                commands.extend(house.on(Input::Ingested(outcome)));
            }
            Command::Scan => {}
        }
    };
    assert!(matches!(running, Task::Apply { arrivals, .. } if arrivals.len() == 1));
    house.looked("folder", &[]);
    let commands = house.on(Input::Done(Ok(report())));
    assert!(
        commands.contains(&Command::Look("folder/b.png".into())),
        "{commands:?}"
    );
    let tasks = house.carry(commands, &all[..1]);
    assert!(
        matches!(&tasks[..], [Task::Apply { gone, .. }] if gone.len() == 1),
        "{tasks:?}"
    );
}

#[test]
fn what_is_said_while_a_task_runs_is_published_after_it() {
    let mut house = House::with(&[("a.png", 1)]);
    let commands = house.on(Input::Due);
    assert!(matches!(commands[..], [Command::Run(_)]), "{commands:?}");
    assert_eq!(house.on(Input::Due), []);
    let commands = house.on(Input::Done(Ok(report())));
    assert!(matches!(commands[..], [Command::Run(_)]), "{commands:?}");
    assert_eq!(house.on(Input::Done(Ok(report()))), []);
    assert!(house.plan.is_idle());
}

#[test]
fn an_unexplained_mass_removal_is_held_confirmed_and_carried_out() {
    let files = many(30);
    let mut house = House::with(&borrowed(&files));
    let rest = borrowed(&files[..10]);
    house.on(Input::Rescan);
    let commands = house.scanned(&rest);
    assert_eq!(house.carry(commands, &rest), []);
    assert_eq!(house.plan.held().map(|held| held.missing), Some(20));
    let commands = house.on(Input::Confirm);
    let tasks = house.carry(commands, &rest);
    assert!(
        matches!(&tasks[..], [Task::Apply { gone, .. }] if gone.len() == 20),
        "{tasks:?}"
    );
    assert!(house.plan.held().is_none());
}

#[test]
fn the_grace_goes_on_where_the_last_plan_ended() {
    let files = many(30);
    let grace_ms = 86_400_000;
    for (before_ms, believed) in [(0, false), (grace_ms - 3_000_000, true)] {
        let mut house = House::with(&borrowed(&files));
        house.plan.go_on_holding(before_ms);
        house.on(Input::Rescan);
        assert_eq!(house.scanned(&[]), []);
        assert_eq!(house.plan.held_ms(), Some(before_ms));
        house.wait(2_900_000);
        assert_eq!(
            house.plan.held_left_ms(),
            Some(grace_ms - before_ms - 2_900_000)
        );
        assert_eq!(house.scanned(&[]), [], "not yet");
        house.wait(200_000);
        let looked = house.scanned(&[]).len();
        assert_eq!(
            (looked, house.plan.holds_nothing()),
            (30 * usize::from(believed), believed)
        );
    }
}

#[test]
fn a_hold_that_ended_adds_nothing_to_the_next_one() {
    let files = many(30);
    let mut house = House::with(&borrowed(&files));
    house.plan.go_on_holding(80_000_000);
    house.on(Input::Rescan);
    let commands = house.scanned(&borrowed(&files));
    house.carry(commands, &borrowed(&files));
    assert!(house.plan.holds_nothing());
    house.on(Input::Rescan);
    house.scanned(&[]);
    assert_eq!(house.plan.held_ms(), Some(0));
}

#[test]
fn works_that_come_back_end_the_hold() {
    let files = many(30);
    let mut house = House::with(&borrowed(&files));
    house.on(Input::Rescan);
    house.scanned(&[]);
    assert!(house.plan.held().is_some());
    house.on(Input::Rescan);
    let commands = house.scanned(&borrowed(&files));
    assert_eq!(house.carry(commands, &borrowed(&files)), []);
    assert!(house.plan.held().is_none());
}

#[test]
fn deletions_that_were_seen_are_believed() {
    let files = many(30);
    let mut house = House::with(&borrowed(&files));
    let mut tasks = Vec::new();
    for (path, _) in &files {
        let commands = house.looked(path, &[]);
        tasks.extend(commands);
    }
    tasks.extend(house.wait(1_000));
    let gone: usize = tasks
        .iter()
        .map(|command| match command {
            Command::Run(Task::Apply { gone, .. }) => gone.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(gone, 30);
}

#[test]
fn a_failed_task_is_tried_again_with_the_same_files() {
    let mut house = House::with(&[("a.png", 1)]);
    let mut commands = house.looked("b.png", &[("b.png", 2)]);
    let mut runs = 0;
    while runs < 3 {
        let Some(command) = commands.pop() else {
            commands = house.wait(5_000);
            continue;
        };
        match command {
            Command::Look(_) => commands.extend(house.looked("b.png", &[("b.png", 2)])),
            Command::Ingest(job) => {
                let outcome = Outcome {
                    job,
                    result: Ok(hash("b")),
                    embedded: Some(Duration::ZERO),
                    next_error: None,
                };
                commands.extend(house.on(Input::Ingested(outcome)));
            }
            Command::Run(Task::Apply { arrivals, .. }) => {
                assert_eq!(arrivals.len(), 1);
                runs += 1;
                commands.extend(house.on(Input::Done(Err("disk full".into()))));
                assert_eq!(house.plan.failing(), Some("disk full"));
            }
            Command::Run(Task::Relayout) | Command::Scan => {}
        }
    }
}

#[test]
fn a_refused_file_is_tried_again_when_it_changes() {
    let mut house = House::with(&[("a.png", 1)]);
    let refuse = |house: &mut House, mut commands: Vec<Command>, ino: u64| {
        let mut tries = 0;
        for _ in 0..20 {
            match commands.pop() {
                Some(Command::Look(_)) => commands.extend(house.looked("b.png", &[("b.png", ino)])),
                Some(Command::Ingest(job)) => {
                    tries += 1;
                    let outcome = Outcome {
                        job,
                        result: Err(refusal(Retry::WhenChanged, "crashes")),
                        embedded: None,
                        next_error: None,
                    };
                    commands.extend(house.on(Input::Ingested(outcome)));
                }
                Some(_) => {}
                None => commands = house.wait(1_000),
            }
        }
        tries
    };
    let commands = house.looked("b.png", &[("b.png", 2)]);
    assert_eq!(
        refuse(&mut house, commands, 2),
        1,
        "once, however long it stays the same"
    );
    assert!(house.plan.refused().contains_key(Path::new("b.png")));
    let commands = house.looked("b.png", &[("b.png", 3)]);
    assert_eq!(
        refuse(&mut house, commands, 3),
        1,
        "once more after it changed"
    );
}

#[test]
fn files_that_wait_for_room_all_come_in_soon_after_there_is_some() {
    let files = many(50);
    let files = borrowed(&files);
    let mut house = House::new();
    let mut open = house.on(Input::Start);
    let began = house.now_ms;
    let (room_at, mut tries, mut probes) = (began + 3 * 3_600_000, 0, 0);
    let (mut placed, mut idle_at) = (0, None);
    while idle_at.is_none() {
        let room = house.now_ms >= room_at;
        assert!(house.now_ms < room_at + 120_000, "only {placed} came in");
        while let Some(command) = open.pop() {
            let Command::Ingest(job) = command else {
                open.extend(match command {
                    Command::Scan => house.scanned(&files),
                    Command::Look(path) => {
                        let file = files
                            .iter()
                            .find(|(file, _)| Path::new(file) == path)
                            .expect("only these files are looked at");
                        house.looked(file.0, &[*file])
                    }
                    _ => house.on(Input::Done(Ok(report()))),
                });
                continue;
            };
            tries += u32::from(!room);
            probes += u32::from(!room && house.now_ms > began + 3_600_000);
            placed += usize::from(room);
            let result = match room {
                true => Ok(hash(job.path.to_str().expect("test paths are text"))),
                false => Err(refusal(Retry::Wait, "full")),
            };
            open.extend(house.on(Input::Ingested(Outcome {
                job,
                result,
                embedded: room.then_some(Duration::ZERO),
                next_error: None,
            })));
        }
        let done = house.plan.is_idle() && !house.plan.is_blocked();
        idle_at = done.then_some(house.now_ms);
        open = house.wait(500);
    }
    assert_eq!(placed, files.len());
    assert!(idle_at.expect("idle") - room_at < 30_000, "{idle_at:?}");
    assert!(probes >= 100, "{probes} probes in two hours");
    assert!(
        tries < 2_500,
        "{tries} tries of 50 files in three hours without room are too many"
    );
}
