//! Whatever happens, in whatever order: what is placed ends as what is in the folder, and nothing is read twice for nothing.

use super::*;
use proptest::prelude::*;

/// Names of files: enough in one folder for a mass removal.
const NAMES: [&str; 14] = [
    "a", "b", "d/0", "d/1", "d/2", "d/3", "d/4", "d/5", "d/6", "d/7", "d/8", "d/9", "d/e/0",
    "d/e/1",
];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A file is made or replaced, and its events come (`None`: they are lost).
    Make(usize, Kind, Option<Touch>),
    Remove(usize, bool),
    Rename(usize, usize, bool),
    RemoveFolder(bool),
    /// The mount comes or goes.
    Mount,
    /// The owner opts a file out, or takes that back; whether that is noticed at once.
    OptOut(usize, bool),
    /// An event that means nothing.
    Touch(usize, Touch),
    Lost,
    TakeScan,
    FinishScan,
    FinishRead(usize),
    FinishTask(bool, bool),
    Wait(u64),
    /// The wall clock jumps by so many seconds.
    Clock(i64),
    Full(bool),
    Relayout,
    Confirm,
    Restart(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    let touch = || {
        prop_oneof![
            Just(Touch::Writing),
            Just(Touch::Closed),
            Just(Touch::Attributes)
        ]
    };
    let kind = prop_oneof![8 => Just(Kind::Good), 1 => Just(Kind::Junk), 1 => Just(Kind::Torn)];
    prop_oneof![
        8 => (name(), kind, prop::option::of(touch())).prop_map(|(n, k, t)| Step::Make(n, k, t)),
        3 => (name(), any::<bool>()).prop_map(|(n, seen)| Step::Remove(n, seen)),
        3 => (name(), name(), any::<bool>()).prop_map(|(a, b, seen)| Step::Rename(a, b, seen)),
        1 => any::<bool>().prop_map(Step::RemoveFolder),
        1 => Just(Step::Mount),
        2 => (name(), any::<bool>()).prop_map(|(n, seen)| Step::OptOut(n, seen)),
        2 => (name(), touch()).prop_map(|(n, t)| Step::Touch(n, t)),
        1 => Just(Step::Lost),
        4 => Just(Step::TakeScan),
        4 => Just(Step::FinishScan),
        8 => any::<usize>().prop_map(Step::FinishRead),
        4 => (any::<bool>(), prop::bool::weighted(0.1)).prop_map(|(fails, loses)| Step::FinishTask(fails, loses)),
        8 => prop_oneof![0..400_u64, 400..4_000_u64, 4_000..40_000_u64].prop_map(Step::Wait),
        1 => (-7_200..7_200_i64).prop_map(Step::Clock),
        1 => any::<bool>().prop_map(Step::Full),
        1 => Just(Step::Relayout),
        1 => Just(Step::Confirm),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

fn take(world: &mut World, step: Step) {
    let away = |n: usize| world.is_away && NAMES[n].starts_with("d/");
    match step {
        // Nobody changes what is away.
        Step::Make(n, ..) | Step::Remove(n, _) | Step::Rename(n, ..) | Step::Rename(_, n, _)
            if away(n) => {}
        Step::RemoveFolder(_) if world.is_away => {}
        Step::Make(n, kind, touch) => {
            world.make(NAMES[n], kind);
            if let Some(touch) = touch {
                world.touched(NAMES[n], touch);
            }
        }
        Step::Remove(n, seen) => {
            world.folder.remove(Path::new(NAMES[n]));
            if seen {
                world.subtree(NAMES[n]);
            }
        }
        Step::Rename(a, b, seen) if a != b => {
            world.rename(NAMES[a], NAMES[b]);
            if seen {
                world.subtree(NAMES[a]);
                world.touched(NAMES[b], Touch::Closed);
            }
        }
        Step::Rename(..) => {}
        Step::RemoveFolder(seen) => {
            world.folder.retain(|path, _| !path.starts_with("d"));
            if seen {
                world.subtree("d");
            }
        }
        Step::Mount => {
            world.is_away = !world.is_away;
            world.flip();
        }
        Step::OptOut(n, seen) => {
            if !world.opted_out.remove(Path::new(NAMES[n])) {
                world.opted_out.insert(NAMES[n].into());
            }
            world.flip();
            if seen {
                world.subtree(NAMES[n]);
            }
        }
        Step::Touch(n, touch) => world.touched(NAMES[n], touch),
        Step::Lost => world.on(Input::Rescan),
        Step::TakeScan => world.take_scan(),
        Step::FinishScan => world.finish_scan(),
        Step::FinishRead(which) => world.finish_read(which),
        Step::FinishTask(fails, loses) => world.finish_task(fails, loses),
        Step::Wait(ms) => world.wait(ms),
        Step::Clock(s) => world.wall_ms = world.wall_ms.saturating_add_signed(s * 1_000),
        Step::Full(full) => world.full = full,
        Step::Relayout => world.on(Input::Relayout),
        Step::Confirm => world.on(Input::Confirm),
        Step::Restart(reload) => world.restart(reload),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn what_is_placed_ends_as_what_is_there(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            take(&mut world, step);
        }
        world.full = false;
        world.settle();
        let private = world.placed.keys().find(|path| world.opted_out.contains(*path));
        prop_assert_eq!(private, None);
        world.is_away = false;
        world.flip();
        world.settle();
        if world.plan.held().is_some() {
            world.on(Input::Confirm);
            world.settle();
        }
        world.folder.retain(|path, _| !world.opted_out.contains(path));
        let good = world.folder.iter().filter(|(_, (_, kind))| *kind == Kind::Good);
        let good: BTreeMap<PathBuf, FileIdentity> = good.map(|(p, (i, _))| (p.clone(), *i)).collect();
        // A good file that was replaced by junk keeps its last good place.
        let bad = |path: &PathBuf| world.folder.get(path).is_some_and(|(_, kind)| *kind != Kind::Good);
        let placed = world.placed.iter().filter(|(path, _)| !bad(path));
        let placed: BTreeMap<PathBuf, FileIdentity> = placed.map(|(p, i)| (p.clone(), *i)).collect();
        prop_assert_eq!(placed, good);
        let refused: Vec<_> = world.plan.refused().map(|(path, _)| path.clone()).collect();
        let wrong: Vec<_> = world.folder.iter().filter(|(_, (_, k))| *k != Kind::Good).map(|(p, _)| p.clone()).collect();
        prop_assert_eq!(refused, wrong);
        prop_assert_eq!(world.plan.pending(), 0);
    }
}
