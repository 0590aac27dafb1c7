/* SPDX-License-Identifier: MIT */
/*
 * What a display or compute function is for the person who owns it. The rules are rows, tried from
 * above; the first that fits names itself in kind_how.
 */
#include <string.h>

#include "base/text.h"
#include "probe/lines_priv.h"
#include "probe/link_priv.h"
#include "probe/section.h"

struct pci_id {
	uint32_t vendor, device; /* ANY: all of the vendor's */
};

#define ANY UINT32_MAX

/* Emulated displays. pci.ids; QEMU docs/specs/pci-ids.rst. */
static const struct pci_id virtual_ids[] = {
	{ 0x1234, 0x1111 }, /* QEMU's standard VGA and bochs-display */
	{ 0x1b36, 0x0100 }, /* QXL */
	{ 0x1af4, ANY },    /* virtio */
	{ 0x15ad, ANY },    /* VMware */
	{ 0x80ee, 0xbeef }, /* VirtualBox */
	{ 0x1414, ANY },    /* Hyper-V */
	{ 0x1ab8, 0x4005 }, /* Parallels */
	{ 0x1013, 0x00b8 }, /* Cirrus GD 5446: real ones were AGP cards of the nineties */
};

/* Management controllers of servers. Linux 7.2: the id tables of ast, mgag200 and hibmc; pci.ids. */
static const struct pci_id bmc_ids[] = {
	{ 0x1a03, ANY },    { 0x102b, 0x0520 }, { 0x102b, 0x0521 }, { 0x102b, 0x0522 },
	{ 0x102b, 0x0524 }, { 0x102b, 0x0530 }, { 0x102b, 0x0532 }, { 0x102b, 0x0533 },
	{ 0x102b, 0x0534 }, { 0x102b, 0x0536 }, { 0x102b, 0x0538 }, { 0x19e5, 0x1711 },
	{ 0x18ca, 0x0020 }, { 0x18ca, 0x0021 }, { 0x1002, 0x515e }, /* XGI Z7 and Z9, ATI ES1000 */
};

/*
 * AMD's APUs, by their chips' names in pci.ids; the seven newest (marked) by listings that name them. One
 * that is not here is known by its bridge or its driver.
 */
static const struct pci_id apu_ids[] = {
	{ 0x1002, 0x1114 }, /* Krackan, listing */
	{ 0x1002, 0x13c0 }, /* Granite Ridge, listing */
	{ 0x1002, 0x1435 }, /* Van Gogh, listing */
	{ 0x1002, 0x163f }, /* Van Gogh */
	{ 0x1002, 0x150e }, /* Strix, listing */
	{ 0x1002, 0x1506 }, /* Mendocino */
	{ 0x1002, 0x1586 }, /* Strix Halo, listing */
	{ 0x1002, 0x15bf }, /* Phoenix */
	{ 0x1002, 0x15c8 }, /* Phoenix 2 */
	{ 0x1002, 0x15d8 }, /* Picasso, Raven 2 */
	{ 0x1002, 0x15dd }, /* Raven */
	{ 0x1002, 0x15e7 }, /* Barcelo */
	{ 0x1002, 0x1636 }, /* Renoir */
	{ 0x1002, 0x1638 }, /* Cezanne */
	{ 0x1002, 0x164c }, /* Lucienne */
	{ 0x1002, 0x164e }, /* Raphael */
	{ 0x1002, 0x1681 }, /* Rembrandt */
	{ 0x1002, 0x1900 }, /* Hawk Point, listing */
	{ 0x1002, 0x1901 }, /* Hawk Point, listing */
};

static const char *const npu_drivers[] = { "intel_vpu", "amdxdna", "habanalabs", "qaic" };

static bool listed(const struct pci_id *ids, size_t n, const struct gpu *g)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i].vendor == g->vendor &&
		    (ids[i].device == ANY || ids[i].device == g->device))
			return true;
	return false;
}

/* 0000 is nobody's vendor id: the file was missing or garbage. */
static bool has_no_ids(const struct gpu *g)
{
	return !g->vendor;
}

static bool is_virtual(const struct gpu *g)
{
	return listed(virtual_ids, ARRAY_LEN(virtual_ids), g);
}

/* Whatever chip it emulates, QEMU puts its own subsystem id on it (docs/specs/pci-ids.rst). */
static bool is_qemus(const struct gpu *g)
{
	return g->subvendor == 0x1af4 && g->subdevice == 0x1100;
}

static bool is_bmc(const struct gpu *g)
{
	return listed(bmc_ids, ARRAY_LEN(bmc_ids), g);
}

static bool has_npu_driver(const struct gpu *g)
{
	for (size_t i = 0; i < ARRAY_LEN(npu_drivers); i++)
		if (gpu_has_driver(g, npu_drivers[i]))
			return true;
	return false;
}

/* AMD's Instinct cards since MI200 are of this class as well, and GPUs. */
static bool is_npu(const struct gpu *g)
{
	return g->class >> 8 == 0x1200 && g->vendor != 0x1002;
}

static bool is_coprocessor(const struct gpu *g)
{
	return g->class >> 8 == 0x0b40;
}

static bool is_tunnelled(const struct gpu *g)
{
	return g->tunnel.tunnelled || link_hop_of(&g->link, HOP_TUNNEL) >= 0;
}

static bool is_external(const struct gpu *g)
{
	return g->tunnel.external;
}

/* The firmware said so of the port, by ExternalFacingPort. */
static bool is_removable(const struct gpu *g)
{
	return fact_text_known(&g->removable) && strcmp(g->removable.v, "removable") == 0;
}

static bool is_said_integrated(const struct gpu *g)
{
	return fact_known(&g->integrated) && g->integrated.v && g->integrated.src != SRC_GUESS;
}

/* Asked by ioctl, it named memory on the card: in a virtual machine such a card may stand anywhere. */
static bool is_said_discrete(const struct gpu *g)
{
	return fact_known(&g->integrated) && !g->integrated.v && g->integrated.src == SRC_DRM;
}

static bool is_on_package(const struct gpu *g)
{
	/* GB10 alone: the others have memory of their own (GH200, GB200, GB300). */
	return g->vendor == 0x10de && g->device == 0x2e12;
}

static bool is_apu(const struct gpu *g)
{
	return listed(apu_ids, ARRAY_LEN(apu_ids), g);
}

static bool is_intels_place(const struct gpu *g)
{
	size_t len = strlen(g->pci);

	return g->vendor == 0x8086 && len > 8 && strcmp(g->pci + len - 8, ":00:02.0") == 0;
}

static bool is_below_internal_bridge(const struct gpu *g)
{
	return g->link.n_hops &&
	       bridge_is_internal(g->link.hops[0].above_vendor, g->link.hops[0].above_device);
}

/*
 * A function of the root bus without a link. AMD's processors have theirs below a bridge and NVIDIA's are
 * known by id: one of theirs here is a card that a virtual machine's host has put there.
 */
static bool is_on_die(const struct gpu *g)
{
	return g->link.n_hops && g->link.hops[0].kind == HOP_ON_DIE && g->vendor != 0x1002 &&
	       g->vendor != 0x10de;
}

static bool looks_integrated(const struct gpu *g)
{
	return fact_known(&g->integrated) && g->integrated.v;
}

static bool is_left(const struct gpu *g)
{
	(void)g;
	return true;
}

/* clang-format off */
static const struct rule {
	enum gpu_kind kind;
	bool (*fits)(const struct gpu *g);
	const char *how;
} rules[] = {
	{ GPU_UNKNOWN, has_no_ids, "" },
	{ GPU_VIRTUAL, is_virtual, "the id of an emulated display" },
	{ GPU_VIRTUAL, is_qemus, "QEMU's subsystem id" },
	{ GPU_BMC, is_bmc, "the id of a server's management controller" },
	{ GPU_NPU, has_npu_driver, "its driver is an NPU's" },
	{ GPU_NPU, is_npu, "the class of inference accelerators" },
	{ GPU_COPROCESSOR, is_coprocessor, "the class of co-processors" },
	{ GPU_EXTERNAL, is_tunnelled, "its way goes through a Thunderbolt or USB4 tunnel" },
	{ GPU_EXTERNAL, is_external, "it is below an external port" },
	{ GPU_EXTERNAL, is_removable, "the firmware calls its port external" },
	{ GPU_INTEGRATED, is_said_integrated, "its driver says it is part of the processor" },
	{ GPU_DISCRETE, is_said_discrete, "its driver says it has memory of its own" },
	{ GPU_INTEGRATED, is_on_package, "the id of a GPU that shares the processor's memory" },
	{ GPU_INTEGRATED, is_intels_place, "Intel's place for the processor's own GPU, 00:02.0" },
	{ GPU_INTEGRATED, is_apu, "the id of a GPU inside an AMD processor" },
	{ GPU_INTEGRATED, is_below_internal_bridge, "the bridge above it is inside the processor" },
	{ GPU_INTEGRATED, is_on_die, "it has no link, so it is part of the processor" },
	{ GPU_INTEGRATED, looks_integrated, "its driver names no VRAM maker and little VRAM: probably" },
	{ GPU_DISCRETE, is_left, "none of the other kinds' marks" },
};
/* clang-format on */

static const char *const names[] = {
	[GPU_UNKNOWN] = "unknown",   [GPU_INTEGRATED] = "integrated",
	[GPU_DISCRETE] = "discrete", [GPU_EXTERNAL] = "external",
	[GPU_BMC] = "bmc",           [GPU_VIRTUAL] = "virtual",
	[GPU_NPU] = "npu",           [GPU_COPROCESSOR] = "co-processor",
};

_Static_assert(ARRAY_LEN(names) == GPU_KIND_COUNT, "every kind has a name");

const char *gpu_kind_name(enum gpu_kind k)
{
	return (unsigned)k < GPU_KIND_COUNT ? names[k] : "unknown";
}

/*
 * amdgpu hides the maker of the VRAM and the kind of board where there are none, on an APU. An old card
 * may lack both too, so without the driver's own word it takes a small carve-out beside a large GTT.
 */
static struct fact amdgpus_word(const struct look *l)
{
	const struct gpu *g = l->g;
	char buf[256];

	if (src_read_in(l->s, l->dir, "mem_info_vram_vendor", buf, sizeof(buf)) != -ENOENT ||
	    src_read_in(l->s, l->dir, "board_info", buf, sizeof(buf)) != -ENOENT)
		return fact_of(0, SRC_SYSFS);
	if (!fact_known(&g->vram_total) || !fact_known(&g->gtt_total))
		return fact_unknown(WHY_NOT_EXPORTED);
	bool apu = g->vram_total.v <= INT64_C(4) << 30 && g->gtt_total.v / 4 >= g->vram_total.v;

	return apu ? fact_of(1, SRC_GUESS) : fact_unknown(WHY_NOT_EXPORTED);
}

static void read_kind(const struct look *l)
{
	l->g->integrated = gpu_has_driver(l->g, "amdgpu") ? amdgpus_word(l)
							  : fact_unknown(WHY_NOT_EXPORTED);
}

void kind_decide(struct gpu *g)
{
	g->kind = GPU_UNKNOWN;
	g->kind_how[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (!rules[i].fits(g))
			continue;
		g->kind = rules[i].kind;
		text_copy(g->kind_how, sizeof(g->kind_how), rules[i].how);
		break;
	}
	/* It works in the machine's RAM. An APU's carve-out is a number of its own, and stays. */
	if (g->kind == GPU_INTEGRATED && !fact_known(&g->vram_total))
		g->vram_total = g->vram_used = g->vram_free = fact_unknown(WHY_NOT_APPLICABLE);
}

static void decide(struct report *r, struct gpu *g)
{
	(void)r;
	kind_decide(g);
}

static void json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	(void)r;
	json_put_text(gpu, "kind", gpu_kind_name(g->kind));
	json_put_text(gpu, "kind_how", g->kind_how);
}

static void text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	struct line l;

	(void)r;
	line_init(&l);
	line_part(&l, "%s", gpu_kind_name(g->kind));
	if (verbose && g->kind_how[0])
		text_add(&l.t, ": %s", g->kind_how);
	line_print(to, "kind", l.buf);
}

const struct section section_kind = {
	.name = "kind",
	.read = read_kind,
	.decide = decide,
	.json = json,
	.text = text,
};
