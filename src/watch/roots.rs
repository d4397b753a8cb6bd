//! The watched folders as one: a single folder, or several whose works' paths begin with their folder's name.
//!
//! Everything that needs to know where a path really is comes through here: scanning, looking, reading and watching.
//! `tables` reads the owner's tables.
//!
//! Invariants: with several folders, one that cannot be read makes its own works unknown, not gone; mosaicd's own folders
//! are never looked into, whatever mount leads there.

use super::{
    Book, FsKind, Ignore, ReadError, RootId, Rules, Scan, ScanError, SkipReason, WatchError,
    Watcher, Watchers, fs_kind,
    read::read_finished,
    root_id,
    scan::{Source, walk},
};
use crate::domain::{FileIdentity, SystemError};
use rustix::io::Errno;
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Name of the file of titles, artists and links in a watched folder.
pub const DESCRIPTIONS_FILE: &str = "artworks.csv";

/// The watched folders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots {
    pub(super) watched: Arc<[Root]>,
    /// Folders that mosaicd writes to.
    own: Arc<[PathBuf]>,
    /// A file of patterns that lies elsewhere.
    pub(super) rules: Option<Arc<Path>>,
    /// A file of titles, artists and links that lies elsewhere, instead of those in the folders.
    pub(super) table: Option<Arc<Path>>,
}

#[derive(Clone, Debug)]
pub(super) struct Root {
    /// First part of its works' paths; empty if it is the only folder.
    pub(super) name: PathBuf,
    pub(super) folder: PathBuf,
}

impl Roots {
    /// The folders by name; a single one is given the empty name.
    pub fn new(folders: impl IntoIterator<Item = (PathBuf, PathBuf)>) -> Self {
        let root = |(name, folder)| Root { name, folder };
        Self {
            watched: folders.into_iter().map(root).collect(),
            own: Arc::new([]),
            rules: None,
            table: None,
        }
    }

    /// The same folders with files of the owner that lie elsewhere: patterns that count besides those in the folders, and
    /// a table instead of theirs.
    pub fn with(mut self, rules: Option<&Path>, table: Option<&Path>) -> Self {
        (self.rules, self.table) = (rules.map(Arc::from), table.map(Arc::from));
        self
    }

    /// The same folders, without those that mosaicd writes to, wherever they are reached.
    pub fn without(mut self, own: impl IntoIterator<Item = PathBuf>) -> Self {
        self.own = own.into_iter().collect();
        self
    }

    /// The folders on disk.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.watched.iter().map(|root| root.folder.as_path())
    }

    /// Which folders mosaicd writes to now.
    fn own_ids(&self) -> HashSet<RootId> {
        self.own
            .iter()
            .filter_map(|own| root_id(own).ok())
            .collect()
    }

    /// Scans everything, and reads the owner's ignore files through the `book`; also returns the patterns in force.
    ///
    /// # Errors
    /// When no folder at all can be scanned.
    pub fn scan(&self, book: &mut Book) -> Result<(Scan, Rules), ScanError> {
        let own = self.own_ids();
        let mut whole: Option<Scan> = None;
        let mut failed = None;
        let mut unknown = BTreeMap::new();
        let mut rules = Vec::new();
        book.begin();
        let everywhere = self.rules.as_ref().map(|file| book.everywhere(file));
        let base = book.base().and_everywhere(everywhere);
        for root in self.watched.iter() {
            let name = &root.name;
            let ignore = base.with_levels(BTreeMap::new());
            let source = Source::Book { book, name };
            let found = walk(&root.folder, Path::new(""), ignore, source, &own);
            let mut ignore = match &found {
                Ok((_, ignore)) => ignore.clone(),
                Err(_) => base.with_levels(BTreeMap::new()),
            };
            let scan = found.map(|(scan, _)| scan);
            // A folder that was not reached keeps its last good patterns; one that is gone has none.
            let is_gone = |folder: &Path| {
                let covers = |scan: &Scan| scan.covers(folder);
                scan.as_ref().is_ok_and(covers)
            };
            for (folder, level) in book.unreached(name, is_gone) {
                ignore.add(folder, level);
            }
            rules.push((name.clone(), ignore));
            match (scan, &mut whole) {
                (Ok(scan), None) => whole = Some(within(name, scan)),
                (Ok(scan), Some(whole)) => {
                    let scan = within(name, scan);
                    whole.files.extend(scan.files);
                    whole.skipped.extend(scan.skipped);
                    whole.withheld.extend(scan.withheld);
                    whole.folders.extend(scan.folders);
                }
                (Err(error), _) => {
                    unknown.insert(name.clone(), SkipReason::Unreadable(errno_of(&error)));
                    failed.get_or_insert(error);
                }
            }
        }
        let (troubles, again) = book.end();
        match (whole, failed) {
            (Some(mut whole), _) => {
                whole.start = PathBuf::new();
                whole.skipped.extend(unknown);
                let rules = Rules::new(rules, troubles, again);
                whole.opted_out = rules.opted_out();
                Ok((whole, rules))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(ScanError::RootMissing(PathBuf::new())),
        }
    }

    /// Scans what is at `path`: a folder with everything in it, one file, or nothing (any more).
    ///
    /// # Errors
    /// When the watched folder it is in cannot be scanned.
    pub fn look(&self, path: &Path, rules: &Rules) -> Result<Scan, ScanError> {
        let Some((root, rest)) = self.locate(path) else {
            // A folder that is not watched any more: nothing is there.
            return Ok(Scan {
                start: path.to_owned(),
                opted_out: rules.opted_out(),
                ..Scan::default()
            });
        };
        let ignore: Ignore = rules.of(&root.name);
        let found = walk(&root.folder, rest, ignore, Source::Known, &self.own_ids())?;
        let mut scan = within(&root.name, found.0);
        scan.opted_out = rules.opted_out();
        Ok(scan)
    }

    /// Reads the file at `path`, see [`read_finished`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_finished(
        &self,
        path: &Path,
        expected: &FileIdentity,
        max_bytes: u64,
    ) -> Result<Vec<u8>, ReadError> {
        let (root, rest) = self.locate(path).ok_or(ReadError::Vanished)?;
        read_finished(&root.folder, rest, expected, max_bytes)
    }

    /// Which folders the paths lead to now; `None` where there is nothing.
    pub fn ids(&self) -> Vec<Option<RootId>> {
        self.folders().map(|folder| root_id(folder).ok()).collect()
    }

    /// The mounts at and below the watched folders, and those that these lie in: a different text means that something
    /// was mounted or unmounted. Empty where the system does not report mounts.
    pub fn mounts(&self) -> String {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let real: Vec<PathBuf> = self.folders().filter_map(nearest).collect();
        let concerns = |line: &&str| {
            let point = line.split(' ').nth(4).unwrap_or("");
            let below = |folder: &PathBuf| Path::new(point).starts_with(folder);
            let above = |folder: &PathBuf| point != "/" && folder.starts_with(point);
            real.iter().any(|folder| below(folder) || above(folder))
        };
        text.lines().filter(concerns).collect::<Vec<_>>().join("\n")
    }

    /// Whether a folder is on a network file system.
    pub fn any_on_network(&self) -> bool {
        self.folders()
            .any(|folder| matches!(fs_kind(folder), Ok(FsKind::Network)))
    }

    /// A folder below the watched ones that is one of mosaicd's own, or that one of them lies in; through a mount, because
    /// by their paths they are elsewhere. Reads every folder.
    pub fn own_within(&self) -> Option<PathBuf> {
        let real = self.own.iter().filter_map(|own| nearest(own));
        let ids: HashSet<RootId> = real
            .flat_map(|own| {
                let above: Vec<_> = own.ancestors().filter_map(|a| root_id(a).ok()).collect();
                above
            })
            .collect();
        self.folders().find_map(|folder| find(folder, &ids))
    }

    /// Watches every folder; see [`Watcher::start`].
    ///
    /// # Errors
    /// Of the first folder that cannot be watched.
    pub fn watch(
        &self,
        wake: impl Fn() + Send + Sync + Clone + 'static,
    ) -> Result<Watchers, WatchError> {
        let start = |root: &Root| {
            Ok((
                root.name.clone(),
                Watcher::start(&root.folder, wake.clone())?,
            ))
        };
        self.watched
            .iter()
            .map(start)
            .collect::<Result<_, _>>()
            .map(Watchers)
    }

    /// The watched folder a path is in, and the path below it.
    fn locate<'a>(&self, path: &'a Path) -> Option<(&Root, &'a Path)> {
        let mut found = self.watched.iter();
        found.find_map(|root| Some((root, path.strip_prefix(&root.name).ok()?)))
    }
}

/// A scan of the watched folder `name`, with the name in front of its paths.
fn within(name: &Path, mut scan: Scan) -> Scan {
    if name.as_os_str().is_empty() {
        return scan;
    }
    let within = |path: PathBuf| match path.as_os_str().is_empty() {
        true => name.to_owned(),
        false => name.join(path),
    };
    scan.start = within(scan.start);
    let files = scan.files.into_iter();
    scan.files = files.map(|(path, file)| (within(path), file)).collect();
    let folders = scan.folders.into_iter();
    scan.folders = folders.map(|(path, id)| (within(path), id)).collect();
    let skipped = scan.skipped.into_iter();
    scan.skipped = skipped.map(|(path, why)| (within(path), why)).collect();
    scan.withheld = scan.withheld.into_iter().map(within).collect();
    scan
}

/// The real path of a folder, or of the nearest one above it that is there.
fn nearest(folder: &Path) -> Option<PathBuf> {
    let mut above = folder.ancestors();
    above.find_map(|folder| folder.canonicalize().ok())
}

/// A folder at or below `root` that is one of these.
fn find(root: &Path, ids: &HashSet<RootId>) -> Option<PathBuf> {
    let mut seen = HashSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(id) = root_id(&folder) else { continue };
        if ids.contains(&id) {
            return Some(folder);
        }
        if !seen.insert(id) {
            continue;
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(folders.map(|entry| entry.path()));
    }
    None
}

fn errno_of(error: &ScanError) -> SystemError {
    let errno = match error {
        ScanError::RootMissing(_) => Errno::NOENT,
        ScanError::NotAFolder(_) => Errno::NOTDIR,
        ScanError::Unreadable { source, .. } => source
            .raw_os_error()
            .map_or(Errno::IO, Errno::from_raw_os_error),
    };
    SystemError(errno.raw_os_error())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn two() -> (tempfile::TempDir, Roots) {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["oil/a.png", "scans/a.png", "scans/deep/b.png"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, name).expect("file");
        }
        let roots = Roots::new([
            ("oil".into(), dir.path().join("oil")),
            ("ink".into(), dir.path().join("scans")),
        ]);
        (dir, roots)
    }

    fn book(dir: &tempfile::TempDir) -> Book {
        Book::open(Ignore::default(), dir.path(), Duration::ZERO)
    }

    fn files(scan: &Scan) -> Vec<&str> {
        scan.files.keys().filter_map(|path| path.to_str()).collect()
    }

    #[test]
    fn works_of_several_folders_have_their_folders_name_in_front() {
        let (dir, roots) = two();
        let mut book = book(&dir);
        let (scan, rules) = roots.scan(&mut book).expect("scans");
        assert_eq!(files(&scan), ["ink/a.png", "ink/deep/b.png", "oil/a.png"]);
        let look = roots.look(Path::new("ink/deep"), &rules).expect("looks");
        assert_eq!(files(&look), ["ink/deep/b.png"]);
        assert!(look.covers(Path::new("ink/deep/c.png")) && !look.covers(Path::new("oil/a.png")));
        let gone = roots.look(Path::new("other/x.png"), &rules).expect("looks");
        assert!(gone.files.is_empty() && gone.covers(Path::new("other/x.png")));
        let (path, identity) = scan.files.iter().next().expect("a file");
        let read = roots.read_finished(path, identity, 100).expect("reads");
        assert_eq!(read, b"scans/a.png");
        fs::rename(dir.path().join("oil"), dir.path().join("away")).expect("moved");
        let (rest, _) = roots.scan(&mut book).expect("one is left");
        assert_eq!(files(&rest), ["ink/a.png", "ink/deep/b.png"]);
        assert!(!rest.covers(Path::new("oil/a.png")), "unknown, not gone");
        fs::rename(dir.path().join("scans"), dir.path().join("too")).expect("moved");
        assert!(roots.scan(&mut book).is_err());
    }

    #[test]
    fn each_folder_has_patterns_of_its_own() {
        let (dir, roots) = two();
        fs::write(dir.path().join("scans/.mosaicignore"), "a.png\n").expect("file");
        fs::write(dir.path().join("scans/deep/.nomedia"), "").expect("file");
        let mut book = book(&dir);
        let (scan, rules) = roots.scan(&mut book).expect("scans");
        assert_eq!(files(&scan), ["oil/a.png"]);
        for (path, named) in [
            ("ink/a.png", true),
            ("ink/deep/b.png", true),
            ("oil/a.png", false),
            ("ink/.hidden", false),
        ] {
            assert_eq!(rules.name(Path::new(path)), named, "{path}");
        }
        let (_, again) = roots.scan(&mut book).expect("scans");
        assert_eq!(again.digest(), rules.digest());
        fs::write(dir.path().join("scans/.mosaicignore"), "a.png\nb.png\n").expect("file");
        let look = roots.look(Path::new("ink/b.png"), &rules).expect("looks");
        assert!(!look.covers(Path::new("ink/b.png")), "the patterns changed");
        let (_, more) = roots.scan(&mut book).expect("scans");
        assert!(!more.is_empty() && more.digest() != rules.digest());
    }

    #[test]
    fn the_last_good_patterns_hold_across_a_restart() {
        let (dir, roots) = two();
        let ignore = dir.path().join("scans/.mosaicignore");
        fs::write(&ignore, "a.png\n").expect("file");
        let shown = |book: &mut Book| {
            let (scan, rules) = roots.scan(book).expect("scans");
            let files = files(&scan)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>();
            (files, rules.troubles().len())
        };
        let without = vec!["ink/deep/b.png".to_owned(), "oil/a.png".to_owned()];
        assert_eq!(shown(&mut book(&dir)), (without.clone(), 0));
        for bad in [&b"a.png\nEntw\xfcrfe/\n"[..], b"a\\\n", b"", b"x\n"] {
            fs::write(&ignore, bad).expect("file");
            assert_eq!(shown(&mut book(&dir)).0, without, "{bad:?}");
        }
        fs::remove_file(&ignore).expect("removed");
        assert_eq!(shown(&mut book(&dir)), (without.clone(), 1));
        fs::create_dir(&ignore).expect("a folder");
        assert_eq!(shown(&mut book(&dir)), (without, 1));
        // Never understood: nothing in the folder is shown.
        fs::remove_file(dir.path().join("rules")).expect("forgotten");
        assert_eq!(shown(&mut book(&dir)), (vec!["oil/a.png".to_owned()], 1));
    }

    #[test]
    fn descriptions_are_found_in_every_folder_and_are_no_works() {
        let (dir, roots) = two();
        let text = "path,title\na.png,First\n";
        fs::write(dir.path().join("oil").join(DESCRIPTIONS_FILE), text).expect("file");
        let before = roots.tables();
        assert!(matches!(before[..], [Some(_), None]), "{before:?}");
        let (found, wrong) = roots.descriptions(Duration::from_millis(20));
        assert!(wrong.is_empty(), "{wrong:?}");
        let title = found.of("oil/a.png").and_then(|d| d.title.as_deref());
        assert_eq!(title, Some("First"));
        assert!(found.of("ink/a.png").is_none());
        let (scan, _) = roots.scan(&mut book(&dir)).expect("scans");
        assert_eq!(scan.files.len(), 3);
        assert_eq!(roots.tables(), before);
        fs::write(dir.path().join("oil").join(DESCRIPTIONS_FILE), [0xff]).expect("file");
        assert_ne!(roots.tables(), before);
        let (_, wrong) = roots.descriptions(Duration::ZERO);
        assert!(!wrong.is_empty());
    }
}
