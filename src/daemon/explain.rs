//! `mosaicd validate --explain PATH`: why a file is or is not shown.
//!
//! It looks at the file, the patterns and what was published, in the order in which a daemon comes across them, and
//! changes nothing.

use super::chain;
use crate::{
    config::Config,
    decoding::{Wanted, decode_once},
    domain::manifest::Manifest,
    parameters,
    pipeline::portable,
    publish::names,
    service::status::Status,
    watch::{Book, Ignore},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Says in one sentence why the file at `path` is or is not shown. The path is one of the file system, or one below an
/// artwork folder as the manifest writes it.
pub fn explain(config: &Config, path: &Path) -> String {
    let Some((work, file)) = locate(config, path) else {
        let watched = config.watched();
        let folders = watched
            .iter()
            .map(|(_, folder)| folder.display().to_string());
        let folders: Vec<_> = folders.collect();
        return format!(
            "{} is not shown: it lies in no artwork folder ({})",
            path.display(),
            folders.join(", ")
        );
    };
    let name = portable(&work);
    let is_shown = shown(config, &name);
    match (why_not(config, &work, &file), is_shown) {
        (None, Some(shown)) => format!("{name} is shown: {shown}"),
        (None, None) => match failure(config, &name).or_else(|| unreadable(config, &file)) {
            Some(reason) => format!("{name} is not shown: {reason}"),
            None => format!(
                "{name} is not shown yet, and nothing speaks against it: it comes with one of the next generations"
            ),
        },
        (Some(reason), None) => format!("{name} is not shown: {reason}"),
        (Some(reason), Some(shown)) => {
            format!(
                "{name} is still shown ({shown}), but is to leave the mosaic or to stay as it is: {reason}"
            )
        }
    }
}

/// The path below the watched folders, and the file.
fn locate(config: &Config, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let watched = config.watched();
    let absolute = std::path::absolute(path).ok()?;
    let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    // The folders that the file is in may be links; the file itself may not.
    let parent = absolute.parent().map(real).unwrap_or_default();
    let file = absolute.file_name().map(|name| parent.join(name));
    for (name, folder) in &watched {
        for file in [Some(&absolute), file.as_ref()].into_iter().flatten() {
            for folder in [(*folder).to_owned(), real(folder)] {
                if let Ok(below) = file.strip_prefix(&folder) {
                    return Some((Path::new(name).join(below), file.clone()));
                }
            }
        }
    }
    if path.is_absolute() {
        return None;
    }
    watched.iter().find_map(|(name, folder)| {
        let below = path.strip_prefix(name).ok()?;
        Some((path.to_owned(), folder.join(below)))
    })
}

/// Why a scan would leave the file out, if it would.
fn why_not(config: &Config, work: &Path, file: &Path) -> Option<String> {
    let ignore = match Ignore::new(&config.watch.ignore) {
        Ok(ignore) => ignore,
        Err(error) => return Some(format!("watch.ignore: {error}")),
    };
    let mut book = Book::reading(ignore, &config.folders.state);
    let (scan, rules) = match parameters::roots(config).scan(&mut book) {
        Ok(scanned) => scanned,
        Err(error) => return Some(chain(&error)),
    };
    if let Some(why) = rules.explain(work) {
        return Some(why);
    }
    if scan.withheld.contains(work) {
        return Some("an ignore file of the file's own user names it".to_owned());
    }
    let skipped = |at| Some((at, scan.skipped.get(at)?));
    if let Some((at, reason)) = work.ancestors().find_map(skipped) {
        let trouble = rules.troubles().iter().find(|trouble| {
            let folder = trouble.file.parent();
            folder.is_some_and(|folder| folder == at)
        });
        return Some(match trouble {
            Some(trouble) => format!("{} {}", trouble.file.display(), trouble.what),
            None if at.as_os_str().is_empty() => format!("the artwork folder: {reason}"),
            None => format!("{}: {reason}", at.display()),
        });
    }
    if scan.files.contains_key(work) {
        return None;
    }
    Some(match fs::symlink_metadata(file) {
        Err(error) => format!("{}: {error}", file.display()),
        Ok(metadata) if metadata.is_dir() => {
            "it is a folder; its files are shown one by one".to_owned()
        }
        Ok(_) => "it is behind a symbolic link, which is not followed".to_owned(),
    })
}

/// Where the file is shown, if it is.
fn shown(config: &Config, name: &str) -> Option<String> {
    let text = fs::read_to_string(config.folders.output.join(names::MANIFEST)).ok()?;
    let manifest: Manifest = serde_json::from_str(&text).ok()?;
    let work = manifest.works.iter().find(|work| work.path == name)?;
    Some(format!(
        "artwork {}, column {}, row {} of generation {}",
        work.id.0, work.col, work.row, manifest.generation
    ))
}

/// Why the daemon could not use the file, if it says so.
fn failure(config: &Config, name: &str) -> Option<String> {
    let text = fs::read_to_string(config.folders.output.join("status.json")).ok()?;
    let status = Status::from_json(&text).ok()?;
    let mut failures = status.failures.into_iter();
    failures.find_map(|failure| (failure.path == name).then_some(failure.reason))
}

/// Why the file cannot be decoded, if it cannot.
fn unreadable(config: &Config, file: &Path) -> Option<String> {
    let limit = config.decode.max_file_mb << 20;
    match fs::metadata(file) {
        Err(error) => return Some(error.to_string()),
        Ok(metadata) if metadata.len() > limit => {
            return Some(format!(
                "it has {} bytes, and decode.max_file_mb allows {limit}",
                metadata.len()
            ));
        }
        Ok(_) => {}
    }
    match fs::read(file) {
        Err(error) => Some(format!("cannot be read: {error}")),
        Ok(bytes) => {
            let wanted = Wanted {
                limits: parameters::decode_limits(config),
                cell: None,
                large: None,
                inputs: Vec::new(),
            };
            let made = decode_once(bytes, &wanted, parameters::allowance(config));
            made.err().map(|error| chain(&error))
        }
    }
}
