//! Converting pixels from an embedded ICC profile to sRGB.
//!
//! A profile that cannot be read, or that describes other channels than the picture has, leaves the pixels as they are:
//! slightly wrong colours are better than no picture. Inks without a usable profile are multiplied. Source: ICC.1:2022.

use super::cicp::CodePoints;
use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};
use std::sync::Arc;

/// Pixels converted at a time: few enough to stay in the cache, and no second picture in memory.
const BATCH_PX: usize = 4096;

/// How the pixels of one picture become sRGB.
pub(super) enum ToSrgb {
    /// They are.
    Same,
    Rgb(Arc<Transform8BitExecutor>),
    /// By the one channel of light.
    Grey(Vec<[u8; 3]>),
    /// Inks (0: none), by a profile of four inks if there is one.
    Inks(Option<Arc<Transform8BitExecutor>>),
    CodePoints(CodePoints),
}

impl ToSrgb {
    /// By a profile; `grey` says that the picture had one channel of light.
    pub(super) fn of_profile(profile: &[u8], grey: bool) -> Self {
        let Ok(source) = ColorProfile::new_from_slice(profile) else {
            return Self::Same;
        };
        let found = match (source.color_space, grey) {
            (DataColorSpace::Rgb, _) => transform(&source, Layout::Rgba, Layout::Rgba)
                .filter(|transform| !changes_nothing(&**transform))
                .map(Self::Rgb),
            (DataColorSpace::Gray, true) => {
                transform(&source, Layout::Gray, Layout::Rgb).and_then(|transform| {
                    let levels: Vec<u8> = (0..=255).collect();
                    let mut table = vec![[0; 3]; 256];
                    let done = transform.transform(&levels, table.as_flattened_mut());
                    done.is_ok().then_some(Self::Grey(table))
                })
            }
            _ => None,
        };
        found.unwrap_or(Self::Same)
    }

    /// From inks to opaque RGBA, by the profile where it is one of four inks.
    pub(super) fn of_inks(profile: Option<&[u8]>) -> Self {
        let source = profile.and_then(|profile| ColorProfile::new_from_slice(profile).ok());
        let cmyk = source.filter(|source| source.color_space == DataColorSpace::Cmyk);
        Self::Inks(cmyk.and_then(|source| transform(&source, Layout::Rgba, Layout::Rgba)))
    }

    /// By code points of primaries and transfer function.
    pub(super) fn of_code_points(primaries: u8, transfer: u8) -> Self {
        CodePoints::new(primaries, transfer).map_or(Self::Same, Self::CodePoints)
    }

    /// Converts pixels of four bytes in place.
    pub(super) fn convert(&self, pixels: &mut [u8]) {
        match self {
            Self::Same => {}
            Self::Rgb(transform) => convert_rgb(pixels, &**transform),
            Self::Grey(table) => {
                for pixel in pixels.as_chunks_mut::<4>().0 {
                    let [r, g, b] = table[usize::from(pixel[0])];
                    *pixel = [r, g, b, pixel[3]];
                }
            }
            Self::Inks(transform) => convert_inks(pixels, transform.as_deref()),
            Self::CodePoints(points) => points.convert(pixels),
        }
    }
}

fn convert_inks(inks: &mut [u8], transform: Option<&Transform8BitExecutor>) {
    let mut out = [0; 4 * BATCH_PX];
    for batch in inks.chunks_mut(4 * BATCH_PX) {
        let out = &mut out[..batch.len()];
        let done = transform.is_some_and(|t| t.transform(batch, out).is_ok());
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

fn convert_rgb(rgba: &mut [u8], transform: &Transform8BitExecutor) {
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

fn transform(
    source: &ColorProfile,
    from: Layout,
    to: Layout,
) -> Option<Arc<Transform8BitExecutor>> {
    source
        .create_transform_8bit(
            from,
            &ColorProfile::new_srgb(),
            to,
            TransformOptions::default(),
        )
        .ok()
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
