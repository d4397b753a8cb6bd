//! The renditions of works, `large/<first two digits>/<content>-<spec>-<width>x<height>.jpg`.
//!
//! They belong to contents, not to generations: made while a picture is decoded, long before a generation names it, from
//! any thread. They lie in the output folder alone, for a second copy in the state folder would double the largest part
//! of the disk that a work takes up; a rendition that is lost is made again from the work's file. What is there is read
//! from the names at every start, so that there is no list that could be wrong.
//!
//! JPEGs in `large/` are further names in `iiif/` where that is switched on.
//!
//! Invariants: a file under such a name is complete (it gets the name after it was flushed); [`Renditions::of`] gives
//! only what survives a power cut; only names that parse as ours are removed.

use super::{
    PublishError,
    files::{Folder, Staged},
    manifest::Rendition,
    names::{self, LargeName},
};
use crate::{
    artwork::large::{Large, LargeSpec},
    disk,
    domain::ContentHash,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The renditions in one output folder. All methods may be called from any thread.
pub struct Renditions {
    spec: LargeSpec,
    folder: RwLock<Folder>,
    /// What is there and durable.
    there: RwLock<HashMap<Content, There>>,
    /// See [`Renditions::take_changed`].
    changed: Mutex<Option<HashSet<Content>>>,
    /// Written, and not flushed yet.
    staged: Mutex<Vec<(LargeName, Staged)>>,
    /// Since when a file is not needed any more, milliseconds since the epoch.
    unneeded: Mutex<BTreeMap<String, u64>>,
    /// Held while files are flushed: a second flush must not count files as durable that the first has not finished.
    flushing: Mutex<()>,
}

/// Works whose rendition may have changed, see [`Renditions::take_changed`]; the default is all.
#[derive(Default)]
pub struct Changed(Option<HashSet<Content>>);

impl Changed {
    /// Whether a work's may.
    pub fn contains(&self, hash: &ContentHash) -> bool {
        let changed = self.0.as_ref();
        changed.is_none_or(|changed| changed.contains(&content(hash)))
    }
}

/// First half of a work's hash: two works by chance never share it.
type Content = [u8; 16];

/// The renditions of one content.
#[derive(Default)]
struct There {
    /// As they are made now.
    current: Option<LargeName>,
    /// Of other specs: shown until the current one is made.
    older: Vec<LargeName>,
}

impl There {
    fn shown(&self) -> Option<&LargeName> {
        let older = || self.older.iter().max_by_key(|name| (name.width, name.tag));
        self.current.as_ref().or_else(older)
    }

    fn all(&self) -> impl Iterator<Item = &LargeName> {
        self.current.iter().chain(&self.older)
    }
}

impl Renditions {
    /// Opens an output folder, removes an earlier run's temporary files, and reads which renditions are there.
    pub fn open(output: &Path, spec: LargeSpec) -> Result<Self, PublishError> {
        Self::opened(output, spec, true)
    }

    /// Opens a folder that others may be writing to, to see what is there.
    pub fn look(output: &Path, spec: LargeSpec) -> Result<Self, PublishError> {
        Self::opened(output, spec, false)
    }

    fn opened(output: &Path, spec: LargeSpec, alone: bool) -> Result<Self, PublishError> {
        let renditions = Self {
            spec,
            folder: RwLock::new(Folder::open(output, None)?),
            there: RwLock::default(),
            changed: Mutex::default(),
            staged: Mutex::default(),
            unneeded: Mutex::default(),
            flushing: Mutex::default(),
        };
        renditions.read(alone)?;
        Ok(renditions)
    }

    /// How they are made.
    pub fn spec(&self) -> &LargeSpec {
        &self.spec
    }

    /// Whether a work's rendition is still to be made.
    pub fn wants(&self, hash: &ContentHash) -> bool {
        let made = |there: &There| there.current.is_some();
        self.spec.px > 0 && !self.there().get(&content(hash)).is_some_and(made)
    }

    /// The works whose [`Renditions::of`] may give something else than when this was asked last.
    pub fn take_changed(&self) -> Changed {
        Changed(self.changed().replace(HashSet::new()))
    }

    /// The rendition of a work to show: durable, and of another spec while there is no current one.
    pub fn of(&self, hash: &ContentHash) -> Option<Rendition> {
        self.shown(hash).map(|name| Rendition {
            file: name.path(),
            width: name.width,
            height: name.height,
        })
    }

    /// Whether `known` is what [`Renditions::of`] gives for a work.
    pub fn is(&self, hash: &ContentHash, known: Option<&Rendition>) -> bool {
        match (self.shown(hash), known) {
            (None, None) => true,
            (Some(name), Some(known)) => {
                let file = known.file.rsplit('/').next();
                file.and_then(LargeName::parse) == Some(name)
            }
            _ => false,
        }
    }

    /// The name of the rendition to show.
    fn shown(&self, hash: &ContentHash) -> Option<LargeName> {
        match self.spec.px {
            0 => None,
            _ => self.there().get(&content(hash))?.shown().copied(),
        }
    }

    /// Writes a rendition. It counts as made after [`Renditions::sync`].
    pub fn put(&self, hash: &ContentHash, large: &Large) -> Result<(), PublishError> {
        let name = LargeName {
            content: content(hash),
            tag: self.spec.tag(),
            width: large.width,
            height: large.height,
        };
        let folder = self.folder();
        let staged = folder.stage(&name.path(), &large.jpeg);
        // The folder may have been removed meanwhile: it is made with the second try.
        let staged = staged.or_else(|_| folder.stage(&name.path(), &large.jpeg))?;
        // A flush that began before it was complete does not count.
        folder.include_staged(&staged);
        self.staged().push((name, staged));
        Ok(())
    }

    /// Makes everything put so far durable: content first, then names. After an error none of it counts as made.
    pub fn sync(&self) -> Result<(), PublishError> {
        let _alone = self.flushing();
        let staged = std::mem::take(&mut *self.staged());
        if staged.is_empty() {
            return Ok(());
        }
        let folder = self.folder();
        if let Err(error) = folder.sync() {
            staged
                .into_iter()
                .for_each(|(_, file)| folder.abandon(file));
            return Err(error);
        }
        let mut made = Vec::with_capacity(staged.len());
        for (name, file) in staged {
            folder.commit(file)?;
            folder.include(&name.path());
            made.push(name);
        }
        folder.sync()?;
        let mut there = self.there_mut();
        for name in made {
            there.entry(name.content).or_default().current = Some(name);
            self.note_changed(name.content);
        }
        Ok(())
    }

    /// Reads the folder again if somebody removed, replaced or emptied it. To be called before a generation is made of
    /// what [`Renditions::of`] says.
    pub fn check(&self) -> Result<(), PublishError> {
        let emptied = !self.there().is_empty() && !self.folder().path(names::LARGE).is_dir();
        if !emptied && !self.folder().is_replaced() {
            return Ok(());
        }
        self.folder_mut().reopen()?;
        // What is being written now has a temporary name.
        self.read(false)
    }

    /// Removes the renditions that were not `needed` for `grace_ms`, and those of other specs that have a successor. Says
    /// how many went.
    pub fn retain(
        &self,
        needed: &HashSet<ContentHash>,
        now_ms: u64,
        grace_ms: u64,
    ) -> Result<usize, PublishError> {
        let needed: HashSet<Content> = needed.iter().map(content).collect();
        let mut unneeded = BTreeMap::new();
        {
            let (there, before) = (self.there(), self.unneeded());
            for (content, files) in there.iter() {
                let is_needed = self.spec.px > 0 && needed.contains(content);
                let shown = files.shown().filter(|_| is_needed);
                for name in files.all().filter(|name| Some(*name) != shown) {
                    let path = name.path();
                    // A clock set back must not keep files for ever.
                    let since = before.get(&path).map_or(now_ms, |&since| since.min(now_ms));
                    unneeded.insert(path, (since, *name));
                }
            }
        }
        let mut removed = 0;
        let mut left = BTreeMap::new();
        for (path, (since, name)) in unneeded {
            if now_ms - since < grace_ms {
                left.insert(path, since);
                continue;
            }
            self.forget(&name);
            self.folder().remove(&path)?;
            removed += 1;
        }
        *self.unneeded() = left;
        Ok(removed)
    }

    /// Does not offer a file any more that is about to be removed.
    fn forget(&self, name: &LargeName) {
        let mut there = self.there_mut();
        if let Some(files) = there.get_mut(&name.content) {
            files.current = files.current.filter(|current| current != name);
            files.older.retain(|older| older != name);
            if files.shown().is_none() {
                there.remove(&name.content);
            }
            self.note_changed(name.content);
        }
    }

    /// Reads which renditions are there; `alone` says that nobody is writing any.
    fn read(&self, alone: bool) -> Result<(), PublishError> {
        let folder = self.folder();
        let mut there: HashMap<Content, There> = HashMap::new();
        let tag = self.spec.tag();
        for below in folder.list(names::LARGE)? {
            if !names::is_large_folder(&below) {
                continue;
            }
            let below = format!("{}/{below}", names::LARGE);
            let mut last = None;
            for name in folder.list(&below)? {
                if alone && disk::is_temporary(&name) {
                    folder.remove(&format!("{below}/{name}"))?;
                }
                let Some(name) = LargeName::parse(&name) else {
                    continue;
                };
                last = Some(name);
                let files = there.entry(name.content).or_default();
                match name.tag == tag {
                    true => files.current = Some(name),
                    false => files.older.push(name),
                }
            }
            // A run that was stopped may have left names unflushed; one of them stands for its folder.
            if let Some(name) = last {
                folder.include(&name.path());
            }
        }
        let _alone = self.flushing();
        folder.sync()?;
        *self.there_mut() = there;
        *self.changed() = None;
        Ok(())
    }

    fn flushing(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> RwLockReadGuard<'_, Folder> {
        self.folder.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder_mut(&self) -> RwLockWriteGuard<'_, Folder> {
        self.folder.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn there(&self) -> RwLockReadGuard<'_, HashMap<Content, There>> {
        self.there.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn there_mut(&self) -> RwLockWriteGuard<'_, HashMap<Content, There>> {
        self.there.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> MutexGuard<'_, Option<HashSet<Content>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_changed(&self, content: Content) {
        if let Some(changed) = &mut *self.changed() {
            changed.insert(content);
        }
    }

    fn staged(&self) -> MutexGuard<'_, Vec<(LargeName, Staged)>> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unneeded(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.unneeded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn content(hash: &ContentHash) -> Content {
    let (first, _) = hash.0.as_chunks::<16>();
    first[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn spec(px: u32) -> LargeSpec {
        LargeSpec {
            px,
            background: [0; 3],
        }
    }

    fn large() -> Large {
        Large {
            width: 30,
            height: 20,
            jpeg: b"a picture".to_vec(),
        }
    }

    fn files(output: &Path) -> usize {
        let folders = fs::read_dir(output.join("large")).into_iter().flatten();
        let below = folders.flat_map(|folder| fs::read_dir(folder.expect("an entry").path()));
        below.flatten().count()
    }

    #[test]
    fn a_rendition_counts_once_it_is_durable_and_is_found_by_the_next_run() {
        let output = tempfile::tempdir().expect("a folder");
        let renditions = Renditions::open(output.path(), spec(64)).expect("opened");
        let hash = ContentHash::of(b"a");
        renditions.put(&hash, &large()).expect("written");
        assert!(renditions.wants(&hash) && renditions.of(&hash).is_none());
        // A run that stops here leaves a temporary file, which the next one removes.
        assert_eq!(files(output.path()), 1);
        let renditions = Renditions::open(output.path(), spec(64)).expect("opened");
        assert_eq!(files(output.path()), 0);
        renditions.put(&hash, &large()).expect("written");
        renditions.sync().expect("flushed");
        let shown = renditions.of(&hash).expect("made");
        assert_eq!((shown.width, shown.height), (30, 20));
        let there = fs::read(output.path().join(&shown.file)).expect("a file");
        assert_eq!(there, b"a picture");
        let again = Renditions::open(output.path(), spec(64)).expect("opened");
        assert_eq!(again.of(&hash), Some(shown));
        assert!(!again.wants(&hash));
    }

    #[test]
    fn the_old_rendition_is_shown_until_the_new_one_is_made() {
        let output = tempfile::tempdir().expect("a folder");
        let hash = ContentHash::of(b"a");
        let before = Renditions::open(output.path(), spec(64)).expect("opened");
        before.put(&hash, &large()).expect("written");
        before.sync().expect("flushed");
        let old = before.of(&hash);
        let now = Renditions::open(output.path(), spec(32)).expect("opened");
        assert!(now.wants(&hash));
        assert_eq!(now.of(&hash), old);
        let needed = HashSet::from([hash]);
        assert_eq!(now.retain(&needed, 1_000, 0).expect("collected"), 0);
        now.put(&hash, &large()).expect("written");
        now.sync().expect("flushed");
        assert_ne!(now.of(&hash), old);
        assert_eq!(now.retain(&needed, 1_000, 600).expect("collected"), 0);
        assert_eq!(now.retain(&needed, 1_600, 600).expect("collected"), 1);
        assert_eq!(files(output.path()), 1);
        let off = Renditions::open(output.path(), spec(0)).expect("opened");
        assert!(!off.wants(&hash) && off.of(&hash).is_none());
        assert_eq!(off.retain(&needed, 1_000, 0).expect("collected"), 1);
    }

    #[test]
    fn only_what_may_have_changed_is_looked_at_again() {
        let output = tempfile::tempdir().expect("a folder");
        let renditions = Renditions::open(output.path(), spec(64)).expect("opened");
        let (one, other) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        let changed = || {
            let changed = renditions.take_changed();
            [changed.contains(&one), changed.contains(&other)]
        };
        assert_eq!([changed(), changed()], [[true; 2], [false; 2]]);
        renditions.put(&one, &large()).expect("written");
        assert_eq!(changed(), [false; 2], "not durable yet");
        renditions.sync().expect("flushed");
        assert_eq!([changed(), changed()], [[true, false], [false; 2]]);
        let retained = renditions.retain(&HashSet::new(), 0, 0);
        assert_eq!(retained.expect("removed"), 1);
        assert_eq!(changed(), [true, false]);
        renditions.put(&other, &large()).expect("written");
        renditions.sync().expect("flushed");
        fs::remove_dir_all(output.path().join("large")).expect("removed");
        renditions.check().expect("read again");
        assert_eq!(changed(), [true; 2], "the folder was emptied");
    }

    #[test]
    fn what_is_not_needed_stays_for_its_grace_and_foreign_files_for_good() {
        let output = tempfile::tempdir().expect("a folder");
        let renditions = Renditions::open(output.path(), spec(64)).expect("opened");
        let (kept, gone) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        for hash in [&kept, &gone] {
            renditions.put(hash, &large()).expect("written");
        }
        renditions.sync().expect("flushed");
        fs::create_dir_all(output.path().join("large/ab")).expect("a folder");
        fs::write(output.path().join("large/ab/notes.txt"), "mine").expect("a foreign file");
        let needed = HashSet::from([kept]);
        let retain = |now_ms| renditions.retain(&needed, now_ms, 600).expect("collected");
        assert_eq!((retain(5_000), retain(5_599)), (0, 0));
        // The clock was set back: the grace begins again and does not last for ever.
        assert_eq!((retain(1_000), retain(1_599), retain(1_600)), (0, 0, 1));
        assert!(renditions.of(&kept).is_some() && renditions.of(&gone).is_none());
        assert_eq!(files(output.path()), 2);
    }

    #[test]
    fn a_folder_that_was_emptied_has_nothing_and_takes_new_ones() {
        let output = tempfile::tempdir().expect("a folder");
        let root = output.path().join("output");
        let renditions = Renditions::open(&root, spec(64)).expect("opened");
        let hash = ContentHash::of(b"a");
        let make = || {
            renditions.put(&hash, &large()).expect("written");
            renditions.sync().expect("flushed");
        };
        for lost in ["output", "output/large"] {
            make();
            fs::remove_dir_all(output.path().join(lost)).expect("removed");
            renditions.check().expect("read again");
            assert!(
                renditions.wants(&hash) && renditions.of(&hash).is_none(),
                "{lost}"
            );
        }
        make();
        renditions.check().expect("nothing to do");
        assert!(renditions.of(&hash).is_some());
    }
}
