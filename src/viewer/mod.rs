//! The viewer: the page a visitor explores the mosaic with, embedded in the binary.
//!
//! [`files`] lists everything that `publish` writes next to `manifest.json`: no build step, no third-party code, no
//! request outside the output folder. Sources under `js/` are classic scripts that share one object, `window.mosaicd`;
//! they are joined into one `viewer.js`, because ES modules do not load from `file:` URLs. Comments and
//! indentation are left out of it: without them the compressed file is a quarter smaller. Other languages than English
//! are scripts of their own, `texts-<language>.js`: all of them together would be an eighth of it.
//!
//! # What the page reads
//! - `latest.json` (`{"schema", "generation", "published_ms", "head", "delta"}`), every five seconds.
//! - Its head below `p/`, or the deltas that lead there from the head that the page has; blocks of cells at the first load;
//!   blocks of texts, neighbours, filters and deep tiles when somebody looks at them (`publish::page`, `js/parts.js`).
//! - `manifest.json` where `latest.json` names no head: an output that version 0.1 wrote.
//! - From `file:` URLs, where browsers block such reads, `latest.js` and `manifest.js` instead: the same documents as
//!   scripts, `mosaicd.latest({...});` and `mosaicd.manifest({...});`, see [`LATEST_CALL`] and [`MANIFEST_CALL`].
//! - `t/<level>/<col>_<row>-<hash>.<format>`; without a pyramid `preview.jpg` and the generation's mosaic file.
//! - `history.js`, when a visitor asks for the time-lapse or for what changed since the last visit, never before: the
//!   journal of moves, read as text, or run as a script from disk.
//! - `large/..`, a work's rendition, when a visitor opens the work or zooms in until its cell has too few pixels.
//! - An original through the manifest's `link`, only when a visitor looks closer than the rendition allows, or where there
//!   is none. It is no `srcset`: its size is not known before it has loaded, and a TIFF there would leave no picture.
//!
//! # Languages
//! `texts/<language>.json` holds all texts of the page, one file per language, each with the same keys; a further
//! language needs a file and a line in [`LANGUAGES`]. The page takes the first of the visitor's languages that it has,
//! unless `page.language` fixes one. Names of works, folders and regions come from the owner and are never translated.
//!
//! # Why its own canvas code
//! The page draws tiles on a 2D canvas, which any of three libraries could do. Their minified builds (npm tarballs of
//! November 2026; bytes, then bytes with `gzip -9`), and what each leaves to us:
//!
//! | | bytes | gzip | |
//! | --- | --- | --- | --- |
//! | this page: all scripts, in English | 142,501 | 40,820 | |
//! | OpenSeadragon 6.1.1 | 352,735 | 87,080 | tiles of one image; no works that move between generations, no dimmed cells |
//! | PixiJS 8.22.0 | 840,663 | 236,838 | sprites; no tile pyramid, camera, or choice of level |
//! | deck.gl 9.4.0 | 2,073,497 | 575,137 | layers over WebGL; no cuts of tiles by cell, and needs WebGL |
//!
//! Everything that a visitor loads before the first tile (`index.html`, style, scripts, `latest.json`, head) is less than
//! 60 KB, which is less than OpenSeadragon alone.
//!
//! The camera, the tile cache and the painter, all that a library would take over, are 700 of the page's 4,300 lines;
//! search, filters, card, keyboard, time-lapse, languages and the change between generations would remain. A page for
//! phones and for use from disk should not grow to two to fifteen times its size. Nor would frames come faster
//! where no GPU draws: of 60,000 works, zoomed and dragged, they lie 17 ms apart in the median and 17 to 50 at p95 here, 17 and
//! 17 to 33 in OpenSeadragon, 100 to 183 and 133 to 317 in PixiJS (a sprite a work; `tests/bench/README.md`). deck.gl was not tried.
//!
//! # Invariants
//! - Works on http(s) and straight from disk, under the content security policy in `index.html`.
//! - Names from the manifest reach the page as text, never as markup.

mod page;
mod work;

pub use page::{Page, files};
pub use work::{WorkPage, work_page};

/// What `latest.js` calls with the document of `latest.json`.
pub const LATEST_CALL: &str = "mosaicd.latest";

/// What `manifest.js` calls with the document of `manifest.json`.
pub const MANIFEST_CALL: &str = "mosaicd.manifest";

/// The languages that the page speaks: tag, and its texts as JSON. English is the one for all other visitors.
pub const LANGUAGES: &[(&str, &str)] = &[
    ("en", include_str!("texts/en.json")),
    ("de", include_str!("texts/de.json")),
    ("es", include_str!("texts/es.json")),
    ("fr", include_str!("texts/fr.json")),
    ("ja", include_str!("texts/ja.json")),
];

/// The scripts in the order in which they must run; the last one starts the page.
const SCRIPTS: &[&str] = &[
    include_str!("js/language.js"),
    include_str!("js/source.js"),
    include_str!("js/model.js"),
    include_str!("js/facets.js"),
    include_str!("js/overlay.js"),
    include_str!("js/parts.js"),
    include_str!("js/details.js"),
    include_str!("js/camera.js"),
    include_str!("js/tiles.js"),
    include_str!("js/regions.js"),
    include_str!("js/rendition.js"),
    include_str!("js/paint.js"),
    include_str!("js/transition.js"),
    include_str!("js/thumbs.js"),
    include_str!("js/pointer.js"),
    include_str!("js/framed.js"),
    include_str!("js/card.js"),
    include_str!("js/closer.js"),
    include_str!("js/large.js"),
    include_str!("js/hover.js"),
    include_str!("js/detail.js"),
    include_str!("js/search.js"),
    include_str!("js/minimap.js"),
    include_str!("js/slideshow.js"),
    include_str!("js/past.js"),
    include_str!("js/timelapse.js"),
    include_str!("js/controls.js"),
    include_str!("js/chips.js"),
    include_str!("js/keys.js"),
    include_str!("js/address.js"),
    include_str!("js/frames.js"),
    include_str!("js/filters.js"),
    include_str!("js/works.js"),
    include_str!("js/generations.js"),
    include_str!("js/app.js"),
];
