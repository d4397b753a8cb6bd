//! Blocks of the page's files as JSON: columns of works by their ids, the works of words, and the tiles of a deep level by
//! their place.
//!
//! Pure but for the callback that writes. Numbers that grow are written as differences, which compress to almost nothing.

use super::{
    CELLS, SIDE, TEXTS, TILES_IN_HEAD, WORDS,
    facets::Facets,
    head::{Head, Names},
    tiles_of,
};
use crate::{
    domain::ArtworkId,
    publish::{
        PublishError,
        manifest::{Manifest, Rendition, WordWorks, Work},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// What a block of works holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Where works lie, and since when.
    Cells,
    /// What they are called.
    Text,
    /// What is like them, their size, and their renditions.
    Near,
    /// What they are filtered by.
    Facet,
    /// Words, and the works that they fit: no block of ids, see [`words`].
    Words,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Cells,
        Self::Text,
        Self::Near,
        Self::Facet,
        Self::Words,
    ];
    /// Those whose blocks are of ids.
    pub(super) const OF_IDS: [Self; 4] = [Self::Cells, Self::Text, Self::Near, Self::Facet];

    /// Ids of a block.
    pub(super) fn ids(self) -> u64 {
        match self {
            Self::Cells | Self::Facet | Self::Words => CELLS,
            Self::Text | Self::Near => TEXTS,
        }
    }

    /// Name in a head.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Text => "text",
            Self::Near => "near",
            Self::Facet => "facet",
            Self::Words => "words",
        }
    }

    /// The first part of a block's file name.
    pub(super) fn stem(self, n: u64) -> String {
        format!("{}-{n}", self.key())
    }

    /// The block of some works; `None` if there are none.
    pub(super) fn serialise(
        self,
        works: &[Arc<Work>],
        facets: &Facets,
    ) -> serde_json::Result<Option<Vec<u8>>> {
        if works.is_empty() {
            return Ok(None);
        }
        let mut block = Map::new();
        block.insert("id".into(), differences(works.iter().map(|w| w.id.0)));
        match self {
            Self::Cells => {
                block.insert("col".into(), column(works, |w| w.col.into()));
                block.insert("row".into(), column(works, |w| w.row.into()));
                let minutes = works.iter().map(|w| w.added_ms / 60_000);
                block.insert("added".into(), differences(minutes));
            }
            Self::Text => {
                block.insert("path".into(), column(works, |w| w.path.as_str().into()));
                let columns: [(&str, Said); 3] = [
                    ("title", |w| w.title.as_deref()),
                    ("artist", |w| w.artist.as_deref()),
                    ("link", |w| w.link.as_deref()),
                ];
                for (name, text) in columns {
                    if works.iter().any(|work| text(work).is_some()) {
                        block.insert(name.into(), column(works, |w| text(w).into()));
                    }
                }
                if works.iter().any(|work| !work.is_named_rightly()) {
                    let unlinked = column(works, |w| u8::from(!w.is_named_rightly()).into());
                    block.insert("unlinked".into(), unlinked);
                }
            }
            Self::Near => {
                block.insert("size".into(), column(works, |w| w.size.into()));
                block.insert("near".into(), column(works, |w| json!(w.neighbours)));
                if works.iter().any(|work| work.large.is_some()) {
                    block.insert(
                        "large".into(),
                        column(works, |w| json!(w.large.as_ref().map(large))),
                    );
                }
            }
            Self::Facet => {
                block.insert("columns".into(), facets.columns(works));
            }
            Self::Words => {}
        }
        serde_json::to_vec(&block).map(Some)
    }
}

/// A rendition's file name without what all share.
fn large(rendition: &Rendition) -> &str {
    let name = rendition.file.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".jpg").unwrap_or(name)
}

/// Something that the owner may say about a work.
type Said = fn(&Work) -> Option<&str>;

fn column(works: &[Arc<Work>], of: impl Fn(&Work) -> Value) -> Value {
    Value::Array(works.iter().map(|work| of(work)).collect())
}

/// The first number, and how far each is from the one before.
fn differences(numbers: impl Iterator<Item = u64>) -> Value {
    let mut before = 0;
    let steps = numbers.map(|number| {
        let step = number as i64 - before;
        before = number as i64;
        Value::from(step)
    });
    Value::Array(steps.collect())
}

/// Of works ordered by id, those whose ids are in a range.
pub(super) fn of_ids(works: &[Arc<Work>], ids: Range<u64>) -> &[Arc<Work>] {
    let start = works.partition_point(|work| work.id.0 < ids.start);
    let end = works.partition_point(|work| work.id.0 < ids.end);
    &works[start..end]
}

/// The first block of words: all of them, and how many works each has.
#[derive(Serialize, Deserialize)]
struct WordList {
    words: Vec<String>,
    count: Vec<usize>,
}

/// Writes the blocks of words that are not `known`; the names of all: first that of the list, then the works'.
pub(super) fn words(
    words: &[WordWorks],
    known: Option<&Vec<Option<u32>>>,
    write: impl Fn(&str, &[u8]) -> Result<u32, PublishError>,
) -> Result<Vec<Option<u32>>, PublishError> {
    if words.iter().all(|word| word.works.is_empty()) {
        return Ok(Vec::new());
    }
    let list = WordList {
        words: words.iter().map(|word| word.word.clone()).collect(),
        count: words.iter().map(|word| word.works.len()).collect(),
    };
    let works = |words: &[WordWorks]| -> Vec<Vec<u64>> {
        let ids = |word: &WordWorks| word.works.iter().map(|id| id.0).collect();
        words.iter().map(ids).collect()
    };
    let list = serde_json::to_vec(&list);
    let works = words
        .chunks(WORDS)
        .map(|part| serde_json::to_vec(&works(part)));
    let mut names = Vec::new();
    for (n, bytes) in (0..).zip(std::iter::once(list).chain(works)) {
        let bytes = bytes?;
        let hash = crate::publish::names::hash(&bytes);
        let same = known.and_then(|known| *known.get(n as usize)?) == Some(hash);
        names.push(Some(match same {
            true => hash,
            false => write(&Kind::Words.stem(n), &bytes)?,
        }));
    }
    Ok(names)
}

/// Reads what [`words`] wrote; `None` if it is something else.
pub(super) fn read_words(blocks: &[Vec<u8>]) -> Option<Vec<WordWorks>> {
    let Some((list, blocks)) = blocks.split_first() else {
        return Some(Vec::new());
    };
    let list: WordList = serde_json::from_slice(list).ok()?;
    let mut works = Vec::new();
    for block in blocks {
        works.extend(serde_json::from_slice::<Vec<Vec<u64>>>(block).ok()?);
    }
    let of = |(word, ids): (String, Vec<u64>)| WordWorks {
        word,
        works: ids.into_iter().map(ArtworkId).collect(),
    };
    (works.len() == list.words.len()).then(|| list.words.into_iter().zip(works).map(of).collect())
}

/// The first part of the file name of a block of tiles.
pub(super) fn tile_stem(level: u32, n: usize) -> String {
    format!("tiles-{level}-{n}")
}

/// Whether a level's tiles are in the head, by their hashes as the manifest joins them.
pub(super) fn in_head(hashes: &str) -> bool {
    hashes.len() <= 8 * TILES_IN_HEAD
}

/// Writes the blocks of tiles that are not those of `known`; the names of all.
pub(super) fn tiles(
    manifest: &Manifest,
    known: Option<&Head>,
    write: impl Fn(&str, &[u8]) -> Result<u32, PublishError>,
) -> Result<BTreeMap<u32, Names>, PublishError> {
    let mut all = BTreeMap::new();
    let Some(pyramid) = &manifest.pyramid else {
        return Ok(all);
    };
    for (level, hashes) in (pyramid.min_level..).zip(&pyramid.levels) {
        if in_head(hashes) {
            continue;
        }
        let shape = tiles_of(pyramid, level);
        let (cols, rows) = (shape.cols.div_ceil(SIDE), shape.rows.div_ceil(SIDE));
        let old = known.and_then(|known| known.tiles.get(&level));
        let mut names = Vec::with_capacity((cols * rows) as usize);
        for n in 0..cols * rows {
            let (left, top) = (n % cols * SIDE, n / cols * SIDE);
            let width = SIDE.min(shape.cols - left) as usize;
            let mut text = String::from("\"");
            for row in top..shape.rows.min(top + SIDE) {
                let start = 8 * (row * shape.cols + left) as usize;
                text.push_str(hashes.get(start..start + 8 * width).unwrap_or(""));
            }
            text.push('"');
            let hash = crate::publish::names::hash(text.as_bytes());
            let same = old.and_then(|old| old.0.get(n as usize)) == Some(&Some(hash));
            names.push(Some(match same {
                true => hash,
                false => write(&tile_stem(level, n as usize), text.as_bytes())?,
            }));
        }
        all.insert(level, Names(names));
    }
    Ok(all)
}
