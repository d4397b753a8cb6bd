//! A small seeded generator, so that arrangements do not depend on a crate's choice of algorithm.
//!
//! xoshiro128++ (Blackman and Vigna, 2019), seeded by SplitMix64. Streams of one seed are independent for our purposes:
//! each operation, each FLAS round and each block of cells draws from a stream of its own, no matter which thread runs
//! it.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Rng([u32; 4]);

impl Rng {
    /// The stream numbered `stream` of `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed ^ stream.wrapping_mul(0xD134_2543_DE82_EF95);
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        let (a, b) = (next(), next());
        Self([a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32 | 1])
    }

    /// 32 random bits.
    #[inline(always)]
    pub(super) fn next(&mut self) -> u32 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(7).wrapping_add(s[0]);
        let t = s[1] << 9;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(11);
        out
    }

    /// A number in `0..n`; 0 for `n = 0`. The bias of at most `n / 2³²` does not matter here.
    #[inline(always)]
    pub(super) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next()) * u64::from(n)) >> 32) as u32
    }

    /// Puts `items` in random order.
    #[inline(always)]
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}
