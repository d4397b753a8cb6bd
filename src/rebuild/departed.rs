//! Works that left the mosaic recently: when their content comes back, they get their number, date and cell back.
//!
//! This happens when a folder is moved out and in, a sync empties and fills it again, a mount was lost for longer than
//! the guard waits, or a pattern is taken back. For readers it is still the same work, and links to it must work.

use super::{Arrival, Collection};
use crate::domain::{Artwork, ArtworkId, ContentHash, manifest::Manifest};
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

/// A work that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departed {
    /// Its number.
    pub id: ArtworkId,
    /// Its path when it left.
    pub path: PathBuf,
    /// Its content.
    pub hash: ContentHash,
    /// When it was first placed, milliseconds since the Unix epoch.
    pub added_ms: u64,
    /// Its column and row.
    pub cell: (u32, u32),
    /// When it left, milliseconds since the Unix epoch.
    pub gone_ms: u64,
    /// Whether other content at its path is this work, edited: it left only because the state was lost.
    pub by_path: bool,
}

/// Works of a published manifest, as if they had left just now: where to start from when the state is lost. `None` if
/// the manifest is not an assignment of works to cells.
pub fn departed_of(manifest: &Manifest, now_ms: u64) -> Option<Vec<Departed>> {
    let (mut ids, mut cells) = (HashSet::new(), HashSet::new());
    let grid = manifest.grid;
    let departed = manifest.works.iter().map(|work| {
        let cell = (work.col, work.row);
        let inside = work.col < grid.cols && work.row < grid.rows;
        let good = inside && ids.insert(work.id) && cells.insert(cell);
        good.then(|| Departed {
            id: work.id,
            path: PathBuf::from(&work.path),
            hash: work.hash,
            added_ms: work.added_ms,
            cell,
            gone_ms: now_ms,
            by_path: true,
        })
    });
    departed.collect()
}

impl Collection {
    /// Forgets works that left longer ago than they are waited for; says whether there were any.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        let (grace_ms, before) = (self.grace_ms, self.departed.len());
        self.departed
            .retain(|departed| now_ms.saturating_sub(departed.gone_ms) < grace_ms);
        before != self.departed.len()
    }

    /// Notes that a work leaves.
    pub(super) fn depart(&mut self, work: &Artwork, cell: (u32, u32), now_ms: u64) {
        if self.grace_ms > 0 {
            self.departed.push(Departed {
                id: work.id,
                path: work.path.clone(),
                hash: work.hash,
                added_ms: work.added_ms,
                cell,
                gone_ms: now_ms,
                by_path: false,
            });
        }
    }

    /// Which of the arrivals are works that left: of several with the same content the one at the same path.
    pub(super) fn come_back(&mut self, arrivals: Vec<Arrival>) -> Vec<(Arrival, Option<Departed>)> {
        if self.departed.is_empty() {
            return arrivals
                .into_iter()
                .map(|arrival| (arrival, None))
                .collect();
        }
        let mut by_content: HashMap<ContentHash, Vec<Departed>> = HashMap::new();
        for departed in self.departed.drain(..) {
            by_content.entry(departed.hash).or_default().push(departed);
        }
        let mut back = Vec::new();
        let mut rest = Vec::new();
        for exact in [true, false] {
            let open = match exact {
                true => arrivals.clone(),
                false => std::mem::take(&mut rest),
            };
            for arrival in open {
                let alike = by_content.get_mut(&arrival.hash);
                let found = alike.and_then(|alike| {
                    let at = alike
                        .iter()
                        .position(|one| !exact || one.path == arrival.path)?;
                    Some(alike.remove(at))
                });
                match (found, exact) {
                    (None, true) => rest.push(arrival),
                    (found, _) => back.push((arrival, found)),
                }
            }
        }
        self.departed = by_content.into_values().flatten().collect();
        // What is left at a path that is known from before the state was lost is an edit.
        let mut by_path: HashMap<PathBuf, usize> = HashMap::new();
        for (i, departed) in self.departed.iter().enumerate().filter(|(_, d)| d.by_path) {
            by_path.insert(departed.path.clone(), i);
        }
        let mut edited = HashSet::new();
        for (arrival, found) in back.iter_mut().filter(|(_, found)| found.is_none()) {
            if let Some(i) = by_path.remove(&arrival.path) {
                *found = Some(self.departed[i].clone());
                edited.insert(self.departed[i].id);
            }
        }
        self.departed
            .retain(|departed| !edited.contains(&departed.id));
        // The same order whatever the hash table's.
        self.departed.sort_by_key(|departed| departed.id);
        back.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        back
    }
}
