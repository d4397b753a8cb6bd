//! A site in a temporary folder, driven through the real binary.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub
)]

use mosaicd::{demo, publish::manifest::Manifest, service::status::Status};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Nothing in these stories takes this long unless it is broken, or the machine is busy with other things:
/// `MOSAICD_PATIENCE=10` waits ten times as long.
pub fn patience() -> Duration {
    let factor = std::env::var("MOSAICD_PATIENCE").map_or(1, |n| n.parse().expect("a number"));
    Duration::from_secs(60) * factor
}

/// How often to do something: `few` times, or `many` with `MOSAICD_FULL_FAULTS=1`.
pub fn count(few: u32, many: u32) -> u32 {
    match std::env::var_os("MOSAICD_FULL_FAULTS") {
        Some(_) => many,
        None => few,
    }
}

pub struct Site {
    pub dir: tempfile::TempDir,
}

impl Site {
    /// Three empty folders and a configuration that settles quickly.
    pub fn new() -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(site.artworks()).unwrap();
        site.configure("");
        site
    }

    /// Writes the configuration; `more` is appended.
    pub fn configure(&self, more: &str) {
        let base = "[watch]\nsettle_ms = 100\nstable_ms = 600\n[tile]\nsize_px = 32\n";
        fs::write(self.path("mosaicd.toml"), format!("{base}{more}")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn artworks(&self) -> PathBuf {
        self.path("artworks")
    }

    pub fn output(&self) -> PathBuf {
        self.path("output")
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub fn art(&self, name: &str) -> PathBuf {
        self.artworks().join(name)
    }

    /// Draws `count` samples from number `from` on, as an upload would: temporary name, then rename.
    pub fn draw(&self, from: usize, count: usize) -> Vec<String> {
        (from..from + count)
            .map(|i| {
                let sample = demo::draw(i, 64, 7);
                let name = format!("{i:04}-{}", sample.name);
                put(&self.art(&name), &png(i));
                name
            })
            .collect()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosaicd"));
        // Relative paths, as a person would type them.
        command.current_dir(self.dir.path());
        command.arg("--config").arg("mosaicd.toml").args(arguments);
        command.env_remove("NOTIFY_SOCKET").env_remove("RUST_LOG");
        command
    }

    pub fn mosaicd(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn build(&self) -> Manifest {
        let output = self.mosaicd(&["build"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.manifest()
    }

    pub fn start(&self) -> Daemon<'_> {
        self.start_with(&[])
    }

    pub fn start_with(&self, env: &[(&str, &str)]) -> Daemon<'_> {
        let log = fs::File::create(self.path("log")).unwrap();
        let child = self
            .command(&["run"])
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { site: self, child }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn manifest(&self) -> Manifest {
        let text = fs::read_to_string(self.output().join("manifest.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn try_manifest(&self) -> Option<Manifest> {
        let text = fs::read_to_string(self.output().join("manifest.json")).ok()?;
        Some(serde_json::from_str(&text).expect("a manifest is whole at any moment"))
    }

    pub fn status(&self) -> Status {
        Status::from_json(&fs::read_to_string(self.state().join("status.json")).unwrap()).unwrap()
    }

    /// A counter or gauge of `metrics.prom`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = fs::read_to_string(self.state().join("metrics.prom")).unwrap();
        let line = text
            .lines()
            .find(|line| line.split([' ', '{']).next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Waits until the manifest satisfies `good`.
    pub fn until(&self, what: &str, good: impl Fn(&Manifest) -> bool) -> Manifest {
        self.wait(what, || self.try_manifest().filter(&good))
    }

    /// Waits until this many works are shown.
    pub fn until_works(&self, count: usize) -> Manifest {
        self.until(&format!("{count} works"), |m| m.works.len() == count)
    }

    /// Waits until the work at this path is shown.
    pub fn until_shown(&self, path: &str) -> Manifest {
        self.until(path, |m| m.works.iter().any(|work| work.path == path))
    }

    /// Draws `count` samples and starts a daemon; gives it and the samples' names once they are shown.
    pub fn run_with(&self, count: usize) -> (Daemon<'_>, Vec<String>) {
        let names = self.draw(0, count);
        let daemon = self.start();
        self.until_works(count);
        (daemon, names)
    }

    /// Whether the status tells a condition with this in it.
    pub fn told(&self, what: &str) -> Option<()> {
        let text = fs::read_to_string(self.state().join("status.json")).ok()?;
        let status = Status::from_json(&text).ok()?;
        let found = status.degraded.iter().any(|c| c.what.contains(what));
        found.then_some(())
    }

    /// Waits until the status tells a condition with this in it.
    pub fn until_told(&self, what: &str) {
        self.wait(what, || self.told(what));
    }

    /// Waits until no condition with this in it is told any more.
    pub fn until_untold(&self, what: &str) {
        self.wait(&format!("the end of: {what}"), || {
            self.told(what).is_none().then_some(())
        });
    }

    /// Waits until `look` finds something.
    pub fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let last = self.try_manifest().map(|m| (m.generation, m.works.len()));
            assert!(
                Instant::now() < deadline,
                "never came: {what}; manifest {last:?}; log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub struct Daemon<'a> {
    site: &'a Site,
    pub child: Child,
}

impl<'a> Daemon<'a> {
    /// A daemon of a site that was started otherwise.
    pub fn of(site: &'a Site, child: Child) -> Self {
        Self { site, child }
    }
}

impl Daemon<'_> {
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Sends TERM and returns the exit code.
    pub fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.exit_code()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(
                Instant::now() < deadline,
                "does not end; log:\n{}",
                self.site.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file or folder of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The configuration that names a model and onnxruntime; `more` is appended.
pub fn embed_with(model: &Path, more: &str) -> String {
    let library = std::env::var("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH is set");
    let model = model.display();
    format!("[embed]\nmodel = \"{model}\"\nlibrary = \"{library}\"\n{more}\n")
}

/// Sample number `i` as PNG bytes.
pub fn png(i: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = demo::draw(i, 64, 7).image;
    image
        .write_to(
            &mut std::io::Cursor::new(&mut bytes),
            image::ImageFormat::Png,
        )
        .unwrap();
    bytes
}

/// Puts a file in place by a rename, as rsync does.
pub fn put(path: &Path, bytes: &[u8]) {
    let temporary = path.with_file_name(format!(".{}.tmp", std::process::id()));
    fs::write(&temporary, bytes).unwrap();
    fs::rename(temporary, path).unwrap();
}

/// Path → (id, cell), having checked that no two works share a cell and all are on the grid.
pub fn placed(manifest: &Manifest) -> BTreeMap<String, (u64, (u32, u32))> {
    let mut cells = std::collections::BTreeSet::new();
    for work in &manifest.works {
        assert!(work.col < manifest.grid.cols && work.row < manifest.grid.rows);
        assert!(cells.insert((work.col, work.row)), "two works share a cell");
    }
    manifest
        .works
        .iter()
        .map(|w| (w.path.clone(), (w.id.0, (w.col, w.row))))
        .collect()
}

/// Decodes the published mosaic of a manifest and checks its size.
pub fn mosaic(site: &Site, manifest: &Manifest) -> image::RgbImage {
    let file = manifest.mosaic.as_ref().expect("a mosaic");
    let image = image::open(site.output().join(&file.file))
        .unwrap()
        .to_rgb8();
    assert_eq!(image.dimensions(), (file.width, file.height));
    image
}
