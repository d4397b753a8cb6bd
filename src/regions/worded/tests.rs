//! Collections whose answer is known: each kind of work has a direction of its own, and each word says one of them.

use super::*;
use proptest::prelude::*;

const COLS: u32 = 24;
const ROWS: u32 = 16;
const KINDS: usize = 4;
/// A direction that all works share, and one of no work.
const COMMON: usize = KINDS;
const DIMS: usize = KINDS + 2;

/// Words for the four kinds, one for everything, one for nothing.
fn vocabulary() -> Vocabulary {
    let words = [
        "sea",
        "forest",
        "portrait",
        "piano keys",
        "picture",
        "teapot",
    ];
    let mut embeddings = Matrix::new(DIMS);
    for axis in 0..DIMS {
        let row: [f32; DIMS] = std::array::from_fn(|i| f32::from(u8::from(i == axis)));
        embeddings.push(&row);
    }
    Vocabulary {
        words: words.map(str::to_owned).to_vec(),
        embeddings,
    }
}

/// The kind of the work in a cell: a quarter of the grid each.
fn quarter(col: u32, row: u32) -> usize {
    (2 * (2 * row / ROWS) + 2 * col / COLS) as usize
}

/// A work of a kind: mostly what all have in common.
fn embedding(kind: usize, i: usize) -> [f32; DIMS] {
    let mut row = [0.0; DIMS];
    row[COMMON] = 0.8;
    // A tenth of noise, the same in every run.
    row[kind] = 0.6 + 0.1 * ((i * 37 % 11) as f32 / 10.0 - 0.5);
    let length = square(&row).sqrt();
    row.map(|value| value / length)
}

fn scene(kind: impl Fn(u32, u32) -> usize) -> (Vec<(u32, u32)>, Matrix) {
    let cells: Vec<_> = (0..COLS * ROWS).map(|i| (i % COLS, i / COLS)).collect();
    let mut vectors = Matrix::new(DIMS);
    for (i, &(col, row)) in cells.iter().enumerate() {
        vectors.push(&embedding(kind(col, row), i));
    }
    (cells, vectors)
}

fn found(kind: impl Fn(u32, u32) -> usize, before: &[Region]) -> Vec<Region> {
    let (cells, vectors) = scene(kind);
    let scene = Scene {
        grid: (COLS, ROWS),
        cells: &cells,
        vectors: &vectors,
    };
    worded(&scene, &vocabulary(), before)
}

fn named(name: &str, col: f32, row: f32) -> Region {
    Region {
        name: name.to_owned(),
        words: Vec::new(),
        col,
        row,
        radius: 4.0,
        works: 40,
        seen: false,
    }
}

#[test]
fn every_quarter_gets_the_word_of_its_works() {
    let regions = found(quarter, &[]);
    let mut names: Vec<_> = regions.iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    // Not the word that fits all works best, nor the one that fits none.
    assert_eq!(names, ["forest", "piano keys", "portrait", "sea"]);
    for region in &regions {
        let at = quarter(region.col as u32, region.row as u32);
        assert_eq!(region.name, vocabulary().words[at], "{region:?}");
        assert!(
            region.seen && region.words.is_empty() && region.works >= 6,
            "{region:?}"
        );
    }
}

#[test]
fn regions_of_names_keep_name_and_place_and_get_words() {
    let before = [named("holiday", 5.0, 4.0), named("portrait", 6.0, 12.0)];
    let regions = found(quarter, &before);
    let holiday = regions
        .iter()
        .find(|r| r.name == "holiday")
        .expect("it stays");
    assert_eq!(holiday.words, ["sea"]);
    assert_eq!((holiday.col, holiday.row, holiday.seen), (5.0, 4.0, false));
    let portraits: Vec<_> = regions.iter().filter(|r| r.name == "portrait").collect();
    assert_eq!(portraits.len(), 1, "a name appears once");
    assert_eq!(portraits[0].words, [""; 0], "its name is no further word");
    assert_eq!(unworded(&regions).len(), 2);
}

#[test]
fn a_collection_without_order_has_no_regions_of_words() {
    assert_eq!(
        found(|col, row| (col * 7 + row * 13) as usize % KINDS, &[]),
        []
    );
    assert_eq!(
        found(|_, _| 0, &[]),
        [],
        "nor one of works that are all alike"
    );
}

#[test]
fn small_empty_and_unknown_collections_have_none() {
    let before = [named("holiday", 1.0, 1.0)];
    let known = |cells: &[(u32, u32)], vectors: &Matrix| {
        let scene = Scene {
            grid: (COLS, ROWS),
            cells,
            vectors,
        };
        worded(&scene, &vocabulary(), &before)
    };
    assert_eq!(known(&[], &Matrix::new(DIMS)), before);
    let (cells, vectors) = scene(quarter);
    let few = Matrix::from_data(vectors.data()[..11 * DIMS].to_vec(), DIMS).expect("rows");
    assert_eq!(known(&cells[..11], &few), before);
    // Works that have yet to be embedded by the model.
    let unknown = Matrix::from_data(vec![0.0; vectors.data().len()], DIMS).expect("rows");
    assert_eq!(known(&cells, &unknown), before);
}

#[test]
fn a_region_stays_where_it_stood() {
    let mut before = found(quarter, &[]);
    for region in &mut before {
        region.col += 0.7;
        region.row -= 0.4;
    }
    assert_eq!(found(quarter, &before).len(), before.len());
    for region in found(quarter, &before) {
        let old = before
            .iter()
            .find(|old| old.name == region.name)
            .expect("it stood before");
        assert_eq!((region.col, region.row), (old.col, old.row));
    }
    // Where the works are others now, it goes.
    let moved = found(|col, row| KINDS - 1 - quarter(col, row), &before);
    for region in moved {
        let at = KINDS - 1 - quarter(region.col as u32, region.row as u32);
        assert_eq!(region.name, vocabulary().words[at]);
    }
}

/// `cargo test --release --lib words_for_ten_thousand -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn words_for_ten_thousand_works() {
    const N: u32 = 10_000;
    const D: usize = 512;
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut unit = |centre: Option<&[f32]>| {
        let mut row: Vec<f32> = (0..D).map(|_| random()).collect();
        for (value, more) in row.iter_mut().zip(centre.into_iter().flatten()) {
            *value += 20.0 * more;
        }
        let length = square(&row).sqrt();
        row.iter().map(|value| value / length).collect::<Vec<f32>>()
    };
    let centres: Vec<Vec<f32>> = (0..16).map(|_| unit(None)).collect();
    let cells: Vec<_> = (0..N).map(|i| (i % 100, i / 100)).collect();
    let (mut vectors, mut embeddings) = (Matrix::new(D), Matrix::new(D));
    for (col, row) in &cells {
        vectors.push(&unit(Some(&centres[(4 * (row / 25) + col / 25) as usize])));
        embeddings.push(&unit(None));
    }
    let words = (0..N).map(|i| i.to_string()).collect();
    let vocabulary = Vocabulary { words, embeddings };
    let scene = Scene {
        grid: (100, 100),
        cells: &cells,
        vectors: &vectors,
    };
    let began = std::time::Instant::now();
    let regions = worded(&scene, &vocabulary, &[]);
    eprintln!("{} regions in {:.0?}", regions.len(), began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_works_and_words_give_regions_within_the_grid(
        kinds in prop::collection::vec(0..KINDS, 0..300),
        cols in 1_u32..20,
        words in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0, 0..DIMS), 0..40),
    ) {
        let cells: Vec<_> = (0..kinds.len() as u32).map(|i| (i % cols, i / cols)).collect();
        let mut vectors = Matrix::new(DIMS);
        kinds.iter().enumerate().for_each(|(i, &kind)| vectors.push(&embedding(kind, i)));
        let rows = (kinds.len() as u32).div_ceil(cols);
        let mut embeddings = Matrix::new(DIMS);
        for (a, b, axis) in &words {
            let mut row = [0.0; DIMS];
            (row[*axis], row[(axis + 1) % DIMS]) = (*a, *b);
            embeddings.push(&row);
        }
        let words = (0..words.len()).map(|i| format!("Word {i}")).collect();
        let scene = Scene { grid: (cols, rows), cells: &cells, vectors: &vectors };
        let vocabulary = Vocabulary { words, embeddings };
        let regions = worded(&scene, &vocabulary, &[]);
        let mut names: Vec<_> = regions.iter().map(|region| region.name.clone()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), regions.len());
        prop_assert!(regions.len() <= MOST);
        for region in &regions {
            prop_assert!(region.col > 0.0 && region.col < cols as f32);
            prop_assert!(region.row > 0.0 && region.row < rows as f32);
            prop_assert!(region.words.len() <= FURTHER && !region.words.contains(&region.name));
        }
        prop_assert_eq!(&worded(&scene, &vocabulary, &regions).len(), &regions.len());
    }
}
