//! A disk fails at one step, or the process ends there: every read, write, flush, rename of the real binary below a
//! folder, one after another. A small library (`shim.c`), preloaded into it, does that; nothing in the binary knows of it.

use crate::{
    album::Editor,
    check::{
        Promised, agree, configure, copy_folder, count, differences, patience, run, start_ready,
        tail, until_same,
    },
    common::{Daemon, Site},
};
use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

const FOLDERS: [&str; 2] = ["output", "state"];

/// A site with something to do, which every round begins from.
struct Rig {
    site: Site,
    library: PathBuf,
    editor: Editor,
    folder: PathBuf,
}

impl Rig {
    /// For steps below the folder `name`.
    fn new(name: &str, seed: u64) -> Self {
        let site = Site::new();
        let library = site.path("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
        let to = library.display();
        // The Rust compiler links with it too.
        let compiled = run(&format!("cc -shared -fPIC -O1 -o {to} {source} -ldl"));
        assert!(compiled, "a C compiler");
        configure(&site, "");
        let mut editor = Editor::new(&site.artworks(), seed, 30);
        editor.add(24);
        site.build();
        for name in FOLDERS {
            copy_folder(&site.path(name), &site.path("healthy").join(name));
        }
        (0..4).for_each(|_| editor.step());
        let folder = site.path(name).canonicalize().unwrap();
        Self {
            site,
            library,
            editor,
            folder,
        }
    }

    /// Starts from the beginning; something happens `at` a step: `how` is a setting of the shim.
    fn start(&self, at: i64, how: (&str, &str)) -> Daemon<'_> {
        for name in FOLDERS {
            fs::remove_dir_all(self.site.path(name)).unwrap();
            copy_folder(&self.site.path("healthy").join(name), &self.site.path(name));
        }
        let counted = self.site.path("steps");
        self.site.start_with(&[
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAULT_FOLDER", self.folder.to_str().unwrap()),
            ("FAULT_AT", &at.to_string()),
            ("FAULT_COUNT", counted.to_str().unwrap()),
            how,
        ])
    }

    /// How many steps a run takes in which nothing happens, and those to try.
    fn steps(&self) -> (i64, Vec<i64>) {
        let daemon = self.start(-1, ("FAULT_ERRNO", "0"));
        until_same(&self.site);
        assert_eq!(daemon.stop(), 0);
        let counted = fs::read_to_string(self.site.path("steps")).unwrap();
        let steps: i64 = counted.parse().unwrap();
        assert!(steps > 50, "only {steps} steps are seen");
        let tried = i64::from(count(6, 200)).min(steps);
        (steps, (0..tried).map(|i| i * steps / tried).collect())
    }

    /// Checks what an ended run left.
    fn check(&self) {
        agree(&self.site, &self.editor.album);
        let mut promised = Promised::default();
        promised.read(&self.site);
        promised.is_kept(&self.site);
    }
}

fn fail_every_step_below(name: &str, seed: u64) {
    let rig = Rig::new(name, seed);
    let (steps, tried) = rig.steps();
    let mut slowest = Duration::ZERO;
    for (i, &at) in tried.iter().enumerate() {
        // EIO, and now and then a full disk or quota.
        let errno = ["5", "5", "28", "122"][i % 4];
        let mut daemon = rig.start(at, ("FAULT_ERRNO", errno));
        slowest = slowest.max(until_same(&rig.site).1);
        assert!(
            daemon.child.try_wait().unwrap().is_none(),
            "step {at}: it ended; log:\n{}",
            tail(&rig.site.log())
        );
        assert_eq!(daemon.stop(), 0);
        rig.check();
    }
    let rounds = tried.len();
    println!("{rounds} of {steps} steps below {name} failed: slowest to heal {slowest:.1?}");
}

/// Ends the process with a signal at every step; what it leaves is whole, and the next run goes on from there.
fn end_at_every_step_below(name: &str, seed: u64, signal: &str) {
    let rig = Rig::new(name, seed);
    let (steps, tried) = rig.steps();
    let (mut ended, mut slowest) = (0, Duration::ZERO);
    for &at in &tried {
        let mut daemon = rig.start(at, ("FAULT_SIGNAL", signal));
        let over = is_over(&rig.site, &mut daemon);
        ended += u32::from(over);
        let code = if over {
            daemon.exit_code()
        } else {
            daemon.stop()
        };
        // Killed, or told before its handlers were there; 143: told twice, the second time by us.
        let by_system = code == -1 && (signal == "9" || rig.site.log().is_empty());
        assert!(
            code == 0 || by_system || (!over && code == 143),
            "step {at}: exit code {code}; log:\n{}",
            tail(&rig.site.log())
        );
        rig.check();
        let (daemon, _) = start_ready(&rig.site, &[]);
        slowest = slowest.max(until_same(&rig.site).1);
        assert_eq!(daemon.stop(), 0);
        rig.check();
    }
    assert!(ended > 0, "the signal never came");
    println!(
        "signal {signal} at {} of {steps} steps below {name}, {ended} before all was done: nothing lost; slowest to be \
         current again {slowest:.1?}",
        tried.len()
    );
}

/// Whether the process ends before everything is shown; the last steps come after that.
fn is_over(site: &Site, daemon: &mut Daemon<'_>) -> bool {
    let began = Instant::now();
    loop {
        if daemon.child.try_wait().unwrap().is_some() {
            return true;
        }
        let manifest = site.try_manifest();
        if manifest.is_some_and(|m| differences(&site.artworks(), &m).is_empty()) {
            return false;
        }
        assert!(
            began.elapsed() < patience(),
            "it neither ends nor gets done; log:\n{}",
            tail(&site.log())
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_failing_step_in_the_state_folder_heals() {
    fail_every_step_below("state", 7);
}

#[test]
fn a_failing_step_in_the_output_folder_heals() {
    fail_every_step_below("output", 8);
}

#[test]
fn killed_at_any_step_in_the_state_folder_it_loses_nothing() {
    end_at_every_step_below("state", 13, "9");
}

#[test]
fn killed_at_any_step_in_the_output_folder_it_loses_nothing() {
    end_at_every_step_below("output", 14, "9");
}

#[test]
fn told_to_stop_at_any_step_in_the_state_folder_it_ends_in_order() {
    end_at_every_step_below("state", 15, "15");
}

#[test]
fn told_to_stop_at_any_step_in_the_output_folder_it_ends_in_order() {
    end_at_every_step_below("output", 16, "15");
}
