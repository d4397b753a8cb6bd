#!/usr/bin/env python3
"""Drop works one by one into the folder of a running daemon and time them until their generation is published.

Prints, over all arrivals, the seconds from the rename into the folder to the renamed manifest (settle time included:
watch.settle_ms, 300 by default) and the placed works that changed their cell, growth apart.

usage: arrivals.py ARTWORKS OUTPUT FILE...      (the daemon runs with --artworks ARTWORKS --output OUTPUT)
"""
import json, os, shutil, sys, time

artworks, output, files = sys.argv[1], sys.argv[2], sys.argv[3:]
path = os.path.join(output, "manifest.json")
manifest = lambda: json.load(open(path))
seconds, moved = [], []
for file in files:
    before = manifest()["generation"]
    draft = os.path.join(artworks, ".arriving.tmp")
    shutil.copy(file, draft)
    stamp = os.stat(path).st_mtime_ns
    began = time.perf_counter()
    os.rename(draft, os.path.join(artworks, os.path.basename(file)))
    while True:
        now = os.stat(path).st_mtime_ns
        if now != stamp:
            took = time.perf_counter() - began
            after = manifest()
            if after["generation"] != before:
                break
            stamp = now
        if time.perf_counter() - began > 60:
            sys.exit(f"{file} was not published within a minute")
        time.sleep(0.002)
    seconds.append(took)
    moved.append(after["moves"]["moved"])
    time.sleep(0.5)
quantile = lambda values, q: sorted(values)[min(len(values) - 1, int(q * len(values)))]
print(f"works {len(after['works'])} arrivals {len(files)} "
      f"seconds p50 {quantile(seconds, .5):.3f} p95 {quantile(seconds, .95):.3f} "
      f"moved p50 {quantile(moved, .5)} p95 {quantile(moved, .95)}")
