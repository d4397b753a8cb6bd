"""Embeds a collection in parts on a Ray cluster, and imports them: python3 ray_parts.py ARTWORKS PARTS_FOLDER [--config C]
[--parts N] [--workers W] [--import-into OUTPUT STATE]. Without an address (RAY_ADDRESS) it starts a cluster of its own here.

A part that fails, or whose worker dies, is submitted again; the next run of `mosaicd embed` continues where it was."""
import argparse, os, subprocess, sys, time
import ray

arguments = argparse.ArgumentParser()
arguments.add_argument("artworks")
arguments.add_argument("out")
arguments.add_argument("--config")
arguments.add_argument("--parts", type=int, default=8)
arguments.add_argument("--workers", type=int, default=2)
arguments.add_argument("--tries", type=int, default=4)
arguments.add_argument("--mosaicd", default="mosaicd")
arguments.add_argument("--import-into", nargs=2, metavar=("OUTPUT", "STATE"))
asked = arguments.parse_args()
common = [asked.mosaicd, "--artworks", os.path.abspath(asked.artworks)]
common += ["--config", os.path.abspath(asked.config)] if asked.config else []
folder = lambda part: os.path.join(os.path.abspath(asked.out), str(part))


@ray.remote(num_cpus=1, max_retries=asked.tries, retry_exceptions=True)
def embed(part):
    command = common + ["embed", "--part", f"{part}/{asked.parts}", "--out", folder(part)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"part {part}: {done.stderr.strip()}")
    return done.stdout.strip()


os.makedirs(asked.out, exist_ok=True)
ray.init(num_cpus=None if os.environ.get("RAY_ADDRESS") else asked.workers, log_to_driver=False)
began = time.time()
running = [embed.remote(part) for part in range(1, asked.parts + 1)]
while running:
    ended, running = ray.wait(running)
    print(ray.get(ended[0]), flush=True)
print(f"{asked.parts} parts in {time.time() - began:.1f} s", flush=True)
if asked.import_into:
    output, state = asked.import_into
    parts = [folder(part) for part in range(1, asked.parts + 1)]
    sys.exit(subprocess.run(common + ["--output", output, "--state", state, "import", *parts]).returncode)
