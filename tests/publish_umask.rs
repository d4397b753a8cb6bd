//! The umask of a hardened service must not hide the mosaic from the web server. Alone in its binary, because a umask
//! belongs to the process.

mod publish_support;

use mosaicd::publish::Notes;
use publish_support::*;
use std::{fs, os::unix::fs::PermissionsExt};

#[test]
fn outputs_are_readable_by_all_under_any_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let mut stage = Stage::new(30);
    stage.publish(&rows_of(30, 6, 5), 1);
    stage.publish(&rows_of(29, 6, 5), 2);
    let notes = Notes::open(&stage.output).expect("the folder");
    notes.write("status.json", b"{}").expect("written");
    let mode = |name: &str| {
        let meta = fs::metadata(stage.output.join(name)).expect("there");
        meta.permissions().mode() & 0o777
    };
    for name in files(&stage.output).keys() {
        // The lock is the daemon's alone.
        let wanted = if name == ".mosaicd.lock" {
            0o600
        } else {
            0o644
        };
        assert_eq!(mode(name), wanted, "{name}");
    }
    for folder in ["", "t", "t/8", "mosaic_files", "mosaic_files/0"] {
        assert_eq!(mode(folder), 0o755, "{folder}");
    }
}
