//! Which patterns of the ignore files are in force: opting out fails closed.
//!
//! An ignore file may be unreadable, in another encoding, half written, or empty or missing for a moment while it is
//! saved. If the daemon took each of these states at face value, it would publish works that the file opts out. So:
//! - a file that is understood replaces its last good patterns once it has stayed the same for a while; the wait is longer
//!   when it takes patterns back ([`STABLE`]), and longest when it is empty or gone ([`AWAY`]);
//! - until then, and as long as a file cannot be read or understood, its last good patterns stay in force; whatever a
//!   doubtful line may mean is left out as well;
//! - a file that was never understood blocks its folder: the works in it stay as they are, and nothing new is shown.
//!
//! Strangers may write to the artwork folder. Only root, mosaicd's user and the folder's owner speak for everybody's works;
//! an ignore file of any other user leaves out that user's own files: nobody's work is shown against its maker's will,
//! and nobody can take out another one's.
//!
//! The last good patterns are kept in the state folder, so that this is true across restarts. They are written there in
//! hexadecimal digits, because they name works that must leave no trace.

use super::{
    ignore::{IGNORE_FILE, Ignore, NOMEDIA_FILE},
    level::{Doubt, Level, Lines},
    read::read_small,
    root::{identity, open_root},
};
use crate::{disk, domain::FileIdentity};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};

/// The files with rules for their folder.
pub(super) const RULE_FILES: [&str; 3] = [IGNORE_FILE, IGNORE_TXT, NOMEDIA_FILE];
/// What some editors make of [`IGNORE_FILE`]: read in the same way.
const IGNORE_TXT: &str = ".mosaicignore.txt";
/// Name of the file in the state folder.
const FILE: &str = "rules";
/// Largest ignore file, bytes: more than anybody writes by hand.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// How long a file that takes patterns back must stay the same.
const STABLE: Duration = Duration::from_secs(2);
/// How long a file must be empty or gone: longer than programs and people take to save it.
const AWAY: Duration = Duration::from_secs(10);
/// A file that is open for writing is looked at again after this time.
const WRITING: Duration = Duration::from_secs(1);
/// Lines named for one file at most.
const NAMED: usize = 3;

/// What is in force of the ignore files of all watched folders.
#[derive(Debug)]
pub struct Book {
    base: Ignore,
    /// Where the last good patterns are kept; `None`: they are only read.
    file: Option<PathBuf>,
    /// How long a file that adds patterns must stay the same.
    settle: Duration,
    /// By the file's path, which begins with the watched folder's name.
    entries: BTreeMap<PathBuf, Entry>,
    unsaved: bool,
    // Of the scan that is being made:
    writing: BTreeSet<PathBuf>,
    visited: BTreeSet<PathBuf>,
    troubles: Vec<Trouble>,
    again: Option<Duration>,
}

/// An ignore file that is not in force as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The file, as a path like those of the works.
    pub file: PathBuf,
    /// What is wrong with it, and what holds instead.
    pub what: String,
}

#[derive(Debug, Default)]
struct Entry {
    /// The last good patterns; `None` if the file was never understood.
    good: Option<Vec<String>>,
    /// What was seen last and since when; no identity: the file was missing.
    seen: Option<(Option<FileIdentity>, Instant)>,
}

/// What an ignore file says now.
enum Reading {
    Away,
    Unreadable(String),
    Read(FileIdentity, Lines),
    /// It is of a user who may not speak for others.
    Foreign(u32, Lines),
}

/// What is in force of one ignore file.
#[derive(Default)]
struct InForce {
    patterns: Vec<String>,
    meant: Vec<String>,
    hold: bool,
    stranger: Option<(u32, Vec<String>)>,
}

impl Book {
    /// A book that starts with what an earlier one kept in the state folder, and keeps its own there.
    pub fn open(base: Ignore, state: &Path, settle: Duration) -> Self {
        let mut book = Self::reading(base, state).settling(settle);
        book.file = Some(state.join(FILE));
        book
    }

    /// The same book, where a file that adds patterns must stay the same for a while.
    pub fn settling(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// A book that starts with what the daemon's keeps in the state folder, and keeps nothing.
    pub fn reading(base: Ignore, state: &Path) -> Self {
        let text = fs::read_to_string(state.join(FILE)).unwrap_or_default();
        let entries = text.lines().filter_map(parse_entry).collect();
        Self {
            base,
            file: None,
            settle: Duration::ZERO,
            entries,
            unsaved: false,
            writing: BTreeSet::new(),
            visited: BTreeSet::new(),
            troubles: Vec::new(),
            again: None,
        }
    }

    /// The patterns of the configuration.
    pub(super) fn base(&self) -> &Ignore {
        &self.base
    }

    /// Says which ignore files are open for writing, as far as events tell; for the next scan.
    pub fn being_written(&mut self, writing: BTreeSet<PathBuf>) {
        self.writing = writing;
    }

    /// A scan begins.
    pub(super) fn begin(&mut self) {
        self.visited.clear();
        self.troubles.clear();
        self.again = None;
    }

    /// A scan has ended: what is wrong, and when to scan again at the latest because something has not settled.
    pub(super) fn end(&mut self) -> (Vec<Trouble>, Option<Duration>) {
        if std::mem::take(&mut self.unsaved)
            && let Some(file) = &self.file
            && let Err(error) = self.save(file)
        {
            tracing::warn!(%error, path = %file.display(), "the ignore patterns could not be kept for the next start");
            self.unsaved = true;
        }
        (std::mem::take(&mut self.troubles), self.again)
    }

    /// The patterns of one folder, whose path begins with the watched folder's name; `stats` are those of its
    /// [`RULE_FILES`]. `None` if it has none.
    pub(super) fn level(
        &mut self,
        (opened, speakers): (&OwnedFd, &[u32]),
        folder: &Path,
        stats: [Option<Stat>; RULE_FILES.len()],
        changed: SystemTime,
    ) -> Option<Level> {
        self.visited.insert(folder.to_owned());
        let mut level = InForce::default();
        let mut strangers = Vec::new();
        for (name, stat) in RULE_FILES.into_iter().zip(stats) {
            let file = folder.join(name);
            if stat.is_none() && !self.entries.contains_key(&file) {
                continue;
            }
            let reading = read(opened, Path::new(name), stat, speakers);
            let found = self.believe(file, reading, changed);
            level.patterns.extend(found.patterns);
            level.meant.extend(found.meant);
            level.hold |= found.hold;
            let stranger = found.stranger.into_iter();
            strangers.extend(
                stranger.map(|(user, patterns)| (user, Level::new(patterns, Vec::new(), false))),
            );
        }
        let silent = level.patterns.is_empty() && level.meant.is_empty() && !level.hold;
        let there = stats.iter().any(Option::is_some);
        (!silent || there).then(|| {
            let mut level = Level::new(level.patterns, level.meant, level.hold);
            level.strangers = strangers;
            level.seen = stats.map(|stat| stat.map(|stat| seen_of(&stat, speakers)));
            level
        })
    }

    /// The patterns of a file that the configuration names; they count everywhere.
    pub(super) fn everywhere(&mut self, file: &Path) -> Level {
        let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let looked = || {
            let (folder, name) = (real.parent()?, real.file_name()?);
            let stat = rustix::fs::lstat(&real).ok()?;
            let opened = open_root(folder).ok()?;
            // Whoever wrote it: the configuration names it.
            Some(read(&opened, Path::new(name), Some(stat), &[stat.st_uid]))
        };
        let reading = match looked() {
            None | Some(Reading::Away) => Reading::Unreadable("is not there".to_owned()),
            Some(reading) => reading,
        };
        let found = self.believe(file.to_owned(), reading, SystemTime::now());
        Level::new(found.patterns, found.meant, found.hold)
    }

    /// The last good patterns of folders below `root` that this scan has not reached; those that `is_gone` are forgotten.
    pub(super) fn unreached(
        &mut self,
        root: &Path,
        is_gone: impl Fn(&Path) -> bool,
    ) -> BTreeMap<PathBuf, Level> {
        let mut patterns: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        let mut gone = Vec::new();
        for (file, entry) in &self.entries {
            let Some(folder) = file
                .parent()
                .filter(|folder| !self.visited.contains(*folder))
            else {
                continue;
            };
            let Ok(below) = folder.strip_prefix(root) else {
                continue;
            };
            // Of the file that the configuration names, see above.
            if folder.is_absolute() {
                continue;
            }
            match is_gone(below) {
                true => gone.push(file.clone()),
                false => {
                    let all = patterns.entry(below.to_owned()).or_default();
                    all.extend(entry.good.iter().flatten().cloned());
                }
            }
        }
        for file in gone {
            self.unsaved |= self.entries.remove(&file).is_some();
        }
        let level = |(folder, patterns)| (folder, Level::new(patterns, Vec::new(), false));
        patterns.into_iter().map(level).collect()
    }

    /// What is in force of a file that says this now; `changed` is when its folder was changed last.
    fn believe(&mut self, file: PathBuf, reading: Reading, changed: SystemTime) -> InForce {
        let entry = self.entries.entry(file.clone()).or_default();
        let seen = match &reading {
            Reading::Read(seen, _) => Some(*seen),
            _ => None,
        };
        let now = Instant::now();
        let observed = match &entry.seen {
            Some((before, since)) if *before == seen => now.duration_since(*since),
            _ => {
                entry.seen = Some((seen, now));
                Duration::ZERO
            }
        };
        let kept = entry.good.clone();
        let mut found = InForce {
            hold: kept.is_none(),
            ..InForce::default()
        };
        let instead = match kept.is_some() {
            true => "its last good patterns hold",
            false => "nothing new in its folder is shown",
        };
        let (what, wait) = match reading {
            Reading::Away if kept.is_none() => {
                self.entries.remove(&file);
                return InForce::default();
            }
            Reading::Away => match AWAY.checked_sub(observed.max(age_of(changed))) {
                None | Some(Duration::ZERO) => {
                    self.entries.remove(&file);
                    self.unsaved = true;
                    return InForce::default();
                }
                Some(rest) => (Some("is not there any more".to_owned()), Some(rest)),
            },
            Reading::Unreadable(why) => (Some(why), None),
            Reading::Foreign(user, lines) => {
                found.hold = false;
                found.stranger = Some((user, lines.patterns));
                let what = format!(
                    "belongs to the user {user}, who may not speak for others (root, mosaicd's user and the owner of \
                     the artwork folder may): it leaves out that user's files alone"
                );
                (Some(what), None)
            }
            Reading::Read(_, lines) if !lines.doubts.is_empty() => {
                found.meant = lines.patterns;
                (Some(told(&lines.doubts)), None)
            }
            Reading::Read(seen, lines) => {
                let patterns = lines.patterns;
                if kept.as_ref() == Some(&patterns) {
                    found.patterns = patterns;
                    return found;
                }
                let all_kept = kept.iter().flatten().all(|line| patterns.contains(line));
                let wait = match (all_kept, patterns.is_empty()) {
                    (true, _) => self.settle,
                    (false, true) => AWAY.max(self.settle),
                    (false, false) => STABLE.max(self.settle),
                };
                let open = self.writing.contains(&file);
                match wait.checked_sub(observed.max(age_of(changed_at(&seen)))) {
                    None | Some(Duration::ZERO) if !open => {
                        entry.good = Some(patterns.clone());
                        self.unsaved = true;
                        return InForce {
                            patterns,
                            ..InForce::default()
                        };
                    }
                    _ if open => (None, Some(WRITING)),
                    rest => (
                        patterns.is_empty().then(|| "is empty".to_owned()),
                        rest.filter(|rest| !rest.is_zero()),
                    ),
                }
            }
        };
        if let Some(rest) = wait {
            self.again = Some(self.again.map_or(rest, |again| again.min(rest)));
        }
        if let Some(what) = what {
            let what = match wait {
                None if found.stranger.is_some() && kept.is_none() => what,
                Some(rest) => format!("{what}; {instead} for {} s more", rest.as_secs() + 1),
                None => format!("{what}; {instead}"),
            };
            self.troubles.push(Trouble { file, what });
        }
        found.patterns = kept.unwrap_or_default();
        found
    }

    fn save(&self, file: &Path) -> io::Result<()> {
        let line = |(path, entry): (&PathBuf, &Entry)| {
            let good = entry.good.as_ref()?;
            let (path, good) = (path.as_os_str().as_bytes(), good.join("\n"));
            Some(format!("{} {}\n", hex(path), hex(good.as_bytes())))
        };
        let text: String = self.entries.iter().filter_map(line).collect();
        disk::replace_durably(file, &text)
    }
}

/// Reads an ignore file of an open folder.
fn read(folder: &OwnedFd, name: &Path, stat: Option<Stat>, speakers: &[u32]) -> Reading {
    let Some(stat) = stat else {
        return Reading::Away;
    };
    let seen = identity(&stat);
    let of = |user: u32, seen, lines| match speakers.contains(&user) {
        true => Reading::Read(seen, lines),
        false => Reading::Foreign(user, lines),
    };
    if name == Path::new(NOMEDIA_FILE) {
        let patterns = vec!["*".to_owned()];
        let doubts = Vec::new();
        return of(stat.st_uid, seen, Lines { patterns, doubts });
    }
    let unreadable = |what: &str| match speakers.contains(&stat.st_uid) {
        true => Reading::Unreadable(what.to_owned()),
        // What a stranger means is not known, and concerns the stranger's files alone.
        false => {
            let (patterns, doubts) = (vec!["*".to_owned()], Vec::new());
            Reading::Foreign(stat.st_uid, Lines { patterns, doubts })
        }
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return unreadable("is a symbolic link, which is not followed"),
        FileType::Directory => return unreadable("is a folder"),
        _ => return unreadable("is no ordinary file"),
    }
    match read_small(folder, name, MAX_FILE_BYTES) {
        Ok(Some(small)) if !small.whole => unreadable("is larger than 1 MiB"),
        // If it changed meanwhile, what it is now counts from now on.
        Ok(Some(small)) => of(
            small.user,
            small.identity,
            Lines::read(&small.bytes, &path_of(folder)),
        ),
        Ok(None) => Reading::Away,
        Err(error) => unreadable(&format!("cannot be read ({error})")),
    }
}

/// The absolute path of an open folder; empty if the system does not tell.
fn path_of(folder: &OwnedFd) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).unwrap_or_default()
}

/// What must stay the same for the patterns of a rule file to count. Of a stranger's file this is only whose it is: a
/// stranger who writes to one all the time must not keep others' files from being looked at.
pub(super) fn seen_of(stat: &Stat, speakers: &[u32]) -> FileIdentity {
    match speakers.contains(&stat.st_uid) {
        true => identity(stat),
        false => FileIdentity {
            dev: stat.st_dev,
            ino: 0,
            size: 0,
            mtime_ns: 0,
            ctime_ns: i64::from(stat.st_uid),
        },
    }
}

/// What is doubtful, in one line.
fn told(doubts: &[Doubt]) -> String {
    let named = doubts.iter().take(NAMED);
    let named: Vec<_> = named
        .map(|doubt| format!("line {} {}", doubt.line, doubt.what))
        .collect();
    let more = match doubts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("is not understood: {}{more}", named.join(", "))
}

/// When a file was changed last by the wall clock, whatever was set on it.
fn changed_at(seen: &FileIdentity) -> SystemTime {
    let ns = u64::try_from(seen.mtime_ns.max(seen.ctime_ns)).unwrap_or(0);
    UNIX_EPOCH + Duration::from_nanos(ns)
}

/// How long ago that was; a time in the future says nothing.
fn age_of(then: SystemTime) -> Duration {
    SystemTime::now().duration_since(then).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

fn parse_entry(line: &str) -> Option<(PathBuf, Entry)> {
    let (path, patterns) = line.split_once(' ')?;
    let patterns = String::from_utf8(unhex(patterns)?).ok()?;
    let good = patterns.lines().map(str::to_owned).collect();
    let entry = Entry {
        good: Some(good),
        seen: None,
    };
    Some((OsString::from_vec(unhex(path)?).into(), entry))
}
