#!/usr/bin/env bash
# The package for real: a clean Debian with systemd as PID 1 in a container and a site that nginx serves. The README's
# commands, copied from it as they stand, put the mosaic into it; then loss and restoring, remove, purge, and an upgrade
# from the version before.
# tests/systemd/package.sh OLD.deb NEW.deb [folder, target/package] [suite, bookworm]
# Needs root, debootstrap, systemd-nspawn, network for apt, and two packages: that of the version before and target/dist's.
set -euo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
. "$here/tests/systemd/container.sh"
old="$(realpath "$1")" new="$(realpath "$2")"
work="${3:-$here/target/package}" suite="${4:-bookworm}"
root="$work/$suite" clean="$work/$suite.clean"

if [ ! -d "$clean/usr" ]; then
  mkdir -p "$work"
  # What every Debian with systemd has, and sudo: no web server, no Rust.
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,sudo,ca-certificates "$suite" "$clean" \
    http://deb.debian.org/debian
fi
rm -rf "$root"
cp -a "$clean" "$root"

mkdir -p "$root/root/pictures" "$root/packages" "$root/readme"
# Without the package: its binary alone, where cargo would put or run it; `similar --text` needs a model from the network.
commands "Try it" 1 | sed 's/^cargo run --release -- /mosaicd /' >"$root/readme/try"
commands "Your own folder" 1 | grep -v '^cargo install' >"$root/readme/folder"
commands "Vectors" 1 | sed -e '/--text/d' -e '/^mosaicd export/a cd /tmp/vectors && cp embeddings.npy vectors.npy' >"$root/readme/vectors"
# The first of them builds the package: what is tried here.
commands "Your website" 1 | grep -v '^\.ci/release' >"$root/readme/website"
commands "Your website" 2 >"$root/readme/alone"
commands "Backup and loss" 1 >"$root/readme/backup"
commands "Several sites on a host" 1 >"$root/readme/sites"
# What a person answers when apt asks.
echo 'APT::Get::Assume-Yes "true";' >"$root/etc/apt/apt.conf.d/90yes"
rm -rf "$work/unpacked" "$work/samples"
dpkg-deb -x "$new" "$work/unpacked"
"$work/unpacked/usr/bin/mosaicd" demo "$work/samples" -n 40 --size 64 >/dev/null 2>&1
find "$work/samples/artworks" -name '*.png' -exec cp {} "$root/root/pictures/" \;
mv "$(find "$root/root/pictures" -name '*.png' | head -n 1)" "$root/root/pictures/piano.png"
install -m 755 "$work/unpacked/usr/bin/mosaicd" "$root/usr/local/bin/mosaicd"
cp "$new" "$root/root/$(dpkg-deb -f "$new" Package)_$(dpkg-deb -f "$new" Version)_amd64.deb"
cp "$old" "$root/packages/old.deb"
cp "$new" "$root/packages/new.deb"
echo "127.0.0.1 localhost $(hostname)" >"$root/etc/hosts"

container "$root" "$here/tests/systemd/installed.sh" "$work/console-$suite"
