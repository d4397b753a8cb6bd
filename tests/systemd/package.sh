#!/usr/bin/env bash
# The package for real: a clean Debian with systemd as PID 1 in a container, the README's commands copied from it as they
# stand, then upgrade, remove, purge.
# tests/systemd/package.sh OLD.deb NEW.deb [folder, target/package] [suite, bookworm]
# Needs root, debootstrap, systemd-nspawn, network for apt, and two packages of different versions:
#   cargo deb --no-build --deb-version 9.9.9-1 -o /tmp/next.deb
#   cargo deb --no-build
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

# The lines of the README's block "on the server", and of the one that puts the mosaic beside a site.
sed -n '/^## As a service/,/^## /p' "$here/README.md" >"$work/section"
sed -n '/^# on the server/,/^```/p' "$work/section" | grep -v -e '^#' -e '^```' >"$root/commands"
sed -n '/^\*\*Beside a site/,/^The same for/p' "$work/section" | sed -n '/^```sh/,/^```/p' | grep -v '^```' >"$root/beside"
[ "$(wc -l <"$root/beside")" -ge 2 ] || { echo "the README's commands for a site are not found"; exit 1; }
[ "$(wc -l <"$root/commands")" -ge 3 ] || { echo "the README's commands are not found"; exit 1; }

mkdir -p "$root/root/pictures" "$root/packages"
# What a person answers when apt asks.
echo 'APT::Get::Assume-Yes "true";' >"$root/etc/apt/apt.conf.d/90yes"
"$here/target/release/mosaicd" demo "$work/samples" -n 40 --size 64 >/dev/null 2>&1
find "$work/samples/artworks" -name '*.png' -exec cp {} "$root/root/pictures/" \;
cp "$old" "$root/root/$(dpkg-deb -f "$old" Package)_$(dpkg-deb -f "$old" Version)_amd64.deb"
cp "$new" "$root/packages/next.deb"
echo "127.0.0.1 localhost $(hostname)" >"$root/etc/hosts"

container "$root" "$here/tests/systemd/installed.sh" "$work/console"
