//! The commands' talk with people: progress, findings, the status beside a running daemon.

pub(crate) mod model;
mod progress;
mod vectors;

pub(crate) use progress::{Progress, draw_samples};
pub(crate) use vectors::{Query, arrange, export, similar};

use anyhow::{Context, bail};
use mosaicd::{
    config::Config,
    daemon::{self, CONFIRMATION},
    service::{escape::escaped, human::render_human, status::Status},
};
use std::{
    fs, io,
    time::{SystemTime, UNIX_EPOCH},
};

/// The log level of commands that show progress: warnings, unless the configuration asks for more than `info`.
pub(crate) fn quiet(level: &str) -> String {
    if level == "info" {
        "warn".to_owned()
    } else {
        level.to_owned()
    }
}

/// `mosaicd validate`.
pub(crate) fn validate(config: &Config) -> anyhow::Result<()> {
    let findings = daemon::validate(config);
    let mut wrong = 0;
    for finding in &findings {
        match &finding.found {
            Ok(text) => println!("ok     {:<9} {}", finding.what, escaped(text)),
            Err(text) => {
                wrong += 1;
                println!("wrong  {:<9} {}", finding.what, escaped(text));
            }
        }
    }
    if wrong > 0 {
        bail!(daemon::Invalid(wrong));
    }
    Ok(())
}

/// `mosaicd status`.
pub(crate) fn status(config: &Config, json: bool) -> anyhow::Result<()> {
    let path = config.folders.output.join("status.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "no status in {}; has mosaicd run with this output folder?",
                config.folders.output.display()
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if json {
        print!("{text}");
        return Ok(());
    }
    let status =
        Status::from_json(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    print!("{}", render_human(&status, now_ms));
    Ok(())
}

/// `mosaicd confirm-removal`: speaks to a running daemon by a file, and to the next one if none runs.
pub(crate) fn confirm_removal(config: &Config) -> anyhow::Result<()> {
    let path = config.folders.state.join(CONFIRMATION);
    fs::write(&path, []).with_context(|| format!("cannot write {}", path.display()))?;
    println!(
        "a removal that is held now is carried out within seconds by a running daemon, or at the next start"
    );
    Ok(())
}
