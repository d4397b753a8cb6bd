//! From coefficients to rows of samples, one row of units after the other.
//!
//! Where a component has half as many samples as the finest one, those between are interpolated, as libjpeg and browsers do;
//! others are repeated. Source: ITU-T T.81, A.3; the weights of 3 and 1 are libjpeg's.

use super::{
    careful::{Plane, ZIGZAG},
    damaged, idct,
    markers::{Component, Markers, Process},
};
use crate::artwork::decode::DecodeError;

/// Makes rows of rows of units.
pub(super) struct Strips<'a> {
    markers: &'a Markers<'a>,
    channels: Vec<Channel>,
    /// Rows of units that came, and rows of samples that were passed on.
    came: usize,
    shown: usize,
    row: Vec<u8>,
    pass_on: &'a mut dyn FnMut(&[u8]),
}

/// Samples of one component: the row of units that is shown next, and what lies next to it.
struct Channel {
    component: Component,
    /// Width and height of what is shown, samples; length of a row.
    size: (usize, usize),
    stride: usize,
    above: Vec<u8>,
    now: Vec<u8>,
    below: Vec<u8>,
    /// Two rows mixed, times four.
    mixed: Vec<u16>,
}

impl<'a> Strips<'a> {
    pub(super) fn new(markers: &'a Markers<'a>, pass_on: &'a mut dyn FnMut(&[u8])) -> Self {
        let (width, height) = (markers.width as usize, markers.height as usize);
        let (h_max, v_max) = markers.finest();
        let channel = |&component: &Component| Channel {
            component,
            size: (
                (width * component.h).div_ceil(h_max),
                (height * component.v).div_ceil(v_max),
            ),
            stride: markers.units().0 * component.h * markers.block(),
            above: Vec::new(),
            now: Vec::new(),
            below: Vec::new(),
            mixed: Vec::new(),
        };
        Self {
            markers,
            channels: markers.components.iter().map(channel).collect(),
            came: 0,
            shown: 0,
            row: vec![0; width * markers.components.len()],
            pass_on,
        }
    }

    /// Takes the coefficients (or samples) of the row `row` of units in `planes`; it is the next one of the picture.
    pub(super) fn add(&mut self, planes: &[Plane], row: usize) -> Result<(), DecodeError> {
        for (channel, plane) in self.channels.iter_mut().zip(planes) {
            channel.make(plane, row, self.markers)?;
        }
        if self.came > 0 {
            self.show();
        }
        for channel in &mut self.channels {
            let last = channel.now.len().saturating_sub(channel.stride);
            channel.above.clear();
            channel.above.extend_from_slice(&channel.now[last..]);
            std::mem::swap(&mut channel.now, &mut channel.below);
        }
        self.came += 1;
        Ok(())
    }

    /// Passes on what is left.
    pub(super) fn finish(mut self) {
        self.show();
    }

    /// Passes on the rows of the row of units before the last one that came.
    fn show(&mut self) {
        let (h_max, v_max) = self.markers.finest();
        let rows = v_max * self.markers.block();
        let height = self.markers.height as usize;
        let count = self.channels.len();
        for y in self.shown..(self.shown + rows).min(height) {
            for (i, channel) in self.channels.iter_mut().enumerate() {
                let first = self.shown / rows * channel.component.v * self.markers.block();
                let to = self.row[i..].iter_mut().step_by(count);
                channel.write(y, first, (h_max, v_max), to);
            }
            (self.pass_on)(&self.row);
        }
        self.shown += rows;
    }
}

impl Channel {
    /// Makes the samples of a row of units, in `below`.
    fn make(&mut self, plane: &Plane, row: usize, markers: &Markers) -> Result<(), DecodeError> {
        let block = markers.block();
        let len = plane.blocks.0 * self.component.v * block * block;
        let values = plane.values.get(row * len..(row + 1) * len);
        let values = values.ok_or_else(|| damaged("its frame header cannot be"))?;
        let top = (1_i32 << markers.bits) - 1;
        self.below.resize(len, 0);
        if markers.process == Process::Lossless {
            for (to, &value) in self.below.iter_mut().zip(values) {
                let value = u32::from(value as u16);
                *to = match markers.bits {
                    bits @ 8.. => (value >> (bits - 8)) as u8,
                    _ => (value * 255 / top as u32) as u8,
                };
            }
            return Ok(());
        }
        let quantiser = plane.quantiser;
        let quantiser = quantiser.ok_or_else(|| damaged("a table is missing"))?;
        let mut factors = [0_i32; 64];
        for (i, &factor) in quantiser.iter().enumerate() {
            factors[ZIGZAG[i]] = i32::from(factor);
        }
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
                let at = (y + row) * self.stride + x;
                for (to, &value) in self.below[at..at + 8].iter_mut().zip(from) {
                    let value = value.saturating_add(middle).clamp(0, top);
                    *to = if scale {
                        value * 255 / top
                    } else {
                        value >> shift
                    } as u8;
                }
            }
        }
        Ok(())
    }

    /// Row `y` of the component, whose row `first` is the first of `now`.
    fn line(&self, y: usize, first: usize) -> &[u8] {
        let y = y.min(self.size.1 - 1);
        let rows = self.now.len() / self.stride;
        let (from, row) = match y.checked_sub(first) {
            None => (&self.above, 0),
            Some(row) if row < rows => (&self.now, row),
            Some(row) => (&self.below, row - rows),
        };
        &from[row * self.stride..][..self.size.0]
    }

    /// Writes row `y` of the picture.
    fn write<'b>(
        &mut self,
        y: usize,
        first: usize,
        (h_max, v_max): (usize, usize),
        to: impl Iterator<Item = &'b mut u8>,
    ) {
        let Component { h, v, .. } = self.component;
        let near = y * v / v_max;
        // libjpeg does not interpolate within so few samples.
        let between = (2 * h == h_max && self.size.0 > 2, 2 * v == v_max);
        let far = match between.1 {
            true if y % 2 == 1 => near + 1,
            true => near.saturating_sub(1),
            false => near,
        };
        if !between.0 && !between.1 {
            let line = self.line(near, first);
            match h == h_max {
                true => to.zip(line).for_each(|(to, from)| *to = *from),
                false => to.enumerate().for_each(|(x, to)| *to = line[x * h / h_max]),
            }
            return;
        }
        let mut mixed = std::mem::take(&mut self.mixed);
        mixed.clear();
        let pairs = self.line(near, first).iter().zip(self.line(far, first));
        mixed.extend(pairs.map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)));
        let last = mixed.len() - 1;
        if between.0 {
            to.enumerate().for_each(|(x, to)| {
                let at = x / 2;
                let (next, half) = match x % 2 {
                    0 => (at.saturating_sub(1), 8),
                    _ => ((at + 1).min(last), 7),
                };
                *to = ((3 * mixed[at] + mixed[next] + half) >> 4) as u8;
            });
        } else {
            let half = 1 + (y % 2) as u16;
            to.enumerate()
                .for_each(|(x, to)| *to = ((mixed[x * h / h_max] + half) >> 2) as u8);
        }
        self.mixed = mixed;
    }
}
