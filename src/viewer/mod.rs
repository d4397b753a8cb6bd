//! The viewer: the page a visitor explores the mosaic with, embedded in the binary.
//!
//! [`FILES`] is everything `publish` writes beside `manifest.json`: no build step, no third-party code, no request
//! outside the output folder. Sources under `js/` are classic scripts that share one object, `window.mosaicd`; they are
//! joined into one `viewer.js`, because ES modules do not load from `file:` URLs.
//!
//! # What the page reads
//! - `latest.json` (`{"schema", "generation", "published_ms"}`), every five seconds; `manifest.json` when it changed.
//! - From `file:` URLs, where browsers block such reads, `latest.js` and `manifest.js` instead: the same documents as
//!   scripts, `mosaicd.latest({...});` and `mosaicd.manifest({...});`, see [`LATEST_CALL`] and [`MANIFEST_CALL`].
//! - `t/<level>/<col>_<row>-<hash>.<format>`; without a pyramid `preview.jpg` and the generation's mosaic file.
//! - `history.js`, when a visitor asks for the film or for what changed since the last visit, never before: the journal
//!   of moves, read as text, or run as a script from disk.
//! - An original through the manifest's `link`, only when a visitor opens a work.
//!
//! # Invariants
//! - Works on http(s) and straight from disk, under the content security policy in `index.html`.
//! - Names from the manifest reach the page as text, never as markup.

/// The page's files: name below the output folder, content.
pub const FILES: &[(&str, &[u8])] = &[
    ("index.html", include_bytes!("index.html")),
    ("viewer.css", include_bytes!("viewer.css")),
    ("viewer.js", VIEWER_JS.as_bytes()),
];

/// What `latest.js` calls with the document of `latest.json`.
pub const LATEST_CALL: &str = "mosaicd.latest";

/// What `manifest.js` calls with the document of `manifest.json`.
pub const MANIFEST_CALL: &str = "mosaicd.manifest";

/// The scripts in the order in which they must run; the last one starts the page.
const VIEWER_JS: &str = concat!(
    include_str!("js/source.js"),
    include_str!("js/model.js"),
    include_str!("js/camera.js"),
    include_str!("js/tiles.js"),
    include_str!("js/regions.js"),
    include_str!("js/paint.js"),
    include_str!("js/transition.js"),
    include_str!("js/thumbs.js"),
    include_str!("js/pointer.js"),
    include_str!("js/card.js"),
    include_str!("js/large.js"),
    include_str!("js/hover.js"),
    include_str!("js/pace.js"),
    include_str!("js/search.js"),
    include_str!("js/minimap.js"),
    include_str!("js/wander.js"),
    include_str!("js/past.js"),
    include_str!("js/film.js"),
    include_str!("js/controls.js"),
    include_str!("js/keys.js"),
    include_str!("js/address.js"),
    include_str!("js/app.js"),
);
