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
# nginx speaks on port 80: asked without any tool that a clean Debian lacks.
get() { exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && cat <&3; exec 3>&-; }
works() { get /manifest.json | grep -ao '"id":' | wc -l; }
there() { [ -e "$1" ] && echo there || echo gone; }
export DEBIAN_FRONTEND=noninteractive HOME=/root
. /etc/os-release; echo "$PRETTY_NAME, $(systemctl --version | head -n 1)"
cd /root

began=$SECONDS
while read -r line; do
  echo "\$ $line"
  eval "$line" </dev/null >/tmp/said 2>&1
  is "its exit code" 0 $?
  tail -n 3 /tmp/said
done </commands
is "the service" active "$(systemctl is-active mosaicd)"
is "it starts at boot" enabled "$(systemctl is-enabled mosaicd)"
count=$(ls /root/pictures | wc -l)
until_true 60 '[ "$(works)" = "$count" ]'
is "works that nginx serves" "$count" "$(works)"
echo "from nothing to there in $((SECONDS - began)) s"
is "the page" yes "$(get / | grep -aq '<title' && echo yes)"
is "a tile" yes "$(get "/$(cd /srv/mosaicd/output && find t -type f | head -n 1)" | head -n 1 | grep -aq ' 200 ' && echo yes)"
is "kept for ever" yes "$(get "/$(cd /srv/mosaicd/output && find t -type f | head -n 1)" | grep -aqi 'cache-control: .*immutable' && echo yes)"
is "the status is not published" 404 "$(get /status.json | head -n 1 | cut -d ' ' -f 2)"
is "a check" 0 "$(until_true 30 'mosaicd status --check'; mosaicd status --check >/dev/null; echo $?)"
cp "/root/pictures/$(ls /root/pictures | head -n 1)" /tmp/new.png; printf x >>/tmp/new.png
cp /tmp/new.png /srv/mosaicd/artworks/arrived-later.png
until_true 30 'get /manifest.json | grep -aq arrived-later.png'
is "a work that is dropped in appears" yes "$(get /manifest.json | grep -aq arrived-later.png && echo yes)"
is "the manual" yes "$(there /usr/share/man/man1/mosaicd.1.gz | sed 's/there/yes/')"
until_true 10 'mosaicd status --config /etc/mosaicd/mosaicd.toml | grep -q "$((count + 1)) in the mosaic"'
mosaicd status --config /etc/mosaicd/mosaicd.toml | head -n 3
is "validate as the service's user" 0 "$(sudo -u mosaicd mosaicd validate --config /etc/mosaicd/mosaicd.toml >/dev/null 2>&1; echo $?)"

# Debian's own site comes back, and the mosaic goes next to it.
ln -sf /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default
while read -r line; do echo "\$ $line"; eval "$line" </dev/null >/tmp/said 2>&1; is "its exit code" 0 $?; done </beside
until_true 10 'get /mosaic/ | grep -aq "<title"'
is "the site that was there" yes "$(get / | grep -aqi 'welcome to nginx' && echo yes)"
is "the mosaic beside it" "$((count + 1))" "$(get /mosaic/manifest.json | grep -ao '"id":' | wc -l)"
ln -sf /usr/share/mosaicd/nginx.conf /etc/nginx/sites-enabled/default
systemctl reload nginx
until_true 10 'get /manifest.json | grep -aq arrived-later.png'

generation=$(get /latest.json | grep -ao '"generation":[0-9]*' | head -n 1)
pid=$(systemctl show -p MainPID --value mosaicd)
echo "# mine" >>/etc/mosaicd/mosaicd.toml
apt-get install -y -qq /packages/next.deb </dev/null >/tmp/said 2>&1
is "upgrade" 0 $?
is "version" "$(dpkg-deb -f /packages/next.deb Version)" "$(dpkg-query -W -f '${Version}' mosaicd)"
is "restarted by it" yes "$([ "$(systemctl show -p MainPID --value mosaicd)" != "$pid" ] && echo yes)"
is "and running" active "$(systemctl is-active mosaicd)"
is "the configuration is the owner's" yes "$(tail -n 1 /etc/mosaicd/mosaicd.toml | grep -q '# mine' && echo yes)"
until_true 30 'mosaicd status --config /etc/mosaicd/mosaicd.toml | grep -q "idle"'
is "works after it" "$((count + 1))" "$(works)"
is "nothing was embedded again" yes "$(grep -q '^mosaicd_embedded_total 0$' /run/mosaicd/metrics.prom && echo yes)"
is "nothing was published again" "$generation" "$(get /latest.json | grep -ao '"generation":[0-9]*' | head -n 1)"

apt-get remove -y -qq mosaicd </dev/null >/tmp/said 2>&1
is "remove" 0 $?
is "the service after it" inactive "$(systemctl is-active mosaicd)"
is "the process" 0 "$(pgrep -xc mosaicd)"
is "the binary" gone "$(there /usr/bin/mosaicd)"
is "the unit" gone "$(there /usr/lib/systemd/system/mosaicd.service)"
is "the configuration stays" there "$(there /etc/mosaicd/mosaicd.toml)"
is "the store stays" there "$(there /var/lib/mosaicd/store)"
is "the page is still served" "$((count + 1))" "$(works)"

apt-get install -y -qq /packages/next.deb </dev/null >/tmp/said 2>&1
is "installed again" active "$(systemctl is-active mosaicd)"
until_true 30 'mosaicd status --config /etc/mosaicd/mosaicd.toml | grep -q "idle"'
is "nothing was embedded again" yes "$(grep -q '^mosaicd_embedded_total 0$' /run/mosaicd/metrics.prom && echo yes)"

apt-get purge -y -qq mosaicd </dev/null >/tmp/said 2>&1
is "purge" 0 $?
is "the configuration" gone "$(there /etc/mosaicd)"
is "the store" gone "$(there /var/lib/mosaicd)"
is "links of systemd" "" "$(find /etc/systemd /var/lib/systemd/deb-systemd-helper-enabled -name '*mosaicd*' 2>/dev/null)"
is "the artists' files stay" "$((count + 1))" "$(ls /srv/mosaicd/artworks | wc -l)"
is "the published mosaic stays" there "$(there /srv/mosaicd/output/index.html)"
is "what dpkg knows of it" "" "$(dpkg-query -W -f '${Status}' mosaicd 2>/dev/null)"
[ "$bad" = 0 ] && echo "ALL GOOD"
exit 0
