//! What parent and worker say to each other over a pair of sockets: length, then a value as postcard writes it.
//!
//! Worker: [`Answer::Ready`]. Then for each file: parent [`Request`] and the file's bytes; worker, if the picture is
//! large, [`Answer::Needs`], parent one byte: 1, or 0 to leave it at that; worker [`Answer::Made`] or [`Answer::Refused`].

use super::{
    Allowance, Refused,
    made::{Made, Wanted},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// The longest message: more than a cell, a rendition and the inputs of large models take.
const LONGEST: u32 = 64 << 20;

/// One file; its bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    pub(super) allowance: Allowance,
    /// Length of the file.
    pub(super) bytes: u64,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It is confined, except for what is named.
    Ready(Option<String>),
    /// The picture takes much to decode.
    Needs {
        bytes: u64,
        pixels: u64,
    },
    Made(Made),
    Refused(Refused),
}

/// Sends a value.
pub(super) fn send(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let text = postcard::to_extend(value, vec![0; 4]);
    let mut text = text.map_err(io::Error::other)?;
    let length = (text.len() - 4) as u32;
    text[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&text)
}

/// Receives a value.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    postcard::from_bytes(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
