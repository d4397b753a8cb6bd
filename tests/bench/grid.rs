//! Measures the grid: CPU and wall time, moves and scores. See `tests/bench/README.md`.
//!
//! usage: cargo bench --bench grid -- batch Z.npy POINTS.npy CELLS.csv [key=value …]
#![allow(clippy::print_stdout)]

use mosaicd::grid::{Grid, GridParams, quality};
use mosaicd::matrix::Matrix;
use mosaicd::rebuild;
use mosaicd::reduce::{Layout, LayoutParams};
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["batch", z, points, out, rest @ ..] => batch(z, points, out, &params(rest)?),
        ["score", x, z, points, rest @ ..] => score(x, z, points, &params(rest)?),
        ["arrivals", x, z, points, start, batch, rest @ ..] => {
            let (start, batch) = (start.parse()?, batch.parse()?);
            arrivals(x, z, points, start, batch, &params(rest)?)
        }
        ["drift", x, start, count, rest @ ..] => {
            drift(x, start.parse()?, count.parse()?, &params(rest)?)
        }
        ["bulk", x, start, count, rest @ ..] => {
            bulk(x, start.parse()?, count.parse()?, &params(rest)?)
        }
        ["changes", x, z, points, count, rest @ ..] => {
            changes(x, z, points, count.parse()?, &params(rest)?)
        }
        _ => {
            println!("nothing to measure: give batch, … (see the top of tests/bench/grid.rs)");
            Ok(())
        }
    }
}

/// `key=value` words over the default parameters (without a reserve).
fn params(words: &[&str]) -> Result<GridParams, Failure> {
    let mut p = GridParams {
        reserve: 0.0,
        ..GridParams::default()
    };
    for word in words {
        let (key, value) = word.split_once('=').ok_or("key=value wanted")?;
        match key {
            "reserve" => p.reserve = value.parse()?,
            "fidelity" => p.map_fidelity = value.parse()?,
            "lambda" => p.lambda = value.parse()?,
            "seed" => p.seed = value.parse()?,
            _ => return Err(format!("unknown key {key}").into()),
        }
    }
    Ok(p)
}

/// Arranges, times and writes `index,col,row`.
fn batch(z: &str, points: &str, out: &str, p: &GridParams) -> Result<(), Failure> {
    let (z, points) = (read_npy(z)?, read_points(points)?);
    let (wall, cpu) = (Instant::now(), cpu_s());
    let grid = Grid::arrange(&z, &points, p)?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_s() - cpu);
    let mut csv = String::from("index,col,row\n");
    for (i, (col, row)) in grid.places().enumerate() {
        csv += &format!("{i},{col},{row}\n");
    }
    std::fs::write(out, csv)?;
    println!(
        "items {} grid {}x{} wall_s {wall:.3} cpu_s {cpu:.3}",
        grid.len(),
        grid.cols(),
        grid.rows()
    );
    Ok(())
}

/// Arranges and scores on the embeddings `x`, and tells how far items are from the map's cell.
fn score(x: &str, z: &str, points: &str, p: &GridParams) -> Result<(), Failure> {
    let (x, z, points) = (read_npy(x)?, read_npy(z)?, read_points(points)?);
    let (wall, cpu) = (Instant::now(), cpu_s());
    let grid = Grid::arrange(&z, &points, p)?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_s() - cpu);
    let cells: Vec<(u32, u32)> = grid.places().collect();
    let dpq = quality::dpq16(&x, &cells, None, 0).ok_or("no score")?;
    println!(
        "items {} grid {}x{} wall_s {wall:.3} cpu_s {cpu:.3} dpq16 {dpq:.4} off_map {:.3}",
        grid.len(),
        grid.cols(),
        grid.rows(),
        quality::off_map(&points, &grid, p)
    );
    Ok(())
}

/// The first `n` rows.
fn head(m: &Matrix, n: usize) -> Result<Matrix, Failure> {
    Ok(Matrix::from_data(m.data()[..n * m.dims()].to_vec(), m.dims()).ok_or("ragged")?)
}

/// Sorted copy's value at share `q`.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Arranges the first `start` items, adds the others `batch` at a time, and compares with arranging all at once.
fn arrivals(
    x: &str,
    z: &str,
    points: &str,
    start: usize,
    batch: usize,
    p: &GridParams,
) -> Result<(), Failure> {
    let (x, z, points) = (read_npy(x)?, read_npy(z)?, read_points(points)?);
    let mut grid = Grid::arrange(&head(&z, start)?, &points[..start], p)?;
    let (mut moves, mut ms, mut pushed, mut grown) = (vec![], vec![], 0, 0);
    let (mut polished, mut polish_s) = (vec![], 0.0);
    let mut n = start;
    while n < points.len() {
        n = points.len().min(n + batch);
        let part = head(&z, n)?;
        let cpu = cpu_s();
        let outcome = grid.insert(&part, &points[..n], p)?;
        ms.push((cpu_s() - cpu) * 1e3);
        moves.push(outcome.moved.len() as f64);
        pushed += outcome.pushed.len();
        grown += outcome.grown_cols + outcome.grown_rows;
        // As the daemon does when nothing arrives.
        if grid.wants_polish(p) {
            let cpu = cpu_s();
            polished.push(grid.polish(&part, p)?.moved.len() as f64);
            polish_s += cpu_s() - cpu;
        }
    }
    grid.check()?;
    let scratch = Grid::arrange(&z, &points, p)?;
    let score = |g: &Grid| {
        let cells: Vec<(u32, u32)> = g.places().collect();
        quality::dpq16(&x, &cells, None, 0).ok_or("no score")
    };
    println!(
        "{start}+{} by {batch} lambda {} reserve {}: moved p50 {} p95 {} mean {:.1} max {}; seams {grown}, pushed {pushed}; \
         cpu ms p50 {:.2} p95 {:.2} max {:.0}; {} polishes, {:.2} CPU s and {:.0} moved each; \
         dpq16 {:.4} scratch {:.4}; grid {}x{}",
        points.len() - start,
        p.lambda,
        p.reserve,
        quantile(&moves, 0.5),
        quantile(&moves, 0.95),
        moves.iter().sum::<f64>() / moves.len().max(1) as f64,
        quantile(&moves, 1.0),
        quantile(&ms, 0.5),
        quantile(&ms, 0.95),
        quantile(&ms, 1.0),
        polished.len(),
        polish_s / polished.len().max(1) as f64,
        polished.iter().sum::<f64>() / polished.len().max(1) as f64,
        score(&grid)?,
        score(&scratch)?,
        grid.cols(),
        grid.rows(),
    );
    Ok(())
}

/// Arranges the first `start` of the vectors `x`, lets `count` more arrive one by one, polishes as the daemon does when
/// nothing arrives, and tells how far works are from home, what moved, and what all of them score from nothing.
fn drift(x: &str, start: usize, count: usize, p: &GridParams) -> Result<(), Failure> {
    let x = head(&read_npy(x)?, start + count)?;
    let first = head(&x, start)?;
    let basis = rebuild::features(&first)?;
    let z = basis.project(&x);
    let map = LayoutParams::default();
    // Points matter to what is arranged from nothing alone.
    let mut points = Layout::cold(&first, &map)?.points().to_vec();
    points.resize(x.rows(), [0.0; 2]);
    let mut grid = Grid::arrange(&head(&z, start)?, &points[..start], p)?;
    let (mut arrivals, mut shares, mut farthest, mut hops) = (vec![], vec![], 0, vec![]);
    let (mut arrival_s, mut polish_s) = (0.0, 0.0);
    for n in start + 1..=start + count {
        let part = head(&z, n)?;
        let cpu = cpu_s();
        let outcome = grid.insert(&part, &points[..n], p)?;
        arrival_s += cpu_s() - cpu;
        arrivals.push(outcome.moved.len() as f64);
        if grid.wants_polish(p) {
            let before: Vec<(u32, u32)> = grid.places().collect();
            let cpu = cpu_s();
            let moved = grid.polish(&part, p)?.moved;
            polish_s += cpu_s() - cpu;
            shares.push(moved.len() as f64 / n as f64);
            for (then, now) in before
                .into_iter()
                .zip(grid.places())
                .filter(|(a, b)| a != b)
            {
                let hop = then.0.abs_diff(now.0).max(then.1.abs_diff(now.1));
                farthest = farthest.max(hop);
                hops.push(f64::from(hop));
            }
        }
    }
    grid.check()?;
    let score = |grid: &Grid| {
        let cells: Vec<(u32, u32)> = grid.places().collect();
        quality::dpq16(&x, &cells, None, 0).ok_or("no score")
    };
    let grown = score(&grid)?;
    let scratch = if std::env::var_os("SCRATCH").is_some() {
        f64::NAN
    } else {
        let z = rebuild::features(&x)?.project(&x);
        score(&Grid::arrange(&z, Layout::cold(&x, &map)?.points(), p)?)?
    };
    let drift = grid.drift();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    println!(
        "{start}+{count} seed {} lambda {}: from home {:.2} p95 {} most {}; a polish moves {:.3} (most {:.3}), by {:.2}, farthest {farthest}; \
         an arrival p50 {} p95 {} most {} mean {:.1}; dpq16 {grown:.4} from nothing {scratch:.4} ({:+.4}); CPU ms an arrival {:.1}, \
         {} polishes s {:.2}; {}x{}",
        p.seed,
        p.lambda,
        drift.mean,
        drift.p95,
        drift.most,
        mean(&shares),
        quantile(&shares, 1.0),
        mean(&hops),
        quantile(&arrivals, 0.5),
        quantile(&arrivals, 0.95),
        quantile(&arrivals, 1.0),
        mean(&arrivals),
        grown - scratch,
        arrival_s * 1e3 / count.max(1) as f64,
        shares.len(),
        polish_s / shares.len().max(1) as f64,
        grid.cols(),
        grid.rows(),
    );
    Ok(())
}

/// Arranges the first `start` of the vectors `x`, takes `count` more in at once, and arranges all again as a request to
/// lay out afresh does: CPU time, how far works went, and the score against from nothing.
fn bulk(x: &str, start: usize, count: usize, p: &GridParams) -> Result<(), Failure> {
    let x = head(&read_npy(x)?, start + count)?;
    let first = head(&x, start)?;
    let map = LayoutParams::default();
    let mut layout = Layout::cold(&first, &map)?;
    let z = rebuild::features(&first)?.project(&first);
    let mut grid = Grid::arrange(&z, layout.points(), p)?;
    let clock = cpu_s();
    layout.insert(&x, &map)?;
    let map_s = cpu_s() - clock;
    let z = rebuild::features(&x)?.project(&x);
    let score = |grid: &Grid| {
        let cells: Vec<(u32, u32)> = grid.places().collect();
        quality::dpq16(&x, &cells, None, 0).ok_or("no score")
    };
    // In shares of the side, so that growth does not count.
    let scaled = |grid: &Grid| -> Vec<[f64; 2]> {
        let (cols, rows) = (f64::from(grid.cols()), f64::from(grid.rows()));
        let places = grid.places();
        places
            .map(|(col, row)| [f64::from(col) / cols, f64::from(row) / rows])
            .collect()
    };
    let went = |then: &[[f64; 2]], now: &[[f64; 2]]| {
        let away = |(a, b): (&[f64; 2], &[f64; 2])| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
        then.iter().zip(now).map(away).sum::<f64>() / then.len() as f64
    };
    let before = scaled(&grid);
    let clock = cpu_s();
    grid.insert(&z, layout.points(), p)?;
    let grid_s = cpu_s() - clock;
    let (after, dpq) = (scaled(&grid), score(&grid)?);
    let clock = cpu_s();
    let again = grid.rearrange(&z, layout.points(), p)?;
    let again_s = cpu_s() - clock;
    let again_dpq = score(&grid)?;
    let clock = cpu_s();
    let scratch = Grid::arrange(&z, Layout::cold(&x, &map)?.points(), p)?;
    let scratch_s = cpu_s() - clock;
    println!(
        "{start}+{count} at once: map {map_s:.1} s, grid {grid_s:.1} s, dpq16 {dpq:.4}, went {:.3} of the side; \
         again: {again_s:.1} s, dpq16 {again_dpq:.4}, moved {:.2}, went {:.3}; \
         from nothing: {scratch_s:.1} s map and grid, dpq16 {:.4}, went {:.3}",
        went(&before, &after),
        again.moved.len() as f64 / grid.len() as f64,
        went(&after, &scaled(&grid)),
        score(&scratch)?,
        went(&after, &scaled(&scratch)),
    );
    Ok(())
}

/// `count` inserts, deletes and changes in turn onto all but the last `count` items.
fn changes(x: &str, z: &str, points: &str, count: usize, p: &GridParams) -> Result<(), Failure> {
    let (x, z, points) = (read_npy(x)?, read_npy(z)?, read_points(points)?);
    let start = points.len() - count;
    let (mut now_z, mut now_x) = (head(&z, start)?, head(&x, start)?);
    let mut now_points = points[..start].to_vec();
    let mut grid = Grid::arrange(&now_z, &now_points, p)?;
    let (mut moved, mut ms) = (vec![], vec![]);
    for k in 0..count {
        let (mut moves, cpu) = (0, cpu_s());
        if k % 3 != 0 {
            let gone = (k * 7919) % now_points.len();
            now_z.swap_remove(gone);
            now_x.swap_remove(gone);
            now_points.swap_remove(gone);
            moves += grid.remove(&[gone], p).moved.len();
        }
        if k % 3 != 1 {
            now_z.push(z.row(start + k));
            now_x.push(x.row(start + k));
            now_points.push(points[start + k]);
            moves += grid.insert(&now_z, &now_points, p)?.moved.len();
            if grid.wants_polish(p) {
                grid.polish(&now_z, p)?;
            }
        }
        ms.push((cpu_s() - cpu) * 1e3);
        moved.push(moves as f64);
    }
    grid.check()?;
    let scratch = Grid::arrange(&now_z, &now_points, p)?;
    let score = |g: &Grid| {
        let cells: Vec<(u32, u32)> = g.places().collect();
        quality::dpq16(&now_x, &cells, None, 0).ok_or("no score")
    };
    println!(
        "{count} changes onto {start}: moved p50 {} p95 {} total {}; cpu ms p50 {:.2} p95 {:.2}; dpq16 {:.4} scratch {:.4}",
        quantile(&moved, 0.5),
        quantile(&moved, 0.95),
        moved.iter().sum::<f64>(),
        quantile(&ms, 0.5),
        quantile(&ms, 0.95),
        score(&grid)?,
        score(&scratch)?,
    );
    Ok(())
}

/// CPU time of this process, seconds.
fn cpu_s() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// A little-endian `float32` matrix in C order.
fn read_npy(path: &str) -> Result<Matrix, Failure> {
    let bytes = std::fs::read(path)?;
    let len = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = std::str::from_utf8(&bytes[10..10 + len])?;
    if !header.contains("'<f4'") || header.contains("'fortran_order': True") {
        return Err(format!("{path}: not a C-ordered float32 array").into());
    }
    let shape = header.split(['(', ')']).nth(1).ok_or("no shape")?;
    let dims = shape
        .split(',')
        .nth(1)
        .ok_or("no columns")?
        .trim()
        .parse()?;
    let values = bytes[10 + len..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Ok(Matrix::from_data(values, dims).ok_or("ragged array")?)
}

fn read_points(path: &str) -> Result<Vec<[f32; 2]>, Failure> {
    let m = read_npy(path)?;
    Ok((0..m.rows()).map(|i| [m.row(i)[0], m.row(i)[1]]).collect())
}
