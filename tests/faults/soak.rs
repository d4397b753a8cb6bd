//! The soak: random adds, edits, renames, copies, deletes and restarts, mounts that come and go, rules that change and
//! tables that are saved, for as long as `MOSAICD_SOAK_S` says, compared with the folder under its rules again and again.
//! An hour: `MOSAICD_SOAK_S=3600 MOSAICD_SOAK_WORKS=5000 cargo test --release --test faults
//! soak -- --nocapture`.

use crate::{
    album::Editor,
    check::{agree, configure, start_ready, tail},
    common::Site,
    will::Owner,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// What a process and its files take up.
#[derive(Clone, Copy)]
struct Sample {
    at_s: f64,
    rss_mb: f64,
    files: usize,
    disk: Disk,
    output: u64,
    /// Bytes of the placed works' embeddings and prepared cells.
    payload: u64,
}

/// Bytes that the parts of the state folder take up.
#[derive(Clone, Copy)]
struct Disk {
    cells: u64,
    store: u64,
    /// The embeddings once more, for `export` and `similar`.
    shared: u64,
    whole: u64,
}

impl Sample {
    /// What the state takes up, in multiples of the payload.
    fn bloat(&self) -> f64 {
        self.disk.whole as f64 / self.payload as f64
    }
}

#[test]
fn soak() {
    let (seconds, works) = (
        setting("MOSAICD_SOAK_S", 20),
        setting("MOSAICD_SOAK_WORKS", 300),
    );
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 5, works as usize);
    let mut owner = Owner::new(&site, &mut editor);
    editor.add(works as usize);
    let began = Instant::now();
    let (mut rests, mut restarts, mut steps, mut slowest) = (0, 0, 0u64, Duration::ZERO);
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new()];
    let mut daemon = Some(start_ready(&site, &[]).0);
    owner.until_same();
    while began.elapsed().as_secs() < seconds {
        if editor.dice.below(2) == 0 {
            owner.step(&mut editor);
        }
        let busy = Duration::from_secs(1 + editor.dice.below(8));
        let since = Instant::now();
        while since.elapsed() < busy {
            editor.step();
            steps += 1;
            std::thread::sleep(Duration::from_millis(editor.dice.below(250)));
        }
        // None in the second half, so that one process's memory can be followed.
        let restart = editor.dice.below(6) == 0;
        if restart && 2 * began.elapsed().as_secs() < seconds {
            // The owner does things while nobody looks, too.
            let owns = editor.dice.below(2) == 0;
            if owns {
                owner.until_same();
            }
            let old = daemon.take().expect("a daemon runs");
            if editor.dice.below(2) == 0 {
                old.kill();
            } else {
                assert_eq!(old.stop(), 0);
            }
            if owns {
                owner.step(&mut editor);
            }
            (0..editor.dice.below(30)).for_each(|_| editor.step());
            daemon = Some(start_ready(&site, &[]).0);
            restarts += 1;
            samples.push(Vec::new());
        }
        let (_, took) = owner.until_same();
        slowest = slowest.max(took);
        rests += 1;
        agree(&site, &editor.album);
        let ended = daemon
            .as_mut()
            .map(|daemon| daemon.child.try_wait().unwrap());
        assert_eq!(ended, Some(None), "it ended; log:\n{}", tail(&site.log()));
        if let (Some(daemon), Some(run)) = (&daemon, samples.last_mut()) {
            run.push(sample(&site, daemon.child.id(), began));
        }
        if rests % 20 == 0 {
            report(&samples, rests, restarts, steps, slowest, editor.len());
            println!("mounts, rules, tables: {:?}", owner.did);
        }
    }
    println!("mounts, rules, tables: {:?}", owner.did);
    report(&samples, rests, restarts, steps, slowest, editor.len());
    let daemon = daemon.take().expect("a daemon runs");
    assert_eq!(daemon.stop(), 0);
    agree(&site, &editor.album);
}

fn sample(site: &Site, pid: u32, began: Instant) -> Sample {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find(|line| line.starts_with("VmRSS"));
    let rss_kb: f64 = rss
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap();
    let works = site.manifest().works.len() as u64;
    let model = mosaicd::embed::open(&mosaicd::embed::EncoderSpec::default()).unwrap();
    // With its smaller versions, a third more.
    let cell = u64::from(site.manifest().grid.cell_px).pow(2) * 3 * 4 / 3;
    Sample {
        at_s: began.elapsed().as_secs_f64(),
        rss_mb: rss_kb / 1024.0,
        files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        disk: Disk {
            cells: size(&site.path("state/cells")),
            store: size(&site.path("state/store")),
            shared: size(&site.path("state/embeddings.bin")),
            whole: size(&site.path("state")),
        },
        output: size(&site.output()),
        payload: works * (cell + 4 * model.dims() as u64),
    }
}

/// Bytes that a file, or a folder with everything in it, takes up on the disk, each file once.
fn size(path: &Path) -> u64 {
    let (mut sum, mut seen) = (0, std::collections::HashSet::new());
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => return meta.blocks() * 512,
        _ => {}
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) if seen.insert(meta.ino()) => sum += meta.blocks() * 512,
                _ => {}
            }
        }
    }
    sum
}

fn report(
    samples: &[Vec<Sample>],
    rests: u64,
    restarts: u64,
    steps: u64,
    slowest: Duration,
    works: usize,
) {
    let all: Vec<Sample> = samples.iter().flatten().copied().collect();
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return;
    };
    let longest = samples.iter().max_by_key(|run| run.len());
    let slope = longest.map_or(0.0, |run| slope_mb_per_h(run));
    let most = |of: fn(&Sample) -> f64| all.iter().map(of).fold(0.0, f64::max);
    println!(
        "soak {:.0} s: {steps} steps, {works} works, {rests} rests without a difference, {restarts} restarts; \
         slowest to agree {slowest:.1?}; RSS {:.0} to {:.0} MB, most {:.0}, slope of the longest run {slope:.1} MB/h \
         over {} rests; open files {} to {}, most {:.0}; state {}, most {}; output {:.1} MB, most {:.1}",
        last.at_s,
        first.rss_mb,
        last.rss_mb,
        most(|s| s.rss_mb),
        longest.map_or(0, Vec::len),
        first.files,
        last.files,
        most(|s| s.files as f64),
        told(last),
        all.iter()
            .max_by(|a, b| a.bloat().total_cmp(&b.bloat()))
            .map_or(String::new(), told),
        last.output as f64 / 1e6,
        most(|s| s.output as f64 / 1e6),
    );
}

/// What the state takes up, and where.
fn told(sample: &Sample) -> String {
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let Disk {
        cells,
        store,
        shared,
        whole,
    } = sample.disk;
    format!(
        "{:.1} MB ({:.2} times the {:.1} MB of embeddings and cells: store {:.1}, cells {:.1}, for export {:.1})",
        mb(whole),
        sample.bloat(),
        mb(sample.payload),
        mb(store),
        mb(cells),
        mb(shared)
    )
}

/// Least squares of the resident memory over time, without the first fifth, in which caches fill.
fn slope_mb_per_h(run: &[Sample]) -> f64 {
    let run = &run[run.len() / 5..];
    let n = run.len() as f64;
    let mean = |of: fn(&Sample) -> f64| run.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|s| s.at_s), mean(|s| s.rss_mb));
    let over: f64 = run.iter().map(|s| (s.at_s - x) * (s.rss_mb - y)).sum();
    let under: f64 = run.iter().map(|s| (s.at_s - x).powi(2)).sum();
    if under > 0.0 {
        over / under * 3600.0
    } else {
        0.0
    }
}
