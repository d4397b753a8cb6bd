//! Rewriting the database without data that is not needed any more; the copy replaces the old one.
//!
//! sled appends: a removed or overwritten value stays in its file until something else is written there. So to remove
//! data without a trace, or to free its space, everything else is copied into a new database next to the old one, the
//! two folders are exchanged in one step, and the old one is deleted.
//!
//! Invariant: a stop at any moment leaves a whole database at its place; the leftover is removed at the next opening.

use super::{engine::Engine, fault::Fault};
use crate::{
    disk,
    domain::{ContentHash, ModelId},
};
use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Rewrites the database in `folder`, open as `old`, without the embeddings that `keep` does not want, and closes
/// it. Says how many went.
pub(super) fn rewrite(
    folder: &Path,
    old: Engine,
    keep: &dyn Fn(&ContentHash, &ModelId) -> bool,
) -> Result<u64, Fault> {
    finish(folder)?;
    let beside = beside(folder);
    let mut new = Engine::open(&beside)?;
    let gone = old.copy_into(&mut new, keep)?;
    drop((old, new));
    disk::exchange(&beside, folder)?;
    if let Some(parent) = folder.parent() {
        disk::sync_folder(parent)?;
    }
    finish(folder)?;
    Ok(gone)
}

/// Removes what a rewriting left next to the database: the old one, or a new one that was never finished.
pub(super) fn finish(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(beside(folder)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(folder: &Path) -> PathBuf {
    folder.with_extension("rewriting")
}
