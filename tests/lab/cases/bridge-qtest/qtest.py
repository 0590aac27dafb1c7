# SPDX-License-Identifier: MIT
"""What a guest does to a served device, done by QEMU's qtest: qtest.py BERTH ROOT FOLDER DEVICES. Prints "ok NAME"."""
import binascii
import json
import os
import socket
import subprocess
import sys
import time

berth, root, folder, devices = sys.argv[1:5]
os.environ["BERTH_RUNTIME_DIR"] = f"{folder}/run"
BAR0 = 0xE0000000
CF8, CFC = 0xCF8, 0xCFC
SLOT = 4
failures = 0


def check(name, true, why=""):
    global failures
    failures += not true
    print(f"ok {name}" if true else f"FAIL {name}: {why}", flush=True)


def settled():
    """The page is at most a tenth of a second behind: what it says once it says the same for longer."""
    last, since = status(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        now = status()
        if now != last:
            last, since = now, time.monotonic()
    return last


def wait(true, what, process=None):
    until = time.monotonic() + 120
    while not true():
        if process and process.poll() is not None:
            sys.exit(f"FAIL {what}: it ended with {process.returncode}")
        if time.monotonic() > until:
            sys.exit(f"FAIL {what}: never")
        time.sleep(0.02)


class Qtest:
    """QEMU in its root, its test port at a socket."""

    def __init__(self, device, *more):
        inside = "/srv"
        subprocess.run(["mount", "--bind", folder, root + inside], check=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/qtest")
        listener.listen(1)
        self.log = open(f"{folder}/qemu.log", "w+")
        self.p = subprocess.Popen(
            ["chroot", root, "qemu-system-x86_64", "-display", "none", "-nodefaults", "-machine", "pc,memory-backend=m",
             "-object", "memory-backend-memfd,id=m,size=64M,share=on", "-accel", "qtest", "-qtest", f"unix:{inside}/qtest",
             "-device", json.dumps(device), *more], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        listener.settimeout(120)
        self.s = listener.accept()[0]
        self.s.settimeout(120)
        self.f = self.s.makefile("r")

    def ask(self, line):
        self.s.sendall(line.encode() + b"\n")
        while True:
            answer = self.f.readline().split()
            if not answer:
                self.log.seek(0)
                sys.exit(f"FAIL QEMU ended at '{line}': {self.log.read()}")
            if answer[0] != "IRQ":
                assert answer[0] == "OK", (line, answer)
                return int(answer[1], 0) if len(answer) > 1 and answer[1].startswith("0x") else None

    def read(self, address, width):
        return self.ask(f"read{ {1: 'b', 2: 'w', 4: 'l', 8: 'q'}[width] } {address:#x}")

    def write(self, address, width, value):
        self.ask(f"write{ {1: 'b', 2: 'w', 4: 'l', 8: 'q'}[width] } {address:#x} {value:#x}")

    def config(self, at, width=4, value=None):
        self.ask(f"outl {CF8:#x} {0x80000000 | SLOT << 11 | at & 0xFC:#x}")
        verb = {1: "b", 2: "w", 4: "l"}[width]
        port = CFC + at % 4
        if value is None:
            return self.ask(f"in{verb} {port:#x}")
        return self.ask(f"out{verb} {port:#x} {value:#x}")

    def close(self):
        self.s.close()
        self.p.terminate()
        self.p.wait(60)


def serve(device, *words):
    log = open(f"{folder}/bridge.log", "w")
    path = f"{folder}/s"
    p = subprocess.Popen([berth, "bridge", "serve", f"{devices}/{device}", "--socket", path, "-v", *words],
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait(lambda: os.path.exists(path) and "waits for" in open(log.name).read(), "the bridge comes up", p)
    return p


def status():
    out = subprocess.run([berth, "bridge", "status", "--json"], check=True, capture_output=True).stdout
    # Pages of others, dead ones among them, may lie in the folders that all look into.
    return next(b for b in json.loads(out)["bridges"] if b["socket"] == f"{folder}/s")


def begin(**more):
    device = {"driver": "vfio-user-pci", "socket": {"path": "/srv/s", "type": "unix"}, "addr": f"{SLOT:#x}",
              "x-msg-timeout": 60000, **more}
    q = Qtest(device)
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
    q.ask(f"write 0x100000 {len(data):#x} 0x{data.hex()}")
    q.write(BAR0 + 0x1000, 8, 0x100000)
    q.write(BAR0 + 0x1008, 8, 0)
    q.write(BAR0 + 0x1010, 8, len(data))
    q.write(BAR0 + 0x1018, 4, 1)
    wait(lambda: not q.read(BAR0 + 0x1018, 4) & 1, "DMA ends")
    got = q.read(BAR0 + 0x1020, 4)
    check("DMA of the guest's memory", got == binascii.crc32(data), hex(got))


def gone(q):
    q.write(BAR0 + 0xFF0, 4, 1)
    check("a device that is gone reads all-ones", q.read(BAR0, 4) == 0xFFFFFFFF and q.read(BAR0 + 8, 8) == (1 << 64) - 1)
    q.write(BAR0 + 0x24, 4, 1)
    check("QEMU lives on", q.p.poll() is None and q.ask("clock_step") is None)


bridge = serve("gpu.json")
q = begin()
check("QEMU takes the device", status()["client_pid"] is not None)
registers(q, "posted where QEMU posts")
check("QEMU posts writes of registers", settled()["posted"] >= 200, settled()["posted"])
config_space(q)
dma(q)
q.close()
subprocess.run(["umount", root + "/srv"], check=True)
os.unlink(f"{folder}/qtest")
wait(lambda: status()["client_pid"] is None, "QEMU goes")
check("QEMU leaves nothing mapped", status()["dma_maps"] == 0)
q = begin(**{"x-no-posted-writes": True})
posted = settled()["posted"]
registers(q, "none posted")
check("QEMU waits for each write", settled()["posted"] == posted, f"{posted} to {status()['posted']}")
gone(q)
q.close()
bridge.terminate()
check("the bridge ends", bridge.wait(60) == 0)
sys.exit(1 if failures else 0)
