//! Unix signals as events.
//!
//! | signal | meaning |
//! | --- | --- |
//! | TERM, INT | stop in order; a second one exits at once |
//! | HUP | read the configuration again |
//! | USR1 | lay everything out again |
//! | USR2 | write the status to the log |
//!
//! The second TERM or INT ends the process from inside the signal handler (signal-hook's
//! `register_conditional_shutdown`), so it works while the runtime is stuck. Its exit code is 128 + the signal's
//! number, as a shell reports it: 143 for TERM, 130 for INT. Nothing is flushed then; the crash order of `publish`
//! and `store` makes that safe.
//!
//! A second signal counts once [`SECOND_AFTER`] has passed since the first: `timeout(1)` and some supervisors send the
//! same signal to the process and to its group within microseconds, and that is one request, not two.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::{SigId, flag, low_level};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How long after the first TERM or INT the next one means "at once".
pub const SECOND_AFTER: Duration = Duration::from_millis(100);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// TERM or INT: finish the step that makes work durable, and stop. Delivered once.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: lay everything out again.
    Relayout,
    /// USR2: write the status to the log.
    Dump,
}

/// Listens until dropped.
#[derive(Debug)]
pub struct Listener {
    handle: Handle,
    shutdowns: Vec<SigId>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.close();
        for id in &self.shutdowns {
            low_level::unregister(*id);
        }
    }
}

/// Calls `deliver` on a thread of its own for every signal until the returned [`Listener`] is dropped.
///
/// `deliver` must not block (send into an unbounded channel): while it does, no signal is seen. Signals of one kind
/// that arrive close together are delivered once.
///
/// # Errors
/// When the handlers cannot be registered or the thread cannot be started.
pub fn listen(deliver: impl Fn(Signal) + Send + 'static) -> io::Result<Listener> {
    let armed = Arc::new(AtomicBool::new(false));
    let mut shutdowns = Vec::new();
    for signal in [SIGTERM, SIGINT] {
        shutdowns.push(flag::register_conditional_shutdown(
            signal,
            128 + signal,
            Arc::clone(&armed),
        )?);
    }
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    let handle = signals.handle();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut stopping = false;
            for signal in signals.forever() {
                match signal {
                    SIGHUP => deliver(Signal::Reload),
                    SIGUSR1 => deliver(Signal::Relayout),
                    SIGUSR2 => deliver(Signal::Dump),
                    _ if stopping => {}
                    _ => {
                        stopping = true;
                        arm(Arc::clone(&armed));
                        deliver(Signal::Stop);
                    }
                }
            }
        })?;
    Ok(Listener { handle, shutdowns })
}

/// Makes the next TERM or INT after [`SECOND_AFTER`] end the process.
fn arm(armed: Arc<AtomicBool>) {
    let later = Arc::clone(&armed);
    let started = thread::Builder::new()
        .name("second-signal".into())
        .spawn(move || {
            thread::sleep(SECOND_AFTER);
            later.store(true, Ordering::SeqCst);
        });
    if started.is_err() {
        armed.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    //! The handlers are process-wide and one of them exits, so each story runs in a child: this test program again,
    //! asked for one ignored test.

    use super::*;
    use rustix::process::{Pid, Signal as Unix, kill_process};
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::time::Instant;

    #[test]
    #[ignore = "the child of the tests below"]
    fn child() {
        let _listener = listen(|signal| {
            let mut out = io::stdout().lock();
            writeln!(out, "got {signal:?}").expect("the parent reads");
        })
        .expect("handlers can be registered");
        let mut out = io::stdout().lock();
        writeln!(out, "listening").expect("the parent reads");
        drop(out);
        // A stuck runtime: nothing reacts to the delivered signals.
        thread::sleep(Duration::from_secs(60));
    }

    struct Story {
        child: Child,
        lines: BufReader<ChildStdout>,
    }

    impl Story {
        fn start() -> Self {
            let mut child = Command::new(std::env::current_exe().expect("a test program"))
                .args(["--exact", "service::signals::tests::child"])
                .args(["--ignored", "--nocapture"])
                .stdout(Stdio::piped())
                .spawn()
                .expect("the test program starts");
            let out = child.stdout.take().expect("piped");
            let mut story = Self {
                child,
                lines: BufReader::new(out),
            };
            story.wait_for("listening");
            story
        }

        fn wait_for(&mut self, wanted: &str) {
            let mut line = String::new();
            while !line.contains(wanted) {
                line.clear();
                let read = self.lines.read_line(&mut line).expect("readable");
                assert!(read > 0, "the child ended before it said {wanted:?}");
            }
        }

        fn send(&self, signal: Unix) {
            let pid = Pid::from_raw(self.child.id() as i32).expect("a child has a pid");
            kill_process(pid, signal).expect("the child runs");
        }
    }

    impl Drop for Story {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn every_signal_is_delivered_as_its_meaning() {
        let mut story = Story::start();
        for (unix, meaning) in [
            (Unix::HUP, "got Reload"),
            (Unix::USR1, "got Relayout"),
            (Unix::USR2, "got Dump"),
            (Unix::INT, "got Stop"),
        ] {
            story.send(unix);
            story.wait_for(meaning);
        }
    }

    #[test]
    fn a_second_signal_ends_a_stuck_process_at_once() {
        for (second, code) in [(Unix::TERM, 143), (Unix::INT, 130)] {
            let mut story = Story::start();
            story.send(Unix::TERM);
            story.wait_for("got Stop");
            let first = Instant::now();
            let ended = loop {
                if let Some(status) = story.child.try_wait().expect("a child") {
                    break status;
                }
                assert!(first.elapsed() < Duration::from_secs(30), "still running");
                story.send(second);
                thread::yield_now();
            };
            assert_eq!(ended.code(), Some(code));
        }
    }
}
