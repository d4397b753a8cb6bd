//! Work beside everything else, each on a thread of its own: the loop hears of its end whatever came of it.

use super::Event;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

/// Sends its word when it is dropped, also by a panic.
struct Word<T> {
    found: Option<T>,
    tell: fn(Option<T>) -> Event,
    send: UnboundedSender<Event>,
}

impl<T> Drop for Word<T> {
    fn drop(&mut self) {
        drop(self.send.send((self.tell)(self.found.take())));
    }
}

/// Starts `work` (called `name` in messages); the event that `tell` makes says what came of it.
///
/// `None` where no thread can be had: the event is sent then too.
pub(super) fn beside<T: Send + 'static>(
    name: &str,
    send: UnboundedSender<Event>,
    tell: fn(Option<T>) -> Event,
    work: impl FnOnce() -> Option<T> + Send + 'static,
) -> Option<JoinHandle<()>> {
    let found = None;
    let word = Word { found, tell, send };
    let work = move || {
        let mut word = word;
        word.found = work();
    };
    match spawn(name, work) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!(%error, "no thread for the {name}");
            None
        }
    }
}

/// Runs what would use every core in a pool of one thread: the next rebuild must not queue behind it.
pub(super) fn on_one_core<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => Some(pool.install(work)),
        Err(error) => {
            tracing::warn!(%error, "no thread for work beside everything else");
            None
        }
    }
}

/// A thread with a name.
pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}
