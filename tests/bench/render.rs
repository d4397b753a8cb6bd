//! How long a publish takes: `cargo bench --bench render`. Set `MOSAICD_BENCH=large` for the 16,384² mosaic as well,
//! and `MOSAICD_BENCH_DIR` to a folder on the file system to measure (a `tmpfs` leaves the disk out).
//! `MOSAICD_BENCH_ONLY=pyramid,12800` runs one case. With `MOSAICD_BENCH_ARTWORKS=FOLDER` the cold render of those
//! originals is measured instead.
//!
//! Inputs are built outside the timed parts. Wall-clock time is noisy on a shared machine: the step times and the
//! ratio to a whole encode of the same picture in the same run tell more.
#![allow(clippy::print_stdout, missing_docs)]

use image::{ImageDecoder, ImageReader};
use mosaicd::{
    artwork::{
        ArtworkId, ContentHash,
        cell::{Cell, CellSpec, Fit, prepare},
        decode::{DecodeLimits, decode},
    },
    cells::CellStore,
    publish::{Elapsed, Generation, OutputSpec, Published, Publisher, manifest::Work},
    render::jpeg::{JpegSpec, encode_image},
};
use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use std::{io::Cursor, sync::Arc, time::Instant};

const PX: u32 = 128;
/// Works share this many contents, so that the inputs stay small.
const CONTENTS: u64 = 1024;

/// What a case writes.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    File,
    Pyramid,
    All,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::File => "mosaic.jpg",
            Self::Pyramid => "pyramid",
            Self::All => "all",
        }
    }
}

fn spec(kind: Kind) -> OutputSpec {
    OutputSpec {
        cell: CellSpec {
            px: PX,
            fit: Fit::Cover,
            background: [17; 3],
        },
        mosaic: kind != Kind::Pyramid,
        pyramid: kind != Kind::File,
        preview: kind == Kind::All,
        ..OutputSpec::default()
    }
}

fn hash(seed: u64) -> ContentHash {
    ContentHash::of(&seed.to_le_bytes())
}

/// Smooth gradients with a little noise: some 4.5 KB as a JPEG, like a shader still.
fn cell(seed: u64) -> Cell {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let waves: Vec<f32> = (0..9).map(|_| (next() % 1000) as f32 / 1000.0).collect();
    let mut rgb = Vec::with_capacity((PX * PX * 3) as usize);
    for y in 0..PX {
        for x in 0..PX {
            let (u, v) = (x as f32 / PX as f32, y as f32 / PX as f32);
            let noise = (next() % 17) as f32 - 8.0;
            for c in 0..3 {
                let wave = (u * (4.0 + 20.0 * waves[c]) + v * (3.0 + 25.0 * waves[3 + c])).sin();
                rgb.push((128.0 + 100.0 * wave * waves[6 + c] + noise) as u8);
            }
        }
    }
    Cell { px: PX, rgb }
}

fn grid(cols: u32, rows: u32) -> Generation {
    let works = (0..cols * rows).map(|i| Work {
        id: ArtworkId(u64::from(i)),
        path: format!("a folder/artwork {i}.png"),
        col: i % cols,
        row: i / cols,
        x: i as f32 * 0.37,
        y: i as f32 * 0.11,
        hash: hash(u64::from(i) % CONTENTS),
        size: 300_000,
        added_ms: 1_790_000_000_000,
        neighbours: (1..=8).map(|k| ArtworkId(u64::from(i + k))).collect(),
        title: None,
        artist: None,
        link: None,
        format: None,
        large: None,
        fields: Default::default(),
    });
    Generation {
        works: works.map(Arc::new).collect(),
        cols,
        rows,
        model: "bench".to_owned(),
        ..Generation::default()
    }
}

fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kb = line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

/// Publishes `rounds` generations that differ in `changed` cells each, and prints the medians.
fn updates(
    label: &str,
    publisher: &mut Publisher,
    cells: &CellStore,
    generation: &mut Generation,
    changed: usize,
    rounds: u64,
) {
    let mut results: Vec<(Published, f64)> = Vec::new();
    let works = generation.works.len();
    for round in 0..rounds {
        for k in 0..changed {
            let at = (round as usize * 7919 + k * 104_729) % works;
            let work = Arc::make_mut(&mut generation.works[at]);
            work.hash = hash((work.size + round + k as u64) % CONTENTS);
            work.size += 1;
        }
        // Arrivals lie seconds apart: what the last publish left to be written is written by then.
        rustix::fs::sync();
        let before = cpu_ms();
        let published = publisher
            .publish(generation, cells, 1_000 + round)
            .expect("published");
        results.push((published, cpu_ms() - before));
        publisher
            .collect(1_000_000_000_000 + round * 700_000)
            .expect("collected");
    }
    let median = |value: &dyn Fn(&(Published, f64)) -> f64| {
        let mut values: Vec<_> = results.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let step = |of: fn(&Elapsed) -> f64| median(&|r| of(&r.0.elapsed));
    println!(
        "{label:34} total {:8.1} ms, cpu {:8.1} | plan {:.1} tiles {:.1} mosaic {:.1} stage {:.1} sync {:.1} \
         manifest {:.1} stable {:.1} | {} tiles, {:.2} MB, peak {} MB",
        step(|e| e.total_ms),
        median(&|r| r.1),
        step(|e| e.compare_ms),
        step(|e| e.tiles_ms),
        step(|e| e.mosaic_ms),
        step(|e| e.stage_ms),
        step(|e| e.sync_ms),
        step(|e| e.manifest_ms),
        step(|e| e.stable_ms),
        results[0].0.tiles_written,
        results[0].0.bytes as f64 / 1e6,
        peak_mb(),
    );
}

fn case(dir: &std::path::Path, cells: &CellStore, side: u32, kind: Kind, runs: &[(usize, u64)]) {
    let (name, spec) = (kind.name(), spec(kind));
    let output = dir.join(format!("{name}-{side}"));
    let mut generation = grid(side, side);
    let mut publisher = Publisher::open(&output, spec.clone()).expect("a publisher");
    let (begun, before) = (Instant::now(), cpu_ms());
    let first = publisher.publish(&generation, cells, 1).expect("published");
    println!(
        "{:34} total {:8.1} ms, cpu {:8.1} | {} tiles, {:.1} MB, peak {} MB",
        format!("{name}, {}², from scratch", side * PX),
        begun.elapsed().as_secs_f64() * 1e3,
        cpu_ms() - before,
        first.tiles_written,
        first.bytes as f64 / 1e6,
        peak_mb(),
    );
    for &(changed, rounds) in runs {
        let label = format!("{name}, {}², {changed} changed", side * PX);
        updates(
            &label,
            &mut publisher,
            cells,
            &mut generation,
            changed,
            rounds,
        );
    }
    drop(publisher);
    let begun = Instant::now();
    let mut publisher = Publisher::open(&output, spec.clone()).expect("a publisher");
    let again = publisher
        .publish(&generation, cells, 9_000)
        .expect("published");
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    println!(
        "{:34} total {ms:8.1} ms, changed: {}",
        "  restart, unchanged", again.changed
    );
    std::fs::remove_dir_all(&output).expect("removed");
}

/// CPU milliseconds of the bare decoders, the least that any reader of whole pictures can take with them.
fn decoders(paths: &[std::path::PathBuf]) -> f64 {
    let before = cpu_ms();
    paths.par_iter().for_each_init(Vec::new, |pixels, path| {
        let bytes = std::fs::read(path).expect("a file");
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
        let decoder = reader.expect("read").into_decoder().expect("a picture");
        pixels.resize(decoder.total_bytes() as usize, 0);
        decoder.read_image(pixels).expect("decoded");
    });
    cpu_ms() - before
}

/// From originals to a published mosaic, without watching, describing or arranging: what a cold start draws.
fn cold(dir: &std::path::Path, folder: &str) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of MOSAICD_BENCH_ARTWORKS")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let side = (paths.len() as f64).sqrt().ceil() as u32;
    println!(
        "{:34} cpu {:.1}",
        "reading and the bare decoders",
        decoders(&paths)
    );
    for kind in [Kind::File, Kind::All] {
        let (begun, before) = (Instant::now(), cpu_ms());
        let out = dir.join(format!("cold-{}", kind.name()));
        let cells = CellStore::open(&out.join("cells"), &spec(Kind::All).cell).expect("a store");
        let hashes: Vec<_> = paths
            .par_iter()
            .map(|path| {
                let bytes = std::fs::read(path).expect("a file");
                let picture = decode(&bytes, &DecodeLimits::default()).expect("a picture");
                let hash = ContentHash::of(&bytes);
                cells
                    .put(&hash, &prepare(&picture, &spec(Kind::All).cell), None)
                    .expect("put");
                hash
            })
            .collect();
        cells.sync().expect("sync");
        let drawn = cpu_ms() - before;
        let mut generation = grid(side, side);
        generation.works.truncate(hashes.len());
        for (work, hash) in generation.works.iter_mut().zip(hashes) {
            Arc::make_mut(work).hash = hash;
        }
        let mut publisher = Publisher::open(&out.join("out"), spec(kind)).expect("a publisher");
        let published = publisher
            .publish(&generation, &cells, 1)
            .expect("published");
        println!(
            "{:34} total {:8.1} ms, cpu {:8.1} (decode and prepare {drawn:.1}) | {} tiles, {:.1} MB, peak {} MB",
            format!("cold, {} originals, {}", paths.len(), kind.name()),
            begun.elapsed().as_secs_f64() * 1e3,
            cpu_ms() - before,
            published.tiles_written,
            published.bytes as f64 / 1e6,
            peak_mb(),
        );
    }
}

fn main() {
    let place = std::env::var("MOSAICD_BENCH_DIR");
    let place = place.unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    let dir = tempfile::tempdir_in(place).expect("a folder");
    if let Ok(folder) = std::env::var("MOSAICD_BENCH_ARTWORKS") {
        return cold(dir.path(), &folder);
    }
    let cells = CellStore::open(&dir.path().join("cells"), &spec(Kind::All).cell).expect("a store");
    (0..CONTENTS).for_each(|seed| cells.put(&hash(seed), &cell(seed), None).expect("put"));
    cells.sync().expect("sync");

    let large = std::env::var("MOSAICD_BENCH").is_ok_and(|size| size == "large");
    type Runs = &'static [(usize, u64)];
    let cases: [(u32, Kind, Runs); 5] = [
        (32, Kind::File, &[(1, 15)]),
        (32, Kind::All, &[(1, 15), (100, 5)]),
        (100, Kind::Pyramid, &[(1, 25), (100, 9)]),
        (100, Kind::All, &[(1, 9), (100, 5)]),
        (128, Kind::File, &[(1, 5), (100, 3)]),
    ];
    let only = std::env::var("MOSAICD_BENCH_ONLY");
    for (side, kind, runs) in cases {
        let wanted = only.as_ref().map_or(side <= 100 || large, |only| {
            *only == format!("{},{}", kind.name(), side * PX)
        });
        if wanted {
            case(dir.path(), &cells, side, kind, runs);
        }
    }

    let side = 32 * PX;
    let mut rgb = vec![0; (side * side * 3) as usize];
    let one = cell(1);
    for (i, byte) in rgb.iter_mut().enumerate() {
        let (x, y) = ((i / 3) as u32 % side, (i / 3) as u32 / side);
        *byte = one.rgb[(((y % PX) * PX + x % PX) * 3) as usize + i % 3];
    }
    let (begun, before) = (Instant::now(), cpu_ms());
    let whole = encode_image(&rgb, side, side, JpegSpec::default()).expect("encoded");
    println!(
        "{:34} total {:8.1} ms, cpu {:8.1} | {:.1} MB",
        "whole encode of 4096²",
        begun.elapsed().as_secs_f64() * 1e3,
        cpu_ms() - before,
        whole.len() as f64 / 1e6
    );
}
