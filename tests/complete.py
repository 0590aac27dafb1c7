#!/usr/bin/env python3
"""Complete a machine tree for others than the probe: complete.py TREE.

lspci and libpciaccess read a header of config space, which is made to fit the tree's files; libdrm goes from a
node's number to its function; hwloc wants CPUs and NUMA nodes, which are made of the functions' own words.
"""
import collections
import os
import re
import struct
import sys

ROOT = sys.argv[1]
BUS = f"{ROOT}/sys/bus/pci/devices"


def read(path, otherwise=""):
    try:
        return open(path, encoding="utf-8").read().strip()
    except OSError:
        return otherwise


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(value if isinstance(value, bytes) else value.encode() + b"\n")


def link(path, target):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.lexists(path):
        os.symlink(os.path.relpath(target, os.path.dirname(path)), path)


def number(folder, name):
    try:
        return int(read(f"{folder}/{name}"), 16)
    except ValueError:
        return 0


def header(folder):
    """The first 256 bytes: ids, class, the BARs as `resource` has them. No capabilities."""
    h = bytearray(256)
    cls = number(folder, "class")
    bridge = cls >> 8 == 0x0604
    struct.pack_into("<HH", h, 0, number(folder, "vendor"), number(folder, "device"))
    struct.pack_into("<I", h, 8, cls << 8 | number(folder, "revision"))
    h[14] = bridge
    if not bridge:
        struct.pack_into("<HH", h, 0x2c, number(folder, "subsystem_vendor"), number(folder, "subsystem_device"))
    for i, line in enumerate(read(f"{folder}/resource").splitlines()[:2 if bridge else 6]):
        start, _, flags = (int(x, 16) for x in line.split())
        if flags:
            struct.pack_into("<I", h, 0x10 + 4 * i, start & 0xfffffff0 | flags & 0xf)
        if flags & 4 and i < 5:
            struct.pack_into("<I", h, 0x14 + 4 * i, start >> 32 & 0xffffffff)
    return bytes(h)


def nodes_of(folder):
    for node in sorted(os.listdir(f"{folder}/drm")) if os.path.isdir(f"{folder}/drm") else []:
        m = re.fullmatch(r"(card|renderD)(\d+)", node)
        if not m:
            continue
        link(f"{ROOT}/sys/dev/char/226:{m[2]}", f"{folder}/drm/{node}")
        link(f"{ROOT}/sys/class/drm/{node}", f"{folder}/drm/{node}")
        link(f"{folder}/drm/{node}/device", folder)
        write(f"{ROOT}/dev/{node}", b"")


def cpus_in(text):
    out = set()
    for part in text.split(","):
        if part:
            first, _, last = part.partition("-")
            out |= set(range(int(first), int(last or first) + 1))
    return out


def bitmap(cpus):
    words = max(cpus, default=0) // 32 + 1
    return ",".join("%08x" % sum(1 << c % 32 for c in cpus if c // 32 == w) for w in reversed(range(words)))


def cpus_and_nodes(places):
    """A core of one thread for each CPU that a function names; a package for each NUMA node."""
    everyone = set().union({0}, *places.values())
    rest = everyone.difference(*(c for n, c in places.items() if n > 0))
    places = {**{n: c for n, c in places.items() if n > 0}, 0: rest or {0}}
    listed = ",".join(map(str, sorted(everyone)))
    for name in ("online", "possible", "present"):
        write(f"{ROOT}/sys/devices/system/cpu/{name}", listed)
        write(f"{ROOT}/sys/devices/system/node/{name}", ",".join(map(str, sorted(places))))
    for node, cpus in places.items():
        n = f"{ROOT}/sys/devices/system/node/node{node}"
        write(f"{n}/cpumap", bitmap(cpus))
        write(f"{n}/meminfo", f"Node {node} MemTotal: 16777216 kB")
        for cpu in cpus:
            t = f"{ROOT}/sys/devices/system/cpu/cpu{cpu}/topology"
            write(f"{t}/physical_package_id", str(node))
            write(f"{t}/core_id", str(cpu))
            for name in ("core_cpus", "thread_siblings"):
                write(f"{t}/{name}", bitmap({cpu}))
            for name in ("package_cpus", "core_siblings"):
                write(f"{t}/{name}", bitmap(cpus))


def main():
    places = collections.defaultdict(set)
    for addr in os.listdir(BUS):
        folder = os.path.realpath(f"{BUS}/{addr}")
        if not os.path.exists(f"{folder}/resource"):
            write(f"{folder}/resource", "0x0 0x0 0x0\n" * 6 + "0x0 0x0 0x0")
        write(f"{folder}/config", header(folder))
        write(f"{folder}/uevent", f"PCI_SLOT_NAME={addr}")
        link(f"{folder}/subsystem", f"{ROOT}/sys/bus/pci")
        nodes_of(folder)
        cpus = cpus_in(read(f"{folder}/local_cpulist"))
        write(f"{folder}/local_cpus", bitmap(cpus))
        places[int(read(f"{folder}/numa_node", "-1"))] |= cpus
    os.makedirs(f"{ROOT}/dev", exist_ok=True)
    cpus_and_nodes(places)


main()
