//! The patterns of one folder: lines of an ignore file, checked one by one and compiled together. Pure.
//!
//! A line whose author may have meant something else is a [`Doubt`]: a malformed pattern, another program's separator,
//! an encoding that had to be guessed. What a doubtful line may mean is left out as well, because leaving out too much
//! can be corrected and publishing too much cannot.

use crate::{describe::text, domain::FileIdentity};
use ::ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::path::Path;

/// A line that is not understood for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Its number, from 1.
    pub(super) line: usize,
    /// What is wrong with it. Never quotes it: the status is public, and the line names what is private.
    pub(super) what: &'static str,
}

/// The lines of an ignore file: patterns that can be compiled, and what is doubtful.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) patterns: Vec<String>,
    pub(super) doubts: Vec<Doubt>,
}

/// The patterns in force in one folder.
#[derive(Clone, Debug)]
pub(super) struct Level {
    patterns: Vec<String>,
    /// Each set leaves out by itself: what is in force, and what doubtful lines may mean.
    rules: Vec<Gitignore>,
    /// Whether nothing new below the folder may be shown, because its patterns are not known.
    pub(super) hold: bool,
    /// The folder's ignore files as they were when this was made; others mean that it must be made again.
    pub(super) seen: [Option<FileIdentity>; 2],
}

/// What a level says about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    /// A pattern leaves it out.
    Out(String),
    /// A pattern takes it back.
    In(String),
}

impl Lines {
    /// Reads the bytes of an ignore file.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text::Text { text, guessed } = text::read(bytes);
        let mut lines = Self::default();
        let text = text.replace("\r\n", "\n");
        for (i, line) in text.split(['\n', '\r']).enumerate() {
            let line_number = i + 1;
            let mut doubt = |what| {
                let line = line_number;
                lines.doubts.push(Doubt { line, what });
            };
            if guessed.contains(&line_number) {
                doubt("is not UTF-8");
            }
            let line = text::composed(line);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            match vet(&line) {
                Ok(pattern) => lines.patterns.push(pattern),
                Err((what, meant)) => {
                    doubt(what);
                    lines.patterns.extend(meant);
                }
            }
        }
        lines
    }
}

/// A line as a pattern that compiles; otherwise what is wrong with it, and what it may mean.
fn vet(line: &str) -> Result<String, (&'static str, Option<String>)> {
    let meant = |line: String| {
        // What is taken back by mistake would be shown.
        let harmless = !line.starts_with('!');
        harmless.then(|| vet(&line).ok()).flatten()
    };
    if line.starts_with(char::is_whitespace) {
        let what = "begins with a blank, which is part of the pattern";
        return Err((what, meant(line.trim_start().to_owned())));
    }
    if let Some(rest) = line.strip_prefix("./") {
        return Err((
            "begins with ./, which matches nothing",
            meant(rest.to_owned()),
        ));
    }
    let mut after = line.split('\\').skip(1);
    if after.any(|rest| rest.chars().next().is_none_or(char::is_alphanumeric)) {
        let what = "has a backslash; folders are separated by /";
        return Err((what, meant(line.replace('\\', "/"))));
    }
    compilable(line).ok_or(("is no pattern", None))
}

/// A line that compiles. Braces mean nothing in a .gitignore; the ones that do not pair are taken as they are.
pub(super) fn compilable(line: &str) -> Option<String> {
    let good = |line: &str| GitignoreBuilder::new("").add_line(None, line).is_ok();
    if good(line) {
        return Some(line.to_owned());
    }
    let escaped = line.replace('{', "\\{").replace('}', "\\}");
    good(&escaped).then_some(escaped)
}

/// Compiles patterns; those that are malformed are left out.
fn compiled(patterns: &[String]) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let _ = builder.add_line(None, pattern);
    }
    builder.build().unwrap_or_else(|_| {
        // Together they are too large to compile: everything is left out.
        let mut builder = GitignoreBuilder::new("");
        let _ = builder.add_line(None, "*");
        builder.build().unwrap_or_else(|_| Gitignore::empty())
    })
}

impl Level {
    /// A level with the patterns in force and what else may be meant.
    pub(super) fn new(patterns: Vec<String>, meant: Vec<String>, hold: bool) -> Self {
        let sets = [&patterns, &meant]
            .into_iter()
            .filter(|set| !set.is_empty());
        let rules = sets.map(|set| compiled(set)).collect();
        let mut patterns = patterns;
        patterns.extend(meant);
        Self {
            patterns,
            rules,
            hold,
            seen: [None; 2],
        }
    }

    /// The patterns, without comments and empty lines.
    pub(super) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// What the patterns say of `path`, relative to the folder, in Unicode's composed form.
    pub(super) fn says(&self, path: &Path, is_dir: bool) -> Said {
        let mut taken_back = Said::Nothing;
        for rules in &self.rules {
            match rules.matched(path, is_dir) {
                Match::Ignore(glob) => return Said::Out(glob.original().to_owned()),
                Match::Whitelist(glob) => taken_back = Said::In(glob.original().to_owned()),
                Match::None => {}
            }
        }
        taken_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubtful(text: &[u8]) -> (Vec<String>, Vec<usize>) {
        let lines = Lines::read(text);
        let doubts = lines.doubts.iter().map(|doubt| doubt.line).collect();
        (lines.patterns, doubts)
    }

    #[test]
    fn lines_of_every_editor_are_read_and_doubtful_ones_are_told() {
        for (text, patterns, doubts) in [
            (&b"a/\n# b\n\nc"[..], &["a/", "c"][..], &[][..]),
            (b"\xef\xbb\xbfa/\r\nb\r\n", &["a/", "b"], &[]),
            (b"a/\rb/\r", &["a/", "b/"], &[]),
            (b"a/\nEntw\xfcrfe/\n", &["a/", "Entwürfe/"], &[2]),
            (b"private\\\n", &["private/"], &[1]),
            (b"a\\b\n\\#c\n\\!d\n", &["a/b", "\\#c", "\\!d"], &[1]),
            (b" a/\n./b\n", &["a/", "b"], &[1, 2]),
            (b"!a\\b\n", &[], &[1]),
            (b"a{b\n{c,d}\n", &["a\\{b", "{c,d}"], &[]),
            (b"[z-a]\n", &[], &[1]),
            (b"# \xfc\n", &[], &[1]),
            (b"", &[], &[]),
        ] {
            let patterns = patterns.iter().map(|&p| p.to_owned()).collect();
            assert_eq!(doubtful(text), (patterns, doubts.to_vec()), "{text:?}");
        }
    }

    #[test]
    fn either_set_leaves_out_by_itself() {
        let level = |patterns: &[&str], meant: &[&str]| {
            let owned = |set: &[&str]| set.iter().map(|&p| p.to_owned()).collect();
            Level::new(owned(patterns), owned(meant), false)
        };
        let both = level(&["a", "!b"], &["b", "!a"]);
        for path in ["a", "b"] {
            assert!(
                matches!(both.says(Path::new(path), false), Said::Out(_)),
                "{path}"
            );
        }
        assert_eq!(both.says(Path::new("c"), false), Said::Nothing);
        let one = level(&["*", "!b"], &[]);
        assert_eq!(one.says(Path::new("b"), false), Said::In("!b".to_owned()));
    }
}
