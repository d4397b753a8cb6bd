//! Bits flip, files are cut short or vanish in the store; the real daemon starts on what is left.

use crate::{
    album::{Dice, Editor},
    check::{agree, builtin, configure, copy_folder, count, start_ready, until_same},
    common::Site,
};
use mosaicd::{
    artwork::ContentHash,
    store::{SledStore, Store},
};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

#[test]
fn a_damaged_store_never_keeps_it_from_serving_the_right_vectors() {
    let site = Site::new();
    configure(&site, "");
    let mut editor = Editor::new(&site.artworks(), 3, 80);
    editor.add(60);
    site.build();
    for _ in 0..10 {
        editor.step();
        site.build();
    }
    let (healthy, state) = (site.path("healthy"), site.path("state"));
    copy_folder(&state, &healthy);
    let right = vectors(&site, &healthy);
    assert!(right.len() >= 50);
    let (rounds, mut slowest, mut healed) = (count(9, 100), Duration::ZERO, 0);
    let mut dice = Dice(4);
    for round in 0..rounds {
        fs::remove_dir_all(&state).unwrap();
        copy_folder(&healthy, &state);
        let what = damage(&state.join("store/sled-0.34/v1"), round, &mut dice);
        editor.step();
        let (daemon, took) = start_ready(&site, &[]);
        slowest = slowest.max(took);
        until_same(&site);
        assert_eq!(daemon.stop(), 0, "{what}");
        agree(&site, &editor.album);
        healed += u32::from(site.log().contains("it was set aside and rebuilt"));
        // Whatever is served is right: an embedding is the same bits each time it is made.
        for (hash, vector) in vectors(&site, &state) {
            let expected = right.get(&hash);
            assert!(
                expected.is_none_or(|expected| *expected == vector),
                "{what}: a wrong vector for {hash}"
            );
        }
    }
    assert!(healed > 0, "nothing did any harm: this test cannot fail");
    println!(
        "{rounds} damages, {healed} healed by rebuilding, 0 wrong vectors, slowest start {slowest:?}"
    );
}

/// Does one kind of damage to the database folder and says which.
fn damage(database: &Path, round: u32, dice: &mut Dice) -> String {
    let db = database.join("db");
    let size = db.metadata().unwrap().len();
    let at = dice.below(size);
    let open = |path: &Path| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap()
    };
    match round % 9 {
        0..4 => flip(&db, at, dice),
        4 => {
            let files: Vec<PathBuf> = fs::read_dir(database)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file() && path.metadata().unwrap().len() > 0)
                .collect();
            let file = files[dice.below(files.len() as u64) as usize].clone();
            let at = dice.below(file.metadata().unwrap().len());
            flip(&file, at, dice)
        }
        5 => {
            open(&db).set_len(at).unwrap();
            format!("cut short at {at} of {size}")
        }
        6 => {
            open(&db)
                .write_all_at(&vec![0; 4096], at / 4096 * 4096)
                .unwrap();
            format!("4 KiB of zeros at {at}")
        }
        7 => {
            fs::remove_file(&db).unwrap();
            "db deleted".into()
        }
        _ => {
            fs::write(database.join("conf"), "rubbish\n1234567890").unwrap();
            "conf overwritten".into()
        }
    }
}

fn flip(path: &Path, at: u64, dice: &mut Dice) -> String {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1 << dice.below(8);
    file.write_all_at(&byte, at).unwrap();
    format!("a bit of {} flipped at {at}", path.display())
}

/// The embeddings of the published works as a state folder has them.
fn vectors(site: &Site, state: &Path) -> BTreeMap<ContentHash, Vec<f32>> {
    let store = SledStore::open(state).unwrap().store;
    let model = builtin();
    let of = |hash| Some((hash, store.embedding(&hash, &model).unwrap()?));
    site.manifest()
        .works
        .iter()
        .filter_map(|w| of(w.hash))
        .collect()
}
