//! The artwork folder itself: whether it is still the same one, which file system it is on, and how files below it are
//! opened.

use crate::domain::{FileIdentity, RootId};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::path::{Component, Path};

impl RootId {
    /// The folder that this is the stat of.
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
        }
    }
}

/// How far events of a file system can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsKind {
    /// Everything that happens passes this kernel: events are reliable hints.
    Local,
    /// Others may change files without an event here (NFS, SMB, 9p, FUSE and their like): scan every few seconds too.
    Network,
}

/// Which folder `root` leads to now.
///
/// # Errors
/// The system's, for instance that it is not there.
pub fn root_id(root: &Path) -> io::Result<RootId> {
    Ok(RootId::of(&rustix::fs::stat(root)?))
}

/// Who may speak of other users' files in the folder that this is the stat of: root, mosaicd's user, the folder's owner.
pub(super) fn speakers(folder: &Stat) -> [u32; 3] {
    let own = rustix::process::geteuid();
    [0, own.as_raw(), folder.st_uid]
}

/// What file system `root` is on, by the magic number of statfs(2).
///
/// # Errors
/// The system's, for instance that it is not there.
pub fn fs_kind(root: &Path) -> io::Result<FsKind> {
    // linux/magic.h, and statfs(2) for those that are only there.
    const NETWORK: [u64; 13] = [
        0x6969,      // NFS
        0x517B,      // SMB
        0xFF53_4D42, // CIFS
        0xFE53_4D42, // SMB2
        0x6573_5546, // FUSE: sshfs, rclone, Docker Desktop's folders
        0x0102_1997, // 9p: WSL, virtual machines
        0x00C3_6400, // Ceph
        0x5346_414F, // AFS
        0x7461_636f, // OCFS2
        0x0116_1970, // GFS2
        0x7375_7245, // Coda
        0x564C,      // NCP
        0x786F_4256, // VirtualBox shared folders
    ];
    let magic = rustix::fs::statfs(root)?.f_type as u64 & 0xFFFF_FFFF;
    Ok(if NETWORK.contains(&magic) {
        FsKind::Network
    } else {
        FsKind::Local
    })
}

/// Opens `root` itself, which may be a symbolic link.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(root, flags, Mode::empty())
}

/// Opens `path` below `root` without following any symbolic link; `ELOOP`, `EXDEV` or `ENOTDIR` if there is one.
pub(super) fn open_beneath(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    // EAGAIN: something was renamed meanwhile.
    for _ in 0..16 {
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => return open_by_steps(root, path, flags),
            opened => return opened,
        }
    }
    open_by_steps(root, path, flags)
}

/// Opens one component after another, none of which may be a symbolic link.
fn open_by_steps(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = rustix::fs::openat(root, ".", folder, Mode::empty())?;
    let mut steps = path.components().peekable();
    while let Some(step) = steps.next() {
        let (Component::Normal(_) | Component::CurDir) = step else {
            return Err(Errno::XDEV);
        };
        let flags = if steps.peek().is_some() {
            folder
        } else {
            flags
        };
        here = rustix::fs::openat(&here, step.as_os_str(), flags, Mode::empty())?;
    }
    Ok(here)
}

/// The fields of a stat that make up a file's identity.
pub(super) fn identity(stat: &Stat) -> FileIdentity {
    let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
    FileIdentity {
        dev: stat.st_dev,
        ino: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec as i64),
        ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_way_of_opening_passes_a_symlink_or_leaves_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("root/a")).expect("folders");
        std::fs::write(at("root/a/file"), "x").expect("file");
        std::fs::write(at("secret"), "x").expect("file");
        symlink(at("root/a"), at("root/link")).expect("link");
        symlink("../secret", at("root/out")).expect("link");
        let root = open_root(&at("root")).expect("root");
        type Open = fn(&OwnedFd, &Path, OFlags) -> Result<OwnedFd, Errno>;
        let ways: [Open; 2] = [
            |root, path, flags| open_beneath(root, path, flags),
            |root, path, flags| open_by_steps(root, path, flags | OFlags::NOFOLLOW),
        ];
        for open in ways {
            assert!(open(&root, Path::new("a/file"), OFlags::RDONLY).is_ok());
            for path in [
                "link/file",
                "out",
                "../secret",
                "a/../../secret",
                "/etc/passwd",
            ] {
                assert!(
                    open(&root, Path::new(path), OFlags::RDONLY).is_err(),
                    "{path}"
                );
            }
        }
    }
}
