#!/usr/bin/env python3
"""Unfold machine trees: unfold.py OUT FILE.tree... writes each as the folder OUT/FILE.

A tree is a machine folder (docs/formats.md) as one text file, so that what matters can be read at once:

    # a comment
    include other.tree          its lines first; later ones win. Relative to this file
    pci 0000:00:01.0 8086:a70d 060400 driver=pcieport link=16x16 max=32x16
      pci 0000:01:00.0 10de:2684 030000 sub=1043:889a driver=nvidia group=14 bar1=0x6000000000+16G:64p
        numa_node = 0           a file of that function; \\n and \\t are meant; a newline is added
        config : 86 80 0d a7    a file of bytes, as hex; NAME : 00*4096 repeats a byte
        driver -> ../x          a symbolic link
        drm/card0/              a folder
        called NVIDIA Corporation | AD102 [GeForce RTX 4090]
                                its names, so that no local pci.ids is asked
    dir sys/bus/thunderbolt/devices/0-0
      authorized = 1            a file below that folder
    at 0000:01:00.0             again the folder of a function named before
      vendor = 0x1002
    remove 0000:01:00.0/boot_vga    a path below the root, or below a function named before
    log [    1.234567] TEXT      one more line of the kernel log (answers/kmsg.txt)
    cmdline WORD...             more words of the kernel command line
    variant NAME                what follows belongs to this variant only. A tree with variants becomes
                                one folder for each, OUT/FILE.NAME, so that two machines which differ in
                                one line stand side by side

Indentation (two spaces a level) makes a function the child of the one above it. A function gets the
files every kernel has: vendor, device, subsystem_vendor, subsystem_device, class, revision, resource,
numa_node, local_cpulist, irq, power/runtime_status, power_state, d3cold_allowed. Words after the class:

    sub=V:D rev=XX numa=N cpus=LIST     ids and place
    driver=NAME                         the link, and the driver's folder
    link=GTxN max=GTxN                  current_link_*, max_link_*: "16x8" is 16.0 GT/s x8; "?x0" Unknown
    asleep                              suspended, D3cold
    group=N                             iommu_group and its devices/
    reset=a,b                           reset_method
    removable=WORD boot_vga=N
    card=N render=N accel=N             the drm/ and accel/ nodes with their dev files
    barN=ADDR+SIZE[:FLAGS]              flags of letters: 6 64-bit, p prefetchable, i I/O, u unassigned;
                                        bar6 is the ROM. SIZE with K, M, G
    win=ADDR+SIZE pwin=ADDR+SIZE        a bridge's windows: memory, prefetchable memory
"""
import json
import os
import re
import shutil
import sys

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Tree:
    def __init__(self, root):
        self.root = root
        self.where = {}  # address -> folder
        self.ids = {}  # address -> vendor, device
        self.called = {}  # address -> its entry in answers/pci.json

    def path(self, rel):
        path = os.path.normpath(os.path.join(self.root, rel.lstrip("/")))
        if not path.startswith(self.root):
            sys.exit(f"{rel} leads out of the tree")
        return path

    def put(self, rel, data):
        path = self.path(rel)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "wb") as f:
            f.write(data)

    def text(self, rel, value):
        value = value.replace("\\n", "\n").replace("\\t", "\t")
        self.put(rel, value.encode() + b"\n")

    def append(self, rel, value, before):
        """One more line, or word: `before` stands between it and what is there."""
        path = self.path(rel)
        old = open(path, encoding="utf-8").read().rstrip("\n") + before if os.path.exists(path) else ""
        self.put(rel, (old + value).encode() + b"\n")

    def link(self, rel, target):
        path = self.path(rel)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(target, path)

    def folder(self, rel):
        os.makedirs(self.path(rel), exist_ok=True)

    def remove(self, rel):
        path = self.path(rel)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def to(self, folder, target):
        """A relative link's text, from a folder of the tree to another path of it."""
        return os.path.relpath(target, folder)


def size_of(word):
    m = re.fullmatch(r"(0x[0-9a-f]+|\d+)([KMGT]?)", word)
    return int(m[1], 0) * UNITS.get(m[2], 1)


def bar_line(word):
    m = re.fullmatch(r"(0x[0-9a-f]+|0)\+([0-9a-fx]+[KMGT]?)(?::([6piu]*))?", word)
    if not m:
        sys.exit(f"not ADDR+SIZE:FLAGS: {word}")
    start, size, letters = int(m[1], 16), size_of(m[2]), m[3] or ""
    # The lowest bits are the BAR's own: libpciaccess reads these.
    flags = 0x40101 if "i" in letters else 0x40200
    flags |= 0x2008 * ("p" in letters) | 0x100004 * ("6" in letters) | 0x20000000 * ("u" in letters)
    return start, start + size - 1, flags


def speed(word):
    gt, lanes = word.split("x")
    return "Unknown" if gt == "?" else f"{float(gt):.1f} GT/s PCIe", lanes


def function(t, folder, addr, ids, cls, words):
    vendor, device = ids.split(":")
    w = dict(x.split("=", 1) if "=" in x else (x, "") for x in words)
    sub = w.pop("sub", "0000:0000").split(":")
    files = {
        "vendor": f"0x{vendor}", "device": f"0x{device}", "class": f"0x{cls}",
        "subsystem_vendor": f"0x{sub[0]}", "subsystem_device": f"0x{sub[1]}",
        "revision": f"0x{w.pop('rev', '00')}", "irq": "0", "numa_node": w.pop("numa", "-1"),
        "local_cpulist": w.pop("cpus", "0-7"), "d3cold_allowed": "1",
    }
    asleep = w.pop("asleep", None) is not None
    files["power/runtime_status"] = "suspended" if asleep else "active"
    files["power_state"] = "D3cold" if asleep else "D0"
    for key, prefix in (("link", "current_link"), ("max", "max_link")):
        if key in w:
            files[f"{prefix}_speed"], files[f"{prefix}_width"] = speed(w.pop(key))
    lines = ["0x%016x 0x%016x 0x%016x" % (0, 0, 0)] * 7
    for i in range(7):
        if f"bar{i}" in w:
            lines[i] = "0x%016x 0x%016x 0x%016x" % bar_line(w.pop(f"bar{i}"))
    if "win" in w or "pwin" in w:  # a bridge's file goes on: BARs of SR-IOV, I/O, memory, prefetchable, CardBus
        lines += [lines[6]] * 10
        for i, key, flags in ((14, "win", 0x200), (15, "pwin", 0x102201)):
            if key in w:
                start, end, _ = bar_line(w.pop(key))
                lines[i] = "0x%016x 0x%016x 0x%016x" % (start, end, flags)
    files["resource"] = "\n".join(lines)
    if "reset" in w:
        files["reset_method"] = w.pop("reset").replace(",", " ")
    for key in ("removable", "boot_vga"):
        if key in w:
            files[key] = w.pop(key)
    for key, node, major in (("card", "drm/card", 226), ("render", "drm/renderD", 226),
                             ("accel", "accel/accel", 261)):
        if key in w:
            n = w.pop(key)
            files[f"{node}{n}/dev"] = f"{major}:{n}"
            base = node.split("/")
            t.link(f"sys/class/{base[0]}/{base[1]}{n}",
                   t.to(f"sys/class/{base[0]}", f"{folder}/{node}{n}"))
    for name, value in files.items():
        t.text(f"{folder}/{name}", value)
    if "driver" in w:
        d = f"sys/bus/pci/drivers/{w.pop('driver')}"
        t.folder(d)
        t.link(f"{folder}/driver", t.to(folder, d))
    if "group" in w:
        g = f"sys/kernel/iommu_groups/{w.pop('group')}"
        t.link(f"{folder}/iommu_group", t.to(folder, g))
        t.link(f"{g}/devices/{addr}", t.to(f"{g}/devices", folder))
    if w:
        sys.exit(f"{addr}: unknown words: {' '.join(w)}")
    t.link(f"sys/bus/pci/devices/{addr}", t.to("sys/bus/pci/devices", folder))
    t.where[addr] = folder
    t.ids[addr] = vendor, device


def call(t, folder, names):
    addr = os.path.basename(folder)
    vendor, device = names.split(" | ")
    t.called[addr] = {"vendor": f"0x{t.ids[addr][0]}", "device": f"0x{t.ids[addr][1]}",
                      "vendor_name": vendor, "vendor_name_src": "pci",
                      "device_name": device, "device_name_src": "pci"}


def answer_names(t):
    """Also of a tree that names nothing: what the local pci.ids knows is not the machine's."""
    if t.ids:
        t.text("answers/pci.json", json.dumps({"schema": "berth.answer.pci/1", "listed": False,
                                               "devices": t.called}, indent=2))


def hex_bytes(words):
    out = b""
    for word in words.split():
        byte, _, n = word.partition("*")
        out += bytes.fromhex(byte) * (int(n) if n else 1)
    return out


def file_line(t, folder, line):
    for pattern, act in ((r"(\S+) =\s?(.*)", t.text), (r"(\S+) -> (\S+)", t.link),
                         (r"(\S+) : (.+)", lambda p, v: t.put(p, hex_bytes(v)))):
        m = re.fullmatch(pattern, line)
        if m:
            act(f"{folder}/{m[1]}", m[2])
            return True
    if re.fullmatch(r"\S+/", line):
        t.folder(f"{folder}/{line}")
        return True
    return False


def below(t, path):
    head, _, rest = path.partition("/")
    return f"{t.where[head]}/{rest}" if head in t.where else path


def read(t, name, variant):
    stack = []  # (indent, folder)
    wanted = True
    for number, raw in enumerate(open(name, encoding="utf-8"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        indent = len(raw) - len(raw.lstrip(" "))
        while stack and stack[-1][0] >= indent:
            stack.pop()
        word, _, rest = line.partition(" ")
        if word == "variant":
            wanted = rest == variant
        elif not wanted:
            pass
        elif word == "include":
            read(t, os.path.join(os.path.dirname(name), rest), variant)
        elif word == "pci":
            addr, ids, cls, *words = rest.split()
            parent = stack[-1][1] if stack else f"sys/devices/pci{addr[:addr.index(':') + 3]}"
            function(t, f"{parent}/{addr}", addr, ids, cls, words)
            stack.append((indent, f"{parent}/{addr}"))
        elif word == "dir":
            t.folder(rest)
            stack.append((indent, rest))
        elif word == "at":
            stack.append((indent, t.where[rest]))
        elif word == "called":
            call(t, stack[-1][1], rest)
        elif word == "log":
            t.append("answers/kmsg.txt", rest, "\n")
        elif word == "cmdline":
            t.append("proc/cmdline", rest, " ")
        elif word == "remove":
            t.remove(below(t, rest))
        elif not file_line(t, stack[-1][1] if stack else "", line):
            sys.exit(f"{name}:{number}: not understood: {line}")


def variants(name):
    lines = open(name, encoding="utf-8").read().splitlines()
    return sorted({line.split()[1] for line in lines if line.startswith("variant ")})


def main():
    out, names = sys.argv[1], sys.argv[2:]
    # A tree that is gone or has another name leaves a stale folder, which a test might still use.
    known = {os.path.basename(n).removesuffix(".tree") for n in names}
    for stale in os.listdir(out):
        if os.path.isdir(f"{out}/{stale}") and stale not in known:
            shutil.rmtree(f"{out}/{stale}")
    for name in names:
        base = os.path.realpath(os.path.join(out, os.path.basename(name).removesuffix(".tree")))
        for variant in variants(name) or [None]:
            root = f"{base}.{variant}" if variant else base
            shutil.rmtree(root, ignore_errors=True)
            os.makedirs(f"{root}/sys")
            tree = Tree(root)
            read(tree, name, variant)
            answer_names(tree)


if __name__ == "__main__":
    main()
