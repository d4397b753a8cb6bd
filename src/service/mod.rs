//! The daemon as a service: signals, systemd, logs, `status.json`, `metrics.prom`.
//!
//! The door of the room. The files do not depend on each other; `main` and `daemon` call them:
//!
//! | file | owns |
//! | --- | --- |
//! | `signals` | Unix signals → [`signals::Signal`] |
//! | `systemd` | readiness, reload, status text, watchdog ([`systemd::Notifier`]) |
//! | `telemetry` | where log lines go and in which form; `journald` is one of those forms |
//! | `panics` | panics as log lines |
//! | `limit` | rate limit for repeated warnings (pure) |
//! | `status` | the schema of `status.json` (pure) |
//! | `human` | the text of `mosaicd status` (pure) |
//! | `metrics` | counters and the text of `metrics.prom` (pure); `site` adds a label to it |
//! | `machine` | free disk space and memory, for the metrics |
//! | `check` | the verdict of `mosaicd status --check` (pure) |
//! | `stall` | whether work goes on, for the watchdog (pure) |
//! | `escape` | making foreign names harmless in all of the above (pure) |
//!
//! Nothing here writes a file: `status.json` and `metrics.prom` are text that `publish` puts on disk.
//!
//! Invariant: a file name never reaches a terminal, a log line or systemd with a control character in it.

pub mod check;
pub mod escape;
pub mod human;
mod journald;
pub mod limit;
pub mod machine;
pub mod metrics;
mod panics;
pub mod signals;
pub mod site;
pub mod stall;
pub mod status;
pub mod systemd;
pub mod telemetry;
