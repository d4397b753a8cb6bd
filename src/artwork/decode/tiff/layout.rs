//! What a TIFF's directory says about its pixels, checked once into values that cannot be wrong.
//!
//! A file that asks for something that is not decoded is refused here, in words for the owner. Source: TIFF 6.0; the
//! compressions of Adobe's and libtiff's later notes.

use super::{
    TRUNCATED, ccitt::Scheme, chunks::Compression, damaged, directory::Directory, unsupported,
};
use crate::artwork::decode::DecodeError;

/// What the samples of a pixel mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Colour {
    /// One sample; `inverted`: 0 is white.
    Grey {
        inverted: bool,
    },
    Rgb,
    /// One sample, an index into colours.
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// Lightness and two signed (`offset`: shifted by 128) colour axes.
    Lab {
        offset: bool,
    },
    YCbCr(YCbCr),
}

/// How luma and chroma make RGB.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YCbCr {
    /// Columns and rows of luma samples for one of chroma.
    pub(super) subsampling: (usize, usize),
    /// Shares of red, green and blue in luma.
    pub(super) luma: [f32; 3],
    /// What is black and white, for each sample.
    pub(super) reference: [f32; 6],
}

/// How one sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Unsigned,
    Signed,
    Float,
}

/// What a further sample of each pixel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    /// The colours are multiplied by it.
    Associated,
    Straight,
}

/// The differences that rows are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// To the pixel on the left.
    Horizontal,
    /// The same, of floats whose bytes are sorted by significance.
    Float,
}

/// Everything that is needed to read the pixels.
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) colour: Colour,
    /// Samples of each pixel, colours and others.
    pub(super) samples: usize,
    /// Which sample is transparency.
    pub(super) alpha: Option<(usize, Alpha)>,
    pub(super) bits: usize,
    pub(super) sample: Sample,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// Each sample has strips or tiles of its own.
    pub(super) planar: bool,
    pub(super) lowest_bit_first: bool,
    pub(super) fax_options: u64,
    /// Width and height of a strip or tile.
    pub(super) chunk: (usize, usize),
    pub(super) tiled: bool,
    pub(super) offsets: Vec<u64>,
    /// Bytes of each strip or tile; empty where the file does not say.
    pub(super) counts: Vec<u64>,
}

impl Layout {
    pub(super) fn read(tags: &Directory) -> Result<Self, DecodeError> {
        let side = |tag: u16| {
            let side = tags
                .first(tag)
                .ok_or_else(|| damaged("it does not say its size"))?;
            u32::try_from(side).map_err(|_| damaged("its size cannot be"))
        };
        let (width, height) = (side(256)?, side(257)?);
        let compression = compression(tags)?;
        let samples = tags.first(277).unwrap_or(1) as usize;
        if samples == 0 || samples > 64 {
            return Err(unsupported(format!("{samples} samples a pixel")));
        }
        let (bits, sample) = sample(tags)?;
        let colour = colour(tags, samples, bits, compression)?;
        // Lab's axes are signed whatever this tag says.
        let sample = match colour {
            Colour::Lab { .. } if bits <= 16 => Sample::Unsigned,
            _ => sample,
        };
        let colours = colour.samples();
        if samples < colours {
            return Err(damaged("it has fewer channels than its colours need"));
        }
        let predictor = match tags.first(317).unwrap_or(1) {
            1 => Predictor::None,
            2 if [8, 16, 32, 64].contains(&bits) => Predictor::Horizontal,
            3 if sample == Sample::Float => Predictor::Float,
            other => return Err(unsupported(format!("predictor {other} of {bits} bit"))),
        };
        // Only these compressions have one; a tag that a program left behind means nothing.
        let predictor = match compression {
            Compression::Lzw | Compression::Deflate | Compression::Zstd => predictor,
            _ => Predictor::None,
        };
        let planar = tags.first(284) == Some(2) && samples > 1;
        let subsampled = matches!(&colour, Colour::YCbCr(y) if y.subsampling != (1, 1));
        if planar && subsampled {
            return Err(unsupported("YCbCr, planar".to_owned()));
        }
        let layout = Self {
            width,
            height,
            samples,
            alpha: alpha(tags, &colour, samples),
            bits,
            sample,
            compression,
            predictor,
            planar,
            lowest_bit_first: tags.first(266) == Some(2)
                && !matches!(compression, Compression::Jpeg | Compression::OldJpeg),
            fax_options: tags.first(292).unwrap_or(0),
            colour,
            chunk: (0, 0),
            tiled: tags.has(322) || tags.has(324),
            offsets: Vec::new(),
            counts: Vec::new(),
        };
        layout.with_chunks(tags)
    }

    fn with_chunks(mut self, tags: &Directory) -> Result<Self, DecodeError> {
        let length = |tag: u16| tags.first(tag).and_then(|side| usize::try_from(side).ok());
        let whole = (self.width as usize, self.height as usize);
        let (offsets, counts);
        (self.chunk, offsets, counts) = if self.tiled {
            let (Some(w), Some(h)) = (length(322), length(323)) else {
                return Err(damaged("its tiles have no size"));
            };
            ((w, h), 324, 325)
        } else {
            let rows = length(278).filter(|&rows| rows > 0).unwrap_or(whole.1);
            ((whole.0, rows.min(whole.1)), 273, 279)
        };
        if self.chunk.0 == 0 || self.chunk.1 == 0 {
            return Err(damaged("its tiles have no size"));
        }
        // Some programs write strips under the tags of tiles, and the other way round.
        let either = |one: u16, other: u16| {
            let values = tags.all(one);
            if values.is_empty() {
                tags.all(other)
            } else {
                values
            }
        };
        self.offsets = either(offsets, if offsets == 273 { 324 } else { 273 });
        self.counts = either(counts, if counts == 279 { 325 } else { 279 });
        // An old JPEG may lie elsewhere in the file.
        if self.offsets.is_empty() && self.compression != Compression::OldJpeg {
            return Err(damaged("it does not say where its pixels lie"));
        }
        Ok(self)
    }

    /// Strips or tiles of one plane, across and down.
    pub(super) fn grid(&self) -> (usize, usize) {
        let across = (self.width as usize).div_ceil(self.chunk.0);
        (across, (self.height as usize).div_ceil(self.chunk.1))
    }

    /// The kind in the owner's words: "Lab, 16 bit".
    pub(super) fn named(&self) -> String {
        let kind = match &self.colour {
            Colour::Grey { .. } => "grey",
            Colour::Rgb => "RGB",
            Colour::Palette(_) => "palette",
            Colour::Cmyk => "CMYK",
            Colour::Lab { .. } => "Lab",
            Colour::YCbCr(_) => "YCbCr",
        };
        let float = if self.sample == Sample::Float {
            " float"
        } else {
            ""
        };
        format!("{kind}, {} bit{float}", self.bits)
    }
}

impl Colour {
    /// How many samples the colour takes.
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::Lab { .. } | Self::YCbCr(_) => 3,
            Self::Cmyk => 4,
        }
    }
}

fn compression(tags: &Directory) -> Result<Compression, DecodeError> {
    let name = match tags.first(259).unwrap_or(1) {
        0 | 1 => return Ok(Compression::None),
        2 => return Ok(Compression::Fax(Scheme::Rows { words: false })),
        3 => return Ok(Compression::Fax(Scheme::Three)),
        4 => return Ok(Compression::Fax(Scheme::Four)),
        5 => return Ok(Compression::Lzw),
        6 => return Ok(Compression::OldJpeg),
        7 => return Ok(Compression::Jpeg),
        8 | 32_946 => return Ok(Compression::Deflate),
        32_771 => return Ok(Compression::Fax(Scheme::Rows { words: true })),
        32_773 => return Ok(Compression::PackBits),
        50_000 => return Ok(Compression::Zstd),
        50_001 => return Ok(Compression::WebP),
        32_766 => "NeXT compression",
        32_809 => "ThunderScan compression",
        34_661 => "JBIG compression",
        34_676 | 34_677 => "LogLuv (high dynamic range)",
        33_003 | 33_005 | 34_712 => "JPEG 2000 compression",
        34_887 => "LERC compression",
        34_925 => "LZMA compression",
        50_002 | 52_546 => "JPEG XL compression",
        other => return Err(unsupported(format!("compression {other}"))),
    };
    Err(unsupported(name.to_owned()))
}

fn sample(tags: &Directory) -> Result<(usize, Sample), DecodeError> {
    let all = tags.all(258);
    let bits = all.first().copied().unwrap_or(1);
    let bits = usize::try_from(bits).unwrap_or(usize::MAX);
    if all.iter().any(|&other| other != all[0]) {
        return Err(unsupported("channels of different depth".to_owned()));
    }
    let sample = match tags.first(339).unwrap_or(1) {
        2 => Sample::Signed,
        3 => Sample::Float,
        5 | 6 => return Err(unsupported("complex numbers".to_owned())),
        // 4 is "undefined".
        _ => Sample::Unsigned,
    };
    match (bits, sample) {
        (1..=32 | 64, Sample::Unsigned) => {}
        (8 | 16 | 32 | 64, Sample::Signed) | (16 | 24 | 32 | 64, Sample::Float) => {}
        _ => return Err(unsupported(format!("{bits} bit a channel"))),
    }
    Ok((bits, sample))
}

fn colour(
    tags: &Directory,
    samples: usize,
    bits: usize,
    compression: Compression,
) -> Result<Colour, DecodeError> {
    let is_fax = matches!(compression, Compression::Fax(_));
    let guess = if samples >= 3 { 2 } else { u64::from(!is_fax) };
    Ok(match tags.first(262).unwrap_or(guess) {
        0 => Colour::Grey { inverted: true },
        // 4 is a mask, 32803 a sensor's raw values, which show the picture in grey.
        1 | 4 => Colour::Grey { inverted: false },
        2 if samples < 3 => Colour::Grey { inverted: false },
        2 => Colour::Rgb,
        3 => Colour::Palette(palette(tags, bits)?),
        5 if samples >= 4 && tags.first(332) != Some(2) => Colour::Cmyk,
        5 => return Err(unsupported(format!("{samples} inks that are not CMYK"))),
        6 if samples < 3 => Colour::Grey { inverted: false },
        6 => Colour::YCbCr(ycbcr(tags, bits, compression)?),
        8 => Colour::Lab { offset: false },
        9 | 10 => Colour::Lab { offset: true },
        32_803 | 34_892 => return Err(unsupported("a camera's raw data".to_owned())),
        32_844 | 32_845 => return Err(unsupported("LogLuv (high dynamic range)".to_owned())),
        other => return Err(unsupported(format!("colours of kind {other}"))),
    })
}

fn palette(tags: &Directory, bits: usize) -> Result<Vec<[u8; 3]>, DecodeError> {
    let values = tags.all(320);
    let len = 1_usize.checked_shl(bits as u32).unwrap_or(0);
    if bits > 16 || values.len() < 3 * len {
        return Err(match bits {
            ..=16 => damaged("its palette is missing or too short"),
            _ => unsupported(format!("palette, {bits} bit")),
        });
    }
    // Colours have 16 bits; some programs wrote 8 all the same.
    let shift = if values.iter().all(|&value| value < 256) {
        0
    } else {
        8
    };
    let colour = |i: usize| [0, 1, 2].map(|c| (values[c * len + i] >> shift) as u8);
    Ok((0..len).map(colour).collect())
}

fn ycbcr(tags: &Directory, bits: usize, compression: Compression) -> Result<YCbCr, DecodeError> {
    let by = |i: usize| tags.all(530).get(i).map_or(2, |&by| by as usize);
    let subsampling = match compression {
        // A JPEG says it itself.
        Compression::Jpeg | Compression::OldJpeg | Compression::WebP => (1, 1),
        _ => (by(0), by(1)),
    };
    if bits != 8 || ![1, 2, 4].contains(&subsampling.0) || ![1, 2, 4].contains(&subsampling.1) {
        return Err(unsupported(format!("YCbCr, {bits} bit")));
    }
    let fractions = |tag: u16, len: usize| tags.fractions(tag).filter(|values| values.len() == len);
    let luma = fractions(529, 3).map_or([0.299, 0.587, 0.114], |v| [0, 1, 2].map(|i| v[i] as f32));
    let reference = fractions(532, 6).map_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0], |v| {
        [0, 1, 2, 3, 4, 5].map(|i| v[i] as f32)
    });
    let sound = luma[1] > 0.0 && (0..3).all(|i| reference[2 * i] < reference[2 * i + 1]);
    if !sound {
        return Err(damaged("its colours cannot be"));
    }
    Ok(YCbCr {
        subsampling,
        luma,
        reference,
    })
}

/// The first further sample that is transparency.
fn alpha(tags: &Directory, colour: &Colour, samples: usize) -> Option<(usize, Alpha)> {
    let first = colour.samples();
    if !tags.has(338) {
        // Programs that write RGBA without a word about the fourth sample mean straight alpha, and are read so.
        return (*colour == Colour::Rgb && samples == 4).then_some((3, Alpha::Straight));
    }
    let kinds = tags.all(338);
    let kind = |(i, kind): (usize, &u64)| match kind {
        1 => Some((first + i, Alpha::Associated)),
        2 => Some((first + i, Alpha::Straight)),
        _ => None,
    };
    let found = kinds.iter().enumerate().find_map(kind);
    found.filter(|(sample, _)| *sample < samples)
}

/// Where a strip or tile lies in the file; a file that ends before is cut short.
pub(super) fn place<'a>(
    layout: &Layout,
    bytes: &'a [u8],
    index: usize,
) -> Result<&'a [u8], DecodeError> {
    let offset = *layout
        .offsets
        .get(index)
        .ok_or_else(|| damaged("strips are missing"))?;
    let from = usize::try_from(offset).map_err(|_| TRUNCATED)?;
    let rest = bytes.get(from..).ok_or(TRUNCATED)?;
    let count = layout.counts.get(index).copied().filter(|&count| count > 0);
    let count = count.map_or(rest.len(), |count| {
        usize::try_from(count).unwrap_or(usize::MAX)
    });
    Ok(&rest[..count.min(rest.len())])
}
