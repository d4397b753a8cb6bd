//! The owner's words: titles and artists from `artworks.csv`, and works that `.mosaicignore` takes out for good.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Daemon, Site, mosaic, placed, png, put};
use mosaicd::{artwork::ContentHash, publish::manifest::Manifest, vectors};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn titles_artists_and_links_reach_the_manifest_and_follow_the_table() {
    let site = Site::new();
    let names = site.draw(0, 6);
    put(
        &site.art("artworks.csv"),
        format!(
            "path,title,artist,link\n{},\"Sea, at night\",N. N.,https://x.org/1\n",
            names[2]
        )
        .as_bytes(),
    );
    let daemon = site.start();
    let first = site.until_works(6);
    let about = |m: &Manifest| {
        let work = m.works.iter().find(|w| w.path == names[2]).unwrap();
        (work.title.clone(), work.artist.clone(), work.link.clone())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        about(&first),
        (
            some("Sea, at night"),
            some("N. N."),
            some("https://x.org/1")
        )
    );

    let table = format!("path,title,link\n{},By day,javascript:alert(1)\n", names[2]);
    put(&site.art("artworks.csv"), table.as_bytes());
    let second = site.until("the new title", |m| about(m).0 == some("By day"));
    assert_eq!(about(&second), (some("By day"), None, None));
    assert_eq!(placed(&second), placed(&first), "nothing moves");
    assert_eq!(second.mosaic, first.mosaic, "nothing is drawn");
    let mistake = site.wait("the mistake", || {
        site.status()
            .failures
            .into_iter()
            .find(|f| f.path == "artworks.csv")
    });
    assert!(
        mistake.reason.starts_with("line 2: the link"),
        "{}",
        mistake.reason
    );

    fs::remove_file(site.art("artworks.csv")).unwrap();
    site.until("no title", |m| about(m) == (None, None, None));
    assert_eq!(daemon.stop(), 0);
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => open.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found
}

/// Files of output and state that hold one of these byte strings, or a pixel of the given colour.
fn traces(site: &Site, needles: &[Vec<u8>], colour: [u8; 3]) -> Vec<PathBuf> {
    let near = |pixel: &image::Rgb<u8>| pixel.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 40);
    let found = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        let name = path.as_os_str().as_encoded_bytes();
        let within = |text: &[u8], needle: &[u8]| text.windows(needle.len()).any(|w| w == needle);
        let holds = |needle: &Vec<u8>| within(&bytes, needle) || within(name, needle);
        let shows = || {
            image::load_from_memory(&bytes)
                .is_ok_and(|picture| picture.to_rgb8().pixels().any(near))
        };
        needles.iter().any(holds) || shows()
    };
    let mut all = files(&site.output());
    all.extend(files(&site.path("state")));
    all.into_iter().filter(found).collect()
}

/// A work that is easy to find again: its name, its embedding, its content's hash, its colour.
fn telling(site: &Site) -> (Vec<Vec<u8>>, [u8; 3]) {
    let colour = [255, 0, 255];
    let mut picture = image::RgbImage::from_pixel(64, 64, image::Rgb(colour));
    picture.put_pixel(3, 3, image::Rgb([250, 10, 240]));
    let mut bytes = Vec::new();
    picture
        .write_to(
            &mut std::io::Cursor::new(&mut bytes),
            image::ImageFormat::Png,
        )
        .unwrap();
    put(&site.art("deep/unmistakable.png"), &bytes);
    let hash = ContentHash::of(&bytes);
    (
        vec![
            b"unmistakable".to_vec(),
            hash.0.to_vec(),
            hash.to_string().into_bytes(),
        ],
        colour,
    )
}

fn with_embedding(site: &Site, mut needles: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let hash = ContentHash(needles[1].clone().try_into().unwrap());
    let (_, embeddings) = vectors::read(&site.path("state")).unwrap().unwrap();
    let values = embeddings[&hash]
        .iter()
        .flat_map(|value| value.to_le_bytes());
    needles.push(values.collect::<Vec<_>>()[..64].to_vec());
    needles
}

fn erased(site: &Site, needles: &[Vec<u8>], colour: [u8; 3]) {
    site.wait("the erasing", || {
        site.path("state/erased-for").exists().then_some(())
    });
    let left = traces(site, needles, colour);
    assert!(left.is_empty(), "traces in {left:?}");
}

fn start_with_telling(site: &Site) -> (Daemon<'_>, Vec<Vec<u8>>, [u8; 3]) {
    site.draw(0, 30);
    fs::create_dir(site.art("deep")).unwrap();
    let (needles, colour) = telling(site);
    let daemon = site.start();
    site.until_works(31);
    let needles = with_embedding(site, needles);
    for needle in &needles {
        assert!(
            !traces(site, std::slice::from_ref(needle), [1, 2, 3]).is_empty(),
            "the test can find {needle:?}"
        );
    }
    assert!(
        !traces(site, &[], colour).is_empty(),
        "the test can find the tile"
    );
    (daemon, needles, colour)
}

#[test]
fn a_name_in_the_ignore_file_leaves_no_byte_behind() {
    let site = Site::new();
    let (daemon, needles, colour) = start_with_telling(&site);
    // More generations that show it, whose tiles are in their grace.
    site.draw(30, 3);
    let before = site.until_works(34);
    put(&site.art(".mosaicignore"), b"/deep/unmist*\n");
    let after = site.until_works(33);
    mosaic(&site, &after);
    assert!(after.generation > before.generation);
    erased(&site, &needles, colour);
    assert_eq!(daemon.stop(), 0);
    erased(&site, &needles, colour);
    assert_eq!(placed(&site.build()).len(), 33, "the store is whole");
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
}

#[test]
fn a_work_that_was_deleted_before_it_was_named_is_erased_too() {
    let site = Site::new();
    let (daemon, needles, colour) = start_with_telling(&site);
    fs::remove_file(site.art("deep/unmistakable.png")).unwrap();
    site.until_works(30);
    assert!(
        !traces(&site, &needles, colour).is_empty(),
        "kept for its return"
    );
    put(&site.art(".mosaicignore"), b"unmistakable.png\n");
    erased(&site, &needles, colour);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn ignoring_most_works_is_no_lost_mount() {
    let site = Site::new();
    fs::create_dir(site.art("drafts")).unwrap();
    for i in 0..30 {
        fs::write(site.art(&format!("drafts/{i}.png")), png(i)).unwrap();
    }
    site.draw(40, 6);
    let daemon = site.start();
    site.until_works(36);
    put(&site.art(".mosaicignore"), b"drafts/\n");
    site.until_works(6);
    assert!(site.status().degraded.is_empty());
    assert_eq!(daemon.stop(), 0);
}
