//! The built-in encoder: a visual descriptor in plain Rust, without files or training.
//!
//! It knows colours, edges and textures, not meaning: two spheres are alike because they are round, a drawn cat and a
//! photographed one are not. A picture is drawn on white, cropped to at most 3 : 2 and scaled to 128 × 128 Oklab pixels
//! (`plane`). Ten blocks of numbers are taken from it:
//!
//! | block | what | values | share |
//! | --- | --- | --- | --- |
//! | colour layout | mean colours of 4 × 4 cells | 48 | .05 |
//! | colour histogram | 12 hues at 3 lightnesses, 6 greys | 42 | .07 |
//! | edge layout | 8 orientations in 4 × 4 cells | 128 | .045 |
//! | edge polar | 8 orientations against the radius, 3 rings, 4 scales | 96 | .09 |
//! | edge energy | shares of 4 scales | 4 | .045 |
//! | edge spectrum | harmonics of orientation, 4 scales | 12 | .09 |
//! | edge texture | distribution of strength, second order, 4 scales | 42 | .09 |
//! | fine runs, coarse runs | how edges go on along and across themselves, 3 reaches | 2 × 60 | .26, .09 |
//! | rings | angular harmonics of edges and orientations in 4 rings | 92 | .17 |
//!
//! Shares are those of the mean squared distance between two pictures. Most blocks are square roots of shares of a
//! whole, so that distances between them are Hellinger's. Four fifths of the weight are on blocks that turning, moving,
//! scaling, dimming and tinting change little; colour has an eighth, because a mosaic should be ordered by colour too,
//! though that costs agreement where form alone counts: see "Built-in descriptor" in `tests/bench/README.md`.
//!
//! The same picture gives the same bits on every machine. Pure.

mod colour;
mod edges;
mod plane;
mod rings;
mod runs;

use super::{EncodeError, Encoder, ModelId, Preparation};
use crate::artwork::decode::Picture;

/// The built-in encoder.
#[derive(Clone, Debug)]
pub struct Builtin {
    model: ModelId,
}

/// Changes whenever any picture's embedding changes.
const VERSION: u32 = 2;

/// How a block enters the embedding.
#[derive(Clone, Copy)]
struct Share {
    /// Share of the mean squared distance between two pictures; all of them sum to 1.
    weight: f32,
    /// Mean squared distance between two pictures in this block alone.
    spread: f32,
}

// The weights of form come from searches by doubling and halving for the 10-NN agreement of the demo's families
// (`mosaicd demo --seed 2`, as drawn and as changed by `tests/bench/descriptors.py`), rounded. Those of colour were chosen
// by looking at mosaics of real artworks. The spreads are means over the same demo pictures as drawn.
const COLOUR_LAYOUT: Share = Share {
    weight: 0.05,
    spread: 2.75,
};
const COLOUR_HISTOGRAM: Share = Share {
    weight: 0.07,
    spread: 1.07,
};
const EDGE_LAYOUT: Share = Share {
    weight: 0.045,
    spread: 0.39,
};
const EDGE_POLAR: Share = Share {
    weight: 0.09,
    spread: 0.58,
};
const EDGE_ENERGY: Share = Share {
    weight: 0.045,
    spread: 0.03,
};
const EDGE_SPECTRUM: Share = Share {
    weight: 0.09,
    spread: 0.46,
};
const EDGE_TEXTURE: Share = Share {
    weight: 0.09,
    spread: 1.11,
};
const FINE_RUNS: Share = Share {
    weight: 0.26,
    spread: 0.67,
};
const COARSE_RUNS: Share = Share {
    weight: 0.09,
    spread: 0.63,
};
const RINGS: Share = Share {
    weight: 0.17,
    spread: 2.39,
};

/// What people call it, in the configuration too.
pub const NAME: &str = "builtin";

/// Squared length of all blocks together that only unusual pictures exceed.
const FULL: f32 = 10.0;

/// The last value takes up what the blocks leave of [`FULL`], so that scaling to length 1 keeps the distances' ratios.
pub const DIMS: usize = colour::LAYOUT
    + colour::HISTOGRAM
    + edges::LAYOUT
    + edges::POLAR
    + edges::ENERGY
    + edges::SPECTRUM
    + edges::TEXTURE
    + 2 * runs::RUNS
    + rings::HARMONIC
    + 1;

impl Builtin {
    /// The encoder; it needs nothing.
    pub fn new() -> Self {
        Self {
            model: ModelId(format!("builtin-{VERSION}")),
        }
    }
}

impl Default for Builtin {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder for Builtin {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn name(&self) -> &str {
        NAME
    }

    fn dims(&self) -> usize {
        DIMS
    }

    fn max_batch(&self) -> usize {
        64
    }

    /// Does all the work: the descriptor of a picture needs no other.
    fn preparation(&self) -> Preparation {
        Preparation::Descriptor
    }

    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        if let Some(index) = inputs.iter().position(|input| input.len() != DIMS) {
            return Err(EncodeError::WrongInput {
                index,
                wanted: DIMS,
                found: inputs[index].len(),
            });
        }
        Ok(inputs.to_vec())
    }
}

pub(super) fn describe(picture: &Picture) -> Vec<f32> {
    let working = plane::working(picture);
    let edges = edges::Edges::new(&working.lightness, &working.green_red, &working.blue_yellow);
    let [finest, next, ..] = &edges.scales;
    let blocks = [
        (colour::layout(&working), COLOUR_LAYOUT),
        (colour::histogram(&working), COLOUR_HISTOGRAM),
        (edges.layout(), EDGE_LAYOUT),
        (edges.polar(), EDGE_POLAR),
        (edges.energy(), EDGE_ENERGY),
        (edges.spectrum(), EDGE_SPECTRUM),
        (edges.texture(), EDGE_TEXTURE),
        (runs::runs(finest), FINE_RUNS),
        (runs::runs(next), COARSE_RUNS),
        (rings::harmonics(finest), RINGS),
    ];
    let mut all = Vec::with_capacity(DIMS);
    for (block, Share { weight, spread }) in blocks {
        let scale = (weight / spread).sqrt();
        all.extend(block.iter().map(|v| v * scale));
    }
    let length = norm(&all);
    all.push((FULL - length * length).max(0.0).sqrt());
    let scale = 1.0 / norm(&all);
    all.iter_mut().for_each(|v| *v *= scale);
    all
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|v| v * v).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Draws `side × side` pixels from a function of the position in −1..1.
    fn drawn(side: u32, pixel: impl Fn(f32, f32) -> [u8; 3]) -> Picture {
        let at = |v: u32| (v as f32 + 0.5) / side as f32 * 2.0 - 1.0;
        Picture::drawn(side, side, |x, y| {
            let [r, g, b] = pixel(at(x), at(y));
            [r, g, b, 255]
        })
    }

    fn disc(radius: f32, colour: [u8; 3]) -> Picture {
        drawn(200, |x, y| {
            if x * x + y * y < radius * radius {
                colour
            } else {
                [255; 3]
            }
        })
    }

    /// Stripes across the direction (`cos`, `sin`).
    fn stripes(cos: f32, sin: f32, colour: [u8; 3]) -> Picture {
        drawn(200, |x, y| {
            let wave = ((x * cos + y * sin) * 6.0).rem_euclid(1.0);
            if wave < 0.5 { colour } else { [20; 3] }
        })
    }

    /// Squared distance before the scaling to length 1; the mean over the demo's pictures is 1.
    fn distance(a: &Picture, b: &Picture) -> f32 {
        let (a, b) = (describe(a), describe(b));
        let squares = a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y));
        FULL * squares.sum::<f32>()
    }

    #[test]
    fn form_outweighs_colour_size_and_turn() {
        let red = disc(0.6, [220, 30, 30]);
        let blue = disc(0.4, [30, 60, 200]);
        let upright = stripes(1.0, 0.0, [220, 30, 30]);
        let slanted = stripes(0.6, 0.8, [30, 60, 200]);
        let across = distance(&red, &upright).min(distance(&blue, &slanted));
        let discs = distance(&red, &blue);
        let striped = distance(&upright, &slanted);
        assert!(discs + 0.2 < across, "{discs} {across}");
        assert!(striped + 0.2 < across, "{striped} {across}");
    }

    #[test]
    fn colour_decides_between_equal_forms() {
        let [red, pink, blue] = [[220, 30, 30], [240, 90, 90], [30, 60, 200]].map(|c| disc(0.6, c));
        assert!(distance(&red, &pink) + 0.05 < distance(&red, &blue));
    }

    #[test]
    fn size_in_pixels_matters_little() {
        let scene = |side| {
            drawn(side, |x, y| {
                [(x * y).abs() * 255.0, x.abs() * 200.0, 90.0].map(|v| v as u8)
            })
        };
        let (larger, smaller) = (
            distance(&scene(128), &scene(1000)),
            distance(&scene(128), &scene(64)),
        );
        assert!(larger < 0.2, "{larger}");
        assert!(smaller < 0.5, "{smaller}");
    }

    #[test]
    fn a_quarter_turn_leaves_most_of_the_distance_out() {
        let at = |turn: bool| {
            drawn(200, move |x, y| {
                let (x, y) = if turn { (y, -x) } else { (x, y) };
                let inside = (x - 0.2).abs() < 0.3 && (y + 0.1).abs() < 0.6;
                if inside { [230, 180, 40] } else { [30, 40, 90] }
            })
        };
        let turned = distance(&at(false), &at(true));
        assert!(turned < 0.25, "{turned}");
    }

    #[test]
    fn blank_pictures_have_a_direction_and_agree() {
        let white = describe(&drawn(40, |_, _| [255; 3]));
        assert!((norm(&white) - 1.0).abs() < 1e-5);
        let nearly = drawn(300, |x, _| if x > 0.9 { [254; 3] } else { [255; 3] });
        let apart = distance(&drawn(40, |_, _| [255; 3]), &nearly);
        assert!(apart < 0.3, "{apart}");
    }

    #[test]
    fn the_bits_belong_to_the_version() {
        // Not a judgement of quality: stored embeddings carry `builtin-2`, so other bits need another number.
        let encoder = Builtin::new();
        let scene = drawn(150, |x, y| {
            [x * 100.0 + 120.0, y * 90.0 + 100.0, x * y * 99.0 + 128.0].map(|v| v as u8)
        });
        let bytes: Vec<u8> = encoder
            .prepare(&scene)
            .iter()
            .flat_map(|v| v.to_bits().to_le_bytes())
            .collect();
        let bits = blake3::hash(&bytes).to_hex();
        assert_eq!(
            (encoder.model().0.as_str(), &bits[..16]),
            ("builtin-2", "4596b9d3d61b5f0f")
        );
    }

    #[test]
    fn inputs_of_another_encoder_are_refused() {
        let error = Builtin::new()
            .encode(&[vec![0.0; 3]])
            .map(|_| ())
            .expect_err("too short");
        assert_eq!(error.bad_input(), Some(0));
    }

    #[test]
    #[ignore = "a measurement: set MOSAICD_FOLDER to a folder of pictures and add --nocapture"]
    fn rate_with_decoding() {
        use crate::artwork::decode::{DecodeLimits, decode};
        let cpu_ms = || {
            let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
            let fields: Vec<&str> = stat.split(' ').collect();
            let ticks: f64 = fields[13..15]
                .iter()
                .filter_map(|v| v.parse::<f64>().ok())
                .sum();
            10.0 * ticks
        };
        let folder = std::env::var("MOSAICD_FOLDER").expect("MOSAICD_FOLDER is set");
        let files = std::fs::read_dir(folder).expect("a folder");
        let files = files.filter_map(|f| std::fs::read(f.ok()?.path()).ok());
        let files: Vec<Vec<u8>> = files.collect();
        let encoder = Builtin::new();
        let (mut decoding, mut all, mut pictures) = (0.0, 0.0, 0.0);
        for chunk in files.chunks(64) {
            let start = cpu_ms();
            let decoded = chunk
                .iter()
                .filter_map(|f| decode(f, &DecodeLimits::default()).ok());
            let decoded: Vec<Picture> = decoded.collect();
            decoding += cpu_ms() - start;
            let inputs: Vec<Vec<f32>> = decoded.iter().map(|p| encoder.prepare(p)).collect();
            let embedded = encoder.encode(&inputs).expect("own inputs");
            all += cpu_ms() - start;
            pictures += embedded.len() as f64;
        }
        eprintln!(
            "{pictures} pictures: {:.0} a CPU second; ms each: decoding {:.2}, embedding {:.2}",
            1000.0 * pictures / all,
            decoding / pictures,
            (all - decoding) / pictures,
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_picture_gives_a_finite_unit_vector(
            width in 1_u32..90, height in 1_u32..90, seed: u64, flat: bool,
        ) {
            let mut state = seed | 1;
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if flat { (seed % 251) as u8 } else { (state >> 56) as u8 }
            };
            let rgba = (0..4 * width * height).map(|_| random()).collect();
            let embedding = describe(&Picture { width, height, rgba });
            prop_assert_eq!(embedding.len(), DIMS);
            prop_assert!(embedding.iter().all(|v| v.is_finite()));
            prop_assert!((norm(&embedding) - 1.0).abs() < 1e-5);
        }
    }
}
