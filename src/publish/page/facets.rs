//! What a visitor may filter by: the folders that works lie in, and the columns of `artworks.csv`.
//!
//! Pure. A field may hold several values, separated by `;`.

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
}

impl Facets {
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

/// Counts the works of each value. One folder that holds everything says nothing, so the folders in it are taken.
pub(super) fn count(works: &[Arc<Work>]) -> Facets {
    let mut depth = 0;
    let mut counts = folders(works, depth);
    while depth < DEEPEST && counts.len() == 1 && counts.values().all(|&n| n == works.len()) {
        depth += 1;
        counts = folders(works, depth);
    }
    let mut columns: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (name, text) in works.iter().flat_map(|work| &work.fields) {
        let counts = columns.entry(name).or_default();
        for value in values(text) {
            *counts.entry(value).or_insert(0) += 1;
        }
    }
    let columns = columns.into_iter();
    let columns = columns.map(|(name, counts)| facet(name, counts));
    Facets {
        list: std::iter::once(facet("", counts)).chain(columns).collect(),
        depth,
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

fn folders(works: &[Arc<Work>], depth: usize) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in works.iter().filter_map(|work| folder(work, depth)) {
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

/// The folder of a work at a depth, if it is not the file itself.
fn folder(work: &Work, depth: usize) -> Option<&str> {
    let (folders, _) = work.path.rsplit_once('/')?;
    folders.split('/').nth(depth)
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
        let facets = count(&works);
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
}
