//! One scan of a JPEG: coefficients, bits of coefficients, or differences of samples.
//!
//! Source: ITU-T T.81, annexes F (sequential), G (progressive) and H (lossless).

use super::{
    arithmetic::Arithmetic,
    careful::{Plane, Tables, ZIGZAG},
    damaged,
    huffman::{Bits, Table},
    markers::{Markers, Process},
    unsupported,
};
use crate::artwork::decode::DecodeError;

/// A scan's header.
pub(super) struct Scan {
    /// Components of the frame, with their tables for DC and AC.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// First and last coefficient; of lossless pictures the first is the predictor.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Bits that were there before, and bits that are left out.
    pub(super) high: u8,
    pub(super) low: u8,
}

impl Scan {
    pub(super) fn read(
        segment: &[u8],
        markers: &Markers,
        planes: &[Plane],
    ) -> Result<Self, DecodeError> {
        let wrong = || damaged("the header of a scan cannot be");
        let (&count, rest) = segment.split_first().ok_or_else(wrong)?;
        let count = usize::from(count);
        let (list, rest) = rest.split_at_checked(2 * count).ok_or_else(wrong)?;
        let &[first, last, bits, ..] = rest else {
            return Err(wrong());
        };
        let component = |entry: &[u8]| {
            let place = planes
                .iter()
                .position(|plane| plane.component.id == entry[0]);
            let tables = (usize::from(entry[1] >> 4 & 3), usize::from(entry[1] & 3));
            place.map(|place| (place, tables.0, tables.1))
        };
        let components: Option<Vec<_>> = list.chunks_exact(2).map(component).collect();
        let mut scan = Self {
            components: components.ok_or_else(wrong)?,
            first: usize::from(first),
            last: usize::from(last),
            high: bits >> 4,
            low: bits & 15,
        };
        if markers.process == Process::Sequential {
            (scan.first, scan.last, scan.high, scan.low) = (0, 63, 0, 0);
        }
        let sound = match markers.process {
            Process::Lossless => scan.low < 16,
            _ => {
                let apart = scan.first == 0 && scan.last == 0 || scan.components.len() == 1;
                let sequential = markers.process == Process::Sequential;
                scan.first <= scan.last && scan.last < 64 && scan.low < 14 && (apart || sequential)
            }
        };
        // The same component twice would be two planes of one.
        let mut places: Vec<usize> = scan.components.iter().map(|c| c.0).collect();
        places.dedup();
        if !sound || scan.components.is_empty() || places.len() != scan.components.len() {
            return Err(wrong());
        }
        Ok(scan)
    }
}

impl Scan {
    /// Whether it brings the first bits of the blocks' means; every scan of a sequential picture does.
    pub(super) fn is_first_of_dc(&self) -> bool {
        self.first == 0 && self.high == 0
    }
}

/// What is done with the blocks of a scan.
pub(super) enum Keep<'a> {
    /// They are only read.
    Nothing,
    /// They are kept in their planes.
    All,
    /// A row of units at a time is kept, and then passed on.
    Rows(&'a mut dyn FnMut(&[Plane]) -> Result<(), DecodeError>),
}

/// Where the bits of blocks come from.
pub(super) trait Entropy {
    /// Reads one block of the component in the given place of the scan, by its tables for DC and AC.
    fn block(
        &mut self,
        values: &mut [i16; 64],
        place: usize,
        tables: (usize, usize),
    ) -> Result<(), DecodeError>;
    /// The mean of the last block.
    fn mean(&self, place: usize) -> i32;
    /// Passes over the next restart marker; false if another marker or the end comes first.
    fn restart(&mut self) -> bool;
    /// Whether bits were taken that the file does not have.
    fn overran(&self) -> bool;
    /// Where the next marker is looked for.
    fn at(&self) -> usize;
    /// How many bytes are left before the next marker.
    fn left_over(&self) -> usize;
}

/// Decodes one scan from the byte at `at` on. Returns where its bits end and how many bytes are left there; `None` if
/// they end before the picture does.
pub(super) fn decode(
    (bytes, at): (&[u8], usize),
    scan: &Scan,
    markers: &Markers,
    tables: &Tables,
    planes: &mut [Plane],
    keep: &mut Keep,
) -> Result<Option<(usize, usize)>, DecodeError> {
    let progressive = markers.process == Process::Progressive;
    if markers.process == Process::Lossless {
        let mut bits = Bits::new(bytes, at);
        let whole = lossless(&mut bits, scan, markers, tables, planes)?;
        return Ok(whole.then(|| (bits.at(), bits.left_over())));
    }
    if markers.arithmetic {
        let mut coder = Arithmetic::new(bytes, at, scan, progressive, tables.conditions);
        let whole = units(&mut coder, scan, markers, tables, planes, keep)?;
        return Ok(whole.then(|| (coder.at(), coder.left_over())));
    }
    let mut coder = Coder {
        bits: Bits::new(bytes, at),
        scan,
        tables,
        progressive,
        predictions: [0; 4],
        run: 0,
    };
    let whole = units(&mut coder, scan, markers, tables, planes, keep)?;
    Ok(whole.then(|| (coder.at(), coder.left_over())))
}

/// Reads the units of one scan; false if its bits end before the picture does.
fn units(
    coder: &mut impl Entropy,
    scan: &Scan,
    markers: &Markers,
    tables: &Tables,
    planes: &mut [Plane],
    keep: &mut Keep,
) -> Result<bool, DecodeError> {
    // A scan of one component has only the blocks that are shown; others have whole units.
    let (across, down) = match scan.components[..] {
        [(i, ..)] => {
            let (width, height) = planes[i].size;
            (width.div_ceil(8), height.div_ceil(8))
        }
        _ => {
            let plane = &planes[scan.components[0].0];
            let component = plane.component;
            (plane.blocks.0 / component.h, plane.blocks.1 / component.v)
        }
    };
    // Sums of 64 samples around zero, in eighths, and a quarter more for encoders that overshoot on purpose.
    let most = (10 << (markers.bits - 1), scan.is_first_of_dc());
    let mut scratch = [0_i16; 64];
    let mut units = 0_usize;
    for y in 0..down {
        let first_row = if matches!(keep, Keep::Rows(_)) { 0 } else { y };
        for x in 0..across {
            let restarts = tables.restart > 0 && units > 0 && units.is_multiple_of(tables.restart);
            if restarts && (coder.overran() || !coder.restart()) {
                return Ok(false);
            }
            units += 1;
            for (place, &(i, dc, ac)) in scan.components.iter().enumerate() {
                let plane = &mut planes[i];
                let (h, v) = match scan.components.len() {
                    1 => (1, 1),
                    _ => (plane.component.h, plane.component.v),
                };
                for block in 0..h * v {
                    let (bx, by) = (x * h + block % h, first_row * v + block / h);
                    let at = 64 * (by * plane.blocks.0 + bx);
                    let values = match keep {
                        Keep::Nothing => Some(&mut scratch),
                        _ => plane
                            .values
                            .get_mut(at..at + 64)
                            .and_then(|v| v.try_into().ok()),
                    };
                    let values = values.ok_or_else(|| damaged("its frame header cannot be"))?;
                    coder.block(values, place, (dc, ac))?;
                    let step = plane.quantiser.map_or(0, |q| i64::from(q[0]));
                    let mean = i64::from(coder.mean(place)) << scan.low;
                    if most.1 && (mean * step).abs() > most.0 + step {
                        // No encoder writes it; wrong bits that are codes all the same end so.
                        return Err(damaged("the data of its pixels is wrong"));
                    }
                }
            }
        }
        if coder.overran() {
            return Ok(false);
        }
        if let Keep::Rows(pass_on) = keep {
            pass_on(planes)?;
            planes.iter_mut().for_each(|plane| plane.values.fill(0));
        }
    }
    for &(i, ..) in &scan.components {
        planes[i].missing[scan.first..=scan.last].fill(Some(scan.low));
    }
    Ok(true)
}

/// Huffman codes, and what goes on from block to block.
struct Coder<'a> {
    bits: Bits<'a>,
    scan: &'a Scan,
    tables: &'a Tables,
    progressive: bool,
    predictions: [i32; 4],
    /// Blocks that have no further coefficients.
    run: u32,
}

fn table(table: &Option<Table>) -> Result<&Table, DecodeError> {
    table.as_ref().ok_or_else(|| damaged("a table is missing"))
}

impl Entropy for Coder<'_> {
    fn block(
        &mut self,
        values: &mut [i16; 64],
        place: usize,
        (dc, ac): (usize, usize),
    ) -> Result<(), DecodeError> {
        let (dc, ac) = (&self.tables.dc[dc], &self.tables.ac[ac]);
        match (self.progressive, self.scan.first, self.scan.high) {
            (false, ..) => {
                self.dc(values, place, table(dc)?)?;
                self.ac(values, 1, 63, table(ac)?)
            }
            (true, 0, 0) => self.dc(values, place, table(dc)?),
            (true, 0, _) => {
                values[0] |= (self.bits.take(1) as i16) << self.scan.low;
                Ok(())
            }
            (true, first, 0) => {
                if self.run > 0 {
                    self.run -= 1;
                    return Ok(());
                }
                self.ac(values, first, self.scan.last, table(ac)?)
            }
            (true, first, _) => self.refine(values, first, table(ac)?),
        }
    }

    fn mean(&self, place: usize) -> i32 {
        self.predictions[place]
    }

    fn restart(&mut self) -> bool {
        (self.predictions, self.run) = ([0; 4], 0);
        self.bits.restart()
    }

    fn overran(&self) -> bool {
        self.bits.overran()
    }

    fn at(&self) -> usize {
        self.bits.at()
    }

    fn left_over(&self) -> usize {
        self.bits.left_over()
    }
}

impl Coder<'_> {
    fn dc(&mut self, values: &mut [i16; 64], place: usize, dc: &Table) -> Result<(), DecodeError> {
        let category = u32::from(self.bits.code(dc)?);
        if category > 16 {
            return Err(damaged("the data of its pixels is wrong"));
        }
        let difference = self.bits.signed(category);
        let prediction = self.predictions[place].wrapping_add(difference);
        self.predictions[place] = prediction;
        values[0] = (prediction << self.scan.low) as i16;
        Ok(())
    }

    /// The first bits of the coefficients from `first` to `last`.
    fn ac(
        &mut self,
        values: &mut [i16; 64],
        first: usize,
        last: usize,
        ac: &Table,
    ) -> Result<(), DecodeError> {
        let mut k = first;
        while k <= last {
            let code = self.bits.code(ac)?;
            let (zeros, category) = (usize::from(code >> 4), u32::from(code & 15));
            if category > 0 {
                k += zeros;
                if k > last {
                    return Err(damaged("the data of its pixels is wrong"));
                }
                values[ZIGZAG[k]] = (self.bits.signed(category) << self.scan.low) as i16;
                k += 1;
            } else if zeros == 15 {
                k += 16;
            } else {
                if self.progressive {
                    self.run = (1 << zeros) + self.bits.take(zeros as u32) as u32 - 1;
                }
                break;
            }
        }
        Ok(())
    }

    /// One more bit of the coefficients that are not zero, and those that become so.
    fn refine(
        &mut self,
        values: &mut [i16; 64],
        first: usize,
        ac: &Table,
    ) -> Result<(), DecodeError> {
        let last = self.scan.last;
        let bit = 1_i16 << self.scan.low;
        let mut k = first;
        while self.run == 0 && k <= last {
            let code = self.bits.code(ac)?;
            let (mut zeros, mut value) = (code >> 4, 0);
            if code & 15 == 0 {
                if zeros < 15 {
                    self.run = (1 << zeros) + self.bits.take(u32::from(zeros)) as u32;
                    break;
                }
            } else {
                value = if self.bits.take(1) == 1 { bit } else { -bit };
            }
            while k <= last {
                let coefficient = &mut values[ZIGZAG[k]];
                if *coefficient != 0 {
                    refined(&mut self.bits, coefficient, bit);
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if value != 0 {
                if k > last {
                    return Err(damaged("the data of its pixels is wrong"));
                }
                values[ZIGZAG[k]] = value;
            }
            k += 1;
        }
        if self.run > 0 {
            for &at in ZIGZAG.get(k..=last).unwrap_or_default() {
                if values[at] != 0 {
                    refined(&mut self.bits, &mut values[at], bit);
                }
            }
            self.run -= 1;
        }
        Ok(())
    }
}

fn refined(bits: &mut Bits, coefficient: &mut i16, bit: i16) {
    if bits.take(1) == 1 && *coefficient & bit == 0 {
        let step = if *coefficient > 0 { bit } else { -bit };
        *coefficient = coefficient.wrapping_add(step);
    }
}

/// Samples predicted from their neighbours.
fn lossless(
    bits: &mut Bits,
    scan: &Scan,
    markers: &Markers,
    tables: &Tables,
    planes: &mut [Plane],
) -> Result<bool, DecodeError> {
    if scan
        .components
        .iter()
        .any(|&(i, ..)| (planes[i].component.h, planes[i].component.v) != (1, 1))
        && scan.components.len() > 1
    {
        return Err(unsupported("lossless coding with fewer samples of colour"));
    }
    let (width, height) = planes[scan.components[0].0].blocks;
    let start = 1_i32 << (markers.bits.saturating_sub(1 + u32::from(scan.low)));
    let (mut units, mut fresh) = (0_usize, 0_usize);
    for y in 0..height {
        for x in 0..width {
            if tables.restart > 0 && units > 0 && units.is_multiple_of(tables.restart) {
                if bits.overran() || !bits.restart() {
                    return Ok(false);
                }
                // After a restart prediction begins as in the first row.
                fresh = y;
            }
            units += 1;
            for &(i, dc, _) in &scan.components {
                let category = u32::from(bits.code(table(&tables.dc[dc])?)?);
                let difference = match category {
                    16 => 32_768,
                    0..16 => bits.signed(category),
                    _ => return Err(damaged("the data of its pixels is wrong")),
                };
                let values = &mut planes[i].values;
                let at = y * width + x;
                let value = |at: usize| i32::from(values[at] as u16);
                let prediction = match (x, y == fresh) {
                    (0, true) => start,
                    (_, true) => value(at - 1),
                    (0, _) => value(at - width),
                    _ => {
                        let (a, b, c) = (value(at - 1), value(at - width), value(at - width - 1));
                        match scan.first {
                            1 => a,
                            2 => b,
                            3 => c,
                            4 => a + b - c,
                            5 => a + ((b - c) >> 1),
                            6 => b + ((a - c) >> 1),
                            7 => (a + b) >> 1,
                            _ => return Err(damaged("the header of a scan cannot be")),
                        }
                    }
                };
                values[at] = (prediction + difference) as u16 as i16;
            }
        }
        if bits.overran() {
            return Ok(false);
        }
    }
    for &(i, ..) in &scan.components {
        planes[i].missing.fill(Some(0));
        let (low, values) = (scan.low, &mut planes[i].values);
        values
            .iter_mut()
            .for_each(|v| *v = ((*v as u16) << low) as i16);
    }
    Ok(true)
}
