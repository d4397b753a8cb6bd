//! What each command's `--help` says besides its arguments: examples to copy, and what they do.
//!
//! Examples keep to 79 columns; a paragraph is one line, which is wrapped to the terminal it is read on.

pub(crate) const MOSAICD: &str = "\
First steps:
  mosaicd demo /tmp/mosaic                sample artworks and their mosaic
  mosaicd build --artworks ~/pictures --output ~/mosaic --state ~/mosaic.state
  mosaicd config init mosaicd.toml        every key with its default
  mosaicd --config mosaicd.toml validate  would it run, and with what?
  mosaicd --config mosaicd.toml run       the daemon

The page is index.html in the output folder: open it in a browser.

Exit codes: 0 ok, 1 failure at run time, 2 wrong usage, 78 wrong configuration.";

pub(crate) const RUN: &str = "\
Examples:
  mosaicd run --config /etc/mosaicd/mosaicd.toml
  mosaicd run --artworks ~/pictures --output ~/mosaic --state ~/mosaic.state

Signals:
  TERM, INT  finish the current step and stop
  HUP        read the configuration again and say what changed
  USR1       lay everything out again
  USR2       log the whole status";

pub(crate) const BUILD: &str = "\
Examples:
  mosaicd build --config mosaicd.toml
  */10 * * * *  mosaicd build --config mosaicd.toml    (a crontab's line)

From a crontab it does the daemon's work. A build that finds nothing new writes nothing; one that was stopped continues where it was when it is run again. Only one mosaicd at a time may use a state folder: a second one says so and ends with 1.";

pub(crate) const DEMO: &str = "\
Examples:
  mosaicd demo /tmp/mosaic                  1,000 artworks
  mosaicd demo /tmp/small -n 60 --size 512  fewer and larger ones

Then open output/index.html there in a browser.";

pub(crate) const VALIDATE: &str = "\
Examples:
  mosaicd --config mosaicd.toml validate && systemctl reload mosaicd
  mosaicd validate --json
  mosaicd validate --explain /srv/art/a.png   why is it shown, or not?

As the user of the service it finds what the service will find:
  sudo -u mosaicd mosaicd validate --config /etc/mosaicd/mosaicd.toml";

pub(crate) const STATUS: &str = "\
Examples:
  mosaicd status                          of the packaged service
  mosaicd status --output ~/mosaic --state ~/mosaic.state
  mosaicd status --check || mail -s mosaicd admin
  mosaicd status --json | jq -r '.failures[] | .path + \": \" + .reason'

It reads status.json where the configuration puts it (status.folder; the state folder by default), so it works while the daemon runs and after its end. --check prints one line a cause and ends with 0 if all is fine, 1 if something needs a human, 2 if the daemon does not run or gives no sign of life.";

pub(crate) const CONFIRM_REMOVAL: &str = "\
When more than half of the works vanish at once and no deletion was seen, a mount may be lost: the last good mosaic stays, and `mosaicd status` says so. After a day (`watch.removal_grace_h`) they leave the mosaic. If they are meant to be gone, this takes them out at once:
  mosaicd confirm-removal --config /etc/mosaicd/mosaicd.toml";

pub(crate) const ARRANGE: &str = "\
Example:
  python -c 'import numpy as n; n.save(\"v\", n.float32(n.random.rand(500, 64)))'
  mosaicd arrange v.npy --out cells.csv";

pub(crate) const EXPORT: &str = "\
Examples:
  mosaicd export /tmp/vectors --config mosaicd.toml
  python -c 'import numpy as n; print(n.load(\"/tmp/vectors/embeddings.npy\").shape)'

Line i of items.csv is row i of the array. `hash` is the BLAKE3 of the file, `model` names the encoder that made the embeddings: with both, `mosaicd import` takes them over on another machine.";

pub(crate) const EMBED: &str = "\
Examples:
  mosaicd embed --part 3/8 --artworks /mnt/art --out /mnt/parts/3
  parallel -j2 mosaicd embed --part {}/8 --out parts/{} ::: $(seq 8)

Only [watch], [decode], [embed], [tile] and page.large_px of the configuration count: give every machine the server's. What the ignore files name is left out. A run that was stopped, in whatever way, continues where it was; one that finds nothing new changes nothing. A finished folder has SHA256SUMS; the files that could not be used are in refused.csv.";

pub(crate) const IMPORT: &str = "\
Example, a large collection embedded on eight machines:
  there:  mosaicd embed --part 3/8 --artworks /mnt/art --out /mnt/parts/3
  here:   systemctl stop mosaicd
          mosaicd import /mnt/parts/*
          systemctl start mosaicd

A row is taken only for the file at its path in the watched folder, with its content, and only if the configured model made it. The content is read again where size or time of change differ from the table's. What is left out is counted, and embedded by the daemon as usual. As a service's user: sudo -u mosaicd mosaicd --config /etc/mosaicd/mosaicd.toml import ...

Embeddings that another program made by the configured model, as clip-retrieval does (float16 or float32), need tables with the one column path, below the artwork folder, as the system has it. They are bound to what the files hold now. Where clip-retrieval's input_dataset was /mnt/art, for each shard:
  duckdb -c \"COPY (SELECT regexp_replace(image_path, '^/mnt/art/', '') AS path FROM 'metadata/metadata_0.parquet') TO 'items/items_0.csv'\"
and then
  mosaicd import img_emb/*.npy items/*.csv --model clip-vit-b-32";

pub(crate) const SIMILAR: &str = "\
Examples:
  mosaicd similar piano.png               a work, by its path or file name
  mosaicd similar ~/sketch.jpg -n 3       any picture
  mosaicd similar --text \"piano keys\"    words, with a CLIP model
  mosaicd similar piano.png --json";

pub(crate) const MODEL_FETCH: &str = "\
Examples:
  mosaicd model fetch onnxruntime
  mosaicd model fetch efficientnet-lite0
  mosaicd model fetch clip-vit-b-32 --words
  mosaicd model fetch clip-vit-b-32 --from /media/usb    without a network

It says what to set embed.model to. Every byte is checked against a pinned sha256.";

pub(crate) const MODEL_INSPECT: &str = "\
Example:
  mosaicd model inspect ~/models/encoder.onnx";

pub(crate) const CONFIG_INIT: &str = "\
Examples:
  mosaicd config init | less
  mosaicd config init /etc/mosaicd/mosaicd.toml";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  mosaicd completions bash > ~/.local/share/bash-completion/completions/mosaicd
  mosaicd completions zsh  > ~/.zfunc/_mosaicd
  mosaicd completions fish > ~/.config/fish/completions/mosaicd.fish";
