#!/usr/bin/env python3
"""The built-in descriptor against descriptors that also need no training: do a picture's neighbours show the same?

Draws the demo's labelled families at 512 px with `mosaicd demo`, changes every picture at random (turned by any angle,
scaled by .7 to 1.07, hue shifted by any angle, saturation, gamma and brightness changed), keeps 256 px of it, embeds
all with `mosaicd build` and `mosaicd export`, and prints the share of the 10 nearest pictures that are of the same
family, for the pictures as drawn and as changed.

The descriptor's weights were tuned on the demo's seed 2; judge it by others.

usage: descriptors.py MOSAICD FOLDER [PER_FAMILY [SEED]]     needs: pip install numpy pillow scikit-image imagehash
"""
import csv, pathlib, subprocess, sys
import imagehash, numpy as np
from PIL import Image, ImageEnhance
from skimage.feature import hog

MOSAICD, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
FAMILIES, PER_FAMILY = 18, int(sys.argv[3]) if len(sys.argv) > 3 else 30
SEED = sys.argv[4] if len(sys.argv) > 4 else "1"

def change(image, rng):
    image = image.rotate(rng.uniform(0, 360), Image.BICUBIC)
    half = rng.uniform(120, 181)  # stays within the turned square
    image = image.crop([256 - half, 256 - half, 256 + half, 256 + half]).resize((256, 256), Image.LANCZOS)
    h, s, v = image.convert("HSV").split()
    shift, gamma, gain = int(rng.integers(256)), rng.uniform(.6, 1.6), rng.uniform(.6, 1)
    h = h.point(lambda x: (x + shift) % 256)
    v = v.point(lambda x: int(255 * gain * (x / 255) ** gamma))
    return ImageEnhance.Color(Image.merge("HSV", (h, s, v)).convert("RGB")).enhance(rng.uniform(.3, 1.2))

def plain(image, _):
    return image.resize((256, 256), Image.LANCZOS)

def raw(image):
    return np.asarray(image.resize((32, 32), Image.BOX), float).ravel()

def histogram(image):
    hsv = np.asarray(image.convert("HSV")).reshape(-1, 3)
    counts, _ = np.histogramdd(hsv, bins=(8, 4, 4), range=[(0, 256)] * 3)
    return np.sqrt(counts.ravel() / counts.sum())  # Hellinger

def gradients(image):
    grey = np.asarray(image.convert("L").resize((128, 128), Image.BOX))
    return hog(grey, orientations=9, pixels_per_cell=(16, 16), cells_per_block=(2, 2))

def perceptual(image):
    return imagehash.phash(image, hash_size=16).hash.ravel().astype(float)

def builtin(folder):
    flags = ["--artworks", folder / "artworks", "--output", folder / "output", "--state", folder / "state"]
    subprocess.run([MOSAICD, "build", *flags], check=True, capture_output=True)
    subprocess.run([MOSAICD, "export", folder / "vectors", *flags], check=True, capture_output=True)
    rows = csv.DictReader(open(folder / "vectors/items.csv"))
    return {row["path"]: vector for row, vector in zip(rows, np.load(folder / "vectors/embeddings.npy"))}

def agreement(vectors, labels):
    distances = (vectors**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * vectors @ vectors.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, 1, kind="stable")[:, :10]
    return (labels[nearest] == labels[:, None]).mean()

drawn = FOLDER / "drawn"
subprocess.run([MOSAICD, "demo", drawn, "--count", str(FAMILIES * PER_FAMILY), "--size", "512",
                "--seed", SEED], check=True, capture_output=True)
names = sorted(path.name for path in (drawn / "artworks").iterdir())
families, labels = np.unique([name.rsplit("-", 1)[0] for name in names], return_inverse=True)
print(f"{len(names)} pictures, {len(families)} families, seed {SEED}")
print("| descriptor | values | as drawn | changed |\n| --- | --- | --- | --- |")
table = {}
for column, alter in enumerate([plain, change]):
    rng, folder = np.random.default_rng(1), FOLDER / ["plain", "changed"][column]
    (folder / "artworks").mkdir(parents=True, exist_ok=True)
    images = [alter(Image.open(drawn / "artworks" / name).convert("RGB"), rng) for name in names]
    for name, image in zip(names, images):
        image.save(folder / "artworks" / name)
    ours = builtin(folder)
    rows = {"`builtin`": np.array([ours[name] for name in names])}
    for title, describe in [("raw pixels, 32 × 32", raw), ("colour histogram", histogram), ("HOG", gradients),
                            ("perceptual hash", perceptual)]:
        rows[title] = np.array([describe(image) for image in images])
    for title, vectors in rows.items():
        table.setdefault(title, [vectors.shape[1]]).append(agreement(vectors.astype(float), labels))
for title, (values, *scores) in table.items():
    print(f"| {title} | {values} | " + " | ".join(f"{score:.3f}" for score in scores) + " |")
