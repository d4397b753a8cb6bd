//! A small page for each work, `w/SHARD/ID.html`: what a messenger shows of a shared link, and what opens the mosaic there.
//!
//! They exist where `page.url` says what their addresses are. A page keeps its name, so that links to it last; it is written
//! again only when its work changes, and goes with it at once.

use super::{
    OutputSpec, PublishError,
    files::{Folder, Staged},
    manifest::{Manifest, Work},
    names, stable,
};
use crate::{
    history::feed,
    viewer::{self, WorkPage},
};
use std::collections::BTreeSet;

/// What is to be done once the generation is published.
pub(super) struct Pages {
    staged: Vec<Staged>,
    gone: Vec<String>,
}

/// What decides the text of pages besides their works; `None` where there are to be none.
pub(super) fn key(spec: &OutputSpec) -> Option<String> {
    if spec.url.is_empty() {
        return None;
    }
    let probe = viewer::work_page(&WorkPage {
        title: &spec.title,
        ..WorkPage::default()
    });
    let key = format!("{probe}\0{}\0{:?}", spec.url, spec.link);
    Some(format!("{:08x}", names::hash(key.as_bytes())))
}

/// Stages the pages of `touched` works, or, with `None`, of all whose page changed.
pub(super) fn stage(
    folder: &Folder,
    spec: &OutputSpec,
    manifest: &Manifest,
    touched: Option<&[crate::domain::ArtworkId]>,
) -> Result<Pages, PublishError> {
    let mut pages = Pages {
        staged: Vec::new(),
        gone: Vec::new(),
    };
    let works = &manifest.works;
    let at = |id: u64| works.binary_search_by_key(&id, |work| work.id.0).ok();
    let (wanted, there): (Vec<&Work>, BTreeSet<u64>) = match touched {
        Some(ids) => {
            let of = |id: &crate::domain::ArtworkId| Some(&*works[at(id.0)?]);
            (
                ids.iter().filter_map(of).collect(),
                ids.iter().map(|id| id.0).collect(),
            )
        }
        None => (works.iter().map(|work| &**work).collect(), on_disk(folder)?),
    };
    if spec.url.is_empty() {
        pages
            .gone
            .extend(on_disk(folder)?.into_iter().map(names::work_page));
        return Ok(pages);
    }
    for work in wanted {
        let name = names::work_page(work.id.0);
        let html = page(spec, work);
        pages
            .staged
            .extend(stable::stage_changed(folder, &name, html.as_bytes())?);
    }
    let gone = there.into_iter().filter(|&id| at(id).is_none());
    pages.gone.extend(gone.map(names::work_page));
    Ok(pages)
}

impl Pages {
    /// Renames the pages into place, and removes those of works that left.
    pub(super) fn commit(self, folder: &Folder) -> Result<(), PublishError> {
        for staged in self.staged {
            folder.commit(staged)?;
        }
        for name in self.gone {
            folder.remove(&name)?;
        }
        Ok(())
    }
}

fn page(spec: &OutputSpec, work: &Work) -> String {
    let picture = feed::picture(work, spec.link.as_deref(), &spec.url);
    let preview = feed::join(&spec.url, "preview.jpg");
    viewer::work_page(&WorkPage {
        id: work.id.0,
        name: &feed::name(work),
        artist: work.artist.as_deref().unwrap_or(""),
        title: &spec.title,
        url: &feed::join(&spec.url, &names::work_page(work.id.0)),
        picture: picture.as_ref().map_or(&preview, |picture| &picture.url),
    })
}

/// Ids of the works that have a page.
fn on_disk(folder: &Folder) -> Result<BTreeSet<u64>, PublishError> {
    let mut ids = BTreeSet::new();
    for shard in folder.list(names::WORK_PAGES)? {
        let files = folder.list(&format!("{}/{shard}", names::WORK_PAGES))?;
        let parsed = files.iter().filter_map(|name| names::parse_work_page(name));
        ids.extend(parsed.filter(|id| names::shard(*id).to_string() == shard));
    }
    Ok(ids)
}
