//! Tests of what `metrics.prom` says.

use super::super::status::tests::full;
use super::*;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn busy() -> String {
    let mut metrics = Metrics {
        embedded: 12,
        ..Metrics::default()
    };
    metrics.generation(&full().moves);
    for ms in [1, 5, 6, 200, 4_000_000] {
        metrics.stage("embed", Duration::from_millis(ms));
    }
    metrics.stage("scan", Duration::ZERO);
    let mut status = full();
    status.model = "a \"model\"\\path\nwith a line".into();
    render(&status, &metrics)
}

#[test]
fn promtool_accepts_it_where_it_is_installed() {
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        eprintln!(
            "promtool is not installed (Debian package prometheus): the strict parser below checks alone"
        );
        return;
    };
    let mut stdin = promtool.stdin.take().expect("piped");
    stdin.write_all(busy().as_bytes()).expect("promtool reads");
    drop(stdin);
    let verdict = promtool.wait_with_output().expect("promtool ends");
    assert!(verdict.status.success(), "{verdict:?}");
    assert!(verdict.stderr.is_empty(), "{verdict:?}");
}

/// Splits `name{a="b",...} value`, unescaping labels; panics on anything the format does not allow.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(end);
    assert!(
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        "{line}"
    );
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"").expect("a label");
            let mut value = String::new();
            let mut chars = after.char_indices();
            let close = loop {
                match chars.next().expect("a closed label") {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().expect("an escape").1 {
                        'n' => value.push('\n'),
                        c @ ('\\' | '"') => value.push(c),
                        c => panic!("unknown escape {c:?} in {line}"),
                    },
                    (_, c) => value.push(c),
                }
            };
            assert_eq!(labels.insert(key.to_owned(), value), None, "{line}");
            rest = &after[close + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("one space");
    (name.into(), labels, value.parse().expect("a number"))
}

#[test]
fn every_sample_follows_its_head_and_the_histogram_adds_up() {
    let text = busy();
    assert!(text.ends_with('\n'));
    let mut kinds = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut buckets: Vec<f64> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').expect("a type");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none());
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, labels, value) = sample(line);
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"))
            .unwrap_or(&name)
            .to_owned();
        assert!(kinds.contains_key(&family), "{line} has no head");
        assert!(seen.insert((name.clone(), labels.clone())), "{line} twice");
        if name == "mosaicd_build_info" {
            assert_eq!(labels["model"], "a \"model\"\\path\nwith a line");
        }
        if labels.get("stage").is_some_and(|stage| stage == "embed") {
            match name.rsplit('_').next() {
                Some("bucket") => buckets.push(value),
                Some("count") => assert_eq!(value, 5.0),
                _ => assert!((value - 4000.212).abs() < 1e-9, "{line}"),
            }
        }
    }
    // 1 and 5 ms are at most 5 ms, 6 ms at most 20 ms, 200 ms at most 0.5 s; 4,000 s are above every bound.
    let expected = [2., 3., 3., 3., 4., 4., 4., 4., 4., 4., 4., 4., 5.];
    assert_eq!(buckets, expected);
}

#[test]
fn a_young_daemon_has_no_made_up_figures() {
    let text = render(&Status::default(), &Metrics::default());
    assert!(!text.contains("last_success"), "{text}");
    assert!(!text.contains("dpq16") && !text.contains("drift"), "{text}");
    assert!(text.contains("mosaicd_generations_total 0\n"), "{text}");
}
