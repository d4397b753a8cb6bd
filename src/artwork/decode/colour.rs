//! Converting pixels from an embedded ICC profile to sRGB.
//!
//! A profile that cannot be read, or that describes other channels than the picture has, leaves the pixels as they are:
//! slightly wrong colours are better than no picture. Inks without a usable profile are multiplied. Source: ICC.1:2022.

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};
use std::sync::Arc;

/// Pixels converted at a time: few enough to stay in the cache, and no second picture in memory.
const BATCH_PX: usize = 4096;

/// Converts `rgba` in place. `grey` says that the picture had one channel of light.
pub(super) fn convert_to_srgb(rgba: &mut [u8], profile: &[u8], grey: bool) {
    let Ok(source) = ColorProfile::new_from_slice(profile) else {
        return;
    };
    match (source.color_space, grey) {
        (DataColorSpace::Rgb, _) => convert_rgb(rgba, &source),
        (DataColorSpace::Gray, true) => convert_grey(rgba, &source),
        _ => {}
    }
}

/// Turns inks (0: none) into opaque RGBA in place, by the profile where it is one of four inks.
pub(super) fn inks_to_srgb(inks: &mut [u8], profile: Option<&[u8]>) {
    let source = profile.and_then(|profile| ColorProfile::new_from_slice(profile).ok());
    let cmyk = source.filter(|source| source.color_space == DataColorSpace::Cmyk);
    let transform = cmyk.and_then(|source| {
        let srgb = ColorProfile::new_srgb();
        source
            .create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, options())
            .ok()
    });
    let mut out = [0; 4 * BATCH_PX];
    for batch in inks.chunks_mut(4 * BATCH_PX) {
        let out = &mut out[..batch.len()];
        let done = transform
            .as_ref()
            .is_some_and(|t| t.transform(batch, out).is_ok());
        let pixels = batch.as_chunks_mut::<4>().0.iter_mut();
        for (pixel, out) in pixels.zip(out.as_chunks::<4>().0) {
            let [c, m, y, k] = *pixel;
            let left = |ink: u8| ((255 - u32::from(ink)) * (255 - u32::from(k)) + 127) / 255;
            *pixel = match done {
                true => [out[0], out[1], out[2], 255],
                false => [left(c) as u8, left(m) as u8, left(y) as u8, 255],
            };
        }
    }
}

fn convert_rgb(rgba: &mut [u8], source: &ColorProfile) {
    let Some(transform) = transform(source, Layout::Rgba) else {
        return;
    };
    if changes_nothing(&*transform) {
        return;
    }
    let mut out = [0; 4 * BATCH_PX];
    for batch in rgba.chunks_mut(4 * BATCH_PX) {
        let out = &mut out[..batch.len()];
        if transform.transform(batch, out).is_err() {
            return;
        }
        for (to, from) in batch.chunks_exact_mut(4).zip(out.chunks_exact(4)) {
            to[..3].copy_from_slice(&from[..3]);
        }
    }
}

fn convert_grey(rgba: &mut [u8], source: &ColorProfile) {
    let Ok(transform) = source.create_transform_8bit(
        Layout::Gray,
        &ColorProfile::new_srgb(),
        Layout::Rgb,
        options(),
    ) else {
        return;
    };
    let levels: Vec<u8> = (0..=255).collect();
    let mut table = [0; 3 * 256];
    if transform.transform(&levels, &mut table).is_err() {
        return;
    }
    for pixel in rgba.chunks_exact_mut(4) {
        let at = 3 * usize::from(pixel[0]);
        pixel[..3].copy_from_slice(&table[at..at + 3]);
    }
}

fn transform(source: &ColorProfile, layout: Layout) -> Option<Arc<Transform8BitExecutor>> {
    source
        .create_transform_8bit(layout, &ColorProfile::new_srgb(), layout, options())
        .ok()
}

fn options() -> TransformOptions {
    TransformOptions::default()
}

/// Whether the profile is sRGB under any name: no test colour changes by more than one level. Then the pixels stay
/// untouched.
fn changes_nothing(transform: &Transform8BitExecutor) -> bool {
    const STEPS: [u8; 6] = [0, 51, 102, 153, 204, 255];
    let mut probes = Vec::with_capacity(4 * STEPS.len().pow(3));
    for r in STEPS {
        for g in STEPS {
            for b in STEPS {
                probes.extend([r, g, b, 255]);
            }
        }
    }
    let mut out = vec![0; probes.len()];
    transform.transform(&probes, &mut out).is_ok()
        && probes.iter().zip(&out).all(|(&a, &b)| a.abs_diff(b) <= 1)
}
