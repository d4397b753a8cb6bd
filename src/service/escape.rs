//! Making text from outside (file names, decoder messages) harmless in log lines and on terminals.
//!
//! A name may hold newlines that forge log lines, terminal escape sequences, or bidirectional overrides that show
//! `gpj.exe` as `exe.jpg`. They are shown as Rust escapes (`\n`, `\u{1b}`); everything else stays as it is, a
//! backslash too, so escaping twice changes nothing.

use std::fmt::{self, Write};

/// Shows `text` with its control and bidirectional-formatting characters escaped.
pub fn escaped<T: fmt::Display>(text: T) -> Escaped<T> {
    Escaped(text)
}

/// Displays its content escaped; made by [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<T>(T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(EscapingWriter(f), "{}", self.0)
    }
}

/// Passes text on with its harmful characters escaped.
pub(crate) struct EscapingWriter<W>(pub(crate) W);

impl<W: Write> Write for EscapingWriter<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_harmful(*c)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", c.escape_default())?;
            plain = at + c.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Control characters, line and paragraph separators, and the bidirectional formatting characters of Unicode
/// Standard Annex 9.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_shown_and_others_kept() {
        let name = "caf\u{e9} \\ 猫\n\r\t\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2028}.png";
        assert_eq!(
            escaped(name).to_string(),
            r"café \ 猫\n\r\t\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2028}.png"
        );
    }

    #[test]
    fn escaping_twice_changes_nothing() {
        let once = escaped("a\u{0}b\\n\n").to_string();
        assert_eq!(escaped(&once).to_string(), once);
    }
}
