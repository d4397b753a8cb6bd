//! Removing what no work needs: cells, leftovers of a crash, and the folders of other specs.

use super::{CellError, CellStore, io_error};
use crate::{
    disk::{self, Action},
    domain::ContentHash,
};
use std::{
    fs,
    path::Path,
    sync::{PoisonError, RwLockWriteGuard, atomic::Ordering},
};

impl CellStore {
    /// Says that a cell is needed no more for having been put lately: [`CellStore::collect`] asks `keep` about it, too.
    pub fn release(&self, hash: &ContentHash) {
        self.fresh().remove(hash);
        self.tidy.store(false, Ordering::Relaxed);
    }

    /// [`CellStore::retain`] that also keeps the cells put since the last call: their works may not be placed yet. If all
    /// cells that were kept the last time are `still` needed, only these new ones are looked at: a list of hundreds of
    /// thousands of files can take a minute.
    pub fn collect(
        &self,
        still: bool,
        keep: impl Fn(&ContentHash) -> bool,
    ) -> Result<usize, CellError> {
        let _alone = self.alone();
        let mut fresh = self.fresh();
        let all_needed = fresh.iter().all(&keep);
        let tidy = self.tidy.swap(false, Ordering::Relaxed);
        let removed = match tidy && still && all_needed {
            true => 0,
            false => self.remove_unless(|hash| fresh.contains(hash) || keep(hash))?,
        };
        self.tidy.store(all_needed, Ordering::Relaxed);
        fresh.clear();
        Ok(removed)
    }

    /// Removes the cells that `keep` does not want, leftovers of a crash, and the folders of other specs. Returns how
    /// many cells it removed. A `put` waits meanwhile.
    pub fn retain(&self, keep: impl Fn(&ContentHash) -> bool) -> Result<usize, CellError> {
        let _alone = self.alone();
        self.remove_unless(keep)
    }

    /// Waits for every `put`, and keeps the next ones waiting.
    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        let alone = self.collecting.write();
        alone.unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_unless(&self, keep: impl Fn(&ContentHash) -> bool) -> Result<usize, CellError> {
        for entry in list(&self.dir)? {
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(is_spec_key);
            if ours && name.to_str() != Some(self.key.as_str()) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(io_error(Action::Remove, &path))?;
            }
        }
        let mut removed = 0;
        for folder in list(&self.folder())? {
            for entry in list(&folder.path())? {
                let name = entry.file_name();
                let name = name.to_str().unwrap_or("");
                let unused = match name.parse::<ContentHash>() {
                    Ok(hash) => !keep(&hash),
                    Err(_) => disk::is_temporary(name),
                };
                if unused {
                    let path = entry.path();
                    fs::remove_file(&path).map_err(io_error(Action::Remove, &path))?;
                    removed += 1;
                }
            }
        }
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.mips.retain(|hash, _| keep(hash));
        cache.mips.shrink_to_fit();
        Ok(removed)
    }
}

/// Whether a folder name can have come from [`super::spec_key`], of this version or another.
fn is_spec_key(name: &str) -> bool {
    let mut parts = name.splitn(3, '-');
    let version = parts.next().and_then(|p| p.strip_prefix('v'));
    let numbers = [version, parts.next()]
        .into_iter()
        .all(|part| part.is_some_and(|p| p.parse::<u32>().is_ok()));
    let background = parts.next().and_then(|rest| rest.rsplit_once('-'));
    numbers
        && background.is_some_and(|(_, colour)| {
            colour.len() == 6 && colour.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

fn list(folder: &Path) -> Result<Vec<fs::DirEntry>, CellError> {
    disk::list(folder).map_err(io_error(Action::Read, folder))
}
