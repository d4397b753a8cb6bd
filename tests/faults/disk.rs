//! Disks of our own: small ones that run full, and one whose power can be cut. They need root.

use crate::{
    check::{patience, run},
    common::Site,
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A mount that goes away with its owner.
pub struct Mounted(PathBuf);

impl Mounted {
    fn by(command: &str, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        run(&format!("{command} {}", at.display())).then(|| Self(at.to_owned()))
    }

    /// A tmpfs of `mb` MB at a folder.
    pub fn tmpfs(at: &Path, mb: u32) -> Option<Self> {
        Self::by(&format!("mount -t tmpfs -o size={mb}m tmpfs"), at)
    }

    /// A folder shown at another place by a file system in user space.
    pub fn fuse(from: &Path, at: &Path) -> Option<Self> {
        Self::by(&format!("bindfs {}", from.display()), at)
    }

    /// One folder shown at another place too.
    pub fn bound(from: &Path, at: &Path) -> Option<Self> {
        Self::by(&format!("mount --bind {}", from.display()), at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !run(&format!("umount {0} || umount -l {0}", self.0.display())) {
            println!("could not unmount {}", self.0.display());
        }
    }
}

/// A file that takes up all room but `left` bytes.
pub struct Filler(PathBuf);

impl Filler {
    /// Fills the disk that `folder` is on.
    pub fn fill(folder: &Path, left: u64) -> Self {
        let path = folder.join("filler");
        let mut file = File::create(&path).unwrap();
        let block = vec![1; 64 << 10];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..512]).is_ok() {}
        let len = file.metadata().unwrap().len();
        file.set_len(len.saturating_sub(left)).unwrap();
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An ext4 in a file that holds a site's state and output, and can lose everything that was not flushed.
pub struct CuttableDisk {
    image: tempfile::NamedTempFile,
    at: PathBuf,
    mounts: Vec<Mounted>,
}

impl CuttableDisk {
    /// Makes the disk and mounts it under the site; `None` without root, ext4, loop devices or Python.
    pub fn of(site: &Site) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(512 << 20).unwrap();
        let made = run(&format!("mkfs.ext4 -q -F {}", image.path().display()))
            && run("python3 -c 'import fcntl'");
        let mut disk = Self {
            image,
            at: site.path("disk"),
            mounts: Vec::new(),
        };
        (made && disk.mount(site)).then_some(disk)
    }

    fn mount(&mut self, site: &Site) -> bool {
        let command = format!("mount -o loop {}", self.image.path().display());
        let Some(whole) = Mounted::by(&command, &self.at) else {
            return false;
        };
        self.mounts.push(whole);
        for name in ["output", "state"] {
            let folder = self.at.join(name);
            fs::create_dir_all(&folder).unwrap();
            match Mounted::bound(&folder, &site.path(name)) {
                Some(bound) => self.mounts.push(bound),
                None => return false,
            }
        }
        true
    }

    /// Cuts the power: FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, so that not even the journal is written.
    pub fn cut(&self) {
        let shutdown = "import fcntl,os,struct,sys; f=os.open(sys.argv[1],0); \
                        fcntl.ioctl(f,0x8004587d,struct.pack('I',2))";
        assert!(run(&format!(
            "python3 -c \"{shutdown}\" {}",
            self.at.display()
        )));
    }

    /// Brings the disk back, as a boot would; nobody may use it.
    pub fn boot(&mut self, site: &Site) {
        while let Some(mount) = self.mounts.pop() {
            drop(mount);
        }
        // Mounted again while some other mount namespace still has it, it would be the dead file system itself.
        let free = format!("test -z \"$(losetup -j {})\"", self.image.path().display());
        let began = Instant::now();
        while !run(&free) {
            assert!(
                began.elapsed() < patience(),
                "another mount namespace holds the disk"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.mount(site), "the disk does not come back");
    }
}

impl Drop for CuttableDisk {
    fn drop(&mut self) {
        while let Some(mount) = self.mounts.pop() {
            drop(mount);
        }
    }
}
