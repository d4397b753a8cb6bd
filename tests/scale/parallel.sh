#!/bin/bash
# Embeds a collection in parts with GNU parallel, and imports them:
#   parallel.sh ARTWORKS PARTS_FOLDER OUTPUT STATE [CONFIG] [PARTS] [SLOTS]
# Run again, it continues where it was; `--retries` tries a part again that failed. For other machines with the same folders
# mounted, add `--sshlogin :,host1,host2` to parallel's options.
set -euo pipefail
artworks=$1 parts=$2 output=$3 state=$4
config=${5:+--config $5} count=${6:-8} slots=${7:-2}
mosaicd=${MOSAICD:-mosaicd}
mkdir -p "$parts"
# shellcheck disable=SC2086 # An empty configuration is no argument.
seq "$count" | parallel --will-cite --jobs "$slots" --retries 4 \
    "$mosaicd" $config --artworks "$artworks" embed --part "{}/$count" --out "$parts/{}"
# shellcheck disable=SC2086
"$mosaicd" $config --artworks "$artworks" --output "$output" --state "$state" import "$parts"/*/
