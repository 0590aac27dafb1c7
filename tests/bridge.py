# SPDX-License-Identifier: MIT
"""Clients of `berth bridge serve`, good ones and bad ones: bridge.py BERTH FOLDER DEVICES. Prints "ok NAME" for each."""
import binascii
import errno
import os
import select
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vfiouser as vu
from bridge_up import TIMEOUT, Bridge, hung_up, msix, ok, refused
from vfiouser import BAR0, CONFIG, MSIX, ROM, VGA, Client, Gone, Refused


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


with Bridge() as bridge:
    descriptions(bridge)
    accesses(bridge)
    config(bridge)
    dma(bridge)
    strange(bridge)
    killed(bridge)
