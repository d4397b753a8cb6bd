//! Measures the grid: CPU and wall time, moves and scores. See `tests/bench/README.md`.
//!
//! usage: cargo bench --bench grid -- batch Z.npy POINTS.npy CELLS.csv [key=value …]
use mosaicd::grid::{Grid, GridParams, quality};
use mosaicd::matrix::Matrix;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["batch", z, points, out, rest @ ..] => batch(z, points, out, &params(rest)?),
        ["score", x, z, points, rest @ ..] => score(x, z, points, &params(rest)?),
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
    // A sort that starts below radius 1 does not sort: what is left is annealing of the bisection's cells.
    let dpq = quality::dpq16(&x, &cells, None, 0).ok_or("no score")?;
    let (wall2, cpu2) = (wall, cpu);
    println!(
        "items {} grid {}x{} wall_s {wall2:.3} cpu_s {cpu2:.3} dpq16 {dpq:.4}",
        grid.len(),
        grid.cols(),
        grid.rows()
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
    let dims = shape.split(',').nth(1).ok_or("no columns")?.trim().parse()?;
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
