//! From 64 coefficients to 64 samples: the inverse discrete cosine transform in whole numbers.
//!
//! Source: ITU-T T.81, A.3.3; the fast factorisation is that of Loeffler, Ligtenberg and Moschytz (1989), with 13 bits of
//! fraction.

const FRACTION: i32 = 13;
/// Extra bits between the two passes.
const EXTRA: i32 = 2;

const fn fixed(value: f64) -> i64 {
    (value * (1_i64 << FRACTION) as f64 + 0.5) as i64
}

/// Samples around zero, row-major, of dequantised coefficients in row-major order.
pub(super) fn inverse(block: &[i32; 64]) -> [i32; 64] {
    if block[1..].iter().all(|&c| c == 0) {
        return [block[0].saturating_add(4) >> 3; 64];
    }
    let mut between = [0_i64; 64];
    for x in 0..8 {
        let column = [0, 1, 2, 3, 4, 5, 6, 7].map(|y| i64::from(block[8 * y + x]));
        for (y, value) in line(column).into_iter().enumerate() {
            between[8 * y + x] = descaled(value, FRACTION - EXTRA);
        }
    }
    let mut out = [0; 64];
    for (row, to) in between.chunks_exact(8).zip(out.chunks_exact_mut(8)) {
        let row = [0, 1, 2, 3, 4, 5, 6, 7].map(|x| row[x]);
        for (to, value) in to.iter_mut().zip(line(row)) {
            *to = descaled(value, FRACTION + EXTRA + 3) as i32;
        }
    }
    out
}

fn descaled(value: i64, bits: i32) -> i64 {
    (value + (1 << (bits - 1))) >> bits
}

/// One line of eight, scaled by √8 and 2 to the power of [`FRACTION`].
fn line(c: [i64; 8]) -> [i64; 8] {
    // The even part.
    let turn = (c[2] + c[6]) * fixed(0.541_196_100);
    let (two, three) = (
        turn - c[6] * fixed(1.847_759_065),
        turn + c[2] * fixed(0.765_366_865),
    );
    let (zero, one) = ((c[0] + c[4]) << FRACTION, (c[0] - c[4]) << FRACTION);
    let even = [zero + three, one + two, one - two, zero - three];
    // The odd part.
    let (a, b, d, e) = (c[7], c[5], c[3], c[1]);
    let all = (a + d + b + e) * fixed(1.175_875_602);
    let one = -(a + e) * fixed(0.899_976_223);
    let two = -(b + d) * fixed(2.562_915_447);
    let three = all - (a + d) * fixed(1.961_570_560);
    let four = all - (b + e) * fixed(0.390_180_644);
    let odd = [
        e * fixed(1.501_321_110) + one + four,
        d * fixed(3.072_711_026) + two + three,
        b * fixed(2.053_119_869) + two + four,
        a * fixed(0.298_631_336) + one + three,
    ];
    [
        even[0] + odd[0],
        even[1] + odd[1],
        even[2] + odd[2],
        even[3] + odd[3],
        even[3] - odd[3],
        even[2] - odd[2],
        even[1] - odd[1],
        even[0] - odd[0],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn the_transform_is_that_of_the_standard() {
        let mut block = [0; 64];
        for (i, c) in block.iter_mut().enumerate() {
            *c = (i as i32 * 37 % 101 - 50) * (64 - i as i32) / 8;
        }
        let fast = inverse(&block);
        for (i, fast) in fast.iter().enumerate() {
            let (x, y) = ((i % 8) as f64, (i / 8) as f64);
            let mut sum = 0.0;
            for (k, &c) in block.iter().enumerate() {
                let (u, v) = ((k % 8) as f64, (k / 8) as f64);
                let norm = |n: f64| if n == 0.0 { 0.5_f64.sqrt() } else { 1.0 };
                let wave = |at: f64, n: f64| ((2.0 * at + 1.0) * n * PI / 16.0).cos();
                sum += norm(u) * norm(v) / 4.0 * f64::from(c) * wave(x, u) * wave(y, v);
            }
            assert!((sum - f64::from(*fast)).abs() <= 1.0, "{i}: {sum} {fast}");
        }
    }
}
