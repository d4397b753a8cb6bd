#!/usr/bin/env bash
# The container image for real: run by podman with a read-only root, without network and capabilities; it makes a mosaic,
# says that it is well, goes on with the same volumes, and stops in order.
# tests/systemd/image.sh IMAGE.tar   Needs podman and runc. PODMAN: podman with other options.
set -uo pipefail
bad=0 dir="$(mktemp -d)" name="mosaicd-$$"
read -r -a podman <<<"${PODMAN:-podman}"
podman() { command "${podman[@]}" "$@"; }
# Where the limits that podman asks for are beyond what is allowed here.
limits=(--ulimit "nofile=1024:$(ulimit -Hn)" --ulimit nproc=1000:1000)
trap '[ "$bad" = 0 ] || podman logs "$name" 2>&1 | tail -n 3; podman rm -f -v "$name" >/dev/null 2>&1; podman volume rm "$name-output" "$name-state" >/dev/null 2>&1; rm -rf "$dir"' EXIT
is() { # what, wanted, found
  if [ "$2" = "$3" ]; then echo "good: $1: $3"; else echo "BAD: $1: $3, not $2"; bad=1; fi
}
until_true() { # seconds, command
  local until=$((SECONDS + 3 * $1)) # a busy machine is no fault
  while [ "$SECONDS" -lt "$until" ]; do if eval "$2" >/dev/null 2>&1; then return 0; fi; sleep .5; done
  echo "BAD: never true in 3 x $1 s: $2"; bad=1; return 1
}

image="$(podman load -q -i "$1" | sed 's/^Loaded image[^:]*: //; s/,.*//' | head -n 1)"
echo "image $image, $(stat -c %s "$1") bytes"
mkdir -m 755 "$dir/art"
podman run --rm "${limits[@]}" --no-healthcheck --network=none -v "$dir/art:/art" --user 0 "$image" demo /art -n 40 --size 64 >/dev/null 2>&1
chmod -R a+rX "$dir"
start() {
  podman run -d --name "$name" "${limits[@]}" --health-interval=disable --read-only --read-only-tmpfs=false --cap-drop=all \
    --security-opt=no-new-privileges --network=none -v "$dir/art/artworks:/srv/mosaicd/artworks:ro" \
    -v "$name-output:/srv/mosaicd/output" -v "$name-state:/var/lib/mosaicd" "$image" >"$dir/said" 2>&1
  is "started" 0 $?
  cat "$dir/said"
}
works() { grep -o '"id":' "$output/manifest.json" 2>/dev/null | wc -l; }

start
output="$(podman volume inspect -f '{{.Mountpoint}}' "$name-output")"
until_true 60 '[ "$(works)" = 40 ]'
is "works shown" 40 "$(works)"
pid="$(podman inspect -f '{{.State.Pid}}' "$name")"
is "runs as" "65532 65532" "$(awk '/^Uid:/{u=$2} /^Gid:/{g=$2} END {print u, g}' "/proc/$pid/status")"
is "capabilities" 0000000000000000 "$(awk '/^CapBnd:/{print $2}' "/proc/$pid/status")"
is "its root is read-only" ro "$(awk '$5 == "/" {print substr($6, 1, 2)}' "/proc/$pid/mountinfo")"
is "network" lo: "$(awk 'NR > 2 {print $1}' "/proc/$pid/net/dev" | tr '\n' ' ' | sed 's/ $//')"
until_true 30 'podman healthcheck run "$name"'
is "healthy" 0 "$(podman healthcheck run "$name" >/dev/null 2>&1; echo $?)"
podman exec "$name" /usr/bin/mosaicd status | head -n 3
is "the status is not published" "" "$(ls "$output" | grep -e status.json -e metrics.prom)"
podman stop -t 30 "$name" >/dev/null
is "stopped in order" 0 "$(podman inspect -f '{{.State.ExitCode}}' "$name")"
podman rm "$name" >/dev/null
start
until_true 30 'podman exec "$name" /usr/bin/mosaicd status | grep -q idle'
is "a new container goes on" "40 0" "$(works) $(awk '$1 == "mosaicd_embedded_total" {print $2}' "$(podman volume inspect -f '{{.Mountpoint}}' "$name-state")/metrics.prom")"
[ "$bad" = 0 ] && echo "ALL GOOD"
exit "$bad"
