//! Families drawn in the plane: noise textures, stripes, rings, cells, ribbons.

use super::palette::{Palette, pixel};
use super::random::{Draws, fbm2, hash, noise2};
use super::stage::{image_plane, stripe};
use super::vector::{Vec3, fract, mix, smoothstep, turn};
use image::RgbImage;
use std::f32::consts::{PI, TAU};

/// Fills an image with `colour(x, y)` over -1..1, the mean of `side`² samples a pixel.
fn fill(size_px: u32, side: u32, colour: impl Fn(f32, f32) -> Vec3) -> RgbImage {
    let step = 2.0 / (size_px.max(1) * side) as f32;
    RgbImage::from_fn(size_px, size_px, |column, row| {
        let (x, y) = image_plane(column, row, size_px);
        let middle = 0.5 * (side as f32 - 1.0);
        let mut sum = Vec3::ZERO;
        for i in 0..side {
            for j in 0..side {
                sum = sum
                    + colour(
                        x + (i as f32 - middle) * step,
                        y + (j as f32 - middle) * step,
                    );
            }
        }
        pixel(sum * (1.0 / (side * side) as f32))
    })
}

/// What every flat image varies: colours, turn, zoom, place and a vignette.
struct Sheet {
    palette: Palette,
    offset: f32,
    turn: (f32, f32),
    zoom: f32,
    at: (f32, f32),
    vignette: f32,
    layer: i32,
}

impl Sheet {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            palette: Palette::draw(draws),
            offset: draws.range(0.0, 1.0),
            turn: draws.angle().sin_cos(),
            zoom: draws.range(0.7, 1.5),
            at: (draws.range(-40.0, 40.0), draws.range(-40.0, 40.0)),
            vignette: draws.range(0.0, 0.45),
            layer: draws.below(1 << 20) as i32,
        }
    }

    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = turn(x, y, self.turn);
        (x * self.zoom, y * self.zoom)
    }

    fn colour(&self, t: f32) -> Vec3 {
        self.palette.at(self.offset + t)
    }

    fn shade(&self, x: f32, y: f32) -> f32 {
        1.0 - self.vignette * (x * x + y * y) * 0.6
    }
}

pub(super) fn noise(draws: &mut Draws, size_px: u32) -> RgbImage {
    let sheet = Sheet::draw(draws);
    let kind = draws.below(4);
    let frequency = draws.range(1.2, 2.6);
    let warp = draws.range(1.5, 4.0);
    let colours = draws.range(0.5, 1.3);
    let relief = draws.range(0.0, 1.0);
    let value = |u: f32, v: f32| {
        let (u, v) = (u * frequency + sheet.at.0, v * frequency + sheet.at.1);
        let layer = sheet.layer;
        let q = fbm2(u, v, 3, layer);
        match kind {
            0 => {
                let r = fbm2(u + warp * q, v - warp * q, 4, layer + 1);
                (r, q)
            }
            1 => {
                let ridge = 1.0 - (2.0 * fbm2(u + q, v + q, 4, layer + 2) - 1.0).abs();
                (ridge * ridge, q)
            }
            2 => {
                let marble = 0.5 + 0.5 * (u * 2.0 + warp * 4.0 * fbm2(u, v, 4, layer + 3)).sin();
                (marble * 0.7, q)
            }
            _ => {
                let steps = 9.0;
                let h = fbm2(u + 0.7 * warp * q, v, 3, layer + 4) * steps;
                (
                    h.floor() / steps + smoothstep(0.9, 1.0, fract(h)) / steps,
                    q,
                )
            }
        }
    };
    fill(size_px, 1, |x, y| {
        let (u, v) = sheet.place(x, y);
        let (t, q) = value(u, v);
        let slope = if relief > 0.3 {
            (value(u + 0.012, v + 0.012).0 - t) * 30.0 * relief
        } else {
            0.0
        };
        let light = (1.0 + slope).clamp(0.35, 1.7);
        sheet.colour(t * colours + q * 0.3) * (light * sheet.shade(x, y))
    })
}

pub(super) fn stripes(draws: &mut Draws, size_px: u32) -> RgbImage {
    let sheet = Sheet::draw(draws);
    let kind = draws.below(4);
    let lines = draws.range(5.0, 15.0);
    let wave = draws.range(0.0, 0.25);
    let waves = draws.range(1.0, 5.0);
    let second = draws.range(0.08, 0.35).sin_cos();
    let width = draws.range(0.3, 0.65);
    let inks = [0.0, draws.range(0.25, 0.5), draws.range(0.5, 0.8)];
    fill(size_px, 2, |x, y| {
        let (u, v) = sheet.place(x, y);
        let bend = wave * (v * waves).sin();
        let blur = 0.04;
        let colour = match kind {
            // Two gratings, slightly turned against each other.
            0 => {
                let (u2, _) = turn(u, v, second);
                let a = stripe((u + bend) * lines, width, blur);
                let b = stripe((u2 - bend) * lines, width, blur);
                sheet
                    .colour(inks[0])
                    .mix(sheet.colour(inks[1]), a)
                    .mix(sheet.colour(inks[2]), b * 0.8)
            }
            // Lines pushed aside by hills.
            1 => {
                let hill = fbm2(u * 1.6 + sheet.at.0, v * 1.6 + sheet.at.1, 3, sheet.layer) * 2.2;
                let a = stripe((v + hill * 0.6) * lines * 0.8, width, blur);
                sheet
                    .colour(inks[0] + hill * 0.15)
                    .mix(sheet.colour(inks[1]) * 0.25, a)
            }
            // Even bands in changing colours.
            2 => {
                let place = (u + bend) * lines * 0.5;
                let tone = hash(place.floor() as i32, sheet.layer, 0);
                sheet.colour(tone) * mix(0.75, 1.05, fract(place))
            }
            // Zigzags.
            _ => {
                let zig = (fract(v * waves * 0.6) - 0.5).abs() * (0.4 + wave);
                let place = (u + zig) * lines * 0.7;
                let a = stripe(place, width, blur);
                sheet
                    .colour(inks[0] + 0.1 * place.floor() * wave)
                    .mix(sheet.colour(inks[1]), a)
            }
        };
        colour * sheet.shade(x, y)
    })
}

pub(super) fn rings(draws: &mut Draws, size_px: u32) -> RgbImage {
    let sheet = Sheet::draw(draws);
    let kind = draws.below(4);
    let count = draws.range(4.0, 11.0);
    let width = draws.range(0.3, 0.65);
    let centre = (draws.range(-0.3, 0.3), draws.range(-0.3, 0.3));
    let springs: Vec<(f32, f32)> = (0..draws.count(2, 4))
        .map(|_| (draws.range(-1.0, 1.0), draws.range(-1.0, 1.0)))
        .collect();
    let petals = draws.count(3, 9) as f32;
    let wobble = draws.range(0.0, 0.12);
    let arms = draws.count(1, 5) as f32;
    let ink = draws.range(0.3, 0.6);
    fill(size_px, 2, |x, y| {
        let (u, v) = sheet.place(x - centre.0, y - centre.1);
        let radius = (u * u + v * v).sqrt();
        let angle = v.atan2(u);
        let colour = match kind {
            0 => {
                let place = radius * count * (1.0 + wobble * (angle * petals).sin());
                let tone = hash(place.floor() as i32, sheet.layer, 1);
                sheet.colour(tone * 0.9) * mix(0.7, 1.1, fract(place))
            }
            1 => {
                let sum: f32 = springs
                    .iter()
                    .map(|(cx, cy)| ((x - cx).hypot(y - cy) * count * 3.5).sin())
                    .sum();
                let t = sum / springs.len() as f32;
                sheet.colour(t * 0.4) * (0.65 + 0.35 * t)
            }
            2 => {
                let place = radius.max(1e-3).ln() * count * 0.35 + angle / TAU * arms;
                let a = stripe(place, width, 0.05);
                sheet.colour(radius * 0.4).mix(sheet.colour(ink), a)
            }
            _ => {
                let place = radius * count * (1.0 + wobble * (angle * petals).sin());
                let a = stripe(place, width, 0.06);
                let glow = (-radius * 1.6).exp();
                (sheet.colour(ink) * 0.18).mix(sheet.colour(place * 0.07), a) * (0.5 + 1.3 * glow)
            }
        };
        colour * sheet.shade(x, y)
    })
}

pub(super) fn cells(draws: &mut Draws, size_px: u32) -> RgbImage {
    let sheet = Sheet::draw(draws);
    let kind = draws.below(3);
    let frequency = draws.range(2.2, 5.5);
    let edge = draws.range(0.02, 0.1);
    let ink = draws.range(0.3, 0.7);
    let dome = draws.range(0.0, 0.9);
    let width = draws.range(0.09, 0.2);
    fill(size_px, if kind == 2 { 2 } else { 1 }, |x, y| {
        let (u, v) = sheet.place(x, y);
        let (u, v) = (u * frequency + sheet.at.0, v * frequency + sheet.at.1);
        let colour = if kind == 2 {
            // Truchet tiles: two quarter circles per tile, turned by chance.
            let (i, j) = (u.floor() as i32, v.floor() as i32);
            let (mut a, b) = (fract(u), fract(v));
            if hash(i, j, sheet.layer) < 0.5 {
                a = 1.0 - a;
            }
            let near = a.hypot(b).min((1.0 - a).hypot(1.0 - b));
            let away = (near - 0.5).abs();
            let line = 1.0 - smoothstep(width - 0.03, width + 0.03, away);
            let round = (1.0 - (away / width).min(1.0).powi(2)).max(0.0).sqrt();
            let under = sheet.colour(ink + 0.12 * hash(i, j, sheet.layer + 1)) * 0.45;
            under.mix(
                sheet.colour(0.1 * (u + v).sin()) * (0.5 + 0.7 * round),
                line,
            )
        } else {
            let (first, second, id) = voronoi(u, v, sheet.layer);
            let border = smoothstep(0.0, edge, second - first);
            let tone = sheet.colour(0.7 * hash(id.0, id.1, sheet.layer + 2));
            let lit = mix(1.0, 1.25 - first * 1.1, dome);
            let wall = sheet.colour(ink) * if kind == 0 { 0.12 } else { 1.1 };
            wall.mix(tone * lit, border)
        };
        colour * sheet.shade(x, y)
    })
}

/// Distances to the nearest and second nearest seed, and the nearest one's lattice cell.
fn voronoi(u: f32, v: f32, layer: i32) -> (f32, f32, (i32, i32)) {
    let (i, j) = (u.floor() as i32, v.floor() as i32);
    let (mut first, mut second, mut id) = (f32::INFINITY, f32::INFINITY, (0, 0));
    for dj in -1..=1 {
        for di in -1..=1 {
            let (a, b) = (i.wrapping_add(di), j.wrapping_add(dj));
            let x = a as f32 + 0.1 + 0.8 * hash(a, b, layer);
            let y = b as f32 + 0.1 + 0.8 * hash(a, b, layer.wrapping_add(7));
            let distance = (u - x).hypot(v - y);
            if distance < first {
                (second, first, id) = (first, distance, (a, b));
            } else if distance < second {
                second = distance;
            }
        }
    }
    (first, second, id)
}

pub(super) fn ribbons(draws: &mut Draws, size_px: u32) -> RgbImage {
    let sheet = Sheet::draw(draws);
    let count = draws.count(4, 9);
    let glow = draws.chance(0.35);
    let spread = 2.2 / count as f32;
    let bands: Vec<[f32; 6]> = (0..count)
        .map(|i| {
            [
                -1.1 + spread * (i as f32 + draws.range(0.2, 0.8)),
                draws.range(0.08, 0.3),
                draws.range(1.0, 3.5),
                draws.angle(),
                draws.range(0.05, 0.2),
                draws.range(0.0, 1.0),
            ]
        })
        .collect();
    let back = if glow {
        sheet.palette.by_light(0) * 0.15
    } else {
        sheet.colour(0.5).mix(Vec3::splat(0.4), 0.3)
    };
    fill(size_px, 1, |x, y| {
        let (u, v) = sheet.place(x, y);
        let mut colour = back * (0.8 + 0.2 * noise2(u * 2.0 + 9.0, v * 2.0, sheet.layer));
        for [height, swing, waves, phase, half, tone] in &bands {
            let angle = u * waves + phase;
            let line = height + swing * (angle.sin() + 0.4 * (angle * 1.7 + phase).sin());
            // The band keeps its width where it runs steeply, and pinches where it turns over.
            let steep = swing * waves * angle.cos();
            let half = half * (0.35 + 0.65 * (u * 0.9 + phase * 2.0).cos().abs());
            let away = (v - line) / (1.0 + steep * steep).sqrt();
            let across = away / half.max(0.015);
            let ink = sheet.colour(tone * 0.8 + u * 0.08);
            if glow {
                colour = colour + ink * (0.09 / (away.abs() * 9.0 + 0.06));
                continue;
            }
            let soft = 1.0 - smoothstep(0.85, 2.0, (across - 0.35).abs());
            colour = colour * (1.0 - 0.5 * soft);
            let inside = 1.0 - smoothstep(0.94, 1.06, across.abs());
            let sheen = 0.55
                + 0.6 * (0.5 + 0.5 * (across * PI * 0.45 + 0.5).sin())
                + 0.15 * (angle * 2.0).cos();
            colour = colour.mix(ink * sheen, inside);
        }
        colour * sheet.shade(x, y)
    })
}
