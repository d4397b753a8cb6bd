//! Arithmetic codes of coefficients. Source: ITU-T T.81, annex D (the decoder), F.1.4 and F.2.4 (which decisions make a
//! coefficient), G.1.3 (progressive ones).
//!
//! [`Decoder`] knows only decisions and their estimates, [`Arithmetic`] what they are about. `Qe`, `Sz` and the like are the
//! standard's names.

use super::{
    careful::ZIGZAG,
    damaged,
    markers::next_marker,
    scan::{Entropy, Scan, enlarge},
};
use crate::artwork::decode::DecodeError;

/// Table D.3: for each state `Qe`, the next state after the less and after the more probable decision, and whether the
/// less probable one makes the two change roles.
#[rustfmt::skip]
const STATES: [(u32, u8, u8, bool); 113] = [
    (0x5a1d, 1, 1, true), (0x2586, 14, 2, false), (0x1114, 16, 3, false), (0x080b, 18, 4, false),
    (0x03d8, 20, 5, false), (0x01da, 23, 6, false), (0x00e5, 25, 7, false), (0x006f, 28, 8, false),
    (0x0036, 30, 9, false), (0x001a, 33, 10, false), (0x000d, 35, 11, false), (0x0006, 9, 12, false),
    (0x0003, 10, 13, false), (0x0001, 12, 13, false), (0x5a7f, 15, 15, true), (0x3f25, 36, 16, false),
    (0x2cf2, 38, 17, false), (0x207c, 39, 18, false), (0x17b9, 40, 19, false), (0x1182, 42, 20, false),
    (0x0cef, 43, 21, false), (0x09a1, 45, 22, false), (0x072f, 46, 23, false), (0x055c, 48, 24, false),
    (0x0406, 49, 25, false), (0x0303, 51, 26, false), (0x0240, 52, 27, false), (0x01b1, 54, 28, false),
    (0x0144, 56, 29, false), (0x00f5, 57, 30, false), (0x00b7, 59, 31, false), (0x008a, 60, 32, false),
    (0x0068, 62, 33, false), (0x004e, 63, 34, false), (0x003b, 32, 35, false), (0x002c, 33, 9, false),
    (0x5ae1, 37, 37, true), (0x484c, 64, 38, false), (0x3a0d, 65, 39, false), (0x2ef1, 67, 40, false),
    (0x261f, 68, 41, false), (0x1f33, 69, 42, false), (0x19a8, 70, 43, false), (0x1518, 72, 44, false),
    (0x1177, 73, 45, false), (0x0e74, 74, 46, false), (0x0bfb, 75, 47, false), (0x09f8, 77, 48, false),
    (0x0861, 78, 49, false), (0x0706, 79, 50, false), (0x05cd, 48, 51, false), (0x04de, 50, 52, false),
    (0x040f, 50, 53, false), (0x0363, 51, 54, false), (0x02d4, 52, 55, false), (0x025c, 53, 56, false),
    (0x01f8, 54, 57, false), (0x01a4, 55, 58, false), (0x0160, 56, 59, false), (0x0125, 57, 60, false),
    (0x00f6, 58, 61, false), (0x00cb, 59, 62, false), (0x00ab, 61, 63, false), (0x008f, 61, 32, false),
    (0x5b12, 65, 65, true), (0x4d04, 80, 66, false), (0x412c, 81, 67, false), (0x37d8, 82, 68, false),
    (0x2fe8, 83, 69, false), (0x293c, 84, 70, false), (0x2379, 86, 71, false), (0x1edf, 87, 72, false),
    (0x1aa9, 87, 73, false), (0x174e, 72, 74, false), (0x1424, 72, 75, false), (0x119c, 74, 76, false),
    (0x0f6b, 74, 77, false), (0x0d51, 75, 78, false), (0x0bb6, 77, 79, false), (0x0a40, 77, 48, false),
    (0x5832, 80, 81, true), (0x4d1c, 88, 82, false), (0x438e, 89, 83, false), (0x3bdd, 90, 84, false),
    (0x34ee, 91, 85, false), (0x2eae, 92, 86, false), (0x299a, 93, 87, false), (0x2516, 86, 71, false),
    (0x5570, 88, 89, true), (0x4ca9, 95, 90, false), (0x44d9, 96, 91, false), (0x3e22, 97, 92, false),
    (0x3824, 99, 93, false), (0x32b4, 99, 94, false), (0x2e17, 93, 86, false), (0x56a8, 95, 96, true),
    (0x4f46, 101, 97, false), (0x47e5, 102, 98, false), (0x41cf, 103, 99, false), (0x3c3d, 104, 100, false),
    (0x375e, 99, 93, false), (0x5231, 105, 102, false), (0x4c0f, 106, 103, false), (0x4639, 107, 104, false),
    (0x415e, 103, 99, false), (0x5627, 105, 106, true), (0x50e7, 108, 107, false), (0x4b85, 109, 103, false),
    (0x5597, 110, 109, false), (0x504f, 111, 107, false), (0x5a10, 110, 111, true), (0x5522, 112, 109, false),
    (0x59eb, 112, 111, true),
];

/// The bins of a table of DC (table F.4): four for each context of a difference, then those of `X1`, `X2` to `X15` and `M2` to
/// `M15`.
const DC_BINS: usize = 49;
const DC_X1: usize = 20;
/// The bins of a table of AC (table F.5): three for each coefficient, then `X2` to `X15` and `M2` to `M15`, for low and for high
/// coefficients.
const AC_BINS: usize = 245;
const AC_X2: [usize; 2] = [189, 217];
/// Bins of `X2` to `X15`; the `M` of each lies as far after it.
const LARGE: usize = 14;

/// The estimate for one kind of decision.
#[derive(Clone, Copy, Default)]
struct Bin {
    /// The place in [`STATES`].
    state: u8,
    /// The more probable decision.
    probable: bool,
}

/// Bounds and limits that the DAC segments set, by table.
#[derive(Clone, Copy)]
pub(super) struct Conditions {
    /// `L` and `U`, the bounds of small differences, as powers of two.
    pub(super) dc: [(u8, u8); 4],
    /// `Kx`, the last of the low coefficients.
    pub(super) ac: [u8; 4],
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            dc: [(0, 1); 4],
            ac: [5; 4],
        }
    }
}

impl Conditions {
    /// Reads a DAC segment.
    pub(super) fn read(&mut self, segment: &[u8]) {
        for &[table, value] in segment.as_chunks::<2>().0 {
            let place = usize::from(table & 3);
            match table >> 4 {
                0 => self.dc[place] = (value & 15, value >> 4),
                _ => self.ac[place] = value,
            }
        }
    }
}

/// The decisions of one scan, up to its end or the next marker.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// A byte was wanted where the file had ended, without a marker.
    overran: bool,
    /// The width of the interval, `A`: from 0x8000 to 0x10000 between decisions.
    width: u32,
    /// Where in the interval the code points to: `Cx`, and below it `spare` bits that are not in use yet. Invariant: less than
    /// the width.
    code: u32,
    spare: u32,
}

impl<'a> Decoder<'a> {
    /// `Initdec`.
    fn new(bytes: &'a [u8], at: usize) -> Self {
        let mut fresh = Self {
            bytes,
            at,
            overran: false,
            width: 0x1_0000,
            code: 0,
            spare: 0,
        };
        fresh.byte_in();
        fresh.byte_in();
        fresh.spare = 0;
        fresh
    }

    /// `Byte_in`: eight more bits. Before a marker they are zeros, which the encoder left out.
    fn byte_in(&mut self) {
        let (byte, len) = match self.bytes.get(self.at..).unwrap_or_default() {
            [] => {
                self.overran = true;
                (0, 0)
            }
            [0xff, 0, ..] => (0xff, 2),
            [0xff, ..] => (0, 0),
            &[byte, ..] => (byte, 1),
        };
        self.at += len;
        self.code = self.code << 8 | u32::from(byte);
        self.spare += 8;
    }

    /// `Decode`: the next decision of this kind.
    fn decode(&mut self, bin: &mut Bin) -> bool {
        let (qe, after_less, after_more, switches) = STATES[usize::from(bin.state)];
        self.width -= qe;
        let upper = self.code >> self.spare >= self.width;
        if !upper && self.width >= 0x8000 {
            return bin.probable;
        }
        // The more probable decision has the lower part, unless that became the smaller one: then they are exchanged.
        let exchanged = self.width < qe;
        if upper {
            self.code -= self.width << self.spare;
            self.width = qe;
        }
        let decision = bin.probable ^ (upper != exchanged);
        if decision == bin.probable {
            bin.state = after_more;
        } else {
            bin.state = after_less;
            bin.probable ^= switches;
        }
        self.renorm_d();
        decision
    }

    /// `Renorm_d`: doubles the interval until it is wide enough.
    fn renorm_d(&mut self) {
        let doublings = self.width.leading_zeros().saturating_sub(16);
        while self.spare < doublings {
            self.byte_in();
        }
        self.spare -= doublings;
        self.width <<= doublings;
    }

    /// A decision whose estimate is fixed: the first state's.
    fn fixed(&mut self) -> bool {
        self.decode(&mut Bin::default())
    }

    /// The magnitude of a value other than zero. `Sz` is one less: first its number of bits, then all of them but the
    /// highest. The bins: of none or some, of one or more, and the first of `X2` to `X15`.
    fn magnitude(
        &mut self,
        bins: &mut [Bin],
        (some, x1, x2): (usize, usize, usize),
    ) -> Result<i32, DecodeError> {
        let places = [some, x1].into_iter().chain(x2..x2 + LARGE);
        let ended = places
            .enumerate()
            .find(|&(_, place)| !self.decode(&mut bins[place]));
        let (count, place) = ended.ok_or_else(wrong)?;
        let mut sz = i32::from(count > 0);
        for _ in 1..count {
            sz = sz << 1 | i32::from(self.decode(&mut bins[place + LARGE]));
        }
        Ok(sz + 1)
    }
}

/// The decoder of the coefficients of one scan.
pub(super) struct Arithmetic<'a> {
    decoder: Decoder<'a>,
    scan: &'a Scan,
    conditions: Conditions,
    /// `Da`, the last difference of each component.
    last: [i32; 4],
    dc: [[Bin; DC_BINS]; 4],
    ac: [[Bin; AC_BINS]; 4],
}

fn wrong() -> DecodeError {
    damaged("the data of its pixels is wrong")
}

impl<'a> Arithmetic<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize, scan: &'a Scan, conditions: Conditions) -> Self {
        Self {
            decoder: Decoder::new(bytes, at),
            scan,
            conditions,
            last: [0; 4],
            dc: [[Bin::default(); DC_BINS]; 4],
            ac: [[Bin::default(); AC_BINS]; 4],
        }
    }
}

/// The first of the four bins of a difference, by the one before it: zero, small or large, and its sign (F.1.4.4.1.2).
fn context(last: i32, (lower, upper): (u8, u8)) -> usize {
    let negative = usize::from(last < 0);
    match last.abs() {
        size if size <= (1 << lower) >> 1 => 0,
        size if size <= 1 << upper => 4 + 4 * negative,
        _ => 12 + 4 * negative,
    }
}

/// The bins of the coefficient `k`: whether the block ends before it, whether it is zero, and what its value is about.
fn ac_bins(k: usize) -> (usize, usize, usize) {
    let end = 3 * (k - 1);
    (end, end + 1, end + 2)
}

impl Entropy for Arithmetic<'_> {
    fn difference(&mut self, place: usize, table: usize) -> Result<i32, DecodeError> {
        let (decoder, bins) = (&mut self.decoder, &mut self.dc[table]);
        let first = context(self.last[place], self.conditions.dc[table]);
        let mut difference = 0;
        if decoder.decode(&mut bins[first]) {
            let negative = decoder.decode(&mut bins[first + 1]);
            let some = first + 2 + usize::from(negative);
            let magnitude = decoder.magnitude(bins, (some, DC_X1, DC_X1 + 1))?;
            difference = if negative { -magnitude } else { magnitude };
        }
        self.last[place] = difference;
        Ok(difference)
    }

    fn bit(&mut self) -> bool {
        self.decoder.fixed()
    }

    fn ac(
        &mut self,
        values: &mut [i16; 64],
        (first, last): (usize, usize),
        table: usize,
    ) -> Result<(), DecodeError> {
        let (decoder, bins) = (&mut self.decoder, &mut self.ac[table]);
        let mut may_end = true;
        for k in first..=last {
            let (end, some, size) = ac_bins(k);
            if may_end && decoder.decode(&mut bins[end]) {
                return Ok(());
            }
            // After a zero another coefficient always follows.
            may_end = decoder.decode(&mut bins[some]);
            if may_end {
                let negative = decoder.fixed();
                let high = usize::from(k > usize::from(self.conditions.ac[table]));
                let magnitude = decoder.magnitude(bins, (size, size, AC_X2[high]))?;
                let value = if negative { -magnitude } else { magnitude };
                values[ZIGZAG[k]] = (value << self.scan.low) as i16;
            }
        }
        may_end.then_some(()).ok_or_else(wrong)
    }

    fn refine(
        &mut self,
        values: &mut [i16; 64],
        (first, last): (usize, usize),
        table: usize,
    ) -> Result<(), DecodeError> {
        let (decoder, bins) = (&mut self.decoder, &mut self.ac[table]);
        let bit = 1_i16 << self.scan.low;
        // The block cannot end before the last coefficient that is known not to be zero.
        let known = ZIGZAG[..=last].iter().rposition(|&at| values[at] != 0);
        let known = known.unwrap_or(0);
        let mut may_end = true;
        for k in first..=last {
            let (end, some, more) = ac_bins(k);
            if may_end && k > known && decoder.decode(&mut bins[end]) {
                return Ok(());
            }
            let value = &mut values[ZIGZAG[k]];
            may_end = true;
            if *value != 0 {
                if decoder.decode(&mut bins[more]) {
                    enlarge(value, bit);
                }
            } else if decoder.decode(&mut bins[some]) {
                *value = if decoder.fixed() { -bit } else { bit };
            } else {
                may_end = false;
            }
        }
        may_end.then_some(()).ok_or_else(wrong)
    }

    fn restart(&mut self) -> bool {
        let (bytes, at) = (self.decoder.bytes, self.decoder.at);
        match next_marker(bytes, at) {
            Some((0xd0..=0xd7, next)) => {
                *self = Self::new(bytes, next, self.scan, self.conditions);
                true
            }
            _ => false,
        }
    }

    fn overran(&self) -> bool {
        self.decoder.overran
    }

    fn at(&self) -> usize {
        self.decoder.at
    }

    fn left_over(&self) -> usize {
        let rest = self.decoder.bytes.get(self.at()..).unwrap_or_default();
        next_marker(rest, 0).map_or(rest.len(), |(_, behind)| behind - 2)
    }
}
