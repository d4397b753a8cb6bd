//! A part that is being made: what is known of its files, added to line by line, and turned into the finished tables.

use super::{
    EMBEDDINGS, ITEMS, Item, PartError, PartStore, REFUSED, SUMS, Tables, UNFINISHED, sums,
};
use crate::{
    describe::csv,
    disk,
    domain::{ContentHash, ModelId},
    npy,
    vectors::{self, VectorFile},
};
use rustix::fs::{FlockOperation, flock};
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Name of the table of a part that is not finished.
const READ: &str = "read.csv";

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Size in bytes and time of the last change in nanoseconds since the epoch, when it was read; `None`: it is to be tried
    /// again.
    pub seen: Option<(u64, i64)>,
    /// Its content, or why it cannot be used.
    pub found: Result<ContentHash, String>,
}

/// A part that is being made.
pub struct Draft {
    folder: PathBuf,
    store: Arc<PartStore>,
    read: File,
    known: BTreeMap<String, Known>,
    model: String,
    dims: usize,
    _lock: File,
}

impl Draft {
    /// Opens the part in `folder`, or begins one. What a finished one has of the same model is taken over once something is
    /// to be added to it: `needs` is told what is known, and says so. `None` if the part is finished and nothing is.
    pub fn open(
        folder: &Path,
        (model, dims): (&ModelId, usize),
        needs: impl FnOnce(&BTreeMap<String, Known>) -> bool,
    ) -> Result<Option<Self>, PartError> {
        fs::create_dir_all(folder).map_err(PartError::io(folder))?;
        let lock = lock(folder)?;
        for leftover in ["unfinished.new", "unfinished.old"] {
            remove(&folder.join(leftover), |path| fs::remove_dir_all(path))?;
        }
        let unfinished = folder.join(UNFINISHED);
        if !unfinished.is_dir() {
            let known = finished(folder, &vectors::digest(model))?;
            if known.as_ref().is_some_and(|known| !needs(known)) {
                return Ok(None);
            }
            begin(folder, (model, dims), known.unwrap_or_default())?;
        }
        remove(&folder.join(SUMS), |path| fs::remove_file(path))?;
        let path = unfinished.join(READ);
        let store =
            PartStore::open(&unfinished, model, dims).map_err(PartError::io(&unfinished))?;
        let mut known = read(&path)?;
        known.retain(|_, known| match &known.found {
            Ok(hash) => store.file().contains(hash),
            Err(_) => true,
        });
        // Without a line that was cut short, which would take the next one with it.
        let text = lines(&known);
        disk::replace_durably(&path, &text).map_err(PartError::io(&path))?;
        let read = OpenOptions::new().append(true).open(&path);
        let read = read.map_err(PartError::io(&path))?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            store: Arc::new(store),
            read,
            known,
            model: vectors::digest(model),
            dims,
            _lock: lock,
        }))
    }

    /// The embeddings made so far.
    pub fn store(&self) -> &Arc<PartStore> {
        &self.store
    }

    /// What is known of the files.
    pub fn known(&self) -> &BTreeMap<String, Known> {
        &self.known
    }

    /// Notes what became of a file.
    pub fn note(&mut self, path: String, known: Known) -> Result<(), PartError> {
        let line = line(&path, &known);
        let at = self.folder.join(UNFINISHED).join(READ);
        self.read
            .write_all(line.as_bytes())
            .map_err(PartError::io(&at))?;
        self.known.insert(path, known);
        Ok(())
    }

    /// Writes the tables of the files that are to be kept, and says whose embeddings they hold.
    pub fn write(
        &mut self,
        keep: impl Fn(&str) -> bool,
    ) -> Result<HashSet<ContentHash>, PartError> {
        self.known.retain(|path, _| keep(path));
        let (mut used, mut rows) = (HashSet::new(), 0);
        let mut items = Table::create(&self.folder, ITEMS, "path,hash,model,size,mtime_ns\n")?;
        let mut refused = Table::create(&self.folder, REFUSED, "path,size,mtime_ns,reason\n")?;
        let mut embeddings = Table::create(&self.folder, EMBEDDINGS, "")?;
        embeddings.add(&npy::header([0, self.dims]))?;
        for (path, known) in &self.known {
            let (path, seen) = (csv::quoted(path), numbers(known.seen));
            let hash = match &known.found {
                Ok(hash) => hash,
                Err(reason) => {
                    let reason = csv::quoted(reason);
                    refused.add(format!("{path},{seen},{reason}\n").as_bytes())?;
                    continue;
                }
            };
            let row = self.store.file().row(hash);
            let Some(row) = row.map_err(PartError::io(&self.folder.join(UNFINISHED)))? else {
                continue;
            };
            let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
            embeddings.add(&bytes)?;
            items.add(format!("{path},{hash},{},{seen}\n", self.model).as_bytes())?;
            used.insert(*hash);
            rows += 1;
        }
        let header = npy::header([rows, self.dims]);
        embeddings.keep(&header)?;
        items.keep(&[])?;
        refused.keep(&[])?;
        Ok(used)
    }

    /// Writes the sums of everything that is in the folder now, and finishes the part with that.
    pub fn seal(self) -> Result<(), PartError> {
        sums::write(&self.folder)?;
        let (unfinished, old) = (
            self.folder.join(UNFINISHED),
            self.folder.join("unfinished.old"),
        );
        disk::rename(&unfinished, &old).map_err(PartError::io(&unfinished))?;
        remove(&old, |path| fs::remove_dir_all(path))
    }

    /// What an unfinished part in `folder` has, whoever may be filling it; `None` if there is none.
    pub fn look(folder: &Path) -> Result<Option<Unfinished>, PartError> {
        let unfinished = folder.join(UNFINISHED);
        if !unfinished.is_dir() {
            return Ok(None);
        }
        let file = VectorFile::look(&unfinished).map_err(PartError::io(&unfinished))?;
        let known = read(&unfinished.join(READ))?;
        Ok(Some(Unfinished { file, known }))
    }
}

/// What an unfinished part has.
pub struct Unfinished {
    file: Option<VectorFile>,
    known: BTreeMap<String, Known>,
}

impl Unfinished {
    /// The model, as [`vectors::digest`] names it, and the length of its embeddings; `None` before the first one.
    pub fn model(&self) -> Option<(String, usize)> {
        self.file.as_ref().map(|file| (file.model(), file.dims()))
    }

    /// Files that were read.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Gives every file whose embedding is whole to `take`, which ends it with an error.
    pub fn each<E: From<PartError>>(
        self,
        mut take: impl FnMut(Item, Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(file) = self.file else {
            return Ok(());
        };
        for (path, known) in self.known {
            let Ok(hash) = known.found else {
                continue;
            };
            let row = file
                .row(&hash)
                .map_err(PartError::io(Path::new(UNFINISHED)))?;
            let item = Item {
                line: 0,
                path,
                hash: Some(hash),
                seen: known.seen,
            };
            if let Some(row) = row {
                take(item, row)?;
            }
        }
        Ok(())
    }
}

/// Makes the folder of an unfinished part, with what a finished one has.
fn begin(
    folder: &Path,
    (model, dims): (&ModelId, usize),
    known: BTreeMap<String, Known>,
) -> Result<(), PartError> {
    let (draft, unfinished) = (folder.join("unfinished.new"), folder.join(UNFINISHED));
    fs::create_dir_all(&draft).map_err(PartError::io(&draft))?;
    if known.values().any(|known| known.found.is_ok()) {
        let store = PartStore::open(&draft, model, dims).map_err(PartError::io(&draft))?;
        let tables = Tables::open(&folder.join(EMBEDDINGS), &folder.join(ITEMS), false)?;
        tables.each(|item, row| {
            let put = item.hash.map(|hash| store.file().put(&hash, &row));
            put.transpose().map(drop).map_err(PartError::io(&draft))
        })?;
    }
    let path = draft.join(READ);
    fs::write(&path, lines(&known)).map_err(PartError::io(&path))?;
    disk::rename(&draft, &unfinished).map_err(PartError::io(&unfinished))
}

/// What a finished part of this model has; `None` if there is none, or its tables are damaged.
fn finished(folder: &Path, model: &str) -> Result<Option<BTreeMap<String, Known>>, PartError> {
    if !folder.join(SUMS).exists() || !sums::damaged_tables(folder)?.is_empty() {
        return Ok(None);
    }
    let tables = Tables::open(&folder.join(EMBEDDINGS), &folder.join(ITEMS), false)?;
    if tables.other_model(model)?.is_some() {
        return Ok(None);
    }
    let mut known = BTreeMap::new();
    tables.each(|item, _| {
        let (seen, hash) = (item.seen, item.hash);
        known.extend(hash.map(|hash| {
            (
                item.path,
                Known {
                    seen,
                    found: Ok(hash),
                },
            )
        }));
        Ok::<(), PartError>(())
    })?;
    let path = folder.join(REFUSED);
    let text = fs::read_to_string(&path).map_err(PartError::io(&path))?;
    for record in csv::records(&text).skip(1) {
        if let [path, size, mtime_ns, reason] = &record.fields[..] {
            let seen = size.parse().ok().zip(mtime_ns.parse().ok());
            let found = Err(reason.clone());
            known.insert(path.clone(), Known { seen, found });
        }
    }
    Ok(Some(known))
}

/// The lines of the table of an unfinished part; what was cut short is left out, and the last line of a file counts.
fn read(path: &Path) -> Result<BTreeMap<String, Known>, PartError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        // A power cut may leave anything.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        text => text.map_err(PartError::io(path))?,
    };
    let mut known = BTreeMap::new();
    // The first line says what stands between the fields of all.
    let text = format!("path,size,mtime_ns,hash,reason\n{text}");
    for record in csv::records(&text).skip(1).filter(|record| !record.open) {
        let [path, size, mtime_ns, hash, reason] = &record.fields[..] else {
            continue;
        };
        let found = match (hash.parse(), reason.is_empty()) {
            (Ok(hash), true) => Ok(hash),
            (Err(_), false) if hash.is_empty() => Err(reason.clone()),
            _ => continue,
        };
        let seen = size.parse().ok().zip(mtime_ns.parse().ok());
        known.insert(path.clone(), Known { seen, found });
    }
    Ok(known)
}

fn lines(known: &BTreeMap<String, Known>) -> String {
    known
        .iter()
        .map(|(path, known)| line(path, known))
        .collect()
}

fn line(path: &str, known: &Known) -> String {
    let (path, seen) = (csv::quoted(path), numbers(known.seen));
    match &known.found {
        Ok(hash) => format!("{path},{seen},{hash},\n"),
        Err(reason) => format!("{path},{seen},,{}\n", csv::quoted(reason)),
    }
}

fn numbers(seen: Option<(u64, i64)>) -> String {
    seen.map_or(",".to_owned(), |(size, mtime_ns)| {
        format!("{size},{mtime_ns}")
    })
}

/// A table under its draft's name.
struct Table {
    draft: PathBuf,
    path: PathBuf,
    out: BufWriter<File>,
}

impl Table {
    fn create(folder: &Path, name: &str, header: &str) -> Result<Self, PartError> {
        let draft = folder.join(format!("{name}.new"));
        let file = File::create(&draft).map_err(PartError::io(&draft))?;
        let mut table = Self {
            path: folder.join(name),
            out: BufWriter::new(file),
            draft,
        };
        table.add(header.as_bytes())?;
        Ok(table)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), PartError> {
        self.out
            .write_all(bytes)
            .map_err(PartError::io(&self.draft))
    }

    /// Gives it its name, with other first bytes.
    fn keep(self, first: &[u8]) -> Result<(), PartError> {
        let Self { draft, path, out } = self;
        let kept = out.into_inner().map_err(io::IntoInnerError::into_error);
        kept.and_then(|file| {
            file.write_all_at(first, 0)?;
            disk::keep(&file, &draft, &path)
        })
        .map_err(PartError::io(&path))
    }
}

/// Keeps other processes from filling the folder, as long as the file is open.
fn lock(folder: &Path) -> Result<File, PartError> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(PartError::io(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PartError::Busy(folder.to_owned())),
        Err(errno) => Err(PartError::io(&path)(errno.into())),
    }
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), PartError> {
    match how(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(PartError::io(path)),
    }
}
