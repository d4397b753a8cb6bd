//! Fetching from a server that misbehaves in every way that servers and links do.

use super::{
    Source,
    catalog::{Entry, Kind, Pin},
    download::{self, FetchError, Net, News},
    sources, wheel,
};
use std::{
    cell::RefCell,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

mod server;
use server::{Server, rest, says, whole};

/// A file of 300,000 bytes without a pattern.
fn file() -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..300_000).map(|_| next()).collect()
}

fn pin(bytes: &[u8]) -> Pin {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sum");
    fs::write(&path, bytes).expect("writable");
    Pin {
        path: "onnx/file.bin",
        name: "file.bin",
        bytes: bytes.len() as u64,
        sha256: download::sha256(&path).expect("readable").leak(),
        words: false,
    }
}

thread_local! {
    static SLEPT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Seconds that the last fetch of this thread wanted to sleep.
fn slept() -> Vec<u64> {
    SLEPT.take()
}

struct Fetched {
    folder: tempfile::TempDir,
    result: Result<(), FetchError>,
    last: u64,
}

impl Fetched {
    fn target(&self) -> PathBuf {
        self.folder.path().join("file.bin")
    }

    /// The message of a failure that left nothing that could be taken for the file.
    fn refusal(&self) -> String {
        assert!(!self.target().exists());
        match &self.result {
            Ok(()) => panic!("it was taken for the pinned file"),
            Err(error) => error.to_string(),
        }
    }

    /// Asserts that the file is there, whole, and nothing else.
    fn assert_whole(&self, wanted: &[u8]) {
        if let Err(error) = &self.result {
            panic!("{error}");
        }
        assert!(fs::read(self.target()).expect("it is there") == wanted);
        let entries = fs::read_dir(self.folder.path()).expect("readable").count();
        assert_eq!(entries, 1, "a part was left behind");
        assert_eq!(self.last, wanted.len() as u64);
    }
}

/// Fetches the file from the server; `part` is what an earlier attempt left.
fn fetch(server: &Server, pin: &Pin, part: Option<&[u8]>) -> Fetched {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Some(part) = part {
        fs::write(folder.path().join("file.bin.part"), part).expect("writable");
    }
    let record = |time: Duration| SLEPT.with_borrow_mut(|slept| slept.push(time.as_secs()));
    let net = Net::with(Duration::from_millis(500), record);
    let mut last = 0;
    let mut news = |news: News<'_>| {
        if let News::Bytes(have) = news {
            last = have;
        }
    };
    slept();
    let result = net.fetch(&server.url, pin, &folder.path().join("file.bin"), &mut news);
    Fetched {
        folder,
        result,
        last,
    }
}

#[test]
fn a_whole_file_is_installed() {
    let file = file();
    let server = Server::new(vec![whole(&file, file.len())]);
    fetch(&server, &pin(&file), None).assert_whole(&file);
    assert_eq!(server.ranges(), [None]);
    assert_eq!(slept(), [0_u64; 0]);
}

#[test]
fn cuts_are_mended_by_asking_for_the_rest() {
    let file = file();
    let server = Server::new(vec![
        whole(&file, 100_000),
        rest(&file, 100_000, 150_000),
        rest(&file, 150_000, file.len()),
    ]);
    fetch(&server, &pin(&file), None).assert_whole(&file);
    let range = |from: usize| Some(format!("bytes={from}-"));
    assert_eq!(server.ranges(), [None, range(100_000), range(150_000)]);
    // Each cut came after progress, so each wait is the shortest.
    assert_eq!(slept(), [1, 1]);
}

#[test]
fn an_earlier_run_s_part_is_continued() {
    let file = file();
    let server = Server::new(vec![rest(&file, 299_999, file.len())]);
    fetch(&server, &pin(&file), Some(&file[..299_999])).assert_whole(&file);
    // And a part that is whole already needs no server at all.
    let nobody = Server::new(Vec::new());
    let folder = fetch(&nobody, &pin(&file), Some(&file));
    assert!(folder.result.is_ok() && fs::read(folder.target()).is_ok_and(|f| f == file));
}

#[test]
fn a_server_without_ranges_starts_again() {
    let file = file();
    let server = Server::new(vec![whole(&file, 200_000), whole(&file, file.len())]);
    fetch(&server, &pin(&file), None).assert_whole(&file);
}

#[test]
fn a_part_of_other_bytes_is_thrown_away() {
    let file = file();
    let server = Server::new(vec![
        rest(&file, 5_000, file.len()),
        whole(&file, file.len()),
    ]);
    fetch(&server, &pin(&file), Some(&[0; 5_000])).assert_whole(&file);
    assert_eq!(server.ranges(), [Some("bytes=5000-".into()), None]);
    // Longer than the file is wrong too.
    let server = Server::new(vec![whole(&file, file.len())]);
    fetch(&server, &pin(&file), Some(&[0; 300_001])).assert_whole(&file);
}

#[test]
fn wrong_bytes_are_never_installed() {
    let file = file();
    let mut wrong = file.clone();
    wrong[150_000] ^= 1;
    let server = Server::new(vec![whole(&wrong, wrong.len())]);
    let pin = pin(&file);
    let fetched = fetch(&server, &pin, None);
    let message = fetched.refusal();
    assert!(
        message.contains(pin.sha256) && message.contains("sha256"),
        "{message}"
    );
    assert_eq!(
        server.ranges().len(),
        1,
        "the same bytes again would not help"
    );
    assert!(fs::read_dir(fetched.folder.path()).is_ok_and(|mut e| e.next().is_none()));
}

#[test]
fn a_server_that_refuses_is_asked_once() {
    let file = file();
    for status in ["404 Not Found", "401 Unauthorized", "403 Forbidden"] {
        let server = Server::new(vec![says(format!("{status}\r\nContent-Length: 0"), b"")]);
        let message = fetch(&server, &pin(&file), None).refusal();
        assert!(
            message.contains(status) && message.contains("--from"),
            "{message}"
        );
        assert_eq!(server.ranges().len(), 1);
    }
}

#[test]
fn a_busy_server_is_waited_for() {
    let file = file();
    let busy = |head: &str| says(format!("{head}\r\nContent-Length: 0"), b"");
    let server = Server::new(vec![
        busy("429 Too Many Requests\r\nRetry-After: 7"),
        busy("503 Service Unavailable\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
        busy("502 Bad Gateway"),
        whole(&file, file.len()),
    ]);
    fetch(&server, &pin(&file), None).assert_whole(&file);
    assert_eq!(slept(), [7, 2, 4]);

    let server = Server::new(vec![busy("429 Too Many Requests\r\nRetry-After: 3600")]);
    let message = fetch(&server, &pin(&file), None).refusal();
    assert!(message.contains("3600 s"), "{message}");
    assert_eq!(slept(), [0_u64; 0]);
}

#[test]
fn a_server_that_lies_about_the_length_is_left() {
    let file = file();
    let liars = [
        // A login page, whose length gives it away before a byte is kept.
        says("200 OK\r\nContent-Length: 12", b"please login"),
        says("200 OK\r\nContent-Length: 300001", &file),
        // A body that does not end.
        says("200 OK\r\nTransfer-Encoding: chunked", &{
            let mut body = format!("{:x}\r\n", file.len() + 9).into_bytes();
            body.extend([&file[..], b"123456789\r\n"].concat());
            body
        }),
    ];
    for liar in liars {
        let server = Server::new(vec![liar]);
        let message = fetch(&server, &pin(&file), None).refusal();
        assert!(message.contains("instead of 300000"), "{message}");
        assert_eq!(server.ranges().len(), 1);
    }
    let other = says(
        "206 Partial Content\r\nContent-Length: 1\r\nContent-Range: bytes 100-100/101",
        b"x",
    );
    let server = Server::new(vec![other]);
    let message = fetch(&server, &pin(&file), Some(&file[..100])).refusal();
    assert!(message.contains("101 bytes instead"), "{message}");
}

#[test]
fn a_part_other_than_asked_for_is_not_appended() {
    let file = file();
    let server = Server::new(vec![
        rest(&file, 50, file.len()),
        says("416 Range Not Satisfiable\r\nContent-Length: 0", b""),
        whole(&file, file.len()),
    ]);
    fetch(&server, &pin(&file), Some(&file[..100])).assert_whole(&file);
}

#[test]
fn slow_links_are_endured_and_dead_ones_left() {
    let file = file();
    let trickle = file.clone();
    let (release, held) = channel::<()>();
    let server = Server::new(vec![
        // Sends half of the file, then nothing, and keeps the connection.
        Box::new({
            let file = file.clone();
            move |_, stream| {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&file[..150_000]);
                let _ = held.recv();
            }
        }),
        Box::new(move |head, stream| {
            assert!(head.to_ascii_lowercase().contains("range: bytes=150000-"));
            let head = "HTTP/1.1 206 Partial Content\r\nContent-Length: 150000\r\n\
                        Content-Range: bytes 150000-299999/300000\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            for piece in trickle[150_000..].chunks(7_500) {
                let _ = stream.write_all(piece);
                thread::sleep(Duration::from_millis(40));
            }
        }),
    ]);
    // In all the second answer takes longer than the patience of a single silence.
    fetch(&server, &pin(&file), None).assert_whole(&file);
    drop(release);
}

#[test]
fn nobody_there_is_given_up_and_what_arrived_is_kept() {
    let file = file();
    let server = Server::new(vec![whole(&file, 100_000)]);
    let fetched = fetch(&server, &pin(&file), None);
    let message = fetched.refusal();
    assert!(
        message.contains("given up after 5") && message.contains("kept"),
        "{message}"
    );
    assert_eq!(slept(), [1, 2, 4, 8]);
    let part = fs::metadata(fetched.folder.path().join("file.bin.part"));
    assert!(part.is_ok_and(|part| part.len() == 100_000));
}

#[test]
fn redirects_are_followed() {
    let file = file();
    let there = Server::new(vec![whole(&file, file.len())]);
    let moved = format!("302 Found\r\nLocation: {}\r\nContent-Length: 0", there.url);
    let here = Server::new(vec![says(moved, b"")]);
    fetch(&here, &pin(&file), None).assert_whole(&file);
}

#[test]
fn a_file_that_is_being_fetched_is_left_to_the_other() {
    let file = file();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let part = fs::File::create(folder.path().join("file.bin.part")).expect("writable");
    part.lock().expect("a lock");
    let from = folder.path().join("from");
    fs::write(&from, &file).expect("writable");
    let target = folder.path().join("file.bin");
    let copied = download::copy(&from, &pin(&file), &target, &mut |_| {});
    assert!(matches!(copied, Err(FetchError::Busy { .. })));
    drop(part);
    download::copy(&from, &pin(&file), &target, &mut |_| {}).expect("nobody else is at it");
    assert!(fs::read(&target).is_ok_and(|copied| copied == file));
}

#[test]
fn a_copy_is_checked_like_a_download() {
    let file = file();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (from, target) = (folder.path().join("from"), folder.path().join("file.bin"));
    let mut wrong = file.clone();
    wrong[7] ^= 1;
    for (bytes, why) in [(&wrong[..], "sha256"), (&file[1..], "299999 bytes")] {
        fs::write(&from, bytes).expect("writable");
        let error = download::copy(&from, &pin(&file), &target, &mut |_| {});
        let message = error.expect_err("not the pinned file").to_string();
        assert!(message.contains(why), "{message}");
        assert!(!target.exists());
    }
}

/// An entry of two files, the second of which is for words.
fn entry() -> Entry {
    let pin = |path, name, bytes, words| Pin {
        path,
        name,
        bytes,
        sha256: "",
        words,
    };
    let files = vec![
        pin("onnx/vision_q.onnx", "vision.onnx", 3, false),
        pin("text.onnx", "text.onnx", 4, true),
    ];
    Entry {
        name: "test",
        about: "",
        licence: "",
        source: "",
        base: "https://example.org/r/",
        files: files.leak(),
        kind: Kind::Model,
    }
}

#[test]
fn mirrors_folders_and_files_are_understood() {
    let entry = entry();
    let chosen = |words, from: Option<&str>| -> Result<Vec<String>, String> {
        let chosen = sources(&entry, &entry.wanted(words), from).map_err(|e| e.to_string())?;
        let place = |source| match source {
            Source::Url(url) => url,
            Source::File(file) => file.display().to_string(),
        };
        Ok(chosen
            .into_iter()
            .map(|(pin, source)| format!("{} {}", pin.name, place(source)))
            .collect())
    };
    let ok = |list: &[&str]| Ok(list.iter().map(|s| (*s).to_owned()).collect());
    assert_eq!(
        chosen(true, None),
        ok(&[
            "vision.onnx https://example.org/r/onnx/vision_q.onnx",
            "text.onnx https://example.org/r/text.onnx"
        ])
    );
    assert_eq!(
        chosen(false, Some("http://mirror/a/")),
        ok(&["vision.onnx http://mirror/a/onnx/vision_q.onnx"])
    );
    assert_eq!(
        chosen(false, Some("http://mirror/a")),
        ok(&["vision.onnx http://mirror/a"])
    );
    assert!(
        chosen(true, Some("http://mirror/a")).is_err_and(|e| e.contains("end the address with /"))
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| -> String {
        let path: &Path = &folder.path().join(name);
        fs::write(path, bytes).expect("writable");
        path.display().to_string()
    };
    let dir = folder.path().display().to_string();
    assert!(chosen(false, Some(&dir)).is_err_and(|e| e.contains("holds no vision_q.onnx")));
    let vision = write("vision_q.onnx", b"abc");
    assert_eq!(
        chosen(false, Some(&dir)),
        ok(&[&format!("vision.onnx {vision}")])
    );
    // A single file is known by its length.
    let text = write("anything", b"abcd");
    assert_eq!(
        chosen(false, Some(&text)),
        ok(&[&format!("text.onnx {text}")])
    );
    let other = write("other", b"abcde");
    assert!(chosen(false, Some(&other)).is_err_and(|e| e.contains("5 bytes")));
}

#[test]
fn the_library_is_taken_out_of_its_wheel() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, target) = (folder.path().join("x.whl"), folder.path().join("lib.so"));
    let library = file();
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("writable"));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in [("a/readme", &b"hello"[..]), ("a/lib.so.1", &library)] {
        zip.start_file(name, options).expect("a zip archive");
        zip.write_all(bytes).expect("a zip archive");
    }
    zip.finish().expect("a zip archive");
    wheel::take_out(&path, "a/lib.so.1", &target).expect("it is in there");
    assert!(fs::read(&target).is_ok_and(|taken| taken == library));

    fs::remove_file(&target).expect("it is there");
    let missing = wheel::take_out(&path, "a/lib.so.2", &target);
    assert!(missing.is_err_and(|e| e.to_string().contains("a/lib.so.2")));
    // A bit that flipped after the check of the whole is noticed by the archive's own sum.
    let mut damaged = fs::read(&path).expect("readable");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    fs::write(&path, damaged).expect("writable");
    assert!(wheel::take_out(&path, "a/lib.so.1", &target).is_err());
    assert!(!target.exists());
}
