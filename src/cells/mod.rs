//! Prepared cells kept on disk, so that an original is read once.
//!
//! One file per cell, `<dir>/<spec key>/<first two digits>/<content hash>`, with the cell at every power of two (see
//! `file`). The smallest mips are cached within a budget; everything else is left to the page cache.
//!
//! It knows nothing of artworks' files or of the mosaic. Invariants: a damaged file, or one from elsewhere, reads as
//! missing and is replaced by the next `put`; a cell under a hash is complete or absent (temporary file, then rename).

mod collecting;
mod file;

use crate::{
    artwork::{
        cell::{Cell, CellSpec},
        decode::Format,
    },
    disk::{self, Action, flush, syncfs_flushes},
    domain::ContentHash,
};
use file::{pixels_at, pixels_below};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The budget of cached small mips, bytes.
pub const CACHE_BYTES: usize = 64 << 20;

/// Counts up when the same picture gives other pixels than before, so that all cells are prepared again.
const PREPARED: u32 = 3;
/// Mips above this side are never cached; below it, the whole of a pyramid level costs little to read.
const CACHED_PX: u32 = 32;
/// What a cached entry costs in addition to its pixels: key, pointer, allocator.
const ENTRY_BYTES: usize = 96;

/// Why a cell is not kept, or not removed.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The file system refused: full, read-only, failing.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: Action,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A cell size that the pyramid or the splice cannot have.
    #[error("a cell of {px} px: the side must be a power of two from 16 to 1024")]
    Size {
        /// The side asked for.
        px: u32,
    },
}

/// Prepared cells of one [`CellSpec`]. All methods take `&self` and may be called from many threads.
pub struct CellStore {
    dir: PathBuf,
    key: String,
    px: u32,
    cache: RwLock<Cache>,
    /// Held shared while a cell is put, alone while unused ones are collected.
    collecting: RwLock<()>,
    /// Files and folders made since the last [`CellStore::sync`].
    unsynced: Mutex<HashSet<PathBuf>>,
    /// Cells put since the last [`CellStore::collect`], but for those that were released.
    fresh: Mutex<HashSet<ContentHash>>,
    /// Whether the last one left nothing but what was asked to be kept.
    tidy: AtomicBool,
    sequence: AtomicU64,
}

#[derive(Default)]
struct Cache {
    /// Mips up to this side are cached; 0 for none.
    px: u32,
    mips: HashMap<ContentHash, Box<[u8]>>,
}

impl CellStore {
    /// Opens (or makes) the cells of a spec below `dir`. Fails on a cell size that is not a power of two from 16 to
    /// 1024, and when the folder cannot be made.
    pub fn open(dir: &Path, spec: &CellSpec) -> Result<Self, CellError> {
        check_px(spec.px)?;
        let key = spec_key(spec);
        let store = Self {
            dir: dir.to_owned(),
            px: spec.px,
            cache: RwLock::default(),
            collecting: RwLock::default(),
            unsynced: Mutex::default(),
            fresh: Mutex::default(),
            tidy: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
            key,
        };
        let folder = store.folder();
        disk::make_private(&folder).map_err(io_error(Action::MakeFolder, &folder))?;
        Ok(store)
    }

    /// Side of a cell, pixels.
    pub fn px(&self) -> u32 {
        self.px
    }

    /// Keeps a cell, and the format of the picture if it is known. It counts as kept only after [`CellStore::sync`]. A cell of
    /// another size is refused.
    pub fn put(
        &self,
        hash: &ContentHash,
        cell: &Cell,
        format: Option<Format>,
    ) -> Result<(), CellError> {
        let square = cell.px as usize * cell.px as usize * 3;
        if cell.px != self.px || cell.rgb.len() != square {
            return Err(CellError::Size { px: cell.px });
        }
        let bytes = file::encode(cell, format);
        let _shared = self
            .collecting
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let path = self.path(hash);
        let folder = path.parent().unwrap_or(&self.dir).to_owned();
        disk::make_private(&folder).map_err(io_error(Action::MakeFolder, &folder))?;
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(disk::temporary(sequence));
        disk::replace(&path, &temporary, &bytes).map_err(io_error(Action::Write, &path))?;
        self.unsynced().extend([folder, path]);
        self.fresh().insert(*hash);
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.mips.remove(hash);
        Ok(())
    }

    /// Whether a cell is there, complete by its length; its checksums are verified when it is read.
    pub fn contains(&self, hash: &ContentHash) -> bool {
        fs::metadata(self.path(hash)).is_ok_and(|m| m.is_file() && m.len() == file::bytes(self.px))
    }

    /// The format of the picture, as it was found when its cell was made; `None` if there is none, or it was made by version
    /// 0.1. Opens a file.
    pub fn format(&self, hash: &ContentHash) -> Option<Format> {
        file::format(&self.path(hash), self.px)
    }

    /// Reads a cell; `None` if it is missing, damaged or unreadable.
    pub fn get(&self, hash: &ContentHash) -> Option<Cell> {
        let mut rgb = Vec::new();
        self.mip(hash, self.px, &mut rgb)
            .then_some(Cell { px: self.px, rgb })
    }

    /// Reads a cell at `px × px`, a power of two up to its own side, into `out`; false if it is missing, damaged or
    /// unreadable.
    pub fn mip(&self, hash: &ContentHash, px: u32, out: &mut Vec<u8>) -> bool {
        out.clear();
        if !px.is_power_of_two() || px > self.px {
            return false;
        }
        let cached_px = {
            let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
            if px <= cache.px
                && let Some(pixels) = cache.mips.get(hash)
            {
                let start = pixels_below(px);
                out.extend_from_slice(&pixels[start..start + pixels_at(px)]);
                return true;
            }
            cache.px
        };
        let read = match px <= cached_px {
            true => file::read(&self.path(hash), self.px, 1, cached_px).map(|pixels| {
                let start = pixels_below(px);
                out.extend_from_slice(&pixels[start..start + pixels_at(px)]);
                let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
                if cache.px == cached_px {
                    cache.mips.insert(*hash, pixels.into_boxed_slice());
                }
            }),
            false => file::read(&self.path(hash), self.px, px, px).map(|pixels| *out = pixels),
        };
        match read {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%hash, %error, "a prepared cell reads as missing");
                false
            }
        }
    }

    /// Reads what the cache may hold of these cells, so that a tile that shows thousands of them opens no file.
    pub fn warm<'a>(&self, hashes: impl Iterator<Item = &'a ContentHash>) {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner).px;
        if cache == 0 {
            return;
        }
        let mut pixels = Vec::new();
        for hash in hashes {
            self.mip(hash, 1, &mut pixels);
        }
    }

    /// Chooses how much of each cell is cached, so that `cells` of them stay within the budget.
    pub fn expect(&self, cells: usize) {
        let mut px = CACHED_PX.min(self.px);
        while px > 0 && (pixels_below(2 * px) + ENTRY_BYTES).saturating_mul(cells) > CACHE_BYTES {
            px /= 2;
        }
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.px != px {
            *cache = Cache {
                px,
                mips: HashMap::new(),
            };
        }
    }

    /// Makes every cell put so far durable.
    pub fn sync(&self) -> Result<(), CellError> {
        let paths: Vec<_> = self.unsynced().drain().collect();
        if paths.is_empty() {
            return Ok(());
        }
        let folder = self.folder();
        let parents = paths.iter().filter_map(|path| path.parent());
        let parents = parents.map(Path::to_owned).collect();
        let flush = |root: File| flush(&root, syncfs_flushes(&root), &paths, &parents);
        let synced = File::open(&folder).and_then(flush);
        if synced.is_err() {
            self.unsynced().extend(paths);
        }
        synced.map_err(io_error(Action::Sync, &folder))
    }

    fn fresh(&self) -> MutexGuard<'_, HashSet<ContentHash>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsynced(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> PathBuf {
        self.dir.join(&self.key)
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        let name = hash.to_string();
        self.folder().join(&name[..2]).join(&name)
    }
}

/// Refuses cells that neither the pyramid nor the splice can have.
pub fn check_px(px: u32) -> Result<(), CellError> {
    match px.is_power_of_two() && (16..=1024).contains(&px) {
        true => Ok(()),
        false => Err(CellError::Size { px }),
    }
}

/// A folder name for everything except the picture that decides a cell's pixels.
pub fn spec_key(spec: &CellSpec) -> String {
    let fit = spec.fit.name();
    let [r, g, b] = spec.background;
    format!("v{PREPARED}-{}-{fit}-{r:02x}{g:02x}{b:02x}", spec.px)
}

fn io_error(action: Action, path: &Path) -> impl FnOnce(io::Error) -> CellError {
    let path = path.to_owned();
    move |source| CellError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{artwork::cell::Fit, render::mips::mips};

    fn spec(px: u32) -> CellSpec {
        CellSpec {
            px,
            fit: Fit::PreCrop,
            background: [0, 16, 255],
        }
    }

    fn cell(px: u32, seed: u8) -> Cell {
        let rgb = (0..px * px * 3).map(|i| (i as u8).wrapping_mul(seed));
        Cell {
            px,
            rgb: rgb.collect(),
        }
    }

    #[test]
    fn a_cell_comes_back_at_every_size() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = CellStore::open(dir.path(), &spec(64)).expect("a store");
        let (hash, cell) = (ContentHash::of(b"a"), cell(64, 7));
        assert!(!store.contains(&hash) && store.get(&hash).is_none());
        store.put(&hash, &cell, Some(Format::Gif)).expect("put");
        store.sync().expect("sync");
        assert!(store.contains(&hash));
        assert_eq!(store.get(&hash).as_ref(), Some(&cell));
        assert_eq!(store.format(&hash), Some(Format::Gif));
        for cells in [0, 1, usize::MAX] {
            store.expect(cells);
            for (log, mip) in mips(&cell).iter().enumerate() {
                let mut out = Vec::new();
                for _ in 0..2 {
                    assert!(store.mip(&hash, 1 << log, &mut out));
                    assert_eq!(&out, mip);
                }
            }
        }
        assert!(!store.mip(&hash, 128, &mut Vec::new()));
        let again = CellStore::open(dir.path(), &spec(64)).expect("a store");
        assert_eq!(again.get(&hash), Some(cell));
    }

    #[test]
    fn any_damage_reads_as_missing_and_put_heals() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = CellStore::open(dir.path(), &spec(16)).expect("a store");
        let (hash, cell) = (ContentHash::of(b"a"), cell(16, 3));
        store.put(&hash, &cell, Some(Format::Gif)).expect("put");
        let path = store.path(&hash);
        let sound = fs::read(&path).expect("the file");
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 4;
            fs::write(&path, &bytes).expect("damage");
            let mut out = Vec::new();
            let all = (0..5).all(|log| store.mip(&hash, 1 << log, &mut out));
            assert!(!all, "byte {at} is covered by a checksum");
        }
        for length in [0, 10, sound.len() - 1] {
            fs::write(&path, &sound[..length]).expect("truncate");
            assert!(!store.contains(&hash));
            assert!(store.get(&hash).is_none());
        }
        store.put(&hash, &cell, Some(Format::Gif)).expect("put");
        assert_eq!(store.get(&hash), Some(cell));
    }

    #[test]
    fn unused_cells_and_old_specs_are_collected_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let old = CellStore::open(dir.path(), &spec(32)).expect("a store");
        old.put(&ContentHash::of(b"a"), &cell(32, 3), None)
            .expect("put");
        let store = CellStore::open(dir.path(), &spec(16)).expect("a store");
        for name in [b"a", b"b"] {
            store
                .put(&ContentHash::of(name), &cell(16, 3), None)
                .expect("put");
        }
        fs::create_dir(dir.path().join("keep-me")).expect("a foreign folder");
        let leftover = store
            .path(&ContentHash::of(b"a"))
            .with_file_name(".mosaicd-1-2.tmp");
        fs::write(&leftover, b"half").expect("a leftover");
        let wanted = ContentHash::of(b"a");
        assert_eq!(store.collect(false, |_| false).expect("leftovers"), 1);
        assert!(store.contains(&wanted), "its work may not be placed yet");
        assert_eq!(
            store
                .collect(false, |hash| *hash == wanted)
                .expect("collect"),
            1
        );
        assert!(store.contains(&wanted) && !store.contains(&ContentHash::of(b"b")));
        assert!(!leftover.exists() && !old.folder().exists());
        assert!(dir.path().join("keep-me").exists());
        store.put(&wanted, &cell(16, 3), None).expect("put");
        store.release(&wanted);
        assert_eq!(store.collect(false, |_| false).expect("collect"), 1);
    }

    #[test]
    fn a_cell_that_was_never_needed_is_found_although_all_others_still_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = CellStore::open(dir.path(), &spec(16)).expect("a store");
        let [placed, later, never] = [b"a", b"b", b"c"].map(|name| ContentHash::of(name));
        let put = |hash| store.put(hash, &cell(16, 3), None).expect("put");
        let needed = |hash: &ContentHash| *hash != never;
        put(&placed);
        assert_eq!(store.collect(true, needed).expect("collect"), 0);
        put(&later);
        put(&never);
        assert_eq!(store.collect(true, needed).expect("fresh"), 0);
        assert_eq!(store.collect(true, needed).expect("collect"), 1);
        assert!(store.contains(&placed) && store.contains(&later));
        put(&never);
        store.release(&never);
        assert_eq!(store.collect(true, needed).expect("released"), 1);
        assert_eq!(store.collect(true, |_| false).expect("all are needed"), 0);
        assert_eq!(store.collect(false, |_| false).expect("none is"), 2);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        for px in [0, 8, 24, 2048] {
            assert!(CellStore::open(dir.path(), &spec(px)).is_err());
        }
        let store = CellStore::open(dir.path(), &spec(16)).expect("a store");
        assert!(
            store
                .put(&ContentHash::of(b"a"), &cell(32, 1), None)
                .is_err()
        );
        let short = Cell {
            px: 16,
            rgb: vec![0; 7],
        };
        assert!(store.put(&ContentHash::of(b"a"), &short, None).is_err());
    }
}
