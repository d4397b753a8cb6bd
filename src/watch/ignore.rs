//! Which files are left out: names that are never artworks, the patterns of the configuration, and the owner's files in
//! the folders themselves.
//!
//! Patterns are those of gitignore(5). A file [`IGNORE_FILE`] counts for its folder and everything below; the deepest one
//! that says something of a path wins, and the patterns of the configuration come last. A file [`NOMEDIA_FILE`] leaves its
//! folder out with everything below, as on Android. Names are compared in Unicode's composed form, and
//! without regard to upper and lower case, unless a pattern takes something back.
//!
//! `book` reads these files, and decides what holds when one cannot be read.

use super::{
    level::{Level, Said, compilable},
    litter::litter,
    roots::DESCRIPTIONS_FILE,
};
use crate::describe::text;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file of patterns in a folder.
pub const IGNORE_FILE: &str = ".mosaicignore";
/// Name of the file that leaves its folder out.
pub const NOMEDIA_FILE: &str = ".nomedia";

/// What a scan of one watched folder leaves out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ignore {
    /// The patterns of the configuration.
    base: Arc<Level>,
    /// Those of the file that the configuration names.
    everywhere: Option<Arc<Level>>,
    /// Those of the folders, by their paths below the watched folder.
    levels: Arc<BTreeMap<PathBuf, Level>>,
}

/// Patterns of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    /// A pattern is malformed.
    #[error("not an ignore pattern: {pattern:?}")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
}

impl Ignore {
    /// Compiles patterns of gitignore(5), relative to the artwork folder; later ones win, `!` takes one back.
    ///
    /// # Errors
    /// The first malformed pattern.
    pub fn new(patterns: &[String]) -> Result<Self, IgnoreError> {
        let good = |pattern: &String| {
            let composed = text::composed(pattern);
            compilable(&composed).ok_or_else(|| IgnoreError::Pattern {
                pattern: pattern.clone(),
            })
        };
        let patterns = patterns.iter().map(good).collect::<Result<_, _>>()?;
        Ok(Self {
            base: Arc::new(Level::new(patterns, Vec::new(), false)),
            everywhere: None,
            levels: Arc::default(),
        })
    }

    /// The same patterns of the configuration with other ones of the folders.
    pub(super) fn with_levels(&self, levels: BTreeMap<PathBuf, Level>) -> Self {
        Self {
            base: Arc::clone(&self.base),
            everywhere: self.everywhere.clone(),
            levels: Arc::new(levels),
        }
    }

    /// The same patterns with those of the file that the configuration names.
    pub(super) fn and_everywhere(&self, level: Option<Level>) -> Self {
        Self {
            everywhere: level.map(Arc::new),
            ..self.clone()
        }
    }

    /// Takes in the patterns of a folder.
    pub(super) fn add(&mut self, folder: PathBuf, level: Level) {
        Arc::make_mut(&mut self.levels).insert(folder, level);
    }

    /// The patterns of the folders.
    pub(super) fn levels(&self) -> &BTreeMap<PathBuf, Level> {
        &self.levels
    }

    /// Whether to leave out the entry at `path`, relative to the artwork folder, whose folders are not left out.
    pub(super) fn leaves_out(&self, path: &Path, is_dir: bool) -> bool {
        path.file_name().is_some_and(|name| litter(name).is_some())
            || path.as_os_str() == DESCRIPTIONS_FILE
            || self.is_named(path, is_dir)
    }

    /// Whether a pattern names the file at `path` or a folder it is in; the names that are never artworks do not count
    /// here.
    pub(super) fn names(&self, path: &Path) -> bool {
        let mut within = path.ancestors().take_while(|p| !p.as_os_str().is_empty());
        within.next().is_some_and(|file| self.is_named(file, false))
            || within.any(|dir| self.is_named(dir, true))
    }

    /// Whether nothing new may be shown anywhere, because the file that the configuration names was never understood.
    pub(super) fn holds_all(&self) -> bool {
        self.everywhere.as_ref().is_some_and(|level| level.hold)
    }

    /// Whether the file at `path` is left out by patterns of its user that count for nobody else's files.
    pub(super) fn withholds(&self, path: &Path, user: u32) -> bool {
        let mut folders = path.ancestors().skip(1);
        !self.levels.is_empty()
            && folders.any(|folder| {
                let level = self
                    .levels
                    .get(folder)
                    .filter(|level| !level.strangers.is_empty());
                level
                    .zip(path.strip_prefix(folder).ok())
                    .is_some_and(|(level, below)| {
                        let below = text::composed_bytes(below.as_os_str().as_bytes());
                        level.withholds(Path::new(&*below), user)
                    })
            })
    }

    /// Whether a folder that `path` is in has patterns that are not known, so that nothing new in it may be shown.
    pub(super) fn holds(&self, path: &Path) -> bool {
        let mut folders = path.ancestors().skip(1);
        self.holds_all()
            || folders.any(|folder| self.levels.get(folder).is_some_and(|level| level.hold))
    }

    fn is_named(&self, path: &Path, is_dir: bool) -> bool {
        matches!(self.says(path, is_dir), (Said::Out(_), _))
    }

    /// What the patterns say about a path, and where they are from: a folder's, or `None` for the configuration's.
    fn says<'a>(&self, path: &'a Path, is_dir: bool) -> (Said, Option<&'a Path>) {
        if !self.levels.is_empty() {
            for folder in path.ancestors().skip(1) {
                if let Some(level) = self.levels.get(folder)
                    && let Ok(below) = path.strip_prefix(folder)
                {
                    match says(level, below, is_dir) {
                        Said::Nothing => {}
                        said => return (said, Some(folder)),
                    }
                }
            }
        }
        let everywhere = self
            .everywhere
            .as_ref()
            .map(|level| says(level, path, is_dir));
        match everywhere {
            Some(said) if said != Said::Nothing => (said, None),
            _ => (says(&self.base, path, is_dir), None),
        }
    }

    /// Every pattern that is in force, with the folder it counts for.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&Path, &str)> {
        let all = [Some(&self.base), self.everywhere.as_ref()]
            .into_iter()
            .flatten();
        let base = all.map(|level| (Path::new(""), &**level));
        let levels = self.levels.iter();
        let all = base.chain(levels.map(|(folder, level)| (folder.as_path(), level)));
        all.flat_map(|(folder, level)| {
            let patterns = level.patterns().iter();
            patterns.map(move |pattern| (folder, pattern.as_str()))
        })
    }

    /// Whether to leave out the entry at `path`, relative to the artwork folder, or one of the folders it is in.
    pub fn leaves_out_any(&self, path: &Path, is_dir: bool) -> bool {
        self.explain(path, is_dir).is_some()
    }

    /// Why the entry at `path` or one of the folders it is in is left out; `None` if it is not. From the top down.
    pub fn explain(&self, path: &Path, is_dir: bool) -> Option<String> {
        let steps: Vec<&Path> = path
            .ancestors()
            .take_while(|step| !step.as_os_str().is_empty())
            .collect();
        let why = |(i, step): (usize, &&Path)| self.why(step, i > 0 || is_dir);
        steps.iter().enumerate().rev().find_map(why)
    }

    fn why(&self, path: &Path, is_dir: bool) -> Option<String> {
        let name = path.file_name()?;
        let shown = path.display();
        if let Some(why) = litter(name) {
            return Some(format!("{shown}: {why}"));
        }
        if path == Path::new(DESCRIPTIONS_FILE) {
            return Some(format!("{shown}: the table of titles, artists and links"));
        }
        match self.says(path, is_dir) {
            (Said::Out(pattern), None) => Some(format!(
                "{shown}: the pattern {pattern:?} of watch.ignore or watch.rules names it"
            )),
            (Said::Out(pattern), Some(folder)) => Some(format!(
                "{shown}: the pattern {pattern:?} in {} names it",
                folder.join(IGNORE_FILE).display()
            )),
            _ => None,
        }
    }
}

/// What a level says about a path in the composed form, which is the form of the patterns.
fn says(level: &Level, path: &Path, is_dir: bool) -> Said {
    let bytes = path.as_os_str().as_bytes();
    match bytes.is_ascii() {
        true => level.says(path, is_dir),
        false => level.says(Path::new(&*text::composed_bytes(bytes)), is_dir),
    }
}

impl Default for Ignore {
    fn default() -> Self {
        Self {
            base: Arc::new(Level::new(Vec::new(), Vec::new(), false)),
            everywhere: None,
            levels: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn patterns(lines: &[&str]) -> Ignore {
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        Ignore::new(&lines).expect("good patterns")
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        let ignore = patterns(&[
            "# comment",
            "",
            "drafts/",
            "/top.png",
            "*.gif",
            "!keep.gif",
            "**/old/*.png",
        ]);
        let out = |path: &str, is_dir| ignore.leaves_out(Path::new(path), is_dir);
        assert!(out("a/drafts", true) && !out("a/drafts", false));
        assert!(out("top.png", false) && !out("a/top.png", false));
        assert!(out("a/b.gif", false) && !out("a/keep.gif", false));
        assert!(out("a/old/b.png", false) && !out("a/b.png", false));
        assert!(ignore.leaves_out_any(Path::new("drafts/x/y.png"), false));
        assert!(ignore.leaves_out_any(Path::new("a/@eaDir/b/c.png"), false));
        let bytes = OsStr::from_bytes(b"a/caf\xe9.gif");
        assert!(ignore.leaves_out(Path::new(bytes), false));
    }

    #[test]
    fn a_malformed_pattern_of_the_configuration_is_named() {
        let error = Ignore::new(&["[z-a]".to_owned()]).expect_err("malformed");
        assert!(matches!(error, IgnoreError::Pattern { pattern } if pattern == "[z-a]"));
    }

    #[test]
    fn the_deepest_folder_that_says_something_wins() {
        let level = |lines: &[&str]| {
            let lines = lines.iter().map(|&line| line.to_owned()).collect();
            Level::new(lines, Vec::new(), false)
        };
        let mut ignore = patterns(&["*.gif"]);
        ignore.add(PathBuf::new(), level(&["*.tif", "b/"]));
        ignore.add("a".into(), level(&["!keep.gif", "/x.png"]));
        let out = |path: &str| ignore.leaves_out_any(Path::new(path), false);
        assert!(out("x.gif") && out("a/x.gif") && !out("a/keep.gif") && out("keep.gif"));
        assert!(out("a/x.tif") && out("a/x.png") && !out("x.png") && !out("a/c/x.png"));
        assert!(out("b/keep.gif") && ignore.names(Path::new("b/c.png")));
        let why = ignore
            .explain(Path::new("a/x.png"), false)
            .expect("left out");
        assert!(
            why.contains("/x.png") && why.contains("a/.mosaicignore"),
            "{why}"
        );
    }

    #[test]
    fn names_are_compared_in_one_form() {
        for pattern in ["Müller/", "Mu\u{308}ller/"] {
            let ignore = patterns(&[pattern]);
            for name in [
                "Müller".as_bytes(),
                "Mu\u{308}ller".as_bytes(),
                b"M\xfcller",
            ] {
                let path = Path::new(OsStr::from_bytes(name)).join("a.png");
                assert!(ignore.names(&path), "{pattern} {path:?}");
            }
        }
    }
}
