#!/usr/bin/env python3
"""Compare what the encoder is given with what Pillow makes of the same PNG files; prints a table by kind.

Sizes from 16 to 4,000 px, odd proportions; RGB, grey, palette, one bit, alpha, 16-bit. The recipe is CLIP's: convert to
RGB, bicubic resize of the short side to 224, centre crop. Pillow cannot write 16-bit RGB; those files are written here.
Its `convert("RGB")` makes nearly every 16-bit grey picture white, for it cuts values off at 255; the reference for those
is their upper eight bits, which is what Pillow takes of 16-bit RGB.

usage: pillow_sweep.py BENCH [FOLDER [KIND...]]      BENCH: the built `embed` benchmark (cargo build --release --bench embed)
needs: pip install pillow numpy
"""
import os, struct, subprocess, sys, tempfile, zlib
from collections import defaultdict
import numpy as np
from PIL import Image

SIZE = 224
SIDES = [(16, 16), (17, 29), (31, 300), (64, 63), (224, 224), (225, 224), (223, 500), (512, 512), (640, 479),
         (1000, 37), (999, 1501), (1920, 1080), (4000, 2999), (3001, 4000), (4000, 16)]


def pattern(width, height, seed):
    """Noise over waves: structure at every scale, up to the sharpest."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 127 * np.sin(x / (3 + 5 * c) + y / (7 + c)) for c in range(3)]
    noise = rng.integers(0, 256, (height, width, 3))
    return np.where((x // 16 + y // 16)[..., None] % 2 == 0, np.stack(waves, -1), noise).astype(np.uint8)


def reference(path):
    image = Image.open(path)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("RGB")
    w, h = image.size
    if min(w, h) != SIZE:
        w, h = (SIZE, int(SIZE * h / w)) if w <= h else (int(SIZE * w / h), SIZE)
        image = image.resize((w, h), Image.BICUBIC)
    left, top = int(round((w - SIZE) / 2.0)), int(round((h - SIZE) / 2.0))
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))


def write_png16(path, samples, colour_type):
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + samples[y].astype(">u2").tobytes() for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def write(kind, path, rgb):
    image = Image.fromarray(rgb, "RGB")
    alpha = Image.fromarray(rgb[..., 1], "L")
    wide = rgb.astype(np.uint32) * 257 - (rgb[..., ::-1].astype(np.uint32) & 127)
    wide = np.clip(wide.astype(np.int64), 0, 65535).astype(np.uint16)
    match kind:
        case "rgb": image.save(path)
        case "grey": image.convert("L").save(path)
        case "palette": image.quantize(64).save(path)
        case "palette, one colour clear": image.quantize(16).save(path, transparency=3)
        case "one bit": image.convert("1").save(path)
        case "rgba": image.putalpha(alpha); image.save(path)
        case "grey and alpha": grey = image.convert("L").convert("LA"); grey.putalpha(alpha); grey.save(path)
        case "16-bit rgb": write_png16(path, wide, 2)
        case "16-bit rgba": write_png16(path, np.dstack([wide, wide[..., 0]]), 6)
        case "16-bit grey": write_png16(path, wide[..., :1], 0)


KINDS = ["rgb", "grey", "palette", "palette, one colour clear", "one bit", "rgba", "grey and alpha", "16-bit rgb",
         "16-bit rgba", "16-bit grey"]

if __name__ == "__main__":
    bench = sys.argv[1]
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
    print("kind | files | largest difference | mean difference | differing values")
    for kind in sys.argv[3:] or KINDS:
        most, total, differing, count, files = 0, 0, 0, 0, 0
        for seed, (width, height) in enumerate(SIDES):
            path, out = os.path.join(folder, "in.png"), os.path.join(folder, "out.rgb")
            write(kind, path, pattern(width, height, seed))
            subprocess.run([bench, "pixels", str(SIZE), path, out], check=True)
            ours = np.fromfile(out, np.uint8).reshape(SIZE, SIZE, 3).astype(int)
            difference = np.abs(ours - reference(path).astype(int))
            most, total, differing = max(most, difference.max()), total + difference.sum(), differing + (difference > 0).sum()
            count, files = count + difference.size, files + 1
        print(f"{kind} | {files} | {most} | {total / count:.6f} | {differing / count:.4%}")
