# SPDX-License-Identifier: MIT
"""Does what a guest's driver would, to devices that `berth bridge serve` hands on: use.py DEVICE SOCKET. Prints results."""
import hashlib
import os
import select
import struct
import sys
import time

sys.path.insert(0, "/tests")
sys.dont_write_bytecode = True
from vfiouser import BAR0, CONFIG, DMA_MAP, ERR, INTX, MSI, MSIX, REQ, SET_IRQS, Client, Refused, memory  # noqa: E402

BASE = 0x100000  # where the client's memory is for the device
COMMAND, MEMORY_AND_MASTER = 4, 6


def check(name, true, why=""):
    print(f"ok {name}" if true else f"FAIL {name}: {why}", flush=True)


def same(name, got, wanted):
    check(name, got == wanted, f"{got!r}, not {wanted!r}")


def until(true, what):
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            sys.exit(f"FAIL {what}: never")
        time.sleep(0.01)


def told(fd, ms=60000):
    """How often it was signalled, once it was."""
    if not select.select([fd], [], [], ms / 1000)[0]:
        return 0
    return struct.unpack("=Q", os.read(fd, 8))[0]


def eventfds(n):
    return [os.eventfd(0, os.EFD_CLOEXEC) for _ in range(n)]


def capability(c, wanted):
    at = c.read(CONFIG, 0x34, 1)
    while at:
        if c.read(CONFIG, at, 1) == wanted:
            return at
        at = c.read(CONFIG, at + 1, 1)
    return 0


def begin(path, size):
    c = Client(path, timeout=120)
    fd, view = memory(size)
    c.map(BASE, size, fd)
    flags, regions, irqs = c.info()
    c.write(CONFIG, COMMAND, 2, MEMORY_AND_MASTER)
    return c, view


# --- edu: arithmetic, DMA, interrupts ---
FACTORIAL, STATUS, RAISE, ACK = 0x08, 0x20, 0x60, 0x64
SOURCE, TARGET, COUNT, DMA = 0x80, 0x88, 0x90, 0x98
BUFFER = 0x40000


def edu_dma(c, source, target, count, command):
    for at, value in ((SOURCE, source), (TARGET, target), (COUNT, count), (DMA, command)):
        c.write(BAR0, at, 8 if at != DMA else 4, value)


def edu(path):
    c, view = begin(path, 1 << 20)
    same("edu: its registers answer", c.read(BAR0, 0, 4), 0x010000ED)
    c.write(BAR0, 4, 4, 0x12345678)
    same("edu: what is written is inverted", c.read(BAR0, 4, 4), 0x12345678 ^ 0xFFFFFFFF)
    c.write(BAR0, FACTORIAL, 4, 10)
    until(lambda: not c.read(BAR0, STATUS, 4) & 1, "edu computes")
    same("edu: 10!", c.read(BAR0, FACTORIAL, 4), 3628800)

    c.write(BAR0, ACK, 4, 0xFFFFFFFF)  # it cannot be reset: as the last client left it
    intx = eventfds(1)
    c.irqs(INTX, 0, intx)
    c.write(BAR0, STATUS, 4, 0x80)
    c.write(BAR0, FACTORIAL, 4, 5)
    same("edu: INTx", told(intx[0]), 1)
    same("edu: 5!", c.read(BAR0, FACTORIAL, 4), 120)
    c.write(BAR0, ACK, 4, c.read(BAR0, 0x24, 4))
    c.write(BAR0, RAISE, 4, 2)
    check("edu: INTx masks itself", not select.select(intx, [], [], 0.5)[0], "it came again")
    c.ask(SET_IRQS, struct.pack("=IIIII", 20, 0x11, INTX, 0, 1))
    same("edu: and comes once it is unmasked", told(intx[0]), 1)
    c.write(BAR0, ACK, 4, 0xFFFFFFFF)
    resample = eventfds(1)
    c.ask(SET_IRQS, struct.pack("=IIIII", 20, 0x14, INTX, 0, 1), resample)
    c.write(BAR0, RAISE, 4, 4)
    os.eventfd_write(resample[0], 1)
    same("edu: or by a descriptor", told(intx[0]), 1)
    c.write(BAR0, ACK, 4, 0xFFFFFFFF)
    c.irqs(INTX, 0, [])

    msi = eventfds(1)
    c.irqs(MSI, 0, msi)
    data = os.urandom(4096)
    view[0:4096] = data
    edu_dma(c, BASE, BUFFER, 4096, 1 | 4)
    same("edu: MSI at the end of DMA", told(msi[0]), 1)
    c.write(BAR0, ACK, 4, 0x100)
    edu_dma(c, BUFFER, BASE + 0x8000, 4096, 1 | 2 | 4)
    same("edu: and back", told(msi[0]), 1)
    check("edu: DMA keeps every byte", view[0x8000:0x9000] == data)
    c.write(BAR0, ACK, 4, 0x100)

    c.unmap(BASE, 1 << 20)
    edu_dma(c, BUFFER, BASE + 0x8000, 4096, 1 | 2 | 4)
    view[0x8000:0x9000] = bytes(4096)
    told(msi[0])
    check("edu: unmapped memory is out of reach", view[0x8000:0x9000] == bytes(4096))
    try:
        c.map(BASE, 1 << 20, memory(4096)[0])
        check("edu: memory that is not there is refused", False, "it is mapped")
    except Refused as e:
        same("edu: memory that is not there is refused", e.errno, 14)
    c.close()


# --- nvme: queues in shared memory ---
ADMIN_SQ, ADMIN_CQ, IO_SQ, IO_CQ, DATA = 0, 0x1000, 0x2000, 0x3000, 0x10000


class Nvme:
    def __init__(self, c, view):
        self.c, self.view = c, view
        self.tails, self.heads, self.phase = [0, 0], [0, 0], [1, 1]
        self.fds = eventfds(2)

    def command(self, queue, opcode, nsid=0, data=0, words=()):
        tail = self.tails[queue]
        at = (ADMIN_SQ, IO_SQ)[queue] + 64 * tail
        words = list(words) + [0] * (6 - len(words))
        self.view[at:at + 64] = struct.pack("=IIQQQQ6I", opcode | tail << 16, nsid, 0, 0, data, 0, *words)
        self.tails[queue] = (tail + 1) % 16
        self.c.write(BAR0, 0x1000 + 8 * queue, 4, self.tails[queue])
        return self.answer(queue)

    def answer(self, queue):
        """Its status, once the interrupt has come."""
        if not told(self.fds[queue]):
            sys.exit(f"FAIL nvme: no interrupt of queue {queue}")
        at = (ADMIN_CQ, IO_CQ)[queue] + 16 * self.heads[queue]
        status = struct.unpack_from("=H", self.view, at + 14)[0]
        if status & 1 != self.phase[queue]:
            sys.exit(f"FAIL nvme: an interrupt of queue {queue} without an answer")
        self.heads[queue] = (self.heads[queue] + 1) % 16
        self.phase[queue] ^= not self.heads[queue]
        self.c.write(BAR0, 0x1004 + 8 * queue, 4, self.heads[queue])
        return status >> 1

    def start(self):
        c = self.c
        c.write(BAR0, 0x14, 4, 0)
        until(lambda: not c.read(BAR0, 0x1C, 4) & 1, "nvme stops")
        c.write(BAR0, 0x24, 4, 15 << 16 | 15)
        c.write(BAR0, 0x28, 8, BASE + ADMIN_SQ)
        c.write(BAR0, 0x30, 8, BASE + ADMIN_CQ)
        # One, then the other: a set that grows, which kernels before 6.5 take only as a whole.
        c.irqs(MSIX, 0, self.fds[:1])
        c.irqs(MSIX, 1, self.fds[1:])
        c.write(BAR0, 0x14, 4, 4 << 20 | 6 << 16 | 1)
        until(lambda: c.read(BAR0, 0x1C, 4) & 1, "nvme starts")

    def move(self, opcode, block):
        return self.command(1, opcode, 1, BASE + DATA, (block * 8, 0, 7))


def pattern(block):
    return hashlib.sha256(b"%d" % block).digest() * 128


def nvme(path):
    c, view = begin(path, 1 << 20)
    n = Nvme(c, view)
    check("nvme: a register of 8 bytes", c.read(BAR0, 0, 8) == c.read(BAR0, 0, 4) | c.read(BAR0, 4, 4) << 32)
    n.start()
    same("nvme: identify", n.command(0, 6, 0, BASE + DATA, (1,)), 0)
    same("nvme: its serial number", bytes(view[DATA + 4:DATA + 7]), b"lab")
    same("nvme: a queue of answers", n.command(0, 5, 0, BASE + IO_CQ, (15 << 16 | 1, 1 << 16 | 3)), 0)
    same("nvme: a queue of commands", n.command(0, 1, 0, BASE + IO_SQ, (15 << 16 | 1, 1 << 16 | 1)), 0)
    bad = 0
    for block in range(0, 2048, 64):
        view[DATA:DATA + 4096] = bytes(4096)
        wanted = (pattern(block), pattern(block ^ 1) if block >= 1024 else None)  # as here before
        bad += n.move(2, block) != 0 or view[DATA:DATA + 4096] not in wanted
    same("nvme: the disk reads as it was written", bad, 0)
    for block in range(1024, 2048):
        view[DATA:DATA + 4096] = pattern(block ^ 1)
        bad += n.move(1, block) != 0
    same("nvme: half of it is written anew", bad, 0)
    bad = n.command(1, 0, 1)
    same("nvme: and flushed", bad, 0)
    c.close()


# --- igb: many registers, a reset of its own ---
def igb(path):
    c, _ = begin(path, 4096)
    same("igb: ids", c.read(CONFIG, 0, 4), 0x10C98086)
    same("igb: its registers answer", c.read(BAR0, 0x5400, 4) & 0xFFFFFF, 0x005452)
    for i in range(64):
        c.write(BAR0, 0x5600 + 4 * i, 4, i * 0x01010101)
    same("igb: a table of registers", [c.read(BAR0, 0x5600 + 4 * i, 4) for i in range(64)], [i * 0x01010101 for i in range(64)])
    check("igb: SR-IOV is hidden", all(c.read(CONFIG, at, 2) != 0x10 for at in extended(c)))
    c.reset()
    c.write(CONFIG, COMMAND, 2, MEMORY_AND_MASTER)
    same("igb: a reset clears it", [c.read(BAR0, 0x5600 + 4 * i, 4) for i in range(4)], [0] * 4)
    c.irqs(MSIX, 0, eventfds(10))
    c.irqs(MSIX, 0, [])
    # As QEMU has it while no vector is used: up without a descriptor. Other kinds work once it is down.
    c.ask(SET_IRQS, struct.pack("=IIIII", 20, 0x24, MSIX, 0, 1))
    c.irqs(MSIX, 0, [])
    same("igb: INTx after MSI-X without descriptors", refused(lambda: c.irqs(INTX, 0, eventfds(1))), 0)
    c.irqs(INTX, 0, [])
    c.close()


def extended(c):
    at = 0x100
    while at:
        yield at
        at = c.read(CONFIG, at + 2, 2) >> 4


# --- a device that goes ---
def gone(path):
    """Reads until the device is away, and after it: what is read is all-ones, and nothing fails."""
    c, view = begin(path, 1 << 20)
    request = eventfds(1)
    c.irqs(REQ, 0, request)
    print("ready", flush=True)
    until(lambda: c.read(BAR0, 0, 4) == 0xFFFFFFFF, "gone: all-ones")
    same("the client hears of it", told(request[0]), 1)
    c.write(BAR0, 4, 4, 1)
    c.unmap(BASE, 1 << 20)
    fd, _ = memory(4096)
    c.map(BASE, 4096, fd)
    c.irqs(MSI, 0, eventfds(1))
    same("reads stay all-ones", [c.read(BAR0, 0, 4), c.read(CONFIG, 0, 4), c.read(BAR0, 8, 1)],
         [0xFFFFFFFF, 0xFFFFFFFF, 0xFF])
    c.close()


# --- a device that has told of an error, and stays ---
def erred(path):
    """Reads until it is said that the error was heard of, and then what a device that is there answers."""
    c, _ = begin(path, 4096)
    same("no client hears of errors", c.irq(ERR), 0)
    print("ready", flush=True)
    while not os.path.exists("/run/heard"):
        c.read(4, 0x12, 2)
    same("its registers answer", c.read(4, 0x12, 2), 1)  # virtio: how many queues
    same("and its configuration space", c.read(CONFIG, 0, 4), 0x10441AF4)
    c.close()


# --- two functions of one group ---
def refused(what):
    try:
        what()
    except Refused as e:
        return e.errno
    return 0


def works(c, view):
    data = os.urandom(4096)
    view[0:4096] = data
    edu_dma(c, BASE, BUFFER, 4096, 1)
    until(lambda: not c.read(BAR0, DMA, 4) & 1, "DMA")
    edu_dma(c, BUFFER, BASE + 0x8000, 4096, 1 | 2)
    until(lambda: not c.read(BAR0, DMA, 4) & 1, "DMA")
    return view[0x8000:0x9000] == data


def pair(path):
    fd, view = memory(1 << 20)
    ours = [Client(p, timeout=120) for p in (path, "/run/t")]
    for c in ours:
        c.map(BASE, 1 << 20, fd)
        c.info()
        c.write(CONFIG, COMMAND, 2, MEMORY_AND_MASTER)
    check("pair: both reach the same memory", all(works(c, view) for c in ours))
    # Neither resets by itself, and their slot's reset is one of both.
    same("pair: no reset while the other is at work", refused(ours[0].reset), 16)
    ours[0].unmap(BASE, 1 << 20)
    same("pair: nor of the one that has let go", refused(ours[0].reset), 16)
    check("pair: what one lets go of the other keeps", works(ours[1], view))
    ours[0].map(BASE, 1 << 20, fd)
    check("pair: and it comes back", works(ours[0], view))
    ours[1].close()
    check("pair: what one leaves the other keeps", works(ours[0], view))
    stranger = Client("/run/t", timeout=120)
    other = memory(1 << 20)[0]
    same("pair: another machine's memory is refused", refused(lambda: stranger.map(BASE, 1 << 20, other)), 16)
    same("pair: and so is that machine", refused(stranger.info), 16)
    stranger.close()
    moved = memory(1 << 20)[0]
    second = Client("/run/t", timeout=120)
    second.map(BASE, 1 << 20, fd)
    ours[0].unmap(BASE, 1 << 20)
    # The first moves its memory while the second has not let go of it yet: it waits.
    ours[0].send_bytes(ours[0].message(DMA_MAP, struct.pack("=IIQQQ", 32, 3, 0, BASE, 1 << 20)), (moved,))
    second.unmap(BASE, 1 << 20)
    ours[0].reply(ours[0].id, DMA_MAP)
    second.map(BASE, 1 << 20, moved)
    print("ok pair: memory that moves for both", flush=True)
    second.unmap(BASE, 1 << 20)
    same("pair: a reset of the slot", refused(ours[0].reset), 0)


# --- edu, as a virtual machine has it ---
def mapped(path):
    """edu's registers, without the bridge."""
    c, _ = begin(path, 1 << 20)
    areas, view = c.map_region(0)
    words = memoryview(view).cast("I")
    same("mapped: all of edu's BAR", areas, [(0, 1 << 20)])
    same("mapped: what it is", words[0], 0x010000ED)
    words[1] = 0x12345678
    same("mapped: a register that was written so", c.read(BAR0, 4, 4), 0xEDCBA987)
    words.release()
    view.close()
    c.close()


def table(path):
    """A BAR with the table of MSI-X in its middle."""
    c, _ = begin(path, 1 << 20)
    areas, view = c.map_region(0)
    words = memoryview(view).cast("I")
    same("mapped: nothing of MSI-X", areas, [(0, 0x2000)])
    same("mapped: a disk's version", words[2], c.read(BAR0, 8, 4))
    words.release()
    view.close()
    c.close()


def nested(path):
    """QEMU's own client, driven by its test port; what its guest would see of an MSI is what is written for it."""
    sys.path.insert(0, "/tests/lab")
    from qtest import Qtest

    bar, at, message = 0xE0000000, 0x100000, 0x300000
    q = Qtest("/qemu", os.path.dirname(path), {"driver": "vfio-user-pci", "socket": {"path": "/srv/s", "type": "unix"},
                                               "x-msg-timeout": 60000})
    q.config(0x10, 4, bar)
    q.config(COMMAND, 2, MEMORY_AND_MASTER)
    same("QEMU: ids", q.config(0), 0x11E81234)
    q.write(bar + FACTORIAL, 4, 12)
    until(lambda: not q.read(bar + STATUS, 4) & 1, "edu computes")
    same("QEMU: 12!", q.read(bar + FACTORIAL, 4), 479001600)
    msi = q.config(0x34, 1)
    while q.config(msi, 1) != 5:
        msi = q.config(msi + 1, 1)
    for offset, width, value in ((4, 4, message), (8, 4, 0), (12, 2, 0x4242), (2, 2, 0x81)):
        q.config(msi + offset, width, value)
    data = os.urandom(4096)
    q.write_bytes(at, data)
    q.write(bar + ACK, 4, 0xFFFFFFFF)
    for source, target, command in ((at, BUFFER, 1 | 4), (BUFFER, at + 0x8000, 1 | 2 | 4)):
        q.write(message, 4, 0)
        for offset, width, value in ((SOURCE, 8, source), (TARGET, 8, target), (COUNT, 8, 4096), (DMA, 4, command)):
            q.write(bar + offset, width, value)
        until(lambda: q.read(message, 4) == 0x4242, "edu's MSI in the guest")
        q.write(bar + ACK, 4, 0x100)
    check("QEMU: DMA there and back, with an MSI each", q.read_bytes(at + 0x8000, 4096) == data)
    q.close()


{"edu": edu, "nested": nested, "pair": pair, "mapped": mapped, "table": table, "nvme": nvme, "igb": igb, "gone": gone, "erred": erred}[sys.argv[1]](sys.argv[2])
