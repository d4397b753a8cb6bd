//! `publish.command`: what is started after each generation.
//!
//! One thread starts it, observes it and logs how it ended; the loop only sends a message. It never runs twice at the
//! same time: generations that are published meanwhile are reported together, by one start after it has ended. When it
//! ends, or its time is over, what it started is killed: its process group, and every process that has its mark in the
//! environment, which finds those that left the group (`setsid`). The first lines of its output are kept for the log.

use crate::{
    config::OnPublish,
    domain::{Report, manifest::Moves},
    service::escape::escaped,
};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, kill_process, kill_process_group},
};
use std::{
    fs,
    io::{self, PipeReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A running command is looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of its output that are kept for the log; the rest is read and discarded.
const KEPT: usize = 2_000;

/// How often is looked for processes that left the group, at most; new ones may appear while the old ones are killed.
const SWEEPS: usize = 50;
/// The variable with the mark.
const MARK: &str = "MOSAICD_COMMAND";

/// What the command is told.
#[derive(Clone, Debug, Default, PartialEq)]
struct News {
    generation: u64,
    works: usize,
    moves: Moves,
}

impl News {
    /// The later of two, with the changes of both.
    fn and(self, later: Self) -> Self {
        let sum = |a: u32, b: u32| a.saturating_add(b);
        let (a, b) = (self.moves, &later.moves);
        Self {
            moves: Moves {
                added: sum(a.added, b.added),
                removed: sum(a.removed, b.removed),
                moved: sum(a.moved, b.moved),
                grown: sum(a.grown, b.grown),
            },
            ..later
        }
    }
}

/// How a command ended.
#[derive(Debug)]
enum End {
    Exited(ExitStatus),
    /// Its time was over.
    TimedOut,
    /// The daemon ends.
    Stopped,
}

/// Starts the configured command after each generation.
pub(super) struct Hook {
    send: Option<Sender<News>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hook {
    /// `None` where no command is configured, or no thread can be started.
    pub(super) fn new(configured: &OnPublish, output: &Path) -> Option<Self> {
        if configured.command.is_empty() {
            return None;
        }
        let (send, inbox) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (configured, output) = (configured.clone(), output.to_owned());
        let stopping = Arc::clone(&stop);
        let work = move || serve(&configured, &output, &inbox, &stopping);
        let thread = thread::Builder::new().name("on-publish".into()).spawn(work);
        let thread = thread
            .inspect_err(
                |error| tracing::warn!(%error, "publish.command is not started: no thread can be started"),
            )
            .ok()?;
        Some(Self {
            send: Some(send),
            stop,
            thread: Some(thread),
        })
    }

    /// A generation was published. Returns at once.
    pub(super) fn published(&self, report: &Report) {
        let news = News {
            generation: report.generation,
            works: report.works,
            moves: report.moves.clone(),
        };
        if let Some(send) = &self.send {
            // The thread ends only after this end of the channel.
            drop(send.send(news));
        }
    }

    /// Waits until the command was started for every generation and has ended; a single pass does this at its end.
    pub(super) fn finish(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.send = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A running command is killed.
impl Drop for Hook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.join();
    }
}

fn serve(configured: &OnPublish, output: &Path, inbox: &Receiver<News>, stop: &AtomicBool) {
    while let Ok(first) = inbox.recv() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let news = inbox.try_iter().fold(first, News::and);
        let generation = news.generation;
        let began = Instant::now();
        let mut said = Vec::new();
        let end = run(configured, output, &news, stop, &mut said);
        let said = String::from_utf8_lossy(&said);
        let said = escaped(said.trim());
        let elapsed_ms = began.elapsed().as_millis() as u64;
        match end {
            Ok(End::Exited(status)) if status.success() => {
                tracing::info!(generation, elapsed_ms, %said, "publish.command has run");
            }
            Ok(End::Exited(status)) => {
                tracing::warn!(generation, elapsed_ms, %status, %said, "publish.command failed");
            }
            Ok(End::TimedOut) => {
                tracing::warn!(generation, elapsed_ms, %said, "publish.command took longer than publish.timeout_s and was killed");
            }
            Ok(End::Stopped) => {
                tracing::warn!(generation, %said, "publish.command was killed, because the daemon ends or reloads");
            }
            Err(error) => tracing::warn!(generation, %error, "publish.command cannot be started"),
        }
    }
}

fn run(
    configured: &OnPublish,
    output: &Path,
    news: &News,
    stop: &AtomicBool,
    said: &mut Vec<u8>,
) -> io::Result<End> {
    let [program, arguments @ ..] = configured.command.as_slice() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (mut reader, writer) = io::pipe()?;
    fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        // A group of its own, so that what it starts ends with it.
        .process_group(0);
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let sequence = STARTED.fetch_add(1, Ordering::Relaxed);
    let mark = format!("{}-{sequence}", std::process::id());
    for private in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(private);
    }
    let path = |name: &str| -> PathBuf { output.join(name) };
    command
        .env(MARK, &mark)
        .env("MOSAICD_GENERATION", news.generation.to_string())
        .env("MOSAICD_WORKS", news.works.to_string())
        .env("MOSAICD_ADDED", news.moves.added.to_string())
        .env("MOSAICD_REMOVED", news.moves.removed.to_string())
        .env("MOSAICD_MOVED", news.moves.moved.to_string())
        .env("MOSAICD_OUTPUT", output)
        .env("MOSAICD_MANIFEST", path("manifest.json"))
        .env("MOSAICD_FEED", path("feed.json"));
    let mut child = command.spawn()?;
    // The command's own ends of the pipe are closed here with it.
    drop(command);
    let deadline = Instant::now() + Duration::from_secs(configured.timeout_s);
    let end = loop {
        drain(&mut reader, said);
        if let Some(status) = child.try_wait()? {
            break End::Exited(status);
        }
        if stop.load(Ordering::Relaxed) {
            break End::Stopped;
        }
        if Instant::now() >= deadline {
            break End::TimedOut;
        }
        thread::sleep(LOOK);
    };
    // Also after a good end: nothing of it stays behind.
    kill(&mut child, &end, &mark);
    drain(&mut reader, said);
    Ok(end)
}

/// Reads what is there, as much as a pipe holds at a time.
fn drain(reader: &mut PipeReader, said: &mut Vec<u8>) {
    let mut buffer = [0; 16 * 1024];
    for _ in 0..64 {
        match reader.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                let room = KEPT.saturating_sub(said.len());
                said.extend(&buffer[..length.min(room)]);
            }
        }
    }
}

/// Kills the command's whole group and everything with its mark, and waits for its end.
fn kill(child: &mut Child, end: &End, mark: &str) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // Nobody may be left in it.
        let _ = kill_process_group(group, Signal::KILL);
    }
    if !matches!(end, End::Exited(_)) {
        drop(child.kill());
        drop(child.wait());
    }
    for _ in 0..SWEEPS {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        for process in left {
            let _ = kill_process(process, Signal::KILL);
        }
        thread::sleep(LOOK);
    }
}

/// The processes whose environment has this mark; those of other users cannot be seen.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let process = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let is_marked = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes());
        is_marked.then(|| Pid::from_raw(pid)).flatten()
    };
    entries.filter_map(process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout_s: u64) -> OnPublish {
        OnPublish {
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            timeout_s,
            ..OnPublish::default()
        }
    }

    fn once(configured: &OnPublish, stop: bool) -> (io::Result<End>, String) {
        let mut said = Vec::new();
        let news = News {
            generation: 7,
            works: 12,
            ..News::default()
        };
        let stop = AtomicBool::new(stop);
        let end = run(configured, Path::new("/o"), &news, &stop, &mut said);
        (end, String::from_utf8(said).expect("text"))
    }

    #[test]
    fn it_is_told_what_is_new() {
        let script = "echo $MOSAICD_GENERATION $MOSAICD_WORKS $MOSAICD_MANIFEST; echo oops >&2";
        let (end, said) = once(&shell(script, 60), false);
        assert!(matches!(end, Ok(End::Exited(status)) if status.success()));
        assert_eq!(said, "7 12 /o/manifest.json\noops\n");
    }

    #[test]
    fn one_that_fails_or_is_not_there_is_told() {
        let (end, _) = once(&shell("exit 3", 60), false);
        assert!(matches!(end, Ok(End::Exited(status)) if status.code() == Some(3)));
        let nowhere = OnPublish {
            command: vec!["/nowhere/at/all".into()],
            ..OnPublish::default()
        };
        assert!(once(&nowhere, false).0.is_err());
    }

    #[test]
    fn one_that_hangs_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().expect("a folder");
        let left = dir.path().join("pid");
        let child = format!("sleep 1000 & echo $! > {}; wait", left.display());
        // `setsid` of a group's leader forks, and its child's number is its own to tell.
        let escaped = format!(
            "setsid sh -c 'echo $$ > {0}; exec sleep 1000' & while ! [ -s {0} ]; do sleep .05; done; ",
            left.display()
        );
        let good = format!("{escaped} exit 0");
        for (script, timeout_s) in [(child, 1), (good, 600), (escaped + "wait", 1)] {
            fs::write(&left, "").expect("written");
            let (end, _) = once(&shell(&script, timeout_s), false);
            assert_eq!(matches!(end, Ok(End::TimedOut)), timeout_s == 1, "{end:?}");
            let pid = fs::read_to_string(&left).expect("written");
            let lives = || {
                let status = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
                status.is_ok_and(|stat| !stat.contains(") Z "))
            };
            // The system takes its time to end a process.
            let deadline = Instant::now() + Duration::from_secs(60);
            while lives() {
                assert!(Instant::now() < deadline, "{script}: its child lives on");
                thread::sleep(LOOK);
            }
        }
        assert!(matches!(
            once(&shell("sleep 1000", 60), true).0,
            Ok(End::Stopped)
        ));
    }

    #[test]
    fn one_that_floods_is_heard_out_and_cut_short() {
        let script = "head -c 20000000 /dev/zero | tr '\\0' x; exit 0";
        let (end, said) = once(&shell(script, 600), false);
        assert!(matches!(end, Ok(End::Exited(status)) if status.success()));
        assert_eq!(said.len(), KEPT);
    }

    #[test]
    fn generations_that_come_meanwhile_are_told_together() {
        let of = |generation, added| News {
            generation,
            works: 1,
            moves: Moves {
                added,
                ..Moves::default()
            },
        };
        let both = of(3, 5).and(of(4, 2));
        assert_eq!((both.generation, both.moves.added), (4, 7));
    }
}
