# SPDX-License-Identifier: MIT
"""A client of `berth bridge` whose device berth_vfio drives: use.py SOCKET. Prints results; says "mapped", and waits for a line."""
import fcntl
import mmap
import os
import struct
import sys

sys.path.insert(0, "/tests")
sys.dont_write_bytecode = True
from vfiouser import CONFIG, REGION_INFO, Client, memory  # noqa: E402

MEMORY, VFIO_DEVICE_RESET = 2, 0x3B6F


def same(name, got, wanted):
    print(f"ok {name}" if got == wanted else f"FAIL {name}: {got!r}, not {wanted!r}", flush=True)


def refused(name, call):
    try:
        call()
        print(f"FAIL {name}: it is done", flush=True)
    except OSError:
        print(f"ok {name}", flush=True)


def region(c, index):
    """Its size, and the descriptor by which it is mapped, or None."""
    size = struct.unpack_from("=IIIIQQ", c.ask(REGION_INFO, struct.pack("=IIIIQQ", 32 + 16 + 64 * 16, 0, index, 0, 0, 0)))[4:]
    fds, c.fds = c.fds, []
    return (*size, fds[0] if fds else None)


c = Client(sys.argv[1], timeout=120)
fd, view = memory(1 << 20)
c.map(0x100000, 1 << 20, fd)
c.info()
c.write(CONFIG, 4, 2, 6)
size, offset, fd = region(c, 0)
same("bridge: the display's memory can be mapped", (size, offset, fd is not None), (16 << 20, 0, True))
pages = mmap.mmap(fd, size)
pages[0x1000:0x1004] = b"\x0d\xf0\x0d\x60"
same("bridge: what is mapped is the device", c.read(0, 0x1000, 4), 0x600DF00D)
c.write(0, 0x1004, 4, 0x1234)
same("bridge: and back", pages[0x1004:0x1008], b"\x34\x12\x00\x00")
refused("bridge: its descriptor resets nothing", lambda: fcntl.ioctl(fd, VFIO_DEVICE_RESET))
refused("bridge: reads nothing", lambda: os.pread(fd, 4, 0))
refused("bridge: has no configuration space", lambda: mmap.mmap(fd, 4096, offset=7 << 40, prot=mmap.PROT_READ))
refused("bridge: and no other BAR", lambda: mmap.mmap(fd, 4096, offset=2 << 40, prot=mmap.PROT_READ))
same("bridge: registers are trapped", region(c, 2)[2], None)
c.write(CONFIG, 4, 2, 4)
same("bridge: with memory off it reads as ones", pages[0x1000:0x1004], b"\xff" * 4)
c.write(CONFIG, 4, 2, 6)
same("bridge: and comes back", pages[0x1000:0x1004], b"\x0d\xf0\x0d\x60")
c.close()
print("mapped", flush=True)
sys.stdin.readline()
same("bridge: its pages end with the client", pages[0x1000:0x1004], b"\xff" * 4)
