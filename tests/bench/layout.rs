//! Times and judges the layout stage: `cargo bench --bench layout -- COMMAND`.
//!
//! ```text
//! cold VECTORS [POINTS.csv]         a layout from nothing; writes index,x,y for `peer_umap.py --layout`
//! steps VECTORS [COUNT]             COUNT single arrivals, then COUNT single removals, at the size of VECTORS
//! drift VECTORS START BATCH STEPS   arrivals in batches against a layout of all from nothing
//! changes VECTORS COUNT             COUNT arrivals, removals and changes in turn, then as drift
//! whole VECTORS [FIDELITY]          layout, components and grid from nothing, with the grid's scores
//! growth [N ...]                    the same against N, made-up vectors of 512 dimensions, as a table for growth_plot.py
//! ```
//! VECTORS is a little-endian `f4` array in C order, NumPy format 1 to 3, or `synth:N` for N made-up ones. Wall time is
//! given beside CPU time, as the machine may be busy; recall is the share of the 15 nearest that are also the 15 nearest
//! on the map.

#![allow(clippy::print_stdout)]

use mosaicd::grid::{Grid, GridParams, quality};
use mosaicd::matrix::Matrix;
use mosaicd::rebuild;
use mosaicd::reduce::{Layout, LayoutParams, Point, trustworthiness};
use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`; without a command there is nothing to measure.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["cold", vectors] => cold(&read(vectors)?, None),
        ["cold", vectors, out] => cold(&read(vectors)?, Some(out)),
        ["steps", vectors] => steps(read(vectors)?, 100),
        ["steps", vectors, count] => steps(read(vectors)?, count.parse()?),
        ["drift", vectors, start, batch, steps] => drift(
            &read(vectors)?,
            start.parse()?,
            batch.parse()?,
            steps.parse()?,
        ),
        ["changes", vectors, count] => changes(&read(vectors)?, count.parse()?),
        ["whole", vectors] => whole(&read(vectors)?, GridParams::default().map_fidelity),
        ["whole", vectors, fidelity] => whole(&read(vectors)?, fidelity.parse()?),
        ["growth"] => growth(&[1_000, 3_000, 10_000, 30_000, 100_000]),
        ["growth", sizes @ ..] => {
            let sizes: Result<Vec<usize>, _> = sizes.iter().map(|s| s.parse()).collect();
            growth(&sizes?)
        }
        _ => {
            println!(
                "usage: cargo bench --bench layout -- cold | steps | drift | whole | growth ..."
            );
            Ok(())
        }
    }
}

fn cold(x: &Matrix, out: Option<&str>) -> Result<(), Box<dyn Error>> {
    let clock = Clock::start();
    let layout = Layout::cold(x, &LayoutParams::default())?;
    let spent = clock.to_string();
    println!("mosaicd items {} {spent} {}", x.rows(), judge(x, &layout));
    if let Some(out) = out {
        let mut csv = String::from("index,x,y\n");
        for (i, [x, y]) in layout.points().iter().enumerate() {
            writeln!(csv, "{i},{x},{y}")?;
        }
        std::fs::write(out, csv)?;
    }
    Ok(())
}

fn steps(x: Matrix, count: usize) -> Result<(), Box<dyn Error>> {
    let p = LayoutParams::default();
    let count = count.clamp(1, x.rows());
    let mut now = head(&x, x.rows() - count);
    let mut layout = Layout::cold(&now, &p)?;
    let mut arrivals = Vec::new();
    for i in x.rows() - count..x.rows() {
        now.push(x.row(i));
        let clock = Clock::start();
        layout.insert(&now, &p)?;
        arrivals.push(clock.stop());
    }
    let mut rounds = Vec::new();
    loop {
        let clock = Clock::start();
        if !layout.relax(&p) {
            break;
        }
        rounds.push(clock.stop());
    }
    let mut removals = Vec::new();
    for step in 0..count {
        let gone = (step * 7919) % now.rows();
        now.swap_remove(gone);
        let clock = Clock::start();
        layout.remove(&now, &[gone])?;
        removals.push(clock.stop());
    }
    for (name, times) in [
        ("arrival", arrivals),
        ("settle", rounds),
        ("removal", removals),
    ] {
        let quantile = |pick: fn(&(Duration, Duration)) -> Duration, q: usize| {
            let mut sorted: Vec<Duration> = times.iter().map(pick).collect();
            sorted.sort_unstable();
            let at = (sorted.len() * q / 100).min(sorted.len().saturating_sub(1));
            sorted.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
        };
        println!(
            "{name} at {} items, {} times: wall_ms p50 {:.1} p95 {:.1} cpu_ms p50 {:.1} p95 {:.1} peak_mb {}",
            x.rows(),
            times.len(),
            quantile(|t| t.0, 50),
            quantile(|t| t.0, 95),
            quantile(|t| t.1, 50),
            quantile(|t| t.1, 95),
            peak_mb()
        );
    }
    Ok(())
}

/// Every third step an arrival, a removal, and a change, which is both.
fn changes(x: &Matrix, count: usize) -> Result<(), Box<dyn Error>> {
    let p = LayoutParams::default();
    let mut now = head(x, x.rows().saturating_sub(count));
    let mut new = now.rows()..x.rows();
    let mut layout = Layout::cold(&now, &p)?;
    for step in 0..count {
        if step % 3 > 0 {
            let gone = (step * 7919) % now.rows();
            now.swap_remove(gone);
            layout.remove(&now, &[gone])?;
        }
        if step % 3 != 1
            && let Some(i) = new.next()
        {
            now.push(x.row(i));
            layout.insert(&now, &p)?;
        }
    }
    println!(
        "{count} changes, {} items: {}",
        now.rows(),
        judge(&now, &layout)
    );
    println!("from nothing: {}", judge(&now, &Layout::cold(&now, &p)?));
    Ok(())
}

fn drift(x: &Matrix, start: usize, batch: usize, steps: usize) -> Result<(), Box<dyn Error>> {
    let p = LayoutParams::default();
    let mut now = head(x, start.min(x.rows()));
    let mut layout = Layout::cold(&now, &p)?;
    let mut moves = Vec::new();
    let clock = Clock::start();
    for _ in 0..steps {
        let before = layout.points().to_vec();
        let to = (now.rows() + batch).min(x.rows());
        (now.rows()..to).for_each(|i| now.push(x.row(i)));
        layout.insert(&now, &p)?;
        moves.push(displacement(&before, layout.points()));
    }
    let spent = clock.to_string();
    moves.sort_by(f32::total_cmp);
    println!(
        "{start} + {steps} x {batch}: {spent}, displacement a step median {:.4} worst {:.4}, {}",
        moves[moves.len() / 2],
        moves[moves.len() - 1],
        judge(&now, &layout)
    );
    println!("from nothing: {}", judge(&now, &Layout::cold(&now, &p)?));
    Ok(())
}

fn growth(sizes: &[usize]) -> Result<(), Box<dyn Error>> {
    // The vectors themselves are part of the peak; the next size is larger, so the peak is this one's.
    for &n in sizes {
        whole(&synthetic(n, 512), GridParams::default().map_fidelity)?;
    }
    Ok(())
}

fn whole(x: &Matrix, map_fidelity: f32) -> Result<(), Box<dyn Error>> {
    let clock = Clock::start();
    let layout = Layout::cold(x, &LayoutParams::default())?;
    let layout_spent = clock.to_string();
    let clock = Clock::start();
    let z = rebuild::features(x)?.project(x);
    let components_spent = clock.to_string();
    let clock = Clock::start();
    let p = GridParams {
        map_fidelity,
        ..GridParams::default()
    };
    let grid = Grid::arrange(&z, layout.points(), &p)?;
    let grid_spent = clock.to_string();
    let peak = peak_mb();
    let cells: Vec<(u32, u32)> = grid.places().collect();
    println!(
        "items {} layout {layout_spent} components {} {components_spent} grid {grid_spent} peak_mb {peak} dpq16 {:.4} off_map {:.3}",
        x.rows(),
        z.dims(),
        quality::dpq16(x, &cells, None, 0).unwrap_or(f64::NAN),
        quality::off_map(layout.points(), &grid, &p),
    );
    Ok(())
}

fn head(x: &Matrix, n: usize) -> Matrix {
    Matrix::from_data(x.data()[..n * x.dims()].to_vec(), x.dims()).unwrap_or_default()
}

/// Trustworthiness and recall, over the first 4,000 items.
fn judge(x: &Matrix, layout: &Layout) -> String {
    let n = x.rows().min(4000);
    let (x, points) = (head(x, n), &layout.points()[..n]);
    let k = 15.min(n.saturating_sub(1));
    let recall = Layout::cold(&x, &no_epochs()).map_or(f64::NAN, |near| {
        let found: usize = (0..n)
            .map(|i| {
                let mut order: Vec<(f32, u32)> = (0..n)
                    .filter(|&j| j != i)
                    .map(|j| (apart(points[i], points[j]), j as u32))
                    .collect();
                order.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
                let (ids, _) = near.neighbours(i);
                order[..k].iter().filter(|p| ids.contains(&p.1)).count()
            })
            .sum();
        found as f64 / (n * k).max(1) as f64
    });
    let trust = trustworthiness(&x, points, 15, None, 0);
    format!("trustworthiness {trust:.4} recall15 {recall:.4}")
}

/// The cheapest way to a neighbour graph alone.
fn no_epochs() -> LayoutParams {
    LayoutParams {
        method: mosaicd::reduce::Method::Pca,
        ..LayoutParams::default()
    }
}

fn apart(p: Point, q: Point) -> f32 {
    (p[0] - q[0]).hypot(p[1] - q[1])
}

/// Median move of the points known before, in units of the map's radius (root mean square about its centre).
fn displacement(before: &[Point], after: &[Point]) -> f32 {
    let n = before.len() as f32;
    let centre = [0, 1].map(|axis| before.iter().map(|p| p[axis]).sum::<f32>() / n);
    let square: f32 = before.iter().map(|&p| apart(p, centre).powi(2)).sum();
    let mut moves: Vec<f32> = before
        .iter()
        .zip(after)
        .map(|(&p, &q)| apart(p, q))
        .collect();
    moves.sort_by(f32::total_cmp);
    moves[moves.len() / 2] / (square / n).sqrt()
}

/// Wall and CPU time since its start.
struct Clock(Instant, Duration);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), cpu_time())
    }

    fn stop(&self) -> (Duration, Duration) {
        (self.0.elapsed(), cpu_time() - self.1)
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (wall, cpu) = self.stop();
        write!(
            f,
            "wall_s {:.3} cpu_s {:.3}",
            wall.as_secs_f64(),
            cpu.as_secs_f64()
        )
    }
}

/// CPU time of this process, all threads.
fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// Largest resident memory of this process so far, in MB; 0 where the system does not say.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kb = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

/// `n` unit vectors around 60 curved six-dimensional sheets with a common direction, as encoders of images give.
fn synthetic(n: usize, dims: usize) -> Matrix {
    const SHEETS: usize = 60;
    const INNER: usize = 64;
    const FREE: usize = 6;
    let mut state = 7u64;
    let mut uniform = || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    };
    // The sum of four uniform numbers, scaled to variance 1, is normal enough.
    let mut normal = || (uniform() + uniform() + uniform() + uniform() - 2.0) * 1.732;
    let mut draw =
        |count: usize, scale: f32| -> Vec<f32> { (0..count).map(|_| normal() * scale).collect() };
    let bends = draw(SHEETS * FREE * INNER, 0.35);
    let centres = draw(SHEETS * INNER, 1.2);
    let embed = draw(INNER * dims, 0.125);
    let common = draw(dims, 1.2);
    let mut data = Vec::with_capacity(n * dims);
    for i in 0..n {
        let sheet = (i * 37) % SHEETS;
        let at = draw(FREE, 1.0);
        let mut row = draw(dims, 0.05);
        row.iter_mut().zip(&common).for_each(|(v, c)| *v += c);
        for inner in 0..INNER {
            let bend = |free: usize| bends[(sheet * FREE + free) * INNER + inner];
            let h: f32 = (0..FREE).map(|free| at[free] * bend(free)).sum();
            let h = (h + centres[sheet * INNER + inner]).tanh();
            let direction = &embed[inner * dims..(inner + 1) * dims];
            row.iter_mut().zip(direction).for_each(|(v, e)| *v += h * e);
        }
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        data.extend(row.iter().map(|v| v / length));
    }
    Matrix::from_data(data, dims).unwrap_or_default()
}

fn read(vectors: &str) -> Result<Matrix, Box<dyn Error>> {
    match vectors.strip_prefix("synth:") {
        Some(n) => Ok(synthetic(n.parse()?, 512)),
        None => Ok(read_npy(&std::fs::read(vectors)?)
            .ok_or("not a two-dimensional little-endian f4 array in C order")?),
    }
}

/// Rows of a `.npy` file.
fn read_npy(bytes: &[u8]) -> Option<Matrix> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, start) = match rest.first()? {
        1 => (
            usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)),
            4,
        ),
        _ => (
            u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize,
            6,
        ),
    };
    let header = std::str::from_utf8(rest.get(start..start + length)?).ok()?;
    if !header.contains("'<f4'") || header.contains("'fortran_order': True") {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let (rows, dims) = shape.split_once(',')?;
    let (rows, dims): (usize, usize) = (rows.trim().parse().ok()?, dims.trim().parse().ok()?);
    let values: Vec<f32> = rest
        .get(start + length..)?
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    (values.len() == rows * dims).then(|| Matrix::from_data(values, dims))?
}
