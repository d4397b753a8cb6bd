//! The daemon's status: collected here, written to `status.json` and `metrics.prom`, and passed to the caller that
//! observes it.

use super::{
    Event, background::Found, on_publish::Hook, serving::Encoders, time_left::TimeLeft, wall_ms,
};
use crate::{
    config::Config,
    describe::Mistake,
    disk,
    domain::{Job, Refusal, Report, Retry, SkipReason, manifest::GridSize},
    ingest::Reading,
    pipeline::portable,
    plan::Plan,
    publish::Notes,
    service::{
        limit::Said,
        machine::Machine,
        metrics::{self, Metrics},
        site,
        status::{
            Condition, Counts, Decoding, Failure, Kind, LIFE_MS, NextModel, Progress, State, Status,
        },
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The files that it writes.
const FILES: [&str; 2] = ["status.json", "metrics.prom"];

/// The status is written this often at most.
const EVERY_MS: u64 = 500;

/// Failures listed by name at most; the rest is counted (a folder of junk must not make a status of megabytes).
const LISTED: usize = 10_000;

/// Failures named in a line of the log at most.
const LOGGED: usize = 20;

/// Collects and writes the status.
pub(super) struct Reporter<'a> {
    observe: &'a mut dyn FnMut(&Status),
    status: Status,
    metrics: Metrics,
    notes: Option<Notes>,
    /// When the status was written last. Not by the wall clock, which may be set back.
    written: Option<Instant>,
    /// Since when files have been pending without a break.
    pending_since: Option<Instant>,
    since: BTreeMap<String, u64>,
    done: u64,
    /// What the status on disk was made from: the plan's inputs, the numbers of conditions and of files that take long.
    seen: (u64, usize, usize),
    /// What is wrong with the owner's table of descriptions.
    mistakes: Vec<Mistake>,
    /// When each failure was first reported, by path and reason.
    failed: HashMap<(String, String), u64>,
    /// How long an arrangement will still take.
    time_left: TimeLeft,
    /// Where the status is written.
    folder: PathBuf,
    /// Why the output folder cannot be written, as of the last look.
    unwritable: Option<String>,
    /// Files that were logged as left out, as they were then; a reload reads them again.
    warned: Said,
    /// What is started after each generation.
    hook: Option<Hook>,
    /// Value of the label `site`.
    site: String,
    /// Folders whose free space is measured, by name.
    measured: [(&'static str, PathBuf); 2],
}

impl<'a> Reporter<'a> {
    pub(super) fn new(observe: &'a mut dyn FnMut(&Status)) -> Self {
        let status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            state: State::Starting,
            started_ms: wall_ms(),
            ..Status::default()
        };
        Self {
            observe,
            status,
            metrics: Metrics::default(),
            notes: None,
            written: None,
            pending_since: None,
            since: BTreeMap::new(),
            done: 0,
            seen: (0, 0, 0),
            mistakes: Vec::new(),
            failed: HashMap::new(),
            time_left: TimeLeft::default(),
            folder: PathBuf::new(),
            unwritable: None,
            warned: Said::default(),
            hook: None,
            site: String::new(),
            measured: [("output", PathBuf::new()), ("state", PathBuf::new())],
        }
    }

    /// Takes over what a reload may have changed.
    pub(super) fn configure(&mut self, config: &Config, encoders: &Encoders) {
        self.hook = Hook::new(&config.publish, &config.folders.output);
        self.notes = self.open_notes(config);
        self.place(config);
        // A new plan counts its inputs from nothing, and may come to the same number.
        self.seen = (u64::MAX, 0, 0);
        encoders.serving.name().clone_into(&mut self.status.model);
        self.status.next_model = encoders.next.as_ref().map(|next| NextModel {
            model: next.name().to_owned(),
            ..NextModel::default()
        });
    }

    /// Where status and metrics lie, and what they measure.
    fn place(&mut self, config: &Config) {
        self.site.clone_from(&config.status.site);
        config.status_folder().clone_into(&mut self.folder);
        self.measured = [
            ("output", config.folders.output.clone()),
            ("state", config.folders.state.clone()),
        ];
    }

    /// Opens the folder of status and metrics. Copies that an earlier version published are removed from the output
    /// folder, unless they belong there now.
    fn open_notes(&self, config: &Config) -> Option<Notes> {
        let (folder, output) = (config.status_folder(), &config.folders.output);
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if real(folder) != real(output) {
            for name in FILES {
                let path = output.join(name);
                match fs::remove_file(&path) {
                    Ok(()) => {
                        tracing::info!(path = %path.display(), "removed: status and metrics are private now, see status.folder")
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "cannot be removed, though status and metrics are private now, see status.folder");
                    }
                }
            }
        }
        let opened = Notes::open(folder);
        opened
            .inspect_err(|error| tracing::warn!(%error, "status and metrics cannot be written; see status.folder"))
            .ok()
    }

    /// Learns from an event before the plan gets it.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Scanned { wall_ms: began, .. } => {
                let took = Duration::from_millis(wall_ms().saturating_sub(*began));
                self.metrics.scan(took);
            }
            Event::Described(_, mistakes) => self.mistakes.clone_from(mistakes),
            Event::Ingested(Reading::Ended(outcome)) => {
                self.done += 1;
                if let Some(took) = outcome.embedded {
                    self.metrics.embedded += 1;
                    self.metrics.stage("embed", took);
                }
                let failed = |refusal: &Refusal| refusal.retry != Retry::NoPicture;
                let failed = outcome.result.as_ref().is_err_and(failed);
                self.metrics.file_failures += u64::from(failed);
            }
            Event::Done(Ok(report)) => {
                self.time_left.done(Instant::now());
                self.published(report);
            }
            Event::Done(Err(_)) => self.metrics.rebuild_failures += 1,
            Event::Ended(Found::Measure(Some((quality, twins)))) => {
                self.status.quality = Some(*quality);
                self.status.counts.twins = twins.iter().map(|group| group.len() as u64 - 1).sum();
            }
            Event::Ingested(Reading::Slow(_)) | Event::Ended(_) | Event::Woken => {}
        }
    }

    /// Counts a scan that the watcher asked for.
    pub(super) fn asked_to_scan(&mut self) {
        self.metrics.watch_rescans += 1;
    }

    /// Whether a file, as it is now, is logged as left out for this reason for the first time.
    pub(super) fn is_news(&mut self, job: &Job, reason: &str) -> bool {
        self.warned.is_news((job, reason))
    }

    /// Says that the daemon starts; it may not be [configured](Self::configure) yet.
    pub(super) fn starting(&mut self, config: &Config) {
        self.place(config);
        self.write(wall_ms());
    }

    /// Counts a store that was damaged and set aside.
    pub(super) fn store_healed(&mut self) {
        self.metrics.store_quarantines += 1;
    }

    /// Counts a configuration refused at a reload.
    pub(super) fn reload_failed(&mut self) {
        self.metrics.reload_failures += 1;
    }

    fn published(&mut self, report: &Report) {
        let status = &mut self.status;
        for (stage, took) in &report.stages {
            self.metrics.stage(stage, *took);
            status
                .stages_ms
                .insert((*stage).to_owned(), took.as_secs_f64() * 1e3);
        }
        if report.changed {
            self.metrics.generation(&report.moves);
            if let Some(hook) = &self.hook {
                hook.published(report);
            }
        }
        status.moves = report.moves.clone();
        status.drift = report.drift;
        status.generation = report.generation;
        status.published_ms = Some(report.published_ms);
        status.counts.works = report.works as u64;
        let (cols, rows) = report.grid;
        status.grid = Some(GridSize {
            cols,
            rows,
            cell_px: report.cell_px,
        });
        status.store_bytes = report.store_bytes;
        if report.store_healed {
            self.store_healed();
        }
    }

    /// Brings the status up to date with the plan, and writes it if it is time to, or `now`.
    pub(super) fn update(
        &mut self,
        plan: &Plan,
        conditions: Vec<(String, String)>,
        long: Vec<(PathBuf, Duration)>,
        now: bool,
    ) {
        let wall = wall_ms();
        let seen = (plan.inputs(), conditions.len(), long.len());
        let age = self.written.map(|written| written.elapsed());
        let due_ms = if seen == self.seen { LIFE_MS } else { EVERY_MS };
        if !now && age.is_some_and(|age| age < Duration::from_millis(due_ms)) {
            return;
        }
        self.seen = seen;
        let pending = plan.pending() as u64;
        if pending == 0 {
            self.done = 0;
        }
        let since = self.pending_since.unwrap_or_else(Instant::now);
        self.pending_since = (pending > 0).then_some(since);
        let ago_ms = |since: Instant| wall.saturating_sub(since.elapsed().as_millis() as u64);
        self.status.pending_since_ms = self.pending_since.map(ago_ms);
        self.since
            .retain(|what, _| conditions.iter().any(|(known, _)| known == what));
        let degraded = conditions.into_iter().map(|(what, what_to_do)| Condition {
            since_ms: *self.since.entry(what.clone()).or_insert(wall),
            what,
            what_to_do,
        });
        let status = &mut self.status;
        status.degraded = degraded.collect();
        let named = |(path, took): (PathBuf, Duration)| Decoding {
            path: portable(&path),
            since_ms: wall.saturating_sub(took.as_millis() as u64),
        };
        status.decoding = long.into_iter().map(named).collect();
        status.state = match () {
            () if status.generation == 0 && !plan.is_idle() => State::Starting,
            () if !status.degraded.is_empty() => State::Degraded,
            () if plan.is_idle() => State::Idle,
            () => State::Working,
        };
        if let (Some(next), Some(shadow)) = (&mut status.next_model, plan.shadow()) {
            let (done, total) = shadow.progress();
            (next.done, next.total) = (done as u64, total as u64);
        }
        let unread = plan.unread() as u64;
        let left_s = self.time_left.look(plan.arranging(), Instant::now());
        status.progress = plan.stage().map(|stage| {
            let (done, total) = match stage {
                "embed" => (self.done, self.done + unread),
                _ => (0, 0),
            };
            Progress {
                stage: stage.into(),
                done,
                total,
                left_s: left_s.filter(|_| stage == "layout"),
            }
        });
        let (refused, other) = plan.refused_count();
        let skipped = || listed(plan);
        let unreadable = skipped().filter(|(_, reason)| kind(**reason) == Kind::Unreadable);
        let unreadable = unreadable.count() as u64;
        status.counts = Counts {
            pending,
            failed: (refused - other) as u64,
            skipped: skipped().count() as u64 - unreadable,
            unreadable,
            mistakes: self.mistakes.len() as u64,
            other: other as u64,
            held: plan.held().map_or(0, |held| held.missing as u64),
            ..status.counts
        };
        self.list_failures(plan, wall);
        self.write(wall);
    }

    /// Names the mistakes in the owner's files, and the files that are not in the mosaic, with since when that is known.
    fn list_failures(&mut self, plan: &Plan, wall: u64) {
        let mistakes = self.mistakes.iter().map(|Mistake { file, what }| {
            let (file, what) = (file.clone(), what.clone());
            (file, what, Kind::Mistake, false)
        });
        let (refused, other) = plan.refused_count();
        let failed = plan.refused().filter(|(_, refused)| !refused.other);
        let failed =
            failed.map(|(path, r)| (portable(path), r.reason.clone(), Kind::Failed, r.again));
        // There may be a million others after the last one.
        let failed = failed.take(refused - other);
        let skipped = listed(plan)
            .map(|(path, reason)| (portable(path), reason.to_string(), kind(*reason), false));
        let mut known = std::mem::take(&mut self.failed);
        self.status.failures.clear();
        for (path, reason, kind, again) in mistakes.chain(failed).chain(skipped).take(LISTED) {
            let key = (path, reason);
            let failed_ms = known.remove(&key).unwrap_or(wall);
            self.failed.insert(key.clone(), failed_ms);
            self.status.failures.push(Failure {
                path: key.0,
                reason: key.1,
                kind,
                failed_ms,
                next_try_ms: again.then_some(wall),
            });
        }
        // After a reload they fail again one by one.
        if !plan.is_idle() {
            let room = LISTED.saturating_sub(self.failed.len());
            self.failed.extend(known.into_iter().take(room));
        }
        self.write(wall);
    }

    /// The last status of this process.
    pub(super) fn stopped(&mut self) -> Status {
        self.status.state = State::Stopped;
        self.status.progress = None;
        self.status.decoding.clear();
        self.write(wall_ms());
        self.status.clone()
    }

    /// Says that the process ends with an error, if it has said anything: what another daemon writes stays.
    pub(super) fn failed(&mut self) {
        if self.written.is_some() {
            self.stopped();
        }
    }

    /// Ends the reporting: a running `publish.command` is killed, or waited for after a single pass.
    pub(super) fn finish(&mut self, wait: bool) {
        match self.hook.take() {
            Some(hook) if wait => hook.finish(),
            hook => drop(hook),
        }
    }

    /// The status as one line for systemd and the log.
    pub(super) fn line(&self) -> String {
        let counts = &self.status.counts;
        format!(
            "generation {}, {} artworks, {} pending, {} failed",
            self.status.generation, counts.works, counts.pending, counts.failed
        )
    }

    /// The status in one line of JSON, for the log: of many failures the first ones only.
    pub(super) fn digest(&self) -> String {
        let mut status = self.status.clone();
        status.failures.sort();
        status.failures.truncate(LOGGED);
        status.to_line()
    }

    fn write(&mut self, wall: u64) {
        self.written = Some(Instant::now());
        self.status.updated_ms = wall;
        (self.observe)(&self.status);
        self.metrics.machine = Machine::look(&self.measured);
        let metrics = site::labelled(&metrics::render(&self.status, &self.metrics), &self.site);
        for (name, text) in FILES.into_iter().zip([self.status.to_json(), metrics]) {
            // The folder may have been removed and made again.
            if self.notes.is_none() {
                self.notes = self.reopen_notes();
            }
            let Some(notes) = &self.notes else { return };
            if let Err(error) = notes.write(name, text.as_bytes()) {
                tracing::debug!(path = name, error = %error, "cannot be written");
                self.notes = None;
            }
        }
    }

    /// Makes the folder of the status again where that was removed. A state folder stays private.
    fn reopen_notes(&self) -> Option<Notes> {
        let [_, (_, state)] = &self.measured;
        if self.folder == *state {
            disk::make_private(state).ok()?;
        }
        Notes::open(&self.folder).ok()
    }

    /// Checks whether the output folder can be written; call it about once a second.
    pub(super) fn look_at_output(&mut self) {
        let [(_, output), _] = &self.measured;
        let looked = rustix::fs::access(output, rustix::fs::Access::WRITE_OK);
        self.unwritable = looked.err().map(|error| io::Error::from(error).to_string());
    }

    /// What keeps generations from being written into the output: what it is, and what to do.
    pub(super) fn conditions(&self) -> Option<(String, String)> {
        let error = self.unwritable.as_ref()?;
        Some((
            format!("the output folder cannot be written: {error}"),
            "make it writable, or make space; then it recovers by itself".to_owned(),
        ))
    }
}

/// What the last scan left out, except for what concerns a whole folder: a condition says that.
fn listed(plan: &Plan) -> impl Iterator<Item = (&PathBuf, &SkipReason)> {
    use SkipReason::{Own, RulesChanged, RulesUnread};
    let skipped = plan.skipped().iter();
    skipped.filter(|(_, reason)| !matches!(reason, Own | RulesUnread | RulesChanged))
}

/// What kind of failure a skipped path is.
fn kind(reason: SkipReason) -> Kind {
    match reason {
        SkipReason::Unreadable(_) => Kind::Unreadable,
        _ => Kind::Skipped,
    }
}
