#!/bin/sh
# Cold render of one folder by mosaicd, by the render step of the published Python recipe, and by libvips, alternating, all
# on one processor: two that share a core make CPU seconds longer, and only the recipe uses one alone.
#
#   tests/bench/render_cold.sh FOLDER [ROUNDS]     (PNG and JPEG files; needs libvips-tools and python3-pil)
set -eu
folder=$(realpath "$1")
rounds=${2:-3}
cpu=${MOSAICD_BENCH_CPU:-0}
python=${MOSAICD_PYTHON:-/usr/bin/python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$(dirname "$0")/../.."
side=$(find "$folder" -type f | wc -l | awk '{ s = int(sqrt($1)); if (s * s < $1) s++; print s }')
export MOSAICD_BENCH_ARTWORKS="$folder"
cargo bench -q --bench render --no-run
uptime

for round in $(seq "$rounds"); do
    echo "== round $round: mosaicd"
    taskset -c "$cpu" cargo bench -q --bench render

    echo "== the recipe's render step (PIL: open, resize to twice the tile, centre, paste, save PNG)"
    time -p taskset -c "$cpu" "$python" - "$folder" "$work/recipe.png" <<'PY'
import glob, math, sys
from PIL import Image
folder, out, tile = sys.argv[1], sys.argv[2], 128
paths = sorted(glob.glob(folder + "/*"))
side = math.ceil(math.sqrt(len(paths)))
canvas = Image.new("RGB", (side * tile, side * tile), "white"); edge = tile // 2
for i, path in enumerate(paths):
    im = Image.open(path).convert("RGB").resize((2 * tile, 2 * tile))
    canvas.paste(im.crop((edge, edge, edge + tile, edge + tile)), (i // side * tile, i % side * tile))
canvas.save(out)
PY

    echo "== vipsthumbnail + vips arrayjoin"
    time -p taskset -c "$cpu" sh -c '
        vipsthumbnail --size 128x128 --smartcrop centre --output "$2/%s-tn.jpg[Q=85]" "$1"/*
        vips arrayjoin "$(ls "$2"/*-tn.jpg | tr "\n" " ")" "$2/vips.jpg[Q=85]" --across "$3"
    ' sh "$folder" "$work" "$side"
    rm -f "$work"/*
done
