# SPDX-License-Identifier: MIT
"""What the recorder costs: bridge_record.py BERTH FOLDER. Two servers of the same device, one of which records; the client of
tests/bench/bridge.c reads a register of either in turn. Prints a line for each kind of file; exit 1 when a goal is missed."""
import os
import shutil
import subprocess
import sys
import time

GOAL = 1.05
berth, folder = sys.argv[1:3]
rounds = os.environ.get("BENCH_ROUNDS", "60")
pinned = os.cpu_count() >= 2 and shutil.which("taskset")
client = (["taskset", "-c", "0"] if pinned else []) + [os.path.join(os.environ.get("BUILD", "build"), "tests/bench/bridge")]


def serve(name, *words):
    path = f"{folder}/{name}"
    with open(f"{path}.log", "w") as log:
        p = subprocess.Popen((["taskset", "-c", "1"] if pinned else []) +
                             [berth, "bridge", "serve", "bar-forward/devices/gpu.json", "--socket", path, "--mode", "trap", *words],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    until = time.monotonic() + 60
    while "waits for" not in open(f"{path}.log").read():
        assert p.poll() is None and time.monotonic() < until, open(f"{path}.log").read()
        time.sleep(0.05)
    return p, path


def row(name, file):
    recorded, path = serve("rec.s", "--record", file, "--record-size", "64M")
    plain, other = serve("plain.s")
    try:
        measured = subprocess.run([*client, "two", path, other, rounds], check=True, capture_output=True, text=True).stdout
    finally:
        for p in (recorded, plain):
            p.terminate()
            p.wait()
    ours, theirs = map(int, measured.split())
    late = ours / theirs > GOAL
    print(f"{name:<46} {ours:9.6g} ns against {theirs:.6g}: {ours / theirs:.3f}, goal {GOAL}{'  MISSED' if late else ''}", flush=True)
    return late


late = row("a recorded read, against one that is not", f"{folder}/cost.trace")
if os.access("/dev/shm", os.W_OK):
    file = f"/dev/shm/berth-bench-{os.getpid()}.trace"
    try:
        late |= row("... into memory (tmpfs)", file)
    finally:
        os.unlink(file)
sys.exit(late)
