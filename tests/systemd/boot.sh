#!/usr/bin/env bash
# The unit for real: boots Debian with systemd as PID 1 in a container, installs mosaicd's files, and tries them.
# tests/systemd/boot.sh [folder, target/systemd] [suite, bookworm]   Needs root, debootstrap, systemd-nspawn and a release build.
set -euo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
. "$here/tests/systemd/container.sh"
work="${1:-$here/target/systemd}" suite="${2:-bookworm}"
root="$work/$suite"

if [ ! -x "$root/usr/bin/nginx" ] && [ ! -x "$root/usr/sbin/nginx" ]; then
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,nginx-light,procps "$suite" "$root" \
    http://deb.debian.org/debian
fi
install -m 755 "$here/target/release/mosaicd" "$root/usr/bin/mosaicd"
install -D -m 644 "$here/config/mosaicd.toml" "$root/etc/mosaicd/mosaicd.toml"
sed -i -e 's#^artworks = "artworks"#artworks = "/srv/mosaicd/artworks"#' -e 's#^output = "output"#output = "/srv/mosaicd/output"#' \
  -e 's#^state = "state"#state = "/var/lib/mosaicd"#' -e 's#^folder = ""#folder = "/run/mosaicd"#' "$root/etc/mosaicd/mosaicd.toml"
install -m 644 "$here/systemd/mosaicd.service" "$root/etc/systemd/system/"
install -m 644 "$here/systemd/instance/mosaicd@.service" "$root/etc/systemd/system/"
install -m 644 "$here/systemd/mosaicd.toml" "$root/root/packaged.toml"
install -m 644 "$here/systemd/examples/publish-command.conf" "$root/root/publish-command.conf"
install -m 644 "$here/systemd/mosaicd.sysusers" "$root/usr/lib/sysusers.d/mosaicd.conf"
install -m 644 "$here/systemd/mosaicd.tmpfiles" "$root/usr/lib/tmpfiles.d/mosaicd.conf"
install -m 644 "$here/systemd/nginx.conf" "$root/etc/nginx/sites-available/mosaicd"
ln -sf ../sites-available/mosaicd "$root/etc/nginx/sites-enabled/mosaicd"
rm -f "$root/etc/nginx/sites-enabled/default" "$root/result" "$root/etc/systemd/system/multi-user.target.wants/mosaicd.service"
rm -rf "$root/etc/systemd/system/mosaicd.service.d" "$root"/srv/mosaicd* "$root"/var/lib/mosaicd* "$root/var/lib/private" "$root/samples"
"$here/target/release/mosaicd" demo "$root/samples" -n 60 --size 64 >/dev/null

container "$root" "$here/tests/systemd/inside.sh" "$work/console-$suite" --private-network
