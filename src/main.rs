//! The command line: arguments, exit codes, messages for people.
//!
//! It decides nothing about mosaics; every command is a few calls into the library. Exit codes: 0 ok, 1 a failure at
//! run time, 2 wrong usage, 78 configuration (systemd must not restart).
#![allow(clippy::print_stdout)]

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use mosaicd::{
    config::{COMMENTED, ConfigError},
    daemon::{self, DaemonError, Exit, Mode},
    parts::Part,
    service::telemetry,
};
use signal_hook::consts::SIGPIPE;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

mod cli;

use cli::{
    help,
    locate::{self, Common, Located},
};

/// The exit code of a configuration that cannot be used (`EX_CONFIG` of sysexits.h).
const EX_CONFIG: u8 = 78;

/// Keeps a mosaic of an artwork folder, sorted by visual similarity, always current on disk.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = help::MOSAICD)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch the artwork folder and keep the mosaic current, until told to stop.
    #[command(after_help = help::RUN)]
    Run,
    /// Bring the mosaic up to date once, with progress, and end.
    #[command(after_help = help::BUILD)]
    Build,
    /// Draw sample artworks into DIR/artworks and build their mosaic in DIR/output.
    #[command(after_help = help::DEMO)]
    Demo {
        /// Folder to fill; made if missing.
        dir: PathBuf,
        /// How many artworks.
        #[arg(long, short = 'n', default_value_t = 1000)]
        count: usize,
        /// Side of an artwork, pixels.
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(16..=4096))]
        size: u32,
        /// Another seed draws other artworks.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Check configuration, folders, model and limits, and say what would be used.
    #[command(after_help = help::VALIDATE)]
    Validate {
        /// Print JSON, for scripts.
        #[arg(long)]
        json: bool,
        /// Say why the file at PATH is or is not shown, and nothing else.
        #[arg(long, value_name = "PATH", conflicts_with = "json")]
        explain: Option<PathBuf>,
    },
    /// Say how the mosaic is doing: counts, last publication, every failed file by name and reason.
    #[command(after_help = help::STATUS)]
    Status(cli::Form),
    /// Confirm a held removal: the works that vanished are taken out of the mosaic.
    #[command(after_help = help::CONFIRM_REMOVAL)]
    ConfirmRemoval,
    /// Lay out any vectors (an `N × D` float32 array in NumPy's .npy format) on a grid.
    #[command(after_help = help::ARRANGE)]
    Arrange {
        /// The vectors.
        vectors: PathBuf,
        /// Where to write `index,x,y,col,row`.
        #[arg(long)]
        out: PathBuf,
        /// How closely the grid follows the map: 8 closely, 2 hardly, 0 not at all.
        #[arg(long)]
        map_fidelity: Option<f32>,
    },
    /// Write the embeddings and cells of the published works, for tools of your own; works while the daemon runs.
    #[command(after_help = help::EXPORT)]
    Export {
        /// Folder for `embeddings.npy` (float32, N × D) and `items.csv` (index,path,x,y,col,row,hash,model).
        dir: PathBuf,
    },
    /// Embed one of N parts of the artworks into a folder, for `mosaicd import`; on any machine, as often as you like.
    #[command(after_help = help::EMBED)]
    Embed {
        /// Which part, and of how many: 3/8. A file's path alone decides in which part it is.
        #[arg(long, value_name = "I/N", default_value = "1/1")]
        part: Part,
        /// Folder to fill, outside the artworks; made if missing, and continued if a run was stopped.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Take over what `mosaicd embed` or `export` made elsewhere, so that nothing is decoded or embedded here.
    #[command(after_help = help::IMPORT)]
    Import {
        /// Folders of `mosaicd embed`, finished or not, or of `mosaicd export`; or arrays (.npy, float32 or float16, N × D) and
        /// as many tables in the same order, with the columns path, hash and model, line by line as their rows.
        #[arg(required = true, value_name = "FOLDER")]
        sources: Vec<PathBuf>,
        /// For arrays whose tables have a column path and no more: they were made by this model, the configured one (its
        /// name as `mosaicd validate` says it).
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
    },
    /// List the works most alike to a placed one, to any picture file or to words; works while the daemon runs.
    #[command(after_help = help::SIMILAR)]
    Similar {
        /// A placed work's path or file name, or a file.
        #[arg(required_unless_present = "text")]
        name: Option<String>,
        /// Words instead of a work; needs a CLIP model with its text encoder.
        #[arg(long, conflicts_with = "name")]
        text: Option<String>,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 10)]
        count: usize,
        /// Print JSON, for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Get models and the library that runs them, and look at them.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Work with configuration files.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a shell's completions.
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Decode pictures for a running mosaicd; it starts this itself.
    #[command(hide = true)]
    DecodeWorker,
    /// Write the manual pages into a folder, for packages.
    #[command(hide = true)]
    Man {
        /// The folder; made if missing.
        dir: PathBuf,
    },
}

#[derive(Subcommand)]
enum ModelCommand {
    /// List what can be fetched.
    List,
    /// Fetch a model, or onnxruntime, and check every byte; continues where an earlier attempt stopped.
    #[command(after_help = help::MODEL_FETCH)]
    Fetch(cli::model::Fetch),
    /// Say what an ONNX model takes and gives and how it would be used.
    #[command(after_help = help::MODEL_INSPECT)]
    Inspect {
        /// An ONNX file or a folder with one.
        path: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the commented default configuration, or write it to a file that does not exist yet.
    #[command(after_help = help::CONFIG_INIT)]
    Init {
        /// The file; standard output without it.
        file: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if matches!(arguments.command, Command::DecodeWorker) {
        return mosaicd::decoding::worker::run();
    }
    if matches!(
        arguments.command,
        Command::Run | Command::Build | Command::Demo { .. }
    ) {
        cli::set_allocator();
    }
    if !matches!(arguments.command, Command::Run) {
        end_with_the_reader();
    }
    match execute(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mosaicd: {}", daemon::chain(error.as_ref()));
            if is_configuration(&error) {
                ExitCode::from(EX_CONFIG)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Lets `mosaicd ... | head` end as everywhere, when nobody reads its output any more: Rust's runtime ignores the
/// signal, and printing panics. The daemon goes on without its log.
fn end_with_the_reader() {
    let always = Arc::new(AtomicBool::new(true));
    if let Err(error) = signal_hook::flag::register_conditional_default(SIGPIPE, always) {
        eprintln!("mosaicd: {error}");
    }
}

fn is_configuration(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ConfigError>().is_some()
        || error.downcast_ref::<daemon::Invalid>().is_some()
        || error
            .downcast_ref::<DaemonError>()
            .is_some_and(DaemonError::is_configuration)
}

fn execute(Arguments { common, command }: Arguments) -> anyhow::Result<ExitCode> {
    if let Command::Status(form) = command {
        return match common.load_known() {
            Err(error) if form.check => Ok(cli::unknown(&error)),
            located => cli::status(&located?, form),
        };
    }
    carry_out(&common, command).map(|()| ExitCode::SUCCESS)
}

fn carry_out(common: &Common, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run => run(common),
        Command::Build => {
            let located = common.load()?;
            locate::remember(&located);
            build(located)
        }
        Command::Demo {
            dir,
            count,
            size,
            seed,
        } => demo_in(common, &dir, count, size, seed),
        Command::Validate {
            explain: Some(path),
            ..
        } => {
            cli::explain(&common.load()?.said(), &path);
            Ok(())
        }
        Command::Validate { json, .. } => cli::validate(&common.load()?.said(), json),
        Command::ConfirmRemoval => cli::confirm_removal(&common.load_known()?.said()),
        Command::Arrange {
            vectors,
            out,
            map_fidelity,
        } => cli::arrange(&common.load()?.said(), &vectors, &out, map_fidelity),
        Command::Export { dir } => cli::export(&common.load_known()?.said(), &dir),
        Command::Embed { part, out } => cli::embed(common.load_known()?.said(), part, &out),
        Command::Import { sources, model } => {
            cli::import(&common.load_known()?.said(), &sources, model.as_deref())
        }
        Command::Similar {
            name,
            text,
            count,
            json,
        } => {
            let query = match (&text, &name) {
                (Some(words), _) => cli::Query::Words(words),
                (None, name) => cli::Query::Work(name.as_deref().unwrap_or_default()),
            };
            cli::similar(&common.load_known()?.said(), &query, count, json)
        }
        Command::Model(ModelCommand::List) => {
            cli::model::list(&common.load_known()?.said());
            Ok(())
        }
        Command::Model(ModelCommand::Fetch(asked)) => {
            cli::model::fetch(&common.load_known()?.said(), &asked)
        }
        Command::Model(ModelCommand::Inspect { path }) => {
            cli::model::inspect(&common.load()?.config, &path)
        }
        Command::Config(ConfigCommand::Init { file }) => config_init(file.as_deref()),
        // Answered before: its exit code says more than whether it worked.
        Command::Status(_) | Command::DecodeWorker => Ok(()),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "mosaicd",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Man { dir } => man(&dir),
    }
}

/// Writes `mosaicd.1` and a page for every command.
fn man(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), dir))
        .with_context(|| format!("cannot write manual pages into {}", dir.display()))
}

fn run(common: &Common) -> anyhow::Result<()> {
    let located = common.load()?;
    let level = telemetry::init(located.config.log.format, &located.config.log.level)?;
    tracing::info!(configuration = %located.source, "starting");
    locate::remember(&located);
    let config = located.config;
    let again = common.clone();
    let reload = Box::new(move || again.load().map(|located| located.config));
    daemon::run(
        config,
        Mode::Watch {
            reload,
            level: Some(level),
        },
        &mut |_| {},
    )?;
    Ok(())
}

fn build(located: Located) -> anyhow::Result<()> {
    let config = &located.said();
    telemetry::init(config.log.format, &cli::quiet(&config.log.level))?;
    let mut progress = cli::ProgressView::new();
    let exit = daemon::run(config.clone(), Mode::Once, &mut |status| {
        progress.show(status)
    })?;
    progress.finish(&exit, config);
    match exit {
        Exit::Stopped(_) => {
            anyhow::bail!("stopped before the mosaic was up to date; run it again to go on")
        }
        Exit::Idle(status) => match status.degraded.first() {
            Some(wrong) => anyhow::bail!("{}; {}", wrong.what, wrong.what_to_do),
            None => Ok(()),
        },
    }
}

fn demo_in(common: &Common, dir: &Path, count: usize, size: u32, seed: u64) -> anyhow::Result<()> {
    let mut located = common.load_named()?;
    let config = &mut located.config;
    if common.artworks.is_none() {
        config.watch_only(&dir.join("artworks"));
    }
    let folders = &mut config.folders;
    for (folder, given, name) in [
        (&mut folders.output, &common.output, "output"),
        (&mut folders.state, &common.state, "state"),
    ] {
        if given.is_none() {
            *folder = dir.join(name);
        }
    }
    cli::draw_samples(&config.folders.artworks, count, size, seed).with_context(|| {
        format!(
            "cannot draw artworks into {}",
            config.folders.artworks.display()
        )
    })?;
    locate::remember(&located);
    build(located)
}

fn config_init(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else {
        print!("{COMMENTED}");
        return Ok(());
    };
    let create = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file);
    let cannot = || {
        format!(
            "cannot create {} (no file is ever replaced)",
            file.display()
        )
    };
    let mut handle = create.with_context(cannot)?;
    std::io::Write::write_all(&mut handle, COMMENTED.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}
