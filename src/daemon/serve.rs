//! The select loop: events in, plan's commands out.

use super::{Event, Mode, Next, chain, report::Reporter, rooms, threads::Hands, wall_ms};
use crate::{
    config::{Change, Config, WatchMode, changes},
    ingest::{Refusal, Retry},
    pipeline::{PipelineError, Report},
    plan::{Command, Input, Plan},
    service::{limit::Limited, progress::Progress, signals::Signal, systemd::Notifier},
    watch::{Ignore, RootId, Roots, Rules, WatchEvent, Watchers},
};
use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Name of the file in the state folder by which `mosaicd confirm-removal` speaks to a running daemon.
pub const CONFIRMATION: &str = "confirm-removal";

/// The loop wakes at least this often: confirmations, the root's identity, the watchdog, the status.
const BEAT: Duration = Duration::from_secs(1);
/// Without events, scans come this often, and at most a tenth of the time is spent scanning.
const POLL: Duration = Duration::from_secs(3);
/// A watcher that failed is started again this often, and any other asked whether it still answers.
const WATCH_AGAIN: Duration = Duration::from_secs(60);
/// In a single pass, files still being written are waited for this long.
const LINGER_MS: u64 = 30_000;
/// The quality is computed when nothing was published for this long: it takes seconds of one core in large collections.
const MEASURE_AFTER: Duration = Duration::from_secs(10);
/// A task that runs longer than this is taken for stuck, and the watchdog is not fed any more.
const STUCK_MS: u64 = 3 * 3_600_000;
/// Likewise when files are being read and none of them gets done: the largest takes seconds.
const READING_STUCK_MS: u64 = 600_000;
/// Old generations and unneeded cells are collected this often, when nothing else is going on.
const COLLECT: Duration = Duration::from_secs(60);

/// One run of the loop, from opening the rooms to closing them.
pub(super) struct Loop<'a, 'b> {
    config: &'a Config,
    mode: &'a Mode,
    notifier: &'a Notifier,
    reporter: &'a mut Reporter<'b>,
    events: UnboundedSender<Event>,
    plan: Plan,
    hands: Hands,
    started: Instant,
    roots: Roots,
    rules: Rules,
    watcher: Option<Watchers>,
    /// Why changes are noticed by scans alone; `None` while events come.
    blind: Option<String>,
    watch_tried: Instant,
    root_ids: Vec<Option<RootId>>,
    scan_asked: Instant,
    scan_took: Duration,
    limited: Limited,
    generation: u64,
    published: Instant,
    measured: u64,
    /// Whether the map may have to follow its arrivals, which it does when nothing else is going on.
    unsettled: bool,
    measuring: bool,
    ready: bool,
    /// Whether a task runs, and how many have ended.
    tasks: (bool, u64),
    files: u64,
    rebuilding: Progress,
    reading: Progress,
    collected: Instant,
    /// Whether files wait because the state folder cannot be written.
    blocked: bool,
}

impl<'a, 'b> Loop<'a, 'b> {
    pub(super) fn new(
        (config, mode): (&'a Config, &'a Mode),
        notifier: &'a Notifier,
        reporter: &'a mut Reporter<'b>,
        events: UnboundedSender<Event>,
        (plan, hands): (Plan, Hands),
    ) -> Self {
        let now = Instant::now();
        Self {
            config,
            mode,
            notifier,
            reporter,
            events,
            plan,
            hands,
            started: now,
            roots: rooms::roots(config),
            rules: Rules::default(),
            watcher: None,
            blind: None,
            watch_tried: now,
            root_ids: Vec::new(),
            scan_asked: now,
            scan_took: Duration::ZERO,
            limited: Limited::new(3, 600_000),
            generation: 0,
            published: now,
            measured: 0,
            unsettled: true,
            measuring: false,
            ready: false,
            tasks: (false, 0),
            files: 0,
            rebuilding: Progress::default(),
            reading: Progress::default(),
            collected: now,
            blocked: false,
        }
    }

    /// Ends the threads, within `limit` if there is one; systemd is told meanwhile that all is well.
    pub(super) fn end(self, limit: Option<Duration>) {
        drop(self.watcher);
        let notifier = self.notifier;
        self.hands.end(limit, || notifier.watchdog());
    }
}

impl Loop<'_, '_> {
    /// Serves until stopped, idle (in a single pass), or told to reload a good configuration.
    pub(super) async fn serve(
        &mut self,
        inbox: &mut UnboundedReceiver<Event>,
        signals: &mut UnboundedReceiver<Signal>,
    ) -> Next {
        self.watch();
        self.plan_on(Input::Start);
        let mut beat = Instant::now();
        loop {
            let now = self.now_ms();
            let wait = self
                .plan
                .next_deadline()
                .map_or(BEAT, |at| Duration::from_millis(at.saturating_sub(now)));
            tokio::select! {
                biased;
                Some(signal) = signals.recv() => {
                    if let Some(next) = self.signalled(signal) {
                        return next;
                    }
                }
                Some(event) = inbox.recv() => self.handle(event),
                () = tokio::time::sleep(wait.min(BEAT)) => self.plan_on(Input::Tick),
            }
            if beat.elapsed() >= BEAT {
                beat = Instant::now();
                self.beat();
                if self.hands.any_died() {
                    return Next::Died;
                }
            }
            self.settle_down();
            self.reporter.update(&self.plan, self.conditions(), false);
            if self.plan.can_take_over() {
                tracing::info!("the next model has embedded every work; it takes over");
                return Next::TakeOver;
            }
            if self.is_done() {
                self.blocked = self.plan.is_blocked();
                self.reporter.update(&self.plan, self.conditions(), true);
                return Next::Idle;
            }
        }
    }

    /// Milliseconds since this loop began.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn handle(&mut self, event: Event) {
        self.reporter.event(&event);
        match event {
            Event::Woken => {
                let events = self.watcher.as_ref().map_or(Vec::new(), Watchers::drain);
                events.into_iter().for_each(|event| self.watched(event));
            }
            Event::Scanned {
                scan,
                rules,
                wall_ms: began,
            } => {
                self.scan_took = Duration::from_millis(wall_ms().saturating_sub(began));
                if self.rules.digest() != rules.digest() || !self.ready {
                    self.hands.rules(rules.clone());
                }
                self.rules = rules;
                if let Err(error) = &scan {
                    self.warn(
                        "scan",
                        &format!("the artwork folder cannot be scanned: {error}"),
                    );
                }
                self.plan_on(Input::Scanned {
                    scan,
                    wall_ms: began,
                });
            }
            Event::Described(described, _) => {
                self.hands.describe(described);
                self.plan_on(Input::Described);
            }
            Event::Ingested(outcome) => {
                self.files += 1;
                match &outcome.result {
                    Ok(hash) => {
                        tracing::debug!(path = %outcome.job.path.display(), %hash, "taken in");
                    }
                    Err(refusal) => self.refused(&outcome.job.path, refusal),
                }
                self.plan_on(Input::Ingested(outcome));
            }
            Event::Done(result) => self.done(result),
            Event::Settled(more) => self.unsettled |= more,
            Event::Measured(quality, twins) => {
                self.measuring = false;
                self.hands.grade(quality, twins);
            }
        }
    }

    /// Tells the plan and carries its commands out.
    fn plan_on(&mut self, input: Input) {
        let now = self.now_ms();
        let mut commands: VecDeque<Command> = self.plan.on(input, now).into();
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Scan => {
                    self.scan_asked = Instant::now();
                    self.hands.scan();
                }
                Command::Ingest(job) => self.hands.ingest(job),
                Command::Run(task) => {
                    self.tasks.0 = true;
                    self.hands.run(task);
                }
                Command::Look(path) => {
                    let input = self.look(path);
                    commands.extend(self.plan.on(input, now));
                }
            }
        }
    }

    /// Looks at a path.
    fn look(&self, path: PathBuf) -> Input {
        let wall_ms = wall_ms();
        match self.roots.look(&path, &self.rules) {
            Ok(scan) => Input::Looked {
                path,
                scan,
                wall_ms,
            },
            // The artwork folder itself is not there: the scan will say so.
            Err(_) => Input::Rescan,
        }
    }

    fn watched(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Touched { path, .. } if self.rules.leave_out(&path) => {}
            WatchEvent::Touched { path, touch } => self.plan_on(Input::Touched { path, touch }),
            WatchEvent::Removed { path } | WatchEvent::Subtree(path) => {
                let input = self.look(path);
                self.plan_on(input);
            }
            WatchEvent::Rescan => {
                tracing::info!(
                    "events were lost, or .mosaicignore or artworks.csv changed; scanning"
                );
                self.reporter.asked_to_scan();
                self.plan_on(Input::Rescan);
            }
            WatchEvent::Failed(error) => {
                self.blind = Some(chain(&error));
                self.plan_on(Input::Rescan);
            }
        }
    }

    /// Starts to watch, where events are wanted and can be trusted.
    fn watch(&mut self) {
        self.root_ids = self.roots.ids();
        self.watcher = None;
        self.watch_tried = Instant::now();
        let network = self.roots.any_on_network();
        let wanted = self.config.watch.mode;
        if matches!(self.mode, Mode::Once) {
            self.blind = None;
            return;
        }
        if wanted == WatchMode::Scan || (network && wanted == WatchMode::Auto) {
            self.blind =
                Some("watch.mode is \"scan\", or the folder is on a network file system".into());
            return;
        }
        let events = self.events.clone();
        match self.roots.watch(move || drop(events.send(Event::Woken))) {
            Ok(watcher) => (self.watcher, self.blind) = (Some(watcher), None),
            Err(error) => self.blind = Some(chain(&error)),
        }
    }

    fn done(&mut self, result: Result<Report, PipelineError>) {
        self.tasks = (false, self.tasks.1 + 1);
        let result = match result {
            Ok(report) => {
                if report.generation != self.generation {
                    tracing::info!(
                        generation = report.generation,
                        artworks = report.works,
                        added = report.moves.added,
                        removed = report.moves.removed,
                        changed = report.rebuilt.changed,
                        moved = report.moves.moved,
                        grown = report.moves.grown,
                        tiles = report.tiles,
                        elapsed_ms = report.elapsed().as_millis() as u64,
                        "published"
                    );
                    self.generation = report.generation;
                    self.published = Instant::now();
                    self.unsettled = true;
                    self.notifier.status(&self.reporter.line());
                }
                Ok(report)
            }
            Err(error) => {
                let text = chain(&error);
                tracing::debug!(error = text, "not published");
                self.warn(
                    "rebuild",
                    &format!("{text}; the last good mosaic stays, trying again"),
                );
                Err(text)
            }
        };
        self.plan_on(Input::Done(result));
    }

    /// What is done when nothing else is left: READY, quality, collection.
    fn settle_down(&mut self) {
        if !self.ready && self.plan.has_scanned() {
            self.ready = true;
            self.notifier.ready(&self.reporter.line());
        }
        if !self.plan.is_calm() || self.generation == 0 {
            return;
        }
        let quiet = matches!(self.mode, Mode::Once) || self.published.elapsed() > MEASURE_AFTER;
        if self.unsettled && self.plan.is_idle() && matches!(self.mode, Mode::Watch { .. }) {
            self.unsettled = false;
            self.hands.settle();
        }
        if !self.measuring && quiet && self.measured != self.generation {
            (self.measuring, self.measured) = (true, self.generation);
            self.hands.measure();
        }
    }

    fn signalled(&mut self, signal: Signal) -> Option<Next> {
        match signal {
            Signal::Stop => {
                tracing::info!("stopping");
                return Some(Next::Stop);
            }
            Signal::Reload => return self.reload(),
            Signal::Relayout => {
                tracing::info!("laying everything out afresh");
                self.plan_on(Input::Relayout);
            }
            Signal::Dump => tracing::info!(status = %self.reporter.json(), "status"),
        }
        None
    }

    /// Proves a new configuration; only a good one ends this loop.
    fn reload(&mut self) -> Option<Next> {
        let Mode::Watch { reload, level } = self.mode else {
            return None;
        };
        // As the file has it, to say which of its changes wait for a restart.
        let mut wanted = self.config.clone();
        let proven = reload()
            .map_err(|error| error.to_string())
            .and_then(|mut config| {
                wanted.clone_from(&config);
                config.folders.state.clone_from(&self.config.folders.state);
                rooms::check_folders(&config).map_err(|error| error.to_string())?;
                Ignore::new(&config.watch.ignore).map_err(|error| chain(&error))?;
                let encoder = rooms::open_encoder(&config).map_err(|error| error.to_string())?;
                if let Some(level) = level {
                    level
                        .set(&config.log.level)
                        .map_err(|error| error.to_string())?;
                }
                Ok((config, encoder))
            });
        match proven {
            Ok(new) => {
                let changed = changes(self.config, &wanted);
                let said = if changed.is_empty() {
                    "nothing changed".to_owned()
                } else {
                    let said: Vec<String> = changed.iter().map(Change::to_string).collect();
                    said.join("; ")
                };
                tracing::info!(
                    changed = changed.len(),
                    "the configuration was read again: {said}"
                );
                if changed.iter().any(|change| change.at_restart) {
                    tracing::warn!(
                        "some of these changes wait for a restart: systemctl restart mosaicd"
                    );
                }
                Some(Next::Reload(Box::new(new)))
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration is refused; the old one stays in force");
                self.reporter.reload_failed();
                None
            }
        }
    }

    /// Everything that no event tells.
    fn beat(&mut self) {
        self.blocked = self.plan.is_blocked();
        let confirmation = self.config.folders.state.join(CONFIRMATION);
        if fs::remove_file(&confirmation).is_ok() {
            tracing::info!("the removal was confirmed");
            self.plan_on(Input::Confirm);
        }
        if matches!(self.mode, Mode::Once) {
            return;
        }
        if self.roots.ids() != self.root_ids {
            self.warn(
                "root",
                "an artwork folder is another one now, or gone; watching and scanning anew",
            );
            self.watch();
            self.plan_on(Input::Rescan);
        } else if self.blind.is_some() {
            if self.watch_tried.elapsed() > WATCH_AGAIN {
                self.watch();
                if self.blind.is_none() {
                    self.plan_on(Input::Rescan);
                }
            }
            if self.scan_asked.elapsed() > POLL.max(10 * self.scan_took) {
                self.plan_on(Input::Rescan);
            }
        } else if let Some(watcher) = &self.watcher
            && self.watch_tried.elapsed() > WATCH_AGAIN
        {
            self.watch_tried = Instant::now();
            if !watcher.are_alive() {
                self.warn(
                    "watcher",
                    "the watcher does not answer; watching and scanning anew",
                );
                self.watch();
                self.plan_on(Input::Rescan);
            }
        }
        let (now, (running, done)) = (self.now_ms(), self.tasks);
        let reading = self.plan.reading() > 0;
        if !self.rebuilding.is_stuck(running, done, now, STUCK_MS)
            && !(self.reading).is_stuck(reading, self.files, now, READING_STUCK_MS)
        {
            self.notifier.watchdog();
        }
        if self.collected.elapsed() > COLLECT && self.plan.is_calm() {
            self.collected = Instant::now();
            self.hands.collect();
        }
    }

    /// What keeps the daemon from doing its whole job: (what, what to do).
    fn conditions(&self) -> Vec<(String, String)> {
        let mut conditions = Vec::new();
        let mut add = |what: String, advice: &str| conditions.push((what, advice.to_owned()));
        if let Some(error) = self.plan.scan_error() {
            add(
                format!("the artwork folder cannot be scanned: {error}"),
                "mount or make it again; the last good mosaic stays until then",
            );
        }
        if let Some(held) = self.plan.held() {
            add(
                format!(
                    "{} artworks vanished at once, and nobody was seen to delete them",
                    held.missing
                ),
                "bring them back (a lost mount?), or run `mosaicd confirm-removal`",
            );
        }
        if let Some(error) = self.plan.failing() {
            add(
                error.to_owned(),
                "make space or repair the disk; it heals by itself then",
            );
        }
        if self.blocked {
            add(
                "some files cannot be taken in: the state folder cannot be written".into(),
                "make space in the state folder or repair its disk; they are tried again",
            );
        }
        if let Some(shadow) = self.plan.shadow()
            && let Some((failed, error)) = shadow.failures()
            && shadow.is_over()
        {
            add(
                format!("the new model fails on {failed} artworks: {error}"),
                "the old model stays; mend embed.model and reload",
            );
        }
        if let Some(error) = &self.blind
            && self.config.watch.mode != WatchMode::Scan
        {
            add(
                format!("changes are noticed by scans alone: {error}"),
                "set watch.mode = \"scan\" to accept it, or mend the cause; it is tried again every minute",
            );
        }
        conditions
    }

    /// Whether a single pass has nothing left to do.
    fn is_done(&self) -> bool {
        if !matches!(self.mode, Mode::Once) {
            return false;
        }
        let stuck = self.plan.settling() > 0
            && self.plan.settling() == self.plan.pending()
            && self.now_ms() > LINGER_MS;
        let failing = self.plan.failing().is_some() || self.plan.scan_error().is_some();
        (self.plan.is_idle() || stuck || failing) && !self.measuring
    }

    /// Says that a file is left out: the first ones by name, the rest by their number.
    fn refused(&mut self, path: &Path, refusal: &Refusal) {
        let now = self.now_ms();
        let kind = match refusal.retry() {
            // It is being written, or gone: no news.
            Retry::Look => None,
            _ => self.limited.admit("refused", now),
        };
        match kind {
            Some(suppressed) => tracing::warn!(
                path = %path.display(),
                error = %chain(refusal),
                suppressed,
                "a file is left out; `mosaicd status` names every one"
            ),
            None => tracing::debug!(path = %path.display(), error = %refusal, "refused"),
        }
    }

    fn warn(&mut self, kind: &str, text: &str) {
        let now = self.now_ms();
        if let Some(suppressed) = self.limited.admit(kind, now) {
            tracing::warn!(suppressed, "{text}");
        }
    }
}
