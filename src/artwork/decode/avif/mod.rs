//! AVIF, by `avif-parse` and `re_rav1d` (rav1d with a safe interface; without its assembly, so that nothing but Rust is
//! needed to build).
//!
//! One thread, no look-ahead; the size is checked before the decoder starts, and the decoder gets the limit too. Of an
//! animation the still picture is shown. Sources: AVIF 1.1; AV1 bitstream specification, 6.4.2; ITU-T H.273.

mod properties;

use super::{DecodeError, DecodeLimits, Raster, check_size};
use avif_parse::{AvifData, Error};
use properties::Properties;
use re_rav1d::dav1d::{
    Decoder, Picture, PixelLayout, PlanarImageComponent as Component, Plane, Settings,
    pixel::YUVRange,
};
use std::io::{Cursor, Read};

/// What decoding holds per pixel besides the picture, measured.
pub(super) const BYTES_PER_PX: u64 = 8;

const FORMAT: &str = "AVIF";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

fn damaged() -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        what: "the data of its pixels is wrong",
    }
}

fn parse(bytes: &[u8]) -> Result<AvifData, DecodeError> {
    // Files whose first brand is another one are AVIF all the same if a later one says so.
    let head = bytes.get(..12).ok_or(TRUNCATED)?;
    let renamed = [&head[..8], b"avif"].concat();
    let (end, has_all) = whole_boxes(bytes);
    // What another program appended after the boxes is ignored.
    let read = if has_all { &bytes[..end] } else { bytes };
    let mut file = Cursor::new(renamed).chain(&read[12..]);
    avif_parse::read_avif(&mut file).map_err(|error| match error {
        Error::UnexpectedEOF => TRUNCATED,
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => TRUNCATED,
        Error::Unsupported(_) => DecodeError::UnsupportedVariant {
            format: FORMAT,
            what: "a rare kind of it".into(),
        },
        Error::OutOfMemory => DecodeError::LimitReached { format: FORMAT },
        _ if end < bytes.len() => TRUNCATED,
        _ => damaged(),
    })
}

/// Where the last box ends that lies wholly in the file, and whether the boxes up to there can be a picture: there are
/// `meta` and `mdat` among them. Source: ISO/IEC 14496-12, 4.2.
fn whole_boxes(bytes: &[u8]) -> (usize, bool) {
    let (mut end, mut meta, mut mdat) = (0, false, false);
    while let Some((head, _)) = bytes[end..].split_first_chunk::<8>() {
        let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            // It goes to the end of the file, or its size has 64 bits: both are left to the parser.
            0 | 1 => return (bytes.len(), true),
            size => size as usize,
        };
        if size < 8 || size > bytes.len() - end {
            break;
        }
        meta |= &head[4..] == b"meta";
        mdat |= &head[4..] == b"mdat";
        end += size;
    }
    (end, meta && mdat)
}

/// Width and height by the header, before turning.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let meta = parse(bytes).ok()?.primary_item_metadata().ok()?;
    Some((meta.max_frame_width.get(), meta.max_frame_height.get()))
}

/// Decodes the main picture.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    let file = parse(bytes)?;
    let meta = file.primary_item_metadata().map_err(|_| damaged())?;
    let (width, height) = (meta.max_frame_width.get(), meta.max_frame_height.get());
    let pixels = u64::from(width) * u64::from(height);
    // The planes, 16 bits per sample above 8, and what the decoder notes about blocks.
    let sample = if meta.bit_depth > 8 { 2 } else { 1 };
    let planes = if meta.monochrome { 1 } else { 3 };
    check_size(width, height, pixels * (sample * planes + 1), limits)?;
    let properties = Properties::read(bytes);
    let colour = frame(file.primary_item.to_vec(), limits)?;
    let mut raster = Raster::new(colour.width(), colour.height(), limits);
    check_size(raster.width, raster.height, 0, limits)?;
    raster.orientation = properties.orientation();
    let alpha = match &file.alpha_item {
        Some(alpha) => Some(frame(alpha.to_vec(), limits)?),
        None => None,
    };
    let opacity = alpha.map(|alpha| Opacity::new(&alpha, file.premultiplied_alpha));
    paint(&colour, opacity, &properties, &mut raster)?;
    Ok(raster)
}

fn refused(error: &re_rav1d::dav1d::Error) -> DecodeError {
    match error {
        re_rav1d::dav1d::Error::NotEnoughMemory => DecodeError::LimitReached { format: FORMAT },
        _ => damaged(),
    }
}

/// Decodes one AV1 picture.
fn frame(data: Vec<u8>, limits: &DecodeLimits) -> Result<Picture, DecodeError> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(limits.max_pixels).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(|_| damaged())?;
    if let Err(error) = decoder.send_data(data, None, None, None)
        && !error.is_again()
    {
        return Err(refused(&error));
    }
    for _ in 0..64 {
        match decoder.get_picture() {
            Ok(picture) => return Ok(picture),
            Err(error) if error.is_again() => match decoder.send_pending_data() {
                Ok(()) => {}
                Err(error) if error.is_again() => {}
                Err(error) => return Err(refused(&error)),
            },
            Err(error) => return Err(refused(&error)),
        }
    }
    Err(damaged())
}

/// Rows of one plane, eight bits per sample.
struct Samples {
    bytes: Plane,
    stride: usize,
    size: (u32, u32),
    /// Bits above eight; `None`: one byte per sample.
    shift: Option<u32>,
}

impl Samples {
    fn of(picture: &Picture, component: Component) -> Self {
        let bits = picture.bits_per_component().map_or(8, |bits| bits.0 as u32);
        Self {
            bytes: picture.plane(component),
            stride: picture.stride(component) as usize,
            size: (picture.width(), picture.height()),
            shift: (bits > 8).then(|| bits - 8),
        }
    }

    fn row(&self, y: usize, width: usize, to: &mut Vec<u8>) -> Result<(), DecodeError> {
        to.clear();
        let size = if self.shift.is_some() { 2 } else { 1 };
        let from = y * self.stride;
        let row = self.bytes.get(from..from + width * size);
        let row = row.ok_or_else(damaged)?;
        match self.shift {
            None => to.extend_from_slice(row),
            Some(shift) => {
                let narrow = |v: &[u8; 2]| (u16::from_ne_bytes(*v) >> shift).min(255) as u8;
                to.extend(row.as_chunks::<2>().0.iter().map(narrow));
            }
        }
        Ok(())
    }
}

/// The transparency of each pixel, from the luma of a second picture.
struct Opacity {
    samples: Samples,
    convert: Matrix,
    premultiplied: bool,
}

impl Opacity {
    fn new(picture: &Picture, premultiplied: bool) -> Self {
        Self {
            samples: Samples::of(picture, Component::Y),
            convert: Matrix::new(0, picture.color_range() == YUVRange::Full),
            premultiplied,
        }
    }

    /// Makes the pixels of row `y` transparent; `row` is room for its samples.
    fn fade(&self, y: usize, row: &mut Vec<u8>, to: &mut [u8]) -> Result<(), DecodeError> {
        self.samples.row(y, to.len() / 4, row)?;
        for (pixel, &value) in to.as_chunks_mut::<4>().0.iter_mut().zip(&*row) {
            let alpha = self.convert.grey(value)[0];
            if self.premultiplied && alpha > 0 {
                let straight = |v: u8| (u32::from(v) * 255 / u32::from(alpha)).min(255) as u8;
                (pixel[0], pixel[1], pixel[2]) =
                    (straight(pixel[0]), straight(pixel[1]), straight(pixel[2]));
            }
            pixel[3] = alpha;
        }
        Ok(())
    }
}

/// Turns luma and chroma into the colours of the picture.
fn paint(
    picture: &Picture,
    opacity: Option<Opacity>,
    properties: &Properties,
    raster: &mut Raster,
) -> Result<(), DecodeError> {
    let (h, v) = match picture.pixel_layout() {
        PixelLayout::I420 => (2, 2),
        PixelLayout::I422 => (2, 1),
        PixelLayout::I444 | PixelLayout::I400 => (1, 1),
    };
    let grey = picture.pixel_layout() == PixelLayout::I400;
    let stated = (
        picture.color_primaries() as u8,
        picture.transfer_characteristic() as u8,
        picture.matrix_coefficients() as u8,
        picture.color_range() == YUVRange::Full,
    );
    let (primaries, transfer, matrix, full) = properties.code_points.unwrap_or(stated);
    // A profile goes before code points, as in browsers.
    raster.profile = properties.profile.clone();
    raster.cicp = raster.profile.is_none().then_some((primaries, transfer));
    raster.grey = grey && raster.profile.is_some();
    let convert = Matrix::new(matrix, full);
    let width = raster.width as usize;
    let chroma = [Component::U, Component::V].map(|component| Samples::of(picture, component));
    let luma = Samples::of(picture, Component::Y);
    if let Some(opacity) = &opacity
        && opacity.samples.size != luma.size
    {
        return Err(damaged());
    }
    let mut rows = [const { Vec::new() }; 4];
    let mut to = vec![0; 4 * width];
    for y in 0..raster.height as usize {
        luma.row(y, width, &mut rows[0])?;
        if !grey {
            for (chroma, row) in chroma.iter().zip(&mut rows[1..]) {
                chroma.row(y / v, width.div_ceil(h), row)?;
            }
        }
        for (x, to) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let luma = rows[0][x];
            let [r, g, b] = match grey {
                true => convert.grey(luma),
                false => convert.rgb(luma, rows[1][x / h], rows[2][x / h]),
            };
            *to = [r, g, b, 255];
        }
        if let Some(opacity) = &opacity {
            opacity.fade(y, &mut rows[3], &mut to)?;
        }
        raster.take(|rgba| rgba.extend_from_slice(&to));
    }
    Ok(())
}

/// How luma and chroma make red, green and blue, in 16 bits of fraction.
struct Matrix {
    identity: bool,
    black: i32,
    luma: i32,
    red: i32,
    green: (i32, i32),
    blue: i32,
}

impl Matrix {
    fn new(code: u8, full: bool) -> Self {
        let (kr, kb) = match code {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        let kg = 1.0 - kr - kb;
        let (luma, chroma) = if full {
            (1.0, 1.0)
        } else {
            (255.0 / 219.0, 255.0 / 224.0)
        };
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        Self {
            identity: code == 0,
            black: if full { 0 } else { 16 },
            luma: fixed(luma),
            red: fixed(chroma * 2.0 * (1.0 - kr)),
            green: (
                fixed(chroma * 2.0 * (1.0 - kb) * kb / kg),
                fixed(chroma * 2.0 * (1.0 - kr) * kr / kg),
            ),
            blue: fixed(chroma * 2.0 * (1.0 - kb)),
        }
    }

    fn level(&self, value: u8) -> i32 {
        (i32::from(value) - self.black) * self.luma
    }

    fn grey(&self, luma: u8) -> [u8; 3] {
        [rounded(self.level(luma)); 3]
    }

    fn rgb(&self, y: u8, u: u8, v: u8) -> [u8; 3] {
        if self.identity {
            return [v, y, u].map(|value| rounded(self.level(value)));
        }
        let (luma, u, v) = (self.level(y), i32::from(u) - 128, i32::from(v) - 128);
        [
            rounded(luma + self.red * v),
            rounded(luma - self.green.0 * u - self.green.1 * v),
            rounded(luma + self.blue * u),
        ]
    }
}

fn rounded(value: i32) -> u8 {
    ((value + (1 << 15)) >> 16).clamp(0, 255) as u8
}
