//! What to do next: (state, input) → commands.
//!
//! It owns the daemon's knowledge, and it is pure: time is an argument, and carrying a [`Command`] out is `daemon`'s.
//!
//! | file | owns |
//! | --- | --- |
//! | `table` | all that is known of each path, as one entry (`entry`); how a file settles (`settling`) |
//! | `scans` | what follows from a scan or a look, and whether a mass removal is held |
//! | `next` | what to do when nothing happens: scans, tasks and background work, in one order |
//! | `tasks` | when a task may begin, and what its end means |
//! | `folders` | which folders the works lie in, to tell a lost mount from a deletion |
//! | `shadow` | placed works that another model embeds |
//! | `rendering` | placed works whose rendition is still to be made |
//! | `rereads` | what these two share: which works are to be read, and which are being read |
//! | `view` | what the plan tells of itself |
//!
//! Invariants: the scan is the truth and events only schedule; one scan, one task at a time, and each version of a file
//! is read once (reads for `shadow` and `rendering` not counted) unless there is a reason; a change that comes while a
//! task runs goes into the next one; works that vanished together with their folder or its device, and more than half of a watched
//! folder's works at once, are not taken out until that is confirmed or the grace period is over.

use crate::domain::{
    ContentHash, Job, Known, Outcome, Report, Retry, Scan, SkipReason, Task, Touch,
};
use next::Pending;
use rendering::Rendering;
use rereads::Follows;
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};
use table::Table;

mod entry;
mod folders;
mod next;
mod rendering;
mod rereads;
mod scans;
mod settling;
mod shadow;
mod table;
mod tasks;
mod view;

pub use entry::Refused;
pub use folders::KnownFolders;
pub use next::Background;
pub use settling::Quiet;
pub use shadow::Shadow;
pub use tasks::LINGER_MS;

/// The plan's share of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When a file is finished.
    pub quiet: Quiet,
    /// How long ready files wait for others that are nearly ready (the other half of a rename), milliseconds.
    pub gather_ms: u64,
    /// How fast generations follow each other under continuous change.
    pub rate_limit: RateLimit,
    /// A full scan at least this often, milliseconds.
    pub rescan_ms: u64,
    /// Whether an unexplained mass removal is held.
    pub hold: bool,
    /// How long it is held, milliseconds.
    pub grace_ms: u64,
    /// When the whole grid may be polished.
    pub polish: PolishTime,
    /// Whether this is a single pass, which ends when it is idle.
    pub once: bool,
}

/// When the whole grid may be polished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolishTime {
    /// Whenever nothing was published for a while.
    #[default]
    Quiet,
    /// Then too, but only in the hour from this minute of the local day on.
    At(u16),
    /// Never.
    Never,
}

impl PolishTime {
    /// Whether the grid may be polished at this minute of the local day; `None` if it is not known.
    pub fn allows(self, minute: Option<u16>) -> bool {
        match self {
            Self::Quiet => true,
            Self::At(at) => minute.is_some_and(|now| (now + DAY - at) % DAY < 60),
            Self::Never => false,
        }
    }
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// How fast generations may follow each other: every open page fetches each of them. A few may follow at once, so that
/// changes that come now and then are shown without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Up to eight at once, then one every 2 s, and 200 ms more for each 1,000 works.
    Auto,
    /// One at a time, never sooner than so many milliseconds after the one before.
    EveryMs(u64),
}

impl RateLimit {
    /// Milliseconds from one generation to the next when many works change all the time, and how many may come at once.
    pub(crate) fn of(self, works: usize) -> (u64, u64) {
        match self {
            Self::Auto => (2_000 + works as u64 / 5, 8),
            Self::EveryMs(ms) => (ms, 1),
        }
    }
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The first input: nothing happened yet.
    Start,
    /// Something happened to a file, or to what may be one.
    Touched {
        /// Path below the artwork folder.
        path: PathBuf,
        /// What.
        touch: Touch,
    },
    /// A path was removed, made, or moved here; or it was asked for with [`Command::Look`].
    Looked {
        /// Path below the artwork folder: a file's or a folder's.
        path: PathBuf,
        /// What is there now.
        scan: Scan,
        /// Start of the look, milliseconds since the Unix epoch.
        wall_ms: u64,
    },
    /// Something calls for a scan: a watcher that failed, another root, an ignore file.
    Rescan,
    /// Events were lost: scan, and wait for no file to be closed.
    Lost,
    /// A scan ended; `wall_ms` is its start in milliseconds since the Unix epoch.
    Scanned {
        /// What is there, or why the folder could not be scanned.
        scan: Result<Scan, String>,
        /// Start of the scan, milliseconds since the Unix epoch.
        wall_ms: u64,
    },
    /// Something other than a file's content is to be published: the owner's titles, artists and links.
    Due,
    /// Reading a file takes long: its outcome follows, and nothing waits for it.
    Slow(Job),
    /// A file was read.
    Ingested(Outcome),
    /// A task ended.
    Done(Result<Report, String>),
    /// Background work ended.
    Ended {
        /// Which.
        work: Background,
        /// Whether it found anything, see [`Background`].
        found: bool,
    },
    /// The owner asks for a new layout.
    Relayout,
    /// The owner confirms a held removal.
    Confirm,
    /// The local time is this minute of the day.
    LocalTime(u16),
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Scan the artwork folder.
    Scan,
    /// Look at a path and say what is there.
    Look(PathBuf),
    /// Read, embed and store a file.
    Ingest(Job),
    /// Rebuild and publish.
    Run(Task),
    /// Work that can wait: no reader waits for it.
    Background(Background),
}

/// An unexplained mass removal that has not taken effect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When this plan noticed it.
    since_ms: u64,
    /// How many works are missing.
    pub missing: usize,
    /// Which: a confirmation is meant for exactly these.
    pub digest: ContentHash,
    /// The folders that went with them, the first few; empty if the folders are there.
    pub folders: Vec<PathBuf>,
}

/// The daemon's knowledge.
#[derive(Debug)]
pub struct Plan {
    settings: Settings,
    table: Table,
    skipped: BTreeMap<PathBuf, SkipReason>,
    held: Option<Held>,
    /// How long the removal had been held before this plan was made, milliseconds; 0 once nothing is held.
    held_before_ms: u64,
    /// Which held removal the owner has confirmed.
    confirmed: Option<ContentHash>,
    folders: KnownFolders,
    /// Works that the last full scan did not see and whose disappearance is accepted: they are looked at once more.
    judged: HashSet<PathBuf>,
    scanning: bool,
    scan_at: Option<u64>,
    scan_error: Option<String>,
    running: Option<Task>,
    /// Why the last task failed, how many have failed in a row, and when the next one may begin.
    failing: Option<(String, u32, u64)>,
    /// When the next of the files that wait because of us is tried; `None` while there is none.
    probe_at: Option<u64>,
    waiting_since: Option<u64>,
    /// Since when files that are still being written are the only ones that are not read.
    unfinished_since: Option<u64>,
    /// When the next generation would come at a steady rate: each one puts it off, see [`RateLimit`].
    steady_ms: u64,
    /// Whether a work is to leave because the owner's patterns name it: that does not wait.
    urgent: bool,
    scans: u64,
    /// Time of the last input.
    now_ms: u64,
    /// Inputs so far, without ticks.
    inputs: u64,
    /// The local time, minutes since midnight, once it was told.
    local: Option<u16>,
    shadow: Option<Shadow>,
    rendering: Rendering,
    pending: Pending,
}

impl Plan {
    /// A plan that knows the placed files, and which of them another model is to embed in shadow.
    pub fn new(settings: Settings, known: Vec<Known>, shadow: Option<Shadow>) -> Self {
        Self {
            shadow,
            settings,
            table: Table::new(settings.quiet, known),
            skipped: BTreeMap::new(),
            held: None,
            held_before_ms: 0,
            confirmed: None,
            folders: KnownFolders::default(),
            judged: HashSet::new(),
            scanning: false,
            scan_at: None,
            scan_error: None,
            running: None,
            failing: None,
            probe_at: None,
            waiting_since: None,
            unfinished_since: None,
            steady_ms: 0,
            urgent: false,
            scans: 0,
            now_ms: 0,
            inputs: 0,
            local: None,
            rendering: Rendering::default(),
            pending: Pending::default(),
        }
    }

    /// How long a removal had been held when the last plan ended: if it still is, its grace period continues from
    /// there.
    pub fn go_on_holding(&mut self, held_ms: u64) {
        self.held_before_ms = held_ms;
    }

    /// The folders of the placed works were these when an earlier run ended.
    pub fn remember_folders(&mut self, folders: KnownFolders) {
        self.folders = folders;
    }

    /// Takes an input; `now_ms` is monotonic.
    pub fn on(&mut self, input: Input, now_ms: u64) -> Vec<Command> {
        self.now_ms = now_ms;
        let passes = matches!(input, Input::Tick | Input::LocalTime(_));
        self.inputs += u64::from(!passes);
        let mut commands = Vec::new();
        match input {
            Input::Start | Input::Rescan => self.scan_at = Some(now_ms),
            Input::Lost => {
                self.table.lost(now_ms);
                self.scan_at = Some(now_ms);
            }
            Input::Touched { path, touch } => self.table.touched(&path, touch, now_ms),
            Input::Looked {
                path,
                scan,
                wall_ms,
            } => commands.extend(self.looked(&path, &scan, wall_ms)),
            Input::Scanned { scan, wall_ms } => commands.extend(self.scanned(scan, wall_ms)),
            Input::Due => self.pending.due = true,
            // What comes of a single pass must not depend on how fast each file was read.
            Input::Slow(job) if !self.settings.once => self.table.slow(&job),
            Input::Slow(_) => {}
            Input::Ingested(outcome) => commands.extend(self.ingested(outcome)),
            Input::Done(result) => commands.extend(self.done(result)),
            Input::Ended { work, found } => self.pending.ended(work, found, self.now_ms),
            Input::Relayout => self.pending.relayout = true,
            Input::Confirm => {
                // It is meant for the removal that is held now, and for no later one.
                self.confirmed = self.held.as_ref().map(|held| held.digest);
                self.scan_at = Some(now_ms);
            }
            Input::LocalTime(minute) => self.local = Some(minute),
            Input::Tick => {}
        }
        let counts = self.table.counts();
        let unfinished = counts.settling > 0 && counts.reading == 0;
        self.unfinished_since = unfinished.then(|| self.unfinished_since.unwrap_or(now_ms));
        self.next(&mut commands);
        commands
    }

    /// A file was read: it is ready to be placed, or refused.
    fn ingested(&mut self, outcome: Outcome) -> Option<Command> {
        let now_ms = self.now_ms;
        let shadow = self.shadow.as_mut();
        let mut follows = shadow.map_or(Follows::NotOurs, |it| it.ingested(&outcome, now_ms));
        if follows == Follows::NotOurs {
            follows = self.rendering.ingested(&outcome, now_ms);
        }
        match follows {
            Follows::NotOurs => {}
            Follows::Nothing => return None,
            Follows::Publication => {
                self.pending.due = true;
                return None;
            }
            Follows::Look => return Some(Command::Look(outcome.job.path)),
        }
        let Outcome { job, result, .. } = outcome;
        match result {
            Ok(hash) => {
                self.table.read(&job, hash);
                // There is room again: all files that waited for it follow.
                if self.probe_at.take().is_some() {
                    self.table.try_ours(false, now_ms);
                }
                None
            }
            Err(refusal) => {
                let retry = refusal.retry;
                self.table.refuse(&job, refusal, now_ms);
                if retry == Retry::Wait {
                    self.probe_at = Some(now_ms + next::PROBE_MS);
                }
                (retry == Retry::Look).then_some(Command::Look(job.path))
            }
        }
    }
}
