//! The stable names: names that never change and always show the newest generation.
//!
//! `mosaic.jpg` and the like are further names (hard links) of the generation's own files, renamed into place after the
//! manifest. `mosaic_files/` is the Deep Zoom view of `t/` for third-party viewers, again hard links. Each file is
//! whole and of one generation; a third-party viewer that loads many while they are re-pointed may mix two for some
//! milliseconds, which the format cannot avoid: mosaicd's own viewer reads the manifest's names instead.
//!
//! Invariant: `mosaic.dzi` is renamed last and says which generation the view shows, so a stop in between is noticed.

use super::{
    OutputSpec, PublishError,
    files::{Folder, Staged, same_file},
    manifest::{Manifest, MosaicFile},
    names::{self, MosaicKind},
    pointers,
    pyramid::Tiles,
};
use crate::render::pyramid::{OVERLAP, TILE_SIZE};
use std::{
    fs,
    io::{self, ErrorKind},
};

const MARK: &str = "<!-- mosaicd generation ";

/// The descriptor of a Deep Zoom picture, marked with the generation.
pub(super) fn dzi(tiles: &Tiles, generation: u64) -> String {
    let (width, height) = (tiles.pyramid.width, tiles.pyramid.height);
    let format = names::TILE_FORMAT;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Image xmlns=\"http://schemas.microsoft.com/deepzoom/2008\" TileSize=\"{TILE_SIZE}\" Overlap=\"{OVERLAP}\" \
         Format=\"{format}\">\n  <Size Width=\"{width}\" Height=\"{height}\"/>\n</Image>\n{MARK}{generation} -->\n"
    )
}

/// The generation that the Deep Zoom view shows; `None` if there is no descriptor of ours.
pub(super) fn dzi_generation(folder: &Folder) -> Option<u64> {
    let text = fs::read_to_string(folder.path(names::DZI)).ok()?;
    let (_, rest) = text.split_once(MARK)?;
    rest.split_once(' ')?.0.parse().ok()
}

/// The files of a manifest and their stable names.
pub(super) fn mosaic_files(manifest: &Manifest) -> [(MosaicKind, Option<&MosaicFile>); 4] {
    [
        (MosaicKind::Mosaic, manifest.mosaic.as_ref()),
        (MosaicKind::Preview, manifest.preview.as_ref()),
        (MosaicKind::Png, manifest.png.as_ref()),
        (MosaicKind::Webp, manifest.webp.as_ref()),
    ]
}

/// Whether the single files show an older generation.
pub(super) fn lags(manifest: &Manifest) -> bool {
    let files = mosaic_files(manifest).into_iter();
    let mut files = files.filter_map(|(_, file)| file);
    files.any(|file| file.generation.is_some())
}

/// One of a manifest's optional files.
pub(super) fn mosaic_file(manifest: &Manifest, kind: MosaicKind) -> Option<&MosaicFile> {
    let all = mosaic_files(manifest).into_iter();
    all.filter(|(of, _)| *of == kind).find_map(|(_, file)| file)
}

/// Re-points the stable names of whole-image files, and removes those that `before` had and `now` does not have.
pub(super) fn point_mosaic_files(
    folder: &Folder,
    before: Option<&Manifest>,
    now: &Manifest,
) -> Result<(), PublishError> {
    for (kind, file) in mosaic_files(now) {
        if let Some(file) = file {
            folder.point(&file.file, &kind.stable())?;
        }
    }
    for (kind, file) in before.map(mosaic_files).into_iter().flatten() {
        let gone = file.is_some() && mosaic_files(now).contains(&(kind, None));
        if gone {
            folder.remove(&kind.stable())?;
        }
    }
    Ok(())
}

/// Changes the Deep Zoom view from `before` to `now`; with `whole`, from whatever is there.
fn point_tiles(
    folder: &Folder,
    before: Option<&Tiles>,
    now: Option<&Tiles>,
    whole: bool,
) -> Result<(), PublishError> {
    let known = before.filter(|_| !whole);
    for (number, col, row, hash) in now.into_iter().flat_map(|tiles| tiles.not_in(known)) {
        let from = names::tile(number, col, row, hash);
        folder.point(&from, &names::dzi_tile(number, col, row))?;
    }
    let shown = |number: u32, col: u32, row: u32| {
        now.is_some_and(|tiles| match number < tiles.pyramid.min_level() {
            true => (col, row) == (0, 0),
            false => tiles.hash(number, col, row).is_some(),
        })
    };
    match known {
        Some(before) => {
            for (number, col, row, _) in before.all().filter(|&(n, c, r, _)| !shown(n, c, r)) {
                folder.remove(&names::dzi_tile(number, col, row))?;
            }
        }
        None => {
            for level in folder.list(names::DZI_TILES)? {
                let Some(number) = names::parse_level(&level) else {
                    continue;
                };
                for name in folder.list(&format!("{}/{level}", names::DZI_TILES))? {
                    if let Some((col, row)) = names::parse_dzi_tile(&name)
                        && !shown(number, col, row)
                    {
                        folder.remove(&names::dzi_tile(number, col, row))?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Re-points the Deep Zoom view, its staged parts and last its descriptor; removes it when there are no tiles.
pub(super) fn show_view(
    folder: &Folder,
    before: Option<&Tiles>,
    now: Option<&Tiles>,
    whole: bool,
    staged: Vec<Staged>,
) -> Result<(), PublishError> {
    if now.is_none() && dzi_generation(folder).is_none() {
        return Ok(());
    }
    point_tiles(folder, before, now, whole)?;
    for staged in staged {
        folder.commit(staged)?;
    }
    if now.is_none() {
        folder.remove(names::DZI)?;
    }
    Ok(())
}

/// Stages the viewer's files that differ from what is there.
pub(super) fn stage_viewer(
    folder: &Folder,
    spec: &OutputSpec,
) -> Result<Vec<Staged>, PublishError> {
    let staged = spec.viewer.iter();
    staged
        .filter_map(|(name, bytes)| stage_changed(folder, name, bytes).transpose())
        .collect()
}

/// Stages a file unless it is there with the same bytes.
pub(super) fn stage_changed(
    folder: &Folder,
    name: &str,
    bytes: &[u8],
) -> Result<Option<Staged>, PublishError> {
    match is(folder, name, bytes) {
        true => Ok(None),
        false => folder.stage(name, bytes).map(Some),
    }
}

/// Whether every stable name shows `manifest`, as far as can be seen without reading pictures.
pub(super) fn finished(folder: &Folder, spec: &OutputSpec, manifest: &Manifest) -> bool {
    let mosaic_files = mosaic_files(manifest)
        .into_iter()
        .all(|(kind, file)| match file {
            Some(file) => {
                let (own, stable) = (folder.path(&file.file), folder.path(&kind.stable()));
                same_file(&own, &stable) || same_bytes(&own, &stable)
            }
            None => true,
        });
    let view = match manifest.pyramid {
        Some(_) => dzi_generation(folder) == Some(manifest.generation),
        None => dzi_generation(folder).is_none(),
    };
    let viewer = spec
        .viewer
        .iter()
        .all(|(name, bytes)| is(folder, name, bytes));
    let latest = read_latest(folder).is_some_and(|l| l.generation == manifest.generation);
    mosaic_files && view && viewer && latest && pointers::stand(folder)
}

/// What `latest.json` says, if it is ours.
pub(super) fn read_latest(folder: &Folder) -> Option<super::manifest::Latest> {
    let bytes = fs::read(folder.path(names::LATEST)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn is(folder: &Folder, name: &str, bytes: &[u8]) -> bool {
    fs::read(folder.path(name)).is_ok_and(|there| there == bytes)
}

/// Whether two files are equal; where links are not supported, a stable name is a copy.
fn same_bytes(one: &std::path::Path, other: &std::path::Path) -> bool {
    let compare = || -> io::Result<bool> {
        let (mut a, mut b) = (fs::File::open(one)?, fs::File::open(other)?);
        if a.metadata()?.len() != b.metadata()?.len() {
            return Ok(false);
        }
        let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let length = io::Read::read(&mut a, &mut left)?;
            if length == 0 {
                return Ok(true);
            }
            match io::Read::read_exact(&mut b, &mut right[..length]) {
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                other => other?,
            }
            if left[..length] != right[..length] {
                return Ok(false);
            }
        }
    };
    compare().unwrap_or(false)
}
