//! The page's files as they are published: the title, the language and what sharing needs are written into `index.html`,
//! because a search engine or a messenger that makes a preview of a link runs no script.
//!
//! Open Graph (<https://ogp.me>) and Twitter cards want absolute addresses, so pictures are named only where the
//! configuration says where the page is.

use super::{LANGUAGES, SCRIPTS};
use crate::markup::escaped;
use serde_json::Value;

/// The settings that are written into the page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// The mosaic's title; empty: the page's own title.
    pub title: &'a str,
    /// Where visitors find the page; empty: unknown.
    pub url: &'a str,
    /// The one language of the page, a tag of [`LANGUAGES`]; `None`: the visitor's.
    pub language: Option<&'a str>,
}

/// The page's files: name below the output folder, content.
pub fn files(page: &Page<'_>) -> Vec<(String, Vec<u8>)> {
    let own = [
        ("index.html", index(page).into_bytes()),
        ("viewer.css", include_bytes!("viewer.css").to_vec()),
        ("viewer.js", viewer_js(page.language).into_bytes()),
        ("embed.js", include_bytes!("embed.js").to_vec()),
        ("open.js", include_bytes!("open.js").to_vec()),
        ("icon.png", include_bytes!("icon.png").to_vec()),
        (
            "apple-touch-icon.png",
            include_bytes!("apple-touch-icon.png").to_vec(),
        ),
    ];
    let own = own.map(|(name, bytes)| (name.to_owned(), bytes));
    let texts = LANGUAGES.iter().filter(|(tag, _)| *tag != ENGLISH);
    let texts = texts.map(|(tag, texts)| {
        let script = format!("mosaicd.texts[\"{tag}\"] = {};\n", texts.trim_end());
        (format!("texts-{tag}.js"), script.into_bytes())
    });
    own.into_iter().chain(texts).collect()
}

/// The language that the scripts come with.
const ENGLISH: &str = "en";
const TEMPLATE: &str = include_str!("index.html");
// Places of the template that the configuration fills; a test finds each of them once.
const HTML: &str = "<html lang=\"en\">";
const TITLE: &str = "<title>Mosaic</title>";
const HEADING: &str = "<h1 id=\"title\" dir=\"auto\">Mosaic</h1>";
const DESCRIPTION: &str =
    "content=\"A mosaic of artworks in which similar works lie side by side.\"";
const SHARING: &str = "<!-- sharing -->";

fn index(page: &Page<'_>) -> String {
    let language = page.language.unwrap_or("en");
    let text = |key: &str, otherwise: &str| escaped(&text_of(language, key, otherwise));
    let title = match page.title.trim() {
        "" => text("title", "Mosaic"),
        title => escaped(title),
    };
    let description = text(
        "description",
        "A mosaic of artworks in which similar works lie side by side.",
    );
    let html = match page.language {
        Some(tag) => {
            let tag = escaped(tag);
            format!("<html lang=\"{tag}\" data-language=\"{tag}\">")
        }
        None => HTML.to_owned(),
    };
    TEMPLATE
        .replacen(HTML, &html, 1)
        .replacen(TITLE, &format!("<title>{title}</title>"), 1)
        .replacen(
            HEADING,
            &format!("<h1 id=\"title\" dir=\"auto\">{title}</h1>"),
            1,
        )
        .replacen(DESCRIPTION, &format!("content=\"{description}\""), 1)
        .replacen(SHARING, &sharing(page.url, &title, &description), 1)
}

/// What a shared link shows; `title` and `description` are escaped already.
fn sharing(url: &str, title: &str, description: &str) -> String {
    let mut tags = vec![
        property("og:type", "website"),
        property("og:title", title),
        property("og:description", description),
    ];
    if !url.is_empty() {
        let folder = match url.rsplit_once('/') {
            Some((folder, file)) if file.ends_with(".html") => format!("{folder}/"),
            _ if url.ends_with('/') => url.to_owned(),
            _ => format!("{url}/"),
        };
        let (url, folder) = (escaped(url), escaped(&folder));
        tags.extend([
            property("og:url", &url),
            property("og:image", &format!("{folder}preview.jpg")),
            property("og:image:type", "image/jpeg"),
            property("og:image:alt", title),
            "<meta name=\"twitter:card\" content=\"summary_large_image\">".to_owned(),
            format!("<link rel=\"canonical\" href=\"{url}\">"),
        ]);
    }
    tags.join("\n")
}

pub(super) fn property(name: &str, content: &str) -> String {
    format!("<meta property=\"{name}\" content=\"{content}\">")
}

/// A text of a language, or of English where the language lacks it.
fn text_of(language: &str, key: &str, otherwise: &str) -> String {
    let in_language = |tag: &str| {
        let (_, texts) = LANGUAGES.iter().find(|(known, _)| *known == tag)?;
        let texts: Value = serde_json::from_str(texts).ok()?;
        Some(texts.get(key)?.as_str()?.to_owned())
    };
    in_language(language)
        .or_else(|| in_language("en"))
        .unwrap_or_else(|| otherwise.to_owned())
}

/// `viewer.js`: the texts in English and in the page's one language, then the scripts.
fn viewer_js(language: Option<&str>) -> String {
    let tags: Vec<&str> = LANGUAGES.iter().map(|(tag, _)| *tag).collect();
    let mut out = format!("window.mosaicd = {{ languages: {tags:?}, texts: {{\n");
    for (tag, texts) in LANGUAGES {
        if *tag == ENGLISH || language == Some(*tag) {
            out.push_str(&format!("\"{tag}\": {},\n", texts.trim_end()));
        }
    }
    out.push_str("} };\n");
    for line in SCRIPTS.iter().flat_map(|script| script.lines()) {
        let line = without_remark(line.trim());
        if !is_comment(line) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Whether a trimmed line of a script is empty or only comment, as the sources write them: `//`, or a block whose lines
/// begin with `/**`, `* ` and `*/`.
fn is_comment(line: &str) -> bool {
    line.is_empty()
        || line == "*"
        || ["//", "/**", "* ", "*/"]
            .iter()
            .any(|start| line.starts_with(start))
}

/// A line of a script without the comment at its end; a line that may hold `//` within a text is left as it is.
fn without_remark(line: &str) -> &str {
    let closed = |code: &&str| {
        ['\'', '"', '`']
            .iter()
            .all(|&quote| code.matches(quote).count() % 2 == 0)
    };
    line.split_once(" // ")
        .map(|(code, _)| code.trim_end())
        .filter(closed)
        .unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_place_that_is_filled_is_in_the_template_once() {
        for place in [HTML, TITLE, HEADING, DESCRIPTION, SHARING] {
            assert_eq!(TEMPLATE.matches(place).count(), 1, "{place}");
        }
    }

    #[test]
    fn a_shared_page_has_title_picture_and_language_and_no_markup_from_outside() {
        let page = index(&Page {
            title: "Ö <b>\"&\u{7}",
            url: "https://example.org/art?a=\"b\"",
            language: Some("de"),
        });
        for wanted in [
            "<html lang=\"de\" data-language=\"de\">",
            "<title>Ö &lt;b&gt;&quot;&amp; </title>",
            "dir=\"auto\">Ö &lt;b&gt;&quot;&amp; </h1>",
            "<meta property=\"og:title\" content=\"Ö &lt;b&gt;&quot;&amp; \">",
            "<meta name=\"description\" content=\"Ein Mosaik",
            "content=\"https://example.org/art?a=&quot;b&quot;/preview.jpg\"",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
        for (url, picture) in [
            ("https://a.org/m", "https://a.org/m/preview.jpg"),
            ("https://a.org/m/", "https://a.org/m/preview.jpg"),
            ("https://a.org/m/index.html", "https://a.org/m/preview.jpg"),
        ] {
            let page = index(&Page {
                url,
                ..Page::default()
            });
            assert!(
                page.contains(&format!("og:image\" content=\"{picture}\"")),
                "{url}"
            );
            assert!(
                page.contains(&format!("rel=\"canonical\" href=\"{url}\"")),
                "{url}"
            );
        }
        let unknown = index(&Page::default());
        assert!(!unknown.contains("og:image") && !unknown.contains("canonical"));
        assert!(unknown.contains("<title>Mosaic</title>"), "{unknown}");
    }

    #[test]
    fn the_scripts_come_with_english_and_the_language_of_the_page() {
        let holds = |script: &str, tag: &str| script.contains(&format!("\"{tag}\": {{"));
        let any = viewer_js(None);
        let german = viewer_js(Some("de"));
        assert!(holds(&any, "en") && !holds(&any, "de"));
        assert!(holds(&german, "en") && holds(&german, "de") && !holds(&german, "fr"));
        let files = files(&Page::default());
        for (tag, _) in LANGUAGES.iter().filter(|(tag, _)| *tag != "en") {
            let name = format!("texts-{tag}.js");
            let (_, script) = files.iter().find(|(file, _)| *file == name).expect(tag);
            let start = format!("mosaicd.texts[\"{tag}\"] = {{");
            assert!(script.starts_with(start.as_bytes()));
        }
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_places() {
        let texts = |json: &str| -> serde_json::Map<String, Value> {
            serde_json::from_str(json).expect("a file of texts is an object")
        };
        // Of a text with plural forms, the one that every language has.
        let places = |text: &Value| -> BTreeSet<String> {
            let text = text.get("other").unwrap_or(text).as_str().expect("a text");
            let parts = text.split('{').skip(1);
            parts
                .filter_map(|part| Some(part.split_once('}')?.0.to_owned()))
                .collect()
        };
        let english = texts(LANGUAGES[0].1);
        for (tag, json) in LANGUAGES {
            let other = texts(json);
            assert!(english.keys().eq(other.keys()), "{tag} has other keys");
            for (key, text) in &english {
                assert_eq!(places(text), places(&other[key]), "{tag}: {key}");
            }
        }
    }

    #[test]
    fn leaving_out_comments_changes_no_script() {
        for script in SCRIPTS {
            for line in script.lines() {
                // A text over several lines would lose its indentation.
                assert_eq!(line.matches('`').count() % 2, 0, "{line}");
            }
            let opened = script.lines().filter(|line| line.trim().starts_with("/**"));
            let closed = script.lines().filter(|line| line.trim().ends_with("*/"));
            assert_eq!(opened.count(), closed.count());
        }
        assert_eq!(without_remark("a = 'b // c'; // d"), "a = 'b // c'; // d");
        assert_eq!(without_remark("a = 'b'; // c's"), "a = 'b';");
        assert_eq!(without_remark("at('https://x')"), "at('https://x')");
        let whole: usize = SCRIPTS.iter().map(|script| script.len()).sum();
        assert!(viewer_js(None).len() < whole);
    }
}
