#!/usr/bin/env bash
# The unit for real: boots Debian 12 with systemd as PID 1 in a container, installs mosaicd as the README says, and tries it.
# tests/systemd/boot.sh [folder, target/systemd]   Needs root, debootstrap, systemd-nspawn and a release build.
set -euo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
work="${1:-$here/target/systemd}"
root="$work/root"
nspawn="${NSPAWN:-systemd-nspawn}"

if [ ! -x "$root/usr/bin/nginx" ] && [ ! -x "$root/usr/sbin/nginx" ]; then
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,nginx-light,procps bookworm "$root" \
    http://deb.debian.org/debian
fi
install -m 755 "$here/target/release/mosaicd" "$root/usr/bin/mosaicd"
install -D -m 644 "$here/config/mosaicd.toml" "$root/etc/mosaicd/mosaicd.toml"
sed -i -e 's#^artworks = "artworks"#artworks = "/srv/mosaicd/artworks"#' -e 's#^output = "output"#output = "/srv/mosaicd/output"#' \
  -e 's#^state = "state"#state = "/var/lib/mosaicd"#' "$root/etc/mosaicd/mosaicd.toml"
install -m 644 "$here/systemd/mosaicd.service" "$root/etc/systemd/system/"
install -m 644 "$here/systemd/mosaicd.sysusers" "$root/usr/lib/sysusers.d/mosaicd.conf"
install -m 644 "$here/systemd/mosaicd.tmpfiles" "$root/usr/lib/tmpfiles.d/mosaicd.conf"
install -m 644 "$here/systemd/nginx.conf" "$root/etc/nginx/sites-available/mosaicd"
ln -sf ../sites-available/mosaicd "$root/etc/nginx/sites-enabled/mosaicd"
rm -f "$root/etc/nginx/sites-enabled/default" "$root/result" "$root/etc/systemd/system/multi-user.target.wants/mosaicd.service"
rm -rf "$root/srv/mosaicd" "$root/var/lib/mosaicd" "$root/var/lib/private" "$root/samples"
"$here/target/release/mosaicd" demo "$root/samples" -n 60 --size 64 >/dev/null
install -m 755 "$here/tests/systemd/inside.sh" "$root/inside.sh"
cat >"$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/inside.sh
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=journal+console
[Install]
WantedBy=graphical.target
UNIT
ln -sf /lib/systemd/system/graphical.target "$root/etc/systemd/system/default.target"
mkdir -p "$root/etc/systemd/system/graphical.target.wants"
ln -sf ../inside.service "$root/etc/systemd/system/graphical.target.wants/inside.service"

timeout 900 "$nspawn" --quiet -D "$root" --boot --register=no --keep-unit --console=pipe --private-network \
  >"$work/console" 2>&1 </dev/null || true
cat "$root/result" 2>/dev/null || { tail -40 "$work/console"; echo "it did not boot"; exit 1; }
grep -q '^ALL GOOD' "$root/result"
