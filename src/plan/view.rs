//! What the plan reports about itself: whether anything is left to do, what is going on, and what is wrong.

use super::{Held, KnownFolders, LINGER_MS, Plan, Refused, Shadow};
use crate::domain::{SkipReason, Task};
use std::{collections::BTreeMap, path::PathBuf};

impl Plan {
    /// Whether nothing is left to do until something changes; background work may be going on.
    pub fn is_idle(&self) -> bool {
        self.table.counts().slow == 0 && self.is_quiet()
    }

    /// Whether nothing is left to do but to read files that take long.
    pub(super) fn is_quiet(&self) -> bool {
        let (pending, counts) = (&self.pending, self.table.counts());
        self.scans > 0
            && !self.scanning
            && self.running.is_none()
            && self.failing.is_none()
            && counts.awaited() + counts.gone == 0
            && !(pending.due || pending.relayout || pending.polished)
            && self.shadow.as_ref().is_none_or(Shadow::is_over)
    }

    /// Whether a single pass has nothing left to do. It does not wait for what cannot be done, nor, after [`LINGER_MS`],
    /// for files that are still being written.
    pub fn is_over(&self) -> bool {
        let counts = self.table.counts();
        let waited = |since| self.now_ms > since + LINGER_MS;
        let writing =
            counts.settling == self.pending() && self.unfinished_since.is_some_and(waited);
        let failing = self.failing.is_some() || self.scan_error.is_some();
        (self.is_idle() && self.rendering.is_over() || writing || failing)
            && !self.pending.is_working()
    }

    /// The embedding of the placed works by another model, while that goes on.
    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }

    /// Whether every placed work is embedded by the other model, so that it can take over.
    pub fn can_take_over(&self) -> bool {
        self.running.is_none() && self.shadow.as_ref().is_some_and(Shadow::is_complete)
    }

    /// Whether something was published by now, and no task runs.
    pub fn has_published(&self) -> bool {
        self.running.is_none() && self.pending.has_published()
    }

    /// Whether the artwork folder was scanned.
    pub fn has_scanned(&self) -> bool {
        self.scans > 0
    }

    /// Whether a scan is under way.
    pub fn is_scanning(&self) -> bool {
        self.scanning
    }

    /// Whether files wait because the store or the cells could not be written: no room, or an I/O error.
    pub fn is_blocked(&self) -> bool {
        self.table.counts().ours > 0
    }

    /// How many works the running task arranges, if many of them arrive with it.
    pub fn arranging(&self) -> Option<usize> {
        let Some(Task::Apply { arrivals, .. }) = &self.running else {
            return None;
        };
        let works = self.table.counts().placed + arrivals.len();
        (arrivals.len() > works / 20).then_some(works)
    }

    /// Files in a state between seen and placed.
    pub fn pending(&self) -> usize {
        self.unread() + self.table.counts().ready
    }

    /// Inputs so far, without ticks: while it stays the same, nothing that the plan reports has changed.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Files that are being read and embedded.
    pub fn reading(&self) -> usize {
        self.table.counts().reading + self.table.counts().slow
    }

    /// Files that are seen and not read yet.
    pub fn unread(&self) -> usize {
        self.table.counts().settling + self.reading()
    }

    /// Files that are not in the mosaic, by name.
    pub fn refused(&self) -> impl Iterator<Item = (&PathBuf, &Refused)> {
        self.table.refused()
    }

    /// How many files are not in the mosaic, and how many of them are no pictures and not named like any.
    pub fn refused_count(&self) -> (usize, usize) {
        (self.table.counts().refused, self.table.counts().other)
    }

    /// What the last scan left out.
    pub fn skipped(&self) -> &BTreeMap<PathBuf, SkipReason> {
        &self.skipped
    }

    /// A held removal.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// How many scans have ended.
    pub fn scans(&self) -> u64 {
        self.scans
    }

    /// The folders of the placed works.
    pub fn folders(&self) -> &KnownFolders {
        &self.folders
    }

    /// How long the removal has been held, by this plan and those before it, milliseconds; `None` if none is held, or
    /// none that was held before has been seen yet.
    pub fn held_ms(&self) -> Option<u64> {
        let held = self.held.as_ref()?;
        let here_ms = self.now_ms.saturating_sub(held.since_ms);
        Some(self.held_before_ms.saturating_add(here_ms))
    }

    /// How long until a held removal takes effect, milliseconds.
    pub fn held_left_ms(&self) -> Option<u64> {
        let held_ms = self.held_ms()?;
        Some(self.settings.grace_ms.saturating_sub(held_ms))
    }

    /// Whether the last scan found nothing to hold.
    pub fn holds_nothing(&self) -> bool {
        self.held.is_none() && self.scans > 0 && self.scan_error.is_none()
    }

    /// Why the artwork folder cannot be scanned.
    pub fn scan_error(&self) -> Option<&str> {
        self.scan_error.as_deref()
    }

    /// Why the last task failed.
    pub fn failing(&self) -> Option<&str> {
        self.failing.as_ref().map(|(reason, ..)| reason.as_str())
    }

    /// What is being done: `scan`, `embed`, `layout` or `settle`; `None` when idle.
    pub fn stage(&self) -> Option<&'static str> {
        let counts = self.table.counts();
        match () {
            () if self.scanning && self.scans == 0 => Some("scan"),
            () if self.reading() > 0 => Some("embed"),
            () if self.running.is_some() => Some("layout"),
            () if counts.settling > 0 => Some("settle"),
            () => None,
        }
    }
}
