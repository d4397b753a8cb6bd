//! The files about the past: the journal `history.js`, the feeds, and `twins.json`.
//!
//! They follow the manifest: they are written after it and not made durable, and the next generation corrects them
//! whatever happened. `history` owns their content.
//!
//! Invariant: a `history.js` that holds no line of ours is left alone.

use super::{PublishError, files::Folder, manifest::Manifest};
use crate::{
    artwork::ArtworkId,
    history::{Past, feed, twins},
};
use std::{collections::HashSet, fs, io, path::Path};

/// The journal.
pub(super) const JOURNAL: &str = "history.js";
/// Arrivals as Atom.
pub(super) const FEED_ATOM: &str = "feed.atom";
/// Arrivals as JSON Feed.
pub(super) const FEED_JSON: &str = "feed.json";
/// The same picture twice.
pub(super) const TWINS: &str = "twins.json";

/// Keeps the files of the past in one output folder.
pub struct HistoryFiles {
    folder: Folder,
    /// Address of the page, for links in the feeds; empty if it is not known.
    url: String,
    /// `None`: the journal was not written by mosaicd.
    past: Option<Past>,
    bytes: usize,
    twins: twins::Groups,
    /// The generation that was noted last, and its newest works; `None` if the next one compares all.
    noted: Option<(u64, Vec<feed::Arrived>)>,
}

impl HistoryFiles {
    /// Opens the folder and reads the journal; damaged lines in it are left out from then on.
    pub fn open(output: &Path, url: &str) -> Result<Self, PublishError> {
        let folder = Folder::open(output, None)?;
        let twins = fs::read_to_string(folder.path(TWINS));
        let mut history_files = Self {
            folder,
            url: url.to_owned(),
            past: Some(Past::default()),
            bytes: 0,
            twins: twins
                .ok()
                .and_then(|text| twins::read(&text))
                .unwrap_or_default(),
            noted: None,
        };
        history_files.read()?;
        Ok(history_files)
    }

    /// Reads the journal again, because the folder was replaced.
    pub fn reopen(&mut self) -> Result<(), PublishError> {
        self.folder.reopen()?;
        self.read()
    }

    fn read(&mut self) -> Result<(), PublishError> {
        self.noted = None;
        (self.past, self.bytes) = (Some(Past::default()), 0);
        let text = self.journal()?;
        match Past::read(&text) {
            None => {
                let path = self.folder.path(JOURNAL);
                tracing::warn!(path = %path.display(), "was not written by mosaicd: no history is kept");
                self.past = None;
            }
            Some((past, good)) => {
                (self.past, self.bytes) = (Some(past), text.len());
                if !good {
                    self.rewrite(&Past::forget(&text, |_| true))?;
                }
            }
        }
        Ok(())
    }

    /// Has the next note compare all works: what was published since the last one is not known.
    pub fn compare_next(&mut self) {
        self.noted = None;
    }

    /// Notes a published generation; `touched` are the works that are new, gone or changed since the one before.
    pub fn note(&mut self, manifest: &Manifest, touched: &[ArtworkId]) -> Result<(), PublishError> {
        let follows = |noted: &(u64, _)| noted.0 + 1 == manifest.generation;
        let before = self.noted.take().filter(follows);
        let since = before
            .as_ref()
            .map(|(_, newest)| (newest.as_slice(), touched));
        let newest = feed::newest(manifest, since);
        let touched = since.map(|(_, touched)| touched);
        let past = self.past.as_mut();
        let line = past.and_then(|past| past.note(manifest, touched));
        if let Some(line) = line {
            let appended = self.folder.append(JOURNAL, line.as_bytes());
            if let Err(error) = appended {
                // What the line said is said again by the next one.
                self.past = self
                    .journal()
                    .ok()
                    .and_then(|text| Some(Past::read(&text)?.0));
                return Err(error);
            }
            self.bytes += line.len();
        }
        if self
            .past
            .as_ref()
            .is_some_and(|past| past.is_too_long(self.bytes))
        {
            let folded = Past::fold(&self.journal()?);
            self.rewrite(&folded)?;
        }
        let (atom, json) = feed::both(manifest, &newest, &self.url);
        self.replace(FEED_ATOM, &atom)?;
        self.replace(FEED_JSON, &json)?;
        self.replace(TWINS, &twins::text(&self.twins, manifest))?;
        self.noted = Some((manifest.generation, newest));
        Ok(())
    }

    /// Takes over which works are one picture, and publishes it.
    pub fn found_twins(
        &mut self,
        groups: twins::Groups,
        manifest: &Manifest,
    ) -> Result<(), PublishError> {
        self.twins = groups;
        self.replace(TWINS, &twins::text(&self.twins, manifest))
    }

    /// Forgets every work that is not in the mosaic.
    pub fn forget(&mut self, manifest: &Manifest) -> Result<(), PublishError> {
        let there: HashSet<ArtworkId> = manifest.works.iter().map(|work| work.id).collect();
        if self.past.is_some() {
            let without = Past::forget(&self.journal()?, |id| there.contains(&id));
            self.rewrite(&without)?;
        }
        self.note(manifest, &[])
    }

    fn journal(&self) -> Result<String, PublishError> {
        let path = self.folder.path(JOURNAL);
        match fs::read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(PublishError::Io {
                action: super::Action::Read,
                path,
                source,
            }),
        }
    }

    fn rewrite(&mut self, text: &str) -> Result<(), PublishError> {
        self.replace(JOURNAL, text)?;
        self.bytes = text.len();
        Ok(())
    }

    fn replace(&self, name: &str, text: &str) -> Result<(), PublishError> {
        self.folder.replace(name, text.as_bytes())
    }
}
