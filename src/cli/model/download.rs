//! Fetching one pinned file over HTTP.
//!
//! Bytes gather in `<name>.part` next to the target, which takes its name only after its sha256 is right: a target that
//! exists may be used. An interrupted download leaves the part, and the next attempt asks for the rest (`Range`); a
//! server that does not support this sends everything again. The file's length and sum are known beforehand, so that a
//! login page, a mirror's other version or an endless body is noticed at once.
//!
//! This is the only code of mosaicd that opens a connection; it is part of the command line's binary, not of the
//! library, so the daemon cannot call it.

use super::catalog::Pin;
use mosaicd::disk;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{
    Agent,
    http::{HeaderMap, StatusCode},
    tls::{RootCerts, TlsConfig},
};

/// After this many failures in a row without a new byte, the download is given up.
const TRIES: u32 = 5;
/// The longest time a server may ask to wait before it is given up.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A connection without a byte for this long counts as dead.
const IDLE: Duration = Duration::from_secs(30);

/// A file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The address or the proxy cannot be used, or the certificate is not trusted.
    #[error("cannot fetch {url}: {source}")]
    Request {
        /// The address.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The server refused.
    #[error(
        "{url}: the server answers {status}; see --from for other places to take the file from"
    )]
    Refused {
        /// The address.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// What is sent has another length than the pinned file.
    #[error(
        "{url} is not the pinned file: {found} bytes instead of {wanted} (a login page? another version?); nothing was \
         installed"
    )]
    Length {
        /// The address or file.
        url: String,
        /// Length of the pinned file.
        wanted: u64,
        /// What came or was announced.
        found: String,
    },
    /// The bytes are not the pinned ones.
    #[error(
        "{url} is not the pinned file: its sha256 is {found} instead of {wanted}; nothing was installed"
    )]
    Sum {
        /// The address or file.
        url: String,
        /// Pinned sum.
        wanted: String,
        /// Sum of what came.
        found: String,
    },
    /// It failed again and again.
    #[error(
        "{url}: given up after {tries} attempts, the last time because {why}; what has arrived is kept, run it again to \
         go on"
    )]
    GaveUp {
        /// The address.
        url: String,
        /// Attempts in a row without progress.
        tries: u32,
        /// The last reason.
        why: String,
    },
    /// Another process fetches the same file.
    #[error("{path} is being fetched by another process", path = path.display())]
    Busy {
        /// The part.
        path: PathBuf,
    },
    /// A file or folder on this machine.
    #[error("{path}: {source}", path = path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Progress, for callers that show it.
#[derive(Debug)]
pub(crate) enum News<'a> {
    /// So many bytes of the file are there.
    Bytes(u64),
    /// An attempt failed; the next one begins after this time.
    Again {
        /// Why it failed.
        why: &'a str,
        /// How long it waits.
        after: Duration,
    },
}

/// A way to the network.
pub(crate) struct Net {
    agent: Agent,
    sleep: fn(Duration),
}

impl Net {
    /// The machine's network: proxy from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, certificates from the
    /// system (`SSL_CERT_FILE`).
    pub(crate) fn new() -> Self {
        Self::with(IDLE, std::thread::sleep)
    }

    /// The same with other timeouts.
    pub(super) fn with(idle: Duration, sleep: fn(Duration)) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(idle))
            .timeout_recv_response(Some(idle))
            .timeout_per_read(Some(idle))
            .http_status_as_error(false)
            .accept_encoding("identity")
            .user_agent(concat!("mosaicd/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, sleep }
    }

    /// Fetches `url`, which must be the file of `pin`, to `target`; does nothing if it is there already.
    pub(crate) fn fetch(
        &self,
        url: &str,
        pin: &Pin,
        target: &Path,
        news: &mut dyn FnMut(News<'_>),
    ) -> Result<(), FetchError> {
        let mut part = Part::open(target)?;
        let (mut failures, mut best) = (0, part.len()?);
        let mut continued = best > 0;
        loop {
            if part.len()? != pin.bytes {
                match self.attempt(url, pin, &mut part, news) {
                    Ok(()) => {}
                    Err(Trouble::Final(error)) => return Err(error),
                    Err(Trouble::Again { why, after }) => {
                        let len = part.len()?;
                        failures = if len > best { 1 } else { failures + 1 };
                        best = best.max(len);
                        continued |= len > 0;
                        if failures >= TRIES {
                            let url = url.to_owned();
                            let tries = failures;
                            return Err(FetchError::GaveUp { url, tries, why });
                        }
                        let after = after.unwrap_or(Duration::from_secs(1 << (failures - 1)));
                        news(News::Again { why: &why, after });
                        (self.sleep)(after);
                        continue;
                    }
                }
            }
            match part.keep(url, pin, target) {
                // Bytes of an earlier attempt may be to blame: once more from the beginning.
                Err(FetchError::Sum { .. }) if continued => (continued, best) = (false, 0),
                Err(error) => return Err(part.give_up(error)),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// One request for what the part lacks.
    fn attempt(
        &self,
        url: &str,
        pin: &Pin,
        part: &mut Part,
        news: &mut dyn FnMut(News<'_>),
    ) -> Result<(), Trouble> {
        if part.len()? > pin.bytes {
            part.clear()?;
        }
        let have = part.len()?;
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| trouble(url, error))?;
        let headers = response.headers();
        let length = |found: String| {
            Trouble::Final(FetchError::Length {
                url: url.to_owned(),
                wanted: pin.bytes,
                found,
            })
        };
        match response.status() {
            StatusCode::PARTIAL_CONTENT => match content_range(headers) {
                Some((_, Some(total))) if total != pin.bytes => {
                    return Err(length(total.to_string()));
                }
                Some((first, _)) if first == have => {}
                _ => {
                    part.clear()?;
                    return Err(Trouble::again(
                        "the server sent another part than asked for",
                    ));
                }
            },
            StatusCode::OK => {
                if let Some(announced) = number(headers, "content-length")
                    && announced != pin.bytes
                {
                    return Err(length(announced.to_string()));
                }
                part.clear()?;
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                part.clear()?;
                return Err(Trouble::again("the server has no more bytes"));
            }
            status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                let after = number(headers, "retry-after").map(Duration::from_secs);
                let why = format!("the server answers {status}");
                return Err(match after {
                    Some(after) if after > LONGEST_WAIT => Trouble::Final(FetchError::GaveUp {
                        url: url.to_owned(),
                        tries: 1,
                        why: format!("{why} and asks to wait {} s", after.as_secs()),
                    }),
                    _ => Trouble::Again { why, after },
                });
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                return Err(Trouble::again(&format!("the server answers {status}")));
            }
            status => {
                let url = url.to_owned();
                return Err(Trouble::Final(FetchError::Refused { url, status }));
            }
        }

        let mut have = part.len()?;
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            news(News::Bytes(have));
            match body.read(&mut buffer) {
                Ok(0) if have == pin.bytes => return Ok(()),
                Ok(0) => return Err(Trouble::cut(have, pin, "the connection ended")),
                Ok(read) => {
                    have += read as u64;
                    if have > pin.bytes {
                        part.clear()?;
                        return Err(length(format!("more than {}", pin.bytes)));
                    }
                    part.append(&buffer[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::cut(have, pin, &error.to_string())),
            }
        }
    }
}

/// Copies a file of this machine to `target` if it is the file of `pin`.
pub(crate) fn copy(
    from: &Path,
    pin: &Pin,
    target: &Path,
    news: &mut dyn FnMut(News<'_>),
) -> Result<(), FetchError> {
    let unreadable = |source| FetchError::Disk {
        path: from.to_path_buf(),
        source,
    };
    let shown = from.display().to_string();
    let mut file = File::open(from).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?.len();
    if found != pin.bytes {
        return Err(FetchError::Length {
            url: shown,
            wanted: pin.bytes,
            found: found.to_string(),
        });
    }
    let mut part = Part::open(target)?;
    part.clear()?;
    let mut buffer = vec![0; 1 << 20];
    let mut copied = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => {
                return part
                    .keep(&shown, pin, target)
                    .map_err(|error| part.give_up(error));
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(unreadable(source)),
        };
        part.append(&buffer[..read])?;
        copied += read as u64;
        news(News::Bytes(copied));
    }
}

/// The sha256 of a file, hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String, FetchError> {
    let unreadable = |source| FetchError::Disk {
        path: path.to_path_buf(),
        source,
    };
    disk::sha256(&mut File::open(path).map_err(unreadable)?).map_err(unreadable)
}

/// The growing file next to the target, locked.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn open(target: &Path) -> Result<Self, FetchError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let disk = |source| FetchError::Disk {
            path: path.clone(),
            source,
        };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(disk)?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        loop {
            let file = options.open(&path).map_err(disk)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { path }),
                // A file system without locks; the sum still protects what is installed.
                Err(TryLockError::Error(_)) | Ok(()) => {}
            }
            // Whoever held the lock before may just have given the file its name.
            let inode = file.metadata().map_err(disk)?.ino();
            if fs::metadata(&path).is_ok_and(|now| now.ino() == inode) {
                return Ok(Self { file, path });
            }
        }
    }

    fn disk(&self, source: io::Error) -> FetchError {
        FetchError::Disk {
            path: self.path.clone(),
            source,
        }
    }

    fn len(&self) -> Result<u64, FetchError> {
        let metadata = self.file.metadata().map_err(|error| self.disk(error))?;
        Ok(metadata.len())
    }

    fn clear(&mut self) -> Result<(), FetchError> {
        self.file.set_len(0).map_err(|error| self.disk(error))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let written = self
            .file
            .seek(SeekFrom::End(0))
            .and_then(|_| self.file.write_all(bytes));
        written.map_err(|error| self.disk(error))
    }

    /// Removes what is not worth keeping after an error.
    fn give_up(&self, error: FetchError) -> FetchError {
        if matches!(error, FetchError::Sum { .. }) {
            let _ = fs::remove_file(&self.path);
        }
        error
    }

    /// Gives the part its name if it is the pinned file, durably; empties it if not.
    fn keep(&mut self, from: &str, pin: &Pin, target: &Path) -> Result<(), FetchError> {
        let found = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| disk::sha256(&mut self.file))
            .map_err(|error| self.disk(error))?;
        if found != pin.sha256 {
            self.clear()?;
            return Err(FetchError::Sum {
                url: from.to_owned(),
                wanted: pin.sha256.to_owned(),
                found,
            });
        }
        disk::keep(&self.file, &self.path, target).map_err(|error| self.disk(error))
    }
}

/// Why an attempt failed.
enum Trouble {
    /// Another attempt may do better.
    Again {
        why: String,
        /// The server's wish.
        after: Option<Duration>,
    },
    Final(FetchError),
}

impl Trouble {
    fn again(why: &str) -> Self {
        Self::Again {
            why: why.to_owned(),
            after: None,
        }
    }

    fn cut(have: u64, pin: &Pin, why: &str) -> Self {
        Self::again(&format!("{why} after {have} of {} bytes", pin.bytes))
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

/// Whether a request that got no answer may do better next time.
fn trouble(url: &str, error: ureq::Error) -> Trouble {
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => Trouble::again(&error.to_string()),
        other => Trouble::Final(FetchError::Request {
            url: url.to_owned(),
            source: Box::new(other),
        }),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// First byte and whole length of `Content-Range: bytes 5-9/10` (RFC 9110, 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get("content-range")?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}
