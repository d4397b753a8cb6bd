//! The text of `mosaicd status`: the state at a glance, then what needs attention, then every failed file.
//!
//! Pure: the time is an argument. Text from outside is escaped.

use super::escape::escaped;
use super::status::{Kind, Life, Progress, State, Status};
use std::fmt::{self, Write};

/// Renders `status` for a person at `now_ms` (milliseconds since the Unix epoch); `life` says whether its daemon runs.
pub fn render_human(status: &Status, life: Life, now_ms: u64) -> String {
    let mut text = String::new();
    write(&mut text, status, life, now_ms).expect("writing to a string cannot fail");
    text
}

fn write(out: &mut String, status: &Status, life: Life, now_ms: u64) -> fmt::Result {
    let ago = |then_ms: u64| format!("{} ago", span(now_ms.saturating_sub(then_ms)));

    write!(out, "{:<9}", "state")?;
    let since = ago(status.updated_ms);
    match life {
        Life::Running => {
            write!(out, "{}", state(status))?;
            if let Some(progress) = &status.progress {
                write!(out, ": {}", at_work(progress))?;
            }
            writeln!(out, " (as of {since})")?;
        }
        Life::Stopped => writeln!(out, "not running: it ended in good order {since}")?,
        Life::Silent | Life::Hung => {
            let what = match life {
                Life::Hung => "it hangs, or cannot write its status (a full disk?)",
                _ => "not running: killed or hung",
            };
            writeln!(
                out,
                "{what}, last heard of {since} (it was {})\n{:<9}-> look at `journalctl -u mosaicd`, then `systemctl \
                 restart mosaicd`",
                state(status),
                ""
            )?;
        }
    }

    write!(out, "{:<9}", "mosaic")?;
    match status.published_ms {
        None => writeln!(out, "not published yet")?,
        Some(published_ms) => {
            write!(
                out,
                "generation {}, published {}",
                status.generation,
                ago(published_ms)
            )?;
            if let Some(grid) = status.grid {
                write!(
                    out,
                    ", {} x {} cells of {} px",
                    grid.cols, grid.rows, grid.cell_px
                )?;
            }
            writeln!(out)?;
        }
    }

    let counts = status.counts;
    write!(out, "{:<9}{} in the mosaic", "works", grouped(counts.works))?;
    for (count, what) in [
        (counts.pending, "pending"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.unreadable, "unreadable"),
        (counts.other, "other files"),
        (counts.twins, "twins (see twins.json)"),
    ] {
        if count > 0 {
            write!(out, ", {} {what}", grouped(count))?;
        }
    }
    writeln!(out)?;

    if status.published_ms.is_some() {
        let moves = &status.moves;
        write!(
            out,
            "{:<9}{} added, {} removed, {} moved",
            "change",
            grouped(moves.added.into()),
            grouped(moves.removed.into()),
            grouped(moves.moved.into())
        )?;
        if moves.grown > 0 {
            write!(
                out,
                ", {} pushed along by growth",
                grouped(moves.grown.into())
            )?;
        }
        writeln!(out)?;
    }

    if let Some(drift) = status.drift {
        let (name, mean, p95) = ("drift", drift.mean, drift.p95);
        writeln!(
            out,
            "{name:<9}{mean:.1} cells from home on average, 95 % within {p95}"
        )?;
    }

    if let Some(quality) = status.quality {
        let figures: Vec<String> = [
            ("DPQ16", quality.dpq16),
            ("trustworthiness", quality.trustworthiness),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {:.3}", value?)))
        .collect();
        if !figures.is_empty() {
            write!(out, "{:<9}{}", "quality", figures.join(", "))?;
            if quality.generation != status.generation {
                write!(out, " (of generation {})", quality.generation)?;
            }
            writeln!(out)?;
        }
    }

    if !status.stages_ms.is_empty() {
        let stages: Vec<String> = status
            .stages_ms
            .iter()
            .map(|(stage, ms)| format!("{} {}", escaped(stage), duration(*ms)))
            .collect();
        writeln!(out, "{:<9}{}", "took", stages.join(", "))?;
    }

    writeln!(
        out,
        "{:<9}{}, store {}",
        "model",
        escaped(&status.model),
        bytes(status.store_bytes)
    )?;
    if let Some(next) = &status.next_model {
        writeln!(
            out,
            "{:<9}{}: {} of {} artworks embedded; the mosaic changes when all are",
            "next",
            escaped(&next.model),
            grouped(next.done),
            grouped(next.total)
        )?;
    }
    writeln!(
        out,
        "{:<9}mosaicd {}, {} {}, started {}",
        "process",
        escaped(&status.version),
        if life == Life::Running {
            "pid"
        } else {
            "was pid"
        },
        status.pid,
        ago(status.started_ms)
    )?;

    if !status.decoding.is_empty() && life == Life::Running {
        writeln!(out, "\nTake long to decode:")?;
        for file in &status.decoding {
            let took = span(now_ms.saturating_sub(file.since_ms));
            writeln!(out, "  {} (for {took})", escaped(&file.path))?;
        }
    }

    if !status.degraded.is_empty() {
        writeln!(out, "\nNeeds attention:")?;
        for condition in &status.degraded {
            writeln!(
                out,
                "  ! {} (for {})",
                escaped(&condition.what),
                span(now_ms.saturating_sub(condition.since_ms))
            )?;
            if !condition.what_to_do.is_empty() {
                writeln!(out, "    -> {}", escaped(&condition.what_to_do))?;
            }
        }
    }

    for (kind, title, count) in [
        (Kind::Failed, "Failed files", counts.failed),
        (
            Kind::Unreadable,
            "Not readable, looked at again at every scan",
            counts.unreadable,
        ),
        (Kind::Mistake, "Mistakes in your own files", counts.mistakes),
        (Kind::Skipped, "Left out on purpose", counts.skipped),
    ] {
        let listed: Vec<_> = status.failures.iter().filter(|f| f.kind == kind).collect();
        if listed.is_empty() {
            continue;
        }
        // A folder of junk is not listed as a whole.
        let all = count.max(listed.len() as u64);
        write!(out, "\n{title} ({}", grouped(all))?;
        if all > listed.len() as u64 {
            write!(out, ", {} of them here", grouped(listed.len() as u64))?;
        }
        writeln!(out, "):")?;
        for failure in listed {
            let next = match failure.next_try_ms {
                None => "again when it changes".into(),
                Some(next_ms) if next_ms <= now_ms => "again at the next scan".into(),
                Some(next_ms) => format!("again in {}", span(next_ms - now_ms)),
            };
            writeln!(
                out,
                "  {}\n    {} (for {}, {next})",
                escaped(&failure.path),
                escaped(&failure.reason),
                span(now_ms.saturating_sub(failure.failed_ms))
            )?;
        }
    }
    Ok(())
}

fn state(status: &Status) -> &'static str {
    match status.state {
        State::Starting => "starting",
        State::Working => "working",
        State::Idle => "idle",
        State::Degraded => "degraded",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Unknown => "unknown",
    }
}

fn at_work(progress: &Progress) -> String {
    let stage = escaped(&progress.stage);
    match progress.total {
        0 if progress.done == 0 => match progress.left_s {
            Some(left_s) => format!("{stage}, about {} left", span(1000 * left_s)),
            None => stage.to_string(),
        },
        0 => format!("{stage} {}", grouped(progress.done)),
        total => format!(
            "{stage} {} of {} ({} %)",
            grouped(progress.done),
            grouped(total),
            u128::from(progress.done.min(total)) * 100 / u128::from(total)
        ),
    }
}

/// A length of time in at most two units: `12 s`, `5 min`, `2 h 5 min`, `3 d 4 h`.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{} d {hours} h", grouped(days)),
    }
}

/// How long a stage took: `12 ms`, `1.2 s`, `5 min`.
fn duration(ms: f64) -> String {
    if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else if ms < 60_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else {
        // Saturates beyond u64, which no stage reaches.
        span(ms as u64)
    }
}

/// Bytes in decimal units, as disks are sold.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" || value >= 99.95 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A number with its thousands separated: `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::escape::is_harmful;
    use super::super::status::tests::full;
    use super::*;

    #[test]
    fn everything_is_said_once_and_in_order() {
        let mut status = full();
        status.failures.sort();
        let expected = "\
state    degraded: embed 1 of 3 (33 %) (as of 0 s ago)
mosaic   generation 42, published 16 min ago, 116 x 92 cells of 128 px
works    10,578 in the mosaic, 3 pending, 2 failed, 1 skipped, 2 twins (see twins.json)
change   1 added, 0 removed, 4 moved
drift    0.9 cells from home on average, 95 % within 3
quality  DPQ16 0.912, trustworthiness 0.987 (of generation 40)
took     embed 1.2 s, scan 12 ms
model    builtin, store 12.3 MB
next     clip: 120 of 10,578 artworks embedded; the mosaic changes when all are
process  mosaicd 0.1.0, pid 4711, started 3 d 5 h ago

Take long to decode:
  huge.tif (for 12 s)

Needs attention:
  ! more than half of the artworks vanished at once (for 1 min)
    -> mount the folder again, or run `mosaicd confirm-removal`

Failed files (2):
  a.png
    not an image (for 16 min, again when it changes)
  z\\u{1b}[31m\\n.png
    cut off after 12 of 40 rows (for 10 s, again in 10 s)

Left out on purpose (1):
  link.png
    a symbolic link (for 16 min, again when it changes)
";
        assert_eq!(render_human(&status, Life::Running, 280_000_000), expected);
    }

    #[test]
    fn a_dead_daemon_is_called_dead_and_since_when() {
        let status = full();
        let later = status.updated_ms + 7_500_000;
        let killed = render_human(&status, Life::Silent, later);
        assert!(
            killed.starts_with("state    not running: killed or hung, last heard of 2 h 5 min ago (it was degraded)"),
            "{killed}"
        );
        assert!(killed.contains("was pid 4711"), "{killed}");
        let ended = render_human(&status, Life::Stopped, later);
        assert!(
            ended.starts_with("state    not running: it ended in good order 2 h 5 min ago\n"),
            "{ended}"
        );
    }

    #[test]
    fn an_empty_status_and_a_clock_gone_back_are_fine() {
        let text = render_human(&Status::default(), Life::Running, 0);
        assert!(text.contains("not published yet"), "{text}");
        let text = render_human(&full(), Life::Running, 5);
        assert!(text.contains("published 0 s ago"), "{text}");
        assert!(!text.chars().any(|c| c != '\n' && is_harmful(c)));
    }

    #[test]
    fn units_change_where_they_should() {
        assert_eq!(span(59_999), "59 s");
        assert_eq!(span(60_000), "1 min");
        assert_eq!(span(3_600_000 * 2 + 300_000), "2 h 5 min");
        assert_eq!(span(u64::MAX), "213,503,982,334 d 14 h");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(999_600), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18447 PB");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(1e300), span(u64::MAX));
    }
}
