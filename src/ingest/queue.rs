//! Files that wait for a thread of the first lane.
//!
//! Most threads take the oldest file. One takes those that are not known to be large, the newest and the oldest in turn:
//! whatever was uploaded before, and however much it takes, a small picture that comes now waits for few others.

use crate::domain::Job;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Files of more bytes are large.
pub(super) const SMALL_FILE: u64 = 16 << 20;

/// Where files are given to the threads; when it is dropped, they end once all is done.
#[derive(Debug)]
pub struct Jobs(pub(super) Arc<Queue>);

impl Jobs {
    /// A file is to be read.
    pub fn send(&self, job: Job) {
        let mut waiting = self.0.lock();
        match job.identity.size > SMALL_FILE {
            true => waiting.large.push_back(job),
            false => waiting.fresh.push_back(job),
        }
        drop(waiting);
        self.0.changed.notify_all();
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    fresh: VecDeque<Job>,
    /// Known to be large.
    large: VecDeque<Job>,
    /// Whether a large one is next where both wait.
    large_next: bool,
    /// Whether the oldest small one is next, of those that one thread takes.
    oldest_next: bool,
    /// Whether that thread has one, which may turn out to be large.
    lent: bool,
    closed: bool,
}

impl Queue {
    /// Waits for the oldest file, of the large ones and the others in turn; `None`: there will be no more.
    pub(super) fn oldest(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            waiting.large_next = !waiting.large_next;
            let job = match waiting.large_next {
                true => waiting.large.pop_front(),
                false => waiting.fresh.pop_front(),
            };
            let job = job
                .or_else(|| waiting.fresh.pop_front())
                .or_else(|| waiting.large.pop_front());
            if job.is_some() || waiting.closed && !waiting.lent {
                return job;
            }
            waiting = self.wait(waiting);
        }
    }

    /// Waits for a file that is not known to be large, the newest and the oldest in turn. The file before it comes back if it
    /// is `large`. One thread calls this.
    pub(super) fn small(&self, large: Option<Job>) -> Option<Job> {
        let mut waiting = self.lock();
        // It does not lose its turn.
        large
            .into_iter()
            .for_each(|job| waiting.large.push_front(job));
        waiting.lent = false;
        self.changed.notify_all();
        loop {
            let job = match waiting.oldest_next {
                true => waiting.fresh.pop_front(),
                false => waiting.fresh.pop_back(),
            };
            waiting.oldest_next ^= job.is_some();
            waiting.lent = job.is_some();
            if job.is_some() || waiting.closed {
                return job;
            }
            waiting = self.wait(waiting);
        }
    }

    fn wait<'a>(&self, waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        let waiting = self.changed.wait(waiting);
        waiting.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FileIdentity;

    fn job(name: &str, size: u64) -> Job {
        let identity = FileIdentity {
            dev: 1,
            ino: 2,
            size,
            mtime_ns: 3,
            ctime_ns: 4,
        };
        let path = name.into();
        Job { path, identity }
    }

    fn name(job: Option<Job>) -> String {
        job.map_or("none".into(), |job| job.path.display().to_string())
    }

    #[test]
    fn the_newest_small_file_passes_the_others_and_none_starves() {
        let jobs = Jobs(Arc::default());
        let queue = jobs.0.clone();
        jobs.send(job("long", SMALL_FILE + 1));
        for i in 0..6 {
            jobs.send(job(&i.to_string(), 10));
        }
        assert_eq!(name(queue.small(None)), "5");
        // It was large by its header.
        assert_eq!(name(queue.small(Some(job("5", 10)))), "0");
        let oldest: Vec<_> = (0..3).map(|_| name(queue.oldest())).collect();
        assert_eq!(oldest, ["5", "1", "long"]);
        jobs.send(job("now", 10));
        assert_eq!(name(queue.small(None)), "now");
        // Who keeps coming does not keep the others waiting for good.
        jobs.send(job("later", 10));
        assert_eq!(name(queue.small(None)), "2");
        drop(jobs);
        let oldest: Vec<_> = (0..3).map(|_| name(queue.oldest())).collect();
        assert_eq!(oldest, ["3", "4", "later"]);
        // The last one is not lost although nothing else waits.
        std::thread::scope(|scope| {
            let last = scope.spawn(|| name(queue.oldest()));
            assert_eq!(name(queue.small(Some(job("now", 10)))), "none");
            assert_eq!(last.join().expect("no panic"), "now");
        });
        assert_eq!(name(queue.oldest()), "none");
    }
}
