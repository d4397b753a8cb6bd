//! The label `site` on every metric: two mosaics on one host have the same metrics, and this label distinguishes them.
//! Pure.

use super::metrics::label;
use std::fmt::Write;

/// Adds `site="..."` as the first label of every sample of a text in Prometheus' format; nothing where `site` is empty.
pub fn labelled(text: &str, site: &str) -> String {
    if site.is_empty() {
        return text.to_owned();
    }
    let site = label(site);
    let mut labelled = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let sample = (!line.starts_with('#'))
            .then(|| line.find(['{', ' ']))
            .flatten();
        let done = match sample.map(|end| line.split_at(end)) {
            None => writeln!(labelled, "{line}"),
            Some((name, rest)) => match rest.strip_prefix('{') {
                Some(labels) => writeln!(labelled, "{name}{{site=\"{site}\",{labels}"),
                None => writeln!(labelled, "{name}{{site=\"{site}\"}}{rest}"),
            },
        };
        done.expect("writing to a string cannot fail");
    }
    labelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_gets_the_label_and_no_comment() {
        let text = "# HELP a {b}\n# TYPE a gauge\na 1\nb_bucket{le=\"+Inf\"} 2\n";
        assert_eq!(labelled(text, ""), text);
        let expected = "# HELP a {b}\n# TYPE a gauge\na{site=\"x\\\"y\"} 1\nb_bucket{site=\"x\\\"y\",le=\"+Inf\"} 2\n";
        assert_eq!(labelled(text, "x\"y"), expected);
    }
}
