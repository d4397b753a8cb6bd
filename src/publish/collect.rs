//! Which files of earlier generations may go, and when.
//!
//! A file stays while one of the last `keep` generations names it, and for a grace period after, so that a reader who
//! holds an old manifest can still fetch everything in it. Whole-image files are large and opened at once, so they
//! stay for a minute at most, and for less when together they exceed a budget.
//!
//! Invariant: only names that parse as ours are listed here.

use super::{
    PublishError,
    files::Folder,
    manifest::{Manifest, MosaicFile},
    names::{self, parse_mosaic_file},
};
use std::collections::{BTreeMap, BTreeSet};

/// The longest grace of a whole-image file, milliseconds.
const IMAGE_GRACE_MS: u64 = 60_000;
/// Retired whole-image files beyond this many bytes lose their grace, oldest first.
const IMAGE_BUDGET: u64 = 1 << 30;

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files.
    pub files: usize,
    /// Their bytes; a file with further names frees its space with the last of them.
    pub bytes: u64,
}

/// Files that the published generation does not name.
#[derive(Debug, Default)]
pub(super) struct Retired {
    files: BTreeMap<String, Since>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    /// The last generation that names the file, as far as known.
    generation: u64,
    /// When the next one was published, milliseconds since the epoch; unknown for what a start found.
    at_ms: Option<u64>,
}

impl Retired {
    /// Notes a file whose last generation was `generation`.
    pub(super) fn add(&mut self, name: String, generation: u64, at_ms: Option<u64>) {
        let since = Since { generation, at_ms };
        let entry = self.files.entry(name).or_insert(since);
        // What an earlier life of this run knows better is kept.
        if at_ms.is_some() {
            *entry = since;
        }
    }

    /// Forgets a file because a generation names it again.
    pub(super) fn revive(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// Number of files noted.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Names of files whose grace period is over. For files found at a start it begins with the first call.
    fn due(
        &mut self,
        now_ms: u64,
        current: u64,
        spec: (u64, u64),
        size: impl Fn(&str) -> u64,
    ) -> Vec<String> {
        let (grace_ms, keep) = (spec.0, spec.1.max(2));
        let mut mosaic_files = Vec::new();
        let mut due = Vec::new();
        for (name, since) in &mut self.files {
            let at_ms = *since.at_ms.get_or_insert(now_ms);
            // A clock set back must not keep files forever.
            let age_ms = match now_ms.checked_sub(at_ms) {
                Some(age_ms) => age_ms,
                None => {
                    since.at_ms = Some(now_ms);
                    0
                }
            };
            if since.generation.saturating_add(keep) > current {
                continue;
            }
            let kind = parse_mosaic_file(name).is_some();
            let grace_ms = if kind {
                grace_ms.min(IMAGE_GRACE_MS)
            } else {
                grace_ms
            };
            match age_ms >= grace_ms {
                true => due.push(name.clone()),
                false if kind => mosaic_files.push((since.generation, name.clone())),
                false => {}
            }
        }
        mosaic_files.sort_unstable();
        let mut bytes = 0u64;
        for (_, name) in mosaic_files.into_iter().rev() {
            bytes = bytes.saturating_add(size(&name));
            if bytes > IMAGE_BUDGET {
                due.push(name);
            }
        }
        due
    }
}

/// Removes what is due at `now_ms`, when `current` is the published generation and `spec` the grace (milliseconds)
/// and the number of generations to keep.
pub(super) fn collect(
    folder: &Folder,
    retired: &mut Retired,
    now_ms: u64,
    current: u64,
    spec: (u64, u64),
) -> Result<Collected, PublishError> {
    let size = |name: &str| std::fs::metadata(folder.path(name)).map_or(0, |m| m.len());
    let mut collected = Collected::default();
    for name in retired.due(now_ms, current, spec, size) {
        collected.bytes += folder.remove(&name)?;
        collected.files += 1;
        retired.files.remove(&name);
    }
    Ok(collected)
}

/// Removes every retired file at once.
pub(super) fn erase(folder: &Folder, retired: &mut Retired) -> Result<Collected, PublishError> {
    let mut collected = Collected::default();
    while let Some((name, since)) = retired.files.pop_first() {
        match folder.remove(&name) {
            Ok(bytes) => {
                collected.bytes += bytes;
                collected.files += 1;
            }
            Err(error) => {
                retired.files.insert(name, since);
                return Err(error);
            }
        }
    }
    Ok(collected)
}

/// Notes the tiles and whole-image files of the generation before that the new one does not name.
pub(super) fn retire(
    retired: &mut Retired,
    before: (&Manifest, Option<&super::pyramid::Tiles>),
    now: (&Manifest, Option<&super::pyramid::Tiles>),
) {
    let (generation, at_ms) = (before.0.generation, Some(now.0.published_ms));
    let files = |manifest| super::stable::mosaic_files(manifest).map(|(_, file)| file);
    retire_images(
        retired,
        &files(before.0),
        &files(now.0),
        (generation, now.0.published_ms),
    );
    let gone = before.1.into_iter().flat_map(|tiles| tiles.not_in(now.1));
    for (number, col, row, hash) in gone {
        retired.add(names::tile(number, col, row, hash), generation, at_ms);
    }
    let new = now.1.into_iter().flat_map(|tiles| tiles.not_in(before.1));
    for (number, col, row, hash) in new {
        retired.revive(&names::tile(number, col, row, hash));
    }
}

/// Notes the whole-image files of a list before that the new list does not name.
pub(super) fn retire_images(
    retired: &mut Retired,
    before: &[Option<&MosaicFile>],
    now: &[Option<&MosaicFile>],
    (generation, at_ms): (u64, u64),
) {
    for file in before.iter().flatten().map(|file| &file.file) {
        if parse_mosaic_file(file).is_some() {
            retired.add(file.clone(), generation, Some(at_ms));
        }
    }
    for file in now.iter().flatten() {
        retired.revive(&file.file);
    }
}

/// Notes the page's files of the generation before that the new one does not name.
pub(super) fn retire_page(
    retired: &mut Retired,
    before: Option<&super::page::Page>,
    now: &super::page::Page,
    (generation, at_ms): (u64, u64),
) {
    let named: BTreeSet<String> = now.files().collect();
    let gone = before.into_iter().flat_map(super::page::Page::files);
    for name in gone.filter(|name| !named.contains(name)) {
        retired.add(name, generation, Some(at_ms));
    }
    for name in &named {
        retired.revive(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: (u64, u64) = (600_000, 2);

    #[test]
    fn files_stay_for_their_grace_and_for_two_generations() {
        let mut retired = Retired::default();
        retired.add("t/8/0_0-00000001.jpg".into(), 4, Some(1_000));
        assert!(
            retired.due(700_000, 5, SPEC, |_| 0).is_empty(),
            "generation 4 is kept"
        );
        assert!(retired.due(600_999, 6, SPEC, |_| 0).is_empty(), "in grace");
        assert_eq!(retired.due(601_000, 6, SPEC, |_| 0).len(), 1);
        retired.revive("t/8/0_0-00000001.jpg");
        assert_eq!(retired.len(), 0);
    }

    #[test]
    fn what_a_start_finds_begins_its_grace_then() {
        let mut retired = Retired::default();
        retired.add("t/8/0_0-00000001.jpg".into(), 0, None);
        assert!(retired.due(5_000_000, 9, SPEC, |_| 0).is_empty());
        retired.add("t/8/0_0-00000001.jpg".into(), 0, None);
        assert_eq!(
            retired.due(5_600_000, 9, SPEC, |_| 0).len(),
            1,
            "not begun again"
        );
    }

    #[test]
    fn large_files_go_early_and_a_clock_set_back_does_not_keep_them() {
        let mut retired = Retired::default();
        for generation in 1..=4 {
            retired.add(
                format!("mosaic-{generation}-00000000.jpg"),
                generation,
                Some(9_000_000),
            );
        }
        let due = retired.due(9_000_001, 9, SPEC, |_| IMAGE_BUDGET / 2);
        assert_eq!(due, ["mosaic-2-00000000.jpg", "mosaic-1-00000000.jpg"]);
        assert!(retired.due(1_000, 9, SPEC, |_| 0).is_empty());
        assert_eq!(retired.due(61_000, 9, SPEC, |_| 0).len(), 4);
    }
}
