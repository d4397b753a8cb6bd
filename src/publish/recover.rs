//! What an output folder holds: read at every start, and again after every failed publish.
//!
//! The manifest is trusted as far as the files it names exist. Recovery is the ordinary start, so that a crash between
//! any two steps is no special case.

use super::{
    OutputSpec, PublishError,
    collect::Retired,
    files::Folder,
    listing::Serialised,
    manifest::{Manifest, MosaicFile, SCHEMA},
    names::{self, MosaicKind},
    page::Page,
    placement::Placement,
    pyramid::{OnDisk, Tiles, levels_on_disk},
    spliced::Spliced,
    stable,
};
use crate::{
    disk,
    render::{
        RENDER_VERSION,
        jpeg::{Frame, Subsampling},
    },
};
use std::{collections::BTreeSet, fs, io};

/// The published generation.
#[derive(Default)]
pub(super) struct State {
    /// The highest generation number found.
    pub(super) generation: u64,
    /// The published manifest.
    pub(super) manifest: Option<Manifest>,
    /// Its works as JSON.
    pub(super) serialised: Serialised,
    /// Whether tiles and pieces were drawn as they would be drawn now.
    pub(super) reusable: bool,
    /// What is drawn in each cell.
    pub(super) drawn: Placement,
    pub(super) tiles: Option<Tiles>,
    /// The page's own files; `None` unless they are there as the manifest says.
    pub(super) page: Option<Page>,
    pub(super) mosaic: Option<Spliced>,
    /// Whether and since when the single files show an older generation.
    pub(super) lag: Option<Lag>,
    pub(super) preview: Option<Spliced>,
    /// Whether PNG and WebP are there as the manifest says.
    pub(super) mosaic_files: bool,
    /// Whether the stable names show the manifest.
    pub(super) finished: bool,
    /// Cells changed since the manifest's regions were named; `None` if that is not known.
    pub(super) regions_age: Option<usize>,
    /// Whether the Deep Zoom view is known to be what `tiles` says.
    pub(super) view: bool,
}

/// Single files that show an older generation than the tiles.
pub(super) struct Lag {
    /// What they show; `None` after a start.
    pub(super) shown: Option<Placement>,
    /// When the first generation was published that they do not show, milliseconds since the Unix epoch.
    pub(super) since_ms: u64,
}

/// Everything except the artworks that decides the published pixels.
pub(super) fn render_key(spec: &OutputSpec) -> String {
    let (cell, jpeg) = (&spec.cell, spec.jpeg);
    let subsampling = match jpeg.subsampling {
        Subsampling::S420 => "420",
        Subsampling::S444 => "444",
    };
    let cells = crate::cells::spec_key(cell);
    let spare = spec
        .spare
        .map_or(String::new(), |spare| format!("-{spare}"));
    format!(
        "r{RENDER_VERSION}-{cells}-q{}-{subsampling}{spare}",
        jpeg.quality
    )
}

/// Reads the folder, removes the temporary files of earlier runs and notes what no manifest names.
pub(super) fn recover(
    folder: &Folder,
    spec: &OutputSpec,
    retired: &mut Retired,
) -> Result<State, PublishError> {
    folder.forget_folders();
    remove_temporaries(folder)?;
    let root = folder.list("")?;
    let manifest = read_manifest(folder)?;
    if manifest.is_none() {
        refuse_foreign(folder, spec, &root)?;
    }
    let mut state = State {
        generation: highest_generation(folder, &root, manifest.as_ref()),
        ..State::default()
    };
    let levels = levels_on_disk(folder)?;
    let files = folder.list(names::PAGE)?;
    state.page = manifest
        .as_ref()
        .and_then(|manifest| Page::read(folder, manifest, &files));
    retire_page_files(&files, state.page.as_ref(), retired);
    let Some(manifest) = manifest else {
        retire_unnamed(&root, &levels, None, None, retired);
        return Ok(state);
    };
    let tiles = manifest
        .pyramid
        .as_ref()
        .and_then(|listed| Tiles::parse(listed, manifest.grid));
    retire_unnamed(&root, &levels, Some(&manifest), tiles.as_ref(), retired);
    state.tiles = tiles.map(|tiles| without_missing(tiles, &levels));
    let placement = Placement::of(&manifest.works, manifest.grid.cols, manifest.grid.rows);
    if let Ok(mut drawn) = placement.map(|placement| placement.shown(spec))
        && manifest.grid.cell_px == spec.cell.px
        && manifest.render_key == render_key(spec)
    {
        let ids: BTreeSet<_> = manifest.undrawn.iter().collect();
        let undrawn = manifest.works.iter().filter(|w| ids.contains(&w.id));
        let undrawn: BTreeSet<_> = undrawn.map(|work| work.hash).collect();
        drawn.without(|hash| undrawn.contains(hash));
        state.drawn = drawn;
        state.reusable = true;
        let exists = |name: &str| root.iter().any(|there| there == name);
        let spliced = |file: &Option<MosaicFile>| {
            let file = file.as_ref().filter(|file| exists(&file.file))?;
            spliced(file, spec.jpeg.subsampling)
        };
        state.mosaic = spliced(&manifest.mosaic);
        state.preview = spliced(&manifest.preview);
        state.lag = stable::lags(&manifest).then_some(Lag {
            shown: None,
            since_ms: manifest.published_ms,
        });
        let mosaic_files = [&manifest.png, &manifest.webp];
        state.mosaic_files = mosaic_files
            .into_iter()
            .flatten()
            .all(|file| exists(&file.file));
    }
    state.view = stable::dzi_generation(folder) == Some(manifest.generation)
        && view_complete(folder, state.tiles.as_ref())?;
    state.finished = stable::finished(folder, spec, &manifest)
        && (state.view || state.tiles.is_none())
        && state.page.is_some();
    state.serialised = Serialised::of(&manifest.works)?;
    state.manifest = Some(manifest);
    Ok(state)
}

/// A spliced file as the manifest describes it.
fn spliced(file: &MosaicFile, subsampling: Subsampling) -> Option<Spliced> {
    let block_px = file.cell_px.max(subsampling.mcu_px());
    let frame = Frame::new(file.width, file.height, block_px, subsampling).ok()?;
    Some(Spliced::known(&file.file, frame))
}

/// Reads the manifest; one that is missing or damaged reads as none.
fn read_manifest(folder: &Folder) -> Result<Option<Manifest>, PublishError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u32,
    }
    let path = folder.path(names::MANIFEST);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(PublishError::Io {
                action: super::Action::Read,
                path,
                source,
            });
        }
    };
    if let Ok(Version { schema }) = serde_json::from_slice(&bytes)
        && schema > SCHEMA
    {
        return Err(PublishError::NewerSchema {
            path,
            found: schema,
        });
    }
    match serde_json::from_slice(&bytes) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the manifest is unreadable: publishing everything again");
            Ok(None)
        }
    }
}

/// Refuses a folder that has files under our stable names but no trace of an earlier publish.
fn refuse_foreign(folder: &Folder, spec: &OutputSpec, root: &[String]) -> Result<(), PublishError> {
    let ours = root
        .iter()
        .any(|name| names::parse_mosaic_file(name).is_some())
        || stable::read_latest(folder).is_some()
        || stable::dzi_generation(folder).is_some();
    if ours {
        return Ok(());
    }
    let stable = MosaicKind::ALL.map(MosaicKind::stable);
    let taken = root.iter().find(|name| {
        let viewer = spec.viewer.iter().find(|(viewer, _)| viewer == *name);
        let same = viewer.is_some_and(|(_, bytes)| {
            fs::read(folder.path(name)).is_ok_and(|there| there == *bytes)
        });
        let fixed = [names::MANIFEST, names::LATEST, names::DZI];
        !same && (viewer.is_some() || fixed.contains(&name.as_str()) || stable.contains(name))
    });
    match taken {
        Some(name) => Err(PublishError::Foreign {
            path: folder.path(name),
        }),
        None => Ok(()),
    }
}

/// The manifest's number; without one the highest number in any file's name, so that numbers do not start again.
fn highest_generation(folder: &Folder, root: &[String], manifest: Option<&Manifest>) -> u64 {
    if let Some(manifest) = manifest {
        return manifest.generation;
    }
    let mosaic_files = root
        .iter()
        .filter_map(|name| names::parse_mosaic_file(name));
    mosaic_files
        .map(|(_, generation, _)| generation)
        .chain(stable::read_latest(folder).map(|l| l.generation))
        .chain(stable::dzi_generation(folder))
        // Far from the end: a hostile name must not stop the count.
        .filter(|&generation| generation < u64::MAX / 2)
        .max()
        .unwrap_or(0)
}

fn remove_temporaries(folder: &Folder) -> Result<(), PublishError> {
    let mut folders = vec![String::new(), format!("{}/", names::PAGE)];
    for parent in [names::TILES, names::DZI_TILES] {
        for level in folder.list(parent)? {
            if names::parse_level(&level).is_some() {
                folders.push(format!("{parent}/{level}/"));
            }
        }
    }
    for shard in folder.list(names::WORK_PAGES)? {
        folders.push(format!("{}/{shard}/", names::WORK_PAGES));
    }
    for prefix in folders {
        for name in folder.list(&prefix)? {
            if disk::is_temporary(&name) {
                folder.remove(&format!("{prefix}{name}"))?;
            }
        }
    }
    Ok(())
}

/// Notes files of ours that the manifest does not name: garbage of crashes, and generations whose grace has begun
/// before this start.
fn retire_unnamed(
    root: &[String],
    levels: &OnDisk,
    manifest: Option<&Manifest>,
    tiles: Option<&Tiles>,
    retired: &mut Retired,
) {
    let named: Vec<&str> = manifest
        .map(stable::mosaic_files)
        .into_iter()
        .flatten()
        .filter_map(|(_, file)| file.map(|f| f.file.as_str()))
        .collect();
    for name in root {
        if let Some((_, generation, _)) = names::parse_mosaic_file(name)
            && !named.contains(&name.as_str())
        {
            retired.add(name.clone(), generation, None);
        }
    }
    for (number, files) in levels {
        for &(col, row, hash) in files {
            if tiles.and_then(|tiles| tiles.hash(*number, col, row)) != Some(hash) {
                retired.add(names::tile(*number, col, row, hash), 0, None);
            }
        }
    }
}

/// Notes the page's files that the published generation does not name.
fn retire_page_files(files: &[String], page: Option<&Page>, retired: &mut Retired) {
    let named: BTreeSet<String> = page.into_iter().flat_map(Page::files).collect();
    for file in files {
        let path = format!("{}/{file}", names::PAGE);
        let plain = file.strip_suffix(".gz").unwrap_or(file);
        if names::parse_page(plain).is_some() && !named.contains(&path) {
            retired.add(path, 0, None);
        }
    }
}

/// Forgets the hashes of tiles whose files are gone, so that they are drawn again.
fn without_missing(mut tiles: Tiles, levels: &OnDisk) -> Tiles {
    let shapes: Vec<_> = tiles.pyramid.levels().collect();
    for (level, hashes) in shapes.iter().zip(&mut tiles.levels) {
        let files = levels.iter().find(|(number, _)| *number == level.number);
        for (i, slot) in hashes.iter_mut().enumerate() {
            let (col, row) = (i as u32 % level.cols, i as u32 / level.cols);
            let there = |hash| files.is_some_and(|(_, f)| f.contains(&(col, row, hash)));
            *slot = slot.filter(|&hash| there(hash));
        }
    }
    tiles
}

/// Whether the Deep Zoom view has a file for every tile.
fn view_complete(folder: &Folder, tiles: Option<&Tiles>) -> Result<bool, PublishError> {
    for level in tiles.iter().flat_map(|tiles| tiles.pyramid.levels()) {
        let files = folder.list(&format!("{}/{}", names::DZI_TILES, level.number))?;
        let count = files.iter().filter(|n| names::parse_dzi_tile(n).is_some());
        if count.count() < level.tiles() {
            return Ok(false);
        }
    }
    Ok(true)
}
