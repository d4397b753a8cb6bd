//! The select loop: events in, plan's commands out.

use super::{
    Event, Mode, Next, chain,
    conditions::{SCAN_STUCK_MS, Seen, conditions, undecodable},
    local_minute, reload,
    removal_guard::{RemovalGuard, held_opt_out},
    report::Reporter,
    wall_ms,
    watching::{Check, Watching},
    workers::{Order, Workers},
};
use crate::{
    config::Config,
    domain::{Job, Refusal, Report, Retry},
    ingest::{self, Reading},
    parameters,
    pipeline::PipelineError,
    plan::{Command, Input, Plan},
    publish::names,
    service::{limit::Complaints, signals::Signal, stall::StallTimer, systemd::Notifier},
    store::Store,
    watch::{RootId, WatchEvent, root_id},
};
use std::{
    collections::VecDeque,
    fs,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Name of the file in the state folder with which `mosaicd confirm-removal` tells a running daemon of a confirmation.
pub const CONFIRMATION: &str = "confirm-removal";

/// The loop wakes at least this often: confirmations, the root's identity, the watchdog, the status.
const BEAT: Duration = Duration::from_secs(1);
/// A task that runs longer than this counts as stuck, and systemd's watchdog gets no more messages.
const STUCK_MS: u64 = 3 * 3_600_000;
/// The same holds when files are being read and none of them is finished for this long, in addition to what one may take.
const READING_STUCK_MS: u64 = 600_000;
/// A file that is decoded for longer than this is named.
const LONG: Duration = Duration::from_secs(5);

/// One run of the loop, from opening the rooms to closing them.
pub(super) struct Loop<'a, 'b> {
    config: &'a Config,
    mode: &'a Mode,
    store: &'a dyn Store,
    notifier: &'a Notifier,
    reporter: &'a mut Reporter<'b>,
    events: UnboundedSender<Event>,
    plan: Plan,
    workers: Workers,
    guard: RemovalGuard,
    started: Instant,
    watching: Watching,
    complaints: Complaints,
    ready: bool,
    /// Whether a task runs, and how many have ended.
    tasks: (bool, u64),
    files: u64,
    rebuilding: StallTimer,
    reading: StallTimer,
    scanning: StallTimer,
    /// Whether a scan has not ended for too long.
    scan_stuck: bool,
    /// Whether files wait because the state folder cannot be written.
    blocked: bool,
    /// A mass opt-out that is not erased yet.
    held_opt_out: Option<(String, usize)>,
    /// Which folder the output was a second ago; the outer `None` within the first second, the inner one if it was
    /// gone.
    output: Option<Option<RootId>>,
}

impl<'a, 'b> Loop<'a, 'b> {
    pub(super) fn new(
        (config, mode, store): (&'a Config, &'a Mode, &'a dyn Store),
        notifier: &'a Notifier,
        reporter: &'a mut Reporter<'b>,
        events: UnboundedSender<Event>,
        (plan, workers, guard): (Plan, Workers, RemovalGuard),
    ) -> Self {
        let now = Instant::now();
        Self {
            config,
            mode,
            store,
            notifier,
            reporter,
            events,
            plan,
            workers,
            guard,
            started: now,
            watching: Watching::new(config, matches!(mode, Mode::Once)),
            complaints: Complaints::default(),
            ready: false,
            tasks: (false, 0),
            files: 0,
            rebuilding: StallTimer::default(),
            reading: StallTimer::default(),
            scanning: StallTimer::default(),
            scan_stuck: false,
            blocked: false,
            held_opt_out: None,
            output: None,
        }
    }

    /// Ends the threads, within `limit` if there is one; systemd is told meanwhile that all is well.
    pub(super) fn end(mut self, limit: Option<Duration>) {
        self.guard.keep(&self.plan, true);
        drop(self.watching);
        let notifier = self.notifier;
        self.workers.end(limit, || notifier.watchdog());
    }
}

impl Loop<'_, '_> {
    /// Serves until stopped, idle (in a single pass), or told to reload a good configuration.
    pub(super) async fn serve(
        &mut self,
        inbox: &mut UnboundedReceiver<Event>,
        signals: &mut UnboundedReceiver<Signal>,
    ) -> Next {
        self.watching.watch(&self.events);
        self.plan_on(Input::LocalTime(local_minute()));
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
                if self.workers.any_died() {
                    return Next::Died;
                }
                if self.store.is_lost() {
                    return Next::StateLost;
                }
            }
            if !self.ready && self.plan.has_scanned() {
                self.ready = true;
                self.notifier.ready(&self.reporter.line());
            }
            self.guard.keep(&self.plan, false);
            if matches!(self.mode, Mode::Once) {
                self.confirm();
            }
            self.report(false);
            if self.plan.can_take_over() {
                tracing::info!("the next model has embedded every work; it takes over");
                return Next::TakeOver;
            }
            let settled = self.watching.has_settled() || self.plan.scan_error().is_some();
            if matches!(self.mode, Mode::Once) && settled && self.plan.is_over() {
                self.blocked = self.plan.is_blocked();
                self.report(true);
                return Next::Idle;
            }
        }
    }

    /// Brings the status up to date, if it is time to, or `now`.
    fn report(&mut self, now: bool) {
        let trouble = self.workers.underway().trouble();
        let blocked = self.blocked && trouble.is_none();
        let seen = Seen {
            blocked,
            blind: self.watching.blind(),
            scan_stuck: self.scan_stuck,
        };
        let mut conditions = conditions(&self.plan, &seen);
        conditions.extend(trouble.map(undecodable));
        conditions.extend(self.watching.conditions());
        conditions.extend(self.reporter.conditions());
        if let Some((_, works)) = &self.held_opt_out {
            let hours = self.config.watch.removal_grace_h;
            conditions.push((
                format!("{works} artworks were opted out at once, more than half of all: they are not shown, but not erased yet"),
                format!(
                    "take the pattern back, and they come back as they were; `mosaicd confirm-removal` erases them at \
                     once, otherwise they are erased {hours} h after they left"
                ),
            ));
        }
        let long = self.workers.underway().longer(LONG);
        self.reporter.update(&self.plan, conditions, long, now);
    }

    /// Milliseconds since this loop began.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn handle(&mut self, event: Event) {
        self.reporter.event(&event);
        match event {
            Event::Woken => {
                let events = self.watching.drain();
                events.into_iter().for_each(|event| self.watched(event));
            }
            Event::Scanned {
                scan,
                rules,
                wall_ms: began,
            } => {
                let took = Duration::from_millis(wall_ms().saturating_sub(began));
                let folders = scan.as_ref().map(|scan| &scan.folders);
                let changed = self.watching.scanned(took, rules.clone(), folders.ok());
                if let Some(rules) = rules
                    && (changed || !self.ready)
                {
                    self.workers.order(Order::Rules(rules));
                }
                if let Ok(scan) = &scan {
                    self.watching.found(scan);
                }
                if let Err(error) = &scan {
                    self.warn(
                        "not scanned",
                        &format!("the artwork folder cannot be scanned: {error}"),
                    );
                }
                self.plan_on(Input::Scanned {
                    scan,
                    wall_ms: began,
                });
            }
            Event::Described(described, mistakes) => {
                self.watching.described(&mistakes);
                self.workers.order(Order::Describe(described));
                self.plan_on(Input::Due);
            }
            Event::Ingested(Reading::Slow(job)) => self.plan_on(Input::Slow(job)),
            Event::Ingested(Reading::Ended(outcome)) => {
                self.files += 1;
                match &outcome.result {
                    Ok(hash) => {
                        tracing::debug!(path = %outcome.job.path.display(), %hash, "taken in");
                    }
                    Err(refusal) => self.refused(&outcome.job, refusal),
                }
                self.plan_on(Input::Ingested(outcome));
            }
            Event::Done(result) => self.done(result),
            Event::Ended(found) => {
                let (work, any) = found.work();
                self.workers.order(Order::Take(found));
                self.plan_on(Input::Ended { work, found: any });
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
                    self.watching.scan_asked();
                    self.workers.scan(self.watching.writing());
                }
                Command::Ingest(job) => self.workers.ingest(job),
                Command::Run(task) => {
                    self.tasks.0 = true;
                    self.workers.order(Order::Run(task));
                }
                Command::Background(work) => self.workers.order(Order::Background(work)),
                Command::Look(path) => {
                    let input = self.watching.look(path);
                    commands.extend(self.plan.on(input, now));
                }
            }
        }
    }

    fn watched(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Touched { path, .. } if self.watching.rules().leave_out(&path) => {}
            WatchEvent::Touched { path, touch } => self.plan_on(Input::Touched { path, touch }),
            WatchEvent::Removed { path } | WatchEvent::Subtree(path) => {
                let input = self.watching.look(path);
                self.plan_on(input);
            }
            WatchEvent::Lost => {
                self.watching.lost();
                tracing::info!("events were lost; scanning");
                self.reporter.asked_to_scan();
                self.plan_on(Input::Lost);
            }
            WatchEvent::Instructed { path, writing } => {
                tracing::info!(path = %path.display(), writing, "the owner's file changed; scanning");
                self.watching.instructed(path, writing);
                self.reporter.asked_to_scan();
                self.plan_on(Input::Rescan);
            }
            WatchEvent::Failed(error) => {
                self.watching.failed(chain(&error));
                self.plan_on(Input::Lost);
            }
        }
    }

    fn done(&mut self, result: Result<Report, PipelineError>) {
        self.tasks = (false, self.tasks.1 + 1);
        let result = match result {
            Ok(report) => {
                if report.changed {
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
                }
                if report.changed {
                    self.watching.published();
                }
                self.notifier.status(&self.reporter.line());
                Ok(report)
            }
            Err(error) => {
                let text = chain(&error);
                tracing::debug!(error = text, "not published");
                self.warn(
                    "not published",
                    &format!("{text}; the last good mosaic stays, trying again"),
                );
                Err(text)
            }
        };
        self.plan_on(Input::Done(result));
    }

    fn signalled(&mut self, signal: Signal) -> Option<Next> {
        match signal {
            Signal::Stop => {
                tracing::info!("stopping");
                return Some(Next::Stop);
            }
            Signal::Reload => return self.reload(),
            Signal::Relayout => {
                tracing::info!("making the whole layout again");
                self.plan_on(Input::Relayout);
            }
            Signal::Dump => tracing::info!(status = %self.reporter.digest(), "status"),
        }
        None
    }

    /// Reads the configuration again; only a good one ends this loop.
    fn reload(&mut self) -> Option<Next> {
        if matches!(self.mode, Mode::Once) {
            return None;
        }
        match reload::prove(self.config, self.mode) {
            Ok(new) => Some(Next::Reload(Box::new(new))),
            Err(error) => {
                tracing::error!(%error, "the new configuration is refused; the old one stays in force");
                self.reporter.reload_failed();
                None
            }
        }
    }

    /// Takes in a confirmation. It is meant for one removal, and has no effect on any other.
    fn confirm(&mut self) {
        let confirmation = self.config.folders.state.join(CONFIRMATION);
        if !self.plan.has_scanned() {
            return;
        }
        self.held_opt_out = held_opt_out(&self.config.folders.state);
        let Ok(meant) = fs::read_to_string(&confirmation) else {
            return;
        };
        if let Err(error) = fs::remove_file(&confirmation) {
            tracing::warn!(%error, path = %confirmation.display(), "cannot be removed");
            return;
        }
        let held = self.plan.held().map(|held| held.digest.to_string());
        if held.as_deref() == Some(meant.trim()) {
            tracing::info!("the removal was confirmed");
            self.plan_on(Input::Confirm);
        } else if let Some((digest, _)) = self.held_opt_out.as_ref()
            && digest == meant.trim()
            && let Ok(digest) = digest.parse()
        {
            tracing::info!("the mass opt-out was confirmed");
            self.workers.order(Order::ConfirmErasing(digest));
        } else {
            tracing::warn!("the confirmed removal is not held any more; nothing is removed");
        }
    }

    /// Checks everything that no event reports.
    fn beat(&mut self) {
        self.blocked = self.plan.is_blocked();
        self.complaints.tell_held_back();
        self.reporter.look_at_output();
        self.confirm();
        self.plan_on(Input::LocalTime(local_minute()));
        if matches!(self.mode, Mode::Once) {
            if self.watching.is_due() {
                self.plan_on(Input::Rescan);
            }
            return;
        }
        if self.is_output_lost() {
            self.plan_on(Input::Due);
        }
        match self.watching.beat(&self.events) {
            Check::Same => {}
            Check::Scan => self.plan_on(Input::Rescan),
            Check::OtherRoot => {
                self.warn(
                    "another artwork folder",
                    "an artwork folder is another one now, or gone; watching again, and scanning",
                );
                self.plan_on(Input::Lost);
            }
        }
        let (now, (running, done)) = (self.now_ms(), self.tasks);
        let scanning = (self.plan.is_scanning(), self.plan.scans());
        self.scan_stuck = (self.scanning).is_stuck(scanning.0, scanning.1, now, SCAN_STUCK_MS);
        let reading = self.plan.reading() > 0;
        let longest = ingest::longest(&parameters::allowance(self.config));
        let reading_ms = READING_STUCK_MS + longest.as_millis() as u64;
        if !self.rebuilding.is_stuck(running, done, now, STUCK_MS)
            && !(self.reading).is_stuck(reading, self.files, now, reading_ms)
        {
            self.notifier.watchdog();
        }
    }

    /// Whether the output folder was replaced since the last second, or its manifest is gone: publishing makes it
    /// again.
    fn is_output_lost(&mut self) -> bool {
        let output = &self.config.folders.output;
        let now = root_id(output).ok();
        let replaced = self.output.is_some_and(|before| before != now);
        self.output = Some(now);
        let emptied = now.is_some() && !output.join(names::MANIFEST).exists();
        self.plan.has_published() && (replaced || emptied)
    }

    /// Logs that a file is left out, once for each version of it: the first files by name, the rest as a number.
    fn refused(&mut self, job: &Job, refusal: &Refusal) {
        let error = &refusal.reason;
        let news = match refusal.retry {
            // It is being written, or gone: no news.
            Retry::Look | Retry::NoPicture => false,
            // Not the file's doing: it may happen to it again, and be over in between.
            Retry::Wait => true,
            Retry::Later | Retry::WhenChanged => self.reporter.is_news(job, error),
        };
        let said = news.then(|| self.complaints.admit("files left out"));
        let path = job.path.display();
        match said.flatten() {
            Some(suppressed) => tracing::warn!(
                %path,
                %error,
                suppressed,
                "a file is left out; `mosaicd status` names every one"
            ),
            None => tracing::debug!(%path, %error, "refused"),
        }
    }

    fn warn(&mut self, kind: &str, text: &str) {
        if let Some(suppressed) = self.complaints.admit(kind) {
            tracing::warn!(suppressed, "{text}");
        }
    }
}
