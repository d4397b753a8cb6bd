//! Where a command's configuration comes from: `--config`, then `MOSAICD_CONFIG`, then `/etc/mosaicd/mosaicd.toml`, then the
//! folders of this user's last `mosaicd build`, `run` or `demo` without a file, then the defaults.
//!
//! Options on the command line go over all of them. The source is printed, unless the command line named it.

use mosaicd::config::{Config, ConfigError};
use serde::{Deserialize, Serialize};
use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// The packaged configuration.
const PACKAGED: &str = "/etc/mosaicd/mosaicd.toml";
/// Names a configuration file.
const VARIABLE: &str = "MOSAICD_CONFIG";

/// What the command line says about configuration and folders.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Configuration and folders")]
pub(crate) struct Common {
    /// Configuration file; without it MOSAICD_CONFIG names one, else it is /etc/mosaicd/mosaicd.toml, if there.
    #[arg(long, short, global = true)]
    config: Option<PathBuf>,
    /// Artwork folder, instead of the configured one.
    #[arg(long, global = true)]
    pub(crate) artworks: Option<PathBuf>,
    /// Output folder, instead of the configured one.
    #[arg(long, global = true)]
    pub(crate) output: Option<PathBuf>,
    /// State folder, instead of the configured one.
    #[arg(long, global = true)]
    pub(crate) state: Option<PathBuf>,
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line names this file.
    Named(PathBuf),
    /// `MOSAICD_CONFIG` names this file.
    Variable(PathBuf),
    /// The packaged file.
    Packaged(PathBuf),
    /// There is no file; these are the folders of the last build.
    Last(PathBuf),
    /// There is no file.
    Defaults,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(path) => write!(f, "{}", path.display()),
            Self::Variable(path) => write!(f, "{} (from {VARIABLE})", path.display()),
            Self::Packaged(path) => write!(f, "{} (no --config, no {VARIABLE})", path.display()),
            Self::Last(path) => write!(
                f,
                "no file; the folders of the last mosaicd build, run or demo (from {})",
                path.display()
            ),
            Self::Defaults => write!(f, "no file, every key has its default"),
        }
    }
}

/// A configuration, and where it came from.
pub(crate) struct Located {
    /// With absolute folders.
    pub(crate) config: Config,
    /// Where it came from.
    pub(crate) source: Source,
}

impl Located {
    /// Says on standard error which configuration is used, unless the command line names it.
    pub(crate) fn said(self) -> Config {
        if !matches!(self.source, Source::Named(_)) {
            eprintln!("configuration: {}", self.source);
        }
        self.config
    }
}

impl Common {
    /// Finds the configuration of a command that makes or changes a mosaic, and lays the command line over it.
    pub(crate) fn load(&self) -> Result<Located, ConfigError> {
        self.load_from(Path::new(PACKAGED), None)
    }

    /// The same for a command that belongs to a mosaic that is there: without a file it is the last one made.
    pub(crate) fn load_known(&self) -> Result<Located, ConfigError> {
        self.load_from(Path::new(PACKAGED), record().as_deref())
    }

    /// The same for samples, which have nothing to do with the packaged configuration.
    pub(crate) fn load_named(&self) -> Result<Located, ConfigError> {
        self.load_from(Path::new(""), None)
    }

    fn load_from(&self, packaged: &Path, record: Option<&Path>) -> Result<Located, ConfigError> {
        let mut source = source(self.config.as_deref(), env::var_os(VARIABLE), packaged);
        let mut config = match &source {
            Source::Named(path) | Source::Variable(path) | Source::Packaged(path) => {
                Config::load(path)?
            }
            Source::Last(_) | Source::Defaults => Config::default(),
        };
        if source == Source::Defaults
            && let Some(path) = record
            && let Some(last) = recall(path)
            && self.agrees(&last)
        {
            config.watch_only(&last.artworks);
            config.folders.output = last.output;
            config.folders.state = last.state;
            source = Source::Last(path.to_owned());
        }
        if let Some(artworks) = &self.artworks {
            config.watch_only(artworks);
        }
        let folders = &mut config.folders;
        for (folder, given) in [
            (&mut folders.output, &self.output),
            (&mut folders.state, &self.state),
        ] {
            if let Some(path) = given {
                folder.clone_from(path);
            }
        }
        // Another mosaic's status must not be written over the configured one's.
        if self.state.is_some() || self.output.is_some() {
            config.status.folder = PathBuf::new();
        }
        Ok(Located {
            config: config.absolute(),
            source,
        })
    }

    /// Whether every folder on the command line is one of the last build.
    fn agrees(&self, last: &Last) -> bool {
        [
            (&self.artworks, &last.artworks),
            (&self.output, &last.output),
            (&self.state, &last.state),
        ]
        .into_iter()
        .all(|(given, known)| {
            given.as_ref().is_none_or(|given| {
                let absolute = |path: &Path| {
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                    path.canonicalize().unwrap_or(path)
                };
                absolute(given) == absolute(known)
            })
        })
    }
}

/// The first source there is; an empty variable is none.
fn source(named: Option<&Path>, variable: Option<OsString>, packaged: &Path) -> Source {
    match (named, variable.filter(|value| !value.is_empty())) {
        (Some(path), _) => Source::Named(path.to_owned()),
        (None, Some(path)) => Source::Variable(path.into()),
        // A file that may not be read is an error later, not a reason to go by defaults.
        (None, None) if !packaged.as_os_str().is_empty() && there(packaged) => {
            Source::Packaged(packaged.to_owned())
        }
        (None, None) => Source::Defaults,
    }
}

fn there(path: &Path) -> bool {
    !matches!(fs::metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// The folders of a mosaic that was made without a configuration file.
#[derive(Serialize, Deserialize)]
struct Last {
    artworks: PathBuf,
    output: PathBuf,
    state: PathBuf,
}

/// Notes the folders of a mosaic that was made without a file, so that `similar`, `export` and `status` find it;
/// nothing is noted for a user without a home folder.
pub(crate) fn remember(located: &Located) {
    if !matches!(located.source, Source::Defaults) {
        return;
    }
    let watched = located.config.watched();
    let (Some(path), [(_, artworks)]) = (record(), watched.as_slice()) else {
        return;
    };
    let last = Last {
        artworks: artworks.to_path_buf(),
        output: located.config.folders.output.clone(),
        state: located.config.folders.state.clone(),
    };
    let Ok(text) = toml::to_string(&last) else {
        return;
    };
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, text));
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), %error, "the folders could not be remembered for other commands");
    }
}

fn recall(path: &Path) -> Option<Last> {
    toml::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// The file with these notes: `$XDG_STATE_HOME/mosaicd-last.toml`.
fn record() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(state.join("mosaicd-last.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let packaged = dir.path().join("mosaicd.toml");
        let named = Some(Path::new("a.toml"));
        let variable = || Some(OsString::from("b.toml"));
        assert_eq!(source(None, None, &packaged), Source::Defaults);
        fs::write(&packaged, "").expect("written");
        assert_eq!(
            source(named, variable(), &packaged),
            Source::Named("a.toml".into())
        );
        assert_eq!(
            source(None, variable(), &packaged),
            Source::Variable("b.toml".into())
        );
        let found = Source::Packaged(packaged.clone());
        assert_eq!(source(None, None, &packaged), found);
        assert_eq!(source(None, Some(OsString::new()), &packaged), found);
    }

    #[test]
    fn the_command_line_goes_over_the_packaged_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let packaged = dir.path().join("mosaicd.toml");
        let text = "[folders]\nartworks = \"/a\"\noutput = \"/o\"\nstate = \"/s\"\n[status]\nfolder = \"/r\"\n[page]\ntitle = \"T\"\n";
        fs::write(&packaged, text).expect("written");
        let common = Common {
            output: Some("/other/o".into()),
            state: Some("/other/s".into()),
            ..Common::default()
        };
        let config = common.load_from(&packaged, None).expect("good").config;
        assert_eq!(config.folders.artworks, Path::new("/a"));
        assert_eq!(config.folders.output, Path::new("/other/o"));
        assert_eq!(config.folders.state, Path::new("/other/s"));
        assert_eq!(config.status_folder(), Path::new("/other/s"));
        assert_eq!(config.page.title, "T");
    }
}
