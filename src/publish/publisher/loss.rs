//! What to do when somebody removed, replaced or emptied the output folder while the publisher was using it: it is made
//! and read again.

use super::{
    super::{
        PublishError,
        collect::Retired,
        lock::Lock,
        names,
        recover::{State, recover},
    },
    Failpoint, Publisher,
};

impl Publisher {
    /// Sets or clears the failpoint, for tests of faults.
    pub fn set_failpoint(&mut self, failpoint: Option<Failpoint>) {
        self.folder.set_failpoint(failpoint);
    }

    /// Number of the published generation; 0 before the first.
    pub fn generation(&self) -> u64 {
        let manifest = self.manifest();
        manifest.map_or(0, |manifest| manifest.generation)
    }

    /// How long a file stays after the last generation that names it, milliseconds.
    pub fn grace_ms(&self) -> u64 {
        self.spec.grace_ms
    }

    /// Whether the folder was removed, replaced or emptied since this was asked last: its other files are gone then,
    /// too.
    pub fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// Notes that somebody removed, replaced or emptied the folder, so that it is read again.
    fn notice_loss(&mut self) -> Result<(), PublishError> {
        let manifest = self.manifest().is_some();
        let emptied = manifest && !self.folder.path(names::MANIFEST).exists();
        if !emptied && !self.folder.is_replaced() && self.lock.holds() {
            return Ok(());
        }
        tracing::warn!(
            path = %self.folder.path("").display(),
            "the output folder was removed, replaced or emptied; it is made again"
        );
        self.lost = true;
        self.state = None;
        self.retired = Retired::default();
        self.folder.reopen()?;
        if !self.lock.holds() {
            self.lock = Lock::take(&self.folder.path(""))?;
        }
        Ok(())
    }

    pub(super) fn take_state(&mut self) -> Result<State, PublishError> {
        self.notice_loss()?;
        let mut state = match self.state.take() {
            Some(state) => state,
            None => {
                self.readings += 1;
                recover(&self.folder, &self.spec, &mut self.retired)?
            }
        };
        // Numbers go on, so that readers who poll see something new.
        state.generation = state.generation.max(self.highest);
        Ok(state)
    }
}
