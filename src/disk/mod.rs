//! How files are made: written under another name, flushed, renamed into place.
//!
//! The only room that renames. A file that others may read is never written under its own name, because a crash or a
//! full disk would leave a torn one. The other rooms decide which files there are and in which order they appear; they
//! also delete files.
//!
//! | file | owns |
//! | --- | --- |
//! | `flush` | making many files durable at once |
//! | `step` | the kinds of steps, and the hook with which a test stops one of them |
//!
//! Invariants: a reader at any moment, a crash included, finds the old file or the new one. After [`replace_durably`]
//! and [`keep`] a power cut changes nothing; after [`replace`] it may leave the old file, or an empty or torn new one
//! on some file systems, so use it only for content that is checked when it is read, or that nobody misses.
#![allow(
    clippy::disallowed_methods,
    reason = "this is the room that may rename"
)]

mod flush;
mod step;

pub use flush::{flush, syncfs_flushes};
pub use step::{Action, Failpoint, Step};

use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

/// Renames a file or folder; a file at `to` is replaced. Not durable before [`sync_folder`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Exchanges two files or folders of one file system in one step. Not durable before [`sync_folder`].
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Makes a folder and its missing parents, for this user alone. One that is there keeps its rights.
pub fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// The sha256 of a file from where it stands, in hexadecimal digits.
pub fn sha256(file: &mut File) -> io::Result<String> {
    let mut sum = Sha256::new();
    in_pieces(file, |piece| sum.update(piece))?;
    Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Gives what is left to read to `take`, piece by piece; says how many bytes that was.
pub fn in_pieces(reader: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                take(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Replaces the file at `path` by one that holds `bytes`, written as `draft` first, which must lie on the same file
/// system. A failure removes the draft and leaves the old file. Not durable.
pub fn replace(path: &Path, draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = File::create(draft).and_then(|mut file| file.write_all(bytes));
    put_in_place(draft, path, written)
}

/// Gives a written file its name, durably: flushes it, renames `draft` to `path`, and flushes the folder.
pub fn keep(file: &File, draft: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(draft, path)?;
    match path.parent() {
        // A bare file name lies in the current folder.
        Some(folder) if folder.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Replaces the file at `path` by one that holds `text`, whole and durable when it returns. Leaves alone what holds
/// `text` already.
pub fn replace_durably(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    keep(&file, &draft, path)
}

/// What a folder holds; nothing where there is no such folder.
pub fn list(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        listed => listed,
    }
}

/// Name of a temporary file of this process; it lies in its target's folder.
pub fn temporary(sequence: u64) -> String {
    format!(".mosaicd-{}-{sequence}.tmp", std::process::id())
}

/// Whether a name can have come from [`temporary`], in this process or an earlier one.
pub fn is_temporary(name: &str) -> bool {
    let number = |text: &str| text.parse().is_ok_and(|n: u64| n.to_string() == text);
    name.strip_prefix(".mosaicd-")
        .and_then(|rest| rest.strip_suffix(".tmp"))
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(process, sequence)| number(process) && number(sequence))
}

fn put_in_place(draft: &Path, path: &Path, written: io::Result<()>) -> io::Result<()> {
    written
        .and_then(|()| fs::rename(draft, path))
        .inspect_err(|_| {
            // The disk may be full: what can be given back is. The draft may not exist; the first error matters.
            if let Err(error) = fs::remove_file(draft) {
                tracing::debug!(%error, path = %draft.display(), "could not remove a temporary file");
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_failure_leaves_the_old_one_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        replace(&at("a"), &at("a.part"), b"old").expect("replaced");
        replace_durably(&at("b"), "old").expect("replaced");
        replace_durably(&at("b"), "new").expect("replaced");
        assert_eq!(names(dir.path()), ["a", "b"]);
        assert_eq!(fs::read(at("b")).expect("there"), b"new");
        // A folder cannot be replaced by a file.
        fs::create_dir_all(at("c/d")).expect("a folder");
        assert!(replace(&at("c"), &at("c.part"), b"new").is_err());
        assert!(replace(&at("a"), &at("none/a.part"), b"new").is_err());
        assert_eq!(names(dir.path()), ["a", "b", "c"]);
        assert_eq!(fs::read(at("a")).expect("there"), b"old");
    }

    #[test]
    fn only_names_of_ours_are_temporary() {
        assert!(is_temporary(&temporary(7)));
        for other in [
            ".mosaicd-notes.tmp",
            ".mosaicd-1-02.tmp",
            ".mosaicd-1-2",
            "mosaicd-1-2.tmp",
            ".mosaicd-1-+2.tmp",
        ] {
            assert!(!is_temporary(other), "{other}");
        }
    }

    #[test]
    fn two_folders_change_places() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/one")).expect("a folder");
        fs::create_dir_all(at("b/two")).expect("a folder");
        exchange(&at("a"), &at("b")).expect("exchanged");
        assert_eq!(
            (names(&at("a")), names(&at("b"))),
            (vec!["two".to_owned()], vec!["one".to_owned()])
        );
        assert!(exchange(&at("a"), &at("none")).is_err());
    }
}
