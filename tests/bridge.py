# SPDX-License-Identifier: MIT
"""Clients of `berth bridge serve`, good ones and bad ones: bridge.py BERTH FOLDER DEVICES. Prints "ok NAME" for each."""
import binascii
import errno
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vfiouser as vu
from vfiouser import BAR0, CONFIG, MSI, MSIX, ROM, VGA, Client, Gone, Refused

berth, folder, devices = sys.argv[1:4]
TIMEOUT = 120


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


class Bridge:
    """A server that has come up; it must end by itself with exit code `ends`."""

    def __init__(self, device="gpu.json", name="s", *words, ends=0):
        self.path = f"{folder}/{name}"
        self.log = f"{folder}/{name}.log"
        self.ends = ends
        with open(self.log, "w") as log:
            device = device if "/" in device else f"{devices}/{device}"
            self.p = subprocess.Popen([berth, "bridge", "serve", device, "--socket", self.path, "-v", *words],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for("waits for a client")

    def wait_for(self, text):
        until = time.monotonic() + TIMEOUT
        while text not in open(self.log).read():
            assert self.p.poll() is None or text in open(self.log).read(), open(self.log).read()
            assert time.monotonic() < until, f"no '{text}' in: {open(self.log).read()}"
            time.sleep(0.01)

    def processes(self):
        """What the server has started, by what they are."""
        names = {"bridge-holder": "holder", "bridge-fetcher": "fetcher"}
        found = {"holder": [], "fetcher": [], "worker": []}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    state, parent = f.read().rsplit(") ", 1)[1].split()[:2]
                with open(f"/proc/{pid}/cmdline") as f:
                    worker = f.read().split("\0")[0] == "berth-bridge-worker"
                with open(f"/proc/{pid}/comm") as f:
                    name = "worker" if worker else names.get(f.read().strip())
            except OSError:
                continue
            if int(parent) == self.p.pid and state != "Z" and name:
                found[name].append(int(pid))
        return found

    def fetcher(self):
        """Who has opened the device, once it has no rights any more, as the only one."""
        until = time.monotonic() + TIMEOUT
        while True:
            found = self.processes()["fetcher"]
            if len(found) == 1 and facts(found[0])["NoNewPrivs"] == ["1"]:
                return found[0]
            assert time.monotonic() < until, found
            time.sleep(0.01)

    def kill(self):
        """All that it has started dies with it, in a moment."""
        started = [pid for pids in self.processes().values() for pid in pids]
        self.p.kill()
        self.p.wait()
        until = time.monotonic() + TIMEOUT
        while any(lives(pid) for pid in started):
            assert time.monotonic() < until, "something of it is left"
            time.sleep(0.01)

    def fds(self, want=None):
        """Descriptors of the holder, while nobody comes or goes: as many as are wanted, or as there are for a while."""
        until, since, last = time.monotonic() + TIMEOUT, time.monotonic(), None
        while True:
            now = self.processes()
            n = len(os.listdir(f"/proc/{now['holder'][0]}/fd")) if len(now["holder"]) == 1 else None
            if (n, now) != last:
                last, since = (n, now), time.monotonic()
            settled = n is not None and len(now["worker"]) == 2 and time.monotonic() - since > 0.5
            if n == want if want is not None else settled:
                return n
            if time.monotonic() > until:
                return n
            time.sleep(0.02)

    def status(self):
        """A page that is being written for as long as somebody looks, as on a busy machine, is left out: look again."""
        until = time.monotonic() + TIMEOUT
        while True:
            p = subprocess.run([berth, "bridge", "status", "--json"], check=True, capture_output=True)
            with open(f"{folder}/status.json", "wb") as f:
                f.write(p.stdout)
            for b in json.loads(p.stdout)["bridges"]:
                if b["socket"] == self.path:
                    return b
            assert time.monotonic() < until, f"it is not listed: {p.stderr}"

    def status_when(self, true):
        until = time.monotonic() + TIMEOUT
        while not true(self.status()):
            assert time.monotonic() < until, self.status()
            time.sleep(0.02)
        return self.status()

    def client(self, **words):
        """A new one, once the last has been let go."""
        self.status_when(lambda s: s["client_pid"] is None)
        return Client(self.path, **words)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.p.kill()
            self.p.wait()
            print(open(self.log).read())
            return
        if self.p.poll() is None and self.ends == 0:
            self.p.send_signal(signal.SIGTERM)
        assert self.p.wait(TIMEOUT) == self.ends, (self.p.returncode, open(self.log).read())
        assert not os.path.exists(self.path), "the socket is left"


def refused(number, what, *args, **words):
    try:
        what(*args, **words)
    except Refused as r:
        assert r.errno == number, (r.errno, number)
        return
    raise AssertionError("it was not refused")


def hung_up(c):
    """The server closes; what it may have said before is passed over."""
    try:
        while True:
            c.take(1)
    except Gone:
        c.close()


def ok(name):
    print(f"ok {name}", flush=True)


def descriptions(b):
    c = b.client()
    assert c.capabilities["max_msg_fds"] == 16 and c.capabilities["write_multiple"] is True
    flags, regions, irqs = c.info()
    assert (flags & 3, regions, irqs) == (3, 9, 5)
    sizes = [c.region(i)[0] for i in range(9)]
    assert sizes == [16 << 20, 256 << 20, 0, 64 << 10, 0, 128, 64 << 10, 4096, 0], sizes
    assert [c.map_region(i) and c.map_region(i)[0] for i in range(9)] == [
        None, [(0, 256 << 20)], None, [(0x1000, 0x7000), (0x9000, 0x7000)], None, None, None, None, None]
    assert c.irq(MSIX) == 9 and c.irq(vu.ERR) == 0
    refused(errno.EINVAL, c.region, 9)
    refused(errno.EINVAL, c.irq, 5)
    refused(errno.ENOTTY, c.ask, vu.FEATURE, struct.pack("=II", 8, 0x10000))
    refused(errno.EOPNOTSUPP, c.ask, vu.REGION_IO_FDS, struct.pack("=IIII", 16, 0, 0, 0))
    refused(errno.EOPNOTSUPP, c.ask, 4711)
    c.close()
    ok("a device is told")
    c = b.client(hello=False)
    c.hello(capabilities={})  # a small request has a small answer
    assert "max_dma_maps" not in c.capabilities
    c.close()
    ok("no reply is larger than its request")


def accesses(b):
    c = b.client()
    seed = 0x8877665544332211
    for width, at in ((1, 0x20), (2, 0x22), (4, 0x24), (8, 0x28)):
        value = seed & ((1 << 8 * width) - 1)
        c.write(BAR0, at, width, value)
        assert c.read(BAR0, at, width) == value
    assert c.read(BAR0, 0x24, 4) == 0x44332211, "another width left it alone"
    ok("every width reads and writes")
    for at in (0, 4, 8, 0x28):
        try:
            c.read(BAR0, at, 3)
        except Refused as r:
            assert r.errno == errno.EINVAL
    for region, at, count in ((BAR0, 2, 4), (BAR0, 4, 8), (BAR0, 0, 16), (BAR0, 16 << 20, 1), (2, 0, 4), (VGA, 0, 1),
                              (5, 0, 8), (9, 0, 4), (1 << 31, 0, 4), (BAR0, (1 << 64) - 4, 4), (CONFIG, 4096, 1)):
        refused(errno.EINVAL, c.read_bytes, region, at, count)
    refused(errno.EINVAL, c.write, ROM, 0, 4, 0)
    ok("what is no access is refused")
    before = c.read(BAR0, 0x40, 8)
    for i in range(500):
        c.write(BAR0, 0x40, 8, i, posted=i % 2 == 0)
    assert c.read(BAR0, 0x40, 8) == before + 500
    ok("posted writes all arrive, in their order")
    total = c.read(BAR0, 0x48, 8)
    assert c.multi([(BAR0, 0x48, 8, i) for i in range(100)]) == 100
    c.multi([(BAR0, 0x48, 8, i) for i in range(100)], posted=True)
    assert c.read(BAR0, 0x48, 8) == total + 2 * 4950
    assert c.multi([(BAR0, 0x24, 4, 1), (BAR0, 0x25, 4, 2), (BAR0, 0x24, 4, 3)]) == 1
    assert c.read(BAR0, 0x24, 4) == 1
    ok("WRITE_MULTI")
    rom = c.read_bytes(ROM, 0, 64 << 10)
    assert len(rom) == 64 << 10 and rom[:2] == b"\x55\xaa"
    ok("a ROM in one piece")
    c.close()


def config(b):
    c = b.client()
    space = c.read_bytes(CONFIG, 0, 4096)
    assert struct.unpack_from("<HH", space) == (0x1234, 0xBE47)
    for bar, mask in ((0, 0xFF000000), (1, 0xF000000C), (2, 0xFFFFFFFF), (5, 0xFFFFFF81)):
        c.write(CONFIG, 0x10 + 4 * bar, 4, 0xFFFFFFFF)
        assert c.read(CONFIG, 0x10 + 4 * bar, 4) == mask, (bar, hex(c.read(CONFIG, 0x10 + 4 * bar, 4)))
        c.write(CONFIG, 0x10 + 4 * bar, 4, 0)
    c.write(CONFIG, 0, 4, 0xDEADBEEF)
    assert c.read(CONFIG, 0, 2) == 0x1234
    shown, at = [], 0x100
    while at:
        header = int.from_bytes(space[at : at + 4], "little")
        shown.append(header & 0xFFFF)
        at = header >> 20
    assert 0x0F not in shown and 0x15 in shown, shown  # ATS is hidden, Resizable BAR shown
    ok("configuration space is shaped")
    for at, width in ((0, 1), (1, 1), (2, 2), (4, 4), (0x34, 1), (0xFC, 4), (0xFFC, 4), (1, 2), (3, 4)):
        assert c.read_bytes(CONFIG, at, width) == c.read_bytes(CONFIG, 0, 4096)[at : at + width]
    ok("configuration space in every width")
    c.write(CONFIG, 4, 2, 0x406)
    c.close()
    c = b.client()
    assert c.read(CONFIG, 4, 2) & 4 == 0
    ok("no bus mastering without a client")
    c.close()


def wait_event(fd):
    assert select.select([fd], [], [], TIMEOUT)[0], "no interrupt"
    return os.eventfd_read(fd)


def copy(c, source, destination, length, command):
    for at, value in ((0x1000, source), (0x1008, destination), (0x1010, length)):
        c.write(BAR0, at, 8, value)
    c.write(BAR0, 0x1018, 4, command)


def dma(b):
    c = b.client()
    fd, memory = vu.memory(1 << 20)
    data = os.urandom(300000)
    memory[4096 : 4096 + len(data)] = data
    c.map(0x100000, 1 << 20, fd)
    os.close(fd)
    events = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(9)]
    c.irqs(MSIX, 0, events[:4])
    c.irqs(MSIX, 4, events[4:])  # in blocks, as QEMU sends them
    for e in events:
        os.eventfd_write(e, 1)  # ours are kept by the server as descriptors of its own
        os.eventfd_read(e)
    c.write(CONFIG, 4, 2, 6)
    c.write(CONFIG, msix(c) + 2, 2, 0x8000)
    copy(c, 0x101000, 0, len(data), 1 | 4)
    wait_event(events[1])
    assert c.read(BAR0, 0x1020, 4) == binascii.crc32(data)
    ok("DMA from a client's memory, its checksum, its MSI-X")
    assert c.read(BAR0, 0x100, 4) & 0x100
    c.write(BAR0, 0x100, 4, 0x100)
    copy(c, 0, 0x180000, len(data), 1 | 2 | 4)
    wait_event(events[1])
    assert memory[0x80000 : 0x80000 + len(data)] == data
    ok("DMA to a client's memory")
    for vector in (0, 8):
        c.write(BAR0, 0x108, 4, vector)
        c.write(BAR0, 0x104, 4, 1)
        wait_event(events[vector])
    ok("each vector goes to its descriptor")
    refused(errno.EEXIST, c.map, 0x100000, 0x1000)
    refused(errno.EINVAL, c.unmap, 0x100000, 0x1000)
    c.unmap(0x900000, 0x1000)
    assert b.status_when(lambda s: s["dma_maps"] == 1)["dma_bytes"] == 1 << 20
    c.unmap(0x100000, 1 << 20)
    pipe = os.pipe()
    c.map(0x100000, 0x100000, pipe[0])  # is no memory, so it is not read
    os.close(pipe[0])
    os.close(pipe[1])
    c.memory[0x100000] = bytearray(data[:0x100000].ljust(0x100000, b"\0"))
    copy(c, 0x100000, 0, 200000, 1)
    until = time.monotonic() + TIMEOUT
    while c.read(BAR0, 0x1018, 4) & 1:
        assert time.monotonic() < until
    assert c.read(BAR0, 0x1020, 4) == binascii.crc32(data[:200000])
    ok("DMA by message")
    c.unmap(0, 0, everything=True)
    assert b.status_when(lambda s: s["dma_maps"] == 0)["dma_bytes"] == 0
    c.irqs(MSIX, 0, [])
    c.close()
    for e in events:
        os.close(e)
    ok("unmap of everything, interrupts down")


def msix(c):
    space = c.read_bytes(CONFIG, 0, 256)
    at = space[0x34]
    while at:
        if space[at] == 0x11:
            return at
        at = space[at + 1]
    return None


def strange(b):
    """Whatever a client does, the next one is served, and nothing is left of it."""
    b.client().close()
    b.status_when(lambda s: s["client_pid"] is None)
    fds = b.fds()
    good = Client(b.path)
    second = Client(b.path, hello=False)
    hung_up(second)
    good.read(BAR0, 0, 4)
    ok("a second client is refused, the first goes on")
    good.close()

    c = b.client(hello=False)
    refused(errno.EINVAL, c.info)
    hung_up(c)
    ok("no version, no service")
    c = b.client(hello=False)
    refused(errno.EINVAL, c.hello, 1, 0)
    hung_up(c)
    ok("another version is refused")

    c = b.client()
    whole = c.message(vu.REGION_READ, struct.pack("=QII", 0, BAR0, 4))
    for i in range(len(whole)):
        c.send_bytes(whole[i : i + 1])
    assert len(c.reply(c.id, vu.REGION_READ)) == 20
    many = b"".join(c.message(vu.REGION_READ, struct.pack("=QII", 0, BAR0, 4)) for _ in range(300))
    c.send_bytes(many)
    for i in range(300):
        assert c.take_message()[0] == c.id - 299 + i
    ok("cut and glued messages")
    c.send_bytes(c.message(vu.REGION_READ, struct.pack("=QII", 0, BAR0, 4))[:20])
    hung_up(c)
    ok("half a message, and no more")
    for garbage in (os.urandom(4096), b"\0" * 64, struct.pack("=HHIII", 1, 9, 8, 0, 0),
                    struct.pack("=HHIII", 1, 9, 0xFFFFFFFF, 0, 0)):
        c = b.client(hello=False)
        try:
            c.send_bytes(garbage)
        except ConnectionError:
            pass
        hung_up(c)
    ok("garbage")
    c = b.client()
    pipes = [os.pipe() for _ in range(8)]
    for n in (1, 16):
        try:
            c.send_bytes(c.message(vu.REGION_READ, struct.pack("=QII", 0, BAR0, 4)), [p[i] for p in pipes for i in (0, 1)][:n])
            c.reply(c.id, vu.REGION_READ)
        except Refused as r:
            assert r.errno == errno.EINVAL
    refused(errno.EINVAL, c.ask, vu.SET_IRQS, struct.pack("=IIIII", 20, 0x24, MSIX, 0, 3), [pipes[0][0]])
    c.close()
    c = b.client()
    try:
        c.ask(vu.REGION_READ, struct.pack("=QII", 0, BAR0, 4), [pipes[0][0]] * 40)
    except (Refused, Gone, ConnectionError):
        pass
    c.close()
    for p in pipes:
        os.close(p[0])
        os.close(p[1])
    ok("descriptors that nobody wants")
    c = b.client()
    for command in range(20):
        for size in (0, 1, 15, 16, 31, 32, 33):
            for flags in (0, vu.NO_REPLY, vu.REPLY):
                c.send_bytes(c.message(command, os.urandom(size), flags))
    c.read(BAR0, 0, 4) if drain(c) else None
    c.close()
    ok("random bodies")
    s = b.status_when(lambda s: s["client_pid"] is None)
    assert s["refused_messages"] > 100 and s["state"] == "waiting"
    assert b.fds(fds) == fds, (b.fds(), fds)
    ok("nothing is left of them")


def drain(c):
    """Pass over what is still to come; False: the server has hung up."""
    c.send_bytes(c.message(vu.VERSION, b"\0\0\0\0"))
    try:
        while c.take_message()[:2] != (c.id, vu.VERSION):
            pass
    except Gone:
        return False
    return True


def killed(b):
    fd, memory = vu.memory(1 << 16)
    pid = os.fork()
    if pid == 0:
        c = Client(b.path)
        c.map(0, 1 << 16, fd)
        c.irqs(MSIX, 0, [os.eventfd(0)])
        c.write(CONFIG, 4, 2, 6)
        while True:
            c.write(BAR0, 0x40, 8, 1, posted=True)
            c.read(BAR0, 0, 4)
    b.status_when(lambda s: s["client_pid"] == pid and s["dma_maps"] == 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    s = b.status_when(lambda s: s["client_pid"] is None)
    assert s["dma_maps"] == 0 and s["state"] == "waiting"
    c = b.client()
    assert c.read(CONFIG, 4, 2) & 4 == 0
    c.close()
    ok("a client that is killed")


def rules():
    path = f"{folder}/rules"
    with open(path, "w") as f:
        f.write("bar0 0x40+8 deny 0\nbar0 0x24+4 mask 0xff\nbar0 0x28+8 log\n")
    with Bridge("gpu.json", "rules.s", "--policy", path, "--guest", "win11", "--mode", "trap") as b:
        c = Client(b.path)
        c.write(BAR0, 0x40, 8, 1)
        assert c.read(BAR0, 0x40, 8) == 0
        c.write(BAR0, 0x24, 4, 0x11223344)
        assert c.read(BAR0, 0x24, 4) == 0x44
        c.write(BAR0, 0x28, 8, 7)
        b.wait_for("write of 8 bytes at 0x28 of BAR0")
        b.wait_for("the rule of line 1 denies a write of 8 bytes at 0x40 of BAR0")
        s = b.status_when(lambda s: s["denied"] == 2 and s["logged"] == 1)
        assert s["guest"] == "win11" and s["mode"] == "trap" and s["backend"] == "memory"
        ok("rules hold")
        with open(path, "w") as f:
            f.write("bar0 0x40+8 zork\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("the rules from before stay in force")
        assert c.read(BAR0, 0x40, 8) == 0
        os.unlink(path)
        os.mkfifo(path)
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("is a pipe, which cannot be read anew; give a file; the rules from before stay in force")
        assert c.read(BAR0, 0x40, 8) == 0
        os.unlink(path)
        with open(path, "w") as f:
            f.write("bar0 0x40+8 deny 0xab\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("1 rules are in force")
        assert c.read(BAR0, 0x40, 8) == 0xABABABABABABABAB
        c.close()
        ok("rules are read anew")


def maps():
    path = f"{folder}/maps"
    with open(path, "w") as f:
        f.write("bar1 0x100000+0x2000 map\nbar3 all map\n")
    with Bridge("gpu.json", "maps.s", "--policy", path, "--bar", "1=64M") as b:
        c = Client(b.path)
        assert c.region(1)[0] == 64 << 20
        assert c.map_region(0) is None
        areas, view = c.map_region(1)
        assert areas == [(0x100000, 0x2000)]
        view[0x100000:0x100008] = b"mapped!!"
        assert c.read_bytes(1, 0x100000, 8) == b"mapped!!"
        c.write(1, 0x100ff8, 8, 0x1122334455667788)
        assert view[0x100ff8:0x101000] == bytes.fromhex("8877665544332211")
        assert c.map_region(3)[0] == [(0x1000, 0x7000), (0x9000, 0x7000)], "never the table of MSI-X"
        s = b.status_when(lambda s: s["mode"] == "hybrid")
        assert [r["mapped_bytes"] for r in s["regions"]][:3] == [0, 0x2000, 0xE000], s["regions"]
        out = subprocess.run([berth, "bridge", "status"], check=True, capture_output=True, text=True).stdout
        assert "  mapped      8.0 KiB of BAR1, 56.0 KiB of BAR3; what is done there is not counted\n" in out, out
        ok("chosen pages are mapped")
        refused(errno.EINVAL, c.read_bytes, 1, 64 << 20, 4)
        c.write(CONFIG, 0x14, 4, 0xFFFFFFFF)
        assert c.read(CONFIG, 0x14, 4) == 0xFC00000C
        c.write(CONFIG, 0x14, 4, 0)
        ok("a BAR is shown smaller")
        with open(path, "w") as f:
            f.write("bar1 0x100000+0x4000 map\nbar3 all map\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("other pages of bar1 would be mapped, and the guest has mapped those it was given; unplug")
        with open(path, "w") as f:
            f.write("bar1 0x100000+0x2000 map\nbar3 all map\nbar0 0x24+4 deny 1\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("3 rules are in force")
        assert c.read(BAR0, 0x24, 4) == 0x01010101
        ok("what is mapped stays, other rules change")
        view.close()
        c.close()
        b.status_when(lambda s: s["client_pid"] is None)
        with open(path, "w") as f:
            f.write("bar0 0x0+0x10 deny\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("1 rules are in force")
        c = b.client()
        assert c.map_region(1)[0] == [(0, 64 << 20)]
        c.close()
        ok("the next guest has the new maps")


def gone():
    with Bridge("gpu.json", "gone.s", "--once", ends=6) as b:
        c = Client(b.path)
        c.info()
        fd, _ = vu.memory(1 << 16)
        c.map(0, 1 << 16, fd)
        c.write(BAR0, 0xFF0, 4, 1)  # the fault register: gone
        assert c.read(BAR0, 0, 8) == (1 << 64) - 1
        assert c.read(CONFIG, 0, 4) == 0xFFFFFFFF
        c.write(BAR0, 0x24, 4, 1)
        c.write(CONFIG, 4, 2, 6)
        c.map(1 << 20, 1 << 16, fd)
        c.unmap(0, 1 << 16)
        c.irqs(MSIX, 0, [os.eventfd(0)])
        c.irqs(MSIX, 0, [])
        refused(errno.ENODEV, c.reset)
        assert b.status_when(lambda s: s["state"] == "LOST")["trouble"]
        assert open(b.log).read().count("is lost") == 1
        c.close()
    ok("a device that goes")
    with Bridge("gpu.json", "back.s") as b:
        c = Client(b.path)
        c.write(BAR0, 0xFF0, 4, 1)
        c.close()
        c = b.client()
        assert c.read(CONFIG, 0, 2) == 0x1234
        assert b.status_when(lambda s: s["client_pid"])["generation"] == 2
        c.close()
    ok("a device that comes back is another")


class Monitor(threading.Thread):
    """QEMU's, with a vfio-user-pci device "gpu0" at that socket; `deleted`: the guest lets go of it."""

    def __init__(self, path, device, deleted):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.device, self.deleted, self.asked = device, deleted, []
        self.start()

    def answer(self, ask):
        path = ask.get("arguments", {}).get("path")
        if path == "/machine/peripheral":
            return [{"name": "gpu0", "type": "child<vfio-user-pci>"}]
        if path == "/machine/peripheral/gpu0":
            coded = self.device.replace("/", "\\x2f")
            return [{"name": f"vfio-user:{coded} base BAR 0[0]", "type": "child<memory-region>"}]
        return [] if path else {}

    def run(self):
        f = self.listener.accept()[0].makefile("rw")

        def tell(o):
            f.write(json.dumps(o) + "\n")
            f.flush()

        tell({"QMP": {"version": {"qemu": {"major": 11, "minor": 1, "micro": 3}}, "capabilities": []}})
        for line in f:
            ask = json.loads(line)
            self.asked.append(ask["execute"])
            tell({"return": self.answer(ask)})
            if ask["execute"] == "device_del":
                tell({"event": "DEVICE_DELETED" if self.deleted else "DEVICE_UNPLUG_GUEST_ERROR",
                      "data": {"path": "/machine/peripheral/gpu0"}})


def unplugs():
    keeps = "the lost device is not unplugged, and reads all-ones in its guest"
    with Bridge("gpu.json", "unplug.s", "--qmp", f"{folder}/qmp") as b:
        for name, monitor, says in (("nobody", None, f"{keeps}: the monitor at {folder}/qmp: No such file"),
                                    ("good", (b.path, True), "the guest has let go of the lost device: /machine/peripheral/gpu0"),
                                    ("refuses", (b.path, False), "the guest refuses to let go"),
                                    ("other", (f"{folder}/zork", True), f"no vfio-user-pci device at {b.path}")):
            m = monitor and Monitor(f"{folder}/qmp", *monitor)
            c = b.client()
            assert c.irq(MSIX) == 0 and msix(c) is None, "it would be QEMU's end"
            c.write(BAR0, 0xFF0, 4, 1)
            assert c.read(BAR0, 0, 4) == 0xFFFFFFFF
            b.wait_for(says)
            assert c.read(BAR0, 0, 4) == 0xFFFFFFFF
            c.close()
            if m:
                assert ("device_del" in m.asked) == (name != "other"), m.asked
                m.listener.close()
                os.unlink(f"{folder}/qmp")
            ok(f"a monitor is asked: {name}")
    with Bridge("gpu.json", "shown.s", "--qmp", f"{folder}/qmp", "--msix", "show") as b:
        m = Monitor(f"{folder}/qmp", b.path, True)
        c = b.client()
        assert c.irq(MSIX) == 9 and msix(c)
        c.write(BAR0, 0xFF0, 4, 1)
        b.wait_for("QEMU 11.1.3 would abort at the unplug")
        assert "device_del" not in m.asked
        c.close()
        ok("nobody is asked to abort")
    os.makedirs(f"{folder}/bin")
    with open(f"{folder}/bin/virsh", "w") as f:
        f.write("""#!/bin/sh
[ "$1 $2 $3 $4" = "-q qemu-monitor-command -- win11" ] || { echo "error: failed to get domain '$4'" >&2; exit 1; }
echo "$5" >>"${0%/*}/asked"
case $5 in
*'"/machine/peripheral"'*) echo '{"return":[{"name":"gpu0","type":"child<vfio-user-pci>"}],"id":"libvirt-1"}' ;;
*qom-list*) echo '{"return":[],"id":"libvirt-2"}' ;;
*) echo '{"return":{},"id":"libvirt-3"}' ;;
esac
""")
    os.chmod(f"{folder}/bin/virsh", 0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}/bin:{path}"
    for domain, says in (("win11", "libvirt has been asked to unplug /machine/peripheral/gpu0"),
                         ("win12", "virsh qemu-monitor-command win12: error: failed to get domain 'win12'")):
        with Bridge("gpu.json", "virsh.s", "--libvirt", domain) as b:
            c = Client(b.path)
            c.write(BAR0, 0xFF0, 4, 1)
            b.wait_for(says)
            c.close()
    os.environ["PATH"] = path
    assert '{"execute":"device_del","arguments":{"id":"gpu0"}}' in open(f"{folder}/bin/asked").read()
    ok("libvirt is asked")
    # The real virsh takes the same words. Its driver for tests has a domain "test", and no QEMU behind it.
    os.environ.update(LIBVIRT_DEFAULT_URI="test:///default", XDG_CACHE_HOME=f"{folder}/home", XDG_CONFIG_HOME=f"{folder}/home")
    for domain, says in (("test", "error: this function is not supported by the connection driver"), ("-x", "error: failed to get domain '-x'")):
        with Bridge("gpu.json", "real.s", "--libvirt", domain) as b:
            c = Client(b.path)
            c.write(BAR0, 0xFF0, 4, 1)
            b.wait_for(f"virsh qemu-monitor-command {domain}: {says}")
            c.close()
    ok("libvirt's own virsh takes what it is told")


def facts(pid):
    """What a process is allowed: /proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status") as f:
        return {k: v.split() for k, v in (line.split(":", 1) for line in f)}


def privileges():
    """Who meets a client's bytes has no rights; where root serves it is not root, unless it is told to be."""
    root = os.geteuid() == 0
    for words in ((), ("--user", "root")) if root else ((),):
        with Bridge("gpu.json", "rights.s", *words) as b:
            c = Client(b.path)
            c.write(BAR0, 0xFF0, 4, 1)  # gone: the next one's device is opened anew
            c.close()
            c = b.client()
            own = facts(b.p.pid)["Uid"][1:2]
            fetcher = b.fetcher()
            for pid in [p for some in b.processes().values() for p in some]:
                f = facts(pid)
                assert f["NoNewPrivs"] == ["1"] and (f["Uid"][1:2] == own) == (not root or bool(words)), f
                assert len(set(f["Uid"])) == 1 and len(set(f["Gid"])) == 1, f
                for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    assert int(f[name][0], 16) == 0, (name, f)
                assert not (root and not words) or not f["Groups"], f
            c.reset()
            os.kill(fetcher, signal.SIGKILL)
            while fetcher in b.processes()["fetcher"]:
                time.sleep(0.01)
            c.reset()
            assert b.status()["state"] == "running"
            c.close()
    ok("those that clients talk to have no rights, and one of them can be done without")
    if root:
        with Bridge("edu.json", "owned.s", "--socket-owner", "nobody:0") as b:
            st = os.stat(b.path)
            assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (65534, 0, 0o660), st
        ok("a socket that is another's")


def sockets():
    with Bridge("edu.json", "busy.s") as b:
        again = subprocess.run([berth, "bridge", "serve", f"{devices}/edu.json", "--socket", b.path],
                               capture_output=True, text=True)
        assert again.returncode == 5 and "in use" in again.stderr and again.stderr.count("\n") == 1, again
        assert b.status()["clients"] == 0, "who wanted its place was no client"
        Client(b.path).close()
        ok("a socket that is in use")
        assert os.stat(b.path).st_mode & 0o777 == 0o600
        b.kill()
        dead = b.status()
        assert dead["state"] == "DEAD" and dead["writer_alive"] is False
        ok("a bridge that was killed")
        with Bridge("edu.json", "busy.s") as second:
            Client(second.path).close()
            pages = [f for f in os.listdir(os.environ["BERTH_RUNTIME_DIR"]) if f.endswith(".telem")]
            assert len(pages) == 1, pages
        ok("takes its place over")
        b.ends = -9
    with Bridge("edu.json", "once.s", "--once") as b:
        Client(b.path).close()
        assert b.p.wait(TIMEOUT) == 0
    ok("once")


with Bridge() as bridge:
    descriptions(bridge)
    accesses(bridge)
    config(bridge)
    dma(bridge)
    strange(bridge)
    killed(bridge)
rules()
maps()
gone()
unplugs()
privileges()
sockets()
