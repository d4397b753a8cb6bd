//! The page's own files below `p/`: what `manifest.json` says, cut so that a visitor loads only what is looked at.
//!
//! - `head-HASH.json`: title, grid, the upper levels' tiles, regions, counts, and the names of all blocks;
//! - `cells-N-HASH.json`: ids, cells and dates of works, [`CELLS`] ids a block;
//! - `text-N-HASH.json` and `near-N-HASH.json`: names, and neighbours, sizes and renditions, [`TEXTS`] ids a block;
//! - `facet-N-HASH.json`: what a visitor filters by, [`CELLS`] ids a block;
//! - `words-0-HASH.json`: the vocabulary's words, and how many works each fits; the works from `words-1-HASH.json` on,
//!   [`WORDS`] words a block;
//! - `tiles-LEVEL-N-HASH.json`: tiles of a deep level, [`SIDE`] × [`SIDE`] a block;
//! - `delta-HASH.json`: what one generation changed, so that an open page need not load blocks again.
//!
//! `latest.json` names the head, and the delta that led to it. Blocks are of ids, not of places: a work that moves changes
//! one line of one block, and paths next to each other compress well.
//!
//! # Invariants
//! - Every file carries its content's hash in its name and lies on the disk before `latest.json` names its head: a reader
//!   never mixes generations. Next to each lies the same file compressed, `.gz`.
//! - A block is written again only if one of its works, or one of its tiles, has changed.

mod blocks;
mod delta;
mod facets;
mod head;

use super::{
    PublishError,
    files::Folder,
    manifest::{GridSize, Latest, Manifest, WordWorks},
    names,
};
use crate::domain::ArtworkId;
use blocks::Kind;
use facets::Facets;
use flate2::{Compression, GzBuilder};
pub(super) use head::Head;
use std::{collections::BTreeSet, fs, io::Write};

/// Ids of a block of cells or of facets.
pub(super) const CELLS: u64 = 4096;
/// Ids of a block of texts or of neighbours.
pub(super) const TEXTS: u64 = 256;
/// Words of a block.
pub(super) const WORDS: usize = 64;
/// Tiles along the side of a block of tiles.
pub(super) const SIDE: u32 = 32;
/// Levels of at most this many tiles are in the head.
const TILES_IN_HEAD: usize = 256;
/// Deltas that an open page may follow; one that is further behind loads the head.
const DELTAS: usize = 16;
/// A delta of more bytes is not written: loading the head costs less.
const LONGEST_DELTA: usize = 48 << 10;

/// The page's files of the published generation.
pub(super) struct Page {
    /// Hash of the head's file.
    name: u32,
    head: Head,
    /// Newest first: the head that a delta begins at, and the delta's file.
    deltas: Vec<(u32, u32)>,
    /// `None` after a start.
    facets: Option<Facets>,
    /// Every work's cell.
    cells: Vec<delta::Cell>,
    /// Every level's tiles, as in the manifest.
    levels: Vec<String>,
    /// The works of each word of the vocabulary.
    words: Vec<WordWorks>,
}

/// Works that differ from the generation before in more than their points on the map, which no file of the page holds.
#[derive(Default)]
pub(super) struct Touched {
    /// New, changed or gone.
    pub(super) all: Vec<ArtworkId>,
    /// Of those that stay, the ones whose picture changed.
    pub(super) edited: Vec<ArtworkId>,
    /// Whether a work is gone.
    pub(super) gone: bool,
}

impl Page {
    /// Writes the files of a generation under new names. `before` is what stands in the folder; without it all is written.
    /// Of `words` those works are left out that are gone or have another picture.
    pub(super) fn write(
        folder: &Folder,
        before: Option<&Self>,
        manifest: &Manifest,
        touched: &Touched,
        mut words: Vec<WordWorks>,
    ) -> Result<Self, PublishError> {
        let works = &manifest.works;
        let dirty =
            |ids: u64| -> BTreeSet<u64> { touched.all.iter().map(|id| id.0 / ids).collect() };
        let dirty_facets = dirty(CELLS);
        let counted = before.and_then(|page| Some((page.facets.as_ref()?, &dirty_facets)));
        let facets = facets::count(works, counted);
        let known = before.map(|page| &page.head);
        let mut head = Head::of(manifest, &facets)?;
        for kind in Kind::OF_IDS {
            // With folders of another depth, or another column, every work has something else to be filtered by.
            let same = known.filter(|known| kind != Kind::Facet || known.filters_alike(&head));
            let old = same.map(|known| known.names(kind));
            let count = works.last().map_or(0, |work| work.id.0 / kind.ids() + 1) as usize;
            let dirty = old.map(|_| dirty(kind.ids()));
            let mut names = old.cloned().unwrap_or_default();
            names.resize(count, None);
            for (n, name) in (0..).zip(&mut names) {
                if dirty.as_ref().is_none_or(|dirty| dirty.contains(&n)) {
                    let part = blocks::of_ids(works, n * kind.ids()..(n + 1) * kind.ids());
                    *name = match kind.serialise(part, &facets)? {
                        None => None,
                        // Works have changed in something that this block does not hold.
                        Some(bytes) if *name == Some(names::hash(&bytes)) => *name,
                        Some(bytes) => Some(write(folder, &kind.stem(n), &bytes)?),
                    };
                }
            }
            *head.names_mut(kind) = names;
        }
        let stays = |id: &ArtworkId| {
            let there = works.binary_search_by_key(id, |work| work.id).is_ok();
            there && !touched.edited.contains(id)
        };
        for word in &mut words {
            word.works.retain(stays);
        }
        *head.names_mut(Kind::Words) = blocks::words(
            &words,
            known.map(|known| known.names(Kind::Words)),
            |stem, bytes| write(folder, stem, bytes),
        )?;
        head.tiles = blocks::tiles(manifest, known, |stem, bytes| write(folder, stem, bytes))?;

        let name = write(folder, "head", &head.serialise()?)?;
        let known = before.map(|page| (page.cells.as_slice(), touched));
        let (cells, levels) = (delta::cells(works, known), levels(manifest));
        let mut deltas = Vec::new();
        if let Some(before) = before {
            deltas.clone_from(&before.deltas);
            if before.name != name {
                let step = delta::Step {
                    hashes: (before.name, name),
                    heads: (&before.head, &head),
                    cells: (&before.cells, &cells),
                    levels: (&before.levels, &levels),
                    edited: &touched.edited,
                };
                let bytes = step.serialise(&deltas)?;
                match bytes.len() <= LONGEST_DELTA {
                    true => deltas.insert(0, (before.name, write(folder, "delta", &bytes)?)),
                    false => deltas.clear(),
                }
                deltas.truncate(DELTAS);
            }
        }
        Ok(Self {
            name,
            head,
            deltas,
            facets: Some(facets),
            cells,
            levels,
            words,
        })
    }

    /// The works of each word of the vocabulary.
    pub(super) fn words(&self) -> &[WordWorks] {
        &self.words
    }

    /// Reads what `latest.json` names; `None` unless it is what `manifest` says, and all of it is there.
    pub(super) fn read(folder: &Folder, manifest: &Manifest, there: &[String]) -> Option<Self> {
        let latest = super::stable::read_latest(folder)?;
        let parse = |name: &Option<String>| names::parse_page(name.as_deref()?.strip_prefix("p/")?);
        let name = parse(&latest.head)?;
        let text = fs::read(folder.path(&names::page("head", name))).ok()?;
        let head: Head = serde_json::from_slice(&text).ok()?;
        if !head.is_of(manifest) {
            return None;
        }
        let read = |(n, name): (u64, &Option<u32>)| {
            fs::read(folder.path(&names::page(&Kind::Words.stem(n), (*name)?))).ok()
        };
        let words = (0..).zip(head.names(Kind::Words)).map(read);
        let words = blocks::read_words(&words.collect::<Option<Vec<_>>>()?)?;
        let newest = parse(&latest.delta);
        let text = newest.map(|name| fs::read(folder.path(&names::page("delta", name))));
        let read = |text: &[u8]| delta::chain(text, newest?);
        let deltas = text.and_then(|text| read(&text.ok()?));
        let page = Self {
            name,
            head,
            deltas: deltas.unwrap_or_default(),
            facets: None,
            cells: delta::cells(&manifest.works, None),
            levels: levels(manifest),
            words,
        };
        let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
        let complete = page.files().all(|name| there.contains(&name["p/".len()..]));
        complete.then_some(page)
    }

    /// What `latest.json` says.
    pub(super) fn latest(&self, manifest: &Manifest) -> Latest {
        let delta = self.deltas.first();
        Latest {
            schema: super::manifest::SCHEMA,
            generation: manifest.generation,
            published_ms: manifest.published_ms,
            head: Some(names::page("head", self.name)),
            delta: delta.map(|&(_, delta)| names::page("delta", delta)),
        }
    }

    /// Forgets all deltas, and names their files.
    pub(super) fn forget_deltas(&mut self) -> Vec<String> {
        let files = |(_, delta)| {
            let name = names::page("delta", delta);
            [names::compressed(&name), name]
        };
        self.deltas.drain(..).flat_map(files).collect()
    }

    /// Every file, the compressed ones included.
    pub(super) fn files(&self) -> impl Iterator<Item = String> + '_ {
        let blocks = Kind::ALL.into_iter().flat_map(|kind| {
            let names = (0..).zip(self.head.names(kind));
            names.filter_map(move |(n, name)| Some(names::page(&kind.stem(n), (*name)?)))
        });
        let tiles = self.head.tiles.iter().flat_map(|(level, names)| {
            let names = names.0.iter().enumerate();
            names.filter_map(move |(n, name)| {
                Some(names::page(&blocks::tile_stem(*level, n), (*name)?))
            })
        });
        let deltas = self.deltas.iter();
        let deltas = deltas.map(|&(_, delta)| names::page("delta", delta));
        std::iter::once(names::page("head", self.name))
            .chain(deltas)
            .chain(blocks)
            .chain(tiles)
            .flat_map(|name| [names::compressed(&name), name])
    }
}

fn levels(manifest: &Manifest) -> Vec<String> {
    let pyramid = manifest.pyramid.as_ref();
    pyramid.map_or_else(Vec::new, |pyramid| pyramid.levels.clone())
}

/// Writes a file of the page and the same compressed; says its hash.
fn write(folder: &Folder, stem: &str, bytes: &[u8]) -> Result<u32, PublishError> {
    let hash = names::hash(bytes);
    let name = names::page(stem, hash);
    folder.write_new(&name, bytes)?;
    folder.write_new(&names::compressed(&name), &gzip(bytes))?;
    Ok(hash)
}

/// Compressed, the same for the same bytes. Level 9 takes 40 % longer and is .1 % shorter on the blocks of 60,000 works.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(6));
    // Writing to memory does not fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// A level's tiles in columns and rows.
fn tiles_of(pyramid: &super::manifest::Pyramid, level: u32) -> GridSize {
    let shrink = 1u64 << (pyramid.max_level - level).min(31);
    let count = |px: u32| {
        u64::from(px)
            .div_ceil(shrink)
            .div_ceil(u64::from(pyramid.tile_size)) as u32
    };
    GridSize {
        cols: count(pyramid.width).max(1),
        rows: count(pyramid.height).max(1),
        cell_px: 0,
    }
}
