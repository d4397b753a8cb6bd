//! Writing samples into a folder.

use crate::disk;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What [`write_samples`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files written.
    pub written: usize,
    /// Files that were there already, byte for byte.
    pub kept: usize,
}

/// Draws the samples `0..count` into `dir`, which is made when missing, on all threads of the current rayon pool.
///
/// Each file appears whole under its name (written in the same folder under a name with a leading dot, then renamed). A file
/// that is already there with the same bytes is left alone; other files in the folder are not touched.
/// `progress` is called after each sample with the number done so far; calls may overlap.
///
/// # Errors
/// The first error of the file system, naming the file; samples written before stay.
pub fn write_samples(
    dir: &Path,
    count: usize,
    size_px: u32,
    seed: u64,
    progress: impl Fn(usize) + Sync,
) -> io::Result<Written> {
    fs::create_dir_all(dir).map_err(|error| about(dir, error))?;
    let done = AtomicUsize::new(0);
    let written = (0..count)
        .into_par_iter()
        .map(|index| {
            let written = write_one(dir, index, size_px, seed)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(usize::from(written))
        })
        .try_reduce(|| 0, |a, b| Ok::<_, io::Error>(a + b))?;
    Ok(Written {
        written,
        kept: count - written,
    })
}

/// Whether the file had to be written.
fn write_one(dir: &Path, index: usize, size_px: u32, seed: u64) -> io::Result<bool> {
    let sample = super::draw(index, size_px, seed);
    let bytes = png(&sample.image)?;
    let path = dir.join(&sample.name);
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let draft = dir.join(format!(".{}.{}.part", sample.name, std::process::id()));
    disk::replace(&path, &draft, &bytes).map_err(|error| about(&path, error))?;
    Ok(true)
}

fn png(image: &image::RgbImage) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(
            image,
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(io::Error::other)?;
    Ok(bytes)
}

fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn samples_are_written_once_and_healed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("new/art");
        let seen = Mutex::new(Vec::new());
        let first = write_samples(&dir, 20, 16, 1, |done| {
            seen.lock().expect("no panic").push(done)
        });
        assert_eq!(
            first.expect("written"),
            Written {
                written: 20,
                kept: 0
            }
        );
        let mut seen = seen.into_inner().expect("no panic");
        seen.sort_unstable();
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());

        let broken = dir.join("tori-0000.png");
        fs::write(&broken, b"half").expect("writable");
        fs::write(dir.join("mine.txt"), b"kept").expect("writable");
        let second = write_samples(&dir, 20, 16, 1, |_| {}).expect("written");
        assert_eq!(
            second,
            Written {
                written: 1,
                kept: 19
            }
        );
        let healed = image::open(&broken).expect("a picture").into_rgb8();
        assert_eq!(healed, crate::demo::draw(1, 16, 1).image);
        assert_eq!(
            fs::read_dir(&dir).expect("readable").count(),
            21,
            "no drafts stay"
        );
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("spheres-0000.png")).expect("writable");
        let error =
            write_samples(folder.path(), 1, 16, 1, |_| {}).expect_err("a folder is in the way");
        assert!(error.to_string().contains("spheres-0000.png"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn no_samples_are_fine_and_size_zero_is_an_error_or_a_file_but_no_panic() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(
            write_samples(folder.path(), 0, 16, 1, |_| {}).expect("nothing"),
            Written::default()
        );
        let _ = write_samples(folder.path(), 1, 0, 1, |_| {});
    }
}
