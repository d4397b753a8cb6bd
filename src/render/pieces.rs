//! Where each restart interval of a spliced JPEG lies, so that the next file can take over unchanged ones.
//!
//! It owns the index and the streaming reader that rebuilds it from bytes; `publish` reads the files. Invariant: an
//! index exists only for bytes whose header, markers and length are exactly those of the frame; every piece carries its
//! CRC-32, so damage between two generations is noticed before it is copied on.

use super::jpeg::{Frame, JpegError, JpegSpec, header};
use std::ops::Range;

/// Offsets and checksums of a file's pieces, by MCU row and column of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceIndex {
    cols: usize,
    /// First byte of each MCU row.
    starts: Vec<u64>,
    /// End of each piece, relative to its row's start, marker excluded.
    ends: Vec<u32>,
    crcs: Vec<u32>,
}

impl PieceIndex {
    /// An empty index of a file with `cols` blocks in a row.
    pub fn new(cols: u32) -> Self {
        Self {
            cols: cols as usize,
            ..Self::default()
        }
    }

    /// Begins the MCU row that starts at byte `offset`.
    pub fn begin_row(&mut self, offset: u64) {
        self.starts.push(offset);
    }

    /// Adds the next piece of the row begun last; `end` is relative to the row's start.
    pub fn push(&mut self, end: u32, crc: u32) {
        self.ends.push(end);
        self.crcs.push(crc);
    }

    /// Bytes of the pieces `cols` of an MCU row with the markers between them; `None` outside the file.
    pub fn run(&self, mcu_row: u32, cols: Range<u32>) -> Option<Range<u64>> {
        let row = self.starts.get(mcu_row as usize)?;
        let first = mcu_row as usize * self.cols + cols.start as usize;
        let start = match cols.start {
            0 => 0,
            _ => self.ends.get(first - 1)? + 2,
        };
        let last = (mcu_row as usize * self.cols + cols.end as usize).checked_sub(1)?;
        Some(row + u64::from(start)..row + u64::from(*self.ends.get(last)?))
    }

    /// CRC-32 of one piece.
    pub fn crc(&self, mcu_row: u32, col: u32) -> Option<u32> {
        self.crcs
            .get(mcu_row as usize * self.cols + col as usize)
            .copied()
    }
}

/// Rebuilds the index of a file from its bytes, fed in any portions.
pub struct IndexReader {
    frame: Frame,
    header: Vec<u8>,
    index: PieceIndex,
    offset: u64,
    pieces: u64,
    row_start: u64,
    escaped: bool,
    ended: bool,
    crc: crc32fast::Hasher,
}

impl IndexReader {
    /// A reader for a file of this shape.
    pub fn new(frame: &Frame, spec: JpegSpec) -> Result<Self, JpegError> {
        Ok(Self {
            frame: *frame,
            header: header(frame, spec)?,
            index: PieceIndex::new(frame.cols),
            offset: 0,
            pieces: 0,
            row_start: 0,
            escaped: false,
            ended: false,
            crc: crc32fast::Hasher::new(),
        })
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), JpegError> {
        let header_left = (self.header.len() as u64).saturating_sub(self.offset) as usize;
        if header_left > 0 {
            let from = self.header.len() - header_left;
            let taken = header_left.min(bytes.len());
            if self.header[from..from + taken] != bytes[..taken] {
                return Err(JpegError::Structure("another header"));
            }
            bytes = &bytes[taken..];
            self.offset += taken as u64;
            if self.offset == self.header.len() as u64 {
                self.begin_row();
            }
        }
        let mut hashed = 0;
        let mut at = 0;
        while at < bytes.len() {
            if self.ended {
                return Err(JpegError::Structure("bytes after the end"));
            }
            if !self.escaped {
                match bytes[at..].iter().position(|&byte| byte == 0xFF) {
                    Some(skip) => {
                        at += skip;
                        self.crc.update(&bytes[hashed..at]);
                        at += 1;
                        self.escaped = true;
                    }
                    None => {
                        at = bytes.len();
                        self.crc.update(&bytes[hashed..]);
                    }
                }
                hashed = at;
                continue;
            }
            self.escaped = false;
            let marker = bytes[at];
            at += 1;
            hashed = at;
            match marker {
                0 => self.crc.update(&[0xFF, 0]),
                _ => self.end_piece(marker, self.offset + at as u64)?,
            }
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// The index, if the file is complete.
    pub fn finish(self) -> Result<PieceIndex, JpegError> {
        match self.ended {
            true => Ok(self.index),
            false => Err(JpegError::Structure("no end of image")),
        }
    }

    fn begin_row(&mut self) {
        self.index.begin_row(self.offset);
        self.row_start = self.offset;
    }

    /// A marker whose last byte lies before offset `after` ends a piece.
    fn end_piece(&mut self, marker: u8, after: u64) -> Result<(), JpegError> {
        let last = self.pieces + 1 == self.frame.intervals();
        let expected = match last {
            true => 0xD9,
            false => 0xD0 + (self.pieces % 8) as u8,
        };
        if marker != expected {
            return Err(JpegError::Structure("markers out of order"));
        }
        let end = u32::try_from(after - 2 - self.row_start)
            .map_err(|_| JpegError::Structure("a row above 4 GiB"))?;
        let crc = std::mem::take(&mut self.crc).finalize();
        self.index.push(end, crc);
        self.pieces += 1;
        if last {
            self.ended = true;
        } else if self.pieces.is_multiple_of(u64::from(self.frame.cols)) {
            self.index.begin_row(after);
            self.row_start = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::jpeg::{Subsampling, encode_segment, splice};
    use super::*;
    use crate::artwork::cell::Cell;

    fn spliced(cols: u32, rows: u32) -> (Frame, Vec<u8>) {
        let px = 32;
        let spec = JpegSpec::default();
        let frame = Frame::new(cols * px, rows * px, px, Subsampling::S420).expect("a frame");
        let segments: Vec<_> = (0..cols * rows)
            .map(|i| {
                let rgb = (0..px * px * 3).map(|k| (k * (i * 7 + 3) % 251) as u8);
                encode_segment(
                    &Cell {
                        px,
                        rgb: rgb.collect(),
                    },
                    spec,
                )
                .expect("a segment")
            })
            .collect();
        let bytes = splice(&frame, spec, |c, r| &segments[(r * cols + c) as usize]);
        (frame, bytes.expect("a splice"))
    }

    #[test]
    fn the_index_is_the_same_in_any_portions_and_its_checksums_fit() {
        let (frame, bytes) = spliced(5, 3);
        let mut indices = Vec::new();
        for portion in [1, 7, 1000, bytes.len()] {
            let mut reader = IndexReader::new(&frame, JpegSpec::default()).expect("a reader");
            for chunk in bytes.chunks(portion) {
                reader.feed(chunk).expect("its own bytes");
            }
            indices.push(reader.finish().expect("complete"));
        }
        assert!(indices.windows(2).all(|pair| pair[0] == pair[1]));
        for mcu_row in 0..frame.mcu_rows() {
            for col in 0..frame.cols {
                let run = indices[0].run(mcu_row, col..col + 1).expect("a piece");
                let piece = &bytes[run.start as usize..run.end as usize];
                assert_eq!(Some(crc32fast::hash(piece)), indices[0].crc(mcu_row, col));
            }
        }
        assert!(indices[0].run(frame.mcu_rows(), 0..1).is_none());
    }

    #[test]
    fn damaged_or_foreign_bytes_give_no_index() {
        let (frame, bytes) = spliced(3, 2);
        let read = |bytes: &[u8]| {
            let mut reader = IndexReader::new(&frame, JpegSpec::default())?;
            reader.feed(bytes)?;
            reader.finish()
        };
        assert!(read(&bytes).is_ok());
        assert!(read(&bytes[..bytes.len() - 1]).is_err(), "truncated");
        assert!(
            read(&[&bytes[..], &[0]].concat()).is_err(),
            "trailing bytes"
        );
        assert!(read(&bytes[1..]).is_err(), "another start");
        assert!(read(b"").is_err());
        let other = Frame::new(64, 96, 32, Subsampling::S420).expect("a frame");
        let mut reader = IndexReader::new(&other, JpegSpec::default()).expect("a reader");
        assert!(reader.feed(&bytes).is_err(), "another shape");
    }
}
