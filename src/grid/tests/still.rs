//! Tests of what keeps items in place: polishes, homes, and arrangements that start from them.
use super::*;

#[test]
fn a_polish_waits_until_it_is_asked_for_and_makes_it_better() {
    let (z, points) = sample(340, 6, 3);
    let p = params(0.06);
    let mut grid = Grid::arrange(&head(&z, 300), &points[..300], &p).expect("arranged");
    let untouched = grid.clone();
    let outcome = grid.polish(&head(&z, 300), &p).expect("nothing to do");
    assert_eq!((outcome, &grid), (Outcome::default(), &untouched));
    for n in 301..=340 {
        grid.insert(&head(&z, n), &points[..n], &p).expect("placed");
    }
    assert!(grid.wants_polish(&p));
    assert!(matches!(
        grid.polish(&head(&z, 300), &p),
        Err(GridError::Counts { .. })
    ));
    let score = |grid: &Grid| {
        let cells: Vec<_> = grid.places().collect();
        quality::dpq16(&z, &cells, None, 0).expect("finite")
    };
    let (before, rough) = (grid.places().collect::<Vec<_>>(), score(&grid));
    let outcome = grid.polish(&z, &p).expect("polished");
    grid.check().expect("sound");
    assert!(score(&grid) > rough, "{} after {rough}", score(&grid));
    let moved = grid.places().zip(&before).filter(|(now, was)| now != *was);
    assert_eq!(moved.count(), outcome.moved.len());
    assert!(!grid.wants_polish(&p));
}

#[test]
fn arrivals_polish_where_nobody_does_and_never_without_end_of_rest() {
    let (z, points) = sample(420, 4, 5);
    let p = params(0.06);
    let mut grid = Grid::arrange(&head(&z, 300), &points[..300], &p).expect("arranged");
    let still = GridParams {
        lambda: f32::INFINITY,
        ..p
    };
    let mut most = 0;
    for n in 301..=420 {
        let outcome = grid.insert(&head(&z, n), &points[..n], &p).expect("placed");
        most = most.max(outcome.moved.len());
        assert!(!grid.wants_polish(&still));
    }
    // One arrival alone moves 8.
    assert!(most > 20, "no polish came: {most} moved at most");
    assert!(!grid.wants_polish(&p), "20 arrivals are left");
}

/// `start` items and `count` arrivals one by one with their polishes; what each arrival and each polish moved.
fn grown(p: &GridParams, start: usize, count: usize) -> (Matrix, Grid, Vec<usize>, Vec<usize>) {
    let (z, points) = sample(start + count, 6, 3);
    let mut grid = Grid::arrange(&head(&z, start), &points[..start], p).expect("arranged");
    let (mut arrivals, mut polishes) = (Vec::new(), Vec::new());
    for n in start + 1..=start + count {
        let now = head(&z, n);
        let outcome = grid.insert(&now, &points[..n], p).expect("placed");
        arrivals.push(outcome.moved.len());
        if grid.wants_polish(p) {
            let before: Vec<_> = grid.places().collect();
            polishes.push(grid.polish(&now, p).expect("polished").moved.len());
            for (then, now) in before.iter().zip(grid.places()) {
                let hop = then.0.abs_diff(now.0).max(then.1.abs_diff(now.1));
                assert!(hop <= 3, "a polish took an item {hop} cells away");
            }
            assert!(polishes.iter().all(|&moved| moved * 100 <= n * 15));
        }
    }
    grid.check().expect("sound");
    (z, grid, arrivals, polishes)
}

#[test]
fn items_stay_near_their_homes_however_many_arrive() {
    let p = params(0.06);
    let (z, grid, mut arrivals, polishes) = grown(&p, 300, 200);
    assert!(polishes.len() >= 6, "{polishes:?}");
    arrivals.sort_unstable();
    assert!(arrivals[190] <= 8, "{arrivals:?}");
    let drift = grid.drift();
    assert!(drift.mean <= 1.2 && drift.p95 <= 3, "{drift:?}");
    let (_, points) = sample(500, 6, 3);
    let fresh = Grid::arrange(&z, &points, &p).expect("arranged");
    assert_eq!(fresh.drift(), Drift::default());
    let score = |grid: &Grid| {
        let cells: Vec<_> = grid.places().collect();
        quality::dpq16(&z, &cells, None, 0).expect("finite")
    };
    let (here, best) = (score(&grid), score(&fresh));
    assert!(here > best - 0.005, "{here}, from nothing {best}");
}

#[test]
fn a_larger_lambda_keeps_items_nearer_to_their_homes() {
    let drift = |lambda: f32| {
        let p = GridParams {
            lambda,
            ..params(0.06)
        };
        grown(&p, 200, 100).1.drift()
    };
    let (one, ten) = (drift(1.0), drift(10.0));
    assert!(ten.mean < one.mean && ten.p95 <= 2, "{one:?} {ten:?}");
}

#[test]
fn homes_are_stored_apart_and_a_state_without_them_is_at_home() {
    let (_, grid, ..) = grown(&params(0.06), 200, 60);
    assert!(grid.drift().mean > 0.0);
    let bytes = postcard::to_allocvec(&grid).expect("serialises");
    let bare: Grid = postcard::from_bytes(&bytes).expect("deserialises");
    let back = bare.clone().with_homes(Some(grid.homes().to_vec()));
    assert_eq!(back.expect("its own homes"), grid);
    let old = bare.clone().with_homes(None).expect("version 0.1");
    assert_eq!(old.drift(), Drift::default());
    assert!(bare.clone().with_homes(Some(vec![0; 3])).is_err());
    assert!(bare.clone().with_homes(Some(vec![1_000_000; 260])).is_err());
    // One that nobody gave homes to takes removals and arrivals all the same.
    let mut bare = bare;
    bare.remove(&[7], &params(0.06));
    bare.check().expect("sound");
}

#[test]
fn many_arrivals_together_keep_the_picture_and_so_does_a_new_arrangement() {
    let (z, points) = sample(600, 6, 4);
    let p = params(0.06);
    let mut grid = Grid::arrange(&head(&z, 400), &points[..400], &p).expect("arranged");
    let scaled = |grid: &Grid| -> Vec<[f64; 2]> {
        let (cols, rows) = (f64::from(grid.cols()), f64::from(grid.rows()));
        let places = grid.places().take(400);
        places
            .map(|(col, row)| [f64::from(col) / cols, f64::from(row) / rows])
            .collect()
    };
    let apart = |a: &[[f64; 2]], b: &[[f64; 2]]| {
        let away = |(a, b): (&[f64; 2], &[f64; 2])| (a[0] - b[0]).hypot(a[1] - b[1]);
        a.iter().zip(b).map(away).sum::<f64>() / a.len() as f64
    };
    let score = |grid: &Grid| {
        let cells: Vec<_> = grid.places().collect();
        quality::dpq16(&z, &cells, None, 0).expect("finite")
    };
    let fresh = Grid::arrange(&z, &points, &p).expect("arranged");
    let before = scaled(&grid);
    assert!(grid.insert(&z, &points, &p).expect("placed").rearranged);
    grid.check().expect("sound");
    let after = scaled(&grid);
    assert!(apart(&before, &after) < 0.13, "{}", apart(&before, &after));
    assert!(score(&grid) > score(&fresh) - 0.01);
    assert_eq!(grid.drift(), Drift::default());
    let mut again = grid.clone();
    assert!(
        again
            .rearrange(&z, &points, &p)
            .expect("arranged")
            .rearranged
    );
    again.check().expect("sound");
    assert!(apart(&after, &scaled(&again)) < 0.08);
    assert!(score(&again) > score(&fresh) - 0.01);
    let mut twice = grid.clone();
    twice.rearrange(&z, &points, &p).expect("arranged");
    assert!(twice == again);
    assert!(grid.rearrange(&head(&z, 3), &points[..3], &p).is_err());
}
