//! Preparing the square cell with which the mosaic shows a picture.
//!
//! Pure: pixels in, pixels out. Any picture gives a cell, 1 × 1 and 100,000 × 1 included. `resize` resizes the pixels.

use super::{
    decode::Picture,
    resize::{Window, resized},
};
use serde::{Deserialize, Serialize};

/// How a picture fills its square cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Scale until the cell is covered, crop the rest around the centre.
    #[default]
    Cover,
    /// The 2022 post's recipe: squeeze to a square of twice the cell, keep its centre.
    PreCrop,
    /// Scale until the picture fits, fill the rest with the background.
    Letterbox,
}

impl Fit {
    /// Its name in the configuration, in the manifest and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cover => "cover",
            Self::PreCrop => "pre-crop",
            Self::Letterbox => "letterbox",
        }
    }
}

/// Everything that decides a cell's pixels besides the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CellSpec {
    /// Side of the cell, pixels.
    pub px: u32,
    /// How the picture fills it.
    pub fit: Fit,
    /// Colour behind alpha and letterboxes, sRGB.
    pub background: [u8; 3],
}

/// A prepared cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Side, pixels.
    pub px: u32,
    /// `px × px × 3` bytes, row-major RGB.
    pub rgb: Vec<u8>,
}

/// Makes the cell of `picture`. A picture whose buffer does not hold its size gives a cell of background.
pub fn prepare(picture: &Picture, spec: &CellSpec) -> Cell {
    let (window, shown) = place(picture.width, picture.height, spec);
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    let rgb = (pixels > 0 && picture.rgba.len() as u64 == 4 * pixels)
        .then(|| resized(picture, window, shown, spec.background))
        .flatten()
        .map(|rgb| centred(rgb, shown, spec))
        .unwrap_or_else(|| background(spec));
    Cell { px: spec.px, rgb }
}

/// Which part of a `width × height` picture is shown, and the size in pixels it has in the cell.
fn place(width: u32, height: u32, spec: &CellSpec) -> (Window, (u32, u32)) {
    let (w, h) = (f64::from(width), f64::from(height));
    let (part_w, part_h, shown) = match spec.fit {
        Fit::Cover => (w.min(h), w.min(h), (spec.px, spec.px)),
        // The centre of the squeezed square of twice the cell is the picture's middle half in both directions.
        Fit::PreCrop => (w / 2.0, h / 2.0, (spec.px, spec.px)),
        Fit::Letterbox => {
            let scale = f64::from(spec.px) / w.max(h).max(1.0);
            let side = |length: f64| ((length * scale).round() as u32).clamp(1, spec.px.max(1));
            (w, h, (side(w), side(h)))
        }
    };
    let window = Window {
        left: (w - part_w) / 2.0,
        top: (h - part_h) / 2.0,
        width: part_w,
        height: part_h,
    };
    (window, shown)
}

/// Puts `width × height` pixels in the middle of a cell of background.
fn centred(rgb: Vec<u8>, (width, height): (u32, u32), spec: &CellSpec) -> Vec<u8> {
    if (width, height) == (spec.px, spec.px) {
        return rgb;
    }
    let mut cell = background(spec);
    let (left, top) = ((spec.px - width) / 2, (spec.px - height) / 2);
    let line = 3 * width as usize;
    for (row, pixels) in rgb.chunks_exact(line).enumerate() {
        let at = 3 * ((top as usize + row) * spec.px as usize + left as usize);
        cell[at..at + line].copy_from_slice(pixels);
    }
    cell
}

fn background(spec: &CellSpec) -> Vec<u8> {
    spec.background.repeat(spec.px as usize * spec.px as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GREY: [u8; 3] = [10, 20, 30];

    fn spec(px: u32, fit: Fit) -> CellSpec {
        CellSpec {
            px,
            fit,
            background: GREY,
        }
    }

    fn at(cell: &Cell, x: u32, y: u32) -> [u8; 3] {
        let i = 3 * (y * cell.px + x) as usize;
        [cell.rgb[i], cell.rgb[i + 1], cell.rgb[i + 2]]
    }

    /// Drops the fourth byte of every pixel.
    fn rgb(rgbx: &[u8]) -> Vec<u8> {
        rgbx.chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect()
    }

    #[test]
    fn cover_keeps_the_middle_square() {
        // A 30 × 10 flag of three squares shows its middle one.
        let colours = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]];
        let flag = Picture::drawn(30, 10, |x, _| colours[x as usize / 10]);
        let cell = prepare(&flag, &spec(8, Fit::Cover));
        assert!(cell.rgb.chunks(3).all(|p| p == [0, 255, 0]));
    }

    #[test]
    fn pre_crop_keeps_the_middle_half_of_both_sides() {
        let framed = Picture::drawn(40, 80, |x, y| {
            let inside = (10..30).contains(&x) && (20..60).contains(&y);
            if inside {
                [0, 200, 0, 255]
            } else {
                [255, 0, 0, 255]
            }
        });
        let cell = prepare(&framed, &spec(10, Fit::PreCrop));
        assert!(cell.rgb.chunks(3).all(|p| p == [0, 200, 0]));
    }

    #[test]
    fn letterbox_shows_everything_on_the_background() {
        let wide = Picture::drawn(20, 10, |_, _| [200, 100, 50, 255]);
        let cell = prepare(&wide, &spec(8, Fit::Letterbox));
        assert_eq!(at(&cell, 0, 0), GREY);
        assert_eq!(at(&cell, 0, 2), [200, 100, 50]);
        assert_eq!(at(&cell, 7, 5), [200, 100, 50]);
        assert_eq!(at(&cell, 7, 6), GREY);
    }

    #[test]
    fn a_picture_of_the_cell_s_size_stays_as_it_is() {
        let exact = Picture::drawn(16, 16, |x, y| [x as u8 * 16, y as u8 * 16, 7, 255]);
        for fit in [Fit::Cover, Fit::Letterbox] {
            let cell = prepare(&exact, &spec(16, fit));
            assert_eq!(cell.rgb, rgb(&exact.rgba));
        }
    }

    #[test]
    fn the_colour_of_transparent_pixels_does_not_bleed() {
        // Left half white, right half transparent black: straight resizing would leave a dark fringe on white.
        let half = Picture::drawn(64, 64, |x, _| {
            if x < 32 {
                [255, 255, 255, 255]
            } else {
                [0, 0, 0, 0]
            }
        });
        let white = CellSpec {
            px: 7,
            fit: Fit::Cover,
            background: [255; 3],
        };
        assert!(prepare(&half, &white).rgb.iter().all(|&v| v == 255));
    }

    #[test]
    fn a_hole_in_a_picture_that_is_halved_shows_the_background() {
        let hole = |x, y| (60..68).contains(&x) && (60..68).contains(&y);
        let alpha = |x, y| if hole(x, y) { 0 } else { 255 };
        let holed = Picture::drawn(128, 128, |x, y| [200, 200, 200, alpha(x, y)]);
        let cell = prepare(&holed, &spec(16, Fit::Cover));
        let (middle, corner) = (at(&cell, 7, 7), at(&cell, 0, 0));
        assert_eq!(corner, [200; 3]);
        assert!(middle.iter().all(|&v| v < 180), "{middle:?}");
    }

    #[test]
    fn odd_pictures_give_full_cells() {
        let sizes = [
            (1, 1),
            (1, 100_000),
            (100_000, 1),
            (2, 3),
            (5000, 3),
            (4, 1_000_000),
        ];
        for (width, height) in sizes {
            let plain = Picture::drawn(width, height, |_, _| [90, 90, 90, 255]);
            for fit in [Fit::Cover, Fit::PreCrop, Fit::Letterbox] {
                let cell = prepare(&plain, &spec(32, fit));
                assert_eq!(cell.rgb.len(), 32 * 32 * 3);
                // A letterboxed line lies in the middle: at column or row 15 of 0..32.
                assert_eq!(at(&cell, 15, 15), [90; 3], "{width} × {height} {fit:?}");
            }
        }
    }

    #[test]
    fn what_is_transparent_shows_the_background_at_any_size() {
        let sizes = [
            (8, 8),
            (32, 32),
            (33, 65),
            (64, 64),
            (500, 500),
            (2, 900),
            (900, 2),
        ];
        for (width, height) in sizes {
            let clear = Picture::drawn(width, height, |_, _| [255, 0, 0, 0]);
            for fit in [Fit::Cover, Fit::PreCrop, Fit::Letterbox] {
                let cell = prepare(&clear, &spec(16, fit));
                assert_eq!(cell.rgb, GREY.repeat(256), "{width} × {height} {fit:?}");
            }
        }
    }

    #[test]
    fn a_picture_that_lies_about_its_size_gives_background() {
        let lie = Picture {
            width: 10,
            height: 10,
            rgba: vec![255; 12],
        };
        let cell = prepare(&lie, &spec(4, Fit::Cover));
        assert_eq!(cell.rgb, GREY.repeat(16));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_plain_picture_gives_a_plain_cell(
            width in 1_u32..200, height in 1_u32..200, px in 0_u32..80,
            colour: [u8; 3], fit in 0..2,
        ) {
            let fit = [Fit::Cover, Fit::PreCrop][fit as usize];
            let [r, g, b] = colour;
            let cell = prepare(&Picture::drawn(width, height, |_, _| [r, g, b, 255]), &spec(px, fit));
            prop_assert_eq!(cell.rgb, colour.repeat((px * px) as usize));
        }
    }
}
