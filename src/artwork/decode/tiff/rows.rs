//! Rows of samples, as they are stored, to eight bits per sample.
//!
//! The order of steps matters: the bytes of a sample are swapped first, then the predictor is undone over all samples
//! of the row, those that are not shown included, and only then are samples made eight bits. Source: TIFF 6.0, section
//! 14; Adobe's technical note 3 for floats.

use super::layout::{Predictor, Sample};
use half::f16;

/// What is black and what white in the stored numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) black: f64,
    pub(super) white: f64,
}

/// How one row is stored.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Samples in the row.
    pub(super) len: usize,
    /// Samples between one and the next of its channel.
    pub(super) stride: usize,
    pub(super) bits: usize,
    pub(super) sample: Sample,
    pub(super) predictor: Predictor,
    pub(super) big_endian: bool,
}

impl Row {
    /// Bytes of a stored row.
    pub(super) fn bytes(&self) -> usize {
        (self.len * self.bits).div_ceil(8)
    }

    /// Whether the stored numbers alone do not say what is white, so that their range must be looked for.
    pub(super) fn needs_range(&self) -> bool {
        self.sample != Sample::Unsigned || self.bits > 16
    }

    /// Undoes byte order and predictor; afterwards multi-byte samples are in this machine's order.
    pub(super) fn restore(&self, row: &mut [u8]) {
        if self.predictor == Predictor::Float {
            self.restore_floats(row);
            return;
        }
        let wide = self.bits / 8;
        let swaps = self.big_endian != cfg!(target_endian = "big");
        if swaps && wide > 1 && self.bits.is_multiple_of(8) {
            row.chunks_exact_mut(wide).for_each(<[u8]>::reverse);
        }
        if self.predictor != Predictor::Horizontal {
            return;
        }
        let stride = self.stride * wide;
        for at in (stride..row.len() / wide * wide).step_by(wide) {
            let mut carry = 0;
            for i in 0..wide {
                // Little-endian bytes are added from the lowest on.
                let i = if cfg!(target_endian = "big") {
                    wide - 1 - i
                } else {
                    i
                };
                let sum = u16::from(row[at + i]) + u16::from(row[at + i - stride]) + carry;
                row[at + i] = sum as u8;
                carry = sum >> 8;
            }
        }
    }

    fn restore_floats(&self, row: &mut [u8]) {
        for at in self.stride..row.len() {
            row[at] = row[at].wrapping_add(row[at - self.stride]);
        }
        // All highest bytes come first, then all second ones.
        let (wide, sorted) = (self.bits / 8, row.to_vec());
        for i in 0..self.len {
            for byte in 0..wide {
                let to = if cfg!(target_endian = "big") {
                    byte
                } else {
                    wide - 1 - byte
                };
                row[i * wide + to] = sorted[byte * self.len + i];
            }
        }
    }

    /// Eight bits per sample, appended to `to`.
    pub(super) fn narrow(&self, row: &[u8], range: Option<Range>, to: &mut Vec<u8>) {
        if let Some(range) = range {
            let scale = 255.0 / (range.white - range.black).max(f64::MIN_POSITIVE);
            let values = (0..self.len).map(|i| self.value(row, i));
            to.extend(values.map(|v| ((v - range.black) * scale).round().clamp(0.0, 255.0) as u8));
            return;
        }
        match self.bits {
            8 => to.extend_from_slice(&row[..self.len]),
            16 => to.extend(
                row.as_chunks::<2>()
                    .0
                    .iter()
                    .map(|v| (u16::from_ne_bytes(*v) >> 8) as u8),
            ),
            bits => {
                let white = (1_u64 << bits.min(32)) - 1;
                let narrow = |value: u64| match bits {
                    ..8 => ((value * 255 + white / 2) / white) as u8,
                    _ => (value >> (bits - 8)) as u8,
                };
                to.extend((0..self.len).map(|i| narrow(bits_at(row, i * bits, bits))));
            }
        }
    }

    /// Sample `i` as an index into a palette.
    pub(super) fn index(&self, row: &[u8], i: usize) -> usize {
        self.value(row, i) as usize
    }

    /// The least and the greatest of the row's samples that `shown` picks by their channel.
    pub(super) fn extremes(&self, row: &[u8], shown: impl Fn(usize) -> bool) -> (f64, f64) {
        let values = (0..self.len).filter(|i| shown(i % self.stride));
        let values = values.map(|i| self.value(row, i)).filter(|v| v.is_finite());
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        })
    }

    /// Sample `i` as a number.
    fn value(&self, row: &[u8], i: usize) -> f64 {
        let at = |n: usize| row.get(i * n..i * n + n).unwrap_or_default();
        let two = || <[u8; 2]>::try_from(at(2)).unwrap_or_default();
        let four = || <[u8; 4]>::try_from(at(4)).unwrap_or_default();
        let eight = || <[u8; 8]>::try_from(at(8)).unwrap_or_default();
        match (self.sample, self.bits) {
            (Sample::Float, 16) => f64::from(f16::from_ne_bytes(two())),
            (Sample::Float, 24) => {
                let three = <[u8; 3]>::try_from(at(3)).unwrap_or_default();
                f64::from(float_24(three))
            }
            (Sample::Float, 32) => f64::from(f32::from_ne_bytes(four())),
            (Sample::Float, _) => f64::from_ne_bytes(eight()),
            (Sample::Signed, 8) => f64::from(row[i] as i8),
            (Sample::Signed, 16) => f64::from(i16::from_ne_bytes(two())),
            (Sample::Signed, 32) => f64::from(i32::from_ne_bytes(four())),
            (Sample::Signed, _) => i64::from_ne_bytes(eight()) as f64,
            (Sample::Unsigned, 8) => f64::from(row[i]),
            (Sample::Unsigned, 16) => f64::from(u16::from_ne_bytes(two())),
            (Sample::Unsigned, 32) => f64::from(u32::from_ne_bytes(four())),
            (Sample::Unsigned, 64) => u64::from_ne_bytes(eight()) as f64,
            (Sample::Unsigned, bits) => bits_at(row, i * bits, bits) as f64,
        }
    }
}

/// What is black and white if the samples lie between `low` and `high`.
///
/// Programs write such numbers in several ranges, and no tag says which: floats from 0 to 1, or to 255 or 65,535 when an
/// integer picture was converted; integers over their whole range, or their positive half, or as small as 8 or 16 bits.
/// The smallest of these that holds all samples is taken.
pub(super) fn range(sample: Sample, bits: usize, low: f64, high: f64) -> Range {
    let to = |white: f64| Range { black: 0.0, white };
    let full = 2_f64.powi(bits as i32);
    match sample {
        Sample::Float if low >= -0.5 && high <= 1.5 => to(1.0),
        Sample::Signed if low < 0.0 => Range {
            black: -full / 2.0,
            white: full / 2.0 - 1.0,
        },
        Sample::Signed if bits == 8 => to(127.0),
        Sample::Signed if bits == 16 && high > 255.0 => to(32_767.0),
        _ if low < 0.0 => Range {
            black: low,
            white: high,
        },
        _ if high <= 255.0 => to(255.0),
        _ if high <= 65_535.0 => to(65_535.0),
        Sample::Float => to(high),
        Sample::Signed => to(full / 2.0 - 1.0),
        Sample::Unsigned => to(full - 1.0),
    }
}

/// `bits` bits from bit `at` on, the highest first.
fn bits_at(row: &[u8], at: usize, bits: usize) -> u64 {
    let (first, last) = (at / 8, (at + bits).div_ceil(8));
    let bytes = row.get(first..last).unwrap_or_default();
    let word = bytes
        .iter()
        .fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    let below = 8 * last - (at + bits);
    word >> below & ((1_u64 << bits.min(63)) - 1)
}

/// A float of 1 sign, 7 exponent and 16 fraction bits, as its bytes lie in this machine's order.
fn float_24(bytes: [u8; 3]) -> f32 {
    let word = match cfg!(target_endian = "big") {
        true => u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]),
        false => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]),
    };
    let (sign, exponent, fraction) = (word >> 23, word >> 16 & 0x7f, word & 0xffff);
    let magnitude = match exponent {
        0 => fraction as f32 * 2_f32.powi(-16 - 62),
        0x7f => f32::INFINITY,
        _ => (1.0 + fraction as f32 / 65_536.0) * 2_f32.powi(exponent as i32 - 63),
    };
    if sign == 1 { -magnitude } else { magnitude }
}
