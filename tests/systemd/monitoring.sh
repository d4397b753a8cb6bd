#!/usr/bin/env bash
# What watches mosaicd, for real: two sites' metrics pass promtool together and through a Prometheus that scrapes them; the
# alert rules pass their tests; every query of the Grafana dashboard is one that this Prometheus answers.
# tests/systemd/monitoring.sh [mosaicd, target/release/mosaicd]   Needs curl, jq and Debian's package prometheus.
set -uo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
mosaicd="$(realpath "${1:-$here/target/release/mosaicd}")"
dir="$(mktemp -d)" bad=0 pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
is() { # what, wanted, found
  if [ "$2" = "$3" ]; then echo "good: $1: $3"; else echo "BAD: $1: $3, not $2"; bad=1; fi
}
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

(cd "$here/systemd/prometheus" && promtool check rules mosaicd.rules.yml && promtool test rules mosaicd.test.yml) >"$dir/said" 2>&1
is "the alert rules" 0 $?
for site in ink oil; do
  mkdir "$dir/$site"
  printf '[status]\nsite = "%s"\nfolder = "report"\n' "$site" >"$dir/$site/mosaicd.toml"
  "$mosaicd" demo "$dir/$site" -n 20 --size 64 --config "$dir/$site/mosaicd.toml" --state "$dir/$site/state" >"$dir/said" 2>&1 || { cat "$dir/said"; exit 1; }
done
# node_exporter's textfile collector merges families in the same way.
mkdir "$dir/www"
cat "$dir"/*/state/metrics.prom "$dir"/*/report/metrics.prom 2>/dev/null >"$dir/all"
awk '/^# /{ if (seen[$0]++) next } { family = $3; if ($0 !~ /^#/) { split($1, part, "{"); family = part[1]; sub(/_(bucket|sum|count)$/, "", family) } if (!(family in text)) order[++n] = family; text[family] = text[family] $0 "\n" }
  END { for (i = 1; i <= n; i++) printf "%s", text[order[i]] }' "$dir/all" >"$dir/www/metrics"
promtool check metrics <"$dir/www/metrics" >"$dir/said" 2>&1
is "two sites' metrics together" 0 $?
cat "$dir/said"
is "the sites" "ink oil" "$(grep -o 'site="[a-z]*"' "$dir/www/metrics" | sort -u | cut -d '"' -f 2 | tr '\n' ' ' | sed 's/ $//')"

www="$(port)" p="$(port)"
python3 -m http.server -b 127.0.0.1 -d "$dir/www" "$www" >"$dir/www.log" 2>&1 & pids+=($!)
cat >"$dir/prometheus.yml" <<YML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$here/systemd/prometheus/mosaicd.rules.yml]
scrape_configs: [{ job_name: mosaicd, static_configs: [{ targets: ["127.0.0.1:$www"] }] }]
YML
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" --web.listen-address="127.0.0.1:$p" >"$dir/prometheus.log" 2>&1 & pids+=($!)
ask() { curl -s "http://127.0.0.1:$p/api/v1/query" --data-urlencode "query=$1"; }
for _ in $(seq 600); do [ "$(ask 'count(mosaicd_build_info)' | jq -r '.data.result[0].value[1]' 2>/dev/null)" = 2 ] && break; sleep .2; done
is "scraped" 2 "$(ask 'count(mosaicd_build_info)' | jq -r '.data.result[0].value[1]')"
is "rules in force" ok "$(curl -s "http://127.0.0.1:$p/api/v1/rules" | jq -r '[.data.groups[].rules[].health] | unique | map(select(. != "unknown")) | join(" ")' | sed 's/^$/ok/')"
dashboard="$here/systemd/grafana/mosaicd.json"
asked=0
while IFS= read -r query; do
  query="${query//\$site/.*}"; query="${query//\$instance/.*}"
  is "dashboard: $query" success "$(ask "$query" | jq -r .status)"
  # Every metric in it is one that mosaicd writes.
  for metric in $(grep -o 'mosaicd_[a-z0-9_]*' <<<"$query"); do
    case "$metric" in mosaicd_pending_since_timestamp_seconds | mosaicd_drift_cells) continue ;; esac # absent while nothing is pending, or measured
    grep -q "^$metric{" "$dir/www/metrics" || { echo "BAD: no $metric"; bad=1; }
  done
  asked=$((asked + 1))
done < <(jq -r '.panels[].targets[].expr' "$dashboard")
is "panels with an own place" "$(jq '.panels | length' "$dashboard")" "$(jq '[.panels[].gridPos | "\(.x) \(.y)"] | unique | length' "$dashboard")"
[ "$bad" = 0 ] && [ "$asked" -gt 10 ] && echo "ALL GOOD ($asked queries)"
exit "$bad"
