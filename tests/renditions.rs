//! Uncropped renditions of works, through the real binary: made, kept, healed, collected and erased.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod common;

use common::Site;
use mosaicd::publish::manifest::{Manifest, Rendition};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// The renditions in the output folder, by path.
fn files(site: &Site) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for folder in fs::read_dir(site.output().join("large"))
        .into_iter()
        .flatten()
    {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let below = path.strip_prefix(site.output()).unwrap();
            all.insert(below.to_str().unwrap().to_owned());
        }
    }
    all
}

/// The rendition of every work; each is there and has the size that the manifest says.
fn sound(site: &Site, manifest: &Manifest) -> Option<Vec<Rendition>> {
    let all: Option<Vec<_>> = manifest
        .works
        .iter()
        .map(|work| work.large.clone())
        .collect();
    for Rendition {
        file,
        width,
        height,
    } in all.iter().flatten()
    {
        let bytes = fs::read(site.output().join(file)).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (*width, *height));
    }
    all
}

#[test]
fn a_work_is_published_uncropped_and_never_enlarged() {
    let site = Site::new();
    site.configure("[page]\nlarge_px = 256\n");
    image::RgbImage::new(600, 200)
        .save(site.art("wide.png"))
        .unwrap();
    image::RgbImage::new(40, 90)
        .save(site.art("small.png"))
        .unwrap();
    let manifest = site.build();
    let sizes: BTreeSet<_> = sound(&site, &manifest)
        .unwrap()
        .into_iter()
        .map(|r| (r.width, r.height))
        .collect();
    assert_eq!(sizes, BTreeSet::from([(256, 85), (40, 90)]));
    let before = files(&site);
    // An arrival writes its own rendition alone.
    let written = |file: &String| {
        fs::metadata(site.output().join(file))
            .unwrap()
            .modified()
            .unwrap()
    };
    let times: Vec<_> = before.iter().map(written).collect();
    site.draw(0, 1);
    assert_eq!(sound(&site, &site.build()).unwrap().len(), 3);
    assert_eq!(before.iter().map(written).collect::<Vec<_>>(), times);
    assert_eq!(files(&site).len(), 3);
}

#[test]
fn what_is_lacking_is_made_in_the_background_without_embedding_again() {
    let site = Site::new();
    site.configure("[page]\nlarge_px = 0\n");
    site.draw(0, 9);
    let bare = site.build();
    assert!(bare.works.iter().all(|work| work.large.is_none()));
    assert!(files(&site).is_empty());
    // As after an upgrade from 0.1, and after another size.
    for px in [256, 512] {
        site.configure(&format!("[page]\nlarge_px = {px}\n"));
        assert_eq!(sound(&site, &site.build()).unwrap().len(), 9, "{px}");
        assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
    }
    let daemon = site.start();
    site.until("all", |manifest| manifest.works.len() == 9);
    // In one step: the daemon may be writing below it.
    fs::rename(site.output(), site.path("lost")).unwrap();
    site.draw(9, 1);
    site.until("the renditions of a lost output", |manifest| {
        manifest.works.len() == 10 && sound(&site, manifest).is_some()
    });
    // The metrics are written a moment after the manifest; the other nine were read again and not embedded.
    site.wait("the count", || {
        (site.metric("mosaicd_embedded_total") >= 1.0).then_some(())
    });
    assert_eq!(site.metric("mosaicd_embedded_total"), 1.0);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn an_opt_out_erases_a_rendition_at_once() {
    let site = Site::new();
    let names = site.draw(0, 12);
    let before = site.build();
    let of = |name: &str| before.works.iter().find(|work| work.path == name).unwrap();
    let gone = of(&names[3]).large.clone().unwrap().file;
    assert!(files(&site).contains(&gone));
    fs::write(site.art(".mosaicignore"), format!("{}\n", names[3])).unwrap();
    let after = site.build();
    assert_eq!(after.works.len(), 11);
    let left: BTreeSet<_> = sound(&site, &after)
        .unwrap()
        .into_iter()
        .map(|r| r.file)
        .collect();
    assert_eq!(files(&site), left);
    assert!(!left.contains(&gone));
}

#[test]
fn iiif_viewers_find_every_work_and_nothing_that_left() {
    let site = Site::new();
    site.configure("[page]\niiif = true\nurl = \"https://example.org/mosaic/index.html\"\n");
    let names = site.draw(0, 5);
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(site.output().join("iiif").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let base = "https://example.org/mosaic/";
    let images = |canvases: &[Value]| -> BTreeSet<String> {
        let service = |canvas: &Value| {
            let body = &canvas["items"][0]["items"][0]["body"];
            assert!(body["service"].is_null(), "{body}");
            let id = canvas["thumbnail"][0]["service"][0]["id"].as_str().unwrap();
            id.strip_prefix(&format!("{base}iiif/")).unwrap().to_owned()
        };
        canvases.iter().map(service).collect()
    };
    let there = || -> BTreeSet<String> {
        let entries = fs::read_dir(site.output().join("iiif")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".json")).collect()
    };
    let works = site.build().works;
    let manifest = read("manifest.json");
    assert_eq!(manifest["type"], "Manifest");
    assert_eq!(manifest["id"], format!("{base}iiif/manifest.json"));
    let canvases = manifest["items"].as_array().unwrap();
    assert_eq!(canvases.len(), 5);
    assert_eq!(images(canvases), there());
    for (image, work) in canvases.iter().map(|canvas| {
        let image = images(std::slice::from_ref(canvas)).pop_first().unwrap();
        let label = canvas["label"]["none"][0].as_str().unwrap();
        (image, works.iter().find(|work| work.path == label).unwrap())
    }) {
        let (large, info) = (
            work.large.clone().unwrap(),
            read(&format!("{image}/info.json")),
        );
        assert_eq!(info["id"], format!("{base}iiif/{image}"));
        assert_eq!(
            (info["width"].clone(), info["height"].clone()),
            (large.width.into(), large.height.into())
        );
        let file = fs::read(site.output().join(&large.file)).unwrap();
        for size in [
            "max".to_owned(),
            format!("{},{}", large.width, large.height),
        ] {
            let path = format!("iiif/{image}/full/{size}/0/default.jpg");
            assert!(fs::read(site.output().join(path)).unwrap() == file);
        }
    }
    fs::remove_file(site.art(&names[2])).unwrap();
    site.build();
    let left = read("manifest.json");
    let left = images(left["items"].as_array().unwrap());
    assert_eq!((left.len(), &left), (4, &there()));
    site.configure("");
    site.build();
    assert!(there().is_empty() && !site.output().join("iiif/manifest.json").exists());
}
