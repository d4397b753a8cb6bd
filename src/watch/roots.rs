//! The watched folders as one: a single folder, or several whose works' paths begin with their folder's name.
//!
//! Everything that needs to know where a path really is comes through here: scanning, looking, reading, watching, and
//! the owner's small files in a folder ([`IGNORE_FILE`](super::IGNORE_FILE), [`DESCRIPTIONS_FILE`]).
//!
//! Invariant: with several folders, one that cannot be read makes its own works unknown, not gone.

use super::{
    FsKind, Ignore, IgnoreError, ReadError, RootId, Scan, ScanError, SkipReason, WatchError,
    WatchEvent, Watcher, fs_kind,
    read::{read_finished, read_small},
    root::identity,
    root_id, scan_subtree,
};
use crate::{
    describe::{self, Descriptions, Mistake},
    domain::{FileIdentity, OptedOut, SystemError},
};
use rustix::io::Errno;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

/// Name of the file of titles, artists and links in a watched folder.
pub const DESCRIPTIONS_FILE: &str = "artworks.csv";
/// A million works, with room for their titles.
const MAX_DESCRIPTIONS_BYTES: u64 = 256 << 20;
/// A file of descriptions that is still being written is waited for this long.
const WRITING: Duration = Duration::from_secs(3);

/// The watched folders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots(Arc<[Root]>);

#[derive(Clone, Debug)]
struct Root {
    /// First part of its works' paths; empty if it is the only folder.
    name: PathBuf,
    folder: PathBuf,
}

/// The patterns in force, folder by folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules(Arc<[(PathBuf, Ignore)]>);

impl Default for Rules {
    fn default() -> Self {
        Self(Arc::new([(PathBuf::new(), Ignore::default())]))
    }
}

impl Rules {
    /// Whether one of the owner's patterns names the work at `path` or a folder it is in.
    pub fn name(&self, path: &Path) -> bool {
        let mut parts = self.0.iter();
        parts.any(|(name, ignore)| path.strip_prefix(name).is_ok_and(|path| ignore.names(path)))
    }

    /// Whether the file at `path`, or a folder it is in, is left out: by a pattern, or because its name is no artwork's.
    pub fn leave_out(&self, path: &Path) -> bool {
        let mut parts = self.0.iter();
        parts.any(|(name, ignore)| {
            let below = path.strip_prefix(name);
            below.is_ok_and(|path| ignore.leaves_out_any(path, false))
        })
    }

    /// Whether there are no patterns at all.
    pub fn is_empty(&self) -> bool {
        self.0
            .iter()
            .all(|(_, ignore)| ignore.lines().next().is_none())
    }

    /// A digest of the patterns: another one means that they changed.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (name, ignore) in self.0.iter() {
            hasher.update(name.as_os_str().as_encoded_bytes());
            for line in ignore.lines() {
                hasher.update(b"\n").update(line.as_bytes());
            }
            hasher.update(&[0]);
        }
        hasher.finalize().to_hex().to_string()
    }

    fn opted_out(&self) -> OptedOut {
        let rules = self.clone();
        OptedOut::new(move |path| rules.name(path))
    }

    fn of(&self, name: &Path) -> Ignore {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map_or_else(Ignore::default, |(_, ignore)| ignore.clone())
    }
}

impl Roots {
    /// The folders by name; a single one is given the empty name.
    pub fn new(folders: impl IntoIterator<Item = (PathBuf, PathBuf)>) -> Self {
        let root = |(name, folder)| Root { name, folder };
        Self(folders.into_iter().map(root).collect())
    }

    /// The folders on disk.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|root| root.folder.as_path())
    }

    /// The patterns of `base` and of each folder's own file; to be read again before every scan.
    ///
    /// Malformed lines are left out and returned.
    pub fn rules(&self, base: &Ignore) -> (Rules, Vec<IgnoreError>) {
        let mut errors = Vec::new();
        let rules = self.0.iter().map(|root| {
            let (ignore, wrong) = base.with_file(&root.folder);
            errors.extend(wrong);
            (root.name.clone(), ignore)
        });
        (Rules(rules.collect()), errors)
    }

    /// Scans everything.
    ///
    /// # Errors
    /// When no folder at all can be scanned.
    pub fn scan(&self, rules: &Rules) -> Result<Scan, ScanError> {
        let mut whole: Option<Scan> = None;
        let mut failed = None;
        let mut unknown = Vec::new();
        for root in self.0.iter() {
            match self.look_in(root, Path::new(""), rules) {
                Ok(scan) => match &mut whole {
                    None => whole = Some(scan),
                    Some(whole) => {
                        whole.files.extend(scan.files);
                        whole.skipped.extend(scan.skipped);
                    }
                },
                Err(error) => {
                    unknown.push((root.name.clone(), SkipReason::Unreadable(errno_of(&error))));
                    failed.get_or_insert(error);
                }
            }
        }
        match (whole, failed) {
            (Some(mut whole), _) => {
                whole.start = PathBuf::new();
                whole.skipped.extend(unknown);
                Ok(whole)
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
        match self.locate(path) {
            Some((root, rest)) => self.look_in(root, rest, rules),
            // A folder that is not watched any more: nothing is there.
            None => Ok(Scan {
                start: path.to_owned(),
                opted_out: rules.opted_out(),
                ..Scan::default()
            }),
        }
    }

    fn look_in(&self, root: &Root, path: &Path, rules: &Rules) -> Result<Scan, ScanError> {
        let mut scan = scan_subtree(&root.folder, path, &rules.of(&root.name))?;
        scan.opted_out = rules.opted_out();
        if root.name.as_os_str().is_empty() {
            return Ok(scan);
        }
        let within = |path: PathBuf| match path.as_os_str().is_empty() {
            true => root.name.clone(),
            false => root.name.join(path),
        };
        scan.start = within(scan.start);
        scan.files = scan
            .files
            .into_iter()
            .map(|(path, identity)| (within(path), identity))
            .collect();
        let skipped = scan.skipped.into_iter();
        scan.skipped = skipped.map(|(path, why)| (within(path), why)).collect();
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

    /// Whether a folder is on a network file system.
    pub fn any_on_network(&self) -> bool {
        self.folders()
            .any(|folder| matches!(fs_kind(folder), Ok(FsKind::Network)))
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
        self.0
            .iter()
            .map(start)
            .collect::<Result<_, _>>()
            .map(Watchers)
    }

    /// The files that [`Roots::descriptions`] reads, as the file system has them; `None` where there is none, or it cannot
    /// be looked at.
    pub fn tables(&self) -> Vec<Option<FileIdentity>> {
        let table = |folder: &Path| rustix::fs::lstat(folder.join(DESCRIPTIONS_FILE)).ok();
        self.folders()
            .map(|folder| table(folder).map(|stat| identity(&stat)))
            .collect()
    }

    /// What the owner's files say of the works, and their mistakes. Waits some seconds for a file being written, whose
    /// age is less than `quiet`.
    pub fn descriptions(&self, quiet: Duration) -> (Descriptions, Vec<Mistake>) {
        let (mut all, mut mistakes) = (Descriptions::default(), Vec::new());
        for root in self.0.iter() {
            let file = match root.name.as_os_str().is_empty() {
                true => DESCRIPTIONS_FILE.to_owned(),
                false => format!("{}/{DESCRIPTIONS_FILE}", root.name.display()),
            };
            match read_settled(&root.folder, quiet) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    let name = root.name.to_str().unwrap_or("");
                    let (found, wrong) = describe::parse(&bytes, &file, name);
                    all.extend(found);
                    mistakes.extend(wrong);
                }
                Err(error) => mistakes.push(Mistake::unreadable(&file, &error.to_string())),
            }
        }
        (all, mistakes)
    }

    /// The watched folder a path is in, and the path below it.
    fn locate<'a>(&self, path: &'a Path) -> Option<(&Root, &'a Path)> {
        let mut found = self.0.iter();
        found.find_map(|root| Some((root, path.strip_prefix(&root.name).ok()?)))
    }
}

/// Watchers of all folders.
pub struct Watchers(Vec<(PathBuf, Watcher)>);

impl Watchers {
    /// What happened since the last call, as [`Watcher::drain`] says it, with the folders' names in front of the paths.
    pub fn drain(&self) -> Vec<WatchEvent> {
        let events = self.0.iter().flat_map(|(name, watcher)| {
            let events = watcher.drain().into_iter();
            events.map(move |event| match event {
                WatchEvent::Touched { path, touch } => WatchEvent::Touched {
                    path: name.join(path),
                    touch,
                },
                WatchEvent::Removed { path } => WatchEvent::Removed {
                    path: name.join(path),
                },
                WatchEvent::Subtree(path) => WatchEvent::Subtree(name.join(path)),
                WatchEvent::Instructed(path) => WatchEvent::Instructed(name.join(path)),
                other @ (WatchEvent::Lost | WatchEvent::Failed(_)) => other,
            })
        });
        events.collect()
    }

    /// Whether all of them still answer, see [`Watcher::is_alive`].
    pub fn are_alive(&self) -> bool {
        self.0.iter().all(|(_, watcher)| watcher.is_alive())
    }
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

/// Reads the descriptions in a folder once nothing has been written to them for `quiet`; `None` if there are none.
fn read_settled(folder: &Path, quiet: Duration) -> io::Result<Option<Vec<u8>>> {
    let path = folder.join(DESCRIPTIONS_FILE);
    let mut waited = Duration::ZERO;
    while waited < WRITING {
        let changed = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A time in the future tells nothing.
        let age = SystemTime::now().duration_since(changed).ok();
        let Some(rest) = age.and_then(|age| quiet.checked_sub(age)) else {
            break;
        };
        let rest = rest.max(Duration::from_millis(1));
        thread::sleep(rest);
        waited += rest;
    }
    read_small(folder, DESCRIPTIONS_FILE, MAX_DESCRIPTIONS_BYTES)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

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

    fn files(scan: &Scan) -> Vec<&str> {
        scan.files.keys().filter_map(|path| path.to_str()).collect()
    }

    #[test]
    fn works_of_several_folders_have_their_folders_name_in_front() {
        let (dir, roots) = two();
        let (rules, _) = roots.rules(&Ignore::default());
        let scan = roots.scan(&rules).expect("scans");
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
        let rest = roots.scan(&rules).expect("one is left");
        assert_eq!(files(&rest), ["ink/a.png", "ink/deep/b.png"]);
        assert!(!rest.covers(Path::new("oil/a.png")), "unknown, not gone");
        fs::rename(dir.path().join("scans"), dir.path().join("too")).expect("moved");
        assert!(roots.scan(&rules).is_err());
    }

    #[test]
    fn each_folder_has_patterns_of_its_own() {
        let (dir, roots) = two();
        fs::write(dir.path().join("scans/.mosaicignore"), "a.png\ndeep/\n").expect("file");
        let (rules, errors) = roots.rules(&Ignore::default());
        assert!(errors.is_empty());
        assert_eq!(files(&roots.scan(&rules).expect("scans")), ["oil/a.png"]);
        for (path, named) in [
            ("ink/a.png", true),
            ("ink/deep/b.png", true),
            ("oil/a.png", false),
            ("ink/.hidden", false),
        ] {
            assert_eq!(rules.name(Path::new(path)), named, "{path}");
        }
        let (none, _) = roots.rules(&Ignore::default());
        assert_eq!(none.digest(), rules.digest());
        fs::write(dir.path().join("scans/.mosaicignore"), "# a comment\n\n").expect("file");
        let (fewer, _) = roots.rules(&Ignore::default());
        assert!(fewer.is_empty() && fewer.digest() != rules.digest());
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
        let scan = roots.scan(&Rules::default()).expect("scans");
        assert_eq!(scan.files.len(), 3);
        assert_eq!(roots.tables(), before);
        fs::write(dir.path().join("oil").join(DESCRIPTIONS_FILE), [0xff]).expect("file");
        assert_ne!(roots.tables(), before);
        let (_, wrong) = roots.descriptions(Duration::ZERO);
        assert_eq!(wrong.len(), 1);
    }
}
