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
                // A further scan brings one bit (G.1.1.1.2).
                let one_bit = scan.high == 0 || scan.high == scan.low + 1;
                let in_block = scan.first <= scan.last && scan.last < 64;
                in_block && scan.low < 14 && one_bit && (apart || sequential)
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

/// Where the coefficients of blocks come from, by one kind of code.
pub(super) trait Entropy {
    /// How much a block's mean differs from the one before, of the component in the given place of the scan.
    fn difference(&mut self, place: usize, table: usize) -> Result<i32, DecodeError>;
    /// One more bit of a block's mean.
    fn bit(&mut self) -> bool;
    /// The first bits of the coefficients of a band, from its first to its last; the first is at least 1.
    fn ac(
        &mut self,
        values: &mut [i16; 64],
        band: (usize, usize),
        table: usize,
    ) -> Result<(), DecodeError>;
    /// One more bit of the coefficients of a band that are not zero, and those that become so.
    fn refine(
        &mut self,
        values: &mut [i16; 64],
        band: (usize, usize),
        table: usize,
    ) -> Result<(), DecodeError>;
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
    if markers.process == Process::Lossless {
        let mut bits = Bits::new(bytes, at);
        let whole = lossless(&mut bits, scan, markers, tables, planes)?;
        return Ok(whole.then(|| (bits.at(), bits.left_over())));
    }
    if markers.arithmetic {
        let coder = Arithmetic::new(bytes, at, scan, tables.conditions);
        return units(coder, scan, markers, tables, planes, keep);
    }
    let coder = Coder {
        bits: Bits::new(bytes, at),
        scan,
        tables,
        in_runs: markers.process == Process::Progressive,
        run: 0,
    };
    units(coder, scan, markers, tables, planes, keep)
}

/// Reads the units of one scan. Returns as [`decode`] does.
fn units(
    mut coder: impl Entropy,
    scan: &Scan,
    markers: &Markers,
    tables: &Tables,
    planes: &mut [Plane],
    keep: &mut Keep,
) -> Result<Option<(usize, usize)>, DecodeError> {
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
    let progressive = markers.process == Process::Progressive;
    let band = (scan.first, scan.last);
    // The mean of each component's last block.
    let mut means = [0_i32; 4];
    for y in 0..down {
        let first_row = if matches!(keep, Keep::Rows(_)) { 0 } else { y };
        for x in 0..across {
            let restarts = tables.restart > 0 && units > 0 && units.is_multiple_of(tables.restart);
            if restarts && (coder.overran() || !coder.restart()) {
                return Ok(None);
            }
            if restarts {
                means = [0; 4];
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
                    match (progressive, scan.first, scan.high) {
                        (true, 1.., 0) => coder.ac(values, band, ac)?,
                        (true, 1.., _) => coder.refine(values, band, ac)?,
                        (true, 0, 1..) => values[0] |= i16::from(coder.bit()) << scan.low,
                        _ => {
                            let mean = &mut means[place];
                            *mean = mean.wrapping_add(coder.difference(place, dc)?);
                            values[0] = (*mean << scan.low) as i16;
                            if !progressive {
                                coder.ac(values, (1, 63), ac)?;
                            }
                        }
                    }
                    let step = plane.quantiser.map_or(0, |q| i64::from(q[0]));
                    let mean = i64::from(means[place]) << scan.low;
                    if most.1 && (mean * step).abs() > most.0 + step {
                        // No encoder writes it; wrong bits that are codes all the same end so.
                        return Err(damaged("the data of its pixels is wrong"));
                    }
                }
            }
        }
        if coder.overran() {
            return Ok(None);
        }
        if let Keep::Rows(pass_on) = keep {
            pass_on(planes)?;
            planes.iter_mut().for_each(|plane| plane.values.fill(0));
        }
    }
    for &(i, ..) in &scan.components {
        planes[i].missing[scan.first..=scan.last].fill(Some(scan.low));
    }
    Ok(Some((coder.at(), coder.left_over())))
}

/// Huffman codes, and what goes on from block to block.
struct Coder<'a> {
    bits: Bits<'a>,
    scan: &'a Scan,
    tables: &'a Tables,
    /// Whether codes may tell that several blocks have no further coefficients (of progressive pictures).
    in_runs: bool,
    /// How many such blocks are to come.
    run: u32,
}

fn table(table: &Option<Table>) -> Result<&Table, DecodeError> {
    table.as_ref().ok_or_else(|| damaged("a table is missing"))
}

impl Entropy for Coder<'_> {
    fn difference(&mut self, _place: usize, dc: usize) -> Result<i32, DecodeError> {
        let category = u32::from(self.bits.code(table(&self.tables.dc[dc])?)?);
        if category > 16 {
            return Err(damaged("the data of its pixels is wrong"));
        }
        Ok(self.bits.signed(category))
    }

    fn bit(&mut self) -> bool {
        self.bits.take(1) == 1
    }

    fn ac(
        &mut self,
        values: &mut [i16; 64],
        (first, last): (usize, usize),
        ac: usize,
    ) -> Result<(), DecodeError> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let ac = table(&self.tables.ac[ac])?;
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
                if self.in_runs {
                    self.run = (1 << zeros) + self.bits.take(zeros as u32) as u32 - 1;
                }
                break;
            }
        }
        Ok(())
    }

    fn refine(
        &mut self,
        values: &mut [i16; 64],
        (first, last): (usize, usize),
        ac: usize,
    ) -> Result<(), DecodeError> {
        let ac = table(&self.tables.ac[ac])?;
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
                    if self.bits.take(1) == 1 {
                        enlarge(coefficient, bit);
                    }
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
                if values[at] != 0 && self.bits.take(1) == 1 {
                    enlarge(&mut values[at], bit);
                }
            }
            self.run -= 1;
        }
        Ok(())
    }

    fn restart(&mut self) -> bool {
        self.run = 0;
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

/// Adds a bit to the magnitude of a coefficient that does not have it yet.
pub(super) fn enlarge(coefficient: &mut i16, bit: i16) {
    if *coefficient & bit == 0 {
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
