//! Which folders the placed works are in, by device and inode: a work that vanished together with its folder was not
//! deleted.
//!
//! A lost mount leaves another folder in its place (the empty mount point), or none. A deletion leaves the folder as it
//! was, or takes a folder away that lay on the same device as the one above it. Device numbers may change with a
//! restart of the machine: as long as some placed work of a folder is there, the folder counts as the same one.

use crate::domain::{RootId, Scan};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

/// The folders as they were when their works were seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFolders(BTreeMap<PathBuf, RootId>);

impl KnownFolders {
    /// Folders that an earlier run kept.
    pub fn new(folders: impl IntoIterator<Item = (PathBuf, RootId)>) -> Self {
        Self(folders.into_iter().collect())
    }

    /// Every folder, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, &RootId)> {
        self.0.iter()
    }

    /// Whether a folder is gone together with its device, or was replaced by one that has none of its works: `alive` are
    /// the folders with a placed work in or below them that is there.
    pub(super) fn is_lost(&self, folder: &Path, scan: &Scan, alive: &HashSet<&Path>) -> bool {
        let Some(known) = self.0.get(folder) else {
            return false;
        };
        if let Some(now) = scan.folders.get(folder) {
            return now != known && !alive.contains(folder);
        }
        let mut above = folder.ancestors().skip(1);
        let above = above.find_map(|above| Some((above, scan.folders.get(above)?)));
        above.is_some_and(|(above, now)| {
            let before = self.0.get(above).unwrap_or(now);
            known.dev != before.dev || self.is_lost(above, scan, alive)
        })
    }

    /// Whether a look at a part of the folders shows another device where `path` was: not enough to conclude that it is
    /// gone, but a reason to scan.
    pub(super) fn is_elsewhere(&self, path: &Path, look: &Scan) -> bool {
        let Some(known) = path.parent().and_then(|folder| self.0.get(folder)) else {
            return false;
        };
        let mut above = path.ancestors().skip(1);
        let above = above.find_map(|above| Some((above, look.folders.get(above)?)));
        above.is_some_and(|(above, now)| {
            let before = self.0.get(above).unwrap_or(now);
            known.dev != before.dev || before.dev != now.dev
        })
    }

    /// Whether a look at the folder `path` found another folder there than the one that the works lay in: the mount point of
    /// a lost mount, even on the same device.
    pub(super) fn is_replaced(&self, path: &Path, look: &Scan) -> bool {
        let (known, now) = (self.0.get(path), look.folders.get(path));
        known.zip(now).is_some_and(|(known, now)| known != now)
    }

    /// Takes in what a scan saw, except for the folders of works that are `held`.
    pub(super) fn follow(&mut self, scan: &Scan, held: &[PathBuf]) {
        let holds: HashSet<&Path> = held.iter().flat_map(|path| path.ancestors()).collect();
        self.0.retain(|folder, _| {
            holds.contains(folder.as_path())
                || scan.folders.contains_key(folder)
                || !scan.covers(folder)
        });
        for (folder, now) in &scan.folders {
            if !holds.contains(folder.as_path()) {
                self.0.insert(folder.clone(), *now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dev: u64, ino: u64) -> RootId {
        RootId { dev, ino }
    }

    fn scan(folders: &[(&str, RootId)]) -> Scan {
        Scan {
            folders: folders
                .iter()
                .map(|(path, id)| (PathBuf::from(path), *id))
                .collect(),
            ..Scan::default()
        }
    }

    #[test]
    fn what_went_with_its_folder_is_lost_and_what_was_deleted_is_not() {
        let folders = KnownFolders::new(
            [
                ("", folder(1, 2)),
                ("nas", folder(9, 1)),
                ("nas/deep", folder(9, 5)),
                ("own", folder(1, 7)),
            ]
            .map(|(path, id)| (PathBuf::from(path), id)),
        );
        let none = HashSet::new();
        let lost = |path: &str, scan: &Scan, alive: &HashSet<&Path>| {
            folders.is_lost(Path::new(path), scan, alive)
        };
        // The mount point is left behind, or nothing.
        let unmounted = scan(&[
            ("", folder(1, 2)),
            ("nas", folder(1, 8)),
            ("own", folder(1, 7)),
        ]);
        assert!(lost("nas", &unmounted, &none) && lost("nas/deep", &unmounted, &none));
        assert!(!lost("own", &unmounted, &none) && !lost("", &unmounted, &none));
        let away = scan(&[("", folder(1, 2)), ("own", folder(1, 7))]);
        assert!(lost("nas", &away, &none) && lost("nas/deep", &away, &none));
        // Folders that were deleted.
        let deleted = scan(&[("", folder(1, 2)), ("nas", folder(9, 1))]);
        assert!(!lost("own", &deleted, &none) && !lost("nas/deep", &deleted, &none));
        // Other device numbers after a restart, with a work that is there.
        let renumbered = scan(&[
            ("", folder(1, 2)),
            ("nas", folder(10, 1)),
            ("own", folder(1, 7)),
        ]);
        let alive = HashSet::from([Path::new("nas")]);
        assert!(!lost("nas", &renumbered, &alive) && lost("nas", &renumbered, &none));
        // The whole folder.
        let other = scan(&[("", folder(3, 3))]);
        assert!(lost("", &other, &none) && lost("own", &other, &none));
    }
}
