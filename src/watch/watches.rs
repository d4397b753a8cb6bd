//! What this process watches, according to the kernel: the inotify lines of `/proc/self/fdinfo` (proc(5)).

use super::RootId;
use std::collections::HashSet;
use std::fs;

/// The folders that are watched.
pub(super) struct Watches {
    /// Device and inode, as the kernel numbers them.
    folders: HashSet<(u64, u64)>,
    count: usize,
}

impl Watches {
    /// Whether a folder is watched.
    pub(super) fn has(&self, folder: &RootId) -> bool {
        let (major, minor) = (rustix::fs::major(folder.dev), rustix::fs::minor(folder.dev));
        let device = u64::from(major) << 20 | u64::from(minor);
        self.folders.contains(&(device, folder.ino))
    }

    /// How many watches there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// The watches of this process; `None` where the kernel does not report them.
pub(super) fn watches() -> Option<Watches> {
    let mut found = Watches {
        folders: HashSet::new(),
        count: 0,
    };
    for file in fs::read_dir("/proc/self/fdinfo").ok()?.flatten() {
        // A file that was closed meanwhile does not count.
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        for line in text.lines().filter(|line| line.starts_with("inotify ")) {
            let field = |name: &str| {
                let mut fields = line.split(' ');
                let value = fields.find_map(|field| field.strip_prefix(name))?;
                u64::from_str_radix(value, 16).ok()
            };
            found.count += 1;
            if let (Some(ino), Some(device)) = (field("ino:"), field("sdev:")) {
                found.folders.insert((device, ino));
            }
        }
    }
    Some(found)
}

/// Whether another watcher can be started: the error names the limit that is reached.
///
/// # Errors
/// Of inotify_init(2).
pub fn can_watch() -> std::io::Result<()> {
    let flags = rustix::fs::inotify::CreateFlags::CLOEXEC;
    Ok(rustix::fs::inotify::init(flags).map(drop)?)
}
