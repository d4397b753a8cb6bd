//! The files in `systemd/`: what systemd and nginx themselves say of them where they are installed, and the promises
//! that must hold everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The unit may be this exposed at most, in tenths (`systemd-analyze security`: 0 is best, 100 worst). Its figure is
/// 3 with systemd 252.
const EXPOSURE_TENTHS: u32 = 10;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect("the file is part of the repository")
}

/// Runs a tool of the system; `None` when it is not installed.
fn tool(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{name} is not installed: its opinion is not asked");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Assignments of the unit, by section and key; a key may be given more than once.
fn unit() -> BTreeMap<(String, String), Vec<String>> {
    let mut section = String::new();
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in text("mosaicd.service").lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.into();
            continue;
        }
        let (key, value) = line.split_once('=').expect("an assignment");
        let key = (section.clone(), key.to_owned());
        found.entry(key).or_default().push(value.to_owned());
    }
    found
}

fn one(section: &str, key: &str) -> String {
    let values = unit().remove(&(section.to_owned(), key.to_owned()));
    match values.as_deref() {
        Some([value]) => value.clone(),
        other => panic!("[{section}] {key}: {other:?}"),
    }
}

/// The artworks: the first of the folders that the unit only reads.
fn artworks() -> String {
    unit()[&("Service".to_owned(), "ReadOnlyPaths".to_owned())][0].clone()
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mosaicd.service");
    // systemd wants the program to exist, and it is not installed here.
    let here = text("mosaicd.service").replace("/usr/bin/mosaicd", env!("CARGO_BIN_EXE_mosaicd"));
    fs::write(&path, here).expect("writable");
    let path = path.to_str().expect("plain path");
    let Some(verdict) = tool("systemd-analyze", &["verify", "--man=no", path]) else {
        return;
    };
    let said = String::from_utf8_lossy(&verdict.stderr);
    // systemd knows these since 254; before, it passes over them, and waits RestartSec= each time.
    let newer = ["'RestartSteps'", "'RestartMaxDelaySec'"];
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| !newer.iter().any(|key| line.contains(key)) && !line.is_empty())
        .collect();
    assert!(verdict.status.success() && wrong.is_empty(), "{said}");
}

#[test]
fn the_unit_is_hardly_exposed() {
    let path = folder().join("mosaicd.service");
    let threshold = format!("--threshold={EXPOSURE_TENTHS}");
    let arguments = ["security", "--offline=true", "--no-pager", &threshold];
    let path = path.to_str().expect("plain path");
    let Some(verdict) = tool("systemd-analyze", &[&arguments[..], &[path]].concat()) else {
        return;
    };
    assert!(
        verdict.status.success(),
        "{}",
        String::from_utf8_lossy(&verdict.stdout)
    );
}

#[test]
fn the_unit_keeps_its_promises() {
    assert_eq!(
        one("Service", "Type"),
        "notify",
        "notify-reload needs systemd 253"
    );
    assert_eq!(one("Service", "ExecReload"), "/usr/bin/kill -HUP $MAINPID");
    assert_eq!(one("Service", "PrivateNetwork"), "yes");
    assert_eq!(one("Service", "Restart"), "on-failure");
    let never: Vec<String> = one("Service", "RestartPreventExitStatus")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert!(
        never.contains(&"78".to_owned()),
        "a bad configuration is not started again: {never:?}"
    );

    let artworks = artworks();
    let output = one("Service", "ReadWritePaths");
    let mounts = one("Unit", "RequiresMountsFor");
    let mut mounts = mounts.split_whitespace();
    assert_eq!(mounts.next(), Some(artworks.as_str()));
    assert_eq!(mounts.next(), Some(output.as_str()));
    assert!(
        !Path::new(&output).starts_with(&artworks),
        "the output would be watched"
    );
    assert_eq!(
        one("Service", "UMask"),
        "0022",
        "the web server reads the output"
    );
    assert!(!unit().contains_key(&("Service".to_owned(), "DynamicUser".to_owned())));
}

#[test]
fn unit_user_folders_and_web_server_agree() {
    let user = one("Service", "User");
    let sysusers = text("mosaicd.sysusers");
    assert!(
        sysusers
            .lines()
            .any(|line| line.starts_with(&format!("u {user} "))),
        "{sysusers}"
    );
    let output = one("Service", "ReadWritePaths");
    let folders: BTreeMap<String, Vec<String>> = text("mosaicd.tmpfiles")
        .lines()
        .filter_map(|line| line.strip_prefix("d "))
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().expect("a path"), words.collect())
        })
        .collect();
    assert!(folders.contains_key(&artworks()));
    let rights = &folders[&output];
    assert_eq!(
        rights[0].trim_start_matches(':'),
        "0755",
        "readable by everyone"
    );
    assert_eq!(
        rights[1].trim_start_matches(':'),
        user,
        "written by the daemon"
    );
    assert!(text("nginx.conf").contains(&format!("root {output};")));
}

#[test]
fn the_services_configuration_names_the_units_folders() {
    let path = folder().join("mosaicd.toml");
    let config = mosaicd::config::Config::load(&path).expect("it is good");
    assert_eq!(config.folders.artworks, Path::new(&artworks()));
    assert_eq!(
        config.folders.output,
        Path::new(&one("Service", "ReadWritePaths"))
    );
    let state = one("Service", "StateDirectory");
    assert_eq!(config.folders.state, Path::new("/var/lib").join(state));
}

#[test]
fn nginx_accepts_the_snippet() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let at = temporary.path().display();
    let configuration = temporary.path().join("nginx.conf");
    // nginx binds what it tests, and port 80 is not everyone's.
    let site = text("nginx.conf")
        .replace("listen [::]:80;", "")
        .replace("listen 80;", &format!("listen unix:{at}/socket;"));
    fs::write(
        &configuration,
        format!(
            "pid {at}/pid;\nerror_log {at}/error.log;\nevents {{ }}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {at};\n{site}\n}}\n"
        ),
    )
    .expect("writable");
    let configuration = configuration.to_str().expect("plain path");
    let Some(verdict) = tool("nginx", &["-t", "-q", "-c", configuration]) else {
        return;
    };
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(
        verdict.status.success() && !said.contains("[warn]"),
        "{said}"
    );
}
