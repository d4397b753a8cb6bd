"""Draws lines of `cargo bench --bench grid -- drift` (standard input) as an SVG (standard output): DPQ16 against drift.

Lines of one file of vectors follow a line `# NAME`; a point is labelled with its lambda, and where a line has a figure
"from nothing", that is drawn as a dashed level. `! NAME MEAN DPQ16` adds a point of another method. The scale of the
drift is logarithmic.
"""
import math
import re
import sys

W, H, LEFT, TOP, WIDE, HIGH = 620, 420, 60, 40, 420, 320
ROW = re.compile(r"lambda ([\d.]+): from home ([\d.]+) .*dpq16 ([\d.]+) from nothing ([\d.]+|NaN)")
COLOURS = ["#d62728", "#1f77b4", "#2ca02c"]
series, others = [], []
for line in sys.stdin:
    if line.startswith("# "):
        series.append((line[2:].strip(), []))
    elif line.startswith("! "):
        name, mean, quality = line[2:].rsplit(None, 2)
        others.append((name, float(mean), float(quality)))
    elif (found := ROW.search(line)) and series:
        series[-1][1].append([float(v) for v in found.groups()])
points = [p for _, rows in series for p in rows]
if not points:
    sys.exit("drift_plot.py: no line of `grid -- drift` on standard input")
qualities = [q for p in points for q in p[2:] if q == q] + [o[2] for o in others]
drifts = [p[1] for p in points] + [o[1] for o in others]
least, most = min(drifts) / 1.2, max(drifts) * 1.3
low, high = min(qualities) - .004, max(qualities) + .004
x = lambda v: LEFT + WIDE * math.log(v / least) / math.log(most / least)
y = lambda v: TOP + HIGH * (high - v) / (high - low)
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{W}" height="{H}" font-family="sans-serif" font-size="11">')
print('<rect width="100%" height="100%" fill="#fff"/>')
print(f'<text x="{LEFT}" y="{TOP - 14}" font-weight="bold">DPQ16 against the mean distance from home (cells), over lambda</text>')
step = .01
tick = -(-low // step) * step
while tick < high:
    print(f'<path d="M{LEFT} {y(tick):.1f}h{WIDE}" stroke="#ddd"/>')
    print(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.2f}</text>')
    tick += step
for cells in [.1, .2, .5, 1, 2, 5, 10, 20]:
    if least < cells < most:
        print(f'<text x="{x(cells):.1f}" y="{TOP + HIGH + 16}" text-anchor="middle">{cells:g}</text>')
for k, (name, rows) in enumerate(series):
    colour, rows = COLOURS[k % len(COLOURS)], sorted(rows)
    level = next((row[3] for row in rows if row[3] == row[3]), None)
    if level:
        print(f'<path d="M{LEFT} {y(level):.1f}h{WIDE}" stroke="{colour}" stroke-dasharray="5 4"/>')
        print(f'<text x="{LEFT + WIDE + 6}" y="{y(level) + 4 + 10 * k:.1f}" fill="{colour}">{name}, from nothing</text>')
    line = " ".join(f"{x(row[1]):.1f},{y(row[2]):.1f}" for row in rows)
    print(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for row in rows:
        print(f'<circle cx="{x(row[1]):.1f}" cy="{y(row[2]):.1f}" r="3" fill="{colour}"/>')
        print(f'<text x="{x(row[1]) + 5:.1f}" y="{y(row[2]) + 14:.1f}" fill="{colour}">{row[0]:g}</text>')
    print(f'<text x="{LEFT + WIDE - 90}" y="{TOP + HIGH - 14 - 15 * k}" fill="{colour}">{name}</text>')
for name, mean, quality in others:
    print(f'<path d="M{x(mean) - 4:.1f} {y(quality):.1f}h8m-4 -4v8" stroke="#555" stroke-width="2"/>')
    print(f'<text x="{x(mean) - 6:.1f}" y="{y(quality) - 8:.1f}" text-anchor="end" fill="#555">{name}</text>')
print("</svg>")
