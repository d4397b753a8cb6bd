"""Draws COUNT small pictures into DIR, 1,000 a folder: python3 pictures.py DIR COUNT [FROM]. No two are alike; they come in
some 500 families of colours and shapes. Needs nothing but Python: it writes PNG itself."""
import os, random, struct, sys, zlib
S = 24
def png(rows):
    raw = b"".join(b"\0" + bytes(r) for r in rows)
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", S, S, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b"")
def draw(i):
    family = random.Random(i * 7919 % 500)
    own = random.Random(i)
    near = lambda v, by: min(255, max(0, int(v + own.gauss(0, by))))
    ground = [near(family.randrange(256), 18) for _ in range(3)]
    ink = [near(family.randrange(256), 18) for _ in range(3)]
    kind = family.randrange(4)
    a, b = family.uniform(-1, 1) + own.gauss(0, .15), family.uniform(-1, 1) + own.gauss(0, .15)
    cx, cy, r = own.uniform(6, 18), own.uniform(6, 18), own.uniform(4, 10)
    period = family.randrange(3, 9)
    rows = []
    for y in range(S):
        row = []
        for x in range(S):
            if kind == 0: t = min(1, max(0, .5 + (a * (x - 12) + b * (y - 12)) / 16))
            elif kind == 1: t = 1.0 if (x - cx) ** 2 + (y - cy) ** 2 < r * r else 0.0
            elif kind == 2: t = 1.0 if int(a * x + b * y + 64) % period * 2 < period else 0.0
            else: t = 1.0 if abs(x - cx) < r and abs(y - cy) < r / 2 else 0.0
            row += [int(g + (k - g) * t) for g, k in zip(ground, ink)]
        rows.append(row)
    return png(rows)
if __name__ == "__main__":
    folder, count = sys.argv[1], int(sys.argv[2])
    for i in range(int(sys.argv[3]) if len(sys.argv) > 3 else 0, count):
        below = os.path.join(folder, f"{i // 1000:04}")
        if i % 1000 == 0: os.makedirs(below, exist_ok=True)
        with open(os.path.join(below, f"{i:07}.png"), "wb") as file: file.write(draw(i))
