//! What is known of one path: what is placed there, and how far the file that is there now has come.
//!
//! The two are independent: a new version is read while the old one is placed, and a file may go while a task places it.

use super::settling::Settling;
use crate::domain::{ContentHash, FileIdentity};

/// What is known of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The version that is placed.
    pub(super) placed: Option<Placed>,
    /// What the running task does at this path.
    pub(super) task: Option<InTask>,
    /// The file that is there now.
    pub(super) stage: Stage,
    /// A version of the file that is not finished yet, or that waits to be tried again.
    pub(super) settling: Option<Settling>,
}

/// A version of a file that is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) identity: FileIdentity,
    pub(super) validity: Validity,
}

/// Whether what was made of a placed version can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Good,
    /// It was made for another model or cell size: the old mosaic stays until the work was read again.
    Stale,
    /// Its cell or embedding cannot be read: the mosaic is kept without it until the work was read again.
    Damaged,
}

/// What the running task does at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InTask {
    /// It places this version.
    Places(FileIdentity, ContentHash),
    /// It takes out what is placed.
    TakesOut,
}

/// How far the finished file at a path has come.
#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    /// There is nothing to do about it: it is the placed one, or no file was finished yet.
    #[default]
    Rest,
    /// It is being read and embedded.
    Reading {
        identity: FileIdentity,
        /// This many attempts before could not use it.
        tries: u32,
        /// It takes long: nothing waits for it.
        slow: bool,
    },
    /// It is durable, and waits for the next task.
    Ready(FileIdentity, ContentHash),
    /// It is not in the mosaic.
    Refused(Refused),
    /// It is not there any more, and is still placed or is being placed.
    Gone,
}

/// A file that is not in the mosaic, or not as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What the file system said of it.
    pub identity: FileIdentity,
    /// Why.
    pub reason: String,
    /// Whether it is tried again without a change; otherwise it is tried again when it changes.
    pub again: bool,
    /// Whether the file is not to blame: the store or the cells could not be written.
    pub ours: bool,
    /// Whether it is no picture and not named like any.
    pub other: bool,
    /// How often it was tried.
    pub(super) tries: u32,
}

/// How many entries are at which stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Placed works.
    pub(super) placed: usize,
    /// Files that settle, not counting retries.
    pub(super) settling: usize,
    /// Files being read, not counting slow ones.
    pub(super) reading: usize,
    /// Files being read that take long.
    pub(super) slow: usize,
    /// Files that wait for the next task.
    pub(super) ready: usize,
    /// Placed works whose file is gone, to be taken out by the next task.
    pub(super) gone: usize,
    /// Files that are refused.
    pub(super) refused: usize,
    /// Refused files that are not to blame.
    pub(super) ours: usize,
    /// Refused files that are no pictures and not named like any.
    pub(super) other: usize,
    /// Stale works that are about to be read, or are being read, not counting slow ones.
    pub(super) rereading: usize,
}

impl Entry {
    /// What will be placed once the running task has ended.
    fn placed_next(&self) -> Option<Placed> {
        match self.task {
            None => self.placed,
            Some(InTask::TakesOut) => None,
            Some(InTask::Places(identity, _)) => Some(Placed {
                identity,
                validity: Validity::Good,
            }),
        }
    }

    /// Whether nothing about a file of this identity is new.
    pub(super) fn is_current(&self, identity: &FileIdentity) -> bool {
        match &self.stage {
            Stage::Reading {
                identity: known, ..
            }
            | Stage::Ready(known, _) => known == identity,
            // One that is to be tried again, but settles no more, was out of sight: looking at it is news.
            Stage::Refused(refused) => {
                refused.identity == *identity && !(refused.again && self.settling.is_none())
            }
            Stage::Gone => false,
            Stage::Rest => self.placed_next().is_some_and(|placed| {
                placed.identity == *identity && placed.validity == Validity::Good
            }),
        }
    }

    /// Whether the next task takes the work out.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone) && self.placed.is_some() && self.task.is_none()
    }

    /// Device and inode of a file on its way in.
    pub(super) fn arriving_inode(&self) -> Option<(u64, u64)> {
        match &self.stage {
            Stage::Reading { identity, .. } => Some((identity.dev, identity.ino)),
            _ => self.settling.and_then(|settling| settling.inode),
        }
    }

    /// A stale or damaged work was read again.
    pub(super) fn read_again(&mut self) {
        if let Some(placed) = &mut self.placed {
            placed.validity = Validity::Good;
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.placed_next().is_none()
            && self.placed.is_none()
            && self.settling.is_none()
            && matches!(self.stage, Stage::Rest | Stage::Gone)
    }

    pub(super) fn counts(&self) -> Counts {
        let settles = self.settling.is_some_and(|settling| !settling.is_retry);
        let (reads, slow) = match self.stage {
            Stage::Reading { slow, .. } => (true, slow),
            _ => (false, false),
        };
        let refused = match &self.stage {
            Stage::Refused(refused) => Some(refused),
            _ => None,
        };
        let ours = refused.is_some_and(|refused| refused.ours);
        let other = refused.is_some_and(|refused| refused.other);
        let placed = self.placed.as_ref();
        let stale = placed.is_some_and(|placed| placed.validity == Validity::Stale);
        Counts {
            placed: self.placed.is_some().into(),
            settling: settles.into(),
            reading: (reads && !slow).into(),
            slow: slow.into(),
            ready: matches!(self.stage, Stage::Ready(..)).into(),
            gone: self.is_gone().into(),
            refused: refused.is_some().into(),
            ours: ours.into(),
            other: other.into(),
            rereading: (stale && (settles || (reads && !slow) || ours)).into(),
        }
    }
}

impl Counts {
    /// Files on their way in for which others may wait.
    pub(super) fn awaited(&self) -> usize {
        self.settling + self.reading + self.ready
    }

    pub(super) fn each(&mut self, other: Self, step: impl Fn(&mut usize, usize)) {
        step(&mut self.placed, other.placed);
        step(&mut self.settling, other.settling);
        step(&mut self.reading, other.reading);
        step(&mut self.slow, other.slow);
        step(&mut self.ready, other.ready);
        step(&mut self.gone, other.gone);
        step(&mut self.refused, other.refused);
        step(&mut self.ours, other.ours);
        step(&mut self.other, other.other);
        step(&mut self.rereading, other.rereading);
    }
}
