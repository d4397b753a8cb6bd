//! Opening the database although it may be damaged: verify it under a time limit, set a damaged one aside, salvage what
//! is good.

use super::{
    Damage, Quarantine,
    engine::Engine,
    fault::{self, Fault},
    rewrite, salvage,
};
use crate::disk;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Opening takes some 60 ms for 20,000 embeddings; sled has been seen to hang over damage.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// A disk this slow still passes.
const SLOWEST_BYTES_PER_S: u64 = 4 << 20;
/// sled lets go of its lock some time after the database was closed.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// Within the set-aside folder: what lay there has been salvaged.
const SALVAGED_MARK: &str = "salvaged";

/// Opens the database in `folder`; if it is damaged, sets it aside and starts a new one with what could be salvaged.
///
/// Only one process may call this for a folder at a time.
pub(super) fn open_or_heal(folder: &Path) -> Result<(Engine, Option<Quarantine>), Fault> {
    disk::make_private(folder)?;
    rewrite::finish(folder)?;
    let (mut engine, reason) = match open_within(folder, open_limit(folder)) {
        Err(Fault::Damaged(reason)) => {
            tracing::error!(path = %folder.display(), error = %Chain(&reason), "the store is damaged and set aside");
            set_aside(folder)?;
            disk::make_private(folder)?;
            (open_within(folder, OPEN_LIMIT)?, Some(reason))
        }
        opened => (opened?, None),
    };
    let Some(moved_to) = quarantines(folder)?.pop() else {
        return Ok((engine, None));
    };
    // An earlier run may have been stopped between setting aside and salvaging.
    if reason.is_none() && moved_to.join(SALVAGED_MARK).exists() {
        return Ok((engine, None));
    }
    let mut salvaged = 0;
    let found = match File::open(moved_to.join("db")) {
        Ok(db) => salvage::search(io::BufReader::new(db), |record| {
            salvaged += 1;
            engine.adopt(&record)
        })?,
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let state_salvaged = found.is_some();
    engine.adopt_state(found)?;
    File::create(moved_to.join(SALVAGED_MARK))?.sync_all()?;
    disk::sync_folder(&moved_to)?;
    tracing::warn!(path = %moved_to.display(), salvaged, state_salvaged, "the store was rebuilt");
    let reason = reason.unwrap_or(Damage::Interrupted);
    let healed = Quarantine {
        moved_to,
        reason,
        salvaged,
        state_salvaged,
    };
    Ok((engine, Some(healed)))
}

/// An error with its causes, in one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

fn open_limit(folder: &Path) -> Duration {
    let bytes = fs::metadata(folder.join("db")).map_or(0, |metadata| metadata.len());
    OPEN_LIMIT + Duration::from_secs(bytes / SLOWEST_BYTES_PER_S)
}

/// Opens and verifies on its own thread, which is abandoned if it does not return.
fn open_within(folder: &Path, limit: Duration) -> Result<Engine, Fault> {
    let started = Instant::now();
    loop {
        let (send, receive) = mpsc::sync_channel(1);
        let owned = folder.to_owned();
        thread::Builder::new()
            .name("store-open".to_owned())
            .spawn(move || {
                let _ = send.send(fault::guarded(&owned, || Engine::open(&owned)));
            })?;
        match receive.recv_timeout(limit) {
            Ok(Err(Fault::Locked)) if started.elapsed() < LOCK_LIMIT => thread::sleep(LOCK_RETRY),
            Ok(opened) => return opened,
            Err(_) if fault::is_full(folder) => return Err(Fault::full()),
            Err(RecvTimeoutError::Timeout) => return Err(Damage::Hung(limit).into()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Damage::Panicked("the opening thread died".to_owned()).into());
            }
        }
    }
}

/// Renames the folder to `<folder>.corrupt-<seconds since 1970>` and removes those set aside before.
fn set_aside(folder: &Path) -> Result<(), Fault> {
    let old = quarantines(folder)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut seconds = now.as_secs();
    // The clock may have gone back; the newest must have the highest number.
    if let Some(newest) = old.iter().filter_map(|path| number(folder, path)).max() {
        seconds = seconds.max(newest.saturating_add(1));
    }
    let mut to = folder.as_os_str().to_owned();
    to.push(format!(".corrupt-{seconds}"));
    disk::rename(folder, Path::new(&to))?;
    for old in old {
        if let Err(error) = fs::remove_dir_all(&old) {
            tracing::warn!(path = %old.display(), %error, "an older damaged store could not be removed");
        }
    }
    folder
        .parent()
        .map_or(Ok(()), |parent| Ok(disk::sync_folder(parent)?))
}

/// Removes every damaged database that was set aside.
pub(super) fn remove_quarantines(folder: &Path) -> io::Result<()> {
    quarantines(folder)?.iter().try_for_each(fs::remove_dir_all)
}

/// The folders that [`set_aside`] made, oldest first.
fn quarantines(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.parent().unwrap_or(folder).read_dir()? {
        let path = entry?.path();
        if let Some(number) = number(folder, &path) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The number in the name of a folder that was set aside.
fn number(folder: &Path, path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix(folder.file_name()?.to_str()?)?;
    rest.strip_prefix(".corrupt-")?.parse().ok()
}
