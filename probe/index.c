/* SPDX-License-Identifier: MIT */
/*
 * The subject "index": which number each programming interface gives a GPU. Without waking anything,
 * numbers follow from the rules below; asked with --wake, the interfaces say them (api.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/api_priv.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

/* clang-format off */
static const struct field rows[] = {
	FIELD(struct index_map, drm_card, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct index_map, drm_render, FIELD_FACT, UNIT_NONE, NULL),
	FIELD(struct index_map, nvml, FIELD_FACT, UNIT_NONE, "NVML"),
	FIELD(struct index_map, cuda, FIELD_FACT, UNIT_NONE, "CUDA"),
	FIELD(struct index_map, cuda_fastest, FIELD_FACT, UNIT_NONE, "CUDA by speed"),
	FIELD(struct index_map, hip, FIELD_FACT, UNIT_NONE, "HIP"),
	FIELD(struct index_map, vulkan, FIELD_FACT, UNIT_NONE, "Vulkan"),
	FIELD(struct index_map, vulkan_loader, FIELD_FACT, UNIT_NONE, "Vulkan's loader"),
	FIELD(struct index_map, level_zero, FIELD_FACT, UNIT_NONE, "Level Zero"),
};
/* clang-format on */

static bool serves_cuda(const struct gpu *g)
{
	return gpu_has_driver(g, "nvidia");
}

static bool serves_hip(const struct gpu *g)
{
	return gpu_has_driver(g, "amdgpu");
}

static bool serves_level_zero(const struct gpu *g)
{
	return gpu_has_driver(g, "i915") || gpu_has_driver(g, "xe");
}

static bool before_by_address(const struct gpu *a, const struct gpu *b)
{
	return addr_compare(a->pci, b->pci) < 0;
}

static bool before_by_node(const struct gpu *a, const struct gpu *b)
{
	return a->kfd_node.v < b->kfd_node.v;
}

/* Discrete GPUs first, then integrated ones, and by address among equals. */
static bool before_by_kind(const struct gpu *a, const struct gpu *b)
{
	bool a_in = a->kind == GPU_INTEGRATED, b_in = b->kind == GPU_INTEGRATED;

	return a_in == b_in ? before_by_address(a, b) : b_in;
}

/* Whether GPU a makes the number of g unclear; a may be g. */
static bool unclear_by_partition(const struct gpu *a, const struct gpu *g)
{
	(void)g;
	return fact_text_known(&a->partition) &&
	       (strncmp(a->partition.v, "MIG", 3) == 0 ||
		(serves_hip(a) && strncmp(a->partition.v, "SPX", 3)));
}

static bool unclear_by_kind(const struct gpu *a, const struct gpu *g)
{
	return a != g && (a->kind == GPU_UNKNOWN || g->kind == GPU_UNKNOWN);
}

/* ROCm's kernel side lists not every GPU that amdgpu drives. */
static bool counted_by_hip(const struct gpu *g)
{
	return fact_known(&g->kfd_node);
}

static bool counted(const struct gpu *g)
{
	(void)g;
	return true;
}

/*
 * Rules that give a number without asking the interface: how many of the GPUs that it counts come before.
 *
 * CUDA: "CUDA Environment Variables" of the CUDA C++ Programming Guide: PCI_BUS_ID orders by address;
 * the default, FASTEST_FIRST, has no published rule. A GPU in MIG mode shows its instances instead.
 * HIP: ROCr goes through the nodes of KFD's topology in their order (rocr-runtime, amd_topology.cpp); in
 * a partitioned mode each partition is a node of its own.
 * Vulkan: the loader sorts on Linux by type, then by address (Vulkan-Loader, loader_linux.c); the
 * engine drops CPU devices and numbers the rest (ggml-vulkan.cpp). A guess, as Mesa's device-select layer
 * may put the boot display's GPU first, and a driver package may be missing.
 * Level Zero: compute-runtime's ZE_ENABLE_PCI_ID_DEVICE_ORDER orders by address; one device a card while
 * ZE_FLAT_DEVICE_HIERARCHY=COMPOSITE (Level Zero specification, "Environment Variables").
 */
/* clang-format off */
static const struct rule {
	size_t offset; /* of the fact in struct index_map */
	bool (*serves)(const struct gpu *g);
	bool (*counts)(const struct gpu *g); /* of those that it serves */
	bool (*unclear)(const struct gpu *a, const struct gpu *g);
	bool (*before)(const struct gpu *a, const struct gpu *g);
	enum src src;
} rules[] = {
	{ offsetof(struct index_map, cuda), serves_cuda, counted, unclear_by_partition,
	  before_by_address, SRC_TABLE },
	{ offsetof(struct index_map, hip), serves_hip, counted_by_hip, unclear_by_partition,
	  before_by_node, SRC_TABLE },
	{ offsetof(struct index_map, vulkan), gpu_can_compute, counted, unclear_by_kind,
	  before_by_kind, SRC_GUESS },
	{ offsetof(struct index_map, vulkan_loader), gpu_can_compute, counted, unclear_by_kind,
	  before_by_kind, SRC_GUESS },
	{ offsetof(struct index_map, level_zero), serves_level_zero, counted, unclear_by_partition,
	  before_by_address, SRC_TABLE },
};
/* clang-format on */

static struct fact number_by(const struct rule *rule, const struct report *r, const struct gpu *g)
{
	int64_t n = 0;

	if (!rule->serves(g))
		return fact_unknown(fact_text_known(&g->driver) ? WHY_NOT_APPLICABLE
								: g->driver.why);
	if (!rule->counts(g))
		return fact_unknown(WHY_NOT_EXPORTED);
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *a = &r->gpus[i];

		if (!rule->serves(a) || !rule->counts(a))
			continue;
		if (rule->unclear(a, g))
			return fact_unknown(WHY_NOT_EXPORTED);
		n += rule->before(a, g);
	}
	return fact_of(n, rule->src);
}

/* N of "/dev/dri/cardN". */
static struct fact number_of(const struct fact_text *node, const char *before)
{
	const char *at = fact_text_known(node) ? strstr(node->v, before) : NULL;
	uint64_t n;

	if (!fact_text_known(node))
		return fact_unknown(node->why);
	if (!at || text_parse_u64(at + strlen(before), &n) || n > INT32_MAX)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)n, node->src);
}

static struct fact *fact_at(struct index_map *m, size_t offset)
{
	return (struct fact *)(void *)((char *)m + offset);
}

/* --- what the interfaces say, with --wake --- */

#define API_TIMEOUT_MS 10000 /* a card that wakes, and a driver that starts, take seconds */

/* Whose numbers an interface's list gives. */
static const struct {
	bool (*serves)(const struct gpu *g);
	size_t offset;
} apis[API_COUNT] = {
	[API_CUDA] = { serves_cuda, offsetof(struct index_map, cuda) },
	[API_CUDA_FASTEST] = { serves_cuda, offsetof(struct index_map, cuda_fastest) },
	[API_HIP] = { serves_hip, offsetof(struct index_map, hip) },
	[API_LEVEL_ZERO] = { serves_level_zero, offsetof(struct index_map, level_zero) },
	[API_VULKAN] = { gpu_can_compute, offsetof(struct index_map, vulkan_loader) },
};

static bool any_served(const struct report *r, enum api a)
{
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (apis[a].serves(&r->gpus[i]))
			return true;
	return false;
}

static json_t *index_ask(const struct run *run, const struct want *w)
{
	json_t *o;

	if (!w->wake || !any_served(&run->merged, API_VULKAN))
		return NULL;
	o = json_answer("berth.answer.api/1");
	for (enum api a = 0; a < API_COUNT; a++) {
		struct api_list l;

		if (!any_served(&run->merged, a))
			continue;
		api_ask(a, API_TIMEOUT_MS, &l);
		json_object_set_new(o, api_name(a), api_list_to_json(&l));
	}
	return o;
}

/* The number of a GPU in a list; Level Zero counts within each of its drivers. */
static struct fact number_in(const struct api_list *l, const struct gpu *g)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct api_device *d = &l->devices[i];

		n = i && d->driver != l->devices[i - 1].driver ? 0 : n;
		if (d->pci[0] && addr_compare(d->pci, g->pci) == 0)
			return fact_of(n, SRC_API);
		n++;
	}
	return fact_unknown(WHY_NOT_EXPORTED);
}

/* Of a GPU that two drivers list, the device that the engine takes is the one. */
static void take_vulkan(const struct api_list *l, struct gpu *g)
{
	uint32_t chosen[API_DEVICES_MAX], n = api_vulkan_choice(l, chosen);

	g->index.vulkan = fact_unknown(WHY_NOT_EXPORTED);
	for (uint32_t k = 0; k < n; k++) {
		const struct api_device *d = &l->devices[chosen[k]];

		if (!d->pci[0] || addr_compare(d->pci, g->pci) != 0)
			continue;
		g->index.vulkan = fact_of(k, SRC_API);
		g->index.vulkan_loader = fact_of(chosen[k], SRC_API);
	}
}

static void index_take(struct report *r, const json_t *answer)
{
	for (enum api a = 0; a < API_COUNT; a++) {
		const json_t *o = json_object_get(answer, api_name(a));
		struct api_list l;

		api_list_from_json(&l, o);
		/* Who did not answer refutes no rule. */
		if (!o || l.why)
			continue;
		for (uint32_t i = 0; i < r->n_gpus; i++) {
			struct gpu *g = &r->gpus[i];

			if (!apis[a].serves(g))
				continue;
			*fact_at(&g->index, apis[a].offset) = number_in(&l, g);
			if (a == API_VULKAN)
				take_vulkan(&l, g);
		}
	}
}

static void index_decide(struct report *r, struct gpu *g)
{
	struct index_map *m = &g->index;

	m->drm_card = number_of(&g->drm_card, "/card");
	m->drm_render = number_of(&g->drm_render, "/renderD");
	for (const struct rule *rule = rules; rule < rules + ARRAY_LEN(rules); rule++) {
		struct fact *f = fact_at(m, rule->offset);

		/* An interface that was asked and does not list it knows better. */
		if (!fact_known(f) && f->why == WHY_NONE)
			*f = number_by(rule, r, g);
	}
	if (!fact_known(&m->nvml) && m->nvml.why == WHY_NONE && !serves_cuda(g))
		m->nvml = fact_unknown(WHY_NOT_APPLICABLE);
	if (!fact_known(&m->cuda_fastest) && m->cuda_fastest.why == WHY_NONE && !serves_cuda(g))
		m->cuda_fastest = fact_unknown(WHY_NOT_APPLICABLE);
}

static void index_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	json_t *o = json_object();

	(void)r;
	fields_to_json(o, rows, ARRAY_LEN(rows), &g->index);
	json_object_set_new(gpu, "index", o);
}

/* The nodes have their own line. The loader's number only where it is not the engine's. */
static void index_text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	struct index_map m = g->index;
	struct line l;

	(void)r;
	line_init(&l);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fact *f = fact_at(&m, rows[i].offset);

		if (!rows[i].label || !fact_known(f))
			continue;
		if (f == &m.vulkan_loader && fact_known(&m.vulkan) && m.vulkan.v == f->v)
			continue;
		line_part(&l, "%s %lld", rows[i].label, (long long)f->v);
		if (f->src == SRC_GUESS || verbose)
			text_add(&l.t, " (%s)", src_name(f->src));
	}
	if (l.t.len)
		line_print(to, "index", l.buf);
}

const struct section section_index = {
	.name = "index",
	.answer = "api",
	.ask = index_ask,
	.take = index_take,
	.decide = index_decide,
	.json = index_json,
	.text = index_text,
};
