//! Which encoder the mosaic is made with, and which one is to replace it.
//!
//! After a change of model the old encoder stays in use: it places arrivals, while the next one embeds everything in
//! shadow. When that is done, the next one takes over, and the mosaic changes once. `encoder.toml` in the state folder
//! names the encoder in use, so that a restart in between continues in the same way. Without it, or when that encoder
//! cannot be opened any more, the mosaic stays as it is until everything is embedded again.

use super::{DaemonError, Mode, rooms};
use crate::{
    config::Config,
    disk,
    embed::{Encoder, ModelId},
};
use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path, sync::Arc};

/// Name of the file in the state folder.
const FILE: &str = "encoder.toml";

/// The encoders in use.
#[derive(Clone)]
pub(super) struct Encoders {
    /// The one that the mosaic is made with.
    pub(super) serving: Arc<dyn Encoder>,
    /// The one that takes over when it has embedded every placed work.
    pub(super) next: Option<Arc<dyn Encoder>>,
}

/// `encoder.toml`.
#[derive(Serialize, Deserialize)]
struct Remembered {
    /// `embed.model`.
    model: String,
    /// Whether `embed.look` was above 0; it was not in version 0.1.
    #[serde(default)]
    look: bool,
    /// The identity of the encoder that this opened.
    id: ModelId,
}

impl Encoders {
    /// Opens the configured encoder, and the one that served last, if that is a different one.
    pub(super) fn open(config: &Config, mode: &Mode) -> Result<Self, DaemonError> {
        let configured = rooms::open_encoder(config)?;
        let alone = |serving| Self {
            serving,
            next: None,
        };
        // A single pass ends when it has published; nobody waits for it meanwhile.
        if matches!(mode, Mode::Once) {
            return Ok(alone(configured));
        }
        let Some(Remembered { model, look, id }) = recall(&config.folders.state) else {
            return Ok(alone(configured));
        };
        if id == *configured.model() {
            return Ok(alone(configured));
        }
        let mut old = config.clone();
        old.embed.model = model;
        old.embed.look = f64::from(u8::from(look));
        match rooms::open_encoder(&old) {
            Ok(serving) if *serving.model() == id => Ok(Self {
                serving,
                next: Some(configured),
            }),
            opened => {
                let error = opened.err().map(|error| error.to_string());
                tracing::warn!(
                    model = old.embed.model,
                    error = error.unwrap_or_else(|| "the model has changed".into()),
                    "the mosaic's encoder is gone; the mosaic stays until everything is embedded again"
                );
                Ok(alone(configured))
            }
        }
    }

    /// Takes the encoder of a new configuration: at once if it is the same model, else as the next one.
    pub(super) fn change(&mut self, encoder: Arc<dyn Encoder>) {
        if encoder.model() == self.serving.model() {
            (self.serving, self.next) = (encoder, None);
        } else {
            self.next = Some(encoder);
        }
    }

    /// The next encoder serves from now on.
    pub(super) fn take_over(&mut self) {
        if let Some(next) = self.next.take() {
            self.serving = next;
        }
    }

    /// Writes down what serves, once nothing is to take over.
    pub(super) fn remember(&self, config: &Config) {
        if self.next.is_some() {
            return;
        }
        let remembered = Remembered {
            model: config.embed.model.clone(),
            look: config.embed.look > 0.0,
            id: self.serving.model().clone(),
        };
        if let Err(error) = write(&config.folders.state, &remembered) {
            tracing::warn!(%error, path = FILE, "cannot be written; only a restart during a change of model needs it");
        }
    }
}

fn recall(state: &Path) -> Option<Remembered> {
    let text = fs::read_to_string(state.join(FILE)).ok()?;
    toml::from_str(&text).ok()
}

fn write(state: &Path, remembered: &Remembered) -> io::Result<()> {
    let text = toml::to_string(remembered).map_err(io::Error::other)?;
    disk::replace_durably(&state.join(FILE), &text)
}
