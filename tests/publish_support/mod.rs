//! What the publishing stories share: little artworks, a reader that trusts nothing, a second opinion on pixels.
#![allow(dead_code, unreachable_pub)]

use mosaicd::{
    artwork::{
        ArtworkId, ContentHash,
        cell::{Cell, CellSpec, Fit},
    },
    cells::CellStore,
    publish::{
        Generation, OutputSpec, PublishError, Published, Publisher, Was,
        manifest::{Latest, Manifest, Moves, Work},
        names,
    },
    viewer::{LATEST_CALL, MANIFEST_CALL},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A small, quick specification: 32 px cells.
pub fn spec() -> OutputSpec {
    OutputSpec {
        title: "Test".to_owned(),
        cell: CellSpec {
            px: 32,
            fit: Fit::Cover,
            background: [10, 60, 90],
        },
        viewer: vec![("index.html".to_owned(), b"<!doctype html>".to_vec())],
        ..OutputSpec::default()
    }
}

/// The hash of the artwork of a seed.
pub fn hash(seed: u64) -> ContentHash {
    ContentHash::of(&seed.to_le_bytes())
}

/// The cell of the artwork of a seed: a flat colour with a little texture.
pub fn cell(seed: u64, px: u32) -> Cell {
    let ContentHash(bytes) = hash(seed);
    let rgb = (0..px * px)
        .flat_map(|i| {
            let ripple = ((i % px) ^ (i / px)) as u8 & 15;
            [bytes[0], bytes[1], bytes[2]].map(|v| (v / 2 + 40).saturating_add(ripple))
        })
        .collect();
    Cell { px, rgb }
}

/// A work of a seed at a place.
pub fn work(id: u64, seed: u64, col: u32, row: u32) -> Work {
    Work {
        id: ArtworkId(id),
        path: format!("folder/{id}.png"),
        col,
        row,
        x: col as f32 * 0.37,
        y: row as f32 * -0.11,
        hash: hash(seed),
        size: 1000 + seed,
        added_ms: 5,
        neighbours: vec![ArtworkId(id + 1)],
        title: None,
        artist: None,
        link: None,
        format: None,
        large: None,
        fields: Default::default(),
    }
}

/// A generation of works.
pub fn generation<W: Into<Arc<Work>>>(works: Vec<W>, cols: u32, rows: u32) -> Generation {
    Generation {
        works: works.into_iter().map(Into::into).collect(),
        cols,
        rows,
        moves: Moves::default(),
        model: "test".to_owned(),
        words_by: None,
        drift: None,
    }
}

/// The first `n` seeds, row by row in `cols` columns.
pub fn rows_of(n: u64, cols: u32, rows: u32) -> Generation {
    let place = |i: u64| work(i, i, i as u32 % cols, i as u32 / cols);
    generation((0..n).map(place).collect(), cols, rows)
}

/// A store of prepared cells with the first `n` seeds in it.
pub fn cells(dir: &Path, spec: &OutputSpec, n: u64) -> CellStore {
    let store = CellStore::open(dir, &spec.cell).expect("a cell store");
    for seed in 0..n {
        store
            .put(&hash(seed), &cell(seed, spec.cell.px), None)
            .expect("a put");
    }
    store.sync().expect("a sync");
    store
}

/// A folder with prepared cells and an output, and the publisher that writes it.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub output: PathBuf,
    pub cells: CellStore,
    pub spec: OutputSpec,
    publisher: Option<Publisher>,
}

impl Stage {
    /// The usual specification and the cells of the first `n` seeds.
    pub fn new(n: u64) -> Self {
        Self::with(spec(), n)
    }

    pub fn with(spec: OutputSpec, n: u64) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self {
            output: dir.path().join("out"),
            cells: cells(&dir.path().join("cells"), &spec, n),
            dir,
            spec,
            publisher: None,
        }
    }

    /// Another output folder from here on, with the same cells.
    pub fn use_output(&mut self, name: &str) {
        self.publisher = None;
        self.output = self.dir.path().join(name);
    }

    /// Another specification from here on.
    pub fn use_spec(&mut self, spec: OutputSpec) {
        self.spec = spec;
        self.restart();
    }

    /// A new publisher, as after a restart of the daemon.
    pub fn restart(&mut self) {
        self.publisher = None;
        self.publisher();
    }

    pub fn open(&self) -> Result<Publisher, PublishError> {
        Publisher::open(&self.output, self.spec.clone())
    }

    /// The publisher, which opens at its first use.
    pub fn publisher(&mut self) -> &mut Publisher {
        if self.publisher.is_none() {
            self.publisher = Some(self.open().expect("a publisher"));
        }
        self.publisher.as_mut().expect("it was just opened")
    }

    pub fn try_publish(
        &mut self,
        generation: &Generation,
        now_ms: u64,
    ) -> Result<Published, PublishError> {
        self.publisher();
        let publisher = self.publisher.as_mut().expect("it was just opened");
        publisher.publish(generation, &self.cells, now_ms)
    }

    pub fn publish(&mut self, generation: &Generation, now_ms: u64) -> Published {
        self.try_publish(generation, now_ms).expect("published")
    }

    /// Publishes the generation that `next` makes of the published one's works.
    pub fn publish_next(
        &mut self,
        next: impl FnOnce(Vec<Arc<Work>>, u64) -> (Generation, Was),
        now_ms: u64,
    ) -> Published {
        self.publisher();
        let publisher = self.publisher.as_mut().expect("it was just opened");
        let published = publisher.publish_next(next, &self.cells, now_ms);
        published.expect("published")
    }

    /// The single files show the published generation, as at the end of the daemon.
    pub fn catch_up(&mut self, now_ms: u64) {
        self.publisher();
        let publisher = self.publisher.as_mut().expect("it was just opened");
        publisher.catch_up(&self.cells, now_ms).expect("drawn");
    }

    pub fn manifest(&self) -> Manifest {
        manifest(&self.output)
    }

    /// The mosaic that the manifest names.
    pub fn mosaic(&self) -> PathBuf {
        mosaic_of(&self.output, &self.manifest())
    }

    pub fn assert_finished(&self) {
        assert_finished(&self.output);
    }

    /// Checks that the output is finished and shows what a publish from scratch shows.
    pub fn assert_equals_rebuild(&self, generation: &Generation) {
        self.assert_finished();
        let fresh = tempfile::tempdir_in(&self.dir).expect("a folder");
        Publisher::open(fresh.path(), self.spec.clone())
            .and_then(|mut publisher| publisher.publish(generation, &self.cells, 1))
            .expect("published");
        let (a, b) = (self.manifest(), manifest(fresh.path()));
        assert_eq!(a.pyramid, b.pyramid, "tiles");
        for name in ["mosaic.jpg", "preview.jpg"] {
            let read = |folder: &Path| fs::read(folder.join(name)).expect("a file");
            assert!(read(&self.output) == read(fresh.path()), "{name}");
        }
        assert!(a.works == b.works, "works");
        let (a, b) = (head(&self.output), head(fresh.path()));
        for key in ["blocks", "tiles", "facets", "count", "depth"] {
            assert_eq!(a[key], b[key], "{key}");
        }
    }
}

/// Reads the manifest, which must be whole.
pub fn manifest(output: &Path) -> Manifest {
    let bytes = fs::read(output.join(names::MANIFEST)).expect("a manifest");
    serde_json::from_slice(&bytes).expect("a whole manifest")
}

/// The mosaic that a manifest names.
pub fn mosaic_of(output: &Path, manifest: &Manifest) -> PathBuf {
    output.join(&manifest.mosaic.as_ref().expect("a mosaic").file)
}

/// Reads what a reader would, and checks every named file against the checksum in its name. Gives the manifest.
pub fn read_all(output: &Path) -> Manifest {
    let manifest = manifest(output);
    for file in [
        manifest.mosaic.as_ref(),
        manifest.preview.as_ref(),
        manifest.png.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        let bytes = fs::read(output.join(&file.file)).expect("a named file");
        let (_, _, crc) = names::parse_mosaic_file(&file.file).expect("a name of ours");
        assert_eq!(crc, crc32fast::hash(&bytes), "{} is torn", file.file);
    }
    if output.join(names::LATEST).exists() {
        head(output);
    }
    for (level, col, row, hash) in tiles(&manifest) {
        let name = names::tile(level, col, row, hash);
        let bytes = fs::read(output.join(&name)).expect("a named tile");
        assert_eq!(names::hash(&bytes), hash, "{name} is torn");
    }
    manifest
}

/// The head that `latest.json` names, after a look at every file that it names in turn: all must be there, each with the
/// bytes that its name promises, and with the same bytes compressed beside it.
pub fn head(output: &Path) -> serde_json::Value {
    let latest = fs::read(output.join(names::LATEST)).expect("a latest");
    let latest: Latest = serde_json::from_slice(&latest).expect("whole");
    let name = latest.head.expect("a head");
    let head: serde_json::Value =
        serde_json::from_slice(&page_file(output, &name)).expect("a whole head");
    let mut named = Vec::new();
    for (kinds, prefix) in [("blocks", ""), ("tiles", "tiles-")] {
        for (kind, names) in head[kinds].as_object().expect("lists of blocks") {
            let digits = names.as_str().expect("hashes").as_bytes().chunks(8);
            for (n, hash) in digits.enumerate() {
                let hash = std::str::from_utf8(hash).expect("digits");
                if hash != "00000000" {
                    named.push(format!("p/{prefix}{kind}-{n}-{hash}.json"));
                }
            }
        }
    }
    for name in named.iter().chain(&latest.delta) {
        page_file(output, name);
    }
    head
}

/// A file of the page, checked.
pub fn page_file(output: &Path, name: &str) -> Vec<u8> {
    let bytes = fs::read(output.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let promised = names::parse_page(&name[2..]).expect("a name of ours");
    assert_eq!(promised, names::hash(&bytes), "{name} is torn");
    let compressed = fs::File::open(output.join(names::compressed(name))).expect("compressed");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(compressed), &mut plain)
        .expect("gzip");
    assert!(plain == bytes, "{name} is another one compressed");
    bytes
}

/// Level, column, row, hash of every tile that a manifest names.
pub fn tiles(manifest: &Manifest) -> Vec<(u32, u32, u32, u32)> {
    let Some(pyramid) = &manifest.pyramid else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (at, hashes) in pyramid.levels.iter().enumerate() {
        let level = pyramid.min_level + at as u32;
        let width = pyramid.width.div_ceil(1 << (pyramid.max_level - level));
        let cols = width.div_ceil(pyramid.tile_size) as usize;
        for (i, digits) in hashes.as_bytes().chunks(8).enumerate() {
            let digits = std::str::from_utf8(digits).expect("digits");
            let hash = u32::from_str_radix(digits, 16).expect("a hash");
            all.push((level, (i % cols) as u32, (i / cols) as u32, hash));
        }
    }
    all
}

/// Checks that the stable names show the manifest and that nothing temporary is left.
pub fn assert_finished(output: &Path) {
    let manifest = read_all(output);
    let same = |a: &str, b: &str| {
        let read = |name: &str| fs::read(output.join(name)).expect("a stable file");
        assert!(read(a) == read(b), "{a} is not {b}");
    };
    for (name, file) in [
        ("mosaic.jpg", &manifest.mosaic),
        ("preview.jpg", &manifest.preview),
    ] {
        match file {
            Some(file) => same(name, &file.file),
            None => assert!(!output.join(name).exists()),
        }
    }
    let latest = fs::read(output.join(names::LATEST)).expect("latest.json");
    let latest: Latest = serde_json::from_slice(&latest).expect("whole");
    assert_eq!(latest.generation, manifest.generation);
    for (script, document, call) in [
        (names::MANIFEST_JS, names::MANIFEST, MANIFEST_CALL),
        (names::LATEST_JS, names::LATEST, LATEST_CALL),
    ] {
        let read = |name: &str| fs::read_to_string(output.join(name)).expect("a document");
        let wanted = format!("{call}({});\n", read(document));
        assert!(read(script) == wanted, "{script} is not {document}");
    }
    let mut expected = 0;
    for (level, col, row, hash) in tiles(&manifest) {
        same(
            &names::dzi_tile(level, col, row),
            &names::tile(level, col, row, hash),
        );
        expected += 1;
    }
    match &manifest.pyramid {
        Some(pyramid) => {
            let dzi = fs::read_to_string(output.join(names::DZI)).expect("a descriptor");
            assert!(dzi.contains(&format!("Width=\"{}\"", pyramid.width)));
            expected += pyramid.min_level as usize;
        }
        None => assert!(!output.join(names::DZI).exists()),
    }
    let files = files(output);
    let shown = files
        .keys()
        .filter(|name| name.starts_with("mosaic_files/"));
    assert_eq!(shown.count(), expected, "stray tiles in the Deep Zoom view");
    assert!(
        !files.keys().any(|name| name.contains(".tmp")),
        "temporary files are left"
    );
}

/// Every file below a folder with its content.
pub fn files(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(output.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            match entry.file_type().expect("a type").is_dir() {
                true => folders.push(path),
                false => {
                    let bytes = fs::read(entry.path()).expect("a file");
                    all.insert(path.to_string_lossy().into_owned(), bytes);
                }
            }
        }
    }
    all
}

/// The picture that a generation should show: `cols × rows` cells of the specification's size.
pub fn picture(generation: &Generation, spec: &OutputSpec) -> image::RgbImage {
    let px = spec.cell.px;
    let (width, height) = (generation.cols.max(1) * px, generation.rows.max(1) * px);
    let mut picture = image::RgbImage::from_pixel(width, height, image::Rgb(spec.cell.background));
    for work in &generation.works {
        let seed = (0..10_000).find(|&seed| hash(seed) == work.hash);
        let cell = cell(seed.expect("a seed"), px);
        let cell = image::RgbImage::from_raw(px, px, cell.rgb).expect("a cell");
        let (x, y) = (i64::from(work.col * px), i64::from(work.row * px));
        image::imageops::replace(&mut picture, &cell, x, y);
    }
    picture
}
