//! `mosaicd model` through the real binary; nothing here reaches the network.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    thread,
};

/// Runs the binary with a state folder of its own and without the machine's proxies.
fn mosaicd(state: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosaicd"));
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.args(arguments).arg("--state").arg(state);
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_list_names_sizes_and_sources() {
    let state = tempfile::tempdir().unwrap();
    let listed = mosaicd(state.path(), &["model", "list"], &[]);
    assert!(listed.status.success());
    let list = text(&listed.stdout);
    for part in [
        "clip-vit-b-32 ",
        "351.69 MB",
        "d15189d7",
        "MIT",
        "--words",
        "efficientnet-lite0 ",
        "17.36 MB",
        "Apache-2.0",
    ] {
        assert!(list.contains(part), "{part} is not in\n{list}");
    }
    assert!(!list.contains("installed"));
}

#[test]
fn what_is_not_pinned_is_not_fetched() {
    let state = tempfile::tempdir().unwrap();
    let unknown = mosaicd(state.path(), &["model", "fetch", "clip-vit-b-23"], &[]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there are clip-vit-b-32,"));

    let file = state.path().join("mine.onnx");
    fs::write(&file, b"not the pinned file").unwrap();
    let from = file.to_str().unwrap();
    let arguments = ["model", "fetch", "clip-vit-b-32", "--from", from];
    let refused = mosaicd(state.path(), &arguments, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let message = text(&refused.stderr);
    assert!(
        message.contains("19 bytes") && message.contains("351685709"),
        "{message}"
    );
    assert!(!state.path().join("models").exists());
}

#[test]
fn a_proxy_is_used_and_a_wrong_page_behind_it_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    // The proxy opens its tunnel and is itself what lies at the other end.
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        let mut heads = String::new();
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin",
        ] {
            while reader.read_line(&mut heads).unwrap() > 2 {}
            stream.write_all(answer.as_bytes()).unwrap();
        }
        heads
    });
    let mirror = "http://mirror.invalid/clip/";
    let arguments = ["model", "fetch", "clip-vit-b-32", "--from", mirror];
    let refused = mosaicd(state.path(), &arguments, &[("HTTP_PROXY", &proxy)]);
    let heads = asked.join().unwrap();
    assert!(heads.starts_with("CONNECT mirror.invalid:80 "), "{heads}");
    assert!(
        heads.contains("GET /clip/onnx/vision_model.onnx "),
        "{heads}"
    );
    let message = text(&refused.stderr);
    assert!(
        message.contains("5 bytes instead of 351685709"),
        "{message}"
    );
    assert_eq!(refused.status.code(), Some(1));
}
