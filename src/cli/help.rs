//! What each command's `--help` teaches beyond its arguments: examples to copy, and what happens then.

pub(crate) const MOSAICD: &str = "\
First steps:
  mosaicd demo /tmp/mosaic                     sample artworks and their mosaic; open output/index.html there
  mosaicd build --artworks ~/pictures --output ~/mosaic --state ~/.local/state/mosaicd
  mosaicd config init mosaicd.toml             every key with its default and a comment
  mosaicd --config mosaicd.toml validate       would it run, and with what?
  mosaicd --config mosaicd.toml run            the daemon

Exit codes: 0 ok, 1 failure at run time, 2 wrong usage, 78 wrong configuration.";

pub(crate) const RUN: &str = "\
Examples:
  mosaicd run --config /etc/mosaicd/mosaicd.toml
  mosaicd run --artworks ~/pictures --output ~/mosaic --state ~/.local/state/mosaicd

Signals: TERM or INT stops after what is at work; HUP reads the configuration again and says what changed;
USR1 lays everything out afresh; USR2 logs the whole status.";

pub(crate) const BUILD: &str = "\
Examples:
  mosaicd build --config mosaicd.toml
  */10 * * * *  mosaicd build --config /etc/mosaicd/mosaicd.toml    (crontab: instead of the daemon)

A build that finds nothing new writes nothing. Only one mosaicd at a time may use a state folder; a second one says
so and ends with 1. A build that is stopped goes on where it was when it is run again.";

pub(crate) const DEMO: &str = "\
Examples:
  mosaicd demo /tmp/mosaic                     1,000 artworks, then open /tmp/mosaic/output/index.html
  mosaicd demo /tmp/small -n 60 --size 512     fewer and larger ones";

pub(crate) const VALIDATE: &str = "\
Examples:
  mosaicd validate --config /etc/mosaicd/mosaicd.toml && systemctl reload mosaicd
  mosaicd validate --json

Run it as the user of the service, so that it finds what the service will find:
  sudo -u mosaicd mosaicd validate --config /etc/mosaicd/mosaicd.toml";

pub(crate) const STATUS: &str = "\
Examples:
  mosaicd status --config /etc/mosaicd/mosaicd.toml
  mosaicd status --output /srv/mosaicd/output
  mosaicd status --json | jq -r '.failures[] | .path + \": \" + .reason'

It reads status.json in the output folder, so it works beside a running daemon and after its end.";

pub(crate) const CONFIRM_REMOVAL: &str = "\
When more than half of the works vanish at once and nobody was seen to delete them, a mount may be lost: the last good
mosaic stays, and `mosaicd status` says so. If they are meant to be gone:
  mosaicd confirm-removal --config /etc/mosaicd/mosaicd.toml";

pub(crate) const ARRANGE: &str = "\
Example:
  python -c 'import numpy; numpy.save(\"v.npy\", numpy.random.rand(500, 64).astype(\"float32\"))'
  mosaicd arrange v.npy --out cells.csv";

pub(crate) const EXPORT: &str = "\
Examples:
  mosaicd export /tmp/vectors --config mosaicd.toml
  python -c 'import numpy; print(numpy.load(\"/tmp/vectors/embeddings.npy\").shape)'

Line i of items.csv is row i of the array. `hash` is the BLAKE3 of the file, `model` names the encoder that made the
embeddings: with both, `mosaicd import` takes them over on another machine.";

pub(crate) const IMPORT: &str = "\
Example, a large collection embedded on a machine with a GPU:
  there:  mosaicd build --config mosaicd.toml && mosaicd export /tmp/vectors --config mosaicd.toml
  here:   systemctl stop mosaicd
          mosaicd import /tmp/vectors/embeddings.npy /tmp/vectors/items.csv --config mosaicd.toml
          systemctl start mosaicd

A row is taken only if a file with exactly its content lies at its path in the watched folder, and only if the
configured model made it. What is left out is counted, and embedded by the daemon as usual.";

pub(crate) const SIMILAR: &str = "\
Examples:
  mosaicd similar piano.png                    a work in the mosaic, by its path or file name
  mosaicd similar ~/Downloads/sketch.jpg -n 3  any picture
  mosaicd similar piano.png --json";

pub(crate) const CONFIG_INIT: &str = "\
Examples:
  mosaicd config init | less
  mosaicd config init /etc/mosaicd/mosaicd.toml";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  mosaicd completions bash > /etc/bash_completion.d/mosaicd
  mosaicd completions zsh  > ~/.zfunc/_mosaicd
  mosaicd completions fish > ~/.config/fish/completions/mosaicd.fish";
