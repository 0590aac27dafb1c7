# SPDX-License-Identifier: MIT
"""What host.sh says: kills.py BERTH ROOT FOLDER DEVICES FILEBRIDGE SECONDS. Prints "ok NAME" for each."""
import os
import random
import signal
import struct
import sys
import time

from qtest import INSIDE, Qtest
from workers import Answers, Server, holder_of, killer

berth, root, folder, devices, filebridge, seconds = sys.argv[1:7]
os.environ["BERTH_RUNTIME_DIR"] = f"{folder}/run"
BAR0 = 0xE0000000
EVERY = 0.1
WANTED = float(seconds) / 2 / EVERY / 4  # kills of each
LIMIT = 300
answers = Answers()


def check(name, true, why=""):
    print(f"ok {name}" if true else f"FAIL {name}: {why}", flush=True)


def qemu(name):
    device = {"driver": "vfio-user-pci", "id": "d", "x-msg-timeout": 60000, "socket": {"type": "unix", "path": f"{INSIDE}/{name}"}}
    q = Qtest(root, folder, device)
    q.config(0x10, 4, BAR0)
    q.config(0x04, 2, 2)
    return q


def rounds(server):
    """Until the time is over, and enough of them have been killed."""
    began = time.monotonic()
    while time.monotonic() < began + float(seconds) / 2 or server.said("died of signal 9") < WANTED:
        if time.monotonic() > began + LIMIT:
            return
        yield
        answers.one_more()


def counting(q, server):
    """Registers that count: each reply is exact, whoever made the access."""
    n = total = 0
    rng = random.Random(4)
    q.write(BAR0 + 0x24, 4, 0x11223344)
    n = q.read(BAR0 + 0x40, 8)
    total = q.read(BAR0 + 0x48, 8)
    accesses = 0
    for _ in rounds(server):
        for _ in range(50):
            what = rng.randrange(5)
            accesses += 1
            if what == 0:
                q.write(BAR0 + 0x40, 8, 1)
                n += 1
            elif what == 1:
                q.write(BAR0 + 0x48, 8, what + accesses)
                total += what + accesses
            elif what == 2:
                assert q.read(BAR0 + 0x40, 8) == n, "the count of writes"
            elif what == 3:
                assert q.read(BAR0 + 0x48, 8) == total, "their sum"
            else:
                assert q.config(0, 4) == 0xBE471234
    assert q.read(BAR0 + 0x40, 8) == n and q.read(BAR0 + 0x48, 8) == total
    return accesses


def appending(q, server):
    reads = writes = 0
    rng = random.Random(5)
    for _ in rounds(server):
        for _ in range(50):
            if rng.randrange(2):
                q.write(BAR0 + 4 * rng.randrange(64), 4, writes)
                writes += 1
            else:
                assert q.read(BAR0 + 4 * rng.randrange(64), 4) == reads, "a read is lost, or was made twice"
                reads += 1
    q.config(0, 4)  # what was posted has come by
    with open(f"{folder}/files/log", "rb") as f:
        assert f.read() == struct.pack(f"<{writes}I", *range(writes)), "a write is lost, or was made twice"
    return reads + writes


def hammered(server, name, work):
    q = qemu(os.path.basename(server.path))
    before = q.said()
    pid = killer(server.p.pid, EVERY, answers)
    try:
        accesses = work(q, server)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    kills = server.said("died of signal 9")
    print(f"    {name}: {accesses} accesses, {kills} workers killed, {server.said('its last')} in the middle of something", flush=True)
    check(f"{name}: nothing lost, nothing twice", kills >= WANTED, f"only {kills} kills")
    check(f"{name}: QEMU has nothing to say", q.said() == before and q.p.poll() is None, q.said())
    return q


def main():
    os.makedirs(f"{folder}/files", exist_ok=True)
    with open(f"{folder}/files/numbers", "wb") as f:
        f.write(struct.pack(f"<{1 << 20}I", *range(1 << 20)))
    with Server(folder, "file", [filebridge, f"{folder}/files", "SOCKET"]) as s:
        hammered(s, "a device that only the kernel's counts tell of", appending).close()
    s = Server(folder, "memory", [berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", "SOCKET", "-v", "--mode", "trap"])
    q = hammered(s, "a device of memory", counting)
    os.kill(holder_of(s.p.pid), signal.SIGKILL)
    check("a holder that dies ends its server", s.p.wait(LIMIT) != 0 and not os.path.exists(s.path))
    q.s.sendall(f"readl {BAR0 + 0x24:#x}\n".encode())
    answer = q.f.readline().split()
    check("and QEMU lives on without the device", q.p.poll() is None and answer[:1] == ["OK"], f"{answer} {q.said()}")
    q.close()


main()
