//! `status.json`: how the daemon is, for `mosaicd status` and for monitoring scripts.
//!
//! This file owns the schema alone; `human` turns it into text, `metrics` into numbers, `publish` puts it on disk.
//! Times are milliseconds since the Unix epoch. Equal values give equal bytes. A reader of an older or newer version
//! can read it: missing fields take their default, unknown ones are ignored, unknown states read as [`State::Unknown`].

use crate::domain::manifest::{Drift, GridSize, Moves, Quality};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// What it does now.
    pub state: State,
    /// When it was started.
    pub started_ms: u64,
    /// When this was written.
    pub updated_ms: u64,
    /// The published generation; 0 before the first.
    pub generation: u64,
    /// When that was published; absent before the first.
    pub published_ms: Option<u64>,
    /// Artworks by what became of them.
    pub counts: Counts,
    /// The stage at work; absent when idle.
    pub progress: Option<Progress>,
    /// Files that take long to decode, being decoded now.
    pub decoding: Vec<Decoding>,
    /// What is wrong beyond single files, oldest first; not empty exactly when there is something to do.
    pub degraded: Vec<Condition>,
    /// Every file that has no place in the mosaic, and every mistake in the owner's files, by name and reason.
    pub failures: Vec<Failure>,
    /// Since when there have been pending files without a break; absent when there are none.
    pub pending_since_ms: Option<u64>,
    /// Quality of the arrangement, once computed.
    pub quality: Option<Quality>,
    /// How far the works are from their homes; absent before the first generation.
    pub drift: Option<Drift>,
    /// What the last generation moved.
    pub moves: Moves,
    /// Name of the encoder.
    pub model: String,
    /// The encoder that is to take over; absent when no change of model is under way.
    pub next_model: Option<NextModel>,
    /// The grid; absent before the first generation.
    pub grid: Option<GridSize>,
    /// Size of the store on disk, bytes.
    pub store_bytes: u64,
    /// How long each stage of the last generation took, milliseconds.
    pub stages_ms: BTreeMap<String, f64>,
}

/// A running daemon writes its status at least this often, as a sign of life.
pub const LIFE_MS: u64 = 30_000;

/// Whether the daemon that wrote a status still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// As far as can be known.
    Running,
    /// It ended in good order.
    Stopped,
    /// It was killed, or hangs: there is no sign of life since its status was written.
    Silent,
    /// The same, but its process is there: it hangs, or cannot write its status.
    Hung,
}

impl Status {
    /// Whether the daemon still runs, asked at `now_ms` by a caller that knows whether its process is there (`None`: it
    /// does not know). A process may be another machine's or container's, so its absence alone proves nothing.
    pub fn life(&self, now_ms: u64, process: Option<bool>) -> Life {
        // A status from the future is one that was not written again since the clock was set back.
        let silent_ms = now_ms.abs_diff(self.updated_ms);
        let patience_ms = match process {
            Some(false) => LIFE_MS + 2_000,
            _ => 3 * LIFE_MS,
        };
        match self.state {
            State::Stopped => Life::Stopped,
            _ if silent_ms > patience_ms && process == Some(true) => Life::Hung,
            _ if silent_ms > patience_ms => Life::Silent,
            State::Stopping if process == Some(false) => Life::Stopped,
            _ => Life::Running,
        }
    }
}

/// What the daemon does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Before the first scan is done.
    Starting,
    /// A rebuild is under way.
    Working,
    /// Everything is published.
    Idle,
    /// At work, with a [`Condition`] that needs a human.
    Degraded,
    /// Told to stop.
    Stopping,
    /// Ended in good order; the last status of a process.
    Stopped,
    /// Written by a version that knows more states.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Artworks by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// In the mosaic.
    pub works: u64,
    /// Seen, and not yet in the mosaic.
    pub pending: u64,
    /// Could not be used: [`Kind::Failed`] in [`Status::failures`].
    pub failed: u64,
    /// Left out on purpose: links, named pipes and their like; [`Kind::Skipped`].
    pub skipped: u64,
    /// Files and folders that the system does not let the daemon look at: [`Kind::Unreadable`].
    pub unreadable: u64,
    /// Mistakes in the owner's files: [`Kind::Mistake`].
    pub mistakes: u64,
    /// No pictures and not named like any: sidecars, texts, PDFs.
    pub other: u64,
    /// In the mosaic though their files have vanished: an unexplained removal that is held.
    pub held: u64,
    /// In the mosaic though the same picture is there already, in another encoding or size; see `twins.json`.
    pub twins: u64,
}

/// How far a stage is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// `scan`, `embed`, `store`, `layout`, `grid`, `render` or `publish`.
    pub stage: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all; 0 when unknown.
    pub total: u64,
    /// About how long it will still take, seconds, where that can be told without steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_s: Option<u64>,
}

/// A file that is being decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Decoding {
    /// Path below the artwork folder, written as in the manifest.
    pub path: String,
    /// Since when.
    pub since_ms: u64,
}

/// A change of model: how far the next encoder is with embedding the placed artworks while the old one serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NextModel {
    /// Its name.
    pub model: String,
    /// Artworks done.
    pub done: u64,
    /// Artworks that had no embedding of it.
    pub total: u64,
}

/// Something that keeps the daemon from doing its whole job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Since when.
    pub since_ms: u64,
    /// What is wrong, one sentence.
    pub what: String,
    /// What an operator can do about it, one sentence.
    pub what_to_do: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Left out on purpose.
    Skipped,
    /// The system does not let the daemon look at it: what is there, or below, is unknown.
    Unreadable,
    /// A mistake in a file of the owner, like the table of titles.
    Mistake,
    /// A file that could not be used; also every kind that this version does not know.
    #[default]
    #[serde(other)]
    Failed,
}

/// One file that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Path below the artwork folder, written as in the manifest.
    pub path: String,
    /// Why.
    pub reason: String,
    /// What kind of failure it is.
    pub kind: Kind,
    /// Since when it is left out for this reason.
    pub failed_ms: u64,
    /// When it is tried again; absent: when the file changes.
    pub next_try_ms: Option<u64>,
}

impl Status {
    /// The text of `status.json`: indented, failures ordered by path, a newline at the end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.writable())
            .expect("plain structs with text keys serialise");
        text.push('\n');
        text
    }

    /// The same in one line.
    pub fn to_line(&self) -> String {
        serde_json::to_string(&self.writable()).expect("plain structs with text keys serialise")
    }

    /// Without figures that JSON cannot hold, failures ordered by path.
    fn writable(&self) -> Self {
        let mut status = self.clone();
        status.failures.sort();
        if let Some(quality) = &mut status.quality {
            quality.dpq16 = quality.dpq16.filter(|value| value.is_finite());
            quality.trustworthiness = quality.trustworthiness.filter(|value| value.is_finite());
        }
        status.stages_ms.retain(|_, ms| ms.is_finite());
        status
    }

    /// Reads `status.json`.
    ///
    /// # Errors
    /// When `text` is not JSON, or a known field has another type.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A status with something in every field.
    pub(crate) fn full() -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 4711,
            state: State::Degraded,
            started_ms: 1_000_000,
            updated_ms: 280_000_000,
            generation: 42,
            published_ms: Some(279_000_000),
            counts: Counts {
                works: 10_578,
                pending: 3,
                failed: 2,
                skipped: 1,
                other: 0,
                twins: 2,
                ..Counts::default()
            },
            progress: Some(Progress {
                stage: "embed".into(),
                done: 1,
                total: 3,
                left_s: None,
            }),
            decoding: vec![Decoding {
                path: "huge.tif".into(),
                since_ms: 279_988_000,
            }],
            degraded: vec![Condition {
                since_ms: 279_940_000,
                what: "more than half of the artworks vanished at once".into(),
                what_to_do: "mount the folder again, or run `mosaicd confirm-removal`".into(),
            }],
            failures: vec![
                Failure {
                    path: "z\u{1b}[31m\n.png".into(),
                    reason: "cut off after 12 of 40 rows".into(),
                    kind: Kind::Failed,
                    failed_ms: 279_990_000,
                    next_try_ms: Some(280_010_000),
                },
                Failure {
                    path: "a.png".into(),
                    reason: "not an image".into(),
                    kind: Kind::Failed,
                    failed_ms: 279_000_000,
                    next_try_ms: None,
                },
                Failure {
                    path: "link.png".into(),
                    reason: "a symbolic link".into(),
                    kind: Kind::Skipped,
                    failed_ms: 279_000_000,
                    next_try_ms: None,
                },
            ],
            pending_since_ms: Some(279_999_000),
            quality: Some(Quality {
                generation: 40,
                dpq16: Some(0.9123),
                trustworthiness: Some(0.987),
            }),
            drift: Some(Drift { mean: 0.87, p95: 3 }),
            moves: Moves {
                added: 1,
                removed: 0,
                moved: 4,
                grown: 0,
            },
            model: "builtin".into(),
            next_model: Some(NextModel {
                model: "clip".into(),
                done: 120,
                total: 10_578,
            }),
            grid: Some(GridSize {
                cols: 116,
                rows: 92,
                cell_px: 128,
            }),
            store_bytes: 12_345_678,
            stages_ms: BTreeMap::from([("scan".into(), 12.0), ("embed".into(), 1234.5)]),
        }
    }

    #[test]
    fn it_survives_the_way_to_disk_and_back() {
        let mut expected = full();
        expected.failures.sort();
        let text = full().to_json();
        assert_eq!(Status::from_json(&text).expect("readable"), expected);
        assert_eq!(text, expected.to_json(), "the order of failures is no news");
    }

    #[test]
    fn a_daemon_is_dead_when_it_says_so_or_says_nothing() {
        let mut status = full();
        let at = |later_ms: u64| full().updated_ms + later_ms;
        assert_eq!(status.life(at(89_000), None), Life::Running);
        assert_eq!(status.life(at(91_000), Some(true)), Life::Hung);
        assert_eq!(status.life(at(91_000), None), Life::Silent);
        assert_eq!(status.life(at(20_000), Some(false)), Life::Running);
        assert_eq!(status.life(at(33_000), Some(false)), Life::Silent);
        let before = |earlier_ms: u64| full().updated_ms - earlier_ms;
        let set_back = "a clock set back, and no word since";
        assert_eq!(status.life(before(60_000), Some(true)), Life::Running);
        assert_eq!(
            status.life(before(91_000), Some(true)),
            Life::Hung,
            "{set_back}"
        );
        assert_eq!(
            status.life(before(33_000), Some(false)),
            Life::Silent,
            "{set_back}"
        );
        status.state = State::Stopping;
        assert_eq!(status.life(at(1_000), Some(true)), Life::Running);
        assert_eq!(status.life(at(1_000), Some(false)), Life::Stopped);
        status.state = State::Stopped;
        assert_eq!(status.life(at(0), None), Life::Stopped);
    }

    #[test]
    fn other_versions_are_readable() {
        let newer = r#"{"state": "dreaming", "generation": 3, "mood": {"x": [1]}, "counts": {"works": 2, "lost": 1},
            "failures": [{"path": "a", "reason": "b"}, {"path": "c", "kind": "unheard"}]}"#;
        let status = Status::from_json(newer).expect("readable");
        assert_eq!(status.state, State::Unknown);
        assert_eq!(status.generation, 3);
        assert_eq!(status.counts.works, 2);
        assert!(
            status
                .failures
                .iter()
                .all(|failure| failure.kind == Kind::Failed)
        );
        assert_eq!(
            Status::from_json("{}").expect("readable"),
            Status::default()
        );
        assert!(Status::from_json("").is_err());
        assert!(Status::from_json(r#"{"generation": "three"}"#).is_err());
    }

    #[test]
    fn figures_that_are_not_finite_are_left_out() {
        let mut status = full();
        status.stages_ms.insert("grid".into(), f64::NAN);
        if let Some(quality) = &mut status.quality {
            quality.dpq16 = Some(f64::INFINITY);
        }
        let read = Status::from_json(&status.to_json()).expect("readable");
        assert_eq!(read.quality.and_then(|quality| quality.dpq16), None);
        assert!(!read.stages_ms.contains_key("grid"));
    }
}
