# Sourced by boot.sh and package.sh: a Debian tree booted in a container, with one script as all it has to do.

# commands HEADING N: the commands of the N-th block in the section HEADING of the README ($here), one a line.
commands() {
  awk -v heading="$1" -v wanted="$2" '
    /^```/ { if (inside) inside = 0; else if (/^```sh/ && section) { inside = 1; block++ } else inside = 2; next }
    inside == 1 && block == wanted && !/^#/ { print; found = 1 }
    !inside && /^#+ / { section = ($0 ~ ("^#+ " heading "$")) }
    END { exit !found }' "$here/README.md"
}

# container ROOT SCRIPT CONSOLE [options of systemd-nspawn]: boots ROOT with systemd as PID 1, runs SCRIPT in it once
# everything is up, and turns it off. Shows what SCRIPT wrote to /result; fails unless that ends well.
container() {
  local root="$1" script="$2" console="$3" name
  shift 3
  name="$(basename "$script" .sh)"
  install -m 755 "$script" "$root/$name.sh"
  cat >"$root/etc/systemd/system/$name.service" <<UNIT
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/$name.sh
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=journal+console
[Install]
WantedBy=graphical.target
UNIT
  ln -sf /lib/systemd/system/graphical.target "$root/etc/systemd/system/default.target"
  mkdir -p "$root/etc/systemd/system/graphical.target.wants"
  ln -sf "../$name.service" "$root/etc/systemd/system/graphical.target.wants/$name.service"

  timeout 900 "${NSPAWN:-systemd-nspawn}" --quiet -D "$root" --boot --register=no --keep-unit --console=pipe "$@" \
    >"$console" 2>&1 </dev/null || true
  cat "$root/result" 2>/dev/null || { tail -40 "$console"; echo "it did not boot"; return 1; }
  grep -q '^ALL GOOD' "$root/result"
}
