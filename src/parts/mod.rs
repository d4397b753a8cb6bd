//! Parts of a collection that are embedded elsewhere: folders that `mosaicd embed` fills and `mosaicd import` takes over.
//!
//! The door of the room. A finished folder has
//!
//! | file | what it is |
//! | --- | --- |
//! | `embeddings.npy` | float32, `N × D` |
//! | `items.csv` | `path,hash,model,size,mtime_ns`; line `i` belongs to row `i`, sorted by path |
//! | `refused.csv` | `path,size,mtime_ns,reason`: the files that could not be used |
//! | `cells/`, `large/` | prepared cells and renditions, as the state and the output folder have them |
//! | `SHA256SUMS` | the sums of all these, written last |
//!
//! Until then `unfinished/` holds what is done so far ([`Draft`]): `embeddings.bin`, and `read.csv` with a line for each file,
//! added after its embedding. Both are only added to, and each row and line can be checked by itself, so that a process
//! may end at any moment. As long as `unfinished/` is there, it counts, and not the tables.
//!
//! Deciding which files are embedded, and doing it, is left to the command.
//!
//! Invariants: a part depends on paths and their number alone, so that every machine chooses the same files; a folder
//! with `SHA256SUMS` and without `unfinished/` is whole or can be told not to be.

mod draft;
mod store;
pub mod sums;
mod tables;

pub use draft::{Draft, Known};
pub use store::PartStore;
pub use tables::{Item, Tables};

use crate::npy::NpyError;
use std::{
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The folder of a part that is not finished.
pub const UNFINISHED: &str = "unfinished";
/// The embeddings.
pub const EMBEDDINGS: &str = "embeddings.npy";
/// Their works.
pub const ITEMS: &str = "items.csv";
/// The files that could not be used.
pub const REFUSED: &str = "refused.csv";
/// The sums of all files, written last.
pub const SUMS: &str = "SHA256SUMS";

/// A part cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The system refused.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process fills the folder.
    #[error("{} is being filled by another process", .0.display())]
    Busy(PathBuf),
    /// Not an array.
    #[error("{} is no two-dimensional array of float32 or float16 in NumPy's .npy format", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: NpyError,
    },
    /// A table that cannot be used.
    #[error("{}: {what}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        what: String,
    },
    /// The array and the table are not of one part.
    #[error("{} has {rows} rows and {} has {lines} lines; they belong to different exports", embeddings.display(), items.display())]
    Misfit {
        /// The array.
        embeddings: PathBuf,
        /// Its rows.
        rows: usize,
        /// The table.
        items: PathBuf,
        /// Its lines.
        lines: usize,
    },
}

impl PartError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// One of a number of parts, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    index: u32,
    count: u32,
}

/// Not a part.
#[derive(Debug, thiserror::Error)]
#[error("a part is I/N with 1 ≤ I ≤ N, as 3/8")]
pub struct NotAPart;

impl FromStr for Part {
    type Err = NotAPart;

    fn from_str(text: &str) -> Result<Self, NotAPart> {
        let number = |text: &str| text.parse::<u32>().map_err(|_| NotAPart);
        let (index, count) = text.split_once('/').ok_or(NotAPart)?;
        let (index, count) = (number(index)?, number(count)?);
        match (1..=count).contains(&index) {
            true => Ok(Self { index, count }),
            false => Err(NotAPart),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Part {
    /// Whether the file at a path, as a scan gives it, belongs to this part.
    pub fn has(&self, path: &Path) -> bool {
        let digest = blake3::hash(path.as_os_str().as_bytes());
        let (first, _) = digest.as_bytes().as_chunks::<8>();
        u64::from_le_bytes(first[0]) % u64::from(self.count) == u64::from(self.index - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_one_part_and_parts_are_alike_in_size() {
        for wrong in ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
        let paths: Vec<PathBuf> = (0..4_000)
            .map(|i| format!("{}/{i}.png", i % 7).into())
            .collect();
        let mut owners = vec![0; paths.len()];
        for index in 1..=4 {
            let part: Part = format!("{index}/4").parse().expect("a part");
            assert_eq!(part.to_string(), format!("{index}/4"));
            let mine = paths
                .iter()
                .zip(&mut owners)
                .filter(|(path, _)| part.has(path));
            let count = mine.map(|(_, owner)| *owner += 1).count();
            // Four standard deviations around a quarter.
            assert!((890..=1_110).contains(&count), "{count}");
        }
        assert!(owners.iter().all(|&owners| owners == 1));
    }
}
