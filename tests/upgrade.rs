//! State of version 0.1 goes on in this one.
//!
//! `fixtures/state-0.1.zip` holds twelve pictures, the state folder that mosaicd 0.1.0 made of them, and the manifest that
//! it published.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Site, placed};
use mosaicd::publish::manifest::Manifest;
use std::{fs, io::Cursor};

#[test]
fn a_state_of_0_1_keeps_its_numbers_cells_and_embeddings() {
    let site = Site::new();
    site.configure("");
    let packed = include_bytes!("fixtures/state-0.1.zip");
    let mut packed = zip::ZipArchive::new(Cursor::new(packed.as_slice())).unwrap();
    packed.extract(site.dir.path()).unwrap();
    let manifest = fs::read(site.path("manifest-0.1.json")).unwrap();
    let before: Manifest = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(before.works.len(), 12);

    let after = site.build();
    assert_eq!(placed(&after), placed(&before));
    let of = |m: &Manifest| {
        m.works
            .iter()
            .map(|w| (w.id, w.hash, w.added_ms))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&after), of(&before));
    // It did not keep the format; the files were read again for their renditions.
    let format = |m: &Manifest| m.works.iter().filter(|w| w.format.is_some()).count();
    assert_eq!((format(&before), format(&after)), (0, 12));
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);

    site.draw(500, 1);
    let more = site.build();
    let kept = more.works.iter().filter(|work| work.id.0 <= 12).count();
    let new = more.works.iter().find(|work| work.id.0 == 13);
    assert_eq!((kept, more.works.len()), (12, 13));
    assert!(new.is_some_and(|work| work.path.starts_with("0500-")));
    assert_eq!(site.metric("mosaicd_embedded_total"), 1.0);
}
