//! From a JPEG's samples to RGBA or inks. Source: JFIF 1.02; Adobe's technical note 5116.

use super::{
    careful::Raw,
    markers::{Markers, Process},
};
use crate::artwork::decode::Raster;

/// Makes the picture. Four channels stay inks, for a profile to convert.
pub(super) fn raster(raw: Raw, markers: &Markers) -> Raster {
    let mut raster = Raster::new(raw.width as u32, raw.height as u32);
    raster.grey = raw.components <= 2;
    raster.inks = raw.components == 4;
    let transformed = is_transformed(markers);
    let pixels = raw.samples.chunks_exact(raw.components.max(1));
    let both = raster.rgba.as_chunks_mut::<4>().0.iter_mut().zip(pixels);
    match raw.components {
        1 | 2 => both.for_each(|(to, p)| *to = [p[0], p[0], p[0], 255]),
        3 if transformed => both.for_each(|(to, p)| {
            let [r, g, b] = rgb(p[0], p[1], p[2]);
            *to = [r, g, b, 255];
        }),
        3 => both.for_each(|(to, p)| *to = [p[0], p[1], p[2], 255]),
        // Adobe's programs, and all that read their files, store inks inverted. YCCK is inverted once more.
        _ if transformed => both.for_each(|(to, p)| {
            let [c, m, y] = rgb(p[0], p[1], p[2]);
            *to = [c, m, y, 255 - p[3]];
        }),
        _ => both.for_each(|(to, p)| *to = [p[0], p[1], p[2], p[3]].map(|v| 255 - v)),
    }
    raster
}

/// Whether the first three channels are luma and chroma, as libjpeg decides it.
pub(super) fn is_transformed(markers: &Markers) -> bool {
    let ids: Vec<u8> = markers.components.iter().map(|c| c.id).collect();
    match (ids.len(), markers.adobe) {
        (4, transform) => transform == Some(2),
        _ if markers.jfif => true,
        (_, Some(transform)) => transform != 0,
        _ if ids == b"RGB" => false,
        _ => markers.process != Process::Lossless,
    }
}

/// RGB of JFIF's YCbCr.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + 91_881 * cr,
        y - 22_554 * cb - 46_802 * cr,
        y + 116_130 * cb,
    ]
    .map(|v| ((v + HALF) >> 16).clamp(0, 255) as u8)
}
