//! Any sequence of changes, published one by one, shows what one publish of the last state shows.

use crate::publish_support::*;
use mosaicd::publish::{Generation, Spare, Was, manifest::Work};
use proptest::prelude::*;
use std::sync::Arc;

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

fn apply(generation: &mut Generation, change: &Change, id: u64) {
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
                    .push(work(id, u64::from(seed) % 60, col, row).into());
            }
        }
        Change::Remove(at) if n > 0 => {
            generation.works.swap_remove(pick(at));
        }
        Change::Edit(at, seed) if n > 0 => {
            Arc::make_mut(&mut generation.works[pick(at)]).hash = hash(u64::from(seed) % 60);
        }
        Change::Swap(a, b) if n > 0 => {
            let (a, b) = (pick(a), pick(b));
            let place = (generation.works[a].col, generation.works[a].row);
            Arc::make_mut(&mut generation.works[a]).col = generation.works[b].col;
            Arc::make_mut(&mut generation.works[a]).row = generation.works[b].row;
            let moved = Arc::make_mut(&mut generation.works[b]);
            (moved.col, moved.row) = place;
        }
        Change::GrowRight => generation.cols += 1,
        Change::GrowDown => generation.rows += 1,
        Change::InsertColumn(at) => {
            let at = u32::from(at) % generation.cols;
            let shifted = generation.works.iter_mut().filter(|w| w.col >= at);
            shifted.for_each(|w| Arc::make_mut(w).col += 1);
            generation.cols += 1;
        }
        Change::DropLastRow if generation.rows > 1 => {
            generation.rows -= 1;
            generation.works.retain(|w| w.row < generation.rows);
        }
        _ => {}
    }
}

/// The generation as the daemon hands it over: it knows what has changed since `before`, if no work is gone.
fn told(generation: &Generation, before: Vec<Arc<Work>>) -> (Generation, Was) {
    let mut generation = generation.clone();
    generation.works.sort_by_key(|work| work.id);
    let by_id = |id| before.binary_search_by_key(&id, |old| old.id).ok();
    let works = generation.works.iter().enumerate();
    let old = works.map(|(at, work)| (at, by_id(work.id).map(|at| &before[at])));
    let old: Vec<_> = old.collect();
    if old.iter().flat_map(|(_, old)| old).count() < before.len() {
        return (generation, Was::Works(before));
    }
    let differs = |(at, old): &(usize, Option<&Arc<Work>>)| *old != Some(&generation.works[*at]);
    let changes = old.into_iter().filter(differs);
    let changes = changes.map(|(at, old)| (at, old.cloned())).collect();
    (generation, Was::But(changes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn incremental_generations_equal_a_rebuild(
        n in 0u64..60, cols in 1u32..12, wide in any::<bool>(), tell in any::<bool>(), blend in any::<bool>(),
        lag_ms in prop_oneof![Just(0), Just(4), Just(1_000)], changes in prop::collection::vec(change(), 1..8),
    ) {
        let mut spec = spec();
        // A wide grid of small cells has previews below 16 px a cell and several levels.
        let cols = if wide { 120 + cols } else { cols };
        spec.cell.px = if wide { 16 } else { 64 };
        spec.lag_ms = Some(lag_ms);
        spec.spare = blend.then_some(Spare::Blend);
        let mut stage = Stage::with(spec, 60);
        let mut generation = rows_of(n, cols, (n as u32).div_ceil(cols).max(1));
        stage.publish(&generation, 1);
        for (i, change) in changes.iter().enumerate() {
            if let Change::Restart = change {
                stage.restart();
                continue;
            }
            apply(&mut generation, change, 1000 + i as u64);
            let next = |before, _| match tell {
                true => told(&generation, before),
                false => (generation.clone(), Was::Works(before)),
            };
            stage.publish_next(next, 2 + i as u64);
        }
        stage.publish(&generation, 5_000);
        stage.assert_equals_rebuild(&generation);
    }
}
