//! `manifest.json`, written: its types are [`crate::domain::manifest`]'s.
//!
//! Everything a manifest names exists on disk, complete, before the manifest does; the manifest is renamed into place
//! last.

use crate::publish::listing::Serialised;

pub use crate::domain::manifest::*;

impl Manifest {
    /// The document as JSON, its works serialised before: `works` must be those of this manifest. Its parts together
    /// are what `serde_json::to_vec` gives.
    pub(super) fn document<'a>(
        &mut self,
        works: &'a Serialised,
    ) -> serde_json::Result<Document<'a>> {
        const EMPTY: &[u8] = b"\"works\":[]";
        let own = std::mem::take(&mut self.works);
        let frame = serde_json::to_vec(self);
        self.works = own;
        let mut before = frame?;
        // Within a string of the document the quotes would be escaped.
        let at = before.windows(EMPTY.len()).position(|part| part == EMPTY);
        let at = at.ok_or_else(|| serde::ser::Error::custom("there is no list of works"))?;
        let after = before.split_off(at + EMPTY.len() - 1);
        Ok(Document {
            before,
            works: works.parts(),
            after,
        })
    }
}

/// A manifest as JSON, in parts that follow one another.
pub(super) struct Document<'a> {
    before: Vec<u8>,
    works: Vec<&'a [u8]>,
    after: Vec<u8>,
}

impl Document<'_> {
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        [&[&self.before[..]][..], &self.works, &[&self.after]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ArtworkId;
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_document_is_what_serde_json_writes(works in 0..1_600_u64, title in ".*") {
            let work = |id: u64| Work {
                x: id as f32 / 7.0,
                y: -0.25,
                size: id,
                neighbours: (0..id % 9).map(ArtworkId).collect(),
                title: Some(title.clone()).filter(|_| id.is_multiple_of(3)),
                ..Work::sample(id, &format!("{title} \"works\":[] {id}"), (1, id as u32))
            };
            let mut manifest: Manifest = serde_json::from_str(EMPTY).expect("a manifest");
            manifest.title = title.clone() + "\"works\":[]";
            manifest.works = (0..works).map(work).map(Arc::new).collect();
            let whole = serde_json::to_vec(&manifest).expect("serialised");
            let serialised = Serialised::of(&manifest.works).expect("serialised");
            let document = manifest.document(&serialised).expect("serialised");
            prop_assert!(document.parts().concat() == whole);
            prop_assert_eq!(manifest.works.len() as u64, works);
        }
    }

    const EMPTY: &str = r##"{"schema":1,"generation":1,"published_ms":1,"model":"m","title":"","grid":
        {"cols":1,"rows":1,"cell_px":16},"pyramid":null,"background":"#000000","link":null,"works":[],
        "moves":{"added":0,"removed":0,"moved":0,"grown":0},"quality":null}"##;
}
