//! How files settle, through the table.

use super::*;
use proptest::prelude::*;

fn version(size: u64) -> FileIdentity {
    FileIdentity {
        dev: 1,
        ino: 2,
        size,
        mtime_ns: 3,
        ctime_ns: 4,
    }
}

fn table() -> Table {
    Table::new(Quiet::default(), Vec::new())
}

const A: &str = "a.png";

/// Looks whenever something is due until `end_ms`; when was the file ready?
fn ready_at(
    table: &mut Table,
    end_ms: u64,
    version_at: impl Fn(u64) -> FileIdentity,
) -> Option<u64> {
    while let Some(now_ms) = table.next_deadline_ms().filter(|at| *at <= end_ms) {
        for path in table.due(now_ms) {
            if is_finished(table, &path, version_at(now_ms), now_ms) {
                return Some(now_ms);
            }
        }
    }
    None
}

/// Looks at a file; says whether it is finished.
fn is_finished(table: &mut Table, path: &Path, version: FileIdentity, now_ms: u64) -> bool {
    table.looked_at(path, version, None, now_ms).is_some()
}

/// A finished file could not be used.
fn fail(table: &mut Table, version: FileIdentity, now_ms: u64) {
    let refusal = Refusal {
        retry: Retry::Later,
        reason: "torn".into(),
    };
    let job = Job {
        path: A.into(),
        identity: version,
    };
    table.refuse(&job, refusal, now_ms);
}

#[test]
fn a_closed_file_is_ready_soon_and_any_other_when_stable() {
    let mut table = table();
    table.touched(Path::new(A), Touch::Closed, 1_000);
    assert_eq!(ready_at(&mut table, 9_000, |_| version(1)), Some(1_300));
    assert_eq!(table.counts().settling, 0);
    table.touched(Path::new(A), Touch::Made, 1_000);
    assert_eq!(ready_at(&mut table, 9_000, |_| version(2)), Some(3_300));
    table.found(Path::new(A), version(3), None, 1_000);
    assert_eq!(ready_at(&mut table, 9_000, |_| version(3)), Some(3_000));
    table.found(Path::new(A), version(4), Some(3_000), 1_000);
    assert_eq!(ready_at(&mut table, 9_000, |_| version(4)), Some(1_000));
}

#[test]
fn attributes_start_the_wait_again_and_no_more() {
    for (touch, expected) in [(Touch::Closed, 1_500), (Touch::Made, 3_500)] {
        let mut table = table();
        table.touched(Path::new(A), touch, 1_000);
        table.touched(Path::new(A), Touch::Attributes, 1_200);
        assert_eq!(ready_at(&mut table, 9_000, |_| version(1)), Some(expected));
    }
}

#[test]
fn a_failed_file_is_tried_again_with_growing_waits_and_at_once_when_it_changes() {
    let mut table = table();
    table.found(Path::new(A), version(1), Some(9_999_999), 0);
    let mut now_ms = ready_at(&mut table, 0, |_| version(1)).expect("it is old");
    let mut waits = Vec::new();
    for _ in 0..13 {
        fail(&mut table, version(1), now_ms);
        table.found(Path::new(A), version(1), Some(9_999_999), now_ms);
        let again = ready_at(&mut table, u64::MAX, |_| version(1)).expect("tried again");
        waits.push((again - now_ms) / 1_000);
        now_ms = again;
    }
    assert_eq!(
        waits,
        [
            5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600
        ]
    );
    fail(&mut table, version(1), now_ms);
    table.touched(Path::new(A), Touch::Closed, now_ms + 10);
    assert_eq!(
        ready_at(&mut table, u64::MAX, |_| version(2)),
        Some(now_ms + 310)
    );
    fail(&mut table, version(2), now_ms);
    assert_eq!(
        table.next_deadline_ms(),
        Some(now_ms + 5_000),
        "another identity starts with the first wait"
    );
}

#[test]
fn a_file_that_is_due_and_not_reported_is_due_again() {
    let mut table = table();
    table.touched(Path::new(A), Touch::Closed, 0);
    assert_eq!(table.due(300).len(), 1);
    assert_eq!(table.due(300).len(), 0);
    assert_eq!(table.due(2_300).len(), 1);
}

proptest! {
    /// Events at random times, of which the last is a close: ready exactly one quiet after it, never before.
    #[test]
    fn ready_once_quiet_after_the_last_event(
        gaps in prop::collection::vec((1u64..299, 0u8..3), 1..40),
    ) {
        let mut table = table();
        let mut now_ms = 0;
        for (gap, touch) in gaps {
            now_ms += gap;
            prop_assert_eq!(ready_at(&mut table, now_ms - 1, version), None);
            let touch = [Touch::Attributes, Touch::Writing, Touch::Closed][usize::from(touch)];
            table.touched(Path::new(A), touch, now_ms);
        }
        table.touched(Path::new(A), Touch::Closed, now_ms);
        prop_assert_eq!(ready_at(&mut table, u64::MAX, |_| version(1)), Some(now_ms + 300));
    }

    /// A file that changes without events is ready only after it stayed the same for the stable time, and then is.
    #[test]
    fn never_ready_while_it_changes_and_ready_soon_after(
        changes in prop::collection::btree_set(0u64..30_000, 1..30), writing: bool,
    ) {
        let mut table = table();
        if writing {
            table.touched(Path::new(A), Touch::Made, 0);
        } else {
            table.found(Path::new(A), version(0), None, 0);
        }
        let version_at = |now| version(changes.range(..=now).count() as u64);
        let ready = ready_at(&mut table, u64::MAX, version_at).expect("ready in the end");
        prop_assert_eq!(version_at(ready), version_at(ready - 2_000), "stable for the whole wait");
        let last = *changes.last().expect("at least one");
        prop_assert!(ready <= last + 4_300, "{} after {}", ready, last);
    }
}
