//! The one place that decides what an error of the database means: damage, lack of space, a held lock, or plain I/O.
//!
//! The two mistakes have different costs. Damage mistaken for an I/O error is reported until a person looks; an I/O
//! error mistaken for damage discards a good store. So only what cannot come from a healthy disk counts as damage.

use super::{StateDamage, StoreError, record::RecordDamage};
use std::any::Any;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{path::Path, time::Duration};

/// What is wrong with a damaged store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The database itself noticed.
    #[error("the database reports damage")]
    Database(#[source] sled::Error),
    /// The database panicked over what it read.
    #[error("the database panicked: {0}")]
    Panicked(String),
    /// The database did not return in time.
    #[error("the database did not open within {} s", .0.as_secs())]
    Hung(Duration),
    /// A record of an embedding is not what was stored.
    #[error("an embedding is damaged")]
    Record(#[source] RecordDamage),
    /// The placed state is not what was saved.
    #[error("the placed state is damaged")]
    State(#[source] StateDamage),
    /// The store's own version mark is missing or another.
    #[error("the store's version mark is missing or another")]
    Schema,
    /// It was set aside by an earlier run that was stopped before it could salvage.
    #[error("an earlier run set it aside")]
    Interrupted,
}

/// An error of the database, classified.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(Damage),
    Full(io::Error),
    Io(io::Error),
    /// Somebody has the database open.
    Locked,
}

impl Fault {
    /// No space, where the system's own error is not at hand.
    pub(super) fn full() -> Self {
        Self::Full(ErrorKind::StorageFull.into())
    }

    /// The error as the room reports it.
    pub(super) fn at(self, folder: &Path) -> StoreError {
        let folder = folder.to_owned();
        match self {
            Self::Damaged(source) => StoreError::Damaged { folder, source },
            Self::Full(source) => StoreError::Full { folder, source },
            Self::Io(source) => StoreError::Io { folder, source },
            Self::Locked => StoreError::Locked { folder, pid: None },
        }
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full(error)
            }
            _ => Self::Io(error),
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        let sled::Error::Io(error) = error else {
            return Damage::Database(error).into();
        };
        match error.kind() {
            // sled 0.34.7 wraps a failed flock in text: "could not acquire lock on ...: Os { .. WouldBlock .. }".
            ErrorKind::Other
                if error.to_string().starts_with("could not acquire lock")
                    && error.to_string().contains("WouldBlock") =>
            {
                Self::Locked
            }
            // A pointer past the end of the file, before its start, or to a value's own file that is not there:
            // sled opened all of them itself, so none can come from the system.
            ErrorKind::UnexpectedEof
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::NotFound => Damage::Database(sled::Error::Io(error)).into(),
            _ => error.into(),
        }
    }
}

/// Runs `work` on the database in `folder` and turns a panic in it into a fault.
///
/// sled panics over damage, but here and there also over an error of the system; the panic's text and a look at the
/// free space distinguish them.
pub(super) fn guarded<R>(
    folder: &Path,
    work: impl FnOnce() -> Result<R, Fault>,
) -> Result<R, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(of_panic(folder, &*panic)))
}

fn of_panic(folder: &Path, panic: &(dyn Any + Send)) -> Fault {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no text)");
    let full = [
        "StorageFull",
        "No space left",
        "QuotaExceeded",
        "Disk quota",
    ];
    let denied = [
        "PermissionDenied",
        "Permission denied",
        "ReadOnlyFilesystem",
        "Input/output error",
    ];
    if full.iter().any(|mark| text.contains(mark)) || is_full(folder) {
        Fault::full()
    } else if denied.iter().any(|mark| text.contains(mark)) {
        Fault::Io(io::Error::other(text.to_owned()))
    } else {
        Damage::Panicked(text.chars().take(300).collect()).into()
    }
}

/// Whether less than one segment of the database (512 KiB) fits on the disk: then no symptom counts as damage.
pub(super) fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder)
        .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < 512 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(code: i32) -> Fault {
        sled::Error::Io(io::Error::from_raw_os_error(code)).into()
    }

    #[test]
    fn errors_of_the_system_are_never_damage() {
        use rustix::io::Errno;
        for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert!(matches!(os(full.raw_os_error()), Fault::Full(_)), "{full}");
        }
        let errors = [
            Errno::IO,
            Errno::ACCESS,
            Errno::PERM,
            Errno::ROFS,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::STALE,
            Errno::TIMEDOUT,
            Errno::INTR,
            Errno::NOTCONN,
            Errno::NXIO,
        ];
        for error in errors {
            assert!(matches!(os(error.raw_os_error()), Fault::Io(_)), "{error}");
        }
    }

    #[test]
    fn what_sled_finds_in_its_own_files_is_damage() {
        let corrupt = sled::Error::Corruption { at: None, bt: () };
        assert!(matches!(corrupt.into(), Fault::Damaged(_)));
        let eof = sled::Error::Io(ErrorKind::UnexpectedEof.into());
        assert!(matches!(eof.into(), Fault::Damaged(_)));
        let here = std::env::temp_dir();
        let panic = guarded(&here, || -> Result<(), Fault> {
            panic!("tried to serialize Uninitialized")
        });
        assert!(
            matches!(panic, Err(Fault::Damaged(Damage::Panicked(text))) if text.contains("Uninit"))
        );
    }

    #[test]
    fn a_panic_over_a_full_disk_is_not_damage() {
        let here = std::env::temp_dir();
        let panic = guarded(&here, || -> Result<(), Fault> {
            panic!(
                "called `Result::unwrap()` on an `Err` value: Io(Custom {{ kind: StorageFull }})"
            )
        });
        assert!(matches!(panic, Err(Fault::Full(_))));
    }
}
