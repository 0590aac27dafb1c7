# SPDX-License-Identifier: MIT
"""The configuration space that a guest sees, as lspci reads it: bridge_config.py SOCKET OUT; and with KIND (nvidia, amd) the ways
around it that such a card has, which all end there. Prints "ok NAME" for each."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vfiouser import BAR0, CONFIG, Client

path, out = sys.argv[1:3]
kind = sys.argv[3] if len(sys.argv) > 3 else None
c = Client(path)


def dump():
    space = c.read_bytes(CONFIG, 0, 4096)
    with open(out, "w", encoding="utf-8") as f:
        f.write("00:00.0 device\n")
        for at in range(0, 4096, 16):
            f.write(f"{at:02x}: {' '.join(f'{b:02x}' for b in space[at : at + 16])}\n")
    return space


def check(name, true, why=""):
    if not true:
        sys.exit(f"FAIL {name}: {why}")
    print(f"ok {name}", flush=True)


def sized_through(write):
    """BAR 0's size is asked for by another way than configuration space."""
    was = c.read(CONFIG, 0x10, 4)
    write(0x10, 0xFFFFFFFF)
    got = c.read(CONFIG, 0x10, 4)
    write(0x10, was)
    return got


def mirror(bar, at, size, mask):
    assert c.read_bytes(bar, at, 4) == space[:4] and size % 4 == 0
    got = b"".join(c.read_bytes(bar, at + i, 4) for i in range(0, size, 4))
    check(f"{size} bytes at {at:#x} of BAR {bar} are what the guest sees", got == space[:size],
          next(i for i in range(size) if got[i] != space[i]) if got != space[:size] else "")
    got = sized_through(lambda i, v: c.write(bar, at + i, 4, v))
    check("a BAR is moved for the guest alone", got == mask, hex(got))
    c.write(bar, at, 4, 0x12345678)
    check("and ids stay", c.read(CONFIG, 0, 4) == int.from_bytes(space[:4], "little"))


def window(bar, index, data, base, mask):
    def reach(i, v=None):
        c.write(bar, index, 4, base + i)
        return c.read(bar, data, 4) if v is None else c.write(bar, data, 4, v)

    check(f"a window at {data:#x} of BAR {bar}", all(reach(i) == int.from_bytes(space[i : i + 4], "little") for i in (0, 8, 0x2C, 0x34)))
    got = sized_through(reach)
    check("a BAR is moved through it for the guest alone", got == mask, hex(got))
    c.write(bar, index, 4, 0)
    c.write(bar, data, 4, 0x600D)
    check("elsewhere it is the device's", c.read(bar, data, 4) == 0x600D)


space = dump()
if kind == "nvidia":
    mirror(BAR0, 0x88000, 4096, 0xFF000000)
    mirror(BAR0, 0x1800, 256, 0xFF000000)
    window(5, 8, 0xC, 0x88000, 0xFF000000)
elif kind == "amd":
    mirror(2, 0x4000, 4096, 0xF000000C)
    window(4, 0, 4, 0x4000, 0xF000000C)
c.close()
