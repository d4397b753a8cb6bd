//! `metrics.prom`: the daemon's numbers in Prometheus' text format, for node_exporter's textfile collector.
//!
//! Pure. Counters and histograms count since the process started ([`Metrics`]); gauges are read off [`Status`].
//! Conventions: base units (seconds, bytes, ratios), `_total` for counters, `_timestamp_seconds` for moments, no
//! timestamps on samples (the collector refuses them), no file names as labels (their number has no bound). Source:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, checked with `promtool check metrics`.

use super::machine::Machine;
use super::status::{State, Status};
use crate::domain::manifest::Moves;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

/// Upper bounds of the stage histogram's buckets, seconds: from the latency of one arrival (5 ms) to a cold start of
/// a large collection (1 h).
pub const STAGE_BUCKETS_S: [f64; 12] = [
    0.005, 0.02, 0.05, 0.15, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
];

/// Counters of this process.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Images embedded.
    pub embedded: u64,
    /// Attempts to use a file that failed.
    pub file_failures: u64,
    /// Scans that the watcher asked for: its queue overflowed, or a settings file in the artwork folder changed.
    pub watch_rescans: u64,
    /// Stores set aside because they were damaged.
    pub store_quarantines: u64,
    /// Rebuilds that failed and are tried again.
    pub rebuild_failures: u64,
    /// Configurations refused at a reload.
    pub reload_failures: u64,
    /// What the machine says, as of now.
    pub machine: Machine,
    scans: u64,
    generations: u64,
    added: u64,
    removed: u64,
    moved: u64,
    grown: u64,
    stages: BTreeMap<&'static str, Histogram>,
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    /// Observations per bucket, not cumulated; those above the last bound are in `count` only.
    buckets: [u64; STAGE_BUCKETS_S.len()],
    count: u64,
    sum_s: f64,
}

impl Metrics {
    /// Counts a published generation.
    pub fn generation(&mut self, moves: &Moves) {
        self.generations += 1;
        self.added += u64::from(moves.added);
        self.removed += u64::from(moves.removed);
        self.moved += u64::from(moves.moved);
        self.grown += u64::from(moves.grown);
    }

    /// Counts a scan of the artwork folder.
    pub fn scan(&mut self, took: Duration) {
        self.scans += 1;
        self.stage("scan", took);
    }

    /// Counts one run of a stage (`scan`, `embed`, ...).
    pub fn stage(&mut self, stage: &'static str, took: Duration) {
        let seconds = took.as_secs_f64();
        let histogram = self.stages.entry(stage).or_default();
        histogram.count += 1;
        histogram.sum_s += seconds;
        if let Some(bucket) = STAGE_BUCKETS_S.iter().position(|bound| seconds <= *bound) {
            histogram.buckets[bucket] += 1;
        }
    }
}

/// Renders `metrics.prom`.
pub fn render(status: &Status, metrics: &Metrics) -> String {
    let mut text = String::new();
    write(&mut text, status, metrics).expect("writing to a string cannot fail");
    text
}

fn write(out: &mut String, status: &Status, metrics: &Metrics) -> fmt::Result {
    let head = |out: &mut String, name: &str, kind: &str, help: &str| {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
    };

    head(
        out,
        "mosaicd_build_info",
        "gauge",
        "Version and encoder, as labels.",
    )?;
    writeln!(
        out,
        "mosaicd_build_info{{model=\"{}\",version=\"{}\"}} 1",
        label(&status.model),
        label(&status.version)
    )?;

    head(
        out,
        "mosaicd_state",
        "gauge",
        "1 for the state the daemon is in.",
    )?;
    for (name, state) in [
        ("degraded", State::Degraded),
        ("idle", State::Idle),
        ("starting", State::Starting),
        ("stopped", State::Stopped),
        ("stopping", State::Stopping),
        ("working", State::Working),
    ] {
        let holds = u8::from(status.state == state);
        writeln!(out, "mosaicd_state{{state=\"{name}\"}} {holds}")?;
    }

    head(
        out,
        "mosaicd_artworks",
        "gauge",
        "Files by what became of them.",
    )?;
    let counts = status.counts;
    for (name, count) in [
        ("failed", counts.failed),
        ("other", counts.other),
        ("pending", counts.pending),
        ("placed", counts.works),
        ("skipped", counts.skipped),
        ("unreadable", counts.unreadable),
    ] {
        writeln!(out, "mosaicd_artworks{{state=\"{name}\"}} {count}")?;
    }

    let what = "What keeps files from being shown as they are, by kind.";
    head(out, "mosaicd_failures", "gauge", what)?;
    let kinds = ["failed", "mistake", "skipped", "unreadable"];
    let (failed, mistakes) = (counts.failed, counts.mistakes);
    let by_kind = [failed, mistakes, counts.skipped, counts.unreadable];
    for (kind, count) in kinds.iter().zip(by_kind) {
        writeln!(out, "mosaicd_failures{{kind=\"{kind}\"}} {count}")?;
    }

    let mut gauges: Vec<(&str, &str, f64)> = vec![
        (
            "mosaicd_degraded_conditions",
            "Conditions that need a human.",
            status.degraded.len() as f64,
        ),
        (
            "mosaicd_mistakes",
            "Mistakes in the owner's files.",
            counts.mistakes as f64,
        ),
        (
            "mosaicd_held_artworks",
            "Works shown though their files have vanished: an unexplained removal.",
            counts.held as f64,
        ),
        (
            "mosaicd_generation",
            "The published generation.",
            status.generation as f64,
        ),
        (
            "mosaicd_start_timestamp_seconds",
            "When the daemon was started.",
            seconds(status.started_ms),
        ),
        (
            "mosaicd_status_timestamp_seconds",
            "When these figures were written.",
            seconds(status.updated_ms),
        ),
        (
            "mosaicd_twin_artworks",
            "Works in the mosaic whose picture is there already, in another encoding or size.",
            counts.twins as f64,
        ),
        (
            "mosaicd_store_bytes",
            "Size of the store on disk.",
            status.store_bytes as f64,
        ),
    ];
    if let Some(since_ms) = status.pending_since_ms {
        gauges.push((
            "mosaicd_pending_since_timestamp_seconds",
            "Since when there have been pending files without a break.",
            seconds(since_ms),
        ));
    }
    gauges.extend(metrics.machine.gauges());
    if let Some(published_ms) = status.published_ms {
        gauges.push((
            "mosaicd_last_success_timestamp_seconds",
            "When the last generation was published.",
            seconds(published_ms),
        ));
    }
    if let Some(grid) = status.grid {
        gauges.push((
            "mosaicd_grid_cells",
            "Cells of the grid.",
            f64::from(grid.cols) * f64::from(grid.rows),
        ));
    }
    if let Some(quality) = status.quality {
        let dpq16 = "Distance preservation quality of the grid, p = 16, 1 is perfect.";
        let trust = "Trustworthiness of the layout, k = 15, 1 is perfect.";
        gauges.extend(
            quality
                .dpq16
                .map(|value| ("mosaicd_grid_dpq16_ratio", dpq16, value)),
        );
        gauges.extend(
            quality
                .trustworthiness
                .map(|value| ("mosaicd_layout_trustworthiness_ratio", trust, value)),
        );
    }
    for (name, help, value) in gauges {
        head(out, name, "gauge", help)?;
        writeln!(out, "{name} {}", number(value))?;
    }

    if let Some(drift) = status.drift {
        let name = "mosaicd_drift_cells";
        let help = "How far works are from their homes, not counting growth: the mean, and what 95 % do not exceed.";
        head(out, name, "gauge", help)?;
        for (stat, cells) in [("mean", drift.mean), ("p95", f64::from(drift.p95))] {
            writeln!(out, "{name}{{stat=\"{stat}\"}} {}", number(cells))?;
        }
    }

    for (name, help, value) in [
        (
            "mosaicd_embedded_total",
            "Images embedded.",
            metrics.embedded,
        ),
        (
            "mosaicd_file_failures_total",
            "Attempts to use a file that failed.",
            metrics.file_failures,
        ),
        (
            "mosaicd_generations_total",
            "Generations published.",
            metrics.generations,
        ),
        (
            "mosaicd_rebuild_failures_total",
            "Rebuilds that failed and are tried again.",
            metrics.rebuild_failures,
        ),
        (
            "mosaicd_reload_failures_total",
            "Configurations refused at a reload.",
            metrics.reload_failures,
        ),
        (
            "mosaicd_scans_total",
            "Scans of the artwork folder.",
            metrics.scans,
        ),
        (
            "mosaicd_store_quarantines_total",
            "Stores set aside because they were damaged.",
            metrics.store_quarantines,
        ),
        (
            "mosaicd_tiles_added_total",
            "Works that came into the mosaic.",
            metrics.added,
        ),
        (
            "mosaicd_tiles_grown_total",
            "Works pushed along by one cell because the grid grew.",
            metrics.grown,
        ),
        (
            "mosaicd_tiles_moved_total",
            "Placed works that changed their cell, not counting growth.",
            metrics.moved,
        ),
        (
            "mosaicd_tiles_removed_total",
            "Works that left the mosaic.",
            metrics.removed,
        ),
        (
            "mosaicd_watch_rescans_total",
            "Scans that the watcher asked for: its queue overflowed, or a settings file in the artwork folder changed.",
            metrics.watch_rescans,
        ),
    ] {
        head(out, name, "counter", help)?;
        writeln!(out, "{name} {value}")?;
    }

    if !metrics.stages.is_empty() {
        let name = "mosaicd_stage_duration_seconds";
        head(
            out,
            name,
            "histogram",
            "How long a stage took: the scan, and those of a rebuild.",
        )?;
        for (stage, histogram) in &metrics.stages {
            let stage = label(stage);
            let mut below = 0;
            for (bound, count) in STAGE_BUCKETS_S.iter().zip(histogram.buckets) {
                below += count;
                writeln!(
                    out,
                    "{name}_bucket{{stage=\"{stage}\",le=\"{bound}\"}} {below}"
                )?;
            }
            let count = histogram.count;
            writeln!(
                out,
                "{name}_bucket{{stage=\"{stage}\",le=\"+Inf\"}} {count}"
            )?;
            writeln!(
                out,
                "{name}_sum{{stage=\"{stage}\"}} {}",
                number(histogram.sum_s)
            )?;
            writeln!(out, "{name}_count{{stage=\"{stage}\"}} {count}")?;
        }
    }
    Ok(())
}

/// Milliseconds as seconds; exact to the millisecond until the year 287,396.
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// A value as Prometheus (Go's `ParseFloat`) reads it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.into()
    } else {
        value.to_string()
    }
}

/// A label's value, escaped as the format demands (`\`, `"`, newline).
pub(super) fn label(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
