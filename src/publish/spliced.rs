//! Spliced JPEG files: a new one takes over the old one's unchanged pieces.
//!
//! The previous file is the store of encoded cells, so a change costs the encode of what changed and one streamed copy;
//! memory holds the index (8 bytes per piece) and one row. The caller decides what to take over.
//!
//! Invariant: a piece whose checksum does not match is never copied; the caller then encodes everything again.

use super::{
    Action, PublishError,
    files::Folder,
    names::{MosaicKind, parse_mosaic_file},
};
use crate::render::{
    jpeg::{Frame, JpegError, JpegSpec, Segment, header, push_piece},
    pieces::{IndexReader, PieceIndex},
};
use rayon::prelude::*;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
};

/// A published spliced file.
pub(super) struct Spliced {
    pub(super) name: String,
    pub(super) frame: Frame,
    /// Absent after a start, until it is needed.
    index: Option<PieceIndex>,
}

/// Where a block of a new file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The block of this column and row in the old file.
    Old(u32, u32),
    /// An encode.
    Fresh,
}

/// A file to write.
pub(super) struct NewFile<'a> {
    pub(super) kind: MosaicKind,
    pub(super) generation: u64,
    pub(super) frame: Frame,
    pub(super) spec: JpegSpec,
    /// One source a block, row-major.
    pub(super) sources: &'a [Source],
    /// Encodes the block of a column and row.
    pub(super) encode: &'a (dyn Fn(u32, u32) -> Result<Segment, JpegError> + Sync),
}

impl Spliced {
    /// A file that an earlier run published.
    pub(super) fn known(name: &str, frame: Frame) -> Self {
        Self {
            name: name.to_owned(),
            frame,
            index: None,
        }
    }

    /// Reads the index if it is not in memory. False if the file does not match the checksum in its name.
    fn load(&mut self, folder: &Folder, spec: JpegSpec) -> bool {
        if self.index.is_none() {
            self.index = self.scan(folder, spec).unwrap_or_else(|error| {
                tracing::warn!(path = %folder.path(&self.name).display(), %error, "encoding the whole mosaic again");
                None
            });
        }
        self.index.is_some()
    }

    fn scan(&self, folder: &Folder, spec: JpegSpec) -> io::Result<Option<PieceIndex>> {
        let Ok(mut reader) = IndexReader::new(&self.frame, spec) else {
            return Ok(None);
        };
        let mut file = File::open(folder.path(&self.name))?;
        let mut crc = crc32fast::Hasher::new();
        let mut chunk = vec![0; 1 << 18];
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            crc.update(&chunk[..length]);
            if let Err(error) = reader.feed(&chunk[..length]) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        let promised = parse_mosaic_file(&self.name).map(|(_, _, crc)| crc);
        let index = reader.finish();
        Ok(index.ok().filter(|_| promised == Some(crc.finalize())))
    }
}

/// Why a file could not be written from the old one.
enum Failure {
    /// The old file is not what its index says.
    Damaged,
    /// The new file could not be written.
    Write(io::Error),
    Publish(PublishError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::Publish(error)
    }
}

impl From<JpegError> for Failure {
    fn from(error: JpegError) -> Self {
        Self::Publish(error.into())
    }
}

/// Writes a spliced file under a name of its own, taking over pieces of `old` where the sources say so.
pub(super) fn write(
    folder: &Folder,
    wanted: &NewFile<'_>,
    old: Option<&mut Spliced>,
) -> Result<Spliced, PublishError> {
    let splices = wanted.sources.iter().any(|s| matches!(s, Source::Old(..)));
    if splices
        && let Some(old) = old
        && old.load(folder, wanted.spec)
    {
        match try_write(folder, wanted, Some(old)) {
            Ok(done) => return Ok(done),
            Err(Failure::Publish(error)) => return Err(error),
            Err(Failure::Write(source)) => return Err(unwritable(folder, wanted, source)),
            Err(Failure::Damaged) => {
                let path = folder.path(&old.name);
                tracing::warn!(path = %path.display(), "the published file is damaged: encoding it again");
            }
        }
    }
    let sources = vec![Source::Fresh; wanted.sources.len()];
    let whole = NewFile {
        sources: &sources,
        ..*wanted
    };
    match try_write(folder, &whole, None) {
        Ok(done) => Ok(done),
        Err(Failure::Publish(error)) => Err(error),
        Err(Failure::Write(source)) => Err(unwritable(folder, wanted, source)),
        Err(Failure::Damaged) => Err(JpegError::Structure("no pieces to take over").into()),
    }
}

fn unwritable(folder: &Folder, wanted: &NewFile<'_>, source: io::Error) -> PublishError {
    PublishError::Io {
        action: Action::Write,
        path: folder.path(&wanted.kind.stable()),
        source,
    }
}

fn try_write(
    folder: &Folder,
    wanted: &NewFile<'_>,
    old: Option<&Spliced>,
) -> Result<Spliced, Failure> {
    let (frame, temporary_name) = (&wanted.frame, wanted.kind.stable());
    let old = match old {
        Some(Spliced {
            name,
            index: Some(index),
            ..
        }) => Some((
            File::open(folder.path(name)).map_err(|_| Failure::Damaged)?,
            index,
        )),
        _ => None,
    };
    let (staged, file) = folder.begin(&temporary_name)?;
    let mut writer = Writer {
        file,
        index: PieceIndex::new(frame.cols),
        crc: crc32fast::Hasher::new(),
        offset: 0,
        out: header(frame, wanted.spec)?,
        scratch: Vec::new(),
        interval: 0,
        intervals: frame.intervals(),
    };
    let written = folder
        .step(Action::Write, &folder.path(&temporary_name), || Ok(()))
        .map_err(Failure::from)
        .and_then(|()| {
            write_rows(
                &mut writer,
                wanted,
                old.as_ref().map(|(file, index)| (file, *index)),
            )
        });
    if let Err(failure) = written {
        folder.abandon(staged);
        return Err(failure);
    }
    folder.count_bytes(writer.offset);
    let name = wanted.kind.of(wanted.generation, writer.crc.finalize());
    folder.commit_as(staged, &name)?;
    Ok(Spliced {
        name,
        frame: *frame,
        index: Some(writer.index),
    })
}

struct Writer {
    file: File,
    index: PieceIndex,
    crc: crc32fast::Hasher,
    /// Bytes written so far.
    offset: u64,
    /// Bytes of the row that is being written.
    out: Vec<u8>,
    scratch: Vec<u8>,
    interval: u64,
    intervals: u64,
}

impl Writer {
    fn flush(&mut self) -> io::Result<()> {
        self.crc.update(&self.out);
        self.file.write_all(&self.out)?;
        self.offset += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    fn push(&mut self, piece: &[u8], crc: u32) {
        push_piece(&mut self.out, piece, self.interval, self.intervals);
        self.index.push((self.out.len() - 2) as u32, crc);
        self.interval += 1;
    }

    /// Takes over a run of neighbouring pieces of the old file.
    fn copy(
        &mut self,
        old: &File,
        index: &PieceIndex,
        mcu_row: u32,
        cols: std::ops::Range<u32>,
    ) -> Result<(), Failure> {
        let run = index.run(mcu_row, cols.clone()).ok_or(Failure::Damaged)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize((run.end - run.start) as usize, 0);
        old.read_exact_at(&mut scratch, run.start)
            .map_err(|_| Failure::Damaged)?;
        for col in cols {
            let piece = index.run(mcu_row, col..col + 1).ok_or(Failure::Damaged)?;
            let from = (piece.start - run.start) as usize;
            let bytes = &scratch[from..from + (piece.end - piece.start) as usize];
            let crc = crc32fast::hash(bytes);
            if index.crc(mcu_row, col) != Some(crc) {
                return Err(Failure::Damaged);
            }
            self.push(bytes, crc);
        }
        self.scratch = scratch;
        Ok(())
    }
}

/// Writes all rows, one row of blocks after another.
fn write_rows(
    writer: &mut Writer,
    wanted: &NewFile<'_>,
    old: Option<(&File, &PieceIndex)>,
) -> Result<(), Failure> {
    let frame = &wanted.frame;
    let per_block = frame.pieces_per_block();
    writer.flush()?;
    for row in 0..frame.rows {
        let first = row as usize * frame.cols as usize;
        let sources = &wanted.sources[first..first + frame.cols as usize];
        let segments = sources
            .par_iter()
            .enumerate()
            .map(|(col, source)| match source {
                Source::Fresh => (wanted.encode)(col as u32, row).map(Some),
                Source::Old(..) => Ok(None),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mcu_rows = per_block.min(frame.mcu_rows() - row * per_block);
        for piece in 0..mcu_rows {
            writer.index.begin_row(writer.offset);
            let mut col = 0;
            while col < sources.len() {
                match (&segments[col], sources[col], old) {
                    (Some(segment), _, _) => {
                        let bytes = segment.piece(piece as usize);
                        writer.push(bytes, crc32fast::hash(bytes));
                        col += 1;
                    }
                    (None, Source::Old(from_col, from_row), Some((file, index))) => {
                        let run = sources[col..]
                            .iter()
                            .zip(0u32..)
                            .take_while(|&(s, i)| *s == Source::Old(from_col + i, from_row))
                            .count();
                        let cols = from_col..from_col + run as u32;
                        writer.copy(file, index, from_row * per_block + piece, cols)?;
                        col += run;
                    }
                    _ => return Err(Failure::Damaged),
                }
            }
            writer.flush()?;
        }
    }
    Ok(())
}
