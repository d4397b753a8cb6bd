//! JPEG XL, by `jxl-oxide`.
//!
//! The decoder holds three planes of floats and copies of them, which is more than any other format takes. Therefore it is
//! asked for some rows at a time. Of an animation the first frame is shown. Source: ISO/IEC 18181.

use super::{DecodeError, DecodeLimits, Raster, check_size};
use jxl_oxide::color::RenderingIntent;
use jxl_oxide::{AllocTracker, CropInfo, EnumColourEncoding, JxlImage, JxlThreadPool, PixelFormat};

const FORMAT: &str = "JPEG XL";
const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

fn refused(error: &(dyn std::error::Error + Send + Sync + 'static)) -> DecodeError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof)
        {
            return TRUNCATED;
        }
        if text.contains("allocat") || text.contains("out of memory") {
            return DecodeError::LimitReached { format: FORMAT };
        }
        cause = error.source();
    }
    damaged()
}

fn damaged() -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        what: "the data of its pixels is wrong",
    }
}

/// How many rows are decoded at a time: few enough to limit memory, and many, because the decoder works in squares of
/// 256 pixels and needs the neighbouring ones too.
fn strip(width: u32) -> u32 {
    const PIXELS: u32 = 16 << 20;
    const SQUARE: u32 = 256;
    (PIXELS / width.max(1)).max(SQUARE).next_multiple_of(SQUARE)
}

/// What decoding holds besides the picture: 28 bytes for each pixel of the rows that are decoded at a time, measured.
pub(super) fn strip_bytes((width, height): (u32, u32)) -> u64 {
    // With a square above and below.
    28 * u64::from(width) * u64::from(height.min(strip(width) + 512))
}

fn open(bytes: &[u8], limits: &DecodeLimits) -> Result<JxlImage, DecodeError> {
    let most = usize::try_from(limits.max_alloc_bytes);
    JxlImage::builder()
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(most.unwrap_or(usize::MAX)))
        .read(bytes)
        .map_err(|error| refused(&*error))
}

/// Width and height by the header.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut image = JxlImage::builder()
        .pool(JxlThreadPool::none())
        .build_uninit();
    image.feed_bytes(&bytes[..bytes.len().min(1 << 20)]).ok()?;
    match image.try_init().ok()? {
        jxl_oxide::InitializeResult::Initialized(image) => Some((image.width(), image.height())),
        jxl_oxide::InitializeResult::NeedMoreData(_) => None,
    }
}

/// Decodes the first frame.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    let (width, height) = size(bytes).ok_or(TRUNCATED)?;
    check_size(width, height, 0, limits)?;
    let mut image = open(bytes, limits)?;
    let grey = image.pixel_format().is_grayscale();
    let has_profile = image.original_icc().is_some();
    if !has_profile {
        let srgb = match grey {
            true => EnumColourEncoding::gray_srgb(RenderingIntent::Relative),
            false => EnumColourEncoding::srgb(RenderingIntent::Relative),
        };
        image.request_color_encoding(srgb);
    }
    if image.num_loaded_keyframes() == 0 {
        return Err(TRUNCATED);
    }
    let format = image.pixel_format();
    if format.has_black() {
        return Err(DecodeError::UnsupportedVariant {
            format: FORMAT,
            what: "CMYK".into(),
        });
    }
    let mut raster = Raster::new(width, height, limits);
    raster.grey = format.is_grayscale();
    if has_profile {
        raster.profile = Some(image.rendered_icc());
    }
    let mut line = vec![0_u8; width as usize * format.channels()];
    let rows = strip(width);
    for top in (0..height).step_by(rows as usize) {
        let rows = rows.min(height - top);
        image.set_image_region(CropInfo {
            width,
            height: rows,
            left: 0,
            top,
        });
        let render = image.render_frame(0).map_err(|error| refused(&*error))?;
        let mut stream = render.stream();
        if (stream.width(), stream.height()) != (width, rows)
            || stream.channels() as usize != format.channels()
        {
            return Err(damaged());
        }
        for _ in 0..rows {
            if stream.write_to_buffer(&mut line) < line.len() {
                return Err(TRUNCATED);
            }
            raster.take(|rgba| match format {
                PixelFormat::Gray => rgba.extend(line.iter().flat_map(|&v| [v, v, v, 255])),
                PixelFormat::Graya => {
                    let pixels = line.as_chunks::<2>().0.iter();
                    rgba.extend(pixels.flat_map(|p| [p[0], p[0], p[0], p[1]]));
                }
                PixelFormat::Rgb => super::spread(&line, rgba),
                _ => rgba.extend_from_slice(&line),
            });
        }
    }
    Ok(raster)
}
