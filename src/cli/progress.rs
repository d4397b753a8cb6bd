//! Progress of a command: bars with rate and time left on a terminal, plain lines otherwise.

use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressStyle};
use mosaicd::{config::Config, daemon::Exit, demo, service::status::Status};
use std::{
    io::{self, IsTerminal},
    path::Path,
    time::{Duration, Instant},
};

/// Plain lines come this often at most.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of a build.
pub(crate) struct ProgressView {
    bar: ProgressBar,
    terminal: bool,
    said: Instant,
    began: Instant,
}

impl ProgressView {
    /// A view before the first status.
    pub(crate) fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = bar(0, "reading");
        Self {
            bar,
            terminal,
            said: Instant::now(),
            began: Instant::now(),
        }
    }

    /// Shows a status.
    pub(crate) fn show(&mut self, status: &Status) {
        let Some(progress) = &status.progress else {
            return;
        };
        if progress.total > 0 {
            self.bar.set_length(progress.total);
            self.bar.set_position(progress.done);
        }
        let left = progress.left_s.map(Duration::from_secs);
        let left = left.map_or(String::new(), |left| {
            format!(", about {} left", HumanDuration(left))
        });
        self.bar
            .set_message(format!("{}{left}", label(&progress.stage)));
        if !self.terminal && self.said.elapsed() > LINE_EVERY {
            self.said = Instant::now();
            match progress.total {
                0 => eprintln!("{}{left}", label(&progress.stage)),
                total => eprintln!(
                    "{} {}/{total}{}",
                    label(&progress.stage),
                    progress.done,
                    rate_and_time_left(progress.done, total, self.began.elapsed())
                ),
            }
        }
    }

    /// Says how it ended.
    pub(crate) fn finish(&mut self, exit: &Exit, config: &Config) {
        self.bar.finish_and_clear();
        let (Exit::Idle(status) | Exit::Stopped(status)) = exit;
        let counts = &status.counts;
        let grid = status.grid.map_or(String::new(), |g| {
            format!(" on a grid of {} × {}", g.cols, g.rows)
        });
        eprintln!(
            "{} artworks{grid}, {} could not be used, {:.1} s",
            counts.works,
            counts.failed,
            self.began.elapsed().as_secs_f64()
        );
        if counts.failed > 0 {
            eprintln!("`mosaicd status` names them with their reasons");
        }
        if counts.works == 0 && counts.failed == 0 {
            for (_, folder) in config.watched() {
                eprintln!("no pictures are in {}", folder.display());
            }
        }
        let output = &config.folders.output;
        eprintln!("mosaic  {}", output.join("mosaic.jpg").display());
        eprintln!("viewer  {}", output.join("index.html").display());
    }
}

/// Shows the progress of a download or copy.
pub(crate) struct Transfer {
    bar: ProgressBar,
    name: &'static str,
    total: u64,
    begun: bool,
    said: Instant,
}

impl Transfer {
    /// A transfer of `total` bytes that has not begun.
    pub(crate) fn new(name: &'static str, total: u64) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = if terminal {
            let template = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes}  \
                            {decimal_bytes_per_sec:>12}  {eta} left";
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_message(name)
        } else {
            eprintln!("fetching {name}, {}", DecimalBytes(total));
            ProgressBar::hidden()
        };
        Self {
            bar,
            name,
            total,
            begun: false,
            said: Instant::now(),
        }
    }

    /// So many bytes are there.
    pub(crate) fn at(&mut self, have: u64) {
        self.bar.set_position(have);
        if !self.begun {
            // What an earlier attempt left behind says nothing about the rate.
            self.begun = true;
            self.bar.reset_eta();
        }
        if self.bar.is_hidden() && self.said.elapsed() > LINE_EVERY {
            self.said = Instant::now();
            let (have, total) = (DecimalBytes(have), DecimalBytes(self.total));
            eprintln!("fetching {}, {have} of {total}", self.name);
        }
    }

    /// Something worth a line happened.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// It is whole and right.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows how many of a known number of steps are done.
pub(super) struct Steps {
    bar: ProgressBar,
    message: &'static str,
    total: u64,
    done: u64,
    began: Instant,
    said: Instant,
}

impl Steps {
    /// So many steps, none of which is done.
    pub(super) fn new(total: u64, message: &'static str) -> Self {
        Self {
            bar: bar(total, message),
            message,
            total,
            done: 0,
            began: Instant::now(),
            said: Instant::now(),
        }
    }

    /// One more is done.
    pub(super) fn one(&mut self) {
        self.done += 1;
        self.bar.inc(1);
        if self.bar.is_hidden() && self.said.elapsed() > LINE_EVERY {
            self.said = Instant::now();
            let rate = rate_and_time_left(self.done, self.total, self.began.elapsed());
            eprintln!("{} {}/{}{rate}", self.message, self.done, self.total);
        }
    }

    /// The last one was done.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

/// Draws sample artworks with progress.
pub(crate) fn draw_samples(folder: &Path, count: usize, size: u32, seed: u64) -> io::Result<()> {
    let bar = bar(count as u64, "drawing");
    if bar.is_hidden() {
        eprintln!("drawing {count} artworks into {}", folder.display());
    }
    demo::write_samples(folder, count, size, seed, |done| {
        bar.set_position(done as u64)
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// A bar on a terminal, otherwise nothing.
pub(super) fn bar(length: u64, message: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{msg:9} {wide_bar} {human_pos}/{human_len}  {per_sec:>12}  {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length)
        .with_style(style)
        .with_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Rate and time left, once they can be estimated.
fn rate_and_time_left(done: u64, total: u64, took: Duration) -> String {
    let rate = done as f64 / took.as_secs_f64().max(1e-3);
    if done == 0 || total <= done {
        return String::new();
    }
    let left = HumanDuration(Duration::from_secs_f64((total - done) as f64 / rate));
    format!(", {rate:.1}/s, {left} left")
}

fn label(stage: &str) -> &'static str {
    match stage {
        "scan" => "scanning",
        "embed" => "reading",
        "layout" => "arranging",
        _ => "working",
    }
}
