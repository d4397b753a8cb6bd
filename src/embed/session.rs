//! Opening onnxruntime sessions: threads, and the device that inference runs on.
//!
//! CUDA is used where the loaded library offers it and the machine has it; anything else runs on the CPU, with one line
//! in the log if CUDA was asked for or failed. Nothing of CUDA is needed to build mosaicd or to run it.

use super::EncodeError;
use super::library::{self, LibrarySearch};
use ort::{
    ep::{CUDA, ExecutionProvider},
    session::Session,
};
use std::{num::NonZero, path::Path, thread};

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
    /// Threads that a run of the model uses; `None` means one a core.
    pub threads: Option<NonZero<usize>>,
    /// What inference runs on.
    pub device: Device,
}

impl Runtime {
    /// The threads of a run.
    pub(super) fn threads(&self) -> usize {
        let threads = self
            .threads
            .or_else(|| thread::available_parallelism().ok());
        threads.map_or(1, NonZero::get)
    }
}

/// Opens the model on the device that `runtime` prefers and hands the session to `prove`, which shows by a trial run
/// that it works; falls back to the CPU if it does not on CUDA. Returns what `prove` made and the device's name.
pub(super) fn open<T>(
    onnx: &Path,
    runtime: &Runtime,
    mut prove: impl FnMut(Session) -> Result<T, EncodeError>,
) -> Result<(T, &'static str), EncodeError> {
    let environment = library::environment(&runtime.library)?;
    let session = |cuda: bool| {
        let commit = || {
            let builder = Session::builder(&environment)?
                .with_intra_threads(runtime.threads())?
                // Threads that spin while they wait for each other take the processor from those that decode.
                .with_intra_op_spinning(false)?
                .with_inter_threads(1)?;
            let mut builder = match cuda {
                true => builder
                    .with_execution_providers([CUDA::default().build().error_on_failure()])?,
                false => builder,
            };
            builder.commit_from_file(onnx)
        };
        commit().map_err(|source: ort::Error| EncodeError::Model {
            path: onnx.to_path_buf(),
            source,
        })
    };
    if wants_cuda(runtime.device) {
        match session(true).and_then(&mut prove) {
            Ok(made) => return Ok((made, "cuda")),
            Err(error) => tracing::warn!(error = %error, "CUDA cannot be used; running on the CPU"),
        }
    }
    Ok((prove(session(false)?)?, "cpu"))
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
