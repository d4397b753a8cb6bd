//! The patterns of one folder: lines of an ignore file, checked one by one and compiled together. Pure.
//!
//! A line whose author may have meant something else is a [`Doubt`]: a malformed pattern, another program's separator,
//! an encoding that had to be guessed. What a doubtful line may mean is left out as well, because leaving out too much
//! can be corrected and publishing too much cannot.

use super::book::RULE_FILES;
use crate::{describe::text, domain::FileIdentity};
use ::ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::path::Path;

/// Longest line that is compiled: the longest path that the system knows.
const MAX_LINE_BYTES: usize = 4_096;
/// Braces within braces: each takes up stack when a pattern is compiled.
const MAX_NESTED: usize = 8;
/// Patterns of one file.
const MAX_PATTERNS: usize = 10_000;

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
    /// Each set leaves out by itself: what is in force, and what doubtful lines may mean. The second of each pair does not
    /// tell upper from lower case, for folders on systems that do not either; it takes nothing back.
    rules: Vec<[Gitignore; 2]>,
    /// Whether nothing new below the folder may be shown, because its patterns are not known.
    pub(super) hold: bool,
    /// Patterns of users who may not speak for others: each leaves out that user's own files alone.
    pub(super) strangers: Vec<(u32, Level)>,
    /// The folder's ignore files as they were when this was made; others mean that it must be made again.
    pub(super) seen: [Option<FileIdentity>; RULE_FILES.len()],
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
    /// Reads the bytes of an ignore file in the folder at the absolute path `here`.
    pub(super) fn read(bytes: &[u8], here: &Path) -> Self {
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
            if lines.patterns.len() >= MAX_PATTERNS {
                doubt("is beyond the 10,000 patterns that one file may have");
                break;
            }
            match vet(&line, here) {
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
fn vet(line: &str, here: &Path) -> Result<String, (&'static str, Option<String>)> {
    if nested(line) > MAX_NESTED {
        return Err(("nests braces more than 8 deep", None));
    }
    if line.len() > MAX_LINE_BYTES {
        return Err(("is longer than 4,096 bytes", None));
    }
    let meant = |line: String| {
        // What is taken back by mistake would be shown.
        let harmless = !line.starts_with('!');
        harmless.then(|| vet(&line, here).ok()).flatten()
    };
    let bare = line.trim_matches(is_unseen);
    if bare.len() < line.len() {
        return Err(("has a character that is not seen", meant(bare.to_owned())));
    }
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
    if let Some(below) = below(line, here) {
        let what = "begins with the path of its own folder; patterns begin below it";
        return Err((what, meant(below)));
    }
    if let Some(inner) = unquoted(line) {
        let what =
            "is in quotation marks, which are part of the pattern; ? stands for any character";
        return Err((what, meant(inner.to_owned())));
    }
    if let Some((pattern, _)) = line.split_once(" # ").or_else(|| line.split_once("/ #")) {
        let what = "has a comment after the pattern; comments are lines of their own";
        return Err((what, meant(pattern.trim_end().to_owned())));
    }
    let mut after = line.split('\\').skip(1);
    let separates = |c: char| c.is_alphanumeric() || c == '*';
    if after.any(|rest| rest.chars().next().is_none_or(separates)) {
        let what = "has a backslash; folders are separated by /";
        return Err((what, meant(line.replace('\\', "/"))));
    }
    compilable(line).ok_or(("is no pattern", None))
}

/// A line that compiles. Braces mean nothing in a .gitignore; the ones that do not pair are taken as they are.
pub(super) fn compilable(line: &str) -> Option<String> {
    if line.len() > MAX_LINE_BYTES || nested(line) > MAX_NESTED {
        return None;
    }
    let good = |line: &str| GitignoreBuilder::new("").add_line(None, line).is_ok();
    if good(line) {
        return Some(line.to_owned());
    }
    let escaped = line.replace('{', "\\{").replace('}', "\\}");
    good(&escaped).then_some(escaped)
}

/// The rest of a pattern that begins with the absolute path of its folder.
fn below(line: &str, here: &Path) -> Option<String> {
    let here = here.to_str().filter(|here| here.starts_with('/'))?;
    let rest = line.strip_prefix(here.trim_end_matches('/'))?;
    (here.len() > 1 && rest.starts_with('/')).then(|| rest.to_owned())
}

/// What stands between quotation marks, if a line begins and ends with them.
fn unquoted(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let marks = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”')];
    let inside = |(open, close)| line.strip_prefix(open)?.strip_suffix(close);
    marks.into_iter().find_map(inside)
}

/// Whether nobody sees that a character is there: byte order marks in the middle, zero widths, directions.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

/// How deep braces lie within braces, at most.
fn nested(line: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in line.bytes() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Compiles patterns; those that are malformed are left out.
fn compiled(patterns: &[String], any_case: bool) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    let _ = builder.case_insensitive(any_case);
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
        let rules = sets.map(|set| [false, true].map(|any_case| compiled(set, any_case)));
        let rules = rules.collect();
        let mut patterns = patterns;
        patterns.extend(meant);
        Self {
            patterns,
            rules,
            hold,
            strangers: Vec::new(),
            seen: [None; RULE_FILES.len()],
        }
    }

    /// Whether the patterns leave out the file at `path`, relative to the folder, or a folder that it is in.
    fn leaves_out(&self, path: &Path) -> bool {
        let mut steps = path
            .ancestors()
            .take_while(|step| !step.as_os_str().is_empty());
        let out = |path, is_dir| matches!(self.says(path, is_dir), Said::Out(_));
        steps.next().is_some_and(|file| out(file, false)) || steps.any(|step| out(step, true))
    }

    /// Whether a file of this user is left out by the patterns of that user.
    pub(super) fn withholds(&self, path: &Path, user: u32) -> bool {
        let own = self.strangers.iter().filter(|(other, _)| *other == user);
        own.into_iter().any(|(_, level)| level.leaves_out(path))
    }

    /// The patterns, without comments and empty lines.
    pub(super) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// What the patterns say of `path`, relative to the folder, in Unicode's composed form.
    pub(super) fn says(&self, path: &Path, is_dir: bool) -> Said {
        let mut taken_back = Said::Nothing;
        for [exact, any_case] in &self.rules {
            match exact.matched(path, is_dir) {
                Match::Ignore(glob) => return Said::Out(glob.original().to_owned()),
                Match::Whitelist(glob) => taken_back = Said::In(glob.original().to_owned()),
                Match::None => {
                    if let Match::Ignore(glob) = any_case.matched(path, is_dir) {
                        return Said::Out(glob.original().to_owned());
                    }
                }
            }
        }
        taken_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubtful(text: &[u8]) -> (Vec<String>, Vec<usize>) {
        let lines = Lines::read(text, Path::new("/srv/artworks"));
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
            (b"a\\*\nb\\?\n", &["a/*", "b\\?"], &[1]),
            (b"\"a\"\n'b c/'\nd'e'\n", &["a", "b c/", "d'e'"], &[1, 2]),
            (
                b"a/ # mine\nNo #3.png\nb/ #c\n",
                &["a/", "No #3.png", "b"],
                &[1, 3],
            ),
            (
                b"/srv/artworks/a/\n/srv/b\n!/srv/artworks/c\n",
                &["/a/", "/srv/b", "!/srv/artworks/c"],
                &[1],
            ),
            (
                "\u{feff}\u{feff}a/\nb/\u{200b}\n".as_bytes(),
                &["a/", "b/"],
                &[1, 2],
            ),
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
    fn what_would_cost_too_much_is_a_doubt_with_its_line() {
        let braces = format!("a\n{}b{}\n", "{".repeat(15_000), "}".repeat(15_000));
        let nested = format!("a\n{}b{}\n", "{".repeat(9), "}".repeat(9));
        let long = format!("a\n{}\n", "x".repeat(4_097));
        for text in [braces, nested, long] {
            assert_eq!(doubtful(text.as_bytes()), (vec!["a".to_owned()], vec![2]));
        }
        let many = "a\n".repeat(10_002);
        let (patterns, doubts) = doubtful(many.as_bytes());
        assert_eq!((patterns.len(), doubts), (10_000, vec![10_001]));
        assert_eq!(compilable(&"{".repeat(15_000)), None);
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
        // Case is told apart only to take something back.
        let cased = level(&["Private/", "*.gif", "!Keep.gif"], &[]);
        let said = |path: &str, is_dir| cased.says(Path::new(path), is_dir);
        assert!(matches!(said("private", true), Said::Out(_)));
        assert!(matches!(said("keep.gif", false), Said::Out(_)));
        assert!(matches!(said("Keep.gif", false), Said::In(_)));
        assert!(matches!(said("A.GIF", false), Said::Out(_)));
        let one = level(&["*", "!b"], &[]);
        assert_eq!(one.says(Path::new("b"), false), Said::In("!b".to_owned()));
    }
}
