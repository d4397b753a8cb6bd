//! Arithmetic codes of coefficients. Source: ITU-T T.81, annex D and F.1.4, F.2.4, G.1.3.

use super::{
    careful::ZIGZAG,
    damaged,
    markers::next_marker,
    scan::{Entropy, Scan},
};
use crate::artwork::decode::DecodeError;

/// Table D.3: for each state the estimate of the less probable decision, the next state after it and after the more
/// probable one, and whether the two change roles.
#[rustfmt::skip]
const STATES: [(u32, u8, u8, u8); 114] = [
    (0x5a1d, 1, 1, 1), (0x2586, 14, 2, 0), (0x1114, 16, 3, 0), (0x080b, 18, 4, 0),
    (0x03d8, 20, 5, 0), (0x01da, 23, 6, 0), (0x00e5, 25, 7, 0), (0x006f, 28, 8, 0),
    (0x0036, 30, 9, 0), (0x001a, 33, 10, 0), (0x000d, 35, 11, 0), (0x0006, 9, 12, 0),
    (0x0003, 10, 13, 0), (0x0001, 12, 13, 0), (0x5a7f, 15, 15, 1), (0x3f25, 36, 16, 0),
    (0x2cf2, 38, 17, 0), (0x207c, 39, 18, 0), (0x17b9, 40, 19, 0), (0x1182, 42, 20, 0),
    (0x0cef, 43, 21, 0), (0x09a1, 45, 22, 0), (0x072f, 46, 23, 0), (0x055c, 48, 24, 0),
    (0x0406, 49, 25, 0), (0x0303, 51, 26, 0), (0x0240, 52, 27, 0), (0x01b1, 54, 28, 0),
    (0x0144, 56, 29, 0), (0x00f5, 57, 30, 0), (0x00b7, 59, 31, 0), (0x008a, 60, 32, 0),
    (0x0068, 62, 33, 0), (0x004e, 63, 34, 0), (0x003b, 32, 35, 0), (0x002c, 33, 9, 0),
    (0x5ae1, 37, 37, 1), (0x484c, 64, 38, 0), (0x3a0d, 65, 39, 0), (0x2ef1, 67, 40, 0),
    (0x261f, 68, 41, 0), (0x1f33, 69, 42, 0), (0x19a8, 70, 43, 0), (0x1518, 72, 44, 0),
    (0x1177, 73, 45, 0), (0x0e74, 74, 46, 0), (0x0bfb, 75, 47, 0), (0x09f8, 77, 48, 0),
    (0x0861, 78, 49, 0), (0x0706, 79, 50, 0), (0x05cd, 48, 51, 0), (0x04de, 50, 52, 0),
    (0x040f, 50, 53, 0), (0x0363, 51, 54, 0), (0x02d4, 52, 55, 0), (0x025c, 53, 56, 0),
    (0x01f8, 54, 57, 0), (0x01a4, 55, 58, 0), (0x0160, 56, 59, 0), (0x0125, 57, 60, 0),
    (0x00f6, 58, 61, 0), (0x00cb, 59, 62, 0), (0x00ab, 61, 63, 0), (0x008f, 61, 32, 0),
    (0x5b12, 65, 65, 1), (0x4d04, 80, 66, 0), (0x412c, 81, 67, 0), (0x37d8, 82, 68, 0),
    (0x2fe8, 83, 69, 0), (0x293c, 84, 70, 0), (0x2379, 86, 71, 0), (0x1edf, 87, 72, 0),
    (0x1aa9, 87, 73, 0), (0x174e, 72, 74, 0), (0x1424, 72, 75, 0), (0x119c, 74, 76, 0),
    (0x0f6b, 74, 77, 0), (0x0d51, 75, 78, 0), (0x0bb6, 77, 79, 0), (0x0a40, 77, 48, 0),
    (0x5832, 80, 81, 1), (0x4d1c, 88, 82, 0), (0x438e, 89, 83, 0), (0x3bdd, 90, 84, 0),
    (0x34ee, 91, 85, 0), (0x2eae, 92, 86, 0), (0x299a, 93, 87, 0), (0x2516, 86, 71, 0),
    (0x5570, 88, 89, 1), (0x4ca9, 95, 90, 0), (0x44d9, 96, 91, 0), (0x3e22, 97, 92, 0),
    (0x3824, 99, 93, 0), (0x32b4, 99, 94, 0), (0x2e17, 93, 86, 0), (0x56a8, 95, 96, 1),
    (0x4f46, 101, 97, 0), (0x47e5, 102, 98, 0), (0x41cf, 103, 99, 0), (0x3c3d, 104, 100, 0),
    (0x375e, 99, 93, 0), (0x5231, 105, 102, 0), (0x4c0f, 106, 103, 0), (0x4639, 107, 104, 0),
    (0x415e, 103, 99, 0), (0x5627, 105, 106, 1), (0x50e7, 108, 107, 0), (0x4b85, 109, 103, 0),
    (0x5597, 110, 109, 0), (0x504f, 111, 107, 0), (0x5a10, 110, 111, 1), (0x5522, 112, 109, 0),
    (0x59eb, 112, 111, 1),
    (0x5a1d, 113, 113, 0),
];

/// The state that stays as it is: both decisions are as probable.
const EVEN: u8 = 113;

/// Places of a table's bins, and what a table of DC and one of AC take.
const DC_LARGE: usize = 20;
const AC_LARGE: [usize; 2] = [189, 217];
const DC_BINS: usize = 49;
const AC_BINS: usize = 245;
const EVEN_BIN: usize = 4 * (DC_BINS + AC_BINS);
/// From the bins of a magnitude's category to those of its bits.
const TO_BITS: usize = 14;

/// Bounds and limits that the DAC segments set, by table.
#[derive(Clone, Copy)]
pub(super) struct Conditions {
    /// Lower and upper bound of small differences, as powers of two.
    pub(super) dc: [(u8, u8); 4],
    /// The last coefficient with bins of its own for large values.
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

/// The decoder of one scan.
pub(super) struct Arithmetic<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The file ended, without a marker.
    overran: bool,
    code: u32,
    interval: u32,
    /// Bits of the last byte that are not in use yet.
    left: u32,
    scan: &'a Scan,
    progressive: bool,
    conditions: Conditions,
    predictions: [i32; 4],
    /// Where the bins of the next difference begin, for each component.
    contexts: [usize; 4],
    /// States, and in the highest bit the more probable decision: four tables of DC, four of AC, and the even one.
    bins: Vec<u8>,
}

fn wrong() -> DecodeError {
    damaged("the data of its pixels is wrong")
}

impl<'a> Arithmetic<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        at: usize,
        scan: &'a Scan,
        progressive: bool,
        conditions: Conditions,
    ) -> Self {
        let mut fresh = Self {
            bytes,
            at,
            overran: false,
            code: 0,
            interval: 0x1_0000,
            left: 0,
            scan,
            progressive,
            conditions,
            predictions: [0; 4],
            contexts: [0; 4],
            bins: vec![0; EVEN_BIN + 1],
        };
        fresh.bins[EVEN_BIN] = EVEN;
        fresh.code = fresh.byte() << 24;
        fresh.code |= fresh.byte() << 16;
        fresh
    }

    /// The next byte; before a marker come as many zeros as are wanted, which the encoder left out.
    fn byte(&mut self) -> u32 {
        match self.bytes.get(self.at..) {
            Some([0xff, 0, ..]) => {
                self.at += 2;
                0xff
            }
            Some([0xff, ..]) => 0,
            Some(&[byte, ..]) => {
                self.at += 1;
                u32::from(byte)
            }
            _ => {
                self.overran = true;
                0
            }
        }
    }

    /// The next decision, by a bin.
    fn decide(&mut self, bin: usize) -> bool {
        let (state, probable) = (self.bins[bin] & 0x7f, self.bins[bin] & 0x80);
        let (estimate, after_less, after_more, change) = STATES[usize::from(state)];
        self.interval -= estimate;
        let upper = self.code >> 16 >= self.interval;
        if !upper && self.interval >= 0x8000 {
            return probable != 0;
        }
        // The larger of the two parts is the more probable decision, whichever comes first.
        let as_expected = upper == (self.interval < estimate);
        if upper {
            self.code -= self.interval << 16;
            self.interval = estimate;
        }
        self.bins[bin] = match as_expected {
            true => probable | after_more,
            false => (probable ^ change << 7) | after_less,
        };
        while self.interval < 0x8000 {
            if self.left == 0 {
                self.code |= self.byte() << 8;
                self.left = 8;
            }
            self.interval <<= 1;
            self.code <<= 1;
            self.left -= 1;
        }
        (probable != 0) == as_expected
    }

    /// A magnitude less one: its category by the bins from `first` on, those above one from `large` on, then its bits.
    fn magnitude(&mut self, first: usize, large: usize, twice: bool) -> Result<i32, DecodeError> {
        let mut bin = first;
        if !self.decide(bin) {
            return Ok(0);
        }
        let mut top = 1;
        let mut goes_on = true;
        if twice {
            goes_on = self.decide(bin);
            top = if goes_on { 2 } else { 1 };
        }
        if goes_on {
            bin = large;
            while self.decide(bin) {
                top <<= 1;
                if top == 0x8000 {
                    return Err(wrong());
                }
                bin += 1;
            }
        }
        let (mut value, mut bit) = (top, top >> 1);
        while bit > 0 {
            if self.decide(bin + TO_BITS) {
                value |= bit;
            }
            bit >>= 1;
        }
        Ok(value)
    }

    /// The next difference of DC.
    fn difference(&mut self, place: usize, table: usize) -> Result<i32, DecodeError> {
        let bins = table * DC_BINS;
        let first = bins + self.contexts[place];
        if !self.decide(first) {
            self.contexts[place] = 0;
            return Ok(0);
        }
        let negative = self.decide(first + 1);
        let sign = usize::from(negative);
        let less_one = self.magnitude(first + 2 + sign, bins + DC_LARGE, false)?;
        let (low, high) = self.conditions.dc[table];
        // The category that the bounds are about is the magnitude's highest bit.
        let top = match less_one {
            0 => 0,
            value => 1 << value.ilog2(),
        };
        self.contexts[place] = match top {
            _ if top < (1 << low) >> 1 => 0,
            _ if top > (1 << high) >> 1 => 12 + 4 * sign,
            _ => 4 + 4 * sign,
        };
        Ok(if negative {
            -less_one - 1
        } else {
            less_one + 1
        })
    }

    fn dc(&mut self, place: usize, table: usize) -> Result<i16, DecodeError> {
        let sum = self.predictions[place] + self.difference(place, table)?;
        self.predictions[place] = i32::from(sum as i16);
        Ok((self.predictions[place] << self.scan.low) as i16)
    }

    /// The first bits of the coefficients from `first` to `last`.
    fn ac(
        &mut self,
        values: &mut [i16; 64],
        (first, last): (usize, usize),
        table: usize,
    ) -> Result<(), DecodeError> {
        let bins = 4 * DC_BINS + table * AC_BINS;
        let mut k = first;
        while k <= last {
            // No further ones?
            if self.decide(bins + 3 * (k - 1)) {
                break;
            }
            while !self.decide(bins + 3 * (k - 1) + 1) {
                k += 1;
                if k > last {
                    return Err(wrong());
                }
            }
            let negative = self.decide(EVEN_BIN);
            let above = usize::from(k > usize::from(self.conditions.ac[table]));
            let less_one = self.magnitude(bins + 3 * (k - 1) + 2, bins + AC_LARGE[above], true)?;
            let value = if negative {
                -less_one - 1
            } else {
                less_one + 1
            };
            values[ZIGZAG[k]] = (value << self.scan.low) as i16;
            k += 1;
        }
        Ok(())
    }

    /// One more bit of the coefficients that are not zero, and those that become so.
    fn refine(&mut self, values: &mut [i16; 64], table: usize) -> Result<(), DecodeError> {
        let bins = 4 * DC_BINS + table * AC_BINS;
        let (first, last) = (self.scan.first, self.scan.last);
        let bit = 1_i16 << self.scan.low;
        let known = (1..=last)
            .rev()
            .find(|&k| values[ZIGZAG[k]] != 0)
            .unwrap_or(0);
        let mut k = first;
        while k <= last {
            if k > known && self.decide(bins + 3 * (k - 1)) {
                break;
            }
            loop {
                let at = ZIGZAG[k];
                if values[at] != 0 {
                    if self.decide(bins + 3 * (k - 1) + 2) {
                        let step = if values[at] < 0 { -bit } else { bit };
                        values[at] = values[at].wrapping_add(step);
                    }
                    break;
                }
                if self.decide(bins + 3 * (k - 1) + 1) {
                    values[at] = if self.decide(EVEN_BIN) { -bit } else { bit };
                    break;
                }
                k += 1;
                if k > last {
                    return Err(wrong());
                }
            }
            k += 1;
        }
        Ok(())
    }
}

impl Entropy for Arithmetic<'_> {
    fn block(
        &mut self,
        values: &mut [i16; 64],
        place: usize,
        (dc, ac): (usize, usize),
    ) -> Result<(), DecodeError> {
        match (self.progressive, self.scan.first, self.scan.high) {
            (false, ..) => {
                values[0] = self.dc(place, dc)?;
                self.ac(values, (1, 63), ac)
            }
            (true, 0, 0) => {
                values[0] = self.dc(place, dc)?;
                Ok(())
            }
            (true, 0, _) => {
                if self.decide(EVEN_BIN) {
                    values[0] |= 1 << self.scan.low;
                }
                Ok(())
            }
            (true, first, 0) => self.ac(values, (first, self.scan.last), ac),
            (true, ..) => self.refine(values, ac),
        }
    }

    fn mean(&self, place: usize) -> i32 {
        self.predictions[place]
    }

    fn restart(&mut self) -> bool {
        match next_marker(self.bytes, self.at) {
            Some((0xd0..=0xd7, next)) => {
                let (scan, progressive) = (self.scan, self.progressive);
                *self = Self::new(self.bytes, next, scan, progressive, self.conditions);
                true
            }
            _ => false,
        }
    }

    fn overran(&self) -> bool {
        self.overran
    }

    fn at(&self) -> usize {
        self.at
    }

    fn left_over(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        next_marker(rest, 0).map_or(rest.len(), |(_, behind)| behind - 2)
    }
}
