#!/usr/bin/env bash
# The web servers' files for real: each serves a mosaic next to a site that was there before, and is asked with curl.
# tests/systemd/web.sh [mosaicd, target/release/mosaicd]   Needs root, curl, and of nginx, caddy and apache2 those to try.
set -uo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
mosaicd="$(realpath "${1:-$here/target/release/mosaicd}")"
dir="$(mktemp -d)"; chmod 755 "$dir"
pids=() bad=0 tried=0
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

is() { # what, wanted, found
  if [ "$2" = "$3" ]; then echo "good: $1: $3"; else echo "BAD: $1: $3, not $2"; bad=1; fi
}
has() { # what, wanted, text
  case "$3" in *"$2"*) echo "good: $1: $2" ;; *) echo "BAD: $1: no $2 in $3"; bad=1 ;; esac
}
ask() { curl -s --path-as-is -o "$dir/body" -D - "$@" | tr -d '\r'; }
status() { head -n 1 <<<"$1" | cut -d ' ' -f 2; }
header() { grep -i "^$2: " <<<"$1" | cut -d ' ' -f 2-; }
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
up() { # port
  for _ in $(seq 300); do curl -s -o "$dir/body" "http://127.0.0.1:$1/" && return 0; sleep .1; done
  echo "BAD: nothing answers on port $1"; bad=1; return 1
}
# A shipped file with this test's folders in it.
here_now() { sed -e "s#/srv/mosaicd/output#$dir/output#g" -e "s#/srv/mosaicd/artworks#$dir/artworks#g" "$here/systemd/$1"; }

"$mosaicd" demo "$dir" -n 30 --size 64 >"$dir/said" 2>&1 || { cat "$dir/said"; exit 1; }
chmod -R a+rX "$dir"
mkdir "$dir/site"; echo "the site that was there before" >"$dir/site/index.html"; echo other >"$dir/site/latest.json"
touch "$dir/output/.mosaicd-1-1.tmp"
# A stranger's uploads: a page that is a GIF, a script, a link, a picture with a page's bytes in it, something hidden.
printf 'GIF89a<script>alert(1)</script>' >"$dir/artworks/work.html"
cp "$dir/artworks/work.html" "$dir/artworks/work.svg"
cp "$dir/artworks/work.html" "$dir/artworks/work.gif"
cp "$dir/artworks/work.html" "$dir/artworks/work.php.GIF"
cp "$dir/artworks/work.html" "$dir/artworks/.hidden.gif"
mkdir "$dir/artworks/.private" && cp "$dir/artworks/work.html" "$dir/artworks/.private/work.gif"
ln -s /etc/passwd "$dir/artworks/link.png"
tile="$(cd "$dir/output" && find t -type f | head -n 1)"
still="$(cd "$dir/output" && find . -maxdepth 1 -name 'mosaic-*.jpg' | head -n 1)"; still="${still#./}"
part="$(cd "$dir/output" && find p -name 'cells-*.json' | head -n 1)"

mosaic() { # name, base URL
  local name="$1" base="$2" got before
  tried=$((tried + 1))
  got="$(ask "$base/")"
  is "$name: the page" 200 "$(status "$got")"
  has "$name: the page" "text/html" "$(header "$got" content-type)"
  has "$name: its policy" "default-src 'none'" "$(header "$got" content-security-policy)"
  has "$name: its frames" "frame-ancestors 'self'" "$(header "$got" content-security-policy)"
  is "$name: its referrers" same-origin "$(header "$got" referrer-policy)"
  is "$name: no guessing" nosniff "$(header "$got" x-content-type-options)"
  is "$name: kept" no-cache "$(header "$got" cache-control)"
  is "$name: one line of it" 1 "$(grep -ic '^cache-control' <<<"$got")"
  case "$(header "$got" server)" in *[0-9]*) echo "BAD: $name: version: $(header "$got" server)"; bad=1 ;; *) echo "good: $name: no version: $(header "$got" server)" ;; esac
  for path in "$tile" "$still"; do
    got="$(ask "$base/$path")"
    is "$name: $path" "200 image/jpeg" "$(status "$got") $(header "$got" content-type)"
    has "$name: $path" immutable "$(header "$got" cache-control)"
    is "$name: one line of it" 1 "$(grep -ic '^cache-control' <<<"$got")"
    is "$name: no guessing" nosniff "$(header "$got" x-content-type-options)"
    cmp -s "$dir/body" "$dir/output/$path" || { echo "BAD: $name: $path differs"; bad=1; }
    is "$name: asked again" 304 "$(status "$(ask -H "If-None-Match: $(header "$got" etag)" "$base/$path")")"
  done
  got="$(ask "$base/$part")"
  is "$name: $part" "200 application/json" "$(status "$got") $(header "$got" content-type | cut -d ';' -f 1)"
  has "$name: $part" immutable "$(header "$got" cache-control)"
  for path in "$part" index.html viewer.css viewer.js; do
    got="$(ask -H 'Accept-Encoding: gzip' "$base/$path")"
    is "$name: $path, compressed" "200 gzip" "$(status "$got") $(header "$got" content-encoding)"
    cmp -s "$dir/body" "$dir/output/$path.gz" || { echo "BAD: $name: $path: not the file that lies there"; bad=1; }
    is "$name: $path, one line of it" 1 "$(grep -ic '^cache-control' <<<"$got")"
  done
  got="$(ask -H 'Accept-Encoding: gzip' "$base/$part")"
  is "$name: $part, compressed" application/json "$(header "$got" content-type | cut -d ';' -f 1)"
  has "$name: $part, compressed" immutable "$(header "$got" cache-control)"
  for path in "${tile%-*}-00000000.jpg" "${still%-*}-00000000.jpg" "${part%-*}-00000000.json" nothing.js; do
    got="$(ask "$base/$path")"
    is "$name: missing" 404 "$(status "$got")"
    case "$(header "$got" cache-control)" in *immutable*) echo "BAD: $name: a missing file is remembered"; bad=1 ;; esac
    is "$name: no guessing on errors" nosniff "$(header "$got" x-content-type-options)"
    has "$name: a policy on errors" "default-src 'none'" "$(header "$got" content-security-policy)"
  done
  is "$name: a draft" yes "$(case "$(status "$(ask "$base/.mosaicd-1-1.tmp")")" in 403 | 404) echo yes ;; esac)"
  for path in viewer.js manifest.json latest.json mosaic.dzi feed.atom; do
    got="$(ask "$base/$path")"
    is "$name: $path" "200 no-cache" "$(status "$got") $(header "$got" cache-control)"
    cmp -s "$dir/body" "$dir/output/$path" || { echo "BAD: $name: $path differs"; bad=1; }
  done
  has "$name: zoom" application/xml "$(header "$(ask "$base/mosaic.dzi")" content-type)"
  got="$(ask "$base/viewer.js")"
  is "$name: unchanged" 304 "$(status "$(ask -H "If-None-Match: $(header "$got" etag)" "$base/viewer.js")")"
  got="$(ask -H 'Accept-Encoding: gzip' "$base/viewer.js")"
  is "$name: compressed" gzip "$(header "$got" content-encoding)"
  gunzip <"$dir/body" | cmp -s - "$dir/output/viewer.js" || { echo "BAD: $name: compressed differs"; bad=1; }
  is "$name: unchanged, compressed" 304 "$(status "$(ask -H 'Accept-Encoding: gzip' -H "If-None-Match: $(header "$got" etag)" "$base/viewer.js")")"
  got="$(ask -I "$base/$tile")"
  is "$name: a head alone" "200 $(stat -c %s "$dir/output/$tile")" "$(status "$got") $(header "$got" content-length)"
  has "$name: a head alone" immutable "$(header "$got" cache-control)"
  got="$(ask -r 2-11 "$base/$tile")"
  is "$name: a part" "206 10" "$(status "$got") $(stat -c %s "$dir/body")"
  has "$name: a part" immutable "$(header "$got" cache-control)"
  is "$name: no guessing" nosniff "$(header "$got" x-content-type-options)"
  got="$(ask -r 999999999- "$base/$tile")"
  is "$name: a part that is not there" 416 "$(status "$got")"
  has "$name: no guessing" nosniff "$(header "$got" x-content-type-options)"
  got="$(ask -H 'Accept-Encoding: gzip' -H 'Range: bytes=0-9' "$base/$part")"
  case "$(status "$got") $(header "$got" content-encoding)" in
    "206 gzip") cmp -s "$dir/body" <(head -c 10 "$dir/output/$part.gz") || { echo "BAD: $name: a part of another file"; bad=1; } ;;
    "206 ") cmp -s "$dir/body" <(head -c 10 "$dir/output/$part") || { echo "BAD: $name: a part of another file"; bad=1; } ;;
    "200 gzip") cmp -s "$dir/body" "$dir/output/$part.gz" || { echo "BAD: $name: another file"; bad=1; } ;;
    *) echo "BAD: $name: a part, compressed: $(status "$got") $(header "$got" content-encoding)"; bad=1 ;;
  esac
  for path in t/ p/ large/; do
    got="$(status "$(ask "$base/$path")")"
    case "$got" in 403 | 404) echo "good: $name: no list of $path: $got" ;; *) echo "BAD: $name: /$path: $got"; bad=1 ;; esac
  done
  before="$(cksum <"$dir/output/manifest.json")"
  ask -X PUT -d x "$base/manifest.json" >"$dir/said"
  is "$name: nothing is taken in" "$before" "$(cksum <"$dir/output/manifest.json")"
  # Another version of the same length within the same second must be seen.
  printf '{"generation":1}' >"$dir/output/.x"; touch -d '2026-01-01 00:00:00.2' "$dir/output/.x"
  cp -p "$dir/output/latest.json" "$dir/latest.json"; mv "$dir/output/.x" "$dir/output/latest.json"
  got="$(ask "$base/latest.json")"
  printf '{"generation":2}' >"$dir/output/.x"; touch -d '2026-01-01 00:00:00.7' "$dir/output/.x"
  mv "$dir/output/.x" "$dir/output/latest.json"
  args=(); [ -n "$(header "$got" etag)" ] && args+=(-H "If-None-Match: $(header "$got" etag)")
  [ -n "$(header "$got" last-modified)" ] && [ ${#args[@]} = 0 ] && args+=(-H "If-Modified-Since: $(header "$got" last-modified)")
  is "$name: a new head within a second" 200 "$(status "$(ask "${args[@]}" "$base/latest.json")")"
  cp -p "$dir/latest.json" "$dir/output/latest.json"
}
beside() { # name, server: the site that was there before, and the address without a slash
  local got
  is "$1: the site next to it" "the site that was there before" "$(curl -s "$2/")"
  is "$1: its own files" other "$(curl -s "$2/latest.json")"
  got="$(ask "$2/mosaic")"
  has "$1: without a slash" 30 "$(status "$got")"
  has "$1: without a slash" /mosaic/ "$(header "$got" location)"
}
originals() { # name, server
  local name="$1" at="$2/artworks" got path
  local good; good="$(cd "$dir/artworks" && find . -name '*.png' -type f | head -n 1)"; good="${good#./}"
  got="$(ask "$at/$good")"
  is "$name: an original" "200 image/png" "$(status "$got") $(header "$got" content-type)"
  for path in work.gif work.php.GIF; do
    got="$(ask "$at/$path")"
    is "$name: $path" "200 image/gif" "$(status "$got") $(header "$got" content-type)"
    has "$name: $path" sandbox "$(header "$got" content-security-policy)"
    is "$name: $path" nosniff "$(header "$got" x-content-type-options)"
  done
  for path in work.html work.svg .hidden.gif .private/work.gif "" nothing.png ../site/index.html "%2e%2e/site/index.html"; do
    got="$(status "$(ask "$at/$path")")"
    case "$got" in 400 | 403 | 404) echo "good: $name: /artworks/$path: $got" ;; *) echo "BAD: $name: /artworks/$path: $got"; bad=1 ;; esac
  done
  got="$(ask "$at/link.png")"
  case "$(status "$got")" in 403 | 404) echo "good: $name: a link: $(status "$got")" ;; *)
    case "$name" in caddy) echo "known: caddy follows links" ;; *) echo "BAD: $name: a link: $(status "$got")"; bad=1 ;; esac ;;
  esac
}

nginx_with() { # name, server block's text
  local at="$dir/nginx-$1"; mkdir -p "$at"
  { echo "user root; daemon off; pid $at/pid; error_log $at/error.log; events {}"
    echo "http { access_log off; include /etc/nginx/mime.types; default_type application/octet-stream;"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $at/$kind;"; done
    echo "$2 }"; } >"$at/nginx.conf"
  nginx -t -c "$at/nginx.conf" -e "$at/error.log" 2>"$at/said" || { cat "$at/said"; bad=1; return 1; }
  grep -q warn "$at/said" && { cat "$at/said"; bad=1; }
  nginx -c "$at/nginx.conf" -e "$at/error.log" 2>/dev/null & pids+=($!)
}

if command -v nginx >/dev/null; then
  p="$(port)"
  here_now web/nginx-location.conf >"$dir/location.conf"; here_now web/nginx-originals.conf >"$dir/originals.conf"
  nginx_with beside "server { listen 127.0.0.1:$p; root $dir/site; index index.html; server_tokens off;
    include $dir/location.conf; include $dir/originals.conf; location / { try_files \$uri \$uri/ =404; } }" && up "$p" && {
    beside nginx "http://127.0.0.1:$p"; mosaic nginx "http://127.0.0.1:$p/mosaic"; originals nginx "http://127.0.0.1:$p"; }
  p="$(port)"
  nginx_with whole "$(here_now nginx.conf | sed -e "s/listen 80;/listen 127.0.0.1:$p;/" -e '/listen \[::\]:80/d')" && up "$p" &&
    mosaic "nginx, whole" "http://127.0.0.1:$p"
else echo "left out: nginx"; fi

if command -v caddy >/dev/null; then
  p="$(port)"
  { echo "{ 
	admin off
	auto_https off
}"; here_now web/Caddyfile
    echo "http://127.0.0.1:$p {
	import mosaicd
	import mosaicd_originals
	root * $dir/site
	file_server
}"; } >"$dir/Caddyfile"
  HOME="$dir" XDG_CONFIG_HOME="$dir" XDG_DATA_HOME="$dir" caddy run --config "$dir/Caddyfile" --adapter caddyfile >"$dir/caddy.log" 2>&1 & pids+=($!)
  up "$p" && { beside caddy "http://127.0.0.1:$p"; mosaic caddy "http://127.0.0.1:$p/mosaic"; originals caddy "http://127.0.0.1:$p"; } || tail -3 "$dir/caddy.log"
else echo "left out: caddy"; fi

if [ -x /usr/sbin/apache2 ]; then
  p="$(port)" m=/usr/lib/apache2/modules at="$dir/apache"; mkdir -p "$at"
  here_now web/apache.conf >"$at/mosaicd.conf"; here_now web/apache-originals.conf >"$at/originals.conf"
  { echo "ServerRoot $at
Listen 127.0.0.1:$p
ServerName localhost
ServerTokens Prod
PidFile $at/pid
ErrorLog $at/error.log
DefaultRuntimeDir $at
Mutex file:$at default"
    # Debian's own selection, and headers.
    for module in mpm_event alias authz_core authz_host deflate filter dir env headers rewrite mime negotiation setenvif autoindex; do
      echo "LoadModule ${module}_module $m/mod_$module.so"; done
    cat /etc/apache2/mods-available/deflate.conf /etc/apache2/mods-available/mime.conf
    echo "<Directory $dir/site>
Require all granted
</Directory>
DocumentRoot $dir/site
Include $at/mosaicd.conf
Include $at/originals.conf"; } >"$at/apache2.conf"
  /usr/sbin/apache2 -f "$at/apache2.conf" -D FOREGROUND >"$at/said" 2>&1 & pids+=($!)
  up "$p" && { beside apache "http://127.0.0.1:$p"; mosaic apache "http://127.0.0.1:$p/mosaic"; originals apache "http://127.0.0.1:$p"; } || tail -3 "$at/said" "$at/error.log"
else echo "left out: apache2"; fi

[ "$bad" = 0 ] && [ "$tried" -gt 0 ] && echo "ALL GOOD ($tried)"
exit "$bad"
