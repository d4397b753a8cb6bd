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
//! One file, in the order in which its code is called; each stop is a file that can be read on its own.
//!
//! 1. [`watch`]: the kernel says that something happened (`watcher`).
//! 2. [`daemon`]: the select loop (`serve`) hands every event to the plan and carries its commands out, on threads
//!    (`workers`) that only ever send events back.
//! 3. [`plan`]: pure. `table` follows the file, as one entry of what is known of its path: it settles (`settling`), is
//!    read, ready, placed, or refused. `scans` says which works are gone, `tasks` when it is time to rebuild, and with
//!    what.
//! 4. [`ingest`]: threads read the file (`watch::read`), decode it ([`artwork::decode`]), prepare its cell
//!    ([`artwork::cell`]) and its embedding ([`embed`]), and make both durable ([`store`]). From here on it is a hash.
//! 5. [`pipeline`]: one task at a time on a thread of its own: fetch the embeddings (`load`), rebuild, save
//!    ([`snapshot`]), publish.
//! 6. [`rebuild`]: pure. Renames, edits, removals and news are told apart (`changes`); the neighbour graph and the map
//!    take the newcomers in ([`reduce`]), the grid gives them cells ([`grid`]), and every move is counted.
//! 7. [`publish`]: `publisher` keeps the order. `placement` says which cells changed, `pyramid` and `spliced` redo what
//!    shows them ([`render`] draws), `files` syncs, and the manifest is renamed into place. The page ([`viewer`]) polls
//!    `latest.json` and sees the tile.
//! 8. Afterwards: the past is noted ([`history`]). When nothing else is going on, the grid is polished, quality is
//!    measured and old generations are collected (`plan::next`).
//!
//! Two questions to begin with. *What happens when a file is deleted while it is being placed?* Read `plan/entry.rs` (the
//! two axes of what is known of a path) and `plan/table.rs` (`vanished`, then `end_task`, then `begin_task`). *What happens
//! when nothing happens?* Read `Plan::next` in `plan/next.rs`.
//!
//! # Rooms
//! A folder under `src/` is a room; its `mod.rs` (or the file of its name) is the door. At the bottom lies [`domain`]:
//! the nouns that rooms exchange, as plain data. Pure rooms (`domain`, `reduce`, `grid`, `render`, `rebuild`, `plan`,
//! `history`, `regions`, `artwork`) import no file system, clock, database or thread. The shells around them (`disk`,
//! `cells`, `watch`, `store`, `embed`, `publish`, `service`) do, and they meet only in `daemon`, `ingest` and `pipeline`.
//! `tests/tidy.rs` holds the table of which room imports which, and enforces it.
//!
//! # Invariants
//! - Every artwork has exactly one cell and every cell holds at most one artwork.
//! - A placed artwork moves only when the grid says so, and every move is counted and published.
//! - Nothing is acknowledged before it is durable; a reader never sees a torn or mixed generation.
//! - Nothing below the source folder is ever written.

#[doc = include_str!("contributing.md")]
pub mod contributing {}
#[doc = include_str!("scale.md")]
pub mod scale {}

pub mod artwork;
pub mod cells;
pub mod config;
pub mod daemon;
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
