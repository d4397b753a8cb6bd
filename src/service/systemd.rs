//! What the daemon tells systemd: ready, reloading, stopping, a status line, alive.
//!
//! Outside systemd (no `NOTIFY_SOCKET`) every call does nothing. A message that cannot be sent is logged once and
//! never stops the daemon. Source: sd_notify(3); the reload message carries `MONOTONIC_USEC` with `RELOADING=1`, as
//! `Type=notify-reload` of systemd 253 demands and 252 tolerates.

use super::escape::escaped;
use sd_notify::NotifyState;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest status line sent, in characters: `systemctl status` shows one line.
const STATUS_CHARS: usize = 200;

/// The door to the service manager.
#[derive(Debug, Default)]
pub struct Notifier {
    failed_before: AtomicBool,
    last_status: Mutex<String>,
}

impl Notifier {
    /// A notifier for the service manager of this process, if it has one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The daemon is up (or has finished reloading) and `status` is what it does now.
    pub fn ready(&self, status: &str) {
        let text = one_line(status);
        self.remember(&text);
        self.send(&[NotifyState::Ready, NotifyState::Status(&text)]);
    }

    /// The start takes longer, for the reason `status`; the next message comes within `limit`.
    pub fn waiting(&self, status: &str, limit: Duration) {
        let text = one_line(status);
        self.remember(&text);
        let usec = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        self.send(&[
            NotifyState::Status(&text),
            NotifyState::ExtendTimeoutUsec(usec),
        ]);
    }

    /// The configuration is being read again; follow it with [`Notifier::ready`], also when the new one is refused.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => {
                tracing::debug!(%error, "no monotonic clock: the reload is not announced")
            }
        }
    }

    /// The daemon is stopping.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// Sets the line that `systemctl status` shows; the same text is sent once only.
    pub fn status(&self, text: &str) {
        let text = one_line(text);
        if self.remember(&text) {
            self.send(&[NotifyState::Status(&text)]);
        }
    }

    /// Says that the pipeline makes progress. Call it where progress is made, not from a timer.
    pub fn watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// Whether `text` differs from the status sent last.
    fn remember(&self, text: &str) -> bool {
        let Ok(mut last) = self.last_status.lock() else {
            return true;
        };
        let new = *last != text;
        text.clone_into(&mut last);
        new
    }

    fn send(&self, message: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(message)
            && !self.failed_before.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "the service manager cannot be notified");
        }
    }
}

/// A newline in a status would start another assignment, `READY=1` for instance.
fn one_line(text: &str) -> String {
    escaped(text)
        .to_string()
        .chars()
        .take(STATUS_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    #[test]
    #[ignore = "the child of the test below"]
    fn child() {
        let notifier = Notifier::new();
        notifier.waiting("no room", Duration::from_secs(20));
        notifier.ready("3 works");
        notifier.status("3 works");
        notifier.status("a\nREADY=1");
        notifier.reloading();
        notifier.watchdog();
        notifier.stopping();
    }

    #[test]
    fn messages_are_those_of_sd_notify() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        let child = Command::new(std::env::current_exe().expect("a test program"))
            .args(["--exact", "service::systemd::tests::child", "--ignored"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "60000000")
            .env_remove("WATCHDOG_PID")
            .output()
            .expect("the test program starts");
        assert!(child.status.success(), "{child:?}");
        let mut buffer = [0; 4096];
        let mut next = || {
            let read = socket.recv(&mut buffer).expect("one more message");
            String::from_utf8_lossy(&buffer[..read]).into_owned()
        };
        assert_eq!(next(), "STATUS=no room\nEXTEND_TIMEOUT_USEC=20000000\n");
        assert_eq!(next(), "READY=1\nSTATUS=3 works\n");
        assert_eq!(next(), "STATUS=a\\nREADY=1\n", "no forged readiness");
        let reload = next();
        let usec = reload.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(
            usec.is_some_and(|usec| usec.trim_end().parse::<u64>().is_ok()),
            "{reload:?}"
        );
        assert_eq!(next(), "WATCHDOG=1\n");
        assert_eq!(next(), "STOPPING=1\n");
    }

    #[test]
    fn outside_systemd_nothing_happens() {
        let notifier = Notifier::new();
        notifier.ready("fine");
        notifier.watchdog();
        assert!(!notifier.failed_before.load(Ordering::Relaxed));
    }
}
