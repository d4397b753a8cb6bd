//! Finishes what a stop after the manifest's rename left undone: stable names, the page's own files, works' pages.

use super::{
    super::{
        PublishError,
        collect::retire_page,
        difference::Difference,
        drawing::Artist,
        page::{Page, Touched},
        pointers,
        recover::State,
        stable, work_pages,
    },
    Publisher,
};
use crate::cells::CellStore;

impl Publisher {
    /// Finishes the stable names of a generation that is published already.
    pub(super) fn finish(
        &mut self,
        state: &mut State,
        difference: &Difference,
        cells: &CellStore,
    ) -> Result<(), PublishError> {
        let Some(manifest) = &mut state.manifest else {
            return Ok(());
        };
        let folder = &self.folder;
        let words = (state.page.as_ref()).map_or_else(Vec::new, |page| page.words().to_vec());
        let page = Page::write(folder, None, manifest, &Touched::default(), words)?;
        let staged_works = work_pages::stage(folder, &self.spec, manifest, None)?;
        let document = manifest.document(&state.serialised)?;
        let staged_pointers = pointers::stage_latest(folder, &page.latest(manifest))?;
        let artist = Artist::new(&self.spec, cells, difference);
        let staged_view = match &state.tiles {
            Some(tiles) if !state.view => self.stage_view(&artist, tiles, manifest.generation)?,
            _ => Vec::new(),
        };
        let staged_viewer = stable::stage_viewer(folder, &self.spec)?;
        folder.sync()?;
        folder.keep_fresh();
        pointers::write_script(folder, &document)?;
        staged_works.commit(folder)?;
        for staged in staged_pointers {
            folder.commit(staged)?;
        }
        let at = (manifest.generation, manifest.published_ms);
        retire_page(&mut self.retired, state.page.as_ref(), &page, at);
        state.page = Some(page);
        stable::point_mosaic_files(folder, None, manifest)?;
        if !state.view {
            stable::show_view(folder, None, state.tiles.as_ref(), true, staged_view)?;
        }
        for staged in staged_viewer {
            folder.commit(staged)?;
        }
        state.view = state.tiles.is_some();
        state.finished = true;
        Ok(())
    }
}
