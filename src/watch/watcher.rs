//! Events of the file system, as hints where to look. notify's handler only records them. The records are bounded and
//! merged by path, and become [`WatchEvent`]s when the daemon asks.
//!
//! inotify watches folders one by one, and reports nothing about a new folder until its watch is in place: of files
//! made right after `mkdir -p`, 98 % were never reported. A thread here therefore asks notify to watch each new folder
//! and waits until it does. Only then is the folder reported as [`WatchEvent::Subtree`], so that a scan of it misses
//! nothing.
//!
//! A folder that may not be read is left alone until its attributes change: folders of mode 0700 are what many sftp users
//! leave behind, and there may be thousands of them.
//!
//! A folder that a scan finds and nothing watches (mounted since, moved in where events were lost) is watched from then
//! on: see [`Watcher::cover`]. What no event tells (a replaced or unmounted root, other machines' writes, writes through a
//! memory map) is left to the periodic scan and to [`super::root_id`].

use super::{
    DESCRIPTIONS_FILE, RootId, Touch,
    book::RULE_FILES,
    litter::is_litter,
    root_id,
    watches::{Watches, watches},
};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::{fs, io, thread};

/// Paths noted at most; beyond it they are dropped for one [`WatchEvent::Lost`]. 100,000 hold some 20 MB.
const MAX_NOTES: usize = 100_000;

/// Something happened. Paths are relative to the artwork folder.
#[derive(Debug)]
pub enum WatchEvent {
    /// To a file, or to what may be one: settle it.
    Touched {
        /// Where.
        path: PathBuf,
        /// What.
        touch: Touch,
    },
    /// A file, or a folder with everything in it, was removed or moved away.
    Removed {
        /// Where it was.
        path: PathBuf,
    },
    /// A folder was made or moved here; it is watched now: scan it.
    Subtree(PathBuf),
    /// Events were lost: scan everything.
    Lost,
    /// An ignore file or [`DESCRIPTIONS_FILE`], which says something about other files, changed: scan everything.
    Instructed {
        /// Which.
        path: PathBuf,
        /// Whether somebody is writing to it: it was not closed since.
        writing: bool,
    },
    /// The watcher misses events, or has stopped: scan every few seconds, report it, and start another one when the
    /// cause may be gone.
    Failed(WatchError),
}

/// The folder cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The system's limit on watches is reached.
    #[error("too many folders to watch: raise fs.inotify.max_user_watches")]
    TooManyFolders,
    /// The system's limit on watchers is reached.
    #[error("too many programs of this user watch folders: raise fs.inotify.max_user_instances")]
    TooManyWatchers,
    /// The system accepted the folder but watches nothing.
    #[error("the system does not watch {}", .0.display())]
    Unwatched(PathBuf),
    /// The artwork folder itself was removed or renamed.
    #[error("the artwork folder was removed or renamed")]
    RootGone,
    /// The watcher's thread died.
    #[error("the watcher's thread died")]
    Died,
    /// The system refused otherwise.
    #[error("the artwork folder cannot be watched")]
    Notify(#[source] notify::Error),
}

/// Watches the artwork folder with everything in it until it is dropped.
pub struct Watcher {
    notes: Arc<Mutex<Notes>>,
    /// `None` only while being dropped.
    inner: Option<Arc<Mutex<RecommendedWatcher>>>,
    /// Passes folders to the thread that watches them.
    new_folder: Sender<PathBuf>,
    /// Folders that [`Watcher::cover`] has passed on before: each is tried once.
    tried: Mutex<HashSet<(PathBuf, RootId)>>,
}

/// Folders that may not be read, relative to the artwork folder.
type Closed = Mutex<HashSet<PathBuf>>;

/// What happened since the daemon asked last.
#[derive(Default)]
struct Notes {
    paths: HashMap<PathBuf, Note>,
    lost: bool,
    /// Files of the owner that changed, and whether they are being written.
    instructed: BTreeMap<PathBuf, bool>,
    failed: Option<WatchError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Note {
    Touched(Touch),
    /// Renamed to here: a file or a folder.
    Arrived,
    Folder,
    Removed,
}

impl Watcher {
    /// Starts watching `root`, an absolute path, which may be a symbolic link: the folder that it points to now is
    /// watched. `wake` is called, on another thread, when there is something to [`Watcher::drain`] after there was
    /// nothing; it must not block.
    ///
    /// # Errors
    /// Also when the system watches nothing though it reports no error.
    pub fn start(root: &Path, wake: impl Fn() + Send + Sync + 'static) -> Result<Self, WatchError> {
        let of_io = |error| of_notify(notify::Error::io(error));
        // notify does not watch what a link points to, and does not say so.
        let root = &root.canonicalize().map_err(of_io)?;
        let notes = Arc::new(Mutex::new(Notes::default()));
        let wake = Arc::new(wake);
        let (new_folder, new_folders) = channel();
        let closed = Arc::new(Closed::default());
        let handler = {
            let closed = Arc::clone(&closed);
            let (notes, wake, root) = (Arc::clone(&notes), Arc::clone(&wake), root.to_owned());
            let new_folder = new_folder.clone();
            move |event| take_note((&root, &closed), event, &notes, &*wake, &new_folder)
        };
        let config = Config::default().with_follow_symlinks(false);
        let inner = RecommendedWatcher::new(handler, config).map_err(of_notify)?;
        let inner = Arc::new(Mutex::new(inner));
        let before = watches();
        watch(&inner, root, Path::new(""), &closed)?;
        if !is_watched(root, before.as_ref()) {
            return Err(WatchError::Unwatched(root.to_owned()));
        }
        let (weak, root) = (Arc::downgrade(&inner), root.to_owned());
        let watcher = Self {
            notes: Arc::clone(&notes),
            inner: Some(inner),
            new_folder,
            tried: Mutex::default(),
        };
        let started = thread::Builder::new()
            .name("watch-folders".to_owned())
            .spawn(move || {
                watch_folders((&root, &closed), &new_folders, &weak, &notes, &*wake);
            });
        started.map_err(|error| WatchError::Notify(notify::Error::io(error)))?;
        Ok(watcher)
    }

    /// What happened since the last call, coalesced by path, in no particular order.
    pub fn drain(&self) -> Vec<WatchEvent> {
        let Notes {
            paths,
            lost,
            instructed,
            failed,
        } = mem::take(&mut *lock(&self.notes));
        let mut events: Vec<_> = failed.map(WatchEvent::Failed).into_iter().collect();
        events.extend(lost.then_some(WatchEvent::Lost));
        let instructed = instructed.into_iter();
        events.extend(instructed.map(|(path, writing)| WatchEvent::Instructed { path, writing }));
        events.extend(paths.into_iter().map(|(path, note)| match note {
            Note::Touched(touch) => WatchEvent::Touched { path, touch },
            Note::Removed => WatchEvent::Removed { path },
            Note::Folder => WatchEvent::Subtree(path),
            Note::Arrived => WatchEvent::Touched {
                path,
                touch: Touch::Closed,
            },
        }));
        events
    }

    /// Watches those of the folders that a scan found which nothing watches yet. Each becomes a [`WatchEvent::Subtree`].
    pub fn cover(&self, folders: &BTreeMap<PathBuf, RootId>) {
        let Some(watched) = watches() else {
            return;
        };
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last: Option<&Path> = None;
        for (path, id) in folders {
            // A folder is watched with everything below, and comes before it.
            if watched.has(id) || last.is_some_and(|last| path.starts_with(last)) {
                continue;
            }
            if tried.insert((path.clone(), *id)) {
                tracing::debug!(path = %path.display(), "a folder was not watched; watching it");
                // It fails only when the thread has ended, with everything else.
                let _ = self.new_folder.send(path.clone());
                last = Some(path);
            }
        }
    }

    /// Whether notify's thread still answers; one that is busy adding watches counts as alive.
    pub fn is_alive(&self) -> bool {
        let Some(inner) = &self.inner else {
            return false;
        };
        let mut inner = match inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Poisoned(inner)) => inner.into_inner(),
        };
        // Says that there is nothing to configure, and goes all the way to the thread and back.
        let asked = catch_unwind(AssertUnwindSafe(|| inner.configure(Config::default())));
        asked.is_ok_and(|answer| answer.is_ok())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // notify panics if its thread died.
        let inner = self.inner.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
    }
}

/// notify's handler: records the event and returns.
fn take_note(
    (root, closed): (&Path, &Closed),
    event: notify::Result<Event>,
    notes: &Mutex<Notes>,
    wake: &dyn Fn(),
    new_folder: &Sender<PathBuf>,
) {
    let event = match event {
        Ok(event) => event,
        Err(error) => return note(notes, wake, |notes| notes.failed = Some(of_notify(error))),
    };
    // Before the paths: an overflow has none.
    if event.need_rescan() {
        return note(notes, wake, |notes| notes.lost = true);
    }
    let what = match event.kind {
        // Our own reading makes events, too.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Note::Touched(Touch::Closed),
        EventKind::Access(_) => return,
        EventKind::Create(CreateKind::Folder) => Note::Folder,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Note::Arrived,
        // From and To came before it.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Note::Removed
        }
        EventKind::Modify(ModifyKind::Metadata(_)) => Note::Touched(Touch::Attributes),
        EventKind::Create(_) => Note::Touched(Touch::Made),
        _ => Note::Touched(Touch::Writing),
    };
    for path in event.paths {
        let Ok(path) = path.strip_prefix(root) else {
            continue;
        };
        if path.as_os_str().is_empty() {
            if what == Note::Removed {
                note(notes, wake, |notes| {
                    notes.failed = Some(WatchError::RootGone)
                });
            }
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let speaks = name.is_some_and(|name| RULE_FILES.contains(&name));
        if speaks || path == Path::new(DESCRIPTIONS_FILE) {
            note(notes, wake, |notes| notes.instruct(path, what));
        }
        if path.iter().any(is_litter) {
            continue;
        }
        let opened = matches!(what, Note::Touched(Touch::Attributes))
            && closed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(path);
        if opened || matches!(what, Note::Folder | Note::Arrived) {
            // Both wait for the other thread; it fails only when that has ended, with everything else.
            let _ = new_folder.send(path.to_owned());
        } else {
            note(notes, wake, |notes| notes.add(path.to_owned(), what));
        }
    }
}

/// Watches what appeared and reports it: folders once they are watched, files at once.
fn watch_folders(
    (root, closed): (&Path, &Closed),
    appeared: &Receiver<PathBuf>,
    inner: &Weak<Mutex<RecommendedWatcher>>,
    notes: &Mutex<Notes>,
    wake: &dyn Fn(),
) {
    while let Ok(path) = appeared.recv() {
        let absolute = root.join(&path);
        let is_folder = absolute
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir());
        if !is_folder {
            // What has vanished since will be looked for, and not be found.
            note(notes, wake, |notes| notes.add(path, Note::Arrived));
            continue;
        }
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let watched = watch(&inner, root, &path, closed);
        let unwatched = watched.err().filter(|_| absolute.exists());
        // The last holder's drop may panic like the watcher's own.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
        note(notes, wake, |notes| {
            notes.add(path, Note::Folder);
            if let Some(error) = unwatched {
                notes.failed = Some(error);
            }
        });
    }
}

impl Notes {
    fn add(&mut self, path: PathBuf, note: Note) {
        if self.paths.len() >= MAX_NOTES && !self.paths.contains_key(&path) {
            self.paths = HashMap::new();
            self.lost = true;
            return;
        }
        let entry = self.paths.entry(path).or_insert(note);
        // What happens within a new folder is found by its scan; attributes say less than anything else.
        let says_less = match note {
            Note::Touched(Touch::Attributes) => true,
            // A name given to a file that somebody still writes to.
            Note::Touched(Touch::Made) => *entry == Note::Touched(Touch::Writing),
            Note::Touched(_) => *entry == Note::Folder,
            // Noted late, by the other thread; somebody may be writing to it again.
            Note::Arrived => *entry == Note::Touched(Touch::Writing),
            _ => false,
        };
        if !says_less || *entry == Note::Removed {
            *entry = note;
        }
    }

    fn instruct(&mut self, path: &Path, note: Note) {
        if self.instructed.len() >= MAX_NOTES {
            self.lost = true;
            return;
        }
        let writing = self.instructed.entry(path.to_owned()).or_default();
        *writing = match note {
            Note::Touched(Touch::Writing | Touch::Made) => true,
            Note::Touched(Touch::Attributes) => *writing,
            _ => false,
        };
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.lost && self.instructed.is_empty() && self.failed.is_none()
    }
}

/// Changes the records, and wakes the daemon if there were none.
fn note(notes: &Mutex<Notes>, wake: &dyn Fn(), change: impl FnOnce(&mut Notes)) {
    let mut notes = lock(notes);
    let first = notes.is_empty();
    change(&mut notes);
    drop(notes);
    if first {
        wake();
    }
}

/// Has notify watch `path` below `root`, with everything below it that may be read; returns when it does.
fn watch(
    inner: &Mutex<RecommendedWatcher>,
    root: &Path,
    path: &Path,
    closed: &Closed,
) -> Result<(), WatchError> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let absolute = match folder.as_os_str().is_empty() {
            true => root.to_owned(),
            false => root.join(&folder),
        };
        // notify would give up at the first folder below that may not be read.
        let watched = watch_one(inner, &absolute);
        let mut refused = closed.lock().unwrap_or_else(PoisonError::into_inner);
        refused.remove(&folder);
        match watched {
            Ok(()) => {}
            // What has vanished meanwhile is no failure, nor what may not be read.
            Err(_) if folder != path && !absolute.is_dir() => continue,
            Err(error) if folder.as_os_str().is_empty() || !is_denied(&error) => return Err(error),
            Err(_) => {
                refused.insert(folder);
                continue;
            }
        }
        drop(refused);
        // Now that it is watched, nothing that comes is missed.
        for entry in fs::read_dir(&absolute).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !is_litter(&entry.file_name()) {
                folders.push(folder.join(entry.file_name()));
            }
        }
    }
    Ok(())
}

fn watch_one(inner: &Mutex<RecommendedWatcher>, folder: &Path) -> Result<(), WatchError> {
    // notify panics if its thread died.
    let watched = catch_unwind(AssertUnwindSafe(|| {
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.watch(folder, RecursiveMode::NonRecursive)
    }));
    match watched {
        Ok(watched) => watched.map_err(of_notify),
        Err(_) => Err(WatchError::Died),
    }
}

fn is_denied(error: &WatchError) -> bool {
    match error {
        WatchError::Notify(error) => match &error.kind {
            notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        },
        _ => false,
    }
}

/// Whether the system watches a folder that it was just asked to watch; `before` are its watches until then.
fn is_watched(folder: &Path, before: Option<&Watches>) -> bool {
    match (before, watches(), root_id(folder)) {
        // Where file systems are stacked, the kernel's own numbers of a folder differ from those that it reports.
        (Some(before), Some(now), Ok(id)) => now.has(&id) || now.count() > before.count(),
        _ => true,
    }
}

fn of_notify(error: notify::Error) -> WatchError {
    let errno = match &error.kind {
        notify::ErrorKind::Io(error) => error.raw_os_error().map(Errno::from_raw_os_error),
        _ => None,
    };
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => WatchError::TooManyFolders,
        _ if errno == Some(Errno::MFILE) => WatchError::TooManyWatchers,
        _ => WatchError::Notify(error),
    }
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
