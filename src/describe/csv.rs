//! Comma-separated values as in RFC 4180: records with line numbers, and quoting. Pure; no text is an error here.

use std::{
    cell::Cell,
    io::{self, BufRead},
    rc::Rc,
};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line it begins at, from 1.
    pub line: usize,
    /// Its fields, unquoted.
    pub fields: Vec<String>,
    /// Whether the text ended within a quoted field.
    pub open: bool,
    /// Whether it is longer than any that is taken; what is too much is left out.
    pub long: bool,
}

/// Longest record taken.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Most fields of a record.
pub const MAX_FIELDS: usize = 1_000;

/// What may stand between fields.
const SEPARATORS: [char; 4] = [',', ';', '\t', '|'];

/// The records of a text; empty lines are left out. What stands between fields is told by the first line: by Excel's
/// `sep=;`, or by what splits it into most fields outside quotes, the column `path` among them. Lines end with `\n`,
/// `\r\n` or `\r`.
pub fn records(text: &str) -> impl Iterator<Item = Record> {
    let (separator, skip) = separator(text);
    split(text.chars(), separator).skip(skip)
}

/// [`records`] of a text that is read on the way, so that no more than a line and a record are held.
///
/// # Errors
/// The reader's, or what it gives is not UTF-8. The records end with it.
pub fn read(mut reader: impl BufRead) -> io::Result<impl Iterator<Item = io::Result<Record>>> {
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line.trim_end_matches(['\n', '\r']).is_empty() {}
    let (separator, skip) = separator(&line);
    let failed = Rc::new(Cell::new(None));
    let letters = Letters {
        reader,
        line,
        at: 0,
        failed: failed.clone(),
    };
    let mut records = split(letters, separator).skip(skip);
    Ok(std::iter::from_fn(move || {
        let record = records.next();
        failed.take().map(Err).or(record.map(Ok))
    }))
}

/// The characters that a reader gives.
struct Letters<R> {
    reader: R,
    line: String,
    /// Where the next one begins in the line.
    at: usize,
    /// Why there are no more.
    failed: Rc<Cell<Option<io::Error>>>,
}

impl<R: BufRead> Iterator for Letters<R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.at == self.line.len() {
            self.line.clear();
            self.at = 0;
            if let Err(error) = self.reader.read_line(&mut self.line) {
                self.failed.set(Some(error));
                self.line.clear();
            }
        }
        let next = self.line[self.at..].chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }
}

/// What stands between the fields of a text, and how many of its first records say only that.
fn separator(text: &str) -> (char, usize) {
    let first = split(text.chars(), '\n').next();
    let first = first.and_then(|record| record.fields.into_iter().next());
    let named = first.as_deref().and_then(|line| line.strip_prefix("sep="));
    if let Some(separator) = named.and_then(|rest| rest.chars().next()) {
        return (separator, 1);
    }
    let header = |separator: &char| {
        let fields = split(text.chars(), *separator)
            .next()
            .map_or(vec![], |record| record.fields);
        let path = |field: &String| field.trim().eq_ignore_ascii_case("path");
        (fields.iter().any(path), fields.len())
    };
    // Of equals the first is taken.
    let best = SEPARATORS
        .iter()
        .rev()
        .max_by_key(|separator| header(separator));
    (best.copied().unwrap_or(','), 0)
}

fn split(text: impl Iterator<Item = char>, separator: char) -> impl Iterator<Item = Record> {
    let mut rest = text.peekable();
    let mut line = 1;
    std::iter::from_fn(move || {
        while let Some(end) = rest.next_if(|&c| c == '\n' || c == '\r') {
            line += usize::from(end == '\n' || rest.peek() != Some(&'\n'));
        }
        rest.peek()?;
        let mut record = Record {
            line,
            fields: vec![String::new()],
            open: false,
            long: false,
        };
        let mut bytes = 0;
        while let Some(c) = rest.next() {
            bytes += c.len_utf8();
            record.long |= bytes > MAX_RECORD_BYTES || record.fields.len() > MAX_FIELDS;
            let long = record.long;
            let field = record.fields.last_mut()?;
            match c {
                '"' if record.open && rest.next_if_eq(&'"').is_some() => field.push('"'),
                '"' if record.open => record.open = false,
                '"' if field.is_empty() => record.open = true,
                '\n' | '\r' if !record.open => {
                    if c == '\r' {
                        rest.next_if_eq(&'\n');
                    }
                    line += 1;
                    break;
                }
                c if c == separator && !record.open && long => {}
                c if c == separator && !record.open => record.fields.push(String::new()),
                c => {
                    line += usize::from(c == '\n' || c == '\r' && rest.peek() != Some(&'\n'));
                    if !long {
                        field.push(c);
                    }
                }
            }
        }
        Some(record)
    })
}

/// A field, quoted where it must be.
pub fn quoted(text: &str) -> String {
    if text.contains([',', ';', '\t', '|', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_lines_and_separators() {
        let text = "a,b\r\n\r\n\"x \"\"y\"\"\nz\",w\n,\n\"open,";
        let found: Vec<_> = records(text).collect();
        let fields: Vec<Vec<&str>> = found
            .iter()
            .map(|r| r.fields.iter().map(String::as_str).collect())
            .collect();
        assert_eq!(
            fields,
            [
                vec!["a", "b"],
                vec!["x \"y\"\nz", "w"],
                vec!["", ""],
                vec!["open,"]
            ]
        );
        let lines: Vec<_> = found.iter().map(|r| r.line).collect();
        assert_eq!(lines, [1, 3, 5, 6]);
        assert!(found[3].open && !found[2].open);
    }

    #[test]
    fn what_stands_between_fields_is_told_by_the_first_line() {
        for (text, fields, line) in [
            (
                "path;title;\"Maße, cm\"\r\na;b;\"1,5\"\r\n",
                vec!["a", "b", "1,5"],
                2,
            ),
            ("sep=;\r\npath;title\r\na;b,c\r\n", vec!["a", "b,c"], 3),
            ("path\ttitle\na\tb, c\n", vec!["a", "b, c"], 2),
            ("path|title\na|b\n", vec!["a", "b"], 2),
            ("path,title\ra,b\r", vec!["a", "b"], 2),
            ("path\r\ra\r", vec!["a"], 3),
            ("path;x,y,z\na;b\n", vec!["a", "b"], 2),
        ] {
            let row = records(text).nth(1).expect("a row");
            let read: io::Result<Vec<_>> = read(text.as_bytes()).and_then(Iterator::collect);
            assert_eq!(read.expect("read"), records(text).collect::<Vec<_>>());
            assert_eq!(
                (row.fields, row.line),
                (fields.iter().map(|f| (*f).to_owned()).collect(), line),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_text_ends_the_records() {
        let mut found = read(&b"\n\npath\na\n\xff\nb\n"[..]).expect("a header");
        assert_eq!(found.next().expect("the header").expect("read").line, 3);
        assert!(found.next().expect("a row").is_ok());
        let error = found.next().expect("an error").expect_err("no text");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(rows in prop::collection::vec(prop::collection::vec("[a-c,;\"\n\r é]{1,8}", 2..4), 1..5)) {
            let text: String = std::iter::once("h1,h2\n".to_owned())
                .chain(rows.iter().map(|row| row.iter().map(|f| quoted(f)).collect::<Vec<_>>().join(",") + "\n"))
                .collect();
            let back: Vec<_> = records(&text).skip(1).map(|r| r.fields).collect();
            prop_assert_eq!(back, rows);
            let read: io::Result<Vec<_>> = read(text.as_bytes()).and_then(Iterator::collect);
            prop_assert_eq!(read.expect("read"), records(&text).collect::<Vec<_>>());
        }
    }
}
