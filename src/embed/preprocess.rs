//! Preparing a picture for a neural encoder, exactly as Pillow does.
//!
//! The reference of CLIP resizes with Pillow: a horizontal pass, then a vertical one, eight-bit pixels in between,
//! fixed-point weights of 22 bits, the filter widened when the picture shrinks. Other resizers differ by up to 20
//! levels on sharp pictures. Here the passes are Pillow's, restricted to the part that the crop keeps, so that a
//! picture of 1 × 60,000 pixels costs no more than another. Alpha is dropped, not composited, as `convert("RGB")` does.
//!
//! Different from Pillow: 16-bit grey keeps its high byte, where Pillow clips everything above 255 to white.
//!
//! Pure. Source: Pillow 13, `src/libImaging/Resample.c`; openai/CLIP `clip.py`, `_transform`.

use crate::artwork::decode::Picture;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a picture becomes the model's input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Side of the square input, pixels, > 0.
    pub size: u32,
    /// Length the short side is resized to before the crop, pixels, ≥ `size`; unused by [`Shape::Squash`].
    pub short_side: u32,
    /// How a picture that is not square becomes square.
    pub shape: Shape,
    /// The resizing filter.
    pub filter: Filter,
    /// Subtracted from each channel, which lies in 0..=1.
    pub mean: [f32; 3],
    /// Divides each channel then.
    pub std: [f32; 3],
}

/// How a picture becomes square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Resize the short side, keep the centre (CLIP).
    #[default]
    Crop,
    /// Resize both sides, whatever the proportions (SigLIP).
    Squash,
}

/// A resizing filter of Pillow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Keys' cubic with a = −0.5.
    #[default]
    Bicubic,
    /// A triangle.
    Bilinear,
}

impl Preprocess {
    /// OpenAI's values for every CLIP model of an input side of `size` pixels.
    pub fn clip(size: u32) -> Self {
        Self {
            size,
            short_side: size,
            shape: Shape::Crop,
            filter: Filter::Bicubic,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }

    /// Number of values that [`Preprocess::tensor`] returns.
    pub fn len(&self) -> usize {
        3 * self.size as usize * self.size as usize
    }

    /// Whether the input has no pixels; it never does.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The model's input: `3 × size × size`, channels first, normalised.
    pub fn tensor(&self, picture: &Picture) -> Vec<f32> {
        let rgb = self.pixels(picture);
        let mut tensor = Vec::with_capacity(self.len());
        let (pixels, _) = rgb.as_chunks::<3>();
        for c in 0..3 {
            // There are only 256 values to normalise.
            let (mean, std) = (self.mean[c], self.std[c]);
            let value: [f32; 256] = std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std);
            tensor.extend(pixels.iter().map(|pixel| value[usize::from(pixel[c])]));
        }
        tensor
    }

    /// The resized and cropped picture, `size × size × 3`, row-major RGB.
    pub fn pixels(&self, picture: &Picture) -> Vec<u8> {
        let (w, h) = (u64::from(picture.width), u64::from(picture.height));
        let (short, size) = (u64::from(self.short_side), u64::from(self.size));
        // Python's `int(size * h / w)` truncates, which is whole-number division for any size a file can have.
        let (new_w, new_h) = match self.shape {
            Shape::Squash => (size, size),
            Shape::Crop if w.min(h) == short => (w, h),
            Shape::Crop if w <= h => (short, short * h / w.max(1)),
            Shape::Crop => (short * w / h.max(1), short),
        };
        let left = round_half_to_even(new_w - size);
        let top = round_half_to_even(new_h - size);
        let across = Weights::new(w, new_w, left..left + size, self.filter);
        let down = Weights::new(h, new_h, top..top + size, self.filter);
        resample(picture, &across, &down)
    }
}

/// Python's `round(doubled / 2)`.
fn round_half_to_even(doubled: u64) -> u64 {
    match doubled % 4 {
        3 => doubled / 2 + 1,
        _ => doubled / 2,
    }
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bicubic => 2.0,
            Self::Bilinear => 1.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Bilinear if x < 1.0 => 1.0 - x,
            _ => 0.0,
        }
    }
}

/// Pillow's `PRECISION_BITS`: eight bits of pixel and two of headroom are left of 32.
const PRECISION_BITS: u32 = 22;

/// For each output position: the first input position and the fixed-point weights from there on.
struct Weights {
    taps: Vec<(usize, Vec<i32>)>,
}

impl Weights {
    /// Weights of the output positions `wanted` when `from` pixels become `to`.
    fn new(from: u64, to: u64, wanted: Range<u64>, filter: Filter) -> Self {
        let taps = wanted.map(|out| {
            if from == to {
                return (out as usize, vec![1 << PRECISION_BITS]);
            }
            let scale = from as f64 / to as f64;
            let widened = scale.max(1.0);
            let support = filter.support() * widened;
            let centre = (out as f64 + 0.5) * scale;
            // Truncation towards zero, then clamping, in the order Pillow has them.
            let first = ((centre - support + 0.5) as i64).max(0);
            let end = ((centre + support + 0.5) as i64).min(from as i64);
            let weights: Vec<f64> = (first..end)
                .map(|x| filter.at((x as f64 - centre + 0.5) * (1.0 / widened)))
                .collect();
            // The sum goes from left to right, as Pillow's does.
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: f64| {
                let share = if sum == 0.0 { weight } else { weight / sum };
                let scaled = share * f64::from(1 << PRECISION_BITS);
                (if share < 0.0 {
                    scaled - 0.5
                } else {
                    scaled + 0.5
                }) as i32
            };
            (first as usize, weights.into_iter().map(fixed).collect())
        });
        Self {
            taps: taps.collect(),
        }
    }

    /// The input positions that any output needs.
    fn span(&self) -> Range<usize> {
        let first = self.taps.first().map_or(0, |(first, _)| *first);
        let end = self.taps.iter().map(|(first, w)| first + w.len()).max();
        first..end.unwrap_or(0)
    }
}

/// Both passes; the result has as many columns and rows as the weights have outputs.
fn resample(picture: &Picture, across: &Weights, down: &Weights) -> Vec<u8> {
    let rows = down.span();
    wide!({
        let narrow = resample_rows(picture, across, &rows);
        resample_columns(&narrow, 3 * across.taps.len(), down, rows.start)
    })
}

// The loops of both passes count, for iterators that are zipped are compiled elsewhere and not inlined here: a third of
// the time.

/// The horizontal pass over the given rows: RGB, as many columns as there are weights.
#[inline(always)]
fn resample_rows(picture: &Picture, across: &Weights, rows: &Range<usize>) -> Vec<u8> {
    let line = 4 * picture.width as usize;
    let mut narrow = Vec::with_capacity(3 * across.taps.len() * rows.len());
    for row in rows.clone() {
        let (pixels, _) = picture.rgba[row * line..(row + 1) * line].as_chunks::<4>();
        for (first, weights) in &across.taps {
            // Alpha is summed too, for four lanes are as fast as three, and dropped then.
            let mut sums = [1_i32 << (PRECISION_BITS - 1); 4];
            let pixels = &pixels[*first..*first + weights.len()];
            for tap in 0..weights.len() {
                let (pixel, weight) = (pixels[tap], weights[tap]);
                for lane in 0..4 {
                    sums[lane] += i32::from(pixel[lane]) * weight;
                }
            }
            narrow.extend([clip8(sums[0]), clip8(sums[1]), clip8(sums[2])]);
        }
    }
    narrow
}

/// The vertical pass over lines of `width` bytes, the first of which is line `start` of the picture.
#[inline(always)]
fn resample_columns(narrow: &[u8], width: usize, down: &Weights, start: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * down.taps.len());
    let mut sums = vec![0_i32; width];
    for (first, weights) in &down.taps {
        sums.fill(1 << (PRECISION_BITS - 1));
        for (tap, &weight) in weights.iter().enumerate() {
            let line = &narrow[width * (first - start + tap)..][..width];
            let sums = &mut sums[..width];
            for column in 0..width {
                sums[column] += i32::from(line[column]) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip8(sum)));
    }
    out
}

#[inline(always)]
fn clip8(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artwork::decode::{DecodeLimits, decode};
    use std::path::PathBuf;

    fn fixture(name: &str) -> Picture {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/clip")
            .join(name);
        let bytes = std::fs::read(&path).expect("the fixture is committed");
        decode(&bytes, &DecodeLimits::default()).expect("the fixture is a picture")
    }

    /// The formula of make_goldens.py.
    fn pattern(width: u32, height: u32) -> Picture {
        Picture::drawn(width, height, |x, y| {
            let (x, y) = (i64::from(x), i64::from(y));
            let channel =
                |c: i64| (((x * x * (3 + c) + y * y * (5 - c) + x * y * 7) >> 5) + 40 * c) as u8;
            [channel(0), channel(1), channel(2), 255]
        })
    }

    /// Fails unless our pixels are Pillow's, each and every one.
    fn assert_equal(ours: &[u8], golden: &str) {
        let theirs = fixture(golden);
        let theirs: Vec<u8> = theirs
            .rgba
            .chunks(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect();
        assert_eq!(ours.len(), theirs.len(), "{golden}");
        let differing = ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{golden}: values that differ from Pillow's");
    }

    #[test]
    fn drawn_pictures_equal_pillow_s() {
        let drawn = [
            (1, 1, 32),
            (16, 16, 64),
            (37, 53, 48),
            (53, 37, 48),
            (300, 5, 32),
            (5, 300, 32),
            (48, 48, 48),
            (48, 131, 48),
            (225, 224, 224),
            (640, 480, 64),
            (4000, 3001, 48),
            (31, 4000, 40),
        ];
        for (width, height, size) in drawn {
            let ours = Preprocess::clip(size).pixels(&pattern(width, height));
            assert_equal(&ours, &format!("drawn-{width}x{height}-{size}.png"));
        }
    }

    #[test]
    fn other_filters_and_shapes_equal_pillow_s() {
        let bilinear = Preprocess {
            filter: Filter::Bilinear,
            ..Preprocess::clip(40)
        };
        assert_equal(&bilinear.pixels(&pattern(97, 61)), "bilinear-97x61-40.png");
        let squash = Preprocess {
            shape: Shape::Squash,
            ..Preprocess::clip(40)
        };
        assert_equal(&squash.pixels(&pattern(97, 61)), "squash-97x61-40.png");
    }

    #[test]
    fn every_kind_of_png_equals_pillow_s() {
        for mode in ["rgba", "la", "l", "1", "p", "rgb16"] {
            let source = fixture(&format!("mode-{mode}-source.png"));
            let ours = Preprocess::clip(40).pixels(&source);
            assert_equal(&ours, &format!("mode-{mode}-40.png"));
        }
    }

    #[test]
    fn a_line_costs_no_more_than_a_picture() {
        // Whole, the resized line would have 224 × 14,680,000 pixels.
        let line = Picture {
            width: 65_535,
            height: 1,
            rgba: [9, 8, 7, 255].repeat(65_535),
        };
        let pixels = Preprocess::clip(224).pixels(&line);
        assert_eq!(pixels, [9, 8, 7].repeat(224 * 224));
    }

    #[test]
    fn halves_round_to_even_as_in_python() {
        let rounded: Vec<u64> = (0..8).map(round_half_to_even).collect();
        assert_eq!(rounded, [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn the_tensor_is_normalised_channels_first() {
        let grey = Picture {
            width: 2,
            height: 2,
            rgba: [255, 0, 51, 0].repeat(4),
        };
        let recipe = Preprocess {
            mean: [0.5; 3],
            std: [0.5, 0.25, 1.0],
            ..Preprocess::clip(2)
        };
        let expected = [[1.0; 4], [-2.0; 4], [-0.3; 4]].concat();
        let ours = recipe.tensor(&grey);
        assert!(
            ours.iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{ours:?}"
        );
    }
}
