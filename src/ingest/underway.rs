//! The files that are being decoded, and since when; and why none can be.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What threads that decode tell those who report.
#[derive(Debug, Default)]
pub struct Underway {
    files: Mutex<BTreeMap<PathBuf, Instant>>,
    trouble: Mutex<Option<String>>,
}

impl Underway {
    /// The files that have been underway for longer than `than`, and for how long.
    pub fn longer(&self, than: Duration) -> Vec<(PathBuf, Duration)> {
        let files = lock(&self.files);
        let since = files.iter().map(|(path, since)| (path, since.elapsed()));
        let long = since.filter(|(_, took)| *took > than);
        long.map(|(path, took)| (path.clone(), took)).collect()
    }

    /// Why no file can be decoded at present.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Decoding of a file begins, for the first time or again.
    pub(super) fn begin(&self, path: &Path) {
        lock(&self.files).insert(path.to_owned(), Instant::now());
    }

    /// It has ended.
    pub(super) fn end(&self, path: &Path) {
        lock(&self.files).remove(path);
    }

    /// Decoding works, or does not.
    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
