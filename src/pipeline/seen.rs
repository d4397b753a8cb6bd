//! What readers see of the placed works, in a form in which two states are quickly compared: one change leaves nearly all
//! works as they were, and a look at each one's texts takes a tenth of a second at 300,000 works.

use super::shown::NEIGHBOURS;
use crate::{
    domain::{ArtworkId, ContentHash},
    rebuild::Collection,
};
use rayon::prelude::*;

/// The works as they were published, details and paths apart.
pub(super) struct Seen {
    /// How often the publisher had read the output then.
    readings: u64,
    /// By index.
    ids: Vec<ArtworkId>,
    /// By index.
    works: Vec<Brief>,
    /// Indices in the order of their ids.
    order: Vec<usize>,
}

/// A work without its texts.
#[derive(Clone, Copy, PartialEq)]
struct Brief {
    hash: ContentHash,
    size: u64,
    added_ms: u64,
    cell: (u32, u32),
    point: [f32; 2],
    /// Indices, nearest first.
    near: [Option<u32>; NEIGHBOURS],
}

impl Brief {
    fn of(collection: &Collection, i: usize) -> Self {
        let work = &collection.works[i];
        let mut near = [None; NEIGHBOURS];
        let list = collection.layout.neighbours(i).0;
        let listed = near.iter_mut().zip(list);
        listed.for_each(|(near, &j)| *near = Some(j));
        Self {
            hash: work.hash,
            size: work.identity.size,
            added_ms: work.added_ms,
            cell: collection.cell(i),
            point: collection.layout.points()[i],
            near,
        }
    }
}

impl Seen {
    /// The works of a collection.
    pub(super) fn of(collection: &Collection, readings: u64) -> Self {
        let ids: Vec<ArtworkId> = collection.works.iter().map(|work| work.id).collect();
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&i| ids[i]);
        let all = (0..ids.len()).into_par_iter();
        Self {
            readings,
            works: all.map(|i| Brief::of(collection, i)).collect(),
            ids,
            order,
        }
    }

    /// Whether this is what was published at these readings of the output, as so many works.
    pub(super) fn is_of(&self, readings: u64, works: usize) -> bool {
        (self.readings, self.works.len()) == (readings, works)
    }

    /// Whether a collection has the same works at the same indices, and after them, if any, others with higher ids.
    pub(super) fn leads_to(&self, collection: &Collection) -> bool {
        let (there, new) = match collection.works.split_at_checked(self.ids.len()) {
            Some(parts) => parts,
            None => return false,
        };
        let highest = self.order.last().map(|&i| self.ids[i]);
        let follow = new.first().is_none_or(|first| Some(first.id) > highest);
        follow
            && new.is_sorted_by(|a, b| a.id < b.id)
            && there.iter().zip(&self.ids).all(|(work, id)| work.id == *id)
    }

    /// Goes on to a collection that [`Seen::leads_to`] accepts, and says which works of it, by index, are new, or differ, or
    /// have a content that `differs`; in the order of their ids.
    pub(super) fn follow(
        &mut self,
        collection: &Collection,
        differs: impl Fn(&ContentHash) -> bool + Sync,
    ) -> Vec<usize> {
        let known = self.works.len();
        let indices = (0..collection.works.len())
            .into_par_iter()
            .with_min_len(4096);
        let differing = indices.filter_map(|i| {
            let now = Brief::of(collection, i);
            let same = self.works.get(i) == Some(&now) && !differs(&now.hash);
            (!same).then_some((i, now))
        });
        let differing: Vec<(usize, Brief)> = differing.collect();
        for &(i, now) in &differing {
            match self.works.get_mut(i) {
                Some(work) => *work = now,
                None => self.works.push(now),
            }
        }
        self.order.extend(known..self.works.len());
        let ids = collection.works[known..].iter().map(|work| work.id);
        self.ids.extend(ids);
        let mut differing: Vec<usize> = differing.into_iter().map(|(i, _)| i).collect();
        differing.sort_unstable_by_key(|&i| self.ids[i]);
        differing
    }

    /// The works' ids by index.
    pub(super) fn ids(&self) -> &[ArtworkId] {
        &self.ids
    }

    /// The works' indices in the order of their ids.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Where work `i` is in that order.
    pub(super) fn position(&self, i: usize) -> usize {
        let id = self.ids[i];
        self.order.partition_point(|&other| self.ids[other] < id)
    }
}
