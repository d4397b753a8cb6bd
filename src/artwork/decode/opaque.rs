//! Pictures of eight-bit RGB, which most are, straight into the RGBA that a picture holds.
//!
//! Nothing is decided here: whether a picture is of this kind, and may be as large as it is, the caller has found out.

use super::DecodeLimits;
use image::{ImageDecoder, ImageError, ImageFormat, error::DecodingError};
use std::io::Cursor;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Decodes a JPEG of YCbCr, which most are, straight to RGBA; `None` for any other: where a file holds RGB, its decoder
/// cannot.
pub(super) fn read_jpeg(bytes: &[u8]) -> Option<Result<Vec<u8>, ImageError>> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGBA)
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().ok()?;
    if decoder.input_colorspace() != Some(ColorSpace::YCbCr) {
        return None;
    }
    let damaged = |error| DecodingError::new(ImageFormat::Jpeg.into(), error);
    Some(
        decoder
            .decode()
            .map_err(|e| ImageError::Decoding(damaged(e))),
    )
}

/// Decodes with any decoder of RGB.
pub(super) fn read(decoder: impl ImageDecoder) -> Result<Vec<u8>, ImageError> {
    let mut rgb = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut rgb)?;
    let mut rgba = Vec::with_capacity(rgb.len() / 3 * 4);
    spread(&rgb, &mut rgba);
    Ok(rgba)
}

/// Decodes a PNG row by row, so that no row leaves the processor's cache as RGB.
pub(super) fn read_png(bytes: &[u8], limits: &DecodeLimits) -> Result<Vec<u8>, ImageError> {
    let max = usize::try_from(limits.max_alloc_bytes).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: max });
    decoder.set_transformations(png::Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(refused)?;
    let info = reader.info();
    let pixels = info.width as usize * info.height as usize;
    if info.interlaced {
        let mut rgb = vec![0; 3 * pixels];
        reader.next_frame(&mut rgb).map_err(refused)?;
        let mut rgba = Vec::with_capacity(4 * pixels);
        spread(&rgb, &mut rgba);
        return Ok(rgba);
    }
    let mut rgba = Vec::with_capacity(4 * pixels);
    while let Some(row) = reader.next_row().map_err(refused)? {
        spread(row.data(), &mut rgba);
    }
    Ok(rgba)
}

/// What `image`'s own PNG decoder says of an error.
fn refused(error: png::DecodingError) -> ImageError {
    match error {
        png::DecodingError::IoError(error) => ImageError::IoError(error),
        error => ImageError::Decoding(DecodingError::new(ImageFormat::Png.into(), error)),
    }
}

/// Appends RGB as opaque RGBA.
fn spread(rgb: &[u8], rgba: &mut Vec<u8>) {
    let start = rgba.len();
    rgba.resize(start + rgb.len() / 3 * 4, 255);
    let (fours, rest) = rgb.as_chunks::<12>();
    let (to_fours, to_rest) = rgba[start..].as_chunks_mut::<16>();
    for (to, &[a, b, c, d, e, f, g, h, i, j, k, l]) in to_fours.iter_mut().zip(fours) {
        // Four pixels by two words: a byte at a time takes three times as long.
        const LOW: u64 = 0x0000_0000_00FF_FFFF;
        const HIGH: u64 = LOW << 32;
        const ALPHA: u64 = 0xFF00_0000_FF00_0000;
        let front = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let back = u64::from_le_bytes([e, f, g, h, i, j, k, l]);
        let front = (front & LOW) | (front << 8 & HIGH) | ALPHA;
        let back = (back >> 16 & LOW) | (back >> 8 & HIGH) | ALPHA;
        // Whole arrays are assigned: copies of slices are calls where they are not inlined, and took a tenth of a cold
        // render.
        if let [to_front, to_back] = to.as_chunks_mut::<8>().0 {
            *to_front = front.to_le_bytes();
            *to_back = back.to_le_bytes();
        }
    }
    let to_rest = to_rest.as_chunks_mut::<4>().0.iter_mut();
    for (to, &[r, g, b]) in to_rest.zip(rest.as_chunks::<3>().0) {
        *to = [r, g, b, 255];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgb_of_any_length_spreads_to_opaque_rgba() {
        for pixels in 0..20_u8 {
            let rgb: Vec<u8> = (1..=3 * pixels).map(|v| v.wrapping_mul(37)).collect();
            let naive: Vec<u8> = rgb
                .chunks(3)
                .flat_map(|p| [p[0], p[1], p[2], 255])
                .collect();
            let mut rgba = Vec::new();
            spread(&rgb, &mut rgba);
            assert_eq!(rgba, naive);
        }
    }

    #[test]
    fn a_jpeg_has_the_pixels_that_image_reads_and_no_alpha() {
        use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
        let sizes = [(1, 1), (7, 5), (16, 16), (33, 17), (61, 43), (250, 131)];
        let samplings = [
            SamplingFactor::R_4_4_4,
            SamplingFactor::R_4_2_2,
            SamplingFactor::R_4_2_0,
        ];
        for ((width, height), sampling) in sizes.into_iter().flat_map(|s| samplings.map(|f| (s, f)))
        {
            for progressive in [false, true] {
                let pixel = |i: u32| ((i * 7) ^ (i / 91)) as u8;
                let rgb: Vec<u8> = (0..width * height * 3).map(pixel).collect();
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 80);
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(progressive);
                let (w, h) = (width as u16, height as u16);
                encoder.encode(&rgb, w, h, ColorType::Rgb).expect("encoded");
                let expected = image::load_from_memory(&bytes)
                    .expect("readable")
                    .to_rgba8();
                let read = read_jpeg(&bytes).expect("YCbCr").expect("readable");
                assert!(
                    read == expected.into_raw(),
                    "{width} × {height}, {sampling:?}, progressive: {progressive}"
                );
            }
        }
    }

    #[test]
    fn a_png_has_the_pixels_that_image_reads_interlaced_or_not_palette_or_not() {
        let picture = image::RgbImage::from_fn(61, 43, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 5) as u8, (x * y) as u8])
        });
        for indexed in [false, true] {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 61, 43);
            encoder.set_depth(png::BitDepth::Eight);
            let data: Vec<u8> = match indexed {
                true => {
                    encoder.set_color(png::ColorType::Indexed);
                    encoder.set_palette((0..768).map(|v| (v % 251) as u8).collect::<Vec<_>>());
                    picture.pixels().map(|p| p[2]).collect()
                }
                false => {
                    encoder.set_color(png::ColorType::Rgb);
                    picture.as_raw().clone()
                }
            };
            let mut writer = encoder.write_header().expect("a header");
            writer.write_image_data(&data).expect("pixels");
            writer.finish().expect("an end");
            let expected = image::load_from_memory(&bytes)
                .expect("readable")
                .to_rgba8();
            let limits = DecodeLimits::default();
            let read = read_png(&bytes, &limits).expect("readable");
            assert!(read == expected.into_raw(), "indexed: {indexed}");
            for keep in (0..bytes.len() - 20).step_by(7) {
                assert!(read_png(&bytes[..keep], &limits).is_err(), "cut at {keep}");
            }
        }
    }
}
