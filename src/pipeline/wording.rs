//! Words for the regions of what is published, and the works that each word fits best: found on a thread of their own,
//! published when they are known.
//!
//! Words belong to the model that made the embeddings: those of another model are dropped with the first generation of
//! the new one, and absent until they are found again.

use super::Pipeline;
use crate::{
    domain::{
        ModelId,
        manifest::{Region, WordWorks},
    },
    embed::{
        EncodeError,
        vocabulary::WordList,
        words::{Vocabulary, best_works},
    },
    matrix::Matrix,
    publish::PublishError,
    rebuild::Collection,
    regions::{Scene, worded},
};
use std::{path::PathBuf, sync::Arc};

/// Works that are published for a word at most.
const WORKS_OF_A_WORD: usize = 24;

/// Where the words of regions come from.
#[derive(Clone, Debug, Default)]
pub enum Wording {
    /// There are none.
    #[default]
    Off,
    /// They stay as they are: another model is about to take over.
    Stay,
    /// This list, of the model that made the embeddings.
    By(Arc<WordList>),
}

/// A published generation whose regions may get words.
#[derive(Debug)]
pub struct Unworded {
    generation: u64,
    list: Arc<WordList>,
    state: PathBuf,
    collection: Collection,
    look_dims: usize,
    regions: Vec<Region>,
}

/// The regions of a generation with their words, and the works of each word; `None` if the list cannot be used.
#[derive(Debug)]
pub struct Worded {
    generation: u64,
    model: ModelId,
    found: Option<(Vec<Region>, Vec<WordWorks>)>,
}

impl Unworded {
    /// Finds the words; embeds the list first if that was not done before, and asks `stop` before each word then.
    ///
    /// # Errors
    /// The text encoder cannot be used.
    pub fn word(&self, stop: &dyn Fn() -> bool) -> Result<Option<Worded>, EncodeError> {
        let collection = &self.collection;
        let shown = collection.shown(self.look_dims);
        let Some(vocabulary) = self.list.embed(&self.state, shown.dims(), stop)? else {
            return Ok(None);
        };
        let cells: Vec<_> = (0..collection.works.len())
            .map(|i| collection.cell(i))
            .collect();
        let scene = Scene {
            grid: (collection.grid.cols(), collection.grid.rows()),
            cells: &cells,
            vectors: &shown,
        };
        let regions = worded(&scene, &vocabulary, &self.regions);
        let words = self.works_of(vocabulary, &shown);
        Ok(Some(self.with(Some((regions, words)))))
    }

    fn works_of(&self, vocabulary: Vocabulary, shown: &Matrix) -> Vec<WordWorks> {
        let works = &self.collection.works;
        let best = best_works(shown, &vocabulary, WORKS_OF_A_WORD);
        let of = |(word, rows): (String, Vec<usize>)| WordWorks {
            word,
            works: rows.into_iter().map(|row| works[row].id).collect(),
        };
        vocabulary.words.into_iter().zip(best).map(of).collect()
    }

    /// What to publish if the list cannot be used.
    pub fn without(&self) -> Worded {
        self.with(None)
    }

    fn with(&self, found: Option<(Vec<Region>, Vec<WordWorks>)>) -> Worded {
        Worded {
            generation: self.generation,
            model: self.collection.model.clone(),
            found,
        }
    }
}

impl Pipeline {
    /// Says where words come from.
    pub fn set_wording(&mut self, wording: Wording) {
        self.wording = wording;
    }

    /// What the words of the published regions are found from, where words are wanted; otherwise removes them.
    ///
    /// # Errors
    /// The manifest could not be rewritten without words.
    pub fn unworded(&mut self) -> Result<Option<Unworded>, PublishError> {
        let list = match &self.wording {
            Wording::Off => return self.publisher.publish_words(None).map(|()| None),
            Wording::Stay => return Ok(None),
            Wording::By(list) => list.clone(),
        };
        Ok(self.publisher.manifest().map(|manifest| Unworded {
            generation: manifest.generation,
            list,
            state: self.state.clone(),
            collection: self.collection.clone(),
            look_dims: self.params.look_dims,
            regions: manifest.regions.clone(),
        }))
    }

    /// Publishes regions with their words, unless another generation was published meanwhile.
    ///
    /// # Errors
    /// The manifest could not be rewritten.
    pub fn word(&mut self, worded: Worded) -> Result<(), PublishError> {
        if worded.found.is_none() {
            self.wording = Wording::Off;
        }
        let current = self.publisher.generation() == worded.generation;
        match current && self.collection.model == worded.model {
            true => {
                let model = worded.model;
                let found = worded.found.map(|(regions, words)| (regions, words, model));
                self.publisher.publish_words(found)
            }
            false => Ok(()),
        }
    }

    /// The model whose words the next generation's regions may keep.
    pub(super) fn words_by(&self) -> Option<ModelId> {
        match self.wording {
            Wording::Off => None,
            Wording::Stay | Wording::By(_) => Some(self.collection.model.clone()),
        }
    }
}
