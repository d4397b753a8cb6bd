//! The sections about places and the page: `[folders]`, `[[folder]]`, `[page]`, and which folders are watched.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The three folders; relative ones start at the configuration file's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folders {
    /// Watched, never written; the only watched folder, see [`Folder`] for several.
    pub artworks: PathBuf,
    /// Published: mosaic, manifest, viewer.
    pub output: PathBuf,
    /// Private: store, prepared cells.
    pub state: PathBuf,
    /// Titles, artists and links, instead of `artworks.csv` in the watched folders; empty: those.
    pub table: PathBuf,
}

impl Default for Folders {
    fn default() -> Self {
        Self {
            artworks: "artworks".into(),
            output: "output".into(),
            state: "state".into(),
            table: PathBuf::new(),
        }
    }
}

/// One of several watched folders, instead of `folders.artworks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Folder {
    /// Watched, never written.
    pub path: PathBuf,
    /// First part of its works' paths in the manifest; empty: the last part of `path`.
    pub name: String,
    /// What visitors read; empty: the name.
    pub title: String,
}

impl Folder {
    /// The first part of its works' paths: `name`, or the last part of `path`; empty if that is not UTF-8.
    pub fn prefix(&self) -> &str {
        match self.name.as_str() {
            "" => self
                .path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or(""),
            name => name,
        }
    }

    /// What visitors read.
    pub fn shown(&self) -> &str {
        match self.title.as_str() {
            "" => self.prefix(),
            title => title,
        }
    }
}

/// The page around the mosaic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Title of the page.
    pub title: String,
    /// URL pattern of an original, `{path}` replaced; empty: originals are not linked.
    pub link: String,
    /// Where visitors find the page; empty: unknown, and the feeds have no links.
    pub url: String,
    /// The language of the page's own texts.
    pub language: Language,
    /// Longest side of the rendition of each whole work, pixels; 0: none.
    pub large_px: u32,
    /// Whether the collection is published for IIIF viewers, too; needs `url` and renditions.
    pub iiif: bool,
    /// Columns of `artworks.csv` that visitors may filter by; `*`: every further one.
    pub filters: Vec<String>,
}

/// The language of the page's own texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// The visitor's, where the page has it, else English.
    #[default]
    Visitor,
    /// English.
    En,
    /// German.
    De,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Japanese.
    Ja,
}

impl Language {
    /// The language's tag (BCP 47); `None` for the visitor's.
    pub fn tag(self) -> Option<&'static str> {
        match self {
            Self::Visitor => None,
            Self::En => Some("en"),
            Self::De => Some("de"),
            Self::Es => Some("es"),
            Self::Fr => Some("fr"),
            Self::Ja => Some("ja"),
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self {
            title: "Mosaic".into(),
            link: String::new(),
            url: String::new(),
            language: Language::Visitor,
            large_px: 1024,
            iiif: false,
            filters: Vec::new(),
        }
    }
}

impl super::Config {
    /// The watched folders: (first part of their works' paths, folder). A single one has no first part.
    pub fn watched(&self) -> Vec<(&str, &Path)> {
        match self.folder.as_slice() {
            [] => vec![("", &self.folders.artworks)],
            [alone] => vec![("", &alone.path)],
            several => several
                .iter()
                .map(|folder| (folder.prefix(), folder.path.as_path()))
                .collect(),
        }
    }

    /// Watches this folder alone, whatever the file says.
    pub fn watch_only(&mut self, artworks: &Path) {
        self.folders.artworks = artworks.to_owned();
        self.folder.clear();
    }

    /// Every path in the configuration that must be absolute: folders, and the owner's files that lie elsewhere.
    pub(super) fn folder_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let folders = &mut self.folders;
        let status = &mut self.status.folder;
        let named = [status, &mut folders.table, &mut self.watch.rules].into_iter();
        let named = named.filter(|path| !path.as_os_str().is_empty());
        [
            &mut folders.artworks,
            &mut folders.output,
            &mut folders.state,
        ]
        .into_iter()
        .chain(named)
        .chain(self.folder.iter_mut().map(|folder| &mut folder.path))
    }
}
