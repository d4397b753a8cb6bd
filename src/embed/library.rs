//! Finding and loading the native onnxruntime library, once per process.
//!
//! The library is the one part that is not written in Rust, so it is searched for in a fixed order, and a failure says
//! where. If the user names a place (configuration, `ORT_DYLIB_PATH`), only that one is tried: another library must not
//! hide a wrong path.
//!
//! Invariant: no other `ort` function is called before [`environment`] succeeds; without a library they panic.
//! onnxruntime allows one environment per process, so the first library that loads stays until the process ends.

use super::EncodeError;
use ort::{environment::Environment, logging::LogLevel};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Where else than in the system the library may lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibrarySearch {
    /// The configured file or folder.
    pub configured: Option<PathBuf>,
    /// The daemon's state folder; `model fetch` puts the library there.
    pub state: Option<PathBuf>,
}

/// Folders that hold libraries on Linux and macOS without the loader knowing their versioned names.
const SYSTEM: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/homebrew/lib",
];

#[cfg(target_os = "macos")]
const NAME: &str = "libonnxruntime.dylib";
#[cfg(not(target_os = "macos"))]
const NAME: &str = "libonnxruntime.so";

/// The files to try, in order.
pub fn candidates(search: &LibrarySearch) -> Vec<PathBuf> {
    let named = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let named = search.configured.clone().or(named.map(PathBuf::from));
    if let Some(place) = named {
        return in_place(&place);
    }
    let executable = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_path_buf));
    let state = search
        .state
        .iter()
        .flat_map(|state| [state.clone(), state.join("lib")]);
    let mut files: Vec<PathBuf> = executable
        .into_iter()
        .chain(state)
        .chain(SYSTEM.map(PathBuf::from))
        .flat_map(|folder| in_folder(&folder))
        .collect();
    // The bare name leaves the search to the system's loader.
    files.push(PathBuf::from(NAME));
    files
}

/// A named place: itself if it is a file (or is missing, so that the error names it), else what the folder holds.
fn in_place(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return vec![place.to_path_buf()];
    }
    let found = in_folder(place);
    if found.is_empty() {
        vec![place.join(NAME)]
    } else {
        found
    }
}

/// `libonnxruntime.so` and its versioned names in a folder, the plain name first, then the newest by name.
fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let stem = NAME.trim_end_matches(".dylib");
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(stem) && is_library(name))
        .collect();
    names.sort_by_key(|name| (name != NAME, std::cmp::Reverse(version(name))));
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Leaves out providers (`libonnxruntime_providers_cuda.so`), which do not work alone.
fn is_library(name: &str) -> bool {
    name == NAME
        || name.starts_with("libonnxruntime.so.")
        || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
}

fn version(name: &str) -> Vec<u32> {
    name.split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// The process' environment, loading the library at the first call.
pub fn environment(search: &LibrarySearch) -> Result<Environment, EncodeError> {
    static LOADED: Mutex<Option<Environment>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*loaded {
        return Ok(environment.clone());
    }
    let mut tried = Vec::new();
    for path in candidates(search) {
        match ort::init_from(&path) {
            Ok(builder) => {
                let environment = builder
                    .with_name("mosaicd")
                    .with_logger(Arc::new(log))
                    .build()
                    .map_err(|source| EncodeError::Library { path, source })?;
                return Ok(loaded.insert(environment).clone());
            }
            Err(reason) => tried.push(Tried { path, reason }),
        }
    }
    Err(EncodeError::NoLibrary(AllTried(tried)))
}

/// One attempt to load the library.
#[derive(Debug)]
pub struct Tried {
    /// The file.
    pub path: PathBuf,
    /// Why it did not load.
    pub reason: ort::LoadDynamicError,
}

/// Every attempt; shown as a list of paths with reasons.
#[derive(Debug)]
pub struct AllTried(pub Vec<Tried>);

impl std::fmt::Display for AllTried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, Tried { path, reason }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let path = path.display();
            write!(f, "{separator}{path} ({reason})")?;
        }
        Ok(())
    }
}

/// onnxruntime's log goes where ours goes; its warnings are only about graph rewriting.
fn log(level: LogLevel, category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => {
            tracing::warn!(category, place, "onnxruntime: {message}")
        }
        LogLevel::Warning => tracing::debug!(category, place, "onnxruntime: {message}"),
        LogLevel::Info | LogLevel::Verbose => {
            tracing::trace!(category, place, "onnxruntime: {message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, names: &[&str]) {
        for name in names {
            fs::write(folder.join(name), b"").expect("the temporary folder is writable");
        }
    }

    #[test]
    fn a_folder_gives_the_library_and_not_its_providers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        touch(
            folder.path(),
            &[
                "libonnxruntime_providers_shared.so",
                "libonnxruntime.so.1.9.0",
                "libonnxruntime.so.1.32.0",
                "libonnxruntime.so",
                "readme.txt",
            ],
        );
        let found = in_folder(folder.path());
        let names: Vec<_> = found.iter().filter_map(|p| p.file_name()).collect();
        assert_eq!(
            names,
            [
                "libonnxruntime.so",
                "libonnxruntime.so.1.32.0",
                "libonnxruntime.so.1.9.0"
            ]
        );
    }

    #[test]
    fn a_configured_place_is_the_only_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        touch(folder.path(), &["libonnxruntime.so.1.32.0"]);
        let search = |place: PathBuf| LibrarySearch {
            configured: Some(place),
            state: Some(PathBuf::from("/nowhere")),
        };
        let file = folder.path().join("libonnxruntime.so.1.32.0");
        assert_eq!(
            candidates(&search(folder.path().into())),
            std::slice::from_ref(&file)
        );
        assert_eq!(candidates(&search(file.clone())), [file]);
        let missing = folder.path().join("gone.so");
        assert_eq!(candidates(&search(missing.clone())), [missing]);
    }

    #[test]
    fn a_library_that_does_not_load_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        touch(folder.path(), &["libonnxruntime.so"]);
        for place in [folder.path().join("gone.so"), folder.path().into()] {
            let search = LibrarySearch {
                configured: Some(place),
                state: None,
            };
            let Err(error) = environment(&search) else {
                panic!("neither a missing nor an empty file is a library");
            };
            let text = error.to_string();
            let named = folder.path().to_string_lossy();
            assert!(
                text.contains(&*named) && text.contains("embed.library"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_state_folder_comes_before_the_system() {
        if env::var_os("ORT_DYLIB_PATH").is_some() {
            return; // The variable is the only place then; the test above shows the same for the configuration.
        }
        let state = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(state.path().join("lib")).expect("the temporary folder is writable");
        touch(&state.path().join("lib"), &["libonnxruntime.so.1.32.0"]);
        let files = candidates(&LibrarySearch {
            configured: None,
            state: Some(state.path().into()),
        });
        let ours = state.path().join("lib/libonnxruntime.so.1.32.0");
        assert!(files.contains(&ours));
        assert_eq!(files.last(), Some(&PathBuf::from(NAME)));
    }
}
