//! What the owner says about the works: title, artist and link, from a table `artworks.csv` in the watched folder.
//!
//! The door of the room, and pure: bytes come in from `watch`, descriptions go out with the generation. The table has
//! a header line; the column `path` is a work's path below the folder, `title`, `artist` and `link` are optional.
//! Other columns are published only where the configuration names them, for visitors to filter by. `csv` reads what
//! spreadsheets write, `text` their encodings, and `matching` says which lines name no work. Paths are compared in
//! Unicode's composed form.
//!
//! Invariants: a link is `http(s)` or relative, never a script nor on another server by `//`; a mistake costs its own line
//! alone, and is named with the line's number.

pub mod csv;
mod matching;
pub mod text;

pub use matching::unmatched;

use crate::artwork::ContentHash;
use std::collections::BTreeMap;

/// Rows read of one table; further ones are refused.
const MAX_ROWS: usize = 200_000;
/// Longest text taken; the rest of a longer one is cut.
const MAX_CHARS: usize = 1_000;
/// Further columns that are read.
const MAX_COLUMNS: usize = 32;
/// Mistakes of one table that are named at most; further ones are counted.
const MAX_MISTAKES: usize = 20;
/// The columns that are read.
const COLUMNS: [&str; 4] = ["path", "title", "artist", "link"];
/// What people call these columns, too.
const SYNONYMS: [(&str, &str); 12] = [
    ("file", "path"),
    ("filename", "path"),
    ("file name", "path"),
    ("name", "path"),
    ("pfad", "path"),
    ("datei", "path"),
    ("titel", "title"),
    ("author", "artist"),
    ("creator", "artist"),
    ("künstler", "artist"),
    ("url", "link"),
    ("href", "link"),
];

/// What is said about one work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Title, instead of the file's name.
    pub title: Option<String>,
    /// Who made it.
    pub artist: Option<String>,
    /// Where to read more: an http(s) or relative URL.
    pub link: Option<String>,
    /// Further columns by their names, in lower case.
    pub fields: BTreeMap<String, String>,
}

impl Description {
    /// The fields that visitors may filter by; `wanted` names columns, `artist` among them, or is `*` for every further one.
    pub fn filters(&self, wanted: &[String]) -> BTreeMap<String, String> {
        let names = |name: &str| wanted.iter().any(|wanted| wanted.to_lowercase() == name);
        let further = self.fields.iter();
        let further = further.filter(|(name, _)| names("*") || names(name));
        let further = further.map(|(name, text)| (name.clone(), text.clone()));
        let artist = self.artist.clone().filter(|_| names("artist"));
        let artist = artist.map(|artist| ("artist".to_owned(), artist.replace(';', ",")));
        further.chain(artist).collect()
    }
}

/// Descriptions by path, as the manifest writes it, in Unicode's composed form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptions(BTreeMap<String, Row>);

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    description: Description,
    /// The table, as a path like those of the works.
    file: String,
    line: usize,
}

impl Descriptions {
    /// What is said about the work at `path`, as the manifest writes it.
    pub fn of(&self, path: &str) -> Option<&Description> {
        if self.0.is_empty() {
            return None;
        }
        let row = self.0.get(&*text::composed(path));
        // A table names a file as it is called, not as the manifest writes it.
        let called = || self.0.get(&*text::composed(&called(path)?));
        row.or_else(called).map(|row| &row.description)
    }

    /// Whether nothing is said about any work.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another folder.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// A digest: it differs when the descriptions have changed.
    pub fn digest(&self) -> ContentHash {
        let rows = self.0.iter();
        let said: Vec<_> = rows.map(|(path, row)| (path, &row.description)).collect();
        ContentHash::of(format!("{said:?}").as_bytes())
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

    /// A table of somebody who may not speak of others' works.
    pub fn foreign(file: &str, user: u32) -> Self {
        Self {
            file: file.to_owned(),
            what: format!(
                "is not read: it belongs to the user {user}; it must belong to root, to mosaicd's user or to the owner \
                 of the artwork folder, or be named by folders.table"
            ),
        }
    }

    /// A table of which the lines from this one on were not read.
    pub fn too_large(file: &str, line: usize) -> Self {
        Self {
            file: file.to_owned(),
            what: format!(
                "line {line}: the table is larger than 32 MiB; this line and those after it are not read"
            ),
        }
    }
}

/// Mistakes of one table: the first ones by name, the rest by their number.
struct Mistakes {
    file: String,
    named: Vec<Mistake>,
    more: usize,
}

impl Mistakes {
    fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            named: Vec::new(),
            more: 0,
        }
    }

    fn add(&mut self, what: String) {
        if self.named.len() >= MAX_MISTAKES {
            self.more += 1;
            return;
        }
        let file = self.file.clone();
        self.named.push(Mistake { file, what });
    }

    /// Names one even if there are many others.
    fn first(&mut self, what: String) {
        let file = self.file.clone();
        self.named.insert(0, Mistake { file, what });
    }

    fn list(mut self) -> Vec<Mistake> {
        if self.more > 0 {
            let what = format!("and {} more lines like these", self.more);
            let file = self.file;
            self.named.push(Mistake { file, what });
        }
        self.named
    }
}

/// Reads a table. `file` names it in mistakes; `folder` is put in front of its paths if it is not empty.
pub fn parse(bytes: &[u8], file: &str, folder: &str) -> (Descriptions, Vec<Mistake>) {
    let mut found = Descriptions::default();
    let mut mistakes = Mistakes::of(file);
    let text::Text { text, guessed } = text::read(bytes);
    if let Some(line) = guessed.first() {
        mistakes.add(format!(
            "line {line}: not UTF-8, read as Windows-1252: save it as \"CSV UTF-8\""
        ));
    }
    let mut records = csv::records(&text);
    let (head, header) = records
        .next()
        .map_or((1, Vec::new()), |record| (record.line, record.fields));
    let column = |name: &str| {
        let mut names = header.iter();
        names.position(|field| field.trim().eq_ignore_ascii_case(name))
    };
    for (meant, written) in COLUMNS
        .into_iter()
        .zip(COLUMNS.map(|name| misspelt(name, &header)))
    {
        match written {
            Some(written) => mistakes.add(format!(
                "line {head}: the column {written:?} is not known; did you mean {meant:?}?"
            )),
            None if meant == "path" && column("path").is_none() && !text.trim().is_empty() => {
                mistakes.add(format!("line {head}: it names no column \"path\""));
            }
            None => {}
        }
    }
    let Some(path) = column("path") else {
        return (found, mistakes.list());
    };
    let (title, artist, link) = (column("title"), column("artist"), column("link"));
    let further: Vec<(usize, String)> = (header.iter().enumerate())
        .map(|(at, name)| (at, name.trim().to_lowercase()))
        .filter(|(_, name)| !name.is_empty() && !COLUMNS.contains(&name.as_str()))
        .take(MAX_COLUMNS)
        .collect();
    let mut rows = 0;
    for record in records {
        let field = |at: Option<usize>| {
            let text = record.fields.get(at?)?.trim();
            (!text.is_empty()).then(|| text.chars().take(MAX_CHARS).collect::<String>())
        };
        let line = record.line;
        rows += 1;
        if rows > MAX_ROWS {
            mistakes.first(format!(
                "line {line}: more than {MAX_ROWS} rows; this line and those after it are not read"
            ));
            break;
        }
        if record.long {
            mistakes.add(format!(
                "line {line}: longer than {} KiB, or more than {} fields",
                csv::MAX_RECORD_BYTES >> 10,
                csv::MAX_FIELDS
            ));
            continue;
        }
        if record.open {
            mistakes.add(format!("line {line}: a quoted field is not closed"));
            continue;
        }
        let surplus = record.fields.iter().skip(header.len());
        if surplus.into_iter().any(|field| !field.trim().is_empty()) {
            mistakes.add(format!(
                "line {line}: more fields than columns; put quotes around a text with a separator in it"
            ));
        }
        let Some(path) = field(Some(path)) else {
            if record.fields.iter().any(|field| !field.trim().is_empty()) {
                mistakes.add(format!("line {line}: no path"));
            }
            continue;
        };
        let link = field(link).filter(|link| {
            let good = harmless(link);
            if !good {
                mistakes.add(format!(
                    "line {line}: the link must begin with https:// or http://, or be relative"
                ));
            }
            good
        });
        let description = Description {
            title: field(title),
            artist: field(artist),
            link,
            fields: (further.iter())
                .filter_map(|(at, name)| Some((name.clone(), field(Some(*at))?)))
                .collect(),
        };
        let path = text::composed(path.trim_start_matches("./"));
        let path = match folder {
            "" => path.into_owned(),
            folder => format!("{}/{path}", text::composed(folder)),
        };
        if description == Description::default() {
            continue;
        }
        let file = file.to_owned();
        let row = Row {
            description,
            file,
            line,
        };
        if found.0.insert(path, row).is_some() {
            mistakes.add(format!(
                "line {line}: the path was there before; this line counts"
            ));
        }
    }
    (found, mistakes.list())
}

/// The name of a file in which the manifest escapes `%`; `None` if it does not.
fn called(path: &str) -> Option<String> {
    path.contains("%25").then(|| path.replace("%25", "%"))
}

/// What a header has instead of the column `name`, if it does not have it: its name misspelt, or another word for it.
fn misspelt<'a>(name: &str, header: &'a [String]) -> Option<&'a str> {
    let mut fields = header.iter().map(|field| field.trim());
    let plain: Vec<String> = fields.clone().map(str::to_lowercase).collect();
    if plain.iter().any(|field| field == name) {
        return None;
    }
    let near = |field: &str| {
        let field = field.to_lowercase();
        let other = COLUMNS.contains(&field.as_str());
        let synonym = SYNONYMS.contains(&(field.as_str(), name));
        !other && (synonym || strsim::damerau_levenshtein(&field, name) <= name.len() / 3)
    };
    fields.find(|field| near(field))
}

/// Whether a link may stand on the page: `http`, `https`, or no scheme at all.
fn harmless(link: &str) -> bool {
    let scheme = link.split(['/', '?', '#']).next().unwrap_or("");
    let clean = !link.chars().any(|c| c.is_control() || c == '\\');
    // Begins with the name of another server.
    let elsewhere = link.starts_with("//");
    clean
        && !elsewhere
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
        let a = good("path,Year,tags\na.png,1900,sea;night\n");
        let a = a.of("a.png").expect("described");
        let filters = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            a.filters(&names).into_keys().collect::<Vec<_>>()
        };
        assert!(
            filters(&[]).is_empty(),
            "published only where it is asked for"
        );
        assert_eq!(filters(&["Year"]), ["year"]);
        assert_eq!(filters(&["*"]), ["tags", "year"]);
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
        for (bad, mistakes) in [
            (&b"nmae,title\na,b\n"[..], 1),
            (b"name,title\na,b\n", 1),
            (b"pahts,title\na,b\n", 1),
            (b"path\xff,title\na,b\n", 2),
            (b"path,titel,kunst\na,b,c\n", 1),
            (b"path,title\na,Sea, at night\n", 1),
        ] {
            let found = parse(bad, "artworks.csv", "").1;
            assert_eq!(found.len(), mistakes, "{found:?}");
            assert!(
                found.iter().all(|m| m.what.starts_with("line ")),
                "{found:?}"
            );
        }
        let many = format!("path,title\n{}", ",x\n".repeat(100));
        let (_, wrong) = parse(many.as_bytes(), "artworks.csv", "");
        assert_eq!(wrong.len(), MAX_MISTAKES + 1);
        assert!(wrong[MAX_MISTAKES].what.contains("80 more"), "{wrong:?}");
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let utf16: Vec<u8> = "\u{feff}path\ttitle\nMüller.png\tM\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            &b"path,title\rM\xc3\xbcller.png,M\r"[..],
            b"\xef\xbb\xbfpath;title;\"Ma\xc3\x9fe, cm\"\r\nM\xc3\xbcller.png;M;\"10,5\"\r\n",
            b"sep=;\r\npath;title\r\nM\xc3\xbcller.png;M\r\n",
            b"path\ttitle\nMu\xcc\x88ller.png\tM\n",
            &utf16,
        ] {
            let (found, wrong) = parse(bytes, "artworks.csv", "");
            assert!(wrong.is_empty(), "{wrong:?}");
            for path in ["Müller.png", "Mu\u{308}ller.png"] {
                let title = found.of(path).and_then(|d| d.title.as_deref());
                assert_eq!(title, Some("M"), "{bytes:?}");
            }
        }
        let (found, wrong) = parse(b"path,title\nM\xfcller.png,M\n", "artworks.csv", "");
        assert!(found.of("Müller.png").is_some(), "guessed");
        assert!(wrong[0].what.starts_with("line 2: not UTF-8"), "{wrong:?}");
    }

    #[test]
    fn what_would_cost_too_much_is_refused_by_its_line() {
        let long = format!(
            "path,title\na.png,A\nb.png,{}\nc.png,C\n",
            "x".repeat(70_000)
        );
        let wide = format!(
            "path,title\na.png,A\nb.png{}\nc.png,C\n",
            ",".repeat(70_000)
        );
        for text in [long, wide] {
            let (found, wrong) = parse(text.as_bytes(), "artworks.csv", "");
            assert!(found.of("a.png").is_some() && found.of("c.png").is_some());
            assert!(found.of("b.png").is_none());
            assert!(wrong[0].what.starts_with("line 3: longer"), "{wrong:?}");
        }
        let mut many = "path,title\n".to_owned();
        (0..200_001).for_each(|i| many += &format!("{i},T\n"));
        let (found, wrong) = parse(many.as_bytes(), "artworks.csv", "");
        assert!(found.of("199999").is_some() && found.of("200000").is_none());
        assert!(
            wrong[0].what.starts_with("line 200002: more than"),
            "{wrong:?}"
        );
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
            "//evil.example/x",
        ] {
            assert!(!harmless(bad), "{bad:?}");
        }
    }
}
