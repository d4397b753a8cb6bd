//! Commands for people with vectors of their own: `arrange`, and `export` of what a daemon published.

use anyhow::{Context, bail};
use mosaicd::{config::Config, daemon, grid::Grid, matrix::Matrix, rebuild, reduce::Layout};
use ndarray::Array2;
use ndarray_npy::ReadNpyExt;
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::BufReader,
    path::Path,
    time::Instant,
};

/// `mosaicd arrange`: lays out any `N × D` float32 vectors and writes `index,x,y,col,row`.
///
/// `fidelity` is the grid's map fidelity: 8 keeps to the map, 2 forgets it and scores best.
pub(crate) fn arrange(
    config: &Config,
    vectors: &Path,
    out: &Path,
    fidelity: Option<f32>,
) -> anyhow::Result<()> {
    let x = read_npy(vectors)?;
    let mut params = daemon::params(config);
    if let Some(fidelity) = fidelity {
        params.grid.map_fidelity = fidelity;
    }
    let mut clock = Instant::now();
    let mut lap = || {
        std::mem::replace(&mut clock, Instant::now())
            .elapsed()
            .as_secs_f64()
    };
    let layout = Layout::cold(&x, &params.layout).context("layout")?;
    let layout_s = lap();
    let features = rebuild::features(&x).context("features")?.project(&x);
    let grid = Grid::arrange(&features, layout.points(), &params.grid).context("grid")?;
    let grid_s = lap();
    let mut text = String::from("index,x,y,col,row\n");
    for (i, [x, y]) in layout.points().iter().enumerate() {
        let (col, row) = grid.cell_of(i).context("every item has a cell")?;
        writeln!(text, "{i},{x},{y},{col},{row}")?;
    }
    fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))?;
    eprintln!(
        "{} vectors of {} on a grid of {} × {}: layout {layout_s:.2} s, grid {grid_s:.2} s",
        x.rows(),
        x.dims(),
        grid.cols(),
        grid.rows()
    );
    Ok(())
}

fn read_npy(path: &Path) -> anyhow::Result<Matrix> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let array = Array2::<f32>::read_npy(BufReader::new(file)).with_context(|| {
        format!(
            "{} is no two-dimensional float32 array in NumPy's .npy format",
            path.display()
        )
    })?;
    let dims = array.ncols();
    if dims == 0 && array.nrows() > 0 {
        bail!("{}: the vectors have no dimensions", path.display());
    }
    let data = array.as_standard_layout().iter().copied().collect();
    Matrix::from_data(data, dims)
        .with_context(|| format!("{}: rows of unequal length", path.display()))
}
