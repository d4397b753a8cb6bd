//! Panics as log lines: escaped and rate-limited like all other lines, and complete objects where lines are JSON.
//!
//! Most are caught (a decoder's, the database's) and reported by whoever caught them; one that is not ends its thread,
//! which the daemon notices.

use super::limit::Limited;
use std::{
    panic,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// From now on a panic anywhere in the process is one log line; a place that panics again and again is held back.
pub(super) fn log_panics() {
    let (limited, started) = (Mutex::new(Limited::new(3, 600_000)), Instant::now());
    panic::set_hook(Box::new(move |panic| {
        let at = panic.location().map(ToString::to_string);
        let at = at.unwrap_or_default();
        let now_ms = started.elapsed().as_millis() as u64;
        let mut limited = limited.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = limited.admit(&at, now_ms);
        drop(limited);
        if let Some(suppressed) = admitted {
            let thread = thread::current();
            let error = panic.payload_as_str().unwrap_or("no message");
            tracing::warn!(thread = thread.name(), at, error, suppressed, "panicked");
        }
    }));
}
