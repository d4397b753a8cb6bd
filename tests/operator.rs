//! What an operator meets: where configuration is found, what a check says, and who may read the status.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod common;

use common::Site;
use mosaicd::service::status::Status;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// The binary as a person starts it who has read the README: with a home of its own and no configuration.
fn plain(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosaicd"));
    command.current_dir(site.dir.path()).args(arguments);
    command.env("HOME", site.path("home"));
    for name in ["XDG_STATE_HOME", "MOSAICD_CONFIG", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    command
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Whether this machine has a packaged configuration, which would be used by every command without one.
fn is_installed() -> bool {
    Path::new("/etc/mosaicd/mosaicd.toml").exists()
}

#[test]
fn after_a_build_by_flags_the_other_commands_find_its_folders() {
    if is_installed() {
        return;
    }
    let site = Site::new();
    let names = site.draw(0, 5);
    let build = [
        "build",
        "--artworks",
        "artworks",
        "--output",
        "o",
        "--state",
        "s",
    ];
    let built = plain(&site, &build).output().unwrap();
    assert!(built.status.success(), "{}", said(&built));
    assert!(said(&built).contains("no file, every key has its default"));
    let similar: &[&str] = &["similar", &names[0]];
    for arguments in [
        similar,
        &["export", "vectors"],
        &["embed", "--part", "1/2", "--out", "part"],
        &["import", "part"],
        &["status"],
    ] {
        let output = plain(&site, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        assert!(
            said(&output).contains("the last mosaicd build"),
            "{}",
            said(&output)
        );
    }
    assert!(site.path("vectors/items.csv").exists());
    // One of the flags is enough; another mosaic's is not this one's.
    let one = plain(&site, &["similar", &names[0], "--output", "o"])
        .output()
        .unwrap();
    assert!(one.status.success(), "{}", said(&one));
    let other = plain(&site, &["similar", &names[0], "--output", "other"])
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(1), "{}", said(&other));
}

#[test]
fn a_variable_names_the_configuration_and_the_command_line_goes_before_it() {
    let site = Site::new();
    site.draw(0, 3);
    site.build();
    let variable = site.path("mosaicd.toml");
    let with = |arguments: &[&str]| {
        let mut command = plain(&site, arguments);
        command.env("MOSAICD_CONFIG", &variable).output().unwrap()
    };
    let found = with(&["status"]);
    assert!(found.status.success(), "{}", said(&found));
    assert!(
        said(&found).contains("mosaicd.toml (from MOSAICD_CONFIG)"),
        "{}",
        said(&found)
    );
    let json: serde_json::Value =
        serde_json::from_slice(&with(&["status", "--json"]).stdout).unwrap();
    assert!(
        json["configuration"]
            .as_str()
            .unwrap()
            .contains("MOSAICD_CONFIG"),
        "{json}"
    );
    assert!(said(&with(&["validate"])).contains("(from MOSAICD_CONFIG)"));
    fs::write(
        site.path("other.toml"),
        "[folders]\nstate = \"elsewhere\"\noutput = \"nowhere\"\n",
    )
    .unwrap();
    let named = with(&["status", "--config", "other.toml"]);
    assert_eq!(named.status.code(), Some(1), "{}", said(&named));
    assert!(said(&named).contains("elsewhere"), "{}", said(&named));
    let missing = plain(&site, &["status"])
        .env("MOSAICD_CONFIG", "gone.toml")
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(78), "{}", said(&missing));
}

#[test]
fn a_check_tells_fine_from_attention_from_down() {
    let site = Site::new();
    let check = || {
        let output = site.mosaicd(&["status", "--check"]);
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = check();
    assert_eq!((code, text.lines().count()), (2, 1), "never run: {text}");
    assert!(text.starts_with("down: no status in "), "{text}");

    site.draw(0, 24);
    fs::write(site.art("broken.png"), "no picture").unwrap();
    let daemon = site.start();
    site.until_works(24);
    site.wait("all is fine though an upload is broken", || {
        let (code, text) = check();
        (code == 0 && text.starts_with("ok: ") && text.contains("1 failed")).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    let (code, text) = check();
    assert_eq!(code, 2, "{text}");
    assert!(
        text.starts_with("down: not running: it ended in good order"),
        "{text}"
    );

    // Nobody was seen to delete them.
    fs::rename(site.artworks(), site.path("away")).unwrap();
    fs::create_dir(site.artworks()).unwrap();
    let daemon = site.start();
    let text = site.wait("a held removal", || {
        let (code, text) = check();
        (code == 1).then_some(text)
    });
    assert!(
        text.starts_with("attention: 24 artworks vanished at once"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    daemon.kill();
    // The same as waiting for the patience to run out.
    let mut status = site.status();
    status.updated_ms -= 60_000;
    fs::write(site.state().join("status.json"), status.to_json()).unwrap();
    let (code, text) = check();
    assert_eq!(code, 2, "{text}");
    assert!(
        text.starts_with("down: not running: killed or hung"),
        "{text}"
    );
    fs::write(site.state().join("status.json"), "{").unwrap();
    assert_eq!(check().0, 2, "a damaged status");
    fs::write(site.path("mosaicd.toml"), "[page]\ntitel = 1\n").unwrap();
    let (code, text) = check();
    assert_eq!(
        (code, text.lines().count()),
        (2, 1),
        "a wrong configuration: {text}"
    );
}

#[test]
fn a_daemon_that_is_refused_leaves_the_status_of_the_other_one() {
    let site = Site::new();
    site.configure("[status]\nfolder = \"output\"\n");
    let (daemon, _) = site.run_with(3);
    let published = || {
        let text = fs::read_to_string(site.output().join("status.json")).ok()?;
        Some(Status::from_json(&text).unwrap().pid)
    };
    site.wait("its status", || {
        published().filter(|pid| *pid == daemon.child.id())
    });
    fs::create_dir(site.path("others")).unwrap();
    for own in ["", "[status]\nfolder = \"output\"\n"] {
        site.configure(own);
        let more = ["--artworks", "others", "--state", "state2", "build"];
        let second = site.mosaicd(&more);
        assert_eq!(second.status.code(), Some(78));
        assert_eq!(published(), Some(daemon.child.id()));
    }
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn status_and_metrics_are_private_unless_asked_for() {
    let site = Site::new();
    site.draw(0, 3);
    fs::create_dir(site.output()).unwrap();
    // What version 0.1 published.
    for name in ["status.json", "metrics.prom"] {
        fs::write(site.output().join(name), "{\"version\": \"0.1.0\"}").unwrap();
    }
    let old = site.mosaicd(&["status"]);
    assert!(
        old.status.success(),
        "0.1's status is read where it wrote it: {}",
        said(&old)
    );
    site.build();
    for name in ["status.json", "metrics.prom"] {
        assert!(site.state().join(name).exists(), "{name}");
        assert!(
            !site.output().join(name).exists(),
            "{name} is still published"
        );
    }
    assert!(said(&site.mosaicd(&["status"])).contains("3 in the mosaic"));

    site.configure("[status]\nfolder = \"report\"\nsite = \"ink\"\n");
    site.build();
    assert!(said(&site.mosaicd(&["status"])).contains("report/status.json"));
    let metrics = fs::read_to_string(site.path("report/metrics.prom")).unwrap();
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    assert!(samples.clone().count() > 20);
    samples.for_each(|line| assert!(line.contains("{site=\"ink\""), "{line}"));

    site.configure("[status]\nfolder = \"output\"\n");
    site.build();
    assert!(site.output().join("status.json").exists(), "on request");
    site.configure("[status]\nfolder = \"artworks/x\"\n");
    assert_eq!(site.mosaicd(&["build"]).status.code(), Some(78));
    assert!(
        !site.art("x").exists(),
        "nothing is written among the artworks"
    );
}

#[test]
fn failed_files_are_counted_and_listed_alike() {
    let site = Site::new();
    site.draw(0, 2);
    for name in ["a.png", "b.png", "c.png"] {
        fs::write(site.art(name), "no picture").unwrap();
    }
    std::os::unix::fs::symlink("a.png", site.art("link.png")).unwrap();
    site.build();
    let text = said(&site.mosaicd(&["status"]));
    assert!(
        text.contains("2 in the mosaic, 3 failed, 1 skipped"),
        "{text}"
    );
    assert!(text.contains("\nFailed files (3):\n"), "{text}");
    assert!(
        text.contains("\nLeft out on purpose (1):\n  link.png\n"),
        "{text}"
    );
}

#[test]
fn a_command_runs_after_each_generation_and_never_holds_the_daemon_up() {
    let site = Site::new();
    let log = site.path("told");
    let script = format!(
        "#!/bin/sh\necho $MOSAICD_GENERATION $MOSAICD_WORKS $MOSAICD_ADDED >> {}\n",
        log.display()
    );
    let told = site.path("told.sh");
    fs::write(&told, script).unwrap();
    let command = |line: &str| site.configure(&format!("[publish]\n{line}\n"));
    command(&format!(
        "command = [\"/bin/sh\", {:?}]",
        told.to_str().unwrap()
    ));
    site.draw(0, 3);
    let first = site.build().generation;
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text, format!("{first} 3 3\n"), "a build waits for it");

    // One that hangs: works are shown, a reload and a stop do not wait.
    command("command = [\"/bin/sh\", \"-c\", \"sleep 100000\"]\ntimeout_s = 3600");
    let daemon = site.start();
    site.draw(3, 1);
    site.until_works(4);
    site.draw(4, 1);
    site.until_works(5);
    command("command = [\"/bin/sh\", \"-c\", \"echo no; exit 9\"]");
    daemon.signal("HUP");
    site.wait("the end of the first", || {
        site.log()
            .contains("publish.command was killed")
            .then_some(())
    });
    site.draw(5, 1);
    site.wait("one that fails", || {
        let log = site.log();
        (log.contains("publish.command failed") && log.contains("exit status: 9")).then_some(())
    });
    command("command = [\"/nowhere\"]");
    daemon.signal("HUP");
    site.draw(6, 1);
    site.wait("one that is not there", || {
        site.log()
            .contains("publish.command cannot be started")
            .then_some(())
    });
    site.until_works(7);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_unit_of_one_site_of_many_is_the_unit_under_other_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    let alone = lines("mosaicd.service");
    let one = lines("instance/mosaicd@.service");
    assert_eq!(alone.len(), one.len());
    for (alone, one) in alone.iter().zip(&one) {
        let renamed = one
            .replace("/etc/mosaicd/%i.toml", "/etc/mosaicd/mosaicd.toml")
            .replace("Mosaic %i", "Mosaic")
            .replace("mosaicd-%i", "mosaicd");
        assert_eq!(*alone, renamed);
    }
}
