//! Regions: parts of the mosaic that a word names, because most works there have it, and most works that have it are there.
//!
//! Their names come from folder and file names, so they cost no encoder and mean what the artists wrote; where there is
//! a vocabulary and a text encoder, [`worded()`] adds its words, in the background. Pure and deterministic.
//!
//! Invariants: a region's centre lies within the grid; a name appears once. Names are stable: a region of the
//! generation before stays under milder conditions than a new one needs, and keeps its place unless it moved
//! noticeably.

use crate::domain::manifest::{Manifest, Region, Work};
use std::{collections::BTreeMap, sync::Arc};

mod worded;

pub use worded::{Scene, unworded, worded};

/// Regions at most: more would cover the art that they are about.
const MOST: usize = 24;
/// Works that a region has at least.
const LEAST_WORKS: usize = 6;
/// A region holds at least this part of all works, so that large mosaics do not name small corners: 1 / 200.
const LEAST_SHARE: usize = 200;
/// Passes of the search for the middle of a word's works; it rarely moves after the third.
const PASSES: usize = 4;
/// Words of file names that say nothing about a work.
const EMPTY_WORDS: [&str; 28] = [
    "and",
    "art",
    "artwork",
    "copy",
    "dsc",
    "edit",
    "edited",
    "export",
    "file",
    "final",
    "for",
    "from",
    "image",
    "images",
    "img",
    "jpeg",
    "new",
    "photo",
    "picture",
    "render",
    "scan",
    "screenshot",
    "shot",
    "the",
    "untitled",
    "version",
    "with",
    "work",
];

/// What a word needs to name a region.
#[derive(Clone, Copy)]
struct Needs {
    /// Part of the works there that have the word.
    purity: f32,
    /// Part of the word's works that lie there.
    share: f32,
    /// Share of the least number of works that a new region needs.
    works: f32,
}

const TO_COME: Needs = Needs {
    purity: 0.5,
    share: 0.4,
    works: 1.0,
};
const TO_STAY: Needs = Needs {
    purity: 0.35,
    share: 0.25,
    works: 0.7,
};

/// Names the regions of a manifest, or takes those of `before` over while the grid is the same and no more than one
/// work in a hundred has changed since they were found, `age` cells ago (`None` if that is not known): names cost as
/// much as a small publish. Returns how old they are now.
///
/// Words that another model found, or that are not wanted any more, are dropped.
pub fn name(
    manifest: &mut Manifest,
    before: Option<&Manifest>,
    age: Option<usize>,
    changed: usize,
) -> usize {
    let words = manifest.words_by.is_some();
    let old = match before {
        None => Vec::new(),
        Some(before) if words && before.words_by == manifest.words_by => before.regions.clone(),
        Some(before) => unworded(&before.regions),
    };
    let same_grid = before.is_some_and(|before| before.grid == manifest.grid);
    match age.map(|age| age + changed) {
        Some(age) if same_grid && 100 * age <= manifest.works.len() => {
            manifest.regions = old;
            age
        }
        _ => {
            rename_regions(manifest, &old);
            0
        }
    }
}

/// Removes names that only works outside the manifest have; returns whether that changed a region.
pub fn erase(manifest: &mut Manifest) -> bool {
    let old = std::mem::take(&mut manifest.regions);
    rename_regions(manifest, &old);
    manifest.regions != old
}

fn rename_regions(manifest: &mut Manifest, old: &[Region]) {
    let grid = (manifest.grid.cols, manifest.grid.rows);
    manifest.regions = regions(&manifest.works, grid, old);
    worded::take_over(manifest, old);
}

/// Names the regions of a grid of `cols × rows` cells; `before` are those of the generation before, so that they stay
/// where they can. Largest first.
fn regions(works: &[Arc<Work>], (cols, rows): (u32, u32), before: &[Region]) -> Vec<Region> {
    let mut bearers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, work) in works.iter().enumerate() {
        for word in words(&work.path) {
            bearers.entry(word).or_default().push(i);
        }
    }
    let least = LEAST_WORKS.max(works.len() / LEAST_SHARE);
    let place = Occupied::of(works, cols, rows);
    let mut found: Vec<(f32, Region)> = Vec::new();
    for (word, bearers) in &bearers {
        let old = before.iter().find(|old| !old.seen && old.name == *word);
        let needs = if old.is_some() { TO_STAY } else { TO_COME };
        // A word that most works have distinguishes none.
        if (bearers.len() as f32) < needs.works * least as f32 || 2 * bearers.len() > works.len() {
            continue;
        }
        let cells: Vec<_> = bearers.iter().map(|&i| middle(&works[i])).collect();
        let Some((region, score)) = gather(word, &cells, old, &place, needs, least) else {
            continue;
        };
        found.push((if old.is_some() { 1.5 * score } else { score }, region));
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    let mut chosen: Vec<Region> = Vec::new();
    for (_, region) in found {
        let apart = |other: &Region| {
            distance((region.col, region.row), (other.col, other.row))
                > 0.8 * region.radius.max(other.radius)
        };
        if chosen.len() < MOST && chosen.iter().all(apart) {
            chosen.push(region);
        }
    }
    sort(&mut chosen);
    chosen
}

/// Those with most works first.
fn sort(regions: &mut [Region]) {
    regions.sort_by(|a, b| b.works.cmp(&a.works).then_with(|| a.name.cmp(&b.name)));
}

/// The region of a word, with its score, if it has one.
fn gather(
    word: &str,
    cells: &[(f32, f32)],
    old: Option<&Region>,
    place: &Occupied,
    needs: Needs,
    least: usize,
) -> Option<(Region, f32)> {
    // The disc of a word whose works lie side by side, with some room for strangers among them.
    let radius = 1.0 + 1.25 * (cells.len() as f32 / std::f32::consts::PI).sqrt();
    let mut centre = match old {
        Some(old) => (old.col, old.row),
        None => crowded(cells, radius)?,
    };
    for _ in 0..PASSES {
        centre = mean(
            cells
                .iter()
                .filter(|&&cell| distance(cell, centre) <= radius),
        )?;
    }
    if let Some(old) = old
        && distance(centre, (old.col, old.row)) <= (0.2 * radius).max(1.0)
    {
        centre = (old.col, old.row);
    }
    let there = cells
        .iter()
        .filter(|&&cell| distance(cell, centre) <= radius)
        .count();
    let purity = there as f32 / place.within(centre, radius).max(1) as f32;
    let share = there as f32 / cells.len() as f32;
    let enough = there as f32 >= needs.works * least as f32
        && purity >= needs.purity
        && share >= needs.share;
    let region = Region {
        name: word.to_owned(),
        words: Vec::new(),
        col: centre.0,
        row: centre.1,
        radius,
        works: there as u32,
        seen: false,
    };
    enough.then_some((region, there as f32 * purity * share))
}

/// The middle of the fullest square of a grid of squares as wide as a region.
fn crowded(cells: &[(f32, f32)], side: f32) -> Option<(f32, f32)> {
    let mut squares: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for &(x, y) in cells {
        *squares
            .entry(((x / side) as u32, (y / side) as u32))
            .or_default() += 1;
    }
    let fullest = squares
        .iter()
        .max_by_key(|&(at, count)| (*count, std::cmp::Reverse(*at)));
    fullest.map(|(&(x, y), _)| ((x as f32 + 0.5) * side, (y as f32 + 0.5) * side))
}

fn mean<'a>(cells: impl Iterator<Item = &'a (f32, f32)>) -> Option<(f32, f32)> {
    let (mut x, mut y, mut count) = (0.0, 0.0, 0.0_f32);
    for cell in cells {
        (x, y, count) = (x + cell.0, y + cell.1, count + 1.0);
    }
    (count > 0.0).then(|| (x / count, y / count))
}

fn middle(work: &Work) -> (f32, f32) {
    (work.col as f32 + 0.5, work.row as f32 + 0.5)
}

fn distance(a: (f32, f32), b: (f32, f32)) -> f32 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// How many works each row holds up to each column, so that a disc is counted row by row.
struct Occupied {
    cols: usize,
    rows: usize,
    sums: Vec<u32>,
}

impl Occupied {
    fn of(works: &[Arc<Work>], cols: u32, rows: u32) -> Self {
        let (cols, rows) = (cols as usize, rows as usize);
        let mut sums = vec![0; (cols + 1) * rows];
        for work in works {
            if (work.col as usize) < cols && (work.row as usize) < rows {
                sums[work.row as usize * (cols + 1) + work.col as usize + 1] += 1;
            }
        }
        for row in sums.chunks_mut(cols + 1) {
            let mut sum = 0;
            for count in row {
                sum += *count;
                *count = sum;
            }
        }
        Self { cols, rows, sums }
    }

    /// Works whose cell's middle lies within a disc.
    fn within(&self, (x, y): (f32, f32), radius: f32) -> u32 {
        let mut count = 0;
        let first = (y - radius - 0.5).ceil().max(0.0) as usize;
        for row in first..self.rows {
            let dy = row as f32 + 0.5 - y;
            if dy > radius {
                break;
            }
            let half = (radius * radius - dy * dy).max(0.0).sqrt();
            let from = ((x - half - 0.5).ceil().max(0.0) as usize).min(self.cols);
            let to = ((x + half + 0.5).floor().max(0.0) as usize).clamp(from, self.cols);
            let line = row * (self.cols + 1);
            count += self.sums[line + to] - self.sums[line + from];
        }
        count
    }
}

/// The words of a path, each once: runs of three letters or more in folder and file names, without the extension.
fn words(path: &str) -> Vec<String> {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    let stem = match path[name..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name + dot],
        _ => path,
    };
    let mut words: Vec<String> = stem
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| (3..=24).contains(&word.chars().count()))
        .map(str::to_lowercase)
        .filter(|word| !EMPTY_WORDS.contains(&word.as_str()))
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests;
