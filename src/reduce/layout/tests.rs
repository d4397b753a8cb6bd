//! What the door of the room promises, told through [`Layout`].

use super::super::random::Random;
use super::super::trust::trustworthiness;
use super::*;

/// `clusters` tanh-curved patches in `d` dimensions, unit length, cluster `i % clusters`: like digits, not like noise.
fn clustered(n: usize, d: usize, clusters: usize, seed: u64) -> Matrix {
    let mut random = Random::new(seed, 1);
    let centres: Vec<f64> = (0..clusters * d).map(|_| random.signed()).collect();
    let bends: Vec<f64> = (0..clusters * d * 2).map(|_| random.signed()).collect();
    let mut x = Matrix::new(d);
    for i in 0..n {
        let c = i % clusters;
        let (u, v) = (random.signed(), random.signed());
        let row: Vec<f64> = (0..d)
            .map(|j| {
                let at = (c * d + j) * 2;
                centres[c * d + j]
                    + (u * bends[at] + v * bends[at + 1]).tanh() * 0.8
                    + random.signed() * 0.05
            })
            .collect();
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        x.push(&row.iter().map(|v| (v / length) as f32).collect::<Vec<_>>());
    }
    x
}

fn head(x: &Matrix, n: usize) -> Matrix {
    Matrix::from_data(x.data()[..n * x.dims()].to_vec(), x.dims()).expect("whole rows")
}

fn finite(points: &[Point]) -> bool {
    points.iter().flatten().all(|v| v.is_finite())
}

/// Median displacement of the first points, in units of the map's radius.
fn displacement(before: &[Point], after: &[Point]) -> f32 {
    let mut moves: Vec<f32> = before
        .iter()
        .zip(after)
        .map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1]))
        .collect();
    moves.sort_by(f32::total_cmp);
    let squares: f32 = before.iter().flatten().map(|v| v * v).sum();
    moves[moves.len() / 2] / (squares / before.len() as f32).sqrt()
}

#[test]
fn clusters_keep_their_neighbours() {
    let x = clustered(600, 32, 8, 1);
    let layout = Layout::cold(&x, &LayoutParams::default()).expect("finite rows");
    assert!(trustworthiness(&x, layout.points(), 15, None, 0) > 0.95);
    let (ids, distances) = layout.neighbours(0);
    assert_eq!((ids.len(), distances.len()), (15, 15));
    assert!(ids.iter().all(|id| id % 8 == 0));
}

#[test]
fn arrivals_find_their_place_and_the_others_stay() {
    let x = clustered(620, 32, 8, 2);
    for relax_limit in [20_000, 100] {
        let p = LayoutParams {
            relax_limit,
            ..LayoutParams::default()
        };
        let mut layout = Layout::cold(&head(&x, 600), &p).expect("finite rows");
        let before = layout.points().to_vec();
        layout.insert(&x, &p).expect("finite rows");
        assert!(displacement(&before, layout.points()) < 0.03);
        assert!(trustworthiness(&x, layout.points(), 15, None, 0) > 0.95);
        let moved = layout.points().to_vec();
        assert_eq!(layout.relax(&p), relax_limit == 100);
        assert_eq!(moved != layout.points(), relax_limit == 100);
        assert!(!layout.relax(&p));
    }
}

#[test]
fn a_round_of_relaxing_takes_bounded_calls_and_reaches_everybody() {
    let x = clustered(10_311, 4, 8, 5);
    let p = LayoutParams {
        relax_limit: 100,
        ..LayoutParams::default()
    };
    // Two components stand for a map; only who moves matters here.
    let mut layout = Layout::cold(
        &head(&x, 10_300),
        &LayoutParams {
            method: Method::Pca,
            ..p
        },
    )
    .expect("finite rows");
    // Ten are less than a thousandth of the map, eleven are more, whether or not there was a restart between.
    layout.insert(&head(&x, 10_310), &p).expect("finite rows");
    assert!(!layout.relax(&p));
    let arrived = layout.arrived();
    let stored = Layout::from_parts(layout.to_parts()).expect("sound parts");
    let mut layout = stored.with_arrived(arrived);
    layout.insert(&x, &p).expect("finite rows");
    let mut moved = vec![false; x.rows()];
    let mut calls = 0;
    loop {
        let before = layout.points().to_vec();
        if !layout.relax(&p) {
            assert_eq!(before, layout.points());
            break;
        }
        calls += 1;
        let mut now = 0;
        for (moved, (p, q)) in moved.iter_mut().zip(before.iter().zip(layout.points())) {
            *moved |= p != q;
            now += usize::from(p != q);
        }
        assert!((1..=10_000).contains(&now), "{now} points in one call");
        // What is left to do survives a restart.
        layout = Layout::from_parts(layout.to_parts()).expect("sound parts");
    }
    assert_eq!(calls, 2);
    let still = moved.iter().filter(|m| !**m).count();
    assert!(still < 100, "{still} points never moved");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn neighbours_after_any_changes_equal_a_rebuild(
        start in 0usize..80,
        steps in proptest::collection::vec((0usize..12, proptest::collection::vec(0usize..1000, 0..6)), 1..8),
        seed in 0u64..100,
    ) {
        let pool = clustered(200, 12, 5, seed);
        let p = LayoutParams::default();
        let mut x = head(&pool, start);
        let mut next = start;
        let mut layout = Layout::cold(&x, &p).expect("finite rows");
        for (arrivals, mut gone) in steps {
            gone.iter_mut().for_each(|i| *i %= x.rows().max(1));
            gone.sort_unstable_by(|a, b| b.cmp(a));
            gone.dedup();
            gone.retain(|&i| i < x.rows());
            gone.iter().for_each(|&i| { x.swap_remove(i); });
            layout.remove(&x, &gone).expect("valid indices");
            (next..next + arrivals).for_each(|i| x.push(pool.row(i % 200)));
            next += arrivals;
            layout.insert(&x, &p).expect("finite rows");
            let (kept, fresh) = (layout.to_parts(), Layout::cold(&x, &p).expect("finite rows"));
            proptest::prop_assert_eq!(kept.ids, fresh.to_parts().ids);
            proptest::prop_assert_eq!(kept.distances, fresh.to_parts().distances);
            proptest::prop_assert!(finite(layout.points()) && layout.len() == x.rows());
        }
    }
}

#[test]
fn large_batches_keep_the_map_upright() {
    let x = clustered(900, 32, 8, 3);
    let p = LayoutParams::default();
    let mut layout = Layout::cold(&head(&x, 500), &p).expect("finite rows");
    let before = layout.points().to_vec();
    layout.insert(&x, &p).expect("finite rows");
    assert!(displacement(&before, layout.points()) < 0.5);
    assert!(trustworthiness(&x, layout.points(), 15, None, 0) > 0.95);
    let mut grown = Layout::cold(&head(&x, 20), &p).expect("finite rows");
    grown.insert(&x, &p).expect("finite rows");
    assert!(trustworthiness(&x, grown.points(), 15, None, 0) > 0.95);
}

#[test]
fn removal_moves_nobody() {
    let mut x = clustered(120, 16, 4, 4);
    let p = LayoutParams::default();
    let mut layout = Layout::cold(&x, &p).expect("finite rows");
    let mut points = layout.points().to_vec();
    for i in [119, 50, 3] {
        x.swap_remove(i);
        points.swap_remove(i);
    }
    layout.remove(&x, &[119, 50, 3]).expect("valid indices");
    assert_eq!(layout.points(), points);
    assert_eq!(
        layout.to_parts().ids,
        Layout::cold(&x, &p).expect("finite rows").to_parts().ids
    );
    assert_eq!(
        layout.remove(&x, &[3, 4]),
        Err(ReduceError::RemovedIndex(4))
    );
    assert_eq!(
        layout.remove(&x, &[117]),
        Err(ReduceError::RemovedIndex(117))
    );
    assert!(matches!(
        layout.remove(&x, &[1]),
        Err(ReduceError::LengthMismatch { .. })
    ));
}

#[test]
fn tiny_and_degenerate_collections_have_maps() {
    for method in [Method::Umap, Method::Pca] {
        let p = LayoutParams {
            method,
            ..LayoutParams::default()
        };
        for n in [0, 1, 2, 3, 4, 5, 10, 14, 15, 16, 17, 40] {
            for kind in 0..4 {
                let mut x = Matrix::new(6);
                for i in 0..n {
                    let mut row = [0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6];
                    match kind {
                        0 => row[i % 6] += 1.0 + i as f32 / 10.0, // all different
                        1 => {}                                   // all identical
                        2 => row[i % 3] += 1.0,                   // three distinct rows
                        _ => row[0] += 100.0 * (i % 5) as f32 + 0.01 * i as f32, // far-apart groups
                    }
                    x.push(&row);
                }
                let mut layout = Layout::cold(&x, &p).expect("finite rows");
                assert_eq!(layout.len(), n);
                assert!(finite(layout.points()), "{n} rows of kind {kind}");
                let mut distinct: Vec<[u32; 2]> = layout
                    .points()
                    .iter()
                    .map(|p| p.map(f32::to_bits))
                    .collect();
                distinct.sort_unstable();
                distinct.dedup();
                assert!(
                    distinct.len() == n || method == Method::Pca && kind == 2,
                    "{n} rows of kind {kind}"
                );
                // Grow by one, by many; shrink by one, to nothing.
                for more in [1, 2 * n + 3] {
                    (0..more).for_each(|i| x.push(&[i as f32, 0.2, 0.3, 0.4, 0.5, 0.6]));
                    layout.insert(&x, &p).expect("finite rows");
                    assert!(finite(layout.points()) && layout.len() == x.rows());
                }
                x.swap_remove(0);
                layout.remove(&x, &[0]).expect("valid index");
                let all: Vec<usize> = (0..x.rows()).rev().collect();
                layout.remove(&Matrix::new(6), &all).expect("valid indices");
                assert!(layout.is_empty());
            }
        }
    }
}

#[test]
fn unusable_input_is_refused_and_changes_nothing() {
    let mut x = clustered(40, 8, 2, 5);
    let p = LayoutParams::default();
    let mut layout = Layout::cold(&x, &p).expect("finite rows");
    let before = layout.to_parts();
    x.push(&[f32::NAN; 8]);
    assert_eq!(
        layout.insert(&x, &p),
        Err(ReduceError::NonFinite { row: 40 })
    );
    assert_eq!(layout.to_parts(), before);
    assert!(matches!(
        Layout::cold(&x, &p),
        Err(ReduceError::NonFinite { row: 40 })
    ));
    assert!(matches!(
        layout.insert(&head(&x, 9), &p),
        Err(ReduceError::LengthMismatch { .. })
    ));
    let bad = LayoutParams {
        n_neighbors: 1,
        ..p
    };
    assert_eq!(
        layout.insert(&head(&x, 40), &bad),
        Err(ReduceError::NeighborCount(1))
    );
    let bad = LayoutParams {
        min_dist: f32::NAN,
        ..p
    };
    assert!(matches!(
        Layout::cold(&x, &bad),
        Err(ReduceError::MinDist(_))
    ));
}

#[test]
fn parts_survive_and_damage_is_found() {
    let x = clustered(50, 8, 2, 6);
    let p = LayoutParams::default();
    let mut layout = Layout::cold(&head(&x, 48), &p).expect("finite rows");
    let parts = layout.to_parts();
    let mut again = Layout::from_parts(parts.clone()).expect("sound parts");
    layout.insert(&x, &p).expect("finite rows");
    again.insert(&x, &p).expect("finite rows");
    assert_eq!(layout.to_parts(), again.to_parts());
    let damages: [fn(&mut LayoutParts); 5] = [
        |p| p.points[3][1] = f32::NAN,
        |p| p.ids[0] = 48,
        |p| p.distances[0] = -1.0,
        |p| p.n_neighbors = 14,
        |p| p.points.truncate(47),
    ];
    for damage in damages {
        let mut parts = parts.clone();
        damage(&mut parts);
        assert!(Layout::from_parts(parts).is_err());
    }
    assert!(
        Layout::from_parts(LayoutParts {
            n_neighbors: 15,
            ..LayoutParts::default()
        })
        .is_ok()
    );
}

#[test]
fn changing_n_neighbors_rebuilds_the_graph() {
    let x = clustered(60, 8, 2, 7);
    let mut layout = Layout::cold(&x, &LayoutParams::default()).expect("finite rows");
    let p = LayoutParams {
        n_neighbors: 7,
        ..LayoutParams::default()
    };
    layout.insert(&x, &p).expect("finite rows");
    assert_eq!(layout.neighbours(5).0.len(), 7);
}

#[test]
fn the_same_input_gives_the_same_bits_on_any_number_of_threads() {
    let x = clustered(1300, 24, 6, 8);
    let p = LayoutParams::default();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a thread pool");
        pool.install(|| {
            let mut layout = Layout::cold(&head(&x, 1100), &p).expect("finite rows");
            layout.insert(&head(&x, 1150), &p).expect("finite rows");
            let mut less = head(&x, 1150);
            less.swap_remove(700);
            less.swap_remove(9);
            layout.remove(&less, &[700, 9]).expect("valid indices");
            (layout.to_parts(), Pca::fit(&x, 5).expect("finite rows"))
        })
    };
    let one = run(1);
    for threads in [1, 2, 4] {
        assert!(run(threads) == one, "{threads} threads");
    }
}
