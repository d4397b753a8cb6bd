//! Files that decoders do not survive: too much memory, too much time, a process that ends. One file each, and nothing else.

use crate::{
    check::{configure, start_ready, tail},
    common::{Daemon, Site, patience},
    hostile::flat_png,
};
use mosaicd::service::status::Failure;
use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// A grey TIFF of 1 × 2,000,000 pixels in tiles that are all the same megabyte of deflated data: a file of a megabyte, hours
/// of inflating.
fn slow_tiff(path: &Path) {
    const SIDES: [u32; 2] = [65_536, 16];
    const TILES: u32 = 125_000;
    let mut tile = Vec::new();
    let mut encoder = flate2::write::ZlibEncoder::new(&mut tile, flate2::Compression::fast());
    let noise: Vec<u8> = (0..SIDES[0] * SIDES[1])
        .map(|i| (u64::from(i) * u64::from(i) % 251) as u8)
        .collect();
    encoder.write_all(&noise).unwrap();
    encoder.finish().unwrap();
    let offsets = 8 + tile.len() as u32;
    let counts = offsets + 4 * TILES;
    let directory = counts + 4 * TILES;
    let mut bytes = b"II*\0".to_vec();
    bytes.extend(directory.to_le_bytes());
    bytes.extend(&tile);
    bytes.extend(8_u32.to_le_bytes().repeat(TILES as usize));
    bytes.extend((tile.len() as u32).to_le_bytes().repeat(TILES as usize));
    let tags: [(u16, u16, u32, u32); 10] = [
        (256, 4, 1, 1),
        (257, 4, 1, 2_000_000),
        (258, 3, 1, 8),
        (259, 3, 1, 8),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 4, 1, SIDES[0]),
        (323, 4, 1, SIDES[1]),
        (324, 4, TILES, offsets),
        (325, 4, TILES, counts),
    ];
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in tags {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    let draft = path.with_extension("part");
    fs::write(&draft, bytes).unwrap();
    fs::rename(draft, path).unwrap();
}

/// The processes that a daemon has started to decode in.
pub fn workers(daemon: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        // `pid (name) state parent ...`
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        parent == Some(&daemon.to_string()) && stat.contains("(mosaicd-decode)")
    })
    .collect()
}

/// Memory that a daemon and its workers have now, MB.
pub fn tree_mb(daemon: u32) -> u64 {
    let kb = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kb.unwrap_or(0)
    };
    workers(daemon)
        .into_iter()
        .chain([daemon])
        .map(kb)
        .sum::<u64>()
        / 1024
}

fn kill_all(pids: &[u32]) {
    for pid in pids {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// Waits until a file is named as failed.
fn failed(site: &Site, name: &str) -> Failure {
    let status = || {
        let text = fs::read_to_string(site.state().join("status.json")).unwrap_or_default();
        mosaicd::service::status::Status::from_json(&text).unwrap_or_default()
    };
    let deadline = Instant::now() + 3 * patience();
    loop {
        if let Some(found) = status().failures.into_iter().find(|f| f.path == name) {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{name} is not named; log:\n{}",
            tail(&site.log())
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Draws a few works and waits until they are shown.
fn show(site: &Site, from: usize, all: usize) {
    site.draw(from, 4);
    site.until("the works next to it", |m| m.works.len() == all);
}

fn is_running(daemon: &mut Daemon) -> bool {
    daemon.child.try_wait().unwrap().is_none()
}

#[test]
fn a_file_that_takes_too_much_memory_or_time_costs_itself_alone() {
    let site = Site::new();
    configure(&site, "[decode]\nmemory_mb = 128\nseconds = 3\n");
    flat_png(&site.art("large.png"), 7_900, 77);
    let (mut daemon, _) = start_ready(&site, &[]);
    slow_tiff(&site.art("slow.tif"));
    show(&site, 0, 4);
    let memory = failed(&site, "large.png");
    assert!(
        memory.reason.contains("memory") && memory.reason.contains("save it"),
        "{memory:?}"
    );
    let time = failed(&site, "slow.tif");
    assert!(time.reason.contains("decode.seconds"), "{time:?}");
    show(&site, 4, 8);
    assert!(is_running(&mut daemon));
    assert_eq!(daemon.stop(), 0);

    // What was left out is not decoded again, copies included; other limits try it again.
    let remembered = fs::read_to_string(site.state().join("overruns.json")).unwrap();
    assert_eq!(remembered.matches("\"reason\"").count(), 2, "{remembered}");
    fs::copy(site.art("large.png"), site.art("copy.png")).unwrap();
    let (daemon, _) = start_ready(&site, &[]);
    for name in ["large.png", "copy.png"] {
        assert_eq!(failed(&site, name).reason, memory.reason);
    }
    assert_eq!(failed(&site, "slow.tif").reason, time.reason);
    assert_eq!(daemon.stop(), 0);
    fs::remove_file(site.art("slow.tif")).unwrap();
    configure(&site, "");
    let (daemon, _) = start_ready(&site, &[]);
    site.until("the large ones under other limits", |m| m.works.len() == 10);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_worker_that_is_killed_costs_its_file_alone_and_an_idle_one_nothing() {
    let site = Site::new();
    // As version 0.1 left it.
    fs::create_dir_all(site.state().join("attempting")).unwrap();
    fs::write(
        site.state()
            .join("attempting")
            .join(format!("{}-1", "0".repeat(64))),
        "",
    )
    .unwrap();
    configure(&site, "[decode]\nseconds = 3600\n");
    let (mut daemon, _) = start_ready(&site, &[]);
    let pid = daemon.child.id();
    show(&site, 0, 4);
    assert!(!site.state().join("attempting").exists());
    let idle = workers(pid);
    assert!(
        !idle.is_empty(),
        "files are decoded in processes of their own"
    );
    kill_all(&idle);
    show(&site, 4, 8);
    slow_tiff(&site.art("slow.tif"));
    // It is said to take long first; then whatever decodes it is killed.
    site.wait("the slow file's name", || {
        let text = String::from_utf8(site.mosaicd(&["status"]).stdout).unwrap();
        let named = text.contains("Take long to decode:\n  slow.tif (for");
        named.then_some(())
    });
    show(&site, 8, 12);
    let deadline = Instant::now() + 3 * patience();
    // One that is killed while it starts says nothing about the file, which is tried again.
    let remembered = || fs::read_to_string(site.state().join("overruns.json")).unwrap_or_default();
    while !remembered().contains("killed") {
        kill_all(&workers(pid));
        assert!(Instant::now() < deadline, "log:\n{}", tail(&site.log()));
        std::thread::sleep(Duration::from_millis(200));
    }
    let crash = failed(&site, "slow.tif");
    assert!(crash.reason.contains("killed"), "{crash:?}");
    assert_eq!(site.status().counts.failed, 1);
    show(&site, 12, 16);
    assert!(is_running(&mut daemon));
    assert_eq!(daemon.stop(), 0);
    // It is not tried again: nobody kills anything now, and it would take an hour.
    let (daemon, _) = start_ready(&site, &[]);
    assert_eq!(failed(&site, "slow.tif").reason, crash.reason);
    assert_eq!(daemon.stop(), 0);
}

/// A picture of one pixel whose profile unfolds to 256 MB: no header says so.
#[test]
fn what_no_header_says_is_bounded_too() {
    let site = Site::new();
    configure(&site, "[decode]\nmemory_mb = 96\n");
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..256).for_each(|_| packed.write_all(&vec![0; 1 << 20]).unwrap());
    let mut profile = b"x\0\0".to_vec();
    profile.extend(packed.finish().unwrap());
    let mut png = crate::common::png(1);
    let mut chunk = (profile.len() as u32).to_be_bytes().to_vec();
    let body = [b"iCCP", &profile[..]].concat();
    chunk.extend(&body);
    chunk.extend(crc32fast::hash(&body).to_be_bytes());
    png.splice(33..33, chunk);
    fs::write(site.art("profile.png"), png).unwrap();
    let (mut daemon, _) = start_ready(&site, &[]);
    show(&site, 10, 4);
    let reason = failed(&site, "profile.png").reason;
    assert!(
        reason.contains("memory") || reason.contains("decode"),
        "{reason}"
    );
    assert!(is_running(&mut daemon));
    assert_eq!(daemon.stop(), 0);
}
