//! The small page of one work: its picture, title and artist for whoever runs no script, and the way to the mosaic.
//!
//! The script that leads to the mosaic stands before the picture, which loads lazily: a visitor who runs it does not load a
//! picture that nobody sees (`preview.jpg`, 488 KB for 578 works, where a work's own is small). Without scripts browsers
//! load it at once.

use super::page::property;
use crate::markup::escaped;

/// One work, as its page shows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkPage<'a> {
    /// Its number.
    pub id: u64,
    /// Its title, or its file's name.
    pub name: &'a str,
    /// Who made it; empty: unknown.
    pub artist: &'a str,
    /// The mosaic's title.
    pub title: &'a str,
    /// The page's own address.
    pub url: &'a str,
    /// Address of a picture.
    pub picture: &'a str,
}

/// The page `w/SHARD/ID.html`.
pub fn work_page(page: &WorkPage<'_>) -> String {
    let title = match page.title.trim() {
        "" => "Mosaic".to_owned(),
        title => escaped(title),
    };
    let (name, artist) = (escaped(page.name), escaped(page.artist));
    let (url, picture) = (escaped(page.url), escaped(page.picture));
    let description = match page.artist {
        "" => title.clone(),
        _ => format!("{artist} · {title}"),
    };
    let tags = [
        property("og:type", "article"),
        property("og:site_name", &title),
        property("og:title", &name),
        property("og:description", &description),
        property("og:url", &url),
        property("og:image", &picture),
        property("og:image:alt", &name),
    ]
    .join("\n");
    let id = page.id;
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' https: http:; \
         script-src 'self'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name} · {title}</title>\n<meta name=\"description\" content=\"{name} · {description}\">\n{tags}\n\
         <meta name=\"twitter:card\" content=\"summary_large_image\">\n<link rel=\"canonical\" href=\"{url}\">\n\
         <link rel=\"icon\" type=\"image/png\" href=\"../../icon.png\">\n</head>\n<body>\n<main>\n\
         <h1 dir=\"auto\">{name}</h1>\n<p dir=\"auto\">{artist}</p>\n\
         <p><a href=\"../../#work={id}\">{title}</a></p>\n<script src=\"../../open.js\"></script>\n\
         <img loading=\"lazy\" src=\"{picture}\" alt=\"{name}\">\n</main>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_works_page_names_it_and_holds_no_markup_from_outside() {
        let page = work_page(&WorkPage {
            id: 17,
            name: "<b>\"Sea\"",
            artist: "N. & N.",
            title: "M",
            url: "https://a.org/w/0/17.html",
            picture: "https://a.org/p?a=\"b\"",
        });
        for wanted in [
            "<title>&lt;b&gt;&quot;Sea&quot; · M</title>",
            "<meta property=\"og:image\" content=\"https://a.org/p?a=&quot;b&quot;\">",
            "<meta property=\"og:description\" content=\"N. &amp; N. · M\">",
            "<a href=\"../../#work=17\">M</a>",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
        assert!(!page.contains("<b>"));
    }

    #[test]
    fn the_way_to_the_mosaic_does_not_wait_for_the_picture() {
        let page = work_page(&WorkPage::default());
        let at = |part: &str| page.find(part).expect(part);
        assert!(at("<a href=") < at("<script"));
        assert!(at("<script") < at("<img loading=\"lazy\""));
    }
}
