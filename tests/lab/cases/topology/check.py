"""The probe's JSON against the kernel's files, against lspci, and against what we know we built."""
import re

import lab

# What the machine file has, and where the kernel puts it: driver, NUMA node, CPUs.
BUILT = {
    "0000:00:02.0": ("bochs-drm", None, "0-3"),
    "0000:00:03.0": ("cirrus", None, "0-3"),
    "0000:03:00.0": ("virtio-pci", None, "0-3"),
    "0000:04:00.0": ("bochs-drm", None, "0-3"),
    "0000:05:01.0": ("bochs-drm", None, "0-3"),
    "0000:05:02.0": (None, None, "0-3"),
    "0000:41:00.0": ("virtio-pci", 1, "2-3"),
}
BAR_IO, BAR_PREFETCH, BAR_64 = 0x100, 0x2000, 0x100000


def bars_of(facts):
    """`resource` of the kernel as the probe's JSON has it."""
    bars = []
    for i in range(7):
        start, end, flags = (int(v, 16) for v in facts[f"bar{i}"].split())
        if flags:
            bars.append({"index": i, "address": f"{start:#x}", "size_bytes": end - start + 1,
                         "io": bool(flags & BAR_IO), "is_64bit": bool(flags & BAR_64),
                         "prefetchable": bool(flags & BAR_PREFETCH), "unassigned": False})
    return bars


def addresses(text):
    return re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", text)


def place_of(facts, address):
    """What the kernel says of the group: its kind, who else is in it, and how the function can be reset."""
    others = sorted(a for a in addresses(facts["group"]) if a != address)
    return facts["group_type"], others, facts["reset"] or None


def place_told(gpu):
    place = gpu["place"]
    peers = sorted(p["pci"] for p in place["peers"] if p["in_group"])
    return place["group_type"], peers, place["reset_methods"]


def links_of(kernel, address):
    """The way up, from the function's real folder, with speed in MT/s and lanes where it is a link."""
    way = addresses(kernel[address]["way"])[::-1]
    links = []
    for lower, above in zip(way, way[1:] if len(way) > 1 else [None]):
        speed = re.match(r"([0-9.]+) GT/s", kernel[lower]["current_link_speed"])
        links.append((lower, above, int(float(speed[1]) * 1000) if speed else None,
                      int(kernel[lower]["current_link_width"] or 0) or None))
    return links


def links_told(gpu, real):
    """A switch's inside and the root bus are no links: what the kernel says there is not looked at."""
    told = [(h["pci"], h["above"], h["speed_mts"], h["width"]) for h in gpu["links"]]
    inside = [h["kind"] in ("switch", "on die") for h in gpu["links"]]
    return [r if i and t[:2] == r[:2] else t for t, r, i in zip(told, real, inside)] + told[len(real):]


def node_of(number):
    return None if number == "-1" else int(number)


def against_kernel(address, gpu, kernel):
    facts = kernel[address]
    for key, file in (("vendor", "vendor"), ("device", "device"), ("class", "class"), ("revision", "revision"),
                      ("subvendor", "subsystem_vendor"), ("subdevice", "subsystem_device")):
        lab.same(f"{address} {key}", int(gpu[key], 16), int(facts[file], 16))
    lab.same(f"{address} driver", gpu["driver"] or "", facts["driver"])
    lab.same(f"{address} NUMA node", gpu["numa_node"], node_of(facts["numa_node"]))
    lab.same(f"{address} CPUs", gpu["cpus"], facts["local_cpulist"])
    lab.same(f"{address} IOMMU group", gpu["iommu_group"], int(facts["iommu_group"]))
    wanted = bars_of(facts)
    got = [{key: bar[key] for key in wanted[0]} for bar in gpu["bars"]]
    lab.same(f"{address} BARs", got, wanted)
    lab.same(f"{address} group and resets", place_told(gpu), place_of(facts, address))
    real = links_of(kernel, address)
    lab.same(f"{address} links", links_told(gpu, real), real)
    nodes = [n.removeprefix("/dev/dri/") for n in (gpu["drm_card"], gpu["drm_render"]) if n]
    lab.same(f"{address} DRM nodes", nodes, [n for n in facts["nodes"].split() if n.startswith(("card", "render"))])


def against_lspci(address, gpu, facts):
    for key, label in (("vendor", "Vendor"), ("device", "Device"), ("subvendor", "SVendor"), ("subdevice", "SDevice")):
        lab.same(f"{address} {key} as lspci", int(gpu[key], 16),
                 int(re.search(r"\[([0-9a-f]{4})\]$", facts[label])[1], 16))
    name = re.sub(r" \[[0-9a-f]{4}\]$", "", facts["Device"])
    # lspci says "Device" of what pci.ids does not have.
    lab.same(f"{address} name as lspci", gpu["device_name"] or "Device", name)
    lab.same(f"{address} driver as lspci", gpu["driver"], facts.get("Driver"))
    lab.same(f"{address} group as lspci", str(gpu["iommu_group"]), facts["IOMMUGroup"])


def main():
    gpus, kernel, lspci = lab.gpus("probe.json"), lab.truth(), lab.lspci()
    lab.valid("the JSON keeps its schema", "probe", "probe.json")
    lab.same("all functions are there, in the order of addresses", list(gpus), list(BUILT))
    lab.same("the kernel has the same", sorted(a for a in kernel if lab.is_ours(kernel[a])), sorted(BUILT))
    for address, (driver, node, cpus) in BUILT.items():
        gpu = gpus.get(address)
        if not gpu:
            continue
        lab.same(f"{address} is as built", (gpu["driver"], gpu["numa_node"], gpu["cpus"]), (driver, node, cpus))
        against_kernel(address, gpu, kernel)
        against_lspci(address, gpu, lspci[address])

    old = gpus["0000:05:02.0"]
    lab.same("no driver is a reason, not a lack", (old["driver_why"], old["driver_note"]),
             ("no driver", "neither amdgpu nor radeon is loaded"))
    groups = [g["iommu_group"] for g in gpus.values()]
    lab.same("a bridge to conventional PCI makes one group of two", len(groups) - len(set(groups)), 1)
    lab.same("and it is these two", old["iommu_group"], gpus["0000:05:01.0"]["iommu_group"])
    cards = [g["drm_card"] for g in gpus.values() if g["drm_card"]]
    lab.same("six cards, each once", len(set(cards)), 6)

    kinds = [h["kind"] for h in gpus["0000:03:00.0"]["links"]]
    lab.same("a switch is between two links", kinds, ["pcie", "switch", "pcie"])
    lab.same("old PCI is a bus", gpus["0000:05:01.0"]["links"][0]["kind"], "conventional")
    lab.same("isolation", [gpus[a]["place"]["isolation"] for a in ("0000:05:01.0", "0000:41:00.0")], ["shared", "alone"])
    others = [(d["path"].rsplit("/", 1)[-1], d["npu"]) for d in lab.load("probe.json")["other_devices"]]
    lab.same("what is not on PCI is listed too", others, [("vgem", False)])

    check = lab.load("check.json")
    lab.same("libpciaccess, libdrm and hwloc agree", check["disagreements"], [])
    lab.same("they were asked", (check["compared"], check["functions"]), (True, len(BUILT)))
    lab.replays("the capture shows the same on the host", "capture", "captured.json")


main()
