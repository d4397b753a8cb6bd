//! Reading a JPEG's markers before any decoder does.
//!
//! What kind of JPEG it is, how large, whether it has its end, and what its application segments carry (EXIF, ICC,
//! Adobe's note on colours) is found from the markers alone; nothing is allocated but the list of scans. Source: ITU-T
//! T.81, annex B; ICC.1:2022, annex B.4; Exif 2.32; Adobe's technical note 5116.

use super::{TRUNCATED, damaged, unsupported};
use crate::artwork::decode::DecodeError;

/// How samples are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Sequential,
    Progressive,
    Lossless,
}

/// One component of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Samples across and down in a unit.
    pub(super) h: usize,
    pub(super) v: usize,
    /// Which quantisation table it uses.
    pub(super) table: usize,
}

/// The frame header, and what the other segments say.
#[derive(Clone, Debug)]
pub(super) struct Markers<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u32,
    pub(super) process: Process,
    pub(super) arithmetic: bool,
    pub(super) components: Vec<Component>,
    /// Components of the first scan.
    in_first_scan: usize,
    scans: usize,
    /// Whether the file has its end marker.
    pub(super) ended: bool,
    /// Adobe's colour transform: 0 none, 1 YCbCr, 2 YCCK.
    pub(super) adobe: Option<u8>,
    pub(super) jfif: bool,
    pub(super) exif: Option<&'a [u8]>,
    icc: Vec<(u8, &'a [u8])>,
    /// The height is given after the first scan.
    pub(super) height_follows: bool,
}

impl<'a> Markers<'a> {
    /// Walks the markers from the first to the end of the picture. A missing end is not an error here.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut found = Self {
            width: 0,
            height: 0,
            bits: 8,
            process: Process::Sequential,
            arithmetic: false,
            components: Vec::new(),
            in_first_scan: 0,
            scans: 0,
            ended: false,
            adobe: None,
            jfif: false,
            exif: None,
            icc: Vec::new(),
            height_follows: false,
        };
        let mut at = 2;
        while let Some((marker, next)) = next_marker(bytes, at) {
            at = next;
            match marker {
                // Restarts and TEM stand alone; a second SOI is tolerated as decoders do.
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => {
                    found.ended = true;
                    break;
                }
                _ => {}
            }
            let Some(segment) = segment(bytes, at) else {
                break;
            };
            at += 2 + segment.len();
            found.note(marker, segment)?;
        }
        match (found.components.is_empty(), found.scans, found.ended) {
            (false, 1.., _) => {}
            (_, _, false) => return Err(TRUNCATED),
            _ => return Err(damaged("it holds no picture")),
        }
        if found.height == 0 && !found.height_follows {
            return Err(damaged("it does not say its height"));
        }
        Ok(found)
    }

    fn note(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), DecodeError> {
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf if self.components.is_empty() => {
                self.frame(marker, segment)?;
            }
            0xda => {
                if self.scans == 0 {
                    self.in_first_scan = segment.first().copied().map_or(0, usize::from);
                }
                self.scans += 1;
            }
            // DNL, the height of a frame that gave none.
            0xdc if self.height == 0 => {
                if let &[high, low, ..] = segment {
                    self.height = u32::from(u16::from_be_bytes([high, low]));
                    self.height_follows = true;
                }
            }
            0xe0 if segment.starts_with(b"JFIF\0") => self.jfif = true,
            0xe1 if segment.starts_with(b"Exif\0") && self.exif.is_none() => {
                self.exif = segment.get(6..);
            }
            0xe2 => {
                if let Some([number, _, part @ ..]) = segment.strip_prefix(b"ICC_PROFILE\0") {
                    self.icc.push((*number, part));
                }
            }
            0xee if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
            _ => {}
        }
        Ok(())
    }

    fn frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), DecodeError> {
        let &[bits, h1, h0, w1, w0, count, ref table @ ..] = segment else {
            return Err(damaged("its frame header is too short"));
        };
        self.height = u32::from(u16::from_be_bytes([h1, h0]));
        self.width = u32::from(u16::from_be_bytes([w1, w0]));
        self.bits = u32::from(bits);
        self.arithmetic = marker >= 0xc9;
        self.process = match marker {
            0xc0 | 0xc1 | 0xc9 => Process::Sequential,
            0xc2 | 0xca => Process::Progressive,
            0xc3 | 0xcb => Process::Lossless,
            _ => return Err(unsupported("hierarchical coding")),
        };
        self.components = table
            .chunks_exact(3)
            .take(usize::from(count))
            .map(|c| Component {
                id: c[0],
                h: usize::from(c[1] >> 4),
                v: usize::from(c[1] & 15),
                table: usize::from(c[2] & 3),
            })
            .collect();
        let sound = |c: &Component| (1..=4).contains(&c.h) && (1..=4).contains(&c.v);
        if self.components.len() != usize::from(count) || !self.components.iter().all(sound) {
            return Err(damaged("its frame header cannot be"));
        }
        // The blocks of a single component lie one after the other, whatever its sampling (A.2.2).
        if let [only] = &mut self.components[..] {
            (only.h, only.v) = (1, 1);
        }
        match (count, bits) {
            (1..=4, 2..=16) => Ok(()),
            (1..=4, _) => Err(damaged("its frame header cannot be")),
            _ => Err(unsupported("more than four channels")),
        }
    }

    /// The parts of the colour profile, put together.
    pub(super) fn profile(&self) -> Option<Vec<u8>> {
        let mut parts = self.icc.clone();
        parts.sort_by_key(|&(number, _)| number);
        parts.dedup_by_key(|&mut (number, _)| number);
        let whole: Vec<u8> = parts.iter().flat_map(|(_, part)| *part).copied().collect();
        (!whole.is_empty()).then_some(whole)
    }

    /// Whether the fast decoder can be trusted with it: eight bits, Huffman codes, grey or YCbCr whose chroma is as fine as
    /// luma or half as fine, all components of a sequential picture in one scan.
    pub(super) fn is_plain(&self) -> bool {
        let luma = self.components.first().map(|c| (c.h, c.v));
        let sampled = match self.components.len() {
            1 => true,
            3 => {
                matches!(luma, Some((1 | 2, 1 | 2)))
                    && self.components[1..].iter().all(|c| (c.h, c.v) == (1, 1))
            }
            _ => false,
        };
        let in_one_scan = match self.process {
            Process::Sequential => self.in_first_scan == self.components.len() && self.scans == 1,
            Process::Progressive => self.in_first_scan == self.components.len(),
            Process::Lossless => false,
        };
        sampled && in_one_scan && self.bits == 8 && !self.arithmetic && !self.height_follows
    }

    /// Most samples of a component across and down in a unit.
    pub(super) fn finest(&self) -> (usize, usize) {
        let h = self.components.iter().map(|c| c.h).max();
        let v = self.components.iter().map(|c| c.v).max();
        (h.unwrap_or(1), v.unwrap_or(1))
    }

    /// Side of a block, samples.
    pub(super) fn block(&self) -> usize {
        if self.process == Process::Lossless {
            1
        } else {
            8
        }
    }

    /// Units across and down.
    pub(super) fn units(&self) -> (usize, usize) {
        let ((h, v), block) = (self.finest(), self.block());
        let (width, height) = (self.width as usize, self.height as usize);
        (width.div_ceil(block * h), height.div_ceil(block * v))
    }

    /// Whether all of a row of units lies in one place of the file.
    pub(super) fn is_read_by_rows(&self) -> bool {
        self.process == Process::Sequential
            && self.scans == 1
            && self.in_first_scan == self.components.len()
    }

    /// Bytes of all coefficients, two each.
    pub(super) fn coefficients(&self) -> u64 {
        let (across, down) = self.units();
        let blocks = self
            .components
            .iter()
            .map(|c| (c.h * c.v) as u64)
            .sum::<u64>();
        2 * blocks * across as u64 * down as u64 * (self.block() * self.block()) as u64
    }
}

/// The next marker's code at or after `at`, and the position after it. Entropy-coded bytes are passed over.
pub(super) fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += memchr::memchr(0xff, bytes.get(at..)?)? + 1;
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let code = bytes[at];
        at += 1;
        if code != 0 {
            return Some((code, at));
        }
    }
}

/// The payload of the segment whose length field is at `at`.
pub(super) fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let field = bytes.get(at..at + 2)?;
    let len = usize::from(u16::from_be_bytes([field[0], field[1]]));
    bytes.get(at + 2..at + len.max(2))
}
