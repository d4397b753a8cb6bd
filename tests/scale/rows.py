"""Makes files of some bytes and a table with made-up embeddings of them, to measure `mosaicd import`: python3 rows.py FOLDER
COUNT MODEL. MODEL is what the column `model` of any items.csv of the built-in encoder says. Needs NumPy."""
import hashlib, os, sys
import numpy
folder, count, model = sys.argv[1], int(sys.argv[2]), sys.argv[3]
art, part = os.path.join(folder, "art"), os.path.join(folder, "part")
os.makedirs(part)
shape = (count, 585)
rows = numpy.lib.format.open_memmap(os.path.join(part, "embeddings.npy"), mode="w+", dtype=numpy.float32, shape=shape)
random = numpy.random.default_rng(1)
with open(os.path.join(part, "items.csv"), "w") as items:
    items.write("path,hash,model,size,mtime_ns\n")
    for i in range(count):
        name = f"{i // 1000:04}/{i:07}.png"
        path = os.path.join(art, name)
        if i % 1000 == 0:
            os.makedirs(os.path.dirname(path))
            some = random.standard_normal((min(1000, count - i), 585)).astype(numpy.float32)
            rows[i : i + len(some)] = some / numpy.linalg.norm(some, axis=1, keepdims=True)
        with open(path, "wb") as file: file.write(b"%d" % i)
        seen = os.stat(path)
        # The content is not read where size and time of change fit, so any hash will do.
        made_up = hashlib.blake2s(b"%d" % i).hexdigest()
        items.write(f"{name},{made_up},{model},{seen.st_size},{seen.st_mtime_ns}\n")
rows.flush()
