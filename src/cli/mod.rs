//! What commands say to people: progress, findings, the status of a running daemon.

mod allocator;
mod embed;
pub(crate) mod help;
mod import;
pub(crate) mod locate;
pub(crate) mod model;
mod progress;
mod settled;
mod status;
mod vectors;

pub(crate) use allocator::set as set_allocator;
pub(crate) use embed::embed;
pub(crate) use import::import;
pub(crate) use progress::{ProgressView, draw_samples};
pub(crate) use status::{Form, status, unknown};
pub(crate) use vectors::{Query, arrange, export, similar};

use anyhow::{Context, bail};
use mosaicd::{
    config::Config,
    daemon::{self, CONFIRMATION, Finding},
    service::escape::escaped,
};
use std::{fs, path::Path};

/// The log level of commands that show progress: warnings, unless the configuration asks for more than `info`.
pub(crate) fn quiet(level: &str) -> String {
    if level == "info" {
        "warn".to_owned()
    } else {
        level.to_owned()
    }
}

/// `mosaicd validate`.
pub(crate) fn validate(config: &Config, json: bool) -> anyhow::Result<()> {
    let findings = daemon::validate(config);
    let mut wrong = 0;
    if json {
        let list: Vec<_> = findings
            .iter()
            .map(|Finding { what, found }| match found {
                Ok(text) => serde_json::json!({"what": what, "ok": true, "found": text}),
                Err(text) => serde_json::json!({"what": what, "ok": false, "found": text}),
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        wrong = findings
            .iter()
            .filter(|finding| finding.found.is_err())
            .count();
    }
    for finding in findings.iter().filter(|_| !json) {
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

/// `mosaicd validate --explain`.
pub(crate) fn explain(config: &Config, path: &Path) {
    println!("{}", escaped(&daemon::explain(config, path)));
}

/// `mosaicd confirm-removal`: leaves a file for the running daemon, or for the next one if none runs.
pub(crate) fn confirm_removal(config: &Config) -> anyhow::Result<()> {
    let path = config.folders.state.join(CONFIRMATION);
    let Some(removal) = daemon::held_removal(&config.folders.state) else {
        bail!(
            "no removal is held, so there is nothing to confirm; `mosaicd status` says when one is"
        );
    };
    fs::write(&path, removal).with_context(|| {
        format!(
            "cannot write {}; is it the state folder of this mosaic, and are you its user?",
            path.display()
        )
    })?;
    println!(
        "a removal that is held now is carried out within seconds by a running daemon, or at the next start"
    );
    Ok(())
}
