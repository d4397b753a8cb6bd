//! Which names are none of our business: unfinished downloads and system litter always, more by patterns.
//!
//! Patterns are those of gitignore(5), from the configuration and from a file [`IGNORE_FILE`] in the artwork folder.

use super::{read::read_small, roots::DESCRIPTIONS_FILE};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Name of the file of patterns in the artwork folder.
pub const IGNORE_FILE: &str = ".mosaicignore";
/// More than anybody writes by hand.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What a scan leaves out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ignore {
    patterns: Vec<String>,
    rules: Gitignore,
}

/// Patterns that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    /// A pattern is malformed.
    #[error("not an ignore pattern: {pattern:?}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: ignore::Error,
    },
    /// The patterns make no matcher together.
    #[error("the ignore patterns are too many or too long")]
    Rules(#[source] ignore::Error),
    /// The file of patterns in the artwork folder cannot be read, or is no text of at most 1 MiB.
    #[error("cannot read {IGNORE_FILE}")]
    File(#[source] io::Error),
}

impl Ignore {
    /// Compiles patterns of gitignore(5), relative to the artwork folder; later ones win, `!` takes one back.
    ///
    /// # Errors
    /// The first malformed pattern.
    pub fn new(patterns: &[String]) -> Result<Self, IgnoreError> {
        let (ignore, errors) = Self::lenient(patterns.to_vec())?;
        errors.into_iter().next().map_or(Ok(ignore), Err)
    }

    /// These patterns and those of the file in `root`, if there is one; read it anew before every scan.
    ///
    /// Malformed lines are left out and returned.
    pub fn with_file(&self, root: &Path) -> (Self, Vec<IgnoreError>) {
        let text = match read_file(root) {
            Ok(Some(text)) => text,
            Ok(None) => return (self.clone(), vec![]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (self.clone(), vec![]),
            Err(error) => return (self.clone(), vec![IgnoreError::File(error)]),
        };
        let patterns = self.patterns.iter().cloned();
        let all = patterns.chain(text.lines().map(str::to_owned)).collect();
        Self::lenient(all).unwrap_or_else(|error| (self.clone(), vec![error]))
    }

    fn lenient(patterns: Vec<String>) -> Result<(Self, Vec<IgnoreError>), IgnoreError> {
        let mut builder = GitignoreBuilder::new("");
        let mut errors = Vec::new();
        for pattern in &patterns {
            if let Err(source) = builder.add_line(None, pattern) {
                let pattern = pattern.clone();
                errors.push(IgnoreError::Pattern { pattern, source });
            }
        }
        let rules = builder.build().map_err(IgnoreError::Rules)?;
        Ok((Self { patterns, rules }, errors))
    }

    /// Whether to leave out the entry at `path`, relative to the artwork folder, whose folders are not left out.
    pub(super) fn leaves_out(&self, path: &Path, is_dir: bool) -> bool {
        path.file_name().is_some_and(is_litter)
            || path == Path::new(DESCRIPTIONS_FILE)
            || self.rules.matched(path, is_dir).is_ignore()
    }

    /// Whether a pattern names the file at `path` or a folder it is in; litter is named by nobody.
    pub(super) fn names(&self, path: &Path) -> bool {
        let mut within = path.ancestors().take_while(|p| !p.as_os_str().is_empty());
        let named = |path: &Path, is_dir| self.rules.matched(path, is_dir).is_ignore();
        within.next().is_some_and(|file| named(file, false)) || within.any(|dir| named(dir, true))
    }

    /// The patterns, without comments and empty lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.patterns.iter().map(|line| line.trim());
        lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    /// Whether to leave out the entry at `path`, relative to the artwork folder, or one of the folders it is in.
    pub fn leaves_out_any(&self, path: &Path, is_dir: bool) -> bool {
        let folders = path
            .ancestors()
            .skip(1)
            .filter(|path| *path != Path::new(""));
        self.leaves_out(path, is_dir) || folders.into_iter().any(|path| self.leaves_out(path, true))
    }
}

impl Default for Ignore {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            rules: Gitignore::empty(),
        }
    }
}

/// Whether a name is hidden, a file still being copied or downloaded, or litter of a system.
pub(super) fn is_litter(name: &OsStr) -> bool {
    const ENDINGS: [&[u8]; 8] = [
        b".part",
        b".partial",
        b".crdownload",
        b".filepart",
        b".download",
        b".tmp",
        b".temp",
        b"~",
    ];
    const NAMES: [&[u8]; 8] = [
        b"thumbs.db",
        b"desktop.ini",
        b"@eadir",
        b"#recycle",
        b"$recycle.bin",
        b"lost+found",
        b"__macosx",
        b"system volume information",
    ];
    let name = name.as_bytes().to_ascii_lowercase();
    name.starts_with(b".")
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || NAMES.contains(&name.as_slice())
}

fn read_file(root: &Path) -> io::Result<Option<String>> {
    let Some(bytes) = read_small(root, IGNORE_FILE, MAX_FILE_BYTES)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes);
    let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(lines: &[&str]) -> Ignore {
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        Ignore::new(&lines).expect("good patterns")
    }

    #[test]
    fn unfinished_and_hidden_names_are_left_out() {
        let ignore = Ignore::default();
        for name in [
            ".a.png.Xy12",
            "a.png.part",
            "A.PNG.CRDOWNLOAD",
            "a~",
            "Thumbs.db",
            "@eaDir",
            "a.tmp",
        ] {
            assert!(ignore.leaves_out(Path::new(name), false), "{name}");
        }
        for name in ["a.png", "part", "tmp.png", "thumbs.db.png", "caf\u{e9}.jpg"] {
            assert!(!ignore.leaves_out(Path::new(name), false), "{name}");
        }
        assert!(ignore.leaves_out_any(Path::new("a/@eaDir/b/c.png"), false));
        let latin1 = OsStr::from_bytes(b"caf\xe9.jpg");
        assert!(!ignore.leaves_out(Path::new(latin1), false));
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
        let bytes = OsStr::from_bytes(b"a/caf\xe9.gif");
        assert!(ignore.leaves_out(Path::new(bytes), false));
    }

    #[test]
    fn a_malformed_pattern_is_named_and_those_of_the_file_are_passed_over() {
        let error = Ignore::new(&["a{b".to_owned()]).expect_err("malformed");
        assert!(matches!(error, IgnoreError::Pattern { pattern, .. } if pattern == "a{b"));
        let root = tempfile::tempdir().expect("a folder");
        let (ignore, errors) = patterns(&["x"]).with_file(root.path());
        assert!(errors.is_empty() && ignore.leaves_out(Path::new("x"), false));
        std::fs::write(root.path().join(IGNORE_FILE), "a{b\ny\n").expect("file");
        let (ignore, errors) = patterns(&["x"]).with_file(root.path());
        assert_eq!(errors.len(), 1);
        assert!(
            ignore.leaves_out(Path::new("x"), false) && ignore.leaves_out(Path::new("y"), false)
        );
        std::fs::write(root.path().join(IGNORE_FILE), b"\xff\xfe").expect("file");
        let (ignore, errors) = patterns(&["x"]).with_file(root.path());
        assert!(
            matches!(errors[..], [IgnoreError::File(_)])
                && ignore.leaves_out(Path::new("x"), false)
        );
    }
}
