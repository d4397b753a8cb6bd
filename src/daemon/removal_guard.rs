//! How long an unexplained removal has been held, kept across reloads, restarts and the single passes of a cron job.
//!
//! A file in the state folder holds two numbers: for how long, and when that was noted. What passed since counts too,
//! up to a limit: a machine that was off over the weekend must not come back without its mount and find the grace over,
//! and a clock may jump. Whether a removal is held, and believed, is `plan`'s.

use super::wall_ms;
use crate::{plan::Plan, store::write_small};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Name of the file.
const FILE: &str = "removal-held";
/// Of the time in which nobody looked, this much counts.
const GAP_MS: u64 = 3_600_000;
/// The file is written this often.
const EVERY_MS: u64 = 60_000;

/// The file, and what it says.
pub(super) struct RemovalGuard {
    path: PathBuf,
    /// For how long, as it was noted last; `None` if there is nothing to note.
    noted_ms: Option<u64>,
    said: bool,
}

impl RemovalGuard {
    /// Reads what an earlier run noted; the time is for [`Plan::go_on_holding`].
    pub(super) fn open(state: &Path) -> (Self, u64) {
        let path = state.join(FILE);
        let text = fs::read_to_string(&path).ok();
        let held_ms = text.as_deref().map(|text| held_ms(text, wall_ms()));
        let guard = Self {
            path,
            noted_ms: held_ms,
            said: false,
        };
        (guard, held_ms.unwrap_or(0))
    }

    /// Brings the file into step with the plan; at once at the `end` of a run.
    pub(super) fn keep(&mut self, plan: &Plan, end: bool) {
        if let (Some(held), false) = (plan.held(), self.said) {
            self.said = true;
            tracing::error!(
                artworks = held.missing,
                "artworks vanished at once, and nobody was seen to delete them; the last good mosaic stays: bring them \
                 back (a lost mount?), or run `mosaicd confirm-removal`"
            );
        }
        let kept = match (plan.held_ms(), self.noted_ms) {
            (Some(held_ms), Some(noted_ms))
                if !end && held_ms < noted_ms.saturating_add(EVERY_MS) =>
            {
                return;
            }
            (Some(held_ms), _) => {
                self.noted_ms = Some(held_ms);
                write_small(&self.path, &format!("{held_ms} {}\n", wall_ms()))
            }
            (None, Some(_)) if plan.holds_nothing() => {
                (self.noted_ms, self.said) = (None, false);
                fs::remove_file(&self.path)
            }
            (None, _) => return,
        };
        if let Err(error) = kept {
            tracing::debug!(%error, path = FILE, "cannot be written; a restart starts the grace again");
        }
    }
}

/// For how long, by what was noted and the time since; a damaged text counts as now.
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
