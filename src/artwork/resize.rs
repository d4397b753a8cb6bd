//! Resizing four-byte pixels to RGB, down or up, whatever the proportions.
//!
//! Alpha is composited on the background before, which equals resizing with premultiplied alpha, so no dark fringes
//! appear. Halvings by averaging come first, along each axis while it shrinks much; then Catmull-Rom, which is Pillow's
//! bicubic and so the 2022 post's. Lanczos3 looks the same at a cell's size (`tests/bench/README.md`) and reads half as
//! many pixels again.
//!
//! Pure. Invariant: apart from copies of the part that is shown, [`resized`] takes memory in proportion to the result,
//! because the filter never shrinks an axis by [`HALVED_FROM`] or more.

use super::decode::Picture;
use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedCroppedImage, TypedImage, TypedImageRef},
    pixels::U8x4,
};
use std::ops::Range;

/// Pictures are halved by averaging while they are this many times as large as they are shown, and left to the filter
/// from there: at least twice the size, as in Pillow's `reducing_gap = 2`, where a halving gives the same picture as
/// the filter alone at a fraction of the cost.
const HALVED_FROM: f64 = 4.0;

/// A rectangle of the picture, in its pixels; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Window {
    /// All of a picture of that width and height.
    pub(super) fn whole((width, height): (u32, u32)) -> Self {
        Self {
            left: 0.0,
            top: 0.0,
            width: f64::from(width),
            height: f64::from(height),
        }
    }

    /// The same part of a picture that was halved along the axes, across and down.
    fn halved(self, (across, down): (bool, bool)) -> Self {
        let half = |halved, length: f64| if halved { length / 2.0 } else { length };
        Self {
            left: half(across, self.left),
            top: half(down, self.top),
            width: half(across, self.width),
            height: half(down, self.height),
        }
    }
}

/// The window at another size, width and height, RGB; `None` for an empty one or a picture that is none.
pub(super) fn resized(
    picture: &Picture,
    window: Window,
    (width, height): (u32, u32),
    background: [u8; 3],
) -> Option<Vec<u8>> {
    if width == 0 || height == 0 {
        return None;
    }
    // The filter must not see what is not shown.
    let (left, top) = (window.left.floor(), window.top.floor());
    let seen = View {
        bytes: &picture.rgba,
        of: (picture.width, picture.height),
        left: left as u32,
        top: top as u32,
        width: ((window.left + window.width).ceil() - left) as u32,
        height: ((window.top + window.height).ceil() - top) as u32,
    };
    let window = Window {
        left: window.left - left,
        top: window.top - top,
        ..window
    };
    let (reduced, window) = reduced(seen, window, (width, height), background);
    let view = reduced.as_ref().map_or(seen, Rgbx::view);
    filtered(view, window, (width, height))
}

/// What the filter is given: opaque pixels, `None` for those seen, and the window in them, less than [`HALVED_FROM`] times
/// as large as `to`.
fn reduced(
    seen: View,
    mut window: Window,
    to: (u32, u32),
    background: [u8; 3],
) -> (Option<Rgbx>, Window) {
    let shrinks = |window: &Window| {
        let across = window.width / f64::from(to.0) >= HALVED_FROM;
        (across, window.height / f64::from(to.1) >= HALVED_FROM)
    };
    let mut reduced: Option<Rgbx> = None;
    if shrinks(&window) == (true, true) {
        // Most pictures are opaque, and one look at their many pixels is enough.
        let (half, opaque) = halve(seen);
        reduced = Some(match opaque {
            true => half,
            false => {
                drop(half);
                halve(composited(seen, background).view()).0
            }
        });
        window = window.halved((true, true));
    } else if !is_opaque(seen) {
        reduced = Some(composited(seen, background));
    }
    loop {
        let view = reduced.as_ref().map_or(seen, Rgbx::view);
        let axes = shrinks(&window);
        reduced = Some(match axes {
            (true, true) => halve(view).0,
            (true, false) => halve_across(view),
            (false, true) => halve_down(view),
            (false, false) => return (reduced, window),
        });
        window = window.halved(axes);
    }
}

/// A square of `from × from` four-byte pixels, the fourth of which is ignored, at another side, RGB; `None` if they do not
/// fit.
pub(crate) fn resized_square(rgbx: &[u8], from: u32, to: u32) -> Option<Vec<u8>> {
    let size = (from, from);
    filtered(View::whole(rgbx, size), Window::whole(size), (to, to))
}

/// A rectangle of whole four-byte pixels within a picture.
#[derive(Clone, Copy)]
struct View<'a> {
    /// All of the picture's, row-major.
    bytes: &'a [u8],
    /// Width and height of the picture.
    of: (u32, u32),
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl<'a> View<'a> {
    fn whole(bytes: &'a [u8], of @ (width, height): (u32, u32)) -> Self {
        Self {
            bytes,
            of,
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    fn rows(self) -> impl Iterator<Item = &'a [u8]> {
        let line = 4 * self.of.0 as usize;
        let (from, bytes) = (4 * self.left as usize, 4 * self.width as usize);
        let rows = self.bytes.chunks_exact(line);
        let rows = rows.skip(self.top as usize).take(self.height as usize);
        rows.map(move |row| &row[from..from + bytes])
    }
}

/// Opaque pixels, four bytes each, row-major.
struct Rgbx {
    /// Width and height.
    size: (u32, u32),
    bytes: Vec<u8>,
}

impl Rgbx {
    fn view(&self) -> View<'_> {
        View::whole(&self.bytes, self.size)
    }
}

/// Whether no pixel lets the background through.
fn is_opaque(view: View) -> bool {
    // Without a branch per pixel, so that a row is compared many pixels at a time.
    let opaque = |row: &[u8]| {
        let pixels = row.as_chunks::<4>().0.iter();
        pixels.fold(u32::MAX, |all, pixel| all & u32::from_le_bytes(*pixel)) >> 24 == 255
    };
    view.rows().all(opaque)
}

/// The pixels over an opaque background.
fn composited(view: View, background: [u8; 3]) -> Rgbx {
    let size = (view.width, view.height);
    let mut bytes = Vec::with_capacity(4 * size.0 as usize * size.1 as usize);
    view.rows().for_each(|row| bytes.extend_from_slice(row));
    for pixel in bytes.as_chunks_mut::<4>().0 {
        *pixel = over(*pixel, background);
    }
    Rgbx { size, bytes }
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

/// Halves both axes: rounded means of four; an odd last row or column is averaged from what there is. Says whether all
/// pixels were opaque.
fn halve(view: View) -> (Rgbx, bool) {
    means(view.rows(), view.width, view.height)
}

/// Halves the width alone.
fn halve_across(view: View) -> Rgbx {
    let twice = view.rows().flat_map(|row| [row, row]);
    means(twice, view.width, 2 * view.height).0
}

/// Halves the height alone.
fn halve_down(view: View) -> Rgbx {
    let size = (view.width, view.height.div_ceil(2));
    let mut bytes = Vec::with_capacity(4 * size.0 as usize * size.1 as usize);
    let mut rows = view.rows();
    while let Some(top) = rows.next() {
        let bottom = rows.next().unwrap_or(top);
        let both = top.iter().zip(bottom);
        bytes.extend(both.map(|(a, b)| (u16::from(*a) + u16::from(*b)).div_ceil(2) as u8));
    }
    Rgbx { size, bytes }
}

/// Means of four, of `height` rows of `width` pixels.
fn means<'a>(mut rows: impl Iterator<Item = &'a [u8]>, width: u32, height: u32) -> (Rgbx, bool) {
    const ALPHA: u64 = 0xFF00_0000_FF00_0000;
    let size = (width.div_ceil(2), height.div_ceil(2));
    let mut bytes = vec![0; 4 * size.0 as usize * size.1 as usize];
    let mut all = ALPHA;
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

/// Filters the `window` of what is seen down or up to `to`, width and height. RGB, `None` if anything does not fit.
///
/// Both passes go along rows, the second along those of the turned picture: the library's own pass along columns (6.1.0)
/// calls a closure for every vector, which takes longer than all the rest.
fn filtered(view: View, window: Window, to: (u32, u32)) -> Option<Vec<u8>> {
    let across = window.left..window.left + window.width;
    let down = window.top..window.top + window.height;
    let narrow = along_rows(view, across, to.0)?;
    let columns = turned(narrow.pixels(), to.0 as usize);
    drop(narrow);
    let columns = View::whole(columns.as_flattened(), (view.height, to.0));
    let small = along_rows(columns, down, to.1)?;
    let rows = turned(small.pixels(), to.1 as usize);
    let mut rgb = vec![0; rows.len() * 3];
    for (to, [r, g, b, _]) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(rows) {
        *to = [r, g, b];
    }
    Some(rgb)
}

/// Filters along rows: the columns `window` of what is seen become `width`; the fourth byte is ignored.
///
/// The only place that does: each kind of picture and view that the library is asked for takes seconds to compile.
fn along_rows(view: View, window: Range<f64>, width: u32) -> Option<TypedImage<'static, U8x4>> {
    let source = TypedImageRef::<U8x4>::from_buffer(view.of.0, view.of.1, view.bytes).ok()?;
    let seen = TypedCroppedImage::from_ref(&source, view.left, view.top, view.width, view.height);
    let mut target = TypedImage::<U8x4>::new(width, view.height);
    let (length, height) = (window.end - window.start, f64::from(view.height));
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false)
        .crop(window.start, 0.0, length, height);
    Resizer::new()
        .resize_typed(&seen.ok()?, &mut target, &options)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GREY: [u8; 3] = [10, 20, 30];

    #[test]
    fn half_alpha_is_halfway_to_the_background() {
        assert_eq!(over([255, 255, 255, 128], [0; 3]), [128, 128, 128, 255]);
        assert_eq!(over([9, 9, 9, 0], GREY), [10, 20, 30, 255]);
        assert_eq!(over([9, 8, 7, 255], GREY), [9, 8, 7, 255]);
    }

    #[test]
    fn halves_are_rounded_means_of_what_there_is() {
        let pixel = |v: u8| [v, v + 1, v + 2, 255];
        let bytes: Vec<u8> = (0..9).flat_map(|i| pixel(10 * i)).collect();
        let (half, opaque) = halve(View::whole(&bytes, (3, 3)));
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
            let (_, opaque) = halve(View::whole(&bytes, (5, 3)));
            assert!(!opaque, "pixel {clear}");
        }
    }

    #[test]
    fn turning_gives_what_the_library_s_own_passes_give() {
        // It goes along columns first. Where sharp edges overshoot eight bits between the passes the order shows, so here
        // are none.
        let wave = |at: f32| (128.0 + 60.0 * at.sin()) as u8;
        let waves = Picture::drawn(97, 61, |x, y| {
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
            let ours = filtered(View::whole(&waves.rgba, size), window, to);
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
        let bands = Picture::drawn(width, height, |x, y| {
            [wave(x, y), wave(y, x), wave(x, x), 255]
        });
        let whole = View::whole(&bands.rgba, (width, height));
        let windows = [
            (4.0, 0.0, 1029.0, 1029.0, (64, 64)),
            (259.25, 257.25, 518.5, 514.5, (64, 64)),
            (3.75, 100.5, 1030.25, 500.25, (64, 24)),
            (100.25, 2.75, 300.5, 1020.25, (64, 48)),
        ];
        for (left, top, across, down, to) in windows {
            let window = Window {
                left,
                top,
                width: across,
                height: down,
            };
            let alone = filtered(whole, window, to).expect("resized");
            let halved = resized(&bands, window, to, GREY).expect("resized");
            let squares = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
            let mean = alone.iter().zip(&halved).map(squares).sum::<f64>() / alone.len() as f64;
            // 42 dB: no eye tells the two apart.
            assert!(mean < 4.0, "mean square difference {mean} of {window:?}");
        }
    }

    #[test]
    fn a_line_is_halved_along_itself_alone() {
        // 40 levels of grey, the brightest first.
        let grey = |at: u32| (250 - at / 1000 * 5) as u8;
        let across = Picture::drawn(40_000, 3, |x, _| [grey(x), 0, 9, 255]);
        let down = Picture::drawn(3, 40_000, |_, y| [grey(y), 0, 9, 255]);
        let whole = |p: &Picture| Window::whole((p.width, p.height));
        for (line, to, most) in [(&across, (100, 2), (400, 3)), (&down, (2, 100), (3, 400))] {
            let seen = View::whole(&line.rgba, (line.width, line.height));
            let (half, window) = reduced(seen, whole(line), to, GREY);
            let size = half.expect("it is longer").size;
            assert!(size.0 <= most.0 && size.1 <= most.1, "{size:?}");
            assert!(window.width < HALVED_FROM * f64::from(to.0));
            assert!(window.height < HALVED_FROM * f64::from(to.1));
        }
        let across = resized(&across, whole(&across), (100, 2), GREY).expect("resized");
        let down = resized(&down, whole(&down), (2, 100), GREY).expect("resized");
        for i in 0..100 {
            let middle = grey(400 * i as u32 + 200);
            for at in [3 * i, 3 * (100 + i)] {
                assert!(
                    across[at].abs_diff(middle) <= 3,
                    "{i}: {} {middle}",
                    across[at]
                );
                assert_eq!(across[at + 2], 9);
            }
            assert_eq!(down[6 * i], across[3 * i], "{i}");
        }
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
}
