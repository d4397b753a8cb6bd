//! Fax strips: modified Huffman rows, Group 3 in one and two dimensions, Group 4.
//!
//! The tables of codes are those of the `fax` crate; the rows are put together here, because its decoder knows neither
//! rows without end-of-line codes nor Group 3 in two dimensions. Source: ITU-T T.4 and T.6; TIFF 6.0, sections 10 and 11.
//!
//! A row that ends in a wrong code is white from there on, as in libtiff, and the next row begins at the next
//! end-of-line code where there is one.

use fax::{
    BitReader, ByteReader,
    maps::{Mode, black, mode, white},
};
use std::convert::Infallible;

/// How rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Rows of runs, each beginning at a whole byte, or two bytes, without end-of-line codes.
    Rows {
        /// Rows begin at even bytes.
        words: bool,
    },
    /// Group 3.
    Three,
    /// Group 4.
    Four,
}

/// Rows of one bit per pixel, 0 white, each padded to whole bytes; `None` if nothing could be read or the width is none
/// that fax has.
pub(super) fn decode(
    bytes: &[u8],
    scheme: Scheme,
    options: u64,
    width: usize,
    rows: usize,
) -> Option<Vec<u8>> {
    let end = u16::try_from(width).ok().filter(|&width| width > 0)?;
    let line = width.div_ceil(8);
    let mut fax = Fax {
        bits: ByteReader::new(Counted::new(bytes)).ok()?,
        end,
        total: 8 * bytes.len() as u64,
        used: 0,
    };
    let two_dimensions = scheme == Scheme::Three && options & 1 == 1;
    let mut reference: Vec<u16> = Vec::new();
    let mut out = vec![0; line.checked_mul(rows)?];
    for to in out.chunks_exact_mut(line) {
        let changes = match scheme {
            Scheme::Rows { words } => {
                if fax.is_over() {
                    return None;
                }
                let changes = fax.runs();
                fax.align(if words { 16 } else { 8 });
                changes
            }
            Scheme::Three => {
                fax.skip_to_line_end();
                if fax.is_over() {
                    return None;
                }
                if two_dimensions && fax.take(1) == Some(0) {
                    fax.against(&reference)
                } else {
                    fax.runs()
                }
            }
            Scheme::Four => {
                if fax.is_over() {
                    return None;
                }
                fax.against(&reference)
            }
        };
        paint(&changes, to, end);
        reference = changes;
    }
    Some(out)
}

type Byte = Result<u8, Infallible>;

/// The bytes, and zeros after them so that the last codes can be looked up.
struct Counted<'a> {
    bytes: std::slice::Iter<'a, u8>,
    padding: u32,
}

impl<'a> Counted<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
            padding: 8,
        }
    }
}

impl Iterator for Counted<'_> {
    type Item = Byte;

    fn next(&mut self) -> Option<Byte> {
        if let Some(&byte) = self.bytes.next() {
            return Some(Ok(byte));
        }
        self.padding = self.padding.checked_sub(1)?;
        Some(Ok(0))
    }
}

struct Fax<'a> {
    bits: ByteReader<Counted<'a>>,
    /// Width, pixels.
    end: u16,
    total: u64,
    used: u64,
}

/// Counts what is consumed, for alignment and for the end.
impl BitReader for Fax<'_> {
    type Error = Infallible;

    fn peek(&self, bits: u8) -> Option<u16> {
        self.bits.peek(bits)
    }

    fn consume(&mut self, bits: u8) -> Result<(), Infallible> {
        self.used += u64::from(bits);
        self.bits.consume(bits)
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        self.bits.bits_to_byte_boundary()
    }
}

impl Fax<'_> {
    fn is_over(&self) -> bool {
        self.used >= self.total
    }

    fn take(&mut self, bits: u8) -> Option<u16> {
        let value = self.peek(bits)?;
        let Ok(()) = self.consume(bits);
        Some(value)
    }

    fn align(&mut self, bits: u64) {
        while !self.used.is_multiple_of(bits) && self.take(1).is_some() {}
    }

    /// Passes over an end-of-line code with its fill bits; over nothing where there is none.
    fn skip_to_line_end(&mut self) {
        while !self.is_over() && self.peek(11) == Some(0) {
            while self.take(1) == Some(0) {
                if self.is_over() {
                    return;
                }
            }
        }
    }

    /// One run of a colour, its make-up codes included.
    fn run(&mut self, is_black: bool) -> Option<u16> {
        let mut sum = 0_u16;
        loop {
            let part = match is_black {
                true => black::decode(self),
                false => white::decode(self),
            }?;
            sum = sum.checked_add(part)?;
            if part < 64 {
                return Some(sum);
            }
        }
    }

    /// A row of runs: the positions at which the colour changes.
    fn runs(&mut self) -> Vec<u16> {
        let (mut at, mut is_black) = (0_u16, false);
        let mut changes = Vec::new();
        while at < self.end {
            // No run begins with nine zeros; an end-of-line code does, and it must be left for the next row.
            if self.peek(9) == Some(0) {
                break;
            }
            let Some(run) = self.run(is_black) else { break };
            at = at.saturating_add(run).min(self.end);
            changes.push(at);
            is_black = !is_black;
        }
        changes
    }

    /// A row coded against the one above it.
    fn against(&mut self, above: &[u16]) -> Vec<u16> {
        let (mut at, mut is_black) = (0_u16, false);
        let mut begun = false;
        let mut changes: Vec<u16> = Vec::new();
        let end = self.end;
        // The first change above, right of `at`, to the other colour than the current one, and the next one.
        let next_above = |at: u16, begun: bool, is_black: bool| {
            let mut i = above.partition_point(|&change| change < at || (begun && change == at));
            if i % 2 != usize::from(is_black) {
                i += 1;
            }
            let change = |i: usize| above.get(i).copied().unwrap_or(end);
            (change(i), change(i + 1))
        };
        while at < end {
            if self.is_over() || self.peek(9) == Some(0) {
                break;
            }
            let (first, second) = next_above(at, begun, is_black);
            match mode::decode(self) {
                Some(Mode::Pass) => at = second,
                Some(Mode::Vertical(delta)) => {
                    let change =
                        (i32::from(first) + i32::from(delta)).clamp(i32::from(at), end.into());
                    at = change as u16;
                    changes.push(at);
                    is_black = !is_black;
                }
                Some(Mode::Horizontal) => {
                    let (Some(one), Some(two)) = (self.run(is_black), self.run(!is_black)) else {
                        break;
                    };
                    let middle = at.saturating_add(one).min(end);
                    at = middle.saturating_add(two).min(end);
                    changes.extend([middle, at]);
                }
                _ => break,
            }
            begun = true;
        }
        changes
    }
}

/// Sets the bits of the black runs.
fn paint(changes: &[u16], to: &mut [u8], end: u16) {
    for pair in changes.chunks(2) {
        let from = pair[0];
        let until = pair.get(1).copied().unwrap_or(end);
        for x in from..until.max(from) {
            to[usize::from(x) / 8] |= 0x80 >> (x % 8);
        }
    }
}
