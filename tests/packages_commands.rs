//! Commands as a person or a package's script uses them: help, manual, completions, export and import.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Site, placed};
use std::{fs, process::Command};

fn text(site: &Site, arguments: &[&str]) -> String {
    let output = site.mosaicd(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

const COMMANDS: [&str; 13] = [
    "run",
    "build",
    "demo",
    "validate",
    "status",
    "confirm-removal",
    "arrange",
    "embed",
    "export",
    "import",
    "similar",
    "completions",
    "config",
];

#[test]
fn every_command_teaches_itself_and_has_a_manual_page() {
    let site = Site::new();
    let all = text(&site, &["--help"]);
    let pages = site.path("man");
    text(&site, &["man", pages.to_str().unwrap()]);
    for command in COMMANDS {
        assert!(
            all.contains(&format!("\n  {command}")),
            "{command} is not in {all}"
        );
        let help = match command {
            "config" => text(&site, &["config", "init", "--help"]),
            _ => text(&site, &[command, "--help"]),
        };
        assert!(help.contains("mosaicd "), "no example in {help}");
        let examples = help.lines().filter(|line| line.starts_with("  mosaicd "));
        examples.for_each(|line| assert!(line.len() < 80, "too wide for a terminal: {line}"));
        let page = fs::read_to_string(pages.join(format!("mosaicd-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(
        fs::read_to_string(pages.join("mosaicd.1"))
            .unwrap()
            .contains("Exit codes")
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&site, &["completions", shell]).contains("confirm-removal"));
    }
    if let Ok(output) = Command::new("man")
        .arg("--warnings")
        .arg("-l")
        .arg(pages.join("mosaicd-import.1"))
        .output()
    {
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
}

#[test]
fn embeddings_travel_by_export_and_import() {
    let there = Site::new();
    let names = there.draw(0, 12);
    there.build();
    let out = there.path("vectors");
    text(&there, &["export", out.to_str().unwrap()]);
    let (npy, csv) = (out.join("embeddings.npy"), out.join("items.csv"));
    let table = fs::read_to_string(&csv).unwrap();
    assert!(
        table.starts_with("index,path,x,y,col,row,hash,model\n"),
        "{table}"
    );

    let here = Site::new();
    here.draw(0, 11);
    fs::write(here.art(&names[3]), common::png(99)).unwrap();
    let arguments = ["import", npy.to_str().unwrap(), csv.to_str().unwrap()];
    let said = text(&here, &arguments);
    assert!(
        said.starts_with("10 embeddings imported, 0 known before; left out: 1 "),
        "{said}"
    );
    assert!(said.contains("1 without a file"), "{said}");
    assert!(text(&here, &arguments).starts_with("0 embeddings imported, 10 known"));
    assert_eq!(placed(&here.build()).len(), 11);
    assert_eq!(
        here.metric("mosaicd_embedded_total"),
        1.0,
        "only the changed file"
    );

    let other = table.replace(&table[table.len() - 13..table.len() - 1], "000000000000");
    fs::write(&csv, other).unwrap();
    let wrong = here.mosaicd(&arguments);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && said.contains("another model"),
        "{said}"
    );
    fs::write(&csv, table.lines().take(5).collect::<Vec<_>>().join("\n")).unwrap();
    assert!(
        String::from_utf8_lossy(&here.mosaicd(&arguments).stderr).contains("different exports")
    );
    fs::write(here.art("new.png"), common::png(100)).unwrap();
    let daemon = here.start();
    here.until("published", |m| m.works.len() == 12);
    fs::write(&csv, &table).unwrap();
    let locked = here.mosaicd(&arguments);
    let said = String::from_utf8_lossy(&locked.stderr).into_owned();
    assert!(
        said.contains("stop the daemon first") && said.contains("another mosaicd"),
        "{said}"
    );
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_a_word() {
    use std::os::unix::process::ExitStatusExt;
    const SIGPIPE: i32 = 13;
    let site = Site::new();
    for arguments in [
        &["config", "init"][..],
        &["validate"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = site.command(arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.signal(), Some(SIGPIPE), "{said}");
        assert_eq!(said, "");
    }
}

#[test]
fn validate_speaks_json() {
    let site = Site::new();
    let found: serde_json::Value =
        serde_json::from_str(&text(&site, &["validate", "--json"])).unwrap();
    let all = found.as_array().unwrap();
    assert!(
        all.len() >= 5 && all.iter().all(|f| f["ok"] == true),
        "{found}"
    );
    fs::remove_dir(site.artworks()).unwrap();
    let wrong = site.mosaicd(&["validate", "--json"]);
    assert_eq!(wrong.status.code(), Some(78));
    let found: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(found[0]["ok"], false);
}
