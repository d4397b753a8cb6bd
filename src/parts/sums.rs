//! `SHA256SUMS`: the sums of all files of a finished part, as `sha256sum -c` reads them.

use super::{EMBEDDINGS, ITEMS, PartError, REFUSED, SUMS};
use crate::disk;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Component, Path},
};

/// The folders of pictures.
const FOLDERS: [&str; 2] = ["cells", "large"];

/// The sha256 of a file, in hexadecimal digits.
pub fn of(path: &Path) -> io::Result<String> {
    disk::sha256(&mut File::open(path)?)
}

/// Writes the sums of everything that is in a part's folder.
pub(super) fn write(folder: &Path) -> Result<(), PartError> {
    let (draft, path) = (folder.join("SHA256SUMS.new"), folder.join(SUMS));
    let file = File::create(&draft).map_err(PartError::io(&draft))?;
    let mut out = BufWriter::new(&file);
    for name in [EMBEDDINGS, ITEMS, REFUSED] {
        add(folder, name, &mut out)?;
    }
    for name in FOLDERS {
        add_below(folder, name, &mut out)?;
    }
    out.flush().map_err(PartError::io(&draft))?;
    drop(out);
    disk::keep(&file, &draft, &path).map_err(PartError::io(&path))
}

/// Adds the files of a folder and of those in it, in the order of their names.
fn add_below(folder: &Path, name: &str, out: &mut impl Write) -> Result<(), PartError> {
    let at = folder.join(name);
    let mut entries = disk::list(&at).map_err(PartError::io(&at))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(PartError::io(&at))?;
        let below = entry.file_name();
        // Every name of ours is plain text.
        let Some(below) = below.to_str() else {
            continue;
        };
        let below = format!("{name}/{below}");
        match kind.is_dir() {
            true => add_below(folder, &below, out)?,
            false => add(folder, &below, out)?,
        }
    }
    Ok(())
}

fn add(folder: &Path, name: &str, out: &mut impl Write) -> Result<(), PartError> {
    let path = folder.join(name);
    let sum = of(&path).map_err(PartError::io(&path))?;
    writeln!(out, "{sum}  {name}").map_err(PartError::io(&path))
}

/// The files of a finished part that are missing or are not as they were, by their paths in its folder.
///
/// # Errors
/// If there are no sums, or they cannot be read.
pub fn damaged(folder: &Path) -> Result<Vec<String>, PartError> {
    damaged_of(folder, |_| true)
}

/// The same of the tables alone.
pub(super) fn damaged_tables(folder: &Path) -> Result<Vec<String>, PartError> {
    damaged_of(folder, |name| !name.contains('/'))
}

fn damaged_of(folder: &Path, of_interest: impl Fn(&str) -> bool) -> Result<Vec<String>, PartError> {
    let path = folder.join(SUMS);
    let file = File::open(&path).map_err(PartError::io(&path))?;
    let mut damaged = Vec::new();
    let mut tables = vec![EMBEDDINGS, ITEMS, REFUSED];
    for line in BufReader::new(file).lines() {
        let line = line.map_err(PartError::io(&path))?;
        let Some((sum, name)) = line.split_once("  ") else {
            damaged.push(line);
            continue;
        };
        tables.retain(|table| *table != name);
        let mut steps = Path::new(name).components();
        let within = steps.all(|step| matches!(step, Component::Normal(_)));
        let whole = || of(&folder.join(name)).is_ok_and(|found| found == sum);
        if of_interest(name) && !(within && whole()) {
            damaged.push(name.to_owned());
        }
    }
    // A table whose line is lost cannot be told to be whole.
    damaged.extend(tables.into_iter().map(str::to_owned));
    Ok(damaged)
}
