//! Changes of the published generation that draw nothing: its quality, its regions' words, and the removal of files that must not stay.

use super::{
    super::{
        Collected, PublishError,
        collect::{self, retire_page},
        manifest::{Manifest, Quality, Region, WordWorks},
        names,
        page::{Page, Touched},
        pointers,
        recover::State,
    },
    Publisher,
};
use crate::{domain::ModelId, regions};

impl Publisher {
    /// Rewrites the manifest with the quality of some generation's arrangement; nothing else changes. Does nothing
    /// before the first publish.
    pub fn publish_quality(&mut self, quality: Quality) -> Result<(), PublishError> {
        self.amend(None, |manifest| {
            let changes = manifest.quality != Some(quality);
            manifest.quality = Some(quality);
            changes
        })
    }

    /// Rewrites the manifest with regions that have words from a model, and the page's files with the works of each word; with
    /// `None` without any words. Nothing else changes. Does nothing before the first publish.
    pub fn publish_words(
        &mut self,
        found: Option<(Vec<Region>, Vec<WordWorks>, ModelId)>,
    ) -> Result<(), PublishError> {
        let (regions, words, words_by) = match found {
            Some((regions, words, model)) => (Some(regions), words, Some(model)),
            None => (None, Vec::new(), None),
        };
        self.amend(Some(words), |manifest| {
            let regions = regions.unwrap_or_else(|| regions::unworded(&manifest.regions));
            let changes = (&manifest.regions, &manifest.words_by) != (&regions, &words_by);
            (manifest.regions, manifest.words_by) = (regions, words_by);
            changes
        })
    }

    /// Rewrites the published manifest if `change` changes it, or if `words` differ from those of the page.
    fn amend(
        &mut self,
        words: Option<Vec<WordWorks>>,
        change: impl FnOnce(&mut Manifest) -> bool,
    ) -> Result<(), PublishError> {
        let mut state = self.take_state()?;
        self.amend_state(&mut state, words, change)?;
        self.state = Some(state);
        Ok(())
    }

    /// [`Publisher::amend`], of a state that was taken.
    pub(super) fn amend_state(
        &mut self,
        state: &mut State,
        words: Option<Vec<WordWorks>>,
        change: impl FnOnce(&mut Manifest) -> bool,
    ) -> Result<(), PublishError> {
        let page_words = state.page.as_ref().map_or(&[][..], Page::words);
        let others = (words.as_ref()).is_some_and(|words| words.as_slice() != page_words);
        let changed = state.manifest.as_mut().is_some_and(change);
        if let Some(manifest) = &mut state.manifest
            && (changed || others)
        {
            let folder = &self.folder;
            let words = words.unwrap_or_else(|| page_words.to_vec());
            let before = state.page.take();
            let page = Page::write(
                folder,
                before.as_ref(),
                manifest,
                &Touched::default(),
                words,
            )?;
            // What the page does not read, such as the quality, does not change the head.
            let latest = page.latest(manifest);
            let same = before.as_ref().map(|page| page.latest(manifest)).as_ref() == Some(&latest);
            let staged_latest = match same {
                true => Vec::new(),
                false => pointers::stage_latest(folder, &latest)?.into(),
            };
            let document = match changed {
                true => Some(manifest.document(&state.serialised)?),
                false => None,
            };
            let staged = (document.as_ref())
                .map(|document| folder.stage_joined(names::MANIFEST, &document.parts()))
                .transpose()?;
            folder.sync()?;
            folder.keep_fresh();
            if let (Some(staged), Some(document)) = (staged, &document) {
                folder.commit(staged)?;
                folder.sync_folder()?;
                pointers::write_script(folder, document)?;
            }
            for staged in staged_latest {
                folder.commit(staged)?;
            }
            let at = (manifest.generation, manifest.published_ms);
            retire_page(&mut self.retired, before.as_ref(), &page, at);
            state.page = Some(page);
        }
        Ok(())
    }

    /// Removes every file that the published generation does not name, without any grace, and every region's name that
    /// no work gives any more: what left the mosaic must not be visible anywhere.
    pub fn erase(&mut self) -> Result<Collected, PublishError> {
        self.amend(None, regions::erase)?;
        let mut state = self.take_state()?;
        if let (Some(page), Some(manifest)) = (&mut state.page, &state.manifest) {
            // A delta tells of a work that had to go where it was, and how it was counted.
            let deltas = page.forget_deltas();
            let staged = pointers::stage_latest(&self.folder, &page.latest(manifest))?;
            self.folder.sync()?;
            for staged in staged {
                self.folder.commit(staged)?;
            }
            for name in deltas {
                self.retired.add(name, manifest.generation, None);
            }
        }
        self.state = Some(state);
        collect::erase(&self.folder, &mut self.retired)
    }
}
