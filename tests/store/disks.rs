//! Disks that are full, and that lose power. Both need root.

use super::*;

/// Runs a command; `false` if it cannot be run or fails.
fn run(command: &str) -> bool {
    let status = Command::new("sh")
        .args(["-c", command])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Unmounts on the way out.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn tmpfs(mb: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("folder");
        let mounted = run(&format!(
            "mount -t tmpfs -o size={mb}m tmpfs {}",
            folder.path().display()
        ));
        mounted.then(|| Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(&format!("umount -l {}", self.0.path().display()));
    }
}

#[test]
#[ignore = "needs root to mount a tmpfs"]
fn a_full_disk_is_waited_out_and_never_taken_for_damage() {
    let rounds = faults(3);
    // What each round stores stays.
    let disk = Mounted::tmpfs(100 + 20 * rounds).expect("root");
    let path = disk.0.path();
    let store = open(path);
    let mut acknowledged = 0;
    for _ in 0..rounds {
        let before = acknowledged;
        let filler = path.join("filler");
        let mut file = File::create(&filler).expect("file");
        // Fill it to the brim, then leave 6 MB.
        let block = vec![1; 1 << 20];
        while file.write_all(&block).is_ok() {}
        let len = file.metadata().expect("size").len();
        file.set_len(len.saturating_sub(6 << 20))
            .expect("truncated");
        let error = loop {
            match store.put_embeddings(&model(), &batch(acknowledged..acknowledged + 100)) {
                Ok(()) => acknowledged += 100,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        for _ in 0..3 {
            let error = save(&store, 1).expect_err("still full");
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        }
        drop(file);
        fs::remove_file(&filler).expect("removed");
        save(&store, 2).expect("there is space again");
        for i in 0..acknowledged {
            assert_eq!(
                store.embedding(&hash(i), &model()).expect("read"),
                Some(vector(i))
            );
        }
        assert!(acknowledged > before, "6 MB hold some embeddings");
        assert!(store.take_healed().is_none() && quarantines(path).is_empty());
    }
}

/// The power is cut on an ext4 in a file, whose journal is not flushed: what is not fsynced is gone.
#[test]
#[ignore = "needs root, mkfs.ext4, loop devices and python3"]
fn a_power_cut_loses_nothing_acknowledged() {
    let image = tempfile::NamedTempFile::new().expect("file");
    image.as_file().set_len(512 << 20).expect("size");
    let disk = Mounted(tempfile::tempdir().expect("folder"));
    let (image, folder) = (image.path().display(), disk.0.path().display());
    let mount = format!("mkfs.ext4 -q -F {image} && mount -o loop {image} {folder}");
    let ready = run(&mount) && run("python3 -c 'import fcntl'");
    assert!(ready, "root, mkfs.ext4, loop devices and python3");
    let mut dice = Dice(17);
    let (mut put, mut saved) = (0, 0);
    let mut slowest = Duration::ZERO;
    let rounds = faults(5);
    for round in 0..rounds {
        let mut child = Writer::start(disk.0.path());
        child.works();
        std::thread::sleep(Duration::from_micros(dice.below(500_000)));
        // FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let shutdown = "import fcntl,os,struct,sys; f=os.open(sys.argv[1],0); fcntl.ioctl(f,0x8004587d,struct.pack('I',2))";
        assert!(run(&format!("python3 -c \"{shutdown}\" {folder}")));
        let (last_put, last_saved) = child.kill();
        (put, saved) = (put.max(last_put), saved.max(last_saved));
        assert!(run(&format!("umount {folder}")), "round {round}");
        // Mounted again while some other mount namespace still has it, it would be the dead file system itself.
        let unmounted = Instant::now();
        while !run(&format!("test -z \"$(losetup -j {image})\"")) {
            assert!(unmounted.elapsed() < patience(), "somebody holds the disk");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(
            run(&format!("mount -o loop {image} {folder}")),
            "round {round}"
        );
        let began = Instant::now();
        let store = open(disk.0.path());
        slowest = slowest.max(began.elapsed());
        saved = assert_nothing_lost(&store, put, saved);
    }
    println!("{rounds} power cuts, {put} rounds of 20 embeddings, slowest opening {slowest:?}");
}
