//! mosaicd keeps a mosaic of an artwork folder, sorted by visual similarity, always current on disk.
//!
//! # Flow
//! ```text
//! folder --scan/watch--> ChangeSet --embed--> Embedding + cell --store--> Record
//!    Record* --reduce--> Layout (2-D) --grid--> Assignment + moves --render--> dirty cells --publish--> Generation
//! ```
//! Events only *schedule* scans; the scan is the truth. A start is a scan, so recovery is no special case.
//!
//! # The walk from file to tile
//! The path of one artwork, in the order in which the code is called; each stop is a file that can be read on its own.
//!
//! 1. [`watch`]: the kernel reports that something happened (`watcher`).
//! 2. [`daemon`]: the select loop (`serve`) passes every event to the plan and carries out its commands, on threads
//!    (`workers`) that only send events back.
//! 3. [`plan`]: pure. `table` follows the file, in one entry per path: it settles (`settling`), is read, ready, placed,
//!    or refused. `scans` decides which works are gone, `tasks` when to rebuild, and with what.
//! 4. [`ingest`]: threads read the file (`watch::read`) and give its bytes to a worker ([`decoding`]), a process that can
//!    do nothing else. There it is decoded ([`artwork::decode`]), and its cell ([`artwork::cell`]) and the encoder's input
//!    are made; pixels never come back. Then it is embedded ([`embed`]), and both are made durable ([`store`], [`cells`]).
//!    From here on the file is known by its hash.
//! 5. [`pipeline`]: one task at a time on its own thread: fetch the embeddings (`load`), rebuild, save ([`snapshot`]),
//!    publish.
//! 6. [`rebuild`]: pure. It distinguishes renames, edits, removals and new works (`changes`), adds the new works to the
//!    neighbour graph and the map ([`reduce`]), gives them cells ([`grid`]), and counts every move.
//! 7. [`publish`]: `publisher` keeps the order. `placement` finds the cells that changed, `pyramid` and `spliced` redo
//!    the files that show them ([`render`] draws), `files` syncs, and the manifest is renamed into place. The page
//!    ([`viewer`]) polls `latest.json` and sees the tile.
//! 8. Afterwards: the moves are added to the journal ([`history`]). When nothing else is going on, the grid is
//!    polished, quality is measured and old generations are collected (`plan::next`).
//!
//! Two questions to start with. *What happens when a file is deleted while it is being placed?* Read `plan/entry.rs`
//! (the two axes of what is known about a path) and `plan/table.rs` (`vanished`, then `end_task`, then `begin_task`).
//! *What happens when nothing happens?* Read `Plan::next` in `plan/next.rs`.
//!
//! # Rooms
//! A folder under `src/` is a room; its `mod.rs` (or the file of its name) is the door. At the bottom is [`domain`]:
//! the types that rooms exchange, as plain data. Pure rooms (`artwork`, `describe`, `domain`, `grid`, `history`, `markup`,
//! `matrix`, `npy`, `plan`, `rebuild`, `reduce`, `regions`, `render`, `snapshot`, `viewer`) import no file system, clock,
//! database or thread. The other rooms are shells around them, which come together in `ingest`, `pipeline` and `daemon`,
//! and in the commands (`cli`). `tests/tidy.rs` holds the table of which room imports which, and enforces it.
//!
//! # Invariants
//! - Every artwork has exactly one cell and every cell holds at most one artwork.
//! - A placed artwork moves only when the grid says so, and every move is counted and published.
//! - Nothing is acknowledged before it is durable; a reader never sees a torn or mixed generation.
//! - Nothing below the source folder is ever written.
//! - No byte of an artwork is parsed in the daemon's own process.

#[doc = include_str!("contributing.md")]
pub mod contributing {}
#[doc = include_str!("models.md")]
pub mod models {}
#[doc = include_str!("release.md")]
pub mod release {}
#[doc = include_str!("scale.md")]
pub mod scale {}
#[doc = include_str!("security.md")]
pub mod security {}

#[macro_use]
mod wide;

pub mod artwork;
pub mod cells;
pub mod config;
pub mod daemon;
pub mod decoding;
pub mod demo;
pub mod describe;
pub mod disk;
pub mod domain;
pub mod embed;
pub mod grid;
pub mod history;
pub mod ingest;
pub mod markup;
pub mod matrix;
pub mod npy;
pub mod parameters;
pub mod parts;
pub mod pipeline;
pub mod plan;
pub mod publish;
pub mod rebuild;
pub mod reduce;
pub mod regions;
pub mod render;
pub mod service;
pub mod snapshot;
pub mod store;
pub mod vectors;
pub mod viewer;
pub mod watch;
