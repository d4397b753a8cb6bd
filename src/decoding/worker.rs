//! The worker: `mosaicd decode-worker`, started by mosaicd alone.
//!
//! It confines itself before the first byte of a file comes, and ends with its parent.

use super::{
    Allowance, Kind, Refused, UNASKED,
    confined::Confined,
    made::{Made, Wanted},
    message::{self, Answer, Request},
};
use crate::{
    artwork::decode::{self, Cost, DecodeError, Format},
    domain::chain,
};
use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::{
    any::Any,
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    panic,
    process::ExitCode,
    sync::Arc,
};

/// The hidden command that makes a process a worker.
pub const COMMAND: &str = "decode-worker";

/// Serves the parent until it hangs up.
pub fn run() -> ExitCode {
    let served = serve();
    match served.as_ref().map_err(io::Error::kind) {
        Ok(()) | Err(io::ErrorKind::UnexpectedEof) => ExitCode::SUCCESS,
        Err(_) => {
            eprintln!(
                "mosaicd {COMMAND} is started by mosaicd itself, for pictures from strangers"
            );
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // What the service manager or a terminal sends to everybody is the parent's business; it hangs up when it ends.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let _ = rustix::thread::set_name(c"mosaicd-decode");
    // A caught panic is an answer; what is printed is for the end of the process alone.
    panic::set_hook(Box::new(|_| {}));
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Whoever calls the command by hand has none.
    socket.peer_addr()?;
    let (confined, missing) = Confined::enter();
    message::send(&mut socket, &Answer::Ready(missing))?;
    loop {
        let request: Request = message::receive(&mut socket)?;
        if let Some(answer) = answer(&mut socket, &confined, &request)? {
            message::send(&mut socket, &answer)?;
        }
    }
}

/// Reads the file of a request, decodes it, and makes what is wanted; `None` if the parent has no room for the picture.
fn answer(
    socket: &mut UnixStream,
    confined: &Confined,
    request: &Request,
) -> io::Result<Option<Answer>> {
    let Request {
        wanted,
        allowance,
        bytes: length,
    } = request;
    let before = confined.has();
    let limit = |cost: Cost| {
        confined.limit_memory(before.saturating_add(allowance.bytes(*length, cost.bytes)));
        confined.limit_time(allowance.seconds(cost.pixels));
    };
    limit(Cost::default());
    let mut bytes = Vec::new();
    let room = usize::try_from(*length).map(|length| bytes.try_reserve_exact(length));
    if !matches!(room, Ok(Ok(()))) {
        io::copy(&mut socket.take(*length), &mut io::sink())?;
        return Ok(Some(Answer::Refused(too_large(allowance))));
    }
    socket.take(*length).read_to_end(&mut bytes)?;
    let cost @ Cost {
        bytes: needs,
        pixels,
    } = decode::cost(&bytes, &wanted.limits);
    if needs > UNASKED {
        let needs = Answer::Needs {
            bytes: needs,
            pixels,
        };
        message::send(socket, &needs)?;
        let mut goes_on = [0];
        socket.read_exact(&mut goes_on)?;
        if goes_on == [0] {
            return Ok(None);
        }
        limit(cost);
    }
    Ok(Some(match panic::catch_unwind(|| make(bytes, wanted)) {
        Ok(Ok(made)) => Answer::Made(made),
        Ok(Err(error)) => Answer::Refused(refused(&error)),
        Err(payload) => Answer::Refused(Refused {
            reason: "the picture cannot be prepared, which is a fault of mosaicd; save it again as PNG or JPEG".into(),
            kind: Kind::Other,
            detail: panic_message(&*payload),
        }),
    }))
}

fn panic_message(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
}

fn make(bytes: Vec<u8>, wanted: &Wanted) -> Result<Made, DecodeError> {
    let picture = decode::decode(&bytes, &wanted.limits)?;
    let format = Format::of(&bytes);
    drop(bytes);
    Ok(Made {
        format,
        ..Made::of(&picture, wanted)
    })
}

fn too_large(allowance: &Allowance) -> Refused {
    Refused {
        reason: format!(
            "the file does not fit into the {} MB that decode.memory_mb allows; save it smaller",
            allowance.memory >> 20
        ),
        kind: Kind::Memory,
        detail: None,
    }
}

fn refused(error: &DecodeError) -> Refused {
    Refused {
        reason: chain(error),
        kind: match error {
            DecodeError::Empty => Kind::Empty,
            DecodeError::NotAPicture | DecodeError::Unsupported(_) => Kind::NoPicture,
            DecodeError::LimitReached { .. } => Kind::Memory,
            error if error.is_truncated() => Kind::Truncated,
            _ => Kind::Other,
        },
        detail: match error {
            DecodeError::Panicked { message, .. } => Some(message.clone()),
            _ => None,
        },
    }
}
