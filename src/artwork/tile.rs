//! Preparing the square cell that the mosaic shows of a picture.
//!
//! Pure: pixels in, pixels out. Alpha is composited on the background before resizing, which equals resizing with
//! premultiplied alpha, so no dark fringes appear. Any picture gives a cell, 1 × 1 and 100,000 × 1 included.
//! Resizing: Catmull-Rom, which is Pillow's bicubic and so the 2022 post's, after halvings where the picture shrinks much.
//! Lanczos3 cannot be told from it at these sizes (45 to 50 dB) and takes half as long again.

use super::decode::Picture;
use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedCroppedImage, TypedImage, TypedImageRef},
    pixels::U8x4,
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

/// Pictures are halved by averaging while they are this many times as large as they are shown, and left to the filter
/// from there: at least twice the size, as in Pillow's `reducing_gap = 2`, where a halving cannot be told from the
/// filter alone and costs a fraction of it.
const HALVED_FROM: f64 = 4.0;

/// Makes the cell of `picture`. A picture whose buffer does not hold its size gives a cell of background.
pub fn prepare(picture: &Picture, spec: &TileSpec) -> Cell {
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
    let part = Part {
        left: left as u32,
        top: top as u32,
        width: ((window.left + window.width).ceil() - left) as u32,
        height: ((window.top + window.height).ceil() - top) as u32,
    };
    let shrinks_by = |scale: f64| {
        let (across, down) = (f64::from(width), f64::from(height));
        (window.width / across).min(window.height / down) / scale
    };
    let halved = |Rgbx { size, bytes }: &Rgbx| {
        halve(bytes.chunks_exact(4 * size.0 as usize), size.0, size.1).0
    };
    let (mut reduced, mut scale) = (None, 1.0);
    if shrinks_by(scale) >= HALVED_FROM {
        // Most pictures are opaque, and one look at their many pixels is enough.
        let (half, opaque) = halve(part.rows(picture), part.width, part.height);
        reduced = Some(match opaque {
            true => half,
            false => halved(&part.composited(picture, background)),
        });
        scale = 2.0;
    } else if !part.opaque(picture) {
        reduced = Some(part.composited(picture, background));
    }
    while let Some(large) = reduced
        .as_ref()
        .filter(|_| shrinks_by(scale) >= HALVED_FROM)
    {
        reduced = Some(halved(large));
        scale *= 2.0;
    }

    let window = Window {
        left: (window.left - left) / scale,
        top: (window.top - top) / scale,
        width: window.width / scale,
        height: window.height / scale,
    };
    // The filter must not see what the cell does not show.
    let view = match &reduced {
        Some(Rgbx { size, bytes }) => View::whole(bytes, *size),
        None => View {
            bytes: &picture.rgba,
            size: (picture.width, picture.height),
            seen: part,
        },
    };
    resample(&view, window, (width, height))
}

/// Four-byte pixels, the fourth byte of which is ignored, and what may be seen of them.
struct View<'a> {
    bytes: &'a [u8],
    /// Width and height.
    size: (u32, u32),
    seen: Part,
}

impl<'a> View<'a> {
    fn whole(bytes: &'a [u8], size @ (width, height): (u32, u32)) -> Self {
        let seen = Part {
            left: 0,
            top: 0,
            width,
            height,
        };
        Self { bytes, size, seen }
    }
}

/// Filters the `window` of what is seen down or up to `to`, width and height. RGB, `None` if anything does not fit.
///
/// Both passes go along rows, the second along those of the turned picture: the library's own pass along columns calls a
/// closure for every vector (6.1.0), which takes several times as long.
fn resample(view: &View, window: Window, to: (u32, u32)) -> Option<Vec<u8>> {
    let across = window.left..window.left + window.width;
    let down = window.top..window.top + window.height;
    let narrow = along_rows(view, across, to.0)?;
    let columns = turned(narrow.pixels(), to.0 as usize);
    let columns = View::whole(columns.as_flattened(), (view.seen.height, to.0));
    let small = along_rows(&columns, down, to.1)?;
    let rows = turned(small.pixels(), to.1 as usize);
    let mut rgb = vec![0; rows.len() * 3];
    for (to, [r, g, b, _]) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(rows) {
        *to = [r, g, b];
    }
    Some(rgb)
}

/// Filters along rows: the columns `window` of what is seen become `width`.
///
/// The only place that does: each kind of picture and view that the library is asked for takes seconds to compile.
fn along_rows(
    View { bytes, size, seen }: &View,
    window: Range<f64>,
    width: u32,
) -> Option<TypedImage<'static, U8x4>> {
    let source = TypedImageRef::<U8x4>::from_buffer(size.0, size.1, bytes).ok()?;
    let view = TypedCroppedImage::from_ref(&source, seen.left, seen.top, seen.width, seen.height);
    let mut target = TypedImage::<U8x4>::new(width, seen.height);
    let (length, height) = (window.end - window.start, f64::from(seen.height));
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false)
        .crop(window.start, 0.0, length, height);
    Resizer::new()
        .resize_typed(&view.ok()?, &mut target, &options)
        .ok()?;
    Some(target)
}

/// The rows of `width` pixels become columns, a cache line of each at a time.
fn turned(pixels: &[U8x4], width: usize) -> Vec<[u8; 4]> {
    const LINE: usize = 16;
    let mut turned = vec![[0; 4]; pixels.len()];
    let height = pixels.len() / width.max(1);
    for (band, rows) in pixels.chunks(LINE * width.max(1)).enumerate() {
        for (x, column) in turned.chunks_exact_mut(height.max(1)).enumerate() {
            let from = rows[x..].iter().step_by(width);
            let to = column[LINE * band..].iter_mut();
            to.zip(from).for_each(|(to, from)| *to = from.0);
        }
    }
    turned
}

/// A cell of `from × from` four-byte pixels at another side, RGB; `None` if they do not fit.
pub(crate) fn resized_square(rgbx: &[u8], from: u32, to: u32) -> Option<Vec<u8>> {
    let side = f64::from(from);
    let window = Window {
        left: 0.0,
        top: 0.0,
        width: side,
        height: side,
    };
    let whole = View::whole(rgbx, (from, from));
    resample(&whole, window, (to, to))
}

/// Opaque pixels, four bytes each, row-major.
struct Rgbx {
    /// Width and height.
    size: (u32, u32),
    bytes: Vec<u8>,
}

/// A rectangle of whole pixels within a picture.
struct Part {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Part {
    /// The RGBA rows of the rectangle.
    fn rows<'a>(&self, picture: &'a Picture) -> impl Iterator<Item = &'a [u8]> {
        let line = 4 * picture.width as usize;
        let (from, bytes) = (4 * self.left as usize, 4 * self.width as usize);
        let rows = picture.rgba.chunks_exact(line);
        let rows = rows.skip(self.top as usize).take(self.height as usize);
        rows.map(move |row| &row[from..from + bytes])
    }

    /// Whether no pixel of the rectangle lets the background through.
    fn opaque(&self, picture: &Picture) -> bool {
        // Without a branch per pixel, so that a row is compared many pixels at a time.
        let opaque = |row: &[u8]| {
            let pixels = row.as_chunks::<4>().0.iter();
            pixels.fold(u32::MAX, |all, pixel| all & u32::from_le_bytes(*pixel)) >> 24 == 255
        };
        self.rows(picture).all(opaque)
    }

    /// The rectangle's pixels over an opaque background.
    fn composited(&self, picture: &Picture, background: [u8; 3]) -> Rgbx {
        let mut bytes = Vec::with_capacity(4 * self.width as usize * self.height as usize);
        self.rows(picture)
            .for_each(|row| bytes.extend_from_slice(row));
        for pixel in bytes.as_chunks_mut::<4>().0 {
            *pixel = over(*pixel, background);
        }
        Rgbx {
            size: (self.width, self.height),
            bytes,
        }
    }
}

/// Halves opaque pixels: rounded means of four; an odd last row or column is averaged from what there is. Says whether
/// they were opaque.
fn halve<'a>(mut rows: impl Iterator<Item = &'a [u8]>, width: u32, height: u32) -> (Rgbx, bool) {
    let size = (width.div_ceil(2), height.div_ceil(2));
    let mut bytes = vec![0; 4 * size.0 as usize * size.1 as usize];
    // Every pixel and every other one, which has its alpha in the last byte.
    let mut all = u64::MAX;
    for to in bytes.chunks_exact_mut(4 * size.0 as usize) {
        let Some(top) = rows.next() else { break };
        let bottom = rows.next().unwrap_or(top);
        let (top, top_rest) = top.as_chunks::<8>();
        let (bottom, bottom_rest) = bottom.as_chunks::<8>();
        let (to, _) = to.as_chunks_mut::<4>();
        for ((to, top), bottom) in to.iter_mut().zip(top).zip(bottom) {
            let (top, bottom) = (u64::from_le_bytes(*top), u64::from_le_bytes(*bottom));
            all &= top & bottom;
            *to = mean(top, bottom);
        }
        if let (Some(to), [_, _, _, alpha]) = (to.last_mut(), top_rest) {
            all &= u64::from(alpha & bottom_rest[3]) << 56 | u64::MAX >> 8;
            for c in 0..4 {
                let sum = u16::from(top_rest[c]) + u16::from(bottom_rest[c]);
                to[c] = sum.div_ceil(2) as u8;
            }
        }
    }
    const ALPHA: u64 = 0xFF00_0000_FF00_0000;
    (Rgbx { size, bytes }, all & ALPHA == ALPHA)
}

/// The rounded mean of two pixels and the two below them, all four channels at once: every other byte has room to
/// grow into its neighbour's place.
fn mean(upper: u64, lower: u64) -> [u8; 4] {
    const EVEN: u64 = 0x00FF_00FF_00FF_00FF;
    let quarter = |upper: u64, lower: u64| {
        let sums = (upper & EVEN) + (lower & EVEN);
        ((sums + (sums >> 32) + 0x0002_0002) >> 2) as u32 & EVEN as u32
    };
    let (even, odd) = (quarter(upper, lower), quarter(upper >> 8, lower >> 8));
    (even | odd << 8).to_le_bytes()
}

/// A pixel over an opaque background.
fn over([r, g, b, alpha]: [u8; 4], background: [u8; 3]) -> [u8; 4] {
    let alpha = u32::from(alpha);
    let mix = |value: u8, behind: u8| {
        let sum = u32::from(value) * alpha + u32::from(behind) * (255 - alpha);
        ((sum + 127) / 255) as u8
    };
    let [behind_r, behind_g, behind_b] = background;
    [mix(r, behind_r), mix(g, behind_g), mix(b, behind_b), 255]
}

/// Puts `width × height` pixels in the middle of a cell of background.
fn centred(rgb: Vec<u8>, (width, height): (u32, u32), spec: &TileSpec) -> Vec<u8> {
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
            assert_eq!(cell.rgb, rgb(&exact.rgba));
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
        assert_eq!(over([255, 255, 255, 128], [0; 3]), [128, 128, 128, 255]);
        assert_eq!(over([9, 9, 9, 0], GREY), [10, 20, 30, 255]);
        assert_eq!(over([9, 8, 7, 255], GREY), [9, 8, 7, 255]);
    }

    proptest! {
        #[test]
        fn four_channels_at_once_have_the_means_of_each(a: [u8; 8], b: [u8; 8]) {
            let at = |c: usize| {
                let sum = [a[c], a[c + 4], b[c], b[c + 4]].map(u16::from).iter().sum::<u16>();
                ((sum + 2) / 4) as u8
            };
            prop_assert_eq!(mean(u64::from_le_bytes(a), u64::from_le_bytes(b)), [0, 1, 2, 3].map(at));
        }
    }

    #[test]
    fn halves_are_rounded_means_of_what_there_is() {
        let pixel = |v: u8| [v, v + 1, v + 2, 255];
        let bytes: Vec<u8> = (0..9).flat_map(|i| pixel(10 * i)).collect();
        let (half, opaque) = halve(bytes.chunks_exact(12), 3, 3);
        assert_eq!(half.size, (2, 2));
        assert!(opaque);
        let expected = [20, 35, 65, 80].map(pixel).concat();
        assert_eq!(half.bytes, expected);
    }

    #[test]
    fn every_pixel_that_is_not_opaque_is_seen_while_halving() {
        for clear in 0..15 {
            let mut bytes = [9, 9, 9, 255].repeat(15);
            bytes[4 * clear + 3] = 254;
            let (_, opaque) = halve(bytes.chunks_exact(4 * 5), 5, 3);
            assert!(!opaque, "pixel {clear}");
        }
    }

    #[test]
    fn a_hole_in_a_picture_that_is_halved_shows_the_background() {
        let hole = |x, y| (60..68).contains(&x) && (60..68).contains(&y);
        let alpha = |x, y| if hole(x, y) { 0 } else { 255 };
        let holed = picture(128, 128, |x, y| [200, 200, 200, alpha(x, y)]);
        let cell = prepare(&holed, &spec(16, Fit::Cover));
        let (middle, corner) = (at(&cell, 7, 7), at(&cell, 0, 0));
        assert_eq!(corner, [200; 3]);
        assert!(middle.iter().all(|&v| v < 180), "{middle:?}");
    }

    #[test]
    fn turning_gives_what_the_library_s_own_passes_give() {
        // It goes along columns first. Where sharp edges overshoot eight bits between the passes the order shows, so here
        // are none.
        let wave = |at: f32| (128.0 + 60.0 * at.sin()) as u8;
        let waves = picture(97, 61, |x, y| {
            let (x, y) = (x as f32, y as f32);
            [wave(x * y / 40.0), wave(x / 3.0 + y), wave(y / 2.0), 255]
        });
        let size = (waves.width, waves.height);
        let window = Window {
            left: 3.5,
            top: 1.25,
            width: 80.0,
            height: 59.5,
        };
        let source =
            TypedImageRef::<U8x4>::from_buffer(size.0, size.1, &waves.rgba).expect("whole");
        for to in [(23, 17), (140, 90)] {
            let ours = resample(&View::whole(&waves.rgba, size), window, to);
            let view = TypedCroppedImage::from_ref(&source, 0, 0, size.0, size.1);
            let mut target = TypedImage::<U8x4>::new(to.0, to.1);
            let options = ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
                .use_alpha(false)
                .crop(window.left, window.top, window.width, window.height);
            Resizer::new()
                .resize_typed(&view.expect("inside"), &mut target, &options)
                .expect("resized");
            let theirs: Vec<u8> = target
                .pixels()
                .iter()
                .flat_map(|p| [p.0[0], p.0[1], p.0[2]])
                .collect();
            let ours = ours.expect("resized");
            assert_eq!(ours.len(), theirs.len());
            // Each pass rounds once.
            assert!(ours.iter().zip(&theirs).all(|(a, b)| a.abs_diff(*b) <= 2));
        }
    }

    #[test]
    fn a_picture_that_shrinks_much_looks_as_if_the_filter_had_done_it_alone() {
        // Bands from coarse to as fine as the cell can show; odd sides, so that halves have odd edges too.
        let (width, height) = (1037, 1029);
        let wave = |x: u32, y: u32| {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            (128.0 + 100.0 * (30.0 * u * u + 9.0 * v).sin()) as u8
        };
        let bands = picture(width, height, |x, y| {
            [wave(x, y), wave(y, x), wave(x, x), 255]
        });
        let window = Window {
            left: 4.0,
            top: 0.0,
            width: 1029.0,
            height: 1029.0,
        };
        let whole = View::whole(&bands.rgba, (width, height));
        let alone = resample(&whole, window, (64, 64));
        let alone = alone.expect("resized");
        let halved = resized(&bands, window, (64, 64), GREY).expect("resized");
        let squares = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
        let mean = alone.iter().zip(&halved).map(squares).sum::<f64>() / alone.len() as f64;
        // 42 dB: no eye tells the two apart.
        assert!(mean < 4.0, "mean square difference {mean}");
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
