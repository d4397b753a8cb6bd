//! Sample artworks: shader scenes drawn from signed distance fields and formulas, in labelled families.
//!
//! The door of the room: [`draw`] makes one picture, [`write_samples`] a folder of them. A picture depends on its
//! index, its size and the seed alone, bit for bit on one platform (other platforms' `sin` may differ in the last bit).
//! Families share palettes, backgrounds, lights and ways of colouring, so that only their form distinguishes them.
//!
//! Nothing here knows of mosaics; the family in a file's name lets a test ask whether a mosaic keeps families
//! together.

mod built;
mod flat;
mod living;
mod look;
mod palette;
mod places;
mod random;
mod solids;
mod stage;
mod vector;
mod write;

pub use write::{Written, write_samples};

use image::RgbImage;
use random::Draws;

/// One sample artwork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// File name, `<family>-<number>.png`; the number has four digits or more.
    pub name: String,
    /// One of [`FAMILIES`].
    pub family: &'static str,
    /// The picture, sRGB.
    pub image: RgbImage,
}

type Artist = fn(&mut Draws, u32) -> RgbImage;

const ARTISTS: [(&str, Artist); 18] = [
    ("spheres", solids::spheres),
    ("tori", solids::tori),
    ("gyroids", solids::gyroids),
    ("blobs", solids::blobs),
    ("knots", solids::knots),
    ("shells", solids::shells),
    ("boxes", built::boxes),
    ("crystals", built::crystals),
    ("fractals", built::fractals),
    ("creatures", living::creatures),
    ("flowers", living::flowers),
    ("planets", places::planets),
    ("terrain", places::terrain),
    ("noise", flat::noise),
    ("stripes", flat::stripes),
    ("rings", flat::rings),
    ("cells", flat::cells),
    ("ribbons", flat::ribbons),
];

/// The families, in the order in which indices go around them.
pub const FAMILIES: &[&str] = &{
    let mut names = [""; ARTISTS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = ARTISTS[i].0;
        i += 1;
    }
    names
};

/// Draws the sample with this index, `size_px` × `size_px`; families take turns.
pub fn draw(index: usize, size_px: u32, seed: u64) -> Sample {
    let (family, artist) = ARTISTS[index % ARTISTS.len()];
    Sample {
        name: name(index),
        family,
        image: artist(&mut Draws::new(seed, index as u64), size_px),
    }
}

/// The file name of the sample with this index.
fn name(index: usize) -> String {
    let (family, _) = ARTISTS[index % ARTISTS.len()];
    format!("{family}-{:04}.png", index / ARTISTS.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_picture_depends_on_index_and_seed_alone() {
        for index in 0..FAMILIES.len() {
            let sample = draw(index, 24, 7);
            assert_eq!(sample, draw(index, 24, 7));
            assert_ne!(sample.image, draw(index, 24, 8).image, "{}", sample.family);
            assert_ne!(
                sample.image,
                draw(index + FAMILIES.len(), 24, 7).image,
                "{}",
                sample.family
            );
            assert_eq!(sample.image.dimensions(), (24, 24));
            assert!(sample.name.starts_with(sample.family));
        }
    }

    #[test]
    fn names_are_distinct_and_say_the_family() {
        let names: BTreeSet<String> = (0..2000).map(name).collect();
        assert_eq!(names.len(), 2000);
        assert_eq!(name(FAMILIES.len() + 1), "tori-0001.png");
        assert_eq!(BTreeSet::from_iter(FAMILIES).len(), FAMILIES.len());
    }

    #[test]
    fn no_picture_is_blank() {
        // A solid out of sight or a colour that is not a number would leave one tone only.
        for index in 0..FAMILIES.len() * 12 {
            let sample = draw(index, 32, 3);
            let tones: BTreeSet<[u8; 3]> = sample.image.pixels().map(|p| p.0).collect();
            assert!(
                tones.len() > 12,
                "{} has {} tones",
                sample.name,
                tones.len()
            );
        }
    }

    #[test]
    fn the_smallest_sizes_are_drawn_too() {
        for index in 0..FAMILIES.len() {
            assert_eq!(draw(index, 0, 1).image.dimensions(), (0, 0));
            assert_eq!(draw(index, 1, 1).image.dimensions(), (1, 1));
        }
    }
}
