/* SPDX-License-Identifier: MIT */
/*
 * Memory pools kept apart. Whoever adds an APU's numbers up counts the same RAM twice: the pools are made
 * by a table, each with who allocates from it, and none of them is a sum.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

#define PAGE_BYTES 4096

static const char *const kind_names[POOL_COUNT] = {
	[POOL_NONE] = "none",          [POOL_VRAM] = "vram", [POOL_VISIBLE] = "visible",
	[POOL_CARVEOUT] = "carve-out", [POOL_GTT] = "gtt",   [POOL_KFD] = "kfd",
	[POOL_UNIFIED] = "unified",    [POOL_BAR1] = "bar1",
};

const char *pool_kind_name(enum pool_kind k)
{
	return k < POOL_COUNT ? kind_names[k] : kind_names[POOL_NONE];
}

/*
 * Which interfaces allocate from which pool. Sources: amdgpu_vram_mgr.c, amdgpu_gtt_mgr.c and
 * amdgpu_amdkfd_gpuvm.c (Linux: what KFD counts as its limit on an APU is GTT); RADV's and ANV's
 * memory heaps (Mesa, VK_EXT_memory_budget); i915_query.c and xe_query.c; NVML API Reference
 * (nvmlMemory_v2_t, nvmlBAR1Memory_t). The first row of a driver and kind of device is its main pool: it
 * is shown even when its size is unknown.
 */
enum works_in { IN_VRAM, IN_RAM };

/* clang-format off */
static const struct pool_row {
	const char *driver; /* NULL: any that no other row names */
	enum works_in works;
	enum pool_kind kind, inside;
	const char *seen_by;
} rows[] = {
	{ "amdgpu", IN_VRAM, POOL_VRAM, POOL_NONE, "ROCm, Vulkan, OpenCL" },
	{ "amdgpu", IN_VRAM, POOL_VISIBLE, POOL_VRAM, "the CPU; Vulkan's host-visible device memory" },
	{ "amdgpu", IN_VRAM, POOL_GTT, POOL_UNIFIED, "Vulkan's host heap, ROCm's pinned host memory" },
	{ "amdgpu", IN_VRAM, POOL_KFD, POOL_VRAM, "ROCm" },
	{ "amdgpu", IN_RAM, POOL_CARVEOUT, POOL_NONE, "Vulkan, OpenCL; tools show it as VRAM" },
	{ "amdgpu", IN_RAM, POOL_GTT, POOL_UNIFIED, "Vulkan, OpenCL" },
	{ "amdgpu", IN_RAM, POOL_KFD, POOL_NONE, "ROCm" },
	{ "amdgpu", IN_RAM, POOL_UNIFIED, POOL_NONE, "the CPU" },
	{ "radeon", IN_VRAM, POOL_VRAM, POOL_NONE, "OpenGL" },
	{ "radeon", IN_VRAM, POOL_VISIBLE, POOL_VRAM, "the CPU" },
	{ "nvidia", IN_VRAM, POOL_VRAM, POOL_NONE, "CUDA, Vulkan, OpenCL" },
	{ "nvidia", IN_VRAM, POOL_BAR1, POOL_VRAM, "the CPU and other devices: mappings" },
	{ "nvidia", IN_RAM, POOL_UNIFIED, POOL_NONE, "CUDA, Vulkan and the CPU" },
	{ "nouveau", IN_VRAM, POOL_VRAM, POOL_NONE, "Vulkan, OpenGL" },
	{ "nouveau", IN_VRAM, POOL_BAR1, POOL_VRAM, "the CPU: mappings" },
	{ "nouveau", IN_RAM, POOL_UNIFIED, POOL_NONE, "Vulkan, OpenGL and the CPU" },
	{ "i915", IN_VRAM, POOL_VRAM, POOL_NONE, "Vulkan, Level Zero, OpenCL" },
	{ "i915", IN_VRAM, POOL_VISIBLE, POOL_VRAM, "the CPU; Vulkan's host-visible device memory" },
	{ "i915", IN_RAM, POOL_UNIFIED, POOL_NONE, "Vulkan, Level Zero, OpenCL and the CPU" },
	{ "xe", IN_VRAM, POOL_VRAM, POOL_NONE, "Vulkan, Level Zero, OpenCL" },
	{ "xe", IN_VRAM, POOL_VISIBLE, POOL_VRAM, "the CPU; Vulkan's host-visible device memory" },
	{ "xe", IN_RAM, POOL_UNIFIED, POOL_NONE, "Vulkan, Level Zero, OpenCL and the CPU" },
	{ NULL, IN_VRAM, POOL_VRAM, POOL_NONE, "nobody here" },
};
/* clang-format on */

/* --- files --------------------------------------------------------------------------------------------- */

/* amdgpu's counters, which wake nothing, and TTM's limit, which is the machine's. */
static void read_files(const struct look *l)
{
	struct gpu_memory *m = &l->g->memory;
	const bool amdgpu = gpu_has_driver(l->g, "amdgpu");
	const enum why why = fact_text_known(&l->g->driver) ? WHY_NOT_EXPORTED : l->g->driver.why;

	m->visible_total = m->visible_used = fact_unknown(why);
	m->bar1_total = m->bar1_used = m->system_total = m->page_limit = fact_unknown(why);
	m->vram_region = fact_unknown(why);
	if (!amdgpu)
		return;
	m->visible_total = src_fact(l->s, l->dir, "mem_info_vis_vram_total", 0, INT64_MAX,
				    SRC_SYSFS);
	m->visible_used = src_fact(l->s, l->dir, "mem_info_vis_vram_used", 0, INT64_MAX, SRC_SYSFS);
	pair_check(&m->visible_total, &m->visible_used);
	m->page_limit = src_fact(l->s, "sys/module/ttm/parameters", "pages_limit", 1,
				 INT64_MAX / PAGE_BYTES, SRC_SYSFS);
	if (fact_known(&m->page_limit))
		m->page_limit.v *= PAGE_BYTES;
}

/* --- deciding ------------------------------------------------------------------------------------------ */

/* Whether it works in RAM: its driver's word, else what kind of device it is. */
static struct fact decide_integrated(const struct gpu *g)
{
	if (fact_known(&g->integrated) && g->integrated.src != SRC_GUESS)
		return g->integrated;
	if (g->kind == GPU_INTEGRATED || g->kind == GPU_DISCRETE || g->kind == GPU_EXTERNAL)
		return fact_of(g->kind == GPU_INTEGRATED, SRC_GUESS);
	return g->integrated;
}

/* The largest window into the card: of the prefetchable BARs that have an address. */
static struct fact window_of(const struct gpu *g)
{
	uint64_t most = 0;

	for (int i = 0; i < PROBE_BARS - 1; i++) {
		const struct bar *b = &g->bars[i];

		if (!b->io && b->prefetchable && !b->unassigned && b->size_bytes > most)
			most = b->size_bytes;
	}
	return most ? fact_of((int64_t)most, SRC_SYSFS) : fact_unknown(WHY_NOT_EXPORTED);
}

static struct fact minus(const struct fact *total, const struct fact *used)
{
	if (!fact_known(total) || !fact_known(used))
		return fact_unknown(fact_known(total) ? used->why : total->why);
	return used->v <= total->v ? fact_of(total->v - used->v, used->src)
				   : fact_unknown(WHY_GARBLED);
}

static struct fact smaller(const struct fact *a, const struct fact *b)
{
	return !fact_known(a) || (fact_known(b) && b->v < a->v) ? *b : *a;
}

/* xe offers half of the RAM: how much of that half others use is not told. A container has a part too. */
static void fill_unified(struct pool *p, const struct report *r, const struct gpu_memory *m)
{
	const struct cpu *c = &r->cpu;

	p->total = smaller(&m->system_total, &c->ram_total);
	p->free = fact_known(&c->ram_available) ? smaller(&c->ram_available, &p->total)
						: c->ram_available;
	p->used = fact_known(&p->total) && fact_known(&c->ram_total) && p->total.v < c->ram_total.v
			  ? fact_unknown(WHY_NOT_EXPORTED)
			  : minus(&c->ram_total, &c->ram_available);
}

static void fill(struct pool *p, const struct report *r, const struct gpu *g)
{
	const struct gpu_memory *m = &g->memory;
	const struct fact window = window_of(g);

	switch (p->kind) {
	case POOL_VRAM:
	case POOL_CARVEOUT:
		p->total = g->vram_total;
		p->used = g->vram_used;
		p->free = g->vram_free;
		return;
	case POOL_VISIBLE:
		p->total = fact_known(&m->visible_total) ? m->visible_total : window;
		p->used = m->visible_used;
		break;
	case POOL_BAR1:
		p->total = fact_known(&m->bar1_total) ? m->bar1_total : window;
		p->used = m->bar1_used;
		break;
	case POOL_GTT:
		p->total = g->gtt_total;
		p->used = g->gtt_used;
		break;
	case POOL_KFD:
		p->total = g->kfd.bytes;
		p->used = p->free = fact_unknown(WHY_NOT_EXPORTED);
		return;
	case POOL_UNIFIED:
		fill_unified(p, r, m);
		return;
	case POOL_NONE:
	case POOL_COUNT:
		return;
	}
	p->free = minus(&p->total, &p->used);
}

/* An APU's KFD pool is its GTT where the sizes say so, else RAM of another measure. */
static enum pool_kind inside_of(const struct pool_row *row, const struct gpu *g)
{
	if (row->kind != POOL_KFD || row->works != IN_RAM)
		return row->inside;
	if (fact_known(&g->kfd.bytes) && fact_known(&g->gtt_total) &&
	    g->kfd.bytes.v == g->gtt_total.v)
		return POOL_GTT;
	if (fact_known(&g->kfd.bytes) && fact_known(&g->vram_total) &&
	    g->kfd.bytes.v == g->vram_total.v)
		return POOL_CARVEOUT;
	return POOL_UNIFIED;
}

static bool has_rows(const struct gpu *g)
{
	for (const struct pool_row *row = rows; row < rows + ARRAY_LEN(rows); row++)
		if (row->driver && gpu_has_driver(g, row->driver))
			return true;
	return false;
}

static bool row_fits(const struct pool_row *row, const struct gpu *g, enum works_in works)
{
	return row->driver ? row->works == works && gpu_has_driver(g, row->driver) : !has_rows(g);
}

static void add_pool(struct gpu *g, const struct report *r, const struct pool_row *row)
{
	struct gpu_memory *m = &g->memory;
	struct pool p = { .kind = row->kind };
	enum pool_kind inside = inside_of(row, g);

	fill(&p, r, g);
	if (m->n_pools == POOLS_MAX || (m->n_pools && !fact_known(&p.total)))
		return;
	text_copy(p.seen_by, sizeof(p.seen_by), row->seen_by);
	if (inside)
		text_copy(p.inside, sizeof(p.inside), pool_kind_name(inside));
	m->pools[m->n_pools++] = p;
}

static const struct pool *pool_find(const struct gpu_memory *m, enum pool_kind k)
{
	for (uint32_t i = 0; i < m->n_pools; i++)
		if (m->pools[i].kind == k)
			return &m->pools[i];
	return NULL;
}

struct limit {
	struct fact bytes;
	const char *how;
};

/* The smaller of the two; an unknown one does not limit. */
static void at_most(struct limit *l, const struct fact *bytes, const char *how)
{
	if (!fact_known(bytes) || (fact_known(&l->bytes) && l->bytes.v <= bytes->v))
		return;
	*l = (struct limit) { .bytes = fact_of(bytes->v, SRC_GUESS), .how = how };
}

/* An allocation lies in one pool: the better one of an APU counts. */
static struct limit largest_in_ram(const struct report *r, const struct gpu *g)
{
	const struct gpu_memory *m = &g->memory;
	const struct pool *gtt = pool_find(m, POOL_GTT), *carved = pool_find(m, POOL_CARVEOUT);
	struct limit l = { .bytes = fact_unknown(WHY_NOT_EXPORTED),
			   .how = "the machine's available RAM is unknown" };

	if (gtt)
		at_most(&l, fact_known(&gtt->free) ? &gtt->free : &gtt->total,
			fact_known(&gtt->free) ? "GTT that is free" : "all of GTT");
	at_most(&l, &m->page_limit, "the module parameter ttm.pages_limit");
	at_most(&l, &m->system_total, "the RAM that the driver offers to the GPU");
	at_most(&l, &r->cpu.ram_available, "RAM that is available now");
	if (carved && fact_known(&carved->free) &&
	    (!fact_known(&l.bytes) || carved->free.v > l.bytes.v))
		l = (struct limit) { .bytes = fact_of(carved->free.v, SRC_GUESS),
				     .how = "the carve-out's free part, more than GTT has" };
	return l;
}

/* The window does not limit: what the CPU does not map may lie anywhere on the card. */
static struct limit largest_on_card(const struct gpu *g)
{
	struct limit l = { .bytes = g->vram_free, .how = "VRAM that is free" };

	if (fact_known(&l.bytes))
		l.bytes.src = SRC_GUESS;
	else if (fact_known(&g->vram_total))
		l.how = "how much VRAM is free is unknown; no more than its total";
	else
		l.how = "the card's memory is unknown";
	if (!fact_known(&l.bytes))
		return l;
	/* Each partition is a device of its own to ROCm; a buffer lies in one tile. */
	if (g->kfd.n_nodes > 1)
		at_most(&l, &g->kfd.node_bytes, "the memory of one partition");
	at_most(&l, &g->memory.vram_region, "the memory of one tile");
	return l;
}

static void decide_largest(const struct report *r, struct gpu *g)
{
	struct gpu_memory *m = &g->memory;
	struct limit l;

	if (!fact_text_known(&g->driver))
		l = (struct limit) { fact_unknown(g->driver.why), "no driver is bound" };
	else if (!gpu_can_compute(g))
		l = (struct limit) { fact_unknown(WHY_NOT_APPLICABLE),
				     "its driver is not for compute" };
	else if (fact_known(&m->integrated) && m->integrated.v)
		l = largest_in_ram(r, g);
	else
		l = largest_on_card(g);
	m->largest_alloc = l.bytes;
	text_copy(m->largest_alloc_how, sizeof(m->largest_alloc_how), l.how);
}

/* 256 MiB is the window of every card whose BAR was not resized: it tells nothing. */
#define CLASSIC_WINDOW (INT64_C(256) << 20)

static void decide_estimate(struct gpu *g)
{
	const struct fact window = window_of(g);
	const bool card = g->kind == GPU_DISCRETE || g->kind == GPU_EXTERNAL;

	g->memory.vram_estimate = fact_unknown(WHY_NOT_APPLICABLE);
	if (!card || fact_known(&g->vram_total))
		return;
	g->memory.vram_estimate = fact_known(&window) && window.v > CLASSIC_WINDOW
					  ? fact_of(window.v, SRC_GUESS)
					  : fact_unknown(WHY_NOT_EXPORTED);
}

static void decide(struct report *r, struct gpu *g)
{
	struct gpu_memory *m = &g->memory;

	m->integrated = decide_integrated(g);
	const enum works_in works = fact_known(&m->integrated) && m->integrated.v ? IN_RAM
										  : IN_VRAM;

	m->n_pools = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (row_fits(&rows[i], g, works))
			add_pool(g, r, &rows[i]);
	decide_largest(r, g);
	decide_estimate(g);
}

/* --- showing ------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct field pool_fields[] = {
	FIELD_KEY(struct pool, total, "total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct pool, used, "used_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct pool, free, "free_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD(struct pool, seen_by, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct pool, inside, FIELD_TEXT, UNIT_NONE, NULL),
};

static const struct field memory_fields[] = {
	FIELD(struct gpu_memory, integrated, FIELD_FACT, UNIT_NONE, NULL),
	FIELD_KEY(struct gpu_memory, page_limit, "page_limit_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct gpu_memory, largest_alloc, "largest_alloc_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD(struct gpu_memory, largest_alloc_how, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD_KEY(struct gpu_memory, vram_estimate, "vram_estimate_bytes", FIELD_FACT, UNIT_BYTES, NULL),
};
/* clang-format on */

static void json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	const struct gpu_memory *m = &g->memory;
	json_t *o = json_object(), *pools = json_array();

	(void)r;
	fields_to_json(o, memory_fields, ARRAY_LEN(memory_fields), m);
	for (uint32_t i = 0; i < m->n_pools; i++) {
		json_t *p = json_object();

		json_put_text(p, "kind", pool_kind_name(m->pools[i].kind));
		fields_to_json(p, pool_fields, ARRAY_LEN(pool_fields), &m->pools[i]);
		json_array_append_new(pools, p);
	}
	json_object_set_new(o, "pools", pools);
	json_object_set_new(gpu, "memory", o);
}

/* "24.0 GiB", or "unknown (asleep)". */
static const char *size(char buf[48], const struct fact *f)
{
	char number[TEXT_SIZE_MAX];

	if (fact_known(f))
		snprintf(buf, 48, "%s", text_size(number, (uint64_t)f->v));
	else
		snprintf(buf, 48, "unknown (%s)", why_name(f->why));
	return buf;
}

static void add_sizes(struct line *l, const char *what, const struct pool *p)
{
	char total[48], used[48], free_[48];

	text_add(&l->t, "%s%s", size(total, &p->total), what);
	if (fact_known(&p->total) && !fact_known(&p->used) && !fact_known(&p->free))
		text_add(&l->t, "; how much is free is %s (%s)", size(free_, &p->free),
			 src_name(p->total.src));
	else
		text_add(&l->t, ", %s used, %s free (%s)", size(used, &p->used),
			 size(free_, &p->free), src_name(p->total.src));
}

static void add_gtt(struct line *l, const struct gpu *g)
{
	const struct pool *p = pool_find(&g->memory, POOL_GTT);
	char total[48], used[48];

	if (p)
		text_add(&l->t, "; may map %s of RAM, %s used (%s)", size(total, &p->total),
			 size(used, &p->used), src_name(p->total.src));
}

static void add_rocm(struct line *l, const struct gpu *g, bool in_ram)
{
	const struct pool *p = pool_find(&g->memory, POOL_KFD);
	char total[48], node[48];

	if (p && g->kfd.n_nodes > 1)
		text_add(&l->t, "; ROCm sees %u devices of %s", g->kfd.n_nodes,
			 size(node, &g->kfd.node_bytes));
	else if (p && in_ram)
		text_add(&l->t, "; ROCm sees %s, %s%s", size(total, &p->total),
			 p->inside[0] ? "inside " : "", p->inside[0] ? p->inside : "apart from it");
}

/* A window smaller than the card's memory: what Resizable BAR is for. */
static void add_window(struct line *l, const struct gpu *g)
{
	const struct pool *p = pool_find(&g->memory, POOL_VISIBLE);
	char total[48];

	p = p ? p : pool_find(&g->memory, POOL_BAR1);
	if (p && fact_known(&p->total) && fact_known(&g->vram_total) &&
	    p->total.v < g->vram_total.v - g->vram_total.v / 8)
		text_add(&l->t, "; the CPU reaches %s of it", size(total, &p->total));
}

static void print_pools(FILE *to, const struct gpu_memory *m)
{
	for (uint32_t i = 0; i < m->n_pools; i++) {
		const struct pool *p = &m->pools[i];
		struct line l;

		line_init(&l);
		text_add(&l.t, "%s ", pool_kind_name(p->kind));
		add_sizes(&l, "", p);
		text_add(&l.t, "; seen by %s", p->seen_by);
		if (p->inside[0])
			text_add(&l.t, "; part of %s", p->inside);
		line_print(to, i ? "" : "pools", l.buf);
	}
}

static void text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	const struct gpu_memory *m = &g->memory;
	const bool in_ram = fact_known(&m->integrated) && m->integrated.v;
	char most[48];
	struct line l;

	(void)r;
	line_init(&l);
	if (in_ram && fact_known(&g->vram_total))
		add_sizes(&l, " of RAM set aside", &m->pools[0]);
	else if (in_ram)
		line_part(&l, "works in the machine's RAM");
	else if (fact_known(&g->vram_total))
		add_sizes(&l, " on the card", &m->pools[0]);
	else
		line_part(&l, "%s", size(most, &g->vram_total));
	/* Root, or whoever may open the node. */
	if (m->asked && !in_ram && g->vram_total.why == WHY_NEEDS_ROOT &&
	    !fact_known(&g->vram_total))
		text_add(&l.t, "; the group of %s is told too", g->drm_render.v);
	if (fact_known(&m->vram_estimate))
		text_add(&l.t, "; its window of %s suggests as much, or up to half less (guess)",
			 size(most, &m->vram_estimate));
	add_gtt(&l, g);
	add_rocm(&l, g, in_ram);
	if (!in_ram)
		add_window(&l, g);
	line_print(to, "memory", l.buf);
	if (verbose || (in_ram && fact_known(&m->largest_alloc))) {
		line_init(&l);
		line_part(&l, "%s in one allocation: %s", size(most, &m->largest_alloc),
			  m->largest_alloc_how);
		line_print(to, "at most", l.buf);
	}
	if (verbose)
		print_pools(to, m);
}

const struct section section_memory = {
	.name = "memory",
	.read = read_files,
	.decide = decide,
	.json = json,
	.text = text,
};
