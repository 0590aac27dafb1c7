#!/usr/bin/env python3
"""Compare the probe's report with what others read of the same tree: agree.py PROBE.json LSPCI.txt LSTOPO.xml DRM.json

LSPCI.txt is of `lspci -Dvmmnn`, LSTOPO.xml of `lstopo --whole-io --of xml`, DRM.json what drmGetDevices2 gave
(answers/drm.json of a capture). Prints every disagreement but those that a row below explains, with how often
it applied, and ends with 1 when there is one.
"""
import collections
import json
import re
import sys
import xml.etree.ElementTree as ET

# What differs although nobody is wrong.
EXPLAINED = {
    "no subsystem": "lspci leaves a subsystem of 0000:0000 out",
    "revision 00": "lspci leaves revision 00 out",
    "32-bit domain of hwloc": "hwloc keeps domains above ffff only when it was built so",
    "32-bit domain of libdrm": "libdrm 2.4.114 reads domains of four digits only",
    "32-bit domain of lspci": "pciutils 3.9 gives up at a domain above 7fffffff",
    "no node": "a function without a DRM driver has no node to compare",
    "no place": "the firmware named no NUMA node",
}
used = collections.Counter()
bad = []


def explained(row):
    assert row in EXPLAINED
    used[row] += 1


def hex_id(word):
    """'VGA compatible controller [0300]' -> 0x0300; '[1002:744c]' of hwloc is parsed elsewhere"""
    return int(re.search(r"\[([0-9a-f]{4})\]$", word)[1], 16)


def read_lspci(path):
    out = {}
    for record in open(path, encoding="utf-8").read().split("\n\n"):
        rows = dict(line.split(":\t", 1) for line in record.splitlines() if ":\t" in line)
        if "Slot" in rows:
            out[rows["Slot"]] = rows
    return out


def bits(text):
    """The numbers in hwloc's '0x00000001,0xffffffff': words of 32 bits, the highest first"""
    value = 0
    for word in text.split(","):
        value = value << 32 | int(word or "0", 16)
    return [i for i in range(value.bit_length()) if value >> i & 1]


def find_places(at, nodeset, places):
    """A device is near the NUMA nodes of the nearest object above it that has any: I/O objects do not."""
    nodeset = at.get("nodeset", nodeset)
    if at.get("type") == "PCIDev":
        places[at.get("pci_busid")] = bits(nodeset)
    for child in at:
        find_places(child, nodeset, places)


def read_lstopo(path):
    devices, nodes, places = {}, {}, {}
    root = ET.parse(path).getroot()
    find_places(root, None, places)
    for pci in root.iter("object"):
        if pci.get("type") != "PCIDev":
            continue
        addr = pci.get("pci_busid")
        cls, vendor, device, subvendor, subdevice, rev = re.fullmatch(
            r"([0-9a-f]{4}) \[([0-9a-f]{4}):([0-9a-f]{4})\] \[([0-9a-f]{4}):([0-9a-f]{4})\] ([0-9a-f]{2})",
            pci.get("pci_type")).groups()
        devices[addr] = [int(x, 16) for x in (cls, vendor, device, subvendor, subdevice, rev)]
        nodes[addr] = {o.get("name") for o in pci.iter("object") if o.get("type") == "OSDev"}
    return devices, nodes, places


def is_ours(cls):
    return cls >> 8 == 3 or cls in (0x0b40, 0x1200)


def differ(addr, what, who, ours, theirs):
    if ours != theirs:
        bad.append(f"{addr}: {what}: the probe says {ours}, {who} {theirs}")


def number(text):
    return int(text or "0", 16)


def compare_lspci(addr, g, rows):
    differ(addr, "class", "lspci", number(g["class"]) >> 8, hex_id(rows["Class"]))
    differ(addr, "vendor", "lspci", number(g["vendor"]), hex_id(rows["Vendor"]))
    differ(addr, "device", "lspci", number(g["device"]), hex_id(rows["Device"]))
    subsystem = number(g["subvendor"]), number(g["subdevice"])
    if subsystem == (0, 0) and "SVendor" not in rows:
        explained("no subsystem")
    else:
        differ(addr, "subsystem", "lspci", subsystem,
               (hex_id(rows["SVendor"]), hex_id(rows["SDevice"])) if "SVendor" in rows else None)
    if number(g["revision"]) == 0 and "Rev" not in rows:
        explained("revision 00")
    else:
        differ(addr, "revision", "lspci", number(g["revision"]), number(rows.get("Rev")))


def compare_drm(addr, g, answer):
    if not g["drm_card"] and not answer:
        explained("no node")
    elif answer is None and len(addr.split(":")[0]) > 4:
        explained("32-bit domain of libdrm")
    else:
        for key, node in (("drm_card", "card"), ("drm_render", "render")):
            differ(addr, node, "libdrm", g[key], (answer or {}).get(node))


def compare_lstopo(addr, g, device, names, place):
    ours = [number(g["class"]) >> 8] + [number(g[k]) for k in
                                        ("vendor", "device", "subvendor", "subdevice", "revision")]
    differ(addr, "class and ids", "hwloc", ours, device)
    card = (g["drm_card"] or "").removeprefix("/dev/dri/")
    if not card:
        explained("no node")
    elif card not in names:
        bad.append(f"{addr}: the probe says {card}, hwloc {sorted(names)}")
    if g["numa_node"] is None:
        explained("no place")
    else:
        differ(addr, "NUMA node", "hwloc", [g["numa_node"]], place)


def main():
    gpus = {g["pci"]: g for g in json.load(open(sys.argv[1], encoding="utf-8"))["gpus"]}
    lspci = read_lspci(sys.argv[2])
    devices, nodes, places = read_lstopo(sys.argv[3])
    drm = json.load(open(sys.argv[4], encoding="utf-8"))["devices"]
    for addr, g in gpus.items():
        wide = len(addr.split(":")[0]) > 4
        if addr in lspci:
            compare_lspci(addr, g, lspci[addr])
        elif wide:
            explained("32-bit domain of lspci")
        else:
            bad.append(f"{addr}: lspci does not list it")
        if addr in devices:
            compare_lstopo(addr, g, devices[addr], nodes[addr], places.get(addr))
        elif wide:
            explained("32-bit domain of hwloc")
        else:
            bad.append(f"{addr}: hwloc does not list it")
        compare_drm(addr, g, drm.get(addr))
    for who, theirs in (("lspci", {a: hex_id(r["Class"]) for a, r in lspci.items()}),
                        ("hwloc", {a: d[0] for a, d in devices.items()})):
        for addr, cls in theirs.items():
            if is_ours(cls) and addr not in gpus:
                bad.append(f"{addr}: {who} lists it, the probe does not")
    print("\n".join(bad))
    for row, n in used.items():
        print(f"explained {n}: {EXPLAINED[row]}")
    print(f"compared {len(gpus)}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
