//! IIIF: the collection as museums' viewers open it, below `iiif/`, for sites that ask for it.
//!
//! | file | what it is |
//! | --- | --- |
//! | `iiif/manifest.json` | a Presentation 3 manifest with a canvas a work; of more than [`PAGE`] works, a collection of such manifests |
//! | `iiif/works-N.json` | the works numbered `N × PAGE` to `N × PAGE + PAGE - 1`: an arrival changes one of them |
//! | `iiif/<rendition>/` | a rendition as an image of level 0: `info.json`, and the file as `full/max/..` and `full/w,h/..` |
//!
//! They follow the manifest, as the files of the past do: they are written after it and not made durable, and the next
//! generation corrects them whatever happened. A work that leaves the mosaic leaves these files at once; a viewer that is
//! open loads the manifest again. They exist only with renditions and the page's address: identifiers are absolute.
//!
//! Mirador 4.0.0 opens it in Chromium, from another origin: it offers the collection's manifests, shows the works with their
//! thumbnails, and pages through them; no request fails. For each picture it warns that WebGL cannot draw it, since it asks
//! for a picture without a service as a plain image, and draws it on a 2D canvas.
//!
//! Source: <https://iiif.io/api/presentation/3.0/>, <https://iiif.io/api/image/3.0/>.

use super::{
    Action, PublishError,
    files::Folder,
    manifest::{Manifest, Rendition, Work},
    names::{self, LargeName},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::Path,
};

/// The folder of all of it.
pub(super) const IIIF: &str = "iiif";
/// Works in one manifest: viewers read the whole of it before they show the first.
const PAGE: u64 = 500;

/// Keeps the IIIF files in one output folder.
pub struct Iiif {
    folder: Folder,
    /// Address of the page's folder, with a slash at its end; `None`: no IIIF.
    base: Option<String>,
    /// The images whose files are known to be complete.
    images: HashSet<String>,
    /// What the documents that were written last were made of, by name.
    written: BTreeMap<String, blake3::Hash>,
    /// Whether an earlier run may have left what is not known here.
    unread: bool,
}

/// A work with its rendition and the name of its image.
type Shown<'a> = (&'a Work, &'a Rendition, &'a str);

impl Iiif {
    /// Opens the output folder. `url` is the page's address; empty: there is to be no IIIF, and what an earlier run wrote
    /// is removed.
    pub fn open(output: &Path, url: &str) -> Result<Self, PublishError> {
        let iiif = Self {
            folder: Folder::open(output, None)?,
            base: (!url.is_empty()).then(|| folder_of(url)),
            images: HashSet::new(),
            written: BTreeMap::new(),
            unread: true,
        };
        if iiif.base.is_none() {
            iiif.remove(|_| true)?;
        }
        Ok(iiif)
    }

    /// Brings the files into step with a published generation.
    pub fn note(&mut self, manifest: &Manifest) -> Result<(), PublishError> {
        let Some(base) = self.base.clone() else {
            return Ok(());
        };
        if self.folder.is_replaced() {
            self.folder.reopen()?;
            (self.images, self.written, self.unread) = (HashSet::new(), BTreeMap::new(), true);
        }
        let shown: Vec<Shown<'_>> = manifest
            .works
            .iter()
            .filter_map(|work| {
                let rendition = work.large.as_ref()?;
                Some((&**work, rendition, image_of(rendition)?))
            })
            .collect();
        for (_, rendition, image) in &shown {
            if !self.images.contains(*image) {
                self.write_image(&base, image, rendition)?;
                self.images.insert((*image).to_owned());
            }
        }
        let mut pages: BTreeMap<u64, Vec<Shown<'_>>> = BTreeMap::new();
        for one in &shown {
            pages.entry(one.0.id.0 / PAGE).or_default().push(*one);
        }
        let title = label(match manifest.title.trim() {
            "" => "Mosaic",
            title => title,
        });
        let top = format!("{base}{IIIF}/manifest.json");
        let several = pages.len() > 1;
        let (mut items, mut kept) = (Vec::new(), HashSet::from(["manifest.json".to_owned()]));
        for (number, works) in &pages {
            let name = format!("works-{number}.json");
            let id = format!("{base}{IIIF}/{name}");
            let first = number * PAGE;
            let range = label(&format!("{} – {}", first.max(1), first + PAGE - 1));
            match several {
                true => {
                    self.replace(&name, digest(works), || {
                        document("Manifest", &id, &range, canvases(&base, works))
                    })?;
                    items.push(json!({"id": id, "type": "Manifest", "label": range}));
                    kept.insert(name);
                }
                false => items = canvases(&base, works),
            }
        }
        // It comes last: what it names is there.
        let kind = if several { "Collection" } else { "Manifest" };
        let all = document(kind, &top, &title, items);
        let bytes = serde_json::to_vec(&all)?;
        self.replace("manifest.json", blake3::hash(&bytes), || all)?;

        let images: HashSet<&str> = shown.iter().map(|(.., image)| *image).collect();
        let ours = self.images.iter().chain(self.written.keys());
        let is_kept = |name: &str| images.contains(name) || kept.contains(name);
        if self.unread || ours.clone().any(|name| !is_kept(name)) {
            self.remove(|name| !is_kept(name))?;
            self.images.retain(|image| images.contains(image.as_str()));
            self.written.retain(|name, _| kept.contains(name));
            self.unread = false;
        }
        Ok(())
    }

    /// Writes a document, unless it was made of the same before or is there.
    fn replace(
        &mut self,
        name: &str,
        made_of: blake3::Hash,
        document: impl FnOnce() -> Value,
    ) -> Result<(), PublishError> {
        if self.written.get(name) == Some(&made_of) {
            return Ok(());
        }
        let (path, bytes) = (format!("{IIIF}/{name}"), serde_json::to_vec(&document())?);
        if !fs::read(self.folder.path(&path)).is_ok_and(|there| there == bytes) {
            self.folder.replace(&path, &bytes)?;
        }
        self.written.insert(name.to_owned(), made_of);
        Ok(())
    }

    /// Writes the files of one image; its pixels are further names of the rendition's file.
    fn write_image(
        &self,
        base: &str,
        image: &str,
        rendition: &Rendition,
    ) -> Result<(), PublishError> {
        let below = format!("{IIIF}/{image}");
        let Rendition {
            file,
            width,
            height,
        } = rendition;
        for size in ["max".to_owned(), format!("{width},{height}")] {
            self.folder
                .point(file, &format!("{below}/full/{size}/0/default.jpg"))?;
        }
        let info = json!({
            "@context": "http://iiif.io/api/image/3/context.json",
            "id": format!("{base}{below}"),
            "type": "ImageService3",
            "protocol": "http://iiif.io/api/image",
            "profile": "level0",
            "width": width,
            "height": height,
            "sizes": [{"width": width, "height": height}],
        });
        let (bytes, name) = (serde_json::to_vec(&info)?, format!("{below}/info.json"));
        match fs::read(self.folder.path(&name)).is_ok_and(|there| there == bytes) {
            true => Ok(()),
            false => self.folder.replace(&name, &bytes),
        }
    }

    /// Removes what is ours and `gone`.
    fn remove(&self, gone: impl Fn(&str) -> bool) -> Result<(), PublishError> {
        for name in self.folder.list(IIIF)? {
            let path = format!("{IIIF}/{name}");
            if is_document(&name) && gone(&name) {
                self.folder.remove(&path)?;
            } else if LargeName::parse(&format!("{name}.jpg")).is_some() && gone(&name) {
                let path = self.folder.path(&path);
                self.folder
                    .step(Action::Remove, &path, || match fs::remove_dir_all(&path) {
                        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                        _ => Ok(()),
                    })?;
            }
        }
        Ok(())
    }
}

/// Whether a name below `iiif/` is that of a manifest of ours.
fn is_document(name: &str) -> bool {
    let number = |name: &str| {
        let digits = name.strip_prefix("works-")?.strip_suffix(".json")?;
        digits.parse::<u64>().ok()
    };
    name == "manifest.json" || number(name).is_some()
}

/// The name of a rendition's image: its file's, without folder and extension.
fn image_of(rendition: &Rendition) -> Option<&str> {
    let (_, name) = rendition
        .file
        .strip_prefix(names::LARGE)?
        .rsplit_once('/')?;
    name.strip_suffix(".jpg")
}

/// The address of the folder that a page lies in, with a slash at its end.
fn folder_of(url: &str) -> String {
    match url.rsplit_once('/') {
        Some((folder, file)) if file.ends_with(".html") => format!("{folder}/"),
        _ if url.ends_with('/') => url.to_owned(),
        _ => format!("{url}/"),
    }
}

/// Text in no language that is known.
fn label(text: &str) -> Value {
    json!({"none": [text]})
}

/// A manifest or a collection.
fn document(kind: &str, id: &str, title: &Value, items: Vec<Value>) -> Value {
    let context = "http://iiif.io/api/presentation/3/context.json";
    json!({"@context": context, "id": id, "type": kind, "label": title, "items": items})
}

/// Stands for all that the canvases of works are made of.
fn digest(works: &[Shown<'_>]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (work, rendition, _) in works {
        let texts = [&work.title, &work.artist].map(|text| text.as_deref().unwrap_or(""));
        for text in [work.path.as_str(), &rendition.file]
            .into_iter()
            .chain(texts)
        {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&work.id.0.to_le_bytes());
    }
    hasher.finalize()
}

fn canvases(base: &str, works: &[Shown<'_>]) -> Vec<Value> {
    let canvas = |(work, rendition, image): &Shown<'_>| canvas(base, work, rendition, image);
    works.iter().map(canvas).collect()
}

/// A work as a canvas of its rendition's size.
fn canvas(base: &str, work: &Work, rendition: &Rendition, image: &str) -> Value {
    let (id, service) = (work.id.0, format!("{base}{IIIF}/{image}"));
    let (width, height) = (rendition.width, rendition.height);
    let canvas = format!("{base}{IIIF}/canvas/{id}");
    let body = json!({
        "id": format!("{service}/full/max/0/default.jpg"),
        "type": "Image",
        "format": "image/jpeg",
        "width": width,
        "height": height,
    });
    // On the thumbnail alone: a viewer that finds a service with the picture asks it for thumbnails of other sizes, level 0 or
    // not (Universal Viewer 4.4), and there are none.
    let mut thumbnail = body.clone();
    thumbnail["service"] = json!([{
        "id": service,
        "type": "ImageService3",
        "profile": "level0",
        "sizes": [{"width": width, "height": height}],
    }]);
    let title = work
        .title
        .as_deref()
        .filter(|title| !title.trim().is_empty());
    let mut entry = json!({
        "id": canvas,
        "type": "Canvas",
        "label": label(title.unwrap_or(&work.path)),
        "width": width,
        "height": height,
        "thumbnail": [thumbnail],
        "homepage": [{"id": format!("{base}#work={id}"), "type": "Text", "label": label(title.unwrap_or(&work.path)), "format": "text/html"}],
        "items": [{
            "id": format!("{canvas}/page"),
            "type": "AnnotationPage",
            "items": [{
                "id": format!("{canvas}/image"),
                "type": "Annotation",
                "motivation": "painting",
                "target": canvas,
                "body": body,
            }],
        }],
    });
    if let Some(artist) = &work.artist {
        let artist = json!({"label": {"en": ["Artist"]}, "value": label(artist)});
        entry["metadata"] = json!([artist]);
    }
    entry
}
