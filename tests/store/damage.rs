//! Damaged files: bits flipped, cut short, deleted; what was set aside.

use super::*;

/// A store of 1,000 embeddings and a state, to be copied and damaged.
fn healthy(folder: &Path) -> u32 {
    let store = open(folder);
    for i in 0..20 {
        store
            .put_embeddings(&model(), &batch(i * 50..(i + 1) * 50))
            .expect("put");
        save(&store, i).expect("save");
    }
    drop(store);
    drop(open(folder)); // Writes a snapshot.
    1_000
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copy");
        }
    }
}

/// Copies the healthy store, lets `damage` loose on its database folder, and checks that it opens, serves nothing
/// wrong, and takes new embeddings. Returns whether it healed, how many embeddings are left, and the state.
fn damaged(healthy: &Path, n: u32, damage: impl FnOnce(&Path)) -> (bool, u32, Option<u32>) {
    let folder = tempfile::tempdir().expect("folder");
    copy(healthy, folder.path());
    damage(&database(folder.path()));
    let Opened { store, healed } = SledStore::open(folder.path()).expect("always opens");
    if let Some(healed) = &healed {
        assert_eq!(
            quarantines(folder.path()),
            std::slice::from_ref(&healed.moved_to)
        );
        assert_eq!(
            store.load_state().expect("load").is_some(),
            healed.state_salvaged
        );
    }
    let mut left = 0;
    for i in 0..n {
        match store.embedding(&hash(i), &model()).expect("read") {
            Some(kept) => {
                assert_eq!(kept, vector(i), "a wrong vector");
                left += 1;
            }
            None => store
                .put_embeddings(&model(), &batch(i..i + 1))
                .expect("put again"),
        }
    }
    let state = store.load_state().expect("load").as_ref().map(generation);
    save(&store, 99).expect("save");
    drop(store);
    let store = open(folder.path());
    for i in 0..n {
        assert_eq!(
            store.embedding(&hash(i), &model()).expect("read"),
            Some(vector(i))
        );
    }
    assert_eq!(
        store.load_state().expect("load").as_ref().map(generation),
        Some(99)
    );
    (healed.is_some(), left, state)
}

#[test]
fn flipped_bits_never_serve_wrong_vectors_and_nearly_everything_is_salvaged() {
    let folder = tempfile::tempdir().expect("folder");
    let n = healthy(folder.path());
    let mut dice = Dice(11);
    let (mut healed_times, mut states, mut lost, rounds) = (0, 0, 0, faults(20));
    for round in 0..rounds {
        let (healed, left, state) = damaged(folder.path(), n, |database| {
            let files: Vec<_> = fs::read_dir(database)
                .expect("folder")
                .flatten()
                .map(|e| e.path())
                .collect();
            let files: Vec<_> = files.into_iter().filter(|path| path.is_file()).collect();
            // Mostly the log; now and then the snapshot or the configuration.
            let file = match round % 4 {
                0 => files[dice.below(files.len() as u64) as usize].clone(),
                _ => database.join("db"),
            };
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(file)
                .expect("file");
            let at = dice.below(file.metadata().expect("size").len());
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("read");
            byte[0] ^= 1 << dice.below(8);
            file.write_all_at(&byte, at).expect("write");
        });
        healed_times += u32::from(healed);
        states += u32::from(state.is_some());
        // sled, before it gives up, zeroes what follows the damage in its segment of 512 KiB.
        assert!(left + 250 >= n, "only {left} of {n} left, healed: {healed}");
        lost += n - left;
    }
    println!(
        "{rounds} flips, {n} embeddings each: healed {healed_times}, state kept {states}, embeddings lost {lost}"
    );
    assert!(
        healed_times > 0,
        "no flip did any harm: this test cannot fail"
    );
}

#[test]
fn a_truncated_or_deleted_database_is_no_obstacle() {
    let folder = tempfile::tempdir().expect("folder");
    let n = healthy(folder.path());
    let mut dice = Dice(13);
    for _ in 0..faults(5) {
        damaged(folder.path(), n, |database| {
            let file = OpenOptions::new()
                .write(true)
                .open(database.join("db"))
                .expect("file");
            let len = file.metadata().expect("size").len();
            file.set_len(dice.below(len)).expect("truncated");
        });
    }
    let zeroed = |database: &Path| {
        let file = OpenOptions::new()
            .write(true)
            .open(database.join("db"))
            .expect("file");
        file.write_all_at(&[0; 4096], 4096 * 30).expect("write");
    };
    damaged(folder.path(), n, zeroed);
    let gone = |name: &'static str| {
        move |database: &Path| fs::remove_file(database.join(name)).expect("removed")
    };
    let (_, left, _) = damaged(folder.path(), n, gone("db"));
    assert_eq!(left, 0);
    damaged(folder.path(), n, gone("conf"));
    damaged(folder.path(), n, |database| {
        fs::write(database.join("conf"), "rubbish: 1\n\0\0\0\0").expect("write")
    });
    damaged(folder.path(), n, |database| {
        fs::remove_dir_all(database).expect("removed")
    });
    damaged(folder.path(), n, |database| {
        fs::write(database.join("db"), vec![0x5a; 1 << 20]).expect("write")
    });
    let (healed, left, state) = damaged(folder.path(), n, |database| {
        // A crash while the snapshot is written (spacejam/sled/issues/1527).
        fs::write(database.join("snap.FFFFFFFFFFFFFFF0.generating"), "half").expect("write");
    });
    assert!(
        !healed && left == n && state == Some(19),
        "a half written snapshot is no damage"
    );
}

#[test]
fn only_the_last_damaged_store_is_kept_and_an_interrupted_salvage_is_done_again() {
    let folder = tempfile::tempdir().expect("folder");
    let n = healthy(folder.path());
    let spoil =
        || fs::write(database(folder.path()).join("conf"), "rubbish\n1234567890").expect("write");
    spoil();
    let first = SledStore::open(folder.path())
        .expect("opens")
        .healed
        .expect("healed");
    assert!(
        matches!(first.reason, Damage::Database(_)),
        "{:?}",
        first.reason
    );
    assert!(first.salvaged >= u64::from(n) && first.state_salvaged);
    spoil();
    let second = SledStore::open(folder.path())
        .expect("opens")
        .healed
        .expect("healed");
    assert_eq!(
        quarantines(folder.path()),
        std::slice::from_ref(&second.moved_to)
    );
    assert_ne!(first.moved_to, second.moved_to);
    // The run that set it aside was stopped: nothing is in the new store yet.
    fs::remove_file(second.moved_to.join("salvaged")).expect("mark");
    fs::remove_dir_all(database(folder.path())).expect("removed");
    let Opened { store, healed } = SledStore::open(folder.path()).expect("opens");
    assert!(matches!(
        healed.expect("healed").reason,
        Damage::Interrupted
    ));
    assert!((0..n).all(|i| store.has_embedding(&hash(i), &model()).expect("read")));
    assert_eq!(
        store.load_state().expect("load").as_ref().map(generation),
        Some(19)
    );
}
