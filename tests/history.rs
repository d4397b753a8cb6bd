//! The mosaic's past as its visitors and scripts find it: journal, feeds, twins.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Site, mosaic, placed, png, put};
use mosaicd::history::Past;
use serde_json::Value;
use std::{collections::BTreeMap, fs};

fn json(site: &Site, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(site.output().join(name)).unwrap()).unwrap()
}

/// Replays the journal as the page does: id → cell.
fn replayed(site: &Site) -> (u64, BTreeMap<u64, (u64, u64)>) {
    let text = fs::read_to_string(site.output().join("history.js")).unwrap();
    let (mut cells, mut generation) = (BTreeMap::new(), 0);
    for line in text.lines() {
        let from = line.find(",{").unwrap() + 1;
        let line: Value = serde_json::from_str(&line[from..line.len() - 2]).unwrap();
        generation = line["g"].as_u64().unwrap();
        if line["b"] == true {
            cells.clear();
        }
        for id in line["r"].as_array().into_iter().flatten() {
            cells.remove(&id.as_u64().unwrap());
        }
        let p: Vec<u64> = line["p"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| v.as_u64().unwrap())
            .collect();
        for p in p.chunks(3) {
            cells.insert(p[0], (p[1], p[2]));
        }
    }
    (generation, cells)
}

#[test]
fn the_journal_adds_up_to_the_manifest_and_the_feeds_tell_which_works_arrivals_are_next_to() {
    let site = Site::new();
    site.configure("[page]\nurl = \"https://example.org/mosaic/\"\n");
    let (daemon, _) = site.run_with(20);
    let name = site.draw(20, 1).remove(0);
    site.until_works(21);
    fs::remove_file(site.art(&name)).unwrap();
    site.until_works(20);
    let name = site.draw(30, 1).remove(0);
    let last = site.until_shown(&name);
    site.wait("the journal", || {
        (replayed(&site).0 == last.generation).then_some(())
    });
    let expected = placed(&last)
        .into_values()
        .map(|(id, (col, row))| (id, (u64::from(col), u64::from(row))));
    assert_eq!(replayed(&site).1, expected.collect());

    let feed = site.wait("the feed", || {
        Some(json(&site, "feed.json"))
            .filter(|feed| feed["items"][0]["_mosaicd"]["path"] == name.as_str())
    });
    let new = last.works.iter().find(|w| w.path == name).unwrap();
    let beside = last
        .works
        .iter()
        .find(|w| w.id == new.neighbours[0])
        .unwrap();
    let stem = beside.path.rsplit_once('.').unwrap().0;
    let said = feed["items"][0]["content_text"].as_str().unwrap();
    assert!(
        said.contains(&format!("arrived next to {stem} and ")),
        "{said}"
    );
    let atom = fs::read_to_string(site.output().join("feed.atom")).unwrap();
    assert!(
        atom.contains(&format!("https://example.org/mosaic/#work={}", new.id.0)),
        "{atom}"
    );
    match std::process::Command::new("xmllint")
        .arg("--noout")
        .arg(site.output().join("feed.atom"))
        .output()
    {
        Ok(verdict) => assert!(verdict.status.success(), "{verdict:?}"),
        Err(_) => eprintln!("xmllint is not installed: not asked"),
    }
    daemon.kill();

    // A line torn by the kill, and generations that a lost line told of, are made good by the next one.
    let path = site.output().join("history.js");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 9]).unwrap();
    site.draw(40, 1);
    let after = site.build();
    let expected = placed(&after)
        .into_values()
        .map(|(id, (col, row))| (id, (u64::from(col), u64::from(row))));
    assert_eq!(replayed(&site), (after.generation, expected.collect()));
    assert!(
        Past::read(&fs::read_to_string(&path).unwrap()).unwrap().1,
        "no damaged line is left"
    );
}

#[test]
fn a_file_of_somebody_elses_under_the_journals_name_is_left_alone() {
    let site = Site::new();
    site.draw(0, 4);
    site.build();
    fs::write(site.output().join("history.js"), "alert(1);\n").unwrap();
    site.draw(4, 1);
    mosaic(&site, &site.build());
    assert_eq!(
        fs::read_to_string(site.output().join("history.js")).unwrap(),
        "alert(1);\n"
    );
}

#[test]
fn near_twins_are_listed() {
    let site = Site::new();
    site.draw(0, 30);
    let picture = image::load_from_memory(&png(7)).unwrap().to_rgb8();
    let filter = image::imageops::FilterType::CatmullRom;
    image::imageops::resize(&picture, 180, 180, filter)
        .save(site.art("larger.png"))
        .unwrap();
    image::imageops::resize(&picture, 90, 90, filter)
        .save(site.art("other.jpg"))
        .unwrap();
    fs::write(site.art("copy.png"), png(12)).unwrap();
    site.build();
    let twins = site.wait("twins", || {
        Some(json(&site, "twins.json")).filter(|t| t["groups"][0].is_array())
    });
    let mut groups: Vec<Vec<&str>> = twins["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let mut paths: Vec<_> = group
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t["path"].as_str().unwrap())
                .collect();
            paths.sort_unstable();
            paths
        })
        .collect();
    groups.sort();
    let manifest = site.manifest();
    let of = |n: &str| {
        manifest
            .works
            .iter()
            .find(|w| w.path.starts_with(n))
            .unwrap()
            .path
            .as_str()
    };
    assert_eq!(
        groups,
        [
            vec![of("0007-"), "larger.png", "other.jpg"],
            vec![of("0012-"), "copy.png"]
        ]
    );
    assert_eq!(site.status().counts.twins, 3);
    assert!(String::from_utf8_lossy(&site.mosaicd(&["status"]).stdout).contains("3 twins"));
    put(&site.art(".mosaicignore"), b"copy.png\n");
    site.build();
    assert!(
        !fs::read_to_string(site.output().join("twins.json"))
            .unwrap()
            .contains("copy.png")
    );
}
