//! Times the layout stage on given embeddings: `cargo bench --bench layout -- VECTORS.npy [--out POINTS.csv] [--steps]`.
//!
//! Prints wall and CPU seconds of the cold start; `--out` writes `index,x,y` for `peer_umap.py --layout`; `--steps`
//! also times the stages, single arrivals and removals, and the 48-dimensional projection. Reads little-endian `f4`
//! arrays in C order, NumPy format 1 to 3.

#![allow(clippy::print_stdout)]

use mosaicd::matrix::Matrix;
use mosaicd::reduce::{Layout, LayoutParams, Pca, trustworthiness};
use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`; without a file there is nothing to measure.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let Some(path) = arguments.first() else {
        println!("usage: cargo bench --bench layout -- VECTORS.npy [--out POINTS.csv] [--steps]");
        return Ok(());
    };
    let x = read_npy(&std::fs::read(path)?)
        .ok_or("not a two-dimensional little-endian f4 array in C order")?;
    let params = LayoutParams::default();
    let (wall, cpu) = (Instant::now(), cpu_time());
    let layout = Layout::cold(&x, &params)?;
    let (wall, cpu) = (wall.elapsed(), cpu_time() - cpu);
    println!(
        "mosaicd items {} wall_s {:.3} cpu_s {:.3} trustworthiness {:.4}",
        x.rows(),
        wall.as_secs_f64(),
        cpu.as_secs_f64(),
        trustworthiness(&x, layout.points(), 15, Some(4096), 0)
    );
    if let Some(out) = arguments
        .iter()
        .position(|a| a == "--out")
        .and_then(|at| arguments.get(at + 1))
    {
        let mut csv = String::from("index,x,y\n");
        for (i, [x, y]) in layout.points().iter().enumerate() {
            writeln!(csv, "{i},{x},{y}")?;
        }
        std::fs::write(out, csv)?;
    }
    if arguments.iter().any(|a| a == "--steps") {
        steps(&x, &params)?;
    }
    Ok(())
}

/// Times what happens after the cold start.
fn steps(x: &Matrix, params: &LayoutParams) -> Result<(), Box<dyn Error>> {
    let timed = |name: &str, since: Duration| {
        println!(
            "{name:32} cpu_ms {:.1}",
            (cpu_time() - since).as_secs_f64() * 1e3
        )
    };
    let since = cpu_time();
    let pca = Pca::fit(x, 48)?;
    timed("pca fit 48", since);
    let since = cpu_time();
    pca.project(x);
    timed("pca project 48", since);
    let since = cpu_time();
    trustworthiness(x, &vec![[0.0; 2]; x.rows()], 15, Some(4096), 0);
    timed("trustworthiness, sampled", since);
    let arrivals = 20.min(x.rows() / 2);
    let mut grown = Matrix::from_data(
        x.data()[..(x.rows() - arrivals) * x.dims()].to_vec(),
        x.dims(),
    )
    .ok_or("ragged")?;
    let mut layout = Layout::cold(&grown, params)?;
    let mut walls = Vec::new();
    let since = cpu_time();
    for i in x.rows() - arrivals..x.rows() {
        grown.push(x.row(i));
        let wall = Instant::now();
        layout.insert(&grown, params)?;
        walls.push(wall.elapsed().as_secs_f64() * 1e3);
    }
    timed("arrivals, all", since);
    walls.sort_by(f64::total_cmp);
    println!(
        "{:32} wall_ms median {:.1} worst {:.1}",
        "arrival",
        walls[walls.len() / 2],
        walls[walls.len() - 1]
    );
    let since = cpu_time();
    for _ in 0..arrivals {
        let gone = grown.rows() / 2;
        grown.swap_remove(gone);
        layout.remove(&grown, &[gone])?;
    }
    timed("removals, all", since);
    println!("{:32} {}", "arrivals and removals", arrivals);
    Ok(())
}

/// CPU time of this process, all threads.
fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
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
