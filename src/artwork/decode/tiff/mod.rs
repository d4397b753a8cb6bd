//! TIFF, as other programs write it.
//!
//! The door of the room: [`decode`] gives RGBA or inks, not yet upright. `directory` reads the tags, `layout` checks
//! them, `chunks` and `ccitt` decompress strips and tiles, `rows` makes samples eight bits, `colour` makes them RGBA.
//! The `tiff` crate is not used: it drops further samples before it undoes the predictor, reads integers as floats, and
//! refuses many common kinds (palettes, signed integers, Group 3, tiles of separate planes).
//!
//! Invariants: only the first picture of a file is read; memory is what is kept of the picture and, at most, one strip or
//! one row of tiles.

mod ccitt;
mod chunks;
mod colour;
mod directory;
mod layout;
mod rows;

use super::{DecodeError, DecodeLimits, Raster, check_size, jpeg};
use chunks::Compression;
use colour::Converter;
use directory::Directory;
use image::metadata::Orientation;
use layout::{Colour, Layout, Predictor, Sample};
use rows::{Range, Row};
use std::{
    borrow::Cow,
    io::{self, Read},
};

const FORMAT: &str = "TIFF";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

fn damaged(what: &'static str) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        what,
    }
}

fn unsupported(what: String) -> DecodeError {
    DecodeError::UnsupportedVariant {
        format: FORMAT,
        what: what.into(),
    }
}

/// Width and height by the first directory, and what decoding holds besides the picture.
pub(super) fn size(bytes: &[u8]) -> Option<((u32, u32), u64)> {
    let tags = Directory::read(bytes).ok()?;
    let layout = Layout::read(&tags).ok()?;
    Some(((layout.width, layout.height), chunk_bytes(&layout)))
}

/// Decodes the first picture.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    let tags = Directory::read(bytes)?;
    let layout = Layout::read(&tags)?;
    check_size(layout.width, layout.height, chunk_bytes(&layout), limits)?;
    let mut raster = Raster::new(layout.width, layout.height, limits);
    raster.inks = layout.colour == Colour::Cmyk;
    raster.grey = matches!(layout.colour, Colour::Grey { .. });
    let turned = tags.first(274).and_then(|value| u8::try_from(value).ok());
    raster.orientation = turned
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms);
    raster.profile = tags.bytes(34_675).map(<[u8]>::to_vec);
    let mut picture = Pixels {
        bytes,
        tags: &tags,
        layout: &layout,
        limits,
    };
    picture.read(&mut raster)?;
    Ok(raster)
}

/// What decoding holds besides the picture: the strip of a compression that is decoded whole, and a row of tiles.
fn chunk_bytes(layout: &Layout) -> u64 {
    let (width, height) = layout.chunk;
    let height = (height as u64).min(u64::from(layout.height));
    let pixels = (width as u64).saturating_mul(height);
    let band = match layout.grid() {
        (1, _) => 0,
        _ => (4 * u64::from(layout.width)).saturating_mul(height),
    };
    let chunk = match layout.compression {
        Compression::Fax(_) => pixels / 8,
        // The planes and the samples of all components.
        Compression::Jpeg | Compression::OldJpeg | Compression::WebP => {
            pixels.saturating_mul(2 * layout.samples as u64)
        }
        _ => (width * layout.samples)
            .saturating_mul(layout.bits)
            .div_ceil(8) as u64,
    };
    chunk.saturating_add(band)
}

/// The pixels of one picture, about to be read.
struct Pixels<'a> {
    bytes: &'a [u8],
    tags: &'a Directory<'a>,
    layout: &'a Layout,
    limits: &'a DecodeLimits,
}

/// A row of a strip or tile: where it belongs, and its samples, interleaved.
struct Line<'a> {
    x: usize,
    y: usize,
    row: Row,
    /// One row of each plane, restored but not narrowed.
    planes: &'a [Vec<u8>],
}

/// Rows of strips or tiles, put together into rows of the picture.
struct Band<'a> {
    raster: &'a mut Raster,
    /// Rows of a strip or tile, and whether a row of the picture consists of several.
    rows: usize,
    tiled: bool,
    /// A row of the picture, or of tiles as many rows as a tile has.
    pixels: Vec<u8>,
}

impl<'a> Band<'a> {
    fn new(layout: &Layout, raster: &'a mut Raster) -> Self {
        let rows = layout.chunk.1.min(layout.height as usize);
        let tiled = layout.grid().0 > 1;
        let pixels = vec![0; raster.line() * if tiled { rows } else { 1 }];
        Self {
            raster,
            rows,
            tiled,
            pixels,
        }
    }

    /// Takes a row of `pixels` pixels from column `x` of row `y` on, which `convert` writes as far as it is shown. Lines
    /// come chunk by chunk.
    fn line(&mut self, x: usize, y: usize, pixels: usize, convert: impl FnOnce(&mut [u8])) {
        let line = self.raster.line();
        let row = if self.tiled { y % self.rows } else { 0 };
        let end = line.min(4 * (x + pixels));
        convert(&mut self.pixels[row * line..][4 * x..end]);
        let last = y + 1 == self.raster.height as usize || row + 1 == self.rows;
        if !self.tiled {
            self.raster
                .take(|rgba| rgba.extend_from_slice(&self.pixels));
        } else if end == line && last {
            let band = &self.pixels[..(row + 1) * line];
            for row in band.chunks_exact(line) {
                self.raster.take(|rgba| rgba.extend_from_slice(row));
            }
        }
    }
}

impl Pixels<'_> {
    fn read(&mut self, raster: &mut Raster) -> Result<(), DecodeError> {
        let layout = self.layout;
        if layout.compression == Compression::OldJpeg {
            return self.read_old_jpeg(raster);
        }
        if let Colour::YCbCr(ycbcr) = &layout.colour
            && ycbcr.subsampling != (1, 1)
        {
            return self.read_subsampled(ycbcr.subsampling, raster);
        }
        let range = self.range()?;
        let converter = Converter::new(layout);
        let mut band = Band::new(layout, raster);
        let (mut plane, mut samples) = (Vec::new(), Vec::new());
        self.each_line(&mut |line| {
            samples.clear();
            if let ([one], false) = (line.planes, layout.planar) {
                line.row.narrow(one, range, &mut samples);
            } else {
                samples.resize(line.row.len * layout.samples, 0);
                for (i, stored) in line.planes.iter().enumerate() {
                    plane.clear();
                    line.row.narrow(stored, range, &mut plane);
                    let to = samples[i..].iter_mut().step_by(layout.samples);
                    to.zip(&plane).for_each(|(to, from)| *to = *from);
                }
            }
            let index = |i: usize| line.row.index(&line.planes[0], i * line.row.stride);
            let pixels = samples.len() / layout.samples;
            band.line(line.x, line.y, pixels, |to| {
                converter.convert(&samples, index, to)
            });
        })
    }

    /// What is black and white, where the stored numbers alone do not say.
    fn range(&self) -> Result<Option<Range>, DecodeError> {
        let layout = self.layout;
        if !self.row(layout.chunk.0).needs_range() || matches!(layout.colour, Colour::Palette(_)) {
            return Ok(None);
        }
        if matches!(layout.colour, Colour::Lab { .. }) {
            return Err(unsupported(layout.named()));
        }
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let colours = layout.colour.samples();
        self.each_line(&mut |line| {
            let planes = line.planes.iter().take(colours);
            for plane in planes {
                let (least, most) = line.row.extremes(plane, |channel| channel < colours);
                (low, high) = (low.min(least), high.max(most));
            }
        })?;
        if low > high {
            // Nothing but NaN.
            (low, high) = (0.0, 1.0);
        }
        Ok(Some(rows::range(layout.sample, layout.bits, low, high)))
    }

    /// How a row of `width` pixels is stored in a strip or tile.
    fn row(&self, width: usize) -> Row {
        let layout = self.layout;
        let samples = if layout.planar { 1 } else { layout.samples };
        let mut row = Row {
            len: width * samples,
            stride: samples,
            bits: layout.bits,
            sample: layout.sample,
            predictor: layout.predictor,
            big_endian: self.tags.source.big_endian,
        };
        if matches!(layout.compression, Compression::Jpeg | Compression::WebP) {
            (row.bits, row.sample, row.predictor) = (8, Sample::Unsigned, Predictor::None);
        }
        row
    }

    /// Reads all strips or tiles and shows each row that lies in the picture.
    fn each_line(&self, visit: &mut dyn FnMut(Line)) -> Result<(), DecodeError> {
        let layout = self.layout;
        let (across, down) = layout.grid();
        // Planes that are not shown may be missing.
        let alpha = layout.alpha.map_or(0, |(sample, _)| sample + 1);
        let shown = layout.colour.samples().max(alpha);
        let planes = if layout.planar { shown } else { 1 };
        let height = layout.height as usize;
        for chunk in 0..across * down {
            let (x, y) = (
                chunk % across * layout.chunk.0,
                chunk / across * layout.chunk.1,
            );
            let rows = layout.chunk.1.min(height - y);
            let mut row = self.row(layout.chunk.0);
            let mut sources = Vec::with_capacity(planes);
            for plane in 0..planes {
                let (source, width) = self.open(plane * across * down + chunk, rows)?;
                row.len = width * row.stride;
                sources.push(source);
            }
            let mut lines: Vec<Vec<u8>> = vec![vec![0; row.bytes()]; planes];
            for y in y..y + rows {
                for (line, source) in lines.iter_mut().zip(&mut sources) {
                    source
                        .read_exact(line)
                        .map_err(|error| self.ends(chunk, &error))?;
                    row.restore(line);
                }
                visit(Line {
                    x,
                    y,
                    row,
                    planes: &lines,
                });
            }
        }
        Ok(())
    }

    /// A strip or tile and the width of its rows, pixels.
    fn open(&self, index: usize, rows: usize) -> Result<(Box<dyn Read + '_>, usize), DecodeError> {
        let (layout, width) = (self.layout, self.layout.chunk.0);
        let stored = layout::place(layout, self.bytes, index)?;
        match layout.compression {
            Compression::Jpeg => {
                let raw = jpeg::raw(stored, self.tags.bytes(347), self.limits)
                    .map_err(|error| self.renamed(error))?;
                let expected = if layout.planar { 1 } else { layout.samples };
                if raw.components != expected
                    || raw.height < rows
                    || raw.width < width.min(layout.width as usize)
                {
                    return Err(damaged("a JPEG strip is not of the picture's kind"));
                }
                Ok((Box::new(io::Cursor::new(raw.samples)), raw.width))
            }
            Compression::WebP => {
                let whole = DecodeLimits {
                    kept_pixels: u64::MAX,
                    ..*self.limits
                };
                let picture = super::plain::decode_webp(stored, &whole)
                    .map_err(|error| self.renamed(error))?;
                let (width, height) = (picture.width as usize, picture.height as usize);
                let rgba = picture.into_pixels();
                let narrowed = match layout.samples {
                    4 => rgba,
                    3 => rgba
                        .chunks_exact(4)
                        .flat_map(|p| [p[0], p[1], p[2]])
                        .collect(),
                    _ => return Err(unsupported(layout.named())),
                };
                if height < rows {
                    return Err(damaged("a strip ends too early"));
                }
                Ok((Box::new(io::Cursor::new(narrowed)), width))
            }
            compression => {
                let chunk = match layout.lowest_bit_first {
                    true => Cow::Owned(chunks::reversed(stored)),
                    false => Cow::Borrowed(stored),
                };
                let source = chunks::reader(chunk, compression, layout, rows, width);
                let ends = || self.ends(index, &io::ErrorKind::UnexpectedEof.into());
                Ok((source.ok_or_else(ends)?, width))
            }
        }
    }

    /// Why a strip gives too few rows: the file ends, or the strip is wrong.
    fn ends(&self, index: usize, error: &io::Error) -> DecodeError {
        let layout = self.layout;
        let last = |index: usize| {
            let count = layout.counts.get(index).copied().unwrap_or(0);
            layout
                .offsets
                .get(index)
                .map(|from| from.saturating_add(count))
        };
        let beyond = |index| last(index).is_none_or(|last| last > self.bytes.len() as u64);
        if beyond(index)
            || (layout.counts.is_empty() && error.kind() == io::ErrorKind::UnexpectedEof)
        {
            return TRUNCATED;
        }
        damaged("the data of its pixels is wrong")
    }

    /// An error of a JPEG or WebP strip is one of the TIFF.
    fn renamed(&self, error: DecodeError) -> DecodeError {
        match error {
            DecodeError::Truncated { .. } | DecodeError::Damaged { .. } | DecodeError::Empty => {
                damaged("the data of its pixels is wrong")
            }
            DecodeError::UnsupportedVariant { what, .. } => unsupported(what.into_owned()),
            other => other,
        }
    }

    /// The JPEG compression of before 1995: one JPEG of the whole picture somewhere in the file.
    fn read_old_jpeg(&self, raster: &mut Raster) -> Result<(), DecodeError> {
        let whole = self.tags.first(513).and_then(|at| usize::try_from(at).ok());
        let header = whole
            .and_then(|at| self.bytes.get(at..))
            .unwrap_or_default();
        let strip = layout::place(self.layout, self.bytes, 0).unwrap_or_default();
        let candidates = [header, strip];
        let jpeg = candidates
            .iter()
            .find(|bytes| bytes.starts_with(b"\xff\xd8"));
        let jpeg = jpeg.ok_or_else(|| unsupported("old JPEG compression".to_owned()))?;
        let raw = jpeg::raw(jpeg, None, self.limits);
        let raw = raw.map_err(|_| unsupported("old JPEG compression".to_owned()))?;
        let size = (self.layout.width as usize, self.layout.height as usize);
        if (raw.width, raw.height) != size || raw.components != self.layout.samples {
            return Err(unsupported("old JPEG compression".to_owned()));
        }
        let converter = Converter::new(self.layout);
        let line = raw.width * raw.components;
        let mut to = vec![0; raster.line()];
        for from in raw.samples.chunks_exact(line) {
            converter.convert(from, |i| usize::from(from[i * raw.components]), &mut to);
            raster.take(|rgba| rgba.extend_from_slice(&to));
        }
        Ok(())
    }

    /// YCbCr with fewer samples of chroma: blocks of luma samples, each followed by its chroma.
    fn read_subsampled(
        &self,
        (h, v): (usize, usize),
        raster: &mut Raster,
    ) -> Result<(), DecodeError> {
        let layout = self.layout;
        let (across, down) = layout.grid();
        let height = layout.height as usize;
        let converter = Converter::new(layout);
        let mut band = Band::new(layout, raster);
        let block = h * v + 2;
        for chunk in 0..across * down {
            let (x0, y0) = (
                chunk % across * layout.chunk.0,
                chunk / across * layout.chunk.1,
            );
            let rows = layout.chunk.1.min(height - y0);
            let (mut source, chunk_width) = self.open(chunk, rows)?;
            let mut line = vec![0; chunk_width.div_ceil(h) * block];
            for top in (0..rows).step_by(v) {
                source
                    .read_exact(&mut line)
                    .map_err(|error| self.ends(chunk, &error))?;
                for y in top..(top + v).min(rows) {
                    band.line(x0, y0 + y, chunk_width, |to| {
                        for (x, to) in to.chunks_exact_mut(4).enumerate() {
                            let unit = &line[x / h * block..][..block];
                            let luma = unit[(y - top) * h + x % h];
                            let samples = [luma, unit[h * v], unit[h * v + 1]];
                            converter.convert(&samples, |_| 0, to);
                        }
                    });
                }
            }
        }
        Ok(())
    }
}
