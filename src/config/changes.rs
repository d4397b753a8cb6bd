//! What a reload changes: key by key, and which keys wait for a restart.

use super::Config;
use std::fmt;

/// Keys that a running daemon cannot change: the store stays locked and open, and logging is set up once.
const AT_RESTART: [&str; 2] = ["folders.state", "log.format"];

/// Longest value shown; the rest is cut.
const SHOWN: usize = 60;

/// One key whose value differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, as in `grid.lambda`.
    pub key: String,
    /// Its value before, as TOML; empty if there was none.
    pub from: String,
    /// Its value now; empty if there is none.
    pub to: String,
    /// Whether it takes effect at the next restart only.
    pub at_restart: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = |text: &str| match text {
            "" => "nothing".to_owned(),
            text if text.chars().count() > SHOWN => text.chars().take(SHOWN).chain(['…']).collect(),
            text => text.to_owned(),
        };
        write!(f, "{}: {} → {}", self.key, none(&self.from), none(&self.to))?;
        if self.at_restart {
            write!(f, " (at the next restart)")?;
        }
        Ok(())
    }
}

/// Every key whose value differs, ordered by name.
pub fn changes(before: &Config, now: &Config) -> Vec<Change> {
    let table = |config: &Config| toml::Table::try_from(config).unwrap_or_default();
    let mut found = Vec::new();
    compare("", &table(before), &table(now), &mut found);
    found
}

fn compare(prefix: &str, before: &toml::Table, now: &toml::Table, found: &mut Vec<Change>) {
    let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let full = format!("{prefix}{key}");
        match (before.get(key), now.get(key)) {
            (Some(toml::Value::Table(a)), Some(toml::Value::Table(b))) => {
                compare(&format!("{full}."), a, b, found);
            }
            (a, b) if a == b => {}
            (a, b) => {
                let text = |value: Option<&toml::Value>| {
                    value.map_or(String::new(), toml::Value::to_string)
                };
                found.push(Change {
                    at_restart: AT_RESTART.contains(&full.as_str()),
                    key: full,
                    from: text(a),
                    to: text(b),
                });
            }
        }
    }
}
