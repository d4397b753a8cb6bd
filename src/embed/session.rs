//! Opening onnxruntime sessions: threads, copies of the model, and the device that inference runs on.
//!
//! Threads of one session wait for each other hundreds of times per run; two sessions side by side, each with half of the
//! threads, do not. A session is for one caller at a time: concurrent calls of onnxruntime's `Run` are not safe on
//! every device.
//!
//! CUDA is used where the loaded library offers it and the machine has it; anything else runs on the CPU, with one line
//! in the log if CUDA was asked for or failed. Nothing of CUDA is needed to build mosaicd or to run it.

use super::{
    EncodeError,
    library::{self, LibrarySearch},
    memory,
};
use ort::{
    ep::{CUDA, ExecutionProvider},
    session::Session,
};
use std::{
    iter,
    num::NonZero,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
};

/// Most sessions that a picture encoder opens where nothing is configured. Twice as many gain a tenth on 16 cores, hold twice
/// as much memory for as long as the daemon runs, and leave a work that comes alone half of the threads.
const SESSIONS: usize = 4;
/// Memory there must be for each byte of the model and each session after the first. A session of ViT-B/32 (351 MB) takes
/// 2.1 times as much, each other 1.3 to 1.6; while a model changes, or the configuration is read again, there are twice as
/// many, and pictures take memory too.
const ROOM: u64 = 10;

/// What inference runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// CUDA where the library and the machine have it, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA; the CPU, with a warning, if that is not possible.
    Cuda,
}

/// How models are run, whichever they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Where to look for onnxruntime.
    pub library: LibrarySearch,
    /// Threads of inference in all; `None` means one per core.
    pub threads: Option<NonZero<usize>>,
    /// Sessions of a picture encoder, which share the threads; `None` means up to four where there are threads and memory
    /// for them.
    pub sessions: Option<NonZero<usize>>,
    /// What inference runs on.
    pub device: Device,
}

impl Runtime {
    /// The threads of inference.
    pub(super) fn threads(&self) -> usize {
        let threads = self
            .threads
            .or_else(|| thread::available_parallelism().ok());
        threads.map_or(1, NonZero::get)
    }

    /// How many sessions to open of a model of `bytes`, including separate files of weights.
    pub(super) fn sessions(&self, bytes: u64) -> usize {
        let fitting = || fitting(memory::allowed_bytes(), bytes);
        self.sessions
            .map_or_else(fitting, NonZero::get)
            .min(self.threads())
    }
}

/// How many sessions of a model of `bytes` there is memory for, at least one.
fn fitting(memory: u64, bytes: u64) -> usize {
    let others = memory / ROOM / bytes.max(1);
    usize::try_from(others).map_or(SESSIONS, |others| SESSIONS.min(1 + others))
}

/// Sessions of one model, each for one caller at a time.
pub(super) struct Sessions {
    first: Mutex<Session>,
    others: Vec<Mutex<Session>>,
}

impl Sessions {
    /// Opens `count` sessions, at least one, by `open`, which is given the threads of each; all have `threads`
    /// together. One is enough: if there is no memory for another, that is not an error.
    fn open(
        count: usize,
        threads: usize,
        open: impl Fn(usize) -> ort::Result<Session>,
    ) -> ort::Result<Self> {
        let share = |i: usize| threads / count + usize::from(i < threads % count);
        let first = Mutex::new(open(share(0))?);
        let mut others = Vec::new();
        for i in 1..count {
            match open(share(i)) {
                Ok(session) => others.push(Mutex::new(session)),
                Err(error) => {
                    tracing::warn!(sessions = i, error = %error, "no more sessions of the model can be opened");
                    break;
                }
            }
        }
        Ok(Self { first, others })
    }

    /// How many callers need not wait for each other.
    pub(super) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// One that nobody uses, or else the first as soon as it is free.
    pub(super) fn free(&self) -> MutexGuard<'_, Session> {
        let mut all = iter::once(&self.first).chain(&self.others);
        let free = all.find_map(|session| match session.try_lock() {
            Ok(session) => Some(session),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.first.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Opens the model on the device that `runtime` prefers, on the CPU in `count` sessions that share the threads, and hands
/// them to `prove`, which shows by a trial run of one that they work; falls back to the CPU if they do not on CUDA.
/// Returns what `prove` made and the device's name.
pub(super) fn open<T>(
    onnx: &Path,
    runtime: &Runtime,
    count: usize,
    mut prove: impl FnMut(Sessions) -> Result<T, EncodeError>,
) -> Result<(T, &'static str), EncodeError> {
    let environment = library::environment(&runtime.library)?;
    let session = |threads: usize, cuda: bool| {
        let builder = Session::builder(&environment)?
            .with_intra_threads(threads)?
            // Threads that spin while they wait for each other take the processor from those that decode.
            .with_intra_op_spinning(false)?
            .with_inter_threads(1)?;
        let mut builder = match cuda {
            true => {
                builder.with_execution_providers([CUDA::default().build().error_on_failure()])?
            }
            false => builder,
        };
        builder.commit_from_file(onnx)
    };
    let failed = |source| EncodeError::Model {
        path: onnx.to_path_buf(),
        source,
    };
    if wants_cuda(runtime.device) {
        let sessions = Sessions::open(1, runtime.threads(), |threads| session(threads, true));
        let sessions = sessions.map_err(failed);
        match sessions.and_then(&mut prove) {
            Ok(made) => return Ok((made, "cuda")),
            Err(error) => {
                // Nothing is wrong with the model: what onnxruntime says is of the device.
                let error = match error {
                    EncodeError::Model { source, .. } => source.to_string(),
                    other => other.to_string(),
                };
                tracing::warn!(error, "CUDA cannot be used; running on the CPU");
            }
        }
    }
    let sessions = Sessions::open(count, runtime.threads(), |threads| session(threads, false));
    Ok((prove(sessions.map_err(failed)?)?, "cpu"))
}

/// Whether CUDA is worth a try with the loaded library.
fn wants_cuda(device: Device) -> bool {
    if device == Device::Cpu {
        return false;
    }
    let offered = CUDA::is_available().unwrap_or(false);
    match (offered, device) {
        (true, _) => true,
        (false, Device::Cuda) => {
            tracing::warn!("this onnxruntime library has no CUDA; running on the CPU");
            false
        }
        (false, _) => {
            tracing::debug!("this onnxruntime library has no CUDA; running on the CPU");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_session_wants_ten_times_the_model_in_memory() {
        const MODEL: u64 = 351_000_000;
        assert_eq!(fitting(0, MODEL), 1);
        assert_eq!(fitting(10 * MODEL - 1, MODEL), 1);
        assert_eq!(fitting(10 * MODEL, MODEL), 2);
        assert_eq!(fitting(8 << 30, MODEL), 3);
        assert_eq!(fitting(u64::MAX, MODEL), SESSIONS);
        assert_eq!(fitting(u64::MAX, 0), SESSIONS);
    }

    #[test]
    fn no_session_is_without_a_thread() {
        let runtime = |threads, sessions| Runtime {
            threads: NonZero::new(threads),
            sessions: NonZero::new(sessions),
            ..Runtime::default()
        };
        assert_eq!(runtime(1, 0).sessions(0), 1);
        assert_eq!(runtime(3, 8).sessions(0), 3);
        assert_eq!(runtime(16, 2).sessions(0), 2);
    }
}
