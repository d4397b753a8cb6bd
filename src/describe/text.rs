//! The owner's small texts, whatever program saved them: bytes → lines, and names in one form of Unicode. Pure.
//!
//! UTF-8 with or without a byte order mark and UTF-16 are read. A line in neither is read as Windows-1252, which is a
//! guess: whoever asks learns which lines were guessed.

use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc_quick};

/// A text, as lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The lines, each ended by `\n`, `\r\n` or `\r`.
    pub text: String,
    /// Numbers, from 1, of the lines whose encoding was guessed.
    pub guessed: Vec<usize>,
}

/// Reads a text.
pub fn read(bytes: &[u8]) -> Text {
    if let Some(text) = utf16(bytes) {
        let guessed = match text.contains(['\u{fffd}', '\0']) {
            true => vec![1],
            false => vec![],
        };
        return Text { text, guessed };
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut guessed = Vec::new();
    let mut text = String::with_capacity(bytes.len());
    for (i, line) in lines(bytes).enumerate() {
        match std::str::from_utf8(line) {
            Ok(line) if !line.contains('\0') => text.push_str(line),
            _ => {
                guessed.push(i + 1);
                text.extend(line.iter().map(|&byte| windows_1252(byte)));
            }
        }
    }
    Text { text, guessed }
}

/// The lines of a text with their ends; `\r` alone ends one, too.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(at) if rest[at] == b'\r' && rest.get(at + 1) == Some(&b'\n') => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

/// A text in UTF-16: with a byte order mark, or told by where its zero bytes are.
fn utf16(bytes: &[u8]) -> Option<String> {
    let little = match bytes {
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        _ => {
            let zeros = |parity: usize| {
                let at = bytes.iter().skip(parity).step_by(2);
                at.filter(|&&byte| byte == 0).count()
            };
            let (even, odd) = (zeros(0), zeros(1));
            if !bytes.len().is_multiple_of(2) || 4 * even.max(odd) < bytes.len() || even == odd {
                return None;
            }
            odd > even
        }
    };
    let units = bytes.chunks(2).map(|pair| match (pair, little) {
        (&[a, b], true) => u16::from_le_bytes([a, b]),
        (&[a, b], false) => u16::from_be_bytes([a, b]),
        _ => 0xfffd,
    });
    let text: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or('\u{fffd}'))
        .collect();
    Some(text.trim_start_matches('\u{feff}').to_owned())
}

/// A byte of Windows-1252, as the WHATWG's Encoding Standard reads it.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}',
        '\u{2021}', '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}',
        '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}',
        '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}',
        '\u{178}',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

/// A name in Unicode's composed form (NFC): macOS writes `ü` as `u` and a combining mark, everybody else as one character.
pub fn composed(name: &str) -> Cow<'_, str> {
    match name.is_ascii() || is_nfc_quick(name.chars()) == unicode_normalization::IsNormalized::Yes
    {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.nfc().collect()),
    }
}

/// A name of any bytes in the composed form: what is not UTF-8 is read as Windows-1252.
pub fn composed_bytes(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(name) => composed(name),
        Err(_) => Cow::Owned(name.iter().map(|&byte| windows_1252(byte)).nfc().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(bytes: &[u8], text: &str, guessed: &[usize]) {
        let expected = Text {
            text: text.to_owned(),
            guessed: guessed.to_vec(),
        };
        assert_eq!(read(bytes), expected);
    }

    #[test]
    fn usual_encodings_are_read_and_guesses_are_told() {
        is(b"a/\n", "a/\n", &[]);
        is(b"\xef\xbb\xbfa/\r\n", "a/\r\n", &[]);
        is(b"\xff\xfea\0\xfc\0\n\0", "aü\n", &[]);
        is(b"\xfe\xff\0a\0\n", "a\n", &[]);
        is(b"a\0b\0\n\0", "ab\n", &[]);
        is(b"\0a\0b\0\n", "ab\n", &[]);
        is("ü\n".as_bytes(), "ü\n", &[]);
        is(b"ok\r\n\xfcber\n\x80\n", "ok\r\nüber\n€\n", &[2, 3]);
        is(b"a\r\xfc\r", "a\rü\r", &[2]);
        is(b"", "", &[]);
        assert_eq!(read(b"\xff\xfea\0x").guessed, [1]);
        assert_eq!(read(b"a\0\xe0b\nc").guessed, [1]);
    }

    #[test]
    fn names_of_both_forms_are_one() {
        assert_eq!(composed("Mu\u{308}ller"), "Müller");
        assert_eq!(composed("Müller"), "Müller");
        assert_eq!(composed_bytes(b"M\xfcller"), "Müller");
        assert!(matches!(composed("plain"), Cow::Borrowed(_)));
    }
}
