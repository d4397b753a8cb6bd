//! The files that an ONNX model names for its weights, read from the protobuf itself.
//!
//! A tensor of the data location EXTERNAL has a list of keys and values; `location` is a path below the model's folder
//! (onnx.proto3, `TensorProto.external_data`). Tensors stand in the graph's initialisers, in the attributes of its
//! nodes, in sparse tensors, in training graphs, and in functions; all of them are looked through. The parser keeps
//! nothing in memory but the names: weights inside the file are skipped, so a model of any size is cheap to read.
//!
//! A file that is not a protobuf names no files: onnxruntime refuses it later, with a better message.

use std::{
    collections::BTreeSet,
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path},
};

/// Deepest nesting that is followed: functions, graphs of branches and loops inside each other.
const DEPTH: usize = 100;
/// Longest key or value that is read, bytes: the kernel's limit of a path.
const LONGEST: u64 = 4096;

/// What a message of the model holds where tensors can be.
#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
    Entry,
}

impl Message {
    /// The message in field `number`, if tensors can be inside (numbers of onnx.proto3).
    fn inside(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Training, 1 | 2) => Self::Graph,
            (Self::Function, 7) | (Self::Graph, 1) => Self::Node,
            (Self::Function, 11) | (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Tensor, 13) => Self::Entry,
            _ => return None,
        })
    }
}

/// The locations that the model's tensors name, in the order of their bytes, each once.
pub(super) fn locations(model: impl Read + Seek) -> io::Result<BTreeSet<String>> {
    let mut reader = Reader { model, at: 0 };
    let end = reader.model.seek(SeekFrom::End(0))?;
    reader.model.seek(SeekFrom::Start(0))?;
    let mut found = BTreeSet::new();
    match reader.message(Message::Model, end, 0, &mut found) {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
        // What was found before the damage counts: onnxruntime may understand more than this parser.
        _ => Ok(found),
    }
}

/// Whether `location` names a file below the model's folder, as the format demands.
pub(super) fn stays_inside(location: &str) -> bool {
    let mut parts = Path::new(location).components();
    !location.is_empty()
        && !location.contains('\0')
        && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

struct Reader<R> {
    model: R,
    at: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the message that ends at `end`, and collects the locations in it.
    fn message(
        &mut self,
        kind: Message,
        end: u64,
        depth: usize,
        found: &mut BTreeSet<String>,
    ) -> io::Result<()> {
        if depth > DEPTH {
            return Err(damaged());
        }
        let (mut key, mut value) = (String::new(), String::new());
        while self.at < end {
            let tag = self.varint()?;
            let number = tag >> 3;
            match tag & 7 {
                0 => {
                    self.varint()?;
                }
                1 => self.skip_to(self.at.saturating_add(8), end)?,
                5 => self.skip_to(self.at.saturating_add(4), end)?,
                2 => {
                    let length = self.varint()?;
                    let stop = self.at.checked_add(length).filter(|&stop| stop <= end);
                    let stop = stop.ok_or_else(damaged)?;
                    match (kind, number) {
                        (Message::Entry, 1) => key = self.text(length, stop)?,
                        (Message::Entry, 2) => value = self.text(length, stop)?,
                        _ => match kind.inside(number) {
                            Some(inner) => self.message(inner, stop, depth + 1, found)?,
                            None => self.skip_to(stop, end)?,
                        },
                    }
                }
                _ => return Err(damaged()),
            }
        }
        if kind == Message::Entry && key == "location" {
            found.insert(value);
        }
        match self.at == end {
            true => Ok(()),
            false => Err(damaged()),
        }
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7F) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged())
    }

    fn text(&mut self, length: u64, stop: u64) -> io::Result<String> {
        if length > LONGEST {
            self.skip_to(stop, stop)?;
            return Ok(String::new());
        }
        let mut bytes = vec![0; length as usize];
        self.exact(&mut bytes)?;
        // A name that is no UTF-8 names no file: the format's strings are UTF-8.
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }

    fn exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.model
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => damaged(),
                _ => error,
            })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn skip_to(&mut self, stop: u64, end: u64) -> io::Result<()> {
        if stop > end {
            return Err(damaged());
        }
        let step = i64::try_from(stop - self.at).map_err(|_| damaged())?;
        self.model.seek_relative(step)?;
        self.at = stop;
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut tag = vec![];
        let mut push = |mut value: usize| loop {
            let low = (value & 0x7F) as u8;
            value >>= 7;
            match value {
                0 => break tag.push(low),
                _ => tag.push(low | 0x80),
            }
        };
        push(usize::from(number) << 3 | 2);
        push(bytes.len());
        [tag, bytes.to_vec()].concat()
    }

    fn tensor(location: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            let pair = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
            field(13, &pair)
        };
        [entry("offset", "0"), entry("location", location)].concat()
    }

    fn found(model: &[u8]) -> Vec<String> {
        let found = locations(Cursor::new(model)).expect("memory can be read");
        found.into_iter().collect()
    }

    #[test]
    fn tensors_are_found_wherever_the_format_has_them() {
        let constant = |location| field(5, &field(5, &tensor(location)));
        let branch = field(1, &field(5, &field(6, &field(5, &tensor("branch")))));
        let graph = [
            field(5, &tensor("weights")),
            field(5, &tensor("weights")),
            field(1, &constant("constant")),
            branch,
            field(15, &field(1, &tensor("sparse"))),
            field(2, &[7; 300]),
        ]
        .concat();
        let model = [
            vec![8, 8],
            field(7, &graph),
            field(20, &field(1, &field(5, &tensor("training")))),
            field(25, &field(7, &constant("function"))),
        ]
        .concat();
        let all = [
            "branch", "constant", "function", "sparse", "training", "weights",
        ];
        assert_eq!(found(&model), all);
    }

    #[test]
    fn damage_ends_the_search_and_nothing_else() {
        let model = field(7, &field(5, &tensor("weights")));
        assert_eq!(found(&model), ["weights"]);
        for cut in 0..model.len() {
            found(&model[..cut]);
        }
        for at in 0..model.len() {
            for byte in [0x00, 0x7F, 0x80, 0xFF] {
                let mut model = model.clone();
                model[at] = byte;
                found(&model);
            }
        }
        // A graph inside a graph, deeper than anyone writes.
        let mut deep = tensor("deep");
        for _ in 0..2000 {
            deep = field(1, &field(5, &field(6, &deep)));
        }
        assert!(found(&field(7, &deep)).is_empty());
        assert!(found(b"<!DOCTYPE html>").is_empty());
    }

    #[test]
    fn locations_stay_below_the_folder() {
        for good in ["w.bin", "weights/0.bin", "./w", "m.onnx_data", "a..b"] {
            assert!(stays_inside(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../w", "a/../../w", "..", "w\0"] {
            assert!(!stays_inside(bad), "{bad:?}");
        }
    }
}
