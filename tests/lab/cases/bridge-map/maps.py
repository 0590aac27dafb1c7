# SPDX-License-Identifier: MIT
"""Mapped pages, and the unplug of a lost device, with QEMU's own client: maps.py BERTH ROOT FOLDER DEVICES. Prints "ok NAME"."""
import json
import os
import socket
import subprocess
import sys
import time

from qmp import Monitor
from qtest import INSIDE, Qtest

berth, root, folder, devices = sys.argv[1:5]
os.environ["BERTH_RUNTIME_DIR"] = f"{folder}/run"
BAR0, BAR1 = 0xE0000000, 0xD0000000
SLOT = 4
LIMIT = 120
failures = 0


def check(name, true, why=""):
    global failures
    failures += not true
    print(f"ok {name}" if true else f"FAIL {name}: {why}", flush=True)


class Bridge:
    def __init__(self, *words):
        self.path, self.log = f"{folder}/s", f"{folder}/bridge.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.p = subprocess.Popen([berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", self.path, "-v", *words],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.says("waits for a client")

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def says(self, text):
        until = time.monotonic() + LIMIT
        while text not in self.text():
            if self.p.poll() is not None or time.monotonic() > until:
                sys.exit(f"FAIL no '{text}' in: {self.text()}")
            time.sleep(0.02)

    def status(self):
        until = time.monotonic() + LIMIT
        while True:  # one that is being written for as long as we look is left out
            out = subprocess.run([berth, "bridge", "status", "--json"], check=True, capture_output=True).stdout
            found = [b for b in json.loads(out)["bridges"] if b["socket"] == self.path]
            if found or time.monotonic() > until:
                return found[0]

    def settled(self):
        """The page is at most a tenth of a second behind: what it says once it says the same for longer."""
        last, since, until = self.status(), time.monotonic(), time.monotonic() + LIMIT
        while time.monotonic() - since < 2 and time.monotonic() < until:
            time.sleep(0.05)
            now = self.status()
            if now != last:
                last, since = now, time.monotonic()
        return last

    def region(self, name, true=None):
        """Once it is so, or at last; or what it says when nothing more is done."""
        until = time.monotonic() + LIMIT
        while True:
            now = next(r for r in (self.status() if true else self.settled())["regions"] if r["name"] == name)
            if not true or true(now) or time.monotonic() > until:
                return now
            time.sleep(0.05)

    def counts(self, name, **wanted):
        """Whether these have been counted."""
        now = self.region(name, lambda r: all(r[key] >= n for key, n in wanted.items()))
        return all(now[key] == n for key, n in wanted.items())

    def end(self):
        self.p.terminate()
        check("the bridge ends", self.p.wait(LIMIT) == 0, self.text())


def place(q):
    q.config(0x10, 4, BAR0)
    q.config(0x14, 4, BAR1)
    q.config(0x18, 4, 0)
    q.config(4, 2, 6)


def begin(*more):
    q = Qtest(root, folder, {"driver": "vfio-user-pci", "id": "gpu0", "socket": {"path": f"{INSIDE}/s", "type": "unix"},
                             "x-msg-timeout": 60000}, *more, slot=SLOT)
    place(q)
    return q


def capabilities(q):
    found, at = [], q.config(0x34, 1)
    while at and len(found) < 48:
        found.append(q.config(at, 1))
        at = q.config(at + 1, 1)
    return found


def dma_from_device(q, source, size):
    """What the device has in its memory, by its own engine."""
    for at, value in ((0x1000, source), (0x1008, 0x100000), (0x1010, size)):
        q.write(BAR0 + at, 8, value)
    q.write(BAR0 + 0x1018, 4, 3)
    until = time.monotonic() + LIMIT
    while q.read(BAR0 + 0x1018, 4) & 1 and time.monotonic() < until:
        pass
    return q.read_bytes(0x100000, size)


def mapped():
    b = Bridge("--bar", "1=64M")
    q = begin()
    now = b.status()
    check("memory is mapped unasked", now["mode"] == "hybrid" and b.counts("BAR1", mapped_bytes=64 << 20), now)
    q.config(0x14, 4, 0xFFFFFFFF)
    got = q.config(0x14)
    q.config(0x14, 4, BAR1)
    check("QEMU sees the size that was asked for", got == 0xFC00000C, hex(got))
    for width in (1, 2, 4, 8):
        value = 0x8877665544332211 & ((1 << 8 * width) - 1)
        q.write(BAR1 + 0x100, width, value)
        got = q.read(BAR1 + 0x100, width)
        check(f"{width} bytes of a mapped page", got == value, got)
    data = bytes(range(256)) * 64
    q.write_bytes(BAR1 + 0x20000, data)
    check("the device has what was written there", dma_from_device(q, 0x20000, len(data)) == data)
    check("none of that came by", b.region("BAR1")["writes"] == 0 and b.region("BAR1")["reads"] == 0, b.region("BAR1"))
    before = q.read(BAR0 + 0x40, 8)
    for i in range(100):
        q.write(BAR0 + 0x40, 4, i)
    check("registers are trapped, each write once", q.read(BAR0 + 0x40, 8) == before + 100)
    check("with a page mapped QEMU posts no write at all", b.settled()["posted"] == 0, b.status()["posted"])
    q.close()
    b.end()


def ruled():
    rules = f"{folder}/rules"
    with open(rules, "w", encoding="utf-8") as f:
        f.write("bar1 0x0+0x1000 log\nbar0 0x40+8 deny 0\n")
    b = Bridge("--mode", "map", "--policy", rules)
    q = begin()
    q.write(BAR1 + 0x10, 4, 1)
    q.write(BAR1 + 0x1010, 4, 2)
    check("a rule's page comes by, the next does not", b.counts("BAR1", logged=1, writes=1), b.region("BAR1"))
    check("and both are memory", (q.read(BAR1 + 0x10, 4), q.read(BAR1 + 0x1010, 4)) == (1, 2))
    q.write(BAR0 + 0x40, 4, 1)
    check("what is denied is", q.read(BAR0 + 0x40, 8) == 0 and b.counts("BAR0", denied=2), b.region("BAR0"))
    q.close()
    b.end()


def lose(q):
    q.write(BAR0 + 0xFF0, 4, 1)
    check("a lost device reads all-ones", q.read(BAR0, 4) == 0xFFFFFFFF and q.read(BAR0 + 8, 8) == (1 << 64) - 1)


def unplugged():
    b = Bridge("--qmp", f"{folder}/qmp", "--mode", "hybrid")
    q = begin("-qmp", f"unix:{INSIDE}/qmp,server=on,wait=off")
    check("MSI-X is hidden, for QEMU's sake", 0x11 not in capabilities(q) and 0x05 in capabilities(q), capabilities(q))
    q.write(BAR1, 4, 1)
    lose(q)
    b.says("has been asked to unplug /machine/peripheral/gpu0")
    q.ask("outl 0xae10 0")
    q.ask(f"outl 0xae08 {1 << SLOT:#x}")  # the guest's firmware ejects the slot
    b.says("the guest has let go of the lost device: /machine/peripheral/gpu0 is unplugged")
    until = time.monotonic() + LIMIT
    while b.status()["client_pid"] and time.monotonic() < until:
        time.sleep(0.05)
    check("the device is out of its guest", b.status()["client_pid"] is None and b.status()["state"] == "LOST", b.status())
    check("the machine lives on", q.p.poll() is None and q.config(0) == 0xFFFFFFFF, q.said())
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"{folder}/qmp")
    monitor = Monitor(s, time.monotonic() + LIMIT)
    got = monitor.execute("device_add", {"driver": "vfio-user-pci", "id": "gpu1", "addr": f"{SLOT:#x}",
                                         "socket": {"path": f"{INSIDE}/s", "type": "unix"}})
    check("another one can be plugged", "return" in got, got)
    place(q)
    check("it is a new generation", b.status()["generation"] == 2 and q.read(BAR0 + 4, 4) == 1, b.status())
    s.close()
    q.close()
    b.end()


def kept():
    b = Bridge("--qmp", f"{folder}/qmp", "--msix", "show")
    q = begin("-qmp", f"unix:{INSIDE}/qmp,server=on,wait=off")
    check("MSI-X can be shown", 0x11 in capabilities(q), capabilities(q))
    lose(q)
    b.says("would abort at the unplug")
    check("and the machine lives on, with the dead device", q.p.poll() is None and q.read(BAR0, 4) == 0xFFFFFFFF, q.said())
    q.close()
    b.end()


mapped()
ruled()
unplugged()
subprocess.run(["rm", "-f", f"{folder}/qmp"], check=True)
kept()
sys.exit(1 if failures else 0)
