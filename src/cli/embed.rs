//! `mosaicd embed`: one part of a collection, embedded into a folder that `mosaicd import` takes over.
//!
//! The threads are the daemon's (`ingest`), with a store, cells and renditions in that folder; so every bit is made by the
//! code that makes it there.

use super::{
    progress, quiet,
    settled::{Named, settled},
};
use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, unbounded};
use mosaicd::{
    cells::CellStore,
    config::Config,
    daemon,
    domain::{FileIdentity, Job, Outcome, Retry},
    ingest::{Jobs, Reading, threads_or_all},
    parameters,
    parts::{Draft, Known, Part, UNFINISHED},
    pipeline::portable,
    publish::Renditions,
    service::telemetry,
    store::Store,
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

/// Files that are being read at a time, or wait for it.
const UNDER_WAY: usize = 512;

/// What became of the files.
#[derive(Default)]
struct Counts {
    embedded: usize,
    /// Of files whose content was embedded before.
    copies: usize,
    refused: usize,
    /// Changed or gone while they were read.
    changed: usize,
    unrendered: usize,
}

/// Embeds the files of one part into `out`.
pub(crate) fn embed(mut config: Config, part: Part, out: &Path) -> anyhow::Result<()> {
    telemetry::init(config.log.format, &quiet(&config.log.level))?;
    config.folders.output =
        std::path::absolute(out).with_context(|| format!("no folder: {}", out.display()))?;
    let out = config.folders.output.clone();
    daemon::check_part(&config)?;
    let encoder = daemon::open_encoder(&config)?;
    let (_, scan, _) = settled(&config)?;
    let there = Named::of(scan.files);
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let cells = Arc::new(CellStore::open(&out.join("cells"), &config.cell_spec())?);
    let renditions = Arc::new(Renditions::open(&out, parameters::large_spec(&config))?);

    let is_done = |known: &BTreeMap<String, Known>, path: &str, identity: &FileIdentity| {
        let known = known.get(path);
        known.is_some_and(|known| {
            known.seen == Some((identity.size, identity.mtime_ns))
                && known
                    .found
                    .as_ref()
                    .map_or(true, |hash| cells.contains(hash) && !renditions.wants(hash))
        })
    };
    let mine = || there.all().iter().filter(|(path, _)| part.has(path));
    let needs = |known: &BTreeMap<String, Known>| {
        known.keys().any(|path| there.get(path).is_none())
            || mine().any(|(path, identity)| !is_done(known, &portable(path), identity))
    };
    let Some(mut draft) = Draft::open(&out, (encoder.model(), encoder.dims()), needs)? else {
        println!("part {part}: nothing is new in {}", out.display());
        return Ok(());
    };
    if there.all().is_empty() && !draft.known().is_empty() {
        bail!(
            "there are no files any more; is something not mounted? {} stays as it is",
            out.display()
        );
    }
    let todo: Vec<Job> = mine()
        .filter(|(path, identity)| !is_done(draft.known(), &portable(path), identity))
        .map(|(path, identity)| Job {
            path: path.clone(),
            identity: *identity,
        })
        .collect();
    let before = mine().count() - todo.len();
    drop(there);

    let store: Arc<dyn Store> = draft.store().clone();
    let ingest = daemon::ingest_of(
        &config,
        &out.join(UNFINISHED),
        (encoder, None),
        &store,
        (&cells, &renditions),
    );
    let stop = ingest.stop.clone();
    let (send, outcomes) = unbounded();
    let deliver = move |reading| {
        if let Reading::Ended(outcome) = reading {
            drop(send.send(outcome));
        }
    };
    let threads = threads_or_all(config.decode.threads);
    let (jobs, handles) = ingest.start(threads, deliver)?;
    let counts = follow(todo, jobs, &outcomes, (&mut draft, &cells));
    if counts.is_err() {
        stop.store(true, Ordering::Relaxed);
    }
    // A process that ends amid a run of a model's session may crash.
    for handle in handles {
        drop(handle.join());
    }
    let counts = counts?;

    // What was opted out meanwhile must not be in what is finished.
    let (_, scan, _) = settled(&config)?;
    let there = Named::of(scan.files);
    let used = draft.write(|path| there.get(path).is_some())?;
    cells.retain(|hash| used.contains(hash))?;
    renditions.retain(&used, 0, 0)?;
    draft.seal()?;
    let Counts {
        embedded,
        copies,
        refused,
        changed,
        unrendered,
    } = counts;
    println!(
        "part {part}: {embedded} embedded, {before} done before, {copies} copies of these, {refused} refused (refused.csv), \
         {changed} changed meanwhile: {}",
        out.display()
    );
    if unrendered > 0 {
        eprintln!("{unrendered} renditions could not be written; the daemon makes them");
    }
    Ok(())
}

/// Has every job done, and notes what became of it.
fn follow(
    todo: Vec<Job>,
    jobs: Jobs,
    outcomes: &Receiver<Outcome>,
    (draft, cells): (&mut Draft, &CellStore),
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut steps = progress::Steps::new(todo.len() as u64, "embedding");
    let mut todo = todo.into_iter();
    for job in todo.by_ref().take(UNDER_WAY) {
        jobs.send(job);
    }
    // The threads end when nobody can send jobs any more.
    let mut jobs = (todo.len() > 0).then_some(jobs);
    for outcome in outcomes {
        if let Some(jobs) = &jobs {
            todo.next().into_iter().for_each(|job| jobs.send(job));
        }
        if todo.len() == 0 {
            jobs = None;
        }
        steps.one();
        // Only those of the files that are there in the end are kept.
        outcome.result.iter().for_each(|hash| cells.release(hash));
        take(outcome, draft, &mut counts)?;
    }
    steps.done();
    Ok(counts)
}

fn take(outcome: Outcome, draft: &mut Draft, counts: &mut Counts) -> anyhow::Result<()> {
    let Job { path, identity } = outcome.job;
    let seen = Some((identity.size, identity.mtime_ns));
    let known = match outcome.result {
        Ok(hash) => {
            match outcome.embedded {
                Some(_) => counts.embedded += 1,
                None => counts.copies += 1,
            }
            counts.unrendered += usize::from(outcome.render_error.is_some());
            Known {
                seen,
                found: Ok(hash),
            }
        }
        Err(refusal) => match refusal.retry {
            Retry::Wait => bail!(
                "{}: {}; run it again to go on",
                path.display(),
                refusal.reason
            ),
            Retry::Look => {
                counts.changed += 1;
                return Ok(());
            }
            retry => {
                counts.refused += 1;
                Known {
                    seen: seen.filter(|_| retry != Retry::Later),
                    found: Err(refusal.reason),
                }
            }
        },
    };
    draft.note(portable(&path), known)?;
    Ok(())
}
