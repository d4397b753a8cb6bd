//! Words of a vocabulary for the regions of the mosaic, found by looking at the works.
//!
//! Every region that names gave gets the words that distinguish its works from the others. Where there is no name, a
//! lattice of discs that together cover the grid is examined, and those that differ most from the collection as a whole
//! become regions of their own, named by their best word. A disc that does not differ from the others gets no word: its
//! best word would be chance.
//!
//! Pure and deterministic. Invariants: those of the door; a region found here stays at its place, and its words stay,
//! while others are hardly better.

use super::{LEAST_WORKS, MOST, Manifest, Region, distance};
use crate::{
    embed::words::{Fit, Vocabulary, best_words},
    matrix::Matrix,
};
use std::collections::{HashMap, HashSet};

/// Discs whose area is the grid's, so that as many regions fit at most.
const DISCS: f32 = 18.0;
/// Further words of a region.
const FURTHER: usize = 3;
/// A disc must hold this part of the collection's variance in the difference of its mean,
const LEAST_DIFFERENCE: f32 = 0.05;
/// and this many times as much as a random choice of as many works would.
const CHANCE: f32 = 3.0;
/// A region of the generation before counts this much more.
const STOOD: f32 = 1.5;
/// Middles of two regions found here lie at least this many radii apart.
const APART: f32 = 1.5;

/// The works as they are placed.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Columns and rows.
    pub grid: (u32, u32),
    /// Column and row of each work.
    pub cells: &'a [(u32, u32)],
    /// Their embeddings, `N × D`, of length 1; a row of zeros is not known.
    pub vectors: &'a Matrix,
}

/// The regions of a manifest with their words, and regions that only words name; those with most works first.
///
/// `vocabulary` must be of the model that made the embeddings.
pub fn worded(scene: &Scene<'_>, vocabulary: &Vocabulary, before: &[Region]) -> Vec<Region> {
    let Some(ground) = Ground::of(scene) else {
        return unworded(before);
    };
    let index: HashMap<&str, usize> = (vocabulary.words.iter().enumerate())
        .map(|(i, word)| (word.as_str(), i))
        .collect();
    let fits = |region: &Region, count| -> Option<(Vec<Fit>, u32)> {
        let (apart, works) = ground.apart(region)?;
        let held = region.words.iter().chain([&region.name]);
        let held: HashSet<usize> = held
            .filter_map(|word| index.get(word.as_str()).copied())
            .collect();
        Some((best_words(&apart, vocabulary, &held, count), works))
    };
    let mut regions = unworded(before);
    let mut taken: HashSet<String> = HashSet::new();
    let named = before.iter().filter(|region| !region.seen);
    for (region, old) in regions.iter_mut().zip(named) {
        let best = fits(old, FURTHER + 1);
        let words = best.iter().flat_map(|(best, _)| best);
        let words = words.map(|fit| vocabulary.words[fit.word].clone());
        region.words = words
            .filter(|word| word.to_lowercase() != region.name)
            .take(FURTHER)
            .collect();
        taken.insert(region.name.to_lowercase());
    }

    let stood = before.iter().filter(|region| region.seen);
    let stood = stood.map(|region| {
        (
            Region {
                radius: ground.radius,
                ..region.clone()
            },
            STOOD,
        )
    });
    let mut found: Vec<_> = stood
        .chain(ground.lattice().map(|region| (region, 1.0)))
        .filter_map(|(region, more)| {
            let (best, works) = fits(&region, 2 * (FURTHER + 1))?;
            let score = more * best.first()?.score;
            Some((score, Region { works, ..region }, best))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut seen = 0;
    for (_, region, best) in found {
        let free = |other: &Region| {
            let reach = match other.seen {
                true => APART * ground.radius,
                false => 0.8 * other.radius.max(ground.radius),
            };
            distance((region.col, region.row), (other.col, other.row)) > reach
        };
        if seen == MOST {
            break;
        }
        if !regions.iter().all(free) {
            continue;
        }
        let free = |fit: &&Fit| !taken.contains(&vocabulary.words[fit.word].to_lowercase());
        let Some(&Fit { word: name, .. }) = best.iter().find(free) else {
            continue;
        };
        taken.insert(vocabulary.words[name].to_lowercase());
        let words = best.iter().filter(|fit| fit.word != name).take(FURTHER);
        regions.push(Region {
            name: vocabulary.words[name].clone(),
            words: words
                .map(|fit| vocabulary.words[fit.word].clone())
                .collect(),
            ..region
        });
        seen += 1;
    }
    super::sort(&mut regions);
    regions
}

/// What is left without words: the regions that names gave.
pub fn unworded(regions: &[Region]) -> Vec<Region> {
    let named = regions.iter().filter(|region| !region.seen);
    let bare = |region: &Region| Region {
        words: Vec::new(),
        ..region.clone()
    };
    named.map(bare).collect()
}

/// Takes the words of the generation before over to the regions of this one: those of the same name, and the regions
/// of words that no name has come near.
pub(super) fn take_over(manifest: &mut Manifest, before: &[Region]) {
    for region in &mut manifest.regions {
        let near = |old: &&Region| {
            let moved = distance((region.col, region.row), (old.col, old.row));
            !old.seen && old.name == region.name && moved < 0.5 * region.radius
        };
        region.words = before
            .iter()
            .find(near)
            .map_or_else(Vec::new, |old| old.words.clone());
    }
    let (cols, rows) = (manifest.grid.cols as f32, manifest.grid.rows as f32);
    let regions = &mut manifest.regions;
    for old in before
        .iter()
        .filter(|old| old.seen && old.col < cols && old.row < rows)
    {
        let free = |named: &Region| {
            let moved = distance((named.col, named.row), (old.col, old.row));
            named.name != old.name && (named.seen || moved > 0.8 * named.radius.max(old.radius))
        };
        if regions.iter().all(free) {
            regions.push(old.clone());
        }
    }
    super::sort(regions);
}

/// The works by cell, and what they have in common.
struct Ground<'a> {
    scene: &'a Scene<'a>,
    /// Index of the work in each cell, row-major.
    at: Vec<Option<u32>>,
    /// Mean of all embeddings.
    whole: Vec<f32>,
    /// Their variance: mean squared distance from the mean.
    variance: f32,
    /// Radius of the regions to find, cells.
    radius: f32,
}

impl<'a> Ground<'a> {
    /// `None` for collections too small to have regions.
    fn of(scene: &'a Scene<'a>) -> Option<Self> {
        let (cols, rows) = scene.grid;
        let mut at = vec![None; cols as usize * rows as usize];
        let mut known = Vec::new();
        for (i, &(col, row)) in scene.cells.iter().enumerate() {
            let is_known = scene.vectors.row(i).iter().any(|&value| value != 0.0);
            if is_known && col < cols && row < rows {
                at[row as usize * cols as usize + col as usize] = Some(i as u32);
                known.push(i);
            }
        }
        if known.len() < 2 * LEAST_WORKS {
            return None;
        }
        let whole = mean(scene.vectors, &known);
        // Embeddings have length 1.
        let variance = (1.0 - square(&whole)).max(1e-6);
        let radius = (cols as f32 * rows as f32 / (DISCS * std::f32::consts::PI)).sqrt();
        Some(Self {
            scene,
            at,
            whole,
            variance,
            // Room for the least number of works.
            radius: radius.max(2.0),
        })
    }

    /// How the works within a region differ from the others, and their number; `None` if that may be chance.
    fn apart(&self, region: &Region) -> Option<(Vec<f32>, u32)> {
        let there = self.within(region);
        if there.len() < LEAST_WORKS {
            return None;
        }
        let mut apart = mean(self.scene.vectors, &there);
        for (value, whole) in apart.iter_mut().zip(&self.whole) {
            *value -= whole;
        }
        let by_chance = CHANCE / there.len() as f32;
        (square(&apart) > self.variance * by_chance.max(LEAST_DIFFERENCE))
            .then_some((apart, there.len() as u32))
    }

    /// Works whose cell's middle lies within a region.
    fn within(&self, region: &Region) -> Vec<usize> {
        let (cols, rows) = self.scene.grid;
        let range = |middle: f32, end: u32| {
            let from = (middle - region.radius - 0.5).ceil().max(0.0) as u32;
            let to = (middle + region.radius + 0.5).floor().max(0.0) as u32;
            from.min(end)..to.min(end)
        };
        let mut there = Vec::new();
        for row in range(region.row, rows) {
            for col in range(region.col, cols) {
                let middle = (col as f32 + 0.5, row as f32 + 0.5);
                let work = self.at[row as usize * cols as usize + col as usize];
                if let Some(work) = work
                    && distance(middle, (region.col, region.row)) <= region.radius
                {
                    there.push(work as usize);
                }
            }
        }
        there
    }

    /// Discs that overlap by half and cover the grid.
    fn lattice(&self) -> impl Iterator<Item = Region> {
        let (cols, rows) = (self.scene.grid.0 as f32, self.scene.grid.1 as f32);
        let radius = self.radius;
        let steps = |length: f32| (length / radius).round().max(1.0) as u32;
        let (across, down) = (steps(cols), steps(rows));
        (0..across * down).map(move |i| Region {
            name: String::new(),
            words: Vec::new(),
            col: ((i % across) as f32 + 0.5) * cols / across as f32,
            row: ((i / across) as f32 + 0.5) * rows / down as f32,
            radius,
            works: 0,
            seen: true,
        })
    }
}

/// The mean of some rows.
fn mean(vectors: &Matrix, rows: &[usize]) -> Vec<f32> {
    let mut sum = vec![0.0_f64; vectors.dims()];
    for &row in rows {
        for (sum, &value) in sum.iter_mut().zip(vectors.row(row)) {
            *sum += f64::from(value);
        }
    }
    let count = rows.len().max(1) as f64;
    sum.into_iter().map(|sum| (sum / count) as f32).collect()
}

fn square(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum()
}

#[cfg(test)]
mod tests;
