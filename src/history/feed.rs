//! Arrivals as a feed: Atom (RFC 4287) and JSON Feed 1.1, made from a manifest alone.
//!
//! Each entry is a work with its neighbours. Equal manifests give equal bytes.

use crate::{
    domain::{
        ArtworkId,
        manifest::{Manifest, Work},
    },
    markup::escaped,
};
use serde_json::{Value, json};
use std::{cmp::Reverse, fmt::Write, sync::Arc};

/// Arrivals in a feed.
const ENTRIES: usize = 50;
/// Neighbours that an entry names.
const NEIGHBOURS: usize = 2;

/// One arrival.
struct Entry<'a> {
    work: &'a Work,
    id: String,
    title: String,
    /// Names of the nearest works.
    neighbours: Vec<String>,
}

impl Entry<'_> {
    fn summary(&self) -> String {
        let by = self
            .work
            .artist
            .as_deref()
            .map_or(String::new(), |artist| format!(" by {artist}"));
        let next_to = match self.neighbours.as_slice() {
            [] => String::new(),
            names => format!(" next to {}", names.join(" and ")),
        };
        format!("{}{by} arrived{next_to}.", self.title)
    }
}

/// When a work arrived, milliseconds since the Unix epoch, and its id.
pub type Arrived = (u64, ArtworkId);

/// The newest works of a manifest, as many as a feed has, the newest first. If only works that are `touched` are new, changed
/// or gone since some manifest, the newest ones of that one spare the search among all.
pub fn newest(manifest: &Manifest, since: Option<(&[Arrived], &[ArtworkId])>) -> Vec<Arrived> {
    let works = &manifest.works;
    let by_id = |id: &ArtworkId| works.binary_search_by_key(id, |work| work.id).ok();
    let arrived = |work: &Arc<Work>| (work.added_ms, work.id);
    let find = |id: &ArtworkId| by_id(id).map(|at| arrived(&works[at]));
    let stands = |before: &Arrived| find(&before.1) == Some(*before);
    let mut newest: Vec<Arrived> = match since {
        Some((before, touched)) if before.iter().all(stands) => {
            let touched = touched.iter().filter_map(find);
            let touched = touched.filter(|arrived| !before.contains(arrived));
            before.iter().copied().chain(touched).collect()
        }
        _ => works.iter().map(arrived).collect(),
    };
    if newest.len() > 2 * ENTRIES {
        newest.select_nth_unstable_by_key(ENTRIES, |&arrived| Reverse(arrived));
        newest.truncate(ENTRIES);
    }
    newest.sort_unstable_by_key(|&arrived| Reverse(arrived));
    newest.truncate(ENTRIES);
    newest
}

/// The feed as Atom and as JSON Feed, of the [`newest`] works. `url` is the page's address, empty if it is not known.
pub fn both(manifest: &Manifest, newest: &[Arrived], url: &str) -> (String, String) {
    let entries = entries(manifest, newest);
    (atom(manifest, &entries, url), json(manifest, &entries, url))
}

fn atom(manifest: &Manifest, entries: &[Entry<'_>], url: &str) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n",
    );
    let updated = entries
        .first()
        .map_or(manifest.published_ms, |entry| entry.work.added_ms);
    let _ = writeln!(out, "<id>{}</id>", escaped(&feed_id(manifest, url)));
    let _ = writeln!(out, "<title>{}</title>", escaped(&manifest.title));
    let _ = writeln!(out, "<updated>{}</updated>", rfc3339(updated));
    let _ = writeln!(
        out,
        "<author><name>{}</name></author>",
        escaped(&manifest.title)
    );
    out.push_str("<generator>mosaicd</generator>\n");
    if !url.is_empty() {
        let _ = writeln!(out, "<link rel=\"alternate\" href=\"{}\"/>", escaped(url));
        let _ = writeln!(
            out,
            "<link rel=\"self\" href=\"{}\"/>",
            escaped(&join(url, "feed.atom"))
        );
    }
    for entry in entries {
        out.push_str("<entry>\n");
        let _ = writeln!(out, "<id>{}</id>", entry.id);
        let _ = writeln!(out, "<title>{}</title>", escaped(&entry.title));
        let added = rfc3339(entry.work.added_ms);
        let _ = writeln!(
            out,
            "<published>{added}</published>\n<updated>{added}</updated>"
        );
        if let Some(artist) = &entry.work.artist {
            let _ = writeln!(out, "<author><name>{}</name></author>", escaped(artist));
        }
        if let Some(link) = page_of(entry.work, url) {
            let _ = writeln!(out, "<link rel=\"alternate\" href=\"{}\"/>", escaped(&link));
        }
        if let Some(Picture { url, kind }) = picture(entry.work, manifest.link.as_deref(), url) {
            let _ = writeln!(
                out,
                "<link rel=\"enclosure\" type=\"{kind}\" length=\"{}\" href=\"{}\"/>",
                entry.work.size,
                escaped(&url)
            );
        }
        let _ = writeln!(out, "<summary>{}</summary>", escaped(&entry.summary()));
        out.push_str("</entry>\n");
    }
    out.push_str("</feed>\n");
    out
}

/// JSON Feed 1.1.
fn json(manifest: &Manifest, entries: &[Entry<'_>], url: &str) -> String {
    let link = manifest.link.as_deref();
    let items = entries.iter().map(|entry| item(entry, link, url));
    let mut feed = json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": manifest.title,
        "items": items.collect::<Vec<_>>(),
    });
    if !url.is_empty() {
        feed["home_page_url"] = url.into();
        feed["feed_url"] = join(url, "feed.json").into();
    }
    let mut text = feed.to_string();
    text.push('\n');
    text
}

fn item(entry: &Entry<'_>, link: Option<&str>, url: &str) -> Value {
    let work = entry.work;
    let mut item = json!({
        "id": entry.id,
        "title": entry.title,
        "content_text": entry.summary(),
        "date_published": rfc3339(work.added_ms),
        "_mosaicd": {"work": work.id, "path": work.path, "beside": work.neighbours.iter().take(NEIGHBOURS).collect::<Vec<_>>()},
    });
    if let Some(link) = page_of(work, url) {
        item["url"] = link.into();
    }
    if let Some(picture) = picture(work, link, url) {
        item["image"] = picture.url.as_str().into();
        item["attachments"] = json!([{
            "url": picture.url, "mime_type": picture.kind, "size_in_bytes": work.size,
        }]);
    }
    if let Some(artist) = &work.artist {
        item["authors"] = json!([{"name": artist}]);
    }
    item
}

fn entries<'a>(manifest: &'a Manifest, newest: &[Arrived]) -> Vec<Entry<'a>> {
    let works = &manifest.works;
    let by_id = |id: &ArtworkId| {
        let at = works.binary_search_by_key(id, |work| work.id);
        at.ok().map(|at| &*works[at])
    };
    let neighbours = |work: &Work| {
        let near = work.neighbours.iter().filter_map(by_id);
        near.take(NEIGHBOURS).map(name).collect()
    };
    let newest = newest.iter().filter_map(|(_, id)| by_id(id));
    newest
        .map(|work| Entry {
            neighbours: neighbours(work),
            id: entry_id(work),
            title: name(work),
            work,
        })
        .collect()
}

/// A picture on the web.
pub struct Picture {
    /// Its absolute address.
    pub url: String,
    /// Its media type.
    pub kind: &'static str,
}

/// The picture of one work that anybody may load: the original, where the configuration serves it and browsers show it.
/// `link` is the pattern of the originals' addresses, `url` the page's.
pub fn picture(work: &Work, link: Option<&str>, url: &str) -> Option<Picture> {
    let (_, extension) = work
        .path
        .rsplit_once('.')
        .filter(|_| work.is_named_rightly())?;
    let kind = match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" | "jfif" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => return None,
    };
    let encode = |part: &str| {
        part.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    out.push(byte.into())
                }
                _ => drop(write!(out, "%{byte:02X}")),
            }
            out
        })
    };
    let path: Vec<String> = work.path.split('/').map(encode).collect();
    let address = link?.replace("{path}", &path.join("/"));
    let absolute = match address.strip_prefix('/') {
        _ if address.starts_with("https://") || address.starts_with("http://") => address,
        Some(rest) => {
            let host = url.find("://")? + 3;
            let end = url[host..].find('/').map_or(url.len(), |at| host + at);
            format!("{}/{rest}", &url[..end])
        }
        None if url.is_empty() => return None,
        None => join(url, &address),
    };
    Some(Picture {
        url: absolute,
        kind,
    })
}

/// A work's title, or its file name without folder and extension.
pub fn name(work: &Work) -> String {
    let file = work.path.rsplit('/').next().unwrap_or("");
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let shown = work
        .title
        .as_deref()
        .unwrap_or(if stem.is_empty() { file } else { stem });
    shown
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The same for a work as long as it keeps its number, and another one for every other work anywhere.
fn entry_id(work: &Work) -> String {
    uuid(&format!("{} {} {}", work.id.0, work.added_ms, "work"))
}

fn feed_id(manifest: &Manifest, url: &str) -> String {
    match url {
        "" => uuid(&format!("{} feed", manifest.title)),
        url => url.to_owned(),
    }
}

/// A UUID of a text, version 8 (RFC 9562: custom).
fn uuid(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes());
    let mut b = [0; 16];
    b.copy_from_slice(&hash.as_bytes()[..16]);
    b[6] = b[6] & 0x0f | 0x80;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn page_of(work: &Work, url: &str) -> Option<String> {
    (!url.is_empty()).then(|| join(url, &format!("#work={}", work.id.0)))
}

/// The address of a file, or of a place, of the page at `url`.
pub fn join(url: &str, name: &str) -> String {
    if url.ends_with(".html") && name.starts_with('#') {
        return format!("{url}{name}");
    }
    let folder = match url.rsplit_once('/') {
        Some((folder, file)) if file.ends_with(".html") => folder,
        _ => url.trim_end_matches('/'),
    };
    format!("{folder}/{name}")
}

/// Milliseconds since the Unix epoch as RFC 3339 in UTC, to the second.
fn rfc3339(ms: u64) -> String {
    let (days, second) = (ms / 86_400_000, ms / 1_000 % 86_400);
    // Howard Hinnant's civil_from_days, http://howardhinnant.github.io/date_algorithms.html, for days after 1970.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::manifest;
    use super::*;
    use std::sync::Arc;

    fn sample() -> Manifest {
        let mut manifest = manifest(7, &[(1, 0, 0), (2, 1, 0), (3, 2, 0)]);
        Arc::make_mut(&mut manifest.works[2]).neighbours =
            vec![ArtworkId(1), ArtworkId(9), ArtworkId(2)];
        Arc::make_mut(&mut manifest.works[2]).title = Some("A <b> & \"c\"\u{1}".into());
        Arc::make_mut(&mut manifest.works[2]).artist = Some("N. N.".into());
        manifest
    }

    fn feeds(manifest: &Manifest, url: &str) -> (String, String) {
        both(manifest, &newest(manifest, None), url)
    }

    #[test]
    fn arrivals_come_newest_first_with_their_neighbours() {
        let (atom, _) = feeds(&sample(), "https://x.org/m/");
        let first = atom.split("<entry>").nth(1).expect("an entry");
        for part in [
            "<title>A &lt;b&gt; &amp; &quot;c&quot; </title>",
            "by N. N. arrived next to 1 and 2.</summary>",
            "<published>1970-01-01T00:00:03Z</published>",
            "href=\"https://x.org/m/#work=3\"",
        ] {
            assert!(first.contains(part), "{part} is not in {first}");
        }
        let json: Value = serde_json::from_str(&feeds(&sample(), "").1).expect("JSON");
        assert_eq!(json["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(json["items"][0]["_mosaicd"]["path"], "3.png");
        assert!(json.get("feed_url").is_none() && json["items"][0].get("url").is_none());
    }

    #[test]
    fn entries_carry_the_picture_where_originals_are_served() {
        let mut manifest = sample();
        let picture = |manifest: &Manifest, url: &str| {
            let feed: Value = serde_json::from_str(&feeds(manifest, url).1).expect("JSON");
            feed["items"][0]["image"].as_str().map(str::to_owned)
        };
        assert_eq!(picture(&manifest, "https://x.org/m/"), None);
        Arc::make_mut(&mut manifest.works[2]).path = "a b/ö.PNG".into();
        for (link, url, wanted) in [
            ("https://o.org/{path}", "", "https://o.org/a%20b/%C3%B6.PNG"),
            (
                "/art/{path}",
                "https://x.org/m/",
                "https://x.org/art/a%20b/%C3%B6.PNG",
            ),
            (
                "art/{path}",
                "https://x.org/m/index.html",
                "https://x.org/m/art/a%20b/%C3%B6.PNG",
            ),
        ] {
            manifest.link = Some(link.into());
            assert_eq!(picture(&manifest, url).as_deref(), Some(wanted));
            let (atom, _) = feeds(&manifest, url);
            let enclosure = format!(
                "<link rel=\"enclosure\" type=\"image/png\" length=\"{}\" href=\"{wanted}\"/>",
                manifest.works[2].size
            );
            assert!(atom.contains(&enclosure), "{atom}");
        }
        Arc::make_mut(&mut manifest.works[2]).path = "a.tif".into();
        assert_eq!(
            picture(&manifest, "https://x.org/m/"),
            None,
            "no browser shows it"
        );
    }

    #[test]
    fn the_newest_works_are_found_among_those_before_and_the_touched() {
        let at = |n: u64, ids: &[u64]| {
            let mut manifest = sample();
            let of = |id: &u64| Arc::new(Work::sample(*id, "a.png", (0, 0)));
            manifest.works = ids.iter().map(of).collect();
            manifest.generation = n;
            manifest
        };
        let ids: Vec<u64> = (1..=80).collect();
        let before = newest(&at(1, &ids), None);
        for (ids, touched) in [
            (1..=83, vec![81, 82, 83]),
            (1..=79, vec![80]),
            (3..=90, (81..=90).chain([1, 2]).collect()),
            (1..=80, vec![]),
            (1..=120, (1..=120).collect()),
        ] {
            let next = at(2, &ids.collect::<Vec<_>>());
            let touched: Vec<_> = touched.into_iter().map(ArtworkId).collect();
            assert_eq!(
                newest(&next, Some((&before, &touched))),
                newest(&next, None)
            );
        }
    }

    #[test]
    fn numbers_of_entries_are_of_their_works_alone() {
        let before = sample();
        let mut after = sample();
        after.generation += 1;
        Arc::make_mut(&mut after.works[0]).col = 5;
        let ids = |m: &Manifest| -> Vec<String> {
            let entries = entries(m, &newest(m, None));
            entries.into_iter().map(|e| e.id).collect()
        };
        assert_eq!(ids(&before), ids(&after));
        let unique: std::collections::BTreeSet<_> = ids(&before).into_iter().collect();
        assert_eq!(unique.len(), 3);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
