//! `mosaicd import`: embeddings, cells and renditions made elsewhere; each is checked before it is taken over.

use super::{
    progress::Steps,
    settled::{Named, settled},
};
use anyhow::{Context, bail};
use mosaicd::{
    artwork::{
        ContentHash,
        large::{Large, LargeSpec},
    },
    cells::{CellStore, spec_key},
    config::Config,
    daemon,
    embed::Encoder,
    parameters,
    parts::{Draft, EMBEDDINGS, ITEMS, Item, REFUSED, SUMS, Tables, sums},
    pipeline::Imported,
    publish::Renditions,
    store::{SledStore, Store},
    vectors,
    watch::{Roots, Rules},
};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Works stored at once: one flush for all of them.
const BATCH: usize = 256;
/// How far from 1 a vector's length may be: float32 rounding, and no more.
const LENGTH_TOLERANCE: f32 = 1e-3;

/// What became of the lines.
#[derive(Default)]
struct Counts {
    imported: usize,
    known: usize,
    changed: usize,
    absent: usize,
    /// One of those without a file.
    astray: Option<String>,
    cells: usize,
    renditions: usize,
}

impl Counts {
    fn fit(&self) -> usize {
        self.imported + self.known
    }

    fn all(&self) -> usize {
        self.fit() + self.changed + self.absent
    }
}

/// Takes over folders that `mosaicd embed` or `mosaicd export` filled, and arrays with their tables.
///
/// A row is taken only for the file at its path in the artwork folder, with exactly its content, and a whole source only if
/// the configured model made it; where the table does not say so, the caller does with its name. A source that cannot be used
/// does not keep the others from being taken.
pub(crate) fn import(
    config: &Config,
    sources: &[PathBuf],
    model: Option<&str>,
) -> anyhow::Result<()> {
    let sources = with_tables(sources)?;
    let encoder = daemon::open_encoder_alone(config)?;
    if let Some(model) = model.filter(|model| *model != encoder.name()) {
        bail!(
            "--model {model}: the configured encoder is {}, and embeddings of different models are never mixed",
            encoder.name()
        );
    }
    let mut site = Site::open(config, encoder)?;
    let mut refused = Vec::new();
    for (source, items) in &sources {
        let taken = match items {
            Some(items) => Tables::open(source, items, model.is_some())
                .map_err(Into::into)
                .and_then(|tables| site.take_tables(tables, None)),
            None => site.take_folder(source),
        };
        let taken = taken.and_then(|()| site.put());
        if let Err(error) = taken.with_context(|| source.display().to_string()) {
            if sources.len() == 1 {
                return Err(error);
            }
            eprintln!("mosaicd: {error:#}");
            refused.push(source.display().to_string());
            site.batch.clear();
        }
    }
    let reported = site.report();
    if !refused.is_empty() {
        bail!(
            "left out: {}; what the others have is taken over",
            refused.join(", ")
        );
    }
    reported
}

/// The folders among the sources, and the arrays, each with its table: the first one with the first, and so on.
fn with_tables(sources: &[PathBuf]) -> anyhow::Result<Vec<(&Path, Option<&Path>)>> {
    let is_array = |path: &&Path| path.is_file() && path.extension().is_some_and(|e| e == "npy");
    let (arrays, others): (Vec<_>, Vec<_>) =
        sources.iter().map(PathBuf::as_path).partition(is_array);
    // Without arrays every source is a folder, and what is none is refused as one.
    let is_table = |path: &&Path| !arrays.is_empty() && path.is_file();
    let (tables, folders): (Vec<_>, Vec<_>) = others.into_iter().partition(is_table);
    if arrays.len() != tables.len() {
        bail!(
            "{} arrays (.npy) and {} tables: each array needs the table of its rows",
            arrays.len(),
            tables.len()
        );
    }
    let pairs: Vec<_> = arrays.into_iter().zip(tables).collect();
    for (array, table) in &pairs {
        if let (Some(one), Some(other)) = (number(array), number(table))
            && one != other
        {
            bail!(
                "{} would be taken with {}; name arrays and tables in the same order",
                array.display(),
                table.display()
            );
        }
    }
    let pairs = pairs.into_iter().map(|(array, table)| (array, Some(table)));
    let folders = folders.into_iter().map(|folder| (folder, None));
    Ok(pairs.chain(folders).collect())
}

/// The number at the end of a file's name.
fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    stem[stem.trim_end_matches(|c: char| c.is_ascii_digit()).len()..]
        .parse()
        .ok()
}

/// What another machine made besides embeddings.
struct Pictures {
    folder: PathBuf,
    cells: Option<CellStore>,
    renditions: Renditions,
    damaged: HashSet<String>,
}

/// Where everything goes.
struct Site<'a> {
    config: &'a Config,
    encoder: Arc<dyn Encoder>,
    store: SledStore,
    cells: CellStore,
    renditions: Renditions,
    large: LargeSpec,
    imported: Imported,
    files: Files,
    counts: Counts,
    /// What is not durable yet; a work whose embedding was there before has none.
    batch: Vec<(ContentHash, Option<Vec<f32>>)>,
}

impl<'a> Site<'a> {
    fn open(config: &'a Config, encoder: Arc<dyn Encoder>) -> anyhow::Result<Self> {
        daemon::check_folders(config)?;
        let state = &config.folders.state;
        let store = SledStore::open(state)
            .context("stop the daemon first (systemctl stop mosaicd)")?
            .store;
        let large = parameters::large_spec(config);
        Ok(Self {
            config,
            encoder,
            store,
            cells: CellStore::open(&state.join("cells"), &config.cell_spec())?,
            renditions: Renditions::open(&config.folders.output, large)?,
            large,
            imported: Imported::open(state),
            files: Files::scan(config)?,
            counts: Counts::default(),
            batch: Vec::new(),
        })
    }

    fn take_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        if let Some(unfinished) = Draft::look(folder)? {
            eprintln!(
                "{} is not finished; what it has is taken over",
                folder.display()
            );
            let Some((model, dims)) = unfinished.model() else {
                return Ok(());
            };
            self.check_model(&model)?;
            self.check_dims(dims)?;
            let pictures = self.pictures(folder, Vec::new())?;
            let mut steps = Steps::new(unfinished.len() as u64, "importing");
            return unfinished.each(|item, row| {
                steps.one();
                self.take(&item, row, pictures.as_ref())
            });
        }
        let damaged = match folder.join(SUMS).exists() {
            true => sums::damaged(folder)?,
            false => Vec::new(),
        };
        if let Some(table) = damaged.iter().find(|name| !name.contains('/')) {
            bail!(
                "{table} is damaged: it is not as {SUMS} says; copy the folder again, or run `mosaicd embed` into it again"
            );
        }
        if !damaged.is_empty() {
            eprintln!(
                "{}: {} pictures are damaged or missing (sha256sum -c {SUMS} names them); the daemon makes them again",
                folder.display(),
                damaged.len()
            );
        }
        let tables = Tables::open(&folder.join(EMBEDDINGS), &folder.join(ITEMS), false)?;
        let pictures = self.pictures(folder, damaged)?;
        self.take_tables(tables, pictures.as_ref())
    }

    /// What a part has of cells and renditions as they are made here.
    fn pictures(&self, folder: &Path, damaged: Vec<String>) -> anyhow::Result<Option<Pictures>> {
        if !folder.join(REFUSED).exists() && !folder.join("cells").is_dir() {
            return Ok(None);
        }
        let (cells, spec) = (folder.join("cells"), self.config.cell_spec());
        let alike = cells.join(spec_key(&spec)).is_dir();
        Ok(Some(Pictures {
            folder: folder.to_owned(),
            cells: match alike {
                true => Some(CellStore::open(&cells, &spec)?),
                false => None,
            },
            renditions: Renditions::look(folder, self.large)?,
            damaged: damaged.into_iter().collect(),
        }))
    }

    fn take_tables(&mut self, tables: Tables, pictures: Option<&Pictures>) -> anyhow::Result<()> {
        let model = vectors::digest(self.encoder.model());
        if let Some((line, other)) = tables.other_model(&model)? {
            self.check_model(&other)
                .with_context(|| format!("{ITEMS} line {line}"))?;
        }
        if !tables.is_empty() {
            self.check_dims(tables.dims())?;
        }
        let mut steps = Steps::new(tables.len() as u64, "importing");
        tables.each(|item, row| {
            steps.one();
            self.take(&item, row, pictures)
        })
    }

    fn check_model(&self, model: &str) -> anyhow::Result<()> {
        let configured = vectors::digest(self.encoder.model());
        if *model != configured {
            bail!(
                "made by another model than the configured one, {} ({})\n\
                 set embed.model to the model that made these embeddings; builtin's change with mosaicd's version",
                self.encoder.name(),
                &configured[..12]
            );
        }
        Ok(())
    }

    fn check_dims(&self, dims: usize) -> anyhow::Result<()> {
        if dims != self.encoder.dims() {
            bail!(
                "embeddings of {dims} values; {} makes {}",
                self.encoder.name(),
                self.encoder.dims()
            );
        }
        Ok(())
    }

    /// Takes one row over, with its cell and its rendition.
    fn take(
        &mut self,
        item: &Item,
        row: Vec<f32>,
        pictures: Option<&Pictures>,
    ) -> anyhow::Result<()> {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        if (length - 1.0).abs() > LENGTH_TOLERANCE || !length.is_finite() {
            bail!(
                "the row of {} has length {length}, and must have 1",
                item.path
            );
        }
        let hash = match self.files.content(item) {
            Content::Is(hash) => hash,
            Content::Another => {
                self.counts.changed += 1;
                return Ok(());
            }
            Content::Absent => {
                self.counts.absent += 1;
                self.counts.astray.get_or_insert_with(|| item.path.clone());
                return Ok(());
            }
        };
        let known = self.store.has_embedding(&hash, self.encoder.model())?;
        match known {
            true => self.counts.known += 1,
            false => self.counts.imported += 1,
        }
        if let Some(pictures) = pictures {
            self.take_pictures(&hash, pictures)?;
        }
        self.batch.push((hash, (!known).then_some(row)));
        if self.batch.len() == BATCH {
            self.put()?;
        }
        Ok(())
    }

    fn take_pictures(&mut self, hash: &ContentHash, theirs: &Pictures) -> anyhow::Result<()> {
        if !self.cells.contains(hash)
            && let Some(cells) = &theirs.cells
            && let Some(cell) = cells.get(hash)
        {
            self.cells.put(hash, &cell, cells.format(hash))?;
            self.counts.cells += 1;
        }
        if !self.renditions.wants(hash) || theirs.renditions.wants(hash) {
            return Ok(());
        }
        let Some(shown) = theirs.renditions.of(hash) else {
            return Ok(());
        };
        if theirs.damaged.contains(&shown.file) {
            return Ok(());
        }
        // One that cannot be read is made again.
        let Ok(jpeg) = fs::read(theirs.folder.join(&shown.file)) else {
            return Ok(());
        };
        let large = Large {
            width: shown.width,
            height: shown.height,
            jpeg,
        };
        if large.is_sound(&self.large) {
            self.renditions.put(hash, &large)?;
            self.counts.renditions += 1;
        }
        Ok(())
    }

    /// Makes what was taken durable.
    fn put(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let hashes: Vec<ContentHash> = batch.iter().map(|(hash, _)| *hash).collect();
        self.imported
            .add(&self.files.rules, &hashes)
            .context("the state folder cannot be written")?;
        self.cells.sync()?;
        self.renditions.sync()?;
        let rows = batch.into_iter();
        let rows: Vec<_> = rows.filter_map(|(hash, row)| Some((hash, row?))).collect();
        if !rows.is_empty() {
            self.store.put_embeddings(self.encoder.model(), &rows)?;
        }
        Ok(())
    }

    fn report(&self) -> anyhow::Result<()> {
        let Counts {
            imported,
            known,
            changed,
            absent,
            astray,
            cells,
            renditions,
        } = &self.counts;
        println!(
            "{imported} embeddings imported, {known} known before; left out: {changed} whose file has another content, \
             {absent} without a file"
        );
        if *cells + *renditions > 0 {
            println!("{cells} cells and {renditions} renditions taken over");
        }
        if self.counts.fit() == 0 && self.counts.all() > 0 {
            let example = astray
                .as_ref()
                .map(|path| format!(" There is no {path} there."));
            bail!(
                "nothing fits: are these artworks in the watched folder, under the same paths below it?{}",
                example.unwrap_or_default()
            );
        }
        Ok(())
    }
}

/// The files of the watched folders, by the paths that a manifest gives them.
struct Files {
    roots: Roots,
    rules: Rules,
    named: Named,
    max_bytes: u64,
}

impl Files {
    fn scan(config: &Config) -> anyhow::Result<Self> {
        let (roots, scan, rules) = settled(config)?;
        Ok(Self {
            named: Named::of(scan.files),
            rules,
            roots,
            max_bytes: config.decode.max_file_mb << 20,
        })
    }

    /// The content of an item's file. One of the same size and time of change is not read: an embedding is only ever used for
    /// the content whose hash the daemon finds itself.
    fn content(&self, item: &Item) -> Content {
        // Other programs know nothing of a manifest's paths.
        let as_is = item.hash.is_none().then(|| self.named.at(&item.path));
        let found = as_is.flatten().or_else(|| self.named.get(&item.path));
        let Some((path, identity)) = found else {
            return Content::Absent;
        };
        if let Some(hash) = item.hash
            && item.seen == Some((identity.size, identity.mtime_ns))
        {
            return Content::Is(hash);
        }
        let read = self.roots.read_finished(path, identity, self.max_bytes);
        match read.map(|bytes| ContentHash::of(&bytes)) {
            Ok(hash) if item.hash.is_none_or(|wanted| wanted == hash) => Content::Is(hash),
            Ok(_) => Content::Another,
            Err(_) => Content::Absent,
        }
    }
}

/// What the file of an item holds.
enum Content {
    /// There is none, or it cannot be read.
    Absent,
    /// Something else.
    Another,
    /// This.
    Is(ContentHash),
}
