//! What commands say to people: progress, findings, the status of a running daemon.

pub(crate) mod help;
mod import;
pub(crate) mod model;
mod progress;
mod vectors;

pub(crate) use import::import;
pub(crate) use progress::{Progress, draw_samples};
pub(crate) use vectors::{Query, arrange, export, similar};

use anyhow::{Context, bail};
use mosaicd::{
    config::Config,
    daemon::{self, CONFIRMATION, Finding, STATUS},
    service::{
        escape::escaped,
        human::render_human,
        status::{Life, Status},
    },
};
use std::{
    fs, io,
    path::Path,
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

/// `mosaicd status`.
pub(crate) fn status(config: &Config, json: bool) -> anyhow::Result<()> {
    let path = config.folders.output.join(STATUS);
    // While the output cannot be written, the status is in the state folder.
    let aside = fs::read_to_string(config.folders.state.join(STATUS)).ok();
    let updated = |text: &str| Status::from_json(text).map_or(0, |status| status.updated_ms);
    let text = match (fs::read_to_string(&path), aside) {
        (Ok(text), Some(aside)) if updated(&aside) > updated(&text) => Ok(aside),
        (Err(_), Some(aside)) => Ok(aside),
        (text, _) => text,
    };
    let text = match text {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "no status in {}; has mosaicd run with this output folder?",
                config.folders.output.display()
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let damaged = || format!("{} is damaged", path.display());
    let status = Status::from_json(&text).with_context(damaged)?;
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    let life = status.life(now_ms, is_there(status.pid));
    if json {
        let mut value: serde_json::Value = serde_json::from_str(&text).with_context(damaged)?;
        value["running"] = (life == Life::Running).into();
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        print!("{}", render_human(&status, life, now_ms));
    }
    Ok(())
}

/// Whether a process is there; `None` where /proc does not tell.
fn is_there(pid: u32) -> Option<bool> {
    Path::new("/proc/self")
        .exists()
        .then(|| Path::new(&format!("/proc/{pid}")).exists())
}

/// `mosaicd confirm-removal`: speaks to a running daemon by a file, and to the next one if none runs.
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
