//! Background work on threads of its own: the loop is told when it ends, also after a failure.

use super::Event;
use crate::{
    domain::manifest::Quality,
    history::twins::Groups,
    pipeline::{Polished, Worded},
    plan::Background,
};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::UnboundedSender;

/// What background work found; `None`: nothing, or it failed.
#[derive(Debug)]
pub(super) enum Found {
    /// Whether part of the map may still have to move.
    Relax(bool),
    /// A better grid.
    Polish(Option<Polished>),
    /// The quality of a generation, and which works are one picture.
    Measure(Option<(Quality, Groups)>),
    /// Words for the published regions.
    Word(Option<Worded>),
}

impl Found {
    /// Which work it was, and whether it found anything.
    pub(super) fn work(&self) -> (Background, bool) {
        match self {
            Self::Relax(more) => (Background::Relax, *more),
            Self::Polish(found) => (Background::Polish, found.is_some()),
            Self::Measure(found) => (Background::Measure, found.is_some()),
            Self::Word(found) => (Background::Word, found.is_some()),
        }
    }
}

/// Tells the loop what was found when it is dropped, also by a panic.
struct Reply<T> {
    found: Option<T>,
    kind: fn(Option<T>) -> Found,
    send: UnboundedSender<Event>,
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let found = (self.kind)(self.found.take());
        drop(self.send.send(Event::Ended(found)));
    }
}

/// Starts `work` (called `name` in messages); the loop is told what it found.
///
/// `None` where no thread can be started: the loop is told then too.
pub(super) fn start<T: Send + 'static>(
    name: &str,
    send: UnboundedSender<Event>,
    kind: fn(Option<T>) -> Found,
    work: impl FnOnce() -> Option<T> + Send + 'static,
) -> Option<JoinHandle<()>> {
    let found = None;
    let reply = Reply { found, kind, send };
    let work = move || {
        let mut reply = reply;
        reply.found = work();
    };
    match spawn(name, work) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!(%error, "no thread can be started for the {name}");
            None
        }
    }
}

/// Runs what would use every core in a pool of one thread: the next rebuild must not queue behind it.
pub(super) fn on_one_core<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => Some(pool.install(work)),
        Err(error) => {
            tracing::warn!(%error, "no thread can be started for background work");
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
