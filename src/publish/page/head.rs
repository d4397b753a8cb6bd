//! The head: what the page needs for its first picture, and the names of everything else.

use super::{
    blocks::{Kind, in_head},
    facets::{Facet, Facets},
};
use crate::publish::manifest::Manifest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Hashes in the names of a list of blocks, joined, 8 hexadecimal digits each; zeros for a missing block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(pub(super) Vec<Option<u32>>);

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.0.iter();
        let text: String = names.map(|name| hex(name.unwrap_or(0))).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            let hash = u32::from_str_radix(digits, 16).ok()?;
            Some((hash != 0).then_some(hash))
        };
        let names: Option<Vec<_>> = text.as_bytes().chunks(8).map(name).collect();
        names
            .map(Self)
            .ok_or_else(|| D::Error::custom("no names of blocks"))
    }
}

/// Eight digits.
pub(super) fn hex(hash: u32) -> String {
    format!("{hash:08x}")
}

/// The head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// What the manifest says besides works and tiles.
    pub(super) says: Map<String, Value>,
    /// Number of works.
    pub(super) count: usize,
    /// Tiles of the upper levels as in the manifest; a level whose tiles are in blocks is empty.
    pub(super) levels: Vec<String>,
    /// Names of blocks of works by their kind.
    blocks: BTreeMap<String, Names>,
    /// Names of blocks of tiles by their level.
    pub(super) tiles: BTreeMap<u32, Names>,
    /// What a visitor may filter by, with counts.
    pub(super) facets: Vec<Facet>,
    /// Folders above those that a visitor may filter by.
    pub(super) depth: usize,
}

impl Head {
    /// The head of a manifest, without the names of blocks.
    pub(super) fn of(manifest: &Manifest, facets: &Facets) -> serde_json::Result<Self> {
        let mut says = Map::new();
        let mut levels = Vec::new();
        if let Some(pyramid) = &manifest.pyramid {
            let level = |hashes: &String| match in_head(hashes) {
                true => hashes.clone(),
                false => String::new(),
            };
            levels = pyramid.levels.iter().map(level).collect();
            let mut shape = pyramid.clone();
            shape.levels.clear();
            says.insert("pyramid".into(), serde_json::to_value(shape)?);
        }
        // The page shows it where there are no tiles.
        let mosaic = manifest.mosaic.as_ref();
        if let Some(mosaic) = mosaic.filter(|_| manifest.pyramid.is_none()) {
            says.insert("mosaic".into(), serde_json::to_value(mosaic)?);
        }
        let further = [
            ("schema", json!(manifest.schema)),
            ("generation", json!(manifest.generation)),
            ("published_ms", json!(manifest.published_ms)),
            ("title", json!(manifest.title)),
            ("grid", json!(manifest.grid)),
            ("fit", json!(manifest.fit)),
            ("spare", json!(manifest.spare)),
            ("large_px", json!(facets.largest_px())),
            ("link", json!(manifest.link)),
            ("folders", json!(manifest.folders)),
            ("work_pages", json!(manifest.work_pages)),
            ("regions", json!(manifest.regions)),
        ];
        says.extend(further.map(|(key, value)| (key.to_owned(), value)));
        Ok(Self {
            says,
            count: manifest.works.len(),
            levels,
            blocks: Kind::ALL
                .map(|kind| (kind.key().to_owned(), Names::default()))
                .into(),
            tiles: BTreeMap::new(),
            facets: facets.list().to_vec(),
            depth: facets.depth(),
        })
    }

    /// Whether this is the head of a manifest: of its generation, with its regions.
    pub(super) fn is_of(&self, manifest: &Manifest) -> bool {
        let expected = [
            ("generation", json!(manifest.generation)),
            ("published_ms", json!(manifest.published_ms)),
            ("regions", json!(manifest.regions)),
        ];
        let stands = |(key, value): &(&str, Value)| self.says.get(*key) == Some(value);
        let blocks = Kind::ALL
            .iter()
            .all(|kind| self.blocks.contains_key(kind.key()));
        blocks && expected.iter().all(stands) && self.count == manifest.works.len()
    }

    /// Whether works are filtered by the same columns, and folders of the same depth.
    pub(super) fn filters_alike(&self, other: &Self) -> bool {
        let columns = |head: &Self| -> Vec<String> {
            head.facets.iter().map(|facet| facet.name.clone()).collect()
        };
        self.depth == other.depth && columns(self) == columns(other)
    }

    pub(super) fn serialise(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Names of the blocks of a kind.
    pub(super) fn names(&self, kind: Kind) -> &Vec<Option<u32>> {
        &self.blocks[kind.key()].0
    }

    pub(super) fn names_mut(&mut self, kind: Kind) -> &mut Vec<Option<u32>> {
        &mut self.blocks.entry(kind.key().to_owned()).or_default().0
    }
}
