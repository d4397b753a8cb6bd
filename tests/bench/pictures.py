"""pictures.py BINARY FOLDER...: every picture below the folders, as mosaicd shows it, against Pillow and libvips.

Each file becomes a cell of one mosaic (letterbox on white, 4:4:4, quality 95) and is compared with the same cell made by
Pillow and, where `vips` is installed, by libvips: mean absolute difference over the cell, 0 to 255. A file is the same if the
difference to either is at most 8. Prints a table of counts, then every file that differs or is refused although Pillow opens
it. Needs numpy and pillow; README.md beside it says which packages hold such folders, and which differences are accepted.
"""
import io, json, os, shutil, subprocess, sys, tempfile
from collections import Counter
import numpy as np
from PIL import Image, ImageCms, ImageOps

# Bombs among the files: Pillow refuses twice as many pixels.
Image.MAX_IMAGE_PIXELS = 50_000_000
binary, folders = sys.argv[1], sys.argv[2:]
kinds = {"png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "avif", "jxl"}
work = tempfile.mkdtemp()
art = work + "/art"
os.makedirs(art)
files = {}
for folder in folders:
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            kind = name.rsplit(".", 1)[-1].lower()
            if kind in kinds:
                copy = f"{len(files):05}-{name.encode('ascii', 'replace').decode().replace('?', '_')}"
                shutil.copy(os.path.join(root, name), f"{art}/{copy}")
                files[copy] = os.path.join(root, name)
open(work + "/m.toml", "w").write(
    f'[folders]\nartworks = "{art}"\noutput = "{work}/out"\nstate = "{work}/state"\n[tile]\nfit = "letterbox"\n'
    'background = "#ffffff"\n[mosaic]\nquality = 95\nsubsampling = "4:4:4"\n')
subprocess.run([binary, "--config", work + "/m.toml", "build"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
manifest = json.load(open(work + "/out/manifest.json"))
status = json.load(open(work + "/state/status.json"))
mosaic = Image.open(work + "/out/mosaic.jpg").convert("RGB")
px = manifest["mosaic"]["cell_px"]
reasons = {f["path"]: f["reason"] for f in status["failures"]}
shown = {w["path"]: (w["col"], w["row"]) for w in manifest["works"]}


def boxed(image):
    """A picture in a cell, as letterbox has it."""
    scale = px / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    cell = Image.new("RGB", (px, px), "white")
    cell.paste(image.resize(size, Image.BICUBIC, reducing_gap=2.0), [(px - side) // 2 for side in size])
    return np.asarray(cell, np.float32)


def by_pillow(path):
    image = Image.open(path)
    image.load()
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            image = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
        except ImageCms.PyCMSError:
            pass
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    clear = Image.new("RGBA", image.size, "white")
    clear.alpha_composite(image.convert("RGBA"))
    return boxed(clear.convert("RGB"))


def by_vips(path):
    to = work + "/vips.png"
    command = ["vipsthumbnail", path, "--size", str(px), "--export-profile", "srgb", "-o", to + "[background=255,strip]"]
    if subprocess.run(command, capture_output=True, timeout=60).returncode:
        return None
    image = Image.open(to).convert("RGBA")
    clear = Image.new("RGBA", image.size, "white")
    clear.alpha_composite(image)
    return boxed(clear.convert("RGB"))


vips = shutil.which("vipsthumbnail")
counts, notes = Counter(), []
for copy, path in files.items():
    kind = copy.rsplit(".", 1)[-1].lower().replace("jpeg", "jpg").replace("tiff", "tif")
    try:
        wanted = by_pillow(path)
    except Exception:
        wanted = None
    if wanted is None and vips and copy in shown:
        wanted = by_vips(path)
    if copy not in shown:
        what = "refused" if wanted is not None else "refused by both"
        if wanted is not None:
            notes.append(f"refused  {path}: {reasons.get(copy, 'not named')}")
    elif wanted is None:
        what = "shown here alone"
    else:
        col, row = shown[copy]
        ours = np.asarray(mosaic.crop((col * px, row * px, (col + 1) * px, (row + 1) * px)), np.float32)
        off = float(np.abs(ours - wanted).mean())
        if off > 8 and vips:
            other = by_vips(path)
            off = off if other is None else min(off, float(np.abs(ours - other).mean()))
        what = "same" if off <= 8 else "different"
        if off > 8:
            notes.append(f"{off:7.1f}  {path}")
    counts[kind, what] += 1
columns = ["same", "different", "refused", "refused by both", "shown here alone"]
print("| kind | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
for kind in sorted({kind for kind, _ in counts}):
    print(f"| {kind} | " + " | ".join(str(counts[kind, column]) for column in columns) + " |")
print("| all | " + " | ".join(str(sum(n for (_, w), n in counts.items() if w == column)) for column in columns) + " |")
print("\n".join(["", *notes]))
shutil.rmtree(work)
