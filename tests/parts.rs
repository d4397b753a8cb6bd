//! Parts of a collection that are embedded elsewhere and taken over: the same mosaic as from a single run, whatever is
//! killed, damaged, repeated or opted out.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod common;

use common::Site;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

const WORKS: usize = 24;

/// Every file below a folder with its content.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_owned();
                    all.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    all
}

/// What readers see, and the cells; the manifest without its time of day.
fn shown(site: &Site) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all: BTreeMap<_, _> = ["t", "large"]
        .into_iter()
        .flat_map(|name| {
            let files = tree(&site.output().join(name)).into_iter();
            files.map(move |(path, bytes)| (Path::new(name).join(path), bytes))
        })
        .collect();
    let cells = tree(&site.state().join("cells")).into_iter();
    all.extend(cells.map(|(path, bytes)| (Path::new("cells").join(path), bytes)));
    let mosaic = fs::read(site.output().join("mosaic.jpg")).unwrap();
    all.insert("mosaic.jpg".into(), mosaic);
    let mut manifest = site.manifest();
    manifest.published_ms = 0;
    manifest
        .works
        .iter_mut()
        .for_each(|work| Arc::make_mut(work).added_ms = 0);
    all.insert("manifest".into(), serde_json::to_vec(&manifest).unwrap());
    all
}

/// A site with the same artworks, which nothing was made of.
fn twin(site: &Site) -> Site {
    let twin = Site::new();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(site.artworks().join("."))
        .arg(twin.artworks())
        .status();
    assert!(copied.unwrap().success());
    twin
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn embed(site: &Site, part: &str, out: &str) -> String {
    good(site.mosaicd(&["embed", "--part", part, "--out", out]))
}

#[test]
fn the_mosaic_of_parts_is_that_of_a_single_run_and_nothing_is_embedded_again() {
    let site = Site::new();
    site.draw(0, WORKS);
    fs::create_dir(site.art("below")).unwrap();
    fs::write(site.art("below/a, \"b\"\n.png"), common::png(90)).unwrap();
    fs::write(site.art("copy.png"), common::png(0)).unwrap();
    fs::write(site.art("broken.png"), b"no picture").unwrap();
    let alone = twin(&site);
    alone.build();
    for part in 1..=3 {
        embed(&site, &format!("{part}/3"), &format!("p{part}"));
    }
    let refused: Vec<_> = (1..=3)
        .map(|part| fs::read_to_string(site.path(&format!("p{part}/refused.csv"))).unwrap())
        .filter(|table| table.contains("broken.png") && table.contains("not a picture"))
        .collect();
    assert_eq!(refused.len(), 1, "one part names the broken file");
    let before = tree(&site.path("p1"));
    assert!(embed(&site, "1/3", "p1").contains("nothing is new"));
    assert!(
        tree(&site.path("p1")) == before,
        "a repetition changes nothing"
    );
    embed(&site, "1/3", "again");
    assert!(
        tree(&site.path("again")) == before,
        "the same bytes anywhere"
    );

    let told = good(site.mosaicd(&["import", "p1", "p2", "p3"]));
    let count = WORKS + 2;
    assert!(told.contains(&format!("{} cells", count - 1)), "{told}");
    site.build();
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
    let (parts, single) = (shown(&site), shown(&alone));
    assert_eq!(
        parts.keys().collect::<Vec<_>>(),
        single.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &parts {
        assert!(single[name] == *bytes, "{} differs", name.display());
    }
}

#[test]
fn a_killed_run_loses_nothing_and_a_half_finished_part_can_be_imported() {
    // So many that the run cannot have ended when a few are done.
    const MANY: u32 = 400;
    let site = Site::new();
    for i in 0..MANY {
        let picture = image::RgbImage::from_fn(16, 16, |x, y| {
            let [i, x, y] = [i, x, y].map(|n| n as u8);
            image::Rgb([i.wrapping_mul(x), i.wrapping_add(y), (i / 2) ^ x])
        });
        picture.save(site.art(&format!("{i}.png"))).unwrap();
    }
    let alone = twin(&site);
    embed(&alone, "1/1", "whole");
    let journal = site.path("part/unfinished/read.csv");
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    let mut child = site
        .command(&["embed", "--part", "1/1", "--out", "part"])
        .spawn()
        .unwrap();
    site.wait("some files", || (lines() > 2).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !site.path("part/SHA256SUMS").exists(),
        "it was killed amid the work"
    );
    {
        // A line and a row that were cut short, as a kill within a write leaves them.
        let text = fs::read_to_string(&journal).unwrap();
        let kept = text.matches('\n').count();
        fs::write(&journal, format!("{text}\"0001-torn")).unwrap();
        let vectors = site.path("part/unfinished/embeddings.bin");
        let mut bytes = fs::read(&vectors).unwrap();
        bytes.extend([7; 99]);
        fs::write(&vectors, bytes).unwrap();

        let other = twin(&site);
        let part = site.path("part");
        let told = good(other.mosaicd(&["import", part.to_str().unwrap()]));
        assert!(told.contains("is not finished"), "{told}");
        assert_eq!(other.build().works.len(), MANY as usize);
        let taken = f64::from(MANY) - other.metric("mosaicd_embedded_total");
        assert!(taken >= 3.0, "{taken} were taken over");
        let told = embed(&site, "1/1", "part");
        let before: usize = told
            .split(" done before")
            .next()
            .and_then(|text| text.rsplit(' ').next())
            .and_then(|number| number.parse().ok())
            .unwrap();
        assert_eq!(before, kept, "{told}");
    }
    assert!(tree(&site.path("part")) == tree(&alone.path("whole")));
}

#[test]
fn what_does_not_fit_is_refused_and_the_rest_is_taken() {
    let site = Site::new();
    site.draw(0, WORKS);
    for part in 1..=2 {
        embed(&site, &format!("{part}/2"), &format!("p{part}"));
    }
    let rows = |part: &str| {
        let table = fs::read_to_string(site.path(&format!("{part}/items.csv"))).unwrap();
        table.lines().count() - 1
    };
    let sums = site.path("p1/SHA256SUMS");
    let unharmed = tree(&site.path("p1"));
    let restore = || {
        for (name, bytes) in &unharmed {
            fs::write(site.path("p1").join(name), bytes).unwrap();
        }
    };
    let change = |name: &str, edit: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let path = site.path("p1").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, edit(bytes)).unwrap();
    };
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 1);
        bytes
    };
    let flip = |mut bytes: Vec<u8>| {
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        bytes
    };
    for (name, sealed, why) in [
        ("embeddings.npy", true, "embeddings.npy is damaged"),
        ("items.csv", true, "items.csv is damaged"),
        ("embeddings.npy", false, "before reading all"),
    ] {
        for edit in [&cut as &dyn Fn(Vec<u8>) -> Vec<u8>, &flip] {
            restore();
            change(name, edit);
            if !sealed {
                fs::remove_file(&sums).unwrap();
                // A bit alone cannot be noticed without the sums.
                change(name, &cut);
            }
            let twin = twin(&site);
            let [p1, p2] = ["p1", "p2"].map(|part| site.path(part).to_str().unwrap().to_owned());
            let output = twin.mosaicd(&["import", &p1, &p2]);
            let told = said(&output);
            assert!(!output.status.success() && told.contains(why), "{told}");
            twin.build();
            let embedded = twin.metric("mosaicd_embedded_total") as usize;
            assert!(embedded <= rows("p1").max(WORKS - rows("p2")), "{told}");
        }
    }
    // A picture that is damaged is made again, and what was embedded is taken.
    restore();
    let names: Vec<_> = unharmed.keys().cloned().collect();
    let first = |folder: &str| names.iter().find(|name| name.starts_with(folder)).unwrap();
    for folder in ["cells", "large"] {
        change(first(folder).to_str().unwrap(), &flip);
    }
    let told = good(site.mosaicd(&["import", "p1", "p2"]));
    assert!(told.contains("2 pictures are damaged"), "{told}");
    site.build();
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
    // Another model, and another file under the same name.
    restore();
    let table = String::from_utf8(unharmed[Path::new("items.csv")].clone()).unwrap();
    let model = table.lines().nth(1).unwrap().split(',').nth(2).unwrap();
    fs::remove_file(&sums).unwrap();
    change("items.csv", &|_| {
        table.replace(model, &"0".repeat(64)).into()
    });
    let output = site.mosaicd(&["import", "p1"]);
    assert!(said(&output).contains("another model"), "{}", said(&output));
    restore();
    let other = twin(&site);
    let path = table.lines().nth(1).unwrap().split(',').next().unwrap();
    fs::write(other.art(path), common::png(95)).unwrap();
    let told = good(other.mosaicd(&["import", site.path("p1").to_str().unwrap()]));
    assert!(told.contains("left out: 1 whose file"), "{told}");
}

#[test]
fn what_is_opted_out_is_neither_embedded_nor_kept_nor_imported() {
    let site = Site::new();
    let names = site.draw(0, WORKS);
    fs::create_dir_all(site.art("private")).unwrap();
    fs::create_dir_all(site.art("media")).unwrap();
    fs::write(site.art("private/a.png"), common::png(91)).unwrap();
    fs::write(site.art("media/b.png"), common::png(92)).unwrap();
    fs::write(site.art("media/.nomedia"), b"").unwrap();
    fs::write(site.art("c.png~"), common::png(93)).unwrap();
    fs::write(site.path("rules"), format!("{}\n", names[0])).unwrap();
    let rules = site.path("rules");
    site.configure("");
    let configuration = fs::read_to_string(site.path("mosaicd.toml")).unwrap();
    let ruled = configuration.replace(
        "[watch]",
        &format!("[watch]\nrules = \"{}\"", rules.display()),
    );
    fs::write(site.path("mosaicd.toml"), ruled).unwrap();
    fs::write(site.art(".mosaicignore"), "private/\n").unwrap();
    let told = embed(&site, "1/1", "part");
    assert!(told.contains(&format!("{} embedded", WORKS - 1)), "{told}");
    let holds = |name: &str| {
        let table = fs::read_to_string(site.path("part/items.csv")).unwrap();
        let hash = blake3::hash(&fs::read(site.art(name)).unwrap()).to_hex();
        let cell = format!("{}/{hash}", &hash.as_str()[..2]);
        let sums = fs::read_to_string(site.path("part/SHA256SUMS")).unwrap();
        table.contains(name) || sums.contains(&cell) || sums.contains(&hash.as_str()[..32])
    };
    for private in [&names[0], "private/a.png", "media/b.png", "c.png~"] {
        assert!(!holds(private), "{private}");
    }
    // One more is opted out: a repetition forgets it, and an import of what was made before leaves it out.
    let old = site.path("old");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(site.path("part"))
        .arg(&old)
        .status();
    assert!(copied.unwrap().success());
    assert!(holds(&names[1]));
    fs::write(
        site.art(".mosaicignore"),
        format!("private/\n{}\n", names[1]),
    )
    .unwrap();
    embed(&site, "1/1", "part");
    assert!(!holds(&names[1]));
    let told = good(site.mosaicd(&["import", old.to_str().unwrap()]));
    assert!(told.contains("1 without a file"), "{told}");
    assert_eq!(site.build().works.len(), WORKS - 2);
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
}

#[test]
fn a_running_daemon_places_what_was_imported_and_a_restart_keeps_the_rest() {
    let site = Site::new();
    site.draw(0, WORKS);
    fs::write(site.art(".mosaicignore"), "private/\n").unwrap();
    embed(&site, "1/1", "part");
    good(site.mosaicd(&["import", "part"]));
    let daemon = site.start();
    site.until_works(WORKS);
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
    daemon.kill();
    assert_eq!(site.build().works.len(), WORKS);
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
}

#[test]
fn paths_alone_are_taken_for_what_the_files_hold_if_somebody_vouches_for_the_model() {
    let site = Site::new();
    let names = site.draw(0, 5);
    embed(&site, "1/1", "part");
    let table = fs::read_to_string(site.path("part/items.csv")).unwrap();
    let paths = table.lines().map(|line| line.split(',').next().unwrap());
    let paths: Vec<_> = paths.collect();
    fs::write(site.path("paths.csv"), paths.join("\n")).unwrap();
    // As float16, which clip-retrieval writes.
    let file = fs::File::open(site.path("part/embeddings.npy")).unwrap();
    let ([rows, dims], matrix) = mosaicd::npy::read(file).unwrap();
    let header =
        format!("{{'descr': '<f2', 'fortran_order': False, 'shape': ({rows}, {dims}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let halves = matrix
        .data()
        .iter()
        .map(|&value| half::f16::from_f32(value));
    bytes.extend(halves.flat_map(half::f16::to_le_bytes));
    fs::write(site.path("halves.npy"), bytes).unwrap();
    let import = |more: &[&str]| {
        let all = [&["import", "halves.npy", "paths.csv"], more].concat();
        site.mosaicd(&all)
    };
    for (more, why) in [
        (&[][..], "--model"),
        (&["--model", "clip-vit-b-32"], "never mixed"),
    ] {
        let output = import(more);
        let told = said(&output);
        assert!(!output.status.success() && told.contains(why), "{told}");
    }
    fs::remove_file(site.art(&names[2])).unwrap();
    let told = good(import(&["--model", "builtin"]));
    assert!(told.contains("4 embeddings imported"), "{told}");
    assert!(told.contains("1 without a file"), "{told}");
    assert_eq!(site.build().works.len(), 4);
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
}

#[test]
fn a_folder_among_the_artworks_is_refused_and_two_runs_do_not_share_one() {
    let site = Site::new();
    site.draw(0, 3);
    let inside = site.mosaicd(&["embed", "--out", "artworks/part"]);
    assert_eq!(inside.status.code(), Some(78), "{}", said(&inside));
    assert!(!site.art("part").exists());
    for wrong in ["0/2", "3/2", "x"] {
        let wrong = site.mosaicd(&["embed", "--part", wrong, "--out", "part"]);
        assert_eq!(wrong.status.code(), Some(2));
    }
    embed(&site, "1/1", "part");
    let lock = fs::File::create(site.path("part/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = site.mosaicd(&["embed", "--out", "part"]);
    assert!(!busy.status.success() && said(&busy).contains("another process"));
    drop(lock);
    // A folder that lost its files, as one that is not mounted, does not empty the part.
    for name in fs::read_dir(site.artworks()).unwrap() {
        fs::remove_file(name.unwrap().path()).unwrap();
    }
    let empty = site.mosaicd(&["embed", "--out", "part"]);
    assert!(
        !empty.status.success() && said(&empty).contains("mounted"),
        "{}",
        said(&empty)
    );
}

#[test]
fn shards_of_another_program_are_taken_by_the_names_that_files_have() {
    let site = Site::new();
    site.draw(0, 6);
    fs::create_dir(site.art("100%25")).unwrap();
    fs::write(site.art("100%25/a, b.png"), common::png(90)).unwrap();
    let alone = twin(&site);
    alone.build();
    embed(&site, "1/1", "part");
    let file = fs::File::open(site.path("part/embeddings.npy")).unwrap();
    let ([rows, dims], matrix) = mosaicd::npy::read(file).unwrap();
    let table = fs::read_to_string(site.path("part/items.csv")).unwrap();
    let paths: Vec<_> = mosaicd::describe::csv::records(&table)
        .skip(1)
        .map(|record| record.fields[0].replace("%25", "%"))
        .collect();
    let half = rows / 2;
    for (shard, range) in [(0, 0..half), (1, half..rows)] {
        let npy = fs::File::create(site.path(&format!("img_emb_{shard}.npy"))).unwrap();
        let values = matrix.data().chunks(dims);
        let values = values.skip(range.start).take(range.len());
        mosaicd::npy::write(npy, [range.len(), dims], values).unwrap();
        let lines: String = paths[range]
            .iter()
            .map(|path| format!("\"{path}\"\n"))
            .collect();
        let items = site.path(&format!("items_{shard}.csv"));
        fs::write(items, format!("path\n{lines}")).unwrap();
    }
    let [e0, e1, i0, i1] = [
        "img_emb_0.npy",
        "img_emb_1.npy",
        "items_0.csv",
        "items_1.csv",
    ];
    for (sources, why) in [
        (&[e0, e1, i0][..], "2 arrays (.npy) and 1 tables"),
        (&[e0, e1, i1, i0], "in the same order"),
    ] {
        let output = site.mosaicd(&[&["import", "--model", "builtin"], sources].concat());
        let told = said(&output);
        assert!(!output.status.success() && told.contains(why), "{told}");
    }
    let told = good(site.mosaicd(&["import", e0, e1, i0, i1, "--model", "builtin"]));
    assert!(told.contains("7 embeddings imported"), "{told}");
    site.build();
    assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
    assert!(shown(&site) == shown(&alone));
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn a_model_embeds_in_parts_as_the_daemon_does() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip");
    let model = fixtures.join("tiny-clip.onnx");
    let library = std::env::var("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH is set");
    for more in ["", "look = 0.3\n"] {
        let site = Site::new();
        site.draw(0, WORKS);
        let alone = twin(&site);
        for site in [&site, &alone] {
            site.configure(&format!(
                "[embed]\nmodel = {:?}\nlibrary = {library:?}\n{more}",
                model.display().to_string()
            ));
        }
        alone.build();
        for part in 1..=3 {
            embed(&site, &format!("{part}/3"), &format!("p{part}"));
        }
        good(site.mosaicd(&["import", "p1", "p2", "p3"]));
        site.build();
        assert_eq!(site.metric("mosaicd_embedded_total"), 0.0);
        assert!(shown(&site) == shown(&alone), "the same tiles and manifest");
        for site in [&site, &alone] {
            good(site.mosaicd(&["export", "vectors"]));
        }
        let bits = |site: &Site| fs::read(site.path("vectors/embeddings.npy")).unwrap();
        assert!(bits(&site) == bits(&alone), "the same bits");
    }
}
