//! How much memory the process may use: the machine's, or less where a control group above it says so.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst`; version 1 is not read.

#[cfg(any(target_os = "linux", test))]
use std::{fs, path::Path};

/// Bytes of memory that the process may use; 0 if it cannot be told.
#[cfg(target_os = "linux")]
pub(super) fn allowed_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = info.totalram as u64 * u64::from(info.mem_unit);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = group_limit(Path::new("/sys/fs/cgroup"), &groups);
    limit.map_or(machine, |limit| limit.min(machine))
}

/// Bytes of memory that the process may use; 0 if it cannot be told.
#[cfg(not(target_os = "linux"))]
pub(super) fn allowed_bytes() -> u64 {
    0
}

/// The lowest `memory.high` or `memory.max` of the group that `/proc/self/cgroup` names, and of those around it.
#[cfg(any(target_os = "linux", test))]
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let around = Path::new(own).ancestors();
    let files = around.flat_map(|group| ["memory.high", "memory.max"].map(|name| group.join(name)));
    // "max" is no limit, and the outermost group has no such files.
    files
        .filter_map(|file| {
            fs::read_to_string(root.join(file))
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_all_groups_around_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let unit = root.path().join("system.slice/mosaicd.service");
        fs::create_dir_all(&unit).expect("a group");
        let groups = "1:name=systemd:/else\n0::/system.slice/mosaicd.service\n";
        assert_eq!(group_limit(root.path(), groups), None);
        let limit = |file: &Path, text: &str| fs::write(file, text).expect("written");
        limit(&unit.join("memory.max"), "2147483648\n");
        limit(&unit.join("memory.high"), "max\n");
        assert_eq!(group_limit(root.path(), groups), Some(2 << 30));
        limit(&root.path().join("system.slice/memory.high"), "1000000\n");
        assert_eq!(group_limit(root.path(), groups), Some(1_000_000));
        assert_eq!(group_limit(root.path(), "0::/other\n"), None);
        assert_eq!(group_limit(root.path(), ""), None);
    }
}
