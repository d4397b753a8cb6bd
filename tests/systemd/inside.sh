#!/bin/bash
# Runs inside the container, under its systemd: every line of /result is something that was tried.
exec >/result 2>&1
bad=0
# In some sandboxes /proc is that of another process namespace.
[ "$(cat /proc/$$/comm 2>/dev/null)" = inside.sh ] || mount -t proc proc /proc
is() { # what, wanted, found
  if [ "$2" = "$3" ]; then echo "good: $1: $3"; else echo "BAD: $1: $3, not $2"; bad=1; fi
}
show() { systemctl show -p "$1" --value mosaicd; }
until_true() { # seconds, command
  local until=$((SECONDS + 3 * $1)) # a busy machine is no fault
  while [ "$SECONDS" -lt "$until" ]; do if eval "$2" >/dev/null 2>&1; then return 0; fi; sleep .2; done
  echo "BAD: never true in 3 x $1 s: $2"; bad=1; return 1
}
works() { grep -o '"id":' /srv/mosaicd/output/manifest.json 2>/dev/null | wc -l; }

echo "systemd $(systemctl --version | head -n 1)"
systemd-sysusers && systemd-tmpfiles --create
is "the output folder" "755 mosaicd mosaicd" "$(stat -c '%a %U %G' /srv/mosaicd/output)"
is "the artwork folder" "3775 root mosaicd" "$(stat -c '%a %U %G' /srv/mosaicd/artworks)"
cp /samples/artworks/*.png /srv/mosaicd/artworks/ 2>/dev/null || cp -r /samples/artworks/. /srv/mosaicd/artworks/
count=$(find /srv/mosaicd/artworks -name '*.png' | wc -l)
systemctl enable --now mosaicd
is "started" active "$(systemctl is-active mosaicd)"
until_true 60 '[ "$(works)" = "$count" ]'
is "works shown" "$count" "$(works)"
echo "status line: $(show StatusText)"
is "runs as" mosaicd "$(ps -o user= -p "$(show MainPID)" | tr -d ' ')"
is "the state is private" 700 "$(stat -c %a /var/lib/mosaicd)"
is "nginx's user reads the output" yes "$(setpriv --reuid=www-data --regid=www-data --clear-groups cat /srv/mosaicd/output/manifest.json >/dev/null && echo yes)"
is "nginx's user reads the state" no "$(setpriv --reuid=www-data --regid=www-data --clear-groups ls /var/lib/mosaicd >/dev/null 2>&1 || echo no)"
pid=$(show MainPID)
is "network" "lo" "$(nsenter -t "$pid" -n ls /sys/class/net 2>/dev/null | tr '\n' ' ' | sed 's/ $//' || true)"
is "seccomp" 2 "$(awk '/^Seccomp:/{print $2}' /proc/$pid/status)"
is "no new privileges" 1 "$(awk '/^NoNewPrivs:/{print $2}' /proc/$pid/status)"
is "capabilities" 0000000000000000 "$(awk '/^CapBnd:/{print $2}' /proc/$pid/status)"
# Nothing can be run in its namespace but itself, so its files are seen from outside.
inner=/proc/$pid/root
is "its namespace cannot write the artworks" no "$(touch $inner/srv/mosaicd/artworks/x 2>/dev/null || echo no)"
is "and can write the output" yes "$(touch $inner/srv/mosaicd/output/x && rm $inner/srv/mosaicd/output/x && echo yes)"
echo "exposure: $(systemd-analyze security mosaicd --no-pager 2>/dev/null | tail -n 1)"

until_true 20 'mosaicd status | grep -q "$count in the mosaic"'
is "the status for this host's users" yes "$(setpriv --reuid=www-data --regid=www-data --clear-groups mosaicd status | grep -q "$count in the mosaic" && echo yes)"
is "and not among what is published" "" "$(ls /srv/mosaicd/output | grep -e status.json -e metrics.prom)"
until_true 30 'mosaicd status --check'
is "a check" "0 ok:" "$(mosaicd status --check >/tmp/check; echo $?) $(cut -d ' ' -f 1 /tmp/check)"
is "nothing but itself can be run" "no yes" "$(nsenter -t "$pid" -m /usr/bin/true 2>/dev/null || echo no) $(nsenter -t "$pid" -m /usr/bin/mosaicd --version >/dev/null && echo yes)"
is "the system's figures are hidden" no "$(cat $inner/proc/meminfo >/dev/null 2>&1 || echo no)"

echo "[page]" >/tmp/page; sed -i 's/^title = .*/title = "Reloaded"/' /etc/mosaicd/mosaicd.toml
systemctl reload mosaicd; is "reload" 0 $?
until_true 30 'grep -q Reloaded /srv/mosaicd/output/manifest.json'
is "the same process after a reload" "$pid" "$(show MainPID)"
sed -i 's/^title = .*/titel = "Wrong"/' /etc/mosaicd/mosaicd.toml
systemctl reload mosaicd
until_true 30 'journalctl -u mosaicd --no-pager | grep -q "is refused"'
is "a wrong configuration is refused" active "$(systemctl is-active mosaicd)"
sed -i 's/^titel = .*/title = "Right"/' /etc/mosaicd/mosaicd.toml

# A command after each generation: the unit runs none, until it is told which.
printf '#!/bin/bash\necho "told of $MOSAICD_WORKS"\n' >/usr/local/bin/mosaic-published
chmod 755 /usr/local/bin/mosaic-published
sed -i 's#^command = \[\]#command = ["/usr/local/bin/mosaic-published"]#' /etc/mosaicd/mosaicd.toml
told() { journalctl -u mosaicd --no-pager -o json | grep -c "$1"; }
systemctl restart mosaicd; pid=$(show MainPID)
rm "$(find /srv/mosaicd/artworks -name '*.png' | head -n 1)"
until_true 30 '[ "$(works)" = "$((count - 1))" ] && [ "$(told "publish.command cannot be started")" -gt 0 ]'
is "a command that the unit does not allow" "yes $((count - 1))" "$([ "$(told 'publish.command cannot be started')" -gt 0 ] && echo yes) $(works)"
install -D -m 644 /root/publish-command.conf /etc/systemd/system/mosaicd.service.d/publish-command.conf
systemctl daemon-reload; systemctl restart mosaicd; pid=$(show MainPID)
cp "$(find /samples/artworks -name '*.png' | head -n 1)" /srv/mosaicd/artworks/again.png
until_true 30 '[ "$(told "told of $count")" -gt 0 ]'
is "one that it allows" "yes" "$([ "$(told "told of $count")" -gt 0 ] && echo yes)"
rm -r /etc/systemd/system/mosaicd.service.d; systemctl daemon-reload; systemctl restart mosaicd; pid=$(show MainPID)

rm "$(find /srv/mosaicd/artworks -name '*.png' | head -n 1)"
until_true 30 '[ "$(works)" = "$((count - 1))" ]'
kill -KILL "$pid"
until_true 30 '[ "$(show NRestarts)" = 1 ] && systemctl is-active mosaicd'
is "killed, it is started again" active "$(systemctl is-active mosaicd)"
is "works shown" "$((count - 1))" "$(works)"

pid=$(show MainPID); kill -STOP "$pid"; began=$SECONDS
until_true 90 '[ "$(show NRestarts)" = 2 ] && systemctl is-active mosaicd'
is "stopped, the watchdog starts it again" yes "$([ $((SECONDS - began)) -ge 50 ] && [ "$(show NRestarts)" = 2 ] && echo yes)"

kill -USR2 "$(show MainPID)"
until_true 20 'journalctl -u mosaicd --no-pager -o json | grep -q "MOSAICD_"'
is "journal fields" yes "$(journalctl -u mosaicd --no-pager -o json | grep -q MOSAICD_GENERATION && echo yes)"
began=$(date +%s%N); systemctl stop mosaicd
echo "stop took $((($(date +%s%N) - began) / 1000000)) ms, result $(show Result)"
is "stopped in order" success "$(show Result)"
sed -i 's/^title = .*/titel = "Wrong"/' /etc/mosaicd/mosaicd.toml
systemctl start mosaicd; sleep 12
is "exit code of a wrong configuration" 78 "$(show ExecMainStatus)"
is "it is not started again" "failed 0" "$(systemctl is-active mosaicd) $(show NRestarts)"
is "a check of what does not run" 2 "$(mosaicd status --check >/dev/null 2>&1; echo $?)"

# Two sites, as the README sets them up.
for site in ink oil; do
  install -d -m 3775 -g mosaicd /srv/mosaicd-$site/artworks
  install -d -o mosaicd -g mosaicd /srv/mosaicd-$site/output
  sed -e "s#/mosaicd/\(artworks\|output\)#/mosaicd-$site/\1#; s#lib/mosaicd#lib/mosaicd-$site#; s#run/mosaicd#run/mosaicd-$site#; s#^site = \"\"#site = \"$site\"#" \
    /root/packaged.toml >/etc/mosaicd/$site.toml
  cp -r /samples/artworks/. /srv/mosaicd-$site/artworks/
done
systemctl enable --now mosaicd@ink mosaicd@oil
for site in ink oil; do
  until_true 60 "[ \$(grep -o '\"id\":' /srv/mosaicd-$site/output/manifest.json | wc -l) = $count ]"
  until_true 60 "mosaicd status --config /etc/mosaicd/$site.toml --check"
  is "site $site" "0 $((count))" "$(mosaicd status --config /etc/mosaicd/$site.toml --check >/dev/null; echo $?) $(grep -o '"id":' /srv/mosaicd-$site/output/manifest.json | wc -l)"
  is "its state" 700 "$(stat -c %a /var/lib/mosaicd-$site)"
  is "its metrics" yes "$(grep -q "^mosaicd_generation{site=\"$site\"} " /run/mosaicd-$site/metrics.prom && echo yes)"
done
is "they are two processes" 2 "$(pgrep -xc mosaicd)"

systemctl start nginx; is "nginx" active "$(systemctl is-active nginx)"
[ "$bad" = 0 ] && echo "ALL GOOD"
exit 0
