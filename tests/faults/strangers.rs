//! Strangers write to the artwork folder: what they leave there speaks for nobody else, costs little, and stops nothing.

use crate::{
    check::skip,
    common::{Daemon, Site, png, put},
};
use mosaicd::domain::manifest::Manifest;
use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

/// A user who is nobody else on the machine.
const STRANGER: u32 = 64_123;

fn told(site: &Site, what: &str) -> Option<()> {
    let text = fs::read_to_string(site.state().join("status.json")).ok()?;
    text.contains(what).then_some(())
}

fn shows(manifest: &Manifest, path: &str) -> bool {
    manifest.works.iter().any(|work| work.path == path)
}

/// Replaces the whole configuration.
fn configure(site: &Site, text: &str) {
    fs::write(site.path("mosaicd.toml"), text).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs the daemon as a user who may not read everything.
fn start_unprivileged(site: &Site) -> Daemon<'_> {
    if !is_root() {
        return site.start();
    }
    fs::set_permissions(site.dir.path(), Permissions::from_mode(0o755)).unwrap();
    for folder in ["output", "state"] {
        fs::create_dir_all(site.path(folder)).unwrap();
        chown(site.path(folder), Some(STRANGER), None).unwrap();
    }
    let log = fs::File::create(site.path("log")).unwrap();
    let mut command = site.command(&["run"]);
    let command = command.uid(STRANGER).stdout(Stdio::null()).stderr(log);
    Daemon::of(site, command.spawn().unwrap())
}

#[test]
fn what_a_stranger_says_counts_for_that_strangers_files_alone() {
    if !is_root() {
        return skip("giving files away needs root");
    }
    let site = Site::new();
    let names = site.draw(0, 4);
    let (ignore, table) = (site.art(".mosaicignore"), site.art("artworks.csv"));
    fs::write(&ignore, "*.png\n").unwrap();
    fs::write(&table, format!("path,title\n{},Mine\n", names[0])).unwrap();
    fs::write(site.art("s.png"), png(20)).unwrap();
    for file in [&ignore, &table, &site.art("s.png")] {
        chown(file, Some(STRANGER), None).unwrap();
    }
    let daemon = site.start();
    let manifest = site.until("4 works", |m| m.works.len() == 4);
    assert!(!shows(&manifest, "s.png"));
    assert!(manifest.works.iter().all(|work| work.title.is_none()));
    for what in [
        ".mosaicignore belongs to the user 64123",
        "is not read: it belongs to the user 64123",
    ] {
        site.wait(what, || told(&site, what));
    }
    let validate = site.mosaicd(&["validate"]);
    let said = String::from_utf8_lossy(&validate.stdout).into_owned();
    assert_eq!(validate.status.code(), Some(78));
    assert_eq!(
        said.matches("belongs to the user 64123").count(),
        2,
        "{said}"
    );
    // Those who make a file may take it back.
    fs::write(site.art("other.png"), png(22)).unwrap();
    site.until("5 works", |m| m.works.len() == 5);
    chown(site.art("other.png"), Some(STRANGER), None).unwrap();
    site.until("4 works again", |m| m.works.len() == 4);
    // Theirs who may speak for all.
    chown(&table, Some(0), None).unwrap();
    site.until("the title", |m| {
        m.works
            .iter()
            .any(|work| work.title.as_deref() == Some("Mine"))
    });
    fs::write(&ignore, format!("{}\n", names[1])).unwrap();
    chown(&ignore, Some(0), None).unwrap();
    let manifest = site.until("the opt-out", |m| !shows(m, &names[1]) && shows(m, "s.png"));
    assert_eq!(manifest.works.len(), 5);
    // What no ignore file is, from a stranger, stops nobody.
    let pipe = site.art("pipe");
    fs::create_dir(&pipe).unwrap();
    fs::create_dir(pipe.join(".mosaicignore")).unwrap();
    chown(pipe.join(".mosaicignore"), Some(STRANGER), None).unwrap();
    put(&pipe.join("a.png"), &png(23));
    site.until("the work beside it", |m| shows(m, "pipe/a.png"));
    // Taken over by a stranger: the last good patterns hold.
    fs::write(&ignore, "!*\n").unwrap();
    chown(&ignore, Some(STRANGER), None).unwrap();
    site.wait("the stranger", || told(&site, "belongs to the user 64123"));
    put(&site.art("mark.png"), &png(21));
    let manifest = site.until("the mark", |m| shows(m, "mark.png"));
    assert!(!shows(&manifest, &names[1]));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn rules_that_would_cost_too_much_are_refused_by_their_line() {
    let site = Site::new();
    site.draw(0, 3);
    fs::create_dir(site.art("private")).unwrap();
    fs::write(site.art("private/0.png"), png(20)).unwrap();
    let ignore = site.art(".mosaicignore");
    fs::write(&ignore, "private/\n").unwrap();
    let daemon = site.start();
    site.until("3 works", |m| m.works.len() == 3);
    let braces = format!("# none\n{}x{}\n", "{".repeat(15_000), "}".repeat(15_000));
    let many = "x\n".repeat(10_001);
    let long = format!("{}\n", "x".repeat(5_000));
    for (i, (text, wrong)) in [
        (braces.as_str(), "line 2 nests braces"),
        (&many, "line 10001 is beyond"),
        (&long, "line 1 is longer than"),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&ignore, text).unwrap();
        site.wait(wrong, || told(&site, wrong));
        let mark = format!("mark-{i}.png");
        put(&site.art(&mark), &png(30 + i));
        let manifest = site.until(&mark, |m| shows(m, &mark));
        assert!(!shows(&manifest, "private/0.png"), "{wrong}");
    }
    assert_eq!(daemon.stop(), 0);
    let daemon = site.start();
    put(&site.art("mark.png"), &png(40));
    let manifest = site.until("the mark", |m| shows(m, "mark.png"));
    assert!(!shows(&manifest, "private/0.png"));
    assert!(told(&site, "line 1 is longer than").is_some());
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_table_that_would_cost_too_much_is_read_up_to_there() {
    let site = Site::new();
    let names = site.draw(0, 3);
    let mut table = format!(
        "path,title\n{},First\n{},{}\n",
        names[0],
        names[1],
        "x".repeat(70_000)
    );
    table += &format!("{},Third\n", names[2]);
    (0..250_000).for_each(|i| table += &format!("no-{i}.png,T\n"));
    fs::write(site.art("artworks.csv"), table).unwrap();
    let daemon = site.start();
    let titles = |m: &Manifest| {
        let titles = m.works.iter().map(|work| work.title.clone());
        titles.collect::<Vec<_>>()
    };
    let wanted = [Some("First"), None, Some("Third")].map(|title| title.map(str::to_owned));
    site.until("the titles", |m| titles(m) == wanted);
    for what in [
        "line 3: longer than 64 KiB",
        "line 200002: more than 200000 rows",
    ] {
        site.wait(what, || told(&site, what));
    }
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn rules_and_table_may_lie_elsewhere() {
    let site = Site::new();
    let names = site.draw(0, 4);
    configure(
        &site,
        "[folders]\ntable = \"own/titles.csv\"\n[watch]\nsettle_ms = 100\nstable_ms = 600\nrules = \"own/rules\"\n[tile]\nsize_px = 32\n",
    );
    // In the artwork folder no table counts now.
    fs::write(
        site.art("artworks.csv"),
        format!("path,title\n{},Wrong\n", names[0]),
    )
    .unwrap();
    let daemon = site.start();
    site.wait("the missing rules", || told(&site, "is not there"));
    assert!(site.try_manifest().is_none_or(|m| m.works.is_empty()));
    fs::create_dir(site.path("own")).unwrap();
    fs::write(site.path("own/rules"), format!("{}\n", names[3])).unwrap();
    fs::write(
        site.path("own/titles.csv"),
        format!("path,title\n{},Right\n", names[0]),
    )
    .unwrap();
    let title = |m: &Manifest| {
        m.works
            .iter()
            .find(|w| w.path == names[0])
            .and_then(|w| w.title.clone())
    };
    let manifest = site.until("3 works", |m| m.works.len() == 3 && title(m).is_some());
    assert_eq!(title(&manifest).as_deref(), Some("Right"));
    assert!(!shows(&manifest, &names[3]));
    fs::write(
        site.path("own/rules"),
        format!("{}\n{}\n", names[3], names[2]),
    )
    .unwrap();
    site.until("2 works", |m| m.works.len() == 2);
    fs::remove_file(site.path("own/rules")).unwrap();
    site.wait("the missing rules", || told(&site, "is not there"));
    put(&site.art("mark.png"), &png(20));
    let manifest = site.until("the mark", |m| shows(m, "mark.png"));
    assert!(!shows(&manifest, &names[2]) && !shows(&manifest, &names[3]));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn folders_that_may_not_be_read_cost_nothing_and_are_found_when_they_open() {
    let site = Site::new();
    site.draw(0, 3);
    let closed = |i: usize| site.art(&format!("closed-{i}"));
    let shut = |i: usize| {
        fs::create_dir(closed(i)).unwrap();
        fs::write(closed(i).join("inside.png"), png(100 + i)).unwrap();
        fs::set_permissions(closed(i), Permissions::from_mode(0o000)).unwrap();
        if is_root() {
            chown(closed(i), Some(STRANGER), None).unwrap();
        }
    };
    (0..20).for_each(shut);
    let daemon = start_unprivileged(&site);
    site.until("3 works", |m| m.works.len() == 3);
    (20..40).for_each(shut);
    let calm = |unreadable| {
        move |status: mosaicd::service::status::Status| {
            let counts = status.counts;
            let good = counts.unreadable == unreadable
                && counts.pending == 0
                && status.degraded.is_empty();
            good.then_some(())
        }
    };
    site.wait("calm", || calm(40)(site.status()));
    // Events still come, from folders that are made after them, too.
    fs::create_dir(site.art("open")).unwrap();
    put(&site.art("open/new.png"), &png(20));
    site.until("the new work", |m| shows(m, "open/new.png"));
    for i in [7, 33] {
        fs::set_permissions(closed(i), Permissions::from_mode(0o755)).unwrap();
        let path = format!("closed-{i}/inside.png");
        site.until(&path, |m| shows(m, &path));
        put(&closed(i).join("later.png"), &png(200 + i));
        let later = format!("closed-{i}/later.png");
        site.until(&later, |m| shows(m, &later));
    }
    // One that closes keeps its works.
    fs::set_permissions(closed(7), Permissions::from_mode(0o000)).unwrap();
    site.wait("closed again", || calm(39)(site.status()));
    assert!(shows(&site.manifest(), "closed-7/inside.png"));
    assert_eq!(daemon.stop(), 0);
    let mut validate = site.command(&["validate"]);
    if is_root() {
        validate.uid(STRANGER);
    }
    let validate = validate.output().unwrap();
    let said = String::from_utf8_lossy(&validate.stdout).into_owned();
    assert_eq!(validate.status.code(), Some(78), "{said}");
    assert!(
        said.contains("closed-0: cannot be read") && said.contains("and 34 more"),
        "{said}"
    );
    (0..40).for_each(|i| fs::set_permissions(closed(i), Permissions::from_mode(0o755)).unwrap());
}

#[test]
fn generations_keep_their_pace_under_continuous_change() {
    let site = Site::new();
    site.configure("[publish]\nevery_s = 2\n");
    site.draw(0, 4);
    let daemon = site.start();
    let before = site.until("4 works", |m| m.works.len() == 4).generation;
    let began = Instant::now();
    for i in 0..50 {
        put(&site.art(&format!("{i}.png")), &png(20 + i));
        std::thread::sleep(Duration::from_millis(150));
    }
    let made = site.manifest().generation - before;
    let most = began.elapsed().as_secs() / 2 + 2;
    assert!(made <= most, "{made} generations, at most {most}");
    site.until("all works", |m| m.works.len() == 54);
    // Opting out does not wait.
    site.configure("[publish]\nevery_s = 86400\n");
    daemon.signal("HUP");
    put(&site.art("first.png"), &png(80));
    site.until("the first one", |m| shows(m, "first.png"));
    put(&site.art("second.png"), &png(81));
    fs::write(site.art(".mosaicignore"), "7.png\n").unwrap();
    site.until("the opt-out", |m| !shows(m, "7.png"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn no_two_names_are_written_alike_and_state_is_private() {
    let site = Site::new();
    for (name, i) in [(&b"a\xff.png"[..], 1), (b"a%FF.png", 2), (b"100%.png", 3)] {
        fs::write(site.artworks().join(OsStr::from_bytes(name)), png(i)).unwrap();
    }
    let table = "path,title,link\na%FF.png,Escaped,//evil.example/x\n100%.png,Plain,/good\n";
    fs::write(site.art("artworks.csv"), table).unwrap();
    let manifest = site.build();
    let mut paths: Vec<_> = manifest.works.iter().map(|w| w.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["100%.png", "a%25FF.png", "a%FF.png"]);
    let said = |path: &str| {
        let work = manifest
            .works
            .iter()
            .find(|work| work.path == path)
            .unwrap();
        (work.title.as_deref(), work.link.as_deref())
    };
    assert_eq!(said("a%25FF.png"), (Some("Escaped"), None));
    assert_eq!(said("100%.png"), (Some("Plain"), Some("/good")));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&site.state()), 0o700);
    assert_eq!(mode(&site.state().join("store/lock")), 0o600);
    // Nothing that is public says where it lies on the server.
    let here = site.dir.path().to_str().unwrap();
    let mut folders = vec![site.output()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => {
                    let bytes = fs::read(&path).unwrap();
                    let found = memchr::memmem::find(&bytes, here.as_bytes());
                    assert_eq!(found, None, "{}", path.display());
                }
            }
        }
    }
}

/// A GIF of one pixel, and a script that a browser runs if it takes the file for a page.
const POLYGLOT: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;\
    <script>alert(1)</script>";

/// The files below a folder that `wanted` takes, as JSON.
fn json_below(
    folder: &Path,
    wanted: &dyn Fn(&serde_json::Value) -> bool,
) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(json_below(&path, wanted)),
            path => {
                let json = serde_json::from_slice(&fs::read(path).unwrap());
                found.extend(json.ok().filter(wanted));
            }
        }
    }
    found
}

#[test]
fn only_what_is_named_like_the_picture_that_it_is_is_linked() {
    let site = Site::new();
    site.configure(
        "[page]\nurl = \"https://example.org/mosaic/\"\nlink = \"/art/{path}\"\niiif = true\n",
    );
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='5' height='5'/></svg>";
    let files: [(&str, &[u8], &str, bool); 8] = [
        ("a.png", &png(1), "png", true),
        ("B.PNG", &png(2), "png", true),
        ("c.gif", POLYGLOT, "gif", true),
        ("d.html", &[POLYGLOT, b"d"].concat(), "gif", false),
        ("e.png", &[POLYGLOT, b"e"].concat(), "gif", false),
        ("f.svg", &png(3), "png", false),
        ("g.svg", svg, "svg", true),
        ("h", &png(4), "png", false),
    ];
    for (name, bytes, ..) in &files {
        fs::write(site.art(name), bytes).unwrap();
    }
    let check = |manifest: &Manifest| {
        let texts = json_below(&site.output(), &|json| json.get("path").is_some());
        let [text] = texts.as_slice() else {
            panic!("{} files with paths", texts.len());
        };
        let feed = fs::read_to_string(site.output().join("feed.json")).unwrap();
        for (name, _, format, linked) in &files {
            let work = manifest
                .works
                .iter()
                .find(|work| work.path == *name)
                .unwrap();
            assert_eq!(work.format.as_deref(), Some(*format), "{name}");
            assert_eq!(work.is_named_rightly(), *linked, "{name}");
            let paths = text["path"].as_array().unwrap();
            let at = paths.iter().position(|path| path == name).unwrap();
            assert_eq!(text["unlinked"][at], u8::from(!linked), "{name}");
            let is_in_feeds = feed.contains(&format!("/art/{name}\""));
            assert_eq!(is_in_feeds, *linked && *format != "svg", "{name}");
            let anywhere = json_below(&site.output().join("iiif"), &|json| {
                json.to_string().contains(&format!("/art/{name}"))
            });
            assert!(*linked || anywhere.is_empty(), "{name}");
        }
    };
    check(&site.build());
    // It is remembered, and what was read by an earlier version is found out when it is read again.
    check(&site.build());
    fs::rename(site.art("e.png"), site.art("e.gif")).unwrap();
    let manifest = site.build();
    let work = manifest.works.iter().find(|work| work.path == "e.gif");
    assert!(work.is_some_and(|work| work.is_named_rightly()));
}
