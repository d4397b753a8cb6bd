//! `mosaicd import`: embeddings made on another machine; each is checked against its file before it is used.

use super::progress;
use anyhow::{Context, bail};
use mosaicd::{
    artwork::ContentHash,
    config::Config,
    daemon,
    describe::csv,
    parameters,
    pipeline::portable,
    store::{SledStore, Store},
    vectors,
    watch::{Book, Ignore, Scan},
};
use std::{collections::HashMap, fs, path::Path};

/// Embeddings stored at once: one flush for all of them.
const BATCH: usize = 256;
/// How far from 1 a vector's length may be: float32 rounding, and no more.
const LENGTH_TOLERANCE: f32 = 1e-3;

/// One line of `items.csv`.
struct Item {
    line: usize,
    path: String,
    hash: ContentHash,
    model: String,
}

/// What became of the lines.
#[derive(Default)]
struct Counts {
    imported: usize,
    known: usize,
    changed: usize,
    absent: usize,
}

/// Takes embeddings over from `mosaicd export`'s files: row `i` of the array belongs to line `i` of the table.
///
/// A row is taken only if the artwork folder has a file at its path with exactly its content, and the whole table only
/// if it was made by the configured model.
pub(crate) fn import(config: &Config, vectors: &Path, items: &Path) -> anyhow::Result<()> {
    let matrix = super::vectors::read_npy(vectors)?;
    let listed = read_items(items)?;
    if listed.len() != matrix.rows() {
        bail!(
            "{} has {} rows and {} has {} lines; they belong to different exports",
            vectors.display(),
            matrix.rows(),
            items.display(),
            listed.len()
        );
    }
    let encoder = daemon::open_encoder_alone(config)?;
    let model = vectors::digest(encoder.model());
    if let Some(other) = listed.iter().find(|item| item.model != model) {
        bail!(
            "{} line {}: made by another model than the configured one, {} ({})\n\
             set embed.model to the model that made these embeddings; builtin's change with mosaicd's version",
            items.display(),
            other.line,
            encoder.name(),
            &model[..12]
        );
    }
    if matrix.dims() != encoder.dims() && matrix.rows() > 0 {
        bail!(
            "{}: embeddings of {} values; {} makes {}",
            vectors.display(),
            matrix.dims(),
            encoder.name(),
            encoder.dims()
        );
    }
    for i in 0..matrix.rows() {
        let length = matrix.row(i).iter().map(|v| v * v).sum::<f32>().sqrt();
        if (length - 1.0).abs() > LENGTH_TOLERANCE || !length.is_finite() {
            bail!(
                "{}: row {i} has length {length}, and must have 1",
                vectors.display()
            );
        }
    }

    let store = SledStore::open(&config.folders.state)
        .context("stop the daemon first (systemctl stop mosaicd)")?
        .store;
    let files = Files::scan(config)?;
    let mut counts = Counts::default();
    let mut batch = Vec::new();
    let bar = progress::bar(listed.len() as u64, "checking");
    for (i, item) in listed.iter().enumerate() {
        bar.inc(1);
        if store.has_embedding(&item.hash, encoder.model())? {
            counts.known += 1;
            continue;
        }
        match files.hash_of(&item.path) {
            Some(hash) if hash == item.hash => {}
            Some(_) => {
                counts.changed += 1;
                continue;
            }
            None => {
                counts.absent += 1;
                continue;
            }
        }
        batch.push((item.hash, matrix.row(i).to_vec()));
        if batch.len() == BATCH {
            counts.imported += put(&store, &encoder, &mut batch)?;
        }
    }
    counts.imported += put(&store, &encoder, &mut batch)?;
    bar.finish_and_clear();
    let Counts {
        imported,
        known,
        changed,
        absent,
    } = counts;
    println!(
        "{imported} embeddings imported, {known} known before; left out: {changed} whose file has another content, \
         {absent} without a file"
    );
    if imported + known == 0 && !listed.is_empty() {
        bail!(
            "nothing fits: are the artworks of {} in the watched folder, under the same paths?",
            items.display()
        );
    }
    Ok(())
}

fn put(
    store: &SledStore,
    encoder: &std::sync::Arc<dyn mosaicd::embed::Encoder>,
    batch: &mut Vec<(ContentHash, Vec<f32>)>,
) -> anyhow::Result<usize> {
    let count = batch.len();
    if count > 0 {
        store.put_embeddings(encoder.model(), batch)?;
        batch.clear();
    }
    Ok(count)
}

fn read_items(path: &Path) -> anyhow::Result<Vec<Item>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut records = csv::records(&text);
    let header = records.next().map_or(Vec::new(), |record| record.fields);
    let column =
        |name: &str| {
            header.iter().position(|field| field == name).with_context(|| {
            format!(
                "{} has no column {name:?}; an export has index,path,x,y,col,row,hash,model",
                path.display()
            )
        })
        };
    let (at_path, at_hash, at_model) = (column("path")?, column("hash")?, column("model")?);
    let item = |record: csv::Record| {
        let line = record.line;
        let field = |at: usize| {
            let field = record.fields.get(at).cloned();
            field.with_context(|| format!("{} line {line}: too few columns", path.display()))
        };
        let hash = field(at_hash)?;
        Ok(Item {
            line,
            path: field(at_path)?,
            hash: hash
                .parse()
                .with_context(|| format!("{} line {line}", path.display()))?,
            model: field(at_model)?,
        })
    };
    records.map(item).collect()
}

/// The files of the watched folders, by the paths that a manifest gives them.
struct Files {
    roots: mosaicd::watch::Roots,
    scan: Scan,
    paths: HashMap<String, std::path::PathBuf>,
    max_bytes: u64,
}

impl Files {
    fn scan(config: &Config) -> anyhow::Result<Self> {
        let roots = parameters::roots(config);
        let ignore = Ignore::new(&config.watch.ignore)?;
        let (scan, _) = roots.scan(&mut Book::reading(ignore, &config.folders.state))?;
        let paths = scan.files.keys().map(|path| (portable(path), path.clone()));
        Ok(Self {
            paths: paths.collect(),
            scan,
            roots,
            max_bytes: config.decode.max_file_mb << 20,
        })
    }

    /// The content of a file now; `None` if it cannot be read.
    fn hash_of(&self, path: &str) -> Option<ContentHash> {
        let path = self.paths.get(path)?;
        let identity = self.scan.files.get(path)?;
        let bytes = self.roots.read_finished(path, identity, self.max_bytes);
        bytes.ok().map(|bytes| ContentHash::of(&bytes))
    }
}
