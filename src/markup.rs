//! Text within markup: the page (HTML) and the feed (XML). Pure.

/// Text for an element or attribute of HTML or XML. Control characters become spaces; what neither format can hold is
/// left out.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_its_element_or_attribute() {
        assert_eq!(
            escaped("\"a\" & <b>\n\u{1b}\u{85}\u{ffff}猫"),
            "&quot;a&quot; &amp; &lt;b&gt;   猫"
        );
    }
}
