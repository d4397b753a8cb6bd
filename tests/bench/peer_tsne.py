#!/usr/bin/env python3
"""Arrange vectors by t-SNE and an optimal assignment of its map to the cells, and score the result: the quality anchor of
the grid among methods that take their time.

The map is openTSNE's with its defaults, stretched onto the unit square; each vector gets the cell that makes the sum of the
squared distances least (`scipy.optimize.linear_sum_assignment`). The grid has no spare cells but those of its last row.
With LABELS (one a line) also the share of the eight cells around a vector that hold its label.

usage: peer_tsne.py EMBEDDINGS.npy [CELLS.csv [LABELS.txt]]      needs: pip install openTSNE==1.0.4 scipy numpy
With CELLS.csv (`index,col,row`, of `grid -- batch`) those cells are scored instead.
"""
import math, sys, time
import numpy as np

P = 16


def dpq(x, cells):
    """DPQ16 as `src/grid/quality.rs` defines it, of all rows."""
    x = x.astype(np.float64)
    n = len(x)
    squares = (x ** 2).sum(1)
    by_grid, by_vector = np.zeros(n - 1), np.zeros(n - 1)
    steps = np.arange(1, n)
    for i in range(n):
        away = np.sqrt(np.maximum(squares + squares[i] - 2 * x @ x[i], 0))
        far = ((cells - cells[i]) ** 2).sum(1)
        others = np.arange(n) != i
        away, far = away[others], far[others]
        by_grid += np.cumsum(away[np.lexsort((away, far))]) / steps
        by_vector += np.cumsum(np.sort(away)) / steps
    mean = by_vector[-1] / n
    norm = lambda curve: (np.maximum(0, (mean - curve / n) / mean) ** P).sum() ** (1 / P)
    return norm(by_grid) / norm(by_vector)


def labelled(cells, labels):
    """Share of the works in the eight cells around a work that have its label, over all works."""
    at = {tuple(cell): label for cell, label in zip(cells.tolist(), labels)}
    around = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    same = [at[(c + a, r + b)] == label for (c, r), label in zip(cells.tolist(), labels) for a, b in around if (c + a, r + b) in at]
    return sum(same) / len(same)


def arranged(x):
    from openTSNE import TSNE
    from scipy.optimize import linear_sum_assignment
    n = len(x)
    cols = math.ceil(math.sqrt(n))
    rows = math.ceil(n / cols)
    points = np.asarray(TSNE(random_state=1, n_jobs=1).fit(x))
    points = (points - points.min(0)) / np.ptp(points, axis=0)
    cells = np.stack(np.meshgrid(np.arange(cols), np.arange(rows)), -1).reshape(-1, 2)
    sites = cells / np.maximum([cols - 1, rows - 1], 1)
    costs = ((points[:, None] - sites[None]) ** 2).sum(-1)
    return cells[linear_sum_assignment(costs)[1]]


if __name__ == "__main__":
    x = np.load(sys.argv[1]).astype(np.float32)
    wall, cpu = time.perf_counter(), time.process_time()
    if len(sys.argv) > 2 and sys.argv[2] != "-":
        table = np.loadtxt(sys.argv[2], delimiter=",", skiprows=1, dtype=int)
        cells = table[np.argsort(table[:, 0]), 1:]
        name = sys.argv[2]
    else:
        cells = arranged(x)
        name = "t-SNE and assignment"
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    line = f"{name}: items {len(x)} wall_s {wall:.2f} cpu_s {cpu:.2f} dpq16 {dpq(x, cells):.4f}"
    if len(sys.argv) > 3:
        labels = open(sys.argv[3]).read().split("\n")[:len(x)]
        line += f" label neighbours {labelled(cells, labels):.3f}"
    print(line)
