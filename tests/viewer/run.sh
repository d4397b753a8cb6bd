#!/bin/sh
# Runs the browser tests: the viewer on made-up outputs, and viewer, OpenSeadragon and Pillow on what the real binary
# publishes. Installs what it needs: npm packages by the lock file, and on Debian as root Chromium and Pillow.
#
#   tests/viewer/run.sh               builds target/release/mosaicd if it is missing
#   MOSAICD_BIN=... tests/viewer/run.sh
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)

missing=
chromium=${MOSAICD_CHROMIUM:-/usr/bin/chromium}
python=${MOSAICD_PYTHON:-/usr/bin/python3}
[ -x "$chromium" ] || missing="$missing chromium"
"$python" -c 'import PIL' 2>/dev/null || missing="$missing python3-pil"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing:$missing (apt-get install$missing)" >&2
        exit 1
    fi
    apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi
[ -d node_modules/openseadragon ] && [ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund

MOSAICD_BIN=${MOSAICD_BIN:-$root/target/release/mosaicd}
if [ ! -x "$MOSAICD_BIN" ]; then
    (cd "$root" && cargo build --release --bin mosaicd)
fi
export MOSAICD_BIN MOSAICD_CHROMIUM="$chromium" MOSAICD_PYTHON="$python"
exec timeout 600 node --test --test-concurrency=1 viewer.test.mjs visits.test.mjs published.test.mjs
