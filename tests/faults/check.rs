//! What must be true of a site at any moment, looked at by somebody who trusts nothing that the daemon says.

use crate::{
    album::Album,
    common::{self, Daemon, Site, mosaic, placed},
    publish_support,
};
use mosaicd::{
    artwork::{
        ContentHash,
        cell::{CellSpec, Fit},
    },
    embed::{EncoderSpec, ModelId},
    publish::manifest::Manifest,
    store::{SledStore, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

pub use crate::common::count;

/// The stories' configuration: small cells, quick settling, one log line for every work taken in.
pub fn configure(site: &Site, more: &str) {
    site.configure(&format!("[log]\nlevel = \"debug\"\n{more}"));
}

/// A cell's mean difference from what it should show, in 8-bit steps: JPEG at quality 85 with halved colour makes some
/// 4 of these rings, another picture makes 30 and more.
const FAR: f64 = 15.0;

/// Checks that the manifest, everything it names, and the pixels agree with each other and with the works' contents.
pub fn agree(site: &Site, album: &Album) -> Manifest {
    let manifest = publish_support::read_all(&site.output());
    placed(&manifest);
    let picture = mosaic(site, &manifest);
    let px = manifest.grid.cell_px;
    let spec = CellSpec {
        px,
        fit: Fit::Cover,
        background: [0x10, 0x12, 0x16],
    };
    for work in &manifest.works {
        let expected = album
            .cell(&work.hash, &spec)
            .expect("a work is what somebody put there, never a part of it");
        let shown =
            image::imageops::crop_imm(&picture, work.col * px, work.row * px, px, px).to_image();
        let sum: u64 = (shown.as_raw().iter().zip(&expected))
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let far = sum as f64 / expected.len() as f64;
        assert!(
            far < FAR || manifest.undrawn.contains(&work.id),
            "{} at ({}, {}) shows something else: {far:.1}",
            work.path,
            work.col,
            work.row
        );
    }
    manifest
}

/// How long anything may take here, where the machine is kept busy on purpose.
pub fn patience() -> Duration {
    3 * common::patience()
}

/// What differs between the folder and the manifest, as a person would say it.
pub fn differences(root: &Path, manifest: &Manifest) -> Vec<String> {
    let mut there = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                there.insert(
                    name.to_owned(),
                    ContentHash::of(&fs::read(&path).unwrap_or_default()),
                );
            }
        }
    }
    let shown: BTreeMap<String, ContentHash> = manifest
        .works
        .iter()
        .map(|w| (w.path.clone(), w.hash))
        .collect();
    let mut wrong = Vec::new();
    for (path, hash) in &there {
        match shown.get(path) {
            None => wrong.push(format!("{path} is not shown")),
            Some(other) if other != hash => wrong.push(format!("{path} is shown as it was")),
            Some(_) => {}
        }
    }
    let gone = shown.keys().filter(|path| !there.contains_key(*path));
    wrong.extend(gone.map(|path| format!("{path} is shown and not there")));
    wrong
}

/// Waits until manifest and folder are the same, and gives the time that took.
pub fn until_same(site: &Site) -> (Manifest, Duration) {
    until(site, |manifest| differences(&site.artworks(), manifest))
}

/// Waits until nothing in the manifest differs from what it should be, and gives the time that took.
pub fn until(site: &Site, differences: impl Fn(&Manifest) -> Vec<String>) -> (Manifest, Duration) {
    let began = Instant::now();
    let mut told = false;
    loop {
        let looking = Instant::now();
        let manifest = site.try_manifest();
        let wrong = manifest.as_ref().map(&differences);
        match (manifest, wrong) {
            (Some(manifest), Some(wrong)) if wrong.is_empty() => {
                return (manifest, began.elapsed());
            }
            (manifest, wrong) => {
                if !told && began.elapsed() > common::patience() {
                    let first: Vec<_> = wrong.iter().flatten().take(9).collect();
                    println!("not the same after {:.0?}: {first:?}", began.elapsed());
                    told = true;
                }
                let works =
                    manifest.map_or(0, |m| m.works.len()) + wrong.as_ref().map_or(0, Vec::len);
                assert!(
                    began.elapsed() < patience() * (1 + works as u32 / 1_000),
                    "never became the same: {:?}; log:\n{}",
                    wrong.map(|mut wrong| wrong.drain(..wrong.len().min(9)).collect::<Vec<_>>()),
                    tail(&site.log())
                );
            }
        }
        // Reading a large folder again and again would keep the daemon from its work.
        std::thread::sleep(looking.elapsed().max(Duration::from_millis(50)));
    }
}

/// The last lines of a log.
pub fn tail(log: &str) -> String {
    let from = log.len().saturating_sub(4_000);
    String::from_utf8_lossy(&log.as_bytes()[from..]).into_owned()
}

/// What a daemon said in its log that it made durable.
#[derive(Default)]
pub struct Promised {
    /// Contents whose embedding was acknowledged.
    pub embedded: BTreeSet<ContentHash>,
    /// The generation that was published last.
    pub generation: u64,
}

impl Promised {
    /// Checks what a run that has ended left: all that was acknowledged, and a whole mosaic if there is one, which it
    /// says.
    pub fn hold(&mut self, site: &Site, album: &Album) -> bool {
        self.read(site);
        self.is_kept(site);
        let published = site.output().join("manifest.json").exists();
        if published {
            agree(site, album);
        }
        published
    }

    /// Takes in the log of a run that has ended, however it ended.
    pub fn read(&mut self, site: &Site) {
        let log = site.log();
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        for line in whole.lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                panic!("not a line of JSON: {line:?}");
            };
            match line["message"].as_str() {
                Some("taken in") => {
                    let hash = line["hash"].as_str().unwrap().parse().unwrap();
                    self.embedded.insert(hash);
                }
                Some("published") => {
                    self.generation = self.generation.max(line["generation"].as_u64().unwrap());
                }
                _ => {}
            }
        }
    }

    /// Checks a copy of the store, so that the daemon's own next start finds it as the crash left it.
    pub fn is_kept(&self, site: &Site) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&site.path("state/store"), &copy.path().join("store"));
        let opened = SledStore::open(copy.path()).unwrap();
        assert!(
            opened.healed.is_none(),
            "the store was damaged: {:?}",
            opened.healed
        );
        let model = builtin();
        for hash in &self.embedded {
            assert!(
                opened.store.has_embedding(hash, &model).unwrap(),
                "the embedding of {hash} was acknowledged and is lost"
            );
        }
        if let Some(manifest) = site.try_manifest() {
            assert!(
                manifest.generation >= self.generation,
                "generation {} was published and {} is there",
                self.generation,
                manifest.generation
            );
            for work in &manifest.works {
                assert!(opened.store.has_embedding(&work.hash, &model).unwrap());
            }
        } else {
            assert_eq!(self.generation, 0, "the published generation is gone");
        }
    }
}

/// The built-in encoder's id.
pub fn builtin() -> ModelId {
    let spec = EncoderSpec::default();
    mosaicd::embed::open(&spec).unwrap().model().clone()
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Starts the daemon as systemd would, waits for its READY=1, and gives the time that took.
pub fn start_ready<'a>(site: &'a Site, env: &[(&str, &str)]) -> (Daemon<'a>, Duration) {
    let path = site.path("notify");
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    let began = Instant::now();
    let mut all = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
    all.extend(env);
    let daemon = site.start_with(&all);
    let mut buffer = [0; 4096];
    loop {
        let read = socket
            .recv(&mut buffer)
            .unwrap_or_else(|_| panic!("never ready; log:\n{}", tail(&site.log())));
        if buffer[..read].starts_with(b"READY=1") {
            return (daemon, began.elapsed());
        }
    }
}

/// How long things took: the median, the 95th percentile and the slowest.
pub fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    format!(
        "median {:.1?}, 95 % within {:.1?}, slowest {:.1?}",
        at(50),
        at(95),
        at(100)
    )
}

/// Runs a command; `false` if it cannot be run or fails.
pub fn run(command: &str) -> bool {
    let output = Command::new("sh").args(["-c", command]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Where a part of a story cannot be told, says why; with `MOSAICD_REQUIRE_FAULTS=1` that is a failure. A story that
/// cannot be told at all is `#[ignore]`d with its reason.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("MOSAICD_REQUIRE_FAULTS").is_none(),
        "cannot be skipped: {why}"
    );
    // Past the test runner, which shows nothing of a test that passes.
    let _ = writeln!(std::io::stderr(), "a fault was skipped: {why}");
}
