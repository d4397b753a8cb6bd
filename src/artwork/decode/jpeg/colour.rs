//! From a JPEG's samples to RGBA or inks. Source: JFIF 1.02; Adobe's technical note 5116.

use super::markers::{Markers, Process};

/// Appends a row of samples as RGBA, or of four channels as inks, which a profile converts.
pub(super) fn append(samples: &[u8], channels: usize, transformed: bool, to: &mut Vec<u8>) {
    let start = to.len();
    to.resize(start + samples.len() / channels.max(1) * 4, 255);
    let pixels = samples.chunks_exact(channels.max(1));
    let both = to[start..].as_chunks_mut::<4>().0.iter_mut().zip(pixels);
    match channels {
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
