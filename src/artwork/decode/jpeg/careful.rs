//! A decoder for the JPEGs that the fast one does not support, and for those that it refuses.
//!
//! Any sampling, scans of any components, up to four channels, 12 bits, lossless coding, a height behind the scan,
//! tables that a TIFF keeps apart. It returns the samples as they are coded; `colour` converts them.
//!
//! Invariant: a picture is given only if every block of it was read from bits that the file has. A wrong code or a scan
//! that ends before the picture is an error, never a grey area. Source: ITU-T T.81, annexes A, F, G and H.

use super::{
    TRUNCATED, damaged,
    huffman::{Bits, Table},
    idct,
    markers::{Component, Markers, Process, next_marker, segment},
    scan::{self, Scan},
    unsupported,
};
use crate::artwork::decode::DecodeError;

/// Row-major order of the coefficients as they are coded.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Bytes behind a scan's last block that are passed over, for writers that leave some.
const MOST_LEFT_OVER: usize = 16;

/// Samples as they are coded, eight bits, all components at full size.
pub(in crate::artwork::decode) struct Raw {
    pub(in crate::artwork::decode) width: usize,
    pub(in crate::artwork::decode) height: usize,
    pub(in crate::artwork::decode) components: usize,
    /// `height × width × components` bytes, row-major, interleaved.
    pub(in crate::artwork::decode) samples: Vec<u8>,
}

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
    /// Units between restarts; 0: none.
    pub(super) restart: usize,
}

/// Decodes the whole picture.
pub(super) fn decode(
    bytes: &[u8],
    markers: &Markers,
    tables: Option<&[u8]>,
) -> Result<Raw, DecodeError> {
    interleaved(read(bytes, markers, tables, true)?, markers)
}

/// Whether every block can be read, and none is brighter or darker than a picture can be. Much faster than decoding.
pub(super) fn is_sound(bytes: &[u8], markers: &Markers) -> bool {
    read(bytes, markers, None, false).is_ok()
}

/// Reads the coefficients, and keeps them if `keep`.
fn read(
    bytes: &[u8],
    markers: &Markers,
    tables: Option<&[u8]>,
    keep: bool,
) -> Result<Vec<Plane>, DecodeError> {
    if markers.arithmetic {
        return Err(unsupported("arithmetic coding"));
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
        restart: 0,
    };
    if let Some(tables) = tables {
        state.read_all(tables)?;
    }
    let mut planes = planes(markers, keep);
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
        if !keep && !scan.is_first_of_dc() {
            continue;
        }
        for &(i, ..) in &scan.components {
            let table = state.quantisers[planes[i].component.table];
            planes[i].quantiser = planes[i].quantiser.or(table);
        }
        let mut bits = Bits::new(bytes, at);
        let whole = scan::decode(&mut bits, &scan, markers, &state, &mut planes, keep)?;
        if !whole {
            return Err(match markers.ended {
                true => damaged("the data of its pixels is wrong"),
                false => TRUNCATED,
            });
        }
        // Bits that went wrong without a wrong code seldom end where the scan does.
        if bits.left_over() > MOST_LEFT_OVER {
            return Err(damaged("the data of its pixels is wrong"));
        }
        at = bits.at();
    }
    // Only scans of the first kind were looked at.
    if !keep {
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

fn planes(markers: &Markers, keep: bool) -> Vec<Plane> {
    let (width, height) = (markers.width as usize, markers.height as usize);
    let h_max = markers.components.iter().map(|c| c.h).max().unwrap_or(1);
    let v_max = markers.components.iter().map(|c| c.v).max().unwrap_or(1);
    let lossless = markers.process == Process::Lossless;
    let plane = |&component: &Component| {
        let size = (
            (width * component.h).div_ceil(h_max),
            (height * component.v).div_ceil(v_max),
        );
        let unit = if lossless { 1 } else { 8 };
        let blocks = (
            width.div_ceil(unit * h_max) * component.h,
            height.div_ceil(unit * v_max) * component.v,
        );
        Plane {
            component,
            size,
            blocks,
            values: if keep {
                vec![0; blocks.0 * blocks.1 * unit * unit]
            } else {
                Vec::new()
            },
            quantiser: None,
            missing: [None; 64],
        }
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

/// Samples of eight bits of one component, and the length of a row.
fn samples(mut plane: Plane, markers: &Markers) -> Result<(Vec<u8>, usize), DecodeError> {
    let top = (1_i32 << markers.bits) - 1;
    let values = std::mem::take(&mut plane.values);
    let stride = plane.blocks.0;
    if markers.process == Process::Lossless {
        let narrow = |v: &i16| {
            let v = u32::from(*v as u16);
            match markers.bits {
                bits @ 8.. => (v >> (bits - 8)) as u8,
                _ => (v * 255 / top as u32) as u8,
            }
        };
        return Ok((values.iter().map(narrow).collect(), stride));
    }
    let quantiser = plane
        .quantiser
        .ok_or_else(|| damaged("a table is missing"))?;
    let mut factors = [0_i32; 64];
    for (i, &factor) in quantiser.iter().enumerate() {
        factors[ZIGZAG[i]] = i32::from(factor);
    }
    let stride = 8 * stride;
    let mut out = vec![0; 64 * plane.blocks.0 * plane.blocks.1];
    let middle = (top + 1) / 2;
    let (shift, scale) = (markers.bits.saturating_sub(8), markers.bits < 8);
    for (i, block) in values.as_chunks::<64>().0.iter().enumerate() {
        let mut coefficients = [0; 64];
        for (to, (&value, &factor)) in coefficients.iter_mut().zip(block.iter().zip(&factors)) {
            *to = i32::from(value) * factor;
        }
        let (x, y) = (8 * (i % plane.blocks.0), 8 * (i / plane.blocks.0));
        let pixels = idct::inverse(&coefficients);
        for (row, from) in pixels.chunks_exact(8).enumerate() {
            let at = (y + row) * stride + x;
            for (to, &value) in out[at..at + 8].iter_mut().zip(from) {
                let value = value.saturating_add(middle).clamp(0, top);
                *to = if scale {
                    value * 255 / top
                } else {
                    value >> shift
                } as u8;
            }
        }
    }
    Ok((out, stride))
}

/// All components at full size, interleaved.
fn interleaved(planes: Vec<Plane>, markers: &Markers) -> Result<Raw, DecodeError> {
    let (width, height) = (markers.width as usize, markers.height as usize);
    let h_max = markers.components.iter().map(|c| c.h).max().unwrap_or(1);
    let v_max = markers.components.iter().map(|c| c.v).max().unwrap_or(1);
    let components = planes.len();
    // The coefficients of one component go before those of the next are touched.
    let mut all = Vec::with_capacity(components);
    for plane in planes {
        let component = plane.component;
        all.push((component, samples(plane, markers)?));
    }
    let mut out = vec![0; width * height * components];
    for (c, (component, (samples, stride))) in all.into_iter().enumerate() {
        for (y, row) in out.chunks_exact_mut(width * components).enumerate() {
            let from = &samples[y * component.v / v_max * stride..];
            let to = row[c..].iter_mut().step_by(components);
            if component.h == h_max {
                to.zip(from).for_each(|(to, from)| *to = *from);
            } else {
                to.enumerate()
                    .for_each(|(x, to)| *to = from[x * component.h / h_max]);
            }
        }
    }
    Ok(Raw {
        width,
        height,
        components,
        samples: out,
    })
}
