//! Preparing the square cell that the mosaic shows of a picture.
//!
//! Pure: pixels in, pixels out. Alpha is composited on the background before resizing, which equals resizing with
//! premultiplied alpha, so no dark fringes appear. Any picture gives a cell, 1 × 1 and 100,000 × 1 included.
//! Resizing: Lanczos3 where the picture shrinks, Catmull-Rom where it grows.

use super::decode::Picture;
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

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

/// Everything that decides a cell's pixels besides the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TileSpec {
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

/// A rectangle of the picture, in its pixels; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// Makes the cell of `picture`. A picture whose buffer does not hold its size gives a cell of background.
pub fn prepare(picture: &Picture, spec: &TileSpec) -> Cell {
    let (window, shown) = place(picture.width, picture.height, spec);
    let rgb = resized(picture, window, shown, spec.background)
        .map(|rgb| centred(&rgb, shown, spec))
        .unwrap_or_else(|| background(spec));
    Cell { px: spec.px, rgb }
}

/// Which part of a `width × height` picture is shown, and the size in pixels it has in the cell.
fn place(width: u32, height: u32, spec: &TileSpec) -> (Window, (u32, u32)) {
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

/// The window at the shown size, RGB; `None` for an empty cell or a picture that is none.
fn resized(
    picture: &Picture,
    window: Window,
    (width, height): (u32, u32),
    background: [u8; 3],
) -> Option<Vec<u8>> {
    if width == 0 || height == 0 {
        return None;
    }
    let (left, top) = (window.left.floor(), window.top.floor());
    let columns = left as usize..(window.left + window.width).ceil() as usize;
    let rows = top as usize..(window.top + window.height).ceil() as usize;
    let rgb = composite(&cut(picture, &columns, &rows)?, background);
    let (cut_width, cut_height) = (columns.len() as u32, rows.len() as u32);
    let source = ImageRef::new(cut_width, cut_height, &rgb, PixelType::U8x3).ok()?;
    let shrinks = window.width >= f64::from(width) || window.height >= f64::from(height);
    let filter = if shrinks {
        FilterType::Lanczos3
    } else {
        FilterType::CatmullRom
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(
            window.left - left,
            window.top - top,
            window.width,
            window.height,
        );
    let mut target = Image::new(width, height, PixelType::U8x3);
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    Some(target.into_vec())
}

/// The RGBA pixels of a rectangle: the filter must not see what the cell does not show.
fn cut(picture: &Picture, columns: &Range<usize>, rows: &Range<usize>) -> Option<Vec<u8>> {
    let line = 4 * picture.width as usize;
    let mut rgba = Vec::with_capacity(4 * columns.len() * rows.len());
    for row in rows.clone() {
        let at = row * line;
        rgba.extend_from_slice(
            picture
                .rgba
                .get(at + 4 * columns.start..at + 4 * columns.end)?,
        );
    }
    Some(rgba)
}

/// RGB of RGBA pixels over an opaque background.
pub(crate) fn composite(rgba: &[u8], background: [u8; 3]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        if alpha == 255 {
            rgb.extend_from_slice(&pixel[..3]);
        } else {
            rgb.extend((0..3).map(|c| {
                let sum = u32::from(pixel[c]) * alpha + u32::from(background[c]) * (255 - alpha);
                ((sum + 127) / 255) as u8
            }));
        }
    }
    rgb
}

/// Puts `width × height` pixels in the middle of a cell of background.
fn centred(rgb: &[u8], (width, height): (u32, u32), spec: &TileSpec) -> Vec<u8> {
    if (width, height) == (spec.px, spec.px) {
        return rgb.to_vec();
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

fn background(spec: &TileSpec) -> Vec<u8> {
    spec.background.repeat(spec.px as usize * spec.px as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GREY: [u8; 3] = [10, 20, 30];

    fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Picture {
        let rgba = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| pixel(x, y))
            .collect();
        Picture {
            width,
            height,
            rgba,
        }
    }

    fn spec(px: u32, fit: Fit) -> TileSpec {
        TileSpec {
            px,
            fit,
            background: GREY,
        }
    }

    fn at(cell: &Cell, x: u32, y: u32) -> [u8; 3] {
        let i = 3 * (y * cell.px + x) as usize;
        [cell.rgb[i], cell.rgb[i + 1], cell.rgb[i + 2]]
    }

    #[test]
    fn cover_keeps_the_middle_square() {
        // A 30 × 10 flag of three squares shows its middle one.
        let colours = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]];
        let flag = picture(30, 10, |x, _| colours[x as usize / 10]);
        let cell = prepare(&flag, &spec(8, Fit::Cover));
        assert!(cell.rgb.chunks(3).all(|p| p == [0, 255, 0]));
    }

    #[test]
    fn pre_crop_keeps_the_middle_half_of_both_sides() {
        let framed = picture(40, 80, |x, y| {
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
        let wide = picture(20, 10, |_, _| [200, 100, 50, 255]);
        let cell = prepare(&wide, &spec(8, Fit::Letterbox));
        assert_eq!(at(&cell, 0, 0), GREY);
        assert_eq!(at(&cell, 0, 2), [200, 100, 50]);
        assert_eq!(at(&cell, 7, 5), [200, 100, 50]);
        assert_eq!(at(&cell, 7, 6), GREY);
    }

    #[test]
    fn a_picture_of_the_cell_s_size_stays_as_it_is() {
        let exact = picture(16, 16, |x, y| [x as u8 * 16, y as u8 * 16, 7, 255]);
        for fit in [Fit::Cover, Fit::Letterbox] {
            let cell = prepare(&exact, &spec(16, fit));
            assert_eq!(cell.rgb, composite(&exact.rgba, GREY));
        }
    }

    #[test]
    fn the_colour_of_transparent_pixels_does_not_bleed() {
        // Left half white, right half transparent black: straight resizing would leave a dark fringe on white.
        let half = picture(64, 64, |x, _| {
            if x < 32 {
                [255, 255, 255, 255]
            } else {
                [0, 0, 0, 0]
            }
        });
        let white = TileSpec {
            px: 7,
            fit: Fit::Cover,
            background: [255; 3],
        };
        assert!(prepare(&half, &white).rgb.iter().all(|&v| v == 255));
    }

    #[test]
    fn half_alpha_is_halfway_to_the_background() {
        assert_eq!(composite(&[255, 255, 255, 128], [0; 3]), [128; 3]);
        assert_eq!(composite(&[9, 9, 9, 0], GREY), GREY);
    }

    #[test]
    fn odd_pictures_give_full_cells() {
        let sizes = [(1, 1), (1, 100_000), (100_000, 1), (2, 3), (5000, 3)];
        for (width, height) in sizes {
            let plain = picture(width, height, |_, _| [90, 90, 90, 255]);
            for fit in [Fit::Cover, Fit::PreCrop, Fit::Letterbox] {
                let cell = prepare(&plain, &spec(32, fit));
                assert_eq!(cell.rgb.len(), 32 * 32 * 3);
                // A letterboxed line lies in the middle: at column or row 15 of 0..32.
                assert_eq!(at(&cell, 15, 15), [90; 3], "{width} × {height} {fit:?}");
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
            let cell = prepare(&picture(width, height, |_, _| [r, g, b, 255]), &spec(px, fit));
            prop_assert_eq!(cell.rgb, colour.repeat((px * px) as usize));
        }
    }
}
