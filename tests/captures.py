#!/usr/bin/env python3
"""Make machine folders of captures that others took: captures.py ARCHIVES-UNPACKED OUT.

What LACT, ROCm and Prometheus keep for their own tests are parts of a machine: a function's folder without a
bus, or KFD's topology alone. Each becomes OUT/NAME, a machine folder (docs/formats.md), with one root port
above every function and nothing else made up. Whole machines are linked as they are. Prints "NAME GPUS".
"""
import os
import re
import shutil
import sys

BRIDGE = "sys/devices/pci0000:00/0000:00:01.0"


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def link(path, target):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(os.path.relpath(target, os.path.dirname(path)), path)


def machine(root):
    put(f"{root}/proc/meminfo", "MemTotal: 32000000 kB\nMemAvailable: 28000000 kB\n")
    for name, value in (("vendor", "0x1022"), ("device", "0x1483"), ("class", "0x060400"),
                        ("power/runtime_status", "active")):
        put(f"{root}/{BRIDGE}/{name}", value + "\n")
    link(f"{root}/sys/bus/pci/devices/0000:00:01.0", f"{root}/{BRIDGE}")


def complete(folder, files):
    """What every kernel has, where the capture left it out."""
    for name, value in files.items():
        path = f"{folder}/{name}"
        if not os.path.exists(path) or (os.path.isfile(path) and not os.path.getsize(path)):
            put(path, value + "\n")


def function(root, addr, files, driver):
    folder = f"{root}/{BRIDGE}/{addr}"
    complete(folder, {"power/runtime_status": "active", "class": "0x030000", **files})
    link(f"{root}/sys/bus/pci/devices/{addr}", folder)
    driver_link = f"{folder}/driver"
    if os.path.lexists(driver_link):
        os.unlink(driver_link)
    if driver:
        os.makedirs(f"{root}/sys/bus/pci/drivers/{driver}", exist_ok=True)
        link(driver_link, f"{root}/sys/bus/pci/drivers/{driver}")


def uevent(folder):
    words = {}
    try:
        for line in open(f"{folder}/uevent", encoding="utf-8"):
            key, _, value = line.strip().partition("=")
            words[key] = value
    except OSError:
        pass
    return words


def from_device(root, device, sys_class_kfd=None):
    """A function's folder, with the nodes of the DRM device it was found below."""
    u = uevent(device)
    addr = u.get("PCI_SLOT_NAME", "0000:03:00.0")
    vendor, _, ident = u.get("PCI_ID", "").lower().partition(":")
    machine(root)
    shutil.copytree(device, f"{root}/{BRIDGE}/{addr}", symlinks=False, dirs_exist_ok=True,
                    ignore_dangling_symlinks=True)
    files = {"vendor": f"0x{vendor}", "device": f"0x{ident}"} if ident else {}
    function(root, addr, files, u.get("DRIVER"))
    if sys_class_kfd:
        shutil.copytree(sys_class_kfd, f"{root}/sys/class/kfd/kfd", dirs_exist_ok=True)


def lact(top, out):
    for vendor in ("amd", "intel"):
        for name in sorted(os.listdir(f"{top}/{vendor}")):
            folder = f"{top}/{vendor}/{name}"
            cards = [c for c in os.listdir(folder) if c.startswith("card")]
            kfd = f"{folder}/kfd" if os.path.isdir(f"{folder}/kfd") else None
            from_device(f"{out}/lact-{name}", f"{folder}/{cards[0]}/device", kfd)
            print(f"lact-{name} 1")


def kfd(nodes, out):
    """KFD's own words name each GPU's place and ids."""
    root, n = f"{out}/kfd-mi210", 0
    machine(root)
    shutil.copytree(nodes, f"{root}/sys/class/kfd/kfd/topology/nodes", dirs_exist_ok=True)
    for node in sorted(os.listdir(nodes)):
        words = dict(l.split() for l in open(f"{nodes}/{node}/properties") if len(l.split()) == 2)
        if words.get("vendor_id") != "4098":
            continue
        place = int(words["location_id"])
        addr = f"{int(words['domain']):04x}:{place >> 8:02x}:{place >> 3 & 31:02x}.{place & 7}"
        function(root, addr, {"vendor": "0x1002", "device": f"0x{int(words['device_id']):04x}",
                              "class": "0x120000"}, "amdgpu")
        n += 1
    print(f"kfd-mi210 {n}")


def ttar(path, out):
    """Prometheus' own archive: "Path: NAME", then "Lines: N" and the lines, or "SymlinkTo: TARGET"."""
    lines, i, name = open(path, encoding="utf-8", errors="replace").read().split("\n"), 0, None
    while i < len(lines):
        m = re.fullmatch(r"(Path|Lines|SymlinkTo): (.*)", lines[i])
        i += 1
        if m and m[1] == "Path":
            name = os.path.normpath(m[2])
        elif m and m[1] == "Lines" and name and not name.startswith(("..", "/")):
            n = int(m[2])
            text = "\n".join(lines[i:i + n]).replace("NULLBYTE", "\0").replace("EOF", "")
            put(f"{out}/{name}", text + "\n")
            i += n


def prometheus(archive, out):
    raw = f"{out}/.prometheus"
    ttar(archive, raw)
    device = f"{raw}/fixtures/sys/class/drm/card0/device"
    from_device(f"{out}/prometheus-amdgpu", device)
    shutil.rmtree(raw)
    print("prometheus-amdgpu 1")


def main():
    top, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    lact(f"{top}/lact-snapshots", out)
    kfd(f"{top}/kfd/rocm-k8s-device-plugin/topo-mi210-xgmi-pcie/nodes", out)
    prometheus(f"{top}/prometheus/procfs-fixtures.ttar", out)
    os.symlink(os.path.realpath(f"{top}/qemu-q35/cap"), f"{out}/qemu-q35")
    print("qemu-q35 8")
    mic = f"{top}/hwloc/32em64t-2n8c+dax+nvme+mic+dimms/32em64t-2n8c+1mic"
    os.symlink(os.path.realpath(mic), f"{out}/hwloc-mic")
    print("hwloc-mic 2")


if __name__ == "__main__":
    main()
