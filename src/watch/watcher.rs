//! Events of the file system, as hints where to look. notify's handler only takes notes; what it noted is coalesced by
//! path and bounded, and turned into [`WatchEvent`]s when the daemon asks.
//!
//! inotify watches folders one by one, so a new folder is blind until its watch is in place: of files made right after
//! `mkdir -p`, 98 % were never reported. A thread here therefore asks notify to watch each new folder and waits until
//! it does; only then the folder is handed out as [`WatchEvent::Subtree`], so that a scan of it misses nothing.
//!
//! What no event tells (a replaced or unmounted root, other machines' writes, writes through a memory map) is left to
//! the periodic scan and to [`super::root_id`].

use super::{DESCRIPTIONS_FILE, IGNORE_FILE, Touch, ignore::is_litter};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread;

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
    /// One of the owner's files about all works changed, [`IGNORE_FILE`] or [`DESCRIPTIONS_FILE`]: scan everything.
    Instructed(PathBuf),
    /// The watcher sees not everything, or nothing any more: scan every few seconds, say so, and start another one
    /// when the cause may be gone.
    Failed(WatchError),
}

/// The folder cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The system's limit on watches is reached.
    #[error("too many folders to watch: raise fs.inotify.max_user_watches")]
    TooManyFolders,
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
}

/// What happened since the daemon asked last.
#[derive(Default)]
struct Notes {
    paths: HashMap<PathBuf, Note>,
    lost: bool,
    /// The owner's files that changed.
    instructed: BTreeSet<&'static str>,
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
    /// Starts watching `root`, an absolute path. `wake` is called, on another thread, when there is something to
    /// [`Watcher::drain`] after there was nothing; it must not block.
    pub fn start(root: &Path, wake: impl Fn() + Send + Sync + 'static) -> Result<Self, WatchError> {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let wake = Arc::new(wake);
        let (new_folder, new_folders) = channel();
        let handler = {
            let (notes, wake, root) = (Arc::clone(&notes), Arc::clone(&wake), root.to_owned());
            move |event| take_note(&root, event, &notes, &*wake, &new_folder)
        };
        let config = Config::default().with_follow_symlinks(false);
        let inner = RecommendedWatcher::new(handler, config).map_err(of_notify)?;
        let inner = Arc::new(Mutex::new(inner));
        watch(&inner, root)?;
        let (weak, root) = (Arc::downgrade(&inner), root.to_owned());
        let watcher = Self {
            notes: Arc::clone(&notes),
            inner: Some(inner),
        };
        let started = thread::Builder::new()
            .name("watch-folders".to_owned())
            .spawn(move || watch_folders(&root, &new_folders, &weak, &notes, &*wake));
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
        events.extend(instructed.map(|name| WatchEvent::Instructed(name.into())));
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

/// notify's handler: takes a note and returns.
fn take_note(
    root: &Path,
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
        let owners = [IGNORE_FILE, DESCRIPTIONS_FILE];
        if let Some(name) = owners.into_iter().find(|name| path == Path::new(name)) {
            note(notes, wake, |notes| {
                notes.instructed.insert(name);
            });
        }
        if path.iter().any(is_litter) {
            continue;
        }
        if matches!(what, Note::Folder | Note::Arrived) {
            // Both wait for the other thread; it fails only when that has ended, with everything else.
            let _ = new_folder.send(path.to_owned());
        } else {
            note(notes, wake, |notes| notes.add(path.to_owned(), what));
        }
    }
}

/// Watches what appeared and hands it out: folders once they are watched, files at once.
fn watch_folders(
    root: &Path,
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
        let watched = watch(&inner, &absolute);
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
            Note::Touched(_) => *entry == Note::Folder,
            // Noted late, by the other thread; somebody may be writing to it again.
            Note::Arrived => *entry == Note::Touched(Touch::Writing),
            _ => false,
        };
        if !says_less || *entry == Note::Removed {
            *entry = note;
        }
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.lost && self.instructed.is_empty() && self.failed.is_none()
    }
}

/// Changes the notes, and wakes the daemon if there were none.
fn note(notes: &Mutex<Notes>, wake: &dyn Fn(), change: impl FnOnce(&mut Notes)) {
    let mut notes = lock(notes);
    let first = notes.is_empty();
    change(&mut notes);
    drop(notes);
    if first {
        wake();
    }
}

/// Has notify watch `path` with everything below; returns when it does.
fn watch(inner: &Mutex<RecommendedWatcher>, path: &Path) -> Result<(), WatchError> {
    // notify panics if its thread died.
    let watched = catch_unwind(AssertUnwindSafe(|| {
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.watch(path, RecursiveMode::Recursive)
    }));
    match watched {
        Ok(watched) => watched.map_err(of_notify),
        Err(_) => Err(WatchError::Died),
    }
}

fn of_notify(error: notify::Error) -> WatchError {
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => WatchError::TooManyFolders,
        _ => WatchError::Notify(error),
    }
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
