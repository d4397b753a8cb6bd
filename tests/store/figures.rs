//! Measurements, by hand: `cargo test --release --test store figures -- --ignored --nocapture`.

use super::*;

/// `cargo test --release --test store -- --ignored --nocapture memory`
#[test]
#[ignore = "a measurement"]
fn memory_of_opening_again_and_again() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    for i in 0..25 {
        let batch = batch(i * 200..(i + 1) * 200);
        store.put_embeddings(&model(), &batch).expect("put");
    }
    let knn: Vec<u8> = (0..2_400_000u32)
        .map(|i| (i / 7) as u8 ^ (i >> 13) as u8)
        .collect();
    store.save_state(&[("knn", &knn)]).expect("save");
    drop(store);
    let rss = || {
        let status = fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.expect("a line").to_owned()
    };
    println!("before: {}", rss());
    for i in 0..30 {
        let store = open(folder.path());
        store.load_state().expect("load");
        if i % 3 == 0 {
            println!("opened {i} times: {}", rss());
        }
    }
    let store = open(folder.path());
    for i in 0..30u32 {
        let mut knn = knn.clone();
        for (k, byte) in knn.iter_mut().enumerate() {
            *byte ^= (i as usize + k / 4096) as u8;
        }
        (0..3).for_each(|_| store.save_state(&[("knn", &knn)]).expect("save"));
        store.erase(&|_, _| true).expect("rewrite");
        if i % 3 == 0 {
            println!("rewritten {i} times: {}", rss());
        }
    }
}

/// `cargo test --release --test store -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn figures_of_20_000_embeddings() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let began = Instant::now();
    for i in 0..100 {
        let batch = batch(i * 200..(i + 1) * 200);
        store.put_embeddings(&model(), &batch).expect("put");
    }
    println!("200 embeddings put: {:?} on average", began.elapsed() / 100);
    let mut knn = vec![0; 20_000 * 15 * 8];
    for (i, byte) in (0u32..).zip(&mut knn) {
        *byte = (i / 7) as u8 ^ (i >> 13) as u8;
    }
    for what in ["first", "second"] {
        let began = Instant::now();
        store.save_state(&[("knn", &knn)]).expect("save");
        println!("{what} save of 2.4 MB: {:?}", began.elapsed());
        for i in 0..20 {
            knn[i * 100_003] ^= 1;
        }
    }
    let began = Instant::now();
    let found = (0..20_000).all(|i| store.has_embedding(&hash(i), &model()).expect("read"));
    println!("20,000 read: {:?}, all there: {found}", began.elapsed());
    println!(
        "size on disk: {} MB",
        store.size_on_disk().expect("size") >> 20
    );
    drop(store);
    for _ in 0..2 {
        let began = Instant::now();
        drop(open(folder.path()));
        println!("opened and verified: {:?}", began.elapsed());
    }
    let status = fs::read_to_string("/proc/self/status").expect("status");
    println!(
        "{}",
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default()
    );
}
