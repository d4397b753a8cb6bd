//! Finding words for the published regions, beside everything else.

use super::{Event, threads::spawn};
use crate::{
    pipeline::{Unworded, Worded},
    publish::PublishError,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};
use tokio::sync::mpsc::UnboundedSender;

/// Sends its word when it is dropped, so that the loop hears of the end whatever came of it.
struct Word {
    found: Option<Worded>,
    send: UnboundedSender<Event>,
}

impl Drop for Word {
    fn drop(&mut self) {
        drop(self.send.send(Event::Worded(self.found.take())));
    }
}

/// Looks for words on a thread of its own, which ends soon after `stop` is set; [`Event::Worded`] tells the end.
pub(super) fn find_beside(
    unworded: Result<Option<Unworded>, PublishError>,
    stop: Arc<AtomicBool>,
    send: UnboundedSender<Event>,
) -> Option<JoinHandle<()>> {
    let word = Word { found: None, send };
    let unworded = unworded.unwrap_or_else(|error| {
        tracing::warn!(error = %error, "words could not be taken away");
        None
    })?;
    let work = move || {
        let mut word = word;
        word.found = match unworded.word(&|| stop.load(Ordering::Relaxed)) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = %error, "embed.vocabulary has no effect until the next start or reload");
                Some(unworded.without())
            }
        };
    };
    match spawn("words", work) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!(%error, "words cannot be looked for");
            None
        }
    }
}
