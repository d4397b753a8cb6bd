//! The files of the watched folders as `build` finds them, for commands that read them themselves.

use mosaicd::{
    config::Config,
    domain::FileIdentity,
    parameters,
    pipeline::portable,
    watch::{Book, Ignore, Roots, Rules, Scan},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long ignore files are waited for that are being changed. Those that are not in force by then are not believed: nothing
/// new is shown in their folders.
const PATIENCE: Duration = Duration::from_secs(60);

/// The watched folders, their files, and the patterns in force once every ignore file has settled; says what is wrong.
pub(super) fn settled(config: &Config) -> anyhow::Result<(Roots, Scan, Rules)> {
    let roots = parameters::roots(config);
    let ignore = Ignore::new(&config.watch.ignore)?;
    let quiet = Duration::from_millis(config.watch.settle_ms);
    let mut book = Book::reading(ignore, &config.folders.state).settling(quiet);
    let began = Instant::now();
    let (scan, rules) = loop {
        let (scan, rules) = roots.scan(&mut book)?;
        match rules.again() {
            Some(wait) if began.elapsed() < PATIENCE => thread::sleep(wait),
            _ => break (scan, rules),
        }
    };
    for trouble in rules.troubles() {
        tracing::warn!(
            "the ignore file {} {}",
            portable(&trouble.file),
            trouble.what
        );
    }
    for (path, reason) in scan.skipped.iter().filter(|(_, why)| why.is_unknown()) {
        tracing::warn!(path = %path.display(), %reason, "left out");
    }
    Ok((roots, scan, rules))
}

/// Files found by the paths that a manifest gives them.
pub(super) struct Named {
    files: BTreeMap<PathBuf, FileIdentity>,
    /// Where these are others than the system's.
    escaped: HashMap<String, PathBuf>,
}

impl Named {
    /// The files of a scan.
    pub(super) fn of(files: BTreeMap<PathBuf, FileIdentity>) -> Self {
        let escaped = files
            .keys()
            .map(|path| (portable(path), path))
            .filter(|(name, path)| path.to_str() != Some(name))
            .map(|(name, path)| (name, path.clone()))
            .collect();
        Self { files, escaped }
    }

    /// All of them, in the order of their paths.
    pub(super) fn all(&self) -> &BTreeMap<PathBuf, FileIdentity> {
        &self.files
    }

    /// The file with this path in a manifest.
    pub(super) fn get(&self, name: &str) -> Option<(&PathBuf, &FileIdentity)> {
        match self.escaped.get(name) {
            Some(path) => self.files.get_key_value(path),
            None => self.at(name).filter(|(path, _)| portable(path) == name),
        }
    }

    /// The file at this path of the system's.
    pub(super) fn at(&self, path: &str) -> Option<(&PathBuf, &FileIdentity)> {
        self.files.get_key_value(Path::new(path))
    }
}
