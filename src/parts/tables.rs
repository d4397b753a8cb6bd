//! `embeddings.npy` and `items.csv`: row `i` of the array belongs to line `i` of the table.
//!
//! `mosaicd export` writes the same two files with other columns besides; of them only `path`, `hash` and `model` are
//! needed, and `path` alone where a person says which model it was. Both are read row by row and line by line, and never held.

use super::PartError;
use crate::{
    describe::csv::{self, Record},
    domain::ContentHash,
    npy::Rows,
};
use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

/// One line of `items.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The line, from 1; 0 where there is no table.
    pub line: usize,
    /// The path as a manifest has it.
    pub path: String,
    /// BLAKE3 of the file; `None` where the table has none.
    pub hash: Option<ContentHash>,
    /// Size in bytes and time of the last change in nanoseconds since the epoch, when it was read, if that is known.
    pub seen: Option<(u64, i64)>,
}

/// The two files.
pub struct Tables {
    embeddings: PathBuf,
    items: PathBuf,
    rows: Rows<BufReader<File>>,
    columns: Columns,
    lines: usize,
}

/// Where the columns are.
struct Columns {
    path: usize,
    hash: Option<usize>,
    model: Option<usize>,
    seen: Option<(usize, usize)>,
}

impl Tables {
    /// Opens both, and checks that they have as many rows as lines. Only where a person `vouches` for the model may the table
    /// lack the columns `hash` and `model`.
    pub fn open(embeddings: &Path, items: &Path, vouches: bool) -> Result<Self, PartError> {
        let npy = |source| PartError::Npy {
            path: embeddings.to_owned(),
            source,
        };
        let file = File::open(embeddings).map_err(PartError::io(embeddings))?;
        let rows = Rows::open(BufReader::with_capacity(1 << 18, file)).map_err(npy)?;
        let mut records = records(items)?;
        let header = records.next().transpose()?;
        let header = header.map_or(Vec::new(), |record| record.fields);
        let column = |name: &str| header.iter().position(|field| field == name);
        let missing = |name: &str| PartError::Table {
            path: items.to_owned(),
            what: format!(
                "no column {name:?}; path, hash and model are needed, or path alone with --model"
            ),
        };
        let needed = |name: &str| match column(name) {
            None if !vouches => Err(missing(name)),
            found => Ok(found),
        };
        let columns = Columns {
            path: column("path").ok_or_else(|| missing("path"))?,
            hash: needed("hash")?,
            model: needed("model")?,
            seen: column("size").zip(column("mtime_ns")),
        };
        let lines = records.try_fold(0, |lines, record| record.map(|_| lines + 1))?;
        let [count, _] = rows.shape();
        if count != lines {
            return Err(PartError::Misfit {
                embeddings: embeddings.to_owned(),
                rows: count,
                items: items.to_owned(),
                lines,
            });
        }
        Ok(Self {
            embeddings: embeddings.to_owned(),
            items: items.to_owned(),
            rows,
            columns,
            lines,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Values of a row.
    pub fn dims(&self) -> usize {
        self.rows.shape()[1]
    }

    /// The first line with another model than this one, if any, and what it names.
    pub fn other_model(&self, model: &str) -> Result<Option<(usize, String)>, PartError> {
        let Some(column) = self.columns.model else {
            return Ok(None);
        };
        for record in records(&self.items)?.skip(1) {
            let record = record?;
            let named = record.fields.get(column).map_or("", String::as_str);
            if named != model {
                return Ok(Some((record.line, named.to_owned())));
            }
        }
        Ok(None)
    }

    /// Gives every line with its row to `take`, which ends it with an error.
    pub fn each<E: From<PartError>>(
        self,
        mut take: impl FnMut(Item, Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self {
            embeddings,
            items,
            mut rows,
            columns,
            ..
        } = self;
        let npy = |source| PartError::Npy {
            path: embeddings.clone(),
            source,
        };
        for record in records(&items)?.skip(1) {
            let record = record?;
            let line = record.line;
            let item = item(record, &columns).map_err(|what| PartError::Table {
                path: items.clone(),
                what: format!("line {line}: {what}"),
            })?;
            if let Some(row) = rows.next_row().map_err(npy)? {
                take(item, row)?;
            }
        }
        // More bytes than the header states are an error too.
        rows.next_row().map_err(npy)?;
        Ok(())
    }
}

/// The records of a table; the first one is its header.
fn records(
    items: &Path,
) -> Result<impl Iterator<Item = Result<Record, PartError>> + use<>, PartError> {
    let file = File::open(items).and_then(|file| csv::read(BufReader::new(file)));
    let (records, path) = (file.map_err(PartError::io(items))?, items.to_owned());
    Ok(records.map(move |record| record.map_err(PartError::io(&path))))
}

fn item(record: Record, columns: &Columns) -> Result<Item, String> {
    let field = |at: usize| match record.fields.get(at) {
        Some(field) if !record.open && !record.long => Ok(field),
        _ => Err("too few columns".to_owned()),
    };
    let number = |at: usize| field(at).ok()?.parse().ok();
    let seen = columns.seen.and_then(|(size, mtime)| {
        let size = u64::try_from(number(size)?).ok()?;
        Some((size, number(mtime)?))
    });
    let hash = |at: usize| {
        let hash = field(at)?.parse();
        hash.map_err(|error| format!("{error}"))
    };
    Ok(Item {
        line: record.line,
        path: field(columns.path)?.clone(),
        hash: columns.hash.map(hash).transpose()?,
        seen,
    })
}
