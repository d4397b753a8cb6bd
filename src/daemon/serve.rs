//! The select loop: events in, plan's commands out.

use super::{
    Event, Mode, Next, chain,
    conditions::conditions,
    hold::Hold,
    noticing::{Noticing, Outlook},
    reload,
    report::Reporter,
    threads::Hands,
    wall_ms,
};
use crate::{
    config::Config,
    domain::{Job, Refusal, Report, Retry},
    pipeline::PipelineError,
    plan::{Command, Input, Plan},
    publish::names,
    service::{limit::Complaints, progress::Progress, signals::Signal, systemd::Notifier},
    watch::{RootId, WatchEvent, root_id},
};
use std::{
    collections::VecDeque,
    fs,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Name of the file in the state folder by which `mosaicd confirm-removal` speaks to a running daemon.
pub const CONFIRMATION: &str = "confirm-removal";

/// The loop wakes at least this often: confirmations, the root's identity, the watchdog, the status.
const BEAT: Duration = Duration::from_secs(1);
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
/// The first time sooner, so that frequent restarts do not put it off for good.
const COLLECT_FIRST: Duration = Duration::from_secs(10);

/// One run of the loop, from opening the rooms to closing them.
pub(super) struct Loop<'a, 'b> {
    config: &'a Config,
    mode: &'a Mode,
    notifier: &'a Notifier,
    reporter: &'a mut Reporter<'b>,
    events: UnboundedSender<Event>,
    plan: Plan,
    hands: Hands,
    hold: Hold,
    started: Instant,
    noticing: Noticing,
    complaints: Complaints,
    generation: u64,
    published: Instant,
    measured: u64,
    /// Whether the map may have to follow its arrivals, which it does when nothing else is going on.
    unsettled: bool,
    /// How many things are being computed beside everything else: a polish, quality, words.
    beside: usize,
    /// Whether the grid is to be polished when nothing else is going on.
    wants_polish: bool,
    ready: bool,
    /// Whether a task runs, and how many have ended.
    tasks: (bool, u64),
    files: u64,
    rebuilding: Progress,
    reading: Progress,
    collect_at: Instant,
    /// Whether files wait because the state folder cannot be written.
    blocked: bool,
    /// Which folder the output was a second ago; `None` within the first one, and none if it was gone.
    output: Option<Option<RootId>>,
}

impl<'a, 'b> Loop<'a, 'b> {
    pub(super) fn new(
        (config, mode): (&'a Config, &'a Mode),
        notifier: &'a Notifier,
        reporter: &'a mut Reporter<'b>,
        events: UnboundedSender<Event>,
        (plan, hands, hold): (Plan, Hands, Hold),
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
            hold,
            started: now,
            noticing: Noticing::new(config, matches!(mode, Mode::Once)),
            complaints: Complaints::default(),
            generation: 0,
            published: now,
            measured: 0,
            unsettled: true,
            beside: 0,
            wants_polish: false,
            ready: false,
            tasks: (false, 0),
            files: 0,
            rebuilding: Progress::default(),
            reading: Progress::default(),
            collect_at: now + COLLECT_FIRST,
            blocked: false,
            output: None,
        }
    }

    /// Ends the threads, within `limit` if there is one; systemd is told meanwhile that all is well.
    pub(super) fn end(mut self, limit: Option<Duration>) {
        self.hold.keep(&self.plan, true);
        drop(self.noticing);
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
        self.noticing.watch(&self.events);
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
            self.report(false);
            if self.plan.can_take_over() {
                tracing::info!("the next model has embedded every work; it takes over");
                return Next::TakeOver;
            }
            if self.is_done() {
                self.blocked = self.plan.is_blocked();
                self.report(true);
                return Next::Idle;
            }
        }
    }

    /// Brings the status up to date, if it is time to, or `now`.
    fn report(&mut self, now: bool) {
        let mut conditions = conditions(&self.plan, self.blocked, self.noticing.blind());
        conditions.extend(self.noticing.conditions());
        conditions.extend(self.reporter.conditions());
        self.reporter.update(&self.plan, conditions, now);
    }

    /// Milliseconds since this loop began.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn handle(&mut self, event: Event) {
        self.reporter.event(&event);
        match event {
            Event::Woken => {
                let events = self.noticing.drain();
                events.into_iter().for_each(|event| self.watched(event));
            }
            Event::Scanned {
                scan,
                rules,
                wall_ms: began,
            } => {
                let took = Duration::from_millis(wall_ms().saturating_sub(began));
                let folders = scan.as_ref().map(|scan| &scan.folders);
                let changed = self.noticing.scanned(took, rules.clone(), folders.ok());
                if let Some(rules) = rules
                    && (changed || !self.ready)
                {
                    self.hands.rules(rules);
                }
                if let Ok(scan) = &scan {
                    self.noticing.found(scan);
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
                self.noticing.described(&mistakes);
                self.hands.describe(described);
                self.plan_on(Input::Due);
            }
            Event::Ingested(outcome) => {
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
            Event::Settled(more) => self.unsettled |= more,
            Event::Measured(found) => {
                self.beside -= 1;
                if let Some((quality, twins)) = found {
                    self.hands.grade(quality, twins);
                }
            }
            Event::Polished(done) => {
                self.beside -= 1;
                if let Some(polished) = done {
                    self.hands.polished(polished);
                    self.plan_on(Input::Due);
                }
            }
            Event::Worded(found) => {
                self.beside -= 1;
                if let Some(worded) = found {
                    self.hands.word(worded);
                }
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
                    self.noticing.scan_asked();
                    self.hands.scan(self.noticing.writing());
                }
                Command::Ingest(job) => self.hands.ingest(job),
                Command::Run(task) => {
                    self.tasks.0 = true;
                    self.hands.run(task);
                }
                Command::Look(path) => {
                    let input = self.noticing.look(path);
                    commands.extend(self.plan.on(input, now));
                }
            }
        }
    }

    fn watched(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Touched { path, .. } if self.noticing.rules().leave_out(&path) => {}
            WatchEvent::Touched { path, touch } => self.plan_on(Input::Touched { path, touch }),
            WatchEvent::Removed { path } | WatchEvent::Subtree(path) => {
                let input = self.noticing.look(path);
                self.plan_on(input);
            }
            WatchEvent::Lost => {
                self.noticing.lost();
                tracing::info!("events were lost; scanning");
                self.reporter.asked_to_scan();
                self.plan_on(Input::Rescan);
            }
            WatchEvent::Instructed { path, writing } => {
                tracing::info!(path = %path.display(), writing, "the owner's file changed; scanning");
                self.noticing.instructed(path, writing);
                self.reporter.asked_to_scan();
                self.plan_on(Input::Rescan);
            }
            WatchEvent::Failed(error) => {
                self.noticing.failed(chain(&error));
                self.plan_on(Input::Rescan);
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
                self.wants_polish = report.wants_polish;
                if report.changed {
                    self.noticing.published();
                }
                if report.changed || self.generation == 0 {
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
                    "not published",
                    &format!("{text}; the last good mosaic stays, trying again"),
                );
                Err(text)
            }
        };
        self.plan_on(Input::Done(result));
    }

    /// What is done when nothing else is left: READY, the map's settling, the grid's polish, quality and words.
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
        if self.beside > 0 || !quiet {
            return;
        }
        if self.wants_polish && self.plan.is_idle() {
            (self.beside, self.wants_polish) = (1, false);
            self.hands.polish();
        } else if self.measured != self.generation {
            (self.beside, self.measured) = (2, self.generation);
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

    /// Everything that no event tells.
    fn beat(&mut self) {
        self.blocked = self.plan.is_blocked();
        self.complaints.tell_held_back();
        self.hold.keep(&self.plan, false);
        let confirmation = self.config.folders.state.join(CONFIRMATION);
        if fs::remove_file(&confirmation).is_ok() {
            tracing::info!("the removal was confirmed");
            self.plan_on(Input::Confirm);
        }
        if matches!(self.mode, Mode::Once) {
            if self.noticing.is_due() {
                self.plan_on(Input::Rescan);
            }
            return;
        }
        if self.is_output_lost() {
            self.plan_on(Input::Due);
        }
        match self.noticing.beat(&self.events) {
            Outlook::Same => {}
            Outlook::Scan => self.plan_on(Input::Rescan),
            Outlook::OtherRoot => {
                self.warn(
                    "another artwork folder",
                    "an artwork folder is another one now, or gone; watching and scanning anew",
                );
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
        let now = Instant::now();
        if now > self.collect_at && self.plan.is_calm() {
            self.collect_at = now + COLLECT;
            self.hands.collect();
        }
    }

    /// Whether the output folder is another one than a second ago, or its manifest is gone: publishing makes it again.
    fn is_output_lost(&mut self) -> bool {
        let output = &self.config.folders.output;
        let now = root_id(output).ok();
        let replaced = self.output.is_some_and(|before| before != now);
        self.output = Some(now);
        let emptied = now.is_some() && !output.join(names::MANIFEST).exists();
        self.generation > 0 && self.plan.is_calm() && (replaced || emptied)
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
        let settled = self.noticing.has_settled() || failing;
        (self.plan.is_idle() || stuck || failing) && self.beside == 0 && settled
    }

    /// Says that a file is left out, once as it is: the first ones by name, the rest by their number.
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
