# SPDX-License-Identifier: MIT
"""What a monitor costs on a terminal of 120x36 that takes all it writes.

monitor.py watch SECONDS COMMAND...: one line: milliseconds to the end of the first picture, CPU of a core in
percent, resident KiB (with what its children hold alone), bytes written a second.
monitor.py keys TEXT COMMAND...: once TEXT is on the screen, '?' two hundred times, at odd moments: milliseconds
from the key to the last byte of its answer, median and 99th percentile.

The CPU is the scheduler's count of nanoseconds, of every thread of every process that is left at the end; a
picture has ended when nothing comes for 100 ms (8 ms for keys).
"""
import fcntl
import os
import pty
import random
import select
import signal
import struct
import sys
import termios
import time

COLS, ROWS, WARM_S, KEYS = 120, 36, 3, 200


def start(command):
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLS, 0, 0))
        os.execvp(command[0], command)
    return pid, fd


def read_for(fd, seconds, quiet=None):
    """What comes until then, or until nothing came for `quiet` after something did; when the last came."""
    end, last, got = time.monotonic() + seconds, None, b""
    while (now := time.monotonic()) < end:
        wait = end - now if quiet is None or last is None else min(end, last + quiet) - now
        if wait <= 0 or not select.select([fd], [], [], wait)[0]:
            if quiet is not None and last is not None:
                break
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:  # it left
            break
        if not data:
            break
        got, last = got + data, time.monotonic()
    return got, last


def family(root):
    """The process and all that it started."""
    parents = {}
    for d in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{d}/stat") as f:
                parents[int(d)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = {root}
    while more := {p for p, up in parents.items() if up in found} - found:
        found |= more
    return found


def cpu_ns(pids):
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
        except OSError:
            continue
    return total


def sum_of(path, keys):
    try:
        with open(path) as f:
            return sum(int(line.split()[1]) for line in f if line.split(":")[0] in keys)
    except OSError:  # it left meanwhile
        return 0


def resident_kib(root, pids):
    """Of the first process all that is resident; of those it started what they share with nobody."""
    return sum_of(f"/proc/{root}/smaps_rollup", ["Rss"]) + sum(
        sum_of(f"/proc/{p}/smaps_rollup", ["Private_Clean", "Private_Dirty"]) for p in pids - {root})


def leave(pid, fd):
    for s in (signal.SIGTERM, signal.SIGKILL):
        os.kill(pid, s)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            read_for(fd, 0.02)
            if os.waitpid(pid, os.WNOHANG)[0]:
                os.close(fd)
                return


def first_ms(command):
    begin = time.monotonic()
    pid, fd = start(command)
    _, last = read_for(fd, 5, 0.1)
    leave(pid, fd)
    return (last - begin) * 1000 if last else 5000.0


def watch(seconds, command):
    firsts = sorted(first_ms(command) for _ in range(5))
    pid, fd = start(command)
    read_for(fd, WARM_S)
    before, begin = cpu_ns(family(pid)), time.monotonic()
    got, _ = read_for(fd, seconds)
    took, pids = time.monotonic() - begin, family(pid)
    cpu, rss = cpu_ns(pids) - before, resident_kib(pid, pids)
    alive = os.waitpid(pid, os.WNOHANG)[0] == 0
    if not alive:
        sys.exit(f"{command[0]} ended by itself")
    leave(pid, fd)
    print(f"{firsts[2]:.1f} {cpu / took / 1e7:.3f} {rss} {len(got) / took:.0f}")


def keys(text, command):
    pid, fd = start(command)
    seen = b""
    end = time.monotonic() + 20
    while text.encode() not in seen:
        seen += read_for(fd, 0.2)[0]
        if time.monotonic() > end:
            leave(pid, fd)
            sys.exit(f"'{text}' did not come: {seen[-300:]!r}")
    took = []
    for _ in range(KEYS):
        read_for(fd, random.uniform(0.01, 0.04))
        begin = time.monotonic()
        os.write(fd, b"?")
        _, last = read_for(fd, 2, 0.008)
        took.append((last - begin) * 1000 if last else 2000.0)
    leave(pid, fd)
    took.sort()
    print(f"{took[KEYS // 2]:.1f} {took[KEYS * 99 // 100]:.1f}")


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        watch(float(sys.argv[2]), sys.argv[3:])
    else:
        keys(sys.argv[2], sys.argv[3:])
