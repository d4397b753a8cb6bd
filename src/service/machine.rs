//! What the machine says about the daemon: free space where it writes, and its memory.

use std::{fs, path::PathBuf};

/// As of one moment. A figure that the system does not give is absent.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Free bytes in the output folder.
    output_free: Option<u64>,
    /// Free bytes in the state folder.
    state_free: Option<u64>,
    /// Resident memory of this process, bytes.
    memory: Option<u64>,
}

impl Machine {
    /// Asks the system about the folders `output` and `state`, and about this process.
    pub fn look(folders: &[(&'static str, PathBuf); 2]) -> Self {
        let free = |name: &str| {
            let (_, folder) = folders.iter().find(|(known, _)| *known == name)?;
            let system = rustix::fs::statvfs(folder).ok()?;
            Some(system.f_bavail.saturating_mul(system.f_frsize))
        };
        Self {
            output_free: free("output"),
            state_free: free("state"),
            memory: resident(),
        }
    }

    /// Name, help and value of every figure there is.
    pub(super) fn gauges(&self) -> impl Iterator<Item = (&'static str, &'static str, f64)> {
        [
            (
                "mosaicd_output_free_bytes",
                "Free space on the output folder's disk.",
                self.output_free,
            ),
            (
                "mosaicd_state_free_bytes",
                "Free space on the state folder's disk.",
                self.state_free,
            ),
            (
                "mosaicd_resident_memory_bytes",
                "Resident memory of the daemon.",
                self.memory,
            ),
        ]
        .into_iter()
        .filter_map(|(name, help, value)| Some((name, help, value? as f64)))
    }
}

/// `VmRSS` of proc(5), kibibytes there.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
