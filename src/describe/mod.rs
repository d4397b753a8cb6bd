//! What the owner says of the works: title, artist and link, from a table `artworks.csv` in the watched folder.
//!
//! The door of the room, and pure: bytes come in from `watch`, descriptions go out with the generation. The table has
//! a header line; the column `path` is a work's path below the folder, `title`, `artist` and `link` are optional, and
//! other columns are the owner's business. Comma or semicolon, UTF-8, fields quoted as in RFC 4180.
//!
//! Invariants: a link is `http(s)` or relative, never a script; a mistake costs its own line alone, and is named.

pub mod csv;

use crate::artwork::ContentHash;
use std::collections::BTreeMap;

/// Longest text taken; the rest of a longer one is cut.
const MAX_CHARS: usize = 1_000;
/// Mistakes reported at most; further ones are left out like the rest, without a word.
const MAX_MISTAKES: usize = 20;

/// What is said of one work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Title, instead of the file's name.
    pub title: Option<String>,
    /// Who made it.
    pub artist: Option<String>,
    /// Where to read more: an http(s) or relative URL.
    pub link: Option<String>,
}

/// Descriptions by path, as the manifest writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptions(BTreeMap<String, Description>);

impl Descriptions {
    /// What is said of the work at `path`, as the manifest writes it.
    pub fn of(&self, path: &str) -> Option<&Description> {
        self.0.get(path)
    }

    /// Adds those of another folder.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// A digest: another one means that something is said differently.
    pub fn digest(&self) -> ContentHash {
        ContentHash::of(format!("{:?}", self.0).as_bytes())
    }
}

/// Something in a table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The table, as a path like those of the works.
    pub file: String,
    /// What is wrong, and where.
    pub what: String,
}

impl Mistake {
    /// A table that cannot be read at all.
    pub fn unreadable(file: &str, why: &str) -> Self {
        Self {
            file: file.to_owned(),
            what: format!("cannot be read: {why}"),
        }
    }
}

/// Reads a table. `file` names it in mistakes; `folder` is put in front of its paths if it is not empty.
pub fn parse(bytes: &[u8], file: &str, folder: &str) -> (Descriptions, Vec<Mistake>) {
    let mut found = Descriptions::default();
    let mut mistakes = Vec::new();
    let mut wrong = |what: String| {
        if mistakes.len() < MAX_MISTAKES {
            mistakes.push(Mistake {
                file: file.to_owned(),
                what,
            });
        }
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        wrong("not UTF-8: save it as \"CSV UTF-8\"".to_owned());
        return (found, mistakes);
    };
    let mut records = csv::records(text.trim_start_matches('\u{feff}'));
    let header = records.next().map_or(Vec::new(), |record| record.fields);
    let column = |name: &str| {
        let mut names = header.iter();
        names.position(|field| field.trim().eq_ignore_ascii_case(name))
    };
    let Some(path) = column("path") else {
        if !text.trim().is_empty() {
            wrong("its first line names no column \"path\"".to_owned());
        }
        return (found, mistakes);
    };
    let (title, artist, link) = (column("title"), column("artist"), column("link"));
    for record in records {
        let field = |at: Option<usize>| {
            let text = record.fields.get(at?)?.trim();
            (!text.is_empty()).then(|| text.chars().take(MAX_CHARS).collect::<String>())
        };
        let line = record.line;
        if record.open {
            wrong(format!("line {line}: a quoted field is not closed"));
            continue;
        }
        let Some(path) = field(Some(path)) else {
            if record.fields.iter().any(|field| !field.trim().is_empty()) {
                wrong(format!("line {line}: no path"));
            }
            continue;
        };
        let link = field(link).filter(|link| {
            let good = harmless(link);
            if !good {
                wrong(format!(
                    "line {line}: the link must begin with https:// or http://, or be relative"
                ));
            }
            good
        });
        let description = Description {
            title: field(title),
            artist: field(artist),
            link,
        };
        let path = path.trim_start_matches("./");
        let path = match folder {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        };
        if description != Description::default() && found.0.insert(path, description).is_some() {
            wrong(format!(
                "line {line}: the path was there before; this line counts"
            ));
        }
    }
    (found, mistakes)
}

/// Whether a link may stand on the page: `http`, `https`, or no scheme at all.
fn harmless(link: &str) -> bool {
    let scheme = link.split(['/', '?', '#']).next().unwrap_or("");
    let clean = !link.chars().any(|c| c.is_control() || c == '\\');
    clean
        && match scheme.split_once(':') {
            None => true,
            Some((scheme, _)) => ["http", "https"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known)),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> Descriptions {
        let (found, wrong) = parse(text.as_bytes(), "artworks.csv", "");
        assert!(wrong.is_empty(), "{wrong:?}");
        found
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        for text in [
            "title,path,year,Artist,link\n\"Sea, at night\",deep/a.png,1900,N. N.,https://x.org/1\n",
            "\u{feff}title;path;year;Artist;link\r\n\"Sea, at night\";./deep/a.png;1900;N. N.;https://x.org/1\r\n",
        ] {
            let found = good(text);
            let a = found.of("deep/a.png").expect("described");
            assert_eq!(a.title.as_deref(), Some("Sea, at night"));
            assert_eq!(a.artist.as_deref(), Some("N. N."));
            assert_eq!(a.link.as_deref(), Some("https://x.org/1"));
        }
        assert_eq!(good(""), Descriptions::default());
        assert!(good("path,title\na.png,\n").of("a.png").is_none());
    }

    #[test]
    fn a_mistake_is_named_and_costs_its_line_alone() {
        let text = "path,title,link\na.png,A,javascript:alert(1)\n,B,\nc.png,C,c.html\nc.png,D,\n\"d.png,E,\n";
        let (found, wrong) = parse(text.as_bytes(), "artworks.csv", "oil");
        let a = found.of("oil/a.png").expect("its title is good");
        assert_eq!((a.title.as_deref(), a.link.as_deref()), (Some("A"), None));
        let c = found.of("oil/c.png").expect("described");
        assert_eq!(c.title.as_deref(), Some("D"));
        let lines: Vec<_> = wrong.iter().map(|m| m.what.as_str()).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        for (line, said) in [2, 3, 5, 6].into_iter().zip(lines) {
            assert!(said.starts_with(&format!("line {line}: ")), "{said}");
        }
        for bad in [&b"name,title\na,b\n"[..], b"path\xff"] {
            assert_eq!(parse(bad, "artworks.csv", "").1.len(), 1);
        }
    }

    #[test]
    fn links_that_run_are_refused() {
        for good in [
            "https://a.b/c?d#e",
            "HTTP://a",
            "works/1.html",
            "/1",
            "?a=b:c",
            "#x:y",
        ] {
            assert!(harmless(good), "{good}");
        }
        for bad in [
            "javascript:x",
            "JavaScript:x",
            "data:text/html,x",
            "java\tscript:x",
            "file:///x",
            "\\\\x",
        ] {
            assert!(!harmless(bad), "{bad:?}");
        }
    }
}
