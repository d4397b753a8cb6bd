//! Converting pixels from code points of primaries and transfer function to sRGB.
//!
//! PNG's cICP chunk, AVIF and JPEG XL describe colours in this way. Values brighter than a screen's white are cut off:
//! in PQ above 203 cd/m², in HLG above three quarters of the signal, the white of ITU-R BT.2408. Sources: ITU-T H.273;
//! ITU-R BT.2100.

/// Steps of the curve from light to sRGB.
const STEPS: usize = 4096;

/// How pixels of some code points become sRGB.
pub(super) struct CodePoints {
    /// By the stored value.
    light: Vec<f32>,
    matrix: Option<[[f32; 3]; 3]>,
    /// By the square root of light, which spreads the steps where the curve is steep.
    curve: Vec<u8>,
}

impl CodePoints {
    /// `None` if the pixels are sRGB. Unknown code points are taken for those of sRGB, as browsers do.
    pub(super) fn new(primaries: u8, transfer: u8) -> Option<Self> {
        let matrix = matrix(primaries);
        // The curve of BT.709 and its like is for cameras; screens show it as they show sRGB.
        let is_srgb = matches!(transfer, 0..=3 | 6 | 7 | 9..=15 | 17) || transfer > 18;
        if is_srgb && matrix.is_none() {
            return None;
        }
        let light = (0..=255_u8).map(|v| to_light(f32::from(v) / 255.0, transfer));
        let curve = (0..=STEPS).map(|i| to_srgb(i as f32 / STEPS as f32));
        Some(Self {
            light: light.collect(),
            matrix,
            curve: curve.collect(),
        })
    }

    /// Converts RGBA in place.
    pub(super) fn convert(&self, rgba: &mut [u8]) {
        let shown =
            |light: f32| self.curve[(light.clamp(0.0, 1.0).sqrt() * STEPS as f32).round() as usize];
        for pixel in rgba.as_chunks_mut::<4>().0 {
            let [r, g, b] = [0, 1, 2].map(|c| self.light[usize::from(pixel[c])]);
            let linear = match &self.matrix {
                Some(rows) => rows.map(|row| row[0] * r + row[1] * g + row[2] * b),
                None => [r, g, b],
            };
            for (to, light) in pixel.iter_mut().zip(linear) {
                *to = shown(light);
            }
        }
    }
}

/// Light of a screen, 1 its white.
fn to_light(signal: f32, transfer: u8) -> f32 {
    match transfer {
        4 => signal.powf(2.2),
        5 => signal.powf(2.8),
        8 => signal,
        16 => {
            const M1: f32 = 2610.0 / 16_384.0;
            const M2: f32 = 2523.0 / 32.0;
            const C1: f32 = 3424.0 / 4096.0;
            const C2: f32 = 2413.0 / 128.0;
            const C3: f32 = 2392.0 / 128.0;
            let root = signal.powf(1.0 / M2);
            let light = ((root - C1).max(0.0) / (C2 - C3 * root)).powf(1.0 / M1);
            light * 10_000.0 / 203.0
        }
        18 => hlg(signal) / hlg(0.75),
        _ if signal <= 0.040_45 => signal / 12.92,
        _ => ((signal + 0.055) / 1.055).powf(2.4),
    }
}

/// Scene light of hybrid log-gamma, with the system gamma of a screen of 1,000 cd/m².
fn hlg(signal: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 0.284_668_92;
    const C: f32 = 0.559_910_7;
    let scene = match signal {
        ..=0.5 => signal * signal / 3.0,
        _ => (((signal - C) / A).exp() + B) / 12.0,
    };
    scene.powf(1.2)
}

/// The sRGB value of the square of `root`.
fn to_srgb(root: f32) -> u8 {
    let light = root * root;
    let value = match light {
        ..=0.003_130_8 => 12.92 * light,
        _ => 1.055 * light.powf(1.0 / 2.4) - 0.055,
    };
    (255.0 * value).round() as u8
}

/// From linear light of these primaries to that of sRGB; `None` if they are sRGB's.
fn matrix(primaries: u8) -> Option<[[f32; 3]; 3]> {
    Some(match primaries {
        // BT.2020, of ITU-R BT.2087.
        9 => [
            [1.660_491, -0.587_641, -0.072_85],
            [-0.124_55, 1.132_9, -0.008_349],
            [-0.018_151, -0.100_579, 1.118_73],
        ],
        // DCI-P3 has another white, which is taken for D65, as Display P3.
        11 | 12 => [
            [1.224_94, -0.224_94, 0.0],
            [-0.042_057, 1.042_057, 0.0],
            [-0.019_638, -0.078_636, 1.098_274],
        ],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mut pixel: [u8; 4], primaries: u8, transfer: u8) -> [u8; 4] {
        if let Some(points) = CodePoints::new(primaries, transfer) {
            points.convert(&mut pixel);
        }
        pixel
    }

    #[test]
    fn white_and_known_colours_come_out() {
        // PQ: 203 cd/m² is the signal 0.5806 (BT.2408), HLG's white 0.75.
        for (transfer, white) in [(16, 148), (18, 191), (8, 255), (13, 255)] {
            let pixel = shown([white, white, white, 7], 9, transfer);
            assert!(
                pixel[..3].iter().all(|&v| v >= 252),
                "{transfer}: {pixel:?}"
            );
            assert_eq!(pixel[3], 7);
        }
        // Display P3 (200, 100, 50), by CSS Color 4's matrices.
        let pixel = shown([200, 100, 50, 255], 12, 13);
        for (value, wanted) in pixel.into_iter().zip([215, 95, 31, 255]) {
            assert!(value.abs_diff(wanted) <= 2, "{pixel:?}");
        }
    }

    #[test]
    fn srgb_under_its_code_points_is_left_alone() {
        for transfer in [1, 2, 6, 13] {
            assert_eq!(shown([200, 100, 50, 9], 1, transfer), [200, 100, 50, 9]);
        }
    }
}
