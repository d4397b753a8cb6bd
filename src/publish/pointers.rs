//! What tells readers that there is a new manifest: `latest.json`, and both documents again as scripts, for pages opened
//! straight from disk (they may not fetch files).

use super::{
    PublishError,
    files::{Folder, Staged},
    manifest::{Latest, Manifest, SCHEMA},
    names,
};
use crate::viewer::{LATEST_CALL, MANIFEST_CALL};

/// Stages the pointers in the order of their renames; `document` is the manifest as JSON.
pub(super) fn stage(
    folder: &Folder,
    manifest: &Manifest,
    document: &[u8],
) -> Result<[Staged; 3], PublishError> {
    let latest = serde_json::to_vec(&Latest {
        schema: SCHEMA,
        generation: manifest.generation,
        published_ms: manifest.published_ms,
    })?;
    Ok([
        stage_script(folder, document)?,
        folder.stage(names::LATEST, &latest)?,
        script(folder, names::LATEST_JS, LATEST_CALL, &latest)?,
    ])
}

/// Stages the manifest as a script.
pub(super) fn stage_script(folder: &Folder, document: &[u8]) -> Result<Staged, PublishError> {
    script(folder, names::MANIFEST_JS, MANIFEST_CALL, document)
}

/// Stages a script that hands a JSON document to the viewer.
fn script(
    folder: &Folder,
    name: &str,
    call: &str,
    document: &[u8],
) -> Result<Staged, PublishError> {
    folder.stage_joined(name, &[call.as_bytes(), b"(", document, b");\n"])
}
