//! Files from people who mean harm, or whose tools do: names, kinds, bombs, junk.

use crate::{
    album::{Dice, Editor},
    check::{agree, configure, count, patience, run, skip, start_ready, tail},
    common::{Site, placed},
    decoding::tree_mb,
};
use std::{
    fs,
    io::Write,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    time::Instant,
};

/// Names that break out of whatever they are written into unescaped.
fn names() -> Vec<String> {
    let long = format!("{}.png", "n".repeat(251));
    [
        "new\nline level=\"ERROR\" message=forged.png",
        "STATUS\nREADY=1\nSTOPPING=1.png",
        "quote\"and'back`slash\\.png",
        "<img src=x onerror=alert(1)>.png",
        "<\u{2215}script><script>alert(1)<\u{2215}script>.png",
        "\u{1b}[31mred\u{1b}[0m\u{7}.png",
        "\u{202e}gnp.exe\u{2066}.png",
        "mosaicd_works 1e9\nmosaicd_up{path=\"x\"} 1.png",
        "comma, semicolon; tab\t.png",
        "=cmd|'calc'!A1.png",
        "%2e%2e%2f..%00.png",
        "-rf.png",
        " .png",
        "\u{1f3a8}\u{e9}e\u{301}.png",
        "{path}.png",
        &long,
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn names_are_shown_as_they_are_and_escaped_everywhere() {
    // In the manifest `%2e` stands for a byte that is no Unicode, so a file of that name is told apart from it.
    let told = |name: &str| name.replace("%2", "%252").replace("%00", "%2500");
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 30, 0);
    for (i, name) in (0..).zip(names()) {
        fs::write(site.art(&name), editor.album.hand_out(60_000 + i)).unwrap();
        // The same name with rubbish in it, so that it comes by every error path too.
        fs::create_dir_all(site.art("bad")).unwrap();
        fs::write(site.art("bad").join(&name), "rubbish").unwrap();
    }
    let (daemon, _) = start_ready(&site, &[]);
    let wanted = names().len();
    let manifest = site.until_works(wanted);
    let shown = placed(&manifest);
    for name in names() {
        assert!(
            shown.contains_key(&told(&name)),
            "{name:?} is not in the manifest"
        );
    }
    site.wait("the failures", || {
        (site.status().counts.failed as usize == wanted).then_some(())
    });
    let failures = site.status().failures;
    for name in names() {
        let path = format!("bad/{}", told(&name));
        assert!(failures.iter().any(|f| f.path == path), "{path:?}");
    }
    daemon.signal("USR2");
    site.wait("the dump", || site.log().contains("bad/").then_some(()));

    // One JSON object a line, nothing that a terminal acts on.
    for line in site.log().lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line:?}"
        );
        assert!(is_harmless(line), "{line:?}");
    }
    let metrics = fs::read_to_string(site.state().join("metrics.prom")).unwrap();
    for line in metrics.lines() {
        assert!(
            line.starts_with('#') || line.starts_with("mosaicd_"),
            "{line:?}"
        );
        let value = line.rsplit(' ').next().unwrap();
        assert!(
            line.starts_with('#') || value.parse::<f64>().is_ok(),
            "{line:?}"
        );
    }
    assert!(!metrics.contains("1e9") && !metrics.contains("path="));
    for arguments in [
        &["status"][..],
        &["similar", "-rf.png"],
        &["similar", "--", "-rf.png"],
    ] {
        let output = site.mosaicd(arguments);
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).unwrap();
            assert!(text.lines().all(is_harmless), "{arguments:?}: {text:?}");
        }
    }
    let json = site.mosaicd(&["status", "--json"]);
    assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).is_ok());
    assert!(site.mosaicd(&["export", "vectors"]).status.success());
    let table = fs::read_to_string(site.path("vectors/items.csv")).unwrap();
    let rows = csv(&table);
    assert!(
        rows.iter().all(|row| row.len() == rows[0].len()),
        "{rows:?}"
    );
    for name in names() {
        assert!(
            rows.iter().any(|row| row[1] == told(&name)),
            "{name:?} is not in items.csv"
        );
    }
    // The page is the same file whatever the works are called: names reach it as data alone.
    let page = fs::read_to_string(site.output().join("index.html")).unwrap();
    assert!(!page.contains("onerror"));
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

fn is_harmless(line: &str) -> bool {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !line.chars().any(harmful)
}

/// The rows of a table after RFC 4180.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    rows
}

#[test]
fn only_regular_files_below_the_folder_are_shown() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 31, 0);
    let outside = site.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.png"), editor.album.hand_out(1)).unwrap();
    fs::write(site.art("one.png"), editor.album.hand_out(2)).unwrap();
    fs::create_dir(site.art("deep")).unwrap();
    fs::hard_link(site.art("one.png"), site.art("deep/two.png")).unwrap();
    fs::hard_link(outside.join("secret.png"), site.art("linked.png")).unwrap();
    symlink(outside.join("secret.png"), site.art("file.png")).unwrap();
    symlink(&outside, site.art("folder")).unwrap();
    symlink(".", site.art("loop")).unwrap();
    symlink("/dev/zero", site.art("zero.png")).unwrap();
    symlink("/proc/self/mem", site.art("mem.png")).unwrap();
    let _socket = UnixListener::bind(site.art("socket.png")).unwrap();
    assert!(run(&format!("mkfifo {}", site.art("fifo.png").display())));
    let device = run(&format!("mknod {} c 1 5", site.art("device.png").display()));
    if !device {
        skip("making a device node needs root");
    }
    let (daemon, _) = start_ready(&site, &[]);
    let manifest = site.until_works(3);
    let shown: Vec<_> = placed(&manifest).into_keys().collect();
    assert_eq!(shown, ["deep/two.png", "linked.png", "one.png"]);
    site.wait("the metrics", || {
        (site.metric("mosaicd_embedded_total") >= 2.0).then_some(())
    });
    let embedded = site.metric("mosaicd_embedded_total");
    // Made while it watches, they change nothing either.
    symlink(outside.join("secret.png"), site.art("later.png")).unwrap();
    assert!(run(&format!(
        "mkfifo {}",
        site.art("later-fifo.png").display()
    )));
    fs::hard_link(site.art("one.png"), site.art("three.png")).unwrap();
    site.until_works(4);
    fs::write(site.art("last.png"), editor.album.hand_out(3)).unwrap();
    let manifest = site.until_works(5);
    assert!(!placed(&manifest).contains_key("later.png"));
    site.wait("the count", || {
        (site.metric("mosaicd_embedded_total") == embedded + 1.0).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

#[test]
fn thousands_of_junk_files_are_named_and_cost_little() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 32, 0);
    editor.add(20);
    let junk = count(3_000, 100_000);
    let mut dice = Dice(33);
    let magics: [&[u8]; 8] = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"GIF89a",
        b"RIFF\x40\0\0\0WEBPVP8 ",
        b"BM",
        b"II*\0",
        b"<svg>",
        b"",
    ];
    for i in 0..junk {
        let folder = site.art(&format!("junk/{}", i / 1_000));
        fs::create_dir_all(&folder).unwrap();
        let magic = magics[dice.below(8) as usize];
        let mut bytes = magic.to_vec();
        let noise = blake3::hash(&i.to_le_bytes());
        bytes.extend_from_slice(noise.as_bytes());
        bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
        fs::write(folder.join(format!("{i}.png")), bytes).unwrap();
    }
    let (daemon, _) = start_ready(&site, &[]);
    let began = Instant::now();
    let longest = patience() * (2 + junk / 1_000);
    loop {
        let text = fs::read_to_string(site.state().join("status.json")).unwrap_or_default();
        let status = mosaicd::service::status::Status::from_json(&text).unwrap_or_default();
        if status.counts.failed == u64::from(junk) && status.counts.works == 20 {
            assert!(status.failures.len() <= 10_000);
            break;
        }
        assert!(
            began.elapsed() < longest,
            "{:?}; log:\n{}",
            status.counts,
            tail(&site.log())
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let most = tree_mb(daemon.child.id());
    println!(
        "{junk} junk files named after {:.1?}; {most} MB; log {} kB",
        began.elapsed(),
        site.log().len() / 1000
    );
    assert!(most < limit_mb("MemoryHigh"), "{most} MB");
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

/// A PNG of one colour, `side` pixels square: a few kilobytes that unfold to `4 × side²` bytes.
pub fn flat_png(path: &Path, side: u32, level: u8) {
    let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    let mut encoder = png::Encoder::new(file, side, side);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    let row = vec![level; side as usize * 4];
    (0..side).for_each(|_| stream.write_all(&row).unwrap());
    stream.finish().unwrap();
}

#[test]
fn bombs_of_every_format_stay_within_the_units_memory() {
    let site = Site::new();
    configure(&site, "[decode]\nthreads = 8\n");
    let mut editor = Editor::new(&site.artworks(), 34, 0);
    editor.add(5);
    let head = |name: &str, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len() + 4096, 0x55);
        fs::write(site.art(name), bytes).unwrap();
    };
    // Headers that promise the most each format can say.
    head("gif.gif", b"GIF89a\xff\xff\xff\xff\xf7\0\0");
    head(
        "jpeg.jpg",
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x22\0\x02\x11\x01\x03\x11\x01",
    );
    head(
        "progressive.jpg",
        b"\xff\xd8\xff\xc2\0\x11\x08\xff\xff\xff\xff\x03\x01\x22\0\x02\x11\x01\x03\x11\x01",
    );
    head("bmp.bmp", b"BM\xff\xff\xff\x7f\0\0\0\0\x36\0\0\0\x28\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\0\x18\0");
    head(
        "webp.webp",
        b"RIFF\x16\x10\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\xff\xff\xff\xff",
    );
    head(
        "lossless.webp",
        b"RIFF\x16\x10\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f",
    );
    head(
        "tiff.tif",
        b"II*\0\x08\0\0\0\x04\0\0\x01\x04\0\x01\0\0\0\xff\xff\xff\x7f\x01\x01\x04\0\x01\0\0\0\xff\xff\xff\x7f\
          \x02\x01\x03\0\x01\0\0\0\x08\0\0\0\x06\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0",
    );
    // And pictures that are allowed and as large as can be: all at once, on eight threads.
    let bombs = count(4, 16);
    for i in 0..bombs {
        flat_png(&site.art(&format!("bomb-{i}.png")), 7_900, i as u8 * 9);
    }
    let (daemon, _) = start_ready(&site, &[]);
    let began = Instant::now();
    let pid = daemon.child.id();
    let wanted = 5 + bombs as usize;
    let mut most = 0;
    while site.try_manifest().is_none_or(|m| m.works.len() < wanted) {
        assert!(
            began.elapsed() < 3 * patience(),
            "log:\n{}",
            tail(&site.log())
        );
        most = most.max(tree_mb(pid));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    site.wait("the refusals", || {
        (site.status().counts.failed == 7).then_some(())
    });
    println!("{bombs} pictures of 62 megapixels and 7 bombs on 8 threads: at most {most} MB");
    assert!(most < limit_mb("MemoryHigh"), "{most} MB");
    assert_eq!(daemon.stop(), 0);
}

/// A limit of the unit, MB.
fn limit_mb(key: &str) -> u64 {
    let unit = include_str!("../../systemd/mosaicd.service");
    let value = unit
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = value.unwrap();
    match value.split_at(value.len() - 1) {
        (number, "G") => number.parse::<u64>().unwrap() << 10,
        (number, _) => number.parse().unwrap(),
    }
}
