//! Turns the configuration into the parameters of each room, for the daemon and the commands.
//!
//! It opens nothing and decides nothing: every key becomes the field that it names, in the type of its room.

use crate::{
    artwork::{decode::DecodeLimits, large::LargeSpec},
    config::{self, Config},
    decoding::Allowance,
    domain::manifest,
    embed::{
        EncoderSpec, builtin,
        library::LibrarySearch,
        session::{Device, Runtime},
    },
    grid::{GridParams, Method as GridMethod, Polishing},
    publish::{OutputSpec, Spare, names},
    rebuild::Params,
    reduce::{LayoutParams, Method as LayoutMethod},
    render::jpeg::{JpegSpec, Subsampling},
    viewer,
    watch::Roots,
};
use std::{
    num::NonZero,
    path::{Path, PathBuf},
};

/// Above this many works an arrival moves only its neighbours on the map.
const RELAX_LIMIT: usize = 20_000;

/// Bytes that decoding a picture may take, more than its size justifies.
const SPARE: u64 = 256 << 20;

/// The watched folders.
pub fn roots(config: &Config) -> Roots {
    let watched = config.watched().into_iter();
    Roots::new(watched.map(|(name, folder)| (name.into(), folder.to_owned())))
        .without(own_folders(config))
        .with(named(&config.watch.rules), named(&config.folders.table))
}

/// A path that the configuration may leave empty.
fn named(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}

/// The folders that mosaicd writes to, and the largest ones in them.
fn own_folders(config: &Config) -> Vec<PathBuf> {
    let (output, state) = (&config.folders.output, &config.folders.state);
    let mut own = vec![output.clone(), state.clone()];
    own.extend([names::TILES, names::DZI_TILES, names::LARGE].map(|name| output.join(name)));
    own.extend(["cells", "store"].map(|name| state.join(name)));
    own
}

/// The encoder as the configuration names it.
pub fn encoder_spec(config: &Config) -> EncoderSpec {
    let embed = &config.embed;
    EncoderSpec {
        model: (embed.model != "builtin").then(|| PathBuf::from(&embed.model)),
        look: embed.look > 0.0,
        runtime: Runtime {
            library: LibrarySearch {
                configured: (!embed.library.as_os_str().is_empty()).then(|| embed.library.clone()),
                state: Some(config.folders.state.clone()),
            },
            threads: NonZero::new(embed.threads),
            sessions: NonZero::new(embed.sessions),
            device: match embed.device {
                config::Device::Auto => Device::Auto,
                config::Device::Cpu => Device::Cpu,
                config::Device::Cuda => Device::Cuda,
            },
        },
    }
}

/// How many of the last values of `model`'s embeddings are a look, and how much it counts.
pub fn look(config: &Config, model: &str) -> (usize, f32) {
    match config.embed.look > 0.0 && model != builtin::NAME {
        true => (builtin::DIMS, config.embed.look as f32),
        false => (0, 0.0),
    }
}

/// What decoding one picture may cost.
pub fn decode_limits(config: &Config) -> DecodeLimits {
    DecodeLimits {
        formats: config.decode.formats(),
        ..DecodeLimits::of_pixels(config.decode.max_megapixels * 1_000_000)
    }
}

/// Memory and time that decoding one picture may take at most.
pub fn allowance(config: &Config) -> Allowance {
    let (memory_mb, seconds) = (config.decode.memory_mb, config.decode.seconds);
    Allowance {
        spare: SPARE,
        memory: if memory_mb == 0 {
            u64::MAX
        } else {
            memory_mb << 20
        },
        seconds,
        most_seconds: seconds,
    }
}

/// Layout and grid as the configuration wants them.
pub fn params(config: &Config) -> Params {
    let (layout, grid) = (&config.layout, &config.grid);
    Params {
        look: config.embed.look as f32,
        look_dims: 0,
        layout: LayoutParams {
            method: match layout.method {
                config::LayoutMethod::Umap => LayoutMethod::Umap,
                config::LayoutMethod::Pca => LayoutMethod::Pca,
            },
            n_neighbors: layout.n_neighbors,
            min_dist: layout.min_dist as f32,
            seed: layout.seed,
            relax_limit: RELAX_LIMIT,
        },
        grid: GridParams {
            method: match grid.method {
                config::GridMethod::Incremental => GridMethod::Incremental,
                config::GridMethod::Rows => GridMethod::Rows,
            },
            columns: (grid.columns > 0).then_some(grid.columns),
            aspect: grid.aspect as f32,
            reserve: grid.reserve as f32,
            lambda: grid.lambda as f32,
            polishing: match grid.polish {
                config::Polish::Quiet => Polishing::WhenDue,
                config::Polish::At(_) => Polishing::OnRequest,
                config::Polish::Never => Polishing::Never,
            },
            seed: layout.seed,
            ..GridParams::default()
        },
    }
}

/// Names and titles of the watched folders, if there are several.
fn folder_titles(config: &Config) -> Vec<manifest::Folder> {
    let titled = |folder: &config::Folder| manifest::Folder {
        name: folder.prefix().to_owned(),
        title: folder.shown().to_owned(),
    };
    match config.folder.as_slice() {
        [] | [_] => Vec::new(),
        several => several.iter().map(titled).collect(),
    }
}

/// How renditions of whole works are made.
pub fn large_spec(config: &Config) -> LargeSpec {
    LargeSpec {
        px: config.page.large_px,
        background: config.tile.background.0,
    }
}

/// What is published, and how.
pub fn output_spec(config: &Config) -> OutputSpec {
    let mosaic = &config.mosaic;
    OutputSpec {
        title: config.page.title.clone(),
        url: config.page.url.clone(),
        filters: config.page.filters.clone(),
        link: (!config.page.link.is_empty()).then(|| config.page.link.clone()),
        folders: folder_titles(config),
        cell: config.cell_spec(),
        jpeg: JpegSpec {
            quality: mosaic.quality,
            subsampling: match mosaic.subsampling {
                config::Subsampling::S420 => Subsampling::S420,
                config::Subsampling::S444 => Subsampling::S444,
            },
        },
        mosaic: mosaic.jpg,
        lag_ms: (mosaic.every_s > 0).then_some(mosaic.every_s * 1_000),
        pyramid: mosaic.pyramid,
        png: mosaic.png,
        webp: mosaic.webp,
        spare: Some(match mosaic.spare {
            config::Spare::Blend => Spare::Blend,
            config::Spare::Colour(colour) => Spare::Colour(colour.0),
        }),
        viewer: viewer::files(&viewer::Page {
            title: &config.page.title,
            url: &config.page.url,
            language: config.page.language.tag(),
        }),
        ..OutputSpec::default()
    }
}
