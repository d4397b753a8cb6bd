//! The whole mosaic as PNG or lossless WebP, where the configuration asks for it.
//!
//! Neither format can take over unchanged parts, so every change of pixels writes the whole file again: PNG in rows
//! (memory for one row of cells), WebP from the whole picture in memory, because its encoder needs that.

use super::{
    Action, PublishError, drawing::Artist, files::Folder, manifest::MosaicFile, names::MosaicKind,
};
use crate::render::{jpeg::mosaic_cell_px, tile::Raster};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

/// The largest PNG written, pixels per side: at 16,384² it has some 540 MB.
const PNG_MAX_SIDE: u32 = 16_384;
/// The format's limit, pixels per side.
const WEBP_MAX_SIDE: u32 = 16_383;

/// Counts and checksums what passes through.
struct Summed<W> {
    inner: W,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.crc.update(&buffer[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes the mosaic of a generation as a PNG or WebP, its cell shrunk where the format's limit asks for it.
pub(super) fn write(
    folder: &Folder,
    kind: MosaicKind,
    generation: u64,
    artist: &Artist<'_>,
) -> Result<MosaicFile, PublishError> {
    let (cols, rows) = (artist.placement.cols, artist.placement.rows);
    let limit = match kind {
        MosaicKind::Webp => WEBP_MAX_SIDE,
        _ => PNG_MAX_SIDE,
    };
    let side = artist.spec.max_side.min(limit);
    let cell_px = mosaic_cell_px(cols, rows, artist.spec.cell.px, side)
        .filter(|px| px * cols.max(rows) <= limit)
        .ok_or(PublishError::GridTooLarge { cols, rows })?;
    let (width, height) = (cols * cell_px, rows * cell_px);
    let path = folder.path(&kind.stable());
    let (staged, file) = folder.begin(&kind.stable())?;
    let mut out = Summed {
        inner: BufWriter::with_capacity(1 << 18, file),
        crc: crc32fast::Hasher::new(),
        bytes: 0,
    };
    let written = folder.step(Action::Write, &path, || Ok(())).and_then(|()| {
        let encoded = match kind {
            MosaicKind::Webp => encode_webp(&mut out, artist, cell_px),
            _ => encode_png(&mut out, artist, cell_px),
        };
        encoded.map_err(|source| PublishError::Encode {
            path: path.clone(),
            source,
        })?;
        out.flush().map_err(|source| PublishError::Io {
            action: Action::Write,
            path: path.clone(),
            source,
        })
    });
    if let Err(error) = written {
        folder.abandon(staged);
        return Err(error);
    }
    folder.count_bytes(out.bytes);
    let name = kind.of(generation, out.crc.finalize());
    folder.commit_as(staged, &name)?;
    Ok(MosaicFile {
        file: name,
        cell_px,
        width,
        height,
        generation: None,
    })
}

type Encoded = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn encode_png(out: &mut Summed<BufWriter<File>>, artist: &Artist<'_>, cell_px: u32) -> Encoded {
    let (cols, rows) = (artist.placement.cols, artist.placement.rows);
    let mut encoder = png::Encoder::new(out, cols * cell_px, rows * cell_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer_with_size(1 << 18)?;
    for row in 0..rows {
        stream.write_all(&band(artist, row, cell_px).rgb)?;
    }
    stream.finish()?;
    writer.finish()?;
    Ok(())
}

fn encode_webp(out: &mut Summed<BufWriter<File>>, artist: &Artist<'_>, cell_px: u32) -> Encoded {
    let (cols, rows) = (artist.placement.cols, artist.placement.rows);
    let mut rgb = Vec::with_capacity((cols * cell_px) as usize * (rows * cell_px) as usize * 3);
    for row in 0..rows {
        rgb.extend_from_slice(&band(artist, row, cell_px).rgb);
    }
    image::codecs::webp::WebPEncoder::new_lossless(out).encode(
        &rgb,
        cols * cell_px,
        rows * cell_px,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(())
}

/// The pixels of one row of cells.
fn band(artist: &Artist<'_>, row: u32, cell_px: u32) -> Raster {
    let cols = artist.placement.cols;
    let mut raster = Raster::filled(cols * cell_px, cell_px, artist.spec.ground());
    for col in 0..cols {
        if let Some(cell) = artist.cell(col, row, cell_px) {
            raster.blit(&cell.rgb, cell_px, i64::from(col * cell_px), 0);
        }
    }
    raster
}
