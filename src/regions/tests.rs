//! Regions of made-up grids.

use super::*;
use proptest::prelude::*;

fn work(id: u64, path: &str, col: u32, row: u32) -> Arc<Work> {
    Arc::new(Work::sample(id, path, (col, row)))
}

/// 30 × 20 cells: forests on the left third, oceans on the right third, numbered works between.
fn landscape() -> Vec<Arc<Work>> {
    let cells = (0..600).map(|i| (i % 30, i / 30));
    cells
        .map(|(col, row)| {
            let id = u64::from(row * 30 + col);
            let path = match col {
                0..10 => format!("2024/Forest_{id}.png"),
                10..20 => format!("IMG_{id}.png"),
                _ => format!("2024/deep ocean/x{id}.jpg"),
            };
            work(id, &path, col, row)
        })
        .collect()
}

fn names(regions: &[Region]) -> Vec<&str> {
    regions.iter().map(|region| region.name.as_str()).collect()
}

#[test]
fn words_are_of_names_not_of_cameras() {
    assert_eq!(words("Night Sky/IMG_2034-final.JPEG"), ["night", "sky"]);
    assert_eq!(words("a/b/.hidden"), ["hidden"]);
    assert_eq!(words("Xd23Dh.jpg"), [""; 0]);
    assert_eq!(words("Übung/übung.png"), ["übung"]);
}

#[test]
fn regions_are_where_their_works_are() {
    let regions = regions(&landscape(), (30, 20), &[]);
    let forest = regions
        .iter()
        .find(|r| r.name == "forest")
        .expect("forests");
    assert!(
        (forest.col - 5.0).abs() < 1.5 && (forest.row - 10.0).abs() < 2.5,
        "{forest:?}"
    );
    assert!(forest.works > 100);
    // Both words name the same works: one of them is enough.
    let right = names(&regions)
        .iter()
        .filter(|n| ["deep", "ocean"].contains(n))
        .count();
    assert_eq!(right, 1);
    assert_eq!(regions.len(), 2, "{:?}", names(&regions));
}

#[test]
fn scattered_and_common_words_name_nothing() {
    let scattered: Vec<_> = landscape()
        .into_iter()
        .map(|mut w| {
            Arc::make_mut(&mut w).path = match w.id.0 % 7 {
                0 => format!("mosaic/bird-{}.png", w.id.0),
                _ => format!("mosaic/{}.png", w.id.0),
            };
            w
        })
        .collect();
    assert!(regions(&scattered, (30, 20), &[]).is_empty());
    assert!(regions(&[], (0, 0), &[]).is_empty());
}

/// A manifest of the landscape whose regions may bear words by `model`.
fn manifest(model: Option<&str>, regions: Vec<Region>) -> Manifest {
    let empty = r##"{"schema":1,"generation":1,"published_ms":1,"model":"m","title":"","grid":
        {"cols":30,"rows":20,"cell_px":16},"pyramid":null,"background":"#000000","link":null,"works":[],
        "moves":{"added":0,"removed":0,"moved":0,"grown":0},"quality":null}"##;
    Manifest {
        works: landscape(),
        regions,
        words_by: model.map(|model| crate::embed::ModelId(model.to_owned())),
        ..serde_json::from_str(empty).expect("a manifest")
    }
}

#[test]
fn words_stay_from_generation_to_generation_and_go_with_their_model() {
    let mut regions = regions(&landscape(), (30, 20), &[]);
    for region in &mut regions {
        region.words = vec!["pine".to_owned()];
    }
    // Between forest and ocean, and below a name.
    for (name, col) in [("piano keys", 15.0), ("sand", 5.0)] {
        regions.push(Region {
            name: name.to_owned(),
            words: vec!["music".to_owned()],
            col,
            row: 10.0,
            radius: 3.0,
            works: 28,
            seen: true,
        });
    }
    let before = manifest(Some("clip"), regions);
    let after = |model, age, changed| {
        let mut after = manifest(model, Vec::new());
        name(&mut after, Some(&before), age, changed);
        after.regions
    };
    assert_eq!(after(Some("clip"), Some(0), 1), before.regions);
    let renamed = after(Some("clip"), None, 0);
    assert_eq!(
        names(&renamed)[2..],
        ["piano keys"],
        "named again, the rest taken over"
    );
    assert!(renamed.iter().all(|region| region.words.len() == 1));
    for model in [Some("another"), None] {
        for age in [Some(0), None] {
            let left = after(model, age, 1);
            assert_eq!(left.len(), 2, "{:?}", names(&left));
            assert!(
                left.iter()
                    .all(|region| region.words.is_empty() && !region.seen)
            );
        }
    }
}

#[test]
fn an_erasing_leaves_no_name_that_no_work_bears() {
    let mut standing = regions(&landscape(), (30, 20), &[]);
    standing[0].words = vec!["pine".to_owned()];
    let gone = Region {
        name: "somebody".to_owned(),
        col: 15.0,
        row: 10.0,
        ..standing[0].clone()
    };
    let seen = Region {
        name: "piano keys".to_owned(),
        radius: 3.0,
        works: 28,
        seen: true,
        ..gone.clone()
    };
    let regions = [standing.clone(), vec![gone, seen.clone()]].concat();
    let before = manifest(Some("clip"), regions);
    let mut after = manifest(Some("clip"), Vec::new());
    // A few works less do not have the regions named again,
    name(&mut after, Some(&before), Some(0), 6);
    assert!(names(&after.regions).contains(&"somebody"));
    // but an erasing does.
    assert!(erase(&mut after));
    assert_eq!(after.regions, [standing, vec![seen]].concat());
    assert!(!erase(&mut after), "nothing is left to erase");
}

#[test]
fn a_region_stays_while_a_new_one_would_not_come() {
    let mut works = landscape();
    let before = regions(&works, (30, 20), &[]);
    // Nine forests of twenty leave their name: too many for a region to come, too few for it to go.
    for work in works
        .iter_mut()
        .filter(|w| w.path.contains("Forest") && w.id.0 * 7 % 20 < 9)
    {
        Arc::make_mut(work).path = format!("{}.png", work.id.0);
    }
    assert!(!names(&regions(&works, (30, 20), &[])).contains(&"forest"));
    assert!(names(&regions(&works, (30, 20), &before)).contains(&"forest"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_arrival_changes_no_name_and_no_place(cell in 0_u32..600, seed in 0_u64..1000) {
        let all = landscape();
        let mut works = all.clone();
        works.remove(cell as usize);
        let before = regions(&works, (30, 20), &regions(&works, (30, 20), &[]));
        let path = ["Forest_new.png", "z.png", "deep ocean/q.png"][(seed % 3) as usize];
        works.push(work(9000 + seed, path, cell % 30, cell / 30));
        let after = regions(&works, (30, 20), &before);
        let places = |regions: &[Region]| -> Vec<_> {
            regions.iter().map(|r| (r.name.clone(), r.col, r.row)).collect()
        };
        let (mut b, mut a) = (places(&before), places(&after));
        b.sort_by(|x, y| x.0.cmp(&y.0));
        a.sort_by(|x, y| x.0.cmp(&y.0));
        prop_assert_eq!(a, b);
    }

    #[test]
    fn any_works_give_regions_within_the_grid(
        paths in prop::collection::vec("[a-c]{3}(/[a-b ]{0,5})?(\\.png)?", 0..80), cols in 1_u32..12,
    ) {
        let works: Vec<_> = paths
            .iter()
            .enumerate()
            .map(|(i, path)| work(i as u64, path, i as u32 % cols, i as u32 / cols))
            .collect();
        let rows = (works.len() as u32).div_ceil(cols);
        let found = regions(&works, (cols, rows), &[]);
        let mut names: Vec<_> = names(&found).into_iter().map(str::to_owned).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), found.len());
        for region in &found {
            prop_assert!(region.col > 0.0 && region.col < cols as f32);
            prop_assert!(region.row > 0.0 && region.row < rows as f32);
            prop_assert!(region.works as usize <= works.len());
        }
    }
}
