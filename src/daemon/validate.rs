//! `mosaicd validate`: whether the daemon would run, and with which settings.

use super::{chain, rooms};
use crate::{
    config::{Config, WatchMode},
    describe, parameters,
    pipeline::portable,
    watch::{Book, FsKind, Ignore, Scan, can_watch, fs_kind},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What was found; the error says what is wrong and what to do.
    pub found: Result<String, String>,
}

/// Some findings are wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the findings above must be mended first")]
pub struct Invalid(
    /// How many.
    pub usize,
);

/// Checks folders, permissions, encoder and limits. It makes missing folders, and changes nothing else.
pub fn validate(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |what, found| findings.push(Finding { what, found });
    let folders = &config.folders;
    let checked = rooms::check_folders(config).map_err(|error| error.to_string());
    let usable = checked.is_ok();
    add(
        "folders",
        checked.map(|()| "each where it may be".to_owned()),
    );
    if usable {
        for (_, folder) in config.watched() {
            add("artworks", readable(folder));
        }
        scanned(config, &mut add);
        add("output", writable(&folders.output));
        add(
            "state",
            writable(&folders.state).and_then(|text| local(&folders.state, text)),
        );
    }
    if usable && !config.status.folder.as_os_str().is_empty() {
        add("status", reported(config));
    }
    let encoder = rooms::open_encoder_alone(config).map_err(|error| error.to_string());
    add(
        "encoder",
        encoder.map(|e| {
            format!(
                "{}, {} dimensions, model {}, on {}",
                e.name(),
                e.dims(),
                short(&e.model().0),
                e.device()
            )
        }),
    );
    if !config.embed.vocabulary.as_os_str().is_empty() {
        add("vocabulary", words(config));
    }
    add("watch", watches(config));
    findings
}

/// Folders named in one finding at most.
const NAMED: usize = 5;

/// What a scan finds wrong: folders that cannot be read, ignore files and tables that are not understood.
fn scanned(config: &Config, add: &mut impl FnMut(&'static str, Result<String, String>)) {
    let ignore = match Ignore::new(&config.watch.ignore) {
        Ok(ignore) => ignore,
        Err(error) => return add("ignore", Err(format!("watch.ignore: {error}"))),
    };
    let roots = parameters::roots(config);
    let mut book = Book::reading(ignore, &config.folders.state);
    let (scan, rules) = match roots.scan(&mut book) {
        Ok(scanned) => scanned,
        Err(error) => return add("scan", Err(chain(&error))),
    };
    add("scan", seen(&scan));
    let troubles = rules.troubles();
    let told =
        |trouble: &crate::watch::Trouble| format!("{} {}", portable(&trouble.file), trouble.what);
    match troubles.is_empty() {
        true => add("ignore", Ok("every ignore file is understood".to_owned())),
        false => troubles
            .iter()
            .for_each(|trouble| add("ignore", Err(told(trouble)))),
    }
    let (described, mut mistakes) = roots.descriptions(Duration::ZERO);
    if described.is_empty() && mistakes.is_empty() {
        return;
    }
    let files: Vec<String> = scan.files.keys().map(|path| portable(path)).collect();
    let is_excused = |path: &str| !scan.covers(Path::new(path)) || rules.leave_out(Path::new(path));
    mistakes.extend(describe::unmatched(
        &described,
        files.iter().map(String::as_str),
        is_excused,
    ));
    match mistakes.is_empty() {
        true => add("tables", Ok("every line names a file".to_owned())),
        false => mistakes.iter().for_each(|mistake| {
            add("tables", Err(format!("{} {}", mistake.file, mistake.what)));
        }),
    }
}

/// Files and folders that were found, unless some could not be read.
fn seen(scan: &Scan) -> Result<String, String> {
    let unread = scan
        .skipped
        .iter()
        .filter(|(_, reason)| reason.is_unknown());
    let unread: Vec<String> = unread
        .map(|(path, reason)| match path.as_os_str().is_empty() {
            true => format!("the artwork folder: {reason}"),
            false => format!("{}: {reason}", portable(path)),
        })
        .collect();
    if unread.is_empty() {
        return Ok(format!(
            "{} files in {} folders",
            scan.files.len(),
            scan.folders.len()
        ));
    }
    let more = match unread.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Err(format!(
        "{}{more}; nothing new in there is shown: check owner and mode",
        unread[..unread.len().min(NAMED)].join(", ")
    ))
}

fn words(config: &Config) -> Result<String, String> {
    let list = rooms::open_vocabulary(config).map_err(|error| error.to_string())?;
    Ok(match list {
        Some(list) => format!(
            "{}, {} words",
            config.embed.vocabulary.display(),
            list.len()
        ),
        None => format!("without effect: {}", rooms::wordless(config)),
    })
}

/// Whether status and metrics can be written, and whether they are public.
fn reported(config: &Config) -> Result<String, String> {
    let folder = writable(config.status_folder())?;
    let public = config.status_folder().starts_with(&config.folders.output);
    Ok(match public {
        true => format!(
            "{folder}, published: whoever reads the output reads status.json and metrics.prom"
        ),
        false => folder,
    })
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn readable(folder: &Path) -> Result<String, String> {
    let count = fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .count();
    Ok(format!("{}, {count} entries", folder.display()))
}

/// Whether a file can be made in the folder, by making one and removing it.
fn writable(folder: &Path) -> Result<String, String> {
    let probe: PathBuf = folder.join(format!(".mosaicd-probe-{}", std::process::id()));
    let wrong = |error| {
        format!(
            "{} cannot be written: {error}; check owner and mode",
            folder.display()
        )
    };
    fs::write(&probe, b"probe").map_err(wrong)?;
    fs::remove_file(&probe).map_err(wrong)?;
    Ok(folder.display().to_string())
}

/// The store needs locks and fsync that a network file system may not honour.
fn local(folder: &Path, text: String) -> Result<String, String> {
    let filesystem =
        rustix::fs::statfs(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if matches!(fs_kind(folder), Ok(FsKind::Network)) {
        return Err(format!(
            "{} is on a network file system; the store needs a local disk",
            folder.display()
        ));
    }
    let free = filesystem
        .f_bavail
        .saturating_mul(filesystem.f_bsize as u64)
        >> 20;
    Ok(format!("{text}, {free} MiB free"))
}

fn watches(config: &Config) -> Result<String, String> {
    if config.watch.mode == WatchMode::Scan {
        return Ok("by scans alone, as watch.mode says".to_owned());
    }
    if let Err(error) = can_watch() {
        return Err(format!(
            "no watcher can be started ({error}): too many programs of this user watch folders; raise \
             fs.inotify.max_user_instances, or set watch.mode = \"scan\""
        ));
    }
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
    let limit: usize = limit
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(usize::MAX);
    let watched = config.watched().into_iter();
    let folders: usize = watched
        .map(|(_, folder)| count_folders(folder, limit))
        .sum();
    if folders > limit {
        return Err(format!(
            "more than {limit} folders to watch; raise fs.inotify.max_user_watches, or set watch.mode = \"scan\""
        ));
    }
    Ok(format!("{folders} folders of at most {limit}"))
}

fn count_folders(root: &Path, limit: usize) -> usize {
    let mut open = vec![root.to_owned()];
    let mut count = 0;
    while let Some(folder) = open.pop() {
        count += 1;
        if count > limit {
            break;
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        open.extend(
            entries
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                .map(|e| e.path()),
        );
    }
    count
}
