//! The page's own files: what they weigh, that deltas lead where blocks do, and that nothing of what had to go stays.
#![allow(clippy::unwrap_used, missing_docs)]

mod publish_support;

use mosaicd::publish::{Generation, OutputSpec, Publisher, manifest::Latest, names};
use publish_support::{cells, generation, head, page_file, rows_of, spec, work};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

fn latest(output: &Path) -> Latest {
    serde_json::from_slice(&fs::read(output.join(names::LATEST)).unwrap()).unwrap()
}

fn listed(output: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(output.join("p")).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn compressed_size(output: &Path, name: &str) -> u64 {
    fs::metadata(output.join(names::compressed(name)))
        .unwrap()
        .len()
}

fn numbers(value: &Value) -> Vec<i64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_i64().unwrap())
        .collect()
}

/// Id to column and row, as the blocks of a head say.
fn from_blocks(output: &Path) -> BTreeMap<i64, (i64, i64)> {
    let head = head(output);
    let mut all = BTreeMap::new();
    let names = head["blocks"]["cells"].as_str().unwrap();
    for (n, hash) in names.as_bytes().chunks(8).enumerate() {
        let name = format!("p/cells-{n}-{}.json", std::str::from_utf8(hash).unwrap());
        let block: Value = serde_json::from_slice(&page_file(output, &name)).unwrap();
        let mut id = 0;
        let cells = numbers(&block["col"])
            .into_iter()
            .zip(numbers(&block["row"]));
        for (step, cell) in numbers(&block["id"]).into_iter().zip(cells) {
            id += step;
            all.insert(id, cell);
        }
    }
    all
}

/// The same after a delta.
fn stepped(before: &BTreeMap<i64, (i64, i64)>, delta: &Value) -> BTreeMap<i64, (i64, i64)> {
    let (cols, rows) = (numbers(&delta["cols"]), numbers(&delta["rows"]));
    let by = |list: &[i64], at: i64| list.get(at as usize).copied().unwrap_or(0);
    let mut all = before.clone();
    for id in numbers(&delta["gone"]) {
        all.remove(&id).expect("it was there");
    }
    for (col, row) in all.values_mut() {
        (*col, *row) = (*col + by(&cols, *col), *row + by(&rows, *row));
    }
    for placed in numbers(&delta["placed"]).chunks(4) {
        all.insert(placed[0], (placed[1], placed[2]));
    }
    all
}

fn delta(output: &Path) -> Value {
    let name = latest(output).delta.expect("a delta");
    serde_json::from_slice(&page_file(output, &name)).unwrap()
}

#[test]
fn ten_thousand_works_weigh_little_and_an_arrival_next_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let spec = OutputSpec {
        mosaic: false,
        preview: false,
        cell: mosaicd::artwork::cell::CellSpec {
            px: 64,
            ..spec().cell
        },
        ..spec()
    };
    let store = cells(&dir.path().join("cells"), &spec, 64);
    // Scattered like a real mosaic: neighbours in the grid have nothing to do with numbers.
    let (cols, rows, count) = (101, 101, 10_000_u64);
    let place = |i: u64| {
        let cell = (i * 7_919) % u64::from(cols * rows);
        work(i, i % 64, cell as u32 % cols, cell as u32 / cols)
    };
    let mut works: Vec<_> = (0..count).map(place).collect();
    let mut publisher = Publisher::open(&output, spec).unwrap();
    publisher
        .publish(&generation(works.clone(), cols, rows), &store, 1)
        .unwrap();
    let found = head(&output);
    let head_size = compressed_size(&output, &latest(&output).head.unwrap());
    assert!(head_size < 6_000, "the head has {head_size} bytes");
    assert!(
        !found["tiles"].as_object().unwrap().is_empty(),
        "deep tiles are in blocks"
    );
    let of = |kind: &str| -> u64 {
        let files = listed(&output);
        let files = files
            .iter()
            .filter(|name| name.starts_with(kind) && !name.ends_with(".gz"));
        files
            .map(|name| compressed_size(&output, &format!("p/{name}")))
            .sum()
    };
    assert!(of("cells") < 50_000, "cells have {} bytes", of("cells"));

    let before = listed(&output);
    let known = from_blocks(&output);
    works.push(place(count));
    publisher
        .publish(&generation(works, cols, rows), &store, 2)
        .unwrap();
    let name = latest(&output).delta.unwrap();
    let size = compressed_size(&output, &name);
    assert!(size < 1_500, "the delta has {size} bytes");
    let written = listed(&output).difference(&before).count();
    assert!(written <= 2 * 9, "one arrival wrote {written} files");
    assert_eq!(stepped(&known, &delta(&output)), from_blocks(&output));
}

#[test]
fn deltas_lead_through_moves_insertions_and_removals_to_what_the_blocks_say() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 60);
    let mut publisher = Publisher::open(&output, spec()).unwrap();
    let first = rows_of(40, 8, 5);
    publisher.publish(&first, &store, 1).unwrap();
    assert!(
        latest(&output).delta.is_none(),
        "nothing leads to the first head"
    );
    let mut known = from_blocks(&output);
    let mut heads = vec![latest(&output).head.unwrap()];
    // A column is inserted, two works change places, one goes and one comes.
    let mut works = first.works.clone();
    works
        .iter_mut()
        .filter(|w| w.col >= 3)
        .for_each(|w| Arc::make_mut(w).col += 1);
    works.push(work(50, 50, 3, 0).into());
    let second = generation(works.clone(), 9, 5);
    let places = [9, 0].map(|at| (works[at].col, works[at].row));
    for (at, place) in [0, 9].into_iter().zip(places) {
        let moved = Arc::make_mut(&mut works[at]);
        (moved.col, moved.row) = place;
    }
    works.remove(20);
    let third = generation(works, 9, 5);
    for (at, next) in [second, third].iter().enumerate() {
        publisher.publish(next, &store, 2 + at as u64).unwrap();
        let delta = delta(&output);
        let from = heads.last().unwrap();
        assert!(
            from.contains(delta["from"].as_str().unwrap()),
            "it begins at the head before"
        );
        known = stepped(&known, &delta);
        assert_eq!(known, from_blocks(&output));
        heads.push(latest(&output).head.unwrap());
        let placed = delta["placed"].as_array().unwrap().len() / 4;
        assert!(placed <= 2, "{placed} works are named one by one");
    }
    let earlier = delta(&output)["earlier"].clone();
    assert!(heads[0].contains(earlier[0][0].as_str().unwrap()));
    // A restart knows them all.
    drop(publisher);
    let mut publisher = Publisher::open(&output, spec()).unwrap();
    let fourth = rows_of(41, 9, 5);
    publisher.publish(&fourth, &store, 9).unwrap();
    assert_eq!(delta(&output)["earlier"].as_array().unwrap().len(), 2);
}

#[test]
fn a_missing_file_of_the_page_is_written_again_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let store = cells(&dir.path().join("cells"), &spec(), 20);
    let works = rows_of(20, 5, 4);
    let publish = || {
        Publisher::open(&output, spec())
            .unwrap()
            .publish(&works, &store, 1)
            .unwrap()
    };
    publish();
    let text = listed(&output)
        .into_iter()
        .find(|name| name.starts_with("text-"))
        .unwrap();
    for what in [text.as_str(), "../latest.json", "../index.html.gz"] {
        fs::remove_file(output.join("p").join(what)).unwrap();
        assert!(!publish().changed, "no new generation is needed");
        head(&output);
        assert!(output.join("p").join(what).exists(), "{what}");
    }
    assert_eq!(publish().bytes, 0);
}

#[test]
fn what_is_erased_is_in_no_file_of_the_page_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out");
    let spec = OutputSpec {
        url: "https://example.org/m/".into(),
        link: Some("https://example.org/o/{path}".into()),
        ..spec()
    };
    let store = cells(&dir.path().join("cells"), &spec, 20);
    let named = |mut all: Generation| {
        all.works
            .iter_mut()
            .for_each(|w| Arc::make_mut(w).title = Some(format!("Secret {}.", w.id.0)));
        all
    };
    let mut publisher = Publisher::open(&output, spec.clone()).unwrap();
    publisher
        .publish(&named(rows_of(20, 5, 4)), &store, 1)
        .unwrap();
    let page = fs::read_to_string(output.join("w/0/7.html")).unwrap();
    for part in [
        "<meta property=\"og:title\" content=\"Secret 7.\">",
        "content=\"https://example.org/o/folder/7.png\"",
        "<link rel=\"canonical\" href=\"https://example.org/m/w/0/7.html\">",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let other = fs::metadata(output.join("w/0/8.html"))
        .unwrap()
        .modified()
        .unwrap();
    let mut without = named(rows_of(20, 5, 4));
    without.works.remove(7);
    publisher.publish(&without, &store, 2).unwrap();
    publisher.erase().unwrap();
    assert!(!output.join("w/0/7.html").exists());
    let same = fs::metadata(output.join("w/0/8.html"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(other, same, "others were not written again");
    assert!(
        latest(&output).delta.is_none(),
        "no way leads from where it was"
    );
    head(&output);
    for name in listed(&output) {
        let bytes = fs::read(output.join("p").join(&name)).unwrap();
        let text = match name.strip_suffix(".gz") {
            Some(plain) => page_file(&output, &format!("p/{plain}")),
            None => bytes,
        };
        let text = String::from_utf8(text).unwrap();
        assert!(
            !text.contains("Secret 7.") && !text.contains("/7.png"),
            "{name}"
        );
    }
    // Without an address of the page works have no pages.
    drop(publisher);
    let mut publisher = Publisher::open(
        &output,
        OutputSpec {
            url: String::new(),
            ..spec
        },
    )
    .unwrap();
    publisher.publish(&without, &store, 3).unwrap();
    assert_eq!(fs::read_dir(output.join("w/0")).unwrap().count(), 0);
}
