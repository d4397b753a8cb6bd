//! Readers behind nginx, with the site snippet that mosaicd ships, while the real daemon runs and works arrive.
//!
//! Needs nginx (Debian: `nginx-light`), so that a plain `cargo test` ignores it: add `-- --ignored`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;
mod publish_support;

use common::Site;
use mosaicd::publish::{
    manifest::{Latest, Manifest},
    names,
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Reads of the manifest and of every file it names.
const READS: usize = 1_000;
/// So many generations at least must come while they run.
const GENERATIONS: u64 = 20;

/// An nginx that serves a folder, and ends with the test.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts nginx with the shipped snippet on a port of its own; `None` if it is not installed.
    fn start(dir: &Path, output: &Path) -> Option<Self> {
        let binary = ["/usr/sbin/nginx", "/usr/bin/nginx"]
            .into_iter()
            .find(|path| Path::new(path).exists())?;
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/nginx.conf");
        let shipped = fs::read_to_string(shipped).unwrap();
        let site = shipped
            .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
            .replace("    listen [::]:80;\n", "")
            .replace("/srv/mosaicd/output", output.to_str().unwrap());
        assert!(site.contains(&format!("root {};", output.display())));
        assert!(!site.contains(":80;"), "the snippet listens elsewhere now");
        // The test's folder is private to its user.
        let user = match fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m))
        {
            Ok(0) => "user root;\n",
            _ => "",
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", dir.display()))
            .collect();
        let main = format!(
            "{user}daemon off;\nworker_processes 2;\npid {0}/nginx.pid;\nerror_log {0}/error.log warn;\n\
             events {{ worker_connections 256; }}\nhttp {{\naccess_log off;\nkeepalive_requests 1000000;\n{temporary}\
             include /etc/nginx/mime.types;\n{site}\n}}\n",
            dir.display()
        );
        fs::write(dir.join("nginx.conf"), main).unwrap();
        let child = Command::new(binary)
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .arg("-e")
            .arg(dir.join("error.log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Self { child, port };
        let deadline = Instant::now() + common::patience();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(dir.join("error.log")).unwrap_or_default();
            assert!(
                nginx.child.try_wait().unwrap().is_none(),
                "nginx ended: {log}"
            );
            assert!(Instant::now() < deadline, "nginx does not answer: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A plain kill would leave the workers behind.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.child.wait());
    }
}

/// One connection that is kept open.
struct Reader(BufReader<TcpStream>);

/// An answer: its status, its `Cache-Control`, its body.
struct Answer {
    status: u16,
    cache: String,
    body: Vec<u8>,
}

impl Reader {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(common::patience())).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn get(&mut self, path: &str) -> Answer {
        let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or("").parse().unwrap_or(0);
        let (mut length, mut cache) = (None, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "cache-control" => cache = value.to_owned(),
                _ => {}
            }
        }
        let length: usize = length.expect("a length: nothing here is chunked");
        let mut body = vec![0; length];
        self.0
            .read_exact(&mut body)
            .expect("the body as long as promised");
        Answer {
            status,
            cache,
            body,
        }
    }
}

/// What went wrong, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Faults {
    torn: usize,
    mixed: usize,
    /// What was named and not there, with its status.
    missing: Vec<String>,
}

impl Faults {
    fn missed(&mut self, name: &str, answer: &Answer, generation: u64) {
        let status = answer.status;
        self.missing.push(format!(
            "{name}: {status}, read for generation {generation}"
        ));
    }
}

/// Reads the manifest and everything it names; gives the manifest's generation and the number of files read.
fn read_all(reader: &mut Reader, last: u64, faults: &mut Faults) -> (u64, usize) {
    let answer = reader.get(names::MANIFEST);
    if answer.status != 200 {
        faults.missed(names::MANIFEST, &answer, last);
        return (last, 0);
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&answer.body) else {
        faults.torn += 1;
        return (last, 0);
    };
    // Time never runs backwards, and the newest file that a manifest names is not newer than itself.
    let (_, generation, _) =
        names::parse_mosaic_file(&manifest.mosaic.as_ref().unwrap().file).unwrap();
    if manifest.generation < last || generation > manifest.generation {
        faults.mixed += 1;
    }
    let mut files = 1;
    let mosaic_files = [manifest.mosaic.as_ref(), manifest.preview.as_ref()];
    for file in mosaic_files.into_iter().flatten() {
        let answer = reader.get(&file.file);
        let (_, _, crc) = names::parse_mosaic_file(&file.file).unwrap();
        match answer.status {
            200 => faults.torn += usize::from(crc32fast::hash(&answer.body) != crc),
            _ => faults.missed(&file.file, &answer, manifest.generation),
        }
        files += 1;
    }
    for (level, col, row, hash) in publish_support::tiles(&manifest) {
        let name = names::tile(level, col, row, hash);
        let answer = reader.get(&name);
        match answer.status {
            200 => faults.torn += usize::from(names::hash(&answer.body) != hash),
            _ => faults.missed(&name, &answer, manifest.generation),
        }
        assert!(answer.cache.contains("immutable"), "{}", answer.cache);
        files += 1;
    }
    // The stable name may lag the manifest, but is whole at any moment.
    let stable = reader.get("mosaic.jpg");
    let whole = stable.body.starts_with(&[0xFF, 0xD8]) && stable.body.ends_with(&[0xFF, 0xD9]);
    match stable.status {
        200 => faults.torn += usize::from(!whole),
        _ => faults.missed("mosaic.jpg", &stable, manifest.generation),
    }
    // A reader that polls this finds no generation that is not there yet.
    let latest = reader.get(names::LATEST);
    let latest: Latest = serde_json::from_slice(&latest.body).expect("whole");
    let now: Manifest = serde_json::from_slice(&reader.get(names::MANIFEST).body).expect("whole");
    faults.mixed += usize::from(latest.generation > now.generation);
    (manifest.generation, files + 3)
}

#[test]
#[ignore = "needs nginx: cargo test -- --ignored"]
fn a_reader_behind_nginx_sees_whole_generations_only() {
    let site = Site::new();
    site.configure("[grid]\nreserve = 0.3\n");
    let config = fs::read_to_string(site.path("mosaicd.toml")).unwrap();
    let config = config.replace("size_px = 32", "size_px = 64");
    fs::write(site.path("mosaicd.toml"), config).unwrap();
    fs::create_dir(site.path("nginx")).unwrap();
    let nginx = Nginx::start(&site.path("nginx"), &site.output());
    let nginx = nginx.expect("nginx is installed (Debian: nginx-light)");
    site.draw(0, 60);
    let daemon = site.start();
    let first = site.until_works(60).generation;
    // The stable names follow the first manifest ever, a flush of the folder later; the page is the last of them.
    site.wait("the page", || {
        site.output().join("index.html").exists().then_some(())
    });

    let (reading, arrived) = (AtomicBool::new(true), AtomicUsize::new(0));
    let mut faults = Faults::default();
    let (mut reads, mut files, mut last) = (0, 0, first);
    std::thread::scope(|scope| {
        let (reading, arrived, site) = (&reading, &arrived, &site);
        scope.spawn(move || {
            let mut number = 60;
            while reading.load(Ordering::Relaxed) {
                site.draw(number, 1);
                number += 1;
                arrived.fetch_add(1, Ordering::Relaxed);
                // The next work comes when this one is shown, so that each makes a generation of its own.
                let deadline = Instant::now() + common::patience();
                while reading.load(Ordering::Relaxed)
                    && site.try_manifest().is_none_or(|m| m.works.len() < number)
                {
                    assert!(Instant::now() < deadline, "never shown; {}", site.log());
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        let mut reader = Reader::connect(nginx.port);
        let deadline = Instant::now() + 4 * common::patience();
        while (reads < READS || last - first < GENERATIONS) && Instant::now() < deadline {
            let (generation, read) = read_all(&mut reader, last, &mut faults);
            last = generation.max(last);
            (reads, files) = (reads + 1, files + read);
        }
        reading.store(false, Ordering::Relaxed);
    });
    println!(
        "{reads} reads, {files} files, {} generations, {} works arrived: {faults:?}",
        last - first,
        arrived.load(Ordering::Relaxed)
    );
    assert_eq!(faults, Faults::default());
    assert!(reads >= READS, "only {reads} reads");
    assert!(
        last - first >= GENERATIONS,
        "only {} generations",
        last - first
    );
    assert_eq!(daemon.stop(), 0, "{}", site.log());

    let mut reader = Reader::connect(nginx.port);
    assert_eq!(reader.get("index.html").status, 200);
    assert_eq!(reader.get("mosaic.dzi").status, 200);
    assert_eq!(reader.get("t/8/0_0-00000000.jpg").status, 404);
    assert_eq!(reader.get(".mosaicd-1-1.tmp").status, 404);
}
