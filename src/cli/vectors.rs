//! Commands about vectors: `arrange` lays out a user's own, `export` and `similar` read what a daemon published.

use anyhow::{Context, bail};
use mosaicd::{
    artwork::ContentHash,
    config::Config,
    daemon,
    decoding::{Wanted, decode_once},
    describe::csv,
    embed::{builtin, card, text::TextEncoder},
    grid::Grid,
    matrix::Matrix,
    npy, parameters,
    publish::manifest::{Manifest, Work},
    rebuild::{self, Space},
    reduce::Layout,
    service::escape::escaped,
    vectors,
};
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::{BufReader, BufWriter},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Looks at a generation that is just being replaced.
const PATIENCE: usize = 25;

/// `mosaicd arrange`: lays out any `N × D` float32 vectors and writes `index,x,y,col,row`.
///
/// `fidelity` is the grid's map fidelity: 8 keeps close to the map, 2 hardly follows it, 0 ignores it.
pub(crate) fn arrange(
    config: &Config,
    vectors: &Path,
    out: &Path,
    fidelity: Option<f32>,
) -> anyhow::Result<()> {
    let x = read_npy(vectors)?;
    let mut params = parameters::params(config);
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

pub(super) fn read_npy(path: &Path) -> anyhow::Result<Matrix> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let ([rows, dims], matrix) = npy::read(BufReader::new(file)).with_context(|| {
        format!(
            "{} is no two-dimensional float32 array in NumPy's .npy format",
            path.display()
        )
    })?;
    if dims == 0 && rows > 0 {
        bail!("{}: the vectors have no dimensions", path.display());
    }
    Ok(matrix)
}

/// What a daemon published.
struct Published {
    manifest: Manifest,
    dims: usize,
    vectors: HashMap<ContentHash, Vec<f32>>,
}

/// Reads the manifest and the embeddings while a daemon may run: the embeddings are written before the manifest is
/// published, so that a generation that is being replaced is complete after another look.
fn published(config: &Config) -> anyhow::Result<Published> {
    let path = config.folders.output.join("manifest.json");
    for _ in 0..PATIENCE {
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}; has mosaicd run with this output folder?",
                path.display()
            )
        })?;
        let manifest: Manifest = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        let state = &config.folders.state;
        let (dims, vectors) = vectors::read(state)
            .with_context(|| format!("cannot read the embeddings in {}", state.display()))?
            .with_context(|| {
                format!(
                    "no embeddings in {}; is it the state folder of this mosaic?",
                    state.display()
                )
            })?;
        if manifest
            .works
            .iter()
            .all(|work| vectors.contains_key(&work.hash))
        {
            return Ok(Published {
                manifest,
                dims,
                vectors,
            });
        }
        thread::sleep(Duration::from_millis(200));
    }
    bail!(
        "the embeddings in {} do not belong to {}; run `mosaicd build` and try again",
        config.folders.state.display(),
        path.display()
    )
}

/// `mosaicd export`: `embeddings.npy` (float32, `N × D`) and `items.csv` (index,path,x,y,col,row,hash,model); `import`
/// takes both back, here or on another machine.
pub(crate) fn export(config: &Config, dir: &Path) -> anyhow::Result<()> {
    let Published {
        manifest,
        dims,
        vectors,
    } = published(config)?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let model = vectors::model(&config.folders.state)?.unwrap_or_default();
    let mut table = String::from("index,path,x,y,col,row,hash,model\n");
    for (i, work) in manifest.works.iter().enumerate() {
        let path = csv::quoted(&work.path);
        writeln!(
            table,
            "{i},{path},{},{},{},{},{},{model}",
            work.x, work.y, work.col, work.row, work.hash
        )?;
    }
    let npy = dir.join("embeddings.npy");
    let rows = manifest.works.iter().map(|work| &vectors[&work.hash][..]);
    File::create(&npy)
        .and_then(|file| {
            let shape = [manifest.works.len(), dims];
            npy::write(BufWriter::new(file), shape, rows)
        })
        .with_context(|| format!("cannot write {}", npy.display()))?;
    let csv = dir.join("items.csv");
    fs::write(&csv, table).with_context(|| format!("cannot write {}", csv.display()))?;
    println!(
        "{} embeddings of {dims} in {}, their works in {}",
        manifest.works.len(),
        npy.display(),
        csv.display()
    );
    Ok(())
}

/// What `mosaicd similar` is asked about.
pub(crate) enum Query<'a> {
    /// A placed work's path or file name, or a picture file.
    Work(&'a str),
    /// Words, for models that understand them.
    Words(&'a str),
}

/// `mosaicd similar`: the works nearest to a placed one, to any picture file, or to words.
pub(crate) fn similar(
    config: &Config,
    query: &Query<'_>,
    count: usize,
    json: bool,
) -> anyhow::Result<()> {
    let Published {
        manifest,
        vectors,
        dims,
    } = published(config)?;
    let named = |work: &&Arc<Work>| match query {
        Query::Words(_) => false,
        Query::Work(name) => {
            let file = Path::new(&work.path).file_name();
            work.path == *name || file.is_some_and(|file| file.to_str() == Some(*name))
        }
    };
    let placed = manifest.works.iter().find(named);
    // Pictures are compared as the mosaic compares them. Words are not: what pictures have in common, words have not.
    let look = parameters::look(config, &manifest.model);
    let mut space = Space::default();
    let query = match (placed, query) {
        (None, Query::Words(words)) => {
            embed_words(config, words, dims.saturating_sub(look.0), &manifest.model)?
        }
        (placed, Query::Work(name) | Query::Words(name)) => {
            space = space_of(&manifest, &vectors, look);
            space.seen(match placed {
                Some(work) => vectors[&work.hash].clone(),
                None => embed_file(config, Path::new(name), dims, &manifest.model)?,
            })
        }
    };
    let score = |vector: &[f32]| {
        let seen = space.seen(vector.to_vec());
        query.iter().zip(seen).map(|(a, b)| a * b).sum::<f32>()
    };
    let mut ranked: Vec<(f32, &Arc<Work>)> = manifest
        .works
        .iter()
        .filter(|work| placed.is_none_or(|placed| placed.id != work.id))
        .map(|work| (score(&vectors[&work.hash]), work))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
    ranked.truncate(count);
    if json {
        let list: Vec<_> = ranked
            .iter()
            .map(|(score, w)| serde_json::json!({"path": w.path, "similarity": score, "col": w.col, "row": w.row}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    for (score, work) in ranked {
        println!(
            "{score:.4}  {}  (column {}, row {})",
            escaped(&work.path),
            work.col,
            work.row
        );
    }
    Ok(())
}

/// What the mosaic takes out of embeddings, from those of the works that are there now.
fn space_of(
    manifest: &Manifest,
    vectors: &HashMap<ContentHash, Vec<f32>>,
    look: (usize, f32),
) -> Space {
    if manifest.model == builtin::NAME {
        return Space::default();
    }
    let mut rows = Matrix::new(vectors.values().next().map_or(0, Vec::len));
    for work in &manifest.works {
        rows.push(&vectors[&work.hash]);
    }
    Space::of(&rows, look).unwrap_or_default()
}

fn embed_file(config: &Config, path: &Path, dims: usize, model: &str) -> anyhow::Result<Vec<f32>> {
    let bytes = fs::read(path).with_context(|| {
        format!(
            "{} is neither a placed work nor a file that can be read",
            path.display()
        )
    })?;
    let encoder = daemon::open_encoder_alone(config)?;
    if encoder.name() != model || encoder.dims() != dims {
        bail!(
            "the mosaic was made with the encoder {model}, the configuration names {}",
            encoder.name()
        );
    }
    let wanted = Wanted {
        limits: parameters::decode_limits(config),
        cell: None,
        large: None,
        inputs: vec![encoder.preparation()],
    };
    let made = decode_once(bytes, &wanted, parameters::allowance(config))
        .with_context(|| path.display().to_string())?;
    let inputs: Vec<_> = made.inputs.into_iter().map(|input| input.0).collect();
    let vectors = encoder.encode(&inputs)?;
    vectors
        .into_iter()
        .next()
        .context("the encoder returned nothing")
}

fn embed_words(config: &Config, words: &str, dims: usize, model: &str) -> anyhow::Result<Vec<f32>> {
    let spec = parameters::encoder_spec(config);
    let path = spec.model.context(
        "the built-in descriptor understands no words; set embed.model to a CLIP model (see `mosaicd model list`)",
    )?;
    let name = card::locate(&path)?.name;
    if name != model {
        bail!("the mosaic was made with the encoder {model}, the configuration names {name}");
    }
    let encoder = TextEncoder::load(&path, &spec.runtime)?.with_context(|| {
        format!(
            "{} has no text encoder: text_model.onnx and tokenizer.json of the same model are expected there, and \
             `mosaicd model fetch` brings them with --words",
            path.display()
        )
    })?;
    Ok(encoder.of_dims(dims)?.encode(words)?)
}
