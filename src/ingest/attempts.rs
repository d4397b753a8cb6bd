//! The crash-loop guard: a mark on disk while a file is being decoded.
//!
//! A decoder that aborts, or a picture that gets the process killed for its memory, leaves its mark behind; the next
//! start finds it. Marks need no fsync: they guard against a crash of the process, not of the machine.
//!
//! A mark is an empty file `<hash>-<n>` where `n` counts the decodings begun and not ended.

use crate::{disk, domain::ContentHash};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A file whose decoding ended the process this often is left alone.
const LIMIT: u32 = 2;

/// The marks of one state folder.
#[derive(Debug)]
pub struct Attempts {
    folder: PathBuf,
    before: Mutex<HashMap<ContentHash, u32>>,
    suspects: Mutex<()>,
}

/// A decoding that has begun; without [`Attempt::end`] or drop its mark stays.
#[derive(Debug)]
pub struct Attempt<'a> {
    attempts: &'a Attempts,
    hash: ContentHash,
    mark: PathBuf,
    _alone: Option<MutexGuard<'a, ()>>,
}

impl Attempts {
    /// Opens the folder and reads the marks that an earlier process left.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut before = HashMap::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let parsed = name.to_str().and_then(|name| name.split_once('-'));
            let Some((hash, count)) = parsed else {
                continue;
            };
            if let (Ok(hash), Ok(count)) = (hash.parse(), count.parse()) {
                before.insert(hash, count);
            }
        }
        Ok(Self {
            folder: folder.into(),
            before: Mutex::new(before),
            suspects: Mutex::new(()),
        })
    }

    /// Marks the beginning of a decoding; the error is the number of decodings that never ended.
    ///
    /// A mark that cannot be written (disk full) does not keep the file from being decoded.
    pub fn begin(&self, hash: &ContentHash) -> Result<Attempt<'_>, u32> {
        let count_of = || {
            let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            before.get(hash).copied().unwrap_or(0)
        };
        // Suspects are decoded one at a time, so that the innocent ones among them are cleared.
        let alone =
            (count_of() > 0).then(|| self.suspects.lock().unwrap_or_else(PoisonError::into_inner));
        let count = count_of();
        if count >= LIMIT {
            return Err(count);
        }
        let mark = self.folder.join(format!("{hash}-{}", count + 1));
        let written = match count {
            0 => fs::write(&mark, []),
            _ => disk::rename(&self.folder.join(format!("{hash}-{count}")), &mark),
        };
        if let Err(error) = written {
            tracing::debug!(path = %mark.display(), %error, "no mark could be written");
        }
        Ok(Attempt {
            attempts: self,
            hash: *hash,
            mark,
            _alone: alone,
        })
    }
}

impl Attempt<'_> {
    /// The decoding ended, well or not, and the process lives: the mark goes.
    pub fn end(self) {}
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.attempts
            .before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.hash);
        if let Err(error) = fs::remove_file(&self.mark) {
            tracing::debug!(path = %self.mark.display(), %error, "a mark could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_ended_the_process_twice_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (good, bad) = (ContentHash::of(b"good"), ContentHash::of(b"bad"));
        for _ in 0..2 {
            let attempts = Attempts::open(folder.path()).expect("it opens");
            attempts.begin(&good).expect("it may be decoded").end();
            std::mem::forget(attempts.begin(&bad).expect("it may be decoded"));
        }
        let attempts = Attempts::open(folder.path()).expect("it opens");
        assert!(attempts.begin(&good).is_ok());
        assert_eq!(attempts.begin(&bad).expect_err("twice is enough"), 2);
    }
}
