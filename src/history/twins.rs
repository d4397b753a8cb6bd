//! The same picture twice: under another name, in another encoding, or at another size.
//!
//! Candidates are nearest neighbours by embedding; the decision is made by comparing small versions of the pictures
//! themselves. Re-encoding and resizing change a small picture by a few levels of 255; different works differ by tens.

use crate::domain::{ArtworkId, ContentHash, manifest::Manifest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Side of the small pictures that are compared, pixels: the smallest cell there is.
pub const SIDE_PX: u32 = 16;
/// Mean difference of two twins' pixels at most, levels of 255 (JPEG at quality 60: 1 to 3).
const MEAN: u32 = 6;
/// Mean difference of a quarter-sized block at most: a changed detail is more than a re-encoding.
const BLOCK: u32 = 14;

/// Works that are one picture, two at least in a group; groups and works ordered by number.
pub type Groups = Vec<Vec<ArtworkId>>;

/// Finds the groups among `works` (number and content, in index order). `near(i)` are the nearest works of `i`, by
/// index; `small` gives a content's picture, `SIDE_PX` squared, RGB, or nothing if it is not there.
pub fn find(
    works: &[(ArtworkId, ContentHash)],
    near: impl Fn(usize) -> Vec<usize>,
    mut small: impl FnMut(&ContentHash) -> Option<Vec<u8>>,
) -> Groups {
    let mut first: HashMap<ContentHash, usize> = HashMap::new();
    let mut root: Vec<usize> = (0..works.len()).collect();
    let mut seen: HashMap<usize, Option<Vec<u8>>> = HashMap::new();
    for (i, (_, hash)) in works.iter().enumerate() {
        if let Some(&same) = first.get(hash) {
            join(&mut root, i, same);
            continue;
        }
        first.insert(*hash, i);
        for j in near(i) {
            if j >= works.len() || leader(&mut root, i) == leader(&mut root, j) {
                continue;
            }
            for k in [i, j] {
                seen.entry(k).or_insert_with(|| small(&works[k].1));
            }
            if let (Some(Some(a)), Some(Some(b))) = (seen.get(&i), seen.get(&j))
                && alike(a, b)
            {
                join(&mut root, i, j);
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<ArtworkId>> = BTreeMap::new();
    for (i, (id, _)) in works.iter().enumerate() {
        groups.entry(leader(&mut root, i)).or_default().push(*id);
    }
    let mut groups: Groups = groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect();
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_unstable();
    groups
}

/// Whether two small pictures (RGB, equal length) are one.
fn alike(a: &[u8], b: &[u8]) -> bool {
    let side = SIDE_PX as usize;
    if a.len() != b.len() || a.len() != 3 * side * side {
        return false;
    }
    let quarter = side / 4;
    let mut blocks = [0u32; 16];
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        let (x, y) = (at / 3 % side, at / 3 / side);
        blocks[y / quarter * 4 + x / quarter] += u32::from(a.abs_diff(*b));
    }
    let values = (3 * quarter * quarter) as u32;
    blocks.iter().all(|sum| *sum <= BLOCK * values)
        && blocks.iter().sum::<u32>() <= MEAN * values * 16
}

fn leader(root: &mut [usize], mut i: usize) -> usize {
    while root[i] != i {
        root[i] = root[root[i]];
        i = root[i];
    }
    i
}

fn join(root: &mut [usize], a: usize, b: usize) {
    let (a, b) = (leader(root, a), leader(root, b));
    root[a.max(b)] = a.min(b);
}

#[derive(Serialize, Deserialize)]
struct Document {
    /// The generation whose works it lists.
    generation: u64,
    groups: Vec<Vec<Twin>>,
}

#[derive(Serialize, Deserialize)]
struct Twin {
    id: ArtworkId,
    path: String,
}

/// `twins.json`: the groups with their works' paths, as far as they are in the manifest.
pub fn text(groups: &Groups, manifest: &Manifest) -> String {
    let works = &manifest.works;
    let twin = |id: &ArtworkId| {
        let at = works.binary_search_by_key(id, |work| work.id).ok()?;
        Some(Twin {
            id: *id,
            path: works[at].path.clone(),
        })
    };
    let groups = groups
        .iter()
        .map(|group| group.iter().filter_map(twin).collect::<Vec<_>>());
    let document = Document {
        generation: manifest.generation,
        groups: groups.filter(|group| group.len() > 1).collect(),
    };
    let mut text = serde_json::to_string(&document).expect("plain structs serialise");
    text.push('\n');
    text
}

/// Reads `twins.json`; `None` if it is damaged.
pub fn read(text: &str) -> Option<Groups> {
    let document: Document = serde_json::from_str(text).ok()?;
    let ids = |group: Vec<Twin>| group.into_iter().map(|twin| twin.id).collect();
    Some(document.groups.into_iter().map(ids).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    fn small(image: &image::RgbImage) -> Vec<u8> {
        let filter = image::imageops::FilterType::Triangle;
        image::imageops::resize(image, SIDE_PX, SIDE_PX, filter).into_raw()
    }

    fn again(image: &image::RgbImage, side: u32, quality: u8) -> Vec<u8> {
        let filter = image::imageops::FilterType::CatmullRom;
        let image = image::imageops::resize(image, side, side, filter);
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(&image)
            .expect("encodes");
        small(&image::load_from_memory(&bytes).expect("decodes").to_rgb8())
    }

    #[test]
    fn another_encoding_or_size_is_a_twin_and_another_work_is_not() {
        let count = 60;
        let drawn: Vec<_> = (0..count).map(|i| demo::draw(i, 128, 7).image).collect();
        let mut pictures: Vec<Vec<u8>> = drawn.iter().map(small).collect();
        for (i, image) in drawn.iter().enumerate() {
            pictures.push(again(image, 64 + i as u32, 60 + (i % 35) as u8));
        }
        let hash = |i: usize| ContentHash::of(&i.to_le_bytes());
        let works: Vec<_> = (0..2 * count)
            .map(|i| (ArtworkId(i as u64), hash(i)))
            .collect();
        let by_hash: HashMap<ContentHash, Vec<u8>> = (0..2 * count)
            .map(|i| (hash(i), pictures[i].clone()))
            .collect();
        let groups = find(
            &works,
            |_| (0..2 * count).collect(),
            |hash| by_hash.get(hash).cloned(),
        );
        let pairs: Groups = (0..count as u64)
            .map(|i| vec![ArtworkId(i), ArtworkId(i + count as u64)])
            .collect();
        assert_eq!(groups, pairs);
    }

    #[test]
    fn one_content_under_many_names_is_one_group() {
        let hash = ContentHash::of(b"x");
        let works: Vec<_> = (0..20).map(|i| (ArtworkId(i), hash)).collect();
        let groups = find(&works, |_| Vec::new(), |_| None);
        assert_eq!(groups, [(0..20).map(ArtworkId).collect::<Vec<_>>()]);
    }

    #[test]
    fn a_work_that_is_gone_is_not_named() {
        let manifest =
            super::super::journal::tests::manifest(3, &[(1, 0, 0), (2, 1, 0), (5, 2, 0)]);
        let groups = vec![
            vec![ArtworkId(1), ArtworkId(4)],
            vec![ArtworkId(2), ArtworkId(5), ArtworkId(9)],
        ];
        let text = text(&groups, &manifest);
        assert_eq!(read(&text), Some(vec![vec![ArtworkId(2), ArtworkId(5)]]));
        assert!(text.contains("5.png") && !text.contains("1.png"));
    }
}
