"""Draws `cargo bench --bench layout -- growth` (standard input) as an SVG (standard output): time and memory against N."""
import math
import re
import sys

W, H, LEFT, TOP, SIDE = 760, 330, 60, 40, 270
NUMBER = r"([\d.]+)"
ROW = re.compile(
    rf"items {NUMBER} layout wall_s \S+ cpu_s {NUMBER} components \d+ wall_s \S+ cpu_s {NUMBER} "
    rf"grid wall_s \S+ cpu_s {NUMBER} peak_mb {NUMBER}"
)
rows = [[float(v) for v in m.groups()] for m in map(ROW.match, sys.stdin) if m]
if len(rows) < 2:
    sys.exit("growth_plot.py: fewer than two rows of `layout -- growth` on standard input")


def panel(left, title, series, low, high):
    """Log-log axes of decades `low` to `high`, and one line a series: (name, colour, values)."""
    first, last = math.log10(rows[0][0]), math.log10(rows[-1][0])
    x = lambda n: left + SIDE * (math.log10(n) - first) / (last - first)
    y = lambda v: TOP + SIDE * (high - math.log10(max(v, 10**low))) / (high - low)
    out = [f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>']
    for d in range(low, high + 1):
        out.append(f'<path d="M{left} {y(10**d):.1f}h{SIDE}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y(10**d) + 4:.1f}" text-anchor="end">{10**d:g}</text>')
    for n, *_ in rows:
        out.append(f'<text x="{x(n):.1f}" y="{TOP + SIDE + 16}" text-anchor="middle">{n:,.0f}</text>')
    for k, (name, colour, values) in enumerate(series):
        points = " ".join(f"{x(r[0]):.1f},{y(v):.1f}" for r, v in zip(rows, values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{left + 8}" y="{TOP + 16 + 15 * k}" fill="{colour}">{name}</text>')
    return "\n".join(out)


cpu = [("layout", "#1f77b4", [r[1] for r in rows]), ("components", "#7f7f7f", [r[2] for r in rows]),
       ("grid", "#d62728", [r[3] for r in rows])]
memory = [("peak, vectors included", "#2ca02c", [r[4] for r in rows])]
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{W}" height="{H}" font-family="sans-serif" font-size="11">')
print('<rect width="100%" height="100%" fill="#fff"/>')
print(panel(LEFT, "CPU s against N (512 dimensions)", cpu, -2, 3))
print(panel(LEFT + SIDE + 110, "memory, MB", memory, 0, 4))
print("</svg>")
