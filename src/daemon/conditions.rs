//! What keeps the daemon from doing its whole job, and what an operator can do about it.

use crate::{pipeline::portable, plan::Plan};
use std::path::Path;

/// A scan that takes longer than this is told. A quarter of a million files on a slow network disk take less.
pub(super) const SCAN_STUCK_MS: u64 = 600_000;

/// A folder's name in messages.
fn named(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => "the artwork folder".to_owned(),
        false => portable(folder),
    }
}

/// No file can be decoded for this reason.
pub(super) fn undecodable(error: String) -> (String, String) {
    (
        format!("files cannot be decoded: {error}"),
        "let mosaicd start itself once more (limits of processes, rights, memory), or restart it; the files are tried again"
            .to_owned(),
    )
}

/// What the plan does not know.
pub(super) struct Seen<'a> {
    /// Whether files wait because the state folder cannot be written.
    pub(super) blocked: bool,
    /// Why changes are noticed by scans alone.
    pub(super) blind: Option<&'a str>,
    /// Whether a scan has gone on for longer than [`SCAN_STUCK_MS`].
    pub(super) scan_stuck: bool,
}

/// Every such condition: (what, what to do).
pub(super) fn conditions(plan: &Plan, seen: &Seen) -> Vec<(String, String)> {
    let mut conditions = Vec::new();
    let mut add = |what: String, advice: &str| conditions.push((what, advice.to_owned()));
    let hours = |ms: Option<u64>| ms.unwrap_or(0).div_ceil(3_600_000);
    if let Some(error) = plan.scan_error() {
        add(
            format!("the artwork folder cannot be scanned: {error}"),
            "mount or make it again; the last good mosaic stays until then",
        );
    }
    if seen.scan_stuck {
        add(
            format!(
                "the artwork folder has been scanned for more than {} min without an end",
                SCAN_STUCK_MS / 60_000
            ),
            "most likely a disk or network file system does not answer; the last good mosaic stays",
        );
    }
    if let Some(held) = plan.held() {
        let folders: Vec<String> = held.folders.iter().map(|folder| named(folder)).collect();
        add(
            match folders.is_empty() {
                true => format!(
                    "{} artworks vanished at once, and no deletion was seen",
                    held.missing
                ),
                false => format!(
                    "{} artworks vanished at once together with their folder ({})",
                    held.missing,
                    folders.join(", ")
                ),
            },
            &format!(
                "bring them back (a lost mount?), or run `mosaicd confirm-removal`; otherwise they leave the mosaic in {} h",
                hours(plan.held_left_ms())
            ),
        );
    }
    if let Some(error) = plan.failing() {
        add(
            error.to_owned(),
            "make space or repair the disk; then it recovers by itself",
        );
    }
    if seen.blocked {
        add(
            "some files cannot be taken in: the state folder cannot be written".into(),
            "make space in the state folder or repair its disk; they are tried again",
        );
    }
    if let Some(shadow) = plan.shadow()
        && let Some((failed, error)) = shadow.failures()
        && shadow.is_over()
    {
        add(
            format!("the new model fails on {failed} artworks: {error}"),
            "the old model stays; correct embed.model and reload",
        );
    }
    if let Some(error) = seen.blind {
        add(
            format!("changes are noticed by scans alone: {error}"),
            "set watch.mode = \"scan\" to accept it, or remove the cause; events are tried again every minute",
        );
    }
    conditions
}
