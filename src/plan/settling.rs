//! When is a file finished? How one file settles: what is known of it meanwhile, and when to look again.
//!
//! Pure steps from one state to the next; the [`table`](super::table) holds a state for each file that settles. Times
//! are milliseconds of any monotonic clock. The rules follow the experience of other watchers (syncthing,
//! paperless-ngx, immich):
//! - After a close or a rename, a file is looked at once it has been quiet for [`Quiet::closed_ms`]. Devices open and
//!   close repeatedly, so anything that happens starts the wait again.
//! - Without a close (links, files found by a scan, network file systems) its identity must stay the same for
//!   [`Quiet::stable_ms`].
//! - A file that was seen to be written is open until it is closed: a copy that stalls must not be shown half old, half
//!   new. If no close ever comes (it was missed), the file must stay the same for [`Quiet::open_ms`].
//! - No file is given up: one that could not be used is looked at again after 5 s, 10 s, … 1 h, and at once when its
//!   identity changes.
//!
//! A file that changes all the time is never finished, and delays no other.

use crate::domain::{FileIdentity, Touch};

/// How long a file must be quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// After the last event of a file that was closed or renamed.
    pub closed_ms: u64,
    /// For the identity of any other file.
    pub stable_ms: u64,
    /// For the identity of a file that was written to and not closed since.
    pub open_ms: u64,
    /// Before the first retry of a file that could not be used; doubles every time.
    pub retry_ms: u64,
    /// The longest wait before a retry.
    pub max_retry_ms: u64,
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            closed_ms: 300,
            stable_ms: 2_000,
            open_ms: 600_000,
            retry_ms: 5_000,
            max_retry_ms: 3_600_000,
        }
    }
}

/// A file that settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settling {
    /// When to look at it.
    pub(super) look_at_ms: u64,
    /// Whether it was closed by whoever wrote it.
    closed: bool,
    /// Whether it was written to and not closed since.
    open: bool,
    /// The identity seen last, and since when.
    seen: Option<(FileIdentity, u64)>,
    /// Device and inode, once they are known: a work that is gone may be this file, renamed.
    pub(super) inode: Option<(u64, u64)>,
    /// Whether it is finished and could not be used: it is waited for to be tried again.
    pub(super) is_retry: bool,
}

/// What looking at a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// It is finished, to be read as exactly this identity.
    Finished,
    /// It still settles.
    Settles(Settling),
}

impl Settling {
    /// An event came.
    pub(super) fn touched(before: Option<Self>, touch: Touch, now_ms: u64, quiet: &Quiet) -> Self {
        Self {
            look_at_ms: now_ms.saturating_add(quiet.closed_ms),
            closed: match touch {
                Touch::Closed => true,
                Touch::Writing | Touch::Made => false,
                Touch::Attributes => before.is_none_or(|before| before.closed),
            },
            open: match touch {
                Touch::Closed => false,
                Touch::Writing => true,
                Touch::Made | Touch::Attributes => before.is_some_and(|before| before.open),
            },
            seen: None,
            inode: before.and_then(|before| before.inode),
            is_retry: false,
        }
    }

    /// A scan found the file new or changed. `age_ms` is how long ago it last changed by the wall clock, if that can be
    /// told: an old file needs no wait.
    pub(super) fn found(
        before: Option<Self>,
        identity: FileIdentity,
        age_ms: Option<u64>,
        now_ms: u64,
        quiet: &Quiet,
    ) -> Self {
        if let Some(before) = before
            && (before.closed || before.seen.is_some_and(|(seen, _)| seen == identity))
        {
            // A scan says nothing new; looking will.
            return Self {
                inode: inode(&identity),
                ..before
            };
        }
        let open = before.is_some_and(|before| before.open);
        let old = !open && age_ms.is_some_and(|age_ms| age_ms >= quiet.stable_ms);
        Self {
            closed: old,
            open,
            ..Self::seen_at(identity, now_ms, if old { 0 } else { quiet.stable_ms })
        }
    }

    /// The file was looked at.
    pub(super) fn looked_at(self, identity: FileIdentity, now_ms: u64, quiet: &Quiet) -> Looked {
        let stable_ms = match self.open {
            true => quiet.open_ms.max(quiet.stable_ms),
            false => quiet.stable_ms,
        };
        match self.seen {
            None if self.closed => Looked::Finished,
            Some((seen, _)) if seen == identity && self.closed => Looked::Finished,
            Some((seen, since_ms)) if seen == identity => {
                let look_at_ms = since_ms.saturating_add(stable_ms);
                match now_ms >= look_at_ms {
                    true => Looked::Finished,
                    false => Looked::Settles(Self { look_at_ms, ..self }),
                }
            }
            // It was closed, if at all, before it became what it is now.
            _ => Looked::Settles(Self {
                open: self.open,
                ..Self::seen_at(identity, now_ms, stable_ms)
            }),
        }
    }

    /// Events were lost, among them perhaps that the file was closed: it is looked at soon.
    pub(super) fn lost(self, now_ms: u64, quiet: &Quiet) -> Self {
        match self.open {
            true => Self {
                open: false,
                look_at_ms: now_ms.saturating_add(quiet.stable_ms),
                ..self
            },
            false => self,
        }
    }

    /// The file is finished and could not be used, for the `tries`th time as it is.
    pub(super) fn retry(identity: FileIdentity, tries: u32, now_ms: u64, quiet: &Quiet) -> Self {
        let factor = 1u64.checked_shl(tries.saturating_sub(1));
        let wait_ms = quiet.retry_ms.saturating_mul(factor.unwrap_or(u64::MAX));
        Self {
            closed: true,
            is_retry: true,
            ..Self::seen_at(identity, now_ms, wait_ms.min(quiet.max_retry_ms))
        }
    }

    fn seen_at(identity: FileIdentity, now_ms: u64, wait_ms: u64) -> Self {
        Self {
            look_at_ms: now_ms.saturating_add(wait_ms),
            closed: false,
            open: false,
            seen: Some((identity, now_ms)),
            inode: inode(&identity),
            is_retry: false,
        }
    }
}

fn inode(identity: &FileIdentity) -> Option<(u64, u64)> {
    Some((identity.dev, identity.ino))
}
