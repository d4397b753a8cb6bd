//! Huffman codes and the bits they are read from. Source: ITU-T T.81, annexes C and F.

use super::{damaged, markers::next_marker};
use crate::artwork::decode::DecodeError;

/// Codes of up to this many bits are looked up at once.
const SHORT: u32 = 9;

/// One table of codes.
#[derive(Clone)]
pub(super) struct Table {
    /// By the next [`SHORT`] bits: length of the code and its value; length 0 for longer ones.
    short: Vec<(u8, u8)>,
    /// For each length: one more than its greatest code, shifted to 16 bits, and what to add to a code for its place.
    limit: [i32; 18],
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// The table that `counts` codes of each length and their values make; `None` if they do not form a code.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            short: vec![(0, 0); 1 << SHORT],
            limit: [0; 18],
            offset: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut place) = (0_i32, 0_usize);
        for length in 1..=16_usize {
            let count = usize::from(counts[length - 1]);
            table.offset[length] = place as i32 - code;
            if code as usize + count > 1 << length || place + count > values.len() {
                return None;
            }
            for &value in &values[place..place + count] {
                let left = SHORT as i32 - length as i32;
                if left >= 0 {
                    let from = (code as usize) << left;
                    table.short[from..from + (1 << left)].fill((length as u8, value));
                }
                code += 1;
            }
            place += count;
            table.limit[length] = code << (16 - length);
            code <<= 1;
        }
        table.limit[17] = i32::MAX;
        Some(table)
    }
}

/// The bits of one scan, up to the next marker. After them come zeros, which are counted.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    word: u64,
    /// Bits in `word`, and how many of them, the last ones, are made up.
    left: u32,
    made_up: u32,
    at_marker: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            word: 0,
            left: 0,
            made_up: 0,
            at_marker: false,
        }
    }

    fn fill(&mut self) {
        while self.left <= 48 {
            let byte = match self.bytes.get(self.at) {
                Some(0xff) if !self.at_marker => {
                    let mut next = self.at + 1;
                    while self.bytes.get(next) == Some(&0xff) {
                        next += 1;
                    }
                    if self.bytes.get(next) == Some(&0) {
                        self.at = next + 1;
                        Some(0xff)
                    } else {
                        self.at_marker = true;
                        None
                    }
                }
                Some(&byte) if !self.at_marker => {
                    self.at += 1;
                    Some(byte)
                }
                _ => None,
            };
            if byte.is_none() {
                self.made_up += 8;
            }
            self.word = self.word << 8 | u64::from(byte.unwrap_or(0));
            self.left += 8;
        }
    }

    /// Whether bits were taken that the file does not have.
    pub(super) fn overran(&self) -> bool {
        self.left < self.made_up
    }

    /// The next `n` bits, at most 16.
    pub(super) fn take(&mut self, n: u32) -> i32 {
        if self.left < n {
            self.fill();
        }
        self.left -= n;
        (self.word >> self.left) as i32 & ((1 << n) - 1)
    }

    fn peek(&mut self, n: u32) -> i32 {
        if self.left < n {
            self.fill();
        }
        (self.word >> (self.left - n)) as i32 & ((1 << n) - 1)
    }

    /// The value of the next code.
    pub(super) fn code(&mut self, table: &Table) -> Result<u8, DecodeError> {
        let next = self.peek(16);
        let (length, value) = table.short[(next >> (16 - SHORT)) as usize];
        if length > 0 {
            self.left -= u32::from(length);
            return Ok(value);
        }
        let length = (1..=17)
            .find(|&length| next < table.limit[length])
            .unwrap_or(17);
        let wrong = || damaged("the data of its pixels is wrong");
        if length == 17 {
            return Err(wrong());
        }
        self.left -= length as u32;
        let place = (next >> (16 - length)) + table.offset[length];
        let value = usize::try_from(place)
            .ok()
            .and_then(|i| table.values.get(i));
        value.copied().ok_or_else(wrong)
    }

    /// A number of `n` bits whose sign its first bit tells.
    pub(super) fn signed(&mut self, n: u32) -> i32 {
        if n == 0 {
            return 0;
        }
        let value = self.take(n);
        if value < 1 << (n - 1) {
            value + 1 - (1 << n)
        } else {
            value
        }
    }

    /// Passes over the next restart marker; false if another marker or the end comes first.
    pub(super) fn restart(&mut self) -> bool {
        match next_marker(self.bytes, self.at) {
            Some((0xd0..=0xd7, next)) => {
                *self = Self::new(self.bytes, next);
                true
            }
            _ => false,
        }
    }

    /// Where the next marker is looked for.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left before the next marker, not counting those that writers fill up with.
    pub(super) fn left_over(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = next_marker(rest, 0).map_or(rest.len(), |(_, behind)| behind - 2);
        let real = |byte: &&u8| !matches!(byte, 0 | 0xff);
        let unread = (self.left - self.made_up.min(self.left)) as usize / 8;
        rest[..end.min(rest.len())].iter().filter(real).count() + unread
    }
}
