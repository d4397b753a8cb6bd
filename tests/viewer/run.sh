#!/bin/sh
# Runs the browser tests: the viewer on made-up outputs, and viewer, OpenSeadragon and Pillow on what the real binary
# publishes; the page's HTML by the Nu checker, html-validate and axe. Installs what it needs: npm packages by the lock
# file, and on Debian as root Chromium, Pillow and Java. Without Java, where it cannot be installed, the Nu checker is
# left out.
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
can_install=
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && can_install=yes
if ! command -v java >/dev/null; then
    if [ -n "$can_install" ]; then missing="$missing default-jre-headless"; else echo "left out: the Nu checker needs java" >&2; fi
fi
if [ -n "$missing" ]; then
    if [ -z "$can_install" ]; then
        echo "missing:$missing (apt-get install$missing)" >&2
        exit 1
    fi
    apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi
for package in openseadragon playwright-core vnu-jar html-validate axe-core; do
    [ -d "node_modules/$package" ] || { npm ci --no-audit --no-fund; break; }
done

MOSAICD_BIN=${MOSAICD_BIN:-$root/target/release/mosaicd}
if [ ! -x "$MOSAICD_BIN" ]; then
    (cd "$root" && cargo build --release --bin mosaicd)
fi
export MOSAICD_BIN MOSAICD_CHROMIUM="$chromium" MOSAICD_PYTHON="$python"
exec timeout 900 node --test --test-concurrency=1 viewer.test.mjs generations.test.mjs visits.test.mjs visitors.test.mjs large.test.mjs valid.test.mjs published.test.mjs light.test.mjs filters.test.mjs
