/* SPDX-License-Identifier: MIT */
/* Links: the kernel's words, what each hop is, the bottleneck with its cause, and kinds of GPUs. */
#include <stdlib.h>
#include <string.h>

#include "probe/link_priv.h"
#include "probe/usb4_ids.h"
#include "tests/unit/harness.h"

#define GTS(x) ((int64_t)((x)*1000))

static struct fact got(int64_t v)
{
	return fact_of(v, SRC_SYSFS);
}

/* --- words --- */

static void speeds(void **state)
{
	static const struct {
		const char *text;
		int64_t mts; /* 0: unknown */
		enum why why;
	} cases[] = {
		{ "2.5 GT/s PCIe", 2500, 0 },
		{ "16.0 GT/s PCIe", 16000, 0 },
		{ "64.0 GT/s PCIe", 64000, 0 },
		{ "8 GT/s", 8000, 0 },
		{ "Unknown", 0, WHY_NOT_EXPORTED },
		{ "Unknown speed", 0, WHY_NOT_EXPORTED },
		{ "", 0, WHY_GARBLED },
		{ "16.0", 0, WHY_GARBLED },
		{ "16.5 GT/s", 0, WHY_GARBLED },
		{ "16. GT/s", 0, WHY_GARBLED },
		{ "-16.0 GT/s", 0, WHY_GARBLED },
		{ "16.0 GT/second", 0, WHY_GARBLED },
		{ "99999999999999999999.0 GT/s", 0, WHY_GARBLED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fact f = parse_link_speed(cases[i].text, SRC_SYSFS);

		assert_int_equal(fact_known(&f), cases[i].mts != 0);
		assert_int_equal(f.v, cases[i].mts);
		assert_int_equal(f.why, cases[i].why);
	}
}

static void widths(void **state)
{
	static const char *const bad[] = { "", "3", "256", "63", "x16", "-1", "16 lanes" };
	struct fact f = parse_link_width("16", SRC_SYSFS);

	(void)state;
	assert_int_equal(f.v, 16);
	f = parse_link_width("0", SRC_SYSFS);
	assert_int_equal(f.why, WHY_NOT_EXPORTED);
	f = parse_link_width("255", SRC_SYSFS);
	assert_int_equal(f.why, WHY_NOT_EXPORTED);
	for (size_t i = 0; i < COUNT(bad); i++) {
		f = parse_link_width(bad[i], SRC_SYSFS);
		assert_false(fact_known(&f));
		assert_int_equal(f.why, WHY_GARBLED);
	}
}

static void rates(void **state)
{
	(void)state;
	assert_int_equal(link_rate(2500, 1), 250000000);
	assert_int_equal(link_rate(16000, 16), 31507692304);
	assert_int_equal(link_rate(64000, 16), 121000000000);
	assert_int_equal(link_rate(16000, 3), 0);
	assert_int_equal(link_rate(17000, 16), 0);
	assert_int_equal(link_rate(0, 0), 0);
}

static void dpm(void **state)
{
	struct link l = { 0 };

	(void)state;
	parse_dpm_pcie("0: 2.5GT/s, x1 78Mhz \n1: 16.0GT/s, x8 1143Mhz *\n2: 16.0GT/s, x16 1143Mhz",
		       &l);
	assert_int_equal(l.driver_speed_mts.v, 16000);
	assert_int_equal(l.driver_width.v, 8);
	assert_int_equal(l.driver_best_width.v, 16);

	l = (struct link) { 0 };
	parse_dpm_pcie("0: 2.5GT/s, x16 619Mhz \n1: 8.0GT/s, x16 619Mhz ", &l);
	assert_false(fact_known(&l.driver_speed_mts));
	assert_int_equal(l.driver_best_speed_mts.v, 8000);

	l = (struct link) { 0 };
	parse_dpm_pcie("x\n: \n0: 9.0GT/s, x16 *\n1: 8.0GT/s, x17 *\n2: 8.0GT/s, *\n3: 8.0GT/s, x",
		       &l);
	assert_false(fact_known(&l.driver_speed_mts));
	assert_false(fact_known(&l.driver_best_speed_mts));
}

/* --- hops --- */

/* An end: "VVVV:DDDD now max", a bridge unless it is the first. max 0: without link files. */
struct e {
	uint32_t vendor, device;
	double gts;
	int width;
	double max_gts;
	int max_width;
};

static struct link_end end_of(const struct e *e, uint32_t i)
{
	struct link_end x = { .vendor = e->vendor,
			      .device = e->device,
			      .class = i ? 0x060400 : 0x030000,
			      .pcie = e->max_gts > 0 };
	const struct fact no = fact_unknown(WHY_NOT_EXPORTED);

	snprintf(x.pci, sizeof(x.pci), "0000:%02x:00.0", i);
	x.speed_mts = e->gts > 0 ? got(GTS(e->gts)) : no;
	x.width = e->width ? got(e->width) : no;
	x.max_speed_mts = e->max_gts > 0 ? got(GTS(e->max_gts)) : no;
	x.max_width = e->max_width ? got(e->max_width) : no;
	return x;
}

static struct gpu *gpu_with(const struct e *ends, uint32_t n)
{
	struct link_end x[LINK_ENDS_MAX];
	struct gpu *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	for (uint32_t i = 0; i < n; i++)
		x[i] = end_of(&ends[i], i);
	g->vendor = ends[0].vendor;
	g->device = ends[0].device;
	g->class = 0x030000;
	link_build(&g->link, x, n, 0);
	kind_decide(g);
	return g;
}

#define GPU(...)                                                                                   \
	gpu_with((const struct e[]) { __VA_ARGS__ }, COUNT(((const struct e[]) { __VA_ARGS__ })))

static void kinds_are(const struct gpu *g, const enum hop_kind *kinds, uint32_t n)
{
	assert_int_equal(g->link.n_hops, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(g->link.hops[i].kind, kinds[i]);
}

#define KINDS(g, ...)                                                                              \
	kinds_are(g, (const enum hop_kind[]) { __VA_ARGS__ },                                      \
		  COUNT(((const enum hop_kind[]) { __VA_ARGS__ })))

static void in_a_slot(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 16, 16, 16, 16 }, { 0x8086, 0xa70d, 16, 16, 32, 16 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_PCIE);
	assert_int_equal(g->link.bottleneck, 0);
	assert_int_equal(g->link.cause, LINK_CAUSE_NONE);
	assert_int_equal(g->link.bytes_per_s.v, 31507692304);
	assert_int_equal(g->link.load_10gb_ms.v, 317);
	assert_int_equal(g->kind, GPU_DISCRETE);
	free(g);
}

static void at_rest(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2230, 2.5, 16, 16, 16 },
			    { 0x1022, 0x1483, 2.5, 16, 16, 16 });

	(void)state;
	link_decide(g);
	assert_int_equal(g->link.cause, LINK_CAUSE_IDLE);
	assert_int_equal(g->link.bytes_per_s.v, 31507692304);
	assert_int_equal(g->link.hops[0].bytes_per_s.v, 4000000000);
	/* The same at work is a fault. */
	g->busy_percent = got(97);
	link_decide(g);
	assert_int_equal(g->link.cause, LINK_CAUSE_DOWN);
	assert_int_equal(g->link.bytes_per_s.v, 4000000000);
	free(g);
}

static void lanes_lost(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 2.5, 4, 16, 16 }, { 0x8086, 0xa70d, 2.5, 4, 32, 16 });

	(void)state;
	g->busy_percent = got(0);
	link_decide(g);
	assert_int_equal(g->link.cause, LINK_CAUSE_DOWN);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(16000, 4));
	free(g);
}

static void narrow_slot(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 8, 4, 16, 16 }, { 0x8086, 0x7abc, 8, 4, 8, 4 });

	(void)state;
	link_decide(g);
	assert_int_equal(g->link.cause, LINK_CAUSE_SLOT);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(8000, 4));
	free(g);
}

/* Of a bridge that does not say what it can, nobody knows whether it is the limit. */
static void silent_bridge(void **state)
{
	struct gpu *g = GPU({ 0x1002, 0x6617, 5, 4, 8, 8 }, { 0x8086, 0x7abc, 0, 0, 0, 0 });

	(void)state;
	link_decide(g);
	assert_int_equal(g->link.cause, LINK_CAUSE_UNKNOWN);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(5000, 4));
	free(g);

	g = GPU({ 0x1002, 0x67df, 8, 16, 8, 16 }, { 0x8086, 0x7abc, 0, 0, 0, 0 });
	link_decide(g);
	assert_int_equal(g->link.cause, LINK_CAUSE_NONE);
	free(g);
}

/* The least product counts: not the least speed with the least width of different hops. */
static void product(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 16, 4, 16, 16 }, { 0x10b5, 0x8747, 8, 16, 16, 4 },
			    { 0x10b5, 0x8747, 8, 16, 8, 16 }, { 0x8086, 0xa70d, 8, 16, 32, 16 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_PCIE, HOP_SWITCH, HOP_PCIE);
	assert_int_equal(g->link.bottleneck, 0);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(16000, 4));
	free(g);

	/* The uplink of the switch is narrower than the card's own link. */
	g = GPU({ 0x10de, 0x2684, 16, 16, 16, 16 }, { 0x10b5, 0x8747, 16, 16, 16, 16 },
		{ 0x10b5, 0x8747, 8, 8, 8, 8 }, { 0x8086, 0xa70d, 8, 8, 8, 8 });
	link_decide(g);
	assert_int_equal(g->link.bottleneck, 2);
	assert_int_equal(g->link.cause, LINK_CAUSE_SLOT);
	free(g);

	/* A switch's uplink does not idle: low speed there is real. */
	g = GPU({ 0x10de, 0x2684, 16, 16, 16, 16 }, { 0x10b5, 0x8747, 16, 16, 16, 16 },
		{ 0x10b5, 0x8747, 2.5, 16, 16, 16 }, { 0x8086, 0xa70d, 2.5, 16, 16, 16 });
	link_decide(g);
	assert_int_equal(g->link.bottleneck, 2);
	assert_int_equal(g->link.cause, LINK_CAUSE_DOWN);
	free(g);
}

/* all-ways-egpu 37: everything but the box's own slot is made up. */
static void usb4_box(void **state)
{
	struct gpu *g = GPU({ 0x1002, 0x731f, 16, 16, 16, 16 }, { 0x1002, 0x1479, 16, 16, 16, 16 },
			    { 0x1002, 0x1478, 8, 4, 16, 16 }, { 0x8086, 0x15ef, 8, 4, 8, 4 },
			    { 0x8086, 0x15ef, 2.5, 4, 8, 4 }, { 0x1022, 0x14ef, 2.5, 1, 2.5, 1 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_ON_CARD, HOP_ON_CARD, HOP_PCIE, HOP_SWITCH, HOP_TUNNEL);
	assert_int_equal(g->link.bottleneck, 4);
	assert_int_equal(g->link.cause, LINK_CAUSE_TUNNEL);
	assert_int_equal(g->link.bytes_per_s.v, 2750000000);
	assert_int_equal(g->link.bytes_per_s.src, SRC_TABLE);
	assert_int_equal(g->kind, GPU_EXTERNAL);
	/* What Thunderbolt says of the cable is better than the generation's habit. */
	g->tunnel.pcie_bytes_per_s = fact_of(1375000000, SRC_TABLE);
	link_decide(g);
	assert_int_equal(g->link.bytes_per_s.v, 1375000000);
	/* A cable faster than the box's slot leaves the slot. */
	g->tunnel.pcie_bytes_per_s = fact_of(8000000000, SRC_TABLE);
	link_decide(g);
	assert_int_equal(g->link.bottleneck, 2);
	assert_int_equal(g->link.cause, LINK_CAUSE_SLOT);
	free(g);
}

/* A discrete controller in the host is reached by plain PCIe; the one in the box by the cable. */
static void thunderbolt_host(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x1b80, 8, 4, 8, 16 }, { 0x8086, 0x1578, 8, 4, 8, 4 },
			    { 0x8086, 0x1578, 2.5, 4, 2.5, 4 }, { 0x8086, 0x1578, 2.5, 4, 2.5, 4 },
			    { 0x8086, 0x1578, 8, 4, 8, 4 }, { 0x8086, 0x1901, 8, 4, 8, 16 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_PCIE, HOP_SWITCH, HOP_TUNNEL, HOP_SWITCH, HOP_PCIE);
	assert_int_equal(g->link.cause, LINK_CAUSE_TUNNEL);
	free(g);

	/* A host port that no table knows yet: the only controller of the way must be the box's. */
	g = GPU({ 0x10de, 0x1b80, 8, 4, 8, 16 }, { 0x8086, 0x15ea, 8, 4, 8, 4 },
		{ 0x8086, 0x15ea, 2.5, 4, 2.5, 4 }, { 0x8086, 0xffff, 2.5, 1, 2.5, 1 });
	link_decide(g);
	KINDS(g, HOP_PCIE, HOP_SWITCH, HOP_TUNNEL);
	free(g);
}

/* A host and a box that no table knows: the firmware named the port, and its 2.5 GT/s are no link. */
static void tunnel_by_firmware(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 16, 4, 16, 16 }, { 0x1234, 0x0001, 16, 4, 16, 4 },
			    { 0x1234, 0x0001, 2.5, 4, 2.5, 4 }, { 0x8086, 0xffff, 2.5, 4, 2.5, 4 });

	(void)state;
	g->tunnel.tunnelled = true;
	g->tunnel.pcie_bytes_per_s = fact_unknown(WHY_NOT_EXPORTED);
	memcpy(g->tunnel.port, g->link.hops[2].above, sizeof(g->tunnel.port));
	link_decide(g);
	KINDS(g, HOP_PCIE, HOP_SWITCH, HOP_TUNNEL);
	/* What it carries is unknown, so the box's slot is not the answer. */
	assert_int_equal(g->link.bottleneck, -1);
	assert_false(fact_known(&g->link.bytes_per_s));
	g->tunnel.pcie_bytes_per_s = fact_of(2750000000, SRC_TABLE);
	link_decide(g);
	assert_int_equal(g->link.bottleneck, 2);
	assert_int_equal(g->link.cause, LINK_CAUSE_TUNNEL);
	assert_int_equal(g->link.bytes_per_s.v, 2750000000);
	free(g);
}

/* nvtop 344: the function and both bridges of an Arc card say 2.5 GT/s x1; the root port knows. */
static void arc(void **state)
{
	struct gpu *g = GPU({ 0x8086, 0x56a0, 2.5, 1, 2.5, 1 }, { 0x8086, 0x4fa4, 2.5, 1, 2.5, 1 },
			    { 0x8086, 0x4fa0, 2.5, 1, 2.5, 1 }, { 0x1022, 0x14db, 16, 16, 32, 16 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_ON_CARD, HOP_ON_CARD, HOP_PCIE);
	assert_int_equal(g->link.cause, LINK_CAUSE_NONE);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(16000, 16));
	assert_int_equal(g->link.hops[2].own_max_speed_mts.src, SRC_TABLE);
	free(g);

	/* With the card's bridges hidden, as in a virtual machine, its word is all there is: none. */
	g = GPU({ 0x8086, 0x56a0, 2.5, 1, 2.5, 1 }, { 0x1b36, 0x000c, 16, 16, 16, 16 });
	link_decide(g);
	KINDS(g, HOP_PCIE);
	assert_false(fact_known(&g->link.bytes_per_s));
	free(g);

	/* Of a Battlemage card nobody knows the best: its slot's present speed is all there is. */
	g = GPU({ 0x8086, 0xe20b, 2.5, 1, 2.5, 1 }, { 0x8086, 0xe2f0, 2.5, 1, 2.5, 1 },
		{ 0x8086, 0xe2ff, 2.5, 1, 2.5, 1 }, { 0x1022, 0x14db, 8, 8, 8, 16 });
	link_decide(g);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(8000, 8));
	assert_int_equal(g->link.cause, LINK_CAUSE_UNKNOWN);
	free(g);
}

/* resources 512: amdgpu knows the link behind its switch. */
static void drivers_word(void **state)
{
	struct gpu *g = GPU({ 0x1002, 0x744c, 32, 16, 32, 16 }, { 0x1002, 0x1479, 32, 16, 32, 16 },
			    { 0x1002, 0x1478, 0, 0, 32, 16 }, { 0x1022, 0x14db, 0, 0, 32, 16 });

	(void)state;
	parse_dpm_pcie("0: 2.5GT/s, x1 310Mhz \n1: 16.0GT/s, x8 1143Mhz *", &g->link);
	link_decide(g);
	assert_int_equal(g->link.hops[2].width.v, 8);
	assert_int_equal(g->link.cause, LINK_CAUSE_DOWN);
	free(g);

	/* Idle it gives up lanes as well, and says how many it will have. */
	g = GPU({ 0x1002, 0x73ff, 16, 16, 16, 16 }, { 0x1002, 0x1479, 16, 16, 16, 16 },
		{ 0x1002, 0x1478, 2.5, 1, 16, 16 }, { 0x1022, 0x14db, 2.5, 1, 8, 8 });
	parse_dpm_pcie("0: 2.5GT/s, x1 81Mhz *\n1: 8.0GT/s, x8 619Mhz", &g->link);
	link_decide(g);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(8000, 8));
	assert_int_equal(g->link.cause, LINK_CAUSE_SLOT);
	free(g);
}

static void without_links(void **state)
{
	struct gpu *g = GPU({ 0x8086, 0x3ea0, 0, 0, 0, 0 });

	(void)state;
	g->link.why = WHY_NOT_EXPORTED;
	link_decide(g);
	KINDS(g, HOP_ON_DIE);
	assert_int_equal(g->kind, GPU_INTEGRATED);
	assert_int_equal(g->link.bottleneck, -1);
	assert_int_equal(g->link.cause, LINK_CAUSE_NONE);
	assert_int_equal(g->link.load_10gb_ms.why, WHY_NOT_APPLICABLE);
	free(g);

	g = GPU({ 0x1002, 0x15bf, 16, 16, 16, 16 }, { 0x1022, 0x14eb, 16, 16, 16, 16 });
	link_decide(g);
	KINDS(g, HOP_ON_DIE);
	assert_int_equal(g->kind, GPU_INTEGRATED);
	assert_int_equal(g->link.bottleneck, -1);
	free(g);

	/* An internal bridge that no table knows: the driver's word does it. */
	g = GPU({ 0x1002, 0xffff, 16, 16, 16, 16 }, { 0x1022, 0xfffe, 16, 16, 16, 16 });
	assert_int_equal(g->kind, GPU_DISCRETE);
	g->integrated = fact_of(1, SRC_DRM);
	kind_decide(g);
	link_decide(g);
	KINDS(g, HOP_ON_DIE);
	assert_int_equal(g->kind, GPU_INTEGRATED);
	free(g);

	g = GPU({ 0x10de, 0x2e12, 2.5, 1, 2.5, 1 }, { 0x10de, 0x22d1, 2.5, 1, 2.5, 1 });
	link_decide(g);
	KINDS(g, HOP_ON_PACKAGE);
	assert_int_equal(g->kind, GPU_INTEGRATED);
	assert_int_equal(g->vram_total.why, WHY_NOT_APPLICABLE);
	free(g);
}

/* A virtual machine shows a real card on its root bus: what the card says is all there is. */
static void passed_through(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 8, 16, 16, 16 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_PCIE);
	assert_int_equal(g->kind, GPU_DISCRETE);
	assert_int_equal(g->link.bytes_per_s.v, link_rate(16000, 16));
	free(g);
}

static void emulated(void **state)
{
	struct gpu *g = GPU({ 0x1af4, 0x1050, 2.5, 1, 2.5, 1 }, { 0x1b36, 0x000c, 2.5, 1, 2.5, 1 });

	(void)state;
	link_decide(g);
	assert_int_equal(g->kind, GPU_VIRTUAL);
	assert_int_equal(g->link.cause, LINK_CAUSE_NONE);
	assert_int_equal(g->link.bytes_per_s.why, WHY_NOT_APPLICABLE);
	free(g);
}

static void conventional(void **state)
{
	struct gpu *g = GPU({ 0x1a03, 0x2000, 0, 0, 0, 0 }, { 0x1a03, 0x1150, 5, 1, 5, 1 },
			    { 0x8086, 0xa294, 5, 1, 8, 1 });

	(void)state;
	link_decide(g);
	KINDS(g, HOP_CONVENTIONAL, HOP_PCIE);
	assert_int_equal(g->kind, GPU_BMC);
	assert_int_equal(g->link.bottleneck, -1);
	assert_int_equal(g->link.cause, LINK_CAUSE_UNKNOWN);
	free(g);

	/* Where no end has link files the kernel tells nothing: that is not conventional PCI. */
	g = GPU({ 0x10de, 0x2684, 0, 0, 0, 0 }, { 0x8086, 0xa70d, 0, 0, 0, 0 });
	link_decide(g);
	KINDS(g, HOP_UNKNOWN);
	assert_false(fact_known(&g->link.bytes_per_s));
	free(g);
}

/* Asleep only the top speed is known; a tunnel's rate all the same. */
static void asleep(void **state)
{
	struct gpu *g = GPU({ 0x10de, 0x2684, 0, 0, 16, 0 }, { 0x8086, 0xa70d, 0, 0, 32, 0 });

	(void)state;
	g->link.hops[0].speed_mts = g->link.hops[0].width = fact_unknown(WHY_ASLEEP);
	link_decide(g);
	assert_int_equal(g->link.bottleneck, -1);
	assert_int_equal(g->link.bytes_per_s.why, WHY_ASLEEP);
	assert_int_equal(g->link.hops[0].max_speed_mts.v, 16000);
	free(g);

	g = GPU({ 0x10de, 0x2684, 0, 0, 16, 0 }, { 0x8086, 0x0b26, 0, 0, 8, 0 },
		{ 0x8086, 0x0b26, 0, 0, 2.5, 0 }, { 0x8086, 0x7ec4, 0, 0, 2.5, 0 });
	link_decide(g);
	assert_int_equal(g->link.bottleneck, 2);
	assert_int_equal(g->link.bytes_per_s.v, 2750000000);
	free(g);
}

static void deep(void **state)
{
	struct link_end ends[LINK_ENDS_MAX] = { 0 };
	struct link l = { 0 };

	(void)state;
	for (uint32_t i = 0; i < LINK_ENDS_MAX; i++)
		ends[i].class = i ? 0x060400 : 0x030000;
	link_build(&l, ends, LINK_ENDS_MAX, 5);
	assert_int_equal(l.n_hops, LINK_HOPS_MAX);
	link_build(&l, ends, 0, 0);
	assert_int_equal(l.n_hops, 0);
}

/* --- kinds --- */

static void kinds(void **state)
{
	static const struct {
		struct gpu g;
		enum gpu_kind kind;
	} cases[] = {
		{ { .vendor = 0x1234, .device = 0x1111, .class = 0x030000 }, GPU_VIRTUAL },
		{ { .vendor = 0x1af4, .device = 0x1050, .class = 0x038000 }, GPU_VIRTUAL },
		{ { .vendor = 0x1002,
		    .device = 0x5046,
		    .class = 0x030000,
		    .subvendor = 0x1af4,
		    .subdevice = 0x1100 },
		  GPU_VIRTUAL },
		{ { .vendor = 0x102b, .device = 0x0534, .class = 0x030000 }, GPU_BMC },
		{ { .vendor = 0x102b, .device = 0x2527, .class = 0x030000 }, GPU_DISCRETE },
		{ { .vendor = 0x8086, .device = 0x643e, .class = 0x120000 }, GPU_NPU },
		{ { .vendor = 0x1002, .device = 0x74a1, .class = 0x120000 }, GPU_DISCRETE },
		{ { .vendor = 0x8086, .device = 0x225d, .class = 0x0b4000 }, GPU_COPROCESSOR },
		{ { .vendor = 0x10de,
		    .device = 0x2684,
		    .class = 0x030000,
		    .tunnel.external = true },
		  GPU_EXTERNAL },
		{ { .vendor = 0x10de,
		    .class = 0x030000,
		    .removable = { "removable", SRC_SYSFS, 0 } },
		  GPU_EXTERNAL },
		{ { .vendor = 0x10de, .class = 0x030000, .removable = { "fixed", SRC_SYSFS, 0 } },
		  GPU_DISCRETE },
		{ { .vendor = 0x8086, .class = 0x030000, .pci = "0000:00:02.0" }, GPU_INTEGRATED },
		{ { .vendor = 0x8086, .class = 0x030000, .pci = "0000:03:00.0" }, GPU_DISCRETE },
		{ { .vendor = 0x1002, .device = 0x163f, .class = 0x030000 }, GPU_INTEGRATED },
		{ { .vendor = 0x1002, .class = 0x030000, .integrated = { 1, SRC_GUESS, 0 } },
		  GPU_INTEGRATED },
		{ { .vendor = 0x1002, .class = 0x030000, .integrated = { 0, SRC_SYSFS, 0 } },
		  GPU_DISCRETE },
		{ { .class = 0x030000 }, GPU_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct gpu *g = malloc(sizeof(*g));

		assert_non_null(g);
		*g = cases[i].g;
		kind_decide(g);
		assert_int_equal(g->kind, cases[i].kind);
		assert_int_equal(g->kind_how[0] == '\0', g->kind == GPU_UNKNOWN);
		free(g);
	}
}

static void controllers(void **state)
{
	const struct tb_id *id = tb_id_find(0x1022, 0x14ef);

	(void)state;
	assert_non_null(id);
	assert_int_equal(id->role, TB_HOST_PORT);
	assert_true(id->integrated);
	assert_int_equal(tb_id_find(0x8086, 0x5786)->generation, 5);
	assert_false(tb_id_is_port(tb_id_find(0x8086, 0x15eb)));
	assert_false(tb_id_is_port(NULL));
	assert_null(tb_id_find(0x8086, 0xffff));
	assert_null(tb_rate_of_gbps(9));
	assert_int_equal(tb_rate_of_gbps(20)->budget_bytes_per_s, 2000000000);
	assert_int_equal(tb_rate_of_gbps(120)->link_gbps, 80);
	assert_int_equal(tb_rate_of_generation(4)->link_gbps, 40);
	assert_null(tb_rate_of_generation(0));
	assert_null(tb_rate_of_generation(6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speeds),
		cmocka_unit_test(widths),
		cmocka_unit_test(rates),
		cmocka_unit_test(dpm),
		cmocka_unit_test(in_a_slot),
		cmocka_unit_test(at_rest),
		cmocka_unit_test(lanes_lost),
		cmocka_unit_test(narrow_slot),
		cmocka_unit_test(silent_bridge),
		cmocka_unit_test(product),
		cmocka_unit_test(usb4_box),
		cmocka_unit_test(thunderbolt_host),
		cmocka_unit_test(tunnel_by_firmware),
		cmocka_unit_test(arc),
		cmocka_unit_test(drivers_word),
		cmocka_unit_test(without_links),
		cmocka_unit_test(passed_through),
		cmocka_unit_test(emulated),
		cmocka_unit_test(conventional),
		cmocka_unit_test(asleep),
		cmocka_unit_test(deep),
		cmocka_unit_test(kinds),
		cmocka_unit_test(controllers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
