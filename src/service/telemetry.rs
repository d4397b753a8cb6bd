//! Where log lines go and in which form.
//!
//! - on a terminal: one readable line per event, coloured unless `NO_COLOR` is set;
//! - when stderr is the journal (`JOURNAL_STREAM` names it, see systemd.exec(5)): the journal's own protocol, so
//!   that priorities and fields survive (`journalctl -u mosaicd MOSAICD_PATH=...`);
//! - otherwise: one JSON object per line.
//!
//! Everything goes to stderr; stdout belongs to the commands' answers. Values are escaped in every form (`escape`).
//! Levels are matched by target prefix (`tracing_subscriber::filter::Targets`), not by regular expressions.

use super::escape::{EscapingWriter, is_harmful};
use super::{journald, panics};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{fmt, reload};

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, the journal's protocol under systemd, JSON otherwise.
    #[default]
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object per line.
    Json,
    /// The journal's native protocol.
    Journald,
}

/// Logging cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The level is neither a level nor a list of `target=level`.
    #[error(
        "not a log level: {part:?} (use off, error, warn, info, debug or trace, or a list like \
         \"info,mosaicd::watch=debug\")"
    )]
    Level {
        /// The part that was refused.
        part: String,
    },
    /// The journal was asked for and is not there.
    #[error("cannot reach the journal at {path}", path = journald::SOCKET)]
    Journal(#[source] io::Error),
    /// A subscriber is installed already.
    #[error("logging is set up already")]
    Already(#[source] TryInitError),
    /// The subscriber is gone, so its level cannot be changed.
    #[error("the log level cannot be changed any more")]
    Gone(#[source] reload::Error),
}

/// Changes the level of the running process.
#[derive(Clone, Debug)]
pub struct LevelHandle(reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// Sets the level, as [`init`] reads it; on an error the old one stays.
    pub fn set(&self, level: &str) -> Result<(), TelemetryError> {
        self.0.reload(targets(level)?).map_err(TelemetryError::Gone)
    }
}

/// Starts logging for the whole process; call it once, before the first event.
///
/// `level` is a level for this program (others then say warnings and errors only), or a comma-separated list of
/// `target=level` and a bare level: `info,mosaicd::watch=debug,ort=info`.
///
/// # Errors
/// A bad level, no journal where [`LogFormat::Journald`] asks for one, or a second call. With [`LogFormat::Auto`] an
/// unreachable journal falls back to JSON lines.
pub fn init(format: LogFormat, level: &str) -> Result<LevelHandle, TelemetryError> {
    let (filter, handle) = reload::Layer::new(targets(level)?);
    let sink = match resolve(format) {
        LogFormat::Journald => match journald::JournalLayer::connect() {
            Ok(layer) => layer.boxed(),
            Err(_) if format == LogFormat::Auto => json(io::stderr).boxed(),
            Err(error) => return Err(TelemetryError::Journal(error)),
        },
        LogFormat::Json => json(io::stderr).boxed(),
        LogFormat::Human | LogFormat::Auto => human(io::stderr, coloured()).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(sink)
        .try_init()
        .map_err(TelemetryError::Already)?;
    panics::log_panics();
    Ok(LevelHandle(handle))
}

/// Whether `level` is one that [`init`] and [`LevelHandle::set`] take.
pub fn check_level(level: &str) -> Result<(), TelemetryError> {
    targets(level).map(drop)
}

/// Reads a level: bare ones are this program's.
///
/// Stricter than `Targets`' own parser, which takes a mistyped level for the name of a target.
fn targets(level: &str) -> Result<Targets, TelemetryError> {
    let mut own = LevelFilter::INFO;
    let mut named = Vec::new();
    for part in level.split(',').map(str::trim) {
        let wrong = || TelemetryError::Level {
            part: part.chars().take(80).collect(),
        };
        let (target, level) = part.split_once('=').unwrap_or(("", part));
        let known = LEVELS
            .iter()
            .find(|(name, _)| level.eq_ignore_ascii_case(name));
        let level = known.ok_or_else(wrong)?.1;
        let is_target = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        match target {
            "" if part.contains('=') => return Err(wrong()),
            "" => own = level,
            target if target.chars().all(is_target) => named.push((target.to_owned(), level)),
            _ => return Err(wrong()),
        }
    }
    Ok(Targets::new()
        .with_default(own.min(LevelFilter::WARN))
        .with_target("mosaicd", own)
        .with_targets(named))
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

fn resolve(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto if stderr_is_the_journal() => LogFormat::Journald,
        LogFormat::Auto if io::stderr().is_terminal() => LogFormat::Human,
        LogFormat::Auto => LogFormat::Json,
        chosen => chosen,
    }
}

fn coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `JOURNAL_STREAM` holds `device:inode` of the stream systemd connected; a redirected stderr differs from it.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else {
        return false;
    };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Lines for people: `time LEVEL span{fields}: message field=value`.
fn human<S, W>(writer: W, ansi: bool) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let fields = fmt::format::debug_fn(|line, field, value| match field.name() {
        "message" => write!(EscapingWriter(line), "{value:?}"),
        // What tracing-log adds of its own says nothing to a reader.
        name if name.starts_with("log.") => Ok(()),
        name => write!(EscapingWriter(line), " {name}={value:?}"),
    });
    fmt::layer()
        .with_writer(writer)
        .with_ansi(ansi)
        .with_target(false)
        .fmt_fields(fields)
}

fn json<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(JsonEscaping(writer))
}

/// Writes JSON lines with the characters that JSON allows raw but a terminal acts on as `\uXXXX`.
struct JsonEscaping<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for JsonEscaping<M> {
    type Writer = JsonEscapingWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        JsonEscapingWriter(self.0.make_writer())
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        JsonEscapingWriter(self.0.make_writer_for(meta))
    }
}

struct JsonEscapingWriter<W>(W);

impl<W: Write> Write for JsonEscapingWriter<W> {
    /// The formatting layer hands over one whole line per call, so one call is one write.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Ok(text) = std::str::from_utf8(line) else {
            return self.0.write(line);
        };
        if text.chars().any(|c| c != '\n' && is_harmful(c)) {
            self.0.write_all(json_escaped(text).as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn json_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c != '\n' && is_harmful(c) {
            // All of them lie in the basic plane, and writing to a string cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
        }
    }

    const HOSTILE: &str = "a\n2026 ERROR forged\u{1b}[2J\u{9b}\u{202e}.png";

    fn speak(layer: impl Layer<Registry> + Send + Sync) {
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("rebuild", generation = 7, path = %HOSTILE).entered();
            tracing::warn!(path = %HOSTILE, debug = ?HOSTILE, artworks = 3, "skipped {HOSTILE}");
        });
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_human_line() {
        let sink = Sink::default();
        let writer = sink.clone();
        speak(human(move || writer.clone(), false));
        let text = sink.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n'));
        assert!(!text.trim_end().chars().any(is_harmful), "{text:?}");
        assert!(text.contains("WARN"), "{text}");
        assert!(text.contains(" artworks=3"), "{text}");
        assert!(text.contains("generation=7"), "{text}");
    }

    #[test]
    fn a_json_line_is_one_object_with_the_name_intact_and_no_raw_control() {
        let sink = Sink::default();
        let writer = sink.clone();
        speak(json(move || writer.clone()));
        let text = sink.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.trim_end().chars().any(is_harmful), "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["path"], HOSTILE);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["artworks"], 3);
        assert_eq!(line["spans"][0]["generation"], 7);
    }

    #[test]
    fn a_bare_level_is_this_programs_and_others_stay_quiet() {
        use tracing::Level;
        let all = targets("debug").expect("a level");
        assert!(all.would_enable("mosaicd::watch", &Level::DEBUG));
        assert!(!all.would_enable("ort", &Level::INFO));
        assert!(all.would_enable("sled", &Level::WARN));
        let off = targets("off").expect("a level");
        assert!(!off.would_enable("sled", &Level::ERROR));
        let mixed = targets("info,mosaicd::watch=trace,ort=debug").expect("a list");
        assert!(mixed.would_enable("mosaicd::watch", &Level::TRACE));
        assert!(mixed.would_enable("mosaicd::daemon", &Level::INFO));
        assert!(!mixed.would_enable("mosaicd::daemon", &Level::DEBUG));
        assert!(mixed.would_enable("ort::session", &Level::DEBUG));
        assert!(!mixed.would_enable("sled", &Level::INFO));
        let own = targets("mosaicd=error").expect("a list");
        assert!(!own.would_enable("mosaicd::watch", &Level::WARN));
        for wrong in [
            "",
            "inof",
            "mosaicd=loud",
            "=info",
            "info,",
            "a b=info",
            "info,=,=",
            "3",
        ] {
            assert!(targets(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_level_can_be_changed_while_running() {
        let (filter, handle) = reload::Layer::new(targets("warn").expect("a level"));
        let handle = LevelHandle(handle);
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(human(move || writer.clone(), false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before");
            handle.set("info").expect("a level");
            tracing::info!("after");
            assert!(handle.set("info,=,=").is_err());
            tracing::info!("still");
        });
        let text = sink.text();
        assert!(
            !text.contains("before") && text.contains("after") && text.contains("still"),
            "{text}"
        );
    }
}
