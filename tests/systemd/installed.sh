#!/bin/bash
# Runs inside the container, under its systemd: every line of /result is something that was tried.
exec >/result 2>&1
bad=0
# In some sandboxes /proc is that of another process namespace.
[ "$(cat /proc/$$/comm 2>/dev/null)" = installed.sh ] || mount -t proc proc /proc
is() { # what, wanted, found
  if [ "$2" = "$3" ]; then echo "good: $1: $3"; else echo "BAD: $1: $3, not $2"; bad=1; fi
}
until_true() { # seconds, command
  local until=$((SECONDS + 3 * $1)) # a busy machine is no fault
  while [ "$SECONDS" -lt "$until" ]; do if eval "$2" >/dev/null 2>&1; then return 0; fi; sleep .2; done
  echo "BAD: never true in 3 x $1 s: $2"; bad=1; return 1
}
follow() { # file: the README's commands
  while read -r line; do
    echo "\$ $line"
    case "$line" in "mosaicd run"*) line="timeout --preserve-status -s TERM 20 $line" ;; esac # until it is told to stop
    eval "$line" </dev/null >/tmp/said 2>&1 || { echo "BAD: its exit code: $?"; bad=1; tail -n 3 /tmp/said; }
  done <"$1"
}
# nginx speaks on port 80: asked without any tool that a clean Debian lacks.
get() { exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && cat <&3; exec 3>&-; }
code() { get "$1" | head -n 1 | cut -d ' ' -f 2; }
works() { get "${1-/mosaic}/manifest.json" | grep -ao '"id":' | wc -l; }
# Who is who and where, whatever the order.
placed() { grep -o '"id":[0-9]*,"path":"[^"]*","col":[0-9]*,"row":[0-9]*\|"added_ms":[0-9]*' "${1:-/srv/mosaicd/output}/manifest.json" | sort; }
there() { [ -e "$1" ] && echo there || echo gone; }
embedded() { cat /run/mosaicd/metrics.prom /var/lib/mosaicd/metrics.prom 2>/dev/null | awk '$1 == "mosaicd_embedded_total" {print $2}' | head -n 1; }
apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null >/tmp/said 2>&1; }
export DEBIAN_FRONTEND=noninteractive HOME=/root
. /etc/os-release; echo "$PRETTY_NAME, $(systemctl --version | head -n 1)"
cd /root

# The binary alone.
follow /readme/try
is "the demo" "1000 there" "$(grep -o '"id":' /tmp/mosaic/output/manifest.json | wc -l) $(there /tmp/mosaic/output/index.html)"
follow /readme/folder
is "a folder of one's own" "$(ls /root/pictures | wc -l)" "$(grep -o '"id":' /root/mosaic/manifest.json | wc -l)"
follow /readme/vectors
is "vectors" "$(ls /root/pictures | wc -l)" "$(($(wc -l </tmp/vectors/cells.csv) - 1))"
cd /root
rm -rf /tmp/mosaic /root/mosaic /root/.local /tmp/vectors /usr/local/bin/mosaicd; hash -r

# The site that is there.
apt update; apt install nginx-light; systemctl start nginx
is "the site before" 200 "$(code /)"
unset -f apt # the README's is the real one
began=$SECONDS
follow /readme/website
is "the service" active "$(systemctl is-active mosaicd)"
is "it starts at boot" enabled "$(systemctl is-enabled mosaicd)"
count=$(ls /root/pictures | wc -l)
until_true 60 '[ "$(works)" = "$count" ]'
is "works that nginx serves" "$count" "$(works)"
echo "from nothing to there in $((SECONDS - began)) s"
is "the site that was there" yes "$(get / | grep -aqi 'welcome to nginx' && echo yes)"
is "the page" yes "$(get /mosaic/ | grep -aq '<title' && echo yes)"
tile="/mosaic/$(cd /srv/mosaicd/output && find t -type f | head -n 1)"
is "a tile" 200 "$(code "$tile")"
is "kept for ever" yes "$(get "$tile" | grep -aqi 'cache-control: .*immutable' && echo yes)"
is "the status is not published" 404 "$(code /mosaic/status.json)"
is "a check" 0 "$(until_true 30 'mosaicd status --check'; mosaicd status --check >/dev/null; echo $?)"
is "the artwork folder" "3775 root mosaicd" "$(stat -c '%a %U %G' /srv/mosaicd/artworks)"
is "the output folder" "755 mosaicd mosaicd" "$(stat -c '%a %U %G' /srv/mosaicd/output)"
is "the state is private" 700 "$(stat -c %a /var/lib/mosaicd)"
cp "/root/pictures/$(ls /root/pictures | head -n 1)" /tmp/new.png; printf x >>/tmp/new.png
cp /tmp/new.png /srv/mosaicd/artworks/arrived-later.png
until_true 30 'get /mosaic/manifest.json | grep -aq arrived-later.png'
is "a work that is dropped in appears" yes "$(get /mosaic/manifest.json | grep -aq arrived-later.png && echo yes)"
is "the manual" there "$(there /usr/share/man/man1/mosaicd.1.gz)"
is "completions" there "$(there /usr/share/bash-completion/completions/mosaicd)"
until_true 10 'mosaicd status | grep -q "$((count + 1)) in the mosaic"'
mosaicd status | head -n 3
is "validate as the service's user" 0 "$(sudo -u mosaicd mosaicd validate >/dev/null 2>&1; echo $?)"

# A second site.
follow /readme/sites
cp /root/pictures/*.png /srv/mosaicd-ink/artworks/
until_true 60 "[ \$(grep -o '\"id\":' /srv/mosaicd-ink/output/manifest.json | wc -l) = $count ]"
is "a second site" "active $count" "$(systemctl is-active mosaicd@ink) $(grep -o '"id":' /srv/mosaicd-ink/output/manifest.json | wc -l)"
site=$(systemctl show -p MainPID --value mosaicd@ink)
apt-get install -y -qq --reinstall /packages/new.deb </dev/null >/tmp/said 2>&1
is "another version starts it again" "active yes" \
  "$(systemctl is-active mosaicd@ink) $([ "$(systemctl show -p MainPID --value mosaicd@ink)" != "$site" ] && echo yes)"

# State and output are lost; a backup of two files brings numbers, dates and cells back.
follow /readme/backup
systemctl stop mosaicd
before="$(placed)"
rm -rf /var/lib/mosaicd /srv/mosaicd/output
install -d -o mosaicd -g mosaicd /srv/mosaicd/output
install -o mosaicd -g mosaicd -m 644 /var/backups/mosaicd/* /srv/mosaicd/output/
systemctl start mosaicd
until_true 60 'mosaicd status | grep -q idle && [ "$(embedded)" = $((count + 1)) ]'
is "numbers, dates and cells after a loss" "$(md5sum <<<"$before")" "$(placed | md5sum)"
is "works after it" "$((count + 1))" "$(works)"

# The mosaic alone, in the site's place.
follow /readme/alone
# Until a worker of nginx that began before the reload has ended, it may answer.
until_true 10 'alone="$(works "") $(get / | grep -aq "<title" && echo yes)"; [ "$alone" = "$((count + 1)) yes" ]'
is "the mosaic alone" "$((count + 1)) yes" "$alone"

DEBIAN_FRONTEND=noninteractive
systemctl restart mosaicd; until_true 30 'mosaicd status | grep -q idle'
apt-get remove -y -qq mosaicd </dev/null >/tmp/said 2>&1
is "remove" 0 $?
is "the services after it" "inactive inactive" "$(systemctl is-active mosaicd mosaicd@ink | tr '\n' ' ' | sed 's/ $//')"
is "the process" 0 "$(pgrep -xc mosaicd)"
is "the binary" gone "$(there /usr/bin/mosaicd)"
is "the unit" gone "$(there /usr/lib/systemd/system/mosaicd.service)$(there /lib/systemd/system/mosaicd.service | sed 's/gone//')"
is "the configuration stays" there "$(there /etc/mosaicd/mosaicd.toml)"
is "the store stays" there "$(there /var/lib/mosaicd/store)"
is "the page is still served" "$((count + 1))" "$(works "")"

apt-get install -y -qq /packages/new.deb </dev/null >/tmp/said 2>&1
is "installed again" active "$(systemctl is-active mosaicd)"
until_true 30 'mosaicd status | grep -q "idle"'
is "nothing was embedded again" 0 "$(embedded)"

purged() {
  apt-get purge -y -qq mosaicd </dev/null >/tmp/said 2>&1
  is "purge" 0 $?
  is "the configuration" gone "$(there /etc/mosaicd/mosaicd.toml)"
  is "the stores" "gone gone" "$(there /var/lib/mosaicd) $(there /var/lib/mosaicd-ink)"
  is "links of systemd" "" "$(find /etc/systemd /var/lib/systemd/deb-systemd-helper-enabled -name '*mosaicd*' 2>/dev/null)"
  is "the artists' files stay" "$((count + 1))" "$(ls /srv/mosaicd/artworks | wc -l)"
  is "the published mosaic stays" there "$(there /srv/mosaicd/output/index.html)"
  is "what dpkg knows of it" "" "$(dpkg-query -W -f '${Status}' mosaicd 2>/dev/null)"
}
purged

# The version before, an owner's change to its configuration, and the upgrade.
rm -rf /srv/mosaicd/output
if ! apt-get install -y -qq /packages/old.deb </dev/null >/tmp/said 2>&1; then
  echo "no upgrade is tried, because the version before cannot be installed here: $(grep Depends /tmp/said)"
  [ "$bad" = 0 ] && echo "ALL GOOD"
  exit 0
fi
is "the version before" "$(dpkg-deb -f /packages/old.deb Version)" "$(dpkg-query -W -f '${Version}' mosaicd)"
until_true 60 '[ "$(works "")" = $((count + 1)) ]'
until_true 30 'mosaicd status --config /etc/mosaicd/mosaicd.toml | grep -q idle'
pid=$(systemctl show -p MainPID --value mosaicd)
before="$(placed)"
published() { echo "$(there /srv/mosaicd/output/status.json) $(there /srv/mosaicd/output/metrics.prom)"; }
echo "status and metrics of the version before, in the output: $(published)"
chmod 755 /var/lib/mosaicd # as somebody may have made it
echo "# mine" >>/etc/mosaicd/mosaicd.toml
apt-get install -y -qq -o Dpkg::Options::=--force-confold /packages/new.deb </dev/null >/tmp/said 2>&1
is "upgrade" 0 $?
is "version" "$(dpkg-deb -f /packages/new.deb Version)" "$(dpkg-query -W -f '${Version}' mosaicd)"
is "restarted by it" yes "$([ "$(systemctl show -p MainPID --value mosaicd)" != "$pid" ] && echo yes)"
is "and running" active "$(systemctl is-active mosaicd)"
is "the configuration is the owner's" yes "$(tail -n 1 /etc/mosaicd/mosaicd.toml | grep -q '# mine' && echo yes)"
until_true 30 'mosaicd status | grep -q "idle"'
is "works after it" "$((count + 1))" "$(works "")"
is "numbers, dates and cells after it" "$(md5sum <<<"$before")" "$(placed | md5sum)"
is "nothing was embedded again" 0 "$(embedded)"
is "the status is not published" "404 gone gone" "$(code /status.json) $(published)"
is "the status" there "$(there /var/lib/mosaicd/status.json)" # the configuration of the version before has no status.folder
is "the state is private" 700 "$(stat -c %a /var/lib/mosaicd)"
is "a check" 0 "$(until_true 30 'mosaicd status --check'; mosaicd status --check >/dev/null; echo $?)"
purged
[ "$bad" = 0 ] && echo "ALL GOOD"
exit 0
