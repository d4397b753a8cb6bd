//! The parent's side: starts workers, gives them files, and finds out why one ended.

use super::{
    Allowance, Decoder, Decoders, Ending, Failure, Overrun,
    made::{Made, Wanted},
    message::{self, Answer, Request},
    worker,
};
use rustix::process::{Pid, setpriority_process};
use std::{
    env,
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// This program, even if its file was replaced or deleted since it was started.
const MYSELF: &str = "/proc/self/exe";

/// How often a thread that waits for a worker looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How long a worker may take to start; the machine may be busy.
const START: Duration = Duration::from_secs(60);

/// The priority of processes that let others go first, as nice(1) counts.
const LAST: i32 = 19;

/// Settings of glibc's allocator, with which the program starts itself again: few heaps, and large blocks that go back to
/// the system. They go on to workers, and no other variable does.
pub const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// Signals with which the kernel ends a process that exceeds its time, and one that aborts.
const SIGXCPU: i32 = 24;
const SIGABRT: i32 = 6;

/// Decodes in processes, one for each decoder.
#[derive(Clone, Debug)]
pub struct Processes {
    program: PathBuf,
}

impl Default for Processes {
    /// Workers are this program, which must be mosaicd.
    fn default() -> Self {
        Self::of(MYSELF.into())
    }
}

impl Processes {
    /// Workers are `program`, a mosaicd of the same version.
    pub fn of(program: PathBuf) -> Self {
        Self { program }
    }
}

impl Decoders for Processes {
    fn decoder(&self, last: bool) -> Box<dyn Decoder> {
        Box::new(Client {
            program: self.program.clone(),
            last,
            process: None,
        })
    }
}

/// Decodes one file, in a process for it alone.
pub fn decode_once(bytes: Vec<u8>, wanted: &Wanted, allowance: Allowance) -> Result<Made, Failure> {
    let mut decoder = Processes::default().decoder(false);
    decoder.decode(
        bytes,
        wanted,
        allowance,
        &mut |_| true,
        &AtomicBool::new(false),
    )
}

/// A decoder whose worker is started when it is needed, and replaced when it has ended.
struct Client {
    program: PathBuf,
    last: bool,
    process: Option<Process>,
}

impl Decoder for Client {
    fn decode(
        &mut self,
        bytes: Vec<u8>,
        wanted: &Wanted,
        allowance: Allowance,
        reserve: &mut dyn FnMut(u64) -> bool,
        stop: &AtomicBool,
    ) -> Result<Made, Failure> {
        let kept = self.process.take().and_then(Process::living);
        let mut process = match kept {
            Some(process) => process,
            None => Process::start(&self.program, self.last, stop)?,
        };
        match process.ask(bytes, wanted, allowance, reserve, stop) {
            Ok(None) => {
                self.process = Some(process);
                Err(Failure::NoRoom)
            }
            Ok(Some(answer)) => {
                self.process = Some(process);
                match answer {
                    Answer::Made(made) => Ok(made),
                    Answer::Refused(refused) => {
                        if let Some(detail) = &refused.detail {
                            tracing::debug!(detail, "a decoder panicked");
                        }
                        Err(refused.into())
                    }
                    Answer::Ready(_) | Answer::Needs { .. } => {
                        self.process = None;
                        Err(Overrun::Crash(Ending::Nonsense).into())
                    }
                }
            }
            Err(_) if stop.load(Ordering::Relaxed) => Err(Failure::Stopped),
            Err(error) => Err(process.overrun(&error, allowance.most_seconds).into()),
        }
    }
}

/// A running worker; it is killed when dropped.
struct Process {
    child: Child,
    socket: UnixStream,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a worker and waits until it is confined.
    fn start(program: &PathBuf, last: bool, stop: &AtomicBool) -> Result<Self, Failure> {
        let pair = || {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_read_timeout(Some(LOOK))?;
            ours.set_write_timeout(Some(LOOK))?;
            Ok((ours, theirs))
        };
        let (socket, theirs) = pair().map_err(Failure::NoWorker)?;
        let passed_on = ALLOCATOR
            .into_iter()
            .filter_map(|(key, _)| Some((key, env::var_os(key)?)));
        let child = Command::new(program)
            .arg0("mosaicd")
            .arg(worker::COMMAND)
            .env_clear()
            .envs(passed_on)
            .current_dir("/")
            // Signals of a terminal are the parent's alone.
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Failure::NoWorker)?;
        if last {
            // Where this is forbidden, it takes its share like the others.
            let _ = setpriority_process(Some(Pid::from_child(&child)), LAST);
        }
        let mut process = Self { child, socket };
        match message::receive(&mut process.patient(START, stop)) {
            Ok(Answer::Ready(missing)) => {
                static SAID: Once = Once::new();
                if let Some(error) = missing {
                    SAID.call_once(|| {
                        tracing::warn!(
                            error,
                            "decoding processes run without a filter of system calls; limits of memory, time and files hold"
                        );
                    });
                }
                Ok(process)
            }
            _ if stop.load(Ordering::Relaxed) => Err(Failure::Stopped),
            answer => {
                let ending = process.end();
                let said = process.last_words();
                let text = match (answer, said.trim()) {
                    (Err(error), "") => format!("{error}; {ending}"),
                    (_, said) => format!("{ending}: {said}"),
                };
                Err(Failure::NoWorker(io::Error::other(text)))
            }
        }
    }

    /// The process, if it has not ended while it had nothing to do.
    fn living(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    fn patient<'a>(&'a self, patience: Duration, stop: &'a AtomicBool) -> Patient<'a> {
        Patient {
            socket: &self.socket,
            deadline: Instant::now() + patience,
            stop,
        }
    }

    /// Gives it a file and waits for what it makes of it; `None` if there is no room for the picture.
    fn ask(
        &mut self,
        bytes: Vec<u8>,
        wanted: &Wanted,
        allowance: Allowance,
        reserve: &mut dyn FnMut(u64) -> bool,
        stop: &AtomicBool,
    ) -> io::Result<Option<Answer>> {
        let request = Request {
            wanted: wanted.clone(),
            allowance,
            bytes: bytes.len() as u64,
        };
        let mut socket = self.patient(patience(allowance.seconds(0)), stop);
        message::send(&mut socket, &request)?;
        socket.write_all(&bytes)?;
        // The worker has them; a large file must not be in memory twice.
        drop(bytes);
        match message::receive(&mut socket)? {
            Answer::Needs { bytes, pixels } => {
                let goes_on = reserve(bytes);
                let mut socket = self.patient(patience(allowance.seconds(pixels)), stop);
                socket.write_all(&[u8::from(goes_on)])?;
                match goes_on {
                    true => message::receive(&mut socket).map(Some),
                    false => Ok(None),
                }
            }
            answer => Ok(Some(answer)),
        }
    }

    /// What it did wrong when asking it failed with `error`.
    fn overrun(mut self, error: &io::Error, seconds: u64) -> Overrun {
        if error.kind() == ErrorKind::TimedOut {
            return Overrun::Time { seconds };
        }
        if error.kind() == ErrorKind::InvalidData {
            return Overrun::Crash(Ending::Nonsense);
        }
        match self.end() {
            Ending::Signal(SIGXCPU) => Overrun::Time { seconds },
            // Rust's own words, said before it aborts.
            Ending::Signal(SIGABRT) if self.last_words().contains("memory allocation of") => {
                Overrun::Memory
            }
            ending => Overrun::Crash(ending),
        }
    }

    /// How it ended, after it hung up.
    fn end(&mut self) -> Ending {
        // It hangs up a moment before it is gone; one that only closed its socket is ended.
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK / 50),
                Ok(Some(status)) => break Some(status),
                _ => break None,
            }
        };
        match status.map(|status| (status.signal(), status.code())) {
            Some((Some(signal), _)) => Ending::Signal(signal),
            Some((None, Some(code))) => Ending::Code(code),
            _ => Ending::Nonsense,
        }
    }

    /// What it said last, once it has ended.
    fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        if let Some(stderr) = self.child.stderr.take().filter(|_| ended) {
            let _ = stderr.take(4096).read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// How long to wait for a worker that may use so many seconds of a processor: the processors may be busy with other
/// things. Only one that waits for nothing, or was stopped, takes so long.
fn patience(seconds: u64) -> Duration {
    Duration::from_secs(60 + 5 * seconds)
}

/// The longest that a thread waits for a worker whose file may take `seconds` of a processor.
pub fn longest(seconds: u64) -> Duration {
    START + patience(seconds) + patience(seconds)
}

/// The socket of a worker, waited for until a deadline, or until told to stop.
struct Patient<'a> {
    socket: &'a UnixStream,
    deadline: Instant,
    stop: &'a AtomicBool,
}

impl Patient<'_> {
    /// Repeats what is waited for.
    fn wait<T>(&self, mut step: impl FnMut(&UnixStream) -> io::Result<T>) -> io::Result<T> {
        while Instant::now() < self.deadline {
            match step(self.socket) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                done => return done,
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.wait(|mut socket| socket.read(to))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.wait(|mut socket| socket.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
