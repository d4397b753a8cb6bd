//! How readers learn of a new manifest: `latest.json`, and both documents again as scripts, for pages opened
//! straight from disk (they may not fetch files).

use super::{
    PublishError,
    files::{Folder, Staged},
    manifest::{Document, Latest},
    names,
};
use crate::viewer::{LATEST_CALL, MANIFEST_CALL};
use std::{fs, io};

/// Stages what says which generation is the newest, in the order of the renames.
pub(super) fn stage_latest(folder: &Folder, latest: &Latest) -> Result<[Staged; 2], PublishError> {
    let latest = serde_json::to_vec(latest)?;
    Ok([
        folder.stage(names::LATEST, &latest)?,
        folder.stage_joined(names::LATEST_JS, &script(LATEST_CALL, &[&latest]))?,
    ])
}

/// Writes the manifest as a script, without making it durable: it is as large as the manifest, and [`stand`] sees
/// whether a crash has torn it.
pub(super) fn write_script(folder: &Folder, document: &Document<'_>) -> Result<(), PublishError> {
    folder.replace_joined(
        names::MANIFEST_JS,
        &script(MANIFEST_CALL, &document.parts()),
    )
}

/// A script that hands a JSON document to the viewer, in parts.
fn script<'a>(call: &'a str, document: &[&'a [u8]]) -> Vec<&'a [u8]> {
    [&[call.as_bytes(), b"("], document, &[b");\n"]].concat()
}

/// Whether both scripts hold the documents that are in the folder.
pub(super) fn stand(folder: &Folder) -> bool {
    let stands = |name: &str, document: &str, call: &str| -> io::Result<bool> {
        let document = fs::read(folder.path(document))?;
        Ok(fs::read(folder.path(name))? == script(call, &[&document]).concat())
    };
    stands(names::MANIFEST_JS, names::MANIFEST, MANIFEST_CALL).unwrap_or(false)
        && stands(names::LATEST_JS, names::LATEST, LATEST_CALL).unwrap_or(false)
}
