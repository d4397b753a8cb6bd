#!/usr/bin/env python3
"""many_files.py BINARY KIND N: what very many files cost that are no works.

KIND: `one` (N text files in one folder), `folders` (N folders with a text file each), `closed` (N folders of mode 0; as
another user than root), `junk` (N text files in folders of 1,000). Reports the processor seconds (user + system) from the
start until nothing is left to do and in a quiet minute after it, the memory (resident), and how long a new picture takes
to be shown, the median of five.
"""
import json, os, pathlib, shutil, struct, subprocess, sys, tempfile, time, zlib

TICKS = os.sysconf("SC_CLK_TCK")
NOBODY = 65534


def png(number):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * number + y) % 256 for x in range(64)) for y in range(64))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def fill(art, kind, count):
    for i in range(count):
        folder = {"one": art, "junk": art / f"d{i // 1000}"}.get(kind, art / f"d{i}")
        if kind != "one" and (kind != "junk" or i % 1000 == 0):
            folder.mkdir()
        if kind != "closed":
            (folder / f"f{i}.dat").write_bytes(b"no picture %d" % i)
        else:
            folder.chmod(0)


def used(pid):
    """Processor seconds of the daemon and its children, ended ones too."""
    total = 0
    for entry in os.listdir("/proc"):
        try:
            fields = pathlib.Path(f"/proc/{int(entry)}/stat").read_text().rsplit(")", 1)[1].split()
        except (ValueError, OSError):
            continue
        if int(entry) == pid:
            total += sum(map(int, fields[11:15]))
        elif int(fields[1]) == pid:
            total += sum(map(int, fields[11:13]))
    return total / TICKS


def main():
    binary, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="many-"))
    art, output, state = (folder / name for name in ("artworks", "output", "state"))
    art.mkdir()
    for i in range(1, 4):
        (art / f"work-{i}.png").write_bytes(png(i))
    fill(art, kind, count)
    command = [binary, "--artworks", art, "--output", output, "--state", state, "run"]
    user = NOBODY if kind == "closed" and os.geteuid() == 0 else None
    if user:
        for path in (folder, art, *art.iterdir()):
            os.chown(path, user, -1)
    begin = time.time()
    daemon = subprocess.Popen(command, stderr=open(folder / "log", "w"), user=user)

    def wait(good):
        while True:
            try:
                if good():
                    return
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(0.05)

    status = lambda: json.loads((state / "status.json").read_text())
    wait(lambda: status()["generation"] > 0 and status()["counts"]["pending"] == 0 and status()["state"] != "working")
    time.sleep(15)  # Polishing, measuring, the first collection.
    started, start_s = used(daemon.pid), time.time() - begin - 15
    time.sleep(60)
    idle = used(daemon.pid) - started
    took = []
    for i in range(5):
        (folder / "upload").write_bytes(png(100 + i))
        uploaded = time.time()
        (folder / "upload").rename(art / f"new-{i}.png")
        wait(lambda: f'"new-{i}.png"' in (output / "manifest.json").read_text())
        took.append(time.time() - uploaded)
        time.sleep(3)
    resident = pathlib.Path(f"/proc/{daemon.pid}/status").read_text().split("VmRSS:")[1].split()[0]
    print(
        f"{kind} {count:,}: start {started:.1f} CPU s, {start_s:.0f} s; a quiet minute {idle:.2f} CPU s;"
        f" {int(resident) // 1024} MB; a new picture after {sorted(took)[2]:.2f} s (slowest {max(took):.2f} s);"
        f" load {os.getloadavg()[0]:.0f}; {status()['counts']}",
        flush=True,
    )
    daemon.terminate()
    daemon.wait()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
