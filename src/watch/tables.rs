//! The owner's tables of titles, artists and links: those in the watched folders ([`DESCRIPTIONS_FILE`]), or one that lies
//! elsewhere. Whose tables are read, how much of them, and when they have settled; what they say is `describe`'s.

use super::{
    DESCRIPTIONS_FILE, Roots,
    read::{Small, read_small},
    root::{identity, open_root, speakers},
};
use crate::{
    describe::{self, Descriptions, Mistake},
    domain::FileIdentity,
};
use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

/// A hundred thousand works and more, with room for their titles.
const MAX_TABLE_BYTES: u64 = 32 << 20;
/// A table that is still being written is waited for this long.
const WRITING: Duration = Duration::from_secs(3);

impl Roots {
    /// The identities of the files that [`Roots::descriptions`] reads; `None` where there is none, or it cannot be looked
    /// at.
    pub fn tables(&self) -> Vec<Option<FileIdentity>> {
        if let Some(table) = &self.table {
            return vec![followed(table)];
        }
        let table = |folder: &Path| rustix::fs::lstat(folder.join(DESCRIPTIONS_FILE)).ok();
        self.folders()
            .map(|folder| table(folder).map(|stat| identity(&stat)))
            .collect()
    }

    /// The identities of the rules and the table that lie elsewhere: no event reports their changes.
    pub fn elsewhere(&self) -> Vec<Option<FileIdentity>> {
        let files = [&self.rules, &self.table].into_iter().flatten();
        files.map(|file| followed(file)).collect()
    }

    /// What the owner's files say about the works, and their mistakes. Waits some seconds for a file being written, whose
    /// age is less than `quiet`.
    pub fn descriptions(&self, quiet: Duration) -> (Descriptions, Vec<Mistake>) {
        if let Some(table) = &self.table {
            let file = table.display().to_string();
            let real = table.canonicalize();
            let read = real.and_then(|real| read_settled(&real, quiet));
            let found = read.and_then(|found| found.ok_or(io::ErrorKind::NotFound.into()));
            return match found {
                Ok(small) => described(small, (&file, "")),
                Err(error) => {
                    let mistake = Mistake::unreadable(&file, &error.to_string());
                    (Descriptions::default(), vec![mistake])
                }
            };
        }
        let (mut all, mut mistakes) = (Descriptions::default(), Vec::new());
        for root in self.watched.iter() {
            let file = match root.name.as_os_str().is_empty() {
                true => DESCRIPTIONS_FILE.to_owned(),
                false => format!("{}/{DESCRIPTIONS_FILE}", root.name.display()),
            };
            let speaks = |user| {
                let folder = rustix::fs::stat(&root.folder);
                folder.is_ok_and(|folder| speakers(&folder).contains(&user))
            };
            match read_settled(&root.folder.join(DESCRIPTIONS_FILE), quiet) {
                Ok(None) => {}
                Ok(Some(small)) if !speaks(small.user) => {
                    mistakes.push(Mistake::foreign(&file, small.user));
                }
                Ok(Some(small)) => {
                    let name = root.name.to_str().unwrap_or("");
                    let (found, wrong) = described(small, (&file, name));
                    all.extend(found);
                    mistakes.extend(wrong);
                }
                Err(error) => mistakes.push(Mistake::unreadable(&file, &error.to_string())),
            }
        }
        (all, mistakes)
    }
}

/// The identity of a file; links are followed.
fn followed(file: &Path) -> Option<FileIdentity> {
    rustix::fs::stat(file).ok().map(|stat| identity(&stat))
}

/// What a table says. Of one that is too large the lines that were read count.
fn described(mut small: Small, (file, folder): (&str, &str)) -> (Descriptions, Vec<Mistake>) {
    if !small.whole {
        let end = memchr::memrchr2(b'\n', b'\r', &small.bytes);
        small.bytes.truncate(end.map_or(0, |end| end + 1));
    }
    let (found, mut mistakes) = describe::parse(&small.bytes, file, folder);
    if !small.whole {
        let lines = memchr::memchr_iter(b'\n', &small.bytes).count();
        mistakes.insert(0, Mistake::too_large(file, lines + 1));
    }
    (found, mistakes)
}

/// Reads a table once nothing has been written to it for `quiet`; `None` if there is none.
fn read_settled(path: &Path, quiet: Duration) -> io::Result<Option<Small>> {
    let mut waited = Duration::ZERO;
    while waited < WRITING {
        let changed = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A time in the future tells nothing.
        let age = SystemTime::now().duration_since(changed).ok();
        let Some(rest) = age.and_then(|age| quiet.checked_sub(age)) else {
            break;
        };
        let rest = rest.max(Duration::from_millis(1));
        thread::sleep(rest);
        waited += rest;
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    read_small(&open_root(folder)?, Path::new(name), MAX_TABLE_BYTES)
}
