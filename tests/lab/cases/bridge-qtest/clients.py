# SPDX-License-Identifier: MIT
"""What a guest does to a served device, done by QEMU's qtest: clients.py BERTH ROOT FOLDER DEVICES. Prints "ok NAME"."""
import binascii
import json
import os
import signal
import subprocess
import sys
import time

from qtest import Qtest

berth, root, folder, devices = sys.argv[1:5]
os.environ["BERTH_RUNTIME_DIR"] = f"{folder}/run"
BAR0 = 0xE0000000
LIMIT = 120
failures = 0


def check(name, true, why=""):
    global failures
    failures += not true
    print(f"ok {name}" if true else f"FAIL {name}: {why}", flush=True)


def settled():
    """The page is at most a tenth of a second behind: what it says once it says the same for longer."""
    last, since = status(), time.monotonic()
    while time.monotonic() - since < 2:
        time.sleep(0.05)
        now = status()
        if now != last:
            last, since = now, time.monotonic()
    return last


def reaches(true):
    """What the page says once it is true, or at last."""
    until = time.monotonic() + LIMIT
    while not true(now := status()) and time.monotonic() < until:
        time.sleep(0.05)
    return now


def wait(true, what, process=None):
    until = time.monotonic() + LIMIT
    while not true():
        if process and process.poll() is not None:
            sys.exit(f"FAIL {what}: it ended with {process.returncode}")
        if time.monotonic() > until:
            sys.exit(f"FAIL {what}: never")
        time.sleep(0.02)


def serve(device, *words):
    log = open(f"{folder}/bridge.log", "w")
    path = f"{folder}/s"
    p = subprocess.Popen([berth, "bridge", "serve", f"{devices}/{device}", "--socket", path, "-v", *words],
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait(lambda: os.path.exists(path) and "waits for" in open(log.name).read(), "the bridge comes up", p)
    return p


def status():
    until = time.monotonic() + LIMIT
    while True:  # one that is being written for as long as we look is left out
        out = subprocess.run([berth, "bridge", "status", "--json"], check=True, capture_output=True).stdout
        # Pages of others, dead ones among them, may lie in the folders that all look into.
        found = [b for b in json.loads(out)["bridges"] if b["socket"] == f"{folder}/s"]
        if found or time.monotonic() > until:
            return found[0]


def begin(*words, **more):
    device = {"driver": "vfio-user-pci", "socket": {"path": "/srv/s", "type": "unix"}, "x-msg-timeout": 60000, **more}
    q = Qtest(root, folder, device, *words)
    q.config(0x10, 4, BAR0)
    q.config(4, 2, 6)
    return q


def registers(q, kind):
    for width, at in ((1, 0x20), (2, 0x22), (4, 0x24), (8, 0x28)):
        value = 0x8877665544332211 & ((1 << 8 * width) - 1)
        q.write(BAR0 + at, width, value)
        got = q.read(BAR0 + at, width)
        check(f"{width} bytes, {kind}", got == value, f"{got} is not {value}")
    for width in (1, 2, 4, 8):
        before = q.read(BAR0 + 0x40, 8)
        for i in range(50):
            q.write(BAR0 + 0x40, width, i)
        after = q.read(BAR0 + 0x40, 8)
        check(f"each write of {width} bytes is one, {kind}", after == before + 50, f"{before} to {after}")


def config_space(q):
    check("ids", q.config(0) == 0xBE471234, hex(q.config(0)))
    check("class", q.config(8) >> 8 == 0x030200, hex(q.config(8)))
    check("bytes and words", [q.config(i, 1) for i in range(4)] == [0x34, 0x12, 0x47, 0xBE] and q.config(2, 2) == 0xBE47)
    for bar, mask in ((0, 0xFF000000), (1, 0xF000000C), (3, 0xFFFF000C), (5, 0xFFFFFF81)):
        was = q.config(0x10 + 4 * bar)
        q.config(0x10 + 4 * bar, 4, 0xFFFFFFFF)
        got = q.config(0x10 + 4 * bar)
        q.config(0x10 + 4 * bar, 4, was)
        check(f"size of BAR {bar}", got == mask, hex(got))
    ids, at = [], q.config(0x34, 1)
    while at and len(ids) < 48:
        ids.append(q.config(at, 1))
        at = q.config(at + 1, 1)
    check("capabilities", {0x01, 0x05, 0x10, 0x11} <= set(ids), ids)


def dma(q):
    data = bytes(range(256)) * 16
    q.write_bytes(0x100000, data)
    q.write(BAR0 + 0x1000, 8, 0x100000)
    q.write(BAR0 + 0x1008, 8, 0)
    q.write(BAR0 + 0x1010, 8, len(data))
    q.write(BAR0 + 0x1018, 4, 1)
    wait(lambda: not q.read(BAR0 + 0x1018, 4) & 1, "DMA ends")
    got = q.read(BAR0 + 0x1020, 4)
    check("DMA of the guest's memory", got == binascii.crc32(data), hex(got))


def many(q):
    """While nobody reads the socket QEMU queues, and sends what it has queued in WRITE_MULTI: each write once, in order."""
    writes, total = q.read(BAR0 + 0x40, 8), q.read(BAR0 + 0x48, 8)
    values = [7919 * i & 0xFFFFFFFF for i in range(4000)]
    worker = status()["worker_pid"]
    os.kill(worker, signal.SIGSTOP)  # as a busy host does
    for value in values:
        q.write(BAR0 + 0x48, 4, value)
        q.write(BAR0 + 0x40, 4, 0)
        q.write(BAR0 + 0x24, 4, value)
    os.kill(worker, signal.SIGCONT)
    check("the last of many writes is the last", q.read(BAR0 + 0x24, 4) == values[-1])
    check("each of many writes is one", q.read(BAR0 + 0x40, 8) == writes + len(values), q.read(BAR0 + 0x40, 8) - writes)
    check("each has its own value", q.read(BAR0 + 0x48, 8) == (total + sum(values)) % (1 << 64))
    check("QEMU sent many at once", q.said().count("vfio_user_wrmulti") > 10, q.said()[-300:])


def gone(q):
    q.write(BAR0 + 0xFF0, 4, 1)
    check("a device that is gone reads all-ones", q.read(BAR0, 4) == 0xFFFFFFFF and q.read(BAR0 + 8, 8) == (1 << 64) - 1)
    q.write(BAR0 + 0x24, 4, 1)
    check("QEMU lives on", q.p.poll() is None and q.ask("clock_step") is None)


bridge = serve("gpu.json", "--mode", "trap")
q = begin("-trace", "vfio_user_wrmulti")
check("QEMU takes the device", reaches(lambda s: s["client_pid"] is not None)["client_pid"] is not None)
registers(q, "posted where QEMU posts")
check("QEMU posts writes of registers", reaches(lambda s: s["posted"] >= 200)["posted"] >= 200, status()["posted"])
config_space(q)
dma(q)
many(q)
q.close()
wait(lambda: status()["client_pid"] is None, "QEMU goes")
check("QEMU leaves nothing mapped", status()["dma_maps"] == 0)
q = begin(**{"x-no-posted-writes": True})
posted = settled()["posted"]
registers(q, "none posted")
check("QEMU waits for each write", settled()["posted"] == posted, f"{posted} to {status()['posted']}")
gone(q)
q.close()
bridge.terminate()
check("the bridge ends", bridge.wait(LIMIT) == 0)
sys.exit(1 if failures else 0)
