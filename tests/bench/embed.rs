//! From files to durable embeddings, against a bare onnxruntime session: `cargo bench --bench embed -- MODE ...`.
//!
//! - `ratio MODEL FOLDER [ROUNDS]`: pictures a second of a bare session (same file, threads and batch, one tensor over
//!   and over) and of the whole pipeline on the folder's files, alternating in one run, and their ratio.
//! - `memory MODEL FOLDER COUNT`: resident memory while the folder's files are ingested again and again, as COUNT files
//!   of different content.
//! - `huge MODEL FOLDER FILE`: when the folder's files are done with and without FILE, a huge picture, before them.
//! - `pixels SIZE FILE OUT`: what the encoder is given, as raw RGB, for comparison with Pillow (`pillow_sweep.py`).
//! - `large FOLDER PX`: CPU time of one core and bytes of a rendition, over the folder's files, decoding apart.
//! - `draw FOLDER COUNT SIZE png|jpeg`: sample artworks to run it on.
//!
//! `MODEL` is an ONNX file; the library is found as usual (`ORT_DYLIB_PATH`); `MOSAICD_THREADS` sets both the decoding
//! and the inference threads (default: one a core), `MOSAICD_SESSIONS` how many sessions share the latter,
//! `MOSAICD_DEVICE=cpu|cuda` the device.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use crossbeam_channel::unbounded;
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use mosaicd::{
    artwork::{
        FileIdentity,
        cell::{CellSpec, Fit},
        decode::{DecodeLimits, decode},
        large::{self, LargeSpec},
    },
    cells::CellStore,
    config::Config,
    decoding::Processes,
    demo,
    domain::Job,
    embed::{
        Encoder,
        clip::OnnxEncoder,
        library,
        preprocess::Preprocess,
        session::{Device, Runtime},
    },
    ingest::{Ingest, Overruns, Reading, threads_or_all},
    parameters,
    publish::Renditions,
    store::SledStore,
    watch::Roots,
};
use ort::{ep::CUDA, session::Session, value::TensorRef};
use rustix::time::{ClockId, clock_gettime};
use std::{
    env, fs,
    num::NonZero,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["ratio", model, folder] => ratio(model, Path::new(folder), 5),
        ["ratio", model, folder, rounds] => {
            ratio(model, Path::new(folder), rounds.parse().unwrap())
        }
        ["memory", model, folder, count] => {
            memory(model, Path::new(folder), count.parse().unwrap())
        }
        ["large", folder, px] => renditions(Path::new(folder), px.parse().unwrap()),
        ["huge", model, folder, file] => huge(model, Path::new(folder), Path::new(file)),
        ["pixels", size, file, out] => pixels(size.parse().unwrap(), file, out),
        ["draw", folder, count, size, format] => {
            draw(
                Path::new(folder),
                count.parse().unwrap(),
                size.parse().unwrap(),
                format,
            );
        }
        _ => println!("usage: see the head of tests/bench/embed.rs"),
    }
}

fn threads() -> usize {
    let set = env::var("MOSAICD_THREADS")
        .ok()
        .and_then(|n| n.parse().ok());
    threads_or_all(set.unwrap_or(0))
}

fn runtime() -> Runtime {
    Runtime {
        threads: NonZero::new(threads()),
        sessions: env::var("MOSAICD_SESSIONS")
            .ok()
            .map(|n| n.parse().unwrap()),
        device: match env::var("MOSAICD_DEVICE").as_deref() {
            Ok("cuda") => Device::Cuda,
            Ok("cpu") => Device::Cpu,
            Ok(other) => panic!("MOSAICD_DEVICE={other} is neither cpu nor cuda"),
            Err(_) => Device::Auto,
        },
        ..Runtime::default()
    }
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The folder's files as jobs.
fn jobs(folder: &Path) -> Vec<Job> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| job(folder, path)).collect()
}

fn job(root: &Path, path: &Path) -> Job {
    let metadata = fs::metadata(path).unwrap();
    Job {
        path: path.strip_prefix(root).unwrap().to_owned(),
        identity: FileIdentity {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            ctime_ns: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
        },
    }
}

/// What renditions cost.
fn renditions(folder: &Path, px: u32) {
    let spec = LargeSpec {
        px,
        background: [17; 3],
    };
    let (mut took, mut bytes, mut count, mut decoding) = (0.0, 0, 0, 0.0);
    for entry in fs::read_dir(folder).unwrap() {
        let file = fs::read(entry.unwrap().path()).unwrap();
        let began = cpu();
        let Ok(picture) = decode(&file, &DecodeLimits::default()) else {
            continue;
        };
        decoding += cpu() - began;
        let began = cpu();
        let made = large::prepare(&picture, &spec).unwrap();
        took += cpu() - began;
        bytes += made.jpeg.len();
        count += 1;
    }
    let each = f64::from(count);
    println!(
        "{count} pictures: decoded in {:.2} ms of CPU, rendition in {:.2} ms and {:.0} bytes each",
        1e3 * decoding / each,
        1e3 * took / each,
        bytes as f64 / each
    );
}

/// Ingests the jobs into a fresh state folder and says when each was durable.
fn ingest(encoder: &Arc<dyn Encoder>, root: &Path, jobs: &[Job]) -> Vec<(PathBuf, Duration)> {
    let state = tempfile::tempdir().unwrap();
    let cell = CellSpec {
        px: 128,
        fit: Fit::Cover,
        background: [17; 3],
    };
    let large = LargeSpec {
        px: 0,
        background: [17; 3],
    };
    let ingest = Ingest {
        roots: Roots::new([(PathBuf::new(), root.to_owned())]),
        memory: Arc::default(),
        max_file_bytes: 1 << 30,
        limits: DecodeLimits::default(),
        encoder: encoder.clone(),
        next: None,
        store: Arc::new(SledStore::open(state.path()).unwrap().store),
        cells: Arc::new(CellStore::open(&state.path().join("cells"), &cell).unwrap()),
        renditions: Arc::new(Renditions::open(&state.path().join("output"), large).unwrap()),
        decoders: Arc::new(Processes::of(env!("CARGO_BIN_EXE_mosaicd").into())),
        allowance: parameters::allowance(&Config::default()),
        overruns: Arc::new(Overruns::open(&state.path().join("overruns.json"), "")),
        underway: Arc::default(),
        cell,
        stop: Arc::default(),
    };
    let (send, outcomes) = unbounded();
    let (inbox, handles) = ingest
        .start(threads(), move |reading| {
            if let Reading::Ended(outcome) = reading {
                drop(send.send(outcome));
            }
        })
        .unwrap();
    let began = Instant::now();
    jobs.iter().for_each(|job| inbox.send(job.clone()));
    let mut done = Vec::with_capacity(jobs.len());
    for _ in jobs {
        let outcome = outcomes.recv().unwrap();
        outcome.result.unwrap();
        assert!(
            outcome.embedded.is_some(),
            "two files of the folder are the same"
        );
        done.push((outcome.job.path, began.elapsed()));
    }
    drop(inbox);
    handles
        .into_iter()
        .for_each(|handle| handle.join().unwrap());
    done
}

fn ratio(model: &str, folder: &Path, rounds: usize) {
    let encoder = OnnxEncoder::load(Path::new(model), &runtime()).unwrap();
    let (batch, recipe) = (encoder.max_batch(), *encoder.recipe());
    let (input, output) = encoder.outlets();
    let (input, output) = (input.to_owned(), output.to_owned());
    let encoder: Arc<dyn Encoder> = Arc::new(encoder);
    // The bare session: no pipeline, no locks, the same tensor every time.
    let environment = library::environment(&runtime().library).unwrap();
    let mut builder = Session::builder(&environment)
        .unwrap()
        .with_intra_threads(threads())
        .unwrap()
        .with_inter_threads(1)
        .unwrap();
    if encoder.device() == "cuda" {
        let cuda = CUDA::default().build().error_on_failure();
        builder = builder.with_execution_providers([cuda]).unwrap();
    }
    let mut session = builder.commit_from_file(model).unwrap();
    let jobs = jobs(folder);
    let tensor: Vec<f32> = (0..batch * recipe.len())
        .map(|i| (i % 255) as f32 / 128.0 - 1.0)
        .collect();
    let side = i64::from(recipe.size);
    let runs = jobs.len() / batch;
    let mut bare = || {
        for _ in 0..runs {
            let shape = vec![batch as i64, 3, side, side];
            let value = TensorRef::from_array_view((shape, &tensor[..])).unwrap();
            let outputs = session.run(ort::inputs![input.as_str() => value]).unwrap();
            let (_, data) = outputs[output.as_str()]
                .try_extract_tensor::<f32>()
                .unwrap();
            assert!(data[0].is_finite());
        }
        runs * batch
    };
    bare();
    println!(
        "{} files, {} threads in {} sessions, batch {batch}, on {}; images/s, CPU ms an image",
        jobs.len(),
        threads(),
        encoder.runs(),
        encoder.device()
    );
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let measure = |work: &mut dyn FnMut() -> usize| {
            let (began, spent) = (Instant::now(), cpu());
            let count = work() as f64;
            (
                count / began.elapsed().as_secs_f64(),
                (cpu() - spent) * 1e3 / count,
            )
        };
        // Alternating, and the order too, so that what else runs on the machine hits both alike.
        let mut whole = || ingest(&encoder, folder, &jobs).len();
        let (b, w) = match round % 2 {
            0 => {
                let b = measure(&mut bare);
                (b, measure(&mut whole))
            }
            _ => {
                let w = measure(&mut whole);
                (measure(&mut bare), w)
            }
        };
        ratios.push(w.0 / b.0);
        println!(
            "round {round}: bare {:.2} /s {:.1} ms, pipeline {:.2} /s {:.1} ms, ratio {:.3} (CPU {:.3})",
            b.0,
            b.1,
            w.0,
            w.1,
            w.0 / b.0,
            b.1 / w.1
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.3}", ratios[ratios.len() / 2]);
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1024.0
}

fn memory(model: &str, folder: &Path, count: usize) {
    let encoder: Arc<dyn Encoder> =
        Arc::new(OnnxEncoder::load(Path::new(model), &runtime()).unwrap());
    let originals: Vec<Vec<u8>> = jobs(folder)
        .iter()
        .map(|job| fs::read(folder.join(&job.path)).unwrap())
        .collect();
    let work = tempfile::tempdir().unwrap();
    println!("after, resident MiB");
    println!("0 {:.1}", resident_mib());
    let mut done = 0;
    while done < count {
        let part = (count - done).min(1000);
        let list: Vec<Job> = (done..done + part)
            .map(|i| {
                // A few bytes behind the picture make it another content; decoders stop before them.
                let path = work.path().join(format!("{i:06}"));
                let mut bytes = originals[i % originals.len()].clone();
                bytes.extend((i as u64).to_le_bytes());
                fs::write(&path, bytes).unwrap();
                job(work.path(), &path)
            })
            .collect();
        ingest(&encoder, work.path(), &list);
        list.iter()
            .for_each(|job| fs::remove_file(work.path().join(&job.path)).unwrap());
        done += part;
        println!("{done} {:.1}", resident_mib());
    }
}

fn huge(model: &str, folder: &Path, file: &Path) {
    let encoder: Arc<dyn Encoder> =
        Arc::new(OnnxEncoder::load(Path::new(model), &runtime()).unwrap());
    let small = jobs(folder);
    let root = file.parent().unwrap();
    let root = if folder.starts_with(root) {
        root
    } else {
        Path::new("/")
    };
    let mut with: Vec<Job> = vec![job(root, file)];
    with.extend(small.iter().map(|s| job(root, &folder.join(&s.path))));
    for (what, jobs) in [("without", &with[1..]), ("with", &with[..])] {
        let done = ingest(&encoder, root, jobs);
        let of_small = done.iter().filter(|(path, _)| root.join(path) != file);
        let times: Vec<f64> = of_small.map(|(_, at)| at.as_secs_f64()).collect();
        let huge = done.iter().find(|(path, _)| root.join(path) == file);
        println!(
            "{what} the huge one: first {:.2} s, half {:.2} s, last {:.2} s; itself {:.2?}",
            times[0],
            times[times.len() / 2],
            times[times.len() - 1],
            huge.map(|(_, at)| at.as_secs_f64())
        );
    }
}

fn pixels(size: u32, file: &str, out: &str) {
    let picture = decode(&fs::read(file).unwrap(), &DecodeLimits::default()).unwrap();
    fs::write(out, Preprocess::clip(size).pixels(&picture)).unwrap();
}

fn draw(folder: &Path, count: usize, size: u32, format: &str) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let rgb = demo::draw(i, size, 1).image;
        let path = folder.join(format!("{i:05}.{format}"));
        let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
        let kind = ExtendedColorType::Rgb8;
        match format {
            "jpeg" => JpegEncoder::new_with_quality(file, 90).write_image(&rgb, size, size, kind),
            _ => PngEncoder::new(file).write_image(&rgb, size, size, kind),
        }
        .unwrap();
    }
}
