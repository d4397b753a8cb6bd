//! One mosaicd at a time publishes to an output folder: it holds a lock file there, which names the holder.
//!
//! The lock is a flock(2): it ends with the process, however the process ends. Where the file system has no locks,
//! nothing is locked and nothing refused. Within one process several publishers may open a folder.

use super::PublishError;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Name of the lock file.
const FILE: &str = ".mosaicd.lock";
/// Identifies this process among all others, including those of other hosts and containers.
static SELF: LazyLock<String> = LazyLock::new(|| {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    format!("{} {}", std::process::id(), random.trim())
});

/// The lock; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// `None` where the file system does not support locks.
    file: Option<File>,
}

impl Lock {
    /// Takes the lock of a folder.
    ///
    /// # Errors
    /// [`PublishError::Held`] if another process holds it.
    pub(super) fn take(folder: &Path) -> Result<Self, PublishError> {
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(0o600).custom_flags(super::files::NO_FOLLOW);
        let mut file = match options.open(&path) {
            Ok(file) => file,
            // What is wrong with the folder is told when it is written to.
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "the lock file could not be made");
                return Ok(Self { path, file: None });
            }
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let host = rustix::system::uname()
                    .nodename()
                    .to_string_lossy()
                    .into_owned();
                let text = format!("{} {host}\n", *SELF);
                let written = file
                    .set_len(0)
                    .and_then(|()| file.write_all(text.as_bytes()));
                if let Err(error) = written {
                    tracing::debug!(path = %path.display(), %error, "the lock does not say who holds it");
                }
                let file = Some(file);
                Ok(Self { path, file })
            }
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = (&mut file).take(1_000).read_to_string(&mut text);
                if text.starts_with(&*SELF) {
                    return Ok(Self { path, file: None });
                }
                let mut words = text.split_ascii_whitespace();
                let (pid, host) = (words.next(), words.nth(1));
                let holder = match (pid, host) {
                    (Some(pid), Some(host)) => format!("process {pid} on {host}"),
                    _ => "its process is not known".to_owned(),
                };
                Err(PublishError::Held {
                    path: folder.to_owned(),
                    holder,
                })
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "the file system does not support locks");
                Ok(Self { path, file: None })
            }
        }
    }

    /// Whether the lock file is still the one that was locked.
    pub(super) fn holds(&self) -> bool {
        let Some(file) = &self.file else { return true };
        match (file.metadata(), fs::symlink_metadata(&self.path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
}
