//! A web server that answers as badly as a test wants it to.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// One answer of the server: gets the request's head and the connection.
pub(super) type Answer = Box<dyn FnOnce(&str, &mut TcpStream) + Send>;

pub(super) struct Server {
    pub(super) url: String,
    heads: Receiver<String>,
}

impl Server {
    /// Answers one connection after the other as told, then no more.
    pub(super) fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (send, heads) = channel();
        thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else {
                    return;
                };
                let head = head_of(&stream);
                drop(send.send(head.clone()));
                // A thread each: a connection that is held must not keep the next one waiting.
                thread::spawn(move || {
                    answer(&head, &mut stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self {
            url: format!("http://{address}/file.bin"),
            heads,
        }
    }

    /// The `Range` of each request so far, in order.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        let range = |head: String| {
            let mut lines = head.lines();
            lines.find_map(|l| {
                l.to_ascii_lowercase()
                    .strip_prefix("range: ")
                    .map(str::to_owned)
            })
        };
        self.heads.try_iter().map(range).collect()
    }
}

fn head_of(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
    head
}

/// An answer of these bytes.
pub(super) fn says(head: impl Into<String>, body: &[u8]) -> Answer {
    let (head, body) = (head.into(), body.to_vec());
    Box::new(move |_, stream| {
        // Said, so that the client does not ask again on a connection that is just being closed. It may have hung up
        // already.
        let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&body);
    })
}

/// A whole file, of which `sent` bytes are sent.
pub(super) fn whole(file: &[u8], sent: usize) -> Answer {
    says(
        format!("200 OK\r\nContent-Length: {}", file.len()),
        &file[..sent],
    )
}

/// The rest of a file from `from` on, up to `to`.
pub(super) fn rest(file: &[u8], from: usize, to: usize) -> Answer {
    let (len, last) = (file.len() - from, file.len() - 1);
    let head = format!(
        "206 Partial Content\r\nContent-Length: {len}\r\nContent-Range: bytes {from}-{last}/{}",
        file.len()
    );
    says(head, &file[from..to])
}
