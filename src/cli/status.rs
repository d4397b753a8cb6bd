//! `mosaicd status`: reads what a daemon reports, whether it runs or not.

use super::locate::Located;
use anyhow::{Context, bail};
use mosaicd::{
    config::{Config, ConfigError},
    service::{
        check::{Verdict, check},
        human::render_human,
        status::{Life, Status},
    },
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// How to answer.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Form {
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
    /// Print one line per cause and set the exit code: 0 fine, 1 needs attention, 2 not running or stale.
    #[arg(long, conflicts_with = "json")]
    pub(crate) check: bool,
    /// With --check: files may wait this many minutes for the generation that shows them.
    #[arg(long, value_name = "MINUTES", default_value_t = 30, requires = "check")]
    patience: u64,
}

/// `mosaicd status`.
pub(crate) fn status(located: &Located, form: Form) -> anyhow::Result<ExitCode> {
    let Form {
        json,
        check: checks,
        patience,
    } = form;
    let read = read(&located.config).and_then(|(path, text)| {
        let status =
            Status::from_json(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok((path, text, status))
    });
    let (path, text, status) = match read {
        Ok(read) => read,
        Err(error) if checks => {
            let error = format!("{error:#} (configuration: {})", located.source);
            return Ok(answer(&Verdict::Down(error)));
        }
        Err(error) => {
            return Err(error.context(format!("with the configuration {}", located.source)));
        }
    };
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    let life = status.life(now_ms, is_there(status.pid));
    if checks {
        return Ok(answer(&check(
            &status,
            life,
            now_ms,
            patience.saturating_mul(60_000),
        )));
    }
    if json {
        let mut value: serde_json::Value = serde_json::from_str(&text)?;
        value["running"] = (life == Life::Running).into();
        value["configuration"] = located.source.to_string().into();
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        print!("{}", render_human(&status, life, now_ms));
        println!("\n{:<9}{}", "config", located.source);
        println!("{:<9}{}", "from", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer to `--check` when the configuration cannot be read: the daemon's state is unknown.
pub(crate) fn unknown(error: &ConfigError) -> ExitCode {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    answer(&Verdict::Down(format!("cannot tell: {first}")))
}

fn answer(verdict: &Verdict) -> ExitCode {
    for line in verdict.lines() {
        println!("{line}");
    }
    ExitCode::from(verdict.code())
}

/// Finds and reads `status.json`: in the configured folder, in the state folder, and in the output folder, where version
/// 0.1 wrote it.
fn read(config: &Config) -> anyhow::Result<(PathBuf, String)> {
    let folders = &config.folders;
    let mut places = vec![config.status_folder(), &folders.state, &folders.output];
    places.dedup();
    let mut refused = None;
    for folder in &places {
        let path = folder.join("status.json");
        match fs::read_to_string(&path) {
            Ok(text) => return Ok((path, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => refused = refused.or(Some((path, error))),
        }
    }
    if let Some((path, error)) = refused {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let cannot = format!("cannot read {}", path.display());
        return Err(error).context(match denied {
            true => format!("{cannot}: try it as root or as the daemon's user"),
            false => cannot,
        });
    }
    let places: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
    bail!(
        "no status in {}; has mosaicd run with these folders (--config, or --output and --state)?",
        places.join(" or ")
    )
}

/// Whether a process exists; `None` where /proc does not say.
fn is_there(pid: u32) -> Option<bool> {
    Path::new("/proc/self")
        .exists()
        .then(|| Path::new(&format!("/proc/{pid}")).exists())
}
