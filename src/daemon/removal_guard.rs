//! How long an unexplained removal has been held; this is kept across reloads, restarts and the single passes of a cron
//! job.
//!
//! A file in the state folder holds the duration so far, the time when it was written, and which removal it is. Time
//! since then counts too, up to a limit: a machine that was off over the weekend must not start without its mount and
//! find that the grace period is over, and a clock may jump. Another file holds the folders of the works, so that a
//! mount that is lost between two runs is noticed. `plan` decides whether a removal is held and when it takes effect.

use super::wall_ms;
use crate::{
    disk,
    domain::{ContentHash, RootId},
    pipeline::OPT_OUT_HELD,
    plan::{KnownFolders, Plan},
};
use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// Name of the file.
const FILE: &str = "removal-held";
/// Name of the file with the folders of the works.
const FOLDERS: &str = "folders";
/// At most this much of the time in which no daemon ran counts.
const GAP_MS: u64 = 3_600_000;
/// The file is written this often.
const EVERY_MS: u64 = 60_000;

/// The file, and what it says.
pub(super) struct RemovalGuard {
    path: PathBuf,
    /// For how long, as it was written last; `None` if there is nothing to write.
    noted_ms: Option<u64>,
    /// Which removal that was.
    noted: Option<ContentHash>,
    said: bool,
    folders_path: PathBuf,
    folders: KnownFolders,
    /// How many scans had ended when they were kept last.
    scans: u64,
}

impl RemovalGuard {
    /// Reads what an earlier run wrote; the time is for [`Plan::go_on_holding`].
    pub(super) fn open(state: &Path) -> (Self, u64) {
        let path = state.join(FILE);
        let text = fs::read_to_string(&path).ok();
        let held_ms = text.as_deref().map(|text| held_ms(text, wall_ms()));
        let guard = Self {
            path,
            noted_ms: held_ms,
            noted: None,
            said: false,
            folders: read_folders(&state.join(FOLDERS)),
            folders_path: state.join(FOLDERS),
            scans: 0,
        };
        (guard, held_ms.unwrap_or(0))
    }

    /// The folders of the placed works, as an earlier run wrote them; for [`Plan::remember_folders`].
    pub(super) fn folders(&self) -> &KnownFolders {
        &self.folders
    }

    fn keep_folders(&mut self, plan: &Plan) {
        // Nothing but a scan changes them, and they may be many.
        if std::mem::replace(&mut self.scans, plan.scans()) == plan.scans()
            || *plan.folders() == self.folders
        {
            return;
        }
        self.folders = plan.folders().clone();
        let line = |(path, id): (&PathBuf, &RootId)| {
            let path = path.as_os_str().as_bytes();
            let path: String = path.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} {} {path}\n", id.dev, id.ino)
        };
        let text: String = self.folders.iter().map(line).collect();
        if let Err(error) = disk::replace_durably(&self.folders_path, &text) {
            tracing::debug!(%error, path = FOLDERS, "cannot be written; a restart cannot tell which mounts are lost");
        }
    }

    /// Brings the file into step with the plan; at once at the `end` of a run.
    pub(super) fn keep(&mut self, plan: &Plan, end: bool) {
        if let (Some(held), false) = (plan.held(), self.said) {
            self.said = true;
            tracing::error!(
                artworks = held.missing,
                "artworks vanished at once, and no deletion was seen; the last good mosaic stays: bring them \
                 back (a lost mount?), or run `mosaicd confirm-removal`"
            );
        }
        self.keep_folders(plan);
        let digest = plan.held().map(|held| held.digest);
        let same = self.noted == digest;
        let kept = match (plan.held_ms(), self.noted_ms) {
            (Some(held_ms), Some(noted_ms))
                if !end && same && held_ms < noted_ms.saturating_add(EVERY_MS) =>
            {
                return;
            }
            (Some(held_ms), _) => {
                (self.noted_ms, self.noted) = (Some(held_ms), digest);
                let digest = digest.map_or(String::new(), |digest| digest.to_string());
                disk::replace_durably(&self.path, &format!("{held_ms} {} {digest}\n", wall_ms()))
            }
            (None, Some(_)) if plan.holds_nothing() => {
                (self.noted_ms, self.said) = (None, false);
                fs::remove_file(&self.path)
            }
            (None, _) => return,
        };
        if let Err(error) = kept {
            tracing::debug!(%error, path = FILE, "cannot be written; a restart starts the grace period again");
        }
    }
}

/// Which removal or mass opt-out is held, read from the state folder by other commands; `None` if none is.
pub fn held_removal(state: &Path) -> Option<String> {
    let held = fs::read_to_string(state.join(FILE)).ok();
    let held = held.and_then(|text| text.split_ascii_whitespace().nth(2).map(str::to_owned));
    held.or_else(|| held_opt_out(state).map(|(digest, _)| digest))
}

/// Which mass opt-out is not erased yet, and of how many works; `None` if none is.
pub(super) fn held_opt_out(state: &Path) -> Option<(String, usize)> {
    let text = fs::read_to_string(state.join(OPT_OUT_HELD)).ok()?;
    let (digest, works) = text.trim().split_once(' ')?;
    Some((digest.to_owned(), works.parse().ok()?))
}

fn read_folders(path: &Path) -> KnownFolders {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let mut fields = line.split(' ');
        let (dev, ino) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let digits = fields.next()?.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let path: Vec<u8> = digits.map(byte).collect::<Option<_>>()?;
        Some((OsString::from_vec(path).into(), RootId { dev, ino }))
    };
    KnownFolders::new(text.lines().filter_map(line))
}

/// For how long: the duration in the file and the time since; a damaged text counts as now.
fn held_ms(text: &str, wall_ms: u64) -> u64 {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(held_ms)), Some(Ok(noted_ms))) => {
            held_ms.saturating_add(wall_ms.saturating_sub(noted_ms).min(GAP_MS))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nobody_looked_counts_up_to_a_limit() {
        assert_eq!(held_ms("5000 100\n", 700), 5_600);
        assert_eq!(held_ms("5000 100\n", 50), 5_000, "the clock went back");
        assert_eq!(held_ms("5000 100\n", u64::MAX), 5_000 + GAP_MS);
        assert_eq!(held_ms("", 50), 0);
        assert_eq!(held_ms("x 100", 50), 0);
        assert_eq!(held_ms("18446744073709551615 1", 50), u64::MAX);
    }
}
