//! What an AVIF's boxes say about its main picture besides its pixels: colours, profile, orientation.
//!
//! `avif-parse` finds the pixels and leaves these out. Boxes that make no sense are passed over. Source: ISO 23008-12
//! (HEIF), 6.5; ISO 14496-12.

use image::metadata::Orientation;

/// The properties of the main picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// Primaries, transfer function and matrix (ITU-T H.273), and whether the samples use their whole range.
    pub(super) code_points: Option<(u8, u8, u8, bool)>,
    pub(super) profile: Option<Vec<u8>>,
    /// Quarter turns against the clock.
    turns: u8,
    /// After turning: 0 upside down, 1 left to right.
    mirror: Option<u8>,
}

impl Properties {
    /// Reads the boxes of a file.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let Some(meta) = Boxes(bytes).find(|(kind, _)| kind == b"meta") else {
            return found;
        };
        let children = || Boxes(meta.1.get(4..).unwrap_or_default());
        let main = children()
            .find(|(kind, _)| kind == b"pitm")
            .and_then(|(_, body)| {
                let size = if body.first()? == &0 { 2 } else { 4 };
                number(body, 4, size)
            });
        let Some((_, properties)) = children().find(|(kind, _)| kind == b"iprp") else {
            return found;
        };
        let container = Boxes(properties).find(|(kind, _)| kind == b"ipco");
        let all: Vec<_> = container
            .map(|(_, body)| Boxes(body).collect())
            .unwrap_or_default();
        for (_, table) in Boxes(properties).filter(|(kind, _)| kind == b"ipma") {
            for place in associated(table, main).unwrap_or_default() {
                if let Some(&(kind, body)) = place.checked_sub(1).and_then(|i| all.get(i)) {
                    found.note(kind, body);
                }
            }
        }
        found
    }

    fn note(&mut self, kind: &[u8], body: &[u8]) {
        match (kind, body) {
            (
                b"colr",
                [
                    b'n',
                    b'c',
                    b'l',
                    b'x',
                    _,
                    primaries,
                    _,
                    transfer,
                    _,
                    matrix,
                    full,
                    ..,
                ],
            ) => {
                self.code_points = Some((*primaries, *transfer, *matrix, full & 0x80 != 0));
            }
            (b"colr", [b'p', b'r' | b'I', b'o' | b'C', b'f' | b'C', profile @ ..]) => {
                self.profile = Some(profile.to_vec());
            }
            (b"irot", [turns, ..]) => self.turns = turns & 3,
            (b"imir", [axis, ..]) => self.mirror = Some(axis & 1),
            _ => {}
        }
    }

    /// What to do to the pixels: turn, then mirror.
    pub(super) fn orientation(&self) -> Orientation {
        match (self.turns, self.mirror) {
            (0, None) => Orientation::NoTransforms,
            (1, None) => Orientation::Rotate270,
            (2, None) => Orientation::Rotate180,
            (_, None) => Orientation::Rotate90,
            (0, Some(0)) | (2, Some(1)) => Orientation::FlipVertical,
            (0, Some(_)) | (2, Some(_)) => Orientation::FlipHorizontal,
            // A quarter turn against the clock, then upside down: mirrored along the rising diagonal's other.
            (1, Some(0)) | (3, Some(1)) => Orientation::Rotate90FlipH,
            (_, Some(_)) => Orientation::Rotate270FlipH,
        }
    }
}

/// The boxes one after the other: kind and body.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        let kind = bytes.get(4..8)?;
        let (head, len) = match number(bytes, 0, 4)? {
            0 => (8, bytes.len()),
            1 => (16, number(bytes, 8, 8)?),
            len => (8, len),
        };
        let body = bytes.get(head..len.min(bytes.len()))?;
        self.0 = bytes.get(len..).unwrap_or_default();
        Some((kind, body))
    }
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let field = bytes.get(at..at + size)?;
    let value = field
        .iter()
        .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    usize::try_from(value).ok()
}

/// The places, from 1 on, of the properties of picture `main`.
fn associated(table: &[u8], main: Option<usize>) -> Option<Vec<usize>> {
    let (version, wide) = (*table.first()?, table.get(3)? & 1 == 1);
    let id_size = if version == 0 { 2 } else { 4 };
    let count = number(table, 4, 4)?;
    let mut at = 8;
    for _ in 0..count {
        let id = number(table, at, id_size)?;
        let properties = usize::from(*table.get(at + id_size)?);
        at += id_size + 1;
        let size = if wide { 2 } else { 1 };
        let mask = if wide { 0x7fff } else { 0x7f };
        if main.is_none_or(|main| main == id) {
            let place = |i: usize| number(table, at + i * size, size).map(|place| place & mask);
            return (0..properties).map(place).collect();
        }
        at += properties * size;
    }
    None
}
