//! Reading the configuration again: it is checked before anything of the old one is given up.

use super::{Mode, chain, rooms};
use crate::{
    config::{Change, Config, changes},
    embed::Encoder,
    service::telemetry,
    watch::Ignore,
};
use std::sync::Arc;

/// A new configuration that passed all checks that are possible beforehand, and its encoder. Logs what it changes, and
/// which changes wait for a restart.
///
/// # Errors
/// Why it is refused: the old one stays in force.
pub(super) fn prove(old: &Config, mode: &Mode) -> Result<(Config, Arc<dyn Encoder>), String> {
    let Mode::Watch { reload, .. } = mode else {
        return Err("a single pass keeps its configuration".to_owned());
    };
    let mut config = reload().map_err(|error| error.to_string())?;
    // As the file has it, to say which of its changes wait for a restart.
    let wanted = config.clone();
    config.folders.state.clone_from(&old.folders.state);
    rooms::check_folders(&config).map_err(|error| error.to_string())?;
    Ignore::new(&config.watch.ignore).map_err(|error| chain(&error))?;
    let encoder = rooms::open_encoder(&config).map_err(|error| error.to_string())?;
    rooms::open_vocabulary(&config).map_err(|error| error.to_string())?;
    telemetry::check_level(&config.log.level).map_err(|error| error.to_string())?;
    report(&changes(old, &wanted));
    Ok((config, encoder))
}

fn report(changed: &[Change]) {
    let said: Vec<String> = changed.iter().map(Change::to_string).collect();
    let said = match said.as_slice() {
        [] => "nothing changed".to_owned(),
        said => said.join("; "),
    };
    tracing::info!(
        changed = changed.len(),
        "the configuration was read again: {said}"
    );
    if changed.iter().any(|change| change.at_restart) {
        tracing::warn!("some of these changes wait for a restart: systemctl restart mosaicd");
    }
}
