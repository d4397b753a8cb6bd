//! What a visitor may filter by: the folders that works lie in, and the columns of `artworks.csv`.
//!
//! Pure. A field may hold several values, separated by `;`.

use super::CELLS;
use crate::publish::manifest::Work;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Folders are looked for this deep.
const DEEPEST: usize = 8;
/// Values of a facet that the head names, those of most works first.
const VALUES: usize = 200;

/// One thing to filter by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facet {
    /// The column's name; empty: the folders.
    pub(super) name: String,
    /// Values with their numbers of works, the most frequent first.
    pub(super) values: Vec<(String, usize)>,
}

/// The facets of a generation.
pub(super) struct Facets {
    list: Vec<Facet>,
    depth: usize,
    /// By block of [`CELLS`] ids, for this depth.
    tallies: Tallies,
}

type Tallies = BTreeMap<u64, Arc<Tally>>;

/// What was counted of the works of one block.
struct Tally {
    works: usize,
    /// The folders, outermost first, that all of them lie in.
    common: Vec<String>,
    /// Works by their folder at some depth.
    folders: BTreeMap<String, usize>,
    /// Works by their value, by column.
    columns: BTreeMap<String, BTreeMap<String, usize>>,
    /// The longest side of a rendition.
    largest_px: u32,
}

impl Facets {
    /// The longest side of a rendition; 0 without any.
    pub(super) fn largest_px(&self) -> u32 {
        let all = self.tallies.values().map(|tally| tally.largest_px);
        all.max().unwrap_or(0)
    }

    pub(super) fn list(&self) -> &[Facet] {
        &self.list
    }

    /// Folders above those that are counted.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The columns of some works: each a list of values, and for every work the numbers of its values.
    pub(super) fn columns(&self, works: &[Arc<Work>]) -> Value {
        let column = |facet: &Facet| {
            let of = |work| match facet.name.as_str() {
                "" => folder(work, self.depth).into_iter().collect(),
                name => work
                    .fields
                    .get(name)
                    .map_or_else(Vec::new, |text| values(text)),
            };
            column(&facet.name, works.iter().map(|work| of(work)))
        };
        Value::Array(self.list.iter().map(column).collect())
    }
}

/// A list of values, and for every work the number of its value, or several; null for none.
fn column<'a>(name: &str, of: impl Iterator<Item = Vec<&'a str>>) -> Value {
    let mut list = Vec::new();
    let mut known = BTreeMap::new();
    let numbers: Vec<Value> = of
        .map(|values| {
            let number = |value: &'a str| {
                *known.entry(value).or_insert_with(|| {
                    list.push(value);
                    list.len() - 1
                })
            };
            let numbers: Vec<usize> = values.into_iter().map(number).collect();
            match numbers.as_slice() {
                [] => Value::Null,
                [one] => json!(one),
                several => json!(several),
            }
        })
        .collect();
    json!({"name": name, "values": list, "of": numbers})
}

/// Counts the works of each value. One folder that holds everything says nothing, so the folders in it are taken. Blocks
/// that are not dirty are as they were `before`.
pub(super) fn count(works: &[Arc<Work>], before: Option<(&Facets, &BTreeSet<u64>)>) -> Facets {
    let (mut known, mut depth) = (BTreeMap::new(), 0);
    if let Some((before, dirty)) = before {
        (known, depth) = (before.tallies.clone(), before.depth);
        known.retain(|block, _| !dirty.contains(block));
    }
    let mut tallies = tallies(works, known, depth);
    if common(&tallies) != depth {
        depth = common(&tallies);
        tallies = self::tallies(works, BTreeMap::new(), depth);
    }
    let mut folders = BTreeMap::new();
    let mut columns: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for tally in tallies.values() {
        add(&mut folders, &tally.folders);
        for (name, counts) in &tally.columns {
            add(columns.entry(name).or_default(), counts);
        }
    }
    let columns = columns.into_iter();
    let columns = columns.map(|(name, counts)| facet(name, counts));
    Facets {
        list: std::iter::once(facet("", folders)).chain(columns).collect(),
        depth,
        tallies,
    }
}

/// How many folders, one in the other, hold all works.
fn common(tallies: &Tallies) -> usize {
    let mut all = tallies.values().map(|tally| &tally.common);
    let Some(first) = all.next() else {
        return 0;
    };
    let same = |other: &Vec<String>| first.iter().zip(other).take_while(|(a, b)| a == b).count();
    all.map(same).fold(first.len(), usize::min)
}

/// Counts the blocks that are not `known`, at a depth.
fn tallies(works: &[Arc<Work>], mut known: Tallies, depth: usize) -> Tallies {
    let (mut tallies, mut rest) = (BTreeMap::new(), works);
    while let Some(first) = rest.first() {
        let block = first.id.0 / CELLS;
        let known = known.remove(&block);
        let len = known.as_ref().map_or_else(
            || rest.partition_point(|work| work.id.0 / CELLS == block),
            |tally| tally.works,
        );
        let (here, after) = rest.split_at(len);
        let tally = known.unwrap_or_else(|| Arc::new(Tally::of(here, depth)));
        tallies.insert(block, tally);
        rest = after;
    }
    tallies
}

impl Tally {
    fn of(works: &[Arc<Work>], depth: usize) -> Self {
        let mut common: Option<Vec<&str>> = None;
        let mut folders = BTreeMap::new();
        let mut columns: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for work in works {
            let folder = outer(work);
            match &mut common {
                None => common = Some(folder.take(DEEPEST).collect()),
                Some(common) => {
                    let same = common.iter().zip(folder).take_while(|(a, b)| *a == b);
                    let same = same.count();
                    common.truncate(same);
                }
            }
            if let Some(folder) = self::folder(work, depth) {
                *folders.entry(folder).or_insert(0) += 1;
            }
            for (name, text) in &work.fields {
                let counts = columns.entry(name).or_default();
                for value in values(text) {
                    *counts.entry(value).or_insert(0) += 1;
                }
            }
        }
        let owned = |counts: BTreeMap<&str, usize>| {
            let counts = counts.into_iter();
            counts.map(|(value, n)| (value.to_owned(), n)).collect()
        };
        let columns = columns.into_iter();
        let large = works.iter().filter_map(|work| work.large.as_ref());
        let common = common.unwrap_or_default().into_iter();
        Self {
            works: works.len(),
            common: common.map(str::to_owned).collect(),
            folders: owned(folders),
            columns: columns
                .map(|(name, counts)| (name.to_owned(), owned(counts)))
                .collect(),
            largest_px: large
                .map(|large| large.width.max(large.height))
                .max()
                .unwrap_or(0),
        }
    }
}

fn add<'a>(to: &mut BTreeMap<&'a str, usize>, counts: &'a BTreeMap<String, usize>) {
    for (value, n) in counts {
        *to.entry(value).or_insert(0) += n;
    }
}

fn facet(name: &str, counts: BTreeMap<&str, usize>) -> Facet {
    let mut values: Vec<_> = counts.into_iter().collect();
    values.sort_by_key(|&(value, count)| (std::cmp::Reverse(count), value));
    values.truncate(VALUES);
    Facet {
        name: name.to_owned(),
        values: values
            .into_iter()
            .map(|(value, count)| (value.to_owned(), count))
            .collect(),
    }
}

/// The folders that a work lies in, outermost first.
fn outer(work: &Work) -> impl Iterator<Item = &str> {
    let folders = work.path.rsplit_once('/').map(|(folders, _)| folders);
    folders.into_iter().flat_map(|folders| folders.split('/'))
}

/// The folder of a work at a depth, if it is not the file itself.
fn folder(work: &Work, depth: usize) -> Option<&str> {
    outer(work).nth(depth)
}

/// The values in a field, each once.
fn values(text: &str) -> Vec<&str> {
    let parts = text.split(';').map(str::trim);
    let mut seen = BTreeSet::new();
    parts
        .filter(|part| !part.is_empty() && seen.insert(*part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(id: u64, path: &str, fields: &[(&str, &str)]) -> Arc<Work> {
        let owned = |&(name, text): &(&str, &str)| (name.to_owned(), text.to_owned());
        Arc::new(Work {
            fields: fields.iter().map(owned).collect(),
            ..Work::sample(id, path, (0, 0))
        })
    }

    #[test]
    fn folders_below_a_single_one_and_values_of_columns_are_counted() {
        let works = [
            work(
                1,
                "all/oil/a.png",
                &[("tags", "sea; night;sea"), ("year", "1900")],
            ),
            work(2, "all/oil/b.png", &[("tags", "night")]),
            work(3, "all/ink/c.png", &[("year", " ")]),
        ];
        let facets = count(&works, None);
        assert_eq!(facets.depth(), 1);
        let value = |text: &str, n| (text.to_owned(), n);
        let values: Vec<_> = facets.list().iter().map(|f| f.values.clone()).collect();
        assert_eq!(values[0], [value("oil", 2), value("ink", 1)]);
        assert_eq!(values[1], [value("night", 2), value("sea", 1)]);
        assert_eq!(values[2], [value("1900", 1)]);
        let columns = facets.columns(&works);
        assert_eq!(columns[0]["of"], json!([0, 0, 1]));
        assert_eq!(columns[1]["values"], json!(["sea", "night"]));
        assert_eq!(columns[1]["of"], json!([[0, 1], 1, null]));
    }

    proptest! {
        #[test]
        fn a_count_taken_on_equals_one_from_nothing(
            before in proptest::collection::btree_map(0..3 * CELLS, 0..8_usize, 0..12),
            edits in proptest::collection::btree_map(0..3 * CELLS, 0..9_usize, 0..4),
        ) {
            let folders = ["", "a/", "a/b/", "a/b/", "a/b/", "a/b/c/", "a/c/", "d/"];
            let path = |id: u64, at: usize| format!("{}{id}.png", folders[at]);
            let works = |list: &BTreeMap<u64, usize>| -> Vec<Arc<Work>> {
                let fields = |at: usize| [("year", ["1900", "1900; 1901", ""][at % 3])];
                list.iter().map(|(&id, &at)| work(id, &path(id, at), &fields(at))).collect()
            };
            let old = count(&works(&before), None);
            let mut after = before.clone();
            for (&id, &at) in &edits {
                match at {
                    8 => after.remove(&id),
                    at => after.insert(id, at),
                };
            }
            let dirty = edits.keys().map(|id| id / CELLS).collect();
            let (now, fresh) = (works(&after), count(&works(&after), None));
            let taken = count(&now, Some((&old, &dirty)));
            prop_assert_eq!(taken.list(), fresh.list());
            prop_assert_eq!(taken.depth(), fresh.depth());
        }
    }
}
