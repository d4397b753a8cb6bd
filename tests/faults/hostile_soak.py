#!/usr/bin/env python3
"""hostile_soak.py BINARY SECONDS [--hostile FOLDER] [--good FOLDER] [--every S]: strangers upload hostile files, others good ones.

Every S seconds (5) a hostile file comes, each kind in turn and never the same bytes twice; every 4 s a good picture. Reports
how long each good picture took from its upload to the manifest, the most memory of the process tree (resident, what is
shared counted for each process), and whether the daemon lives. Files of FOLDER come in addition to those made here.
Python's standard library is enough.
"""
import argparse, json, os, pathlib, random, shutil, struct, subprocess, tempfile, time, zlib


def png(width, height, row, *extra):
    """A grey PNG; `row(y)` gives the bytes of a row, `extra` are chunks."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packed = zlib.compressobj(1)
    data = b"".join(packed.compress(b"\0" + row(y)) for y in range(height)) + packed.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    extra = b"".join(chunk(*one) for one in extra)
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def profiled(profile_parts):
    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(part) for part in profile_parts) + packed.flush()
    return png(64, 64, lambda y: bytes(64), (b"iCCP", b"x\0\0" + data))


def huge_profile():
    return profiled(bytes(10_000_000) for _ in range(85))


def clut_profile(grid=200):
    """A profile whose table of colours has grid³ entries of 6 bytes."""
    table = 6 * grid ** 3
    lut = b"mft2\0\0\0\0" + bytes([3, 3, grid, 0]) + struct.pack(">9i", *[65536 * (i % 4 == 0) for i in range(9)])
    lut += struct.pack(">HH", 2, 2) + struct.pack(">6H", *[0, 65535] * 3)
    size = len(lut) + table + 12
    head = struct.pack(">I4sI4s4s4s", 144 + size, b"none", 0x02400000, b"mntr", b"RGB ", b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D) + bytes(48)
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, size)
    return profiled([head, tags, lut] + [bytes(table // 100)] * 100 + [struct.pack(">6H", *[0, 65535] * 3)])


def gif(width, height, frames):
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\x04\0\0\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + frame * frames + b";"


def tiff(entries, blob):
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    where = 8 + len(blob)
    end = b"\0\0\0\0" if blob else struct.pack("<I", 8)
    return b"II*\0" + struct.pack("<I", where) + blob + struct.pack("<H", len(entries)) + rows + end


def tiff_tiles(tiles=31):
    """Tiles that are all the same megabytes of deflated data, slow to inflate."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    noise = bytes(min(255, int(random.expovariate(0.03))) for _ in range(1 << 20))
    tile = packed.compress(noise) + packed.flush()
    wide = 1 << 16
    places = struct.pack("<I", 8) * tiles + struct.pack("<I", len(tile)) * tiles
    entries = [(256, 4, 1, 1), (257, 4, 1, 16 * tiles), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries += [(322, 4, 1, wide), (323, 4, 1, 16)]
    entries += [(324, 4, tiles, 8 + len(tile)), (325, 4, tiles, 8 + len(tile) + 4 * tiles)]
    return tiff(entries, tile + places)


def jpeg_scans(side=4000, scans=5000):
    """A grey progressive JPEG with thousands of scans that change nothing."""
    def part(mark, data):
        return b"\xff" + bytes([mark]) + struct.pack(">H", len(data) + 2) + data
    blocks = (-(-side // 8)) ** 2
    def codes(kind, symbols):
        return part(0xC4, bytes([kind]) + bytes([0, len(symbols)]) + bytes(14) + bytes(symbols))
    head = b"\xff\xd8" + part(0xDB, b"\0" + b"\1" * 64) + part(0xC2, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0))
    head += codes(0, [0]) + codes(0x10, [0xE0, 0])
    def scan(start, end, high_low, bits):
        bits += "1" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
        return part(0xDA, bytes([1, 1, 0, start, end, high_low])) + data
    run = "00" + format((1 << 14) - 1, "014b")  # the end of a band, 32,767 blocks long
    runs = run * -(-blocks // 32_767)
    first = scan(0, 0, 0, "00" * blocks) + scan(1, 63, 1, runs)
    return head + first + scan(1, 63, 0x10, runs) * scans + b"\xff\xd9"


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
RECT = '<rect width="100" height="100"/>'


def svg_deep():
    return (SVG + '<g opacity=".9">' * 250 + RECT + "</g>" * 250 + "</svg>").encode()


def svg_filters():
    blur = '<feGaussianBlur stdDeviation="50"/><feTurbulence baseFrequency=".01" numOctaves="200"/>' * 30
    head = SVG + '<filter id="f" x="-9" y="-9" width="20" height="20">' + blur + "</filter>"
    return (head + ('<g filter="url(#f)">' + RECT + "</g>") * 30 + "</svg>").encode()


def svg_uses():
    levels = (f'<g id="l{i}">' + f'<use href="#l{i - 1}"/>' * 10 + "</g>" for i in range(1, 12))
    return (SVG + f'<defs><g id="l0">{RECT}</g>' + "".join(levels) + '</defs><use href="#l11"/></svg>').encode()


def svg_paths():
    path = '<path fill="none" stroke="red" stroke-dasharray=".001" d="M0 0' + "L99 99L0 50" * 500 + '"/>'
    return (SVG + path * 50 + "</svg>").encode()


KINDS = {
    "profile.png": huge_profile,
    "clut.png": clut_profile,
    "canvas.gif": lambda: gif(10_000, 9_999, 1),
    "frames.gif": lambda: gif(16, 16, 1_000_000),
    "loop.tif": lambda: tiff([(256, 4, 1, 5)], b""),
    "tiles.tif": lambda: tiff_tiles(2_000),
    "scans.jpg": jpeg_scans,
    "deep.svg": svg_deep,
    "filters.svg": svg_filters,
    "uses.svg": svg_uses,
    "paths.svg": svg_paths,
    "flat.png": lambda: png(10_000, 9_999, lambda y: bytes(10_000)),
    "work.html": lambda: gif(1, 1, 1) + b"<script>alert(1)</script>",
}


def good(number):
    random.seed(number)
    level, step = random.randrange(200), random.randrange(1, 9)
    return png(640, 500, lambda y: bytes((level + x * step // 4 + y + random.randrange(9)) % 256 for x in range(640)))


def ended(name, data, number):
    """The same file with other bytes, still a file of its format."""
    if name.endswith(".svg"):
        return data + f"<!-- {number} -->".encode()
    if name.endswith(".avif"):
        return data + struct.pack(">I4sQ", 16, b"free", number)
    return data + struct.pack("<Q", number) if number else data


def tree_mb(pid):
    parents, pages = {}, {}
    for entry in os.listdir("/proc"):
        try:
            fields = pathlib.Path(f"/proc/{int(entry)}/stat").read_text().rsplit(")", 1)[1].split()
            parents[int(entry)], pages[int(entry)] = int(fields[1]), int(fields[21])
        except (ValueError, OSError):
            pass
    return sum(count for one, count in pages.items() if one == pid or parents[one] == pid) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--hostile")
    parser.add_argument("--good")
    parser.add_argument("--every", type=float, default=5)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hostile-"))
    art, output, state = (folder / name for name in ("artworks", "output", "state"))
    art.mkdir()
    hostile = [(name, make()) for name, make in KINDS.items()]
    for extra in sorted(pathlib.Path(args.hostile).iterdir()) if args.hostile else []:
        hostile.append((extra.name, extra.read_bytes()))
    goods = [p.read_bytes() for p in sorted(pathlib.Path(args.good).iterdir())] if args.good else []
    print(len(hostile), "kinds:", " ".join(f"{name} ({len(data):,})" for name, data in hostile), flush=True)
    folders = ["--artworks", art, "--output", output, "--state", state]
    # As in the unit.
    environment = dict(os.environ, MALLOC_ARENA_MAX="2", MALLOC_MMAP_THRESHOLD_="131072")
    log = open(folder / "log", "w")
    daemon = subprocess.Popen([args.binary, *folders, "run"], stderr=log, env=environment)

    def put(name, data):
        (folder / "upload").write_bytes(data)
        (folder / "upload").rename(art / name)

    begin = time.time()
    uploaded, shown, bad, most = {}, {}, 0, 0
    next_good, next_bad, said = begin + 2, begin + 2, begin
    while time.time() < begin + args.seconds and daemon.poll() is None:
        now = time.time()
        uploads = now < begin + args.seconds - 60
        if uploads and now >= next_bad:
            name, data = hostile[bad % len(hostile)]
            put(f"h{bad:05}-{name}", ended(name, data, bad))
            bad, next_bad = bad + 1, now + args.every
        if uploads and now >= next_good:
            number = len(uploaded)
            data = ended("", goods[number % len(goods)], number) if goods else good(number)
            name = f"g{number:05}.png"
            put(name, data)
            uploaded[name], next_good = time.time(), now + 4
        try:
            for work in json.loads((output / "manifest.json").read_text())["works"]:
                shown.setdefault(work["path"], time.time())
        except (OSError, ValueError):
            pass
        most = max(most, tree_mb(daemon.pid))
        if now - said > 120:
            said = now
            report(uploaded, shown, bad, most, begin)
        time.sleep(0.3)
    report(uploaded, shown, bad, most, begin)
    status = json.loads((state / "status.json").read_text())
    print("status", {key: status[key] for key in ("state", "counts", "degraded")})
    reasons = {}
    for failure in status["failures"]:
        name = failure["path"].split("-", 1)[-1]
        reasons.setdefault(name, set()).add(failure["reason"].split(";")[0])
    for name, why in sorted(reasons.items()):
        print(" ", name, "|".join(sorted(why)))
    print("lives" if daemon.poll() is None else f"ended with {daemon.returncode}")
    daemon.terminate()
    print("ends with", daemon.wait())
    shutil.rmtree(folder)


def report(uploaded, shown, bad, most, begin):
    now = time.time()
    waits = sorted(shown[name] - at for name, at in uploaded.items() if name in shown)
    waiting = [now - at for name, at in uploaded.items() if name not in shown]
    if waits:
        at = lambda part: round(waits[int(part * (len(waits) - 1))], 1)
        print(
            f"{now - begin:.0f} s: {bad} hostile, {len(uploaded)} good; shown after: median {at(.5)}, p95 {at(.95)}, slowest {at(1)} s;"
            f" {sum(wait > 30 for wait in waits)} after more than 30 s; {len(waiting)} not yet, since {max(waiting, default=0):.0f} s;"
            f" tree {most:.0f} MB; load {os.getloadavg()[0]:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
