//! A decoder for the JPEGs that the fast one does not support, and for those that it refuses.
//!
//! Any sampling, scans of any components, up to four channels, 12 bits, arithmetic and lossless coding, a height after the
//! scan, tables that a TIFF keeps apart. `strips` makes samples of its coefficients, `colour` converts them. A sequential
//! picture of one scan is never in memory as a whole, and therefore large ones are decoded here too.
//!
//! Invariant: a picture is given only if every block of it was read from bits that the file has. A wrong code or a scan
//! that ends before the picture is an error, never a grey area. Source: ITU-T T.81, annexes A, F, G and H.

use super::{
    TRUNCATED,
    arithmetic::Conditions,
    damaged,
    huffman::Table,
    markers::{Component, Markers, Process, next_marker, segment},
    scan::{self, Keep, Scan},
    strips::Strips,
    unsupported,
};
use crate::artwork::decode::DecodeError;

/// Row-major order of the coefficients as they are coded.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Bytes after a scan's last block that are passed over, for writers that leave some.
const MOST_LEFT_OVER: usize = 16;

/// Coefficients (or, of lossless pictures, samples) of one component.
pub(super) struct Plane {
    pub(super) component: Component,
    /// Width and height in samples, of what is shown.
    pub(super) size: (usize, usize),
    /// Blocks across and down, filled up to whole units.
    pub(super) blocks: (usize, usize),
    pub(super) values: Vec<i16>,
    pub(super) quantiser: Option<[u16; 64]>,
    /// For each coefficient, how many of its low bits are still to come; `None`: all.
    pub(super) missing: [Option<u8>; 64],
}

/// The tables that scans use, as the segments before them define them.
pub(super) struct Tables {
    quantisers: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Of arithmetic codes.
    pub(super) conditions: Conditions,
    /// Units between restarts; 0: none.
    pub(super) restart: usize,
}

/// Decodes the picture, and passes on its rows of samples: eight bits, as they are coded, all components at full size and
/// interleaved. `tables` is a stream with tables that it uses.
pub(super) fn decode(
    bytes: &[u8],
    markers: &Markers,
    tables: Option<&[u8]>,
    pass_on: &mut dyn FnMut(&[u8]),
) -> Result<(), DecodeError> {
    let mut strips = Strips::new(markers, pass_on);
    if markers.is_read_by_rows() {
        let mut add = |planes: &[Plane]| strips.add(planes, 0);
        read(bytes, markers, tables, Keep::Rows(&mut add))?;
    } else {
        let planes = read(bytes, markers, tables, Keep::All)?;
        for row in 0..markers.units().1 {
            strips.add(&planes, row)?;
        }
    }
    strips.finish();
    Ok(())
}

/// Whether every block can be read, and none is brighter or darker than a picture can be. Much faster than decoding.
pub(super) fn is_sound(bytes: &[u8], markers: &Markers) -> bool {
    read(bytes, markers, None, Keep::Nothing).is_ok()
}

/// Reads the coefficients.
fn read(
    bytes: &[u8],
    markers: &Markers,
    tables: Option<&[u8]>,
    mut keep: Keep,
) -> Result<Vec<Plane>, DecodeError> {
    if markers.arithmetic && markers.process == Process::Lossless {
        return Err(unsupported("lossless with arithmetic coding"));
    }
    // Space that an upload reserved and did not fill yet would decode to grey.
    if !markers.ended && bytes.ends_with(&[0; 8]) {
        return Err(TRUNCATED);
    }
    if markers.width == 0 || markers.height == 0 {
        return Err(damaged("its frame header cannot be"));
    }
    let mut state = Tables {
        quantisers: [const { None }; 4],
        dc: [const { None }; 4],
        ac: [const { None }; 4],
        conditions: Conditions::default(),
        restart: 0,
    };
    if let Some(tables) = tables {
        state.read_all(tables)?;
    }
    let only_looked_at = matches!(keep, Keep::Nothing);
    let rows = match keep {
        Keep::Nothing => 0,
        Keep::All => markers.units().1,
        Keep::Rows(_) => 1,
    };
    let mut planes = planes(markers, rows);
    let mut at = 2;
    while let Some((marker, next)) = next_marker(bytes, at) {
        at = next;
        match marker {
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 => break,
            _ => {}
        }
        let Some(segment) = segment(bytes, at) else {
            break;
        };
        at += 2 + segment.len();
        if marker != 0xda {
            state.read(marker, segment)?;
            continue;
        }
        let scan = Scan::read(segment, markers, &planes)?;
        if only_looked_at && !scan.is_first_of_dc() {
            continue;
        }
        for &(i, ..) in &scan.components {
            let table = state.quantisers[planes[i].component.table];
            planes[i].quantiser = planes[i].quantiser.or(table);
        }
        let ended = scan::decode((bytes, at), &scan, markers, &state, &mut planes, &mut keep)?;
        let Some((end, left_over)) = ended else {
            return Err(match markers.ended {
                true => damaged("the data of its pixels is wrong"),
                false => TRUNCATED,
            });
        };
        // Bits that went wrong without a wrong code seldom end where the scan does.
        if left_over > MOST_LEFT_OVER {
            return Err(damaged("the data of its pixels is wrong"));
        }
        at = end;
    }
    // Only scans of the first kind were looked at.
    if only_looked_at {
        return Ok(planes);
    }
    // Without its end marker a file may lack whole scans; with it, what the encoder left out is meant to be zero.
    let is_whole = |plane: &Plane| match markers.ended {
        true => plane.missing[0].is_some(),
        false if markers.process == Process::Lossless => plane.missing[0].is_some(),
        false => plane.missing.iter().all(|&missing| missing == Some(0)),
    };
    if !planes.iter().all(is_whole) {
        return Err(match markers.ended {
            true => damaged("a channel is missing"),
            false => TRUNCATED,
        });
    }
    Ok(planes)
}

/// The planes, with room for so many rows of units.
fn planes(markers: &Markers, rows: usize) -> Vec<Plane> {
    let (width, height) = (markers.width as usize, markers.height as usize);
    let ((h_max, v_max), block) = (markers.finest(), markers.block());
    let (across, down) = markers.units();
    let plane = |&component: &Component| Plane {
        component,
        size: (
            (width * component.h).div_ceil(h_max),
            (height * component.v).div_ceil(v_max),
        ),
        blocks: (across * component.h, down * component.v),
        values: vec![0; across * component.h * rows * component.v * block * block],
        quantiser: None,
        missing: [None; 64],
    };
    markers.components.iter().map(plane).collect()
}

impl Tables {
    /// Reads the table segments of a stream that has nothing else.
    fn read_all(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut at = 2;
        while let Some((marker, next)) = next_marker(bytes, at) {
            at = next;
            if marker == 0xd9 {
                break;
            }
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            let Some(segment) = segment(bytes, at) else {
                break;
            };
            at += 2 + segment.len();
            self.read(marker, segment)?;
        }
        Ok(())
    }

    fn read(&mut self, marker: u8, segment: &[u8]) -> Result<(), DecodeError> {
        match marker {
            0xdb => self.quantisers(segment),
            0xc4 => self.huffman(segment),
            0xcc => {
                self.conditions.read(segment);
                Ok(())
            }
            0xdd => {
                if let &[high, low, ..] = segment {
                    self.restart = usize::from(u16::from_be_bytes([high, low]));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn quantisers(&mut self, mut rest: &[u8]) -> Result<(), DecodeError> {
        let wrong = || damaged("its tables cannot be");
        while let [head, table @ ..] = rest {
            let wide = head >> 4 != 0;
            let len = if wide { 128 } else { 64 };
            let values = table.get(..len).ok_or_else(wrong)?;
            let mut quantiser = [0; 64];
            for (i, to) in quantiser.iter_mut().enumerate() {
                *to = match wide {
                    true => u16::from_be_bytes([values[2 * i], values[2 * i + 1]]),
                    false => u16::from(values[i]),
                };
            }
            self.quantisers[usize::from(head & 3)] = Some(quantiser);
            rest = &table[len..];
        }
        Ok(())
    }

    fn huffman(&mut self, mut rest: &[u8]) -> Result<(), DecodeError> {
        let wrong = || damaged("its tables cannot be");
        while let [head, table @ ..] = rest {
            let counts: &[u8; 16] = table.first_chunk().ok_or_else(wrong)?;
            let len = counts
                .iter()
                .map(|&count| usize::from(count))
                .sum::<usize>();
            let values = table.get(16..16 + len).ok_or_else(wrong)?;
            let made = Some(Table::new(counts, values).ok_or_else(wrong)?);
            let place = usize::from(head & 3);
            match head >> 4 {
                0 => self.dc[place] = made,
                _ => self.ac[place] = made,
            }
            rest = &table[16 + len..];
        }
        Ok(())
    }
}
