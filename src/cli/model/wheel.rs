//! Taking the native library out of onnxruntime's Python wheel, which is a zip archive.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};
use zip::{ZipArchive, result::ZipError};

/// The largest library that is believed, bytes: thirty times the one of 2026.
const LARGEST: u64 = 1 << 30;

/// The library could not be taken out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WheelError {
    /// The archive is damaged or lacks the library.
    #[error("{path} does not hold {member}: {source}", path = path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The library's path in it.
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

/// Writes `member` of the archive to `target`, which takes its name when it is whole.
pub(crate) fn take_out(wheel: &Path, member: &str, target: &Path) -> Result<(), WheelError> {
    let disk = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WheelError::Disk { path, source }
    };
    let archive = |source| WheelError::Archive {
        path: wheel.to_path_buf(),
        member: member.to_owned(),
        source,
    };
    let file = BufReader::new(File::open(wheel).map_err(disk(wheel))?);
    let mut zip = ZipArchive::new(file).map_err(archive)?;
    let library = zip.by_name(member).map_err(archive)?;
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut out = File::create(&part).map_err(disk(&part))?;
    // The reader checks the archive's own sum at the end.
    let mut library = library.take(LARGEST);
    let folder = target.parent().unwrap_or(Path::new("."));
    io::copy(&mut library, &mut out)
        .and_then(|_| out.sync_all())
        .and_then(|()| fs::rename(&part, target))
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(disk(&part))
}
