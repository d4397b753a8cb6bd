//! The watchers of all watched folders as one.

use super::{RootId, WatchEvent, Watcher};
use std::{collections::BTreeMap, path::PathBuf};

/// Watchers of all folders.
pub struct Watchers(pub(super) Vec<(PathBuf, Watcher)>);

impl Watchers {
    /// What happened since the last call, as [`Watcher::drain`] says it, with the folders' names in front of the paths.
    pub fn drain(&self) -> Vec<WatchEvent> {
        let events = self.0.iter().flat_map(|(name, watcher)| {
            let events = watcher.drain().into_iter();
            events.map(move |event| match event {
                WatchEvent::Touched { path, touch } => WatchEvent::Touched {
                    path: name.join(path),
                    touch,
                },
                WatchEvent::Removed { path } => WatchEvent::Removed {
                    path: name.join(path),
                },
                WatchEvent::Subtree(path) => WatchEvent::Subtree(name.join(path)),
                WatchEvent::Instructed { path, writing } => WatchEvent::Instructed {
                    path: name.join(path),
                    writing,
                },
                other @ (WatchEvent::Lost | WatchEvent::Failed(_)) => other,
            })
        });
        events.collect()
    }

    /// Watches the folders of a scan that nothing watches yet, see [`Watcher::cover`].
    pub fn cover(&self, folders: &BTreeMap<PathBuf, RootId>) {
        for (name, watcher) in &self.0 {
            let below = folders.range(name.clone()..);
            let below = below.take_while(|(path, _)| path.starts_with(name));
            let own = below.filter_map(|(path, id)| {
                let path = path.strip_prefix(name).ok()?;
                Some((path.to_owned(), *id))
            });
            watcher.cover(&own.collect());
        }
    }

    /// Whether all of them still answer, see [`Watcher::is_alive`].
    pub fn are_alive(&self) -> bool {
        self.0.iter().all(|(_, watcher)| watcher.is_alive())
    }
}
