//! From a file to a checked [`Config`]: read, parse, refuse unknown keys, fill in, check, and make paths relative to
//! the file's folder.

use super::{Config, Folder, check};
use std::path::{Path, PathBuf};

/// A configuration that cannot be used; the process exits with 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}{}", advice(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why, from the parser.
        message: String,
    },
    /// Keys or values that are wrong, all of them.
    #[error("{path}: {}", problems.join("; "))]
    Wrong {
        /// The file, or `command line`.
        path: PathBuf,
        /// One sentence each.
        problems: Vec<String>,
    },
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "; `mosaicd config init` writes one",
        _ => "",
    }
}

impl Config {
    /// Reads and checks a file. Relative folders, model, library and vocabulary paths start at the file's folder.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let mut config = Self::parse(&text, path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        for folder in config.folder_paths() {
            *folder = base.join(&*folder);
        }
        let embed = &mut config.embed;
        if embed.model != "builtin" {
            embed.model = base.join(&embed.model).to_string_lossy().into_owned();
        }
        for file in [&mut embed.library, &mut embed.vocabulary] {
            // `art` is no path but the list that comes with mosaicd; a file of that name is `./art`.
            let is_path = !file.as_os_str().is_empty() && file.as_os_str() != "art";
            if is_path {
                *file = base.join(&*file);
            }
        }
        Ok(config)
    }

    /// Parses and checks a file's text; `path` is for messages alone.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parse = |error: toml::de::Error| ConfigError::Parse {
            path: path.into(),
            message: error.to_string().trim_end().to_owned(),
        };
        let wrong = |problems: Vec<String>| match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::Wrong {
                path: path.into(),
                problems,
            }),
        };
        let table: toml::Table = text.parse().map_err(parse)?;
        let known = known();
        let mut problems = Vec::new();
        unknown_keys(&table, &known, (&known, ""), &mut problems);
        if table.contains_key("folder") && sets_artworks(&table) {
            problems
                .push("folders.artworks and [[folder]] exclude each other: keep one".to_owned());
        }
        wrong(problems)?;
        let config: Self = toml::from_str(text).map_err(parse)?;
        wrong(check::problems(&config))?;
        Ok(config)
    }

    /// Checks the bounds of every value; `path` is for messages alone.
    pub fn check(&self, path: &Path) -> Result<(), ConfigError> {
        match check::problems(self) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(ConfigError::Wrong {
                path: path.into(),
                problems,
            }),
        }
    }
}

/// A table with every key there is.
fn known() -> toml::Table {
    let full = Config {
        folder: vec![Folder::default()],
        ..Config::default()
    };
    toml::Table::try_from(full).unwrap_or_default()
}

fn sets_artworks(table: &toml::Table) -> bool {
    let folders = table.get("folders").and_then(toml::Value::as_table);
    folders.is_some_and(|folders| folders.contains_key("artworks"))
}

/// Names every key of `table` that `known` does not have, with the nearest known one; `all` and `prefix` say where
/// `known` lies in the whole.
fn unknown_keys(
    table: &toml::Table,
    known: &toml::Table,
    (all, prefix): (&toml::Table, &str),
    problems: &mut Vec<String>,
) {
    use toml::Value::{Array, Table};
    for (key, value) in table {
        let full = format!("{prefix}{key}");
        match (known.get(key), value) {
            (None, _) => {
                let near = nearest(key, known, (all, prefix));
                problems.push(format!("unknown key {full} (did you mean {near}?)"));
            }
            (Some(Table(inner)), Table(own)) => {
                unknown_keys(own, inner, (all, &format!("{full}.")), problems);
            }
            (Some(Table(_)), _) => problems.push(format!("{full} must be a section, [{full}]")),
            (Some(Array(items)), Array(own)) => {
                let example = items.first().and_then(toml::Value::as_table);
                for table in own.iter().filter_map(toml::Value::as_table) {
                    let example = example.into_iter();
                    example
                        .for_each(|e| unknown_keys(table, e, (all, &format!("{full}.")), problems));
                }
            }
            (Some(Array(items)), _) if items.first().is_some_and(toml::Value::is_table) => {
                problems.push(format!("{full} must be a list of sections, [[{full}]]"));
            }
            _ => {}
        }
    }
}

/// The known key nearest to a mistyped one: in its own section, unless another section has a much nearer one.
fn nearest(key: &str, known: &toml::Table, (all, prefix): (&toml::Table, &str)) -> String {
    let distance = |k: &str| strsim::damerau_levenshtein(k, key);
    let here = known
        .keys()
        .map(|k| (distance(k), format!("{prefix}{k}")))
        .min();
    let elsewhere = all
        .iter()
        .filter_map(|(section, value)| Some((section, value.as_table()?)))
        .flat_map(|(section, inner)| inner.keys().map(move |k| (section, k)))
        .map(|(section, k)| (distance(k), format!("{section}.{k}")))
        .min();
    match (here, elsewhere) {
        (Some(here), Some(there)) if there.0 + 1 < here.0 => there.1,
        (Some((_, near)), _) | (None, Some((_, near))) => near,
        (None, None) => String::new(),
    }
}
