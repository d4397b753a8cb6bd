//! Comma-separated values as in RFC 4180: records with line numbers, and quoting. Pure; nothing is an error here.

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line it begins at, from 1.
    pub line: usize,
    /// Its fields, unquoted.
    pub fields: Vec<String>,
    /// Whether the text ended within a quoted field.
    pub open: bool,
}

/// The records of a text; empty lines are left out. Fields are apart by `;` if the first line has one and no comma.
pub fn records(text: &str) -> impl Iterator<Item = Record> {
    let first = text.lines().next().unwrap_or("");
    let comma = match first.contains(';') && !first.contains(',') {
        true => ';',
        false => ',',
    };
    let mut rest = text.chars().peekable();
    let mut line = 1;
    std::iter::from_fn(move || {
        while rest
            .next_if(|&c| c == '\n' || c == '\r')
            .map(|c| line += usize::from(c == '\n'))
            .is_some()
        {}
        rest.peek()?;
        let mut record = Record {
            line,
            fields: vec![String::new()],
            open: false,
        };
        while let Some(c) = rest.next() {
            let field = record.fields.last_mut()?;
            match c {
                '"' if record.open && rest.next_if_eq(&'"').is_some() => field.push('"'),
                '"' if record.open => record.open = false,
                '"' if field.is_empty() => record.open = true,
                '\n' if !record.open => {
                    line += 1;
                    break;
                }
                '\r' if !record.open && rest.peek() == Some(&'\n') => {}
                c if c == comma && !record.open => record.fields.push(String::new()),
                c => {
                    line += usize::from(c == '\n');
                    field.push(c);
                }
            }
        }
        Some(record)
    })
}

/// A field, quoted where it must be.
pub fn quoted(text: &str) -> String {
    if text.contains([',', ';', '"', '\n', '\r']) {
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

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(rows in prop::collection::vec(prop::collection::vec("[a-c,;\"\n\r é]{1,8}", 2..4), 1..5)) {
            let text: String = std::iter::once("h1,h2\n".to_owned())
                .chain(rows.iter().map(|row| row.iter().map(|f| quoted(f)).collect::<Vec<_>>().join(",") + "\n"))
                .collect();
            let back: Vec<_> = records(&text).skip(1).map(|r| r.fields).collect();
            prop_assert_eq!(back, rows);
        }
    }
}
