//! The bounds of every value. Each problem is a sentence that names the key and what it must be.

use super::{Config, Folder};
use crate::artwork::decode::Format;
use std::collections::BTreeSet;

/// Every problem of a configuration.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut problems = folders(&config.folder);
    let mut need = |good: bool, text: &str| {
        if !good {
            problems.push(text.to_owned());
        }
    };
    let (watch, page) = (&config.watch, &config.page);
    need(
        (10..=3_600_000).contains(&watch.settle_ms),
        "watch.settle_ms must be 10 to 3600000",
    );
    need(
        (10..=3_600_000).contains(&watch.stable_ms),
        "watch.stable_ms must be 10 to 3600000",
    );
    need(
        (1..=86_400).contains(&watch.open_s),
        "watch.open_s must be 1 to 86400",
    );
    need(
        (1..=86_400).contains(&watch.rescan_s),
        "watch.rescan_s must be 1 to 86400",
    );
    need(
        watch.removal_grace_h <= 8_760,
        "watch.removal_grace_h must be at most 8760, a year",
    );
    need(
        (1..=16_384).contains(&config.decode.max_file_mb),
        "decode.max_file_mb must be 1 to 16384",
    );
    need(
        (1..=2_000).contains(&config.decode.max_megapixels),
        "decode.max_megapixels must be 1 to 2000",
    );
    need(
        config.decode.memory_mb == 0 || (64..=1_048_576).contains(&config.decode.memory_mb),
        "decode.memory_mb must be 64 to 1048576, or 0 for what a picture of its size needs",
    );
    need(
        (1..=3_600).contains(&config.decode.seconds),
        "decode.seconds must be 1 to 3600",
    );
    need(
        config.decode.threads <= 1_024,
        "decode.threads must be at most 1024",
    );
    for key in &config.decode.formats {
        if let Err(error) = key.parse::<Format>() {
            need(false, &format!("decode.formats: {error}"));
        }
    }
    need(
        !config.decode.formats.is_empty(),
        "decode.formats must name at least one format",
    );
    need(
        !config.embed.model.is_empty(),
        "embed.model must be \"builtin\", or a folder or file with an ONNX model",
    );
    need(
        (0.0..=1.0).contains(&config.embed.look),
        "embed.look must be 0 to 1",
    );
    need(
        config.embed.threads <= 1_024,
        "embed.threads must be at most 1024",
    );
    need(
        config.embed.sessions <= 64,
        "embed.sessions must be at most 64",
    );
    need(
        (2..=200).contains(&config.layout.n_neighbors),
        "layout.n_neighbors must be 2 to 200",
    );
    need(
        (0.0..=1.0).contains(&config.layout.min_dist),
        "layout.min_dist must be 0 to 1",
    );
    need(
        config.grid.columns <= 100_000,
        "grid.columns must be at most 100000",
    );
    need(
        (0.05..=20.0).contains(&config.grid.aspect),
        "grid.aspect (width / height) must be 0.05 to 20",
    );
    need(
        (0.0..=0.5).contains(&config.grid.reserve),
        "grid.reserve must be 0 to 0.5",
    );
    need(
        (0.0..=1000.0).contains(&config.grid.lambda),
        "grid.lambda must be 0 to 1000",
    );
    let px = config.tile.size_px;
    need(
        px.is_power_of_two() && (16..=1024).contains(&px),
        "tile.size_px must be a power of two from 16 to 1024",
    );
    need(
        (1..=100).contains(&config.mosaic.quality),
        "mosaic.quality must be 1 to 100",
    );
    need(
        config.mosaic.pyramid || config.mosaic.jpg,
        "mosaic.pyramid and mosaic.jpg must not both be false: the page shows one of them",
    );
    need(
        config.mosaic.every_s <= 86_400,
        "mosaic.every_s must be at most 86400, a day",
    );
    let publish = &config.publish;
    need(
        publish
            .command
            .first()
            .is_none_or(|program| !program.is_empty()),
        "publish.command must begin with a program, as in [\"/usr/local/bin/purge-cdn\", \"mosaic\"]",
    );
    need(
        !publish.command.iter().any(|part| part.contains('\0')),
        "publish.command must not contain the character NUL",
    );
    need(
        (1..=3_600).contains(&publish.timeout_s),
        "publish.timeout_s must be 1 to 3600",
    );
    need(
        publish.every_s <= 86_400,
        "publish.every_s must be at most 86400, a day",
    );
    need(
        page.link.is_empty() || page.link.contains("{path}"),
        "page.link must contain {path}, as in \"https://example.org/art/{path}\"",
    );
    need(
        page.large_px == 0 || (256..=4_096).contains(&page.large_px),
        "page.large_px must be 256 to 4096, or 0 for none",
    );
    need(
        !page.iiif || (page.large_px > 0 && !page.url.is_empty()),
        "page.iiif needs page.url, for identifiers are absolute, and page.large_px, for the works' pictures",
    );
    need(
        page.url.is_empty() || page.url.starts_with("https://") || page.url.starts_with("http://"),
        "page.url must begin with https:// or http://, as in \"https://example.org/mosaic/\"",
    );
    need(
        page.filters.iter().all(|name| !name.trim().is_empty()),
        "page.filters must name columns of artworks.csv, as in [\"year\", \"tags\"]",
    );
    problems
}

/// Names become the first part of paths: they must be plain, and no two folders may have the same one.
fn folders(folders: &[Folder]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (i, folder) in folders.iter().enumerate() {
        let nth = i + 1;
        if folder.path.as_os_str().is_empty() {
            problems.push(format!("[[folder]] number {nth} has no path"));
            continue;
        }
        let name = folder.prefix();
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            problems.push(format!(
                "[[folder]] number {nth} needs a name without / and without a dot in front, as in name = \"paintings\""
            ));
        } else if !names.insert(name) {
            problems.push(format!(
                "two [[folder]] sections are named {name:?}; give one another name"
            ));
        }
    }
    problems
}
