//! The verdict of `mosaicd status --check`, for cron, Nagios and containers: whether everything is fine, and if not,
//! why.
//!
//! Pure: the time is an argument. A picture that cannot be used does not count: broken uploads happen every day, and
//! `status` names them.

use super::{
    escape::escaped,
    status::{Kind, Life, Status},
};

/// Files and folders named at most, of each kind; the rest is counted.
const NAMED: usize = 5;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing needs a human.
    Fine(String),
    /// The daemon runs, and something needs a human: one line per cause.
    Attention(Vec<String>),
    /// It does not run, or its status is too old to say so.
    Down(String),
}

impl Verdict {
    /// The exit code: 0 fine, 1 needs attention, 2 not running or stale.
    pub fn code(&self) -> u8 {
        match self {
            Self::Fine(_) => 0,
            Self::Attention(_) => 1,
            Self::Down(_) => 2,
        }
    }

    /// What to print, one line each.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Fine(text) => vec![format!("ok: {text}")],
            Self::Attention(causes) => causes.iter().map(|c| format!("attention: {c}")).collect(),
            Self::Down(text) => vec![format!("down: {text}")],
        }
    }
}

/// Judges a status at `now_ms`. Files may wait `patience_ms` for a generation that shows them.
pub fn check(status: &Status, life: Life, now_ms: u64, patience_ms: u64) -> Verdict {
    let seconds = now_ms.abs_diff(status.updated_ms) / 1000;
    match life {
        Life::Stopped => {
            return Verdict::Down(format!(
                "not running: it ended in good order {seconds} s ago; systemctl start mosaicd"
            ));
        }
        Life::Silent => {
            return Verdict::Down(format!(
                "not running: killed or hung, last heard of {seconds} s ago; see journalctl -u mosaicd"
            ));
        }
        Life::Hung => {
            return Verdict::Down(format!(
                "process {} hangs, or cannot write its status (a full disk?); last heard of {seconds} s ago; see \
                 journalctl -u mosaicd",
                status.pid
            ));
        }
        Life::Running => {}
    }
    let mut causes: Vec<String> = status
        .degraded
        .iter()
        .map(|condition| {
            let what = escaped(&condition.what);
            match condition.what_to_do.as_str() {
                "" => what.to_string(),
                advice => format!("{what}; {}", escaped(advice)),
            }
        })
        .collect();
    causes.extend(named(status, Kind::Unreadable, status.counts.unreadable));
    causes.extend(named(status, Kind::Mistake, status.counts.mistakes));
    causes.extend(late(status, now_ms, patience_ms));
    match causes.is_empty() {
        false => Verdict::Attention(causes),
        true => Verdict::Fine(format!(
            "generation {}, {} works, {} pending, {} failed",
            status.generation, status.counts.works, status.counts.pending, status.counts.failed
        )),
    }
}

/// A line for each of the first failures of a kind, and one for how many more there are.
fn named(status: &Status, kind: Kind, count: u64) -> Vec<String> {
    let of_kind = || status.failures.iter().filter(|f| f.kind == kind);
    let mut lines: Vec<String> = of_kind()
        .take(NAMED)
        .map(|f| format!("{}: {}", escaped(&f.path), escaped(&f.reason)))
        .collect();
    let more = count
        .max(of_kind().count() as u64)
        .saturating_sub(NAMED as u64);
    if more > 0 {
        lines.push(format!("and {more} more of this kind; see mosaicd status"));
    }
    lines
}

/// Files wait, and neither they nor the last generation are newer than `patience_ms`.
fn late(status: &Status, now_ms: u64, patience_ms: u64) -> Option<String> {
    let since_ms = status
        .pending_since_ms?
        .max(status.published_ms.unwrap_or(0));
    let waited_ms = now_ms.saturating_sub(since_ms);
    (waited_ms > patience_ms).then(|| {
        format!(
            "{} files have been waiting for {} min, and no generation was published since",
            status.counts.pending,
            waited_ms / 60_000
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::status::{Condition, Counts, Failure};
    use super::*;

    const NOW: u64 = 100_000_000;
    const PATIENCE: u64 = 30 * 60_000;

    fn fine() -> Status {
        Status {
            updated_ms: NOW,
            generation: 7,
            published_ms: Some(NOW - 80_000_000),
            counts: Counts {
                works: 12,
                failed: 3,
                ..Counts::default()
            },
            failures: vec![Failure {
                path: "broken.png".into(),
                reason: "no picture".into(),
                ..Failure::default()
            }],
            ..Status::default()
        }
    }

    fn running(status: &Status) -> Verdict {
        check(status, Life::Running, NOW, PATIENCE)
    }

    #[test]
    fn broken_uploads_and_an_old_mosaic_are_fine() {
        let verdict = running(&fine());
        assert_eq!(verdict.code(), 0);
        assert_eq!(
            verdict.lines(),
            ["ok: generation 7, 12 works, 0 pending, 3 failed"]
        );
    }

    #[test]
    fn a_dead_daemon_is_down_whatever_else_there_is() {
        let mut status = fine();
        status.degraded.push(Condition::default());
        for life in [Life::Stopped, Life::Silent, Life::Hung] {
            let verdict = check(&status, life, NOW + 90_000, PATIENCE);
            assert_eq!(verdict.code(), 2);
            assert_eq!(verdict.lines().len(), 1);
            assert!(verdict.lines()[0].starts_with("down: "), "{verdict:?}");
        }
    }

    #[test]
    fn every_cause_has_a_line_of_its_own_without_control_characters() {
        let mut status = fine();
        let condition = |what: &str| Condition {
            what: what.into(),
            what_to_do: "do\nsomething".into(),
            ..Condition::default()
        };
        status.degraded = vec![
            condition("60 artworks vanished"),
            condition("disk\u{1b}full"),
        ];
        let failure = |path: String, kind| Failure {
            path,
            kind,
            reason: "because".into(),
            ..Failure::default()
        };
        status
            .failures
            .extend((0..8).map(|i| failure(format!("folder{i}"), Kind::Unreadable)));
        status
            .failures
            .push(failure("artworks.csv".into(), Kind::Mistake));
        status.failures.push(failure("link".into(), Kind::Skipped));
        status.counts.unreadable = 9;
        let verdict = running(&status);
        let lines = verdict.lines();
        assert_eq!(verdict.code(), 1);
        // Two conditions, five folders and the count of the others, one mistake.
        assert_eq!(lines.len(), 2 + NAMED + 1 + 1, "{lines:#?}");
        assert!(lines.iter().all(|line| line.starts_with("attention: ")));
        assert!(!lines.iter().any(|line| line.contains(['\n', '\u{1b}'])));
        assert!(lines[7].contains("4 more"), "{lines:#?}");
        assert!(lines[8].contains("artworks.csv: because"), "{lines:#?}");
    }

    #[test]
    fn files_that_wait_too_long_are_a_cause_and_an_import_that_publishes_is_none() {
        let mut status = fine();
        status.counts.pending = 4;
        status.pending_since_ms = Some(NOW - PATIENCE);
        assert_eq!(running(&status).code(), 0, "just as long as allowed");
        status.pending_since_ms = Some(NOW - PATIENCE - 1);
        let verdict = running(&status);
        assert_eq!(verdict.code(), 1);
        assert!(verdict.lines()[0].contains("4 files have been waiting for 30 min"));
        status.published_ms = Some(NOW - 1_000);
        assert_eq!(running(&status).code(), 0, "generations come");
        status.published_ms = None;
        assert_eq!(running(&status).code(), 1, "nothing was ever published");
        status.pending_since_ms = Some(NOW + 5_000);
        assert_eq!(running(&status).code(), 0, "a clock set back");
    }
}
