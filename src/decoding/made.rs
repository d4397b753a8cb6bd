//! What is made of a decoded picture. Everything that needs pixels is listed here and nowhere else.
//!
//! One more thing is a field of [`Wanted`], a field of [`Made`], and a line in [`Made::of`]. It is made in the worker: what
//! comes back should be small, and is bytes from a process that a stranger's file may have taken over, so that whoever
//! uses it must check its size.
//!
//! Pure.

use crate::{
    artwork::{
        cell::{self, Cell, CellSpec},
        decode::{DecodeLimits, Format, Picture},
        large::{self, Large, LargeSpec},
    },
    embed::Preparation,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};
use std::fmt;

/// What is to be made of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Limits of its decoding.
    pub limits: DecodeLimits,
    /// The cell of the mosaic; `None`: it is there already.
    pub cell: Option<CellSpec>,
    /// The rendition; `None`: it is there already, or there are none.
    pub large: Option<LargeSpec>,
    /// Inputs of encoders.
    pub inputs: Vec<Preparation>,
}

/// What was made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// The format of the file.
    pub format: Option<Format>,
    /// The cell's pixels, `px × px × 3` bytes, if wanted.
    pub cell: Option<Bytes>,
    /// The rendition's width, height and file, if wanted.
    pub large: Option<(u32, u32, Bytes)>,
    /// The encoders' inputs, in the order in which they were wanted.
    pub inputs: Vec<Floats>,
}

impl Made {
    /// Makes everything.
    pub fn of(picture: &Picture, wanted: &Wanted) -> Self {
        let made = |spec: &CellSpec| Bytes(cell::prepare(picture, spec).rgb);
        let rendition = |spec: &LargeSpec| {
            let large = large::prepare(picture, spec)?;
            Some((large.width, large.height, Bytes(large.jpeg)))
        };
        let input = |preparation: &Preparation| Floats(preparation.of(picture));
        Self {
            format: None,
            cell: wanted.cell.as_ref().map(made),
            large: wanted.large.as_ref().and_then(rendition),
            inputs: wanted.inputs.iter().map(input).collect(),
        }
    }

    /// The cell, if there is one of the right size.
    pub fn cell(&mut self, spec: &CellSpec) -> Option<Cell> {
        let Bytes(rgb) = self.cell.take()?;
        let bytes = 3 * u64::from(spec.px) * u64::from(spec.px);
        (rgb.len() as u64 == bytes).then_some(Cell { px: spec.px, rgb })
    }

    /// The rendition, if there is one that can be shown.
    pub fn large(&mut self, spec: &LargeSpec) -> Option<Large> {
        let (width, height, Bytes(jpeg)) = self.large.take()?;
        let large = Large {
            width,
            height,
            jpeg,
        };
        large.is_sound(spec).then_some(large)
    }
}

/// Bytes that are sent as one piece.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bytes(pub Vec<u8>);

/// Numbers that are sent as one piece.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floats(pub Vec<f32>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Whole)
    }
}

impl Serialize for Floats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = vec![0; 4 * self.0.len()];
        let four = bytes.as_chunks_mut::<4>().0.iter_mut();
        four.zip(&self.0)
            .for_each(|(to, value)| *to = value.to_le_bytes());
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Floats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bytes(bytes) = deserializer.deserialize_bytes(Whole)?;
        let four = bytes.as_chunks::<4>().0.iter();
        Ok(Self(four.map(|four| f32::from_le_bytes(*four)).collect()))
    }
}

/// Takes bytes as they come.
struct Whole;

impl Visitor<'_> for Whole {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artwork::cell::Fit;

    #[test]
    fn what_is_made_survives_the_way_and_a_cell_of_another_size_is_none() {
        let spec = |px| CellSpec {
            px,
            fit: Fit::Cover,
            background: [0; 3],
        };
        let larger = LargeSpec {
            px: 12,
            background: [0; 3],
        };
        let picture = Picture::drawn(20, 10, |x, y| [x as u8, y as u8, 7, 255]);
        let wanted = Wanted {
            limits: DecodeLimits::default(),
            cell: Some(spec(16)),
            large: Some(larger),
            inputs: vec![Preparation::Descriptor],
        };
        let made = Made::of(&picture, &wanted);
        assert_eq!(made.inputs.len(), 1);
        let sent = postcard::to_stdvec(&made).expect("it can be sent");
        let mut come: Made = postcard::from_bytes(&sent).expect("it can be read");
        assert_eq!(come, made);
        assert_eq!(
            come.clone().cell(&spec(16)),
            Some(cell::prepare(&picture, &spec(16)))
        );
        assert_eq!(come.cell(&spec(32)), None);
        assert_eq!(
            come.clone().large(&larger),
            large::prepare(&picture, &larger)
        );
        assert_eq!(come.large(&LargeSpec { px: 11, ..larger }), None);
        let wanted: Wanted =
            postcard::from_bytes(&postcard::to_stdvec(&wanted).expect("sent")).expect("read");
        assert_eq!(Made::of(&picture, &wanted), made);
    }
}
