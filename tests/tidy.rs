//! What `lib.rs` promises about the rooms, checked in the source: who imports whom, what pure rooms do not touch, who
//! renames and flushes. And of the tests too: how long files are, and that every file says what it owns.
//!
//! A room is a folder or file directly under `src/`. Unit tests within the files are left out: they may use anything.
#![allow(missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// No file system, clock, thread, database or inference session within the room.
const PURE: bool = true;
const SHELL: bool = false;

/// Every room, whether it is pure, and the rooms that it may import; each imports only rooms above it. A new import is
/// a decision: add it here, and say why in the commit.
const ROOMS: &[(&str, bool, &[&str])] = &[
    ("domain", PURE, &[]),
    ("matrix", PURE, &[]),
    // A macro, imported by nobody by name.
    ("wide", PURE, &[]),
    ("disk", SHELL, &[]),
    ("markup", PURE, &[]),
    ("viewer", PURE, &["markup"]),
    ("npy", PURE, &["matrix"]),
    ("artwork", PURE, &["domain"]),
    ("describe", PURE, &["artwork"]),
    ("render", PURE, &["artwork"]),
    ("cells", SHELL, &["artwork", "disk", "domain", "render"]),
    ("reduce", PURE, &["matrix"]),
    ("grid", PURE, &["matrix"]),
    ("history", PURE, &["domain", "markup"]),
    ("plan", PURE, &["domain"]),
    ("rebuild", PURE, &["domain", "grid", "matrix", "reduce"]),
    ("snapshot", PURE, &["domain", "grid", "rebuild", "reduce"]),
    ("embed", SHELL, &["artwork", "disk", "domain", "matrix"]),
    // Of `embed` only its pure part `words`.
    ("regions", PURE, &["domain", "embed", "matrix"]),
    ("vectors", SHELL, &["artwork", "embed"]),
    ("store", SHELL, &["artwork", "disk", "domain", "embed"]),
    ("watch", SHELL, &["describe", "disk", "domain"]),
    (
        "parts",
        SHELL,
        &["describe", "disk", "domain", "npy", "store", "vectors"],
    ),
    (
        "publish",
        SHELL,
        &[
            "artwork", "cells", "disk", "domain", "history", "regions", "render", "viewer",
        ],
    ),
    ("service", SHELL, &["domain"]),
    ("config", SHELL, &["artwork", "service"]),
    ("demo", SHELL, &["disk"]),
    // Of `embed` only how pictures are prepared.
    ("decoding", SHELL, &["artwork", "domain", "embed"]),
    (
        "ingest",
        SHELL,
        &[
            "artwork", "cells", "decoding", "disk", "domain", "embed", "publish", "store", "watch",
        ],
    ),
    (
        "pipeline",
        SHELL,
        &[
            "artwork", "cells", "describe", "disk", "domain", "embed", "grid", "history", "matrix",
            "publish", "rebuild", "regions", "service", "snapshot", "store", "vectors", "watch",
        ],
    ),
    (
        "parameters",
        SHELL,
        &[
            "artwork", "config", "decoding", "domain", "embed", "grid", "publish", "rebuild",
            "reduce", "render", "viewer", "watch",
        ],
    ),
    (
        "daemon",
        SHELL,
        &[
            "cells",
            "config",
            "decoding",
            "describe",
            "disk",
            "domain",
            "embed",
            "grid",
            "history",
            "ingest",
            "parameters",
            "pipeline",
            "plan",
            "publish",
            "rebuild",
            "reduce",
            "service",
            "store",
            "watch",
        ],
    ),
];

/// What a pure room has no use for.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::thread",
    "std::net",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "rustix",
    "sled",
    "ort",
    "notify",
    "tokio",
    "signal_hook",
];

/// Rooms that flush what they wrote: the order of durability is theirs.
const FLUSHING: &[&str] = &["disk", "publish", "store"];

/// The longest a file may be that somebody wrote, in a language of [`WRITTEN`].
const LINES: usize = 500;
const WRITTEN: &[&str] = &["c", "css", "html", "js", "mjs", "py", "rs", "sh"];

/// A file of `src` without its unit tests and comments.
struct Source {
    path: PathBuf,
    room: String,
    code: String,
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true if path.ends_with("node_modules") || path.ends_with("target") => {}
            true => files(&path, all),
            false => all.push(path),
        }
    }
}

/// The files below a folder of the repository that end in one of these.
fn files_of(folder: &str, ends: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    files(&root.join(folder), &mut all);
    let end = |path: &PathBuf| Some(path.extension()?.to_str()?.to_owned());
    all.retain(|path| end(path).is_some_and(|end| ends.contains(&&*end)));
    all.sort();
    assert!(all.len() > 40, "the files of {folder} are elsewhere");
    all
}

fn rust_files() -> Vec<PathBuf> {
    files_of("src", &["rs"])
}

/// The library's files: not the command line, which may call any room, nor whole files of tests.
fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let of_tests = |path: &Path| {
        let mut parts = path.iter();
        parts.any(|part| part == "tests" || part == "tests.rs")
    };
    let mut all = Vec::new();
    for file in rust_files() {
        let path = file.strip_prefix(&src).expect("below src").to_owned();
        let first = path.iter().next().expect("a name").to_string_lossy();
        let room = first.trim_end_matches(".rs").to_owned();
        if of_tests(&path) || ["cli", "main", "lib"].contains(&room.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("text");
        let code = without_tests_and_comments(&text);
        all.push(Source { path, room, code });
    }
    all
}

fn without_tests_and_comments(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line == "#[cfg(test)]" {
            while lines.next_if(|next| next.starts_with("#[")).is_some() {}
            if lines.peek().is_some_and(|next| next.contains("mod tests")) {
                break;
            }
        }
        if !line.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Every path that the code imports, one by one: `std::{fs, io::{self, Read}}` is `std::fs`, `std::io`, `std::io::Read`.
fn imports(code: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let begins = at == 0 || code[..at].ends_with(['\n', ' ', ')']);
        if let (true, Some(end)) = (begins, code[at..].find(';')) {
            expand("", &code[at + 4..at + end], &mut all);
        }
    }
    all
}

fn expand(before: &str, tree: &str, all: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        Some((head, rest)) if tree.ends_with('}') => {
            let inner = &rest[..rest.len() - 1];
            let (mut depth, mut from) = (0, 0);
            for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        expand(&format!("{before}{head}"), &inner[from..at], all);
                        from = at + 1;
                    }
                    _ => {}
                }
            }
        }
        _ if tree.is_empty() => {}
        _ => {
            let name = tree.split(" as ").next().unwrap_or(tree);
            let path = format!("{before}{name}");
            all.push(path.trim_end_matches("::self").to_owned());
        }
    }
}

/// Whether `path` occurs in the code as a path of its own, imported or spelt out.
fn names(code: &str, path: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.match_indices(path).any(|(at, _)| {
        let after = &code[at + path.len()..];
        let whole = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        // `ort` alone is a word like any other; a crate is followed by `::`.
        let is_path = path.contains("::") || after.starts_with("::");
        whole && is_path && !code[..at].ends_with(part)
    })
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table: BTreeMap<_, _> = ROOMS.iter().map(|&(room, _, may)| (room, may)).collect();
    let (mut wrong, mut used) = (Vec::new(), BTreeMap::<&str, BTreeSet<String>>::new());
    for Source { path, room, code } in sources() {
        let Some((&room, may)) = table.get_key_value(room.as_str()) else {
            wrong.push(format!("{room} is not in the table of rooms"));
            continue;
        };
        let imported = imports(&code).into_iter();
        let mut rooms: BTreeSet<String> = imported
            .filter_map(|path| Some(path.strip_prefix("crate::")?.to_owned()))
            .map(|path| path.split("::").next().unwrap_or_default().to_owned())
            .collect();
        for &(other, ..) in ROOMS {
            if names(&code, &format!("crate::{other}")) {
                rooms.insert(other.to_owned());
            }
        }
        rooms.remove(room);
        for other in &rooms {
            if !may.contains(&other.as_str()) {
                wrong.push(format!("{} imports {other}", path.display()));
            }
        }
        used.entry(room).or_default().extend(rooms);
    }
    for (room, may) in table {
        for other in may {
            if !used.get(room).is_some_and(|used| used.contains(*other)) {
                wrong.push(format!("{room} imports {other} no more: shorten the table"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_has_no_circle_and_pure_rooms_import_pure_ones() {
    for (at, (room, pure, may)) in ROOMS.iter().enumerate() {
        for other in *may {
            let above = ROOMS[..at].iter().find(|(name, ..)| name == other);
            let (_, other_is_pure, _) = above.unwrap_or_else(|| panic!("{other} is above {room}"));
            // `embed::words` is pure.
            let excepted = (*room, *other) == ("regions", "embed");
            assert!(
                !pure || *other_is_pure || excepted,
                "{room} imports {other}"
            );
        }
    }
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for Source { path, room, code } in sources() {
        let pure = ROOMS.iter().any(|&(name, pure, _)| name == room && pure);
        let imported = imports(&code);
        for impure in IMPURE.iter().filter(|_| pure) {
            let below = format!("{impure}::");
            let imports = |path: &String| path == impure || path.starts_with(&below);
            if imported.iter().any(imports) || names(&code, impure) {
                wrong.push(format!("{} uses {impure}", path.display()));
            }
        }
        if room == "regions" {
            let embed = imported
                .iter()
                .filter(|path| path.starts_with("crate::embed"));
            for path in embed.filter(|path| !path.starts_with("crate::embed::words")) {
                wrong.push(format!("regions imports {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The command line is looked at too: it downloads files.
#[test]
fn only_disk_renames_and_only_three_rooms_flush() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files() {
        let path = file.strip_prefix(&src).expect("below src");
        let room = path.iter().next().expect("a name").to_string_lossy();
        let code = without_tests_and_comments(&fs::read_to_string(&file).expect("text"));
        if room != "disk"
            && ["fs::rename", "renameat"]
                .iter()
                .any(|call| code.contains(call))
        {
            wrong.push(format!("{} renames", path.display()));
        }
        let flushes = ["sync_all", "sync_data", "fsync", "syncfs("];
        let flushes = flushes.iter().any(|call| code.contains(call));
        if flushes && !FLUSHING.contains(&&*room) {
            wrong.push(format!("{} flushes", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut wrong = Vec::new();
    let folders = ["src", "tests"].map(|folder| files_of(folder, WRITTEN));
    for file in folders.concat() {
        let text = fs::read_to_string(&file).expect("text");
        if file.extension().is_some_and(|end| end == "rs") && !text.starts_with("//! ") {
            wrong.push(format!("{} does not open with //!", file.display()));
        }
        let lines = text.lines().count();
        if lines > LINES {
            wrong.push(format!("{} has {lines} lines", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_told_one_by_one() {
    let code = "use crate::{a, b::{self, C as D}};\npub(crate) use std::{fs::File, io};\nlet x = std::time::Instant::now();";
    let found = imports(code);
    let wanted = [
        "crate::a",
        "crate::b",
        "crate::b::C",
        "std::fs::File",
        "std::io",
    ];
    assert_eq!(found, wanted);
    assert!(names(code, "std::time::Instant") && !names(code, "std::tim") && !names(code, "time"));
}
