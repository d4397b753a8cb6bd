//! Log events in the journal's native protocol.
//!
//! Unlike the `tracing-journald` crate this puts an event's fields into `MESSAGE` as well, because `journalctl` shows
//! nothing else, and "skipped an artwork" is useless without its name. Fields are also sent separately as
//! `MOSAICD_<NAME>`, those of the enclosing spans too. Values are escaped.
//!
//! Source: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>. An entry that cannot be sent (journal restarting, entry
//! larger than a datagram) goes to stderr as a line, which systemd reads as well.

use super::escape::escaped;
use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Where the journal listens.
pub(crate) const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends every event to the journal.
pub(crate) struct JournalLayer {
    socket: UnixDatagram,
}

impl JournalLayer {
    /// Connects to the journal; the empty message, which it discards, shows whether it listens.
    pub(crate) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.send_to(&[], SOCKET)?;
        Ok(Self { socket })
    }
}

/// What an event or a span carries.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = escaped(format_args!("{value:?}")).to_string();
        match field.name() {
            "message" => self.message = text,
            name if name.starts_with("log.") => {}
            name => self.others.push((name, text)),
        }
    }

    /// Plain text needs no quotes in a field of its own.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JournalLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = fields.message;
        for (name, value) in &fields.others {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={value}");
        }
        let mut entry = entry(event.metadata(), &line);
        for (name, value) in &fields.others {
            put(&mut entry, &key(name), value);
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                for (name, value) in &fields.others {
                    put(&mut entry, &key(name), value);
                }
            }
        }
        if self.socket.send_to(&entry, SOCKET).is_err() {
            let _ = writeln!(
                io::stderr(),
                "<{}>{line}",
                priority(event.metadata().level())
            );
        }
    }
}

/// The part of an entry that every event has.
fn entry(metadata: &Metadata<'_>, line: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(256 + line.len());
    put(
        &mut entry,
        "PRIORITY",
        &priority(metadata.level()).to_string(),
    );
    put(&mut entry, "SYSLOG_IDENTIFIER", "mosaicd");
    put(&mut entry, "MESSAGE", line);
    put(&mut entry, "TARGET", metadata.target());
    entry
}

/// syslog's severities (RFC 5424, section 6.2.1); informational lines are 6, as journalctl's default display has them.
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// A field name as the journal takes it: capitals, digits and underscores, 64 at most.
fn key(name: &str) -> String {
    let plain = name.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    "MOSAICD_".chars().chain(plain).take(64).collect()
}

/// Appends a field in the form with an explicit length, which any value fits.
fn put(entry: &mut Vec<u8>, key: &str, value: &str) {
    entry.extend_from_slice(key.as_bytes());
    entry.push(b'\n');
    entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_form_of_the_protocol() {
        let mut entry = Vec::new();
        put(&mut entry, &key("elapsed_ms"), "12\n3");
        assert_eq!(entry, b"MOSAICD_ELAPSED_MS\n\x04\0\0\0\0\0\0\x0012\n3\n");
        assert_eq!(key("a.b-c"), "MOSAICD_A_B_C");
        assert_eq!(key(&"x".repeat(200)).len(), 64);
    }
}
